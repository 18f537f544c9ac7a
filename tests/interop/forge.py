# SPDX-License-Identifier: Apache-2.0
"""Certificates and lists of revoked ones, written byte by byte, so that each can be wrong in any way.

Libraries refuse to make most of what an attacker would send. Here a certificate is DER put together by hand; only keys and
signatures are those of python3-cryptography.
"""

import base64
import calendar
import datetime
import functools
import hashlib
import itertools
import socket

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa

DAY = 86400
HASHES = {"md5": hashes.MD5, "sha1": hashes.SHA1, "sha256": hashes.SHA256, "sha384": hashes.SHA384}
SIGNATURES = {  # RFC 3279, 5758, 8410
    ("rsa", "md5"): "1.2.840.113549.1.1.4", ("rsa", "sha1"): "1.2.840.113549.1.1.5", ("rsa", "sha256"): "1.2.840.113549.1.1.11",
    ("ec", "sha1"): "1.2.840.10045.4.1", ("ec", "sha256"): "1.2.840.10045.4.3.2", ("ec", "sha384"): "1.2.840.10045.4.3.3",
    ("dsa", "sha1"): "1.2.840.10040.4.3", ("dsa", "sha256"): "2.16.840.1.101.3.4.3.2", ("ed25519", "sha256"): "1.3.101.112"}
SERVER_AUTH, CLIENT_AUTH, EMAIL, ANY_USE = "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.4", "2.5.29.37.0"
DIGITAL_SIGNATURE, KEY_ENCIPHERMENT, KEY_CERT_SIGN, CRL_SIGN = 0, 2, 5, 6
serials = itertools.count(0x10000000)


# ---- DER

def tlv(tag, *parts):
    body = b"".join(parts)
    size = len(body)
    if size < 128:
        return bytes([tag, size]) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


def seq(*parts):
    return tlv(0x30, *parts)


def integer(value):
    return tlv(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(text):
    first, second, *rest = (int(part) for part in text.split("."))
    body = bytes([first * 40 + second])
    for part in rest:
        more = [part & 0x7F]
        while part := part >> 7:
            more.insert(0, 0x80 | part & 0x7F)
        body += bytes(more)
    return tlv(6, body)


def bits(data, unused=0):
    return tlv(3, bytes([unused]), data)


def octets(data):
    return tlv(4, data)


def moment(when):
    at = datetime.datetime.fromtimestamp(when, datetime.timezone.utc)
    if 1950 <= at.year < 2050:
        return tlv(0x17, at.strftime("%y%m%d%H%M%SZ").encode())
    return tlv(0x18, at.strftime("%Y%m%d%H%M%SZ").encode())


def name(common):
    return seq(tlv(0x31, seq(oid("2.5.4.3"), tlv(0x0C, common.encode()))))


# ---- keys

class Key:
    def __init__(self, private):
        self.private = private
        self.public = private.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.kind = ("rsa" if isinstance(private, rsa.RSAPrivateKey) else "ec" if isinstance(private, ec.EllipticCurvePrivateKey)
                     else "dsa" if isinstance(private, dsa.DSAPrivateKey) else "ed25519")

    def pem(self):
        return self.private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

    def id(self):
        return hashlib.sha1(self.public).digest()

    def sign(self, data, digest="sha256"):
        algorithm = HASHES[digest]()
        if self.kind == "rsa":
            return self.private.sign(data, padding.PKCS1v15(), algorithm)
        if self.kind == "ec":
            return self.private.sign(data, ec.ECDSA(algorithm))
        if self.kind == "dsa":
            return self.private.sign(data, algorithm)
        return self.private.sign(data)


@functools.lru_cache(None)
def key(kind="p256", which=0):
    """The same key for the same arguments: they take long to make."""
    del which
    if kind.startswith("rsa"):
        return Key(rsa.generate_private_key(65537, int(kind[3:])))
    if kind.startswith("dsa"):
        return Key(dsa.generate_private_key(int(kind[3:])))
    if kind == "ed25519":
        return Key(ed25519.Ed25519PrivateKey.generate())
    return Key(ec.generate_private_key({"p256": ec.SECP256R1, "p192": ec.SECP192R1, "p224": ec.SECP224R1, "p384": ec.SECP384R1,
                                        "k256": ec.SECP256K1}[kind]()))


# ---- extensions: (oid, is critical, DER)

def constraints(is_authority, depth=None, critical=True):
    return ("2.5.29.19", critical, seq(tlv(1, b"\xff") if is_authority else b"", b"" if depth is None else integer(depth)))


def usage(*numbers, critical=True):
    value = sum(0x80 >> n for n in numbers)
    unused = (value & -value).bit_length() - 1 if value else 7
    return ("2.5.29.15", critical, bits(bytes([value]), unused))


def extended(*oids, critical=False):
    return ("2.5.29.37", critical, seq(*(oid(o) for o in oids)))


def dns(text):
    return tlv(0x82, text if isinstance(text, bytes) else text.encode())


def uri(text):
    return tlv(0x86, text if isinstance(text, bytes) else text.encode())


def email(text):
    return tlv(0x81, text.encode())


def ip(text):
    return tlv(0x87, socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text))


