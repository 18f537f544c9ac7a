// SPDX-License-Identifier: Apache-2.0
//
// center/stream_test.c - messages in fragments: what is passed on, how much may come, and every way
// in which one ends [P-66] [P-67] [P-75].

#include <posthouse/message.h>

#include "tests/center/world.h"
#include "tests/harness/test.h"
#include "wire/stream.h"

enum {
    FIRST = 20000, // bytes of body in a first fragment
    REST = 16384,
    LIMIT = 1048576,
};

static uint8_t filler[65536];

static void few(center_options *o)
{
    o->streams_per_client_max = 2;
    o->message_max = LIMIT;
    o->send_buffer_max = 131072;
    o->full_timeout = 10000;
    o->heartbeat_idle = 3600000;
}

// One that takes messages in fragments.
static peer *join_large(world *w, const char *account, uint32_t message_bytes_max)
{
    return world_join_as(w, &(phi_join){ .account = phi_bytes_text(account),
                                         .message_bytes_max = message_bytes_max });
}

static void say(peer *p, uint8_t kind, uint8_t flags, uint64_t call, const char *to, size_t size)
{
    EXPECT(size <= sizeof filler);
    peer_say(p, &(phi_message){ .kind = kind,
                                .flags = flags,
                                .call = call,
                                .to = phi_bytes_text(to),
                                .body = phi_bytes_of(filler, size) });
    world_settle(p->w);
}

static void say_first(peer *p, uint8_t kind, uint64_t call, const char *to)
{
    say(p, kind, PHI_FLAG_MORE, call, to, FIRST);
}

static void say_rest(peer *p, uint8_t kind, uint64_t call, size_t size)
{
    say(p, kind, PHI_FLAG_MORE | PHI_FLAG_REST, call, "", size);
}

static void say_last(peer *p, uint8_t kind, uint64_t call, size_t size)
{
    say(p, kind, PHI_FLAG_REST, call, "", size);
}

static void control(peer *p, uint8_t op, uint8_t kind, uint64_t call, uint32_t value)
{
    peer_control(p, &(phi_stream_control){ .op = op, .kind = kind, .call = call, .value = value });
    world_settle(p->w);
}

static void grant(peer *p, uint8_t kind, uint64_t call, uint32_t value)
{
    control(p, PHI_STREAM_CREDIT, kind, call, value);
}

static void expect_control(peer *p, phi_stream_op op, uint64_t call, uint32_t value)
{
    (void)peer_expect_control(p, op, call, value);
}

static void expect_no_control(peer *p)
{
    EXPECT_EQ(peer_next_packet(p, PHI_COMMAND_STREAM).size, 0);
}

// Its number.
static uint64_t expect_fragment(peer *p, phi_kind kind, uint8_t flags, size_t size)
{
    return peer_expect_fragment(p, kind, flags, size)->call;
}

typedef struct pair {
    world *w;
    peer *a;
    peer *b;
} pair;

static pair pair_new(void)
{
    pair p = { .w = world_new(few) };
    p.a = join_large(p.w, "a", LIMIT);
    p.b = join_large(p.w, "b", LIMIT);
    return p;
}

// A large request, or its large reply, would lose its end, its order, or its call. [P-66]
TEST(stream, request_and_reply_in_fragments)
{
    pair p = pair_new();
    say_first(p.a, PHI_KIND_REQUEST, 7, "b");
    uint64_t call = expect_fragment(p.b, PHI_KIND_REQUEST, PHI_FLAG_MORE, FIRST);
    expect_no_control(p.a);
    grant(p.b, PHI_KIND_REQUEST, call, 2 * REST);
    expect_control(p.a, PHI_STREAM_CREDIT, 7, 2 * REST);
    say_rest(p.a, PHI_KIND_REQUEST, 7, REST);
    say_last(p.a, PHI_KIND_REQUEST, 7, REST);
    EXPECT_EQ(expect_fragment(p.b, PHI_KIND_REQUEST, PHI_FLAG_MORE | PHI_FLAG_REST, REST), call);
    EXPECT_EQ(expect_fragment(p.b, PHI_KIND_REQUEST, PHI_FLAG_REST, REST), call);
    EXPECT_EQ(world_count(p.w).streams, 0);
    EXPECT_EQ(world_count(p.w).calls, 1);

    say_first(p.b, PHI_KIND_REPLY, call, "");
    EXPECT_EQ(expect_fragment(p.a, PHI_KIND_REPLY, PHI_FLAG_MORE, FIRST), 7);
    EXPECT_EQ(world_count(p.w).calls, 1);
    grant(p.a, PHI_KIND_REPLY, 7, 10);
    expect_control(p.b, PHI_STREAM_CREDIT, call, 10);
    say_last(p.b, PHI_KIND_REPLY, call, 10);
    EXPECT_EQ(expect_fragment(p.a, PHI_KIND_REPLY, PHI_FLAG_REST, 10), 7);
    EXPECT_EQ(world_count(p.w).calls, 0);
    EXPECT_EQ(world_count(p.w).calls_replied_total, 1);
    EXPECT_EQ(world_count(p.w).streams, 0);
    world_free(p.w);
}

