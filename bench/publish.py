#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""script/bench publish: events from one client to another, through a bare relay, ZeroMQ, nats-server and posthouse, side by side.

What is counted is what the receiver was given, in order and without a gap (else the run fails). The sender must not outrun it: at most a
window of events is under way, and the receiver acknowledges each quarter of one, on the same way back. Each system has the window that
was fastest for it here.
"""

import sys

import harness
import peers

PAYLOADS = [128, 16]
SYSTEMS = ["relay", "zmq", "nats", "posthouse"]
WINDOW = {"relay": 16384, "zmq": 65536, "nats": 65536, "posthouse": 16384}
SEND_BUFFER = ["--send-buffer-max", "64MiB"]  # a window must fit
TIMES_NATS = 6


def pairs_of(args, servers):
    pairs = []
    for payload in args.payload or PAYLOADS:
        for system in args.system or SYSTEMS:
            for suite in (args.suite or peers.SUITES) if system == "posthouse" else [None]:
                window = args.window or WINDOW[system]
                options = ["--in-flight", window, "--payload", payload]
                pairs.append((peers.pair(servers, "publish", system, suite, f"sink-{payload}", options), payload, window))
    return pairs


def rows_of(args, pairs):
    results = peers.collect(args.rounds, pairs, lambda key: peers.measured(key[0].server, key[0].command(args.seconds)))
    rows = []
    for (pair, payload, window), measurements in results.items():
        row = {"benchmark": "publish", "system": pair.system, "suite": pair.suite, "payload": payload, "in_flight": window}
        rows.append(row | peers.medians(measurements, ("server_cores", "per_second")))
    return rows


def main():
    parser = peers.parser("publish", __doc__, rounds=7, seconds=0.5)
    parser.add_argument("--payload", type=int, action="append", help="bytes of an event, at least 8 (default 128 and 16; may be repeated)")
    parser.add_argument("--suite", action="append", choices=peers.SUITES, help="suites of posthouse (default all; may be repeated)")
    parser.add_argument("--system", action="append", choices=SYSTEMS, help="(default all; may be repeated)")
    parser.add_argument("--window", type=int, help="events under way at a time (default: what is best for each)")
    args = peers.arguments(parser)
    rows = rows_of(args, pairs_of(args, peers.Servers(args, SEND_BUFFER + args.center_option)))

    def base(row, system):
        return peers.find(rows, system=system, payload=row["payload"])

    columns = [("bytes", ">", lambda r: str(r["payload"])), ("system", "<", lambda r: r["system"]), ("suite", "<", lambda r: r["suite"] or "-"),
               ("window", ">", lambda r: f"{r['in_flight']:,}"), ("per second", ">", peers.figure), ("range", ">", peers.spread),
               ("server's cores", ">", lambda r: f"{r['server_cores']:.2f}"),
               ("rate / relay", ">", lambda r: peers.ratio(r, base(r, "relay"))), ("rate / nats", ">", lambda r: peers.ratio(r, base(r, "nats")))]
    targets = []
    for payload in args.payload or PAYLOADS:
        nats, ours = peers.find(rows, system="nats", payload=payload), peers.find(rows, suite="plain", payload=payload)
        if nats and ours:
            targets.append(harness.row(f"{payload} bytes: rate, times nats-server's", ours["per_second"] / nats["per_second"], "", TIMES_NATS, 2,
                                       least=True))
    title = "publish, one to one: deliveries a second"
    return peers.report(args, "publish", title, (rows, columns), targets, args.system or SYSTEMS)


if __name__ == "__main__":
    sys.exit(peers.run("publish", main))
