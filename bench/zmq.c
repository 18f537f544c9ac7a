// SPDX-License-Identifier: Apache-2.0
//
// bench/zmq.c - ZeroMQ in posthouse's topology: two ends and a process in the middle.
//
//     zmq --role pipe                  the middle: passes messages between two DEALER sockets,
//                                      which is less than addressing them (ROUTER), and faster
//     zmq --role pubsub                the middle: XSUB, where publishers connect, and XPUB
//     zmq --role receiver --target A   publish, one to one
//     zmq --role sender --target A
//     zmq --role responder --target A  request/reply
//     zmq --role caller --target A
//     zmq --role version
//
// The middle prints its two ports: FRONT BACK. Senders and callers connect to the front, receivers
// and responders to the back. High-water marks are off: the windows bound what is under way.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "bench/publish.h"

#define ENDPOINT_BYTES 64

static void check(bool is_right, const char *what)
{
    if (!is_right) {
        fprintf(stderr, "%s: %s\n", what, zmq_strerror(zmq_errno()));
        exit(1);
    }
}

static void *socket_new(void *context, int type)
{
    void *s = zmq_socket(context, type);
    int none = 0;
    check(s != NULL, "socket");
    check(zmq_setsockopt(s, ZMQ_SNDHWM, &none, sizeof none) == 0, "mark");
    check(zmq_setsockopt(s, ZMQ_RCVHWM, &none, sizeof none) == 0, "mark");
    check(zmq_setsockopt(s, ZMQ_LINGER, &none, sizeof none) == 0, "linger");
    return s;
}

// ---- the middle

static const char *bind_any(void *s, char endpoint[ENDPOINT_BYTES])
{
    size_t size = ENDPOINT_BYTES;
    check(zmq_bind(s, "tcp://127.0.0.1:*") == 0, "bind");
    check(zmq_getsockopt(s, ZMQ_LAST_ENDPOINT, endpoint, &size) == 0, "endpoint");
    return endpoint + strlen("tcp://");
}

static int run_middle(void *context, int front_type, int back_type)
{
    char names[2][ENDPOINT_BYTES];
    void *front = socket_new(context, front_type);
    void *back = socket_new(context, back_type);
    const char *front_name = bind_any(front, names[0]);
    printf("%s %s\n", front_name, bind_any(back, names[1]));
    fflush(stdout);
    return zmq_proxy(front, back, NULL) == 0 ? 0 : 1;
}

static void *end_new(void *context, const rr_options *o)
{
    char endpoint[ENDPOINT_BYTES];
    snprintf(endpoint, sizeof endpoint, "tcp://%s", o->target);
    void *s = socket_new(context, ZMQ_DEALER);
    check(zmq_connect(s, endpoint) == 0, "connect");
    return s;
}

static void say_ready(void)
{
    printf("ready\n");
    fflush(stdout);
}

// ---- publish

static int run_receiver(void *end)
{
    publish_receiver receiver = { .count = 0 };
    zmq_msg_t message;
    zmq_msg_init(&message);
    say_ready();
    while (zmq_msg_recv(&message, end, 0) >= 0) {
        uint8_t ack[PUBLISH_ACK_BYTES];
        if (publish_received(&receiver, zmq_msg_data(&message), zmq_msg_size(&message), ack)) {
            check(zmq_send(end, ack, sizeof ack, 0) >= 0, "acknowledge");
        }
    }
    return 0;
}

static int run_sender(void *end, const rr_options *o)
{
    publish_sender s;
    void *body = calloc(1, o->payload);
    uint8_t ack[PUBLISH_ACK_BYTES];
    check(body != NULL, "memory");
    publish_sender_start(&s, o);
    do {
        while (publish_may_send(&s)) {
            publish_stamp(&s, body);
            check(zmq_send(end, body, o->payload, 0) >= 0, "send");
        }
        check(zmq_recv(end, ack, sizeof ack, 0) == (int)sizeof ack, "acknowledgement");
    } while (publish_acknowledged(&s, ack, sizeof ack));
    publish_sender_print(&s);
    free(body);
    return 0;
}

// ---- request/reply

static int run_responder(void *end)
{
    zmq_msg_t message;
    zmq_msg_init(&message);
    say_ready();
    while (zmq_msg_recv(&message, end, 0) >= 0) {
        check(zmq_msg_send(&message, end, 0) >= 0, "reply"); // takes the body, copies nothing
        zmq_msg_init(&message);
    }
    return 0;
}

static int run_caller(void *end, const rr_options *o)
{
    rr_record record;
    uint8_t *body = calloc(1, o->payload);
    uint64_t *sent = calloc(o->in_flight, sizeof *sent);
    uint32_t open = 0;
    check(body != NULL && sent != NULL, "memory");
    rr_record_start(&record, o);
    for (; open < o->in_flight; open++) {
        uint64_t slot = open;
        memcpy(body, &slot, sizeof slot);
        sent[slot] = rr_now_ns();
        check(zmq_send(end, body, o->payload, 0) >= 0, "request");
    }
    while (open > 0) {
        uint64_t slot = 0;
        check(zmq_recv(end, body, o->payload, 0) == (int)o->payload, "reply");
        memcpy(&slot, body, sizeof slot);
        uint64_t now = rr_now_ns();
        if (rr_record_add(&record, sent[slot], now)) {
            sent[slot] = now;
            check(zmq_send(end, body, o->payload, 0) >= 0, "request");
        } else {
            open--;
        }
    }
    rr_record_print(&record);
    free(body);
    free(sent);
    return 0;
}

static int print_version(void)
{
    int v[3];
    zmq_version(&v[0], &v[1], &v[2]);
    printf("%d.%d.%d\n", v[0], v[1], v[2]);
    return 0;
}

int main(int argc, char **argv)
{
    rr_options o = rr_options_parse(argc, argv);
    const char *role = argc > 2 && strcmp(argv[1], "--role") == 0 ? argv[2] : "";
    if (strcmp(role, "version") == 0) {
        return print_version();
    }
    void *context = zmq_ctx_new();
    int rc = 2;
    if (strcmp(role, "pipe") == 0) {
        return run_middle(context, ZMQ_DEALER, ZMQ_DEALER);
    }
    if (strcmp(role, "pubsub") == 0) {
        return run_middle(context, ZMQ_XSUB, ZMQ_XPUB);
    }
    void *end = end_new(context, &o);
    if (strcmp(role, "receiver") == 0) {
        rc = run_receiver(end);
    } else if (strcmp(role, "sender") == 0) {
        rc = run_sender(end, &o);
    } else if (strcmp(role, "responder") == 0) {
        rc = run_responder(end);
    } else if (strcmp(role, "caller") == 0) {
        rc = run_caller(end, &o);
    } else {
        fprintf(stderr, "usage: zmq --role pipe|pubsub|receiver|sender|responder|caller ...\n");
    }
    zmq_close(end);
    zmq_ctx_term(context);
    return rc;
}
