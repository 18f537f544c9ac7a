#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""script/bench hostile: who never joins, talks garbage or floods, and what it costs the others.

First sockets that connect and send nothing, three bytes, or a length and one byte: their memory at the center, when they are gone, and how
long a real client takes to join meanwhile. Then one pair of clients with a call every ms, quiet and beside one hostile peer, in turns;
medians over the rounds are compared. Center and pair come before the hostile processes, so that what is measured is the center's fairness
and not that of the kernel's scheduler; the same flood at a second center shows what it takes of the machine itself.
"""

import sys
import time

import harness

KIB = 1024
JOIN_TIMEOUT = 5
CALLS_A_SECOND = 1000
FLOODS = {
    "garbage": "garbage, connecting again and again",
    "events": "valid events at full rate",
    "asks": "heartbeat asks at full rate",
}


def sockets(args, rows):
    """The memory of sockets that never join, and their end."""
    for kind, text in (("silent", "nothing"), ("three", "three bytes"), ("length", "a length and one byte")):
        center = harness.Center(args.build, ["--log-level", "error", "--connections-max", str(args.sockets + 1000),
                                             "--connections-joining-max", str(args.sockets + 100)], nice=harness.FIRST)
        client = harness.Load(args.build, center, prefix="client", nice=harness.FIRST)
        client.ask("joins", 100, 1)  # the center has what it needs for joins
        crowd = harness.Load(args.build, center, members=args.sockets, sources=2)
        before = center.resident()
        harness.progress(f"{args.sockets:,} sockets that send {text}")
        crowd.tell("open", kind, args.sockets, 20)
        busy = client.ask("joins", 20, 20)
        opened = crowd.answer()
        after = center.resident()
        joins = client.ask("joins", 100, 20)
        deadline = time.monotonic() + JOIN_TIMEOUT + 5
        count = crowd.ask("count")
        while count["raw"] > 0 and time.monotonic() < deadline:
            time.sleep(0.2)
            count = crowd.ask("count")
        held = opened["raw"] + opened["gone"]
        what = f"{held:,} that send {text}"
        rows.append(harness.row(f"{what}: resident memory each", (after - before) / held / KIB, "KiB", 1, 2))
        rows.append(harness.row("    join of a real client while they connect, max", busy["max_us"] / 1000, "ms", 50))
        rows.append(harness.row("    join of a real client beside them, max", joins["max_us"] / 1000, "ms", 50))
        rows.append(harness.row("    the last is gone after", count["gone_last_s"] - opened["seconds"], "s", JOIN_TIMEOUT + 0.2, 2))
        told = count["byes"].get("join_timeout", 0)
        rows.append(harness.holds("    all are gone, with bye join_timeout", count["raw"] == 0 and told == held, f"{told:,} were told"))
        crowd.end()
        client.end()
        center.end()


def pair(args, center, seconds, prefix="pair"):
    load = harness.Load(args.build, center, prefix=prefix, nice=harness.FIRST)
    load.ask("calls", CALLS_A_SECOND, 0.3)  # joined, and warm
    return load


def floods(args, rows):
    """A pair's calls beside each flood: at the same center, and at another."""
    center = harness.Center(args.build, ["--log-level", "error"], nice=harness.FIRST)
    other = harness.Center(args.build, ["--log-level", "error"], nice=harness.FIRST)
    measured = pair(args, center, args.seconds)
    for kind, text in FLOODS.items():
        quiet, same, apart, done = [], [], [], []
        for number in range(args.rounds):
            harness.progress(f"{text}: round {number + 1} of {args.rounds}")
            quiet.append(measured.ask("calls", CALLS_A_SECOND, args.seconds)["p99_us"])
            for where, figures in ((other, apart), (center, same)):
                flooder = harness.Load(args.build, where, prefix=f"flood{kind}{number}", members=10, nice=10)
                flooder.tell("flood", kind, args.seconds + 0.6)
                time.sleep(0.3)
                figures.append(measured.ask("calls", CALLS_A_SECOND, args.seconds)["p99_us"])
                answer = flooder.answer()
                done.append(answer["count"] / answer["seconds"])
                flooder.end()
        base, beside = harness.median(quiet), harness.median(same)
        rows.append(harness.row(f"{text}: {harness.median(done):,.0f} a second", beside, "us", digits=0,
                                note=f"p99 of a pair's calls; quiet {base:.0f} us, flood at another center {harness.median(apart):.0f} us"))
        rows.append(harness.row("    times the quiet p99", beside / base, "", 2, 2))
        rows.append(harness.row("    times that with the flood at another center", beside / harness.median(apart), "", digits=2))
    measured.end()


def measure(args):
    rows = []
    if args.part in ("all", "sockets"):
        sockets(args, rows)
    if args.part in ("all", "floods"):
        floods(args, rows)
    return rows, []


def main():
    parser = harness.options("hostile", __doc__)
    parser.add_argument("--sockets", type=int, default=10000, help="(default 10,000)")
    parser.add_argument("--rounds", type=harness.positive(int), default=3, help="of each flood (default 3)")
    parser.add_argument("--seconds", type=harness.positive(float), default=1, help="of one measurement (default 1)")
    parser.add_argument("--part", choices=["all", "sockets", "floods"], default="all", help="(default all)")
    args = parser.parse_args()
    return harness.run(args, "hostile", "Who never joins, talks garbage or floods", measure)


if __name__ == "__main__":
    sys.exit(main())
