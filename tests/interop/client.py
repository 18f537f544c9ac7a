# SPDX-License-Identifier: Apache-2.0
"""A posthouse client in Python, written from docs/protocol.md alone. Clauses are cited as there.

Blocking and simple: it shows that the document says enough. What it needs beyond Python is AES-256-OFB (package python3-cryptography).
"""

import collections
import socket
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

HEARTBEAT, HANDSHAKE, ONLINE_LIST, ONLINE_STATUS, MESSAGE, BYE = 1, 2, 3, 4, 5, 6
HELLO, JOIN, WELCOME = 1, 2, 3
EVENT, REQUEST, REPLY, FAILURE, CANCEL = 1, 2, 3, 4, 7
ONLINE, OFFLINE, CHANGED = 1, 2, 3
PLAIN, PAPER, CHECK = 0, 1, 2
RANK = {PLAIN: 0, CHECK: 1, PAPER: 2}  # P-22

Message = collections.namedtuple("Message", "kind flags turn call ttl_ms to sender method headers body")
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


class Direction:
    """Check and cipher of one direction: P-23, P-25."""

    def __init__(self, suite, key=None, iv=None):
        self.is_checked = suite != PLAIN
        self.sum = self.count = 0
        self.stream = Cipher(algorithms.AES(key), modes.OFB(iv)).encryptor() if suite == PAPER else None

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


class Client:
    def __init__(self, host, port, account="", service="", floor=PLAIN, watch=False, on_request=None, timeout=10):
        self.socket = socket.create_connection((host, port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.on_request = on_request
        self.buffer = b""
        self.online = {}  # id -> Entry
        self.changes = []  # every Entry that changed something
        self.revision = 0
        self.listed = False
        self.listing = None  # ids seen in the pages of a list that is not complete
        self.events = []
        self.ended = {}  # call -> reply or failure
        self.next_call = 1
        self.receiving = self.sending = Direction(PLAIN)  # P-21: HELLO is plain
        self.join(floor, account, service, watch)

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

    def join(self, floor, account, service, watch):
        hello = self.handshake(HELLO)
        self.suite = hello[2][0]
        self.domain = hello[3].decode()
        rest, self.buffer = self.buffer, b""
        self.receiving = Direction(self.suite, hello.get(4), hello.get(5))
        self.sending = Direction(self.suite, hello.get(6), hello.get(7))
        self.buffer = self.receiving.cipher(rest)
        if RANK[self.suite] < RANK[floor]:
            self.send(BYE, struct.pack(">HI", 8, 0) + b"below my floor")
            raise ValueError("suite below the floor")
        join = field(1, struct.pack(">H", 1)) + field(8, bytes([watch]))
        if account:
            join += field(2, account.encode())
        if service:
            join += field(4, service.encode())
        self.send(HANDSHAKE, bytes([JOIN]) + join)
        self.id = self.handshake(WELCOME)[1].decode()

    # ---- what comes

    def turn(self):
        """Handles one packet."""
        command, payload = self.receive()
        {HEARTBEAT: self.on_heartbeat, ONLINE_LIST: self.on_list, ONLINE_STATUS: self.on_status,
         MESSAGE: self.on_message, BYE: self.on_bye}[command](payload)

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
            if known and known.session == entry.session:
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

    def on_message(self, payload):  # P-50
        kind, flags, turn, call, ttl, to, sender, method, _, headers, _ = struct.unpack_from(">BBHQIBBBBHH", payload)
        parts, at = [], 24
        for size in (to, sender, method, headers):
            parts.append(payload[at : at + size])
            at += size
        message = Message(kind, flags, turn, call, ttl, *(p.decode() for p in parts[:3]), parts[3], payload[at:])
        if kind == EVENT:
            self.events.append(message)
        elif kind == REQUEST:
            body = self.on_request(message) if self.on_request else None
            if body is None:
                self.message(FAILURE, call=call, body=struct.pack(">H", 18) + b"no handler")
            else:
                self.message(REPLY, call=call, body=body)
        elif kind in (REPLY, FAILURE):
            self.ended[call] = message

    # ---- what goes

    def message(self, kind, to="", method="", body=b"", call=0, ttl_ms=0):
        to, sender, method = to.encode(), self.id.encode(), method.encode()
        head = struct.pack(">BBHQIBBBBHH", kind, 0, 0, call, ttl_ms, len(to), len(sender), len(method), 0, 0, 0)
        self.send(MESSAGE, head + to + sender + method + body)

    def call(self, to, method, body=b"", ttl_ms=5000):
        """The reply's body; raises Failure."""
        call, self.next_call = self.next_call, self.next_call + 1
        self.message(REQUEST, to, method, body, call, ttl_ms)
        while call not in self.ended:
            self.turn()
        answer = self.ended.pop(call)
        if answer.kind == FAILURE:
            raise Failure(struct.unpack_from(">H", answer.body)[0], answer.body[2:].decode())
        return answer.body

    def until(self, condition):
        while not condition():
            self.turn()

    def bye(self):
        self.send(BYE, struct.pack(">HI", 0, 0))
        self.socket.close()
