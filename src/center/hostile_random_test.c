// SPDX-License-Identifier: Apache-2.0
//
// center/hostile_random_test.c - clients that say whatever has the form of something: numbers of
// others, turns and streams in use, credit for what is over, flags that only the center says,
// drains, and all that while they stop reading, leave and come back. Nobody may keep the center
// from going on, and when they are gone nothing of them is left. [P-51] [P-62] [P-65] [P-66] [P-69]
// [P-72] [P-73] [P-75]
//
// What each of it means is tested elsewhere. Here the center's own assertions are what is tested:
// no peer may reach one.

#include <stdio.h>
#include <stdlib.h>

#include <posthouse/message.h>

#include "tests/center/world.h"
#include "tests/harness/test.h"
#include "wire/presence.h"
#include "wire/stream.h"
#include "wire/subscription.h"

enum {
    CLIENTS = 6,
    STEPS = 1500,
    STORIES = 10,
    BODY_MAX = 32000,
    PACKET_MAX = BODY_MAX + 512,
    TRIES = 40,       // for something that has the right form: else it ends the link
    LIFE_STEPS = 200, // about so many until a client leaves
};

typedef struct story {
    world *w;
    phi_random random;
    peer *peers[CLIENTS];
    char names[CLIENTS][8]; // borrowed by JOIN
} story;

static void small(center_options *o)
{
    o->deliveries_per_turn_max = 5;
    o->streams_per_client_max = 3;
    o->stream_receivers_max = 3;
    o->calls_per_client_max = 12;
    o->gather_max = 4;
    o->subscriptions_max = 60;
    o->subscriptions_per_client_max = 20;
    o->subscriptions_wild_per_client_max = 3;
    o->send_buffer_max = 131072;
    o->send_memory_max = 1048576;
    o->message_max = 65536;
    o->full_timeout = 2000;
    o->guard_instances_min = 2;
    o->guard_hold = 3000;
    o->flap_suppress = 3000;
    o->flap_half_life = 1000;
}

static uint32_t below(story *s, uint32_t count)
{
    return (uint32_t)phi_random_below(&s->random, count);
}

static void client_new(story *s, size_t at)
{
    snprintf(s->names[at], sizeof s->names[at], "c%zu", at);
    phi_join join = { .version = PHI_PROTOCOL_VERSION,
                      .type = PHI_TYPE_CLIENT,
                      .account = phi_bytes_text(s->names[at]),
                      .message_bytes_max = below(s, 4) == 0 ? 0 : 65536 };
    join.service = phi_bytes_text(below(s, 3) == 0 ? "t" : "s");
    join.presence.wants = below(s, 2) == 0;
    s->peers[at] = world_connect_as(s->w, &join);
}

// ---- what they say

// A number that means something to somebody, mostly.
static uint64_t number(story *s, const peer *p)
{
    uint32_t how = below(s, 10);
    if (how == 0) {
        return UINT64_MAX - below(s, 2);
    }
    const peer *of = how == 1 ? s->peers[below(s, CLIENTS)] : p;
    if (how < 6 && of->inbox_count != 0) {
        size_t recent = of->inbox_count < 6 ? of->inbox_count : 6;
        return of->inbox[of->inbox_count - 1 - below(s, (uint32_t)recent)].m.call;
    }
    return below(s, 6);
}

// One of the last that came of that kind; NULL: none.
static const phi_message *recent(story *s, const peer *p, uint8_t kind)
{
    enum { RECENT = 20 };
    const phi_message *found = NULL;
    for (size_t i = 0; i < RECENT && i < p->inbox_count; i++) {
        const phi_message *m = &p->inbox[p->inbox_count - 1 - i].m;
        if (m->kind == kind && (found == NULL || below(s, 3) == 0)) {
            found = m;
        }
    }
    return found;
}

