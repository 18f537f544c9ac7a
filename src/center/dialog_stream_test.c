// SPDX-License-Identifier: Apache-2.0
//
// center/dialog_stream_test.c - inquiries, answers and parts of a gather that come in fragments:
// they begin with the first and end with the last, and one that is given up on the way is still
// answered. [P-62] [P-65] [P-66]

#include <posthouse/message.h>

#include "tests/center/world.h"
#include "tests/harness/test.h"
#include "wire/stream.h"

enum {
    FIRST = 20000, // bytes of body in a first fragment
    REST = 16384,
    LIMIT = 1048576,
    NUMBER = 7, // of the call, at its caller
    TURN = 3,
};

static uint8_t filler[FIRST];

static void few(center_options *o)
{
    o->streams_per_client_max = 1;
    o->message_max = LIMIT;
    o->heartbeat_idle = 3600000;
}

// A caller and its responder, with a call between them.
typedef struct talk {
    world *w;
    peer *a;
    peer *r;
    uint64_t call; // at the responder
} talk;

static peer *join(world *w, const char *account, uint32_t message_bytes_max)
{
    return world_join_as(w, &(phi_join){ .account = phi_bytes_text(account),
                                         .service = phi_bytes_text(*account == 'r' ? "s" : ""),
                                         .message_bytes_max = message_bytes_max });
}

static talk talk_begin(uint32_t bytes_max_of_caller)
{
    talk t = { .w = world_new(few) };
    t.a = join(t.w, "a", bytes_max_of_caller);
    t.r = join(t.w, "r", LIMIT);
    t.call = peer_call(t.a, t.r, "r", NUMBER);
    return t;
}

static void talk_end(talk *t)
{
    world_settle(t->w);
    EXPECT(peer_next(t->a) == NULL);
    EXPECT(peer_next(t->r) == NULL);
    EXPECT_EQ(world_count(t->w).streams, 0);
    world_expect_no_calls(t->w);
    world_expect_balance(t->w);
    world_free(t->w);
}

static void say(peer *p, phi_kind kind, uint8_t flags, uint64_t call, uint16_t turn, size_t size)
{
    peer_say(p, &(phi_message){ .kind = (uint8_t)kind,
                                .flags = flags,
                                .turn = turn,
                                .call = call,
                                .body = phi_bytes_of(filler, size) });
    world_settle(p->w);
}

static void say_first(peer *p, phi_kind kind, uint64_t call, uint16_t turn)
{
    say(p, kind, PHI_FLAG_MORE, call, turn, FIRST);
}

static void control(peer *p, phi_stream_op op, phi_kind kind, uint64_t call, uint16_t turn,
                    uint32_t value)
{
    peer_control(
        p,
        &(phi_stream_control){
            .op = (uint8_t)op, .kind = (uint8_t)kind, .turn = turn, .call = call, .value = value });
    world_settle(p->w);
}

static const phi_message *expect_fragment(peer *p, phi_kind kind, uint8_t flags, uint64_t call,
                                          size_t size)
{
    const phi_message *m = peer_expect_fragment(p, kind, flags, size);
    EXPECT_EQ(m->call, call);
    return m;
}

static void expect_control(peer *p, phi_stream_op op, uint64_t call, uint16_t turn, uint32_t value)
{
    EXPECT_EQ(peer_expect_control(p, op, call, value).turn, turn);
}

static void finish(talk *t)
{
    peer_reply(t->r, t->call, "done");
    world_settle(t->w);
    (void)peer_expect(t->a, PHI_KIND_REPLY, NUMBER, "done");
}

// The inquiry has come to its caller, whole.
static void ask(talk *t)
{
    peer_inquire(t->r, t->call, TURN, 0);
    world_settle(t->w);
    (void)peer_expect(t->a, PHI_KIND_INQUIRY, NUMBER, "??");
}

