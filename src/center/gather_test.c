// SPDX-License-Identifier: Apache-2.0
//
// center/gather_test.c - requests to all instances of a service, and how they end.

#include <stdio.h>

#include <posthouse/message.h>

#include "tests/center/world.h"
#include "tests/harness/test.h"

#define NUMBER 7u // of the gather, at its caller
#define COUNT 5   // instances

static void small(center_options *o)
{
    o->send_buffer_max = 131072;
    o->full_timeout = 3600000;
    o->heartbeat_idle = 3600000;
    o->calls_per_client_max = 4;
    o->gather_max = COUNT;
}

// A caller, and instances of one service.
typedef struct crowd {
    world *w;
    peer *a;
    peer *other; // of no service
    peer *r[COUNT];
    uint64_t call[COUNT]; // at each of them
} crowd;

static peer *join_service(world *w, const char *account, const char *service)
{
    peer *p = world_connect(w, account);
    p->join.service = phi_bytes_text(service);
    world_settle(w);
    EXPECT(p->is_open);
    return p;
}

static void join_all(crowd *t, void (*change)(center_options *options))
{
    *t = (crowd){ .w = world_new(change) };
    t->a = world_join(t->w, "a");
    t->other = world_join(t->w, "other");
    for (size_t i = 0; i < COUNT; i++) {
        char name[8];
        snprintf(name, sizeof name, "r%zu", i);
        t->r[i] = join_service(t->w, name, "s");
    }
}

static void gather_from(peer *p, uint64_t number, uint16_t want, uint32_t ttl_ms)
{
    peer_say(p, &(phi_message){ .kind = PHI_KIND_REQUEST,
                                .call = number,
                                .ttl_ms = ttl_ms,
                                .want = want,
                                .to = phi_bytes_text("all:s"),
                                .method = phi_bytes_text("asked"),
                                .body = phi_bytes_text("?") });
    world_settle(p->w);
}

// The gather has reached everybody.
static crowd crowd_begin(uint16_t want)
{
    crowd t;
    join_all(&t, small);
    gather_from(t.a, NUMBER, want, 1000);
    for (size_t i = 0; i < COUNT; i++) {
        const phi_message *m = peer_expect(t.r[i], PHI_KIND_REQUEST, t.r[i]->inbox[0].m.call, "?");
        EXPECT_EQ(m->ttl_ms, 1000);
        EXPECT(phi_bytes_equal(m->from, phi_bytes_text("a@d")));
        t.call[i] = m->call;
    }
    EXPECT_EQ(world_count(t.w).calls, 1);
    return t;
}

static void crowd_end(crowd *t)
{
    world_settle(t->w);
    EXPECT(peer_next(t->a) == NULL);
    for (size_t i = 0; i < COUNT; i++) {
        EXPECT(peer_next(t->r[i]) == NULL);
    }
    world_expect_no_calls(t->w);
    world_expect_balance(t->w);
    world_free(t->w);
}

// The next message to the caller is what one instance said, marked as a part.
static uint16_t expect_part(const crowd *t, phi_kind kind, const char *from)
{
    const phi_message *m = peer_next(t->a);
    assert_non_null(m);
    EXPECT_EQ(m->kind, kind);
    EXPECT_EQ(m->call, NUMBER);
    EXPECT_EQ(m->flags, PHI_FLAG_PART);
    EXPECT(m->turn != 0);
    EXPECT(phi_bytes_equal(m->from, phi_bytes_text(from)));
    return m->turn;
}

// And this is the end: so many, and who did not reply and why, as "id code" in that order.
static void expect_summary(peer *p, uint64_t number, uint16_t asked, uint16_t replied,
                           const char *missing)
{
    const phi_message *m = peer_next(p);
    assert_non_null(m);
    EXPECT_EQ(m->kind, PHI_KIND_REPLY);
    EXPECT_EQ(m->call, number);
    EXPECT_EQ(m->flags, 0);
    EXPECT_EQ(m->turn, 0);
    EXPECT(phi_bytes_equal(m->from, phi_bytes_text("@d")));
    phi_gathered g;
    EXPECT_ERR(phi_gathered_decode(m->body, &g), PH_OK);
    EXPECT_EQ(g.asked, asked);
    EXPECT_EQ(g.replied, replied);
    char text[512] = "";
    size_t size = 0;
    phi_reader r = phi_reader_of(g.missing);
    uint16_t code;
    phi_bytes id;
    while (phi_gathered_next(&r, &code, &id)) {
        size += (size_t)snprintf(text + size, sizeof text - size, "%s%.*s %u",
                                 size == 0 ? "" : ", ", (int)id.size, (const char *)id.data, code);
    }
    EXPECT_TEXT(text, missing);
}

