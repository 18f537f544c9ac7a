// SPDX-License-Identifier: Apache-2.0
//
// tests/api/live_test.c - the public functions against a real center over real sockets: a center
// and its clients on one loop, so that one thread sees everything.

#include <errno.h>
#include <poll.h>
#include <posthouse/posthouse.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "center/center.h"
#include "client/client.h"
#include "tests/harness/test.h"

#define WAIT_MS 5000

typedef struct house {
    ph_loop *loop;
    center *center;
    char folder[32];
    char address[PHI_ADDRESS_TEXT_MAX];
    center_options options;
} house;

// What a client was told.
typedef struct guest {
    ph_client *client;
    unsigned ups;
    unsigned downs;
    unsigned closes;
    unsigned onlines;
    unsigned offlines;
    unsigned readies;
    unsigned events;
    unsigned requests;
    unsigned cancels;
    unsigned dones;
    ph_err status;
    uint16_t code;
    ph_reason reason;
    ph_request_id request;
    bool answers; // in the callback, with what came
    char seen[256];

    // dialogs
    bool asks;         // back, in the callback; the request is answered with the answer
    bool answers_asks; // in the callback, with what came
    bool goes_on;      // answers an inquiry with what the same request, once more, brings
    unsigned inquiries;
    unsigned ask_dones;
    unsigned depth_most; // of inquiries
    ph_err ask_status;
    uint16_t ask_code;
    ph_request_id inquiry;
} guest;

// ---- the house

static void house_open(house *h)
{
    phi_diag diag = { "" };
    ph_err rc = center_new(&h->center, phi_loop_io(h->loop), &h->options, NULL, &diag);
    assert_int_equal(rc, PH_OK);
    rc = center_listen(h->center, &(center_listen_options){ .address = h->address }, h->address,
                       &diag);
    if (rc != PH_OK) {
        fail_msg("%s", diag.text);
    }
}

static void house_init(house *h, phi_suite suite)
{
    *h = (house){ .folder = "/tmp/posthouse-api-XXXXXX" };
    assert_non_null(mkdtemp(h->folder));
    snprintf(h->address, sizeof h->address, "unix:%s/center", h->folder);
    EXPECT_ERR(ph_loop_new(&h->loop), PH_OK);
    h->options = center_options_default();
    h->options.domain = "home";
    h->options.suite = suite;
    house_open(h);
}

static void house_fini(house *h)
{
    center_free(&h->center);
    ph_loop_free(&h->loop);
    EXPECT(h->loop == NULL);
    char path[64];
    snprintf(path, sizeof path, "%s/center", h->folder);
    unlink(path);
    EXPECT_EQ(rmdir(h->folder), 0);
}

// ---- guests

static void on_link(ph_client *client, const ph_link_change *change, void *arg)
{
    guest *g = arg;
    EXPECT(ph_client_state(client) == change->state);
    g->ups += change->state == PH_LINK_UP;
    g->downs += change->state == PH_LINK_DOWN;
    g->closes += change->state == PH_LINK_CLOSED;
}

static void on_presence(ph_client *client, ph_change change, ph_reason reason, const ph_peer *peer,
                        void *arg)
{
    (void)client;
    guest *g = arg;
    g->onlines += change == PH_ONLINE;
    g->offlines += change == PH_OFFLINE;
    g->reason = reason;
    snprintf(g->seen, sizeof g->seen, "%.*s", (int)peer->id.size, peer->id.data);
}

static void on_ready(ph_client *client, uint64_t revision, void *arg)
{
    (void)client;
    EXPECT(revision > 0);
    ((guest *)arg)->readies++;
}

static void on_event(ph_client *client, const ph_incoming *event, void *arg)
{
    (void)client;
    guest *g = arg;
    g->events++;
    snprintf(g->seen, sizeof g->seen, "%.*s: %.*s", (int)event->from.size, event->from.data,
             (int)event->body.size, event->body.data);
}

// A request whose responder asks its caller back, or a call that was made to answer an inquiry.
typedef struct errand {
    guest *guest;
    ph_request_id request;
} errand;

static void on_errand(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                      const ph_incoming *reply, void *arg)
{
    (void)call;
    errand *e = arg;
    guest *g = e->guest;
    g->ask_dones++;
    g->ask_status = status;
    g->ask_code = code;
    ph_err rc = PH_OK;
    if (status == PH_OK) {
        rc = ph_client_reply(client, e->request, reply->body.data, reply->body.size);
    } else if (status == PH_EFAILURE) {
        rc = ph_client_fail(client, e->request, PH_FAILURE_RESPONDER_FAILED, ph_failure_name(code));
    }
    EXPECT(rc == PH_OK);
    free(e);
}

static errand *errand_new(guest *g, ph_request_id request)
{
    errand *e = malloc(sizeof *e);
    assert_non_null(e);
    *e = (errand){ g, request };
    return e;
}

static void ask(guest *g, const ph_incoming *incoming)
{
    ph_outgoing question = PH_OUTGOING_INIT;
    question.method = "which";
    question.body = incoming->body.data;
    question.body_size = incoming->body.size;
    EXPECT_ERR(
        ph_client_ask(g->client, g->request, &question, NULL, on_errand, errand_new(g, g->request)),
        PH_OK);
}

static void on_inquiry(ph_client *client, ph_call_id call, ph_request_id inquiry,
                       const ph_incoming *incoming, void *arg)
{
    guest *g = arg;
    EXPECT_EQ(call.value, inquiry.call);
    EXPECT(incoming->method.size == 5 && memcmp(incoming->method.data, "which", 5) == 0);
    EXPECT(ph_client_time_left_ms(client, inquiry) <= incoming->timeout_ms);
    g->inquiries++;
    g->inquiry = inquiry;
    g->depth_most = inquiry.depth > g->depth_most ? inquiry.depth : g->depth_most;
    if (g->goes_on) {
        ph_outgoing out = PH_OUTGOING_INIT;
        out.to = "oracle";
        out.within = &inquiry;
        EXPECT_ERR(ph_client_request(client, &out, NULL, on_errand, errand_new(g, inquiry)), PH_OK);
    } else if (g->answers_asks) {
        char answer[64];
        int size = snprintf(answer, sizeof answer, "%.*s, of course", (int)incoming->body.size,
                            incoming->body.data);
        EXPECT_ERR(ph_client_reply(client, inquiry, answer, (size_t)size), PH_OK);
    }
}

