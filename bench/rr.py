#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""script/bench rr: request/reply through a bare relay, nats-server and posthouse, side by side.

All systems stay up during the whole run; the measurements are interleaved round by round, so that whatever the machine does meanwhile
hits all alike. What is printed are medians over the rounds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

WINDOWS = [1, 64, 512]
SUITES = ["plain", "check", "paper"]


class Process:
    """A child whose first line of output says that it is ready."""

    def __init__(self, argv, wait_for_line=True):
        self.child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.line = self.child.stdout.readline().strip() if wait_for_line else ""
        if wait_for_line and not self.line:
            raise SystemExit(f"{argv[0]} did not start")

    def stop(self):
        self.child.stdin.close()
        self.child.terminate()
        self.child.wait()


class Relay:
    suite = None
    system = "relay"

    def __init__(self, build, window, _):
        self.program = f"{build}/bench/rr_relay"
        self.relay = Process([self.program, "--role", "relay"])
        self.target = self.relay.line
        self.responder = Process([self.program, "--role", "responder", "--target", self.target])

    def caller(self):
        return [self.program, "--role", "caller", "--target", self.target]

    def stop(self):
        self.relay.stop()
        self.responder.stop()


class Echo:
    """A server, one responder for each window."""

    def __init__(self, build, window, server):
        self.server = server
        self.name = f"echo-{window}"
        self.responder = Process([f"{build}/bench/{self.program}", "--role", "responder", "--target", server.target,
                                  "--name", self.name, "--in-flight", str(window)])
        self.build = build

    def caller(self):
        return [f"{self.build}/bench/{self.program}", "--role", "caller", "--target", self.server.target, "--name", self.name]

    def stop(self):
        self.responder.stop()


class Nats(Echo):
    suite = None
    system = "nats"
    program = "rr_nats"


class Posthouse(Echo):
    system = "posthouse"
    program = "rr_posthouse"

    @property
    def suite(self):
        return self.server.suite


class NatsServer:
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.child = subprocess.Popen(["nats-server", "-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", self.folder.name],
                                      stderr=subprocess.DEVNULL)
        path = f"{self.folder.name}/nats-server_{self.child.pid}.ports"
        deadline = time.monotonic() + 10
        while True:
            try:
                with open(path, encoding="utf-8") as file:
                    self.target = json.load(file)["nats"][0]
                return
            except (FileNotFoundError, json.JSONDecodeError):
                if time.monotonic() > deadline:
                    raise SystemExit("nats-server did not start") from None
                time.sleep(0.02)

    def stop(self):
        self.child.terminate()
        self.child.wait()


class Center:
    def __init__(self, build, suite):
        self.suite = suite
        self.folder = tempfile.TemporaryDirectory()
        path = f"{self.folder.name}/port"
        os.mkfifo(path)
        self.child = subprocess.Popen([f"{build}/src/app/posthouse", "serve", "--listen", "127.0.0.1:0", "--suite", suite,
                                       "--log-level", "error", "--port-file", path])
        with open(path, encoding="utf-8") as file:
            self.target = "127.0.0.1:" + file.readline().strip().rsplit(":")[-1]

    def stop(self):
        self.child.terminate()
        self.child.wait()


def measure(run, args, window):
    out = subprocess.run(run.caller() + ["--in-flight", str(window), "--payload", str(args.payload), "--seconds", str(args.seconds)],
                         stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(out)


def collect(args, runs):
    """{(run, window): [measurement of each round]}"""
    results = {}
    todo = args.rounds * len(runs)
    for round_number in range(args.rounds):
        for number, (run, window) in enumerate(runs):
            done = round_number * len(runs) + number
            if sys.stderr.isatty():
                print(f"\r{done}/{todo} measurements", end="", file=sys.stderr, flush=True)
            results.setdefault((run, window), []).append(measure(run, args, window))
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    return results


def rows_of(args, results):
    rows = []
    for (run, window), rounds in results.items():
        row = {"benchmark": "rr", "system": run.system, "suite": run.suite, "payload": args.payload, "in_flight": window}
        for key in ("p50_us", "p99_us", "per_second"):
            row[key] = round(statistics.median(r[key] for r in rounds), 1)
        row["rounds"] = len(rounds)
        row["per_second_min"] = min(r["per_second"] for r in rounds)
        row["per_second_max"] = max(r["per_second"] for r in rounds)
        rows.append(row)
    rows.sort(key=lambda row: row["in_flight"])
    return rows


def print_table(rows):
    """The ratios are of medians of the same run: latency beside the relay, calls a second beside both."""
    base = {(r["system"], r["in_flight"]): r for r in rows if r["system"] in ("relay", "nats")}
    print(f"{'in flight':>9}  {'system':<9}  {'suite':<5}  {'p50':>10}  {'p99':>10}  {'per second':>11}"
          f"  {'p50 / relay':>11}  {'rate / relay':>12}  {'rate / nats':>11}")
    last = None
    for row in rows:
        if last not in (None, row["in_flight"]):
            print()
        last = row["in_flight"]
        relay, nats = base.get(("relay", last)), base.get(("nats", last))
        ratios = [f"{row['p50_us'] / relay['p50_us']:.2f}" if relay else "",
                  f"{row['per_second'] / relay['per_second']:.2f}" if relay else "",
                  f"{row['per_second'] / nats['per_second']:.2f}" if nats else ""]
        print(f"{last:>9}  {row['system']:<9}  {row['suite'] or '-':<5}  {row['p50_us']:>7.1f} us  {row['p99_us']:>7.1f} us"
              f"  {row['per_second']:>11,.0f}  {ratios[0]:>11}  {ratios[1]:>12}  {ratios[2]:>11}")


def main():
    parser = argparse.ArgumentParser(prog="script/bench rr", description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--build", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=7, help="rounds; the medians over them are printed (default 7)")
    parser.add_argument("--seconds", type=float, default=0.5, help="length of one measurement (default 0.5)")
    parser.add_argument("--payload", type=int, default=128, help="bytes there and back (default 128)")
    parser.add_argument("--in-flight", type=int, action="append", help="calls open at a time (default 1, 64 and 512)")
    parser.add_argument("--suite", action="append", choices=SUITES, help="suites of posthouse (default all)")
    parser.add_argument("--system", action="append", choices=["relay", "nats", "posthouse"], help="(default all)")
    parser.add_argument("--output", choices=["table", "json"], default="table")
    args = parser.parse_args()
    windows = args.in_flight or WINDOWS
    systems = args.system or ["relay", "nats", "posthouse"]

    servers, runs = [], []
    try:
        kinds = [(Relay, None)] if "relay" in systems else []
        if "nats" in systems:
            servers.append(NatsServer())
            kinds.append((Nats, servers[-1]))
        for suite in (args.suite or SUITES) if "posthouse" in systems else []:
            servers.append(Center(args.build, suite))
            kinds.append((Posthouse, servers[-1]))
        for window in windows:
            for kind, server in kinds:
                runs.append((kind(args.build, window, server), window))
        rows = rows_of(args, collect(args, runs))
    finally:
        for run, _ in runs:
            run.stop()
        for server in servers:
            server.stop()
    if args.output == "json":
        print(json.dumps(rows, indent=2))
    else:
        print(f"payload {args.payload} bytes, medians of {args.rounds} rounds of {args.seconds} s; {os.cpu_count()} cores")
        print_table(rows)


if __name__ == "__main__":
    main()