// What a message of that kind is about, mostly.
static phi_stream_control subject(story *s, const peer *p, uint8_t kind)
{
    bool is_answer = kind == PHI_KIND_ANSWER || (kind == PHI_KIND_FAILURE && below(s, 3) == 0);
    const phi_message *m = NULL;
    if (is_answer) {
        m = recent(s, p, PHI_KIND_INQUIRY);
    } else if (kind == PHI_KIND_REPLY || kind == PHI_KIND_INQUIRY || kind == PHI_KIND_FAILURE) {
        m = recent(s, p, PHI_KIND_REQUEST);
    }
    uint16_t turn = kind == PHI_KIND_INQUIRY ? (uint16_t)(1 + below(s, 6)) : (uint16_t)0;
    if (m != NULL && below(s, 8) != 0) {
        return (phi_stream_control){ .call = m->call, .turn = is_answer ? m->turn : turn };
    }
    return (phi_stream_control){ .call = number(s, p),
                                 .turn = is_answer ? (uint16_t)(1 + below(s, 6)) : turn };
}

static const char *address(story *s)
{
    static const char *const all[] = {
        "c0",        "c1",        "c2@d", "service:s", "service:t", "all:s",
        "all:t",     "all:",      "@d",   "@",         "topic:",    "topic:a",
        "topic:a.b", "topic:a.*", "c0@x", "",          "planet:x",  "topic:a.b.c.d"
    };
    return all[below(s, PHI_COUNT_OF(all))];
}

static size_t body_of(story *s, uint8_t *body)
{
    static const size_t sizes[] = { 0, 1, 2, 3, 10, 100, 9000, BODY_MAX };
    size_t size = sizes[below(s, PHI_COUNT_OF(sizes))];
    memset(body, (int)below(s, 3), size);
    if (below(s, 4) == 0) { // a drain's
        phi_writer w = phi_writer_of((phi_span){ body, BODY_MAX });
        phi_write_u8(&w, (uint8_t)below(s, 2));
        phi_write_u32(&w, below(s, 3) == 0 ? UINT32_MAX : below(s, 300));
        phi_write_str8(&w, phi_bytes_text(s->names[below(s, CLIENTS)]));
        size = phi_writer_size(&w);
    }
    return size;
}

// A message of that kind; its size.
static size_t write_message(story *s, const peer *p, uint8_t kind, uint8_t *packet)
{
    static uint8_t body[BODY_MAX];
    static const uint8_t flags[] = { 0,
                                     0,
                                     0,
                                     PHI_FLAG_MORE,
                                     PHI_FLAG_REST,
                                     PHI_FLAG_MORE | PHI_FLAG_REST,
                                     PHI_FLAG_RECEIPT,
                                     PHI_FLAG_RECEIPT | PHI_FLAG_MORE,
                                     PHI_FLAG_PART,
                                     PHI_FLAG_DURABLE,
                                     PHI_FLAG_IDEMPOTENT };
    uint8_t flag = flags[below(s, PHI_COUNT_OF(flags))];
    bool is_rest = (flag & PHI_FLAG_REST) != 0;
    const char *to = is_rest ? "" : address(s);
    static const char *const methods[] = { "", "", "drain", "status" };
    const char *method = is_rest ? "" : methods[below(s, PHI_COUNT_OF(methods))];
    size_t body_size = body_of(s, body);
    phi_writer w = phi_writer_of((phi_span){ packet, PACKET_MAX });
    phi_write_u8(&w, kind);
    phi_write_u8(&w, flag);
    phi_stream_control about = subject(s, p, kind);
    phi_write_u16(&w, about.turn);
    phi_write_u64(&w, about.call);
    phi_write_u32(&w, below(s, 3) == 0 ? UINT32_MAX : below(s, 3000));
    phi_write_u8(&w, (uint8_t)strlen(to));
    phi_write_u8(&w, (uint8_t)strlen(p->id));
    phi_write_u8(&w, (uint8_t)strlen(method));
    phi_write_u8(&w, (uint8_t)(below(s, 2) * below(s, PHI_DEPTH_MAX + 2)));
    phi_write_u16(&w, 0);
    phi_write_u16(&w, (uint16_t)(below(s, 4) == 0 ? below(s, 4) : 0));
    phi_write_bytes(&w, phi_bytes_text(to));
    phi_write_bytes(&w, phi_bytes_text(p->id));
    phi_write_bytes(&w, phi_bytes_text(method));
    phi_write_bytes(&w, phi_bytes_of(body, body_size));
    EXPECT(!w.failed);
    return phi_writer_size(&w);
}