static void on_request(ph_client *client, ph_request_id request, const ph_incoming *incoming,
                       void *arg)
{
    guest *g = arg;
    g->requests++;
    g->request = request;
    EXPECT(incoming->timeout_ms > 0);
    if (g->asks) {
        ask(g, incoming);
    } else if (g->answers) {
        EXPECT_ERR(ph_client_reply(client, request, incoming->body.data, incoming->body.size),
                   PH_OK);
    }
}

static void on_cancel(ph_client *client, ph_request_id request, uint16_t code, void *arg)
{
    (void)client;
    guest *g = arg;
    EXPECT(ph_request_id_equal(request, g->request));
    g->code = code;
    g->cancels++;
}

static void on_reply(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                     const ph_incoming *reply, void *arg)
{
    (void)client;
    (void)call;
    guest *g = arg;
    g->dones++;
    g->status = status;
    g->code = code;
    g->seen[0] = '\0';
    if (reply != NULL) {
        snprintf(g->seen, sizeof g->seen, "%.*s: %.*s", (int)reply->from.size, reply->from.data,
                 (int)reply->body.size, reply->body.data);
    }
}

static void guest_init_as(guest *g, house *h, const char *account, const char *service)
{
    *g = (guest){ .answers = true };
    ph_client_options options = PH_CLIENT_OPTIONS_INIT;
    options.loop = h->loop;
    options.centers = h->address;
    options.account = account;
    options.service = service;
    options.backoff_min_ms = 1;
    options.backoff_max_ms = 10;
    options.on_link = on_link;
    options.on_presence = on_presence;
    options.on_presence_ready = on_ready;
    options.on_event = on_event;
    options.on_request = on_request;
    options.on_cancel = on_cancel;
    options.on_inquiry = on_inquiry;
    options.arg = g;
    EXPECT_ERR(ph_client_new(&g->client, &options), PH_OK);
}

static void guest_init(guest *g, house *h, const char *account)
{
    guest_init_as(g, h, account, NULL);
}

static void guest_up(guest *g, house *h, const char *account)
{
    guest_init(g, h, account);
    EXPECT_ERR(ph_client_open_wait(g->client, WAIT_MS), PH_OK);
    EXPECT_TEXT(ph_client_trouble(g->client), "");
}

// Turns until *counter is at least `least`.
static void wait_for(house *h, const unsigned *counter, unsigned least)
{
    for (unsigned turns = 0; *counter < least; turns++) {
        assert_true(turns < 10000);
        ph_loop_turn(h->loop, WAIT_MS);
    }
}

static ph_outgoing to(const char *address, const char *body)
{
    ph_outgoing out = PH_OUTGOING_INIT;
    out.to = address;
    out.method = "say";
    out.body = body;
    out.body_size = strlen(body);
    return out;
}

// ---- tests

static void on_subscribed(ph_client *client, ph_subscription_id id, ph_err status, uint16_t code,
                          void *arg)
{
    (void)client;
    guest *g = arg;
    EXPECT(id.value != 0);
    EXPECT_EQ(code, 0);
    EXPECT_ERR(status, PH_OK);
    g->readies++;
}

// What is published after the center confirmed a subscription arrives, also over the connection
// after the one that broke. [P-73]
TEST(live, topics_come_back_with_the_center)
{
    house h;
    guest reader;
    guest writer;
    house_init(&h, PHI_SUITE_PAPER);
    guest_up(&reader, &h, "reader");
    guest_up(&writer, &h, "writer");
    ph_subscription_id id = { 0 };
    EXPECT_ERR(ph_client_subscribe(reader.client, "orders.*.created", &id, on_event, on_subscribed,
                                   &reader),
               PH_OK);
    EXPECT_ERR(
        ph_client_subscribe(reader.client, "orders.>", NULL, on_event, on_subscribed, &reader),
        PH_OK);
    EXPECT_EQ(ph_client_subscription_count(reader.client), 2);
    wait_for(&h, &reader.readies, 2);
    EXPECT_ERR(ph_client_publish(writer.client, "orders.eu.created", "one", 3), PH_OK);
    wait_for(&h, &reader.events, 2);
    EXPECT_TEXT(reader.seen, "writer@home: one");

    center_free(&h.center);
    wait_for(&h, &reader.downs, 1);
    wait_for(&h, &writer.downs, 1);
    house_open(&h);
    wait_for(&h, &reader.readies, 4);
    wait_for(&h, &writer.ups, 2);
    EXPECT_ERR(ph_client_unsubscribe(reader.client, id), PH_OK);
    EXPECT_ERR(ph_client_publish(reader.client, "orders.us.created", "two", 3), PH_OK);
    EXPECT_ERR(ph_client_publish(reader.client, "other", "none", 4), PH_OK);
    EXPECT_ERR(ph_client_publish(reader.client, "orders.end", "three", 5), PH_OK);
    wait_for(&h, &reader.events, 4);
    EXPECT_TEXT(reader.seen, "reader@home: three");
    ph_client_free(&reader.client);
    ph_client_free(&writer.client);
    house_fini(&h);
}

