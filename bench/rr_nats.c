// SPDX-License-Identifier: Apache-2.0
//
// bench/rr_nats.c - request/reply through nats-server with libnats, in the setting that was fastest
// here: subscriptions of its own instead of natsConnection_Request (which locks and allocates per
// call), large buffers. Every publish goes out at once, or (--gather 1) the library's flusher
// gathers them: what is faster is for the scripts to know.
//
//     rr_nats --role responder --target nats://127.0.0.1:PORT --name echo
//     rr_nats --role caller ...

#include <nats/nats.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/rr.h"

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
    check(natsOptions_SetSendAsap(options, !o->is_gathering), "asap");
    check(natsOptions_SetMaxPendingMsgs(options, 1 << 20), "pending");
    if (o->ca != NULL) {
        check(natsOptions_SetSecure(options, true), "tls");
        check(natsOptions_LoadCATrustedCertificates(options, o->ca), "ca");
        check(natsOptions_SetExpectedHostname(options, "localhost"), "name");
    }
    check(natsConnection_Connect(&connection, options), "connect");
    natsOptions_Destroy(options);
    return connection;
}

// ---- responder

typedef struct responder {
    rr_delays delays;
    pthread_mutex_t lock; // of delays
    uint64_t delay_ns;
    natsConnection *connection;
} responder;

static void answer(natsConnection *connection, natsMsg *request)
{
    natsConnection_Publish(connection, natsMsg_GetReply(request), natsMsg_GetData(request),
                           natsMsg_GetDataLength(request));
    natsMsg_Destroy(request);
}

static uint64_t mark_of(natsMsg *message)
{
    uint64_t mark = 0;
    memcpy(&mark, natsMsg_GetData(message), sizeof mark);
    return mark;
}

static void on_request(natsConnection *connection, natsSubscription *subscription, natsMsg *message,
                       void *arg)
{
    (void)subscription;
    responder *r = arg;
    if (r->delay_ns == 0 || (mark_of(message) & RR_SLOW) == 0) {
        answer(connection, message);
        return;
    }
    pthread_mutex_lock(&r->lock);
    rr_delays_add(&r->delays, rr_now_ns() + r->delay_ns, message);
    pthread_mutex_unlock(&r->lock);
}

static void sleep_ns(uint64_t ns)
{
    struct timespec wait = { .tv_sec = (time_t)(ns / 1000000000u),
                             .tv_nsec = (long)(ns % 1000000000u) };
    nanosleep(&wait, NULL);
}

// A millisecond is the library's of posthouse, too.
static void *run_delays(void *arg)
{
    responder *r = arg;
    for (;;) {
        sleep_ns(1000000);
        for (;;) {
            pthread_mutex_lock(&r->lock);
            natsMsg *request = rr_delays_take(&r->delays, rr_now_ns());
            pthread_mutex_unlock(&r->lock);
            if (request == NULL) {
                break;
            }
            answer(r->connection, request);
        }
    }
    return NULL;
}

static int run_responder(const rr_options *o)
{
    static responder r = { .lock = PTHREAD_MUTEX_INITIALIZER };
    natsSubscription *subscription = NULL;
    pthread_t delays;
    r.connection = connect_to(o);
    r.delay_ns = o->slow_ms * UINT64_C(1000000);
    if (r.delay_ns != 0 && pthread_create(&delays, NULL, run_delays, &r) != 0) {
        return 1;
    }
    check(natsConnection_Subscribe(&subscription, r.connection, o->name, on_request, &r), "sub");
    check(natsConnection_Flush(r.connection), "flush");
    printf("ready\n");
    fflush(stdout);
    while (getchar() != EOF) {
    }
    exit(0);
}

// ---- caller

typedef struct caller {
    const rr_options *options;
    rr_record record;
    rr_schedule schedule; // open loop; `done` under lock
    char inbox[128];
    char *payload; // of the callback's thread
    uint64_t *sent_ns;
    uint32_t open;
    pthread_mutex_t lock;
    pthread_cond_t done;
} caller;

