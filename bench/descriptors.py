#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""script/bench descriptors: a center that has no descriptor left.

The center may have few descriptors. Clients take all but some; a pair of clients calls on. Then a crowd connects, and connects again
whenever it is refused: how much of a core that takes from the center, whether the pair notices, and what the refused are told. At last some
of the clients leave while the crowd goes on: when is the first newcomer in? Windows with and without the crowd take turns; p99 are compared
by their medians.
"""

import json
import signal
import sys
import tempfile
import time

import harness

CALLS_A_SECOND = 500
OPEN_AGAIN = 1  # seconds


def count(center, log):
    """The center's own counters, as it logs them when it is asked to."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        center.process.send_signal(signal.SIGUSR2)
        time.sleep(0.1)
        with open(log.name, encoding="utf-8") as file:
            lines = [line for line in file if '"connections_shed_total"' in line and line.endswith("\n")]
        if lines:
            return json.loads(lines[-1])
    raise SystemExit("the center does not log its counters")


def settle_refused(client, wait):
    """Seconds until a new client is in, at most `wait`."""
    start = time.monotonic()
    while time.monotonic() - start < wait:
        if client.ask("open", "joined", 1, 2)["joined"] >= 1:
            return time.monotonic() - start
        time.sleep(0.02)
    return wait


def measure(args):
    log = tempfile.NamedTemporaryFile()
    center = harness.Center(args.build, ["--log-format", "json", "--log-level", "error"], files=args.descriptors, nice=harness.FIRST, log=log)
    pair = harness.Load(args.build, center, prefix="pair", nice=harness.FIRST)
    pair.ask("calls", CALLS_A_SECOND, 0.3)
    settled = harness.Load(args.build, center, prefix="settled", members=args.descriptors)
    harness.progress("clients take all descriptors")
    opened = settled.ask("open", "joined", args.descriptors, 1)
    newcomer = harness.Load(args.build, center, prefix="newcomer", members=10000)
    quiet, beside, cores, attempts, told = [], [], [], 0, 0
    quiet_cores = []
    for number in range(args.rounds):
        harness.progress(f"round {number + 1} of {args.rounds}")
        ran = center.cpu()
        quiet.append(pair.ask("calls", CALLS_A_SECOND, args.seconds)["p99_us"])
        quiet_cores.append((center.cpu() - ran) / args.seconds)
        crowd = harness.Load(args.build, center, prefix=f"crowd{number}", members=args.crowd, opening=args.crowd, nice=10)
        crowd.tell("hammer", args.crowd, args.seconds + 0.6)
        time.sleep(0.3)
        ran = center.cpu()
        beside.append(pair.ask("calls", CALLS_A_SECOND, args.seconds)["p99_us"])
        cores.append((center.cpu() - ran) / args.seconds)
        answer = crowd.answer()
        attempts += answer["attempts"]
        told += answer["told"]
        crowd.end()
    time.sleep(0.5)  # what the last crowd left in the kernel is refused
    harness.progress("some clients leave while the crowd goes on")
    crowd = harness.Load(args.build, center, prefix="last", members=args.crowd, opening=args.crowd, nice=10)
    crowd.tell("hammer", args.crowd, 3)
    time.sleep(0.5)
    free = args.crowd + 50  # the crowd gets in, too
    settled.ask("close", free)
    back = settle_refused(newcomer, 5)
    crowd.answer()
    counters = count(center, log)
    base, stressed = harness.median(quiet), harness.median(beside)
    extra = 100 * (harness.median(cores) - harness.median(quiet_cores))
    rows = [
        harness.row("clients that have all descriptors", opened["joined"], "", digits=0),
        harness.row(f"refused, of a crowd of {args.crowd}", attempts / (args.rounds * (args.seconds + 0.6)), "a second", digits=0,
                    note=f"{100 * told / max(attempts, 1):.1f} % of them heard limit_reached"),
        harness.row("processor time for that", extra, "% of a core", 5, 1),
        harness.row("p99 of a pair's calls, quiet", base, "us", digits=0),
        harness.row("p99 of a pair's calls, beside the crowd", stressed, "us", digits=0),
        harness.row("    times the quiet p99", stressed / base, "", 1.5, 2),
        harness.row("a newcomer is in after descriptors came free", back, "s", OPEN_AGAIN, 2),
        harness.holds("the center counted them", counters["connections_shed_total"] >= told, f"connections_shed_total {counters['connections_shed_total']:,}"),
    ]
    return rows, []


def main():
    parser = harness.options("descriptors", __doc__)
    parser.add_argument("--descriptors", type=int, default=1000, help="that the center may have (default 1,000)")
    parser.add_argument("--crowd", type=int, default=200, help="that connects at a time (default 200)")
    parser.add_argument("--rounds", type=harness.positive(int), default=5, help="(default 5)")
    parser.add_argument("--seconds", type=harness.positive(float), default=1.5, help="of one measurement (default 1.5)")
    args = parser.parse_args()
    return harness.run(args, "descriptors", f"A center with {args.descriptors:,} descriptors, all in use", measure)


if __name__ == "__main__":
    sys.exit(main())
