#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# tests/vectors/make.py - the golden vectors, made from docs/protocol.md and from nothing else.
#
# Nothing here is shared with the C code: packets are put together from the tables of the document, the
# check is its formula word by word, the cipher is that of the Python cryptography package. So a vector
# that the C code reproduces was reached on two ways.
#
#   make.py           writes the files beside it
#   make.py --check   compares instead, and says so in TAP

import json
import pathlib
import struct
import sys

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
try:
    from cryptography.hazmat.decrepit.ciphers.modes import OFB
except ImportError:
    from cryptography.hazmat.primitives.ciphers.modes import OFB

HERE = pathlib.Path(__file__).resolve().parent

HEARTBEAT, HANDSHAKE, LIST, STATUS, MESSAGE, BYE, OWN_STATE, SUBSCRIPTION, STREAM, CREDENTIAL = range(1, 11)


# ---- the document's building blocks

def u8(v):
    return struct.pack(">B", v)


def u16(v):
    return struct.pack(">H", v)


def u32(v):
    return struct.pack(">I", v)


def u64(v):
    return struct.pack(">Q", v)


def str8(b):
    return u8(len(b)) + b


def text(s):
    return s.encode("utf-8")


def field(tag, value):  # [P-26]
    return u8(tag) + u16(len(value)) + value


def plain(command, payload):  # [P-10]
    return u32(6 + len(payload)) + u16(command) + payload


class Direction:
    """One direction of a link: [P-23] and [P-25]."""

    def __init__(self, suite, key=None, iv=None, s=0, n=0):
        self.suite = suite
        self.s = s
        self.n = n
        self.ofb = Cipher(algorithms.AES(key), OFB(iv)).encryptor() if suite == "paper" else None

    def take_in(self, w):
        self.s = ((self.s << 1) | (self.s >> 15)) & 0xffff  # s = rotl16(s, 1)
        self.s = (self.s | w) - (self.s & w)

    def check(self, packet):
        """`packet` is a whole checked packet with its check field zero."""
        self.take_in(self.n % 65536)
        padded = packet + (b"\0" if len(packet) % 2 else b"")
        for i in range(0, len(padded), 2):
            self.take_in(padded[i] << 8 | padded[i + 1])
        self.n += 1
        return self.s

    def packet(self, command, payload):
        if self.suite == "plain":
            return plain(command, payload)
        head = u32(8 + len(payload))
        check = self.check(head + u16(0) + u16(command) + payload)
        raw = head + u16(check) + u16(command) + payload
        return self.ofb.update(raw) if self.ofb else raw


# ---- the families: from the fields as JSON names them to the payload

def heartbeat(f):
    if f["kind"] == "empty":
        return b""
    return u8({"ask": 0, "answer": 1}[f["kind"]]) + u64(int(f["stamp"]))


def optional(f, name, tag, encode):
    return field(tag, encode(f[name])) if name in f else b""


def number64(v):
    return u64(int(v))


def hello(f):
    return (u8(1) + field(1, u16(f["version"])) + field(2, u8(f["suite"])) + field(3, text(f["domain"]))
            + optional(f, "to_client_key", 4, bytes.fromhex) + optional(f, "to_client_iv", 5, bytes.fromhex)
            + optional(f, "to_center_key", 6, bytes.fromhex) + optional(f, "to_center_iv", 7, bytes.fromhex)
            + optional(f, "heartbeat_idle_ms", 8, u32) + optional(f, "heartbeat_grace_ms", 9, u32)
            + optional(f, "packet_bytes_max", 10, u32) + optional(f, "calls_max", 11, u32)
            + optional(f, "message_bytes_max", 12, u32) + optional(f, "streams_max", 13, u32)
            + optional(f, "subscriptions_max", 14, u32))


def metadata(f, tag):
    return b"".join(field(tag, str8(text(m["key"])) + bytes.fromhex(m["value"])) for m in f.get("metadata", []))


def ask_fields(f, base):
    return (field(base + 1, u8(f["wants"])) + optional(f, "type", base + 2, u8)
            + optional(f, "service", base + 3, text) + optional(f, "domain", base + 4, text)
            + optional(f, "last_epoch", base + 5, number64) + optional(f, "last_revision", base + 6, number64))


def join(f):
    return (u8(2) + field(1, u16(f["version"])) + optional(f, "account", 2, text) + optional(f, "type", 3, u8)
            + optional(f, "service", 4, text) + optional(f, "token", 5, bytes.fromhex) + metadata(f, 6)
            + optional(f, "capabilities", 7, u32) + ask_fields(f["presence"], 7) + optional(f, "software", 14, text)
            + optional(f, "state", 15, u8) + optional(f, "weight", 16, u16) + optional(f, "message_bytes_max", 17, u32))


def welcome(f):
    return (u8(3) + field(1, text(f["id"])) + field(2, number64(f["session"])) + field(3, number64(f["epoch"]))
            + field(4, number64(f["revision"])) + optional(f, "expires_ms", 5, u32))


def ask(f):
    return ask_fields(f, 0)


def entry(f):
    body = (u8(f["what"]) + u8(f["reason"]) + u8(f["type"]) + u8(f["state"]) + number64(f["session"])
            + number64(f["revision"]) + str8(text(f["id"])) + str8(text(f["service"]))
            + optional(f, "software", 1, text) + optional(f, "weight", 2, u16) + metadata(f, 3)
            + optional(f, "round_trip_us", 4, u32))
    return u16(2 + len(body)) + body


def page(f):
    return (number64(f["epoch"]) + number64(f["revision"]) + u8(f["flags"]) + u16(len(f["entries"]))
            + b"".join(entry(e) for e in f["entries"]))


def status(f):
    return (number64(f["epoch"]) + number64(f["previous"]) + number64(f["revision"]) + u16(len(f["entries"]))
            + b"".join(entry(e) for e in f["entries"]))


def message(f):
    to, sender, method = text(f["to"]), text(f["from"]), text(f["method"])
    headers = b"".join(str8(text(h["name"])) + u16(len(bytes.fromhex(h["value"]))) + bytes.fromhex(h["value"])
                       for h in f["headers"])
    body = bytes.fromhex(f["body"])
    if "failure" in f:
        body = u16(f["failure"]["code"]) + text(f["failure"]["text"])
        assert body.hex() == f["body"]
    if "receipt" in f:
        assert receipt(f["receipt"]).hex() == f["body"]
    if "gathered" in f:
        assert gathered(f["gathered"]).hex() == f["body"]
    return (u8(f["kind"]) + u8(f["flags"]) + u16(f["turn"]) + number64(f["call"]) + u32(f["ttl_ms"]) + u8(len(to))
            + u8(len(sender)) + u8(len(method)) + u8(f["depth"]) + u16(len(headers)) + u16(f["want"]) + to + sender
            + method + headers + body)


def receipt(f):  # [P-68]
    return u32(f["delivered"]) + u32(f["dropped"]) + u16(f["code"])


def gathered(f):  # [P-65]
    return (u16(f["asked"]) + u16(f["replied"]) + u16(len(f["missing"]))
            + b"".join(u16(m["code"]) + str8(text(m["id"])) for m in f["missing"]))


def bye(f):
    return u16(f["reason"]) + u32(f["retry_after_ms"]) + text(f["text"])


