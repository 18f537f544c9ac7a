// SPDX-License-Identifier: Apache-2.0
//
// center/subscription_test.c - topics from end to end of a center: what is answered, who is told,
// and what it may cost the others.

#include <stdio.h>

#include <posthouse/message.h>

#include "base/compiler.h"
#include "center/state.h"
#include "tests/center/world.h"
#include "tests/harness/test.h"
#include "wire/subscription.h"
#include "wire/topic.h"

static void few_subscriptions(center_options *o)
{
    o->subscriptions_max = 5;
    o->subscriptions_per_client_max = 3;
}

static void few_deliveries(center_options *o)
{
    o->deliveries_per_turn_max = 4;
}

static void some_deliveries(center_options *o)
{
    o->deliveries_per_turn_max = 24;
}

static void many_deliveries(center_options *o)
{
    o->deliveries_per_turn_max = 100;
}

static void little_memory(center_options *o)
{
    o->deliveries_per_turn_max = 1;
    o->send_memory_max = 1048576;
    o->full_timeout = 3600000;
    o->heartbeat_idle = 3600000;
}

// `changes` are patterns with spaces between them; one with a minus in front is taken back.
static void subscribe(peer *p, uint32_t number, const char *changes)
{
    uint8_t bytes[PHI_SUBSCRIPTION_BYTES_MAX];
    phi_writer w = phi_writer_of((phi_span){ bytes, sizeof bytes });
    phi_subscription_begin(&w, number);
    for (const char *at = changes; *at != '\0';) {
        size_t size = strcspn(at, " ");
        bool is_back = *at == '-';
        phi_write_change(&w, is_back ? PHI_SUBSCRIPTION_REMOVE : PHI_SUBSCRIPTION_ADD,
                         phi_bytes_of(at + is_back, size - is_back));
        at += size + (at[size] == ' ');
    }
    EXPECT(!w.failed);
    peer_packet(p, PHI_COMMAND_SUBSCRIPTION, bytes, phi_writer_size(&w));
}

// The next answer: `refused` as "code:pattern code:pattern".
static void expect_answer(peer *p, uint32_t number, const char *refused)
{
    phi_subscription answer;
    phi_bytes packet = peer_next_packet(p, PHI_COMMAND_SUBSCRIPTION);
    EXPECT_ERR(phi_subscription_answer_decode(packet, &answer), PH_OK);
    EXPECT_EQ(answer.number, number);
    char text[1024] = "";
    phi_reader r = phi_reader_of(answer.changes);
    phi_field field;
    while (phi_field_next(&r, &field)) {
        phi_refusal refusal = phi_refusal_decode(field.value);
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%u:%.*s", used == 0 ? "" : " ", refusal.code,
                 (int)refusal.pattern.size, (const char *)refusal.pattern.data);
    }
    EXPECT_TEXT(text, refused);
}

static peer *join_with(world *w, const char *name, const char *patterns)
{
    peer *p = world_join(w, name);
    subscribe(p, 1, patterns);
    world_settle(w);
    expect_answer(p, 1, "");
    return p;
}

// ---- what it means

// An event on a topic must reach all who subscribed to what it fits, each once, its sender too, and
// nobody else. [P-73] [P-74]
TEST(subscription, topic_reaches_who_wants_it)
{
    world *w = world_new(NULL);
    peer *a = join_with(w, "a", "orders.> orders.*.created orders.eu.created");
    peer *b = join_with(w, "b", "orders.*.created");
    peer *c = join_with(w, "c", "orders.us.created orders");
    peer *d = world_join(w, "d");
    peer_event(a, "topic:orders.eu.created", "1");
    peer_event(d, "topic:orders.us.created", "2");
    peer_event(d, "topic:orders", "3");
    peer_event(d, "topic:nothing", "4");
    world_settle(w);
    peer_expect_bodies(a, "12");
    peer_expect_bodies(b, "12");
    peer_expect_bodies(c, "23");
    peer_expect_bodies(d, "");
    EXPECT_EQ(world_count(w).events_delivered_total, 6);
    EXPECT_EQ(world_count(w).events_dropped_total, 0);
    world_free(w);
}

