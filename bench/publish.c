// SPDX-License-Identifier: Apache-2.0
//
// bench/publish.c - see publish.h.

#include "bench/publish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASKS_ACK (UINT64_C(1) << 63)

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "publish: %s\n", what);
    exit(1);
}

bool publish_received(publish_receiver *r, const void *body, size_t size,
                      uint8_t ack[PUBLISH_ACK_BYTES])
{
    uint64_t number = 0;
    if (size < sizeof number) {
        die("an event is too short");
    }
    memcpy(&number, body, sizeof number);
    bool is_asking = (number & ASKS_ACK) != 0;
    number &= ~ASKS_ACK;
    if (number == 0) {
        r->count = 0; // the next sender begins
    }
    if (number != r->count) {
        die("an event was lost, doubled or overtaken");
    }
    r->count++;
    if (is_asking) {
        uint64_t now = rr_now_ns();
        memcpy(ack, &r->count, sizeof r->count);
        memcpy(ack + sizeof r->count, &now, sizeof now);
    }
    return is_asking;
}

void publish_sender_start(publish_sender *s, const rr_options *options)
{
    *s = (publish_sender){ .window = options->in_flight };
    s->quarter = s->window < 4 ? 1 : s->window / 4;
    s->measure_ns = rr_now_ns() + (uint64_t)(options->warm_seconds * 1e9);
    s->end_ns = s->measure_ns + (uint64_t)(options->seconds * 1e9);
}

void publish_stamp(publish_sender *s, void *body)
{
    uint64_t number = s->sent++;
    if (s->sent % s->quarter == 0) {
        number |= ASKS_ACK;
        s->is_closing = rr_now_ns() >= s->end_ns;
    }
    memcpy(body, &number, sizeof number);
}

bool publish_acknowledged(publish_sender *s, const void *ack, size_t size)
{
    uint64_t count = 0;
    uint64_t now = 0;
    if (size != PUBLISH_ACK_BYTES) {
        die("an acknowledgement is malformed");
    }
    memcpy(&count, ack, sizeof count);
    memcpy(&now, (const uint8_t *)ack + sizeof count, sizeof now);
    s->acknowledged = count;
    if (now >= s->measure_ns && s->first_ns == 0) {
        s->first_ns = now;
        s->first_count = count;
    }
    if (now < s->end_ns) {
        s->last_ns = now;
        s->last_count = count;
    }
    return !s->is_closing || s->acknowledged < s->sent;
}

void publish_sender_print(const publish_sender *s)
{
    double seconds = (double)(s->last_ns - s->first_ns) / 1e9;
    if (s->first_ns == 0 || s->last_ns <= s->first_ns) {
        die("too few acknowledgements to measure by");
    }
    printf("{\"per_second\": %.0f, \"count\": %llu}\n",
           (double)(s->last_count - s->first_count) / seconds,
           (unsigned long long)(s->last_count - s->first_count));
}
