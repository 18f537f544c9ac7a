# SPDX-License-Identifier: Apache-2.0
"""The Python client of this folder against the real center, in each suite. Prints TAP.

Were it to fail, docs/protocol.md would no longer tell a stranger how to write a client.
"""

import contextlib
import os
import struct
import subprocess
import sys
import tempfile
import threading
import time

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

    def command(self, *arguments, **options):
        """The project's own client, as a process."""
        return subprocess.Popen([os.path.join(BUILD, "src/app/posthouse"), arguments[0], "--center", f"127.0.0.1:{self.port}", "--quiet", "--timeout", "30s",
                                 *arguments[1:]],
                                stdout=subprocess.PIPE, **options)

    def run(self, *arguments, body=None):
        child = self.command(*arguments, stdin=subprocess.PIPE)
        out, _ = child.communicate(body, timeout=60)
        equal((arguments, child.returncode), (arguments, 0))
        return out

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


def run_own_state(name, center):
    def said(entry):
        """What an entry says about a client, with the document's defaults: P-46."""
        fields = {tag: value for tag, value in entry.fields if tag != 3}
        metadata = {value[1 : 1 + value[0]].decode(): value[1 + value[0] :] for tag, value in entry.fields if tag == 3}
        return (entry.what, entry.state, int.from_bytes(fields.get(2, b"\0\x64"), "big"), metadata)

    @test(f"{name}_what_a_client_says_about_itself_is_told")
    def _():
        watcher = center.join("watcher", watch=True)
        watcher.until(lambda: watcher.listed)
        client = center.join("moody", service="moods", state=ph.STARTING, weight=7, metadata={"zone": b"eu", "k": b""})

        def changes():
            return [said(e) for e in watcher.changes if e.id == "moody@interop"]

        steps = [
            ({}, (ph.ONLINE, ph.STARTING, 7, {"zone": b"eu", "k": b""})),
            ({"state": ph.READY}, (ph.CHANGED, ph.READY, 7, {"zone": b"eu", "k": b""})),
            ({"weight": 1000, "metadata": {"zone": b"us"}}, (ph.CHANGED, ph.READY, 1000, {"zone": b"us"})),
            ({"metadata": {}}, (ph.CHANGED, ph.READY, 1000, {})),
            ({"state": ph.DRAINING, "weight": 0}, (ph.CHANGED, ph.DRAINING, 0, {})),
        ]
        for count, (own, expected) in enumerate(steps, 1):
            client.say(**own)
            watcher.until(lambda n=count: len(changes()) == n)
            equal(changes()[-1], expected)
        client.say(state=ph.DRAINING)  # nothing new, so nobody is told
        client.bye()
        watcher.until(lambda: "moody@interop" not in watcher.online)
        equal(len(changes()), len(steps) + 1)
        watcher.bye()

    @test(f"{name}_an_instance_is_called_while_it_is_ready")
    def _():
        with Serving(center.join("till-1", service="till", on_request=lambda m: b"1")) as till:
            caller = center.join("caller")
            equal(caller.call("service:till", "who"), b"1")
            for own, code in (({"state": ph.DRAINING}, 3), ({"state": ph.READY}, None), ({"weight": 0}, 3), ({"weight": 1}, None)):
                till.say(**own)
                till.event("caller", "said")
                caller.until(lambda: caller.events and caller.events.pop())
                if code:
                    equal_failure(code, caller.call, "service:till", "who")
                else:
                    equal(caller.call("service:till", "who"), b"1")
            caller.bye()