// An event on what is no topic, or on a pattern, must reach nobody: whoever may write to patterns
// chooses its receivers blindly. [P-52] [P-74]
TEST(subscription, events_go_to_topics_not_to_patterns)
{
    world *w = world_new(NULL);
    peer *a = join_with(w, "a", "> orders.>");
    static const char *const bad[] = { "topic:", "topic:>", "topic:orders.*", "topic:a..b",
                                       "topic:a b" };
    for (size_t i = 0; i < PHI_COUNT_OF(bad); i++) {
        peer_event(a, bad[i], "x");
    }
    peer_request(a, "topic:orders", 1, 0);
    world_settle(w);
    peer_expect_failure(a, 1, PH_FAILURE_UNSUPPORTED);
    peer_expect_bodies(a, "");
    EXPECT_EQ(world_count(w).events_dropped_total, PHI_COUNT_OF(bad));
    world_free(w);
}

// What was taken back is told no more, in the order in which it was said; twice is once; what was
// not there is nothing. [P-73]
TEST(subscription, is_changed_in_the_order_given)
{
    world *w = world_new(NULL);
    peer *a = world_join(w, "a");
    subscribe(a, 7, "x -x x x y -z -.. -y");
    subscribe(a, 8, "");
    world_settle(w);
    expect_answer(a, 7, "");
    expect_answer(a, 8, "");
    EXPECT_EQ(world_count(w).subscriptions, 1);
    peer_event(a, "topic:x", "1");
    peer_event(a, "topic:y", "2");
    world_settle(w);
    peer_expect_bodies(a, "1");
    subscribe(a, 9, "-x");
    peer_event(a, "topic:x", "3");
    world_settle(w);
    peer_expect_bodies(a, "");
    EXPECT_EQ(world_count(w).subscriptions, 0);
    world_free(w);
}

// Subscriptions end with the link: a client that comes back is told what it asks for anew, and the
// places of the old ones are free. [P-73]
TEST(subscription, ends_with_its_link)
{
    world *w = world_new(NULL);
    peer *a = join_with(w, "a", "x y.*");
    peer *b = join_with(w, "b", "x");
    peer_cut(a);
    peer_event(b, "topic:x", "1");
    world_settle(w);
    EXPECT_EQ(world_count(w).subscriptions, 1);
    peer *again = world_join(w, "a");
    peer_event(b, "topic:x", "2");
    world_settle(w);
    peer_expect_bodies(again, "");
    peer_expect_bodies(b, "12");
    world_free(w);
}

// ---- what is known of a topic from the event before

// Between two events on a topic, in one turn, somebody may subscribe, take it back, leave or break:
// the second must reach whom it is for then. One that is gone is not even there any more. [P-73]
TEST(subscription, counts_from_one_event_to_the_next)
{
    world *w = world_new(NULL);
    peer *first = join_with(w, "first", "x");
    peer *leaves = join_with(w, "leaves", "x");
    peer *breaks = join_with(w, "breaks", "*");
    peer *changes = join_with(w, "changes", "y");
    peer *last = join_with(w, "last", "x z");
    for (int round = 0; round < 2; round++) { // the second begins with what is known of the first
        peer_event(first, "topic:x", "1");
        peer_event(first, "topic:x", "2");
        world_settle(w);
        peer_expect_bodies(first, "12");
        peer_expect_bodies(leaves, "12");
        peer_expect_bodies(breaks, "12");
        peer_expect_bodies(changes, "");
        peer_expect_bodies(last, "12");
    }
    // They are heard in this order, in one turn.
    peer_event(first, "topic:x", "1");
    peer_leave(leaves);
    peer_cut(breaks);
    peer_event(changes, "topic:x", "2");
    subscribe(changes, 2, "x");
    peer_event(changes, "topic:x", "3");
    subscribe(changes, 3, "-x");
    peer_event(changes, "topic:x", "4");
    subscribe(last, 4, "-x x");
    peer_event(last, "topic:x", "5");
    world_turn(w);
    EXPECT_EQ(world_count(w).events_delivered_total, 4 * 4 + 4 + 2 + 3 + 2 + 2);
    peer_expect_bodies(first, "12345");
    peer_expect_bodies(changes, "3");
    peer_expect_bodies(last, "12345");
    world_settle(w);
    EXPECT_EQ(world_count(w).sessions, 3);
    peer *again = join_with(w, "leaves", "z");
    peer_event(last, "topic:x", "6");
    peer_event(last, "topic:z", "7");
    peer_event(last, "topic:z", "8");
    world_settle(w);
    peer_expect_bodies(again, "78");
    peer_expect_bodies(first, "6");
    peer_expect_bodies(last, "678");
    world_free(w);
}