def principal_name(text):
    """An otherName as Windows has it (UPN)."""
    return tlv(0xA0, oid("1.3.6.1.4.1.311.20.2.3"), tlv(0xA0, tlv(0x0C, text.encode())))


def alternative(*names, critical=False):
    return ("2.5.29.17", critical, seq(*names))


def limited_to(permitted=(), excluded=()):
    lists = [tlv(0xA0 + n, *(seq(base) for base in bases)) for n, bases in ((0, permitted), (1, excluded)) if bases]
    return ("2.5.29.30", True, seq(*lists))


def unknown(critical):
    return ("1.3.6.1.4.1.99999.1", critical, octets(b"?"))


def proxy():
    """RFC 3820: a certificate that an account signs for another."""
    return ("1.3.6.1.5.5.7.1.14", True, seq(seq(oid("1.3.6.1.5.5.7.21.1"))))


# ---- certificates

class Certificate:
    """One with its key. `issuer` None: itself. Whatever is given takes the place of what would be right."""

    def __init__(self, subject, issuer=None, *, own=None, signer=None, begins=-DAY, ends=30 * DAY, extensions=(), digest="sha256",
                 issuer_name=None, version=2, inner_digest=None, ids=True, now=None, serial=None):
        now = now or calendar.timegm(datetime.datetime.now(datetime.timezone.utc).timetuple())
        self.key = own or key()
        self.subject = subject
        self.issuer = issuer
        self.serial = serial or next(serials)
        signer = signer or (issuer.key if issuer else self.key)
        algorithm = seq(oid(SIGNATURES[signer.kind, digest]), tlv(5) if signer.kind == "rsa" else b"")
        inner = seq(oid(SIGNATURES[signer.kind, inner_digest]), tlv(5) if signer.kind == "rsa" else b"") if inner_digest else algorithm
        listed = list(extensions)
        if ids:
            issuer_key = issuer.key if issuer else self.key
            listed += [("2.5.29.14", False, octets(self.key.id())), ("2.5.29.35", False, seq(tlv(0x80, issuer_key.id())))]
        shown = [seq(oid(o), tlv(1, b"\xff") if critical else b"", octets(value)) for o, critical, value in listed]
        self.tbs = seq(tlv(0xA0, integer(version)) if version else b"", integer(self.serial), inner,
                       name(issuer_name or (issuer.subject if issuer else subject)), seq(moment(now + begins), moment(now + ends)),
                       name(subject), self.key.public, tlv(0xA3, seq(*shown)) if shown else b"")
        self.der = seq(self.tbs, algorithm, bits(signer.sign(self.tbs, digest)))

    def altered(self, at, mask=1):
        """The same with a bit changed; `at` counts from the end when negative."""
        data = bytearray(self.der)
        data[at] ^= mask
        self.der = bytes(data)
        return self

    def pem(self):
        return pem("CERTIFICATE", self.der)


def authority(subject="Test Authority", issuer=None, *, depth=None, more=(), **changes):
    extensions = changes.pop("extensions", [constraints(True, depth), usage(KEY_CERT_SIGN, CRL_SIGN), *more])
    return Certificate(subject, issuer, extensions=extensions, own=changes.pop("own", key("p256", "ca " + subject)), **changes)


def revocation(issuer, serials_revoked=(), *, begins=-DAY, ends=30 * DAY, signer=None):
    """A list of revoked certificates (CRL), in PEM."""
    now = calendar.timegm(datetime.datetime.now(datetime.timezone.utc).timetuple())
    signer = signer or issuer.key
    algorithm = seq(oid(SIGNATURES[signer.kind, "sha256"]), tlv(5) if signer.kind == "rsa" else b"")
    entries = [seq(integer(serial), moment(now - 60)) for serial in serials_revoked]
    whose = seq(oid("2.5.29.35"), octets(seq(tlv(0x80, issuer.key.id()))))
    number = seq(oid("2.5.29.20"), octets(integer(1)))
    tbs = seq(integer(1), algorithm, name(issuer.subject), moment(now + begins), moment(now + ends), seq(*entries) if entries else b"",
              tlv(0xA0, seq(whose, number)))
    return pem("X509 CRL", seq(tbs, algorithm, bits(signer.sign(tbs))))


def pem(label, der):
    text = base64.encodebytes(der).decode().replace("\n", "")
    lines = "\n".join(text[at:at + 64] for at in range(0, len(text), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n".encode()
