# SPDX-License-Identifier: Apache-2.0
"""The listeners for TLS, seen by others' implementations: openssl's client asks for what must not be had, GnuTLS's joins and calls, and
testssl.sh looks for everything that is known to be wrong with a TLS server. Prints TAP.

Were it to fail, a listener would speak what is broken, or only to itself.

    PH_LONG=1    with testssl.sh, which takes minutes
"""

import contextlib
import csv
import http.client
import os
import re
import subprocess
import sys
import tempfile
import threading
import time

import client as ph
import harness as h


class GnuTls:
    """gnutls-cli as a wire: what goes in is enciphered, what comes is deciphered."""

    def __init__(self, port, certificates, account=None, priority="NORMAL:-VERS-ALL:+VERS-TLS1.3", alpn="posthouse/1"):
        self.log = tempfile.NamedTemporaryFile()
        own = ["--x509certfile", certificates.path(account + ".crt"), "--x509keyfile", certificates.path(account + ".key")] if account else []
        self.child = subprocess.Popen(["gnutls-cli", "--port", str(port), "--x509cafile", certificates.path("ca.crt"), "--verify-hostname", "localhost",
                                       "--alpn", alpn, "--priority", priority, "--logfile", self.log.name, *own, "127.0.0.1"],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)

    def recv(self, size):
        return os.read(self.child.stdout.fileno(), size)

    def sendall(self, data):
        self.child.stdin.write(data)

    def said(self):
        with open(self.log.name, encoding="utf-8", errors="replace") as file:
            return file.read()

    def close(self):
        """Lets it end by itself, so that it writes its log."""
        for pipe in (self.child.stdin, self.child.stdout):
            with contextlib.suppress(OSError):
                pipe.close()
        try:
            self.child.wait(h.PATIENCE)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def joins_with_gnutls(center, certificates):
    for version in ("1.3", "1.2"):
        if version == "1.2" and not center.allows_1_2:
            continue

        @h.test(f"tls_{center.label}_gnutls_joins_with_a_certificate_over_{version}_and_calls")
        def _(version=version):
            with h.Serving(ph.Client("127.0.0.1", center.ports[0], "echo", dial=certificates.dialer("echo"), on_request=lambda m: m.body[::-1])):
                wire = GnuTls(center.ports[0], certificates, "orders", f"NORMAL:-VERS-ALL:+VERS-TLS{version}")
                client = ph.Client("127.0.0.1", 0, "orders", dial=lambda *_: wire)
                h.equal(client.id, "orders@interop")
                h.equal(client.call("echo", "turn", b"a" * 30000 + b"b"), b"b" + b"a" * 30000)
                client.bye()
                said = wire.said()
                h.holds(f"TLS{version}" in said and "Status: The certificate is trusted" in said and "protocol: posthouse/1" in said, said)

    @h.test(f"tls_{center.label}_gnutls_without_a_certificate_is_told_why_not")
    def _():
        wire = GnuTls(center.ports[0], certificates)
        try:
            ph.Client("127.0.0.1", 0, "orders", dial=lambda *_: wire)
        except ph.Bye as told:
            h.holds("a token or a certificate is needed" in str(told), str(told))
        else:
            raise AssertionError("it was let in")
        finally:
            wire.close()


def openssl(center, certificates, *options):
    """What openssl s_client says, with the certificate of an account."""
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{center.ports[0]}", "-CAfile", certificates.path("ca.crt"),
                           "-cert", certificates.path("orders.crt"), "-key", certificates.path("orders.key"),
                           "-verify_return_error", "-verify_hostname", "localhost", *options],
                          input=b"", capture_output=True, check=False, timeout=h.PATIENCE)
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


