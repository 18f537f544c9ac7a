// SPDX-License-Identifier: Apache-2.0
//
// center/broadcast_test.c - broadcasts that are more than a turn holds, and send buffers that are
// more than the center has memory for.

#include <stdio.h>

#include <posthouse/message.h>

#include "base/compiler.h"
#include "center/state.h"
#include "tests/center/world.h"
#include "tests/harness/test.h"
#include "wire/subscription.h"

enum { LISTENERS = 10 };

static void few_deliveries(center_options *o)
{
    o->deliveries_per_turn_max = 4;
}

static void one_delivery(center_options *o)
{
    o->deliveries_per_turn_max = 1;
}

static void little_memory(center_options *o)
{
    o->deliveries_per_turn_max = 4;
    o->send_memory_max = 1048576;
    o->full_timeout = 3600000;
    o->heartbeat_idle = 3600000;
}

static void subscribe(peer *p, const char *pattern)
{
    uint8_t room[64];
    phi_writer w = phi_writer_of((phi_span){ room, sizeof room });
    phi_subscription_begin(&w, 1);
    phi_write_change(&w, PHI_SUBSCRIPTION_ADD, phi_bytes_text(pattern));
    peer_packet(p, PHI_COMMAND_SUBSCRIPTION, room, phi_writer_size(&w));
}

// One sender must not be able to stand in everybody's way for longer than a turn holds: the rest
// goes on turn by turn, each turn within the allowance, and others are served between.
TEST(broadcast, more_than_a_turn_holds_goes_on_in_the_next)
{
    world *w = world_new(few_deliveries);
    peer *a = world_join(w, "a");
    peer *listeners[LISTENERS];
    world_join_listeners(w, listeners, LISTENERS);
    for (int i = 0; i < 3; i++) {
        char body[] = { (char)('1' + i), 0 };
        peer_event(a, "all:", body);
    }
    unsigned turns = 0;
    for (uint64_t told = 0; told < 3u * LISTENERS; turns++) {
        world_turn(w);
        uint64_t now = world_count(w).events_delivered_total;
        EXPECT(now - told <= 8); // what the reading left, and what the end of the turn gave
        told = now;
        if (turns == 1) {
            peer_event(listeners[3], "l4", "!");
            world_turn(w);
            EXPECT_EQ(world_count(w).events_delivered_total, told + 4 + 1);
            told += 5;
        }
    }
    EXPECT(turns >= 6);
    world_settle(w);
    EXPECT_EQ(world_count(w).events_delivered_total, 3u * LISTENERS + 1);
    EXPECT_EQ(world_count(w).events_dropped_total, 0);
    EXPECT(world_count(w).broadcasts_held_total >= 3);
    peer_expect_bodies(listeners[0], "123");
    peer_expect_bodies(listeners[9], "123");
    EXPECT_EQ(a->inbox_count, 0);
    world_free(w);
}

// What a sender says behind a broadcast that waits must not overtake it, whatever it is. [P-55]
TEST(broadcast, nothing_overtakes_one_that_waits)
{
    world *w = world_new(one_delivery);
    peer *a = world_join(w, "a");
    peer *listeners[LISTENERS];
    world_join_listeners(w, listeners, LISTENERS);
    peer_event(a, "l9", "1");
    peer_event(a, "all:", "2");
    peer_event(a, "l9", "3");
    peer_event(a, "all:", "4");
    world_turn(w);
    peer_event(a, "l9", "5"); // not even read before
    world_turn(w);
    peer_leave(a);
    world_settle(w);
    peer_expect_bodies(listeners[9], "12345");
    peer_expect_bodies(listeners[0], "24");
    EXPECT(a->stream == NULL);
    EXPECT_EQ(world_count(w).links_ended_total[PHI_BYE_NORMAL], 1);
    world_free(w);
}

