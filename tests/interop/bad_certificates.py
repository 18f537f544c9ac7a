# SPDX-License-Identifier: Apache-2.0
"""Certificates that must not let anybody in, each with why. Read by certificates_test.py.

A case makes what a liar sends: a chain (DER, the own one first), the key with which it is proved, and how. `reason` is what the log of
the center, or the client's error, must say; alternatives with |.
"""

import collections

import forge as f

DOMAIN = "bank"
NAME = f"posthouse://{DOMAIN}/orders"
HOST = "center.example.org"

Case = collections.namedtuple("Case", "name make reason")
Sent = collections.namedtuple("Sent", "chain key proof")


class World:
    """Authorities: one that is believed, one below it, a stranger."""

    def __init__(self):
        self.root = f.authority()
        self.below = f.authority("Below", self.root)
        self.stranger = f.authority("Stranger")
        self.namesake = f.authority(own=f.key("p256", "namesake"))  # the name of the first, another key
        self.revoked_serial = 0x0BAD0001
        self.revoked_authority = f.authority("Revoked", self.root, serial=0x0BAD0002)
        self.unlisted = f.authority("Unlisted", self.root)  # has no list of its own

    def revocations(self, **changes):
        return f.revocation(self.root, [0x0BAD0001, 0x0BAD0002], **changes) + f.revocation(self.below) + f.revocation(self.revoked_authority)


def extensions(use, *names, ca=None, key_usage=(f.DIGITAL_SIGNATURE,), purposes=None, more=()):
    return [ca or f.constraints(False), f.usage(*key_usage), f.extended(*(purposes or (use,))), *([f.alternative(*names)] if names else []), *more]


class Ordinary:
    """What is right but for what a case changes."""

    def __init__(self, use, names, own):
        self.use, self.names, self.own = use, names, own

    def make(self, issuer, *, names=None, ca=None, key_usage=(f.DIGITAL_SIGNATURE,), purposes=None, more=(), subject="orders", **changes):
        listed = changes.pop("extensions", None)
        if listed is None:
            listed = extensions(self.use, *(self.names if names is None else names), ca=ca, key_usage=key_usage, purposes=purposes, more=more)
        return f.Certificate(subject, issuer, own=changes.pop("own", self.own), extensions=listed, **changes)


def sent(*chain, key=None, proof="right"):
    return Sent([c.der if isinstance(c, f.Certificate) else c for c in chain], key or chain[0].key, proof)


CLIENT = Ordinary(f.CLIENT_AUTH, [f.uri(NAME)], f.key("p256", "client"))
CENTER = Ordinary(f.SERVER_AUTH, [f.dns(HOST), f.ip("127.0.0.1")], f.key("p256", "center"))


def good(who):
    """These are believed: so it is not everything that is refused."""
    one = who.make
    yield Case("ordinary", lambda w: sent(one(w.root)), "")
    yield Case("with an authority between", lambda w: sent(one(w.below), w.below), "")
    yield Case("with a key of RSA", lambda w: sent(one(w.root, own=f.key("rsa2048"))), "")
    yield Case("with the root in its chain", lambda w: sent(one(w.root), w.root), "")
    yield Case("for both uses", lambda w: sent(one(w.root, purposes=(f.SERVER_AUTH, f.CLIENT_AUTH))), "")
    yield Case("with an extension unknown and not critical", lambda w: sent(one(w.root, more=[f.unknown(False)])), "")


