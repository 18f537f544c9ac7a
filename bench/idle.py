#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""script/bench idle: what a connection costs that does nothing but live.

Clients join, from several loopback addresses, and answer heartbeats. A process may have only so many descriptors: a load process or a
center that would need more than its hard limit gives gets help from another, and the notes say so. Resident memory is compared before
and after; the processor time is the center's, while nothing but heartbeats runs, at the default limits. Then as many as it may take
connect to nats-server: CONNECT, PING, and PONG when it asks; its own pings come every two minutes.
"""

import json
import subprocess
import sys
import time

import harness

SPARE = 100  # descriptors that are none of the connections
SOURCES = 4
KIB = 1024
TARGET_KIB = 2
TARGET_TLS_KIB = 24
IDLE_SECONDS = 10  # heartbeat_idle
BEATS_MAX = 3000  # heartbeats_per_second_max; centers that stand for one share it


def split(count, most):
    """count in parts of at most `most`, as equal as can be."""
    parts = -(-count // most)
    return [count // parts + (1 if i < count % parts else 0) for i in range(parts)]


def hold(args, server, kind, count, wait):
    """Load processes that hold so many connections to the server."""
    loads = []
    for number, part in enumerate(split(count, harness.descriptors() - SPARE)):
        load = harness.Load(args.build, server, prefix=f"idle{number}", members=part, sources=SOURCES)
        load.tell("open", kind, part, wait)
        loads.append((load, load.answer()))
    return loads


def settle(server):
    """Until the memory does not change any more."""
    last, now = 0, server.resident()
    deadline = time.monotonic() + 5
    while now != last and time.monotonic() < deadline:
        time.sleep(0.5)
        last, now = now, server.resident()
    return now


def run_posthouse(args):
    """Memory for a connection, share of a core, how many, centers."""
    per_center = harness.descriptors() - SPARE
    parts = split(args.connections, per_center)
    options = ["--suite", args.suite, "--log-level", "error", "--connections-max", str(max(parts)), "--connections-joining-max",
               str(max(parts)), "--heartbeats-per-second-max", str(BEATS_MAX // len(parts))]
    centers = [harness.Center(args.build, options) for _ in parts]
    before = [settle(c) for c in centers]
    loads = []
    for number, (center, part) in enumerate(zip(centers, parts)):
        harness.progress(f"center {number + 1} of {len(parts)}: {part:,} clients join")
        loads += hold(args, center, "joined", part, 60)
    held = sum(answer["joined"] for _, answer in loads)
    after = [settle(c) for c in centers]
    harness.progress(f"heartbeats of {held:,} clients, for {args.seconds:g} s")
    start, ran = time.monotonic(), sum(c.cpu() for c in centers)
    beats = sum(load.ask("count")["heartbeats"] for load, _ in loads)
    time.sleep(args.seconds)
    beats = sum(load.ask("count")["heartbeats"] for load, _ in loads) - beats
    ran, took = sum(c.cpu() for c in centers) - ran, time.monotonic() - start
    end = [c.resident() for c in centers]
    harness.Child.end_all()
    return {
        "held": held,
        "centers": len(centers),
        "bytes": (sum(after) - sum(before)) / held,
        "bytes_end": (sum(end) - sum(before)) / held,
        "core": 100 * ran / took,
        "beats": beats / took,
        "beat_us": 1e6 * ran / max(beats, 1),
    }


def run_nats(args, count):
    server = harness.NatsServer()
    time.sleep(0.5)
    before = settle(server)
    harness.progress(f"{count:,} clients connect to nats-server")
    loads = hold(args, server, "nats", count, 60)
    held = sum(answer["raw"] for _, answer in loads)
    time.sleep(2)
    held = min(held, sum(load.ask("count")["raw"] for load, _ in loads))
    after = settle(server)
    start, ran = time.monotonic(), server.cpu()
    time.sleep(min(args.seconds, 5))
    ran, took = server.cpu() - ran, time.monotonic() - start
    harness.Child.end_all()
    return {"held": held, "bytes": (after - before) / max(held, 1), "core": 100 * ran / took}


class Holder(harness.Child):
    """bench/hold_tls.c: so many TLS connections, which stay until it is ended."""

    def __init__(self, args, system, target, ca, count):
        super().__init__([f"{args.build}/bench/hold_tls", "--system", system, "--target", target, "--ca", ca, "--count", str(count)],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.count = json.loads(self.process.stdout.readline() or '{"held": 0}')["held"]


def held_in_tls(args, system, make, count, credentials):
    """Memory for a connection, and how many, over as many servers as it takes."""
    bytes_all = held = servers = 0
    for part in split(count, harness.descriptors() - SPARE):
        server = make()
        time.sleep(0.5)
        before = settle(server)
        harness.progress(f"{part:,} TLS connections to {system}")
        holder = Holder(args, system, server.target.removeprefix("tls:"), credentials.ca, part)
        bytes_all += settle(server) - before
        held += holder.count
        servers += 1
    harness.Child.end_all()
    return {"bytes": bytes_all / max(held, 1), "held": held, "servers": servers}


def measure_tls(args):
    credentials = harness.Credentials(args.build)
    options = ["--log-level", "error", "--heartbeat-idle", "1h", *credentials.center_options()]
    ours = held_in_tls(args, "posthouse", lambda: harness.Center(args.build, options, listen="tls:127.0.0.1:0"), args.connections, credentials)
    rows = [
        harness.row("TLS connections held", ours["held"], "", args.connections, 0, least=True),
        harness.row("resident memory per connection", ours["bytes"] / KIB, "KiB", TARGET_TLS_KIB, 2),
    ]
    if not args.no_nats:
        count = min(args.connections, harness.descriptors() - SPARE)
        theirs = held_in_tls(args, "nats", lambda: harness.NatsServer(options=credentials.nats_options()), count, credentials)
        rows.append(harness.row("nats-server: TLS connections held", theirs["held"], "", digits=0))
        rows.append(harness.row("nats-server: resident memory per connection", theirs["bytes"] / KIB, "KiB", digits=2))
    notes = [f"{ours['servers']} centers held them: a process here has {harness.descriptors():,} descriptors."] if ours["servers"] > 1 else []
    return rows, notes


def beat_rows(args, ours):
    if not ours["beats"]:
        return [harness.row("heartbeats", ours["core"], "% of a core", digits=2, note=f"none was due in {args.seconds:g} s: --seconds 20 sees some")]
    bound = ", as heartbeats_per_second_max allows" if ours["held"] > IDLE_SECONDS * BEATS_MAX else ""
    return [
        harness.row("heartbeats", ours["core"], "% of a core", 5, 2),
        harness.row("    answered in a second", ours["beats"], "", digits=0, note=f"each client every {ours['held'] / ours['beats']:.0f} s{bound}"),
        harness.row("    processor time of each", ours["beat_us"], "us", digits=1),
    ]


def measure(args):
    ours = run_posthouse(args)
    rows = [
        harness.row("connections held", ours["held"], "", digits=0),
        harness.row("resident memory per connection", ours["bytes"] / KIB, "KiB", TARGET_KIB, 2),
        harness.row("the same after the heartbeats", ours["bytes_end"] / KIB, "KiB", TARGET_KIB, 2),
    ] + beat_rows(args, ours)
    notes = []
    if ours["held"] < args.connections:
        rows.append(harness.holds("all connections were held", False))
    if ours["centers"] > 1:
        notes.append(f"This machine gives a process {harness.descriptors():,} descriptors and no right to raise that: {ours['centers']} centers "
                     f"held the connections together, each with its share of heartbeats_per_second_max. Memory and processor time are the sums of all.")
    if not args.no_nats:
        theirs = run_nats(args, min(args.connections, harness.descriptors() - SPARE))
        rows.append(harness.row("nats-server: connections held", theirs["held"], "", digits=0))
        rows.append(harness.row("nats-server: resident memory per connection", theirs["bytes"] / KIB, "KiB", digits=2))
        rows.append(harness.row("nats-server: processor", theirs["core"], "% of a core", digits=2, note="it pings every 2 minutes"))
    return rows, notes


def main():
    parser = harness.options("idle", __doc__)
    parser.add_argument("--connections", type=int, help="(default 50,000; in TLS 20,000)")
    parser.add_argument("--tls", action="store_true", help="in TLS, without heartbeats")
    parser.add_argument("--seconds", type=harness.positive(float), default=20, help="of heartbeats (default 20)")
    parser.add_argument("--suite", choices=["plain", "check", "paper"], default="plain", help="(default plain)")
    parser.add_argument("--no-nats", action="store_true", help="leave nats-server out")
    args = parser.parse_args()
    args.connections = args.connections or (20000 if args.tls else 50000)
    if args.tls:
        return harness.run(args, "idle --tls", f"{args.connections:,} idle connections in TLS", measure_tls)
    return harness.run(args, "idle", f"{args.connections:,} idle connections, suite {args.suite}", measure)


if __name__ == "__main__":
    sys.exit(main())
