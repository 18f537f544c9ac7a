#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""script/bench rates: latency against load. Request/reply at fixed rates, up to what each system can do, open loop.

Each call is due at its time, whatever became of those before it, and its latency runs from when it was due: a system that stalls answers
for every call that was due meanwhile. A system is saturated where it completes less than 97 % of what is asked of it; there its line ends.
--plot FOLDER writes the curves as SVG.
"""

import os
import sys

import peers
import svg

RATES = [1000, 5000, 20000, 50000, 100000, 200000, 500000, 1000000, 2000000, 4000000]
SYSTEMS = ["relay", "nats", "posthouse"]
IN_FLIGHT = 4096  # at most so many are open; who is slower waits, and that is latency, too
SATURATED = 0.97
GIVEN_UP = 0.9  # in one round: a hiccup of the machine is not yet the end of a line
GATHER_FROM = 150000  # calls a second from which on libnats is faster when its flusher gathers
PLOTS = [("p50_us", "latency-p50.svg", "median"), ("p99_us", "latency-p99.svg", "99th percentile")]


def runs_of(args, servers):
    """(system, suite, pairs); of nats there are two: one sends at once, one gathers."""
    runs = []
    for system in args.system or SYSTEMS:
        for suite in (args.suite or peers.SUITES) if system == "posthouse" else [None]:
            pairs = []
            for gather in [0, 1] if system == "nats" else [0]:
                options = ["--in-flight", IN_FLIGHT, "--payload", args.payload, "--gather", gather]
                pairs.append(peers.pair(servers, "rr", system, suite, f"echo-{gather}", options))
            runs.append((system, suite, pairs))
    return runs


def rows_of(args, servers):
    """A system that was saturated once is not asked for more."""
    runs = runs_of(args, servers)
    keys = [(system, suite, rate, pairs[len(pairs) > 1 and rate >= GATHER_FROM]) for rate in args.rate or RATES for system, suite, pairs in runs]
    most = {}  # rate at which it was saturated

    def measure(key):
        system, suite, rate, pair = key
        if rate > most.get((system, suite), rate):
            return None
        said = peers.act([*pair.command(args.seconds), "--rate", rate])
        if said["per_second"] < GIVEN_UP * rate:
            most[(system, suite)] = rate
        return said

    rows = []
    for (system, suite, rate, _), measurements in peers.collect(args.rounds, keys, measure).items():
        done = [m for m in measurements if m is not None]
        if len(done) == args.rounds:
            row = {"benchmark": "rates", "system": system, "suite": suite, "payload": args.payload, "rate": rate}
            row |= peers.medians(done, ("p50_us", "per_second", "p99_us"))
            rows.append(row | {"is_saturated": row["per_second"] < SATURATED * rate})
    return rows


def write_plots(args, rows):
    names = list(dict.fromkeys((row["system"], row["suite"]) for row in rows))
    os.makedirs(args.plot, exist_ok=True)
    for key, file_name, what in PLOTS:
        lines = []
        for number, (system, suite) in enumerate(names):
            points = [(row["rate"], row[key]) for row in rows if (row["system"], row["suite"]) == (system, suite) and not row["is_saturated"]]
            if points:
                lines.append((f"{system} {suite or ''}".strip(), number, suite is None, points))
        labels = {"title": f"Latency of a call against load, {what}", "x": "calls a second", "y": "microseconds from when it was due"}
        with open(f"{args.plot}/{file_name}", "w", encoding="utf-8") as file:
            file.write(svg.plot(labels, lines))


def main():
    parser = peers.parser("rates", __doc__, rounds=5, seconds=0.5)
    parser.add_argument("--payload", type=int, default=128, help="bytes there and back (default 128)")
    parser.add_argument("--rate", type=int, action="append", help="calls a second (default 1,000 to 4,000,000; may be repeated)")
    parser.add_argument("--suite", action="append", choices=peers.SUITES, help="suites of posthouse (default all; may be repeated)")
    parser.add_argument("--system", action="append", choices=SYSTEMS, help="(default all; may be repeated)")
    parser.add_argument("--plot", metavar="FOLDER", help="write latency-p50.svg and latency-p99.svg there")
    args = peers.arguments(parser)
    servers = peers.Servers(args, ["--calls-per-client-max", str(IN_FLIGHT), *args.center_option])
    rows = rows_of(args, servers)
    if args.plot:
        write_plots(args, rows)
    columns = [("asked for", ">", lambda r: f"{r['rate']:,}"), ("system", "<", lambda r: r["system"]), ("suite", "<", lambda r: r["suite"] or "-"),
               ("done a second", ">", peers.figure), ("p50", ">", lambda r: f"{r['p50_us']:,.1f} us"), ("p99", ">", lambda r: f"{r['p99_us']:,.1f} us"),
               ("range of p99", ">", lambda r: f"{r['p99_us_min']:,.0f} to {r['p99_us_max']:,.0f} us"),
               ("", "<", lambda r: "saturated" if r["is_saturated"] else "")]
    title = f"request/reply at fixed rates, {args.payload} bytes there and back, latency from when a call was due"
    return peers.report(args, "rates", title, (rows, columns), [], args.system or SYSTEMS)


if __name__ == "__main__":
    sys.exit(peers.run("rates", main))