// One who sends without leave could fill every buffer on the way. [P-67]
TEST(stream, who_exceeds_credit_is_ended)
{
    pair p = pair_new();
    say_first(p.a, PHI_KIND_REQUEST, 7, "b");
    uint64_t call = expect_fragment(p.b, PHI_KIND_REQUEST, PHI_FLAG_MORE, FIRST);
    grant(p.b, PHI_KIND_REQUEST, call, REST - 1);
    say_rest(p.a, PHI_KIND_REQUEST, 7, REST);
    peer_expect_bye(p.a, PHI_BYE_CREDIT_EXCEEDED);
    const phi_message *m = peer_next(p.b);
    assert_non_null(m);
    EXPECT_EQ(m->kind, PHI_KIND_CANCEL);
    EXPECT_EQ(world_count(p.w).streams, 0);
    world_free(p.w);
}

// A client that cannot join fragments would get the half of a message. [P-35] [P-66]
TEST(stream, who_takes_none_gets_none)
{
    pair p = pair_new();
    (void)world_join(p.w, "simple");
    say_first(p.a, PHI_KIND_REQUEST, 7, "simple");
    peer_expect_failure(p.a, 7, PH_FAILURE_TOO_LARGE);
    EXPECT_EQ(world_count(p.w).streams, 0);
    EXPECT_EQ(world_count(p.w).calls, 0);
    world_free(p.w);
}

// A body without end would take memory without end. [P-66]
TEST(stream, too_long_a_body_is_given_up)
{
    pair p = pair_new();
    peer *small = join_large(p.w, "small", FIRST + REST);
    say_first(p.a, PHI_KIND_REQUEST, 7, "small");
    uint64_t call = expect_fragment(small, PHI_KIND_REQUEST, PHI_FLAG_MORE, FIRST);
    grant(small, PHI_KIND_REQUEST, call, UINT32_MAX);
    expect_control(p.a, PHI_STREAM_CREDIT, 7, REST);
    say_rest(p.a, PHI_KIND_REQUEST, 7, REST); // and more: it would wait for leave
    expect_control(p.a, PHI_STREAM_REFUSE, 7, PH_FAILURE_TOO_LARGE);
    peer_expect_failure(p.a, 7, PH_FAILURE_TOO_LARGE);
    EXPECT_EQ(world_count(p.w).streams, 0);
    say_rest(p.a, PHI_KIND_REQUEST, 7, 1); // it was on its way
    EXPECT(p.a->is_open);

    peer *least = join_large(p.w, "least", FIRST);
    say_first(p.a, PHI_KIND_EVENT, 8, "least");
    expect_fragment(least, PHI_KIND_EVENT, PHI_FLAG_MORE, FIRST);
    expect_control(p.a, PHI_STREAM_REFUSE, 8, PH_FAILURE_TOO_LARGE);
    world_free(p.w);
}