// Watchers see what a client says about itself, and `service:` heeds it. [P-64] [P-72]
TEST(live, own_state_is_seen_and_heeded)
{
    house h;
    guest worker;
    guest boss;
    house_init(&h, PHI_SUITE_PLAIN);
    guest_up(&boss, &h, "boss");
    guest_init_as(&worker, &h, "worker", "work");
    ph_own_state own = PH_OWN_STATE_INIT;
    own.state = PH_STATE_STARTING;
    own.has_weight = true;
    own.weight = 7;
    EXPECT_ERR(ph_client_set_state(worker.client, &own), PH_OK);
    EXPECT_ERR(ph_client_open_wait(worker.client, WAIT_MS), PH_OK);
    EXPECT_ERR(ph_client_watch(boss.client, NULL), PH_OK);
    wait_for(&h, &boss.readies, 1);
    ph_peer peer = PH_PEER_INIT;
    EXPECT_ERR(ph_client_peer_find(boss.client, "worker@home", &peer), PH_OK);
    EXPECT_EQ(peer.state, PH_STATE_STARTING);
    EXPECT_EQ(peer.weight, 7);
    ph_outgoing out = to("service:work", "x");
    ph_reply *reply = NULL;
    EXPECT_ERR(ph_client_request_wait(boss.client, &out, &reply), PH_EFAILURE);
    EXPECT_EQ(ph_reply_code(reply), PH_FAILURE_NO_READY_INSTANCE);
    ph_reply_free(&reply);

    own = (ph_own_state)PH_OWN_STATE_INIT;
    own.state = PH_STATE_READY;
    own.software = "2.0";
    EXPECT_ERR(ph_client_set_state(worker.client, &own), PH_OK);
    do {
        ph_loop_turn(h.loop, WAIT_MS);
        EXPECT_ERR(ph_client_peer_find(boss.client, "worker@home", &peer), PH_OK);
    } while (peer.state != PH_STATE_READY);
    EXPECT_EQ(peer.weight, 7);
    EXPECT(peer.software.size == 3 && memcmp(peer.software.data, "2.0", 3) == 0);
    EXPECT_ERR(ph_client_request_wait(boss.client, &out, &reply), PH_OK);
    ph_reply_free(&reply);
    ph_client_free(&worker.client);
    ph_client_free(&boss.client);
    house_fini(&h);
}

// The user of the library sees one message of any size up to the limit, both ways, while small
// calls go on beside it. [P-66] [P-67]
TEST(live, message_as_large_as_may_be)
{
    static const size_t sizes[] = { 16u << 20, (16u << 20) + 1 };
    static uint8_t body[(16u << 20) + 1];
    for (size_t i = 0; i < sizeof body; i++) {
        body[i] = (uint8_t)(i * 7 + (i >> 9));
    }
    house h;
    guest caller;
    guest echo;
    house_init(&h, PHI_SUITE_CHECK);
    guest_up(&caller, &h, "caller");
    guest_up(&echo, &h, "echo");
    ph_outgoing large = to("echo", "");
    large.body = body;
    large.body_size = sizes[1];
    ph_reply *reply = NULL;
    EXPECT_ERR(ph_client_request_wait(caller.client, &large, &reply), PH_ETOOLARGE);
    large.body_size = sizes[0];
    EXPECT_ERR(ph_client_request(caller.client, &large, NULL, on_reply, &caller), PH_OK);
    unsigned small = 0;
    ph_outgoing out = to("echo", "hello");
    while (caller.dones == 0) { // one after the other, beside it
        EXPECT_ERR(ph_client_request_wait(caller.client, &out, &reply), PH_OK);
        EXPECT_EQ(ph_reply_incoming(reply)->body.size, 5);
        ph_reply_free(&reply);
        small++;
    }
    EXPECT_ERR(caller.status, PH_OK);
    EXPECT(small > 50); // of 2 times 1,024 fragments
    EXPECT_ERR(ph_client_request_wait(caller.client, &large, &reply), PH_OK);
    EXPECT_EQ(ph_reply_incoming(reply)->body.size, sizes[0]);
    EXPECT(memcmp(ph_reply_incoming(reply)->body.data, body, sizes[0]) == 0);
    ph_reply_free(&reply);
    ph_client_counters count = { .struct_size = sizeof count };
    ph_client_count(echo.client, &count);
    EXPECT_EQ(count.large_sent, 2);
    EXPECT_EQ(count.large_received, 2);
    EXPECT_EQ(count.large_dropped, 0);
    ph_client_free(&caller.client);
    ph_client_free(&echo.client);
    house_fini(&h);
}

// The first thing anybody does with the library, over a Unix socket, in every suite.
// [P-1] [P-36] [P-50]
TEST(live, call_is_answered_in_every_suite)
{
    static const phi_suite suites[] = { PHI_SUITE_PLAIN, PHI_SUITE_PAPER, PHI_SUITE_CHECK };
    for (size_t i = 0; i < 3; i++) {
        house h;
        guest caller;
        guest echo;
        house_init(&h, suites[i]);
        guest_up(&caller, &h, "caller");
        guest_up(&echo, &h, "echo");
        EXPECT_TEXT(ph_client_id(caller.client), "caller@home");
        EXPECT(ph_client_loop(caller.client) == h.loop);

        ph_outgoing out = to("echo", "hello");
        ph_reply *reply = NULL;
        EXPECT_ERR(ph_client_request_wait(caller.client, &out, &reply), PH_OK);
        const ph_incoming *in = ph_reply_incoming(reply);
        EXPECT(in->body.size == 5 && memcmp(in->body.data, "hello", 5) == 0);
        EXPECT(in->from.size == 9 && memcmp(in->from.data, "echo@home", 9) == 0);
        EXPECT_EQ(ph_reply_code(reply), 0);
        ph_reply_free(&reply);
        EXPECT(reply == NULL);

        ph_client_counters count = { .struct_size = sizeof count };
        ph_client_count(caller.client, &count);
        EXPECT_EQ(count.replies, 1);
        EXPECT(count.bytes_sent > 0);
        ph_client_free(&caller.client);
        ph_client_free(&echo.client);
        house_fini(&h);
    }
}

static void *run_center(void *arg)
{
    ph_loop_run(arg);
    return NULL;
}