def bad(who, other_use):
    """Wrong in the same way at either end."""
    one = who.make

    # ---- time
    yield Case("expired", lambda w: sent(one(w.root, begins=-30 * f.DAY, ends=-f.DAY)), "its certificate has expired")
    yield Case("expired ten seconds ago", lambda w: sent(one(w.root, begins=-30 * f.DAY, ends=-10)), "its certificate has expired")
    yield Case("not yet valid", lambda w: sent(one(w.root, begins=f.DAY)), "its certificate is not valid yet")
    yield Case("ends before it begins", lambda w: sent(one(w.root, begins=f.DAY, ends=-f.DAY)), "not valid yet|expired")
    yield Case("an authority between has expired",
               lambda w: sent(one(late := f.authority("Late", w.root, begins=-30 * f.DAY, ends=-f.DAY)), late), "an authority above it has expired")
    yield Case("an authority between is not yet valid",
               lambda w: sent(one(early := f.authority("Early", w.root, begins=f.DAY)), early), "an authority above it is not valid yet")

    # ---- who signed it
    yield Case("of another authority", lambda w: sent(one(w.stranger), w.stranger), "an authority that is not known here")
    yield Case("of another authority, which is not sent", lambda w: sent(one(w.stranger)), "by an authority that is not known here")
    yield Case("of another authority of the same name", lambda w: sent(one(w.namesake), w.namesake),
               "an authority that is not known here|signature that is wrong")
    yield Case("signed by itself", lambda w: sent(one(None)), "signed by itself")
    yield Case("signed by itself, under the authority's name", lambda w: sent(one(None, issuer_name=w.root.subject)),
               "by an authority that is not known here|signature that is wrong")
    yield Case("signed by an authority that is not sent", lambda w: sent(one(w.below)), "by an authority that is not known here")
    yield Case("signed by a certificate that is no authority",
               lambda w: sent(one(leaf := who.make(w.root, subject="leaf", own=f.key("p256", "leaf"))), leaf), "signed another, and is no authority")
    yield Case("signed by one that only its key usage calls an authority",
               lambda w: sent(one(half := f.authority("Half", w.root, extensions=[f.usage(f.KEY_CERT_SIGN, f.CRL_SIGN)])), half),
               "signed another, and is no authority")
    yield Case("signed by one of version 1",
               lambda w: sent(one(first := f.authority("First", w.root, extensions=[], ids=False, version=0)), first), "signed another, and is no authority")
    yield Case("signed by an authority that may not sign",
               lambda w: sent(one(mute := f.authority("Mute", w.root, extensions=[f.constraints(True), f.usage(f.DIGITAL_SIGNATURE)])), mute),
               "signed another, and (is no authority|may not)")
    yield Case("signed by an authority that may sign lists only",
               lambda w: sent(one(mute := f.authority("Lists", w.root, extensions=[f.constraints(True), f.usage(f.CRL_SIGN)])), mute),
               "signed another, and (is no authority|may not)")
    yield Case("below an authority that allows none below it", short_path(one), "below more authorities than one of them allows")
    yield Case("below more authorities than are followed", long_chain(one), "too long a chain of authorities")
    yield Case("with a bit of its signature changed", lambda w: sent(one(w.root).altered(-1)), "signature that is wrong")
    yield Case("with a bit of its serial number changed", lambda w: sent(changed_serial(one(w.root))), "signature that is wrong")
    yield Case("with another algorithm inside than outside", lambda w: sent(one(w.root, inner_digest="sha384")), "signature that is not what it says")

    # ---- what it is for
    yield Case("for the other end", lambda w: sent(one(w.root, purposes=(other_use,))), "not for this purpose")
    yield Case("for mail", lambda w: sent(one(w.root, purposes=(f.EMAIL,))), "not for this purpose")
    yield Case("for every use, as text says, but not for this", lambda w: sent(one(w.root, purposes=(f.ANY_USE,))), "not for this purpose")
    yield Case("whose key may only encrypt keys", lambda w: sent(one(w.root, key_usage=(f.KEY_ENCIPHERMENT,))), "not (for signatures|for this purpose)")
    yield Case("whose key may only sign certificates", lambda w: sent(one(w.root, key_usage=(f.KEY_CERT_SIGN,))), "keyUsage")
    yield Case("an authority itself", lambda w: sent(w.root), "not for this purpose|is an authority's")
    yield Case("an authority that has a name, too",
               lambda w: sent(one(w.root, ca=f.constraints(True), key_usage=(f.DIGITAL_SIGNATURE, f.KEY_CERT_SIGN))), "is an authority's")
    yield Case("of a proxy, signed by an account",
               lambda w: sent(one(leaf := who.make(w.root, subject="leaf", own=f.key("p256", "leaf")), more=[f.proxy()]), leaf),
               "by an authority that is not known here|extension that is malformed")

    # ---- strength
    yield Case("signed with SHA-1", lambda w: sent(one(w.root, digest="sha1")), "hash that is broken")
    yield Case("signed with MD5, by an authority of RSA",
               lambda w: sent(one(old := f.authority("Old", w.root, own=f.key("rsa2048", "old")), digest="md5"), old), "hash that is broken")
    yield Case("whose authority was signed with SHA-1", lambda w: sent(one(old := f.authority("Sha", w.root, digest="sha1")), old),
               "an authority above it was signed with a hash that is broken")
    yield Case("with a key of RSA of 1024 bits", lambda w: sent(one(w.root, own=f.key("rsa1024"))), "its certificate has a key that is too weak")
    yield Case("of an authority with 1024 bits", lambda w: sent(one(old := f.authority("Short", w.root, own=f.key("rsa1024", "ca"))), old),
               "an authority above it has a key that is too weak")
    yield Case("on a curve of 192 bits", lambda w: sent(one(w.root, own=f.key("p192"))), "key that is too weak")
    yield Case("on a curve of Bitcoin", lambda w: sent(one(w.root, own=f.key("k256"))), "kind of key that is not taken")
    yield Case("with a key of DSA of 1024 bits", lambda w: sent(one(w.root, own=f.key("dsa1024"))), "key that is too weak")
    yield Case("with a key of DSA of 2048 bits", lambda w: sent(one(w.root, own=f.key("dsa2048"))), "kind of key that is not taken")

    # ---- form
    yield Case("with an unknown critical extension", lambda w: sent(one(w.root, more=[f.unknown(True)])), "critical extension that is not known")
    yield Case("with its names twice", lambda w: sent(one(w.root, more=[f.alternative(*who.names)])), "malformed, or there twice")
    yield Case("with its constraints twice", lambda w: sent(one(w.root, more=[f.constraints(False)])), "malformed, or there twice")
    yield Case("of version 1", lambda w: sent(one(w.root, extensions=[], ids=False, version=0)), "not for '|names no account")
    yield Case("of version 1, with extensions all the same", lambda w: sent(one(w.root, version=0)), "extensions that its version does not know")
    yield Case("cut off", lambda w: sent(one(w.root).der[:-20], key=who.own), "what it sent is no certificate")
    yield Case("with bytes behind it", lambda w: sent(one(w.root).der + b"more", key=who.own), "what it sent is no certificate")
    yield Case("no certificate at all, but bytes", lambda w: sent(b"\x30\x82\x01\x00" + b"\0" * 256, key=who.own),
               "what it sent is no certificate")
    yield Case("with a hundred others behind it", lambda w: sent(one(w.root), *(w.stranger for _ in range(2000))), "of certificates is too much")

    # ---- whose it is
    yield Case("proved with another key", lambda w: sent(one(w.root), key=f.key("p256", "thief")), "has not the key of its certificate")
    yield Case("proved for another connection", lambda w: sent(one(w.root), proof="wrong"), "has not the key of its certificate")
    yield Case("not proved", lambda w: sent(one(w.root), proof="none"), "unexpected message")

    # ---- what its authority may not sign
    yield Case("outside what its authority may name", outside(one, permitted=True), "name that its authority may not give")
    yield Case("inside what its authority may not name", outside(one, permitted=False), "name that its authority may not give")