// What just fits is no less welcome. [P-66]
TEST(stream, body_of_just_the_limit_arrives)
{
    pair p = pair_new();
    peer *small = join_large(p.w, "small", FIRST + REST);
    say_first(p.a, PHI_KIND_EVENT, 7, "small");
    uint64_t number = expect_fragment(small, PHI_KIND_EVENT, PHI_FLAG_MORE, FIRST);
    grant(small, PHI_KIND_EVENT, number, UINT32_MAX);
    expect_control(p.a, PHI_STREAM_CREDIT, 7, REST);
    say_last(p.a, PHI_KIND_EVENT, 7, REST);
    expect_fragment(small, PHI_KIND_EVENT, PHI_FLAG_REST, REST);
    expect_no_control(p.a);
    EXPECT_EQ(world_count(p.w).streams, 0);
    world_free(p.w);
}

// Receivers would keep the half of a message for ever. [P-75]
TEST(stream, sender_that_leaves_aborts_its_event)
{
    pair p = pair_new();
    say_first(p.a, PHI_KIND_EVENT, 3, "b");
    uint64_t number = expect_fragment(p.b, PHI_KIND_EVENT, PHI_FLAG_MORE, FIRST);
    peer_cut(p.a);
    world_settle(p.w);
    expect_control(p.b, PHI_STREAM_ABORT, number, PH_FAILURE_CALLER_LOST);
    EXPECT_EQ(world_count(p.w).streams, 0);
    world_free(p.w);
}

// A sender would wait for credit that nobody gives any more. [P-75]
TEST(stream, receiver_that_leaves_ends_it)
{
    pair p = pair_new();
    say_first(p.a, PHI_KIND_EVENT, 3, "b");
    say_first(p.a, PHI_KIND_REQUEST, 4, "b");
    peer_cut(p.b);
    world_settle(p.w);
    expect_control(p.a, PHI_STREAM_REFUSE, 3, PH_FAILURE_OFFLINE);
    peer_expect_failure(p.a, 4, PH_FAILURE_RESPONDER_LOST);
    say_rest(p.a, PHI_KIND_EVENT, 3, 1); // was on its way
    say_rest(p.a, PHI_KIND_REQUEST, 4, 1);
    EXPECT(!p.a->is_ended);
    EXPECT_EQ(world_count(p.w).fragments_dropped_total, 2);
    world_free(p.w);
}

// What one end gives up, the other would wait for. [P-75]
TEST(stream, either_end_may_give_up)
{
    pair p = pair_new();
    say_first(p.a, PHI_KIND_EVENT, 3, "b");
    uint64_t number = expect_fragment(p.b, PHI_KIND_EVENT, PHI_FLAG_MORE, FIRST);
    control(p.a, PHI_STREAM_ABORT, PHI_KIND_EVENT, 3, PH_FAILURE_CANCELLED);
    expect_control(p.b, PHI_STREAM_ABORT, number, PH_FAILURE_CANCELLED);
    expect_control(p.a, PHI_STREAM_REFUSE, 3, PH_FAILURE_CANCELLED);

    say_first(p.a, PHI_KIND_REQUEST, 4, "b");
    uint64_t call = expect_fragment(p.b, PHI_KIND_REQUEST, PHI_FLAG_MORE, FIRST);
    control(p.b, PHI_STREAM_REFUSE, PHI_KIND_REQUEST, call, PH_FAILURE_TOO_LARGE);
    expect_control(p.a, PHI_STREAM_REFUSE, 4, PH_FAILURE_TOO_LARGE);
    peer_expect_failure(p.a, 4, PH_FAILURE_TOO_LARGE);
    EXPECT_EQ(world_count(p.w).streams, 0);
    EXPECT_EQ(world_count(p.w).calls, 0);
    world_free(p.w);
}

// A code that the center does not know is the client's choice: it would end the center, or the
// caller would not learn that its call is over. [P-58] [P-75]
TEST(stream, given_up_for_any_reason)
{
    static const uint16_t codes[] = { 1, 20, 21, 777, 1000, UINT16_MAX };
    for (size_t i = 0; i < PHI_COUNT_OF(codes); i++) {
        pair p = pair_new();
        say_first(p.a, PHI_KIND_REQUEST, 4, "b");
        uint64_t call = expect_fragment(p.b, PHI_KIND_REQUEST, PHI_FLAG_MORE, FIRST);
        control(p.a, PHI_STREAM_ABORT, PHI_KIND_REQUEST, 4, codes[i]);
        expect_control(p.b, PHI_STREAM_ABORT, call, codes[i]);
        peer_expect_failure(p.a, 4, codes[i]);
        peer_expect_cancel(p.b, call, codes[i]);

        call = peer_call(p.a, p.b, "b", 5);
        say_first(p.b, PHI_KIND_REPLY, call, "");
        expect_fragment(p.a, PHI_KIND_REPLY, PHI_FLAG_MORE, FIRST);
        control(p.a, PHI_STREAM_REFUSE, PHI_KIND_REPLY, 5, codes[i]);
        peer_expect_failure(p.a, 5, codes[i]);
        EXPECT_EQ(world_count(p.w).calls, 0);
        world_free(p.w);
    }
}

