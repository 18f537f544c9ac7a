// SPDX-License-Identifier: Apache-2.0
//
// center/inquiry_test.c - responders that ask their callers back, and every way in which that ends.

#include <posthouse/message.h>

#include "tests/center/world.h"
#include "tests/harness/test.h"

static void small(center_options *o)
{
    o->send_buffer_max = 131072;
    o->full_timeout = 3600000;
    o->heartbeat_idle = 3600000;
}

// A caller, a responder, and a call from one to the other.
typedef struct talk {
    world *w;
    peer *a;
    peer *r;
    peer *other;
    uint64_t call; // at the responder
} talk;

#define NUMBER 7u   // at the caller
#define OPEN_MAX 4u // inquiries of a call (P-62)

static talk talk_begin_at(uint8_t depth, uint32_t ttl_ms)
{
    talk t = { .w = world_new(small) };
    t.a = world_join(t.w, "a");
    t.r = world_join(t.w, "r");
    t.other = world_join(t.w, "other");
    peer_say(t.a, &(phi_message){ .kind = PHI_KIND_REQUEST,
                                  .call = NUMBER,
                                  .ttl_ms = ttl_ms,
                                  .depth = depth,
                                  .to = phi_bytes_text("r") });
    world_settle(t.w);
    const phi_message *m = peer_next(t.r);
    assert_non_null(m);
    EXPECT_EQ(m->depth, depth);
    t.call = m->call;
    return t;
}

static talk talk_begin(void)
{
    return talk_begin_at(0, 0);
}

// Nothing more has come to anybody, and all is counted.
static void talk_end(talk *t)
{
    world_settle(t->w);
    EXPECT(peer_next(t->a) == NULL);
    EXPECT(peer_next(t->r) == NULL);
    EXPECT_EQ(world_count(t->w).inquiries, 0);
    world_expect_no_calls(t->w);
    world_expect_balance(t->w);
    world_free(t->w);
}

// The responder asks, and the caller sees it.
static void ask(const talk *t, uint16_t turn)
{
    peer_inquire(t->r, t->call, turn, 0);
    world_settle(t->w);
    const phi_message *m = peer_expect(t->a, PHI_KIND_INQUIRY, NUMBER, "??");
    EXPECT_EQ(m->turn, turn);
}

static void expect_answer(const talk *t, uint16_t turn, const char *body)
{
    EXPECT_EQ(peer_expect(t->r, PHI_KIND_ANSWER, t->call, body)->turn, turn);
}

// The paper's figure 5: the responder asks its caller inside the call, is answered, and replies.
// Each end sees its own number, and whom it talks to. [P-62]
TEST(inquiry, is_answered_inside_the_call)
{
    talk t = talk_begin();
    peer_inquire(t.r, t.call, 3, 0);
    world_settle(t.w);
    const phi_message *m = peer_expect(t.a, PHI_KIND_INQUIRY, NUMBER, "??");
    EXPECT_EQ(m->turn, 3);
    EXPECT_EQ(m->depth, 1);
    EXPECT(phi_bytes_equal(m->from, phi_bytes_text("r@d")));
    EXPECT(phi_bytes_equal(m->method, phi_bytes_text("asked back")));
    EXPECT_EQ(world_count(t.w).inquiries, 1);
    peer_answer(t.a, NUMBER, 3, "yes");
    world_settle(t.w);
    m = peer_expect(t.r, PHI_KIND_ANSWER, t.call, "yes");
    EXPECT_EQ(m->turn, 3);
    EXPECT(phi_bytes_equal(m->from, phi_bytes_text("a@d")));
    EXPECT_EQ(world_count(t.w).calls, 1);
    peer_reply(t.r, t.call, "done");
    world_settle(t.w);
    (void)peer_expect(t.a, PHI_KIND_REPLY, NUMBER, "done");
    EXPECT_EQ(world_count(t.w).inquiries_answered_total, 1);
    EXPECT_EQ(world_count(t.w).calls_replied_total, 1);
    talk_end(&t);
}

