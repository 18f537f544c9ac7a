# SPDX-License-Identifier: Apache-2.0
"""One handshake of TLS 1.3 (RFC 8446), as either end, that sends whatever certificates it is told, and proofs of them that may be wrong.

A library of TLS would not send most of what an attacker sends: a certificate with another's key, no proof at all, a weak key. One suite
(AES-128-GCM), one group (X25519). What the other end proves is not checked: this is the liar's end.
"""

import hashlib
import hmac
import os
import struct

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

CLIENT_HELLO, SERVER_HELLO, TICKET, ENCRYPTED_EXTENSIONS, CERTIFICATE, CERTIFICATE_REQUEST, CERTIFICATE_VERIFY, FINISHED = (
    1, 2, 4, 8, 11, 13, 15, 20)
ALERT, HANDSHAKE, DATA = 21, 22, 23
ALERTS = {0: "close_notify", 10: "unexpected_message", 40: "handshake_failure", 42: "bad_certificate", 43: "unsupported_certificate",
          44: "certificate_revoked", 45: "certificate_expired", 46: "certificate_unknown", 47: "illegal_parameter", 48: "unknown_ca",
          50: "decode_error", 51: "decrypt_error", 80: "internal_error", 116: "certificate_required", 120: "no_application_protocol"}
SCHEMES = {"ec": 0x0403, "rsa": 0x0804, "ed25519": 0x0807, "dsa": 0x0202}
GROUP, SUITE = 0x001D, 0x1301


class Alert(Exception):
    def __init__(self, number):
        super().__init__(ALERTS.get(number, f"alert {number}"))


def vector(size_bytes, data):
    return len(data).to_bytes(size_bytes, "big") + data


def extension(kind, data):
    return struct.pack(">H", kind) + vector(2, data)


def message(kind, body):
    return bytes([kind]) + vector(3, body)


def expand(secret, label, context, size):  # RFC 8446, 7.1
    info = struct.pack(">H", size) + vector(1, b"tls13 " + label) + vector(1, context)
    return hmac.new(secret, info + b"\1", hashlib.sha256).digest()[:size]


def extract(salt, key):
    return hmac.new(salt, key, hashlib.sha256).digest()


class Direction:
    def __init__(self, secret):
        self.secret = secret
        self.key = AESGCM(expand(secret, b"key", b"", 16))
        self.iv = int.from_bytes(expand(secret, b"iv", b"", 12), "big")
        self.count = 0

    def nonce(self):
        self.count += 1
        return (self.iv ^ (self.count - 1)).to_bytes(12, "big")

    def seal(self, kind, data):
        head = b"\x17\3\3" + struct.pack(">H", len(data) + 17)
        return head + self.key.encrypt(self.nonce(), data + bytes([kind]), head)

    def open(self, head, data):
        plain = self.key.decrypt(self.nonce(), data, head).rstrip(b"\0")
        return plain[-1], plain[:-1]


