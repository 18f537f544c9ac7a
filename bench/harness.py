# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks of a center under load share: its process, the load's processes, what /proc says of them, and how figures are shown.

A benchmark makes rows: what was measured, the figure, the target, and whether it holds. Everything it starts it ends, whatever happens.
"""

import argparse
import glob
import json
import os
import resource
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time

PATIENCE = 600  # seconds after which a benchmark is stuck


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def descriptors():
    """How many a child may have, after its soft limit was raised."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


# A priority: what is measured must not wait for the slices of others, least of all for those of what loads it.
FIRST = -1000

# Processes of that class that poll leave nothing to others; so the kernel takes each processor from them for 50 ms of a second in which others
# had none, in one piece, in which nobody answers. Who rests for so long before each measurement has given others theirs; and a measurement is
# shorter than what is left of that second, or has it in its p99.
REST = 0.2  # seconds


def rest():
    time.sleep(REST)


def prioritise(nice):
    try:
        if nice == FIRST:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        else:
            os.nice(nice)
    except PermissionError:
        pass  # a higher priority than others have is for root


class Child:
    """A process that is ended with the benchmark, also by an exception."""

    running = []

    def __init__(self, argv, nice=0, files=None, **pipes):
        def prepare():
            prioritise(nice)
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            limit = hard if files is None else files
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit if files else hard))

        # The only thread of this program, so that nothing can hold a lock when it forks.
        try:
            self.process = subprocess.Popen(argv, text=True, preexec_fn=prepare, **pipes)
        except OSError as error:
            raise SystemExit(f"{argv[0]} does not start: {error.strerror}. script/setup --bench installs what a benchmark needs") from None
        Child.running.append(self)

    @property
    def pid(self):
        return self.process.pid

    def end(self, wait=10):
        if self in Child.running:
            Child.running.remove(self)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(wait)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    @staticmethod
    def end_all():
        while Child.running:
            Child.running[-1].end()

    # ---- what the system says of it

    def resident(self):
        """Bytes of its own memory, and of mapped files, that are in RAM."""
        with open(f"/proc/{self.pid}/smaps_rollup", encoding="ascii") as file:
            for line in file:
                if line.startswith("Rss:"):
                    return int(line.split()[1]) * 1024
        raise SystemExit("no Rss in smaps_rollup")

    def cpu(self):
        """Seconds it ran, all its threads, in user mode and in the kernel."""
        ran = 0
        for task in glob.glob(f"/proc/{self.pid}/task/*/schedstat"):
            try:
                with open(task, encoding="ascii") as file:
                    ran += int(file.read().split()[0])
            except OSError:
                pass  # a thread that has just ended
        return ran / 1e9


class Center(Child):
    """posthouse serve, on a free port if nothing else is asked for."""

    def __init__(self, build, options=(), files=None, nice=0, log=subprocess.DEVNULL, listen="127.0.0.1:0"):
        ready, told = os.pipe()
        super().__init__([f"{build}/src/app/posthouse", "serve", "--listen", listen, "--ready-fd", str(told), *options],
                         nice=nice, files=files, stderr=log, pass_fds=[told])
        os.close(told)
        with open(ready, encoding="ascii") as file:
            self.target = file.readline().strip()
        if not self.target:
            raise SystemExit(f"the center did not start; why says: {shlex.join([self.process.args[0], 'serve', *options])}")


