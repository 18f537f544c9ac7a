# SPDX-License-Identifier: Apache-2.0
"""Certificates while a center runs: one is revoked, an authority is replaced, files are wrong for a while, one ends. Prints TAP.

Were it to fail, whoever should be out would stay in, or those who should stay would be cut off. The center is told nothing: it notices.
"""

import os
import socket
import sys
import time

import client as ph
import forge as f
import harness as h

WITHIN = 5.0  # seconds: docs/security.md
OTHERS = 20
NOT_AUTHORISED, CREDENTIAL_EXPIRED = 13, 21


class Told:
    """A client on a thread of its own that notes why it was put out, and when."""

    def __init__(self, client):
        self.client = client
        self.bye = self.at = None
        self.thread = h.threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while True:
                self.client.turn()
        except ph.Bye as bye:
            self.bye = bye
        except (EOFError, OSError) as error:
            self.bye = error
        self.at = time.monotonic()

    def is_in(self):
        return self.thread.is_alive()

    def out(self, since):
        """Why, and how long it took."""
        self.thread.join(h.PATIENCE)
        h.holds(not self.is_in(), "it is still in")
        return self.bye, self.at - since

    def leave(self):
        self.client.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()


class World:
    """A center whose files lie in a folder, and who joins with certificates of its authorities."""

    def __init__(self):
        self.certificates = h.Certificates("orders", "bank")
        self.first = f.authority("First")
        self.second = f.authority("Second")
        self.put("ca.crt", self.first.pem())
        self.put("crl.pem", f.revocation(self.first))
        self.serve_with(self.first)
        self.center = h.Center(*self.certificates.serve(), "--tls-revoked", self.path("crl.pem"), listen=("tls:127.0.0.1:0",))

    def path(self, name):
        return self.certificates.path(name)

    def put(self, name, data):
        with open(os.open(self.path(name + ".new"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
        os.rename(self.path(name + ".new"), self.path(name))

    def serve_with(self, authority, key_of=None, **changes):
        one = f.Certificate("center", authority, own=f.key("p256", "center " + authority.subject),
                            extensions=[f.constraints(False), f.usage(f.DIGITAL_SIGNATURE), f.extended(f.SERVER_AUTH), f.alternative(f.dns("localhost"))],
                            **changes)
        self.put("center.key", (key_of or one.key).pem())
        self.put("center.crt", one.pem())
        return one.serial

    def join(self, account, authority, name=None, **changes):
        """A client with a certificate of its own."""
        one = f.Certificate(account, authority, own=f.key("p256", "client"), extensions=[
            f.constraints(False), f.usage(f.DIGITAL_SIGNATURE), f.extended(f.CLIENT_AUTH),
            f.alternative(f.uri(f"posthouse://interop/{name or account}"))], **changes)
        self.put("own.crt", one.pem())
        self.put("own.key", one.key.pem())

        def dial(host, port):
            context = h.ssl.SSLContext(h.ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = h.ssl.CERT_NONE  # what the center is, others test
            context.load_cert_chain(self.path("own.crt"), self.path("own.key"))
            return context.wrap_socket(ph.connect(host, port))

        return ph.Client("127.0.0.1", self.center.ports[0], account, dial=dial)

    def shown(self):
        """The serial number of the certificate that a newcomer sees."""
        context = h.ssl.SSLContext(h.ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(cadata=self.first.pem().decode() + self.second.pem().decode())
        with context.wrap_socket(socket.create_connection(("127.0.0.1", self.center.ports[0]), h.PATIENCE)) as secured:
            return int(secured.getpeercert()["serialNumber"], 16)

    def until(self, what, condition):
        ends = time.monotonic() + WITHIN
        while not condition():
            h.holds(time.monotonic() < ends, f"{what}: not within {WITHIN} s: {self.center.lines()[-3:]}")

    def close(self):
        self.center.stop()
        self.certificates.close()


def equal_bye(told, since, reason, text):
    bye, took = told.out(since)
    h.holds(isinstance(bye, ph.Bye) and bye.reason == reason and text in str(bye), f"{bye!r} is not {reason} with '{text}'")
    h.holds(took < WITHIN, f"it took {took:.1f} s")
    return took


def main():
    world = World()

    @h.test("reload_who_is_revoked_is_put_out_in_time_and_nobody_else")
    def _():
        others = [Told(world.join(f"other-{number}", world.first, name=f"other-{number}")) for number in range(OTHERS)]
        out = Told(world.join("orders", world.first, serial=0x0BAD0001))
        since = time.monotonic()
        world.put("crl.pem", f.revocation(world.first, [0x0BAD0001]))
        took = equal_bye(out, since, NOT_AUTHORISED, "revoked")
        print(f"# a revoked client was put out after {took:.1f} s")
        h.equal([told.is_in() for told in others], [True] * OTHERS)
        h.equal(others[0].client.id, "other-0@interop")
        for told in others:
            told.leave()
        try:
            world.join("orders", world.first, serial=0x0BAD0001)
        except (OSError, EOFError):
            pass
        else:
            raise AssertionError("it came in again")

    @h.test("reload_two_authorities_are_believed_while_one_replaces_the_other")
    def _():
        old = Told(world.join("orders", world.first))
        world.put("crl.pem", f.revocation(world.first) + f.revocation(world.second))
        world.put("ca.crt", world.first.pem() + world.second.pem())
        serial = world.serve_with(world.second)
        world.until("the new certificate", lambda: world.shown() == serial)
        new = Told(world.join("bank", world.second))
        h.equal((old.is_in(), new.is_in()), (True, True))
        since = time.monotonic()
        world.put("crl.pem", f.revocation(world.second))
        world.put("ca.crt", world.second.pem())
        equal_bye(old, since, NOT_AUTHORISED, "an authority that is not known here")
        h.equal(new.is_in(), True)
        new.leave()

    @h.test("reload_with_one_file_wrong_changes_nothing")
    def _():
        serial = world.shown()
        stays = Told(world.join("orders", world.second))
        before = len(world.center.lines())
        world.serve_with(world.second, key_of=f.key("p256", "of another"))
        world.center.log(lambda event: event["level"] in ("warn", "error") and "--tls-key" in str(event) or "tls.key" in str(event))
        h.holds(len(world.center.lines()) > before, "a word in the log")
        h.equal((world.shown(), stays.is_in()), (serial, True))
        world.put("ca.crt", b"nothing of the kind")
        mended = world.serve_with(world.second)
        world.put("ca.crt", world.second.pem())
        world.until("what was mended", lambda: world.shown() == mended)
        h.equal(stays.is_in(), True)
        stays.leave()

    @h.test("reload_a_connection_ends_with_its_certificate")
    def _():
        since = time.monotonic()
        told = Told(world.join("brief", world.second, ends=2))
        bye, took = told.out(since)
        h.holds(isinstance(bye, ph.Bye) and bye.reason == CREDENTIAL_EXPIRED, repr(bye))
        h.holds(0.5 < took < 4, f"after {took:.1f} s, of 2")

    world.close()
    return h.finish()


if __name__ == "__main__":
    sys.exit(main())
