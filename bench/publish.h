// SPDX-License-Identifier: Apache-2.0
//
// bench/publish.h - what every one-to-one publish benchmark has in common: a sender that must not
// outrun its receiver, and the count of what was delivered.
//
// A sender keeps at most `in_flight` events under way. Each carries its number; every fourth part
// of a window one asks for an acknowledgement, which goes back the same way and says how many have
// come, and when. So what is counted is deliveries, by the receiver's count and clock; an event
// that is lost, doubled or out of order ends the program; and the cost of acknowledging is one
// message for a quarter of a window, the same for all systems.

#ifndef BENCH_PUBLISH_H
#define BENCH_PUBLISH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/rr.h"

#define PUBLISH_ACK_BYTES 16u

// The receiver's account of the events of one sender, which begins with event 0.
typedef struct publish_receiver {
    uint64_t count;
    uint64_t asked; // acknowledgements given
} publish_receiver;

// One event came. True when it wants an acknowledgement, which is then in `ack`.
bool publish_received(publish_receiver *r, const void *body, size_t size,
                      uint8_t ack[PUBLISH_ACK_BYTES]);

typedef struct publish_sender {
    uint32_t window;
    uint32_t quarter;
    uint64_t sent;
    uint64_t acknowledged;
    bool is_closing; // the last event is on its way
    uint64_t measure_ns;
    uint64_t end_ns;
    uint64_t first_count; // the acknowledgement from which on is measured
    uint64_t first_ns;
    uint64_t last_count; // and the last before the end
    uint64_t last_ns;
} publish_sender;

void publish_sender_start(publish_sender *s, const rr_options *options);

// Whether one more may be sent now. Once the time is over: one last, then no more.
static inline bool publish_may_send(const publish_sender *s)
{
    return !s->is_closing && s->sent - s->acknowledged < s->window;
}

// Writes the number of the next event into its first eight bytes: it is sent.
void publish_stamp(publish_sender *s, void *body);

// False when everything has arrived and the time is over.
bool publish_acknowledged(publish_sender *s, const void *ack, size_t size);

// {"per_second":..,"count":..} and a line feed.
void publish_sender_print(const publish_sender *s);

#endif // BENCH_PUBLISH_H