// Over TCP, with a loop of its own while the center runs in another thread: a client that touched
// anything of another thread would show here under ThreadSanitizer.
TEST(live, blocking_client_in_another_thread)
{
    house h;
    guest echo;
    house_init(&h, PHI_SUITE_CHECK);
    guest_up(&echo, &h, "echo");
    char address[PHI_ADDRESS_TEXT_MAX];
    EXPECT_ERR(center_listen(h.center, &(center_listen_options){ .address = "127.0.0.1:0" },
                             address, NULL),
               PH_OK);
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, NULL, run_center, h.loop), 0);

    ph_client *client = NULL;
    ph_client_options options = PH_CLIENT_OPTIONS_INIT;
    options.centers = address;
    EXPECT_ERR(ph_client_new(&client, &options), PH_OK);
    EXPECT_ERR(ph_client_open_wait(client, WAIT_MS), PH_OK);
    EXPECT(strncmp(ph_client_id(client), "client-", 7) == 0); // [P-35]: a name was made
    for (unsigned i = 0; i < 100; i++) {
        ph_outgoing out = to("echo", "hello");
        ph_reply *reply = NULL;
        EXPECT_ERR(ph_client_request_wait(client, &out, &reply), PH_OK);
        ph_reply_free(&reply);
    }
    ph_client_free(&client);

    ph_loop_stop(h.loop); // [any thread]
    EXPECT_EQ(pthread_join(thread, NULL), 0);
    EXPECT_EQ(echo.requests, 100);
    ph_client_free(&echo.client);
    house_fini(&h);
}

// Who is there is known to who asks, from the list over each change to the end. [P-43] [P-47]
TEST(live, presence_is_told)
{
    house h;
    guest watcher;
    guest peer;
    house_init(&h, PHI_SUITE_PLAIN);
    guest_up(&watcher, &h, "watcher");
    EXPECT_ERR(ph_client_watch(watcher.client, NULL), PH_OK);
    wait_for(&h, &watcher.readies, 1);
    unsigned onlines = watcher.onlines;
    guest_up(&peer, &h, "peer");
    wait_for(&h, &watcher.onlines, onlines + 1);
    EXPECT_TEXT(watcher.seen, "peer@home");
    ph_peer found = PH_PEER_INIT;
    EXPECT_ERR(ph_client_peer_find(watcher.client, "peer@home", &found), PH_OK);
    EXPECT_EQ(found.state, PH_STATE_READY);
    EXPECT_EQ(found.type, PH_TYPE_CLIENT);
    EXPECT_EQ(ph_client_peer_count(watcher.client), onlines + 1);
    ph_client_close(peer.client);
    wait_for(&h, &watcher.offlines, 1);
    EXPECT_EQ(watcher.reason, PH_REASON_LEFT);
    EXPECT_ERR(ph_client_peer_find(watcher.client, "peer@home", &found), PH_ENOTFOUND);
    wait_for(&h, &peer.closes, 1);
    ph_client_unwatch(watcher.client);
    EXPECT_EQ(ph_client_peer_count(watcher.client), 0);
    ph_client_free(&peer.client);
    ph_client_free(&watcher.client);
    house_fini(&h);
}

// [P-51] [P-52]
TEST(live, events_go_to_one_and_to_all)
{
    house h;
    guest a;
    guest b;
    guest c;
    house_init(&h, PHI_SUITE_PLAIN);
    guest_up(&a, &h, "a");
    guest_up(&b, &h, "b");
    guest_up(&c, &h, "c");
    ph_outgoing out = to("b", "one");
    EXPECT_ERR(ph_client_send(a.client, &out), PH_OK);
    wait_for(&h, &b.events, 1);
    EXPECT_TEXT(b.seen, "a@home: one");
    out = to("all:", "everybody");
    EXPECT_ERR(ph_client_send(a.client, &out), PH_OK);
    wait_for(&h, &b.events, 2);
    wait_for(&h, &c.events, 1);
    EXPECT_TEXT(c.seen, "a@home: everybody");
    EXPECT_EQ(a.events, 0);
    ph_client_free(&a.client);
    ph_client_free(&b.client);
    ph_client_free(&c.client);
    house_fini(&h);
}

// Every way a call can end, as its caller sees it. [P-57] [P-58]
TEST(live, calls_end_as_they_should)
{
    house h;
    guest caller;
    guest slow;
    house_init(&h, PHI_SUITE_CHECK);
    guest_up(&caller, &h, "caller");
    guest_up(&slow, &h, "slow");
    slow.answers = false;

    ph_outgoing out = to("nobody", "x");
    EXPECT_ERR(ph_client_request(caller.client, &out, NULL, on_reply, &caller), PH_OK);
    wait_for(&h, &caller.dones, 1);
    EXPECT_ERR(caller.status, PH_EFAILURE);
    EXPECT_EQ(caller.code, PH_FAILURE_NO_SUCH_ACCOUNT);
    ph_reply *reply = NULL;
    EXPECT_ERR(ph_client_request_wait(caller.client, &out, &reply), PH_EFAILURE);
    EXPECT_EQ(ph_reply_code(reply), PH_FAILURE_NO_SUCH_ACCOUNT);
    ph_reply_free(&reply);

    out = to("slow", "x"); // fails
    EXPECT_ERR(ph_client_request(caller.client, &out, NULL, on_reply, &caller), PH_OK);
    wait_for(&h, &slow.requests, 1);
    EXPECT_ERR(ph_client_fail(slow.client, slow.request, 1234, "tired"), PH_OK);
    wait_for(&h, &caller.dones, 2);
    EXPECT_EQ(caller.code, 1234);
    EXPECT_TEXT(caller.seen, "slow@home: tired");

    ph_call_id id = { 0 }; // cancelled
    EXPECT_ERR(ph_client_request(caller.client, &out, &id, on_reply, &caller), PH_OK);
    wait_for(&h, &slow.requests, 2);
    EXPECT_ERR(ph_client_cancel(caller.client, id), PH_OK);
    wait_for(&h, &caller.dones, 3);
    EXPECT_ERR(caller.status, PH_ECANCELLED);
    wait_for(&h, &slow.cancels, 1);

    out.timeout_ms = 5; // out of time
    EXPECT_ERR(ph_client_request_wait(caller.client, &out, &reply), PH_ETIMEDOUT);
    EXPECT(reply == NULL);
    wait_for(&h, &slow.cancels, 2);

    out.timeout_ms = 0; // answered with headers
    EXPECT_ERR(ph_client_request(caller.client, &out, NULL, on_reply, &caller), PH_OK);
    wait_for(&h, &slow.requests, 4);
    ph_outgoing answer = to("", "done");
    ph_header header = { "h", "v", 1 };
    answer.headers = &header;
    answer.header_count = 1;
    EXPECT_ERR(ph_client_reply_with(slow.client, slow.request, &answer), PH_OK);
    wait_for(&h, &caller.dones, 4);
    EXPECT_TEXT(caller.seen, "slow@home: done");

    // its responder goes
    EXPECT_ERR(ph_client_request(caller.client, &out, NULL, on_reply, &caller), PH_OK);
    wait_for(&h, &slow.requests, 5);
    ph_client_free(&slow.client);
    wait_for(&h, &caller.dones, 5);
    EXPECT_EQ(caller.code, PH_FAILURE_RESPONDER_LOST);
    ph_client_free(&caller.client);
    house_fini(&h);
}

