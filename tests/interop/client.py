# SPDX-License-Identifier: Apache-2.0
"""A posthouse client in Python, written from docs/protocol.md alone. Clauses are cited as there.

Blocking and simple: it shows that the document says enough. Whatever waits takes what comes meanwhile, so callbacks may call, ask and
publish themselves. What it needs beyond Python is AES-256-OFB (package python3-cryptography).
"""

import collections
import socket
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
try:
    from cryptography.hazmat.decrepit.ciphers.modes import OFB
except ImportError:  # older ones
    from cryptography.hazmat.primitives.ciphers.modes import OFB

HEARTBEAT, HANDSHAKE, ONLINE_LIST, ONLINE_STATUS, MESSAGE, BYE, OWN_STATE, SUBSCRIPTION, STREAM, CREDENTIAL = range(1, 11)
HELLO, JOIN, WELCOME = 1, 2, 3
EVENT, REQUEST, REPLY, FAILURE, INQUIRY, ANSWER, CANCEL, RECEIPT = range(1, 9)
MORE, WANTS_RECEIPT, PART, REST = 1, 8, 16, 32
STARTING, READY, DRAINING = 1, 2, 3
CREDIT, ABORT, REFUSE = 1, 2, 3
TOO_LARGE, NO_HANDLER = 8, 18
ONLINE, OFFLINE, CHANGED = 1, 2, 3
PLAIN, PAPER, CHECK = 0, 1, 2
RANK = {PLAIN: 0, CHECK: 1, PAPER: 2}  # P-22

FIRST_MAX = 32762  # P-67: bytes of a first fragment's payload
WINDOW = 262144  # what this client grants at a time

Message = collections.namedtuple("Message", "kind flags turn call ttl_ms to sender method depth want headers body")
Gathered = collections.namedtuple("Gathered", "replies asked replied missing")
Entry = collections.namedtuple("Entry", "what reason type state session revision id service fields")


class Bye(Exception):
    def __init__(self, reason, text):
        super().__init__(f"bye {reason}: {text}")
        self.reason = reason


class Failure(Exception):
    def __init__(self, code, text):
        super().__init__(f"failure {code}: {text}")
        self.code = code


def fields_of(data):
    """P-26: [(tag, value)]"""
    found = []
    while data:
        tag, length = struct.unpack_from(">BH", data)
        found.append((tag, data[3 : 3 + length]))
        data = data[3 + length :]
    return found


def field(tag, value):
    return struct.pack(">BH", tag, len(value)) + value


def str8(data, at):
    return data[at + 1 : at + 1 + data[at]].decode(), at + 1 + data[at]


def own_fields(tags, state=None, weight=None, metadata=None):
    """What a client says about itself, with the tags of JOIN (P-35) or own state (P-72)."""
    out = b""
    if state is not None:
        out += field(tags[0], bytes([state]))
    if weight is not None:
        out += field(tags[1], struct.pack(">H", weight))
    for key, value in (metadata or {}).items():
        out += field(tags[2], bytes([len(key)]) + key.encode() + value)
    return out


def failed(message):
    """The failure that a message is: P-58."""
    return Failure(struct.unpack_from(">H", message.body)[0], message.body[2:].decode())


class Direction:
    """Check and cipher of one direction: P-23, P-25."""

    def __init__(self, suite, key=None, iv=None):
        self.is_checked = suite != PLAIN
        self.sum = self.count = 0
        self.stream = Cipher(algorithms.AES(key), OFB(iv)).encryptor() if suite == PAPER else None

    def check(self, packet):
        words = struct.pack(">H", self.count & 0xFFFF) + packet[:4] + b"\0\0" + packet[6:]
        if len(words) % 2:
            words += b"\0"
        for (word,) in struct.iter_unpack(">H", words):
            s = (self.sum << 1 | self.sum >> 15) & 0xFFFF
            self.sum = (s | word) - (s & word)
        self.count += 1
        return self.sum

    def cipher(self, data):
        return self.stream.update(data) if self.stream else data


def connect(host, port, timeout=30):
    one = socket.create_connection((host, port), timeout)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return one


