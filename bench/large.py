#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""script/bench large: small calls and heartbeats while messages of 16 MiB pass.

Two clients call one responder: a bystander (small calls and heartbeats), a sender (large calls, and small calls and heartbeats of its own
beside them). Quiet and loaded rounds alternate; each loaded round is compared with the quiet one before it, and the median of that is told. All of them
come before whatever else the machine does: what is measured is what stands in each other's way.
"""

import subprocess
import sys

import harness


class Peer(harness.Child):
    def __init__(self, args, role, center, name=None):
        argv = [f"{args.build}/bench/bench_large", role, "--target", center.target]
        super().__init__(argv + (["--name", name] if name else []), nice=harness.FIRST, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def tell(self, seconds, small, probe, large, pause_ms):
        self.process.stdin.write(f"run {seconds} {small} {probe} {large} {pause_ms}\n")
        self.process.stdin.flush()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("a client ended")
        return harness.json.loads(line)


def one_round(peers, args, large):
    """Bystander and sender at the same time; both make small calls and heartbeats."""
    bystander, sender = peers
    bystander.tell(args.seconds, 1, 1, 0, 0)
    sender.tell(args.seconds, 1, 1, large, args.pause)
    return {"bystander": bystander.answer(), "sender": sender.answer()}


def measure(args):
    center = harness.Center(args.build, ["--suite", args.suite, "--log-level", "error"], nice=harness.FIRST)
    responder = Peer(args, "responder", center)
    if responder.process.stdout.readline().strip() != "ready":
        raise SystemExit("the responder did not start")
    peers = Peer(args, "caller", center, "bystander"), Peer(args, "caller", center, "sender")
    one_round(peers, args, 0)
    quiet, loaded = [], []
    for number in range(args.rounds):
        harness.progress(f"round {number + 1} of {args.rounds}")
        quiet.append(one_round(peers, args, 0))
        loaded.append(one_round(peers, args, args.bytes))
    rows = []
    for who in ("bystander", "sender"):
        for key, what in (("small_p99_us", "small call, p99"), ("probe_p99_us", "heartbeat, p99")):
            pairs = [(q[who][key], l[who][key]) for q, l in zip(quiet, loaded)]
            times = harness.median([after / before for before, after in pairs])
            before, after = (harness.median(column) for column in zip(*pairs))
            rows.append(harness.row(f"{who}: {what}, loaded / quiet", times, "", 1.5, 2, f"{after:.0f} us / {before:.0f} us"))
    count = sum(r["sender"]["large"] for r in loaded)
    rows.append(harness.row("large messages passed", count, "", digits=0))
    rows.append(harness.row("large messages, while loaded", count * args.bytes / (args.rounds * args.seconds) / 1e6, "MB/s", digits=0))
    return rows, [f"Each figure is the median over {args.rounds} pairs of rounds of {args.seconds:g} s, quiet and loaded in turn."]


def main():
    parser = harness.options("large", __doc__)
    parser.add_argument("--bytes", type=int, default=16 * 1024 * 1024, help="of a large body (default 16 MiB)")
    parser.add_argument("--rounds", type=harness.positive(int), default=21, help="rounds; medians over them are printed (default 21)")
    parser.add_argument("--seconds", type=harness.positive(float), default=0.7, help="of a round (default 0.7)")
    parser.add_argument("--pause", type=float, default=0, help="milliseconds between two large messages (default 0)")
    parser.add_argument("--suite", choices=["plain", "check", "paper"], default="plain", help="(default plain)")
    args = parser.parse_args()
    return harness.run(args, "large", f"{args.bytes:,} bytes in one message, suite {args.suite}", measure)


if __name__ == "__main__":
    sys.exit(main())