// The time that a message waits behind a broadcast is the center's doing: what is left of its time
// is less by it, and what has none left is not delivered, but fails or is dropped. [P-57]
TEST(broadcast, what_waits_behind_one_loses_time)
{
    world *w = world_new(one_delivery);
    peer *a = world_join(w, "a");
    peer *listeners[LISTENERS];
    world_join_listeners(w, listeners, LISTENERS);
    w->slow_us = 2000; // a turn; the broadcast takes eight more than the one in which it came
    peer_event(a, "all:", "1");
    peer_request(a, "l9", 7, 13);
    peer_request(a, "l9", 8, 100);
    peer_request(a, "l9", 9, 0);
    for (uint32_t ttl_ms = 13; ttl_ms <= 100; ttl_ms += 87) {
        peer_say(a, &(phi_message){
                        .kind = PHI_KIND_EVENT, .ttl_ms = ttl_ms, .to = phi_bytes_text("l9") });
    }
    world_settle(w);
    peer_expect_failure(a, 7, PH_FAILURE_DEADLINE);
    (void)peer_expect(listeners[9], PHI_KIND_EVENT, 0, "1");
    static const struct {
        phi_kind kind;
        uint32_t left_ms;
    } expected[] = { { PHI_KIND_REQUEST, 100 - 16 },
                     { PHI_KIND_REQUEST, 30000 - 16 },
                     { PHI_KIND_EVENT, 100 - 16 } };
    for (size_t i = 0; i < PHI_COUNT_OF(expected); i++) {
        const phi_message *m = peer_next(listeners[9]);
        assert_non_null(m);
        EXPECT_EQ(m->kind, expected[i].kind);
        EXPECT_EQ(m->ttl_ms, expected[i].left_ms);
    }
    EXPECT(peer_next(listeners[9]) == NULL);
    EXPECT_EQ(world_count(w).events_expired_total, 1);
    EXPECT_EQ(world_count(w).calls_refused_total, 1);
    peer_request(a, "l9", 10, 100); // and what did not wait loses nothing
    world_settle(w);
    EXPECT_EQ(peer_next(listeners[9])->ttl_ms, 100);
    world_expect_balance(w);
    world_free(w);
}

// So does an inquiry, of the time that it has itself. [P-57] [P-62]
TEST(broadcast, inquiry_that_waits_behind_one_loses_time)
{
    world *w = world_new(one_delivery);
    peer *a = world_join(w, "a");
    peer *caller = world_join(w, "caller");
    peer *listeners[LISTENERS - 2];
    for (size_t i = 0; i < PHI_COUNT_OF(listeners); i++) {
        listeners[i] = world_join(w, "");
    }
    uint64_t asked = peer_call(caller, a, "a", 7);
    w->slow_us = 2000; // eight turns, as above; of the call, 30 s, there is enough left
    peer_event(a, "all:", "");
    peer_inquire(a, asked, 1, 14);
    peer_inquire(a, asked, 2, 100);
    peer_inquire(a, asked, 3, 0);
    world_settle(w);
    (void)peer_expect(caller, PHI_KIND_EVENT, 0, "");
    peer_expect_inquiry_failure(a, asked, 1, PH_FAILURE_DEADLINE);
    EXPECT_EQ(peer_next(caller)->ttl_ms, 100 - 14);
    EXPECT_EQ(peer_next(caller)->ttl_ms, 30000 - 14);
    world_expect_balance(w);
    world_free(w);
}

