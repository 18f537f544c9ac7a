# SPDX-License-Identifier: Apache-2.0
"""The systems that are measured beside each other, and how: servers, the programs at both ends, rounds, medians, tables.

A server stays up for the whole run. So does the end that waits (responder, receiver); the other one (caller, sender) is a process for each
measurement, and prints one line of JSON. Rounds are interleaved, so that whatever the machine does meanwhile hits all alike. All processes
run in the harness' first class of priority, so that what else the machine does disturbs less; --ordinary leaves them where all programs are.
What is printed are medians over the rounds, and their range.
"""

import contextlib
import io
import json
import os
import socket
import statistics
import subprocess
import tempfile
import time

import harness

SUITES = ["plain", "check", "paper"]
# How a center and its clients are connected. `sleep`: none of the three processes polls before it waits.
WAYS = ["tcp", "unix", "sleep", "unix-sleep"]
TLS = "tls"  # a way of its own, which nats-server goes, too
MEASUREMENT_MAX = 60  # seconds after which one is stuck


def kinds(args, system):
    """(suite, way) of each row of a system; of the other ways only suite plain."""
    if args.way == [TLS]:
        return [("plain" if system == "posthouse" else None, TLS)]
    if system != "posthouse":
        return [(None, "tcp")]
    return [(suite, way) for way in args.way for suite in args.suite or SUITES if way == "tcp" or suite == "plain"]


def add_way(made, ways):
    made.add_argument("--way", action="append", choices=WAYS,
                      help=f"how posthouse's processes are connected; sleep: none polls before it waits (default {', '.join(ways)}; may be repeated)")
    made.set_defaults(ways=ways)


def sleep_options(way):
    return ["--busy-poll", "0"] if way.endswith("sleep") else []


class Priority:
    """Of all that is measured."""

    nice = harness.FIRST