// Every instance is asked, every reply is passed on at once and told apart from the others, and
// one reply of the center's ends it. [P-65]
TEST(gather, collects_all_replies)
{
    crowd t = crowd_begin(0);
    uint32_t seen = 0;
    for (size_t i = COUNT; i-- > 0;) {
        peer_reply(t.r[i], t.call[i], "mine");
        world_settle(t.w);
        uint16_t turn = expect_part(&t, PHI_KIND_REPLY, t.r[i]->id);
        EXPECT(turn < 32);
        EXPECT_EQ(seen & 1u << turn, 0);
        seen |= 1u << turn;
    }
    expect_summary(t.a, NUMBER, COUNT, COUNT, "");
    EXPECT_EQ(world_count(t.w).calls_replied_total, 1);
    EXPECT_EQ(world_count(t.w).gathers_total, 1);
    peer_reply(t.r[0], t.call[0], "late");
    world_settle(t.w);
    EXPECT_EQ(world_count(t.w).replies_stray_total, 1);
    crowd_end(&t);
}

// It ends as soon as enough have replied; failures do not count. Who is still at work is told to
// stop. [P-65]
TEST(gather, ends_when_enough_have_replied)
{
    crowd t = crowd_begin(2);
    peer_failure(t.r[0], t.call[0], 4711);
    peer_reply(t.r[1], t.call[1], "");
    world_settle(t.w);
    (void)expect_part(&t, PHI_KIND_FAILURE, "r0@d");
    (void)expect_part(&t, PHI_KIND_REPLY, "r1@d");
    EXPECT(peer_next(t.a) == NULL);
    peer_reply(t.r[2], t.call[2], "");
    world_settle(t.w);
    (void)expect_part(&t, PHI_KIND_REPLY, "r2@d");
    expect_summary(t.a, NUMBER, COUNT, 2, "r0@d 4711, r3@d 12, r4@d 12");
    peer_expect_cancel(t.r[3], t.call[3], PH_FAILURE_CANCELLED);
    peer_expect_cancel(t.r[4], t.call[4], PH_FAILURE_CANCELLED);
    crowd_end(&t);
}

// At the deadline the caller has what there is, as a reply, and who did not answer. [P-65]
TEST(gather, ends_at_its_deadline)
{
    crowd t = crowd_begin(0);
    peer_reply(t.r[1], t.call[1], "");
    world_settle(t.w);
    (void)expect_part(&t, PHI_KIND_REPLY, "r1@d");
    world_pass(t.w, 999);
    EXPECT(peer_next(t.a) == NULL);
    world_pass(t.w, 2);
    expect_summary(t.a, NUMBER, COUNT, 1, "r0@d 11, r2@d 11, r3@d 11, r4@d 11");
    for (size_t i = 0; i < COUNT; i++) {
        if (i != 1) {
            peer_expect_cancel(t.r[i], t.call[i], PH_FAILURE_DEADLINE);
        }
    }
    EXPECT_EQ(world_count(t.w).calls_replied_total, 1);
    crowd_end(&t);
}

// An instance that dies is not waited for. [P-65]
TEST(gather, does_not_wait_for_the_dead)
{
    crowd t = crowd_begin(0);
    for (size_t i = 0; i < COUNT; i++) {
        EXPECT(peer_next(t.a) == NULL);
        if (i % 2 == 0) {
            peer_cut(t.r[i]);
        } else {
            peer_leave(t.r[i]);
        }
        world_settle(t.w);
    }
    expect_summary(t.a, NUMBER, COUNT, 0, "r0@d 13, r1@d 13, r2@d 13, r3@d 13, r4@d 13");
    crowd_end(&t);
}

