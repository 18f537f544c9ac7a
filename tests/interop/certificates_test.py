# SPDX-License-Identifier: Apache-2.0
"""Every certificate of bad_certificates.py against the real center, and against the real client. None is believed, and each time the reason
is named: in the log of the center, in the error of the client. Prints TAP.

Were one of these to fail, somebody could get in who does not belong there, or an operator would not learn why his client cannot.
"""

import concurrent.futures
import contextlib
import itertools
import os
import re
import socket
import sys
import tempfile
import threading

import bad_certificates as bad
import client as ph
import forge as f
import harness as h
import tls13

LOG_BURST = 20  # a center logs as many of one event in a second; so each has no more to tell than that
folder = tempfile.TemporaryDirectory()
world = bad.World()


def write(name, data, mode=0o600):
    path = os.path.join(folder.name, name)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(data)
    return path


def settings(*more):
    own = bad.CENTER.make(world.root, names=[f.dns("localhost")])
    return ["--tls-certificate", write("center.crt", own.pem()), "--tls-key", write("center.key", own.key.pem()),
            "--tls-authorities", write("ca.crt", world.root.pem()), *more]


# ---- a liar as the client

def knock(port, sent, **join):
    """Joins with that: None when it was let in, else what it was told. And the port that it came from."""
    came_from = None

    def dial(host, to):
        nonlocal came_from
        sock = ph.connect(host, to)
        came_from = sock.getsockname()[1]
        return tls13.connect(sock, sent.chain, sent.key, proof=sent.proof, host="localhost")

    try:
        ph.Client("127.0.0.1", port, "orders", dial=dial, **join).bye()
        return None, came_from
    except (tls13.Alert, ph.Bye, EOFError, OSError) as told:
        return f"{type(told).__name__}: {told}", came_from


def judged_by_center(label, cases, *options):
    """The cases one after the other, with a new center whenever one has logged enough."""
    cases = list(cases)
    for first in range(0, len(cases), LOG_BURST):
        center = h.Center(*settings(*options), listen=("tls:127.0.0.1:0",), domain=bad.DOMAIN)
        for case in cases[first:first + LOG_BURST]:
            @h.test(f"certificates_{label}_{case.name.replace(' ', '_')}")
            def _(case=case):
                told, came_from = knock(center.ports[0], case.make(world))
                if not case.reason:
                    h.equal(told, None)
                    return
                h.holds(told is not None, "it was let in")
                line = center.log(lambda event: event.get("peer", "").endswith(f":{came_from}"), patience=5)
                said = " ".join(str(line[key]) for key in ("why", "reason", "text", "detail") if key in line)
                h.holds(re.search(case.reason, said, re.IGNORECASE), f"/{case.reason}/ is not in the log: {line}; the client was told: {told}")
        center.stop()