class Client:
    def __init__(self, host, port, account="", service="", floor=PLAIN, watch=False, on_request=None, on_inquiry=None, timeout=30,
                 message_max=1 << 26, dial=None, token="", **own):
        self.socket = dial(host, port) if dial else connect(host, port, timeout)  # TLS is the caller's business
        self.on_request = on_request  # request -> body, or None
        self.on_inquiry = on_inquiry  # the same for an inquiry to a call of this client
        self.message_max = message_max
        self.buffer = b""
        self.online = {}  # id -> Entry
        self.changes = []  # every Entry that changed something
        self.revision = 0
        self.listed = False
        self.listing = None  # ids seen in the pages of a list that is not complete
        self.events = []
        self.ended = {}  # call -> reply or failure
        self.parts = {}  # call -> [reply or failure] of a gather
        self.asked = {}  # (call, turn) of an inquiry of this client -> answer or failure
        self.cancelled = {}  # call of a request that this client got -> why
        self.receipts = {}  # number of an event -> (delivered, dropped, code)
        self.answers = {}  # number of a subscription -> [(code, pattern)] refused
        self.wished = None  # state that the center wants this client to be in
        self.joining_up = {}  # (kind, turn, call) -> [first fragment, body so far]
        self.leave = {}  # (kind, turn, call) -> bytes that may be sent, or the failure code that refused it
        self.next_number = 1  # of calls, events, inquiries and subscriptions
        self.receiving = self.sending = Direction(PLAIN)  # P-21: HELLO is plain
        self.token = token
        self.join(floor, account, service, watch, own)

    # ---- packets

    def exactly(self, size):
        while len(self.buffer) < size:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError("the center closed the connection")
            self.buffer += self.receiving.cipher(data)
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def receive(self):
        """(command, payload) of the next packet: P-10, P-11, P-24."""
        length = self.exactly(4)
        (size,) = struct.unpack(">I", length)
        head = 8 if self.receiving.is_checked else 6
        if not head <= size <= 65536:
            raise ValueError(f"length {size}")
        packet = length + self.exactly(size - 4)
        if self.receiving.is_checked and struct.unpack_from(">H", packet, 4)[0] != self.receiving.check(packet):
            raise ValueError("check")
        return struct.unpack_from(">H", packet, head - 2)[0], packet[head:]

    def send(self, command, payload):
        if self.sending.is_checked:
            packet = struct.pack(">IHH", 8 + len(payload), 0, command) + payload
            packet = packet[:4] + struct.pack(">H", self.sending.check(packet)) + packet[6:]
        else:
            packet = struct.pack(">IH", 6 + len(payload), command) + payload
        self.socket.sendall(self.sending.cipher(packet))

    # ---- handshake: P-32 to P-36

    def handshake(self, kind):
        command, payload = self.receive()
        if command == BYE:
            self.on_bye(payload)
        if command != HANDSHAKE or payload[0] != kind:
            raise ValueError(f"command {command} instead of handshake {kind}")
        return dict(fields_of(payload[1:]))

    def join(self, floor, account, service, watch, own):
        hello = self.handshake(HELLO)
        self.suite = hello[2][0]
        self.domain = hello[3].decode()
        self.packet_max = int.from_bytes(hello.get(10, b""), "big") or 65536
        rest, self.buffer = self.buffer, b""
        self.receiving = Direction(self.suite, hello.get(4), hello.get(5))
        self.sending = Direction(self.suite, hello.get(6), hello.get(7))
        self.buffer = self.receiving.cipher(rest)
        if RANK[self.suite] < RANK[floor]:
            self.send(BYE, struct.pack(">HI", 8, 0) + b"below my floor")
            raise ValueError("suite below the floor")
        join = field(1, struct.pack(">H", 1)) + field(8, bytes([watch])) + field(17, struct.pack(">I", self.message_max))
        join += own_fields((15, 16, 6), **own)
        if account:
            join += field(2, account.encode())
        if service:
            join += field(4, service.encode())
        if self.token:
            join += field(5, self.token.encode())
        self.send(HANDSHAKE, bytes([JOIN]) + join)
        self.id = self.handshake(WELCOME)[1].decode()

    # ---- what comes

    def turn(self):
        """Handles one packet."""
        command, payload = self.receive()
        {HEARTBEAT: self.on_heartbeat, ONLINE_LIST: self.on_list, ONLINE_STATUS: self.on_status,
         MESSAGE: self.on_message, BYE: self.on_bye, OWN_STATE: self.on_own_state, SUBSCRIPTION: self.on_subscribed,
         STREAM: self.on_stream}[command](payload)

    def until(self, condition):
        while not condition():
            self.turn()

    def number(self):
        self.next_number += 1
        return self.next_number - 1

    def on_heartbeat(self, payload):  # P-39
        if payload[:1] == b"\0":
            self.send(HEARTBEAT, b"\1" + payload[1:])
        elif not payload:
            self.send(HEARTBEAT, b"")

    def on_bye(self, payload):
        raise Bye(struct.unpack_from(">H", payload)[0], payload[6:].decode())

    def entries(self, data, count):  # P-46
        for _ in range(count):
            size, what, reason, kind, state, session, revision = struct.unpack_from(">HBBBBQQ", data)
            peer, at = str8(data, 22)
            service, at = str8(data, at)
            yield Entry(what, reason, kind, state, session, revision, peer, service, fields_of(data[at:size]))
            data = data[size:]

    def apply(self, entry):  # P-48
        known = self.online.get(entry.id)
        if entry.what == OFFLINE:
            if known and known.session <= entry.session:
                del self.online[entry.id]
                self.changes.append(entry)
        elif not known or known.session != entry.session or entry.what == CHANGED:
            self.online[entry.id] = entry
            self.changes.append(entry)

    def on_list(self, payload):  # P-44
        _, self.revision, flags, count = struct.unpack_from(">QQBH", payload)
        if flags & 1:
            self.listing = set()
        for entry in self.entries(payload[19:], count):
            self.listing.add(entry.id)
            self.apply(entry)
        if flags & 2:
            self.online = {k: v for k, v in self.online.items() if k in self.listing}
            self.listed = True

    def on_status(self, payload):  # P-45
        _, previous, revision, count = struct.unpack_from(">QQQH", payload)
        if previous != self.revision:
            raise ValueError(f"a gap in presence: {self.revision} then {previous}")
        for entry in self.entries(payload[26:], count):
            self.apply(entry)
        self.revision = revision

    def on_own_state(self, payload):  # P-72
        self.wished = dict(fields_of(payload))[1][0]

    def on_subscribed(self, payload):  # P-73
        refused = [(struct.unpack_from(">H", value)[0], value[2:].decode()) for tag, value in fields_of(payload[4:]) if tag == 1]
        self.answers[struct.unpack_from(">I", payload)[0]] = refused

    def on_stream(self, payload):  # P-75
        op, kind, turn, call, value = struct.unpack(">BBHQI", payload)
        key = (kind, turn, call)
        if op == ABORT:
            self.joining_up.pop(key, None)
        elif key in self.leave:
            self.leave[key] = Failure(value, "refused") if op == REFUSE else self.leave[key] + value

    def on_message(self, payload):  # P-50
        kind, flags, turn, call, ttl, to, sender, method, depth, headers, want = struct.unpack_from(">BBHQIBBBBHH", payload)
        parts, at = [], 24
        for size in (to, sender, method, headers):
            parts.append(payload[at : at + size])
            at += size
        names = (part.decode() for part in parts[:3])
        message = self.joined(Message(kind, flags, turn, call, ttl, *names, depth, want, parts[3], payload[at:]))
        if message is not None:
            self.on_whole(message)

    def joined(self, message):
        """The whole message when this is its last fragment, or the only one; otherwise None: P-66, P-67."""
        key = (message.kind, message.turn, message.call)
        if not message.flags & (MORE | REST):
            return message
        if not message.flags & REST:
            self.joining_up[key] = [message, b""]
            self.stream(CREDIT, key, WINDOW)
        elif key not in self.joining_up:
            return None  # of one that is over
        else:
            self.stream(CREDIT, key, len(message.body))
        whole = self.joining_up[key]
        whole[1] += message.body
        if len(whole[1]) > self.message_max:
            del self.joining_up[key]
            self.stream(REFUSE, key, TOO_LARGE)
            return None
        if message.flags & MORE:
            return None
        del self.joining_up[key]
        return whole[0]._replace(body=whole[1])

    def on_whole(self, message):
        kind, call, turn = message.kind, message.call, message.turn
        if kind == EVENT:
            self.events.append(message)
        elif kind == REQUEST:
            self.answer_with(self.on_request, message, REPLY)
        elif kind == INQUIRY:  # P-62
            self.answer_with(self.on_inquiry, message, ANSWER)
        elif kind == RECEIPT:  # P-68
            self.receipts[call] = struct.unpack(">IIH", message.body)
        elif kind == CANCEL:  # P-57
            self.cancelled[call] = struct.unpack_from(">H", message.body)[0]
        elif message.flags & PART:  # P-65
            self.parts[call].append(message)
        elif turn:  # of an inquiry of this client
            self.asked[call, turn] = message
        else:
            self.ended[call] = message

    def answer_with(self, callback, message, kind):
        try:
            body = callback(message) if callback else None
        except Failure as failure:
            if message.call not in self.cancelled:
                self.message(FAILURE, call=message.call, turn=message.turn, body=struct.pack(">H", failure.code) + b"")
            return
        if message.call in self.cancelled:
            return  # nobody waits for it
        if body is None:
            self.message(FAILURE, call=message.call, turn=message.turn, body=struct.pack(">H", NO_HANDLER) + b"no handler")
        else:
            self.message(kind, call=message.call, turn=message.turn, body=body)

    # ---- what goes

    def message(self, kind, to="", method="", body=b"", call=0, ttl_ms=0, flags=0, turn=0, depth=0, want=0, is_over=lambda: False):
        """Sends one message, in fragments when it is long: P-66. It may end before it is sent; then `is_over`."""
        sender = self.id.encode()
        room = FIRST_MAX - 1024
        is_cut = len(body) > room and kind not in (FAILURE, CANCEL)
        if is_cut and call == 0:
            call = self.number()
        key = (kind, turn, call)
        if is_cut:
            self.leave[key] = 0

        def fragment(flags, to, method, ttl_ms, depth, want, body):
            head = (kind, flags, turn, call, ttl_ms, len(to), len(sender), len(method), depth, 0, want)
            self.send(MESSAGE, struct.pack(">BBHQIBBBBHH", *head) + to + sender + method + body)

        fragment(flags | MORE * is_cut, to.encode(), method.encode(), ttl_ms, depth, want, body[:room] if is_cut else body)
        at = room
        while is_cut and at < len(body):
            self.until(lambda: self.leave[key] != 0 or is_over())
            leave = self.leave[key]
            if is_over() or isinstance(leave, Failure):
                break
            piece = body[at : at + min(leave, self.packet_max - 1024)]
            at += len(piece)
            self.leave[key] -= len(piece)
            fragment(flags & PART | REST | (MORE if at < len(body) else 0), b"", b"", 0, 0, 0, piece)
        refused = self.leave.pop(key, None)
        if isinstance(refused, Failure) and kind == EVENT:
            raise refused
        return call

    def stream(self, op, key, value):  # P-75
        self.send(STREAM, struct.pack(">BBHQI", op, *key, value))

    def call(self, to, method, body=b"", ttl_ms=20000, depth=0):
        """The reply's body; raises Failure."""
        call = self.number()
        self.message(REQUEST, to, method, body, call, ttl_ms, depth=depth, is_over=lambda: call in self.ended)
        self.until(lambda: call in self.ended)
        end = self.ended.pop(call)
        if end.kind == FAILURE:
            raise failed(end)
        return end.body

    def gather(self, service, method, body=b"", ttl_ms=20000, want=0):
        """What each instance replied, and what became of the others: P-65. Raises Failure."""
        call = self.number()
        self.parts[call] = []
        self.message(REQUEST, f"all:{service}", method, body, call, ttl_ms, want=want)
        self.until(lambda: call in self.ended)
        end, parts = self.ended.pop(call), self.parts.pop(call)
        if end.kind == FAILURE:
            raise failed(end)
        asked, replied, count = struct.unpack_from(">HHH", end.body)
        missing, at = {}, 6
        for _ in range(count):
            code = struct.unpack_from(">H", end.body, at)[0]
            who, at = str8(end.body, at + 2)
            missing[who] = code
        return Gathered({p.sender: p.body for p in parts if p.kind == REPLY}, asked, replied, missing)

    def inquire(self, request, method, body=b"", ttl_ms=0):
        """Asks the caller of a request back: P-62. Raises Failure, also when the call is over."""
        key = (request.call, self.number() % 65535 + 1)
        self.message(INQUIRY, "", method, body, key[0], ttl_ms, turn=key[1], is_over=lambda: key[0] in self.cancelled)
        self.until(lambda: key in self.asked or key[0] in self.cancelled)
        if key[0] in self.cancelled:
            raise Failure(self.cancelled[key[0]], "the call is over")
        answer = self.asked.pop(key)
        if answer.kind == FAILURE:
            raise failed(answer)
        return answer.body

    def event(self, to, method, body=b"", receipt=False):
        """With a receipt: (delivered, dropped, code), P-68."""
        if not receipt:
            self.message(EVENT, to, method, body)
            return None
        number = self.message(EVENT, to, method, body, self.number(), flags=WANTS_RECEIPT)
        self.until(lambda: number in self.receipts)
        return self.receipts.pop(number)

    def subscribe(self, *patterns, tag=1):
        """Returns when it is in force, with [(code, pattern)] of what was refused: P-73."""
        number = self.number()
        self.send(SUBSCRIPTION, struct.pack(">I", number) + b"".join(field(tag, p.encode()) for p in patterns))
        self.until(lambda: number in self.answers)
        return self.answers.pop(number)

    def unsubscribe(self, *patterns):
        return self.subscribe(*patterns, tag=2)

    def say(self, **own):
        """What has changed about this client (state, weight, metadata): P-72."""
        none = field(4, b"") if own.get("metadata") == {} else b""
        self.send(OWN_STATE, own_fields((1, 2, 3), **own) + none)

    def bye(self):
        self.send(BYE, struct.pack(">HI", 0, 0))
        self.socket.close()