def run_dialogs(name, center):
    def book(responder, request):
        return b"booked at " + responder.inquire(request, "which bank") + b", " + responder.inquire(request, "how much", b"EUR")

    def serving(account, on_request, **options):
        client = center.join(account, **options)
        client.on_request = lambda request: on_request(client, request)
        return Serving(client)

    @test(f"{name}_a_responder_asks_its_caller_back")
    def _():
        answers = {"which bank": lambda m: b"ours", "how much": lambda m: b"12 " + m.body}
        with serving("clerk", book):
            caller = center.join("caller", on_inquiry=lambda m: answers[m.method](m))
            equal(caller.call("clerk", "book"), b"booked at ours, 12 EUR")
            caller.on_inquiry = None
            equal_failure(18, caller.call, "clerk", "book")  # the clerk passes on why it could not
            caller.bye()

    @test(f"{name}_dialogs_stand_in_dialogs_four_deep")
    def _():
        # Each inquiry is answered by a call of its own, in which the next is asked.
        def deeper(client, request):
            return client.inquire(request, "go on", request.body)

        with serving("well", deeper):
            caller = center.join("caller")
            depths = []

            def on_inquiry(inquiry):
                depths.append(inquiry.depth)
                if len(inquiry.body) == int(inquiry.depth):
                    return b"the ground"
                return caller.call("well", "deeper", inquiry.body, depth=inquiry.depth)

            caller.on_inquiry = on_inquiry
            equal(caller.call("well", "deeper", b"...."), b"the ground")
            equal(depths, [1, 2, 3, 4])
            equal_failure(20, caller.call, "well", "deeper", b".....")
            caller.bye()

    @test(f"{name}_a_dialog_ends_with_its_call")
    def _():
        ends = []

        def ask_on(client, request):
            if request.method == "are you free":
                return b"yes"
            try:
                client.inquire(request, "well?")
            except ph.Failure as failure:
                ends.append(failure.code)
            return b"never heard"

        with serving("patient", ask_on):
            caller = center.join("caller")
            caller.answer_with = lambda *_: None  # leaves inquiries open
            equal_failure(11, caller.call, "patient", "x", ttl_ms=200)
            caller.message(ph.REQUEST, "patient", "x", b"", caller.number(), 60000)
            caller.message(ph.CANCEL, call=caller.next_number - 1)
            caller.until(lambda: caller.ended)
            equal([ph.failed(end).code for end in caller.ended.values()], [12])
            caller.message(ph.REQUEST, "patient", "x", b"", caller.number(), 60000)
            caller.bye()
            other = center.join("other")
            equal(other.call("patient", "are you free"), b"yes")
            other.bye()
        equal(ends, [11, 12, 19])

    @test(f"{name}_inquiries_and_answers_go_in_fragments")
    def _():
        long = bytes(range(256)) * 600
        with serving("clerk", lambda client, request: client.inquire(request, "and?", request.body[::-1])):
            caller = center.join("caller", on_inquiry=lambda m: m.body[1:])
            equal(caller.call("clerk", "long", long), long[::-1][1:])
            caller.bye()


def run_fragments(name, center):
    long = bytes(i * i & 0xff for i in range(400003))

    @test(f"{name}_long_requests_and_replies_go_in_fragments")
    def _():
        with Serving(center.join("echo", on_request=lambda m: m.body[::-1])):
            caller = center.join("caller")
            for size in (0, 31744, 31745, 65536, len(long)):
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


def run_topics(name, center):
    @test(f"{name}_who_subscribed_gets_what_is_published")
    def _():
        reader, publisher = center.join("reader"), center.join("publisher")
        equal(reader.subscribe("orders.*.created", "orders.eu.>", "Z\u00fcrich"), [])
        for topic in ("orders.eu.created", "orders.us.created", "orders.us.deleted", "orders.eu", "orders", "Z\u00fcrich"):
            publisher.event(f"topic:{topic}", "happened", topic.encode())
        reader.until(lambda: len(reader.events) == 3)
        equal([e.body.decode() for e in reader.events], ["orders.eu.created", "orders.us.created", "Z\u00fcrich"])
        equal({(e.sender, e.method) for e in reader.events}, {("publisher@interop", "happened")})
        equal([e.to for e in reader.events][:1], ["topic:orders.eu.created"])
        equal(reader.unsubscribe("orders.*.created", "never.had"), [])
        for topic in ("orders.us.created", "orders.eu.created"):
            publisher.event(f"topic:{topic}", "again", b"")
        reader.until(lambda: len(reader.events) == 4)
        equal(reader.events[3].to, "topic:orders.eu.created")
        reader.bye()
        publisher.bye()

    @test(f"{name}_what_is_no_pattern_is_refused_by_name")
    def _():
        reader = center.join("reader")
        equal(reader.subscribe("a..b", "good", "*>", ""), [(15, "a..b"), (15, "*>"), (15, "")])
        reader.event("topic:good", "own", b"comes back")
        reader.until(lambda: reader.events)
        equal(reader.events[0].body, b"comes back")
        reader.bye()

    @test(f"{name}_a_receipt_says_what_became_of_an_event")
    def _():
        readers = [center.join(f"reader-{n}", service="readers") for n in range(3)]
        for reader in readers[:2]:
            reader.subscribe("news.>")
        publisher = center.join("publisher")
        equal(publisher.event("topic:news.today", "n", b"x", receipt=True), (2, 0, 0))
        equal(publisher.event("topic:old", "n", b"x", receipt=True), (0, 0, 0))
        equal(publisher.event("all:readers", "n", b"x", receipt=True), (3, 0, 0))
        equal(publisher.event("reader-2", "n", b"x", receipt=True), (1, 0, 0))
        equal(publisher.event("nobody", "n", b"x", receipt=True), (0, 0, 1))
        equal(publisher.event("all:nothing", "n", b"x", receipt=True), (0, 0, 3))
        readers[0].until(lambda: len(readers[0].events) == 2)
        equal({(e.flags, e.call) for e in readers[0].events}, {(0, 0)})
        for client in (*readers, publisher):
            client.bye()

    @test(f"{name}_a_long_event_reaches_all_who_subscribed_and_has_a_receipt")
    def _():
        long = bytes(range(256)) * 1000
        one, other = center.join("reader-1", on_request=lambda m: b""), center.join("reader-2")
        one.subscribe("long")
        other.subscribe("*")
        with Serving(one), Serving(other):
            publisher = center.join("publisher")
            equal(publisher.event("topic:long", "n", long, receipt=True), (2, 0, 0))
            publisher.call("reader-1", "behind it")
            equal(one.events[-1].body, long)
            equal(one.events[-1].flags & ph.WANTS_RECEIPT, 0)
            publisher.bye()