static bool has_form(const uint8_t *packet, size_t size)
{
    phi_message m;
    phi_failure failure;
    if (phi_message_decode(phi_bytes_of(packet, size), &m) != PH_OK) {
        return false;
    }
    if ((m.flags & PHI_FLAG_REST) != 0 && m.body.size == 0) {
        return false;
    }
    return m.kind != PHI_KIND_FAILURE || phi_failure_decode(m.body, &failure) == PH_OK;
}

static void say_message(story *s, peer *p)
{
    static uint8_t packet[PACKET_MAX];
    uint8_t kind = (uint8_t)(1 + below(s, PHI_KIND_RECEIPT));
    for (int i = 0; i < TRIES; i++) {
        size_t size = write_message(s, p, kind, packet);
        if (has_form(packet, size)) {
            peer_packet(p, PHI_COMMAND_MESSAGE, packet, size);
            return;
        }
    }
}

static void say_stream(story *s, peer *p)
{
    static const uint32_t values[] = { 0, 1, 8, 777, 1000, 16384, UINT16_MAX, 65536, UINT32_MAX };
    static const uint16_t turns[] = { 0, 0, 0, 1, 2 };
    uint8_t bytes[PHI_STREAM_CONTROL_BYTES];
    phi_writer w = phi_writer_of((phi_span){ bytes, sizeof bytes });
    phi_write_u8(&w, (uint8_t)(1 + below(s, 3)));
    phi_write_u8(&w, (uint8_t)(1 + below(s, PHI_KIND_ANSWER)));
    phi_write_u16(&w, turns[below(s, PHI_COUNT_OF(turns))]);
    phi_write_u64(&w, number(s, p));
    phi_write_u32(&w, values[below(s, PHI_COUNT_OF(values))]);
    EXPECT(!w.failed);
    phi_stream_control control;
    if (phi_stream_control_decode(phi_writer_view(&w), &control) == PH_OK) {
        peer_packet(p, PHI_COMMAND_STREAM, bytes, sizeof bytes);
    }
}

// Receivers grant what comes to them, so that streams also end well.
static void grant_last(story *s, peer *p)
{
    for (size_t i = p->inbox_count; i-- > 0;) {
        const phi_message *m = &p->inbox[i].m;
        if ((m->flags & (PHI_FLAG_MORE | PHI_FLAG_REST)) == PHI_FLAG_MORE) {
            uint8_t bytes[PHI_STREAM_CONTROL_BYTES];
            phi_stream_control_encode(bytes, &(phi_stream_control){ .op = PHI_STREAM_CREDIT,
                                                                    .kind = m->kind,
                                                                    .turn = m->turn,
                                                                    .call = m->call,
                                                                    .value = 1 + below(s, 40000) });
            peer_packet(p, PHI_COMMAND_STREAM, bytes, sizeof bytes);
            return;
        }
    }
}

static void say_subscription(story *s, peer *p)
{
    static const char *const patterns[] = { "a",     "a.*", "a.>",     ">",       "*.*.*",
                                            "*.b",   "",    "a..b",    "*.*.*.*", "a.b.c.d",
                                            "a.*.>", "b",   "*.*.*.>", "a.b",     "*.*.*.d" };
    uint8_t bytes[PHI_SUBSCRIPTION_BYTES_MAX];
    phi_writer w = phi_writer_of((phi_span){ bytes, sizeof bytes });
    phi_subscription_begin(&w, below(s, 3));
    for (uint32_t i = below(s, 8); i-- > 0;) {
        phi_write_change(&w, below(s, 3) == 0 ? PHI_SUBSCRIPTION_REMOVE : PHI_SUBSCRIPTION_ADD,
                         phi_bytes_text(patterns[below(s, PHI_COUNT_OF(patterns))]));
    }
    EXPECT(!w.failed);
    peer_packet(p, PHI_COMMAND_SUBSCRIPTION, bytes, phi_writer_size(&w));
}

static void say_own_state(story *s, peer *p)
{
    phi_own_state own = { .state = (phi_state)below(s, PHI_STATE_DRAINING + 1) };
    own.has_weight = below(s, 2) == 0;
    own.weight = own.has_weight ? (uint16_t)below(s, PHI_WEIGHT_MAX + 1) : 0;
    own.has_metadata = below(s, 3) == 0;
    if (own.has_metadata && below(s, 2) == 0) {
        own.metadata[own.metadata_count++] =
            (phi_metadata){ phi_bytes_text("k"), phi_bytes_text("some value") };
    }
    peer_own_state(p, &own);
}

