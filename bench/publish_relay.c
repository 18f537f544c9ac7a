// SPDX-License-Identifier: Apache-2.0
//
// bench/publish_relay.c - the limit: events through the relay of rr_relay.c, which does not look at
// them. An event is its body and nothing else.
//
//     publish_relay --role receiver --target PORT --payload 128    connects first
//     publish_relay --role sender ...                              connects second

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/publish.h"
#include "bench/sock.h"

#define BUFFER_BYTES 262144u

static char buffer[BUFFER_BYTES];

static int run_receiver(const rr_options *o)
{
    publish_receiver receiver = { .count = 0 };
    int fd = sock_connect(o->target);
    printf("ready\n");
    fflush(stdout);
    size_t have = 0;
    for (;;) {
        ssize_t n = recv(fd, buffer + have, sizeof buffer - have, 0);
        if (n <= 0) {
            return 0;
        }
        have += (size_t)n;
        size_t used = 0;
        for (; have - used >= o->payload; used += o->payload) {
            uint8_t ack[PUBLISH_ACK_BYTES];
            if (publish_received(&receiver, buffer + used, o->payload, ack) &&
                !sock_write(fd, ack, sizeof ack)) {
                return 0;
            }
        }
        have -= used;
        memmove(buffer, buffer + used, have);
    }
}

static int run_sender(const rr_options *o)
{
    publish_sender s;
    int fd = sock_connect(o->target);
    publish_sender_start(&s, o);
    for (bool goes_on = true; goes_on;) {
        while (publish_may_send(&s)) {
            size_t size = 0;
            for (; publish_may_send(&s) && size + o->payload <= sizeof buffer; size += o->payload) {
                publish_stamp(&s, buffer + size);
            }
            if (!sock_write(fd, buffer, size)) {
                return 1;
            }
        }
        uint8_t ack[PUBLISH_ACK_BYTES];
        if (recv(fd, ack, sizeof ack, MSG_WAITALL) != (ssize_t)sizeof ack) {
            return 1;
        }
        goes_on = publish_acknowledged(&s, ack, sizeof ack);
    }
    publish_sender_print(&s);
    close(fd);
    return 0;
}

int main(int argc, char **argv)
{
    static const rr_role roles[] = {
        { "receiver", run_receiver },
        { "sender", run_sender },
        { NULL, NULL },
    };
    return rr_main(argc, argv, roles);
}
