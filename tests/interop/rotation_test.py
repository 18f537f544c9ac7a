# SPDX-License-Identifier: Apache-2.0
"""The center's certificate is replaced again and again while many connections over TLS carry calls: none of them breaks, no call fails, and
who comes new is shown the newest one. Prints TAP.

Were it to fail, certificates that live for days, as they should, would cost connections each time.

    PH_LONG=1    1,000 rotations in ten minutes over 1,000 connections; otherwise 20 over 50. Once with one worker, once with two
"""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time

import forge as f
import harness as h

LONG = os.environ.get("PH_LONG") == "1"
ROTATIONS, CONNECTIONS, SECONDS = (1000, 1000, 600) if LONG else (20, 50, 4)
CALLS_PER_SECOND = 2 * CONNECTIONS
BATCH = 10  # of rotations between two questions to the crowd


class Crowd:
    def __init__(self, center, certificates, account):
        self.child = subprocess.Popen([os.path.join(h.BUILD, "tests/rotation_crowd"), f"tls:localhost:{center.ports[0]}", certificates.path("ca.crt"),
                                       certificates.path(account + ".crt"), certificates.path(account + ".key"), str(CONNECTIONS),
                                       str(CALLS_PER_SECOND)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=h.ENVIRONMENT)

    def ask(self):
        self.child.stdin.write("\n")
        self.child.stdin.flush()
        return json.loads(self.child.stdout.readline())

    def until(self, condition, patience):
        ends = time.monotonic() + patience
        while not condition(said := self.ask()):
            h.holds(time.monotonic() < ends, f"the crowd is not there yet: {said}")
        return said

    def end(self):
        self.child.stdin.close()
        said = json.loads(self.child.stdout.readline())
        self.child.wait(h.PATIENCE)
        return said


class Issuer:
    """An authority, and the center's files that it replaces."""

    def __init__(self, certificates):
        self.certificates = certificates
        self.authority = f.authority("Rotation")
        with open(certificates.path("ca.crt"), "ab") as file:  # beside the one of the crowd
            file.write(self.authority.pem())
        self.rotations = 0

    def rotate(self):
        """A certificate of another key; both files by renaming, as who does it well. Its serial number."""
        self.rotations += 1
        one = f.Certificate("center", self.authority, own=f.key("p256", f"rotation {self.rotations % 100}"), ends=f.DAY,
                            extensions=[f.constraints(False), f.usage(f.DIGITAL_SIGNATURE), f.extended(f.SERVER_AUTH),
                                        f.alternative(f.dns("localhost"))])
        for name, data in (("center.key", one.key.pem()), ("center.crt", one.pem())):
            beside = self.certificates.path(name + ".new")
            with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(data)
            os.rename(beside, self.certificates.path(name))
        return one.serial


def shown(center, context):
    """The serial number of the certificate that a newcomer is shown, and believes."""
    with context.wrap_socket(socket.create_connection(("127.0.0.1", center.ports[0]), h.PATIENCE), server_hostname="localhost") as secured:
        return int(secured.getpeercert()["serialNumber"], 16)


def rotate_all(center, crowd, issuer, context):
    """At an even pace. By a signal, but every tenth, which the center must notice by itself. How long the slowest took."""
    begins = time.monotonic()
    slowest = 0.0
    for number in range(1, ROTATIONS + 1):
        serial = issuer.rotate()
        start = time.monotonic()
        if number % 10 != 0:
            center.child.send_signal(signal.SIGHUP)
        while shown(center, context) != serial:
            h.holds(time.monotonic() - start < 5, f"rotation {number} is not in force after 5 s: {center.lines()[-3:]}")
        slowest = max(slowest, time.monotonic() - start)
        if number % BATCH == 0:
            said = crowd.ask()
            h.equal((said["downs"], said["failures"], said["up"], said["trouble"]), (0, 0, CONNECTIONS, ""))
        # lint: allow sleep, because a pace is what is asked for
        time.sleep(max(0.0, begins + number * SECONDS / ROTATIONS - time.monotonic()))
    return slowest, time.monotonic() - begins


def rotation(workers):
    certificates = h.Certificates("crowd")
    issuer = Issuer(certificates)
    center = h.Center(*certificates.serve(), listen=("tls:127.0.0.1:0",), level="warn", workers=workers)
    context = ssl.create_default_context(cafile=certificates.path("ca.crt"))
    context.set_alpn_protocols(["posthouse/1"])
    crowd = Crowd(center, certificates, "crowd")

    @h.test(f"rotation_{ROTATIONS}_times_over_{CONNECTIONS}_busy_connections_of_{workers}_workers_loses_none")
    def _():
        crowd.until(lambda said: said["up"] == CONNECTIONS and said["replies"] > 0, 120)
        slowest, took = rotate_all(center, crowd, issuer, context)
        said = crowd.end()
        print(f"# {ROTATIONS} rotations in {took:.0f} s, {CONNECTIONS} connections, {said['replies']} calls answered, 0 failed, 0 connections lost; "
              f"slowest call {said['slowest_ms']:.0f} ms, slowest rotation until a newcomer saw it {slowest:.2f} s")
        h.equal((said["downs"], said["failures"], said["up"]), (0, 0, CONNECTIONS))
        h.holds(said["replies"] > 0.8 * CALLS_PER_SECOND * took, f"only {said['replies']} calls in {took:.0f} s: no traffic to speak of")

    if crowd.child.poll() is None:
        crowd.child.kill()
        crowd.child.wait()
    center.stop()
    certificates.close()


def main():
    for workers in (1, 2):
        rotation(workers)
    return h.finish()


if __name__ == "__main__":
    sys.exit(main())