// Several may be open, and are answered in any order; a fifth fails, until one of the others is
// over. [P-62]
TEST(inquiry, four_are_open_and_a_fifth_fails)
{
    talk t = talk_begin();
    for (uint16_t turn = 1; turn <= OPEN_MAX; turn++) {
        ask(&t, (uint16_t)(turn * 1000));
    }
    peer_inquire(t.r, t.call, 5000, 0);
    world_settle(t.w);
    peer_expect_inquiry_failure(t.r, t.call, 5000, PH_FAILURE_TOO_MANY_CALLS);
    peer_answer(t.a, NUMBER, 3000, "3");
    peer_answer(t.a, NUMBER, 1000, "1");
    world_settle(t.w);
    expect_answer(&t, 3000, "3");
    expect_answer(&t, 1000, "1");
    ask(&t, 5000);
    ask(&t, 1000); // free again
    peer_answer(t.a, NUMBER, 5000, "5");
    peer_answer(t.a, NUMBER, 1000, "1 again");
    world_settle(t.w);
    expect_answer(&t, 5000, "5");
    expect_answer(&t, 1000, "1 again");
    peer_reply(t.r, t.call, "done"); // two are still open: they end with it
    world_settle(t.w);
    (void)peer_expect(t.a, PHI_KIND_REPLY, NUMBER, "done");
    EXPECT_EQ(world_count(t.w).inquiries_answered_total, 4);
    EXPECT_EQ(world_count(t.w).inquiries_ended_total, 2);
    EXPECT_EQ(world_count(t.w).inquiries_refused_total, 1);
    peer_answer(t.a, NUMBER, 2000, "late");
    world_settle(t.w);
    EXPECT_EQ(world_count(t.w).replies_stray_total, 1);
    talk_end(&t);
}

// A turn in use would make one answer another's. [P-62]
TEST(inquiry, turn_in_use_is_malformed)
{
    talk t = talk_begin();
    ask(&t, 1);
    peer_inquire(t.r, t.call, 1, 0);
    world_settle(t.w);
    peer_expect_inquiry_failure(t.r, t.call, 1, PH_FAILURE_MALFORMED);
    peer_answer(t.a, NUMBER, 1, "to the first");
    world_settle(t.w);
    expect_answer(&t, 1, "to the first");
    peer_reply(t.r, t.call, "");
    world_settle(t.w);
    (void)peer_expect(t.a, PHI_KIND_REPLY, NUMBER, "");
    talk_end(&t);
}

// Dialogs nest four deep: who asks in the fourth is told so, instead of the whole domain asking
// each other round and round. The depth is the center's to write. [P-63]
TEST(inquiry, fifth_depth_is_too_deep)
{
    for (uint8_t depth = 0; depth <= PHI_DEPTH_MAX; depth++) {
        talk t = talk_begin_at(depth, 0);
        peer_say(t.r, &(phi_message){ .kind = PHI_KIND_INQUIRY,
                                      .turn = 1,
                                      .call = t.call,
                                      .depth = (uint8_t)(PHI_DEPTH_MAX - depth) }); // a lie
        world_settle(t.w);
        if (depth < PHI_DEPTH_MAX) {
            EXPECT_EQ(peer_expect(t.a, PHI_KIND_INQUIRY, NUMBER, "")->depth, depth + 1);
        } else {
            peer_expect_inquiry_failure(t.r, t.call, 1, PH_FAILURE_TOO_DEEP);
        }
        peer_reply(t.r, t.call, "");
        world_settle(t.w);
        (void)peer_expect(t.a, PHI_KIND_REPLY, NUMBER, "");
        talk_end(&t);
    }
}

// There is one deadline over the whole dialog: an inquiry is told what is left of it. [P-62]
TEST(inquiry, time_is_what_is_left_of_the_call)
{
    static const struct {
        uint32_t sent;
        uint32_t seen;
    } cases[] = { { 0, 600 }, { 100, 100 }, { 600, 600 }, { 601, 600 }, { UINT32_MAX, 600 } };
    for (size_t i = 0; i < PHI_COUNT_OF(cases); i++) {
        talk t = talk_begin_at(0, 1000);
        world_pass(t.w, 400);
        peer_inquire(t.r, t.call, 1, cases[i].sent);
        world_settle(t.w);
        EXPECT_EQ(peer_expect(t.a, PHI_KIND_INQUIRY, NUMBER, "??")->ttl_ms, cases[i].seen);
        world_pass(t.w, 601); // the inquiry's own end is the responder's business
        peer_expect_failure(t.a, NUMBER, PH_FAILURE_DEADLINE);
        peer_expect_cancel(t.r, t.call, PH_FAILURE_DEADLINE);
        talk_end(&t);
    }
}