// An event whose receivers are known takes no more of a turn than one for which they are found, and
// no less: they wait for the turns after it, and miss who leaves meanwhile. [P-55]
TEST(subscription, known_receivers_are_charged_alike)
{
    enum { LISTENERS = 10 };
    world *w = world_new(few_deliveries);
    peer *a = world_join(w, "a");
    peer *listeners[LISTENERS];
    for (size_t i = 0; i < LISTENERS; i++) {
        char name[] = { 'l', (char)('0' + i), 0 };
        listeners[i] = join_with(w, name, "x");
    }
    unsigned turns[4] = { 0 };
    for (size_t i = 0; i < PHI_COUNT_OF(turns); i++) {
        uint64_t before = world_count(w).events_delivered_total;
        peer_event(a, "topic:x", "1");
        for (uint64_t told = before; told < before + LISTENERS; turns[i]++) {
            world_turn(w);
            uint64_t now = world_count(w).events_delivered_total;
            EXPECT(now - told <= 8); // what the reading left, and what the end of the turn gave
            told = now;
        }
        world_settle(w);
    }
    EXPECT(turns[0] >= 2);
    EXPECT_EQ(turns[1], turns[0]);
    EXPECT_EQ(turns[2], turns[0]);
    for (size_t i = 0; i < LISTENERS; i++) {
        peer_expect_bodies(listeners[i], "1111");
    }
    peer_event(a, "topic:x", "2");
    world_turn(w);
    peer_cut(listeners[0]); // it is found last, so it waits
    world_settle(w);
    EXPECT_EQ(world_count(w).events_delivered_total, 5 * LISTENERS - 1);
    EXPECT_EQ(world_count(w).events_dropped_total, 1);
    world_free(w);
}

// Of events that fit into the turn, too, each takes its part of it: its receivers, and what it cost
// to find them once. Else who publishes much on one topic would have every turn for himself. [P-55]
TEST(subscription, known_receivers_use_up_the_turn)
{
    enum { EVENTS = 40 };
    static const struct {
        const char *topic;
        const char *patterns;
        unsigned receivers;
        unsigned most; // deliveries in a turn, in which the allowance is there twice
    } cases[] = {
        { "topic:x", "x", 3, 2 * 24 },
        // 16 places or more to look at, which are charged as one delivery more.
        { "topic:a.b.c.d",
          "a.b.c.d *.b.c.d a.*.c.d a.b.*.d a.b.c.* *.*.c.d *.b.*.d *.b.c.* "
          "a.*.*.d a.*.c.* a.b.*.* > a.> a.b.> a.b.c.> *.>",
          1, 24 },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(cases); i++) {
        world *w = world_new(some_deliveries);
        peer *a = world_join(w, "a");
        for (unsigned k = 0; k < cases[i].receivers; k++) {
            join_with(w, "", cases[i].patterns);
        }
        peer_event(a, cases[i].topic, "1");
        world_settle(w);
        for (unsigned n = 0; n < EVENTS; n++) {
            peer_event(a, cases[i].topic, "2");
        }
        uint64_t told = cases[i].receivers;
        for (unsigned turns = 0; told < (EVENTS + 1) * cases[i].receivers; turns++) {
            EXPECT(turns < EVENTS);
            world_turn(w);
            uint64_t now = world_count(w).events_delivered_total;
            EXPECT(now - told <= cases[i].most);
            told = now;
        }
        EXPECT_EQ(world_count(w).topics_matched_total, 1);
        world_free(w);
    }
}