def own_state(f):
    no_metadata = field(4, b"") if f.get("metadata") == [] else b""
    return (optional(f, "state", 1, u8) + optional(f, "weight", 2, u16) + metadata(f, 3) + no_metadata
            + optional(f, "software", 5, text))


def subscription(f):
    return u32(f["number"]) + b"".join(field({"add": 1, "remove": 2}[c["change"]], text(c["pattern"]))
                                       for c in f["changes"])


def subscription_answer(f):
    return u32(f["number"]) + b"".join(field(1, u16(r["code"]) + text(r["pattern"])) for r in f["refused"])


def stream(f):
    return u8(f["op"]) + u8(f["kind"]) + u16(f["turn"]) + number64(f["call"]) + u32(f["value"])


def credential(f):
    return field(1, bytes.fromhex(f["token"]))


def credential_answer(f):
    return optional(f, "expires_ms", 2, u32)


FAMILIES = {
    "heartbeat": (HEARTBEAT, heartbeat), "hello": (HANDSHAKE, hello), "join": (HANDSHAKE, join),
    "welcome": (HANDSHAKE, welcome), "page": (LIST, page), "ask": (LIST, ask), "status": (STATUS, status),
    "message": (MESSAGE, message), "bye": (BYE, bye), "own_state": (OWN_STATE, own_state),
    "subscription": (SUBSCRIPTION, subscription), "subscription_answer": (SUBSCRIPTION, subscription_answer),
    "stream": (STREAM, stream), "credential": (CREDENTIAL, credential),
    "credential_answer": (CREDENTIAL, credential_answer),
}


# ---- what is in the files

KEYS = {
    "to_client_key": bytes(range(32)).hex(), "to_client_iv": bytes(range(0x10, 0x20)).hex(),
    "to_center_key": bytes(range(0x80, 0xa0)).hex(), "to_center_iv": bytes(range(0xf0, 0x100)).hex(),
}
LIMITS = {"heartbeat_idle_ms": 10000, "heartbeat_grace_ms": 5000, "packet_bytes_max": 65536, "calls_max": 1024,
          "message_bytes_max": 67108864, "streams_max": 16, "subscriptions_max": 1000}
NOBODY = {"wants": 0}
ORDERS = {
    "what": 1, "reason": 0, "type": 1, "state": 2, "session": "18446744073709551615", "revision": "7",
    "id": "orders-7f3a@eu.main", "service": "orders", "software": "posthouse 0.1.0", "weight": 100,
    "metadata": [{"key": "zone", "value": text("eu-1").hex()}, {"key": "empty", "value": ""}],
    "round_trip_us": 137,
}
GATEWAY = {"what": 1, "reason": 0, "type": 2, "state": 1, "session": "1", "revision": "2", "id": "g@d", "service": ""}


def a_message(**changes):
    f = {"kind": 2, "flags": 0, "turn": 0, "call": "1", "ttl_ms": 30000, "to": "orders", "from": "shop@eu.main",
         "method": "order.get", "depth": 0, "headers": [], "want": 0, "body": ""}
    f.update(changes)
    return f


def failure(code, why, **changes):
    return a_message(kind=4, ttl_ms=0, to="", method="", body=(u16(code) + text(why)).hex(),
                     failure={"code": code, "text": why}, **changes)