// A caller may refuse, or not know how to answer: the responder gets its code, and goes on. [P-62]
TEST(inquiry, failure_of_the_caller_reaches_the_responder)
{
    static const uint16_t codes[] = { PH_FAILURE_NO_HANDLER, 4711 };
    for (size_t i = 0; i < PHI_COUNT_OF(codes); i++) {
        talk t = talk_begin();
        ask(&t, 9);
        peer_fail_inquiry(t.a, NUMBER, 9, codes[i]);
        world_settle(t.w);
        peer_expect_inquiry_failure(t.r, t.call, 9, codes[i]);
        EXPECT_EQ(world_count(t.w).inquiries_failed_total, 1);
        EXPECT_EQ(world_count(t.w).calls, 1);
        peer_reply(t.r, t.call, "without it");
        world_settle(t.w);
        (void)peer_expect(t.a, PHI_KIND_REPLY, NUMBER, "without it");
        talk_end(&t);
    }
}

// Only the caller may answer: not a third client, not the responder itself, not under another turn,
// and nobody twice. [P-62]
TEST(inquiry, only_the_caller_answers_and_once)
{
    talk t = talk_begin();
    ask(&t, 1);
    peer_answer(t.other, NUMBER, 1, "forged");
    peer_answer(t.other, t.call, 1, "forged");
    peer_answer(t.r, t.call, 1, "forged");
    peer_fail_inquiry(t.r, t.call, 1, 1000);
    peer_answer(t.a, NUMBER, 2, "to nothing");
    peer_answer(t.a, t.call, 1, "not its number");
    world_settle(t.w);
    EXPECT(peer_next(t.r) == NULL);
    EXPECT_EQ(world_count(t.w).replies_stray_total, 6);
    peer_answer(t.a, NUMBER, 1, "true");
    peer_answer(t.a, NUMBER, 1, "twice");
    peer_fail_inquiry(t.a, NUMBER, 1, 1000);
    world_settle(t.w);
    expect_answer(&t, 1, "true");
    EXPECT(peer_next(t.r) == NULL);
    EXPECT_EQ(world_count(t.w).replies_stray_total, 8);
    peer_reply(t.r, t.call, "");
    world_settle(t.w);
    (void)peer_expect(t.a, PHI_KIND_REPLY, NUMBER, "");
    talk_end(&t);
}

// Only the responder may ask: not a third client, not the caller; and not in a call that is over.
// [P-62]
TEST(inquiry, only_the_responder_asks)
{
    talk t = talk_begin();
    peer_inquire(t.other, t.call, 1, 0);
    peer_inquire(t.a, t.call, 1, 0);
    peer_inquire(t.a, NUMBER, 1, 0);
    peer_inquire(t.r, t.call + (UINT64_C(1) << 32), 1, 0);
    world_settle(t.w);
    EXPECT(peer_next(t.a) == NULL);
    EXPECT(peer_next(t.other) == NULL);
    peer_reply(t.r, t.call, "");
    peer_inquire(t.r, t.call, 1, 0);
    world_settle(t.w);
    (void)peer_expect(t.a, PHI_KIND_REPLY, NUMBER, "");
    EXPECT_EQ(world_count(t.w).messages_dropped_total, 5);
    EXPECT_EQ(world_count(t.w).inquiries_total, 0);
    talk_end(&t);
}