// An event for those of the one before that waited behind another has that much less time, and none
// when it is over: that its receivers are known is no reason to give it back. [P-57]
TEST(subscription, known_receivers_do_not_give_time_back)
{
    enum { LISTENERS = 10, BROADCASTS = 5 };
    world *w = world_new(some_deliveries);
    peer *a = world_join(w, "a");
    peer *listeners[LISTENERS];
    world_join_listeners(w, listeners, LISTENERS);
    peer *b = listeners[0];
    subscribe(b, 1, "x");
    world_settle(w);
    peer_event(a, "topic:x", "1");
    world_settle(w);
    w->slow_us = 2000; // a turn
    for (unsigned i = 0; i < BROADCASTS; i++) {
        peer_event(a, "all:", "2"); // two and a bit in a turn, and twice as many in the first
    }
    static const uint32_t times[] = { 1, 100 };
    for (size_t i = 0; i < PHI_COUNT_OF(times); i++) {
        peer_say(a, &(phi_message){ .kind = PHI_KIND_EVENT,
                                    .ttl_ms = times[i],
                                    .to = phi_bytes_text("topic:x"),
                                    .body = phi_bytes_text("3") });
    }
    world_settle(w);
    (void)peer_expect(b, PHI_KIND_EVENT, 0, "1");
    for (unsigned i = 0; i < BROADCASTS; i++) {
        (void)peer_expect(b, PHI_KIND_EVENT, 0, "2");
    }
    EXPECT_EQ(peer_expect(b, PHI_KIND_EVENT, 0, "3")->ttl_ms, 100 - 2);
    EXPECT(peer_next(b) == NULL);
    EXPECT_EQ(world_count(w).events_expired_total, 1);
    world_free(w);
}

// One of many that is full, or takes no packet so long, misses what the others get. [P-59]
TEST(subscription, known_receiver_that_is_full_misses_alone)
{
    world *w = world_new(NULL);
    peer *a = join_with(w, "a", "x");
    peer *full = join_with(w, "full", "x");
    peer *b = join_with(w, "b", "x");
    peer_event(a, "topic:x", "1");
    peer_event(a, "topic:x", "2");
    world_settle(w);
    peer_expect_bodies(full, "12");
    peer_fill_up(full, b);
    uint64_t dropped = world_count(w).events_dropped_total;
    peer_event(a, "topic:x", "3");
    peer_event(a, "topic:x", "4");
    world_settle(w);
    peer_expect_bodies(a, "1234");
    peer_expect_bodies(b, "1234");
    EXPECT_EQ(world_count(w).events_dropped_total, dropped + 2);
    peer_drain(full);
    peer_event(a, "topic:x", "5");
    world_settle(w);
    peer_expect_bodies(full, "5");
    world_free(w);
}

// ---- refusals and limits

// Who is refused must learn what and why, and the rest of what it asked for is in force. [P-73]
TEST(subscription, refusals_are_named)
{
    world *w = world_new(few_subscriptions);
    peer *a = world_join(w, "a");
    peer *b = world_join(w, "b");
    subscribe(a, 1, "x a..b y >.z z u");
    subscribe(a, 2, "x -y u");
    subscribe(b, 1, "1 2 3");
    world_settle(w);
    expect_answer(a, 1, "15:a..b 15:>.z 9:u");
    expect_answer(a, 2, "");
    expect_answer(b, 1, "9:3"); // all together have as many as there may be
    EXPECT_EQ(world_count(w).subscriptions, 5);
    EXPECT_EQ(world_count(w).subscriptions_refused_total, 4);
    EXPECT(world_logged(w, "CE0011"));
    peer_cut(b);
    world_settle(w);
    peer_event(a, "topic:u", "1");
    world_settle(w);
    peer_expect_bodies(a, "1");
    world_free(w);
}

// A packet that is full of what is refused is answered in one packet. [P-73]
TEST(subscription, all_of_a_packet_can_be_refused)
{
    world *w = world_new(NULL);
    peer *a = world_join(w, "a");
    uint8_t bytes[PHI_SUBSCRIPTION_BYTES_MAX];
    phi_writer writer = phi_writer_of((phi_span){ bytes, sizeof bytes });
    phi_subscription_begin(&writer, 5);
    size_t count = 0;
    while (phi_writer_size(&writer) + 3 <= sizeof bytes) {
        phi_write_change(&writer, PHI_SUBSCRIPTION_ADD, phi_bytes_of("", 0));
        count++;
    }
    peer_packet(a, PHI_COMMAND_SUBSCRIPTION, bytes, phi_writer_size(&writer));
    world_settle(w);
    phi_bytes answer = peer_next_packet(a, PHI_COMMAND_SUBSCRIPTION);
    EXPECT_EQ(answer.size, 4 + 5 * count);
    EXPECT_EQ(world_count(w).subscriptions_refused_total, count);
    world_free(w);
}

