#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# fuzz/seed.py - the golden vectors as the first inputs of the wire fuzzers.
#
#   fuzz/seed.py FOLDER     writes FOLDER/<fuzzer>/<vector>; then script/fuzz --merge keeps what matters

import json
import pathlib
import sys

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "tests" / "vectors"
HANDSHAKE = {"hello", "join", "welcome"}
CREDENTIAL = {"credential": b"\0", "credential_answer": b"\1"}
SUBSCRIPTION = {"subscription": b"\0", "subscription_answer": b"\1"}
PRESENCE = {"page": b"\0", "status": b"\1", "ask": b"\2"}


def read(name):
    return json.loads((VECTORS / f"{name}.json").read_text())


def inputs():
    for vector in read("packets") + read("malformed"):
        family, payload, name = vector["family"], bytes.fromhex(vector["payload"]), vector["name"]
        if family in HANDSHAKE:
            yield "fuzz_handshake", name, payload
        elif family in PRESENCE:
            yield "fuzz_online_list", name, PRESENCE[family] + payload
        elif family in SUBSCRIPTION:
            yield "fuzz_subscription", name, SUBSCRIPTION[family] + payload
        elif family in CREDENTIAL:
            yield "fuzz_credential", name, CREDENTIAL[family] + payload
        elif family in ("own_state", "stream"):
            yield "fuzz_own_state", name, payload
        elif family == "message":
            yield "fuzz_message", name, payload
        else:
            yield "fuzz_heartbeat_bye", name, payload
    for vector in read("topics"):
        topic, pattern = bytes.fromhex(vector["topic"]), bytes.fromhex(vector["pattern"])
        yield "fuzz_subscription", vector["name"], b"\2" + topic + b"\0" + pattern
    for session in read("sessions"):
        for direction in ("to_client", "to_center"):
            packets = [(p["command"], bytes.fromhex(p["payload"])) for p in session[direction]["packets"]]
            # Clear, with checks to be put right; largest packet 65,536; any seed.
            for control in (b"\5", b"\4"):
                plain = b"".join((6 + len(p)).to_bytes(4, "big") + c.to_bytes(2, "big") + p for c, p in packets)
                checked = b"".join((8 + len(p)).to_bytes(4, "big") + b"\0\0" + c.to_bytes(2, "big") + p for c, p in packets)
                name = f"{direction}_{control[0]}"
                yield "fuzz_inbound_plain", name, control + b"\0\7" + plain
                yield "fuzz_inbound_check", name, control + b"\0\7" + checked
                yield "fuzz_inbound_paper", name, control + b"\0\7" + checked


def main():
    if len(sys.argv) != 2:
        print("usage: seed.py FOLDER", file=sys.stderr)
        return 2
    for fuzzer, name, content in inputs():
        folder = pathlib.Path(sys.argv[1]) / fuzzer
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