// However a call ends, its inquiries end with it, and the responder is told by one cancel that says
// why; what the caller answers then is nobody's. [P-57] [P-62]
TEST(inquiry, ends_with_its_call)
{
    static const uint16_t reasons[] = { PH_FAILURE_CANCELLED, PH_FAILURE_DEADLINE,
                                        PH_FAILURE_CALLER_LOST };
    for (size_t i = 0; i < PHI_COUNT_OF(reasons); i++) {
        talk t = talk_begin_at(0, 500);
        ask(&t, 1);
        ask(&t, 2);
        if (reasons[i] == PH_FAILURE_CANCELLED) {
            peer_cancel(t.a, NUMBER);
        } else if (reasons[i] == PH_FAILURE_DEADLINE) {
            world_pass(t.w, 501);
        } else {
            peer_cut(t.a);
        }
        world_settle(t.w);
        peer_expect_cancel(t.r, t.call, reasons[i]);
        EXPECT_EQ(world_count(t.w).inquiries_ended_total, 2);
        if (reasons[i] != PH_FAILURE_CALLER_LOST) {
            peer_expect_failure(t.a, NUMBER, reasons[i]);
            peer_answer(t.a, NUMBER, 1, "late");
            world_settle(t.w);
            EXPECT_EQ(world_count(t.w).replies_stray_total, 1);
        }
        peer_inquire(t.r, t.call, 3, 0); // had not heard of it yet
        talk_end(&t);
    }
}

// A responder that dies while it waits for an answer: the caller learns it at once, and need not
// answer any more. [P-57]
TEST(inquiry, responder_lost_ends_it)
{
    talk t = talk_begin();
    ask(&t, 1);
    peer_cut(t.r);
    world_turn(t.w);
    peer_expect_failure(t.a, NUMBER, PH_FAILURE_RESPONDER_LOST);
    peer_answer(t.a, NUMBER, 1, "late");
    world_settle(t.w);
    EXPECT_EQ(world_count(t.w).replies_stray_total, 1);
    EXPECT_EQ(world_count(t.w).inquiries_ended_total, 1);
    talk_end(&t);
}

// One may ask oneself back, too.
TEST(inquiry, in_a_call_to_oneself)
{
    world *w = world_new(NULL);
    peer *a = world_join(w, "a");
    uint64_t at_responder = peer_call(a, a, "a", 5);
    peer_inquire(a, at_responder, 1, 0);
    world_settle(w);
    (void)peer_expect(a, PHI_KIND_INQUIRY, 5, "??");
    peer_answer(a, 5, 1, "me");
    world_settle(w);
    (void)peer_expect(a, PHI_KIND_ANSWER, at_responder, "me");
    peer_inquire(a, at_responder, 2, 0);
    peer_cut(a);
    world_settle(w);
    world_expect_no_calls(w);
    world_expect_balance(w);
    world_free(w);
}

// ---- full buffers

// A caller that does not read is no reason to wait for it: the responder is told at once. [P-59]
TEST(inquiry, to_a_full_caller_fails)
{
    talk t = talk_begin();
    peer_fill_up(t.a, t.other);
    peer_inquire(t.r, t.call, 1, 0);
    world_settle(t.w);
    peer_expect_inquiry_failure(t.r, t.call, 1, PH_FAILURE_SLOW_CONSUMER);
    peer_drain(t.a);
    EXPECT(peer_next(t.a) == NULL);
    ask(&t, 1); // and it works again
    peer_reply(t.r, t.call, "");
    world_settle(t.w);
    (void)peer_expect(t.a, PHI_KIND_REPLY, NUMBER, "");
    talk_end(&t);
}

// An answer for which the responder has no room is lost; that it is, the responder must learn, as
// soon as it has room and just once; and until then nobody may answer in its place. [P-59]
TEST(inquiry, answer_to_full_buffer_is_owed)
{
    talk t = talk_begin();
    ask(&t, 1);
    ask(&t, 2);
    ask(&t, 3);
    peer_fill_up(t.r, t.other);
    peer_answer(t.a, NUMBER, 1, "no room for this");
    peer_fail_inquiry(t.a, NUMBER, 2, 1000);
    peer_answer(t.a, NUMBER, 1, "again");
    world_settle(t.w);
    EXPECT_EQ(world_count(t.w).replies_stray_total, 1);
    EXPECT_EQ(world_count(t.w).inquiries, 3);
    peer_drain(t.r);
    peer_expect_inquiry_failure(t.r, t.call, 1, PH_FAILURE_SLOW_CONSUMER);
    peer_expect_inquiry_failure(t.r, t.call, 2, PH_FAILURE_SLOW_CONSUMER);
    EXPECT(peer_next(t.r) == NULL);
    EXPECT_EQ(world_count(t.w).inquiries, 1);
    peer_answer(t.a, NUMBER, 3, "now");
    world_settle(t.w);
    expect_answer(&t, 3, "now");
    peer_reply(t.r, t.call, "");
    world_settle(t.w);
    (void)peer_expect(t.a, PHI_KIND_REPLY, NUMBER, "");
    talk_end(&t);
}