// A packet that breaks its form ends the link, whatever was in it before. [P-31] [P-73]
TEST(subscription, broken_form_ends_the_link)
{
    static const uint8_t cut[] = { 0, 0, 0, 1, 1, 0, 1, 'x', 1, 0, 2, 'y' };
    static uint8_t too_long[PHI_SUBSCRIPTION_BYTES_MAX + 1];
    static const uint8_t no_number[] = { 0, 0, 1 };
    static const struct {
        const uint8_t *bytes;
        size_t size;
    } bad[] = {
        { cut, sizeof cut },
        { too_long, sizeof too_long },
        { no_number, sizeof no_number },
    };
    world *w = world_new(NULL);
    for (size_t i = 0; i < PHI_COUNT_OF(bad); i++) {
        peer *p = world_join(w, "p");
        peer_packet(p, PHI_COMMAND_SUBSCRIPTION, bad[i].bytes, bad[i].size);
        world_settle(w);
        peer_expect_bye(p, PHI_BYE_MALFORMED);
        EXPECT_EQ(world_count(w).subscriptions, 0);
        world_forget(w, p);
    }
    world_free(w);
}

// A center says how many patterns a client may subscribe to. [P-34]
TEST(subscription, limit_is_said_in_hello)
{
    world *w = world_new(few_subscriptions);
    peer *a = world_join(w, "a");
    EXPECT_EQ(a->link.peer_subscriptions_max, 3);
    world_free(w);
}

// What is kept of whom topics are for is memory of subscriptions, too; one that needs the room gets
// it, be it the client's first or a further one, and is refused only when nothing is kept. [P-73]
TEST(subscription, comes_before_what_is_kept)
{
    // Words that are too long to stand in their place need memory each.
    static const char *const patterns[] = { "this-word-is-long-1", "this-word-is-long-2" };
    world *w = world_new(NULL);
    phi_alloc_counter *memory = &w->c->topics.memory;
    peer *a = join_with(w, "a", "x");
    peer *b = world_join(w, "b");
    peer *of[] = { a, b };
    for (size_t i = 0; i < PHI_COUNT_OF(of); i++) {
        peer_event(b, "topic:x", "1");
        world_settle(w);
        peer_expect_bodies(a, "1");
        EXPECT(w->c->readerships.memory.bytes > 0);
        EXPECT_EQ(world_count(w).subscription_memory, memory->bytes);
        memory->bytes_max = memory->bytes;
        subscribe(of[i], 2, patterns[i]);
        world_settle(w);
        expect_answer(of[i], 2, "");
        EXPECT_EQ(w->c->readerships.memory.bytes, 0);
        EXPECT(memory->bytes < memory->bytes_max);
    }
    memory->bytes_max = memory->bytes;
    subscribe(b, 3, "this-word-is-long-3");
    world_settle(w);
    expect_answer(b, 3, "9:this-word-is-long-3");
    peer_event(a, "topic:this-word-is-long-1", "2"); // nothing is kept, and all hear
    peer_event(a, "topic:this-word-is-long-2", "3");
    world_settle(w);
    peer_expect_bodies(a, "2");
    peer_expect_bodies(b, "3");
    world_free(w);
}

// ---- what it may cost

// Is answered with more than a full buffer has room for.
#define LONG_ANSWER                                                                                \
    "x this..is..no..pattern..but..long..enough..so..that..its..refusal..takes..more..room..than"  \
    "..any..buffer..that..is..full..has..left"

// A client that does not read its answers must not make the center keep them: it is heard again
// when the answer has found room, and nothing it said is lost.
TEST(subscription, answer_without_room_holds_its_client)
{
    world *w = world_new(NULL);
    peer *a = world_join(w, "a");
    peer *b = world_join(w, "b");
    peer_fill_up(a, b);
    uint64_t before = world_count(w).send_memory;
    subscribe(a, 1, LONG_ANSWER);
    subscribe(a, 2, "y");
    subscribe(a, 3, "a..b");
    peer_event(a, "b", "1");
    world_settle(w);
    EXPECT_EQ(world_count(w).subscriptions, 1); // the others are not looked at yet
    EXPECT(peer_next_packet(a, PHI_COMMAND_SUBSCRIPTION).size == 0);
    EXPECT(world_count(w).send_memory < before + 4096);
    peer_expect_bodies(b, "");
    peer_drain(a);
    world_settle(w);
    EXPECT(peer_next_packet(a, PHI_COMMAND_SUBSCRIPTION).size > 100);
    expect_answer(a, 2, "");
    expect_answer(a, 3, "15:a..b");
    peer_expect_bodies(b, "1");
    EXPECT_EQ(world_count(w).subscriptions, 2);
    world_free(w);
}

