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


def equal_failure(code, function, *arguments, **options):
    try:
        function(*arguments, **options)
    except ph.Failure as failure:
        equal(failure.code, code)
    else:
        raise AssertionError("no failure")


class Serving:
    """A client that takes what comes, on a thread of its own, until it is stopped."""

    def __init__(self, client):
        self.client = client
        self.thread = threading.Thread(target=serve_until_bye, args=(client,))
        self.thread.start()

    def __enter__(self):
        return self.client

    def __exit__(self, *_):
        self.client.bye()
        self.thread.join()


def serve_until_bye(client):
    try:
        while True:
            client.turn()
    except (ph.Bye, EOFError, OSError):
        pass


def run_calls(name, center):
    @test(f"{name}_a_service_is_called_by_its_name")
    def _():
        caller = center.join("caller")
        equal_failure(3, caller.call, "service:mill", "who")
        with Serving(center.join("mill-1", service="mill", on_request=lambda m: b"1")), \
                Serving(center.join("mill-2", service="mill", on_request=lambda m: b"2")):
            equal({caller.call("service:mill", "who") for _ in range(100)}, {b"1", b"2"})
        caller.bye()

    @test(f"{name}_starting_draining_and_weightless_instances_are_not_chosen")
    def _():
        caller = center.join("caller")
        with Serving(center.join("loom-1", service="loom", on_request=lambda m: b"1", state=ph.STARTING)), \
                Serving(center.join("loom-2", service="loom", on_request=lambda m: b"2", state=ph.DRAINING)), \
                Serving(center.join("loom-3", service="loom", on_request=lambda m: b"3", weight=0)):
            equal_failure(3, caller.call, "service:loom", "who")
            equal(caller.call("loom-1", "who"), b"1")
            with Serving(center.join("loom-4", service="loom", on_request=lambda m: b"4", weight=1000)):
                equal({caller.call("service:loom", "who") for _ in range(20)}, {b"4"})
        caller.bye()


def run_fragments(name, center):
    long = bytes(i * i & 0xff for i in range(1000003))

    @test(f"{name}_long_requests_and_replies_go_in_fragments")
    def _():
        with Serving(center.join("echo", on_request=lambda m: m.body[::-1])):
            caller = center.join("caller")
            for size in (0, 31744, 31745, 65536, 300000, len(long)):
                equal(caller.call("echo", "turn round", long[:size]), long[:size][::-1])
            caller.bye()

    @test(f"{name}_a_long_event_arrives_whole_and_in_its_place")
    def _():
        with Serving(center.join("receiver", on_request=lambda m: b"")) as receiver:
            sender = center.join("sender")
            for body in (b"first", long, b"last"):
                sender.event("receiver", "n", body)
            sender.call("receiver", "behind them")
            equal([e.body for e in receiver.events], [b"first", long, b"last"])
            sender.bye()

    @test(f"{name}_what_is_too_long_for_its_receiver_is_given_up")
    def _():
        with Serving(center.join("small", on_request=lambda m: m.body, message_max=100000)), \
                Serving(center.join("never", on_request=lambda m: m.body, message_max=0)):
            caller = center.join("caller")
            equal_failure(8, caller.call, "small", "x", long[:100001])
            equal_failure(8, caller.call, "never", "x", long[:40000])
            equal(caller.call("small", "x", long[:100000]), long[:100000])
            equal(caller.call("never", "x", long[:30000]), long[:30000])
            caller.bye()

    @test(f"{name}_more_than_the_credit_ends_the_link")
    def _():
        with Serving(center.join("mean", on_request=lambda m: b"")) as mean:
            mean.stream = lambda *_: None  # grants nothing
            greedy = center.join("greedy")
            greedy.leave[ph.REQUEST, 0, 1] = 1
            greedy.message(ph.REQUEST, "mean", "x", b"1", 1, 5000, flags=ph.MORE)
            greedy.message(ph.REQUEST, body=b"2", call=1, flags=ph.REST)
            try:
                greedy.until(lambda: False)
            except ph.Bye as bye:
                equal(bye.reason, 20)


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

    run_calls(name, center)
    run_fragments(name, center)

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