def short_path(one):
    def make(w):
        upper = f.authority("Upper", w.root, depth=0)
        lower = f.authority("Lower", upper)
        return sent(one(lower), lower, upper)
    return make


def long_chain(one):
    def make(w):
        chain = [w.root]
        for number in range(12):
            chain.insert(0, f.authority(f"Link {number}", chain[0]))
        return sent(one(chain[0]), *chain[:-1])
    return make


def changed_serial(certificate):
    at = certificate.der.index(f.integer(certificate.serial)) + 5
    return certificate.altered(at)


def outside(one, permitted):
    def make(w):
        shop, here = [f.dns("shop.example.org"), f.uri("shop")], [f.dns("example.org"), f.uri(DOMAIN)]
        limits = f.limited_to(permitted=shop) if permitted else f.limited_to(excluded=here)
        narrow = f.authority("Narrow", w.root, more=[limits])
        return sent(one(narrow), narrow)
    return make


def bad_accounts():
    """Certificates that are believed and name no account: only names in the SAN count, byte for byte."""
    one = CLIENT.make
    no_name = "names no account|has a name that is malformed"

    def named(what, *names, **changes):
        return Case(what, lambda w: sent(one(w.root, names=list(names), **changes)), no_name)

    yield named("no name but the subject's")
    yield Case("an empty list of names", lambda w: sent(one(w.root, names=[], more=[f.alternative()])), no_name + "|SAN|[Ee]mpty Subject Alternative")
    yield named("an account of another domain", f.uri("posthouse://shop/orders"))
    yield named("an account of a domain that begins alike", f.uri("posthouse://bank.example.org/orders"))
    yield named("a domain in capitals", f.uri("posthouse://BANK/orders"))
    yield named("an account in capitals", f.uri(f"posthouse://{DOMAIN}/ORDERS"))
    yield named("another scheme", f.uri(f"https://{DOMAIN}/orders"))
    yield named("a port", f.uri(f"posthouse://{DOMAIN}:7679/orders"))
    yield named("a user", f.uri(f"posthouse://orders@{DOMAIN}/orders"))
    yield named("more path", f.uri(f"posthouse://{DOMAIN}/orders/admin"))
    yield named("a question", f.uri(f"posthouse://{DOMAIN}/orders?x"))
    yield named("percent signs", f.uri(f"posthouse://{DOMAIN}/%6frders"))
    yield named("an empty account", f.uri(f"posthouse://{DOMAIN}/"))
    yield named("a form that centers make up", f.uri(f"posthouse://{DOMAIN}/orders-7f3a"))
    yield named("a form that centers make up, as a host", f.dns("orders-7f3a"))
    yield named("a zero byte in a URI", f.uri(b"posthouse://bank/orders\0"))
    yield named("a zero byte, and a stranger's domain behind it", f.uri(b"posthouse://bank/orders\0.evil.org"))
    yield named("a zero byte in a host", f.dns(b"orders\0.evil.org"))
    yield named("a wildcard", f.dns("*"))
    yield named("a wildcard URI", f.uri(f"posthouse://{DOMAIN}/*"))
    yield named("a host in capitals", f.dns("Orders"))
    yield named("a host that is longer than a name", f.dns("o" * 65))
    yield named("mail", f.email("orders@bank"))
    yield named("an address", f.ip("127.0.0.1"))
    yield named("the name of a user of Windows", f.principal_name("orders"))
    yield named("a line break and a false line of log", f.uri(b"posthouse://bank/orders\nlevel=info msg=\"client joined\""))
    yield named("broken UTF-8", f.uri(b"posthouse://bank/\xff\xfe"))