// The inquiry is open from its first fragment on, and until the last of its answer: nobody may
// answer it a second time between.
TEST(dialog_stream, inquiry_and_answer_in_fragments)
{
    talk t = talk_begin(LIMIT);
    say_first(t.r, PHI_KIND_INQUIRY, t.call, TURN);
    const phi_message *m = expect_fragment(t.a, PHI_KIND_INQUIRY, PHI_FLAG_MORE, NUMBER, FIRST);
    EXPECT_EQ(m->turn, TURN);
    EXPECT_EQ(m->depth, 1);
    EXPECT_EQ(world_count(t.w).inquiries, 1);
    control(t.a, PHI_STREAM_CREDIT, PHI_KIND_INQUIRY, NUMBER, TURN, REST);
    expect_control(t.r, PHI_STREAM_CREDIT, t.call, TURN, REST);
    say(t.r, PHI_KIND_INQUIRY, PHI_FLAG_REST, t.call, TURN, REST);
    m = expect_fragment(t.a, PHI_KIND_INQUIRY, PHI_FLAG_REST, NUMBER, REST);
    EXPECT_EQ(m->turn, TURN);

    say_first(t.a, PHI_KIND_ANSWER, NUMBER, TURN);
    m = expect_fragment(t.r, PHI_KIND_ANSWER, PHI_FLAG_MORE, t.call, FIRST);
    EXPECT_EQ(m->turn, TURN);
    peer_answer(t.a, NUMBER, TURN, "twice");
    peer_fail_inquiry(t.a, NUMBER, TURN, 1000);
    world_settle(t.w);
    EXPECT_EQ(world_count(t.w).replies_stray_total, 2);
    EXPECT_EQ(world_count(t.w).inquiries, 1);
    control(t.r, PHI_STREAM_CREDIT, PHI_KIND_ANSWER, t.call, TURN, REST);
    expect_control(t.a, PHI_STREAM_CREDIT, NUMBER, TURN, REST);
    say(t.a, PHI_KIND_ANSWER, PHI_FLAG_REST, NUMBER, TURN, REST);
    (void)expect_fragment(t.r, PHI_KIND_ANSWER, PHI_FLAG_REST, t.call, REST);
    EXPECT_EQ(world_count(t.w).inquiries, 0);
    EXPECT_EQ(world_count(t.w).inquiries_answered_total, 1);
    finish(&t);
    talk_end(&t);
}

// A caller may know what to say before the whole of a long inquiry is there. Then the rest is of no
// use, and its turn is free: what is left under way must neither keep that taken nor fail the next
// inquiry of the same turn. [P-62]
TEST(dialog_stream, inquiry_answered_before_it_is_whole)
{
    talk t = talk_begin(LIMIT);
    say_first(t.r, PHI_KIND_INQUIRY, t.call, TURN);
    (void)expect_fragment(t.a, PHI_KIND_INQUIRY, PHI_FLAG_MORE, NUMBER, FIRST);
    peer_answer(t.a, NUMBER, TURN, "enough");
    world_settle(t.w);
    (void)peer_expect(t.r, PHI_KIND_ANSWER, t.call, "enough");
    EXPECT_EQ(world_count(t.w).streams, 0);
    control(t.a, PHI_STREAM_CREDIT, PHI_KIND_INQUIRY, NUMBER, TURN, REST); // too late
    say(t.r, PHI_KIND_INQUIRY, PHI_FLAG_REST, t.call, TURN, REST);         // too
    EXPECT_EQ(world_count(t.w).fragments_dropped_total, 1);
    say_first(t.r, PHI_KIND_INQUIRY, t.call, TURN);
    (void)expect_fragment(t.a, PHI_KIND_INQUIRY, PHI_FLAG_MORE, NUMBER, FIRST);
    peer_fail_inquiry(t.a, NUMBER, TURN, 1000);
    world_settle(t.w);
    peer_expect_inquiry_failure(t.r, t.call, TURN, 1000);
    EXPECT_EQ(world_count(t.w).streams, 0);
    EXPECT_EQ(world_count(t.w).inquiries_answered_total, 1);
    EXPECT_EQ(world_count(t.w).inquiries_failed_total, 1);
    finish(&t);
    talk_end(&t);
}

// A second answer to the same inquiry, in fragments like the first, is refused. It must not end the
// inquiry: the first one does that, and would find none. [P-66]
TEST(dialog_stream, answer_begins_once)
{
    talk t = talk_begin(LIMIT);
    ask(&t);
    say_first(t.a, PHI_KIND_ANSWER, NUMBER, TURN);
    (void)expect_fragment(t.r, PHI_KIND_ANSWER, PHI_FLAG_MORE, t.call, FIRST);
    control(t.r, PHI_STREAM_CREDIT, PHI_KIND_ANSWER, t.call, TURN, REST);
    expect_control(t.a, PHI_STREAM_CREDIT, NUMBER, TURN, REST);
    say_first(t.a, PHI_KIND_ANSWER, NUMBER, TURN);
    expect_control(t.a, PHI_STREAM_REFUSE, NUMBER, TURN, PH_FAILURE_MALFORMED);
    EXPECT_EQ(world_count(t.w).inquiries, 1);
    say(t.a, PHI_KIND_ANSWER, PHI_FLAG_REST, NUMBER, TURN, REST);
    (void)expect_fragment(t.r, PHI_KIND_ANSWER, PHI_FLAG_REST, t.call, REST);
    EXPECT_EQ(world_count(t.w).inquiries, 0);
    EXPECT_EQ(world_count(t.w).inquiries_answered_total, 1);
    finish(&t);
    talk_end(&t);
}

