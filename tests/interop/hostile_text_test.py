# SPDX-License-Identifier: Apache-2.0
"""Hostile text in every field that a peer controls, over raw sockets against the real center and the real command line. Prints TAP.

Were it to fail, a peer could write to an operator's terminal, forge lines of a log, or break the JSON that programs read: docs/security.md.

Each field carries its own word, so that a test can also see that the field got as far as it is meant to: what never arrives is no proof.
"""

import base64
import contextlib
import hashlib
import hmac
import json
import os
import pty
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import client as ph  # noqa: E402
import forge as f  # noqa: E402
import tls13  # noqa: E402

BUILD = os.environ["PH_BUILD"]
POSTHOUSE = os.path.join(BUILD, "src/app/posthouse")
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("POSTHOUSE_")}
results = []
children = contextlib.ExitStack()

# A window title, a cleared screen, a line of its own, a carriage return, NUL, DEL, C1 as UTF-8, right-to-left, the separators of lines, no UTF-8.
CONTROLS = b"\x1b]0;pwned\x07\x1b[2J\r\x00\x7f\x08\t\xc2\x9b31m\xe2\x80\xae\xe2\x80\xa8\xe2\x80\xa9"
TEXT = CONTROLS + b"\n2026-01-01T00:00:00Z 00:00:00.000 error forged=\"1\\\" x=1"
BROKEN = b"\xff\xfe\xc0\xaf\xed\xa0\x80\xc3"

# U+0000-001F but the line end, U+007F-009F, U+200B-200F, U+2028-202E, U+2060-2069, U+FEFF
FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def hostile(word, size=None, text=True):
    """The word, and what should not get through; as valid UTF-8, or not."""
    value = word.encode() + TEXT + (b"" if text else BROKEN)
    return value if size is None else value[:size]


def check_clean(what, data, lines=True):
    """UTF-8, lines, and nothing that a terminal or a reader of lines would obey. Of a body, the lines are its own."""
    shown = data.decode("utf-8")  # raises
    found = FORBIDDEN.search(shown)
    if found:
        raise AssertionError(f"{what}: {found.group()!r} in {shown[max(0, found.start() - 60):found.end() + 20]!r}")
    for line in shown.splitlines():
        if lines and (line.startswith("2026-01-01") or line.startswith("00:00:00.000 error forged")):
            raise AssertionError(f"{what}: a forged line: {line!r}")
    return shown


def check_json(what, data):
    return [json.loads(line) for line in check_clean(what, data).splitlines()]


def holds(shown, *words):
    for word in words:
        if word not in shown:
            raise AssertionError(f"{word!r} is not in {shown[-2000:]!r}")


def test(name):
    def run(function):
        try:
            function()
            results.append(True)
            why = ""
        except Exception as error:  # pylint: disable=broad-except
            results.append(False)
            why = f"\n# {type(error).__name__}: {error}".replace("\n", "\n# ")[2:]
        print(f"{'ok' if results[-1] else 'not ok'} {len(results)} - interop_{name}{chr(10) + why if why else ''}", flush=True)

    return run


class Center:
    """The real one, with its log in a file."""

    def __init__(self, *options, listen="127.0.0.1:0"):
        self.folder = tempfile.TemporaryDirectory()
        port = os.path.join(self.folder.name, "port")
        os.mkfifo(port)
        self.log_path = os.path.join(self.folder.name, "log")
        with open(self.log_path, "wb") as log:
            self.child = children.enter_context(subprocess.Popen([POSTHOUSE, "serve", "--listen", listen, "--domain", "here", "--log-level", "debug", "--port-file", port,
                                           *options], stderr=log, env=ENVIRONMENT))
            children.callback(self.child.kill)  # whatever happens here
        with open(port, encoding="utf-8") as file:
            self.address = file.readline().strip()
        self.port = int(self.address.rsplit(":")[-1])

    def stop(self):
        """What it has logged."""
        self.child.terminate()
        status = self.child.wait(30)
        with open(self.log_path, "rb") as file:
            log = file.read()
        self.folder.cleanup()
        if status != 0:
            raise AssertionError(f"the center ended with {status}: {log[-2000:]!r}")
        return log


