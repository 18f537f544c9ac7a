// SPDX-License-Identifier: Apache-2.0
//
// bench/fanout_mqtt.c - what goes over a link of bench/fanout.h to mosquitto: MQTT 3.1.1, quality
// of service 0.

#include <stdio.h>
#include <string.h>

#include "bench/fanout.h"

#define OVERHEAD_BYTES 32u
#define CONNACK 0x20u
#define PUBLISH 0x30u
#define SUBACK 0x90u

static const uint8_t subscribe[] = { 0x82, 10, 0, 1, 0, 5, 'b', 'e', 'n', 'c', 'h', 0 };

static void start(fanout_link *link)
{
    // Protocol level 4, clean session, no keep-alive; the client's name has nine bytes.
    char packet[24];
    static const uint8_t head[] = { 0x10, 21, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, 9 };
    memcpy(packet, head, sizeof head);
    snprintf(packet + sizeof head, sizeof packet - sizeof head, "fan%06u", link->number % 1000000);
    fanout_write(link, packet, sizeof head + 9);
}

// The rest of a packet behind its first byte and length; `*head` is the size of those. -1: it is
// not there yet.
static int64_t rest_size(const uint8_t *bytes, size_t size, size_t *head)
{
    int64_t rest = 0;
    for (size_t i = 1; i < size && i <= 4; i++) {
        rest |= (int64_t)(bytes[i] & 0x7fu) << (7 * (i - 1));
        if ((bytes[i] & 0x80u) == 0) {
            *head = i + 1;
            return rest;
        }
    }
    return -1;
}

static size_t receive(fanout_link *link, uint8_t *bytes, size_t size)
{
    size_t used = 0;
    for (;;) {
        uint8_t *packet = bytes + used;
        size_t head = 0;
        int64_t rest = rest_size(packet, size - used, &head);
        if (rest < 0 || used + head + (size_t)rest > size) {
            return used;
        }
        used += head + (size_t)rest;
        uint8_t kind = packet[0] & 0xf0u;
        if (kind == PUBLISH) {
            size_t topic = 2 + (size_t)(packet[head] << 8 | packet[head + 1]);
            fanout_delivered(link, packet + head + topic, (size_t)rest - topic,
                             head + (size_t)rest);
        } else if (kind == CONNACK && packet[head + 1] != 0) {
            fanout_die("mosquitto refused a connection");
        } else if (kind == CONNACK && !link->is_publisher) {
            fanout_write(link, subscribe, sizeof subscribe);
        } else if (kind == CONNACK || kind == SUBACK) {
            link->is_ready = true;
        }
    }
}

static size_t encode(fanout_link *link, uint8_t *room, const void *body, size_t size)
{
    (void)link;
    static const uint8_t topic[] = { 0, 5, 'b', 'e', 'n', 'c', 'h' };
    size_t rest = sizeof topic + size;
    size_t at = 0;
    room[at++] = PUBLISH;
    for (; rest >= 0x80; rest >>= 7) {
        room[at++] = (uint8_t)(rest | 0x80u);
    }
    room[at++] = (uint8_t)rest;
    memcpy(room + at, topic, sizeof topic);
    memcpy(room + at + sizeof topic, body, size);
    return at + sizeof topic + size;
}

const fanout_wire fanout_mqtt = {
    .name = "mqtt", .overhead = OVERHEAD_BYTES, .start = start, .receive = receive, .encode = encode
};
