# SPDX-License-Identifier: Apache-2.0
"""Attacks by who sits on the path, against suite paper, where they succeed, and against TLS, where the same ones fail. Prints TAP.

docs/threat-model.md says what suite paper is worth; were one of these to fail on it, or to succeed on TLS, that page would be wrong. An
attack is a Path: it sees what passes and may change it. It knows the protocol, and of the message it wants to change the form, not the key.
"""

import socket
import ssl
import struct
import sys
import threading

import client as ph
import harness as h

ORDER = b"pay=0000100;to=alice-00;note=................................"  # what the attacker knows the form of
SECRET = b"the vault opens at dawn"


class Path:
    """Between client and center. `up` is what comes from the client."""

    def __init__(self, port):
        self.port = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        self.seen = {"up": b"", "down": b""}
        self.threads = [threading.Thread(target=self.accept, daemon=True)]
        self.threads[0].start()

    def accept(self):
        client, _ = self.listener.accept()
        center = socket.create_connection(("127.0.0.1", self.port))
        for sock in (client, center):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.client, self.center = client, center
        self.threads.append(threading.Thread(target=self.pump, args=("up", client, center), daemon=True))
        self.threads.append(threading.Thread(target=self.pump, args=("down", center, client), daemon=True))
        for thread in self.threads[1:]:
            thread.start()

    def pump(self, way, source, sink):
        try:
            while data := source.recv(65536):
                self.seen[way] += data
                sink.sendall(self.passes(way, data))
        except OSError:
            pass
        for sock in (source, sink):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def passes(self, way, data):
        del way
        return data

    def close(self):
        self.listener.close()


class Flips(Path):
    """Changes bits of a message in flight, and knows no key: what is flipped in the cipher text is flipped in the plain one (OFB), and the
    check is a sum without carry, in which a second flip, further on, takes the first one back."""

    is_armed = False

    def passes(self, way, data):
        if way != "up" or not self.is_armed or len(data) < len(ORDER):
            return data
        self.is_armed = False
        changed = bytearray(data)
        body = len(data) - self.behind - len(ORDER)  # a request's body is its end; TLS has a tag behind it
        amount, note = body + ORDER.index(b"0000100"), body + ORDER.index(b"....")
        amount += amount % 2  # words of the check begin at even places of a packet
        note += (note - amount) % 2
        flip = (ord("0") ^ ord("9")) << 8 | ord("0") ^ ord("9")  # two digits become 99
        turned = (note - amount) // 2 % 16
        back = (flip << turned | flip >> (16 - turned)) & 0xFFFF
        for at, mask in ((amount, flip), (note, back)):
            changed[at] ^= mask >> 8
            changed[at + 1] ^= mask & 0xFF
        return bytes(changed)

    def __init__(self, port, behind):
        super().__init__(port)
        self.behind = behind


class Reads(Path):
    """Listens, and deciphers what it heard with the keys that stand in HELLO."""

    def plain(self):
        suite, ways = keys_of(self.seen["down"])
        del suite
        return {"down": ways["down"].cipher(self.seen["down"][hello_size(self.seen["down"]):]), "up": ways["up"].cipher(self.seen["up"])}


class Stands(Path):
    """In the middle: to each end it is the other. It takes the keys from the center's HELLO, gives the client others, and passes on what it
    likes of the client's packets, under checks of its own. `edit` makes of a packet those that go on."""

    def __init__(self, port, edit):
        super().__init__(port)
        self.edit = edit
        self.packets = {"up": Packets(), "down": Packets()}

    def passes(self, way, data):
        own = self.packets[way]
        own.buffer += own.receiving.cipher(data) if own.receiving else data
        out = b""
        if way == "down" and not own.receiving:  # HELLO
            if len(own.buffer) < 4 or len(own.buffer) < hello_size(own.buffer):
                return b""
            size = hello_size(own.buffer)
            out = self.greet(own.buffer[:size])
            own.buffer = own.receiving.cipher(own.buffer[size:])
        for packet in own.take():
            for one in self.edit(packet) if way == "up" else [packet]:
                out += own.seal(one)
        return out

    def greet(self, hello):
        """Another HELLO, with keys of its own."""
        _, center = keys_of(hello)
        other = hello[:7] + b"".join(ph.field(tag, value if tag not in (4, 5, 6, 7) else bytes(len(value))) for tag, value in ph.fields_of(hello[7:]))
        _, client = keys_of(other)
        self.packets["down"].receiving, self.packets["down"].sending = center["down"], client["down"]
        self.packets["up"].receiving, self.packets["up"].sending = client["up"], center["up"]
        return other