// A center that dies and comes back: calls end, the client is up again by itself, and hears what
// changed meanwhile.
TEST(live, client_outlives_its_center)
{
    house h;
    guest g;
    house_init(&h, PHI_SUITE_PAPER);
    guest_up(&g, &h, "g");
    EXPECT_ERR(ph_client_watch(g.client, NULL), PH_OK);
    wait_for(&h, &g.readies, 1);
    ph_outgoing out = to("g", "to myself");
    g.answers = false;
    EXPECT_ERR(ph_client_request(g.client, &out, NULL, on_reply, &g), PH_OK);
    wait_for(&h, &g.requests, 1);
    center_free(&h.center);
    wait_for(&h, &g.downs, 1);
    EXPECT_EQ(g.dones, 1);
    EXPECT_ERR(g.status, PH_ERESET);
    EXPECT_ERR(ph_client_reply(g.client, g.request, "x", 1), PH_ESTALE);
    EXPECT(strlen(ph_client_trouble(g.client)) > 0);
    house_open(&h);
    wait_for(&h, &g.ups, 2);
    wait_for(&h, &g.readies, 2);
    EXPECT_EQ(g.onlines, 2); // itself, twice: the second life of the center knows another session
    EXPECT_EQ(g.offlines, 1);
    ph_client_free(&g.client);
    house_fini(&h);
}

// Inside somebody else's loop: a descriptor, a time, and one turn when there is something to do.
TEST(live, embedded_in_a_poll_loop)
{
    house h;
    guest caller;
    guest echo;
    house_init(&h, PHI_SUITE_PLAIN);
    guest_init(&caller, &h, "caller");
    guest_init(&echo, &h, "echo");
    EXPECT_ERR(ph_client_open(caller.client), PH_OK);
    EXPECT_ERR(ph_client_open(echo.client), PH_OK);
    bool has_called = false;
    for (unsigned turns = 0; caller.dones == 0; turns++) {
        assert_true(turns < 10000);
        if (!has_called && caller.ups == 1 && echo.ups == 1) {
            has_called = true;
            ph_outgoing out = to("echo", "hello");
            EXPECT_ERR(ph_client_request(caller.client, &out, NULL, on_reply, &caller), PH_OK);
            EXPECT_EQ(ph_loop_wait_ms(h.loop), 0); // it has to be written
        }
        struct pollfd descriptor = { .fd = ph_loop_fd(h.loop), .events = POLLIN };
        int wait = ph_loop_wait_ms(h.loop);
        EXPECT(wait >= -1);
        int ready = poll(&descriptor, 1, wait < 0 || wait > WAIT_MS ? WAIT_MS : wait);
        EXPECT(ready >= 0 || errno == EINTR);
        ph_loop_turn(h.loop, 0);
    }
    EXPECT_TEXT(caller.seen, "echo@home: hello");
    ph_client_free(&caller.client);
    ph_client_free(&echo.client);
    house_fini(&h);
}

// With nobody there, a program waits as long as it said, and can say why.
TEST(live, nobody_answers)
{
    ph_client *client = NULL;
    ph_client_options options = PH_CLIENT_OPTIONS_INIT;
    options.centers = "unix:/nonexistent/posthouse";
    EXPECT_ERR(ph_client_new(&client, &options), PH_OK);
    do { // a machine that is busy may not even have tried by then
        EXPECT_ERR(ph_client_open_wait(client, 10), PH_ETIMEDOUT);
    } while (ph_client_trouble(client)[0] == '\0');
    const char *expected = "cannot connect to unix:/nonexistent/posthouse: "
                           "No such file or directory; next try in 0.";
    EXPECT(strncmp(ph_client_trouble(client), expected, strlen(expected)) == 0);
    ph_client_close(client);
    EXPECT_ERR(ph_client_open_wait(client, 10), PH_ECLOSED);
    ph_outgoing out = to("x", "x");
    ph_reply *reply = NULL;
    EXPECT_ERR(ph_client_request_wait(client, &out, &reply), PH_ENOTCONNECTED);
    ph_client_free(&client);
}

// A refusal that would be the same every time ends the wait at once. [P-61]
TEST(live, refusal_for_good_ends_the_wait)
{
    house h;
    house_init(&h, PHI_SUITE_PLAIN);
    ph_client *client = NULL;
    ph_client_options options = PH_CLIENT_OPTIONS_INIT;
    options.loop = h.loop;
    options.centers = h.address;
    options.suite_floor = PH_SUITE_PAPER;
    EXPECT_ERR(ph_client_new(&client, &options), PH_OK);
    EXPECT_ERR(ph_client_open_wait(client, WAIT_MS), PH_ESUITE);
    EXPECT(strlen(ph_client_trouble(client)) > 0);
    ph_client_free(&client);
    house_fini(&h);
}

static void wait_inside(ph_client *client, const ph_link_change *change, void *arg)
{
    (void)change;
    ph_err *results = arg;
    ph_outgoing out = to("x", "x");
    ph_reply *reply = NULL;
    results[0] = ph_client_open_wait(client, 10);
    results[1] = ph_client_request_wait(client, &out, &reply);
}

// Inside a callback nothing may drive the loop, and trying is answered, not suffered.
TEST(live, waiting_inside_a_callback_is_refused)
{
    house h;
    house_init(&h, PHI_SUITE_PLAIN);
    ph_err results[2] = { PH_OK, PH_OK };
    ph_client *client = NULL;
    ph_client_options options = PH_CLIENT_OPTIONS_INIT;
    options.loop = h.loop;
    options.centers = h.address;
    options.on_link = wait_inside;
    options.arg = results;
    EXPECT_ERR(ph_client_new(&client, &options), PH_OK);
    EXPECT_ERR(ph_client_open_wait(client, WAIT_MS), PH_OK);
    EXPECT_ERR(results[0], PH_EINVAL);
    EXPECT_ERR(results[1], PH_EINVAL);
    ph_client_free(&client);
    house_fini(&h);
}