static void call(natsConnection *connection, caller *c, uint64_t slot, uint64_t now_ns)
{
    memcpy(c->payload, &slot, sizeof slot);
    c->sent_ns[slot] = now_ns;
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
    uint64_t now = rr_now_ns();
    if (rr_record_add(&c->record, c->sent_ns[slot], now)) {
        call(connection, c, slot, now);
        return;
    }
    pthread_mutex_lock(&c->lock);
    c->open--;
    pthread_cond_signal(&c->done);
    pthread_mutex_unlock(&c->lock);
}

static void run_closed(caller *c, natsConnection *connection)
{
    const rr_options *o = c->options;
    // The first window is sent from this thread, with a buffer of its own: the callback's thread
    // has begun to use the other.
    char *first = calloc(1, o->payload);
    for (uint64_t slot = 0; first != NULL && slot < o->in_flight; slot++) {
        memcpy(first, &slot, sizeof slot);
        c->sent_ns[slot] = rr_now_ns();
        check(natsConnection_PublishRequest(connection, o->name, c->inbox, first, (int)o->payload),
              "publish");
    }
    pthread_mutex_lock(&c->lock);
    while (c->open > 0) {
        pthread_cond_wait(&c->done, &c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    free(first);
}

// ---- open loop

static void on_due_reply(natsConnection *connection, natsSubscription *subscription,
                         natsMsg *message, void *arg)
{
    (void)connection;
    (void)subscription;
    caller *c = arg;
    uint64_t now = rr_now_ns();
    pthread_mutex_lock(&c->lock);
    (void)rr_schedule_done(&c->schedule, &c->record, mark_of(message) & ~RR_SLOW, now);
    pthread_mutex_unlock(&c->lock);
    natsMsg_Destroy(message);
}

static uint64_t done_by_now(caller *c)
{
    pthread_mutex_lock(&c->lock);
    uint64_t done = c->schedule.done;
    pthread_mutex_unlock(&c->lock);
    return done;
}

static void run_open(caller *c, natsConnection *connection)
{
    const rr_options *o = c->options;
    rr_schedule *s = &c->schedule;
    uint64_t done = 0;
    while (done < s->total) {
        while (s->next - done < o->in_flight && rr_schedule_is_due(s, rr_now_ns())) {
            uint64_t mark = rr_schedule_mark(s, s->next++);
            memcpy(c->payload, &mark, sizeof mark);
            check(natsConnection_PublishRequest(connection, o->name, c->inbox, c->payload,
                                                (int)o->payload),
                  "publish");
        }
        sleep_ns(rr_schedule_wait_ns(s, rr_now_ns()));
        done = done_by_now(c);
    }
}

static int run_caller(const rr_options *o)
{
    natsConnection *connection = connect_to(o);
    natsSubscription *subscription = NULL;
    natsInbox *inbox = NULL;
    bool is_open = o->rate > 0;
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
    if (is_open) {
        rr_schedule_start(&c.schedule, o);
    }
    check(natsConnection_Subscribe(&subscription, connection, c.inbox,
                                   is_open ? on_due_reply : on_reply, &c),
          "subscribe");
    if (is_open) {
        run_open(&c, connection);
    } else {
        run_closed(&c, connection);
    }
    rr_record_print(&c.record);
    natsSubscription_Destroy(subscription);
    natsConnection_Destroy(connection);
    free(c.payload);
    free(c.sent_ns);
    return 0;
}

static int print_version(const rr_options *o)
{
    (void)o;
    printf("%s\n", nats_GetVersion());
    return 0;
}

int main(int argc, char **argv)
{
    static const rr_role roles[] = {
        { "responder", run_responder },
        { "caller", run_caller },
        { "version", print_version },
        { NULL, NULL },
    };
    return rr_main(argc, argv, roles);
}
