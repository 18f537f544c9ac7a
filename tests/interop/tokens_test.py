# SPDX-License-Identifier: Apache-2.0
"""Tokens between posthouse and two other implementations, npm's jose and jsonwebtoken, against the real center. Prints TAP.

Were it to fail, tokens of common issuers would be refused, or somebody would get in with one that nobody should believe: docs/protocol.md P-79.

The forged ones say that their keys are at a trap, an HTTP server of this machine. Whoever connects to it was sent there by a token.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import client as ph  # noqa: E402
from harness import PATIENCE, Center, equal, finish, holds, posthouse, test  # noqa: E402

NPM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "npm")
ISSUER = "https://issuer.example/"
AUDIENCE = "shop"
FORGED_MIN = 60
MALFORMED, NOT_AUTHORISED = 6, 13  # reasons of byes: P-60


class Trap:
    """Takes connections and counts them."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.connections = 0
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            connection.close()

    def works(self):
        """It does count: else 0 would say nothing."""
        before = self.connections
        with socket.create_connection(self.listener.getsockname(), PATIENCE) as probe:
            probe.recv(1)  # until it was closed
        return self.connections == before + 1

    def close(self):
        self.listener.close()


def node(*arguments, body=""):
    done = subprocess.run(["node", "tokens.mjs", *arguments], cwd=NPM, input=body, capture_output=True, text=True, timeout=PATIENCE * 2, check=False)
    holds(done.returncode == 0, f"node {arguments[0]}: {done.stderr[-2000:]} (script/setup --test installs what it needs)")
    return done.stdout


def verdict(token, keys):
    """What posthouse token inspect says of it; None: it cannot even be taken apart."""
    status, out, said = posthouse("token", "inspect", "--keys", keys, "--issuer", ISSUER, "--audience", AUDIENCE, "--output", "json", input=token)
    if status == 1:
        holds("header" in said or "payload" in said or "three parts" in said or "longer" in said, said)
        return None
    judged = json.loads(out)["verdict"]
    equal(status, 0 if judged["is_good"] else 4)
    return judged


def join(center, token):
    """None: it is in, as whom the token names; or the bye."""
    try:
        client = ph.Client("127.0.0.1", center.ports[0], token=token)
    except ph.Bye as bye:
        return bye
    name = client.id.split("@")[0]
    client.bye()
    holds(name == "orders" or name.startswith("orders-"), name)
    return None


def plain(name):
    """For a line of TAP."""
    return name.encode("unicode_escape").decode()


folder = tempfile.TemporaryDirectory()
keys = os.path.join(folder.name, "keys.json")
trap = Trap()
made = {}
center = None


@test("tokens_of_other_implementations_are_made")
def _():
    global made  # pylint: disable=global-statement
    made = json.loads(node("make", keys, ISSUER, AUDIENCE, trap.url))
    holds(len(made["forged"]) >= FORGED_MIN, f"{len(made['forged'])} forged tokens")
    equal(len({name for name, _ in made["forged"]}), len(made["forged"]))


@test("tokens_center_starts_with_a_key_set_of_jose")
def _():
    global center  # pylint: disable=global-statement
    center = Center("--tokens-keys", keys, "--tokens-issuer", ISSUER, "--tokens-audience", AUDIENCE, "--anonymous", "never", workers=2, level="debug")


for _name, _token in made.get("good", []):

    @test(f"tokens_good_is_accepted: {plain(_name)}")
    def _(token=_token):
        judged = verdict(token, keys)
        equal(judged and judged["text"], "the token is good")
        equal(judged["principal"], "orders")
        equal(join(center, token), None)


for _name, _token in made.get("forged", []):

    @test(f"tokens_forged_is_refused: {plain(_name)}")
    def _(token=_token):
        # inspect takes the end of a line off; a center does not.
        judged = None if token.endswith("\n") else verdict(token, keys)
        holds(judged is None or not judged["is_good"], "inspect finds it good")
        refused = join(center, token)
        holds(refused is not None, "it got in")
        if len(token) > 4096:
            equal(refused.reason, MALFORMED)
        elif judged is not None:
            equal(refused.reason, NOT_AUTHORISED)
            holds(judged["text"] in str(refused), f"{refused}, and not: {judged['text']}")
        else:
            equal(refused.reason, NOT_AUTHORISED)
            holds("the token is malformed" in str(refused), str(refused))


@test("tokens_none_is_refused_where_one_is_needed")
def _():
    refused = join(center, "")
    equal(refused.reason, NOT_AUTHORISED)


@test("tokens_are_in_no_line_of_the_log")
def _():
    center.log(lambda event: "refused" in event["msg"])  # something was written
    log = "\n".join(center.lines())
    for name, token in made["good"] + made["forged"]:
        for part in token.split("."):
            holds(len(part) < 20 or part not in log, f"a part of '{name}' is there")


@test("tokens_forged_cause_no_connection")
def _():
    equal(center.stop(), 0)  # whatever it would have wanted to fetch, it has tried by now
    equal(trap.connections, 0)
    holds(trap.works(), "the trap does not count")


@test("tokens_of_posthouse_are_good_for_others")
def _():
    lines = []
    sets = {"keys": []}
    for algorithm in ("ES256", "EdDSA", "RS256", "PS256", "HS256"):
        private, public = (os.path.join(folder.name, f"{algorithm}.{part}") for part in ("key", "keys"))
        shared = algorithm == "HS256"
        status, _, said = posthouse("token", "key", "--algorithm", algorithm, "--private", private, *([] if shared else ["--public", public]))
        equal((status, said if status else ""), (0, ""))
        status, token, said = posthouse("token", "issue", "--key", private, "--subject", "orders", "--issuer", ISSUER, "--audience", AUDIENCE)
        equal((status, said), (0, ""))
        lines.append(json.dumps({"algorithm": algorithm, "token": token.strip()}))
        with open(private if shared else public, encoding="utf-8") as file:
            read = json.load(file)
            sets["keys"] += [read] if shared else read["keys"]
    both = os.path.join(folder.name, "sets.json")
    with open(both, "w", encoding="utf-8") as file:
        json.dump(sets, file)
    said = [json.loads(line) for line in node("verify", both, ISSUER, AUDIENCE, body="\n".join(lines)).splitlines()]
    equal([line["algorithm"] for line in said], ["ES256", "EdDSA", "RS256", "PS256", "HS256"])
    equal({line["jose"] for line in said}, {"orders"})
    equal({line["jsonwebtoken"] for line in said if line["algorithm"] != "EdDSA"}, {"orders"})


trap.close()
folder.cleanup()
sys.exit(finish())
