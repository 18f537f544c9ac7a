// SPDX-License-Identifier: Apache-2.0
//
// center/router_test.c - what is carried to whom: events, calls and every way in which one ends.

#include <posthouse/message.h>

#include "tests/center/world.h"
#include "tests/harness/test.h"

static void small(center_options *o)
{
    o->send_buffer_max = 131072;
    o->calls_per_client_max = 4;
    o->full_timeout = 3600000;
    o->heartbeat_idle = 3600000;
}

static void small_with_many_calls(center_options *o)
{
    small(o);
    o->calls_per_client_max = 3000;
}

static void few_calls(center_options *o)
{
    o->calls_per_client_max = 3;
    o->calls_max = 5;
}

static void suite_check(center_options *o)
{
    o->suite = PHI_SUITE_CHECK;
    o->call_time_default = 20000;
    o->call_time_max = 30000;
}

// Reads what there is; returns how many of them are not events.
static size_t count_answers(peer *p)
{
    size_t count = 0;
    const phi_message *m;
    while ((m = peer_next(p)) != NULL) {
        count += m->kind != PHI_KIND_EVENT;
    }
    return count;
}

// ---- events

// An event must reach the one it names, in either form of address, as it was sent [P-52].
TEST(router, event_reaches_the_one_named)
{
    world *w = world_new(NULL);
    peer *a = world_join(w, "a");
    peer *b = world_join(w, "b");
    peer *c = world_join(w, "c");
    peer_event(a, "b", "1");
    peer_event(a, "b@d", "2");
    world_settle(w);
    const phi_message *m = peer_next(b);
    assert_non_null(m);
    EXPECT_EQ(m->kind, PHI_KIND_EVENT);
    EXPECT_EQ(m->call, 0);
    EXPECT(phi_bytes_equal(m->from, phi_bytes_text("a@d")));
    EXPECT(phi_bytes_equal(m->to, phi_bytes_text("b")));
    EXPECT(phi_bytes_equal(m->method, phi_bytes_text("told")));
    EXPECT(phi_bytes_equal(m->body, phi_bytes_text("1")));
    m = peer_next(b);
    assert_non_null(m);
    EXPECT(phi_bytes_equal(m->body, phi_bytes_text("2")));
    EXPECT(peer_next(a) == NULL);
    EXPECT(peer_next(c) == NULL);
    EXPECT_EQ(world_count(w).events_delivered_total, 2);
    world_free(w);
}

// A broadcast must reach everybody but its sender, once, and nobody who has not joined [P-52].
TEST(router, broadcast_reaches_everyone_else)
{
    world *w = world_new(NULL);
    peer *p[5];
    for (size_t i = 0; i < PHI_COUNT_OF(p); i++) {
        char name[2] = { (char)('a' + i), 0 };
        p[i] = world_join(w, name);
    }
    peer *joining = world_connect(w, "late");
    joining->reads_max = 0; // never hears HELLO, never joins
    world_settle(w);
    peer_event(p[2], "all:", "x");
    world_settle(w);
    for (size_t i = 0; i < PHI_COUNT_OF(p); i++) {
        EXPECT_EQ(p[i]->inbox_count, i == 2 ? 0 : 1);
    }
    EXPECT_EQ(world_count(w).events_delivered_total, 4);
    world_free(w);
}

// An event to nobody is dropped and counted, and its sender lives on.
TEST(router, event_to_nobody_is_dropped)
{
    world *w = world_new(NULL);
    peer *a = world_join(w, "a");
    peer_event(a, "b", "1");
    peer_event(a, "b@elsewhere", "1");
    peer_event(a, "queue:b", "1");
    peer_event(a, "B!", "1");
    peer_event(a, "", "1");
    world_settle(w);
    EXPECT_EQ(world_count(w).events_dropped_total, 5);
    EXPECT(!a->is_ended);
    world_free(w);
}

// Who does not read must not cost others: its events are dropped and counted, memory stays bounded
// [P-59].
TEST(router, event_to_full_buffer_is_dropped)
{
    world *w = world_new(small);
    peer *a = world_join(w, "a");
    peer *b = world_join(w, "b");
    peer_fill_up(b, a);
    size_t bytes = w->alloc.bytes;
    for (int i = 0; i < 1000; i++) {
        peer_event(a, "b", "more");
    }
    world_settle(w);
    EXPECT_EQ(w->alloc.bytes, bytes);
    EXPECT(world_count(w).events_dropped_total >= 1000);
    world_free(w);
}

// One receiver that does not read must not keep a broadcast from the others.
TEST(router, broadcast_passes_a_full_buffer_by)
{
    world *w = world_new(small);
    peer *a = world_join(w, "a");
    peer *full = world_join(w, "full");
    peer *b = world_join(w, "b");
    peer_fill_up(full, a);
    center_counters before = world_count(w);
    peer_event(a, "all:", "x");
    world_settle(w);
    EXPECT(peer_next(b) != NULL);
    EXPECT_EQ(world_count(w).events_delivered_total, before.events_delivered_total + 1);
    EXPECT_EQ(world_count(w).events_dropped_total, before.events_dropped_total + 1);
    world_free(w);
}

