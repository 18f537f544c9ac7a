#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""script/bench suite: what the suites check and paper cost, of plain's throughput in the same run.

Request/reply with 512 calls in flight, where the center, both ends and the kernel are all busy: what is shown is the share of the calls a
second that a suite takes away. The cost is that of the ratio in each round, between measurements that are neighbours; of many short rounds
the median is shown, how far it is likely off, and where half of the rounds were. Caller and responder have one connection each, or several
in one loop which share the calls in flight (--pairs), as a gateway has, or a process with several accounts.
"""

import sys

import harness
import peers

AT_MOST = {"check": 10, "paper": 35}  # percent
PAIRS = [1, 8]


def pair_of(args, servers, key):
    pairs, suite = key
    options = ["--in-flight", args.in_flight, "--pairs", pairs, "--payload", args.payload]
    return peers.pair(servers, "rr", "posthouse", suite, f"echo-of-{pairs}", options)


def rows_of(args, results):
    rows = []
    for (pairs, suite), measurements in results.items():
        costs = [100 * (1 - m["per_second"] / plain["per_second"]) for m, plain in zip(measurements, results[pairs, "plain"])]
        row = {"benchmark": "suite", "system": "posthouse", "pairs": pairs, "suite": suite, "payload": args.payload, "in_flight": args.in_flight}
        names = ("cost_percent", "cost_percent_error", "cost_percent_first_quartile", "cost_percent_third_quartile")
        rows.append(row | peers.medians(measurements, ("p50_us", "p99_us", "server_cores", "per_second")) |
                    {name: round(value, 1) for name, value in zip(names, peers.middle(costs))})
    return rows


def main():
    parser = peers.parser("suite", __doc__, rounds=25, seconds=0.25)
    parser.add_argument("--payload", type=int, default=128, help="bytes there and back (default 128)")
    parser.add_argument("--in-flight", type=int, default=512, help="calls open at a time, of all connections together (default 512)")
    parser.add_argument("--pairs", type=harness.positive(int), action="append",
                        help=f"connections at either end (default {', '.join(map(str, PAIRS))}; may be repeated)")
    args = peers.arguments(parser)
    servers = peers.Servers(args, args.center_option)
    keys = [(pairs, suite) for pairs in args.pairs or PAIRS for suite in peers.SUITES]
    ends = {key: pair_of(args, servers, key) for key in keys}
    rows = rows_of(args, peers.collect(args.rounds, keys, lambda key: peers.measured(ends[key].server, ends[key].command(args.seconds))))
    columns = [("pairs", ">", lambda r: str(r["pairs"])), ("suite", "<", lambda r: r["suite"]), ("p50", ">", lambda r: f"{r['p50_us']:,.1f} us"),
               ("p99", ">", lambda r: f"{r['p99_us']:,.1f} us"), ("per second", ">", peers.figure), ("range", ">", peers.spread),
               ("cost", ">", lambda r: f"{r['cost_percent']:.1f} %"), ("likely off by", ">", lambda r: f"{r['cost_percent_error']:.1f} %"),
               ("half of the rounds", ">", lambda r: f"{r['cost_percent_first_quartile']:.1f} to {r['cost_percent_third_quartile']:.1f} %")]
    targets = [harness.row(f"suite {row['suite']}, {row['pairs']} pair{'s' * (row['pairs'] > 1)}: costs of plain's throughput", row["cost_percent"], "%",
                           AT_MOST[row["suite"]]) for row in rows if row["suite"] in AT_MOST]
    title = f"suites: request/reply, {args.payload} bytes there and back, {args.in_flight} in flight"
    return peers.report(args, "suite", title, (rows, columns), targets, ["posthouse"])


if __name__ == "__main__":
    sys.exit(peers.run("suite", main))
