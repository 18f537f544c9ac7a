#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""script/bench fanout: one publisher's events to ten and to a hundred subscribers of a topic, through nats-server, mosquitto, ZeroMQ and posthouse.

What is counted is deliveries. Both ends are raw sockets, the same for all systems (bench/fanout.c), so that the server is what is measured: one
process publishes, one holds all subscribers, of which each tenth looks at its events (in order and without a gap, else the run fails), and
the others count bytes. Where it is not said otherwise, nats-server and a center in suite plain are also measured with subscribers that all do. Between two turns they pause for 50 us where that was faster, so that the server need not wake them at each write.
The publisher is at most a window of events ahead of the slowest subscriber, of whose progress it learns past the server.
Each system has the window that was fastest for it here. mosquitto: quality of service 0; ZeroMQ: zmq_proxy of XSUB and XPUB.
"""

import sys

import harness
import peers

SUBSCRIBERS = [10, 100]
SYSTEMS = ["zmq", "mosquitto", "nats", "posthouse"]
WIRE = {"zmq": "zmtp", "mosquitto": "mqtt", "nats": "nats", "posthouse": "posthouse"}
WINDOW = {"zmq": (1024, 4096), "mosquitto": (1024, 1024), "nats": (2048, 2048), "posthouse": (4096, 2048)}  # up to ten subscribers; more
PAUSE_US = {"zmq": (50, 50), "mosquitto": (50, 50), "nats": (0, 200), "posthouse": (50, 200)}  # of the same, each
SEND_BUFFER = ["--send-buffer-max", "64MiB"]  # a window must fit
TIMES_NATS = 4
CHECKED = 10  # every tenth subscriber looks at its events
ALL = 1


class Run:
    def __init__(self, args, servers, ends, subscribers, checked):
        self.system, self.suite, self.workers = ends
        self.subscribers = subscribers
        self.checked = checked
        self.window = args.window or WINDOW[self.system][subscribers > 10]
        self.target = []
        if self.system == "zmq":
            self.server = servers.zmq("pubsub")
            front, back = self.server.line.split()
            self.target = ["--target", back, "--publish-target", front]
        else:
            self.server = {"mosquitto": servers.mosquitto, "nats": servers.nats, "posthouse": lambda: servers.center(self.suite, self.workers)}[self.system]()
            self.target = ["--target", self.server.target]
        self.argv = [f"{args.build}/bench/bench_fanout", "--system", WIRE[self.system], *self.target, "--subscribers", subscribers,
                     "--processes", args.processes, "--checked", checked, "--pause-us", PAUSE_US[self.system][subscribers > 10],
                     "--window", self.window, "--payload", args.payload, "--seconds", args.seconds]

    def measure(self):
        return peers.measured(self.server, self.argv)


def ends_of(args):
    """(system, suite, workers), and which subscribers look at their events"""
    for system in args.system or SYSTEMS:
        if system != "posthouse":
            yield (system, None, None), args.checked or CHECKED
            continue
        for suite in args.suite or peers.SUITES:
            for workers in args.workers or [1]:
                yield (system, suite, workers), args.checked or CHECKED
    for ends in (("nats", None, None), ("posthouse", "plain", 1)):
        if not args.checked and ends[0] in (args.system or SYSTEMS) and ends[1] in [None, *(args.suite or peers.SUITES)]:
            yield ends, ALL


def targets_of(rows, counts, checked, target):
    """nats-server takes the cores there are; so may a center, by its workers."""
    targets = []
    all_read = ", all read" if checked == ALL else ""
    for count in counts:
        theirs = peers.find(rows, system="nats", subscribers=count, checked=checked)
        ours = [row for row in rows if row["suite"] == "plain" and row["subscribers"] == count and row["checked"] == checked]
        if theirs and ours:
            best = max(ours, key=lambda row: row["per_second"])
            note = "with one worker" if best["workers"] == 1 else f"with {best['workers']} workers"
            targets.append(harness.row(f"one to {count}{all_read}: deliveries, times nats-server's", best["per_second"] / theirs["per_second"], "", target,
                                       2, note, least=True))
    return targets


def rows_of(args, runs):
    rows = []
    for run, measurements in peers.collect(args.rounds, runs, lambda run: run.measure()).items():
        row = {"benchmark": "fanout", "system": run.system, "suite": run.suite, "workers": run.workers, "payload": args.payload, "subscribers": run.subscribers,
               "checked": run.checked, "in_flight": run.window}
        rows.append(row | peers.medians(measurements, ("server_cores", "per_second")))
    return rows


def main():
    parser = peers.parser("fanout", __doc__, rounds=7, seconds=0.5)
    parser.add_argument("--subscribers", type=int, action="append", help="(default 10 and 100; may be repeated)")
    parser.add_argument("--payload", type=int, default=128, help="bytes of an event, 8 to 2,048 (default 128)")
    parser.add_argument("--suite", action="append", choices=peers.SUITES, help="suites of posthouse (default all; may be repeated)")
    parser.add_argument("--system", action="append", choices=SYSTEMS, help="(default all; may be repeated)")
    parser.add_argument("--window", type=int, help="events under way at a time, a multiple of four (default: what is best for each)")
    parser.add_argument("--checked", type=int, help="every Nth subscriber looks at its events (default 10, and 1, which is all, beside nats-server)")
    parser.add_argument("--processes", type=int, default=1, help="that hold the subscribers (default 1)")
    parser.add_argument("--workers", type=int, action="append", help="of the center (default 1; may be repeated)")
    args = peers.arguments(parser)
    counts = args.subscribers or SUBSCRIBERS
    servers = peers.Servers(args, SEND_BUFFER + args.center_option)
    runs = [Run(args, servers, ends, count, checked) for count in counts for ends, checked in ends_of(args)]
    rows = rows_of(args, runs)

    def nats(row):
        return peers.find(rows, system="nats", subscribers=row["subscribers"], checked=row["checked"])

    columns = [("subscribers", ">", lambda r: str(r["subscribers"])), ("look", "<", lambda r: "all" if r["checked"] == ALL else f"1 of {r['checked']}"),
               ("system", "<", lambda r: r["system"]),
               ("suite", "<", lambda r: r["suite"] or "-"), ("workers", ">", lambda r: str(r["workers"] or "-")), ("window", ">", lambda r: f"{r['in_flight']:,}"),
               ("deliveries a second", ">", peers.figure), ("range", ">", peers.spread),
               ("server's cores", ">", lambda r: f"{r['server_cores']:.2f}"), ("rate / nats", ">", lambda r: peers.ratio(r, nats(r)))]
    title = f"fan-out: deliveries a second of {args.payload} bytes"
    targets = targets_of(rows, counts, args.checked or CHECKED, TIMES_NATS) + ([] if args.checked else targets_of(rows, counts, ALL, None))
    return peers.report(args, "fanout", title, (rows, columns), targets, args.system or SYSTEMS)


if __name__ == "__main__":
    sys.exit(peers.run("fanout", main))