// What waits behind such an answer loses time like all that waits in the center. [P-57]
TEST(subscription, what_waits_behind_an_answer_loses_time)
{
    world *w = world_new(NULL);
    peer *a = world_join(w, "a");
    peer *b = world_join(w, "b");
    peer_fill_up(a, b);
    subscribe(a, 1, LONG_ANSWER);
    peer_say(a, &(phi_message){ .kind = PHI_KIND_EVENT, .ttl_ms = 50, .to = phi_bytes_text("b") });
    peer_say(a, &(phi_message){ .kind = PHI_KIND_EVENT, .ttl_ms = 900, .to = phi_bytes_text("b") });
    world_settle(w);
    world_pass(w, 100);
    peer_drain(a);
    world_settle(w);
    const phi_message *m = peer_next(b);
    assert_non_null(m);
    EXPECT(m->ttl_ms <= 800);
    EXPECT(m->ttl_ms >= 600);
    EXPECT(peer_next(b) == NULL);
    EXPECT_EQ(world_count(w).events_expired_total, 1);
    world_free(w);
}

// The same when it is gone before: all comes back.
TEST(subscription, answer_without_room_goes_with_its_client)
{
    for (int how = 0; how < 2; how++) {
        world *w = world_new(NULL);
        peer *a = world_join(w, "a");
        peer *b = world_join(w, "b");
        peer_fill_up(a, b);
        subscribe(a, 1, LONG_ANSWER);
        subscribe(a, 2, "y");
        world_settle(w);
        EXPECT_EQ(world_count(w).subscriptions, 1);
        if (how == 0) {
            peer_cut(a);
            world_settle(w);
            EXPECT_EQ(world_count(w).subscriptions, 0);
        }
        world_free(w);
    }
}

// When there is no memory to keep an answer, its client is ended as one that does not read: it
// would wait for the answer for ever. Whatever allocation fails, the others go on.
TEST(subscription, answer_without_room_and_memory_ends_its_client)
{
    unsigned slow = 0;
    for (size_t n = 1; n <= 12; n++) {
        world *w = world_new(NULL);
        peer *a = world_join(w, "a");
        peer *b = join_with(w, "b", "x");
        peer_fill_up(a, b);
        w->alloc.fail_at = w->alloc.takes + n;
        subscribe(a, 1, LONG_ANSWER);
        world_settle(w);
        w->alloc.fail_at = 0;
        slow += world_count(w).links_ended_total[PHI_BYE_SLOW_CONSUMER] == 1;
        peer_event(b, "topic:x", "1");
        world_settle(w);
        peer_expect_bodies(b, "1");
        world_free(w);
    }
    EXPECT_EQ(slow, 1);
}

// A client that leaves with tens of thousands of subscriptions must not keep a turn for itself:
// they go a few thousand at a time, and it is told nothing any more at once.
TEST(subscription, many_are_swept_in_pieces)
{
    enum { PACKETS = 40, EACH = 250 };
    world *w = world_new(NULL);
    peer *a = world_join(w, "a");
    for (unsigned i = 0; i < PACKETS; i++) {
        char text[EACH * 16] = "";
        size_t used = 0;
        for (unsigned k = 0; k < EACH; k++) {
            used += (size_t)snprintf(text + used, sizeof text - used, "t.%u.%u ", i, k);
        }
        text[used - 1] = '\0';
        subscribe(a, i, text);
        world_settle(w);
    }
    EXPECT_EQ(world_count(w).subscriptions, PACKETS * EACH);
    peer *b = join_with(w, "b", "t.7.7");
    peer_cut(a);
    peer_event(b, "topic:t.7.7", "1");
    unsigned turns = 0;
    uint64_t left = world_count(w).subscriptions;
    while (left > 1) {
        world_turn(w);
        uint64_t now = world_count(w).subscriptions;
        EXPECT(left - now <= CENTER_SWEEP_TURN_COUNT_MAX);
        left = now;
        turns++;
    }
    EXPECT(turns >= 3);
    world_settle(w);
    peer_expect_bodies(b, "1");
    world_free(w);
}

