// SPDX-License-Identifier: Apache-2.0
//
// bench/many_nats.c - what goes over a link of bench/many.h to nats-server: its text protocol.
// Responder i subscribes to a subject of its own, caller i to an inbox of its own, which it names
// with each request; that is what clients of NATS do.

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/many.h"

#define SUBJECT_BYTES 64u // so has a reply-to
#define OVERHEAD_BYTES (SUBJECT_BYTES + MANY_HEAD_BYTES)

// A caller's inbox has its process in its name, so that nothing comes from the one before.
static void start(many_link *link)
{
    const rr_options *o = many_options(link);
    char subject[SUBJECT_BYTES];
    char mine[SUBJECT_BYTES];
    char text[256];
    snprintf(subject, sizeof subject, "%s.%u", o->name, link->number % o->responders);
    if (many_is_caller(link)) {
        snprintf(mine, sizeof mine, "_INBOX.%d.%u", (int)getpid(), link->number);
        snprintf(link->head, sizeof link->head, "PUB %s %s %u\r\n", subject, mine, o->payload);
    } else {
        snprintf(mine, sizeof mine, "%s", subject);
        snprintf(link->head, sizeof link->head, " %u\r\n", o->payload); // behind "PUB reply-to"
    }
    link->head_size = strlen(link->head);
    int size = snprintf(text, sizeof text,
                        "CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":false}\r\n"
                        "SUB %s 1\r\nPING\r\n",
                        mine);
    many_say(link, text, (size_t)size);
}

// Where the word before `end` begins.
static const uint8_t *word_before(const uint8_t *line, const uint8_t *end)
{
    while (end > line && end[-1] != ' ') {
        end--;
    }
    return end;
}

static size_t number_in(const uint8_t *at, const uint8_t *end)
{
    size_t number = 0;
    for (; at < end; at++) {
        number = number * 10 + (size_t)(*at - '0');
    }
    return number;
}

// "MSG subject sid [reply-to] size"
static void read_head(const many_link *link, const uint8_t *line, const uint8_t *end,
                      many_message *out)
{
    const uint8_t *size = word_before(line, end);
    *out = (many_message){ .size = number_in(size, end) };
    if (!many_is_caller(link)) {
        out->reply_to = word_before(line, size - 1);
        out->reply_to_size = (size_t)(size - 1 - out->reply_to);
    }
}

static size_t receive(many_link *link, const uint8_t *bytes, size_t size)
{
    size_t used = 0;
    for (;;) {
        const uint8_t *line = bytes + used;
        const uint8_t *end = memchr(line, '\r', size - used);
        if (end == NULL || end + 2 > bytes + size) {
            return used;
        }
        size_t next = (size_t)(end + 2 - bytes);
        if (line[0] == 'M') {
            many_message message;
            read_head(link, line, end, &message);
            if (next + message.size + 2 > size) {
                return used;
            }
            message.body = bytes + next;
            many_received(link, &message);
            next += message.size + 2;
        } else if (line[0] == 'P' && line[1] == 'I') {
            many_say(link, "PONG\r\n", 6);
        } else if (line[0] == 'P') {
            link->is_ready = true;
        } else if (line[0] == '-') {
            many_die("nats-server refused something");
        }
        used = next;
    }
}

static uint8_t *put(uint8_t *at, const void *bytes, size_t size)
{
    memcpy(at, bytes, size);
    return at + size;
}

static size_t encode(many_link *link, uint8_t *room, const many_message *to, const uint8_t *body)
{
    uint8_t *at = room;
    if (to != NULL) {
        at = put(at, "PUB ", 4);
        at = put(at, to->reply_to, to->reply_to_size);
    }
    at = put(at, link->head, link->head_size);
    at = put(at, body, many_options(link)->payload);
    at = put(at, "\r\n", 2);
    return (size_t)(at - room);
}

const many_wire many_nats = {
    .overhead = OVERHEAD_BYTES, .start = start, .receive = receive, .encode = encode
};