class Packets:
    """Cuts a deciphered direction into packets, and makes them anew."""

    def __init__(self):
        self.buffer = b""
        self.receiving = self.sending = None

    def take(self):
        while len(self.buffer) >= 4 and len(self.buffer) >= (size := hello_size(self.buffer)):
            packet, self.buffer = self.buffer[:size], self.buffer[size:]
            yield packet

    def seal(self, packet):
        packet = packet[:4] + b"\0\0" + packet[6:]
        return self.sending.cipher(packet[:4] + struct.pack(">H", self.sending.check(packet)) + packet[6:])


class Repeats(Path):
    """Where there is no key to be had: what it saw, again, or as much of its own making, as a record of TLS."""

    def __init__(self, port, edit):
        super().__init__(port)
        self.is_replay = edit is replayed

    def passes(self, way, data):
        if way != "up" or len(data) < len(ORDER) or data[0] != 0x17:
            return data
        return data + (data if self.is_replay else data[:5] + bytes(len(data) - 5))


class Cuts(Path):
    """Ends the connection towards the client as if the center had, once the order is under way: when the client speaks for the fourth time,
    after its part of the handshake, its certificate, and JOIN. Each waits for what the center says before."""

    last, turns = "down", 0

    def passes(self, way, data):
        self.turns += (self.last, way) == ("down", "up")
        self.last = way
        if way == "up" and self.turns == 4:
            self.client.shutdown(socket.SHUT_WR)
        return data


class Impersonates(Path):
    """A center for whoever believes it: TLS with the right name, of another authority. Notes what it is told."""

    def __init__(self, port, stranger):
        super().__init__(port)
        self.stranger = stranger
        self.plain = b""
        self.is_over = threading.Event()

    def accept(self):
        client, _ = self.listener.accept()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.stranger.path("center.crt"), self.stranger.path("center.key"))
        context.set_alpn_protocols(["posthouse/1"])
        try:
            with context.wrap_socket(client, server_side=True) as secured:
                self.plain = secured.recv(65536)
        except OSError:
            pass
        self.is_over.set()


def hello_size(data):
    return struct.unpack_from(">I", data)[0]


def keys_of(data):
    """Suite and directions, as HELLO gives them: P-34. Raises when it is no HELLO."""
    size, command = struct.unpack_from(">IH", data)
    h.holds(size < 1000 and command == ph.HANDSHAKE and data[6] == ph.HELLO, "no HELLO is to be seen")
    fields = dict(ph.fields_of(data[7:size]))
    return fields[2][0], {"down": ph.Direction(ph.PAPER, fields[4], fields[5]), "up": ph.Direction(ph.PAPER, fields[6], fields[7])}


class Bank:
    """Notes what it was asked to pay."""

    def __init__(self, port):
        self.paid = []
        self.client = ph.Client("127.0.0.1", port, "bank", on_request=self.pay)

    def pay(self, request):
        self.paid.append((request.sender, request.body))
        return b"done: " + SECRET


class Stage:
    """A center in suite paper, or with TLS; a bank at it; a customer who reaches it over the path."""

    def __init__(self, kind, certificates, make_path, **options):
        tls = kind == "tls"
        listen = ("127.0.0.1:0", "tls:127.0.0.1:0") if tls else ("127.0.0.1:0",)
        self.center = h.Center(*(certificates.serve() if tls else ("--suite", "paper")), listen=listen)
        self.bank = Bank(self.center.ports[0])
        self.path = make_path(self.center.ports[-1], **options)
        dial = certificates.dialer("customer") if tls else None
        self.serving = h.Serving(self.bank.client)
        self.join = lambda: ph.Client(*self.path.address, "customer", dial=dial)

    def __enter__(self):
        self.serving.__enter__()
        return self

    def __exit__(self, *_):
        self.path.close()
        self.serving.__exit__()
        self.center.stop()


def flips(kind, certificates):
    """What the bank was told to pay: another sum than the customer said?"""
    with Stage(kind, certificates, Flips, behind=17 if kind == "tls" else 0) as stage:
        customer = stage.join()
        customer.call("bank", "pay", ORDER)
        stage.path.is_armed = True
        try:
            customer.call("bank", "pay", ORDER)
        except (OSError, EOFError, ph.Bye):
            h.equal(kind, "tls")
        h.holds(not stage.path.is_armed, "the path changed the order")
        h.equal(stage.bank.paid[0], ("customer@interop", ORDER))
        return [body for _, body in stage.bank.paid[1:] if body != ORDER]


def reads(kind, certificates):
    """Whether the path can read what bank and customer say."""
    with Stage(kind, certificates, Reads) as stage:
        customer = stage.join()
        h.equal(customer.call("bank", "pay", ORDER), b"done: " + SECRET)
        seen = stage.path.seen["up"] + stage.path.seen["down"]
        h.holds(ORDER not in seen and SECRET not in seen and len(seen) > 300, "it is enciphered on its way")
        try:
            plain = stage.path.plain()
        except AssertionError:
            return False
        return ORDER in plain["up"] and SECRET in plain["down"]


