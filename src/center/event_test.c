// SPDX-License-Identifier: Apache-2.0
//
// center/event_test.c - what became of an event: receipts, time that runs out, every instance of a
// service.

#include <stdio.h>

#include <posthouse/message.h>

#include "base/compiler.h"
#include "tests/center/world.h"
#include "tests/harness/test.h"

enum { LISTENERS = 10 };

static void one_delivery(center_options *o)
{
    o->deliveries_per_turn_max = 1;
}

static void short_default(center_options *o)
{
    o->deliveries_per_turn_max = 1;
    o->call_time_default = 5;
}

static void say(peer *p, const char *to, uint64_t number, uint32_t ttl_ms)
{
    peer_say(p, &(phi_message){ .kind = PHI_KIND_EVENT,
                                .flags = number == 0 ? 0 : PHI_FLAG_RECEIPT,
                                .call = number,
                                .ttl_ms = ttl_ms,
                                .to = phi_bytes_text(to),
                                .body = phi_bytes_text("x") });
}

// ---- receipts

// A sender that asks must learn what became of its event; its receiver gets a plain event. [P-68]
TEST(event, receipt_says_what_became_of_it)
{
    world *w = world_new(NULL);
    peer *a = world_join(w, "a");
    peer *b = world_join(w, "b");
    say(a, "b", 7, 0);
    say(a, "nobody", 8, 0);
    say(a, "b@elsewhere", 9, 0);
    say(a, "queue:x", 10, 0);
    say(a, "topic:x", 11, 0);
    say(a, "topic:*", 12, 0);
    say(a, "all:none", 13, 0);
    say(a, "service:none", 14, 0);
    say(a, "@", 15, 0);
    say(a, "b", 0, 0);
    world_settle(w);
    peer_expect_receipt(a, 7, (phi_receipt){ 1, 0, 0 });
    peer_expect_receipt(a, 8, (phi_receipt){ 0, 0, PH_FAILURE_NO_SUCH_ACCOUNT });
    peer_expect_receipt(a, 9, (phi_receipt){ 0, 0, PH_FAILURE_DOMAIN_UNKNOWN });
    peer_expect_receipt(a, 10, (phi_receipt){ 0, 0, PH_FAILURE_ADDRESS_UNKNOWN });
    peer_expect_receipt(a, 11, (phi_receipt){ 0, 0, 0 });
    peer_expect_receipt(a, 12, (phi_receipt){ 0, 0, PH_FAILURE_MALFORMED });
    peer_expect_receipt(a, 13, (phi_receipt){ 0, 0, PH_FAILURE_NO_READY_INSTANCE });
    peer_expect_receipt(a, 14, (phi_receipt){ 0, 0, PH_FAILURE_NO_READY_INSTANCE });
    peer_expect_receipt(a, 15, (phi_receipt){ 0, 0, PH_FAILURE_UNSUPPORTED });
    EXPECT(peer_next(a) == NULL);
    const phi_message *m = peer_next(b);
    assert_non_null(m);
    EXPECT_EQ(m->flags, 0);
    EXPECT_EQ(m->call, 0);
    EXPECT_EQ(m->ttl_ms, 30000); // a receipt comes in the default time of a request at the latest
    m = peer_next(b);
    assert_non_null(m);
    EXPECT_EQ(m->ttl_ms, 0);
    EXPECT_EQ(world_count(w).receipts_total, 9);
    world_free(w);
}

// Of a reserved form nobody is told, but who asks learns it. [P-51] [P-68]
TEST(event, receipt_says_what_is_unsupported)
{
    world *w = world_new(NULL);
    peer *a = world_join(w, "a");
    peer_say(a, &(phi_message){ .kind = PHI_KIND_EVENT,
                                .flags = PHI_FLAG_RECEIPT | PHI_FLAG_DURABLE,
                                .call = 3,
                                .to = phi_bytes_text("a") });
    world_settle(w);
    peer_expect_receipt(a, 3, (phi_receipt){ 0, 0, PH_FAILURE_UNSUPPORTED });
    EXPECT(peer_next(a) == NULL);
    world_free(w);
}