static void say_ask(story *s, peer *p)
{
    static const char *const services[] = { "", "s", "t", "no name!" };
    peer_ask(p, &(phi_presence_ask){ .wants = below(s, 4) != 0,
                                     .service = phi_bytes_text(services[below(s, 4)]),
                                     .type = below(s, 5) == 0 ? PHI_TYPE_GATEWAY : (uint8_t)0 });
}

// ---- the story

static void step(story *s)
{
    size_t at = below(s, CLIENTS);
    peer *p = s->peers[at];
    if (p->stream == NULL) {
        world_forget(s->w, p);
        client_new(s, at);
        return;
    }
    if (!p->is_open || p->is_ended) {
        return;
    }
    uint32_t what = below(s, 100);
    if (what < 60) {
        say_message(s, p);
    } else if (what < 70) {
        say_stream(s, p);
    } else if (what < 78) {
        grant_last(s, p);
    } else if (what < 85) {
        say_subscription(s, p);
    } else if (what < 90) {
        say_own_state(s, p);
    } else if (what < 92) {
        say_ask(s, p);
    } else {
        p->reads_max = below(s, 2) == 0 ? SIZE_MAX : below(s, 3) * 5000;
    }
    if (below(s, LIFE_STEPS) == 0) {
        (below(s, 2) == 0 ? peer_leave : peer_cut)(p);
    }
}

static void end(story *s)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        s->peers[i]->reads_max = SIZE_MAX;
        peer_cut(s->peers[i]);
    }
    world_pass(s->w, 20000); // ghosts and the damped, too
    world_settle(s->w);
    world_expect_balance(s->w);
    world_expect_no_calls(s->w);
    center_counters n = world_count(s->w);
    EXPECT_EQ(n.sessions, 0);
    EXPECT_EQ(n.streams, 0);
    EXPECT_EQ(n.subscriptions, 0);
    EXPECT_EQ(n.listed, 0);
    EXPECT_EQ(n.services, 0);
    EXPECT_EQ(n.watchers, 0);
    world_free(s->w);
}

// How long workers stood still for want of memory.
static uint64_t tell(uint64_t seed, uint32_t workers)
{
    story s = { .w = world_new_of(workers, small), .random = phi_random_seeded(seed) };
    s.w->random = phi_random_seeded(seed); // which worker stands still
    for (size_t i = 0; i < CLIENTS; i++) {
        client_new(&s, i);
    }
    world_settle(s.w);
    for (int i = 0; i < STEPS; i++) {
        // In every other story memory is short.
        if (seed % 2 == 0 && below(&s, 20) == 0) {
            s.w->alloc.fail_at = s.w->alloc.takes + 1 + below(&s, 10);
        }
        step(&s);
        if (below(&s, 3) == 0) {
            world_turn(s.w);
        }
        if (below(&s, 50) == 0) {
            world_pass(s.w, below(&s, 700));
        }
    }
    uint64_t stood_still_ms = s.w->stood_still_ms;
    end(&s);
    return stood_still_ms;
}

// PH_STORIES says how many, for somebody who has time.
static void tell_stories(uint32_t workers)
{
    const char *text = getenv("PH_STORIES");
    uint64_t count = text == NULL ? STORIES : strtoull(text, NULL, 10);
    uint64_t stood_still_ms = 0;
    for (uint64_t seed = 1; seed <= count; seed++) {
        stood_still_ms += tell(seed, workers);
    }
    EXPECT((stood_still_ms > 0) == (workers > 1)); // who is alone need not take in what others say
}

// A word that reached an assertion would let any client take the center down; what it leaves behind
// would fill it.
TEST(hostile, any_story_leaves_nothing)
{
    tell_stories(1);
}

// What such a client says to another worker than its own, and hears from there, is mail between
// them, and no word of it may reach an assertion either.
TEST(hostile, any_story_leaves_nothing_at_2_workers)
{
    tell_stories(2);
}

// The same where a worker reads the mail of two others, and two of them talk past the third.
TEST(hostile, any_story_leaves_nothing_at_3_workers)
{
    tell_stories(3);
}
