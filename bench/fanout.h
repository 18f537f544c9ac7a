// SPDX-License-Identifier: Apache-2.0
//
// bench/fanout.h - one publisher, many subscribers, the same for all systems: raw sockets over
// epoll, and for each system only what goes over them. So the cost of receiving is small and the
// same everywhere, and what is measured is the server in the middle.
//
// Life     start -> receive* until is_ready -> receive* (subscriber) | encode* (publisher)
// Errors   Of the machine or the other end: a line on standard error, and exit(1).
// Threads  none; each process has links of its own

#ifndef BENCH_FANOUT_H
#define BENCH_FANOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FANOUT_TOPIC "bench"

typedef struct fanout_wire fanout_wire;

// One connection.
typedef struct fanout_link {
    const fanout_wire *wire;
    void *state;    // owned; the wire's
    uint64_t count; // events that came
    uint64_t bytes; // that came, when it only counts them
    uint32_t quarter;
    uint32_t number;
    int fd;
    bool is_publisher;
    bool is_ready;
    bool is_counted;     // its bytes are counted, not read
    size_t partial_size; // the beginning of something, kept until the next read
    uint8_t *partial;    // owned
} fanout_link;

struct fanout_wire {
    const char *name;
    size_t overhead; // bytes of an event beside its body, at most
    size_t state_size;
    // Connected: says what is to be said first.
    void (*start)(fanout_link *link);
    // Takes what it can use of `bytes` and calls fanout_delivered for each event; the rest comes
    // again with more behind it. Sets is_ready once the subscription holds.
    size_t (*receive)(fanout_link *link, uint8_t *bytes, size_t size);
    // Writes an event, returns its size.
    size_t (*encode)(fanout_link *link, uint8_t *room, const void *body, size_t size);
};

extern const fanout_wire fanout_posthouse;
extern const fanout_wire fanout_nats;
extern const fanout_wire fanout_mqtt;
extern const fanout_wire fanout_zmtp;

// A subscriber was given an event, which took `event_bytes` on the wire: all take the same.
void fanout_delivered(fanout_link *link, const void *body, size_t size, size_t event_bytes);

// All of it, waiting as long as it takes.
void fanout_write(fanout_link *link, const void *bytes, size_t size);

_Noreturn void fanout_die(const char *what);

#endif // BENCH_FANOUT_H