def start(center, *arguments):
    return subprocess.Popen([POSTHOUSE, *arguments, "--center", center], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT)


def run(center, *arguments):
    """Both streams of a command; neither is a terminal."""
    child = start(center, *arguments)
    return child.communicate(timeout=60)


def on_terminal(center, *arguments):
    """What a command writes to a terminal, without the colours that it may use there."""
    parent, child = pty.openpty()
    process = subprocess.Popen([POSTHOUSE, *arguments, "--center", center], stdin=subprocess.DEVNULL, stdout=child, stderr=child,
                               env=dict(ENVIRONMENT, TERM="xterm"))
    os.close(child)
    out = b""
    with contextlib.suppress(OSError):
        while data := os.read(parent, 65536):
            out += data
    os.close(parent)
    process.wait(30)
    return re.sub(rb"\x1b\[[0-9]*m", b"", out).replace(b"\r\n", b"\n")


class Peer(ph.Client):
    """One that says anything: its JOIN is made of the fields it is given."""

    def __init__(self, port, *fields, **options):
        self.extra = b"".join(ph.field(tag, value) for tag, value in fields)
        super().__init__("127.0.0.1", port, **options)

    def join(self, *_):
        self.handshake(ph.HELLO)
        self.send(ph.HANDSHAKE, bytes([ph.JOIN]) + ph.field(1, struct.pack(">H", 1)) + self.extra)
        self.id = self.handshake(ph.WELCOME)[1].decode()

    def raw(self, kind, to=b"", method=b"", body=b"", headers=b"", call=0, ttl_ms=0, sender=None):
        sender = self.id.encode() if sender is None else sender
        self.send(ph.MESSAGE, struct.pack(">BBHQIBBBBHH", kind, 0, 0, call, ttl_ms, len(to), len(sender), len(method), 0, len(headers), 0)
                  + to + sender + method + headers + body)


def metadata(key, value):
    return 6, bytes([len(key)]) + key + value


def is_refused(port, *fields, **options):
    """Whether a JOIN ends with a bye."""
    try:
        Peer(port, *fields, **options).socket.close()
    except (ph.Bye, tls13.Alert, EOFError, OSError, UnicodeDecodeError):
        return True
    return False


def refused(port, *fields):
    if not is_refused(port, *fields):
        raise AssertionError(f"joined: {fields!r}")


def ended(peer, action):
    """The link ends because of it; what the center says meanwhile is taken."""
    with contextlib.suppress(ph.Bye, EOFError, ConnectionError):
        action()
        while True:
            with contextlib.suppress(UnicodeDecodeError):  # a pattern that was refused comes back as it was
                peer.turn()


def headers_of(name, value):
    return bytes([len(name)]) + name + struct.pack(">H", len(value)) + value