// A receiver that does not read is a dropped one, and the receipt says why. [P-59] [P-68]
TEST(event, receipt_tells_of_full_receivers)
{
    world *w = world_new(NULL);
    peer *a = world_join(w, "a");
    peer *b = world_join(w, "b");
    world_join(w, "c");
    peer_fill_up(b, a);
    say(a, "b", 1, 0);
    say(a, "all:", 2, 0);
    world_settle(w);
    peer_expect_receipt(a, 1, (phi_receipt){ 0, 1, PH_FAILURE_SLOW_CONSUMER });
    peer_expect_receipt(a, 2, (phi_receipt){ 1, 1, PH_FAILURE_SLOW_CONSUMER });
    world_free(w);
}

// A receipt for which its sender has no room is dropped and counted, and costs nothing else. [P-68]
TEST(event, receipt_without_room_is_dropped)
{
    world *w = world_new(NULL);
    peer *a = world_join(w, "a");
    peer *b = world_join(w, "b");
    peer_fill_up(a, b);
    say(a, "b", 1, 0);
    world_settle(w);
    EXPECT_EQ(world_count(w).receipts_dropped_total, 1);
    EXPECT_EQ(world_count(w).receipts_total, 0);
    assert_non_null(peer_next(b));
    peer_drain(a);
    EXPECT(peer_next(a) == NULL);
    EXPECT(!a->is_ended);
    world_free(w);
}

// The receipt of an event that takes many turns comes once, at its end, before what was said behind
// it is answered. [P-55] [P-68]
TEST(event, receipt_of_many_comes_at_the_end)
{
    world *w = world_new(one_delivery);
    peer *a = world_join(w, "a");
    peer *listeners[LISTENERS];
    world_join_listeners(w, listeners, LISTENERS);
    say(a, "all:", 1, 0);
    say(a, "l0", 2, 0);
    world_turn(w);
    EXPECT_EQ(a->inbox_count, 0);
    world_settle(w);
    peer_expect_receipt(a, 1, (phi_receipt){ LISTENERS, 0, 0 });
    peer_expect_receipt(a, 2, (phi_receipt){ 1, 0, 0 });
    EXPECT(peer_next(a) == NULL);
    EXPECT_EQ(listeners[0]->inbox_count, 2);
    world_free(w);
}

// ---- time

// An event whose time runs out while it waits for its share is dropped and counted, not told late;
// those who are told learn how much is left. [P-57]
TEST(event, time_runs_out_while_it_waits)
{
    world *w = world_new(one_delivery);
    w->slow_us = 2000; // a turn takes two milliseconds
    peer *a = world_join(w, "a");
    peer *listeners[LISTENERS];
    world_join_listeners(w, listeners, LISTENERS);
    say(a, "all:", 1, 7);
    world_settle(w);
    uint32_t told = 0;
    uint32_t least = 7;
    for (size_t i = 0; i < LISTENERS; i++) {
        const phi_message *m = peer_next(listeners[i]);
        if (m != NULL) {
            told++;
            EXPECT(m->ttl_ms >= 1);
            EXPECT(m->ttl_ms <= 7);
            least = m->ttl_ms < least ? m->ttl_ms : least;
        }
    }
    EXPECT(told >= 3);
    EXPECT(told <= 6);
    EXPECT(least <= 2);
    peer_expect_receipt(a, 1, (phi_receipt){ told, LISTENERS - told, PH_FAILURE_DEADLINE });
    EXPECT_EQ(world_count(w).events_expired_total, LISTENERS - told);
    EXPECT_EQ(world_count(w).events_dropped_total, LISTENERS - told);
    world_free(w);
}