class Program(harness.Child):
    """Says in one line that it is ready."""

    def __init__(self, argv):
        super().__init__([str(word) for word in argv], nice=Priority.nice, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.line = self.process.stdout.readline().strip()
        if not self.line:
            raise SystemExit(f"did not start: {argv}")


def port_of(target):
    return target.rsplit(":", maxsplit=1)[-1]


class Mosquitto(harness.Child):
    """Quality of service 0 drops what a subscriber does not take at once beyond max_queued_messages; so that has no limit here.

    set_tcp_nodelay stays off, as it is by default: with it a delivery took twice the time.
    """

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        with socket.socket() as probe:  # it cannot choose a port itself
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        path = f"{self.folder.name}/mosquitto.conf"
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nlog_type error\n")
            file.write(f"user {os.environ.get('USER', 'root')}\n")
        super().__init__(["mosquitto", "-c", path], nice=Priority.nice, stderr=subprocess.DEVNULL)
        self.target = f"127.0.0.1:{port}"
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise SystemExit("mosquitto did not start") from None
                time.sleep(0.02)

    def end(self, wait=10):
        super().end(wait)
        self.folder.cleanup()


class Servers:
    """Each is started when it is first asked for."""

    def __init__(self, args, center_options=()):
        self.build = args.build
        self.center_options = list(center_options)
        self.running = {}
        self.folder = None  # of Unix sockets
        self.credentials = None

    def tls(self):
        self.credentials = self.credentials or harness.Credentials(self.build)
        return self.credentials

    def once(self, key, make):
        if key not in self.running:
            self.running[key] = make()
        return self.running[key]

    def center(self, suite, workers=1, way="tcp"):
        options = ["--suite", suite, "--workers", str(workers), "--log-level", "error", *sleep_options(way), *self.center_options]
        listen = {}
        if way.startswith("unix"):
            self.folder = self.folder or tempfile.TemporaryDirectory()
            listen = {"listen": f"unix:{self.folder.name}/{suite}-{workers}-{way}.sock"}
        if way == TLS:
            options += self.tls().center_options()
            listen = {"listen": "tls:127.0.0.1:0"}
        return self.once(("center", suite, workers, way), lambda: harness.Center(self.build, options, nice=Priority.nice, **listen))

    def nats(self, way="tcp"):
        options = self.tls().nats_options() if way == TLS else ()
        return self.once(("nats", way), lambda: harness.NatsServer(nice=Priority.nice, options=options))

    def mosquitto(self):
        return self.once("mosquitto", Mosquitto)

    def zmq(self, mode):
        return self.once(("zmq", mode), lambda: Program([f"{self.build}/bench/bench_zmq", "--role", mode]))

    def relay(self):
        """Its two ends are its whole world: one relay for each pair of them."""
        return Program([f"{self.build}/bench/rr_relay", "--role", "relay"])


class Pair:
    """Two ends and a server. `program` knows the roles `waiting` and `acting`."""

    def __init__(self, system, suite, way, server, target, ends):
        self.system = system
        self.suite = suite
        self.way = way
        self.server = server
        self.target = target  # of the end that acts
        self.program, self.acting, self.options = ends
        self.waiting = None

    def command(self, seconds):
        return [self.program, "--role", self.acting, "--target", self.target, "--seconds", str(seconds), *self.options]


def pair(servers, kind, system, suite, name, options, way="tcp"):
    """`kind` is rr or publish. The end that waits has the account or subject `name`. Ways other than TCP are a center's, but TLS is nats-server's, too."""
    waiting, acting = {"rr": ("responder", "caller"), "publish": ("receiver", "sender")}[kind]
    program = f"{servers.build}/bench/{kind}_{system}"
    if system == "relay":
        server = servers.relay()
        target = back = server.line
    elif system == "zmq":
        server = Program([f"{servers.build}/bench/bench_zmq", "--role", "pipe"])  # as the relay: one for each pair
        target, back = server.line.split()
        program = f"{servers.build}/bench/bench_zmq"
    elif system == "nats":
        server = servers.nats(way)
        target = back = f"nats://{server.target}"
    else:
        server = servers.center(suite, way=way)
        target = back = server.target
    options = [str(word) for word in ["--name", name, *options, *sleep_options(way), *(["--ca", servers.tls().ca] if way == TLS else [])]]
    made = Pair(system, suite, way, server, target, (program, acting, options))
    made.waiting = Program([program, "--role", waiting, "--target", back, *options])
    return made


def act(argv):
    """Runs the end that acts; what it printed."""
    child = harness.Child([str(word) for word in argv], nice=Priority.nice, stdout=subprocess.PIPE)
    try:
        out, _ = child.process.communicate(timeout=MEASUREMENT_MAX)
    except subprocess.TimeoutExpired:
        raise SystemExit(f"did not end: {argv}") from None
    if child.process.returncode != 0 or not out:
        raise SystemExit(f"failed: {argv}")
    harness.Child.running.remove(child)
    return json.loads(out)


def measured(server, argv):
    """The same, and how many cores the server kept busy meanwhile."""
    before = server.cpu()
    start = time.monotonic()
    result = act(argv)
    result["server_cores"] = (server.cpu() - before) / (time.monotonic() - start)
    return result


def collect(rounds, runs, measure):
    """{key: [what measure(key) said, round by round]}, in turns, there and back: what grows or fades meanwhile favours nobody."""
    results = {}
    for number in range(rounds):
        for place, key in enumerate(runs if number % 2 == 0 else reversed(runs)):
            harness.progress(f"{number * len(runs) + place} of {rounds * len(runs)} measurements")
            harness.rest()
            results.setdefault(key, []).append(measure(key))
    harness.progress("")
    return results


def medians(measurements, keys=("per_second",)):
    """Of each key, and of the first the least and the most."""
    row = {}
    for key in keys:
        row[key] = round(statistics.median(m[key] for m in measurements), 2)
    row["rounds"] = len(measurements)
    row[keys[-1] + "_min"] = min(m[keys[-1]] for m in measurements)
    row[keys[-1] + "_max"] = max(m[keys[-1]] for m in measurements)
    return row


def middle(values):
    """The median, how far it is likely off (its standard error, from the middle half of the values), and that half."""
    first, median, third = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    return median, 0.93 * (third - first) / len(values) ** 0.5, first, third


def find(rows, **wanted):
    """The row of which all that is said; None: it was not measured."""
    for row in rows:
        if all(row.get(key) == value for key, value in wanted.items()):
            return row
    return None


def ratio(row, base, key="per_second"):
    return "" if base is None or row is None or not base[key] else f"{row[key] / base[key]:.2f}"


# ---- what is told


def said_by(argv, line=0):
    try:
        out = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False).stdout
    except FileNotFoundError:
        return "not there"
    return out.splitlines()[line].strip() if out else "?"


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        names = [text.split(":", maxsplit=1)[1].strip() for text in file if text.startswith("model name")]
    return names[0] if names else "unknown processor"