// Messages from one client to another arrive in the order they were sent [P-55].
TEST(router, order_is_kept)
{
    world *w = world_new(NULL);
    peer *a = world_join(w, "a");
    peer *b = world_join(w, "b");
    for (uint64_t i = 1; i <= 500; i++) {
        if (i % 3 == 0) {
            peer_event(a, "b", "e");
        } else {
            peer_request(a, "b", i, (uint32_t)i);
        }
        if (i % 7 == 0) {
            world_turn(w);
        }
    }
    world_settle(w);
    for (uint64_t i = 1; i <= 500; i++) {
        const phi_message *m = peer_next(b);
        assert_non_null(m);
        EXPECT_EQ(m->kind, i % 3 == 0 ? PHI_KIND_EVENT : PHI_KIND_REQUEST);
        if (i % 3 != 0) {
            EXPECT_EQ(m->ttl_ms, i);
        }
    }
    world_free(w);
}

// ---- calls that end as they should

// The responder sees a number of the center's, the caller its own back: two callers may use the
// same number and neither gets the other's reply [P-56].
TEST(router, replies_go_to_their_callers)
{
    world *w = world_new(NULL);
    peer *a = world_join(w, "a");
    peer *b = world_join(w, "b");
    peer *r = world_join(w, "r");
    uint64_t from_a = peer_call(a, r, "r", 7);
    uint64_t from_b = peer_call(b, r, "r@d", 7);
    EXPECT(from_a != from_b);
    EXPECT_EQ(world_count(w).calls, 2);
    peer_reply(r, from_b, "for b");
    peer_reply(r, from_a, "for a");
    world_settle(w);
    const phi_message *m = peer_next(a);
    assert_non_null(m);
    EXPECT_EQ(m->kind, PHI_KIND_REPLY);
    EXPECT_EQ(m->call, 7);
    EXPECT(phi_bytes_equal(m->body, phi_bytes_text("for a")));
    EXPECT(phi_bytes_equal(m->from, phi_bytes_text("r@d")));
    m = peer_next(b);
    assert_non_null(m);
    EXPECT(phi_bytes_equal(m->body, phi_bytes_text("for b")));
    EXPECT_EQ(world_count(w).calls, 0);
    EXPECT_EQ(world_count(w).calls_replied_total, 2);
    world_expect_balance(w);
    world_free(w);
}

// A failure of the responder's own must come through with its code [P-58].
TEST(router, failure_of_responder_reaches_caller)
{
    world *w = world_new(NULL);
    peer *a = world_join(w, "a");
    peer *r = world_join(w, "r");
    peer_failure(r, peer_call(a, r, "r", 1), 1234);
    world_settle(w);
    peer_expect_failure(a, 1, 1234);
    EXPECT_EQ(world_count(w).calls_failed_total, 1);
    world_expect_balance(w);
    world_free(w);
}

// One may call oneself; and leave in the middle of it.
TEST(router, call_to_oneself_works)
{
    world *w = world_new(NULL);
    peer *a = world_join(w, "a");
    uint64_t call = peer_call(a, a, "a", 5);
    peer_reply(a, call, "me");
    world_settle(w);
    const phi_message *m = peer_next(a);
    assert_non_null(m);
    EXPECT_EQ(m->call, 5);
    (void)peer_call(a, a, "a", 6);
    peer_cut(a);
    world_settle(w);
    EXPECT_EQ(world_count(w).calls, 0);
    EXPECT_EQ(world_count(w).calls_abandoned_total, 1);
    world_expect_balance(w);
    world_free(w);
}

// 0 means the center's default, and more than its maximum the maximum: the responder must see what
// is really left [P-57].
TEST(router, ttl_is_resolved_and_capped)
{
    world *w = world_new(NULL);
    peer *a = world_join(w, "a");
    peer *r = world_join(w, "r");
    static const struct {
        uint32_t sent;
        uint32_t seen;
    } cases[] = { { 0, 30000 }, { 5, 5 }, { 3600000, 3600000 }, { UINT32_MAX, 3600000 } };
    for (size_t i = 0; i < PHI_COUNT_OF(cases); i++) {
        peer_request(a, "r", i + 1, cases[i].sent);
        world_settle(w);
        const phi_message *m = peer_next(r);
        assert_non_null(m);
        EXPECT_EQ(m->ttl_ms, cases[i].seen);
    }
    world_free(w);
}

// ---- calls that do not

