#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""script/bench many: request/reply over many connections, each with few calls in flight.

All callers are in one loop of one process, and so are all responders; each caller calls one responder. Of the bare relay and nats-server the ends
stand on sockets and epoll alone (bench/many.c), because libnats has threads for each connection; posthouse's use its public library, whose
clients share a loop. The relay cannot tell one caller from another, so it needs as many responders.
"""

import sys

import harness
import peers

# Connections of callers, connections of responders, and calls in flight of all together; where that is less, the others are idle.
KEYS = [(8, 8, 64), (8, 8, 512), (100, 100, 512), (100, 100, 1024), (1000, 1000, 1024), (1000, 1000, 8), (100, 8, 512), (1000, 8, 1024)]
SYSTEMS = ["relay", "nats", "posthouse"]
SUITES = ["plain", "check"]
WAYS = ["tcp", "unix"]


def bare(args, servers, system, name, options):
    """Ends of bench/many.c. The two ends of a relay are its whole world: there is one for each pair of them."""
    program = f"{args.build}/bench/bench_many"
    if system == "relay":
        server = peers.Program([program, "--role", "relay", *options])
        target = server.line
    else:
        server = servers.nats()
        target = server.target
    options = ["--name", name, *options]
    made = peers.Pair(system, None, "tcp", server, target, (program, f"caller-{system}", options))
    made.waiting = peers.Program([program, "--role", f"responder-{system}", "--target", target, *options])
    return made


def pair_of(args, servers, system, kind, key):
    callers, responders, window = key
    suite, way = kind
    options = [str(word) for word in ("--pairs", callers, "--responders", responders, "--in-flight", window, "--payload", args.payload)]
    name = f"many-{callers}-{responders}-{window}"
    if system == "posthouse":
        return peers.pair(servers, "rr", system, suite, name, options, way)
    return bare(args, servers, system, name, options)


def runs_of(args, servers, keys, systems):
    for key in keys:
        for system in systems:
            if system != "relay" or key[0] == key[1]:
                for kind in peers.kinds(args, system):
                    yield pair_of(args, servers, system, kind, key), key


def rows_of(args, runs):
    results = peers.collect(args.rounds, runs, lambda run: peers.measured(run[0].server, run[0].command(args.seconds)))
    rows = []
    for (pair, (callers, responders, window)), measurements in results.items():
        row = {"benchmark": "many", "system": pair.system, "suite": pair.suite, "way": pair.way, "payload": args.payload, "callers": callers,
               "responders": responders, "in_flight": window}
        rows.append(row | peers.medians(measurements, ("p50_us", "p99_us", "server_cores", "per_second")))
    return rows


def main():
    parser = peers.parser("many", __doc__, rounds=5, seconds=0.4)
    parser.add_argument("--payload", type=int, default=128, help="bytes there and back (default 128)")
    parser.add_argument("--callers", type=harness.positive(int),
                        help=f"connections that call, instead of the default: {', '.join(f'{c} to {r} with {w} in flight' for c, r, w in KEYS)}")
    parser.add_argument("--responders", type=harness.positive(int), help="connections that answer (with --callers; default as many)")
    parser.add_argument("--in-flight", type=harness.positive(int), help="calls open at a time, of all together (with --callers; default one each)")
    parser.add_argument("--suite", action="append", choices=peers.SUITES, help=f"suites of posthouse (default {', '.join(SUITES)}; may be repeated)")
    parser.add_argument("--system", action="append", choices=SYSTEMS, help="(default all; may be repeated)")
    peers.add_way(parser, WAYS)
    args = peers.arguments(parser)
    args.suite = args.suite or SUITES
    keys = [(args.callers, args.responders or args.callers, args.in_flight or args.callers)] if args.callers else KEYS
    systems = args.system or SYSTEMS
    servers = peers.Servers(args, args.center_option)
    rows = rows_of(args, list(runs_of(args, servers, keys, systems)))

    def base(row, system):
        return peers.find(rows, system=system, callers=row["callers"], responders=row["responders"], in_flight=row["in_flight"])

    columns = [("callers", ">", lambda r: f"{r['callers']:,}"), ("responders", ">", lambda r: f"{r['responders']:,}"),
               ("in flight", ">", lambda r: f"{r['in_flight']:,}"), ("system", "<", lambda r: r["system"]), ("suite", "<", lambda r: r["suite"] or "-"),
               ("way", "<", lambda r: r["way"]), ("p50", ">", lambda r: f"{r['p50_us']:,.1f} us"), ("p99", ">", lambda r: f"{r['p99_us']:,.1f} us"),
               ("per second", ">", peers.figure), ("range", ">", peers.spread), ("rate / relay", ">", lambda r: peers.ratio(r, base(r, "relay"))),
               ("rate / nats", ">", lambda r: peers.ratio(r, base(r, "nats")))]
    title = f"request/reply over many connections, {args.payload} bytes there and back"
    return peers.report(args, "many", title, (rows, columns), [], systems)


if __name__ == "__main__":
    sys.exit(peers.run("many", main))