def bad_centers():
    """Certificates that are believed and are not those of the center that was dialled."""
    one = CENTER.make
    wrong = f"not for '{HOST}'"

    def named(what, *names, **changes):
        return Case(what, lambda w: sent(one(w.root, names=list(names), **changes)), wrong)

    yield named("of another host", f.dns("other.example.org"))
    yield named("of the domain above", f.dns("example.org"))
    yield named("of a host below", f.dns("a.center.example.org"))
    yield named("of a host that ends alike", f.dns("mycenter.example.org"))
    yield named("of a host that begins alike", f.dns("center.example.org.evil.org"))
    yield named("a wildcard", f.dns("*.example.org"))
    yield named("a wildcard for everything", f.dns("*"))
    yield named("a wildcard within a word", f.dns("c*r.example.org"))
    yield named("a wildcard in the middle", f.dns("center.*.org"))
    yield named("a zero byte behind the name", f.dns(b"center.example.org\0.evil.org"))
    yield named("a zero byte at the end", f.dns(b"center.example.org\0"))
    yield named("the name as its subject only", subject=HOST)
    yield named("another name, and this as its subject", f.dns("other.example.org"), subject=HOST)
    yield named("the name as a URI", f.uri("posthouse://center.example.org/center"))
    yield named("the name as mail", f.email("root@center.example.org"))
    yield named("an address only", f.ip("127.0.0.1"))
    yield named("an account", f.uri(NAME))


def bad_addresses():
    """The same, when an address was dialled: then only an address counts."""
    one = CENTER.make
    wrong = "not for the address 127.0.0.1"

    def named(what, *names, **changes):
        return Case(what, lambda w: sent(one(w.root, names=list(names), **changes)), wrong)

    yield named("of another address", f.ip("127.0.0.2"))
    yield named("of an address of another kind", f.ip("::1"))
    yield named("of an address mapped into another kind", f.ip("::ffff:127.0.0.1"))
    yield named("the address as the name of a host", f.dns("127.0.0.1"))
    yield named("the address as its subject", subject="127.0.0.1")
    yield named("a wildcard for addresses", f.dns("127.0.0.*"))


def revoked(who):
    """With lists of revoked certificates of all authorities but one."""
    one = who.make
    yield Case("revoked", lambda w: sent(one(w.root, serial=w.revoked_serial)), "revoked")
    yield Case("of an authority that is revoked", lambda w: sent(one(w.revoked_authority), w.revoked_authority), "revoked")
    yield Case("of an authority without a list", lambda w: sent(one(w.unlisted), w.unlisted), "list|CRL")


def unlisted(who, reason):
    """Good ones, where the list itself is not good: then nobody is believed."""
    yield Case("ordinary", lambda w: sent(who.make(w.root)), reason)