// Who asks with a turn that is in use, and does not read, is owed the refusal under that turn; the
// inquiry that has it must still be found and end. [P-59] [P-62]
TEST(inquiry, refusal_that_is_owed_hides_no_other)
{
    talk t = talk_begin();
    ask(&t, 1);
    ask(&t, 2);
    peer_answer(t.a, NUMBER, 1, "frees its place");
    world_settle(t.w);
    expect_answer(&t, 1, "frees its place");
    peer_fill_up(t.r, t.other);
    peer_inquire(t.r, t.call, 2, 0);
    world_settle(t.w);
    EXPECT_EQ(world_count(t.w).inquiries, 2);
    peer_answer(t.a, NUMBER, 2, "no room for this");
    world_settle(t.w);
    EXPECT_EQ(world_count(t.w).replies_stray_total, 0);
    peer_drain(t.r);
    peer_expect_inquiry_failure(t.r, t.call, 2, PH_FAILURE_MALFORMED);
    peer_expect_inquiry_failure(t.r, t.call, 2, PH_FAILURE_SLOW_CONSUMER);
    EXPECT_EQ(world_count(t.w).inquiries, 0);
    peer_reply(t.r, t.call, "");
    world_settle(t.w);
    (void)peer_expect(t.a, PHI_KIND_REPLY, NUMBER, "");
    talk_end(&t);
}

// What is owed for an inquiry is forgotten when the call ends: the cancel says it all. [P-62]
TEST(inquiry, what_is_owed_ends_with_the_call)
{
    talk t = talk_begin_at(PHI_DEPTH_MAX, 500);
    peer_fill_up(t.r, t.other);
    peer_inquire(t.r, t.call, 1, 0); // too deep
    world_settle(t.w);
    EXPECT_EQ(world_count(t.w).inquiries, 1);
    world_pass(t.w, 501);
    peer_expect_failure(t.a, NUMBER, PH_FAILURE_DEADLINE);
    EXPECT_EQ(world_count(t.w).inquiries, 0);
    peer_drain(t.r);
    peer_expect_cancel(t.r, t.call, PH_FAILURE_DEADLINE);
    talk_end(&t);
}

// A responder that asks on and on without reading costs its call, and both ends are told; nothing
// else. [P-62]
TEST(inquiry, flood_without_reading_breaks_the_call)
{
    talk t = talk_begin_at(PHI_DEPTH_MAX, 0);
    peer_fill_up(t.r, t.other);
    for (uint16_t turn = 1; turn <= OPEN_MAX; turn++) {
        peer_inquire(t.r, t.call, turn, 0);
    }
    world_settle(t.w);
    EXPECT_EQ(world_count(t.w).inquiries, OPEN_MAX);
    peer_inquire(t.r, t.call, 100, 0);
    world_settle(t.w);
    peer_expect_failure(t.a, NUMBER, PH_FAILURE_SLOW_CONSUMER);
    EXPECT_EQ(world_count(t.w).calls_failed_total, 1);
    peer_drain(t.r);
    peer_expect_cancel(t.r, t.call, PH_FAILURE_SLOW_CONSUMER);
    EXPECT(!t.r->is_ended);
    talk_end(&t);
}

// Without memory for a dialog an inquiry fails, and the call goes on.
TEST(inquiry, without_memory_fails)
{
    talk t = talk_begin();
    t.w->alloc.fail_at = t.w->alloc.takes + 1;
    peer_inquire(t.r, t.call, 1, 0);
    world_settle(t.w);
    peer_expect_inquiry_failure(t.r, t.call, 1, PH_FAILURE_TOO_MANY_CALLS);
    ask(&t, 1);
    peer_reply(t.r, t.call, "");
    world_settle(t.w);
    (void)peer_expect(t.a, PHI_KIND_REPLY, NUMBER, "");
    talk_end(&t);
}