def forges(kind, certificates, edit):
    """What the bank was told in the customer's name, beyond what the customer said."""
    with Stage(kind, certificates, Stands if kind == "paper" else Repeats, edit=edit) as stage:
        customer = stage.join()
        said = 0
        try:
            for said in (1, 2, 3):  # a forged one is done when the next of the customer's own is
                customer.call("bank", "pay", ORDER)
        except (OSError, EOFError, ph.Bye):
            h.equal(kind, "tls")
        heard = [body for _, body in stage.bank.paid]
        h.equal({sender for sender, _ in stage.bank.paid} - {"customer@interop"}, set())
        return [body for body in heard if body != ORDER] + [ORDER] * max(0, heard.count(ORDER) - said)


def replayed(packet):
    """The customer's order, and once more, under a call number that is free."""
    yield packet
    if ORDER in packet:
        at = 8 + 4  # [P-50]: kind, flags and turn stand before the number
        yield packet[:at] + struct.pack(">Q", 0x7777) + packet[at + 8:]


def forged(packet):
    """The order, and another one."""
    for one in replayed(packet):
        yield one if one is packet else one.replace(b"0000100", b"9999999").replace(b"alice-00", b"mallory!")


def swapped(packet):
    """Another order instead."""
    yield packet.replace(b"alice-00", b"mallory!")


def main():
    certificates = h.Certificates("customer")
    stranger = h.Certificates("customer")

    # [P-22] says so: the suites guard against accidents.
    @h.test("attacks_paper_bits_of_a_message_are_changed_without_a_key")
    def _():
        changed = flips("paper", certificates)
        h.equal(len(changed), 1)
        h.equal(changed[0][:len(b"pay=0990100;to=alice-00;")], b"pay=0990100;to=alice-00;")

    @h.test("attacks_tls_bits_that_are_changed_end_the_connection")
    def _():
        h.equal(flips("tls", certificates), [])

    @h.test("attacks_paper_everything_is_read_by_who_saw_the_hello")
    def _():
        h.equal(reads("paper", certificates), True)

    @h.test("attacks_tls_nothing_is_read")
    def _():
        h.equal(reads("tls", certificates), False)

    @h.test("attacks_paper_a_message_is_repeated_under_a_right_check")
    def _():
        h.holds(len(forges("paper", certificates, replayed)) >= 2, "the bank paid more often than it was told")

    @h.test("attacks_tls_a_record_that_is_repeated_ends_the_connection")
    def _():
        h.equal(forges("tls", certificates, replayed), [])

    @h.test("attacks_paper_a_message_is_forged_in_the_name_of_another")
    def _():
        said = forges("paper", certificates, forged)
        h.holds(all(body.startswith(b"pay=9999999;to=mallory!") for body in said) and len(said) >= 2, f"the bank believed it: {said}")

    @h.test("attacks_tls_a_record_that_is_forged_ends_the_connection")
    def _():
        h.equal(forges("tls", certificates, forged), [])

    @h.test("attacks_paper_who_stands_in_the_middle_is_the_center_for_a_client_with_the_highest_floor")
    def _():
        with Stage("paper", certificates, Stands, edit=swapped) as stage:
            address = "127.0.0.1:%d" % stage.path.address[1]
            status, out, said = h.posthouse("call", "bank", "pay", ORDER.decode(), "--center", address, "--account", "customer", "--suite-floor", "paper")
            h.equal((status, out.strip(), said), (0, "done: " + SECRET.decode(), ""))
            h.equal([body[12:23] for _, body in stage.bank.paid], [b"to=mallory!"])

    @h.test("attacks_tls_who_stands_in_the_middle_is_refused_and_told_nothing")
    def _():
        with Stage("tls", certificates, Impersonates, stranger=stranger) as stage:
            address = "tls:localhost:%d" % stage.path.address[1]
            status, _, said = h.posthouse("call", "bank", "pay", ORDER.decode(), "--center", address, *certificates.join("customer"), "--timeout", "2s")
            h.holds(stage.path.is_over.wait(h.PATIENCE), "the client came")
            h.equal((status, stage.path.plain, stage.bank.paid), (3, b"", []))
            h.holds("certificate" in said, said)

    # Without it, whoever can send a FIN could make a part look like the whole.
    @h.test("attacks_tls_a_stream_that_is_cut_counts_as_broken")
    def _():
        with Stage("tls", certificates, Cuts) as stage:
            stage.bank.client.on_request = None  # nobody answers before the cut
            address = "tls:localhost:%d" % stage.path.address[1]
            status, out, said = h.posthouse("call", "bank", "pay", ORDER.decode(), "--center", address, *certificates.join("customer"), "--timeout", "5s")
            h.equal((status != 0, out), (True, ""))
            h.holds("did not say that it closes" in said, said)

    certificates.close()
    stranger.close()
    return h.finish()


if __name__ == "__main__":
    sys.exit(main())