// Its caller may change its mind, or go: everybody is told to stop, once. [P-57]
TEST(gather, stops_with_its_caller)
{
    for (int is_gone = 0; is_gone <= 1; is_gone++) {
        crowd t = crowd_begin(0);
        peer_reply(t.r[4], t.call[4], "");
        world_settle(t.w);
        (void)expect_part(&t, PHI_KIND_REPLY, "r4@d");
        if (is_gone != 0) {
            peer_cut(t.a);
        } else {
            peer_cancel(t.a, NUMBER);
        }
        world_settle(t.w);
        for (size_t i = 0; i < COUNT - 1; i++) {
            peer_expect_cancel(t.r[i], t.call[i],
                               is_gone != 0 ? PH_FAILURE_CALLER_LOST : PH_FAILURE_CANCELLED);
        }
        if (is_gone == 0) {
            peer_expect_failure(t.a, NUMBER, PH_FAILURE_CANCELLED);
        }
        EXPECT_EQ(world_count(t.w).calls_cancelled_total, is_gone == 0);
        EXPECT_EQ(world_count(t.w).calls_abandoned_total, is_gone != 0);
        crowd_end(&t);
    }
}

// The sender is not asked, when it is an instance itself; nobody else of another service is. Alone,
// it is told that there is nobody. [P-65] [P-52]
TEST(gather, asks_the_others_only)
{
    world *w = world_new(NULL);
    peer *one = join_service(w, "one", "s");
    peer *stranger = join_service(w, "stranger", "t");
    gather_from(one, 1, 0, 0);
    peer_expect_failure(one, 1, PH_FAILURE_NO_READY_INSTANCE);
    peer *two = join_service(w, "two", "s");
    gather_from(one, 2, 0, 0);
    const phi_message *m = peer_next(two);
    assert_non_null(m);
    EXPECT(phi_bytes_equal(m->to, phi_bytes_text("all:s")));
    peer_reply(two, m->call, "");
    world_settle(w);
    EXPECT_EQ(peer_next(one)->flags, PHI_FLAG_PART);
    expect_summary(one, 2, 1, 1, "");
    EXPECT(peer_next(stranger) == NULL);
    EXPECT(peer_next(one) == NULL);
    world_expect_balance(w);
    world_free(w);
}

// Only who was asked may reply, for itself, and once. [P-56]
TEST(gather, only_who_was_asked_replies)
{
    crowd t = crowd_begin(0);
    peer_reply(t.other, t.call[0], "forged");
    peer_reply(t.r[1], t.call[0], "forged");
    peer_reply(t.a, t.call[0], "forged");
    peer_reply(t.r[0], NUMBER, "forged");
    world_settle(t.w);
    EXPECT(peer_next(t.a) == NULL);
    EXPECT_EQ(world_count(t.w).replies_stray_total, 4);
    peer_reply(t.r[0], t.call[0], "true");
    peer_reply(t.r[0], t.call[0], "twice");
    world_settle(t.w);
    (void)expect_part(&t, PHI_KIND_REPLY, "r0@d");
    EXPECT(peer_next(t.a) == NULL);
    EXPECT_EQ(world_count(t.w).replies_stray_total, 5);
    peer_cancel(t.a, NUMBER);
    world_settle(t.w);
    peer_expect_failure(t.a, NUMBER, PH_FAILURE_CANCELLED);
    for (size_t i = 1; i < COUNT; i++) {
        peer_expect_cancel(t.r[i], t.call[i], PH_FAILURE_CANCELLED);
    }
    crowd_end(&t);
}

// Several instances cannot ask their caller back at once; they are told so, and go on. One that
// asks without reading loses its part, and nothing else. [P-65]
TEST(gather, inquiries_are_unsupported)
{
    crowd t = crowd_begin(0);
    peer_inquire(t.r[0], t.call[0], 1, 0);
    world_settle(t.w);
    peer_expect_inquiry_failure(t.r[0], t.call[0], 1, PH_FAILURE_UNSUPPORTED);
    peer_fill_up(t.r[1], t.other);
    peer_inquire(t.r[1], t.call[1], 1, 0);
    world_settle(t.w);
    peer_drain(t.r[1]);
    peer_expect_cancel(t.r[1], t.call[1], PH_FAILURE_SLOW_CONSUMER);
    for (size_t i = 0; i < COUNT; i++) {
        peer_reply(t.r[i], t.call[i], "");
    }
    world_settle(t.w);
    for (size_t i = 0; i < COUNT; i++) {
        if (i != 1) {
            (void)expect_part(&t, PHI_KIND_REPLY, t.r[i]->id);
        }
    }
    expect_summary(t.a, NUMBER, COUNT, 4, "r1@d 10");
    crowd_end(&t);
}

// ---- full buffers and limits