def judged_by_its_lists():
    good = next(iter(bad.good(bad.CLIENT)))
    judged_by_center("client_where_there_are_lists_of_revoked_ones", [good, *bad.revoked(bad.CLIENT)],
                     "--tls-revoked", write("crl.pem", world.revocations()))
    lists = [("has_expired", f.revocation(world.root, begins=-2 * f.DAY, ends=-f.DAY), "good until|expired"),
             ("is_another_authority's", f.revocation(world.stranger), "list|CRL"),
             ("was_signed_by_a_stranger", f.revocation(world.root, signer=world.stranger.key), "list|CRL|signature"),
             ("is_none", b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", "list|CRL")]
    for what, pem, reason in lists:
        @h.test(f"certificates_client_nobody_is_let_in_where_the_list_of_revoked_ones_{what}")
        def _(pem=pem, reason=reason):
            try:
                center = h.Center(*settings("--tls-revoked", write("crl.pem", pem)), listen=("tls:127.0.0.1:0",), domain=bad.DOMAIN)
            except AssertionError as refusal:  # it did not start: just as good
                h.holds(re.search(reason, str(refusal), re.IGNORECASE) and "crl.pem" in str(refusal), str(refusal))
                return
            told, came_from = knock(center.ports[0], good.make(world))
            line = center.log(lambda event: event.get("peer", "").endswith(f":{came_from}"), patience=5)
            center.stop()
            h.holds(told is not None, "it was let in")
            h.holds(re.search(reason, str(line), re.IGNORECASE), str(line))


def judged_without_one():
    """A client that has none. Asked for one it may go on, and is nobody; required, it may not; centers are always required to have one."""
    for label, listener, peers, reason in (("asked", "tls", "asked", "a token or a certificate is needed"),
                                           ("required", "tls", "required", "has no certificate, and one is required"),
                                           ("those_of_centers", "centers", "asked", "has no certificate, and one is required")):
        @h.test(f"certificates_client_none_at_all_where_they_are_{label}")
        def _(listener=listener, peers=peers, reason=reason):
            center = h.Center(*settings("--tls-peers", peers, "--anonymous", "never"), listen=(f"{listener}:127.0.0.1:0",), domain=bad.DOMAIN)
            told, came_from = knock(center.ports[0], bad.Sent([], None, "right"))
            line = center.log(lambda event: event.get("peer", "").endswith(f":{came_from}"), patience=5)
            center.stop()
            h.holds(told is not None, "it was let in")
            h.holds(reason in str(line), str(line))


# ---- a liar as the center

class Liar:
    """Accepts and shows its certificate; notes whether anybody believed it."""

    def __init__(self, sent):
        self.sent = sent
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.believed = self.came = 0
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with sock, contextlib.suppress(tls13.Alert, EOFError, OSError, ValueError):
                self.came += 1
                tls13.accept(sock, self.sent.chain, self.sent.key, proof=self.sent.proof)
                self.believed += 1

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


def dial(case, *options, host="127.0.0.1"):
    liar = Liar(case.make(world))
    status, _, said = h.posthouse("ls", "--center", f"tls:{host}:{liar.port}", "--tls-ca", os.path.join(folder.name, "ca.crt"), "--timeout", "5s", *options)
    liar.close()
    return status, said, liar.came, liar.believed


def judged_by_client(label, cases, *options):
    """Several at a time: most of the time goes into starting processes."""
    cases = list(cases)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for case, (status, said, came, believed) in zip(cases, pool.map(lambda case: dial(case, *options), cases)):
            @h.test(f"certificates_{label}_{case.name.replace(' ', '_')}")
            def _(case=case, status=status, said=said, came=came, believed=believed):
                h.holds(came > 0, f"it was not dialled: {said}")
                if not case.reason:
                    h.holds(believed > 0, f"it was not believed: {said}")
                    return
                h.holds(believed == 0, "it was believed")
                h.equal(status, 3)
                h.holds(re.search(case.reason, said, re.IGNORECASE), f"/{case.reason}/ is not in: {said}")


def shown_to_an_operator():
    """posthouse cert show of every one of them: it says something, and a terminal obeys none of it."""
    @h.test("certificates_show_tells_of_each_and_none_tells_the_terminal_what_to_do")
    def _():
        told = 0
        for case in itertools.chain(bad.good(bad.CLIENT), bad.bad(bad.CLIENT, f.SERVER_AUTH), bad.bad_accounts(), bad.bad_centers()):
            path = write("shown.crt", f.pem("CERTIFICATE", case.make(world).chain[0]))
            for form in ("table", "json"):
                status, out, said = h.posthouse("cert", "show", path, "--output", form)
                h.holds(status in (0, 1), f"{case.name}: it ended with {status}: {said}")
                h.holds((status == 0) == (len(out) > 3), f"{case.name}: {out}")
                h.equal((case.name, [c for c in out + said if ord(c) < 32 and c != "\n" or ord(c) == 127]), (case.name, []))
                told += status == 0
        h.holds(told > 150, f"it told of {told} only")


def main():
    write("ca.crt", world.root.pem())
    judged_by_center("client", itertools.chain(bad.good(bad.CLIENT), bad.bad(bad.CLIENT, f.SERVER_AUTH), bad.bad_accounts()))
    judged_by_its_lists()
    judged_without_one()
    shown_to_an_operator()
    named = ("--tls-name", bad.HOST)
    judged_by_client("center", itertools.chain(bad.good(bad.CENTER), bad.bad(bad.CENTER, f.CLIENT_AUTH), bad.bad_centers()), *named)
    judged_by_client("center_by_address", itertools.chain([next(iter(bad.good(bad.CENTER)))], bad.bad_addresses()))
    folder.cleanup()
    return h.finish()


if __name__ == "__main__":
    sys.exit(main())