// A request that leads nowhere must fail at once, with the reason, and cost the caller nothing else
// [P-52] [P-58].
TEST(router, request_to_nowhere_fails_with_its_reason)
{
    static const struct {
        const char *to;
        uint8_t flags;
        uint16_t code;
    } cases[] = {
        { "nobody", 0, PH_FAILURE_NO_SUCH_ACCOUNT },
        { "nobody@d", 0, PH_FAILURE_NO_SUCH_ACCOUNT },
        { "r@elsewhere", 0, PH_FAILURE_DOMAIN_UNKNOWN },
        { "service:r", 0, PH_FAILURE_NO_READY_INSTANCE },
        { "queue:r", 0, PH_FAILURE_ADDRESS_UNKNOWN },
        { "all:r", 0, PH_FAILURE_NO_READY_INSTANCE },
        { "topic:r", 0, PH_FAILURE_UNSUPPORTED },
        { "@d", 0, PH_FAILURE_NO_HANDLER },
        { "@", 0, PH_FAILURE_NO_HANDLER },
        { "@elsewhere", 0, PH_FAILURE_DOMAIN_UNKNOWN },
        { "all:", 0, PH_FAILURE_UNSUPPORTED },
        { "", 0, PH_FAILURE_MALFORMED },
        { "R", 0, PH_FAILURE_MALFORMED },
        { "r@", 0, PH_FAILURE_MALFORMED },
        { "r", PHI_FLAG_DURABLE | PHI_FLAG_IDEMPOTENT, PH_FAILURE_UNSUPPORTED },
    };
    world *w = world_new(NULL);
    peer *a = world_join(w, "a");
    peer *r = world_join(w, "r");
    for (size_t i = 0; i < PHI_COUNT_OF(cases); i++) {
        peer_say(a, &(phi_message){ .kind = PHI_KIND_REQUEST,
                                    .flags = cases[i].flags,
                                    .call = i + 1,
                                    .to = phi_bytes_text(cases[i].to) });
        world_settle(w);
        peer_expect_failure(a, i + 1, cases[i].code);
    }
    EXPECT_EQ(r->inbox_count, 0);
    EXPECT_EQ(world_count(w).calls, 0);
    EXPECT_EQ(world_count(w).calls_refused_total, PHI_COUNT_OF(cases));
    world_expect_balance(w);
    world_free(w);
}

// The idempotent flag is the sender's to set and passes through [P-51].
TEST(router, idempotent_flag_passes)
{
    world *w = world_new(NULL);
    peer *a = world_join(w, "a");
    peer *r = world_join(w, "r");
    peer_say(a, &(phi_message){ .kind = PHI_KIND_REQUEST,
                                .flags = PHI_FLAG_IDEMPOTENT,
                                .call = 1,
                                .to = phi_bytes_text("r") });
    world_settle(w);
    const phi_message *m = peer_next(r);
    assert_non_null(m);
    EXPECT_EQ(m->flags, PHI_FLAG_IDEMPOTENT);
    world_free(w);
}

// The center tells the caller when the time has run out, not before, and the responder that it may
// stop; the late reply is nobody's [P-57] [P-56].
TEST(router, deadline_fails_the_call_and_cancels_it)
{
    world *w = world_new(NULL);
    peer *a = world_join(w, "a");
    peer *r = world_join(w, "r");
    peer_request(a, "r", 9, 50);
    world_settle(w);
    uint64_t call = peer_next(r)->call;
    world_pass(w, 49);
    EXPECT(peer_next(a) == NULL);
    world_pass(w, 2);
    peer_expect_failure(a, 9, PH_FAILURE_DEADLINE);
    peer_expect_cancel(r, call, PH_FAILURE_DEADLINE);
    peer_reply(r, call, "late");
    world_settle(w);
    EXPECT(peer_next(a) == NULL);
    EXPECT_EQ(world_count(w).replies_stray_total, 1);
    EXPECT_EQ(world_count(w).calls_expired_total, 1);
    world_expect_balance(w);
    world_free(w);
}

// A caller that waits on a dead responder must know in the same turn, whichever way it died; and so
// must those who watch [P-57].
TEST(router, responder_lost_is_told_at_once)
{
    void (*const deaths[])(peer *) = { peer_cut, peer_leave };
    for (size_t i = 0; i < PHI_COUNT_OF(deaths); i++) {
        world *w = world_new(NULL);
        peer *a = world_watch(w, "a");
        peer *b = world_join(w, "b");
        peer *r = world_join(w, "r");
        (void)peer_call(a, r, "r", 1);
        (void)peer_call(a, r, "r", 2);
        (void)peer_call(b, r, "r", 1);
        world_settle(w);
        deaths[i](r);
        world_turn(w);
        peer_expect_failure(a, 1, PH_FAILURE_RESPONDER_LOST);
        peer_expect_failure(a, 2, PH_FAILURE_RESPONDER_LOST);
        peer_expect_failure(b, 1, PH_FAILURE_RESPONDER_LOST);
        EXPECT(peer_find(a, "r@d") == NULL);
        EXPECT_EQ(world_count(w).calls, 0);
        EXPECT_EQ(world_count(w).calls_lost_total, 3);
        world_expect_balance(w);
        world_free(w);
    }
}

