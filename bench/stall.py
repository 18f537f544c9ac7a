#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""script/bench stall: some of many subscribers stop reading, and the others must not notice.

A publisher sends events on a topic at a steady rate; a reader measures how old each is when it comes. Windows in which all read and windows in
which some do not take turns, and the medians of their p99 are compared. Then the same stop for good: the center's memory is watched, and
a client that watches presence tells when they are ended, and why.
"""

import sys
import time

import harness

SEND_BUFFER = 1 << 20  # send_buffer_max
MIB = 1 << 20
FILL = 1.0  # seconds after they stopped, before it is measured
RECEIVE = 32768  # bytes the kernel may keep for who stalls, so that it is the center's memory that is filled
DRAIN = 1.5  # seconds until who reads again has caught up


def windows(args, readers, stalled):
    """p99 of those who read, while all read and while some do not."""
    quiet, beside = [], []
    for number in range(args.rounds):
        harness.progress(f"round {number + 1} of {args.rounds}")
        quiet.append(readers.ask("measure", args.seconds)["p99_us"])
        stalled.ask("stall", args.stalled)
        time.sleep(FILL)
        beside.append(readers.ask("measure", args.seconds)["p99_us"])
        stalled.ask("stall", 0)
        time.sleep(DRAIN)
    return harness.median(quiet), harness.median(beside)


def end(args, center, stalled, watcher):
    """Most memory beyond that at the beginning; seconds until the first and the last was ended; reasons."""
    before = center.resident()
    start = time.monotonic()
    stalled.ask("stall", args.stalled)
    most = 0
    while time.monotonic() < start + 30:
        most = max(most, center.resident() - before)
        count = watcher.ask("count")
        if sum(count["offlines"].values()) >= args.stalled:
            break
        harness.progress(f"{sum(count['offlines'].values())} of {args.stalled} ended")
        time.sleep(0.1)
    return most, count["offline_first_s"] - start, count["offline_last_s"] - start, count["offlines"]


def measure(args):
    center = harness.Center(args.build, ["--log-level", "error", "--send-buffer-max", f"{SEND_BUFFER >> 10}KiB"], nice=harness.FIRST)
    readers = harness.Load(args.build, center, prefix="reader", nice=harness.FIRST)
    stalled = harness.Load(args.build, center, prefix="stalled", receive=RECEIVE)
    watcher = harness.Load(args.build, center, prefix="watcher")
    watcher.ask("watch")
    readers.ask("open", "joined", args.subscribers - args.stalled, 10)
    stalled.ask("open", "joined", args.stalled, 10)
    for load, count in ((readers, args.subscribers - args.stalled), (stalled, args.stalled)):
        if load.ask("subscribe", "prices.*.changed")["subscribed"] != count:
            raise SystemExit("not all could subscribe")
    publisher = harness.Load(args.build, center, prefix="publisher", nice=harness.FIRST)
    publisher.tell("publish", "topic:prices.gold.changed", args.rate, args.size, 3600)
    time.sleep(1)
    quiet, beside = windows(args, readers, stalled)
    most, first, last, reasons = end(args, center, stalled, watcher)
    allowed = args.stalled * SEND_BUFFER * 1.05
    slow = reasons.get("slow_consumer", 0)
    rows = [
        harness.row(f"p99 of {args.subscribers - args.stalled} readers, all read", quiet, "us", digits=0),
        harness.row(f"p99 of {args.subscribers - args.stalled} readers, {args.stalled} others do not", beside, "us", digits=0),
        harness.row("    times that before", beside / quiet, "", 1.2, 2),
        harness.row("memory growth of the center", most / MIB, "MiB", allowed / MIB, 1, f"a send buffer is {SEND_BUFFER / MIB:g} MiB"),
        harness.row("the first that does not read is ended after", first, "s", digits=2),
        harness.row("the last", last, "s", 10, 2),
        harness.holds("all were ended as slow_consumer", slow == args.stalled and sum(reasons.values()) == slow, str(reasons)),
    ]
    return rows, []


def main():
    parser = harness.options("stall", __doc__)
    parser.add_argument("--subscribers", type=int, default=1000, help="(default 1,000)")
    parser.add_argument("--stalled", type=int, default=100, help="of them stop reading (default 100)")
    parser.add_argument("--rate", type=float, default=40, help="events a second (default 40)")
    parser.add_argument("--size", type=int, default=4096, help="bytes of an event (default 4,096)")
    parser.add_argument("--rounds", type=harness.positive(int), default=5, help="(default 5)")
    parser.add_argument("--seconds", type=harness.positive(float), default=1.5, help="of one measurement (default 1.5)")
    args = parser.parse_args()
    title = f"{args.stalled} of {args.subscribers:,} subscribers stop reading; {args.rate:g} events a second of {args.size:,} bytes"
    return harness.run(args, "stall", title, measure)


if __name__ == "__main__":
    sys.exit(main())