// Many that broadcast at a time get alike: one that says a lot must not keep the others waiting for
// all of it.
TEST(broadcast, senders_take_turns)
{
    world *w = world_new(few_deliveries);
    peer *loud = world_join(w, "loud");
    peer *quiet = world_join(w, "quiet");
    peer *listeners[LISTENERS];
    world_join_listeners(w, listeners, LISTENERS);
    for (int i = 0; i < 100; i++) {
        peer_event(loud, "all:", "x");
    }
    world_turn(w);
    peer_event(quiet, "all:", "q");
    // Their 11 deliveries each are two thirds of what six turns hold; alone the loud one would take
    // 275 turns.
    for (int i = 0; i < 8; i++) {
        world_turn(w);
    }
    bool is_heard = false;
    const phi_message *m;
    while ((m = peer_next(listeners[9])) != NULL) {
        is_heard = is_heard || phi_bytes_equal(m->body, phi_bytes_text("q"));
    }
    EXPECT(is_heard);
    EXPECT(world_count(w).events_delivered_total < 50);
    world_settle(w);
    EXPECT_EQ(world_count(w).events_delivered_total, 101u * (LISTENERS + 1));
    world_free(w);
}

static void eight_deliveries(center_options *o)
{
    o->deliveries_per_turn_max = 8;
    o->join_timeout = 600000;
}

// A broadcast walks over those who have not joined, too: with ten thousand of them, each one would
// cost a walk that nothing counts, and one sender could keep everybody waiting.
TEST(broadcast, who_only_knocks_counts)
{
    enum { KNOCKERS = 100 };
    world *w = world_new(eight_deliveries);
    peer *a = world_join(w, "a");
    peer *listener = world_join(w, "l");
    for (size_t i = 0; i < 2; i++) { // nobody in the way: all in one turn
        peer_event(a, "all:", "x");
    }
    world_settle(w);
    peer_expect_bodies(listener, "xx");
    EXPECT_EQ(world_count(w).broadcasts_held_total, 0);
    for (size_t i = 0; i < KNOCKERS; i++) {
        world_connect(w, "")->reads_max = 0; // so it never joins
    }
    world_settle(w);
    EXPECT_EQ(world_count(w).connections, 2 + KNOCKERS);
    for (size_t i = 0; i < 3; i++) {
        peer_event(a, "all:", "y");
    }
    world_settle(w);
    peer_expect_bodies(listener, "yyy");
    EXPECT(world_count(w).broadcasts_held_total >= 1);
    world_free(w);
}

// Many are told by the handful, and what of one does not fit into the turn waits: nobody may be
// missed or told twice where a handful, the turn or the service ends, however they are found.
TEST(broadcast, reaches_each_once_wherever_a_turn_ends)
{
    enum { MANY = 100, EVENTS = 4 };
    static const uint64_t allowances[] = { 7, 63, 64, 65, 99, 100, 101, 1000 };
    static const char *const forms[] = { "all:", "all:hear", "topic:to.all" };
    world *w = world_new(NULL);
    peer *a = world_join(w, "a");
    peer *listeners[MANY];
    for (size_t i = 0; i < MANY; i++) {
        char name[24];
        snprintf(name, sizeof name, "l%zu", i);
        listeners[i] = world_join_service(w, name, "hear");
        subscribe(listeners[i], "to.*");
        world_settle(w);
        (void)peer_next_packet(listeners[i], PHI_COMMAND_SUBSCRIPTION);
    }
    uint64_t delivered = 0;
    for (size_t i = 0; i < PHI_COUNT_OF(allowances); i++) {
        w->c->options.deliveries_per_turn_max = allowances[i];
        world_turn(w); // the next has that
        for (size_t k = 0; k < PHI_COUNT_OF(forms); k++) {
            uint64_t held = world_count(w).broadcasts_held_total;
            for (unsigned n = 0; n < EVENTS; n++) {
                char body[] = { (char)('1' + n), 0 };
                peer_event(a, forms[k], body);
            }
            world_settle(w);
            for (size_t l = 0; l < MANY; l++) {
                peer_expect_bodies(listeners[l], "1234");
            }
            delivered += (uint64_t)EVENTS * MANY;
            EXPECT_EQ(world_count(w).events_delivered_total, delivered);
            EXPECT_EQ(world_count(w).broadcasts_held_total > held, allowances[i] < 1000);
        }
    }
    EXPECT_EQ(world_count(w).events_dropped_total, 0);
    EXPECT_EQ(a->inbox_count, 0);
    world_free(w);
}