CANONICAL = [  # name, family, clauses, fields
    ("heartbeat_empty", "heartbeat", "P-12 P-39", {"kind": "empty", "stamp": "0"}),
    ("heartbeat_ask", "heartbeat", "P-39", {"kind": "ask", "stamp": "72623859790382856"}),
    ("heartbeat_answer", "heartbeat", "P-39", {"kind": "answer", "stamp": "18446744073709551615"}),
    ("hello_plain", "hello", "P-34", {"version": 1, "suite": 0, "domain": "d"}),
    ("hello_check", "hello", "P-34", {"version": 1, "suite": 2, "domain": "eu.main", **LIMITS}),
    ("hello_paper", "hello", "P-34", {"version": 1, "suite": 1, "domain": "eu.main", **KEYS, **LIMITS}),
    ("hello_unknown_suite", "hello", "P-20 P-34", {"version": 1, "suite": 3, "domain": "eu.main"}),
    ("join_least", "join", "P-35", {"version": 1, "type": 1, "presence": NOBODY, "state": 2}),
    ("join_starting", "join", "P-35", {"version": 1, "type": 1, "presence": NOBODY, "state": 1, "weight": 100}),
    ("join_most", "join", "P-35", {
        "version": 1, "account": "orders-1", "type": 2, "service": "orders", "token": "00ff10",
        "metadata": [{"key": "zone", "value": text("eu-1").hex()}, {"key": "k" * 64, "value": "00" * 1024}],
        "capabilities": 2147483648,
        "presence": {"wants": 1, "type": 3, "service": "orders", "domain": "eu.main",
                     "last_epoch": "18446744073709551615", "last_revision": "42"},
        "software": "posthouse 0.1.0", "state": 3, "weight": 1000, "message_bytes_max": 4294967295}),
    ("join_weight_zero", "join", "P-35", {"version": 1, "type": 1, "presence": NOBODY, "state": 2, "weight": 0}),
    ("join_name_invalid", "join", "P-35 P-38", {"version": 1, "account": "Orders!", "type": 1, "presence": NOBODY,
                                                "state": 2}),
    ("welcome", "welcome", "P-36", {"id": "orders-7f3a@eu.main", "session": "9223372036854775808",
                                    "epoch": "1700000000000", "revision": "7"}),
    ("welcome_that_ends", "welcome", "P-36", {"id": "a@d", "session": "1", "epoch": "1", "revision": "1",
                                             "expires_ms": 4294967295}),
    ("page_empty", "page", "P-44", {"epoch": "1", "revision": "0", "flags": 3, "entries": []}),
    ("page_of_third_ask", "page", "P-44", {"epoch": "1", "revision": "9", "flags": 15, "entries": []}),
    ("page_one", "page", "P-44 P-46", {"epoch": "1", "revision": "7", "flags": 1, "entries": [ORDERS]}),
    ("page_two", "page", "P-44 P-46", {"epoch": "1", "revision": "7", "flags": 2, "entries": [GATEWAY, ORDERS]}),
    ("ask_nothing", "ask", "P-42", {"wants": 0}),
    ("ask_all", "ask", "P-42", {"wants": 1, "type": 1, "service": "orders", "domain": "eu.main", "last_epoch": "1",
                                "last_revision": "7"}),
    ("status_empty", "status", "P-45", {"epoch": "1", "previous": "7", "revision": "9", "entries": []}),
    ("status_three", "status", "P-45 P-46 P-47", {
        "epoch": "1", "previous": "7", "revision": "10",
        "entries": [dict(ORDERS, revision="8"),
                    dict(GATEWAY, what=3, state=3, revision="9"),
                    dict(GATEWAY, what=2, state=5, reason=2, revision="10")]}),
    ("message_event", "message", "P-50 P-51", a_message(kind=1, call="0", ttl_ms=0, to="all:", body="00")),
    ("message_request", "message", "P-50 P-51", a_message(
        flags=2, headers=[{"name": "trace", "value": "00010203"}, {"name": "", "value": ""}], body="7b7d")),
    ("message_largest_call", "message", "P-50", a_message(call="18446744073709551615", ttl_ms=4294967295)),
    ("message_reply", "message", "P-51", a_message(kind=3, ttl_ms=0, to="", method="", body="ff" * 300)),
    ("message_failure", "message", "P-51 P-58", failure(13, "the responder's link died")),
    ("message_failure_own_code", "message", "P-58", failure(1000, "")),
    ("message_inquiry", "message", "P-51 P-62", a_message(kind=5, turn=1, to="", method="which.bank", body="3f")),
    ("message_inquiry_deepest", "message", "P-63", a_message(kind=5, turn=65535, depth=4, ttl_ms=1, to="")),
    ("message_answer", "message", "P-51 P-62", a_message(kind=6, turn=65535, ttl_ms=0, to="", method="", body="21")),
    ("message_inquiry_failed", "message", "P-51 P-62", failure(18, "nobody here to ask", turn=1)),
    ("message_request_in_a_dialog", "message", "P-63", a_message(depth=1)),
    ("message_cancel", "message", "P-51", a_message(kind=7, ttl_ms=0, to="", method="")),
    ("message_cancel_from_center", "message", "P-51 P-57", a_message(
        kind=7, ttl_ms=0, to="", method="", body=u16(19).hex(), **{"from": "@eu.main"})),
    ("message_gather", "message", "P-65", a_message(to="all:orders", want=65535)),
    ("message_gather_part", "message", "P-51 P-65", a_message(kind=3, flags=16, turn=3, ttl_ms=0, to="", method="",
                                                              body="01")),
    ("message_gather_part_failed", "message", "P-51 P-65", failure(14, "no", flags=16, turn=4)),
    ("message_gathered", "message", "P-65", a_message(
        kind=3, ttl_ms=0, to="", method="", **{"from": "@eu.main"},
        gathered={"asked": 4, "replied": 2, "missing": [{"code": 11, "id": "a@eu.main"}, {"code": 14, "id": "b@eu.main"}]},
        body="000400020002" "000b09614065752e6d61696e" "000e09624065752e6d61696e")),
    ("message_gathered_all", "message", "P-65", a_message(
        kind=3, ttl_ms=0, to="", method="", **{"from": "@eu.main"},
        gathered={"asked": 65535, "replied": 65535, "missing": []}, body="ffffffff0000")),
    ("message_event_with_receipt", "message", "P-51 P-68", a_message(kind=1, flags=8, call="5", to="topic:orders.eu",
                                                                    body="00")),
    ("message_receipt", "message", "P-51 P-68", a_message(
        kind=8, call="5", ttl_ms=0, to="", method="", **{"from": "@eu.main"},
        receipt={"delivered": 4294967295, "dropped": 2, "code": 10}, body="ffffffff" "00000002" "000a")),
    ("message_first_fragment", "message", "P-66", a_message(flags=1, body="00" * 100)),
    ("message_middle_fragment", "message", "P-66", a_message(flags=33, ttl_ms=0, to="", method="", body="01" * 100)),
    ("message_last_fragment", "message", "P-66", a_message(flags=32, ttl_ms=0, to="", method="", body="02")),
    ("message_event_last_fragment", "message", "P-51 P-66", a_message(kind=1, call="6", flags=32, ttl_ms=0, to="", method="",
                                                                     body="02")),
    ("message_inquiry_fragment", "message", "P-66", a_message(kind=5, flags=1, turn=2, depth=2, to="", body="03")),
    ("message_answer_fragment", "message", "P-66", a_message(kind=6, flags=33, turn=2, ttl_ms=0, to="", method="",
                                                             body="03")),
    ("message_gather_part_fragment", "message", "P-65 P-66", a_message(kind=3, flags=49, turn=9, ttl_ms=0, to="", method="",
                                                                      body="03")),
    ("message_to_center", "message", "P-52 P-69", a_message(to="@eu.main", method="drain",
                                                            body=(u8(1) + u32(5000) + str8(b"orders-1")).hex())),
    ("message_from_center", "message", "P-53", failure(1, "nobody", **{"from": "@eu.main"})),
    ("message_long_parts", "message", "P-50", a_message(to="t" * 255, method="m" * 255, flags=7,
                                                       headers=[{"name": "n" * 255, "value": "61" * 1000}])),
    ("bye_normal", "bye", "P-60 P-61", {"reason": 0, "retry_after_ms": 0, "text": ""}),
    ("bye_going_away", "bye", "P-60 P-61", {"reason": 1, "retry_after_ms": 1500, "text": "Wartung für \u00a7"}),
    ("bye_tls_required", "bye", "P-61 P-81", {"reason": 22, "retry_after_ms": 0, "text": "TLS is spoken at this address"}),
    ("bye_unknown_reason", "bye", "P-60", {"reason": 65535, "retry_after_ms": 4294967295, "text": "x" * 512}),
    ("own_state_nothing", "own_state", "P-72", {}),
    ("own_state_ready", "own_state", "P-72", {"state": 2}),
    ("own_state_weight_zero", "own_state", "P-72", {"weight": 0}),
    ("own_state_no_metadata", "own_state", "P-72", {"metadata": []}),
    ("own_state_all", "own_state", "P-72", {
        "state": 3, "weight": 1000,
        "metadata": [{"key": "zone", "value": text("eu-1").hex()}, {"key": "k" * 64, "value": "00" * 1024}],
        "software": "s" * 64}),
    ("own_state_most_metadata", "own_state", "P-72", {"metadata": [{"key": f"k{i}", "value": ""} for i in range(32)]}),
    ("own_state_software_empty", "own_state", "P-72", {"software": ""}),
    ("subscription_nothing", "subscription", "P-73", {"number": 0, "changes": []}),
    ("subscription_changes", "subscription", "P-73", {"number": 4294967295, "changes": [
        {"change": "add", "pattern": "orders.*.created"}, {"change": "remove", "pattern": "orders.>"},
        {"change": "add", "pattern": "orders.>"}]}),
    ("subscription_of_no_patterns", "subscription", "P-73 P-74", {"number": 1, "changes": [
        {"change": "add", "pattern": ""}, {"change": "add", "pattern": "a b"}, {"change": "add", "pattern": "x" * 255}]}),
    ("subscription_longest", "subscription", "P-73", {"number": 2, "changes": [
        {"change": "add", "pattern": "x" * 125} for _ in range(63)] + [{"change": "remove", "pattern": "x" * 121}]}),
    ("subscription_in_force", "subscription_answer", "P-73", {"number": 4294967295, "refused": []}),
    ("subscription_refused", "subscription_answer", "P-73", {"number": 1, "refused": [
        {"code": 15, "pattern": ""}, {"code": 9, "pattern": "orders.>"}, {"code": 6, "pattern": "x" * 255}]}),
    ("stream_credit", "stream", "P-75", {"op": 1, "kind": 2, "turn": 0, "call": "7", "value": 1}),
    ("stream_credit_most", "stream", "P-75", {"op": 1, "kind": 3, "turn": 65535, "call": "18446744073709551615",
                                              "value": 4294967295}),
    ("stream_credit_for_event", "stream", "P-75", {"op": 1, "kind": 1, "turn": 0, "call": "9", "value": 65536}),
    ("stream_abort_of_inquiry", "stream", "P-75", {"op": 2, "kind": 5, "turn": 1, "call": "7", "value": 8}),
    ("stream_refuse", "stream", "P-75", {"op": 3, "kind": 3, "turn": 0, "call": "7", "value": 8}),
    ("stream_abort_of_answer", "stream", "P-75", {"op": 2, "kind": 6, "turn": 2, "call": "7", "value": 65535}),
    ("credential_least", "credential", "P-76", {"token": "61"}),
    ("credential_most", "credential", "P-76", {"token": "00ff" * 2048}),
    ("credential_that_does_not_end", "credential_answer", "P-76", {}),
    ("credential_that_ends", "credential_answer", "P-76", {"expires_ms": 3600000}),
    ("credential_that_ends_latest", "credential_answer", "P-76", {"expires_ms": 4294967295}),
]