// A NULL where none is allowed must be answered, not followed.
TEST(live, null_is_an_invalid_argument)
{
    ph_client *client = NULL;
    ph_client_options options = { .struct_size = 1 };
    EXPECT_ERR(ph_client_new(NULL, NULL), PH_EINVAL);
    EXPECT_ERR(ph_client_new(&client, &options), PH_EINVAL);
    options = (ph_client_options)PH_CLIENT_OPTIONS_INIT;
    options.account = "Not A Name";
    EXPECT_ERR(ph_client_new(&client, &options), PH_EINVAL);
    EXPECT(client == NULL);
    EXPECT_ERR(ph_client_open(NULL), PH_EINVAL);
    EXPECT_ERR(ph_client_open_wait(NULL, 1), PH_EINVAL);
    EXPECT_ERR(ph_client_cancel(NULL, (ph_call_id){ 1 }), PH_EINVAL);
    EXPECT_ERR(ph_client_request(NULL, NULL, NULL, on_reply, NULL), PH_EINVAL);
    EXPECT_ERR(ph_client_reply(NULL, (ph_request_id){ .call = 1 }, NULL, 0), PH_EINVAL);
    EXPECT(ph_client_loop(NULL) == NULL);
    EXPECT_EQ(ph_client_peer_count(NULL), 0);
    ph_client_close(NULL);
    ph_client_unwatch(NULL);

    EXPECT_ERR(ph_client_new(&client, NULL), PH_OK);
    ph_reply *reply = NULL;
    EXPECT_ERR(ph_client_request(client, NULL, NULL, on_reply, NULL), PH_EINVAL);
    EXPECT_ERR(ph_client_request_wait(client, NULL, NULL), PH_EINVAL);
    EXPECT_ERR(ph_client_request_wait(client, NULL, &reply), PH_EINVAL);
    EXPECT(ph_reply_incoming(NULL) == NULL);
    EXPECT_EQ(ph_reply_code(NULL), 0);
    ph_reply_free(NULL);
    ph_reply_free(&reply);
    ph_view view;
    EXPECT_ERR(ph_incoming_header(NULL, "x", &view), PH_EINVAL);
    EXPECT(!ph_incoming_header_next(NULL, NULL, &view, &view));
    EXPECT(!ph_peer_metadata_next(NULL, NULL, &view, &view));
    ph_client_free(&client);
}

// A heartbeat's way to the center and back. [P-39]
TEST(live, probe_measures_the_way)
{
    house h;
    guest g;
    house_init(&h, PHI_SUITE_CHECK);
    guest_up(&g, &h, "g");
    EXPECT_ERR(ph_client_probe(g.client), PH_OK);
    for (unsigned turns = 0; ph_client_is_probing(g.client); turns++) {
        assert_true(turns < 1000);
        ph_loop_turn(h.loop, WAIT_MS);
    }
    EXPECT(ph_client_round_trip_us(g.client) > 0);
    ph_client_free(&g.client);
    house_fini(&h);
}

// A loop without anything on it: no reason to wait, nor to be woken.
TEST(live, empty_loop)
{
    ph_loop *loop = NULL;
    EXPECT_ERR(ph_loop_new(NULL), PH_EINVAL);
    EXPECT_ERR(ph_loop_new(&loop), PH_OK);
    EXPECT(ph_loop_fd(loop) >= 0);
    ph_loop_turn(loop, 0); // the first tells the kernel what to watch
    EXPECT_EQ(ph_loop_wait_ms(loop), -1);
    ph_loop_turn(loop, 1);
    EXPECT_ERR(ph_loop_set_busy_poll(NULL, 1), PH_EINVAL);
    EXPECT_ERR(ph_loop_set_busy_poll(loop, PH_BUSY_POLL_US_MAX + 1), PH_EINVAL);
    EXPECT_ERR(ph_loop_set_busy_poll(loop, PH_BUSY_POLL_US_MAX), PH_OK);
    ph_loop_turn(loop, 2); // polls, waits, and returns
    EXPECT_ERR(ph_loop_set_busy_poll(loop, 0), PH_OK);
    ph_loop_turn(loop, 1);
    EXPECT_EQ(ph_loop_wait_ms(loop), -1);
    ph_loop_stop(loop);
    ph_loop_run(loop); // stopped before it ran
    ph_loop_free(&loop);
    ph_loop_free(&loop);
    ph_loop_free(NULL);
}

// ---- dialogs

// The paper's figure 5: the responder asks its caller back inside the call, and goes on with the
// answer; once with a handler for all calls, once with one of the call's own. [P-62]
TEST(live, responder_asks_its_caller_back)
{
    house h;
    guest caller;
    guest oracle;
    house_init(&h, PHI_SUITE_PAPER);
    guest_up(&caller, &h, "caller");
    guest_up(&oracle, &h, "oracle");
    oracle.asks = true;
    caller.answers_asks = true;
    ph_outgoing out = to("oracle", "Guinea");
    for (unsigned i = 0; i < 2; i++) {
        out.on_inquiry = i == 0 ? NULL : on_inquiry;
        ph_reply *reply = NULL;
        EXPECT_ERR(ph_client_request_wait(caller.client, &out, &reply), PH_OK);
        const ph_incoming *in = ph_reply_incoming(reply);
        EXPECT(in->body.size == 17 && memcmp(in->body.data, "Guinea, of course", 17) == 0);
        EXPECT(in->from.size == 11 && memcmp(in->from.data, "oracle@home", 11) == 0);
        ph_reply_free(&reply);
        EXPECT_EQ(caller.inquiries, i + 1);
        EXPECT_EQ(caller.inquiry.depth, 1);
    }
    ph_client_counters count = { .struct_size = sizeof count };
    ph_client_count(oracle.client, &count);
    EXPECT_EQ(count.asks, 2);
    EXPECT_EQ(count.ask_answers, 2);
    ph_client_free(&oracle.client);
    ph_client_free(&caller.client);
    house_fini(&h);
}

