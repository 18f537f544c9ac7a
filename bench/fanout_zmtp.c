// SPDX-License-Identifier: Apache-2.0
//
// bench/fanout_zmtp.c - what goes over a link of bench/fanout.h to a ZeroMQ proxy of XSUB and XPUB:
// ZMTP 3.0, mechanism NULL. An event is one frame that begins with the topic.
//
// ZeroMQ confirms no subscription. The publisher waits for the one that the proxy passes on to it,
// which it does for the first subscriber; should another be later than the first event, that
// subscriber finds a gap and the measurement ends with an error.

#include <string.h>
#include <unistd.h>

#include "bench/fanout.h"

#define OVERHEAD_BYTES 32u
#define GREETING_BYTES 64u
#define FLAG_LONG 2u
#define FLAG_COMMAND 4u
#define TOPIC_BYTES (sizeof FANOUT_TOPIC - 1)
#define SETTLE_US 50000u // for the proxy's subscriptions, see above

typedef struct state {
    bool is_greeted;
} state;

static void start(fanout_link *link)
{
    uint8_t greeting[GREETING_BYTES] = { 0xff, 0,    0, 0, 0,   0,   0,   0,
                                         1,    0x7f, 3, 0, 'N', 'U', 'L', 'L' };
    fanout_write(link, greeting, sizeof greeting);
}

// The socket's type; then the subscription.
static void say_ready(fanout_link *link)
{
    static const uint8_t ready[] = { FLAG_COMMAND, 25,  5,   'R', 'E', 'A', 'D', 'Y',
                                     11,           'S', 'o', 'c', 'k', 'e', 't', '-',
                                     'T',          'y', 'p', 'e', 0,   0,   0,   3 };
    uint8_t subscribe[3 + TOPIC_BYTES] = { 0, 1 + TOPIC_BYTES, 1 };
    fanout_write(link, ready, sizeof ready);
    fanout_write(link, link->is_publisher ? "PUB" : "SUB", 3);
    memcpy(subscribe + 3, FANOUT_TOPIC, TOPIC_BYTES);
    if (!link->is_publisher) {
        fanout_write(link, subscribe, sizeof subscribe);
        usleep(SETTLE_US / 50);
    }
}

static void on_frame(fanout_link *link, uint8_t flags, const uint8_t *frame, size_t size)
{
    if ((flags & FLAG_COMMAND) != 0) {
        link->is_ready = link->is_ready || !link->is_publisher; // READY
    } else if (link->is_publisher) {
        usleep(SETTLE_US);
        link->is_ready = true; // a subscription
    } else if (size >= TOPIC_BYTES) {
        fanout_delivered(link, frame + TOPIC_BYTES, size - TOPIC_BYTES);
    }
}

static size_t receive(fanout_link *link, uint8_t *bytes, size_t size)
{
    state *s = link->state;
    size_t used = 0;
    if (!s->is_greeted) {
        if (size < GREETING_BYTES) {
            return 0;
        }
        s->is_greeted = true;
        used = GREETING_BYTES;
        say_ready(link);
    }
    while (size - used >= 2) {
        const uint8_t *frame = bytes + used;
        size_t head = (frame[0] & FLAG_LONG) != 0 ? 9 : 2;
        size_t body = frame[1];
        if (size - used < head) {
            return used;
        }
        if (head == 9) {
            body = (size_t)frame[7] << 8 | frame[8]; // no event here is longer
        }
        if (size - used < head + body) {
            return used;
        }
        on_frame(link, frame[0], frame + head, body);
        used += head + body;
    }
    return used;
}

static size_t encode(fanout_link *link, uint8_t *room, const void *body, size_t size)
{
    (void)link;
    size_t whole = TOPIC_BYTES + size;
    size_t head = whole > 0xff ? 9 : 2;
    memset(room, 0, head);
    if (head == 9) {
        room[0] = FLAG_LONG;
        room[7] = (uint8_t)(whole >> 8);
    }
    room[head - 1] = (uint8_t)whole;
    memcpy(room + head, FANOUT_TOPIC, TOPIC_BYTES);
    memcpy(room + head + TOPIC_BYTES, body, size);
    return head + whole;
}

const fanout_wire fanout_zmtp = { .name = "zmtp",
                                  .overhead = OVERHEAD_BYTES,
                                  .state_size = sizeof(state),
                                  .start = start,
                                  .receive = receive,
                                  .encode = encode };