VERSION_1 = field(1, u16(1))
HELLO_2 = u8(1) + VERSION_1 + field(2, u8(0)) + field(3, b"d")
WELCOME_1 = welcome({"id": "a@d", "session": "1", "epoch": "1", "revision": "1"})

DECODE_ONLY = [  # name, family, clauses, payload, fields: accepted, but written otherwise by this project
    ("hello_other_order", "hello", "P-26", u8(1) + field(3, b"d") + field(2, u8(0)) + VERSION_1,
     {"version": 1, "suite": 0, "domain": "d"}),
    ("hello_unknown_tags", "hello", "P-26", HELLO_2 + field(63, b"new") + field(64, b"new") + field(15, b"") + field(255, b"") + field(0, b"x"),
     {"version": 1, "suite": 0, "domain": "d"}),
    ("hello_limits_zero", "hello", "P-34", HELLO_2 + field(8, u32(0)) + field(9, u32(0)) + field(10, u32(0))
     + field(11, u32(0)) + field(12, u32(0)) + field(13, u32(0)) + field(14, u32(0)),
     {"version": 1, "suite": 0, "domain": "d"}),
    ("hello_other_version", "hello", "P-34", u8(1) + field(1, u16(2)) + field(2, b"another form"), {"version": 2}),
    ("join_defaults", "join", "P-35", u8(2) + VERSION_1, {"version": 1, "type": 1, "presence": {"wants": 0}}),
    ("join_account_empty", "join", "P-35", u8(2) + VERSION_1 + field(2, b""),
     {"version": 1, "type": 1, "presence": {"wants": 0}}),
    ("join_gateway_wants_presence", "join", "P-35", u8(2) + field(3, u8(2)) + VERSION_1,
     {"version": 1, "type": 2, "presence": {"wants": 1}}),
    ("join_discovery_wants_presence", "join", "P-35", u8(2) + VERSION_1 + field(3, u8(3)),
     {"version": 1, "type": 3, "presence": {"wants": 1}}),
    ("join_center_wants_nothing", "join", "P-35", u8(2) + VERSION_1 + field(3, u8(4)),
     {"version": 1, "type": 4, "presence": {"wants": 0}}),
    ("join_other_version", "join", "P-34", u8(2) + field(1, u16(0)) + field(3, b"another form"),
     {"version": 0, "type": 0, "presence": {"wants": 0}}),
    ("welcome_unknown_tag", "welcome", "P-26", WELCOME_1 + field(6, b"new"),
     {"id": "a@d", "session": "1", "epoch": "1", "revision": "1"}),
    ("welcome_expires_zero", "welcome", "P-36", WELCOME_1 + field(5, u32(0)),
     {"id": "a@d", "session": "1", "epoch": "1", "revision": "1"}),
    ("credential_unknown_tags", "credential", "P-26", field(2, u32(1)) + field(1, b"a") + field(0, b"") + field(255, b"x"),
     {"token": "61"}),
    ("credential_expires_zero", "credential_answer", "P-76", field(2, u32(0)), {}),
    ("credential_answer_unknown_tags", "credential_answer", "P-26", field(1, b"a") + field(2, u32(7)) + field(3, b""),
     {"expires_ms": 7}),
    ("ask_unknown_tag", "ask", "P-26", field(9, b"") + field(1, u8(1)), {"wants": 1}),
    ("page_unknown_numbers", "page", "P-46", page({"epoch": "1", "revision": "1", "flags": 0, "entries": [
        dict(GATEWAY, type=77, state=0, reason=200)]}),
     {"epoch": "1", "revision": "1", "flags": 0, "entries": [dict(GATEWAY, type=77, state=0, reason=200)]}),
    ("join_unknown_tag", "join", "P-26", u8(2) + VERSION_1 + field(18, b"new") + field(0, b""),
     {"version": 1, "type": 1, "presence": {"wants": 0}}),
    ("own_state_other_order", "own_state", "P-26", field(5, b"s") + field(2, u16(7)) + field(1, u8(1)),
     {"state": 1, "weight": 7, "software": "s"}),
    ("own_state_unknown_tags", "own_state", "P-26", field(6, b"new") + field(1, u8(2)) + field(0, b"") + field(255, b"x"),
     {"state": 2}),
    ("subscription_unknown_tags", "subscription", "P-26", u32(3) + field(3, b"x" * 256) + field(1, b"a") + field(0, b""),
     {"number": 3, "changes": [{"change": "add", "pattern": "a"}]}),
    ("subscription_answer_unknown_tags", "subscription_answer", "P-26", u32(3) + field(2, b"") + field(1, u16(15) + b"a"),
     {"number": 3, "refused": [{"code": 15, "pattern": "a"}]}),
]


def with_byte(payload, at, value):
    return payload[:at] + u8(value) + payload[at + 1:]


def an_entry(**changes):
    return entry(dict(GATEWAY, **changes))


def a_page(entries, count):
    return u64(1) + u64(1) + u8(3) + u16(count) + entries


def sized(raw, size):
    return u16(size) + raw[2:]


ASK = heartbeat({"kind": "ask", "stamp": "1"})
REQUEST = message(a_message(headers=[{"name": "n", "value": "00"}], body="0102"))
PAPER = hello({"version": 1, "suite": 1, "domain": "d", **KEYS})
JOIN = u8(2) + VERSION_1
CREDIT = stream({"op": 1, "kind": 2, "turn": 0, "call": "7", "value": 1})
ONE_METADATA = field(3, str8(b"k") + b"v")

