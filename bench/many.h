// SPDX-License-Identifier: Apache-2.0
//
// bench/many.h - request/reply over many connections without a library: one loop at either end
// holds all of them. What differs between systems is a many_wire.

#ifndef BENCH_MANY_H
#define BENCH_MANY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/rr.h"

#define MANY_HEAD_BYTES 160u

typedef struct many_end many_end;

// One connection. Caller i calls responder i, modulo their number.
typedef struct many_link {
    many_end *end;
    uint32_t number;
    int fd;
    bool is_ready;    // the server knows it; said by the wire
    uint8_t *partial; // owned: the beginning of a message
    size_t partial_size;
    char head[MANY_HEAD_BYTES]; // the wire's: what its messages begin with
    size_t head_size;
} many_link;

// A request, or a reply, that came.
typedef struct many_message {
    const uint8_t *body;
    size_t size;
    const uint8_t *reply_to; // of a request, where a wire names it
    size_t reply_to_size;
} many_message;

typedef struct many_wire {
    size_t overhead; // a message takes at most so much more than its body
    // Says what has to be said first. NULL: nothing.
    void (*start)(many_link *link);
    // Reads what came and hands each message to many_received; how many bytes it used.
    size_t (*receive)(many_link *link, const uint8_t *bytes, size_t size);
    // Writes a request (`to` NULL), or the reply to one, into room for its body and overhead; its
    // size. Bodies are as large as the options say.
    size_t (*encode)(many_link *link, uint8_t *room, const many_message *to, const uint8_t *body);
} many_wire;

extern const many_wire many_nats;

// What an end is, for those wires that name it.
bool many_is_caller(const many_link *link);
const rr_options *many_options(const many_link *link);

// The wire read a message. What it leads to is written behind the read.
void many_received(many_link *link, const many_message *message);

// Bytes of the wire itself, written behind the read, or at once when it starts.
void many_say(many_link *link, const void *bytes, size_t size);

_Noreturn void many_die(const char *what);

#endif // BENCH_MANY_H
