// SPDX-License-Identifier: Apache-2.0
//
// bench/rr_nats.c - request/reply through nats-server with libnats, in the setting that was fastest
// here: subscriptions of its own instead of natsConnection_Request (which locks and allocates per
// call), large buffers; with few calls in flight every publish goes out at once, with many the
// library's flusher gathers them.
//
//     rr_nats --role responder --target nats://127.0.0.1:PORT --name echo
//     rr_nats --role caller ...

#include <nats/nats.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/rr.h"

#define ASAP_IN_FLIGHT_MAX 64 // measured: above it gathering is faster, below it waiting is not
#define IO_BUFFER_BYTES (1024 * 1024)

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
    check(natsOptions_SetSendAsap(options, o->in_flight <= ASAP_IN_FLIGHT_MAX), "asap");
    check(natsOptions_SetMaxPendingMsgs(options, 1 << 20), "pending");
    check(natsConnection_Connect(&connection, options), "connect");
    natsOptions_Destroy(options);
    return connection;
}

// ---- responder

static void on_request(natsConnection *connection, natsSubscription *subscription, natsMsg *message,
                       void *arg)
{
    (void)subscription;
    (void)arg;
    natsConnection_Publish(connection, natsMsg_GetReply(message), natsMsg_GetData(message),
                           natsMsg_GetDataLength(message));
    natsMsg_Destroy(message);
}

static int run_responder(const rr_options *o)
{
    natsConnection *connection = connect_to(o);
    natsSubscription *subscription = NULL;
    check(natsConnection_Subscribe(&subscription, connection, o->name, on_request, NULL), "sub");
    check(natsConnection_Flush(connection), "flush");
    printf("ready\n");
    fflush(stdout);
    while (getchar() != EOF) {
    }
    natsSubscription_Destroy(subscription);
    natsConnection_Destroy(connection);
    return 0;
}

// ---- caller

typedef struct caller {
    const rr_options *options;
    rr_record record;
    char inbox[128];
    char *payload; // of the callback's thread
    uint64_t *sent_ns;
    uint32_t open;
    pthread_mutex_t lock;
    pthread_cond_t done;
} caller;

static void call(natsConnection *connection, caller *c, uint64_t slot)
{
    memcpy(c->payload, &slot, sizeof slot);
    c->sent_ns[slot] = rr_now_ns();
    check(natsConnection_PublishRequest(connection, c->options->name, c->inbox, c->payload,
                                        (int)c->options->payload),
          "publish");
}

static void on_reply(natsConnection *connection, natsSubscription *subscription, natsMsg *message,
                     void *arg)
{
    (void)subscription;
    caller *c = arg;
    uint64_t slot = 0;
    memcpy(&slot, natsMsg_GetData(message), sizeof slot);
    natsMsg_Destroy(message);
    if (rr_record_add(&c->record, c->sent_ns[slot], rr_now_ns())) {
        call(connection, c, slot);
        return;
    }
    pthread_mutex_lock(&c->lock);
    c->open--;
    pthread_cond_signal(&c->done);
    pthread_mutex_unlock(&c->lock);
}

static int run_caller(const rr_options *o)
{
    natsConnection *connection = connect_to(o);
    natsSubscription *subscription = NULL;
    natsInbox *inbox = NULL;
    caller c = { .options = o,
                 .open = o->in_flight,
                 .lock = PTHREAD_MUTEX_INITIALIZER,
                 .done = PTHREAD_COND_INITIALIZER };
    c.payload = calloc(1, o->payload);
    c.sent_ns = calloc(o->in_flight, sizeof *c.sent_ns);
    if (c.payload == NULL || c.sent_ns == NULL) {
        return 1;
    }
    check(natsInbox_Create(&inbox), "inbox");
    snprintf(c.inbox, sizeof c.inbox, "%s", (const char *)inbox);
    natsInbox_Destroy(inbox);
    rr_record_start(&c.record, o);
    check(natsConnection_Subscribe(&subscription, connection, c.inbox, on_reply, &c), "subscribe");
    // The first window is sent from this thread, with a buffer of its own: the callback's thread
    // has begun to use the other.
    char *first = calloc(1, o->payload);
    for (uint64_t slot = 0; first != NULL && slot < o->in_flight; slot++) {
        memcpy(first, &slot, sizeof slot);
        c.sent_ns[slot] = rr_now_ns();
        check(natsConnection_PublishRequest(connection, o->name, c.inbox, first, (int)o->payload),
              "publish");
    }
    pthread_mutex_lock(&c.lock);
    while (c.open > 0) {
        pthread_cond_wait(&c.done, &c.lock);
    }
    pthread_mutex_unlock(&c.lock);
    rr_record_print(&c.record);
    natsSubscription_Destroy(subscription);
    natsConnection_Destroy(connection);
    free(first);
    free(c.payload);
    free(c.sent_ns);
    return 0;
}

int main(int argc, char **argv)
{
    rr_options o = rr_options_parse(argc, argv);
    const char *role = argc > 2 && strcmp(argv[1], "--role") == 0 ? argv[2] : "";
    if (strcmp(role, "responder") == 0) {
        return run_responder(&o);
    }
    if (strcmp(role, "caller") == 0) {
        return run_caller(&o);
    }
    if (strcmp(role, "version") == 0) {
        printf("%s\n", nats_GetVersion());
        return 0;
    }
    fprintf(stderr, "usage: rr_nats --role responder|caller --target URL ...\n");
    return 2;
}