MALFORMED = [  # name, family, clauses, payload
    ("heartbeat_kind_only", "heartbeat", "P-39", u8(0)),
    ("heartbeat_short", "heartbeat", "P-39", ASK[:8]),
    ("heartbeat_long", "heartbeat", "P-39", ASK + b"\0"),
    ("heartbeat_kind_unknown", "heartbeat", "P-39", with_byte(ASK, 0, 2)),
    ("hello_empty", "hello", "P-32", b""),
    ("hello_kind_zero", "hello", "P-32", with_byte(HELLO_2, 0, 0)),
    ("hello_kind_unknown", "hello", "P-32", with_byte(HELLO_2, 0, 4)),
    ("hello_kind_of_join", "hello", "P-32", with_byte(HELLO_2, 0, 2)),
    ("hello_without_version", "hello", "P-34", u8(1) + field(2, u8(0)) + field(3, b"d")),
    ("hello_without_suite", "hello", "P-34", u8(1) + VERSION_1 + field(3, b"d")),
    ("hello_without_domain", "hello", "P-34", u8(1) + VERSION_1 + field(2, u8(0))),
    ("hello_version_size", "hello", "P-26", u8(1) + field(1, u8(1)) + HELLO_2[6:]),
    ("hello_suite_size", "hello", "P-26", u8(1) + VERSION_1 + field(2, u16(0)) + field(3, b"d")),
    ("hello_domain_empty", "hello", "P-38", u8(1) + VERSION_1 + field(2, u8(0)) + field(3, b"")),
    ("hello_domain_upper_case", "hello", "P-38", u8(1) + VERSION_1 + field(2, u8(0)) + field(3, b"D")),
    ("hello_domain_65_bytes", "hello", "P-38", u8(1) + VERSION_1 + field(2, u8(0)) + field(3, b"d" * 65)),
    ("hello_version_twice", "hello", "P-26", HELLO_2 + VERSION_1),
    ("hello_field_cut", "hello", "P-26", HELLO_2 + b"\x08\x00\x04\x00"),
    ("hello_tag_alone", "hello", "P-26", HELLO_2 + b"\x63"),
    ("hello_idle_size", "hello", "P-26", HELLO_2 + field(8, u16(1))),
    ("hello_packet_limit", "hello", "P-34", HELLO_2 + field(10, u32(65537))),
    ("hello_keys_in_plain", "hello", "P-34", HELLO_2 + field(4, bytes(32))),
    ("hello_paper_without_keys", "hello", "P-34", u8(1) + VERSION_1 + field(2, u8(1)) + field(3, b"d")),
    ("hello_paper_without_last_iv", "hello", "P-34", PAPER[:-19]),
    ("hello_key_31_bytes", "hello", "P-34", PAPER[:14] + field(4, bytes(31)) + PAPER[49:]),
    ("join_without_version", "join", "P-35", u8(2) + field(2, b"a")),
    ("join_type_zero", "join", "P-35", u8(2) + VERSION_1 + field(3, u8(0))),
    ("join_type_five", "join", "P-35", u8(2) + VERSION_1 + field(3, u8(5))),
    ("join_type_size", "join", "P-26", u8(2) + VERSION_1 + field(3, u16(1))),
    ("join_account_256_bytes", "join", "P-35", u8(2) + VERSION_1 + field(2, b"a" * 256)),
    ("join_service_256_bytes", "join", "P-35", u8(2) + VERSION_1 + field(4, b"a" * 256)),
    ("join_token_4097_bytes", "join", "P-35", u8(2) + VERSION_1 + field(5, bytes(4097))),
    ("join_metadata_33", "join", "P-35", u8(2) + VERSION_1 + field(6, str8(b"k")) * 33),
    ("join_metadata_key_empty", "join", "P-35", u8(2) + VERSION_1 + field(6, str8(b""))),
    ("join_metadata_key_65_bytes", "join", "P-35", u8(2) + VERSION_1 + field(6, str8(b"k" * 65))),
    ("join_metadata_key_cut", "join", "P-35", u8(2) + VERSION_1 + field(6, b"\x02k")),
    ("join_metadata_value_1025_bytes", "join", "P-35", u8(2) + VERSION_1 + field(6, str8(b"k") + bytes(1025))),
    ("join_metadata_nothing", "join", "P-35", u8(2) + VERSION_1 + field(6, b"")),
    ("join_capabilities_size", "join", "P-26", u8(2) + VERSION_1 + field(7, u64(0))),
    ("join_presence_two", "join", "P-35", u8(2) + VERSION_1 + field(8, u8(2))),
    ("join_filter_type_zero", "join", "P-42", u8(2) + VERSION_1 + field(9, u8(0))),
    ("join_filter_service_256_bytes", "join", "P-38", u8(2) + VERSION_1 + field(10, b"s" * 256)),
    ("join_software_65_bytes", "join", "P-35", u8(2) + VERSION_1 + field(14, b"s" * 65)),
    ("join_account_twice", "join", "P-26", u8(2) + VERSION_1 + field(2, b"a") + field(2, b"a")),
    ("welcome_without_id", "welcome", "P-36", u8(3) + WELCOME_1[7:]),
    ("welcome_without_revision", "welcome", "P-36", WELCOME_1[:-11]),
    ("welcome_session_zero", "welcome", "P-36", u8(3) + field(1, b"a@d") + field(2, u64(0)) + field(3, u64(1))
     + field(4, u64(1))),
    ("welcome_id_without_domain", "welcome", "P-38", u8(3) + field(1, b"a") + WELCOME_1[7:]),
    ("welcome_session_twice", "welcome", "P-26", WELCOME_1 + field(2, u64(1))),
    ("ask_empty", "ask", "P-42", b""),
    ("ask_wants_two", "ask", "P-42", field(1, u8(2))),
    ("ask_wants_twice", "ask", "P-26", field(1, u8(1)) * 2),
    ("ask_type_five", "ask", "P-42", field(1, u8(1)) + field(2, u8(5))),
    ("ask_epoch_size", "ask", "P-26", field(1, u8(1)) + field(5, u32(1))),
    ("ask_domain_256_bytes", "ask", "P-38", field(1, u8(1)) + field(4, b"d" * 256)),
    ("page_empty", "page", "P-44", b""),
    ("page_head_cut", "page", "P-44", a_page(b"", 0)[:-1]),
    ("page_count_above", "page", "P-44", a_page(an_entry(), 2)),
    ("page_count_below", "page", "P-44", a_page(an_entry() * 2, 1)),
    ("page_byte_behind", "page", "P-44", a_page(an_entry() + b"\0", 1)),
    ("entry_size_zero", "page", "P-46", a_page(sized(an_entry(), 0), 1)),
    ("entry_size_fixed_part_cut", "page", "P-46", a_page(sized(an_entry(), 21), 1)),
    ("entry_size_without_id", "page", "P-46", a_page(sized(an_entry(), 22)[:22], 1)),
    ("entry_size_beyond", "page", "P-46", a_page(sized(an_entry(), len(an_entry()) + 1), 1)),
    ("entry_size_below", "page", "P-46", a_page(sized(an_entry(), len(an_entry()) - 1), 1)),
    ("entry_what_zero", "page", "P-46", a_page(an_entry(what=0), 1)),
    ("entry_what_four", "page", "P-46", a_page(an_entry(what=4), 1)),
    ("entry_id_empty", "page", "P-46", a_page(an_entry(id=""), 1)),
    ("entry_id_without_domain", "page", "P-46", a_page(an_entry(id="a"), 1)),
    ("entry_id_upper_case", "page", "P-38", a_page(an_entry(id="A@d"), 1)),
    ("entry_id_escape", "page", "P-38", a_page(an_entry(id="a\x1b[2J@d"), 1)),
    ("entry_service_space", "page", "P-38", a_page(an_entry(service="a b"), 1)),
    ("entry_weight_size", "page", "P-46", a_page(sized(an_entry() + field(2, u8(1)), len(an_entry()) + 4), 1)),
    ("entry_weight_1001", "page", "P-46", a_page(sized(an_entry() + field(2, u16(1001)), len(an_entry()) + 5), 1)),
    ("entry_weight_twice", "page", "P-26", a_page(sized(an_entry() + field(2, u16(1)) * 2, len(an_entry()) + 10), 1)),
    ("entry_software_65_bytes", "page", "P-46", a_page(an_entry(software="s" * 65), 1)),
    ("entry_metadata_33", "page", "P-46", a_page(an_entry(metadata=[{"key": "k", "value": ""}] * 33), 1)),
    ("entry_round_trip_size", "page", "P-46", a_page(sized(an_entry() + field(4, u16(1)), len(an_entry()) + 5), 1)),
    ("entry_field_cut", "page", "P-26", a_page(sized(an_entry() + b"\x09\x00\x01", len(an_entry()) + 3), 1)),
    ("status_head_cut", "status", "P-45", bytes(25)),
    ("status_backwards", "status", "P-45", u64(1) + u64(8) + u64(7) + u16(0)),
    ("status_count_above", "status", "P-45", u64(1) + u64(7) + u64(8) + u16(1)),
    ("status_count_below", "status", "P-45", u64(1) + u64(7) + u64(8) + u16(0) + an_entry()),
    ("message_empty", "message", "P-50", b""),
    ("message_head_cut", "message", "P-50", REQUEST[:23]),
    ("message_kind_zero", "message", "P-51", with_byte(REQUEST, 0, 0)),
    ("message_kind_nine", "message", "P-51", with_byte(REQUEST, 0, 9)),
    ("message_receipt_in_request", "message", "P-51", with_byte(REQUEST, 1, 8)),
    ("message_receipt_in_inquiry", "message", "P-51", message(a_message(kind=5, turn=1, flags=8))),
    ("message_part_in_request", "message", "P-51", with_byte(REQUEST, 1, 16)),
    ("message_part_in_event", "message", "P-51", message(a_message(kind=1, call="0", flags=16))),
    ("message_part_in_answer", "message", "P-51", message(a_message(kind=6, turn=1, flags=16))),
    ("message_more_in_failure", "message", "P-51 P-66", message(failure(1, "", flags=1))),
    ("message_more_in_cancel", "message", "P-51 P-66", message(a_message(kind=7, flags=1))),
    ("message_rest_in_receipt", "message", "P-51 P-66", message(a_message(kind=8, flags=32))),
    ("message_rest_in_failure", "message", "P-51 P-66", message(failure(1, "", flags=32))),
    ("message_rest_with_receipt", "message", "P-66", message(a_message(kind=1, flags=40))),
    ("message_rest_idempotent", "message", "P-66", message(a_message(flags=34))),
    ("message_rest_with_depth", "message", "P-66", message(a_message(flags=32, depth=1))),
    ("message_rest_with_want", "message", "P-66", message(a_message(flags=33, want=1))),
    ("message_flag_64", "message", "P-51", with_byte(REQUEST, 1, 64)),
    ("message_flag_highest", "message", "P-51", with_byte(REQUEST, 1, 128)),
    ("message_turn", "message", "P-51", with_byte(REQUEST, 3, 1)),
    ("message_turn_high", "message", "P-51", with_byte(REQUEST, 2, 1)),
    ("message_call_zero_in_request", "message", "P-51", with_byte(REQUEST, 11, 0)),
    ("message_call_zero_with_receipt", "message", "P-51", message(a_message(kind=1, call="0", flags=8))),
    ("message_call_zero_in_first_fragment", "message", "P-51", message(a_message(kind=1, call="0", flags=1))),
    ("message_call_zero_in_last_fragment", "message", "P-51", message(a_message(kind=1, call="0", flags=32))),
    ("message_call_zero_in_inquiry", "message", "P-51", message(a_message(kind=5, call="0", turn=1))),
    ("message_call_zero_in_receipt", "message", "P-51", message(a_message(kind=8, call="0"))),
    ("message_depth_five", "message", "P-63", with_byte(REQUEST, 19, 5)),
    ("message_depth_five_in_inquiry", "message", "P-63", message(a_message(kind=5, turn=1, depth=5))),
    ("message_depth_in_event", "message", "P-50", message(a_message(kind=1, call="0", depth=1))),
    ("message_depth_in_answer", "message", "P-50", message(a_message(kind=6, turn=1, depth=1))),
    ("message_want_in_inquiry", "message", "P-50", message(a_message(kind=5, turn=1, want=1))),
    ("message_want_in_event", "message", "P-50", message(a_message(kind=1, call="0", want=1))),
    ("message_turn_in_event", "message", "P-51", message(a_message(kind=1, call="0", turn=1))),
    ("message_turn_in_cancel", "message", "P-51", message(a_message(kind=7, turn=1))),
    ("message_turn_in_receipt", "message", "P-51", message(a_message(kind=8, turn=1))),
    ("message_answer_without_turn", "message", "P-51", message(a_message(kind=6))),
    ("message_inquiry_rest_without_turn", "message", "P-51", message(a_message(kind=5, flags=32))),
    ("message_depth_in_reply", "message", "P-50", with_byte(with_byte(REQUEST, 0, 3), 19, 1)),
    ("message_want_high_in_reply", "message", "P-50", with_byte(with_byte(REQUEST, 0, 3), 22, 1)),
    ("message_want_low_in_reply", "message", "P-50", with_byte(with_byte(REQUEST, 0, 3), 23, 1)),
    ("message_inquiry_without_turn", "message", "P-51", with_byte(REQUEST, 0, 5)),
    ("message_to_beyond", "message", "P-50", with_byte(REQUEST, 16, 255)),
    ("message_from_beyond", "message", "P-50", with_byte(REQUEST, 17, 255)),
    ("message_method_beyond", "message", "P-50", with_byte(REQUEST, 18, 255)),
    ("message_headers_beyond", "message", "P-50", with_byte(REQUEST, 20, 255)),
    ("bye_empty", "bye", "P-60", b""),
    ("bye_cut", "bye", "P-60", bytes(5)),
    ("bye_text_513_bytes", "bye", "P-60", bytes(6) + b"x" * 513),
    ("hello_message_limit_size", "hello", "P-26", HELLO_2 + field(12, u16(1))),
    ("hello_streams_limit_twice", "hello", "P-26", HELLO_2 + field(13, u32(1)) * 2),
    ("hello_subscriptions_limit_size", "hello", "P-26", HELLO_2 + field(14, b"")),
    ("join_state_zero", "join", "P-35", JOIN + field(15, u8(0))),
    ("join_state_suspect", "join", "P-35", JOIN + field(15, u8(4))),
    ("join_state_twice", "join", "P-26", JOIN + field(15, u8(2)) * 2),
    ("join_weight_1001", "join", "P-35", JOIN + field(16, u16(1001))),
    ("join_weight_size", "join", "P-26", JOIN + field(16, u8(1))),
    ("join_message_limit_size", "join", "P-26", JOIN + field(17, u64(1))),
    ("own_state_cut", "own_state", "P-26", field(1, u8(2))[:3]),
    ("own_state_state_size", "own_state", "P-26", field(1, b"")),
    ("own_state_state_zero", "own_state", "P-72", field(1, u8(0))),
    ("own_state_suspect", "own_state", "P-72", field(1, u8(4))),
    ("own_state_state_twice", "own_state", "P-26", field(1, u8(2)) * 2),
    ("own_state_weight_1001", "own_state", "P-72", field(2, u16(1001))),
    ("own_state_weight_size", "own_state", "P-26", field(2, u32(1))),
    ("own_state_metadata_33", "own_state", "P-72", ONE_METADATA * 33),
    ("own_state_metadata_without_key", "own_state", "P-35 P-72", field(3, str8(b"") + b"v")),
    ("own_state_metadata_value_1025_bytes", "own_state", "P-35 P-72", field(3, str8(b"k") + bytes(1025))),
    ("own_state_metadata_and_none", "own_state", "P-72", ONE_METADATA + field(4, b"")),
    ("own_state_none_and_metadata", "own_state", "P-72", field(4, b"") + ONE_METADATA),
    ("own_state_no_metadata_with_value", "own_state", "P-72", field(4, b"x")),
    ("own_state_no_metadata_twice", "own_state", "P-26", field(4, b"") * 2),
    ("own_state_software_65_bytes", "own_state", "P-72", field(5, b"s" * 65)),
    ("subscription_empty", "subscription", "P-73", b""),
    ("subscription_number_cut", "subscription", "P-73", bytes(3)),
    ("subscription_field_cut", "subscription", "P-26", u32(1) + field(1, b"ab")[:-1]),
    ("subscription_pattern_256_bytes", "subscription", "P-73", u32(1) + field(1, b"x" * 256)),
    ("subscription_remove_256_bytes", "subscription", "P-73", u32(1) + field(2, b"x" * 256)),
    ("subscription_8193_bytes", "subscription", "P-73", u32(1) + field(1, b"x" * 125) * 63 + field(1, b"x" * 122)),
    ("subscription_answer_empty", "subscription_answer", "P-73", b""),
    ("subscription_answer_number_cut", "subscription_answer", "P-73", bytes(3)),
    ("subscription_answer_field_cut", "subscription_answer", "P-26", u32(1) + field(1, u16(15))[:-1]),
    ("subscription_answer_without_code", "subscription_answer", "P-73", u32(1) + field(1, u8(15))),
    ("subscription_answer_pattern_256_bytes", "subscription_answer", "P-73", u32(1) + field(1, u16(15) + b"x" * 256)),
    ("welcome_expires_size", "welcome", "P-26", WELCOME_1 + field(5, u64(1))),
    ("welcome_expires_twice", "welcome", "P-26", WELCOME_1 + field(5, u32(1)) * 2),
    ("credential_empty", "credential", "P-76", b""),
    ("credential_token_empty", "credential", "P-76", field(1, b"")),
    ("credential_token_4097_bytes", "credential", "P-76", field(1, b"x" * 4097)),
    ("credential_token_twice", "credential", "P-26", field(1, b"x") * 2),
    ("credential_token_cut", "credential", "P-26", field(1, b"abc")[:5]),
    ("credential_answer_size", "credential_answer", "P-26", field(2, u64(1))),
    ("credential_answer_twice", "credential_answer", "P-26", field(2, u32(1)) * 2),
    ("credential_answer_cut", "credential_answer", "P-26", field(2, u32(1))[:6]),
    ("stream_empty", "stream", "P-75", b""),
    ("stream_short", "stream", "P-75", CREDIT[:15]),
    ("stream_long", "stream", "P-75", CREDIT + b"\0"),
    ("stream_op_zero", "stream", "P-75", with_byte(CREDIT, 0, 0)),
    ("stream_op_unknown", "stream", "P-75", with_byte(CREDIT, 0, 4)),
    ("stream_kind_zero", "stream", "P-75", with_byte(CREDIT, 1, 0)),
    ("stream_kind_failure", "stream", "P-66 P-75", with_byte(CREDIT, 1, 4)),
    ("stream_kind_cancel", "stream", "P-66 P-75", with_byte(CREDIT, 1, 7)),
    ("stream_kind_receipt", "stream", "P-66 P-75", with_byte(CREDIT, 1, 8)),
    ("stream_kind_unknown", "stream", "P-75", with_byte(CREDIT, 1, 9)),
    ("stream_turn_in_request", "stream", "P-51 P-75", with_byte(CREDIT, 3, 1)),
    ("stream_inquiry_without_turn", "stream", "P-51 P-75", with_byte(CREDIT, 1, 5)),
    ("stream_call_zero", "stream", "P-51 P-75", with_byte(CREDIT, 11, 0)),
    ("stream_credit_zero", "stream", "P-75", with_byte(CREDIT, 15, 0)),
    ("stream_abort_code_zero", "stream", "P-75", with_byte(with_byte(CREDIT, 0, 2), 15, 0)),
    ("stream_abort_code_65536", "stream", "P-75", with_byte(with_byte(CREDIT, 0, 2), 13, 1)),
    ("stream_refuse_code_zero", "stream", "P-75", with_byte(with_byte(CREDIT, 0, 3), 15, 0)),
    ("stream_refuse_code_65536", "stream", "P-75", with_byte(with_byte(CREDIT, 0, 3), 13, 1)),
]