def torment(port):
    """Every field of every packet that a client can send, each hostile in turn. Some are refused, some are passed on, some are logged."""
    for text in (True, False):
        for size in (None, 64):
            refused(port, (2, hostile("account", size, text)))
            refused(port, (4, hostile("service", size, text)))
        refused(port, (2, hostile("long-account", None, text) * 200))
        is_refused(port, (2, b"ok"), (5, hostile("token", None, text)))  # a center without keys may not look
        refused(port, (2, b"ok"), (5, hostile("token", None, text) * 60))
    refused(port, (2, b"bare\x7f\xc2\x9b31m\xe2\x80\xae" + BROKEN), (4, b"bare\x7f"))  # nothing that asks for quotes
    refused(port, (2, b"ok"), metadata(b"", b""))
    refused(port, (2, b"ok"), (14, hostile("long-software") * 10))
    refused(port, (2, b"ok"), (99, hostile("field")), (3, b"\x07"))

    with contextlib.closing(Peer(port, (2, b"liar"), (4, b"lies")).socket):
        pass
    for code in (0, 1, 8, 18, 999):
        peer = Peer(port, (2, b"leaver"))
        ended(peer, lambda p=peer, c=code: p.send(ph.BYE, struct.pack(">HI", c, 0) + hostile("bye")))
        peer = Peer(port, (2, b"leaver"))
        ended(peer, lambda p=peer, c=code: p.send(ph.BYE, struct.pack(">HI", c, 0) + hostile("broken-bye", None, False)))
    peer = Peer(port, (2, b"leaver"))
    ended(peer, lambda: peer.send(ph.BYE, struct.pack(">HI", 0, 0) + hostile("long-bye") * 20))

    for bad in (hostile("from"), hostile("from", None, False)[:250]):
        peer = Peer(port, (2, b"sender"))
        ended(peer, lambda p=peer, b=bad: p.raw(ph.EVENT, b"liar", sender=b))
    peer = Peer(port, (2, b"sender"))
    call = 0
    for text in (True, False):
        for to in (hostile("to", 250, text), b"service:" + hostile("to", 200, text), b"all:" + hostile("to", 200, text), b"topic:" + hostile("to", 200, text),
                   b"@" + hostile("to", 200, text), hostile("to", 100, text) + b"@here", b"liar@" + hostile("to", 100, text)):
            for kind in (ph.EVENT, ph.REQUEST):
                call += 1
                peer.raw(kind, to, hostile("method", 250, text), hostile("body", None, text), headers_of(hostile("header", 255, text), hostile("value", None, text)), call, 1000)
        peer.raw(ph.REQUEST, b"@", hostile("method", 250, text), hostile("drain", None, text), b"", call + 100, 1000)
        peer.raw(ph.REQUEST, b"@", b"drain", struct.pack(">I", 1000) + hostile("drain", None, text), b"", call + 101, 1000)
        peer.send(ph.SUBSCRIPTION, struct.pack(">I", 7) + ph.field(1, hostile("pattern", 250, text)))
        peer.send(ph.OWN_STATE, ph.field(5, hostile("software", 64, text)))
        peer.send(ph.OWN_STATE, ph.field(3, bytes([64]) + hostile("key", 64, text) + hostile("value", None, text)))
    ended(peer, lambda: peer.send(ph.CREDENTIAL, ph.field(1, hostile("credential", None, False))))
    for command in (0, 11, 0x4142, 0xffff):
        peer = Peer(port, (2, b"commander"))
        ended(peer, lambda p=peer, c=command: p.send(c, hostile("payload")))


def check_log(form):
    center = Center("--log-format", form)
    try:
        torment(center.port)
    finally:
        log = center.stop()
    shown = check_clean(f"log as {form}", log)
    holds(shown, "account", "service", "bare", "liar@here", "leaver@here")
    return shown


@test("hostile_text_is_escaped_in_a_log_of_text")
def _():
    for line in check_log("text").splitlines():
        if not re.match(r"[0-9][0-9]:[0-9][0-9]:[0-9][0-9]\.[0-9]{3} (debug|info |warn |error) | {19}\S", line):
            raise AssertionError(f"no line of a log: {line!r}")


@test("hostile_text_is_escaped_in_a_log_of_json")
def _():
    seen = set()
    for line in check_log("json").splitlines():
        entry = json.loads(line)
        seen.add(entry["event"])
        for key in entry:
            if key in ("forged", "x"):
                raise AssertionError(f"a forged field: {line!r}")
    if len(seen) < 5:
        raise AssertionError(f"only {seen} were logged")