// Changes are work too: those of a few clients that subscribe to all they can must not keep a turn
// for themselves. They go on in order, each is answered, and who asks for little comes between.
TEST(subscription, more_changes_than_a_turn_holds_go_on_in_the_next)
{
    enum { GREEDY = 4, PACKETS = 8, EACH = 200 };
    world *w = world_new(NULL);
    peer *greedy[GREEDY];
    for (size_t i = 0; i < GREEDY; i++) {
        char name[] = { 'g', (char)('0' + i), 0 };
        greedy[i] = world_join(w, name);
    }
    peer *modest = world_join(w, "modest");
    for (unsigned n = 0; n < PACKETS; n++) {
        char text[EACH * 40] = "";
        size_t used = 0;
        for (unsigned k = 0; k < EACH; k++) {
            used += (size_t)snprintf(text + used, sizeof text - used,
                                     "%u.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a ", n * EACH + k);
        }
        text[used - 1] = '\0';
        for (size_t i = 0; i < GREEDY; i++) {
            subscribe(greedy[i], n, text);
        }
    }
    uint64_t before = 0;
    unsigned turns = 0;
    while (world_count(w).subscriptions < GREEDY * PACKETS * EACH) {
        world_turn(w);
        uint64_t now = world_count(w).subscriptions;
        // What the reading left, and what the end of the turn gave, each but for one packet.
        EXPECT(now - before <= 2 * (CENTER_PATTERN_TURN_WORDS_MAX / PHI_TOPIC_WORDS_MAX + EACH));
        before = now;
        turns++;
        EXPECT(turns < 50);
        if (turns == 1) {
            subscribe(modest, 1, "x");
        } else if (turns == 4) {
            expect_answer(modest, 1, "");
        }
    }
    EXPECT(turns >= 4);
    world_settle(w);
    for (size_t i = 0; i < GREEDY; i++) {
        for (unsigned n = 0; n < PACKETS; n++) {
            expect_answer(greedy[i], n, "");
        }
    }
    world_free(w);
}

enum { LISTENERS = 10 };

static void join_listeners(world *w, peer *listeners[LISTENERS], const char *pattern)
{
    for (size_t i = 0; i < LISTENERS; i++) {
        char name[8];
        snprintf(name, sizeof name, "l%zu", i);
        listeners[i] = join_with(w, name, pattern);
    }
}

// A topic that more want than a turn holds goes on in the next ones, within the allowance, before
// anything that its sender said behind it. [P-52] [P-55]
TEST(subscription, more_than_a_turn_holds_goes_on_in_the_next)
{
    world *w = world_new(few_deliveries);
    peer *a = world_join(w, "a");
    peer *listeners[LISTENERS];
    join_listeners(w, listeners, "x");
    peer_event(a, "topic:x", "1");
    peer_event(a, "l0", "2");
    peer_event(a, "topic:x", "3");
    peer_event(a, "l9", "4");
    for (uint64_t told = 0; told < 2u * LISTENERS + 2;) {
        world_turn(w);
        uint64_t now = world_count(w).events_delivered_total;
        EXPECT(now - told <= 4 + 4 + 2); // of the reading, of the turn's end, and the single ones
        told = now;
    }
    world_settle(w);
    peer_expect_bodies(listeners[0], "123");
    peer_expect_bodies(listeners[5], "13");
    peer_expect_bodies(listeners[9], "134");
    EXPECT(world_count(w).broadcasts_held_total >= 2);
    EXPECT_EQ(world_count(w).events_dropped_total, 0);
    world_free(w);
}