TOPICS = [  # topic, pattern: bytes
    (b"orders.eu.created", b"orders.eu.created"), (b"orders.eu.created", b"orders.*.created"),
    (b"orders.eu.created", b"*.*.*"), (b"orders.eu.created", b"*.*"), (b"orders.eu.created", b"orders.>"),
    (b"orders.eu.created", b"*.eu.>"), (b"orders.eu.created", b"orders.us.created"),
    (b"orders.eu.created", b"orders.eu"), (b"orders.eu", b"orders.eu.created"), (b"orders.eu", b"orders.eu.>"),
    (b"orders", b"orders.>"), (b"orders", b">"), (b"orders", b"*"), (b"orders", b"order"), (b"order", b"orders"),
    (b"a.b", b"a.*"), (b"a.b.c", b"a.*"), (b"Orders", b"orders"),
    ("Z\u00fcrich.\u20ac".encode(), "*.\u20ac".encode()), ("\u00a0.\U0001f4ee".encode(), b"*.*"),
    (b"", b""), (b".", b"."), (b"a.", b"*."), (b".a", b".*"), (b"a..b", b"*..*"), (b"a b", b"* *"), (b"a\tb", b"a\n"),
    (b"a\x7f", b"\x1f"), (b"\xc2\x80", b"\xc2\x9f"), (b"\0", b"\0.*"), (b"\xff", b"\xc3"), (b"\xed\xa0\x80", b"\xc0\xae"),
    (b"*", b"a*"), (b"a.*", b"*a"), (b">", b"**"), (b"a.>", b">.a"), (b"a>", b"a>.>"), (b">.>", b">.>"), (b"a.*.b", b"a.>.b"),
    (b"x" * 240, b"x" * 240), (b"x" * 241, b"x" * 241), (b".".join([b"a"] * 16), b".".join([b"*"] * 15 + [b">"])),
    (b".".join([b"a"] * 17), b".".join([b"*"] * 17)), (b".".join([b"a"] * 16), b".".join([b"*"] * 16)),
]