def asks_with_openssl(center, certificates):
    """What must be had, and what must not. Security level 0, so that it is not openssl that refuses."""
    low = ("-cipher", "ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    older = center.allows_1_2
    rows = [
        ("tls_1_3", ("-tls1_3",), True),
        ("tls_1_3_with_its_other_suite", ("-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"), True),
        ("tls_1_2", ("-tls1_2",), older),
        ("tls_1_1", ("-tls1_1", *low), False),
        ("tls_1_0", ("-tls1", *low), False),
        ("tls_1_2_ecdhe_aes_128_gcm", ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"), older),
        ("tls_1_2_ecdhe_aes_256_gcm", ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"), older),
        ("tls_1_2_chacha", ("-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"), False),
        ("tls_1_2_cbc", ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384:@SECLEVEL=0"), False),
        ("tls_1_2_ccm", ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-CCM"), False),
        ("tls_1_2_without_forward_secrecy", ("-tls1_2", "-cipher", "kRSA:@SECLEVEL=0"), False),
        ("tls_1_2_with_finite_fields", ("-tls1_2", "-cipher", "kDHE:@SECLEVEL=0"), False),
        ("tls_1_2_anonymous", ("-tls1_2", "-cipher", "aNULL:@SECLEVEL=0"), False),
        ("tls_1_2_without_a_cipher", ("-tls1_2", "-cipher", "eNULL:@SECLEVEL=0"), False),
        ("tls_1_2_with_shared_keys", ("-tls1_2", "-cipher", "PSK:@SECLEVEL=0", "-psk", "00"), False),
        ("signatures_with_sha_1", ("-tls1_2", "-sigalgs", "ECDSA+SHA1", "-cipher", "ALL:@SECLEVEL=0"), False),
        ("the_right_protocol_inside", ("-alpn", "posthouse/1"), True),
        ("another_protocol_inside", ("-alpn", "http/1.1,h2"), False),
    ]
    for name, options, is_had in rows:
        @h.test(f"tls_{center.label}_{name}_is_{'had' if is_had else 'refused'}")
        def _(options=options, is_had=is_had):
            _, said = openssl(center, certificates, *options)
            is_up = re.search(r"(New|Reused), TLSv1\.[0-9], Cipher is (?!\(NONE\))", said) is not None and "alert" not in said.split("---")[0]
            h.equal((is_up, "" if is_up == is_had else said), (is_had, ""))

    @h.test(f"tls_{center.label}_nothing_is_compressed_or_resumed")
    def _():
        with tempfile.NamedTemporaryFile() as session:
            for version in ("-tls1_3", "-tls1_2")[:2 if older else 1]:
                _, said = openssl(center, certificates, version, "-comp", "-sess_out", session.name)
                h.holds("Compression: NONE" in said or version == "-tls1_3", said)
                h.holds("session ticket" not in said, said)
                _, said = openssl(center, certificates, version, "-sess_in", session.name)
                h.holds("Reused" not in said, said)

    @h.test(f"tls_{center.label}_nobody_renegotiates")
    def _():
        version = "-tls1_2" if older else "-tls1_3"
        child = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{center.ports[0]}", version, "-CAfile", certificates.path("ca.crt"),
                                  "-cert", certificates.path("orders.crt"), "-key", certificates.path("orders.key")],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        child.stdin.write(b"R\n")
        child.stdin.flush()
        timer = threading.Timer(h.PATIENCE, child.kill)
        timer.start()
        said = child.stdout.read().decode(errors="replace")
        timer.cancel()
        child.wait()
        h.holds(re.search("no renegotiation|handshake failure|RENEGOTIATING[^$]*(error|alert|closed)|wrong ssl version", said), said)


def looks_with_testssl(center, certificates):
    """Nothing of MEDIUM or above in all that it looks at; how much that was. One finding is the authority's, not the listener's: a CA for
    development has no place on the network from which its list of revoked certificates could be fetched. The center has it as a file."""
    with tempfile.TemporaryDirectory() as folder:
        wrapped = os.path.join(folder, "openssl")  # testssl.sh knows no client certificate
        with open(os.open(wrapped, os.O_WRONLY | os.O_CREAT, 0o700), "w", encoding="utf-8") as file:
            own = f"-cert '{certificates.path('orders.crt')}' -key '{certificates.path('orders.key')}'"
            file.write(f'#!/bin/sh\n[ "$1" = s_client ] && {{ shift; exec openssl s_client {own} "$@"; }}\nexec openssl "$@"\n')
        table = os.path.join(folder, "found.csv")
        done = subprocess.run(["testssl", "--quiet", "--color", "0", "--warnings", "batch", "--nodns", "none", "--openssl", wrapped, "--csvfile", table,
                               "--add-ca", certificates.path("ca.crt"), "--connect-timeout", "10", "--openssl-timeout", "10",
                               f"127.0.0.1:{center.ports[0]}"], capture_output=True, check=False, text=True, timeout=900, stdin=subprocess.DEVNULL)
        with open(table, encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    found = [(row["id"], row["severity"], row["finding"]) for row in rows]
    h.holds(len(rows) > 100, f"testssl.sh looked at {len(rows)} things only: {found} {done.stdout[-2000:]}{done.stderr[-500:]}")
    h.equal([row for row in found if row[1] in ("MEDIUM", "HIGH", "CRITICAL", "FATAL") and row[0] != "cert_revocation"], [])
    return len(rows)


TLS_REQUIRED = 22


def meets_who_does_not_speak_it(center):
    @h.test(f"tls_{center.label}_client_without_it_is_told_so")  # P-81
    def _():
        begun = time.monotonic()
        try:
            ph.Client("127.0.0.1", center.ports[0], "orders", floor=ph.CHECK)
        except ph.Bye as told:
            h.equal((told.reason, str(told)), (TLS_REQUIRED, f"bye {TLS_REQUIRED}: TLS is spoken at this address"))
        else:
            raise AssertionError("it was let in")
        h.holds(time.monotonic() - begun > 1.5, "a client of TLS on a slow path would have been cut off")
        center.log(lambda event: event["event"] == "CE0014" and "says nothing" in event["reason"])

    @h.test(f"tls_{center.label}_browser_is_told_so")
    def _():
        browser = http.client.HTTPConnection("127.0.0.1", center.ports[0], timeout=h.PATIENCE)
        browser.request("GET", "/")
        answer = browser.getresponse()
        h.equal((answer.status, answer.read()), (400, b"This is a message center: it speaks TLS, and no HTTP.\n"))
        browser.close()


def cuts_off_who_is_slow(certificates):
    """A client hello that never ends, a byte at a time, or never begins, holds its place no longer than the time for joining."""
    center = h.Center(*certificates.serve(), "--anonymous", "never", "--join-timeout", "500ms", listen=("tls:127.0.0.1:0",))

    @h.test("tls_hello_that_never_ends_is_cut_off")
    def _():
        hello = b"\x16\x03\x01\x20\x00\x01\x00\x1f\xfc\x03\x03" + bytes(8192)
        wire = ph.connect("127.0.0.1", center.ports[0])
        begun, sent = time.monotonic(), 0
        wire.settimeout(0.02)
        with contextlib.suppress(OSError):
            while time.monotonic() - begun < h.PATIENCE:
                wire.send(hello[sent:sent + 1])
                sent += 1
                with contextlib.suppress(TimeoutError):
                    h.equal(wire.recv(1), b"")  # its end, and not a word
                    break
        lasted = time.monotonic() - begun
        h.holds(0.4 < lasted < h.PATIENCE / 2, f"it lasted {lasted} s, for {sent} bytes")
        wire.close()

    @h.test("tls_silence_lasts_no_longer_than_the_time_to_join")  # P-81
    def _():
        wire = ph.connect("127.0.0.1", center.ports[0])
        wire.settimeout(h.PATIENCE)
        begun = time.monotonic()
        h.equal(wire.recv(1), b"")  # its end, and not a word
        lasted = time.monotonic() - begun
        h.holds(0.4 < lasted < 1.9, f"it lasted {lasted} s")
        wire.close()

    center.stop()


def main():
    certificates = h.Certificates("orders", "echo")
    kinds = (("by_default", "tls", ()), ("with_1_2", "tls", ("--tls-allow-1-2",)), ("for_centers", "centers", ()))
    for label, listener, options in kinds:
        center = h.Center(*certificates.serve(), "--anonymous", "never", *options, listen=(f"{listener}:127.0.0.1:0",))
        center.label, center.allows_1_2 = label, bool(options)
        if listener == "tls":
            joins_with_gnutls(center, certificates)
        asks_with_openssl(center, certificates)
        meets_who_does_not_speak_it(center)
        if os.environ.get("PH_LONG") == "1":
            @h.test(f"tls_{label}_testssl_finds_nothing_of_medium_or_above")
            def _(center=center):
                print(f"# testssl.sh: {looks_with_testssl(center, certificates)} findings, none of MEDIUM or above")
        center.stop()
    cuts_off_who_is_slow(certificates)
    certificates.close()
    return h.finish()


if __name__ == "__main__":
    sys.exit(main())