// Who gives up what it sends would else end what it receives: both may have the same numbers.
// [P-75]
TEST(stream, op_says_whose_message_it_is)
{
    pair p = pair_new();
    say_first(p.b, PHI_KIND_EVENT, 3, "a");
    uint64_t number = expect_fragment(p.a, PHI_KIND_EVENT, PHI_FLAG_MORE, FIRST);
    say_first(p.a, PHI_KIND_EVENT, number, "b");
    uint64_t at_b = expect_fragment(p.b, PHI_KIND_EVENT, PHI_FLAG_MORE, FIRST);
    control(p.a, PHI_STREAM_ABORT, PHI_KIND_EVENT, number, PH_FAILURE_CANCELLED);
    expect_control(p.b, PHI_STREAM_ABORT, at_b, PH_FAILURE_CANCELLED);
    expect_control(p.a, PHI_STREAM_REFUSE, number, PH_FAILURE_CANCELLED);
    grant(p.a, PHI_KIND_EVENT, number, 10); // the other one lives
    expect_control(p.b, PHI_STREAM_CREDIT, 3, 10);
    control(p.a, PHI_STREAM_REFUSE, PHI_KIND_EVENT, number, PH_FAILURE_TOO_LARGE);
    expect_control(p.b, PHI_STREAM_REFUSE, 3, PH_FAILURE_TOO_LARGE);
    EXPECT_EQ(world_count(p.w).streams, 0);
    world_free(p.w);
}

// A receipt that comes with the first fragment would promise what has not been sent. [P-68]
TEST(stream, receipt_comes_with_the_end)
{
    pair p = pair_new();
    peer *c = join_large(p.w, "c", LIMIT);
    say(p.a, PHI_KIND_EVENT, PHI_FLAG_MORE | PHI_FLAG_RECEIPT, 3, "all:", FIRST);
    uint64_t at_b = expect_fragment(p.b, PHI_KIND_EVENT, PHI_FLAG_MORE, FIRST);
    uint64_t at_c = expect_fragment(c, PHI_KIND_EVENT, PHI_FLAG_MORE, FIRST);
    EXPECT(peer_next(p.a) == NULL);
    grant(p.b, PHI_KIND_EVENT, at_b, 100);
    control(c, PHI_STREAM_REFUSE, PHI_KIND_EVENT, at_c, PH_FAILURE_TOO_LARGE);
    EXPECT(peer_next(p.a) == NULL);
    say_last(p.a, PHI_KIND_EVENT, 3, 100);
    peer_expect_receipt(p.a, 3, (phi_receipt){ 1, 1, PH_FAILURE_TOO_LARGE });

    say(p.a, PHI_KIND_EVENT, PHI_FLAG_MORE | PHI_FLAG_RECEIPT, 4, "b", FIRST);
    peer_cut(p.b);
    world_settle(p.w);
    peer_expect_receipt(p.a, 4, (phi_receipt){ 0, 1, PH_FAILURE_OFFLINE });

    say(p.a, PHI_KIND_EVENT, PHI_FLAG_MORE | PHI_FLAG_RECEIPT, 5, "nobody", FIRST);
    peer_expect_receipt(p.a, 5, (phi_receipt){ 0, 0, PH_FAILURE_NO_SUCH_ACCOUNT });

    say_first(p.a, PHI_KIND_EVENT, 6, "c");
    say_first(p.a, PHI_KIND_EVENT, 7, "c"); // as many as it may have
    say(p.a, PHI_KIND_EVENT, PHI_FLAG_MORE | PHI_FLAG_RECEIPT, 8, "c", FIRST);
    peer_expect_receipt(p.a, 8, (phi_receipt){ 0, 0, PH_FAILURE_TOO_MANY_CALLS });
    peer_cut(p.a);
    world_settle(p.w);
    EXPECT_EQ(world_count(p.w).streams, 0);
    world_free(p.w);
}

