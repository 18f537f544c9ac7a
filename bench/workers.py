#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""script/bench workers: a center of two workers: calls within one and across both, and whether what crosses arrives whole and in order.

The first worker hands connections on in turn, so the order in which clients connect says where each is at home: the responder is at the first, and
of its callers every other one. Calls within and across are measured in turn, round by round, and a center of one worker beside them. For the order,
one client sends numbered events to another at the other worker, as fast as acknowledgements let it; the receiver ends the benchmark at the first
number that is not the next. With so few under way nothing ever waits for room: what becomes of the order when mail waits, or a mailbox is full, is
shown by the stories in tests/sim/worker_sim.c.
"""

import json
import statistics
import subprocess
import sys

import harness

RESPONDER = "echo"
WINDOWS = [1, 64, 512]
# Events under way: well below what may wait for one client (send_buffer_max), or the center would drop some, as it should.
EVENTS = 2048


class Pair:
    """A center and one responder."""

    def __init__(self, args, count):
        self.count = count
        self.args = args
        self.center = harness.Center(args.build, ["--workers", str(count), "--suite", args.suite, "--log-level", "error"], nice=harness.FIRST)
        self.connections = 0
        self.responder = self.child("rr_posthouse", ["--role", "responder", "--name", RESPONDER, "--in-flight", "512"])

    def child(self, program, words):
        child = harness.Child([f"{self.args.build}/bench/{program}", *words, "--target", self.center.target], nice=harness.FIRST,
                              stdout=subprocess.PIPE)
        if not child.process.stdout.readline():
            raise SystemExit(f"{program} did not start")
        self.connections += 1
        return child

    def home(self):
        """The worker that the next connection goes to."""
        return self.connections % self.count

    def next_home(self, home):
        """Connects, until the next connection goes there."""
        while self.home() != home:
            self.call(1, 0.01)

    def run(self, program, words):
        self.connections += 1
        child = harness.Child([f"{self.args.build}/bench/{program}", *words, "--target", self.center.target], nice=harness.FIRST,
                              stdout=subprocess.PIPE)
        out, _ = child.process.communicate()
        if child.process.returncode != 0:
            raise SystemExit(f"{program} ended with {child.process.returncode}")
        child.end()
        return json.loads(out)

    def call(self, window, seconds):
        return self.run("rr_posthouse", ["--role", "caller", "--name", RESPONDER, "--in-flight", str(window), "--payload", "128",
                                         "--seconds", str(seconds)])


def calls(args):
    one, two = Pair(args, 1), Pair(args, 2)
    results = {}
    todo = args.rounds * len(WINDOWS)
    for done in range(todo):
        window = WINDOWS[done % len(WINDOWS)]
        harness.progress(f"{done}/{todo} rounds of calls")
        harness.rest()
        results.setdefault(("alone", window), []).append(one.call(window, args.seconds))
        for home, where in ((0, "within"), (1, "across")):
            two.next_home(home)
            harness.rest()
            results.setdefault((where, window), []).append(two.call(window, args.seconds))
    one.responder.end()
    two.responder.end()
    one.center.end()
    two.center.end()
    return {key: {name: statistics.median(r[name] for r in rounds) for name in ("p50_us", "p99_us", "per_second")}
            for key, rounds in results.items()}


def call_rows(args):
    medians = calls(args)
    rows = []
    for window in WINDOWS:
        alone, within, across = (medians[(where, window)] for where in ("alone", "within", "across"))
        flight = f"{window} in flight"
        rows.append(harness.row(f"{flight}: p50 across both workers, times within one", across["p50_us"] / within["p50_us"], "",
                                target=1.4 if window == 1 else None, digits=2,
                                note=f"{across['p50_us']:.1f} and {within['p50_us']:.1f} us; p99 {across['p99_us']:.1f} and {within['p99_us']:.1f} us"))
        rows.append(harness.row(f"{flight}: calls a second across, times a center of one worker", across["per_second"] / alone["per_second"], "",
                                digits=2, note=f"{across['per_second']:,.0f} and {alone['per_second']:,.0f}"))
        rows.append(harness.row(f"{flight}: calls a second within, times a center of one worker", within["per_second"] / alone["per_second"], "",
                                digits=2))
    return rows


def order_rows(args):
    pair = Pair(args, 2)
    pair.next_home(0)
    receiver = pair.child("publish_posthouse", ["--role", "receiver", "--name", "sink"])
    total, rates = 0, []
    while total < args.messages:
        harness.progress(f"{total:,} of {args.messages:,} events in order")
        pair.next_home(1)
        sent = pair.run("publish_posthouse", ["--role", "sender", "--name", "sink", "--in-flight", str(EVENTS), "--payload", "128",
                                              "--seconds", "5"])
        total += sent["count"]
        rates.append(sent["per_second"])
        if receiver.process.poll() is not None:
            return [harness.holds("events across workers: none lost, doubled or overtaken", False, f"among {total:,}")]
    return [harness.holds("events across workers: none lost, doubled or overtaken", True,
                          f"{total:,} of 128 bytes, {statistics.median(rates):,.0f} a second")]


def measure(args):
    rows = call_rows(args) + (order_rows(args) if args.messages else [])
    return rows, [f"suite {args.suite}, 128 bytes there and back; medians of {args.rounds} rounds of {args.seconds} s"]


def main():
    parser = harness.options("workers", __doc__)
    parser.add_argument("--rounds", type=harness.positive(int), default=9, help="rounds; the medians over them are shown (default 9)")
    parser.add_argument("--seconds", type=harness.positive(float), default=0.5, help="length of one measurement of calls (default 0.5)")
    parser.add_argument("--messages", type=int, default=100_000_000,
                        help="events whose order is checked, some millions at a time; 0: none (default 100,000,000)")
    parser.add_argument("--suite", default="plain", choices=["plain", "check", "paper"], help="(default plain)")
    args = parser.parse_args()
    return harness.run(args, "workers", "A center of two workers", measure)


if __name__ == "__main__":
    sys.exit(main())