def versions(build, systems):
    """Of each system that takes part, and of what they run on."""
    told = {"posthouse": said_by([f"{build}/src/app/posthouse", "--version"]).removeprefix("posthouse").strip()}
    if "nats" in systems:
        told["nats-server"] = said_by(["nats-server", "--version"]).rsplit(" ", maxsplit=1)[-1]
        told["libnats"] = said_by([f"{build}/bench/rr_nats", "--role", "version"])
    if "zmq" in systems:
        told["libzmq"] = said_by([f"{build}/bench/bench_zmq", "--role", "version"])
    if "mosquitto" in systems:
        told["mosquitto"] = said_by(["mosquitto", "-h"]).rsplit(" ", maxsplit=1)[-1]
    told["kernel"] = os.uname().release
    told["machine"] = f"{os.cpu_count()} cores, {processor()}"
    return told


def parser(name, doc, rounds, seconds):
    made = harness.options(name, doc)
    made.add_argument("--rounds", type=harness.positive(int), default=rounds, help=f"rounds; medians over them are printed (default {rounds})")
    made.add_argument("--seconds", type=harness.positive(float), default=seconds, help=f"length of one measurement (default {seconds:g})")
    made.add_argument("--into", metavar="FILE", help="replace the table of this benchmark in docs/benchmarks.md, too")
    made.add_argument("--ordinary", action="store_true", help="all processes in the system's ordinary class of priority")
    made.add_argument("--center-option", action="append", default=[], metavar="WORD",
                      help="one more word of the center's command line, as --center-option=--workers=2")
    return made


def arguments(made):
    args = made.parse_args()
    if "ways" in args:
        args.way = args.way or args.ways
    if args.ordinary:
        Priority.nice = 0
    return args


def figure(row, key="per_second"):
    return f"{row[key]:,.0f}"


def spread(row, key="per_second"):
    return f"{row[key + '_min']:,.0f} to {row[key + '_max']:,.0f}"


def tell(args, title, told, table, targets, is_markdown):
    rows, columns = table
    print(f"{title}; medians of {args.rounds} rounds of {args.seconds:g} s" + ("." if is_markdown else ""))
    print("; ".join(f"{key} {value}" for key, value in told.items()) + (".\n" if is_markdown else "\n"))
    harness.show_table([c[0] for c in columns], [[c[2](row) for c in columns] for row in rows], "".join(c[1] for c in columns), is_markdown)
    if targets:
        print()
        harness.show_rows(targets, is_markdown)


def write_into(path, name, text):
    """Between <!-- script/bench NAME --> and <!-- end --> of a document."""
    begin, end = f"<!-- script/bench {name} -->\n", "<!-- end -->"
    with open(path, encoding="utf-8") as file:
        before, found, rest = file.read().partition(begin)
    if not found or end not in rest:
        raise SystemExit(f"{path} has no place for {name}")
    with open(path, "w", encoding="utf-8") as file:
        file.write(before + begin + text + "\n" + end + rest.partition(end)[2])


def report(args, name, title, table, targets, systems):
    """`table` is rows, and columns as (title, alignment, function of a row). 1 when a target does not hold."""
    told = versions(args.build, systems)
    if args.output == "json":
        said = [{"benchmark": name, **target} for target in targets] + [{"benchmark": name, "versions": told}]
        print(json.dumps(table[0] + said, indent=2))
    else:
        tell(args, title, told, table, targets, args.output == "markdown")
    if args.into:
        text = io.StringIO()
        with contextlib.redirect_stdout(text):
            tell(args, title[0].upper() + title[1:], told, table, targets, True)
        write_into(args.into, name, text.getvalue().strip())
    return 0 if all(target["holds"] is not False for target in targets) else 1


def run(name, doc_main):
    """Ends all that was started, whatever happens."""
    harness.watchdog(name)
    try:
        return doc_main()
    finally:
        harness.progress("")
        harness.Child.end_all()