// A caller that is gone wants no answer: its responders are told, and their replies are dropped
// [P-57].
TEST(router, caller_gone_cancels_its_calls)
{
    world *w = world_new(NULL);
    peer *a = world_join(w, "a");
    peer *r = world_join(w, "r");
    uint64_t call = peer_call(a, r, "r", 1);
    peer_cut(a);
    world_turn(w);
    peer_expect_cancel(r, call, PH_FAILURE_CALLER_LOST);
    peer_reply(r, call, "late");
    world_settle(w);
    EXPECT_EQ(world_count(w).replies_stray_total, 1);
    EXPECT_EQ(world_count(w).calls_abandoned_total, 1);
    world_expect_balance(w);
    world_free(w);
}

// A cancel ends the call for both; one that comes too late is nothing [P-57].
TEST(router, cancel_ends_the_call)
{
    world *w = world_new(NULL);
    peer *a = world_join(w, "a");
    peer *r = world_join(w, "r");
    uint64_t one = peer_call(a, r, "r", 1);
    uint64_t two = peer_call(a, r, "r", 2);
    peer_cancel(a, 1);
    world_settle(w);
    peer_expect_failure(a, 1, PH_FAILURE_CANCELLED);
    peer_expect_cancel(r, one, PH_FAILURE_CANCELLED);
    peer_reply(r, one, "late");
    peer_reply(r, two, "in time");
    peer_cancel(a, 1);
    peer_cancel(r, two); // not its own call
    world_settle(w);
    (void)peer_expect(a, PHI_KIND_REPLY, 2, "in time");
    EXPECT(peer_next(a) == NULL);
    EXPECT_EQ(world_count(w).messages_dropped_total, 2);
    EXPECT_EQ(world_count(w).replies_stray_total, 1);
    world_expect_balance(w);
    world_free(w);
}

// Which call a cancel means is found among many: whether they were opened before the first cancel
// or after, in any order, once each; and also when there is no memory to find it fast [P-57].
TEST(router, cancel_finds_its_call_among_many)
{
    for (int has_memory = 0; has_memory <= 1; has_memory++) {
        world *w = world_new(NULL);
        peer *a = world_join(w, "a");
        world_join(w, "r");
        enum { HALF = 500 };
        for (uint64_t i = 1; i <= 2 * HALF; i++) {
            peer_request(a, "r", i * 0x100000000, 60000);
            if (i == HALF) {
                world_settle(w);
                w->alloc.fail_at = has_memory != 0 ? 0 : w->alloc.takes + 1;
                peer_cancel(a, 0x100000000 * HALF);
                world_settle(w);
                peer_expect_failure(a, 0x100000000 * HALF, PH_FAILURE_CANCELLED);
            }
        }
        world_settle(w);
        for (uint64_t i = 1; i <= 2 * HALF; i++) {
            uint64_t number = (i * 5 % (2 * HALF + 1)) * 0x100000000; // each once
            peer_cancel(a, number);
            peer_cancel(a, number);
            if (number == 0x100000000 * HALF) {
                continue;
            }
            world_settle(w);
            peer_expect_failure(a, number, PH_FAILURE_CANCELLED);
        }
        EXPECT(peer_next(a) == NULL);
        EXPECT_EQ(world_count(w).calls, 0);
        EXPECT_EQ(world_count(w).calls_cancelled_total, 2 * HALF);
        world_expect_balance(w);
        world_free(w);
    }
}

// Nobody but the chosen responder may answer: not a third client, not the caller, not with a number
// that never was; and the call still waits for the right one [P-56].
TEST(router, foreign_reply_is_dropped)
{
    world *w = world_new(NULL);
    peer *a = world_join(w, "a");
    peer *r = world_join(w, "r");
    peer *thief = world_join(w, "thief");
    uint64_t call = peer_call(a, r, "r", 1);
    peer_reply(thief, call, "forged");
    peer_failure(thief, call, 1000);
    peer_reply(a, call, "forged");
    peer_reply(r, call + 1, "forged");
    peer_reply(r, call + (UINT64_C(1) << 32), "forged");
    peer_reply(r, UINT64_MAX, "forged");
    world_settle(w);
    EXPECT(peer_next(a) == NULL);
    EXPECT_EQ(world_count(w).replies_stray_total, 6);
    EXPECT_EQ(world_count(w).calls, 1);
    peer_reply(r, call, "true");
    peer_reply(r, call, "twice");
    world_settle(w);
    const phi_message *m = peer_next(a);
    assert_non_null(m);
    EXPECT(phi_bytes_equal(m->body, phi_bytes_text("true")));
    EXPECT(peer_next(a) == NULL);
    EXPECT_EQ(world_count(w).replies_stray_total, 7);
    world_expect_balance(w);
    world_free(w);
}