@contextlib.contextmanager
def crowd():
    """A center, and a peer whose every word is hostile, as far as a center lets it in; it fails every request and publishes when it is asked to."""
    center = Center("--log-format", "json", "--log-level", "error")
    peer = Peer(center.port, (2, b"liar"), (4, b"lies"), (14, hostile("software", 64)), metadata(hostile("key", 64), hostile("value")),
                metadata(b"plain", hostile("second", None, False)), (17, struct.pack(">I", 1 << 20)))

    def answer(request):
        if request.method == "reply":
            return b"body" + TEXT + BROKEN
        if request.method == "event":
            for _ in range(2):
                peer.raw(ph.EVENT, request.sender.split("@")[0].encode(), hostile("method", 200), hostile("event", None, False), headers_of(hostile("header", 64), b"x"))
                peer.raw(ph.EVENT, b"topic:words.of.liars", hostile("method", 200, False), hostile("published", None, False))
            return b"done"
        if request.method == "change":
            peer.send(ph.OWN_STATE, ph.field(5, hostile("changed", 64)))
            return b"done"
        if request.method == "inquire":
            peer.send(ph.MESSAGE, struct.pack(">BBHQIBBBBHH", ph.INQUIRY, 0, 1, request.call, 0, 0, len(peer.id), 200, 0, 0, 0)
                      + peer.id.encode() + hostile("inquiry", 200, False).ljust(200, b"?") + hostile("question", None, False))
        peer.message(ph.FAILURE, call=request.call, body=struct.pack(">H", 3000 if request.method == "own" else 19) + hostile("failure", None, request.method == "text"))
        peer.cancelled[request.call] = 0  # answered
        return None

    peer.on_request = answer

    def serve():
        with contextlib.suppress(EOFError, OSError, ph.Bye):
            while True:
                peer.turn()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield center.address
    finally:
        center.stop()
        thread.join()


@test("hostile_text_is_escaped_by_the_command_line")
def _():
    with crowd() as center:
        out, err = run(center, "ls")
        holds(check_clean("ls", out), "liar@here", "software\\x1b]0;pwned")
        check_clean("ls", err)
        (entries,) = check_json("ls of JSON", run(center, "ls", "--output", "json")[0])
        holds(json.dumps(entries), "software", "key", "second")
        for method, status in (("text", "failure"), ("bytes", "failure"), ("own", "failure"), ("inquire", "failure")):
            out, err = run(center, "call", "liar", method, "--verbose")
            holds(check_clean("call", err), status)
            check_clean("call", out)
        out, err = run(center, "call", "liar", "inquire", "--verbose", "--on-inquiry", "printf '%s' \"$PH_METHOD\" | cksum >&2; exit 1")
        check_clean("call with an inquiry", err)
        check_json("call of JSON", run(center, "call", "liar", "reply", "--output", "json")[0])
        check_json("call of JSON that fails", run(center, "call", "liar", "text", "--output", "json")[0])
        if run(center, "call", "liar", "reply")[0] != b"body" + TEXT + BROKEN:
            raise AssertionError("a body that goes to a file is not the body")
        for method in ("text", "reply"):
            for form in ("table", "json"):
                out, err = run(center, "gather", "lies", method, "--output", form, "--verbose")
                holds(check_clean("gather", out), "failure" if method == "text" else "body")
                check_clean("gather", err)
        out, err = run(center, "drain", "liar", "--wait", "1ms")
        check_clean("drain", out + err)
        check_clean("drain", b"".join(run(center, "drain", "liar", "--undo")))
        check_clean("ping", b"".join(run(center, "ping", "liar", "--count", "1", "--verbose")))


@test("hostile_text_is_escaped_on_a_terminal")
def _():
    with crowd() as center:
        holds(check_clean("call on a terminal", on_terminal(center, "call", "liar", "reply").replace(b"\t", b""), lines=False), "body\\x1b]0;pwned\\x07")
        holds(check_clean("ls on a terminal", on_terminal(center, "ls")), "software\\x1b]0;pwned")
        holds(check_clean("call that fails on a terminal", on_terminal(center, "call", "liar", "text", "--verbose")), "failure\\x1b]0;pwned")


def listen(center, *arguments):
    """A command that says when it is ready."""
    child = start(center, *arguments)
    child.stderr.readline()
    return child