// Who leaves while an event waits for its share is not told; who subscribes then is not meant; the
// others are told once. [P-52]
TEST(subscription, receivers_are_those_of_the_beginning)
{
    world *w = world_new(few_deliveries);
    peer *a = world_join(w, "a");
    peer *late = world_join(w, "late");
    peer *listeners[LISTENERS];
    join_listeners(w, listeners, "x");
    peer_event(a, "topic:x", "1");
    world_turn(w);
    size_t told = 0;
    for (size_t i = 0; i < LISTENERS; i++) {
        told += listeners[i]->inbox_count;
    }
    EXPECT(told > 0);
    EXPECT(told < LISTENERS);
    subscribe(late, 2, "x");
    for (size_t i = 0; i < LISTENERS; i++) {
        if (listeners[i]->inbox_count == 0) {
            peer_cut(listeners[i]);
            break;
        }
    }
    world_settle(w);
    peer_expect_bodies(late, "");
    center_counters n = world_count(w);
    EXPECT_EQ(n.events_delivered_total, LISTENERS - 1);
    EXPECT_EQ(n.events_dropped_total, 1);
    world_free(w);
}

// A sender that is gone while its event waits leaves nothing, whether its receivers were found
// already or not.
TEST(subscription, sender_that_is_gone_leaves_nothing)
{
    for (int how = 0; how < 3; how++) {
        world *w = world_new(few_deliveries);
        peer *a = world_join(w, "a");
        peer *b = world_join(w, "b");
        peer *listeners[LISTENERS];
        join_listeners(w, listeners, "x");
        peer_event(a, "topic:x", "1");
        peer_event(b, "topic:x", "2");
        world_turn(w);
        if (how < 2) {
            peer_cut(how == 0 ? a : b);
            world_settle(w);
            EXPECT(world_count(w).events_dropped_total >= 1);
            EXPECT(world_count(w).events_delivered_total >= LISTENERS);
        }
        world_free(w);
    }
}

// When there is no memory to keep who is still to be told, they are missed and counted, and all
// goes on.
TEST(subscription, without_memory_to_wait_it_is_dropped)
{
    static char body[60000];
    memset(body, 'x', sizeof body - 1);
    world *w = world_new(little_memory);
    peer *a = world_join(w, "a");
    peer *listeners[LISTENERS];
    join_listeners(w, listeners, "x");
    for (size_t i = 0; i < LISTENERS; i++) {
        listeners[i]->reads_max = 0;
        peer_window(listeners[i], 0);
    }
    for (int i = 0; i < 30; i++) {
        peer_event(a, "topic:x", body);
    }
    world_settle(w);
    center_counters n = world_count(w);
    EXPECT(n.events_dropped_total > 0);
    EXPECT(n.events_delivered_total > 0);
    EXPECT(n.send_memory <= w->options.send_memory_max + 2048u * (LISTENERS + 1));
    EXPECT(!a->is_ended);
    world_free(w);
}

// One client may subscribe to all mixtures of words and `*`, and make each match of a topic dear.
// That is charged: others' events come between, turn by turn.
TEST(subscription, dear_match_is_charged)
{
    enum { WORDS = 10 };
    world *w = world_new(many_deliveries);
    peer *bad = world_join(w, "bad");
    for (unsigned mix = 0; mix < 1u << WORDS;) {
        char text[64 * (2 * WORDS + 1)];
        size_t used = 0;
        for (unsigned k = 0; k < 64; k++, mix++) {
            for (unsigned i = 0; i < WORDS; i++) {
                text[used++] = (mix >> i & 1) != 0 ? '*' : 'w';
                text[used++] = i + 1 == WORDS ? ' ' : '.';
            }
        }
        text[used - 1] = '\0';
        subscribe(bad, mix, text);
        world_settle(w);
    }
    EXPECT_EQ(world_count(w).subscriptions, 1u << WORDS);
    // Each match looks at some three thousand places: twice what a turn has.
    for (int i = 0; i < 6; i++) {
        peer_event(bad, "topic:w.w.w.w.w.w.w.w.w.w", "1");
    }
    peer *good = join_with(w, "good", "x");
    unsigned turns = 0;
    while (bad->inbox_count < 6) {
        size_t before = bad->inbox_count;
        world_turn(w);
        EXPECT(bad->inbox_count - before <= 2);
        turns++;
        EXPECT(turns < 100);
    }
    EXPECT(world_count(w).broadcasts_held_total >= 2);
    peer_event(good, "topic:x", "1");
    world_settle(w);
    peer_expect_bodies(good, "1");
    world_free(w);
}
