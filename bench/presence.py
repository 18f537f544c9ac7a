#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""script/bench presence: 10,000 clients of whom 1,000 watch all the others.

One joins or leaves, or is killed with SIGKILL, and every watcher is told: over TCP, and over a Unix socket, as services on the center's
machine may connect. The watchers poll before they sleep, by the rule of the client library and with its default. Beside it stands the limit,
a program that does nothing but one send to each of as many sockets, and one that reads them (bench/presence_bare.c): with a reader that
polls likewise, and with one that sleeps. What happens after --calm is over, happens to sockets that were quiet for so long: from some 200 ms
on Linux acknowledges at once, inside the send, and all take longer. Then all connections are cut at once, and the clients come back by the rules of the client library; it ends when
every watcher's table equals what the clients themselves were told, compared by hash. The arithmetic minimum counts, for each watcher, the
entries of those of whom it must know another session than before, each once, without the heads of packets. bench/presence.c says how.
"""

import json
import subprocess
import sys
import tempfile

import harness

MB = 1e6
TARGET_MS = 5
PACKET_BYTES = 96  # a status with one entry, as these clients have
BUSY_POLL_US = 50  # PH_BUSY_POLL_US

EVENTS = (("one joins", "join"), ("one leaves", "leave"), ("one is killed with SIGKILL", "kill"))


def run(args, kind, folder):
    """What bench_presence says, over that kind of socket, and of the center: processor time, resident memory."""
    listen = "127.0.0.1:0" if kind == "TCP" else f"unix:{folder}/center"
    center = harness.Center(args.build, ["--suite", args.suite, "--workers", str(args.workers), "--log-level", "error"], nice=harness.FIRST, listen=listen)
    harness.progress(f"{kind}: {args.members:,} clients join, come and go, and are cut")
    ran = center.cpu()
    load = harness.Child([f"{args.build}/bench/bench_presence", center.target, str(args.members), str(args.watchers), str(args.rounds),
                          "1" if args.filtered else "0", f"{args.build}/bench/rr_posthouse", str(args.calm)],
                         nice=harness.FIRST, stdout=subprocess.PIPE)
    text, _ = load.process.communicate()
    ran = center.cpu() - ran
    resident = center.resident()
    center.end()
    if load.process.returncode != 0:
        raise SystemExit("the load failed")
    return json.loads(text), ran, resident


def bare(args, kind, poll_us):
    """The limit: as many sends, and nothing else."""
    limit = harness.Child([f"{args.build}/bench/presence_bare", kind.lower(), str(args.watchers), str(args.rounds), str(PACKET_BYTES), str(args.calm),
                           str(poll_us)],
                          nice=harness.FIRST, stdout=subprocess.PIPE)
    text, _ = limit.process.communicate()
    if limit.process.returncode != 0:
        raise SystemExit("the limit was not measured")
    return json.loads(text)


def told_rows(args, kind, r):
    rows = []
    for what, name in EVENTS:
        rows.append(harness.row(f"{kind}: {what}: a watcher knows, p50", r[name]["p50_ms"], "ms", digits=2))
        rows.append(harness.row(f"{kind}: {what}: a watcher knows, p99", r[name]["p99_ms"], "ms", TARGET_MS, 2, note=f"{r[name]['count']:,} times told"))
        rows.append(harness.row(f"{kind}: {what}: the last knows, p50", r[name]["last_ms"], "ms", digits=2, note=f"the slowest of all {r[name]['max_ms']:.2f} ms"))
    for how, poll_us in (("reader polls", BUSY_POLL_US), ("reader sleeps", 0)):
        limit = bare(args, kind, poll_us)
        rows.append(harness.row(f"{kind}: the limit, bare sends, {how}, p99", limit["p99_ms"], "ms", digits=2,
                                note=f"p50 {limit['p50_ms']:.2f} ms, the last {limit['last_ms']:.2f} ms"))
    return rows


def measure(args):
    with tempfile.TemporaryDirectory() as folder:
        local, _, _ = run(args, "Unix", folder)
        r, ran, resident = run(args, "TCP", folder)
    storm = r["storm"]
    rows = told_rows(args, "TCP", r) + told_rows(args, "Unix", local)
    rows += [
        harness.row("all cut: everybody joined again", storm["joined_ms"] / 1000, "s", digits=2,
                    note=f"{storm['refusals']:,} times somebody was sent away, or not let in"),
        harness.row("all cut: presence equal everywhere", storm["equal_ms"] / 1000, "s", 15, 2),
        harness.holds("every table equals the truth", storm["is_equal"] and storm["agreeing"] == args.watchers,
                      f"{storm['agreeing']:,} watchers, and {r['library']} clients of the library"),
        harness.row("bytes for presence, of the minimum", storm["ratio"], "times", 2, 3,
                    note=f"{storm['bytes'] / MB:,.1f} MB of {storm['minimum'] / MB:,.1f} MB"),
        harness.row("    entries online", storm["onlines"], "", digits=0),
        harness.row("    entries changed", storm["changes"], "", digits=0, note="held by the mass-loss guard"),
        harness.row("    entries offline", storm["offlines"], "", digits=0),
        harness.row("    statuses", storm["statuses"], "", digits=0),
        harness.row("    pages of lists", storm["pages"], "", digits=0),
        harness.row("statuses that did not fit", r["gaps"], "", 0, 0),
        harness.row("bytes for those who watch one service", storm["filtered_bytes"] / MB, "MB", digits=1),
        harness.row("processor time of the center, in all", ran, "s", digits=1),
        harness.row("resident memory of the center, at the end", resident / MB, "MB", digits=0),
    ]
    notes = [f"Center and load share this machine's processors. From no connection to all tables equal: {r['start_ms'] / 1000:.1f} s."]
    return rows, notes


def main():
    parser = harness.options("presence", __doc__)
    parser.add_argument("--members", type=int, default=10000, help="clients, watchers among them (default 10,000)")
    parser.add_argument("--watchers", type=int, default=1000, help="of them (default 1,000)")
    parser.add_argument("--rounds", type=harness.positive(int), default=30, help="how many join and leave, one after the other (default 30)")
    parser.add_argument("--calm", type=harness.positive(int), default=60, help="ms between two events, at most 999 (default 60)")
    parser.add_argument("--filtered", action="store_true", help="all others watch, too: their own service")
    parser.add_argument("--suite", default="check", choices=["plain", "check", "paper"], help="(default check)")
    parser.add_argument("--workers", type=harness.positive(int), default=1, help="of the center (default 1)")
    args = parser.parse_args()
    title = f"presence: {args.members:,} clients, {args.watchers:,} watchers, suite {args.suite}"
    return harness.run(args, "presence", title, measure)


if __name__ == "__main__":
    sys.exit(main())