// What is reserved, and what only a center says, is answered where it wants an answer, else dropped
// and counted [P-51].
TEST(router, reserved_flags_and_kinds_are_refused)
{
    world *w = world_new(NULL);
    peer *a = world_join(w, "a");
    peer *r = world_join(w, "r");
    uint64_t call = peer_call(a, r, "r", 1);
    peer_say(a, &(phi_message){ .kind = PHI_KIND_EVENT,
                                .flags = PHI_FLAG_DURABLE,
                                .to = phi_bytes_text("all:") });
    peer_say(r, &(phi_message){ .kind = PHI_KIND_REPLY, .flags = PHI_FLAG_DURABLE, .call = call });
    peer_say(r, &(phi_message){ .kind = PHI_KIND_REPLY, .flags = PHI_FLAG_PART, .call = call });
    peer_say(r, &(phi_message){ .kind = PHI_KIND_REPLY, .turn = 1, .call = call });
    peer_say(r, &(phi_message){ .kind = PHI_KIND_RECEIPT,
                                .call = 1,
                                .body = phi_bytes_of("\0\0\0\0\0\0\0\0\0\0", 10) });
    world_settle(w);
    EXPECT(peer_next(a) == NULL);
    EXPECT(peer_next(r) == NULL);
    EXPECT_EQ(world_count(w).messages_dropped_total, 5);
    EXPECT(!a->is_ended);
    EXPECT(!r->is_ended);
    peer_reply(r, call, "the call still waits for this");
    world_settle(w);
    EXPECT_EQ(world_count(w).calls_replied_total, 1);
    world_free(w);
}

// ---- limits

// The calls of one client, and of the center, are bounded; beyond it a request fails, and room is
// made when calls end [P-58].
TEST(router, too_many_calls_fail)
{
    world *w = world_new(few_calls);
    peer *a = world_join(w, "a");
    peer *b = world_join(w, "b");
    peer *r = world_join(w, "r");
    uint64_t first = peer_call(a, r, "r", 1);
    (void)peer_call(a, r, "r", 2);
    (void)peer_call(a, r, "r", 3);
    peer_request(a, "r", 4, 0);
    world_settle(w);
    peer_expect_failure(a, 4, PH_FAILURE_TOO_MANY_CALLS); // of a
    (void)peer_call(b, r, "r", 1);
    (void)peer_call(b, r, "r", 2);
    peer_request(b, "r", 3, 0);
    world_settle(w);
    peer_expect_failure(b, 3, PH_FAILURE_TOO_MANY_CALLS); // of the center
    peer_reply(r, first, "");
    world_settle(w);
    (void)peer_call(b, r, "r", 4);
    world_expect_balance(w);
    world_free(w);
}

// A request to a client that does not read fails at once: the caller must not wait for its deadline
// [P-59].
TEST(router, request_to_full_buffer_fails)
{
    world *w = world_new(small);
    peer *a = world_join(w, "a");
    peer *r = world_join(w, "r");
    peer_fill_up(r, a);
    peer_request(a, "r", 1, 0);
    world_settle(w);
    peer_expect_failure(a, 1, PH_FAILURE_SLOW_CONSUMER);
    EXPECT_EQ(world_count(w).calls, 0);
    peer_drain(r);
    (void)count_answers(r);
    uint64_t call = peer_call(a, r, "r", 2); // and it works again
    peer_reply(r, call, "");
    world_settle(w);
    EXPECT(peer_next(a) != NULL);
    world_expect_balance(w);
    world_free(w);
}

// A caller that does not read must still learn how its call ended, once there is room: exactly
// once, whatever came first [P-59] [P-57].
TEST(router, reply_to_full_buffer_is_owed)
{
    world *w = world_new(small);
    peer *a = world_join(w, "a");
    peer *r = world_join(w, "r");
    uint64_t replied = peer_call(a, r, "r", 1);
    (void)peer_call(a, r, "r", 2); // will be lost
    peer_fill_up(a, r);
    peer_reply(r, replied, "too much");
    world_settle(w);
    peer_reply(r, replied, "again");
    world_settle(w);
    EXPECT_EQ(world_count(w).calls, 2);
    EXPECT_EQ(world_count(w).replies_stray_total, 1);
    peer_cut(r);
    world_settle(w);
    EXPECT_EQ(world_count(w).calls, 2); // both owed
    world_pass(w, 40000);               // past their deadline: nothing more happens to them
    peer_drain(a);
    peer_expect_failure(a, 1, PH_FAILURE_SLOW_CONSUMER);
    peer_expect_failure(a, 2, PH_FAILURE_RESPONDER_LOST);
    EXPECT(peer_next(a) == NULL);
    EXPECT_EQ(world_count(w).calls, 0);
    EXPECT_EQ(world_count(w).calls_overrun_total, 1);
    EXPECT_EQ(world_count(w).calls_lost_total, 1);
    world_expect_balance(w);
    world_free(w);
}