def events_of(form):
    with crowd() as center:
        listener = listen(center, "reply", "--account", "ear", "--events", "--output", form)
        subscriber = listen(center, "subscribe", "words.of.*", "--count", "2", "--output", form)
        # Events go to who called: `ear` cannot call, so it is addressed by its name.
        caller = ph.Client("127.0.0.1", int(center.rsplit(":")[-1]), "caller")
        caller.call("liar", "event")
        caller.raw = Peer.raw.__get__(caller)
        caller.raw(ph.EVENT, b"ear", hostile("method", 200, False), hostile("event", None, False), headers_of(hostile("header", 64), b"x"))
        caller.raw(ph.REQUEST, b"ear", hostile("method", 200, False), hostile("event", None, False), b"", 9, 5000)
        caller.until(lambda: 9 in caller.ended)
        out, err = subscriber.communicate(timeout=60)
        listener.terminate()
        heard, said = listener.communicate(timeout=60)
        holds(check_clean("subscribe", out), "published", "words.of.liars")
        holds(check_clean("reply --events", heard), "event", "caller@here")
        check_clean("what they say", err + said)
        return out + heard


@test("hostile_text_is_escaped_in_events")
def _():
    events_of("table")


@test("hostile_text_is_escaped_in_events_of_json")
def _():
    check_json("events", events_of("json"))


@test("hostile_text_is_escaped_in_presence")
def _():
    for form in ("table", "json"):
        with crowd() as center:
            watcher = start(center, "watch", "--count", "2", "--output", form, "--verbose")
            while True:
                first = watcher.stdout.readline()
                if b"liar" in first:
                    break
            port = int(center.rsplit(":")[-1])
            caller = ph.Client("127.0.0.1", port, "caller")
            caller.call("liar", "change")
            out, err = watcher.communicate(timeout=60)
            shown = check_clean("watch", first + out)
            check_clean("watch", err)
            if form == "json":
                holds(shown, "changed")
                check_json("watch", first + out)


class LyingCenter:
    """Speaks the opening of a center, plain, and then what it is told; every link gets the same."""

    def __init__(self, *packets, hello=b"", welcome=None):
        self.packets, self.hello, self.welcome = packets, hello, welcome
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                link, _ = self.listener.accept()
                threading.Thread(target=self.lie, args=(link,), daemon=True).start()

    def lie(self, link):
        def send(command, payload):
            link.sendall(struct.pack(">IH", 6 + len(payload), command) + payload)

        def receive():
            head = link.recv(6, socket.MSG_WAITALL)
            return link.recv(struct.unpack(">I", head[:4])[0] - 6, socket.MSG_WAITALL)

        with contextlib.suppress(OSError, struct.error):
            send(ph.HANDSHAKE, self.hello or bytes([ph.HELLO]) + ph.field(1, b"\0\1") + ph.field(2, b"\0") + ph.field(3, b"here"))
            if self.welcome is not None:
                receive()
                send(ph.HANDSHAKE, self.welcome)
            for command, payload in self.packets:
                send(command, payload)
            while receive():
                pass

    def stop(self):
        self.listener.close()


def welcome(name):
    return bytes([ph.WELCOME]) + b"".join(ph.field(tag, value) for tag, value in (
        (1, name), (2, struct.pack(">Q", 7)), (3, struct.pack(">Q", 8)), (4, struct.pack(">Q", 9))))


def entry(name, service, *fields):
    rest = bytes([len(name)]) + name + bytes([len(service)]) + service + b"".join(ph.field(tag, value) for tag, value in fields)
    return struct.pack(">HBBBBQQ", 22 + len(rest), ph.ONLINE, 0, 1, 2, 5, 9) + rest


def page(*entries):
    return ph.ONLINE_LIST, struct.pack(">QQBH", 8, 9, 3, len(entries)) + b"".join(entries)


