// SPDX-License-Identifier: Apache-2.0
//
// bench/fanout_nats.c - what goes over a link of bench/fanout.h to nats-server: its text protocol,
// read as leanly as the server's own clients do.

#include <stdio.h>
#include <string.h>

#include "bench/fanout.h"

#define OVERHEAD_BYTES 64u

static void say(fanout_link *link, const char *text)
{
    fanout_write(link, text, strlen(text));
}

static void start(fanout_link *link)
{
    say(link, "CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":false}\r\n");
    if (!link->is_publisher) {
        say(link, "SUB " FANOUT_TOPIC " 1\r\n");
    }
    say(link, "PING\r\n");
}

// The last word of "MSG subject sid size".
static size_t size_in(const uint8_t *line, const uint8_t *end)
{
    size_t size = 0;
    const uint8_t *at = end;
    while (at > line && at[-1] != ' ') {
        at--;
    }
    for (; at < end; at++) {
        size = size * 10 + (size_t)(*at - '0');
    }
    return size;
}

static size_t receive(fanout_link *link, uint8_t *bytes, size_t size)
{
    size_t used = 0;
    for (;;) {
        uint8_t *line = bytes + used;
        uint8_t *end = memchr(line, '\r', size - used);
        if (end == NULL || end + 2 > bytes + size) {
            return used;
        }
        size_t next = (size_t)(end + 2 - bytes);
        if (line[0] == 'M') {
            size_t body = size_in(line, end);
            if (next + body + 2 > size) {
                return used;
            }
            fanout_delivered(link, bytes + next, body);
            next += body + 2;
        } else if (line[0] == 'P' && line[1] == 'I') {
            say(link, "PONG\r\n");
        } else if (line[0] == 'P') {
            link->is_ready = true;
        } else if (line[0] == '-') {
            fanout_die("nats-server refused something");
        }
        used = next;
    }
}

static size_t encode(fanout_link *link, uint8_t *room, const void *body, size_t size)
{
    (void)link;
    int head = snprintf((char *)room, OVERHEAD_BYTES, "PUB " FANOUT_TOPIC " %zu\r\n", size);
    memcpy(room + head, body, size);
    memcpy(room + (size_t)head + size, "\r\n", 2);
    return (size_t)head + size + 2;
}

const fanout_wire fanout_nats = {
    .name = "nats", .overhead = OVERHEAD_BYTES, .start = start, .receive = receive, .encode = encode
};