class Connection:
    """What both ends share. `chain` is a list of DER; `key` a forge.Key."""

    def __init__(self, sock, chain, key, proof="right", alpn=b"posthouse/1"):
        self.socket = sock
        self.chain, self.key, self.proof, self.alpn = chain, key, proof, alpn
        self.transcript = b""
        self.sending = self.receiving = None
        self.buffer = b""
        self.flights = b""  # handshake bytes not yet taken
        self.private = x25519.X25519PrivateKey.generate()

    # ---- records

    def write(self, kind, data):
        for at in range(0, len(data), 16384):
            part = data[at:at + 16384]
            self.socket.sendall(self.sending.seal(kind, part) if self.sending else bytes([kind, 3, 3]) + vector(2, part))

    def exactly(self, size):
        while len(self.buffer) < size:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError("closed without an alert")
            self.buffer += data
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def record(self):
        """One that says something: its kind and what is in it."""
        while True:
            head = self.exactly(5)
            data = self.exactly(struct.unpack(">H", head[3:])[0])
            kind = head[0]
            if kind == DATA and self.receiving:
                kind, data = self.receiving.open(head, data)
            if kind == ALERT:
                raise Alert(data[1])
            if kind != 20:  # change_cipher_spec means nothing any more
                return kind, data

    def sendall(self, data):
        self.write(DATA, data)

    def close(self):
        self.socket.close()

    def recv(self, size=0):
        """Application data, whatever the size asked for; b"" when the other end says that it is done."""
        del size
        while True:
            try:
                kind, data = self.record()
            except Alert as alert:
                if str(alert) == "close_notify":
                    return b""
                raise
            except EOFError:
                return b""
            if kind == DATA:
                return data  # tickets are passed over

    # ---- handshake messages

    def say(self, kind, body):
        self.transcript += message(kind, body)
        self.write(HANDSHAKE, message(kind, body))

    def hear(self):
        while len(self.flights) < 4 or len(self.flights) < 4 + int.from_bytes(self.flights[1:4], "big"):
            kind, data = self.record()
            if kind != HANDSHAKE:
                raise ValueError(f"record of type {kind} in the handshake")
            self.flights += data
        size = 4 + int.from_bytes(self.flights[1:4], "big")
        data, self.flights = self.flights[:size], self.flights[size:]
        self.transcript += data
        return data[0], data[4:]

    def digest(self):
        return hashlib.sha256(self.transcript).digest()

    def agree(self, other):
        """After ServerHello: the secrets of the handshake. Client's, server's."""
        shared = self.private.exchange(x25519.X25519PublicKey.from_public_bytes(other))
        empty = hashlib.sha256(b"").digest()
        early = extract(b"\0" * 32, b"\0" * 32)
        handshake = extract(expand(early, b"derived", empty, 32), shared)
        self.master = extract(expand(handshake, b"derived", empty, 32), b"\0" * 32)
        return [expand(handshake, label, self.digest(), 32) for label in (b"c hs traffic", b"s hs traffic")]

    def application(self):
        """After the server's Finished."""
        return [expand(self.master, label, self.digest(), 32) for label in (b"c ap traffic", b"s ap traffic")]

    def share(self):
        return self.private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)

    def prove(self, who):
        """Certificate, CertificateVerify."""
        listed = b"".join(vector(3, der) + vector(2, b"") for der in self.chain)
        self.say(CERTIFICATE, b"\0" + vector(3, listed))
        if self.chain and self.proof != "none":
            content = b" " * 64 + b"TLS 1.3, " + who + b" CertificateVerify\0" + self.digest()
            signature = self.signature(content if self.proof == "right" else content + b"!")
            self.say(CERTIFICATE_VERIFY, struct.pack(">H", SCHEMES[self.key.kind]) + vector(2, signature))

    def signature(self, content):
        if self.key.kind == "rsa" and self.key.private.key_size >= 1024:
            return self.key.private.sign(content, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
        if self.key.kind == "ec":
            return self.key.private.sign(content, ec.ECDSA(hashes.SHA256()))
        return self.key.sign(content)

    def finish(self):
        mac = hmac.new(expand(self.sending.secret, b"finished", b"", 32), self.digest(), hashlib.sha256)
        self.say(FINISHED, mac.digest())


def connect(sock, chain, key, *, host=None, **options):
    """As a client: the connection, once all of it is sent. Whether it was believed, the first recv tells."""
    c = Connection(sock, chain, key, **options)
    try:
        extensions = extension(43, vector(1, b"\3\4")) + extension(10, vector(2, struct.pack(">H", GROUP)))
        extensions += extension(13, vector(2, struct.pack(">5H", 0x0403, 0x0804, 0x0805, 0x0807, 0x0503)))
        extensions += extension(51, vector(2, struct.pack(">H", GROUP) + vector(2, c.share())))
        if c.alpn is not None:
            extensions += extension(16, vector(2, vector(1, c.alpn)))
        if host:
            extensions += extension(0, vector(2, b"\0" + vector(2, host.encode())))
        c.say(CLIENT_HELLO, b"\3\3" + os.urandom(32) + vector(1, b"") + vector(2, struct.pack(">H", SUITE)) + b"\1\0" +
              vector(2, extensions))
        kind, hello = c.hear()
        if kind != SERVER_HELLO:
            raise ValueError(f"message {kind} instead of ServerHello")
        secrets = c.agree(find(hello[38 + hello[34]:], 51)[4:])
        c.receiving = Direction(secrets[1])
        is_asked = False
        while kind != FINISHED:
            kind, _ = c.hear()
            is_asked = is_asked or kind == CERTIFICATE_REQUEST
        later = c.application()
        c.sending = Direction(secrets[0])
        if is_asked:
            c.prove(b"client")
        c.finish()
        c.sending, c.receiving = Direction(later[0]), Direction(later[1])
        return c
    except (OSError, Alert, EOFError):
        sock.close()
        raise


def accept(sock, chain, key, **options):
    """As a server, on a connection that was accepted: returns when the client has finished its part."""
    sock.settimeout(10)
    c = Connection(sock, chain, key, **options)
    _, hello = c.hear()
    at = 34 + 1 + hello[34]
    session = hello[34:at]
    at += 2 + int.from_bytes(hello[at:at + 2], "big")
    at += 1 + hello[at]
    shares = find(hello[at:], 51)[2:]
    while shares[:2] != struct.pack(">H", GROUP):
        shares = shares[4 + int.from_bytes(shares[2:4], "big"):]
    extensions = extension(43, b"\3\4") + extension(51, struct.pack(">H", GROUP) + vector(2, c.share()))
    c.say(SERVER_HELLO, b"\3\3" + os.urandom(32) + session + struct.pack(">H", SUITE) + b"\0" + vector(2, extensions))
    secrets = c.agree(shares[4:36])
    c.sending, c.receiving = Direction(secrets[1]), Direction(secrets[0])
    c.say(ENCRYPTED_EXTENSIONS, vector(2, extension(16, vector(2, vector(1, c.alpn))) if c.alpn else b""))
    c.prove(b"server")
    c.finish()
    later = c.application()
    c.sending = Direction(later[1])
    kind = None
    while kind != FINISHED:
        kind, _ = c.hear()
    c.receiving = Direction(later[0])
    return c


def find(extensions, kind):
    """The data of one in a list with its length in front."""
    data = extensions[2:]
    while data:
        found, size = struct.unpack_from(">HH", data)
        if found == kind:
            return data[4:4 + size]
        data = data[4 + size:]
    raise ValueError(f"no extension {kind}")
