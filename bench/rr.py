#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""script/bench rr: request/reply through a bare relay, ZeroMQ, nats-server and posthouse, side by side.

Closed loop: a caller keeps so many calls in flight, and makes the next as soon as one ends.
"""

import sys

import harness
import peers

WINDOWS = [1, 64, 512]
SYSTEMS = ["relay", "zmq", "nats", "posthouse"]
GATHER_FROM = 65  # calls in flight from which on libnats is faster when its flusher gathers; below it waiting for that is not

# Shows 1 and 2: of suite plain. (in flight, way, key, beside whom, target, at least)
TARGETS = [
    (1, "tcp", "p50_us", "relay", 1.25, False),
    (1, "tcp", "p99_us", "relay", 1.5, False),
    (64, "tcp", "per_second", "nats", 15, True),
    (64, "unix", "per_second", "nats", 15, True),
    (512, "tcp", "per_second", "nats", 8, True),
    (512, "tcp", "per_second", "relay", 0.33, True),
    (512, "tls", "per_second", "nats", 4, True),
]
NAMES = {"p50_us": "p50", "p99_us": "p99", "per_second": "rate"}


def pair_of(args, servers, system, kind, window):
    suite, way = kind
    options = ["--in-flight", window, "--payload", args.payload]
    if system == "nats":
        options += ["--gather", int(window >= GATHER_FROM)]
    return peers.pair(servers, "rr", system, suite, f"echo-{window}", options, way)


def rows_of(args, pairs):
    """A row for each pair: medians over its rounds."""
    results = peers.collect(args.rounds, pairs, lambda key: peers.measured(key[0].server, key[0].command(args.seconds)))
    rows = []
    for (pair, window), measurements in results.items():
        row = {"benchmark": "rr", "system": pair.system, "suite": pair.suite, "way": pair.way, "payload": args.payload, "in_flight": window}
        rows.append(row | peers.medians(measurements, ("p50_us", "p99_us", "server_cores", "per_second")))
    return rows


def targets_of(rows):
    targets = []
    for window, way, key, beside, target, least in TARGETS:
        ours, theirs = peers.find(rows, in_flight=window, suite="plain", way=way), peers.find(rows, in_flight=window, system=beside)
        if ours and theirs:
            what = f"{window} in flight{'' if way == 'tcp' else ', ' + way}: {NAMES[key]}, times {'nats-server' if beside == 'nats' else beside}'s"
            targets.append(harness.row(what, ours[key] / theirs[key], "", target, 2, least=least))
    return targets


def main():
    parser = peers.parser("rr", __doc__, rounds=7, seconds=0.5)
    parser.add_argument("--payload", type=int, default=128, help="bytes there and back (default 128)")
    parser.add_argument("--in-flight", type=int, action="append", help="calls open at a time (default 1, 64 and 512; may be repeated)")
    parser.add_argument("--suite", action="append", choices=peers.SUITES, help="suites of posthouse (default all; may be repeated)")
    parser.add_argument("--system", action="append", choices=SYSTEMS, help="(default all; may be repeated)")
    peers.add_way(parser, peers.WAYS)
    parser.add_argument("--tls", action="store_true", help="nats-server and posthouse, both in TLS 1.3")
    args = peers.arguments(parser)
    systems = args.system or SYSTEMS
    if args.tls:
        args.way, systems = [peers.TLS], ["nats", "posthouse"]
    servers = peers.Servers(args, args.center_option)
    pairs = [(pair_of(args, servers, system, kind, window), window) for window in args.in_flight or WINDOWS for system in systems
             for kind in peers.kinds(args, system)]
    rows = rows_of(args, pairs)

    def base(row, system):
        return peers.find(rows, system=system, in_flight=row["in_flight"])

    columns = [("in flight", ">", lambda r: str(r["in_flight"])), ("system", "<", lambda r: r["system"]), ("suite", "<", lambda r: r["suite"] or "-"),
               ("way", "<", lambda r: r["way"]),
               ("p50", ">", lambda r: f"{r['p50_us']:,.1f} us"), ("p99", ">", lambda r: f"{r['p99_us']:,.1f} us"),
               ("per second", ">", peers.figure), ("range", ">", peers.spread),
               ("p50 / relay", ">", lambda r: peers.ratio(r, base(r, "relay"), "p50_us")),
               ("rate / relay", ">", lambda r: peers.ratio(r, base(r, "relay"))), ("rate / nats", ">", lambda r: peers.ratio(r, base(r, "nats")))]
    title = f"request/reply{' in TLS' if args.tls else ''}, {args.payload} bytes there and back"
    return peers.report(args, "rr --tls" if args.tls else "rr", title, (rows, columns), targets_of(rows), systems)


if __name__ == "__main__":
    sys.exit(peers.run("rr", main))