// An answer that is given up on the way, by whichever end, is replaced by a failure: the responder
// is not left waiting.
TEST(dialog_stream, answer_given_up_fails_the_inquiry)
{
    for (int by_receiver = 0; by_receiver <= 1; by_receiver++) {
        talk t = talk_begin(LIMIT);
        ask(&t);
        say_first(t.a, PHI_KIND_ANSWER, NUMBER, TURN);
        (void)expect_fragment(t.r, PHI_KIND_ANSWER, PHI_FLAG_MORE, t.call, FIRST);
        control(by_receiver != 0 ? t.r : t.a,
                by_receiver != 0 ? PHI_STREAM_REFUSE : PHI_STREAM_ABORT, PHI_KIND_ANSWER,
                by_receiver != 0 ? t.call : NUMBER, TURN, PH_FAILURE_TOO_LARGE);
        peer_expect_inquiry_failure(t.r, t.call, TURN, PH_FAILURE_TOO_LARGE);
        EXPECT_EQ(world_count(t.w).inquiries, 0);
        EXPECT_EQ(world_count(t.w).inquiries_refused_total, 1);
        finish(&t);
        talk_end(&t);
    }
}

// The same for an inquiry that is given up on its way to the caller.
TEST(dialog_stream, inquiry_given_up_fails)
{
    for (int by_receiver = 0; by_receiver <= 1; by_receiver++) {
        talk t = talk_begin(LIMIT);
        say_first(t.r, PHI_KIND_INQUIRY, t.call, TURN);
        (void)expect_fragment(t.a, PHI_KIND_INQUIRY, PHI_FLAG_MORE, NUMBER, FIRST);
        control(by_receiver != 0 ? t.a : t.r,
                by_receiver != 0 ? PHI_STREAM_REFUSE : PHI_STREAM_ABORT, PHI_KIND_INQUIRY,
                by_receiver != 0 ? NUMBER : t.call, TURN, PH_FAILURE_TOO_LARGE);
        peer_expect_inquiry_failure(t.r, t.call, TURN, PH_FAILURE_TOO_LARGE);
        EXPECT_EQ(world_count(t.w).inquiries, 0);
        peer_answer(t.a, NUMBER, TURN, "to half of it");
        world_settle(t.w);
        EXPECT_EQ(world_count(t.w).replies_stray_total, 1);
        finish(&t);
        talk_end(&t);
    }
}

// One that is not let in at all fails at once: to a caller that takes no fragments, or when the
// responder has as many under way as it may.
TEST(dialog_stream, inquiry_not_let_in_fails)
{
    talk t = talk_begin(0);
    say_first(t.r, PHI_KIND_INQUIRY, t.call, TURN);
    peer_expect_inquiry_failure(t.r, t.call, TURN, PH_FAILURE_TOO_LARGE);
    finish(&t);
    talk_end(&t);

    t = talk_begin(LIMIT);
    say_first(t.r, PHI_KIND_INQUIRY, t.call, TURN);
    (void)expect_fragment(t.a, PHI_KIND_INQUIRY, PHI_FLAG_MORE, NUMBER, FIRST);
    say_first(t.r, PHI_KIND_INQUIRY, t.call, TURN + 1);
    peer_expect_inquiry_failure(t.r, t.call, TURN + 1, PH_FAILURE_TOO_MANY_CALLS);
    EXPECT_EQ(world_count(t.w).inquiries, 1); // the first goes on
    finish(&t);
    talk_end(&t);
}