// Those who leave before it is their turn are counted as missed, and in nobody's place is another
// one passed over.
TEST(broadcast, who_leaves_before_his_turn_is_missed)
{
    world *w = world_new(one_delivery);
    peer *a = world_join(w, "a");
    peer *listeners[LISTENERS];
    for (size_t i = 0; i < LISTENERS; i++) {
        char name[24];
        snprintf(name, sizeof name, "l%zu", i);
        listeners[i] = world_join_service(w, name, "hear");
    }
    peer_event(a, "all:hear", "1"); // one in the turn in which it came, one at its end
    world_turn(w);
    EXPECT_EQ(world_count(w).events_delivered_total, 2);
    for (size_t i = 5; i < 8; i++) {
        peer_cut(listeners[i]);
    }
    world_settle(w);
    center_counters n = world_count(w);
    EXPECT_EQ(n.events_delivered_total + n.events_dropped_total, LISTENERS);
    EXPECT_EQ(n.events_dropped_total, 3);
    peer_expect_bodies(listeners[4], "1");
    peer_expect_bodies(listeners[8], "1");
    peer_expect_bodies(listeners[9], "1");
    world_free(w);
}

// Who joins while a broadcast is under way is not meant by it; a client that comes back would get
// it twice.
TEST(broadcast, who_joins_later_is_not_meant)
{
    world *w = world_new(one_delivery);
    peer *a = world_join(w, "a");
    peer *listeners[LISTENERS];
    world_join_listeners(w, listeners, LISTENERS);
    peer_event(a, "all:", "1");
    world_turn(w);
    EXPECT_EQ(listeners[0]->inbox_count, 1);
    peer_cut(listeners[0]);
    peer *again = world_connect(w, "l0");
    world_settle(w);
    EXPECT(again->is_open);
    EXPECT_EQ(again->inbox_count, 0);
    EXPECT_EQ(listeners[9]->inbox_count, 1);
    world_free(w);
}

// A sender that is gone while it waits takes its broadcast with it, and all memory comes back,
// however it goes: cut, thrown out, with the center, or with everybody.
TEST(broadcast, sender_that_is_gone_leaves_nothing)
{
    for (int how = 0; how < 3; how++) {
        world *w = world_new(one_delivery);
        peer *a = world_join(w, "a");
        peer *listeners[LISTENERS];
        world_join_listeners(w, listeners, LISTENERS);
        world_pass(w, 60000); // buffers are given back
        uint64_t before = world_count(w).send_memory;
        for (int i = 0; i < 50; i++) {
            peer_event(a, "all:", "x");
        }
        world_turn(w);
        EXPECT_EQ(world_count(w).broadcasts_held_total, 1);
        EXPECT(world_count(w).send_memory > before + 1000);
        if (how == 0) {
            peer_cut(a);
            world_settle(w);
            EXPECT_EQ(world_count(w).links_lost_total, 1);
        } else if (how == 1) {
            for (size_t i = 1; i < LISTENERS; i++) {
                peer_cut(listeners[i]);
            }
            peer_cut(a);
            world_settle(w);
            EXPECT_EQ(world_count(w).sessions, 1);
        }
        if (how < 2) {
            center_counters n = world_count(w);
            EXPECT(n.events_delivered_total < LISTENERS);
            EXPECT(n.events_dropped_total > 0);
        }
        world_free(w);
    }
}