def words_of(raw, is_pattern):
    """The words of a topic or pattern, or None: [P-74]."""
    try:
        words = raw.decode("utf-8").split(".")
    except UnicodeDecodeError:
        return None
    if not 1 <= len(words) <= 16 or len(raw) > 240:
        return None
    for at, word in enumerate(words):
        if is_pattern and (word == "*" or word == ">" and at == len(words) - 1):
            continue
        if word == "" or any(c in "*>" or ord(c) <= 0x20 or 0x7f <= ord(c) <= 0x9f for c in word):
            return None
    return words


def fits(topic, pattern):
    if pattern == [">"]:
        return topic != []
    if topic == [] or pattern == []:
        return topic == pattern
    return pattern[0] in ("*", topic[0]) and fits(topic[1:], pattern[1:])


def topics():
    out = []
    for number, (topic, pattern) in enumerate(TOPICS, 1):
        t, p = words_of(topic, False), words_of(pattern, True)
        out.append({"name": f"topic_{number}", "clauses": "P-74", "topic": topic.hex(), "pattern": pattern.hex(),
                    "is_topic": t is not None, "is_pattern": p is not None,
                    "fits": t is not None and p is not None and fits(t, p)})
    return out


def packets():
    out = []
    for name, family, clauses, fields in CANONICAL:
        command, encode = FAMILIES[family]
        payload = encode(fields)
        out.append({"name": name, "clauses": clauses, "family": family, "canonical": True, "command": command,
                    "payload": payload.hex(), "packet": plain(command, payload).hex(), "fields": fields})
    for name, family, clauses, payload, fields in DECODE_ONLY:
        command = FAMILIES[family][0]
        out.append({"name": name, "clauses": clauses, "family": family, "canonical": False, "command": command,
                    "payload": payload.hex(), "packet": plain(command, payload).hex(), "fields": fields})
    return out