// With the call all of it ends, without another word about the fragments.
TEST(dialog_stream, ends_with_its_call)
{
    for (int is_answering = 0; is_answering <= 1; is_answering++) {
        talk t = talk_begin(LIMIT);
        if (is_answering != 0) {
            ask(&t);
            say_first(t.a, PHI_KIND_ANSWER, NUMBER, TURN);
            (void)peer_next(t.r);
        } else {
            say_first(t.r, PHI_KIND_INQUIRY, t.call, TURN);
            (void)peer_next(t.a);
        }
        EXPECT_EQ(world_count(t.w).streams, 1);
        peer_cancel(t.a, NUMBER);
        world_settle(t.w);
        peer_expect_failure(t.a, NUMBER, PH_FAILURE_CANCELLED);
        peer_expect_cancel(t.r, t.call, PH_FAILURE_CANCELLED);
        say(is_answering != 0 ? t.a : t.r, is_answering != 0 ? PHI_KIND_ANSWER : PHI_KIND_INQUIRY,
            PHI_FLAG_REST, is_answering != 0 ? NUMBER : t.call, TURN, 10);
        EXPECT_EQ(world_count(t.w).fragments_dropped_total, 1);
        EXPECT_EQ(world_count(t.w).inquiries_ended_total, 1);
        talk_end(&t);
    }
}

// ---- gathers

static void expect_summary(peer *p, uint16_t asked, uint16_t replied, uint16_t missing_code)
{
    const phi_message *m = peer_next(p);
    assert_non_null(m);
    EXPECT_EQ(m->kind, PHI_KIND_REPLY);
    EXPECT_EQ(m->flags, 0);
    phi_gathered g;
    EXPECT_ERR(phi_gathered_decode(m->body, &g), PH_OK);
    EXPECT_EQ(g.asked, asked);
    EXPECT_EQ(g.replied, replied);
    phi_reader r = phi_reader_of(g.missing);
    uint16_t code = 0;
    phi_bytes id;
    EXPECT_EQ(phi_gathered_next(&r, &code, &id), missing_code != 0);
    EXPECT_EQ(code, missing_code);
}

static void gather(talk *t)
{
    t->w = world_new(few);
    t->a = join(t->w, "a", LIMIT);
    t->r = join(t->w, "r", LIMIT);
    t->call = peer_call(t->a, t->r, "all:s", NUMBER);
}

// A part in fragments is marked in each of them, and counts with the last.
TEST(dialog_stream, part_of_a_gather_in_fragments)
{
    talk t;
    gather(&t);
    say_first(t.r, PHI_KIND_REPLY, t.call, 0);
    const phi_message *m =
        expect_fragment(t.a, PHI_KIND_REPLY, PHI_FLAG_MORE | PHI_FLAG_PART, NUMBER, FIRST);
    uint16_t turn = m->turn;
    EXPECT(turn != 0);
    EXPECT(peer_next(t.a) == NULL);
    control(t.a, PHI_STREAM_CREDIT, PHI_KIND_REPLY, NUMBER, turn, REST);
    expect_control(t.r, PHI_STREAM_CREDIT, t.call, 0, REST);
    say(t.r, PHI_KIND_REPLY, PHI_FLAG_REST, t.call, 0, REST);
    m = expect_fragment(t.a, PHI_KIND_REPLY, PHI_FLAG_REST | PHI_FLAG_PART, NUMBER, REST);
    EXPECT_EQ(m->turn, turn);
    expect_summary(t.a, 1, 1, 0);
    talk_end(&t);
}

// One that is given up is missing, with the reason.
TEST(dialog_stream, part_given_up_is_missing)
{
    talk t;
    gather(&t);
    say_first(t.r, PHI_KIND_REPLY, t.call, 0);
    uint16_t turn = peer_next(t.a)->turn;
    control(t.a, PHI_STREAM_REFUSE, PHI_KIND_REPLY, NUMBER, turn, PH_FAILURE_TOO_LARGE);
    expect_summary(t.a, 1, 0, PH_FAILURE_TOO_LARGE);
    talk_end(&t);
}

// A request to all of a service is not cut. [P-66]
TEST(dialog_stream, gather_in_fragments_is_unsupported)
{
    world *w = world_new(few);
    peer *a = join(w, "a", LIMIT);
    peer *r = join(w, "r", LIMIT);
    peer_say(a, &(phi_message){ .kind = PHI_KIND_REQUEST,
                                .flags = PHI_FLAG_MORE,
                                .call = NUMBER,
                                .to = phi_bytes_text("all:s"),
                                .body = phi_bytes_of(filler, FIRST) });
    world_settle(w);
    peer_expect_failure(a, NUMBER, PH_FAILURE_UNSUPPORTED);
    EXPECT(peer_next(r) == NULL);
    EXPECT_EQ(world_count(w).streams, 0);
    world_expect_no_calls(w);
    world_expect_balance(w);
    world_free(w);
}