// Who sends to itself is at both ends: when it leaves, nobody is there to be told how it ended.
TEST(stream, who_sends_to_itself_may_leave)
{
    pair p = pair_new();
    say(p.a, PHI_KIND_EVENT, PHI_FLAG_MORE | PHI_FLAG_RECEIPT, 3, "a", FIRST);
    (void)expect_fragment(p.a, PHI_KIND_EVENT, PHI_FLAG_MORE, FIRST);
    EXPECT_EQ(world_count(p.w).streams, 1);
    peer_cut(p.a);
    world_settle(p.w);
    EXPECT_EQ(world_count(p.w).streams, 0);
    EXPECT_EQ(world_count(p.w).sessions, 1);
    world_free(p.w);
}

// A deadline in the middle of a reply would leave a stream to a call that is over. [P-57] [P-66]
TEST(stream, ends_with_its_call)
{
    pair p = pair_new();
    peer_request(p.a, "b", 7, 500);
    world_settle(p.w);
    uint64_t call = expect_fragment(p.b, PHI_KIND_REQUEST, 0, 1);
    say_first(p.b, PHI_KIND_REPLY, call, "");
    (void)expect_fragment(p.a, PHI_KIND_REPLY, PHI_FLAG_MORE, FIRST);
    world_pass(p.w, 600);
    peer_expect_failure(p.a, 7, PH_FAILURE_DEADLINE);
    EXPECT_EQ(world_count(p.w).streams, 0);
    grant(p.a, PHI_KIND_REPLY, 7, 10); // was on its way
    say_rest(p.b, PHI_KIND_REPLY, call, 10);
    EXPECT(!p.a->is_ended);
    EXPECT(!p.b->is_ended);
    EXPECT_EQ(world_count(p.w).fragments_dropped_total, 1);
    world_free(p.w);
}

// One end that falls silent would hold the other's memory for ever. [P-75]
TEST(stream, who_stalls_is_given_up)
{
    pair p = pair_new();
    say_first(p.a, PHI_KIND_EVENT, 3, "b"); // nothing granted: the receiver stalls
    say_first(p.b, PHI_KIND_EVENT, 4, "a");
    uint64_t number = expect_fragment(p.a, PHI_KIND_EVENT, PHI_FLAG_MORE, FIRST);
    grant(p.a, PHI_KIND_EVENT, number, 10); // here the sender does
    expect_control(p.b, PHI_STREAM_CREDIT, 4, 10);
    world_pass(p.w, 9000);
    EXPECT_EQ(world_count(p.w).streams, 2);
    world_pass(p.w, 1100);
    EXPECT_EQ(world_count(p.w).streams, 0);
    expect_control(p.a, PHI_STREAM_REFUSE, 3, PH_FAILURE_SLOW_CONSUMER);
    expect_control(p.a, PHI_STREAM_ABORT, number, PH_FAILURE_SLOW_CONSUMER);
    world_free(p.w);
}

