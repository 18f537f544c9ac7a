// SPDX-License-Identifier: Apache-2.0
//
// tests/api/live_test.c - the public functions against a real center over real sockets. Dialogs,
// gathers and receipts are in live_dialog_test.c.

#include <errno.h>
#include <poll.h>
#include <posthouse/posthouse.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/client.h"
#include "tests/api/house.h"
#include "tests/harness/test.h"

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