// The rest of what a held client sent is memory too. When there is none left for it, its events are
// dropped and counted as any that find no room, and its link goes on.
TEST(broadcast, without_memory_to_wait_it_is_dropped)
{
    static char body[60000];
    memset(body, 'x', sizeof body - 1);
    world *w = world_new(little_memory);
    peer *a = world_join(w, "a");
    peer *listeners[LISTENERS];
    world_join_listeners(w, listeners, LISTENERS);
    for (size_t i = 0; i < LISTENERS; i++) {
        listeners[i]->reads_max = 0;
        peer_window(listeners[i], 0);
    }
    for (int i = 0; i < 15; i++) {
        peer_event(a, "all:", body);
    }
    world_settle(w);
    center_counters n = world_count(w);
    EXPECT(n.send_memory_refused_total > 0);
    EXPECT_EQ(n.events_delivered_total + n.events_dropped_total, 15u * LISTENERS);
    EXPECT(n.send_memory <= w->options.send_memory_max + 2048u * (LISTENERS + 1));
    EXPECT(!a->is_ended);
    world_free(w);
}

// ---- send memory

// Many clients that do not read must not take all memory of the machine, each within its own limit;
// a request to one of them fails as for a full buffer, and when they read on all comes back. [P-59]
TEST(send_memory, ceiling_holds_over_all)
{
    static char body[60000];
    memset(body, 'x', sizeof body - 1);
    world *w = world_new(little_memory);
    peer *a = world_join(w, "a");
    peer *listeners[LISTENERS];
    world_join_listeners(w, listeners, LISTENERS);
    for (size_t i = 0; i < LISTENERS; i++) {
        peer_window(listeners[i], 0);
    }
    uint64_t memory_max = w->options.send_memory_max + 2048u * (LISTENERS + 1);
    for (int i = 0; i < 15; i++) {
        for (size_t k = 0; k < LISTENERS; k++) {
            peer_event(a, listeners[k]->id, body);
            world_settle(w);
            EXPECT(world_count(w).send_memory <= memory_max);
        }
    }
    center_counters n = world_count(w);
    EXPECT(n.events_dropped_total > 0);
    EXPECT(n.events_delivered_total >= 3);
    EXPECT_EQ(n.events_dropped_total, n.send_memory_refused_total);
    // Those who hold little are still reached, while memory is short.
    peer_event(a, listeners[9]->id, "small");
    peer_request(a, listeners[0]->id, 1, 0);
    peer_say(a, &(phi_message){ .kind = PHI_KIND_REQUEST,
                                .call = 2,
                                .to = phi_bytes_text(listeners[9]->id),
                                .body = phi_bytes_text(body) });
    world_settle(w);
    EXPECT_EQ(world_count(w).events_dropped_total, n.events_dropped_total);
    peer_expect_failure(a, 2, PH_FAILURE_SLOW_CONSUMER);

    for (size_t i = 0; i < LISTENERS; i++) {
        peer_window(listeners[i], 262144);
    }
    for (size_t i = 0; i < LISTENERS; i++) {
        peer_event(a, listeners[i]->id, "last");
    }
    world_settle(w);
    EXPECT(listeners[0]->inbox_count >= 2);
    world_pass(w, 3600500);
    EXPECT(world_count(w).send_memory <= 1024u * (LISTENERS + 1)); // answers to their heartbeats
    world_free(w);
}

// A watcher for whose list there is no memory waits, and gets it when there is some.
TEST(send_memory, presence_waits_for_it)
{
    static char body[60000];
    memset(body, 'x', sizeof body - 1);
    world *w = world_new(little_memory);
    peer *a = world_join(w, "a");
    peer *full[4];
    for (size_t i = 0; i < PHI_COUNT_OF(full); i++) {
        char name[] = { 'f', (char)('0' + i), 0 };
        full[i] = world_join(w, name);
        peer_window(full[i], 0);
        for (int k = 0; k < 17; k++) {
            peer_event(a, full[i]->id, body);
        }
    }
    world_settle(w);
    EXPECT(world_count(w).send_memory_refused_total > 0);
    peer *watcher = world_connect(w, "watcher");
    watcher->join.presence.wants = true;
    world_settle(w);
    EXPECT(watcher->is_open);
    for (size_t i = 0; i < PHI_COUNT_OF(full); i++) {
        peer_window(full[i], 262144);
    }
    world_pass(w, 1000);
    world_expect_converged(w, watcher);
    world_free(w);
}
