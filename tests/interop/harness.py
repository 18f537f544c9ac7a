# SPDX-License-Identifier: Apache-2.0
"""What the tests of this folder share: TAP, a center with whatever settings, certificates to talk to it. PH_BUILD is the build's folder."""

import contextlib
import json
import os
import ssl
import subprocess
import tempfile
import threading
import time

import client as ph

BUILD = os.environ["PH_BUILD"]
POSTHOUSE = os.path.join(BUILD, "src/app/posthouse")
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("POSTHOUSE_")} | {"NO_COLOR": "1"}
PATIENCE = 30  # seconds; on a machine that is busy with other things
results = []


def test(name):
    """Runs what it decorates, once, as one test."""
    def run(function):
        try:
            function()
            results.append(True)
            why = ""
        except Exception as error:  # pylint: disable=broad-except
            results.append(False)
            why = f"{type(error).__name__}: {error}".replace("\n", "\n# ")
        print(f"{'ok' if results[-1] else 'not ok'} {len(results)} - {name}" + (f"\n# {why}" if why else ""), flush=True)

    return run


def finish():
    print(f"1..{len(results)}")
    return 0 if all(results) else 1


def equal(got, expected):
    if got != expected:
        raise AssertionError(f"{got!r} is not {expected!r}")


def holds(condition, what):
    if not condition:
        raise AssertionError(what)


def posthouse(*arguments, **options):
    """A command, run to its end: status, what it printed, what it said."""
    options.setdefault("timeout", PATIENCE * 2)
    done = subprocess.run([POSTHOUSE, *arguments], capture_output=True, env=ENVIRONMENT, check=False, text=True, **options)
    return done.returncode, done.stdout, done.stderr


class Certificates:
    """An authority for development, a center, accounts: as posthouse cert dev makes them."""

    def __init__(self, *accounts, domain="interop", hosts=()):
        self.folder = tempfile.TemporaryDirectory()
        self.domain = domain
        self.make("--account", ",".join(accounts or ["client"]), *(("--host", ",".join(hosts)) if hosts else ()))

    def make(self, *more):
        status, _, said = posthouse("cert", "dev", "--dir", self.folder.name, "--domain", self.domain, *more)
        equal((status, said if status else ""), (0, ""))

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def serve(self):
        return ["--tls-certificate", self.path("center.crt"), "--tls-key", self.path("center.key"), "--tls-authorities", self.path("ca.crt")]

    def join(self, account=None):
        own = ["--tls-cert", self.path(account + ".crt"), "--tls-key", self.path(account + ".key")] if account else []
        return ["--tls-ca", self.path("ca.crt"), *own]

    def context(self, account=None):
        """Python's TLS as a client, with the account's certificate."""
        context = ssl.create_default_context(cafile=self.path("ca.crt"))
        context.set_alpn_protocols(["posthouse/1"])
        if account:
            context.load_cert_chain(self.path(account + ".crt"), self.path(account + ".key"))
        return context

    def dialer(self, account=None):
        """For ph.Client."""
        return lambda host, port: self.context(account).wrap_socket(ph.connect(host, port), server_hostname="localhost")

    def close(self):
        self.folder.cleanup()


class Center:
    """posthouse serve. `ports` are those of its listeners, in the order of `listen`."""

    def __init__(self, *options, listen=("127.0.0.1:0",), domain="interop", level="info", workers=None):
        self.folder = tempfile.TemporaryDirectory()
        self.said = open(os.path.join(self.folder.name, "log"), "w+", encoding="utf-8")
        ports, told = os.pipe()  # which ends with the center, if that does not start
        where = [word for address in listen for word in ("--listen", address)]
        self.child = subprocess.Popen([POSTHOUSE, "serve", *where, "--domain", domain, "--log-level", level, "--log-format", "json",
                                       "--port-file", f"/dev/fd/{told}", *(["--workers", str(workers)] if workers else []), *options],
                                      stderr=self.said, env=ENVIRONMENT, pass_fds=(told,))
        os.close(told)
        with open(ports, encoding="utf-8") as file:
            self.addresses = [file.readline().strip() for _ in listen]
        if not all(self.addresses):
            self.child.kill()
            self.child.wait()
            raise AssertionError("the center did not start: " + "\n".join(self.lines()))
        self.ports = [int(address.rsplit(":", 1)[-1]) if not address.startswith("unix:") else 0 for address in self.addresses]

    def lines(self):
        with open(self.said.name, encoding="utf-8") as file:
            return file.read().splitlines()

    def log(self, condition, patience=PATIENCE):
        """The first event of the log that fits, as soon as it is there."""
        ends = time.monotonic() + patience
        while True:
            for line in self.lines():
                if line.startswith("{") and line.endswith("}") and condition(json.loads(line)):
                    return json.loads(line)
            if time.monotonic() > ends:
                raise AssertionError("no such event in the log:\n" + "\n".join(self.lines()[-20:]))
            threading.Event().wait(0.01)

    def stop(self):
        """In order: a sanitizer, or an assertion, would end it with another status."""
        self.child.terminate()
        status = self.child.wait(PATIENCE)
        lines = self.lines()
        self.said.close()
        self.folder.cleanup()
        equal((status, "" if status == 0 else lines[-30:]), (0, ""))
        return status


class Serving:
    """A client that takes what comes, on a thread of its own, until it is stopped."""

    def __init__(self, client):
        self.client = client
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        with contextlib.suppress(ph.Bye, EOFError, OSError, ValueError):
            while True:
                self.client.turn()

    def __enter__(self):
        return self.client

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.client.bye()
        self.thread.join()