// One slow receiver would stop all others, or get more than it can take. [P-75]
TEST(stream, of_many_receivers_the_least_grant_counts)
{
    pair p = pair_new();
    peer *c = join_large(p.w, "c", LIMIT);
    (void)world_join(p.w, "simple");
    say_first(p.a, PHI_KIND_EVENT, 3, "all:");
    uint64_t at_b = expect_fragment(p.b, PHI_KIND_EVENT, PHI_FLAG_MORE, FIRST);
    uint64_t at_c = expect_fragment(c, PHI_KIND_EVENT, PHI_FLAG_MORE, FIRST);
    grant(p.b, PHI_KIND_EVENT, at_b, 100);
    expect_no_control(p.a);
    grant(c, PHI_KIND_EVENT, at_c, 40);
    expect_control(p.a, PHI_STREAM_CREDIT, 3, 40);
    say_rest(p.a, PHI_KIND_EVENT, 3, 40);
    EXPECT_EQ(expect_fragment(p.b, PHI_KIND_EVENT, PHI_FLAG_MORE | PHI_FLAG_REST, 40), at_b);
    EXPECT_EQ(expect_fragment(c, PHI_KIND_EVENT, PHI_FLAG_MORE | PHI_FLAG_REST, 40), at_c);
    world_pass(p.w, 10100); // c grants nothing any more
    expect_control(c, PHI_STREAM_ABORT, at_c, PH_FAILURE_SLOW_CONSUMER);
    expect_control(p.a, PHI_STREAM_CREDIT, 3, 60);
    say_last(p.a, PHI_KIND_EVENT, 3, 60);
    EXPECT_EQ(expect_fragment(p.b, PHI_KIND_EVENT, PHI_FLAG_REST, 60), at_b);
    EXPECT_EQ(world_count(p.w).streams, 0);
    world_free(p.w);
}

// Half-sent messages of one client would use up the center. [P-66]
TEST(stream, so_many_at_a_time)
{
    pair p = pair_new();
    for (uint64_t call = 1; call <= 3; call++) {
        say_first(p.a, PHI_KIND_REQUEST, call, "b");
    }
    expect_control(p.a, PHI_STREAM_REFUSE, 3, PH_FAILURE_TOO_MANY_CALLS);
    peer_expect_failure(p.a, 3, PH_FAILURE_TOO_MANY_CALLS);
    peer *c = join_large(p.w, "c", LIMIT);
    say_first(c, PHI_KIND_REQUEST, 1, "b"); // it has as many coming as it may
    peer_expect_failure(c, 1, PH_FAILURE_SLOW_CONSUMER);
    EXPECT_EQ(world_count(p.w).streams, 2);
    world_free(p.w);
}

// Rules of form that a fragment may break. [P-66] [P-67]
TEST(stream, malformed_fragments)
{
    pair p = pair_new();
    const phi_message none = { .kind = PHI_KIND_REQUEST,
                               .to = phi_bytes_text("b"),
                               .from = phi_bytes_text(p.a->id) };
    size_t most = PHI_FRAGMENT_FIRST_BYTES_MAX - phi_message_size(&none);
    say(p.a, PHI_KIND_REQUEST, PHI_FLAG_MORE, 6, "b", most);
    uint64_t call = expect_fragment(p.b, PHI_KIND_REQUEST, PHI_FLAG_MORE, most);
    control(p.b, PHI_STREAM_REFUSE, PHI_KIND_REQUEST, call, PH_FAILURE_CANCELLED);
    expect_control(p.a, PHI_STREAM_REFUSE, 6, PH_FAILURE_CANCELLED);
    peer_expect_failure(p.a, 6, PH_FAILURE_CANCELLED);
    say(p.a, PHI_KIND_REQUEST, PHI_FLAG_MORE, 7, "b", most + 1);
    peer_expect_failure(p.a, 7, PH_FAILURE_MALFORMED);
    say(p.a, PHI_KIND_REQUEST, PHI_FLAG_MORE, 8, "b", 0);
    peer_expect_failure(p.a, 8, PH_FAILURE_MALFORMED);
    say_first(p.a, PHI_KIND_REQUEST, 9, "b");
    say_first(p.a, PHI_KIND_REQUEST, 9, "b"); // the number is in use
    peer_expect_failure(p.a, 9, PH_FAILURE_MALFORMED);
    EXPECT(!p.a->is_ended);
    say(p.a, PHI_KIND_REQUEST, PHI_FLAG_REST, 9, "b", 0);
    peer_expect_bye(p.a, PHI_BYE_MALFORMED);
    EXPECT_EQ(world_count(p.w).streams, 0);
    world_free(p.w);
}