def malformed():
    return [{"name": name, "clauses": clauses, "family": family, "payload": payload.hex()}
            for name, family, clauses, payload in MALFORMED]


def checks():
    out = []
    for name, s, n, payload in [
            ("first", 0, 0, b""), ("odd_length", 0, 0, b"\xff"), ("second", 0xb7a1, 1, text("abc")),
            ("count_wraps", 0x8001, 65535, text("wrap")), ("count_wrapped", 0x8001, 65536, text("wrap")),
            ("sixteen_words", 1, 2, bytes(24)), ("seventeen_words", 1, 2, bytes(23) + b"\x80\x01\x00"),
            ("long", 0xffff, 12345, bytes(i * 7 & 0xff for i in range(1001)))]:
        head = u32(8 + len(payload))
        sender = Direction("check", s=s, n=n)
        check = sender.check(head + u16(0) + u16(MESSAGE) + payload)
        out.append({"name": name, "clauses": "P-23", "sum_before": s, "count_before": n, "check": check,
                    "packet": (head + u16(check) + u16(MESSAGE) + payload).hex()})
    return out


def ciphers():
    # NIST SP 800-38A, F.4.5 OFB-AES256.Encrypt: all three from the publication.
    out = [{
        "name": "nist_sp_800_38a_f_4_5", "clauses": "P-25",
        "key": "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
        "iv": "000102030405060708090a0b0c0d0e0f",
        "clear": "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
                 "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
        "enciphered": "dc7e84bfda79164b7ecd8486985d38604febdc6740d20b3ac88f6ad82a4fb08d"
                      "71ab47a086e86eedf39d1c5bba97c4080126141d67f37be8538f5a8be740e484"}]
    clear = bytes(i * i & 0xff for i in range(3001))
    key, iv = KEYS["to_client_key"], KEYS["to_client_iv"]
    ofb = Cipher(algorithms.AES(bytes.fromhex(key)), OFB(bytes.fromhex(iv))).encryptor()
    out.append({"name": "longer_than_any_buffer", "clauses": "P-25", "key": key, "iv": iv, "clear": clear.hex(),
                "enciphered": ofb.update(clear).hex()})
    for v in out:  # also holds the publication's against this package
        ofb = Cipher(algorithms.AES(bytes.fromhex(v["key"])), OFB(bytes.fromhex(v["iv"]))).encryptor()
        assert ofb.update(bytes.fromhex(v["clear"])).hex() == v["enciphered"]
    return out


def session(suite, number):
    """A short life of a client: both directions, as recorded on the wire."""
    fields = {"version": 1, "suite": number, "domain": "eu.main", **(KEYS if suite == "paper" else {}), **LIMITS}
    to_client = [
        ("welcome", {"id": "orders-7f3a@eu.main", "session": "1", "epoch": "1", "revision": "7"}),
        ("page", {"epoch": "1", "revision": "7", "flags": 3, "entries": [GATEWAY, ORDERS]}),
        ("heartbeat", {"kind": "ask", "stamp": "1234567890123456789"}),
        ("message", a_message(call="4294967296", to="orders-7f3a", body="00")),
        ("message", a_message(kind=6, call="4294967296", turn=1, ttl_ms=0, to="", method="", body="04")),
        ("subscription_answer", {"number": 1, "refused": []}),
        ("own_state", {"state": 3}),
        ("status", {"epoch": "1", "previous": "7", "revision": "8",
                    "entries": [dict(GATEWAY, what=2, state=5, reason=1, revision="8")]}),
        ("heartbeat", {"kind": "empty", "stamp": "0"}),
        ("bye", {"reason": 1, "retry_after_ms": 1500, "text": "the center is stopping"}),
    ]
    to_center = [
        ("join", {"version": 1, "type": 1, "service": "orders", "presence": {"wants": 1}}),
        ("heartbeat", {"kind": "answer", "stamp": "1234567890123456789"}),
        ("message", a_message(kind=5, call="4294967296", turn=1, to="", body="03", **{"from": "orders-7f3a@eu.main"})),
        ("subscription", {"number": 1, "changes": [{"change": "add", "pattern": "orders.>"}]}),
        ("own_state", {"weight": 50}),
        ("message", a_message(kind=3, call="4294967296", ttl_ms=0, to="", method="", body="010203",
                              **{"from": "orders-7f3a@eu.main"})),
        ("ask", {"wants": 0}),
        ("heartbeat", {"kind": "empty", "stamp": "0"}),
        ("bye", {"reason": 0, "retry_after_ms": 0, "text": ""}),
    ]
    out = {"name": suite, "clauses": "P-10 P-20 P-21 P-23 P-25", "suite": number}
    if suite == "paper":
        out.update(KEYS)
    for name, packets_of, first in (("to_client", to_client, plain(HANDSHAKE, hello(fields))),
                                    ("to_center", to_center, b"")):
        key, iv = bytes.fromhex(KEYS[name + "_key"]), bytes.fromhex(KEYS[name + "_iv"])
        sender = Direction(suite, key, iv)
        stream = first
        record = [{"family": "hello", "command": HANDSHAKE, "payload": hello(fields).hex()}] if first else []
        for family, f in packets_of:
            command, encode = FAMILIES[family]
            payload = encode(f)
            stream += sender.packet(command, payload)
            record.append({"family": family, "command": command, "payload": payload.hex()})
        out[name] = {"stream": stream.hex(), "packets": record}
    return out


FILES = {
    "packets.json": packets,
    "malformed.json": malformed,
    "topics.json": topics,
    "check.json": checks,
    "cipher.json": ciphers,
    "sessions.json": lambda: [session("plain", 0), session("paper", 1), session("check", 2)],
}


def main():
    is_check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not is_check:
        print(__doc__ or "usage: make.py [--check]", file=sys.stderr)
        return 2
    differing = 0
    if is_check:
        print(f"1..{len(FILES)}")
    for number, (name, make) in enumerate(FILES.items(), 1):
        content = json.dumps(make(), indent=1, ensure_ascii=True) + "\n"
        if not is_check:
            (HERE / name).write_text(content)
            continue
        is_same = (HERE / name).read_text() == content
        differing += not is_same
        print(f"{'' if is_same else 'not '}ok {number} - vectors_{name.split('.')[0]}_follow_from_the_document")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