// An instance that does not read is not waited for. [P-59]
TEST(gather, full_instance_is_missing)
{
    crowd t;
    join_all(&t, small);
    for (size_t i = 0; i < COUNT; i++) {
        peer_fill_up(t.r[i], t.other);
    }
    gather_from(t.a, NUMBER, 0, 0);
    expect_summary(t.a, NUMBER, COUNT, 0, "r0@d 10, r1@d 10, r2@d 10, r3@d 10, r4@d 10");
    for (size_t i = 0; i < COUNT; i++) {
        peer_drain(t.r[i]);
    }
    crowd_end(&t);
}

// A caller that does not read loses replies, but not the summary, which says so: it comes once, as
// soon as there is room. [P-59]
TEST(gather, summary_is_owed)
{
    crowd t = crowd_begin(0);
    peer_reply(t.r[0], t.call[0], "");
    world_settle(t.w);
    (void)expect_part(&t, PHI_KIND_REPLY, "r0@d");
    peer_fill_up(t.a, t.other);
    for (size_t i = 1; i < COUNT; i++) {
        peer_reply(t.r[i], t.call[i], "no room for this");
    }
    world_settle(t.w);
    world_pass(t.w, 2000); // past its time: nothing more happens to it
    EXPECT_EQ(world_count(t.w).calls, 1);
    peer_drain(t.a);
    expect_summary(t.a, NUMBER, COUNT, 1, "r1@d 10, r2@d 10, r3@d 10, r4@d 10");
    EXPECT_EQ(world_count(t.w).calls_replied_total, 1);
    crowd_end(&t);
}

// And who is gone is owed nothing; nor does a center that ends leave anything behind.
TEST(gather, owed_summary_is_forgiven)
{
    for (int is_center = 0; is_center <= 1; is_center++) {
        crowd t = crowd_begin(0);
        peer_fill_up(t.a, t.other);
        for (size_t i = 0; i < COUNT; i++) {
            peer_reply(t.r[i], t.call[i], "no room for this");
        }
        world_settle(t.w);
        EXPECT_EQ(world_call_slots(t.w), 1);
        if (is_center != 0) {
            world_free(t.w); // looks for what is left
            continue;
        }
        peer_cut(t.a);
        crowd_end(&t);
    }
    crowd t = crowd_begin(0); // in the middle of one
    world_free(t.w);
}

// Instances that do not read are still told that it is over. [P-57]
TEST(gather, cancels_are_owed)
{
    crowd t = crowd_begin(0);
    peer_fill_up(t.r[0], t.other);
    peer_cancel(t.a, NUMBER);
    world_settle(t.w);
    peer_expect_failure(t.a, NUMBER, PH_FAILURE_CANCELLED);
    EXPECT_EQ(world_count(t.w).calls, 0);
    EXPECT_EQ(world_call_slots(t.w), 1);
    peer_drain(t.r[0]);
    for (size_t i = 0; i < COUNT; i++) {
        peer_expect_cancel(t.r[i], t.call[i], PH_FAILURE_CANCELLED);
    }
    crowd_end(&t);
}

static void very_small(center_options *o)
{
    small(o);
    o->gather_max = COUNT - 1;
}

static void few_calls(center_options *o)
{
    small(o);
    o->calls_max = 4;
}

// One small packet asks for many: how many is bounded, for one gather, for all of a client, and for
// the center; and it counts as one call of the client. [P-65]
TEST(gather, limits_are_kept)
{
    crowd t;
    join_all(&t, very_small);
    gather_from(t.a, NUMBER, 0, 0);
    peer_expect_failure(t.a, NUMBER, PH_FAILURE_TOO_MANY_CALLS);
    crowd_end(&t);

    join_all(&t, small);
    for (uint64_t n = 1; n <= 5; n++) {
        gather_from(t.a, n, 0, 0);
    }
    peer_expect_failure(t.a, 5, PH_FAILURE_TOO_MANY_CALLS); // four calls a client
    EXPECT_EQ(world_count(t.w).calls, 4);
    EXPECT_EQ(world_call_slots(t.w), 4 * (1 + COUNT));
    world_free(t.w);

    join_all(&t, few_calls); // of which the gather takes one itself
    gather_from(t.a, NUMBER, 0, 1000);
    for (size_t i = 0; i < 3; i++) {
        peer_reply(t.r[i], peer_next(t.r[i])->call, "");
    }
    world_settle(t.w);
    for (size_t i = 0; i < 3; i++) {
        (void)expect_part(&t, PHI_KIND_REPLY, t.r[i]->id);
    }
    expect_summary(t.a, NUMBER, COUNT, 3, "r3@d 9, r4@d 9");
    crowd_end(&t);
}

