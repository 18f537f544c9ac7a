// SPDX-License-Identifier: Apache-2.0
//
// bench/publish_nats.c - events from one client to another through nats-server with libnats, in the
// setting that was fastest here: large buffers, and the library's flusher gathers what is
// published.
//
//     publish_nats --role receiver --target nats://127.0.0.1:PORT --name sink
//     publish_nats --role sender ...

#include <nats/nats.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/publish.h"

#define IO_BUFFER_BYTES (1024 * 1024)
#define SUBJECT_BYTES 256

static void check(natsStatus status, const char *what)
{
    if (status != NATS_OK) {
        fprintf(stderr, "%s: %s\n", what, natsStatus_GetText(status));
        exit(1);
    }
}

static natsConnection *connect_to(const rr_options *o)
{
    natsOptions *options = NULL;
    natsConnection *connection = NULL;
    check(natsOptions_Create(&options), "options");
    check(natsOptions_SetURL(options, o->target), "url");
    check(natsOptions_SetIOBufSize(options, IO_BUFFER_BYTES), "buffer");
    check(natsOptions_SetMaxPendingMsgs(options, 1 << 20), "pending");
    check(natsConnection_Connect(&connection, options), "connect");
    natsOptions_Destroy(options);
    return connection;
}

// Where acknowledgements go. Not a reply subject in each event: that would make each longer.
static void ack_subject(const rr_options *o, char subject[SUBJECT_BYTES])
{
    snprintf(subject, SUBJECT_BYTES, "%s.ack", o->name);
}

// ---- receiver

typedef struct receiver {
    publish_receiver count;
    char ack_subject[SUBJECT_BYTES];
} receiver;

static void on_event(natsConnection *connection, natsSubscription *subscription, natsMsg *message,
                     void *arg)
{
    (void)subscription;
    receiver *r = arg;
    uint8_t ack[PUBLISH_ACK_BYTES];
    size_t size = (size_t)natsMsg_GetDataLength(message);
    if (publish_received(&r->count, natsMsg_GetData(message), size, ack)) {
        check(natsConnection_Publish(connection, r->ack_subject, ack, sizeof ack), "acknowledge");
    }
    natsMsg_Destroy(message);
}

static int run_receiver(const rr_options *o)
{
    receiver r = { .count = { .count = 0 } };
    natsConnection *connection = connect_to(o);
    natsSubscription *subscription = NULL;
    ack_subject(o, r.ack_subject);
    check(natsConnection_Subscribe(&subscription, connection, o->name, on_event, &r), "subscribe");
    check(natsConnection_Flush(connection), "flush");
    printf("ready\n");
    fflush(stdout);
    while (getchar() != EOF) {
    }
    natsSubscription_Destroy(subscription);
    natsConnection_Destroy(connection);
    return 0;
}

// ---- sender

typedef struct sender {
    publish_sender flow; // under lock
    bool is_done;
    pthread_mutex_t lock;
    pthread_cond_t changed;
} sender;

static void on_ack(natsConnection *connection, natsSubscription *subscription, natsMsg *message,
                   void *arg)
{
    (void)connection;
    (void)subscription;
    sender *s = arg;
    pthread_mutex_lock(&s->lock);
    s->is_done = !publish_acknowledged(&s->flow, natsMsg_GetData(message),
                                       (size_t)natsMsg_GetDataLength(message));
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
    natsMsg_Destroy(message);
}

// The lock is taken once for as many as the window allows.
static void publish_all(sender *s, natsConnection *connection, const rr_options *o, void *body)
{
    while (!s->is_done) {
        publish_sender flow = s->flow;
        uint64_t before = flow.sent;
        pthread_mutex_unlock(&s->lock);
        while (publish_may_send(&flow)) {
            publish_stamp(&flow, body);
            check(natsConnection_Publish(connection, o->name, body, (int)o->payload), "publish");
        }
        pthread_mutex_lock(&s->lock);
        s->flow.sent = flow.sent;
        s->flow.is_closing = flow.is_closing;
        bool is_complete = flow.is_closing && s->flow.acknowledged == flow.sent;
        if (before == flow.sent && !s->is_done && !is_complete) {
            pthread_cond_wait(&s->changed, &s->lock);
        }
        s->is_done = s->is_done || is_complete;
    }
}

static int run_sender(const rr_options *o)
{
    natsConnection *connection = connect_to(o);
    natsSubscription *subscription = NULL;
    char subject[SUBJECT_BYTES];
    sender s = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
    void *body = calloc(1, o->payload);
    if (body == NULL) {
        return 1;
    }
    ack_subject(o, subject);
    check(natsConnection_Subscribe(&subscription, connection, subject, on_ack, &s), "subscribe");
    publish_sender_start(&s.flow, o);
    pthread_mutex_lock(&s.lock);
    publish_all(&s, connection, o, body);
    pthread_mutex_unlock(&s.lock);
    publish_sender_print(&s.flow);
    natsSubscription_Destroy(subscription);
    natsConnection_Destroy(connection);
    free(body);
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
