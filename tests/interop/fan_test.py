# SPDX-License-Identifier: Apache-2.0
"""Events for many against a real center, to subscribers that read at once, by single bytes, or not before all is over. Prints TAP.

Were it to fail, somebody who reads slowly would get torn packets, or an event twice, or out of order, or would not get what a receipt counted as
delivered: what goes to many is written once and sent to each from there (docs/architecture.md), and who does not take all of it has the rest copied
from the middle of a packet. [P-55] [P-59] [P-68]
"""

import random
import select
import socket
import struct
import sys
import time

import client as ph
import harness as h

READERS, EVENTS = 9, 400
TURN_EVENTS = 8  # are said without waiting, so that one turn of the center may have several
SIZES = (16, 16, 16, 100, 1000, 5000, 31000)  # one packet each
RECEIVE_BYTES = 4096  # so that what a reader does not take waits at the center
PATTERN = random.Random(1).randbytes(40000)


def dial(host, port):
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    one.settimeout(h.PATIENCE)
    one.connect((host, port))
    return one


def body_of(number, size):
    """What no other event has, at no place of it."""
    return struct.pack(">I", number) + PATTERN[number : number + size - 4]


class Reader(ph.Client):
    """Checks each event as it comes: whole, in order, none twice."""

    def __init__(self, port, name, step):
        super().__init__("127.0.0.1", port, name, service="readers", dial=dial)
        self.step = step  # bytes that it takes at a time; 0: nothing, until all is over
        self.last = self.count = 0
        self.subscribe("hot.>")
        self.socket.setblocking(False)

    def take(self, most):
        """False when nothing was there."""
        try:
            data = self.socket.recv(most)
        except BlockingIOError:
            return False
        if not data:
            raise EOFError(f"{self.id} was cut off")
        self.buffer += self.receiving.cipher(data)
        while len(self.buffer) >= 4 and len(self.buffer) >= struct.unpack_from(">I", self.buffer)[0]:
            self.turn()  # one packet; it raises where lengths or checks are wrong
        while self.events:
            event = self.events.pop(0)
            number = int.from_bytes(event.body[:4], "big")
            h.holds(number > self.last, f"{self.id}: {number} behind {self.last}")
            h.holds(event.body == body_of(number, len(event.body)), f"{self.id}: {number} is torn")
            self.last = number
            self.count += 1
        return True


def run(suite, workers):
    @h.test(f"fan_{suite}_{workers}_workers_each_gets_whole_and_once_what_is_called_delivered")
    def _():
        center = h.Center("--suite", suite, "--send-buffer-max", "128KiB", "--full-timeout", "5m", "--deliveries-per-turn-max", "50", workers=workers)
        try:
            tell_all(center.ports[0], random.Random(workers), SIZES[:-1] if suite == "check" else SIZES)  # Python's check is slow
        finally:
            center.stop()


def tell_all(port, chance, sizes):
    readers = [Reader(port, f"reader-{i}", (65536, 7, 0)[i % 3]) for i in range(READERS)]
    publisher = ph.Client("127.0.0.1", port, "publisher")
    for number in range(1, EVENTS + 1):
        to = chance.choice(("topic:hot.one", "topic:hot.two", "all:readers", "all:"))
        publisher.message(ph.EVENT, to, "n", body_of(number, chance.choice(sizes)), number, flags=ph.WANTS_RECEIPT)
        if number % TURN_EVENTS == 0:
            publisher.until(lambda n=number: len(publisher.receipts) == n)
        for reader in readers:
            if reader.step:
                reader.take(reader.step)
    delivered = sum(r[0] for r in publisher.receipts.values())
    h.holds(sum(r[1] for r in publisher.receipts.values()) > 0, "no buffer was ever full")
    ends = time.monotonic() + h.PATIENCE
    while sum(r.count for r in readers) < delivered and time.monotonic() < ends:
        if not any([reader.take(65536) for reader in readers]):
            select.select([reader.socket for reader in readers], [], [], 1)
    for _ in range(20):  # and nothing more
        any([reader.take(65536) for reader in readers])
    h.equal(sum(r.count for r in readers), delivered)
    for one in (publisher, *readers):
        one.socket.close()


if __name__ == "__main__":
    for each in (("plain", 1), ("plain", 3), ("check", 2), ("paper", 2)):
        run(*each)
    sys.exit(h.finish())
