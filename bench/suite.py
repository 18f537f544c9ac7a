#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""script/bench suite: what the suites check and paper cost, of plain's throughput in the same run.

Request/reply with 512 calls in flight, where the center, both ends and the kernel are all busy: what is shown is the share of the calls a
second that a suite takes away. The cost is that of the ratio in each round, of which the median is taken.
"""

import sys

import harness
import peers
import rr

AT_MOST = {"check": 10, "paper": 35}  # percent


def main():
    parser = peers.parser("suite", __doc__, rounds=9, seconds=0.5)
    parser.add_argument("--payload", type=int, default=128, help="bytes there and back (default 128)")
    parser.add_argument("--in-flight", type=int, default=512, help="calls open at a time (default 512)")
    args = parser.parse_args()
    servers = peers.Servers(args, args.center_option)
    pairs = {suite: rr.pair_of(args, servers, "posthouse", suite, args.in_flight) for suite in peers.SUITES}
    results = peers.collect(args.rounds, peers.SUITES, lambda suite: peers.measured(pairs[suite].server, pairs[suite].command(args.seconds)))
    rows = []
    for suite, measurements in results.items():
        costs = [100 * (1 - m["per_second"] / plain["per_second"]) for m, plain in zip(measurements, results["plain"])]
        row = {"benchmark": "suite", "system": "posthouse", "suite": suite, "payload": args.payload, "in_flight": args.in_flight}
        rows.append(row | peers.medians(measurements, ("p50_us", "p99_us", "server_cores", "per_second")) |
                    {"cost_percent": round(harness.median(costs), 1), "cost_percent_min": round(min(costs), 1),
                     "cost_percent_max": round(max(costs), 1)})
    columns = [("suite", "<", lambda r: r["suite"]), ("p50", ">", lambda r: f"{r['p50_us']:,.1f} us"), ("p99", ">", lambda r: f"{r['p99_us']:,.1f} us"),
               ("per second", ">", peers.figure), ("range", ">", peers.spread), ("cost", ">", lambda r: f"{r['cost_percent']:.1f} %"),
               ("range of the cost", ">", lambda r: f"{r['cost_percent_min']:.1f} to {r['cost_percent_max']:.1f} %")]
    targets = [harness.row(f"suite {row['suite']}: costs of plain's throughput", row["cost_percent"], "%", AT_MOST[row["suite"]])
               for row in rows if row["suite"] in AT_MOST]
    title = f"suites: request/reply, {args.payload} bytes there and back, {args.in_flight} in flight"
    return peers.report(args, "suite", title, (rows, columns), targets, ["posthouse"])


if __name__ == "__main__":
    sys.exit(peers.run("suite", main))