// A caller's library ends its connection when a later fragment says that it is a part, and the
// first did not. So a responder could cut off its callers. [P-66]
TEST(stream, only_the_center_says_part)
{
    pair p = pair_new();
    uint64_t call = peer_call(p.a, p.b, "b", 5);
    say_first(p.b, PHI_KIND_REPLY, call, "");
    expect_fragment(p.a, PHI_KIND_REPLY, PHI_FLAG_MORE, FIRST);
    grant(p.a, PHI_KIND_REPLY, 5, 100);
    say(p.b, PHI_KIND_REPLY, PHI_FLAG_REST | PHI_FLAG_PART, call, "", 10);
    peer_expect_bye(p.b, PHI_BYE_MALFORMED);
    peer_expect_failure(p.a, 5, PH_FAILURE_RESPONDER_LOST);
    EXPECT(!p.a->is_ended);
    world_free(p.w);
}

// Credit that found no room at the sender would be lost, and the message would never end. [P-75]
TEST(stream, credit_is_owed_while_there_is_no_room)
{
    pair p = pair_new();
    say_first(p.a, PHI_KIND_EVENT, 3, "b");
    uint64_t number = expect_fragment(p.b, PHI_KIND_EVENT, PHI_FLAG_MORE, FIRST);
    p.a->reads_max = 0;
    peer_window(p.a, 0);
    static char body[60000];
    memset(body, 'x', sizeof body - 1);
    for (size_t size = sizeof body - 1; size > 0; size /= 2) {
        body[size] = '\0';
        uint64_t dropped = world_count(p.w).events_dropped_total;
        while (world_count(p.w).events_dropped_total == dropped) {
            peer_event(p.b, "a", body);
            world_settle(p.w);
        }
    }
    grant(p.b, PHI_KIND_EVENT, number, 50);
    grant(p.b, PHI_KIND_EVENT, number, 50);
    p.a->reads_max = SIZE_MAX;
    peer_window(p.a, SIZE_MAX / 2);
    world_settle(p.w);
    uint32_t granted = 0;
    phi_stream_control said;
    while (phi_stream_control_decode(peer_next_packet(p.a, PHI_COMMAND_STREAM), &said) == PH_OK) {
        granted += said.value;
    }
    EXPECT_EQ(granted, 100);
    world_free(p.w);
}

static void one_delivery(center_options *o)
{
    few(o);
    o->deliveries_per_turn_max = 1;
}

// An event for many is not over because the first who were told do not want it, or left: the others
// are still to be told. [P-66] [P-75]
TEST(stream, first_receivers_do_not_decide_for_the_others)
{
    world *w = world_new(one_delivery);
    peer *a = join_large(w, "a", LIMIT);
    peer *r[6];
    for (size_t i = 0; i < sizeof r / sizeof r[0]; i++) {
        char name[] = { 'r', (char)('0' + i), 0 };
        r[i] = join_large(w, name, LIMIT);
    }
    peer_say(a, &(phi_message){ .kind = PHI_KIND_EVENT,
                                .flags = PHI_FLAG_MORE,
                                .call = 7,
                                .to = phi_bytes_text("all:"),
                                .body = phi_bytes_of(filler, FIRST) });
    while (r[0]->inbox_count == 0) {
        world_turn(w);
    }
    EXPECT_EQ(r[5]->inbox_count, 0);
    size_t refusals = 0;
    for (size_t i = 0; r[i]->inbox_count != 0; i++) { // all who were told so far
        uint8_t no[PHI_STREAM_CONTROL_BYTES];
        phi_stream_control_encode(no, &(phi_stream_control){ .op = PHI_STREAM_REFUSE,
                                                             .kind = PHI_KIND_EVENT,
                                                             .call = r[i]->inbox[0].m.call,
                                                             .value = PH_FAILURE_TOO_LARGE });
        peer_packet(r[i], PHI_COMMAND_STREAM, no, sizeof no);
        refusals++;
    }
    world_settle(w);
    uint64_t call = expect_fragment(r[5], PHI_KIND_EVENT, PHI_FLAG_MORE, FIRST);
    for (size_t i = refusals; i < sizeof r / sizeof r[0]; i++) {
        EXPECT_EQ(r[i]->inbox_count, 1);
        grant(r[i], PHI_KIND_EVENT, r[i]->inbox[0].m.call, REST);
    }
    expect_control(a, PHI_STREAM_CREDIT, 7, REST);
    say_last(a, PHI_KIND_EVENT, 7, 10);
    EXPECT_EQ(expect_fragment(r[5], PHI_KIND_EVENT, PHI_FLAG_REST, 10), call);
    EXPECT_EQ(r[0]->inbox_count, 1);
    EXPECT_EQ(world_count(w).streams, 0);
    world_free(w);
}