static void many_calls(center_options *o)
{
    small(o);
    o->calls_per_client_max = 100;
}

// All gathers of one client together ask a bounded number: else one could take all calls of the
// center.
TEST(gather, one_client_cannot_take_all_calls)
{
    crowd t;
    join_all(&t, many_calls);
    for (uint64_t n = 1; n <= 17; n++) {
        gather_from(t.a, n, 0, 0);
    }
    peer_expect_failure(t.a, 17, PH_FAILURE_TOO_MANY_CALLS);
    EXPECT_EQ(world_count(t.w).calls, 16);
    world_free(t.w);
}

// Without memory for it a gather fails; no allocation may be missed.
TEST(gather, without_memory_fails)
{
    for (size_t n = 1; n <= 3; n++) {
        crowd t;
        join_all(&t, small);
        t.w->alloc.fail_at = t.w->alloc.takes + n;
        gather_from(t.a, NUMBER, 0, 100);
        world_pass(t.w, 101);
        const phi_message *m = peer_next(t.a);
        assert_non_null(m);
        EXPECT(m->kind == PHI_KIND_REPLY || m->kind == PHI_KIND_FAILURE);
        EXPECT(peer_next(t.a) == NULL);
        world_expect_no_calls(t.w);
        world_expect_balance(t.w);
        world_free(t.w);
    }
}

static void few_deliveries(center_options *o)
{
    small(o);
    o->deliveries_per_turn_max = 1;
}

// A flood of gathers is cut into turns like one of broadcasts, and what is sent behind one that
// waits does not overtake it; while it waits its time runs. [P-52] [P-55] [P-57]
TEST(gather, waits_for_its_share_of_a_turn)
{
    crowd t;
    join_all(&t, few_deliveries);
    for (uint64_t n = 1; n <= 3; n++) {
        peer_say(t.a, &(phi_message){ .kind = PHI_KIND_REQUEST,
                                      .call = n,
                                      .ttl_ms = 1000,
                                      .to = phi_bytes_text("all:s") });
    }
    peer_event(t.a, "r0", "behind");
    t.w->slow_us = 10000;
    world_turn(t.w); // what is left of this turn is one's, what the end of it gives the next one's
    EXPECT_EQ(t.r[0]->inbox_count, 2);
    EXPECT_EQ(world_count(t.w).calls, 3); // one of them waits
    world_settle(t.w);
    for (uint64_t n = 1; n <= 3; n++) {
        const phi_message *m = peer_next(t.r[0]);
        assert_non_null(m);
        EXPECT_EQ(m->kind, PHI_KIND_REQUEST);
        EXPECT_EQ(m->ttl_ms, n == 3 ? 1000 - 10 : 1000);
    }
    (void)peer_expect(t.r[0], PHI_KIND_EVENT, 0, "behind");
    EXPECT_EQ(world_count(t.w).gathers_total, 3);
    world_expect_balance(t.w);
    world_free(t.w);
}

// One that waits can come to its deadline, and its caller can go, before anybody is asked.
TEST(gather, ends_while_it_waits)
{
    for (int is_gone = 0; is_gone <= 1; is_gone++) {
        crowd t;
        join_all(&t, few_deliveries);
        for (uint64_t n = 1; n <= 3; n++) {
            peer_say(t.a, &(phi_message){ .kind = PHI_KIND_REQUEST,
                                          .call = n,
                                          .ttl_ms = n == 3 ? 5 : 1000,
                                          .to = phi_bytes_text("all:s") });
        }
        world_turn(t.w); // the third is a call, and waits
        EXPECT_EQ(world_count(t.w).calls, 3);
        if (is_gone != 0) {
            peer_cut(t.a);
        } else {
            t.w->io.now = phi_time_add(t.w->io.now, phi_ms(6));
        }
        world_settle(t.w);
        EXPECT_EQ(world_count(t.w).gathers_total, 2);
        EXPECT_EQ(world_count(t.w).calls_expired_total, is_gone == 0);
        EXPECT_EQ(world_count(t.w).calls_abandoned_total, is_gone != 0 ? 3 : 0);
        if (is_gone == 0) {
            peer_expect_failure(t.a, 3, PH_FAILURE_DEADLINE);
        }
        world_expect_balance(t.w);
        world_free(t.w);
    }
}