def run_gathers(name, center):
    def instances(count, on_request):
        stack = contextlib.ExitStack()
        for n in range(count):
            stack.enter_context(Serving(center.join(f"store-{n}", service="stores", on_request=lambda m, n=n: on_request(n, m))))
        return stack

    @test(f"{name}_a_gather_brings_the_reply_of_each_instance")
    def _():
        caller = center.join("caller")
        equal_failure(3, caller.gather, "stores", "stock")
        with instances(5, lambda n, m: m.body * n):
            got = caller.gather("stores", "stock", b"ab")
            equal(got.replies, {f"store-{n}@interop": b"ab" * n for n in range(5)})
            equal((got.asked, got.replied, got.missing), (5, 5, {}))
            got = caller.gather("stores", "stock", b"ab", want=2)
            equal((got.asked, got.replied >= 2, len(got.replies) >= 2), (5, True, True))
        caller.bye()

    @test(f"{name}_a_gather_tells_who_is_missing_and_why")
    def _():
        never = threading.Event()

        def stock(n, _):
            if n == 1:
                raise ph.Failure(1234, "my own")
            if n == 2:
                never.wait()  # until after the deadline
            return None if n == 3 else b"x" * 50000

        caller = center.join("caller")
        with instances(4, stock):
            got = caller.gather("stores", "stock", ttl_ms=1000)
            never.set()
        equal(got.replies, {"store-0@interop": b"x" * 50000})
        equal((got.asked, got.replied), (4, 1))
        equal(got.missing, {"store-1@interop": 1234, "store-2@interop": 11, "store-3@interop": 18})
        caller.bye()

    @test(f"{name}_in_a_gather_nobody_asks_back")
    def _():
        responder = center.join("asker", service="askers")
        responder.on_request = lambda m: responder.inquire(m, "and you?")
        with Serving(responder):
            caller = center.join("caller", on_inquiry=lambda m: b"me")
            got = caller.gather("askers", "x")
            equal((got.replies, got.missing), ({}, {"asker@interop": 17}))
            caller.bye()


def run_drain(name, center):
    def drain(operator, account, patience_ms=5000, begin=1):
        body = operator.call("@interop", "drain", bytes([begin]) + patience_ms.to_bytes(4, "big") + bytes([len(account)]) + account.encode())
        done, _, watchers, calls, count = struct.unpack_from(">BQIIH", body)
        names, at = [], 19
        for _ in range(count):
            who, at = ph.str8(body, at)
            names.append(who)
        return done, watchers, calls, names

    @test(f"{name}_a_drained_instance_gets_nothing_more_and_is_told")
    def _():
        operator = center.join("operator")
        watcher = center.join("watcher", watch=True)
        watcher.until(lambda: watcher.listed)
        with Serving(watcher), Serving(center.join("old", service="shop", on_request=lambda m: b"old")) as old:
            equal(operator.call("service:shop", "who"), b"old")
            equal(drain(operator, "old"), (1, 0, 0, []))
            equal(watcher.online["old@interop"].state, ph.DRAINING)  # it has said that it knows
            equal_failure(3, operator.call, "service:shop", "who")
            equal((operator.call("old", "who"), old.wished), (b"old", ph.DRAINING))
            equal(drain(operator, "old", begin=0)[0], 1)
            equal(operator.call("service:shop", "who"), b"old")
        equal_failure(18, operator.call, "@", "no such method")
        equal_failure(1, operator.call, "@", "drain", bytes(5) + b"\6nobody")
        equal_failure(15, operator.call, "@", "drain", bytes(5) + b"\7nobody")
        operator.bye()

    @test(f"{name}_a_drain_without_end_says_what_it_waits_for")
    def _():
        operator = center.join("operator")
        deaf = center.join("deaf", watch=True)
        with Serving(center.join("busy")) as busy:
            busy.answer_with = lambda *_: None
            deaf.until(lambda: "busy@interop" in deaf.online)  # and then reads no more
            caller = center.join("caller")
            caller.message(ph.REQUEST, "busy", "x", b"", 1, 60000)
            operator.call("@", "drain", bytes(5) + b"\6caller")  # so the request is there
            equal(drain(operator, "busy", patience_ms=200), (0, 1, 1, ["deaf@interop"]))
            for client in (caller, deaf, operator):
                client.bye()