@test("hostile_text_of_a_center_is_escaped_too")
def _():
    me = welcome(b"me@here")
    lies = (
        LyingCenter((ph.BYE, struct.pack(">HI", 13, 0) + hostile("bye"))),
        LyingCenter((ph.BYE, struct.pack(">HI", 999, 0) + hostile("bye")), welcome=me),
        LyingCenter((ph.BYE, struct.pack(">HI", 13, 0) + hostile("bye", None, False))),
        LyingCenter(hello=bytes([ph.HELLO]) + ph.field(1, b"\0\1") + ph.field(2, b"\0") + ph.field(3, hostile("domain", 200))),
        LyingCenter(welcome=welcome(hostile("id", 200))),
        LyingCenter(welcome=welcome(hostile("id", 200, False) + b"@here")),
        LyingCenter(page(entry(b"liar@here", b"lies", (2, hostile("software", 64)), (5, hostile("software", 64)), (3, b"\3key" + hostile("value")))), welcome=me),
        LyingCenter(page(entry(hostile("name", 60) + b"@here", hostile("service", 60))), welcome=me),
    )
    told = 0
    for number, center in enumerate(lies):
        for command in (("ls",), ("ls", "--output", "json"), ("watch", "--for", "300ms"), ("call", "x", "y"), ("ping", "x", "--count", "1")):
            out, err = run(center.address, *command, "--timeout", "300ms", "--verbose")
            shown = check_clean(f"{command} at lying center {number}", out + err)
            told += "bye?]0;pwned" in shown
        center.stop()
    if told == 0:
        raise AssertionError("nobody was told what the center said")


# ---- proofs

def write(folder, name, data):
    path = os.path.join(folder, name)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
        file.write(data)
    return path


def leaf(subject, issuer, use, *names):
    more = [f.alternative(*names)] if names else []
    return f.Certificate(subject, issuer, own=f.key("p256", "leaf"),
                         extensions=[f.constraints(False), f.usage(f.DIGITAL_SIGNATURE), f.extended(use), *more])


ROOT = f.authority()
STRANGER = f.authority("stranger" + TEXT.decode())
LONG = hostile("long", None, False) * 40


def bad_names(use):
    """Certificates with hostile names, from who is believed, and from who is not."""
    names = (f.uri(b"posthouse://here/" + hostile("uri")), f.uri(b"posthouse://here/" + hostile("uri", None, False)), f.dns(hostile("dns")),
             f.dns(hostile("dns", None, False)), f.uri(b"posthouse://here/" + LONG))
    for name in names:
        yield leaf("subject" + TEXT.decode(), ROOT, use, name), ROOT
    yield leaf("subject" + TEXT.decode(), STRANGER, use, names[0]), STRANGER
    yield leaf("subject" + TEXT.decode(), ROOT, use), ROOT


def through(certificate, issuer):
    return lambda host, port: tls13.connect(socket.create_connection((host, port), 30), [certificate.der, issuer.der], certificate.key, host="localhost")


@test("hostile_text_in_certificates_is_escaped_in_logs")
def _():
    with tempfile.TemporaryDirectory() as folder:
        own = leaf("center", ROOT, f.SERVER_AUTH, f.dns("localhost"))
        options = ("--tls-certificate", write(folder, "center.crt", own.pem()), "--tls-key", write(folder, "center.key", own.key.pem()),
                   "--tls-authorities", write(folder, "ca.crt", ROOT.pem()))
        for form in ("text", "json"):
            center = Center("--log-format", form, *options, listen="tls:127.0.0.1:0")
            for certificate, issuer in bad_names(f.CLIENT_AUTH):
                if not is_refused(center.port, (2, b"orders"), dial=through(certificate, issuer)):
                    raise AssertionError(f"{certificate.subject!r} was let in")
            good = leaf("subject" + TEXT.decode(), ROOT, f.CLIENT_AUTH, f.uri(b"posthouse://here/orders"))
            if is_refused(center.port, (2, b"orders"), dial=through(good, ROOT)):
                raise AssertionError("a subject is no name, and its text no reason")
            if not is_refused(center.port, (2, hostile("account", 60)), dial=through(good, ROOT)):
                raise AssertionError("a hostile account was let in")
            holds(check_clean(f"log as {form}", center.stop()), "names no account", "orders@here", "account")