// Deadlines, cancels and refusals of a caller that does not read are owed in the same way.
TEST(router, every_failure_to_full_buffer_is_owed)
{
    world *w = world_new(small);
    peer *a = world_join(w, "a");
    peer *r = world_join(w, "r");
    peer_request(a, "r", 1, 100);
    (void)peer_call(a, r, "r", 2);
    peer_fill_up(a, r);
    peer_cancel(a, 2);
    peer_request(a, "nobody", 3, 0);
    world_settle(w);
    world_pass(w, 200);
    EXPECT_EQ(world_count(w).calls, 3);
    peer_drain(a);
    peer_expect_failure(a, 2, PH_FAILURE_CANCELLED);
    peer_expect_failure(a, 3, PH_FAILURE_NO_SUCH_ACCOUNT);
    peer_expect_failure(a, 1, PH_FAILURE_DEADLINE);
    EXPECT(peer_next(a) == NULL);
    EXPECT_EQ(world_count(w).calls, 0);
    world_expect_balance(w);
    world_free(w);
}

// More failures may be owed than the buffer holds: they come as it empties, each once.
TEST(router, more_is_owed_than_fits)
{
    world *w = world_new(small_with_many_calls);
    peer *a = world_join(w, "a");
    peer *r = world_join(w, "r");
    r->reads_max = SIZE_MAX;
    for (uint64_t i = 1; i <= 3000; i++) {
        peer_request(a, "r", i, 0);
        if (i % 100 == 0) {
            world_settle(w);
        }
    }
    EXPECT_EQ(world_count(w).calls, 3000);
    peer_fill_up(a, r);
    peer_cut(r);
    world_settle(w);
    EXPECT_EQ(world_count(w).calls, 3000);
    peer_window(a, 1000);
    peer_drain(a);
    for (uint64_t i = 1; i <= 3000; i++) {
        peer_expect_failure(a, i, PH_FAILURE_RESPONDER_LOST);
    }
    EXPECT(peer_next(a) == NULL);
    EXPECT_EQ(world_count(w).calls, 0);
    world_expect_balance(w);
    world_free(w);
}

// A responder that does not read must still learn that a call is over, once there is room: it may
// wait for an answer that never comes. Whatever ended it, and exactly once. [P-57]
TEST(router, cancel_to_full_buffer_is_owed)
{
    world *w = world_new(small);
    peer *a = world_join(w, "a");
    peer *b = world_join(w, "b");
    peer *r = world_join(w, "r");
    peer_request(a, "r", 1, 100);
    world_settle(w);
    uint64_t expired = peer_next(r)->call;
    uint64_t cancelled = peer_call(a, r, "r", 2);
    uint64_t abandoned = peer_call(b, r, "r", 1);
    uint64_t open = peer_call(a, r, "r", 3);
    peer_fill_up(r, a);
    peer_cancel(a, 2);
    world_settle(w);
    world_pass(w, 200);
    peer_cut(b);
    world_settle(w);
    peer_expect_failure(a, 2, PH_FAILURE_CANCELLED);
    peer_expect_failure(a, 1, PH_FAILURE_DEADLINE);
    EXPECT_EQ(world_count(w).calls, 1); // the others are over for who asked
    peer_drain(r);
    peer_expect_cancel(r, cancelled, PH_FAILURE_CANCELLED);
    peer_expect_cancel(r, expired, PH_FAILURE_DEADLINE);
    peer_expect_cancel(r, abandoned, PH_FAILURE_CALLER_LOST);
    EXPECT(peer_next(r) == NULL);
    peer_reply(r, open, "still open");
    peer_reply(r, cancelled, "late");
    world_settle(w);
    (void)peer_expect(a, PHI_KIND_REPLY, 3, "still open");
    world_expect_no_calls(w);
    world_expect_balance(w);
    world_free(w);
}

// Both ends may be full when a call ends, and each is told for itself; or leaves, and is forgiven.
TEST(router, both_ends_are_owed)
{
    for (int who = 0; who < 3; who++) {
        world *w = world_new(small);
        peer *a = world_join(w, "a");
        peer *r = world_join(w, "r");
        peer *other = world_join(w, "other");
        peer_request(a, "r", 1, 100);
        world_settle(w);
        uint64_t call = peer_next(r)->call;
        peer_fill_up(r, other);
        peer_fill_up(a, other);
        world_pass(w, 200);
        EXPECT_EQ(world_call_slots(w), 1);
        if (who == 0) {
            peer_cut(a);
            world_settle(w);
        } else if (who == 1) {
            peer_cut(r);
            world_settle(w);
        }
        EXPECT_EQ(world_call_slots(w), 1);
        if (who != 0) {
            peer_drain(a);
            peer_expect_failure(a, 1, PH_FAILURE_DEADLINE);
            EXPECT(peer_next(a) == NULL);
        }
        if (who != 1) {
            peer_drain(r);
            peer_expect_cancel(r, call, PH_FAILURE_DEADLINE);
            EXPECT(peer_next(r) == NULL);
        }
        world_expect_no_calls(w);
        world_expect_balance(w);
        world_free(w);
    }
}

