# SPDX-License-Identifier: Apache-2.0
"""The Python client of this folder against the real center, in each suite. Prints TAP.

Were it to fail, docs/protocol.md would no longer tell a stranger how to write a client.
"""

import os
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import client as ph  # noqa: E402

BUILD = os.environ["PH_BUILD"]
results = []


def test(name):
    def run(function):
        try:
            function()
            results.append((True, name, ""))
        except Exception as error:  # pylint: disable=broad-except
            results.append((False, name, f"{type(error).__name__}: {error}"))
        ok, _, why = results[-1]
        print(f"{'ok' if ok else 'not ok'} {len(results)} - interop_{name}" + (f"\n# {why}" if why else ""), flush=True)

    return run


class Center:
    def __init__(self, suite):
        self.folder = tempfile.TemporaryDirectory()
        path = os.path.join(self.folder.name, "port")
        os.mkfifo(path)
        self.child = subprocess.Popen([os.path.join(BUILD, "src/app/posthouse"), "serve", "--listen", "127.0.0.1:0", "--domain", "interop",
                                       "--suite", suite, "--log-level", "error", "--port-file", path])
        with open(path, encoding="utf-8") as file:
            self.port = int(file.readline().strip().rsplit(":")[-1])

    def join(self, account, **options):
        return ph.Client("127.0.0.1", self.port, account, **options)

    def stop(self):
        self.child.terminate()
        self.child.wait()
        self.folder.cleanup()


def equal(got, expected):
    if got != expected:
        raise AssertionError(f"{got!r} is not {expected!r}")


def serve_until_bye(client):
    try:
        while True:
            client.turn()
    except (ph.Bye, EOFError, OSError):
        pass


def run_suite(name, number):
    center = Center(name)

    @test(f"{name}_joins_in_that_suite")
    def _():
        client = center.join("alone")
        equal((client.suite, client.id, client.domain), (number, "alone@interop", "interop"))
        client.bye()

    @test(f"{name}_gets_an_account_made_from_its_service")
    def _():
        client = center.join("", service="orders")
        equal(client.id.startswith("orders-"), True)
        client.bye()

    @test(f"{name}_sees_the_list_and_each_change_once")
    def _():
        watcher = center.join("watcher", watch=True)
        watcher.until(lambda: watcher.listed)
        equal("watcher@interop" in watcher.online, True)
        before = len(watcher.changes)
        other = center.join("other", service="things")
        watcher.until(lambda: "other@interop" in watcher.online)
        equal(watcher.online["other@interop"].service, "things")
        other.bye()
        watcher.until(lambda: "other@interop" not in watcher.online)
        seen = [(e.what, e.reason, e.id) for e in watcher.changes[before:] if e.id == "other@interop"]
        equal(seen, [(ph.ONLINE, 0, "other@interop"), (ph.OFFLINE, 1, "other@interop")])
        watcher.bye()

    @test(f"{name}_calls_and_answers")
    def _():
        responder = center.join("responder", on_request=lambda m: m.method.encode() + b":" + m.body)
        thread = threading.Thread(target=serve_until_bye, args=(responder,))
        thread.start()
        caller = center.join("caller")
        for body in (b"", b"x", b"y" * 60000):
            equal(caller.call("responder", "say", body), b"say:" + body)
        equal(caller.call("responder@interop", "say", b"z"), b"say:z")
        caller.bye()
        responder.bye()
        thread.join()

    @test(f"{name}_a_call_to_nobody_fails_at_once")
    def _():
        caller = center.join("caller")
        try:
            caller.call("nobody", "x")
        except ph.Failure as failure:
            equal(failure.code, 1)
        else:
            raise AssertionError("no failure")
        caller.bye()

    @test(f"{name}_a_second_join_of_the_account_is_refused")
    def _():
        first = center.join("twice")
        try:
            center.join("twice")
        except ph.Bye as bye:
            equal(bye.reason, 11)
        else:
            raise AssertionError("joined twice")
        first.bye()

    @test(f"{name}_is_called_by_the_c_client")
    def _():
        responder = center.join("python", on_request=lambda m: m.body.upper())
        thread = threading.Thread(target=serve_until_bye, args=(responder,))
        thread.start()
        out = subprocess.run([os.path.join(BUILD, "src/app/posthouse"), "call", "--center", f"127.0.0.1:{center.port}", "python", "up", "abc"],
                             stdout=subprocess.PIPE, timeout=20, check=True).stdout
        equal(out.strip(), b"ABC")
        responder.bye()
        thread.join()

    @test(f"{name}_events_arrive_in_order")
    def _():
        receiver = center.join("receiver")
        sender = center.join("sender")
        for n in range(100):
            sender.message(ph.EVENT, "receiver", "n", str(n).encode())
        receiver.until(lambda: len(receiver.events) == 100)
        equal([int(e.body) for e in receiver.events], list(range(100)))
        equal({e.sender for e in receiver.events}, {"sender@interop"})
        sender.bye()
        receiver.bye()

    if number == ph.PLAIN:

        @test("a_client_never_goes_below_its_floor")
        def _():
            try:
                center.join("proud", floor=ph.CHECK)
            except ValueError as error:
                equal(str(error), "suite below the floor")
            else:
                raise AssertionError("joined below the floor")

    center.stop()


for suite_name, suite_number in (("plain", ph.PLAIN), ("paper", ph.PAPER), ("check", ph.CHECK)):
    run_suite(suite_name, suite_number)
print(f"1..{len(results)}")
sys.exit(0 if all(ok for ok, _, _ in results) else 1)