class Credentials:
    """A CA, and the certificate of a server on this machine, in a folder of their own."""

    def __init__(self, build):
        self.folder = tempfile.TemporaryDirectory()
        subprocess.run([f"{build}/src/app/posthouse", "cert", "dev", "--dir", self.folder.name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       check=True)
        self.ca, self.certificate, self.key = (f"{self.folder.name}/{name}" for name in ("ca.crt", "center.crt", "center.key"))

    def center_options(self):
        return ["--tls-certificate", self.certificate, "--tls-key", self.key, "--tls-authorities", self.ca]

    def nats_options(self):
        return ["--tls", "--tlscert", self.certificate, "--tlskey", self.key]


class NatsServer(Child):
    def __init__(self, files=None, nice=0, options=()):
        self.folder = tempfile.TemporaryDirectory()
        super().__init__(["nats-server", "-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", self.folder.name, *options], nice=nice, files=files,
                         stderr=subprocess.DEVNULL)
        path = f"{self.folder.name}/nats-server_{self.pid}.ports"
        deadline = time.monotonic() + 10
        while True:
            try:
                with open(path, encoding="utf-8") as file:
                    self.target = json.load(file)["nats"][0].split("://")[-1]
                return
            except (FileNotFoundError, json.JSONDecodeError):
                if time.monotonic() > deadline:
                    raise SystemExit("nats-server did not start") from None
                time.sleep(0.02)

    def end(self, wait=10):
        super().end(wait)
        self.folder.cleanup()


class Load(Child):
    """bench/load.c: answers each command with one line of JSON."""

    def __init__(self, build, center, prefix="load", members=1000, sources=0, opening=256, receive=0, nice=0):
        super().__init__([f"{build}/bench/bench_load", "--target", center.target, "--prefix", prefix, "--members", str(members),
                          "--sources", str(sources), "--opening", str(opening), "--receive", str(receive)],
                         nice=nice, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def tell(self, *words):
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"a load process ended: {self.process.args}")
        return json.loads(line)

    def ask(self, *words):
        self.tell(*words)
        return self.answer()

    def end(self, wait=10):
        self.process.stdin.close()
        super().end(wait)


# ---- figures


def row(what, figure, unit, target=None, digits=1, note="", least=False):
    """`target` is what the figure may be at most, or with `least` must be at least; None: it is only told."""
    holds_so = None if target is None else figure >= target if least else figure <= target
    return {"what": what, "figure": round(figure, digits), "digits": digits, "unit": unit, "target": target, "least": least,
            "holds": holds_so, "note": note}


def holds(what, is_so, note=""):
    return {"what": what, "figure": None, "unit": "", "target": None, "least": False, "holds": is_so, "note": note}


def number(value, digits=None):
    """`digits` behind the point, so that a column of figures lines up; None: as many as it takes."""
    if isinstance(value, int) or (digits is None and value == int(value)):
        return f"{int(value):,}"
    return f"{value:,}" if digits is None else f"{value:,.{digits}f}"


def cells(r):
    figure = "" if r["figure"] is None else f"{number(r['figure'], r['digits'])} {r['unit']}".rstrip()
    target = "" if r["target"] is None else f"{'>=' if r['least'] else '<='} {number(r['target'])} {r['unit']}".rstrip()
    verdict = {None: "", True: "holds", False: "DOES NOT HOLD"}[r["holds"]]
    return [r["what"], figure, target, verdict, r["note"]]


def show_table(header, lines, align, is_markdown):
    """`align` has < or > for each column. Markdown prints it as it stands in docs/benchmarks.md."""
    if is_markdown:
        print("| " + " | ".join(header) + " |")
        print("|" + "---|" * len(header))
        for line in lines:
            print("| " + " | ".join(line) + " |")
        return
    table = [header] + lines
    widths = [max(len(line[i]) for line in table) for i in range(len(header))]
    for line in table:
        print(("  " + "  ".join(f"{line[i]:{align[i]}{widths[i]}}" for i in range(len(header)))).rstrip())


def show_rows(rows, is_markdown=False):
    show_table(["what", "figure", "target", "", ""], [cells(r) for r in rows], "<>><<", is_markdown)


def show(title, rows, notes, is_markdown):
    print(title)
    print()
    show_rows(rows, is_markdown)
    for note in notes:
        print()
        print(note)


def median(values):
    return statistics.median(values)


def positive(kind):
    """A type for argparse: none of no rounds, or of no time, would be measured, and every target hold."""

    def made(word):
        value = kind(word)
        if not value > 0:
            raise argparse.ArgumentTypeError(f"{word} is not more than 0")
        return value

    made.__name__ = kind.__name__  # argparse says it: invalid int value
    return made


def options(name, doc):
    parser = argparse.ArgumentParser(prog=f"script/bench {name}", description=doc.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--build", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--output", choices=["table", "markdown", "json"], default="table", help="(default table)")
    return parser


def watchdog(name):
    signal.signal(signal.SIGALRM, lambda *_: sys.exit(f"{name} did not end in {PATIENCE} s"))
    signal.alarm(PATIENCE)


def run(args, name, title, measure):
    """measure(args) makes (rows, notes). Ends with 1 when a target does not hold."""
    watchdog(name)
    try:
        rows, notes = measure(args)
    finally:
        progress("")
        Child.end_all()
    if args.output == "json":
        print(json.dumps({"benchmark": name, "title": title, "rows": rows, "notes": notes}, indent=2))
    else:
        show(title, rows, notes, args.output == "markdown")
    return 0 if all(r["holds"] is not False for r in rows) else 1