// What one responder is owed is bounded: it must not hold more of the center's calls than a client
// may have. [P-57]
TEST(router, cancels_owed_are_bounded)
{
    world *w = world_new(small); // 4 calls a client
    peer *r = world_join(w, "r");
    peer *other = world_join(w, "other");
    peer *callers[3];
    for (size_t i = 0; i < PHI_COUNT_OF(callers); i++) {
        callers[i] = world_join(w, "");
        for (uint64_t n = 1; n <= 3; n++) {
            (void)peer_call(callers[i], r, "r", n);
        }
    }
    peer_fill_up(r, other);
    for (size_t i = 0; i < PHI_COUNT_OF(callers); i++) {
        peer_cut(callers[i]);
    }
    world_settle(w);
    EXPECT_EQ(world_count(w).calls, 0);
    EXPECT_EQ(world_call_slots(w), 4);
    EXPECT_EQ(world_count(w).messages_dropped_total, 9 - 4);
    peer_drain(r);
    for (int i = 0; i < 4; i++) {
        EXPECT_EQ(peer_next(r)->kind, PHI_KIND_CANCEL);
    }
    EXPECT(peer_next(r) == NULL);
    world_expect_no_calls(w);
    world_expect_balance(w);
    world_free(w);
}

// More cancels may be owed than the buffer holds: they come as it empties, each once. [P-57]
TEST(router, more_cancels_are_owed_than_fit)
{
    world *w = world_new(small_with_many_calls);
    peer *a = world_join(w, "a");
    peer *r = world_join(w, "r");
    peer *other = world_join(w, "other");
    uint64_t calls[3000];
    for (size_t i = 0; i < PHI_COUNT_OF(calls); i++) {
        calls[i] = peer_call(a, r, "r", i + 1);
    }
    peer_fill_up(r, other);
    peer_cut(a);
    world_settle(w);
    EXPECT_EQ(world_call_slots(w), PHI_COUNT_OF(calls));
    peer_window(r, 1000);
    peer_drain(r);
    for (size_t i = 0; i < PHI_COUNT_OF(calls); i++) {
        peer_expect_cancel(r, calls[i], PH_FAILURE_CALLER_LOST);
    }
    EXPECT(peer_next(r) == NULL);
    world_expect_no_calls(w);
    world_expect_balance(w);
    world_free(w);
}

// A number that is in use would make one call's answer another's: where the center keeps an index
// of a caller's calls, it says so. [P-51]
TEST(router, number_in_use_is_malformed)
{
    world *w = world_new(NULL);
    peer *a = world_join(w, "a");
    peer *r = world_join(w, "r");
    uint64_t call = peer_call(a, r, "r", 1);
    peer_cancel(a, 99); // makes the index
    world_settle(w);
    peer_request(a, "r", 1, 0);
    world_settle(w);
    peer_expect_failure(a, 1, PH_FAILURE_MALFORMED);
    EXPECT(peer_next(r) == NULL);
    peer_reply(r, call, "first");
    world_settle(w);
    (void)peer_expect(a, PHI_KIND_REPLY, 1, "first");
    (void)peer_call(a, r, "r", 1); // free again
    world_expect_balance(w);
    world_free(w);
}

// Owed calls count: who neither reads nor stops asking is ended, instead of losing count of its
// calls or of our memory.
TEST(router, flood_without_reading_is_ended)
{
    world *w = world_new(small);
    peer *a = world_join(w, "a");
    peer *r = world_join(w, "r");
    peer_fill_up(a, r);
    for (uint64_t i = 1; i <= 20; i++) {
        peer_request(a, "nobody", i, 0);
    }
    world_settle(w);
    EXPECT_EQ(world_count(w).sessions, 1);
    EXPECT_EQ(world_count(w).links_ended_total[PHI_BYE_SLOW_CONSUMER], 1);
    EXPECT_EQ(world_count(w).calls, 0);
    EXPECT(!r->is_ended);
    world_expect_balance(w);
    world_free(w);
}

// A caller with owed calls may go: nothing is left of them.
TEST(router, caller_gone_forgives_what_is_owed)
{
    world *w = world_new(small);
    peer *a = world_join(w, "a");
    peer *r = world_join(w, "r");
    uint64_t call = peer_call(a, r, "r", 1);
    peer_fill_up(a, r);
    peer_reply(r, call, "");
    world_settle(w);
    EXPECT_EQ(world_count(w).calls, 1);
    peer_cut(a);
    world_settle(w);
    EXPECT_EQ(world_count(w).calls, 0);
    EXPECT_EQ(world_count(w).calls_abandoned_total, 1);
    world_expect_balance(w);
    world_free(w);
}

// ---- breaches

