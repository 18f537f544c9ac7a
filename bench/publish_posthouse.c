// SPDX-License-Identifier: Apache-2.0
//
// bench/publish_posthouse.c - events from one client to another through a center, on the public C
// API as any program would use it.
//
//     publish_posthouse --role receiver --target 127.0.0.1:PORT --name sink
//     publish_posthouse --role sender ...

#include <posthouse/posthouse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/publish.h"

#define OPEN_WAIT_MS 5000
#define SEND_BYTES_MAX (16u * 1024u * 1024u)

static void check(ph_err err, const char *what)
{
    if (err != PH_OK) {
        fprintf(stderr, "%s: %s\n", what, ph_err_text(err));
        exit(1);
    }
}

static void on_link(ph_client *client, const ph_link_change *change, void *arg)
{
    (void)arg;
    if (change->state != PH_LINK_UP) {
        ph_loop_stop(ph_client_loop(client));
    }
}

// ---- receiver

static void on_event(ph_client *client, const ph_incoming *event, void *arg)
{
    uint8_t ack[PUBLISH_ACK_BYTES];
    if (publish_received(arg, event->body.data, event->body.size, ack)) {
        ph_outgoing back = PH_OUTGOING_INIT;
        char to[256];
        snprintf(to, sizeof to, "%.*s", (int)event->from.size, event->from.data);
        back.to = to;
        back.body = ack;
        back.body_size = sizeof ack;
        check(ph_client_send(client, &back), "acknowledge");
    }
}

static int run_receiver(const rr_options *o)
{
    publish_receiver receiver = { .count = 0 };
    ph_client_options options = PH_CLIENT_OPTIONS_INIT;
    options.centers = o->target;
    options.account = o->name;
    options.on_event = on_event;
    options.on_link = on_link;
    options.arg = &receiver;
    ph_client *client = NULL;
    check(ph_client_new(&client, &options), "client");
    check(ph_client_open_wait(client, OPEN_WAIT_MS), "connect");
    printf("ready\n");
    fflush(stdout);
    ph_loop_run(ph_client_loop(client));
    ph_client_free(&client);
    return 0;
}

// ---- sender

typedef struct sender {
    publish_sender flow;
    ph_outgoing event;
    void *body; // owned; what event.body shows
} sender;

static void send_more(ph_client *client, sender *s)
{
    while (publish_may_send(&s->flow)) {
        publish_stamp(&s->flow, s->body);
        check(ph_client_send(client, &s->event), "send");
    }
}

static void on_ack(ph_client *client, const ph_incoming *event, void *arg)
{
    sender *s = arg;
    if (publish_acknowledged(&s->flow, event->body.data, event->body.size)) {
        send_more(client, s);
    } else {
        ph_loop_stop(ph_client_loop(client));
    }
}

static int run_sender(const rr_options *o)
{
    sender s = { .event = PH_OUTGOING_INIT };
    ph_client_options options = PH_CLIENT_OPTIONS_INIT;
    options.centers = o->target;
    options.account = "publish-sender";
    options.send_bytes_max = SEND_BYTES_MAX;
    options.on_event = on_ack;
    options.on_link = on_link;
    options.arg = &s;
    s.body = calloc(1, o->payload);
    if (s.body == NULL) {
        return 1;
    }
    s.event.to = o->name;
    s.event.body = s.body;
    s.event.body_size = o->payload;
    ph_client *client = NULL;
    check(ph_client_new(&client, &options), "client");
    check(ph_client_open_wait(client, OPEN_WAIT_MS), "connect");
    publish_sender_start(&s.flow, o);
    send_more(client, &s);
    ph_loop_run(ph_client_loop(client));
    publish_sender_print(&s.flow);
    ph_client_free(&client);
    free(s.body);
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