// One that was not even begun expires, too; one without a limit and a receipt never does. [P-57]
// [P-68]
TEST(event, without_a_limit_it_waits_as_long_as_it_takes)
{
    world *w = world_new(short_default);
    w->slow_us = 2000;
    peer *a = world_join(w, "a");
    peer *b = world_join(w, "b");
    peer *listeners[LISTENERS];
    world_join_listeners(w, listeners, LISTENERS);
    say(a, "all:", 0, 0);
    say(b, "all:", 4, 0); // as long as a request: 5 ms
    world_settle(w);
    EXPECT_EQ(world_count(w).events_delivered_total + world_count(w).events_expired_total,
              2u * (LISTENERS + 1));
    EXPECT(world_count(w).events_expired_total > 5);
    EXPECT(listeners[LISTENERS - 1]->inbox_count == 1);
    const phi_message *m = peer_next(b);
    assert_non_null(m);
    while (m->kind != PHI_KIND_RECEIPT) {
        m = peer_next(b);
        assert_non_null(m);
    }
    phi_receipt receipt;
    EXPECT_ERR(phi_receipt_decode(m->body, &receipt), PH_OK);
    EXPECT_EQ(receipt.code, PH_FAILURE_DEADLINE);
    world_free(w);
}

// ---- instances

// all:NAME reaches every instance of the service but the sender, and nobody else. [P-52]
TEST(event, reaches_every_instance)
{
    world *w = world_new(NULL);
    peer *a = world_join_service(w, "a", "s");
    peer *b = world_join_service(w, "b", "s");
    peer *c = world_join_service(w, "c", "s");
    peer *d = world_join_service(w, "d", "t");
    peer *e = world_join(w, "s");
    say(a, "all:s", 1, 0);
    say(e, "all:s", 2, 0);
    say(d, "all:t", 3, 0); // its only instance
    world_settle(w);
    peer_expect_receipt(a, 1, (phi_receipt){ 2, 0, 0 });
    peer_expect_receipt(e, 2, (phi_receipt){ 3, 0, 0 });
    peer_expect_receipt(d, 3, (phi_receipt){ 0, 0, PH_FAILURE_NO_READY_INSTANCE });
    EXPECT_EQ(a->inbox_count, 2);
    EXPECT_EQ(b->inbox_count, 2);
    EXPECT_EQ(c->inbox_count, 2);
    EXPECT_EQ(d->inbox_count, 1);
    EXPECT_EQ(e->inbox_count, 1);
    world_free(w);
}

// Instances beyond a turn's allowance are told in the next ones; who leaves meanwhile counts as
// dropped. [P-52]
TEST(event, instances_are_told_turn_by_turn)
{
    world *w = world_new(one_delivery);
    peer *a = world_join(w, "a");
    peer *s[LISTENERS];
    for (size_t i = 0; i < LISTENERS; i++) {
        char name[8];
        snprintf(name, sizeof name, "s%zu", i);
        s[i] = world_join_service(w, name, "s");
    }
    say(a, "all:s", 1, 0);
    world_turn(w);
    peer_cut(s[LISTENERS - 1]);
    peer *late = world_join_service(w, "late", "s");
    world_settle(w);
    peer_expect_receipt(a, 1, (phi_receipt){ LISTENERS - 1, 1, PH_FAILURE_NO_SUCH_ACCOUNT });
    EXPECT_EQ(late->inbox_count, 0);
    EXPECT(world_count(w).broadcasts_held_total > 0);
    world_free(w);
}

// An instance that the mass-loss guard still lists is missed, not passed over: the sender learns
// that somebody was not reached who may be back in a moment. [P-49] [P-68]
TEST(event, listed_instances_without_connection_count_as_offline)
{
    world *w = world_new(NULL);
    peer *a = world_join(w, "a");
    peer *s[LISTENERS];
    for (size_t i = 0; i < LISTENERS; i++) {
        char name[8];
        snprintf(name, sizeof name, "s%zu", i);
        s[i] = world_join_service(w, name, "s");
    }
    for (size_t i = 1; i < LISTENERS; i++) {
        peer_cut(s[i]);
        world_settle(w);
    }
    uint64_t ghosts = world_count(w).ghosts;
    EXPECT(ghosts > 0);
    say(a, "all:s", 1, 0);
    world_settle(w);
    peer_expect_receipt(a, 1, (phi_receipt){ 1, (uint32_t)ghosts, PH_FAILURE_OFFLINE });
    EXPECT_EQ(s[0]->inbox_count, 1);
    world_free(w);
}