static void three_deliveries(center_options *o)
{
    few(o);
    o->deliveries_per_turn_max = 3;
}

// Later fragments of an event for many, a byte each, would make the center deliver for all that was
// read from one sender in a turn, times its receivers. [P-52] [P-66]
TEST(stream, later_fragments_for_many_take_their_share_of_turns)
{
    enum {
        RECEIVERS = 4,
        FRAGMENTS = 40,
    };
    world *w = world_new(three_deliveries);
    peer *a = join_large(w, "a", LIMIT);
    peer *r[RECEIVERS];
    for (size_t i = 0; i < RECEIVERS; i++) {
        char name[] = { 'r', (char)('0' + i), 0 };
        r[i] = join_large(w, name, LIMIT);
    }
    say_first(a, PHI_KIND_EVENT, 7, "all:");
    for (size_t i = 0; i < RECEIVERS; i++) {
        uint64_t number = expect_fragment(r[i], PHI_KIND_EVENT, PHI_FLAG_MORE, FIRST);
        grant(r[i], PHI_KIND_EVENT, number, LIMIT);
    }
    for (int i = 1; i <= FRAGMENTS; i++) {
        uint8_t more = i < FRAGMENTS ? PHI_FLAG_MORE : 0;
        peer_say(a, &(phi_message){ .kind = PHI_KIND_EVENT,
                                    .flags = PHI_FLAG_REST | more,
                                    .call = 7,
                                    .body = phi_bytes_of(filler, 1) });
    }
    peer_event(a, "r0", "behind");
    for (int turn = 0; turn < 10; turn++) {
        size_t before = r[0]->inbox_count;
        world_turn(w);
        EXPECT(r[0]->inbox_count - before <= 4);
    }
    world_settle(w);
    for (size_t i = 0; i < RECEIVERS; i++) {
        for (int k = 1; k < FRAGMENTS; k++) {
            expect_fragment(r[i], PHI_KIND_EVENT, PHI_FLAG_MORE | PHI_FLAG_REST, 1);
        }
        expect_fragment(r[i], PHI_KIND_EVENT, PHI_FLAG_REST, 1);
    }
    peer_expect(r[0], PHI_KIND_EVENT, 0, "behind"); // order stays: P-55
    EXPECT(world_count(w).broadcasts_held_total > 10);
    EXPECT_EQ(world_count(w).streams, 0);
    world_free(w);
}

// Of several receivers the least counts; who grants a byte at a time while others have granted
// nothing causes no work for the sender. [P-67]
TEST(stream, credit_of_others_is_not_passed_on)
{
    pair p = pair_new();
    peer *c = join_large(p.w, "c", LIMIT);
    say_first(p.a, PHI_KIND_EVENT, 3, "all:");
    uint64_t at_b = expect_fragment(p.b, PHI_KIND_EVENT, PHI_FLAG_MORE, FIRST);
    uint64_t at_c = expect_fragment(c, PHI_KIND_EVENT, PHI_FLAG_MORE, FIRST);
    for (int i = 0; i < 10; i++) {
        grant(p.b, PHI_KIND_EVENT, at_b, 1);
    }
    expect_no_control(p.a);
    grant(c, PHI_KIND_EVENT, at_c, 4);
    expect_control(p.a, PHI_STREAM_CREDIT, 3, 4);
    grant(c, PHI_KIND_EVENT, at_c, UINT32_MAX);
    expect_control(p.a, PHI_STREAM_CREDIT, 3, 6);
    grant(c, PHI_KIND_EVENT, at_c, UINT32_MAX); // again and again: nothing overflows
    grant(p.b, PHI_KIND_EVENT, at_b, UINT32_MAX);
    expect_control(p.a, PHI_STREAM_CREDIT, 3, LIMIT - FIRST - 10);
    grant(p.b, PHI_KIND_EVENT, at_b, UINT32_MAX);
    expect_no_control(p.a);
    world_free(p.w);
}