// A client that speaks in another's name is ended before anybody hears it [P-53].
TEST(router, false_from_ends_the_link)
{
    static const char *const froms[] = { "b@d", "a", "", "a@dd", "A@d", "@d" };
    for (size_t i = 0; i < PHI_COUNT_OF(froms); i++) {
        world *w = world_new(NULL);
        peer *a = world_join(w, "a");
        peer *b = world_join(w, "b");
        peer_say(a, &(phi_message){ .kind = PHI_KIND_EVENT,
                                    .to = phi_bytes_text("b"),
                                    .from = phi_bytes_text(froms[i]) });
        peer_event(a, "b", "and on"); // in the same bytes: is not read any more
        world_settle(w);
        peer_expect_bye(a, PHI_BYE_FROM_MISMATCH);
        EXPECT_EQ(b->inbox_count, 0);
        EXPECT(!b->is_ended);
        EXPECT(world_logged(w, "CE0005"));
        world_free(w);
    }
}

// A failure without a code is no failure: passing it on would break the caller's decoder instead
// [P-51].
TEST(router, failure_without_code_ends_the_link)
{
    static const uint8_t zeros[9];
    const phi_bytes bodies[] = { phi_bytes_text(""), phi_bytes_text("x"), phi_bytes_of(zeros, 2),
                                 phi_bytes_of(zeros, sizeof zeros) };
    for (size_t i = 0; i < PHI_COUNT_OF(bodies); i++) {
        world *w = world_new(NULL);
        peer *a = world_join(w, "a");
        peer *r = world_join(w, "r");
        uint64_t call = peer_call(a, r, "r", 1);
        peer_say(r, &(phi_message){ .kind = PHI_KIND_FAILURE, .call = call, .body = bodies[i] });
        world_settle(w);
        peer_expect_bye(r, PHI_BYE_MALFORMED);
        peer_expect_failure(a, 1, PH_FAILURE_RESPONDER_LOST);
        world_free(w);
    }
}

// A responder that dies by its own mistake still ends its calls for their callers.
TEST(router, responder_in_breach_loses_its_calls)
{
    world *w = world_new(NULL);
    peer *a = world_watch(w, "a");
    peer *r = world_join(w, "r");
    (void)peer_call(a, r, "r", 1);
    world_settle(w);
    peer_say(r, &(phi_message){ .kind = PHI_KIND_EVENT,
                                .to = phi_bytes_text("a"),
                                .from = phi_bytes_text("x@d") });
    world_turn(w);
    peer_expect_failure(a, 1, PH_FAILURE_RESPONDER_LOST);
    EXPECT(peer_find(a, "r@d") == NULL); // in the same turn
    EXPECT_EQ(a->last_reason, PHI_WHY_PROTOCOL_ERROR);
    world_expect_balance(w);
    world_free(w);
}

// ---- suites

// What the center passes on has a check made from that of what came: with the call's number and
// time replaced it must be right all the same, also behind a packet of the center's own, and
// between ends of which only one's packets have a check. A wrong one would end the link. [P-24]
TEST(router, message_changed_on_its_way_has_a_right_check)
{
    world *w = world_new(suite_check);
    peer *ends[3] = { world_join(w, "a"), world_join(w, "b"), NULL };
    WORLD_SECURE(w, NULL);                   // without rules, but who listens in TLS may
    world_listen_as(w, CENTER_LISTENER_TLS); // suite plain
    ends[2] = world_join(w, "t");
    static const char *const names[] = { "a", "b", "t" };
    static const uint32_t times[] = { 0, 7, 20000, UINT32_MAX };
    for (uint64_t i = 0; i < 36; i++) {
        peer *from = ends[i % 3];
        size_t to = (i + 1 + i / 3 % 2) % 3;
        peer_event(from, names[to], "e");
        peer_request(from, "nobody", 1000 + i, 0);
        peer_request(ends[to], "nobody", 1000 + i, 0);
        peer_request(from, names[to], 77 * i + 1, times[i % 4]);
        peer_request(from, names[to], 77 * i + 2, times[i / 3 % 4]);
        world_settle(w);
        peer_expect_failure(from, 1000 + i, PH_FAILURE_NO_SUCH_ACCOUNT);
        size_t kinds[PHI_MESSAGE_KINDS] = { 0 };
        for (const phi_message *m; (m = peer_next(ends[to])) != NULL;) {
            kinds[m->kind]++;
            if (m->kind == PHI_KIND_REQUEST) {
                peer_reply(ends[to], m->call, "r");
            }
        }
        EXPECT_EQ(kinds[PHI_KIND_EVENT], 1);
        EXPECT_EQ(kinds[PHI_KIND_FAILURE], 1);
        EXPECT_EQ(kinds[PHI_KIND_REQUEST], 2);
        world_settle(w);
        peer_expect(from, PHI_KIND_REPLY, 77 * i + 1, "r");
        peer_expect(from, PHI_KIND_REPLY, 77 * i + 2, "r");
    }
    for (size_t i = 0; i < PHI_COUNT_OF(ends); i++) {
        EXPECT(!ends[i]->is_ended);
    }
    world_free(w);
}
