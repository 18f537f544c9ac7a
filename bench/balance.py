#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""script/bench balance: who gets the calls to a service when one of ten instances fails and another is slow.

A center, ten instances and a caller, each a process, over loopback. The caller sends at a steady rate, whether or not earlier calls have
ended. One instance begins to fail at once, another to take ten times as long; then both recover. In the end three of the ten get weights of
1 to 2 to 4, and the others none.
"""

import json
import subprocess
import sys

import harness

INSTANCES = 10
FAILING = 3
SLOW = 7
FAIR = 100 / INSTANCES


class Instance(harness.Child):
    def __init__(self, build, center, number):
        super().__init__([f"{build}/bench/bench_balance", "instance", center.target, str(number)], stdout=subprocess.PIPE)
        if self.process.stdout.readline() != "ready\n":
            raise SystemExit(f"instance {number} does not start")


class Caller(harness.Child):
    def __init__(self, build, center):
        super().__init__([f"{build}/bench/bench_balance", "caller", center.target, str(INSTANCES)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, *words):
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the caller ended")
        return json.loads(line)

    def run(self, args, seconds, what):
        harness.progress(what)
        return self.ask("run", args.rate, seconds)


def share(result, number):
    return 100 * result["instances"][number] / max(result["calls"], 1)


def back(what, result, number):
    figure = share(result, number)
    return harness.holds(f"{what}, in the second that follows", figure >= FAIR / 2, f"{figure:.1f} %, fair is {FAIR:.0f} %")


def choice(args, count):
    result = subprocess.run([f"{args.build}/bench/bench_choice", str(count)], stdout=subprocess.PIPE, text=True, check=True)
    return harness.row(f"a choice among {count:,}: the center's time", float(result.stdout), "ns", digits=0)


def measure(args):
    center = harness.Center(args.build, ["--suite", args.suite, "--log-level", "error"])
    for number in range(INSTANCES):
        Instance(args.build, center, number)
    caller = Caller(args.build, center)
    caller.run(args, 2, "all are well")
    well = caller.run(args, 3, "all are well")
    caller.ask("become", FAILING, "failing")
    caller.ask("become", SLOW, "slow")
    turn = caller.run(args, 1, "one fails, one is slow")
    ill = caller.run(args, 8, "one fails, one is slow")
    caller.ask("become", FAILING, "good")
    caller.ask("become", SLOW, "good")
    seconds = [caller.run(args, 1, "both have recovered") for _ in range(6)]
    for number in range(INSTANCES):
        caller.ask("weigh", number, {0: 100, 1: 200, 2: 400}.get(number, 0))
    caller.run(args, 1, "weights 1, 2 and 4")
    weighed = caller.run(args, 4, "weights 1, 2 and 4")
    harness.Child.end_all()

    off = max(abs(share(weighed, n) / expected - 1) for n, expected in enumerate((100 / 7, 200 / 7, 400 / 7)))
    others = sum(weighed["instances"][3:])
    rows = [
        harness.row("calls a second", ill["calls"] / ill["seconds"], "", digits=0),
        harness.row("most that one instance gets while all are well", max(share(well, n) for n in range(INSTANCES)), "%", digits=1,
                    note=f"least {min(share(well, n) for n in range(INSTANCES)):.1f} %"),
        harness.row("share of the one that fails at once", share(ill, FAILING), "%", 2, 2,
                    note=f"{share(turn, FAILING):.2f} % in the first second"),
        harness.row("share of the one that is ten times slower", share(ill, SLOW), "%", 4, 2,
                    note=f"{share(turn, SLOW):.2f} % in the first second"),
        harness.row("calls that failed meanwhile", 100 * ill["failed"] / max(ill["calls"], 1), "%", digits=2),
        harness.row("p99 of all calls meanwhile", ill["p99_ms"], "ms", digits=1, note=f"{well['p99_ms']:.1f} ms while all are well"),
        back("five seconds after it recovered: the one that failed", seconds[5], FAILING),
        back("five seconds after it recovered: the one that was slow", seconds[5], SLOW),
        harness.row("weights 1, 2 and 4: farthest from that", 100 * off, "%", 5, 1,
                    note=" : ".join(f"{share(weighed, n):.1f}" for n in range(3)) + " %"),
        harness.holds("weight 0 gets nothing", others == 0, "" if others == 0 else f"{others} calls"),
        *(choice(args, count) for count in (10, 1000, 100000)),
    ]
    shares = ", ".join(f"{share(s, FAILING):.1f} and {share(s, SLOW):.1f} %" for s in seconds)
    return rows, [f"Shares of the two in each second after they recovered: {shares}."]


def main():
    parser = harness.options("balance", __doc__)
    parser.add_argument("--rate", type=float, default=2000, help="calls a second (default 2000)")
    parser.add_argument("--suite", choices=["plain", "check", "paper"], default="plain", help="(default plain)")
    args = parser.parse_args()
    return harness.run(args, "balance", f"{args.rate:g} calls a second to {INSTANCES} instances, suite {args.suite}", measure)


if __name__ == "__main__":
    sys.exit(main())