// A caller that was written before there were inquiries is a typed failure to who asks it, not a
// wait. [P-58] [P-62]
TEST(live, caller_without_a_handler_is_a_failure)
{
    house h;
    guest oracle;
    house_init(&h, PHI_SUITE_CHECK);
    guest_up(&oracle, &h, "oracle");
    oracle.asks = true;
    ph_client_options options = PH_CLIENT_OPTIONS_INIT;
    options.loop = h.loop;
    options.centers = h.address;
    ph_client *plain = NULL;
    EXPECT_ERR(ph_client_new(&plain, &options), PH_OK);
    EXPECT_ERR(ph_client_open_wait(plain, WAIT_MS), PH_OK);
    ph_outgoing out = to("oracle", "Guinea");
    ph_reply *reply = NULL;
    EXPECT_ERR(ph_client_request_wait(plain, &out, &reply), PH_EFAILURE);
    EXPECT_ERR(oracle.ask_status, PH_EFAILURE);
    EXPECT_EQ(oracle.ask_code, PH_FAILURE_NO_HANDLER);
    ph_reply_free(&reply);
    ph_client_free(&plain);
    ph_client_free(&oracle.client);
    house_fini(&h);
}

// A responder must not wait for who is gone, has given up, or is out of time; and it is told which.
// [P-57] [P-62]
TEST(live, inquiry_ends_with_its_call_and_says_why)
{
    static const struct {
        ph_err status;
        uint16_t code;
    } cases[] = {
        { PH_ECANCELLED, PH_FAILURE_CANCELLED },
        { PH_ECANCELLED, PH_FAILURE_CALLER_LOST },
        { PH_ETIMEDOUT, PH_FAILURE_DEADLINE },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(cases); i++) {
        house h;
        guest caller;
        guest oracle;
        house_init(&h, PHI_SUITE_PLAIN);
        guest_up(&caller, &h, "caller");
        guest_up(&oracle, &h, "oracle");
        oracle.asks = true;
        ph_outgoing out = to("oracle", "Guinea");
        out.timeout_ms = cases[i].code == PH_FAILURE_DEADLINE ? 20 : WAIT_MS;
        ph_call_id id = { 0 };
        EXPECT_ERR(ph_client_request(caller.client, &out, &id, on_reply, &caller), PH_OK);
        wait_for(&h, &caller.inquiries, 1);
        if (cases[i].code == PH_FAILURE_CANCELLED) {
            EXPECT_ERR(ph_client_cancel(caller.client, id), PH_OK);
        } else if (cases[i].code == PH_FAILURE_CALLER_LOST) {
            ph_client_free(&caller.client);
        }
        wait_for(&h, &oracle.cancels, 1);
        EXPECT_EQ(oracle.code, cases[i].code);
        EXPECT_EQ(oracle.ask_dones, 1);
        EXPECT_ERR(oracle.ask_status, cases[i].status);
        EXPECT_EQ(oracle.ask_code, cases[i].code);
        wait_for(&h, &caller.dones, 1);
        ph_client_free(&caller.client);
        ph_client_free(&oracle.client);
        house_fini(&h);
    }
}

// Two programs that ask each other in circles: the fifth dialog inside another is refused, and all
// of them come to their end. [P-63]
TEST(live, dialogs_nest_four_deep_and_no_deeper)
{
    house h;
    guest caller;
    guest oracle;
    house_init(&h, PHI_SUITE_CHECK);
    guest_up(&caller, &h, "caller");
    guest_up(&oracle, &h, "oracle");
    oracle.asks = true;
    caller.goes_on = true;
    ph_outgoing out = to("oracle", "turtles");
    EXPECT_ERR(ph_client_request(caller.client, &out, NULL, on_reply, &caller), PH_OK);
    wait_for(&h, &caller.dones, 1);
    EXPECT_EQ(caller.inquiries, 4);
    EXPECT_EQ(caller.depth_most, 4);
    EXPECT_EQ(oracle.requests, 5);
    EXPECT_EQ(oracle.ask_dones, 5);
    EXPECT_ERR(caller.status, PH_EFAILURE);
    EXPECT_EQ(caller.code, PH_FAILURE_RESPONDER_FAILED);
    EXPECT_TEXT(caller.seen, "oracle@home: responder_failed"); // of too_deep, four times over
    ph_client_free(&oracle.client);
    ph_client_free(&caller.client);
    house_fini(&h);
}

// ---- many

// What came of one gather.
typedef struct harvest {
    unsigned parts;
    unsigned failed_parts;
    unsigned dones;
    ph_err status;
    uint16_t code;
    uint16_t asked;
    uint16_t replied;
    char missing[128]; // "c@home 11 "
} harvest;

static void on_part(ph_client *client, ph_call_id call, uint16_t code, const ph_incoming *part,
                    void *arg)
{
    (void)client;
    EXPECT(call.value != 0);
    harvest *v = arg;
    EXPECT_EQ(v->dones, 0);
    v->parts++;
    v->failed_parts += code != 0;
    EXPECT(part->from.size == 6 && memcmp(part->from.data + 1, "@home", 5) == 0);
    EXPECT(code != 0 || (part->body.size == 5 && memcmp(part->body.data, "count", 5) == 0));
}

static void on_gathered(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                        const ph_gathered *gathered, void *arg)
{
    (void)client;
    EXPECT(call.value != 0);
    harvest *v = arg;
    v->dones++;
    v->status = status;
    v->code = code;
    if (gathered != NULL) {
        v->asked = gathered->asked;
        v->replied = gathered->replied;
        size_t cursor = 0;
        ph_view id;
        uint16_t why = 0;
        size_t used = 0;
        while (ph_gathered_next(gathered, &cursor, &id, &why)) {
            used += (size_t)snprintf(v->missing + used, sizeof v->missing - used, "%.*s %u ",
                                     (int)id.size, id.data, why);
        }
    }
}