@test("hostile_text_in_certificates_is_escaped_by_the_command_line")
def _():
    shown = ""
    with tempfile.TemporaryDirectory() as folder:
        authority = write(folder, "ca.crt", ROOT.pem())
        for number, (certificate, issuer) in enumerate(bad_names(f.SERVER_AUTH)):
            path = write(folder, f"{number}.crt", certificate.pem() + issuer.pem())
            for form in ("table", "json"):
                process = subprocess.run([POSTHOUSE, "cert", "show", path, "--output", form], stdin=subprocess.DEVNULL, capture_output=True, env=ENVIRONMENT, check=False)
                (check_json if form == "json" else check_clean)("cert show", process.stdout)
                shown += check_clean("cert show", process.stdout + process.stderr)
            with socket.create_server(("127.0.0.1", 0)) as listener:
                def lie(listener=listener, certificate=certificate, issuer=issuer):
                    with contextlib.suppress(tls13.Alert, EOFError, OSError, ValueError):
                        tls13.accept(listener.accept()[0], [certificate.der, issuer.der], certificate.key)

                threading.Thread(target=lie, daemon=True).start()
                out, err = run(f"tls:localhost:{listener.getsockname()[1]}", "ls", "--tls-ca", authority, "--timeout", "3s", "--verbose")
                shown += check_clean(f"ls at a center with certificate {number}", out + err)
    holds(shown, "uri\\x1b]0;pwned", "dns")


def token(header, claims, secret):
    parts = [base64.urlsafe_b64encode(part if isinstance(part, bytes) else json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    return b".".join(parts + [base64.urlsafe_b64encode(hmac.new(secret, b".".join(parts), hashlib.sha256).digest()).rstrip(b"=")])


@test("hostile_text_in_tokens_is_escaped")
def _():
    secret = hashlib.sha256(b"not to be guessed").digest() + hashlib.sha256(b"at all").digest()
    text = TEXT.replace(b"\0", b"").decode()  # JSON with NUL is refused before anybody looks
    good = {"alg": "HS256", "typ": "JWT"}
    claims = {"sub": "orders", "exp": 4102444800}
    tokens = [
        (good, dict(claims, sub="subject" + text)), (good, dict(claims, sub="subject" + text * 90)), (good, dict(claims, iss="issuer" + text)),
        (good, dict(claims, aud=["audience" + text])), (dict(good, kid="kid" + text), claims), (dict(good, alg="alg" + text), claims),
        (dict(good, crit=["crit" + text]), claims), (dict(good, typ="typ" + text), dict(claims, more={"claim" + text: "value" + text})),
        (good, b'{"sub":"' + BROKEN + b'","exp":4102444800}'), (good, b"{" + TEXT + BROKEN), (b'{"alg":"HS256","kid":"' + BROKEN + b'"}', claims),
    ]
    with tempfile.TemporaryDirectory() as folder:
        where = write(folder, "secret", secret)
        for form in ("text", "json"):
            center = Center("--log-format", form, "--tokens-secret", f"file:{where}", "--tokens-issuer", "somebody")
            for header, payload in tokens:
                if not is_refused(center.port, (2, b"orders"), (5, token(header, payload, secret))):
                    raise AssertionError(f"{payload!r} was let in")
            holds(check_clean(f"log as {form}", center.stop()), "token")
        shown = ""
        for number, (header, payload) in enumerate(tokens):
            path = write(folder, f"{number}.token", token(header, payload, secret))
            for more in ((), ("--secret", f"file:{where}")):
                for form in ("table", "json"):
                    process = subprocess.run([POSTHOUSE, "token", "inspect", path, "--output", form, *more], stdin=subprocess.DEVNULL, capture_output=True,
                                             env=ENVIRONMENT, check=False)
                    (check_json if form == "json" else check_clean)("token inspect", process.stdout)
                    shown += check_clean("token inspect", process.stdout + process.stderr)
        holds(shown, "subject\\", "issuer\\", "audience\\")


children.close()
print(f"1..{len(results)}")
sys.exit(not all(results))
