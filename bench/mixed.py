#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""script/bench mixed: one call of a hundred takes 100 ms at its responder; do the others notice?

Open loop: calls are due at a fixed rate, and the latency of the fast ones is measured from when they were due. The same rate with and
without slow calls takes turns. A system in which a slow call stands in the way of those behind it shows it here.
"""

import sys

import harness
import peers

SYSTEMS = ["nats", "posthouse"]
SLOW_MS = 100
TIMES_QUIET = 1.2
IN_FLIGHT = 8192  # at most so many calls are open; the slow ones are a hundredth of a tenth of a second's


def main():
    parser = peers.parser("mixed", __doc__, rounds=11, seconds=0.6)
    parser.add_argument("--payload", type=int, default=128, help="bytes there and back (default 128)")
    parser.add_argument("--rate", type=float, default=20000, help="calls a second (default 20,000)")
    parser.add_argument("--slow-every", type=int, default=100, help="every Nth call is slow (default 100)")
    parser.add_argument("--suite", action="append", choices=peers.SUITES, help="suites of posthouse (default plain; may be repeated)")
    parser.add_argument("--system", action="append", choices=SYSTEMS, help="(default all; may be repeated)")
    args = peers.arguments(parser)
    servers = peers.Servers(args, ["--calls-per-client-max", str(IN_FLIGHT), *args.center_option])
    options = ["--in-flight", IN_FLIGHT, "--payload", args.payload, "--rate", args.rate, "--slow-ms", SLOW_MS]
    runs = []
    for system in args.system or SYSTEMS:
        for suite in (args.suite or ["plain"]) if system == "posthouse" else [None]:
            pair = peers.pair(servers, "rr", system, suite, "echo-mixed", options)
            runs += [(pair, slow) for slow in (0, args.slow_every)]
    results = peers.collect(args.rounds, runs, lambda run: peers.act([*run[0].command(args.seconds), "--slow-every", run[1]]))
    rows = []
    for (pair, slow), measurements in results.items():
        row = {"benchmark": "mixed", "system": pair.system, "suite": pair.suite, "payload": args.payload, "rate": args.rate, "slow_every": slow}
        rows.append(row | peers.medians(measurements, ("per_second", "p50_us", "p99_us")))

    def quiet(row):
        return peers.find(rows, system=row["system"], suite=row["suite"], slow_every=0)

    columns = [("system", "<", lambda r: r["system"]), ("suite", "<", lambda r: r["suite"] or "-"),
               ("slow calls", ">", lambda r: f"{100 / r['slow_every']:g} %" if r["slow_every"] else "none"),
               ("p50 of the fast", ">", lambda r: f"{r['p50_us']:,.1f} us"), ("p99 of the fast", ">", lambda r: f"{r['p99_us']:,.1f} us"),
               ("range of p99", ">", lambda r: f"{r['p99_us_min']:,.0f} to {r['p99_us_max']:,.0f} us"),
               ("p99 / quiet", ">", lambda r: peers.ratio(r, quiet(r), "p99_us"))]
    targets = [harness.row(f"p99 of the fast calls beside slow ones, suite {row['suite']}, times that without", row["p99_us"] / quiet(row)["p99_us"],
                           "", TIMES_QUIET, 2) for row in rows if row["system"] == "posthouse" and row["slow_every"]]
    title = f"mixed: {args.rate:,.0f} calls a second of {args.payload} bytes, some of which take {SLOW_MS} ms"
    return peers.report(args, "mixed", title, (rows, columns), targets, args.system or SYSTEMS)


if __name__ == "__main__":
    sys.exit(peers.run("mixed", main))