def run_status(name, center):
    @test(f"{name}_a_center_says_how_it_is")
    def _():
        operator = center.join("operator")
        watcher = center.join("watcher", watch=True)
        watcher.until(lambda: watcher.listed)
        body = operator.call("@interop", "status", b"")
        version, at = ph.str8(body, 0)
        uptime_ms, workers, counted, count = struct.unpack_from(">QBBH", body, at)
        at += 12
        values = {}
        for _ in range(count):
            kind, (what, at) = body[at], ph.str8(body, at + 1)
            values[what] = (kind, *struct.unpack_from(">Q", body, at))
            at += 8
        equal((at, len(values), workers, counted), (len(body), count, 1, 1))
        equal((bool(version), uptime_ms > 0), (True, True))
        equal([values[what] for what in ("sessions", "watchers", "calls")], [(2, 2), (2, 1), (2, 1)])
        equal(values["joins_total"][0], 1)
        equal_failure(15, operator.call, "@", "status", b"x")
        operator.bye()
        watcher.bye()


def run_with_c_client(name, center):
    long = bytes(range(256)) * 1200

    @test(f"{name}_the_c_client_calls_and_is_asked_back")
    def _():
        responder = center.join("python", service="snakes")
        responder.on_request = lambda m: responder.inquire(m, m.method, m.body) if m.method == "ask" else m.body.upper()
        with Serving(responder):
            equal(center.run("call", "python", "up", "abc"), b"ABC")
            equal(center.run("call", "service:snakes", "ask", "abc", "--on-inquiry", "tr a-c x-z"), b"xyz")
            equal(center.run("call", "python", "up", "-", body=long), long.upper())

    @test(f"{name}_the_c_client_answers_and_gathers")
    def _():
        child = center.command("reply", "--account", "c", "--service", "mixed", "--echo")
        caller = center.join("caller", watch=True)
        caller.until(lambda: "c@interop" in caller.online)
        equal(caller.call("service:mixed", "x", long), long)
        with Serving(center.join("python", service="mixed", on_request=lambda m: m.body)):
            equal(caller.gather("mixed", "x", b"y").replies, {"c@interop": b"y", "python@interop": b"y"})
            replies = center.run("gather", "mixed", "x", "y", "--output", "json").decode()
            equal(("c@interop" in replies, "python@interop" in replies), (True, True))
        child.terminate()
        child.communicate()
        caller.bye()

    @test(f"{name}_the_c_client_publishes_and_subscribes")
    def _():
        reader = center.join("reader")
        equal(reader.subscribe("things.*"), [])
        path = os.path.join(center.folder.name, "long")
        with open(path, "wb") as file:
            file.write(long)
        child = center.command("publish", "things.new", "@" + path, "--method", "made")
        reader.until(lambda: reader.events)
        equal(child.wait(timeout=60), 0)
        event = reader.events.pop()
        equal((event.to, event.method, event.body), ("topic:things.new", "made", long))
        child = center.command("subscribe", "things.>", "--count", "1")
        give_up = time.monotonic() + 10
        while reader.event("topic:things.old", "gone", b"for good", receipt=True)[0] < 2:  # itself, and the process once it is there
            equal(time.monotonic() < give_up, True)
        out, _ = child.communicate(timeout=60)
        equal(out.split(), [b"things.old", b"reader@interop", b"gone", b"for", b"good"])
        reader.bye()

    @test(f"{name}_the_c_client_drains")
    def _():
        with Serving(center.join("python", service="snakes")) as python:
            center.run("drain", "python")
            center.run("drain", "python", "--undo")
            give_up = time.monotonic() + 10
            while python.wished != ph.READY:  # it reads on a thread of its own
                equal(time.monotonic() < give_up, True)
                threading.Event().wait(0.01)


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
    run_own_state(name, center)
    run_dialogs(name, center)
    run_fragments(name, center)
    run_topics(name, center)
    run_gathers(name, center)
    run_drain(name, center)
    run_status(name, center)
    run_with_c_client(name, center)

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