static void gather(guest *g, harvest *v, uint16_t want, uint32_t timeout_ms, ph_call_id *id)
{
    *v = (harvest){ 0 };
    ph_outgoing out = to("all:letters", "count");
    out.timeout_ms = timeout_ms;
    ph_gather how = PH_GATHER_INIT;
    how.want = want;
    how.on_part = on_part;
    how.done = on_gathered;
    how.arg = v;
    EXPECT_ERR(ph_client_gather(g->client, &out, &how, id), PH_OK);
}

// Every instance is asked, each part comes, and the end names who did not answer and why; with
// enough of them it does not wait for the rest. [P-65]
TEST(live, gather_asks_every_instance)
{
    house h;
    guest caller;
    guest a;
    guest b;
    guest c;
    guest *instances[] = { &a, &b, &c };
    static const char *names[] = { "a", "b", "c" };
    house_init(&h, PHI_SUITE_CHECK);
    guest_up(&caller, &h, "caller");
    harvest v;
    gather(&caller, &v, 0, WAIT_MS, NULL);
    wait_for(&h, &v.dones, 1);
    EXPECT_ERR(v.status, PH_EFAILURE);
    EXPECT_EQ(v.code, PH_FAILURE_NO_READY_INSTANCE);

    for (size_t i = 0; i < 3; i++) {
        guest_init_as(instances[i], &h, names[i], "letters");
        EXPECT_ERR(ph_client_open_wait(instances[i]->client, WAIT_MS), PH_OK);
    }
    gather(&caller, &v, 0, WAIT_MS, NULL);
    wait_for(&h, &v.dones, 1);
    EXPECT_ERR(v.status, PH_OK);
    EXPECT_EQ(v.parts, 3);
    EXPECT_EQ(v.asked, 3);
    EXPECT_EQ(v.replied, 3);
    EXPECT_TEXT(v.missing, "");

    c.answers = false; // is asked, and says nothing until the deadline
    gather(&caller, &v, 0, 20, NULL);
    wait_for(&h, &v.dones, 1);
    EXPECT_ERR(v.status, PH_OK);
    EXPECT_EQ(v.parts, 2);
    EXPECT_EQ(v.replied, 2);
    EXPECT_TEXT(v.missing, "c@home 11 ");
    EXPECT_EQ(c.code, PH_FAILURE_DEADLINE); // its cancel said why

    gather(&caller, &v, 2, WAIT_MS, NULL);
    wait_for(&h, &v.dones, 1);
    EXPECT_EQ(v.replied, 2);
    wait_for(&h, &c.cancels, 2);
    EXPECT_EQ(c.code, PH_FAILURE_CANCELLED);

    c.asks = true; // nobody may ask back in a gather: it fails, and its part with it
    gather(&caller, &v, 0, WAIT_MS, NULL);
    wait_for(&h, &v.dones, 1);
    EXPECT_EQ(v.failed_parts, 1);
    EXPECT_EQ(c.ask_code, PH_FAILURE_UNSUPPORTED);
    EXPECT_TEXT(v.missing, "c@home 14 ");

    c.asks = false;
    ph_call_id id = { 0 };
    gather(&caller, &v, 0, WAIT_MS, &id);
    wait_for(&h, &c.requests, 5);
    EXPECT_ERR(ph_client_cancel(caller.client, id), PH_OK);
    wait_for(&h, &v.dones, 1);
    EXPECT_ERR(v.status, PH_ECANCELLED);
    wait_for(&h, &c.cancels, 3);
    for (size_t i = 0; i < 3; i++) {
        ph_client_free(&instances[i]->client);
    }
    ph_client_free(&caller.client);
    house_fini(&h);
}

static void on_receipt(ph_client *client, ph_call_id event, ph_err status,
                       const ph_receipt *receipt, void *arg)
{
    (void)client;
    (void)receipt;
    EXPECT(event.value != 0);
    guest *g = arg;
    g->dones++;
    g->status = status;
}

// Who sends an event may know what became of it: how many got it, or why nobody did. [P-68]
TEST(live, receipt_says_who_got_an_event)
{
    house h;
    guest sender;
    guest a;
    guest b;
    house_init(&h, PHI_SUITE_PAPER);
    guest_up(&sender, &h, "sender");
    guest_init_as(&a, &h, "a", "letters");
    EXPECT_ERR(ph_client_open_wait(a.client, WAIT_MS), PH_OK);
    guest_init_as(&b, &h, "b", "letters");
    EXPECT_ERR(ph_client_open_wait(b.client, WAIT_MS), PH_OK);
    static const struct {
        const char *to;
        ph_receipt receipt;
    } cases[] = {
        { "a", { 1, 0, 0 } },
        { "service:letters", { 1, 0, 0 } },
        { "all:letters", { 2, 0, 0 } },
        { "all:", { 2, 0, 0 } },
        { "topic:nobody.listens", { 0, 0, 0 } },
        { "nobody", { 0, 0, PH_FAILURE_NO_SUCH_ACCOUNT } },
        { "service:nothing", { 0, 0, PH_FAILURE_NO_READY_INSTANCE } },
        { "no form:", { 0, 0, PH_FAILURE_ADDRESS_UNKNOWN } },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(cases); i++) {
        ph_outgoing out = to(cases[i].to, "news");
        ph_receipt receipt = { 9, 9, 9 };
        EXPECT_ERR(ph_client_send_with_receipt_wait(sender.client, &out, &receipt), PH_OK);
        EXPECT_EQ(receipt.delivered, cases[i].receipt.delivered);
        EXPECT_EQ(receipt.dropped, cases[i].receipt.dropped);
        EXPECT_EQ(receipt.code, cases[i].receipt.code);
    }
    ph_outgoing out = to("all:", "the last");
    EXPECT_ERR(ph_client_send_with_receipt(sender.client, &out, NULL, on_receipt, &sender), PH_OK);
    ph_client_close(sender.client);
    wait_for(&h, &sender.dones, 1);
    EXPECT_ERR(sender.status, PH_ECANCELLED);
    ph_client_free(&a.client);
    ph_client_free(&b.client);
    ph_client_free(&sender.client);
    house_fini(&h);
}
