// SPDX-License-Identifier: Apache-2.0
//
// center/status_test.c - the method `status` of the center. What several workers do together is in
// tests/sim/status_sim.c. [P-69]

#include <posthouse/message.h>
#include <posthouse/version.h>

#include <string.h>

#include "center/status.h"
#include "tests/center/world.h"
#include "tests/harness/test.h"

static void small_buffers(center_options *o)
{
    o->send_buffer_max = 131072;
}

// What the center replied; a view into the message.
typedef struct told {
    uint64_t uptime_ms;
    uint8_t workers;
    uint8_t counted;
    uint16_t count;
    phi_bytes values;
} told;

static void ask(peer *p, uint64_t call, phi_bytes body)
{
    peer_say(p, &(phi_message){ .kind = PHI_KIND_REQUEST,
                                .ttl_ms = 1000,
                                .call = call,
                                .to = phi_bytes_text("@"),
                                .method = phi_bytes_text("status"),
                                .body = body });
}

static told take_reply(peer *p, uint64_t call)
{
    const phi_message *m = peer_next(p);
    assert_non_null(m);
    EXPECT_EQ(m->kind, PHI_KIND_REPLY);
    EXPECT_EQ(m->call, call);
    EXPECT(phi_bytes_equal(m->from, phi_bytes_text("@d")));
    told t;
    phi_reader r = phi_reader_of(m->body);
    EXPECT(phi_bytes_equal(phi_read_str8(&r), phi_bytes_text(PH_VERSION_TEXT)));
    t.uptime_ms = phi_read_u64(&r);
    t.workers = phi_read_u8(&r);
    t.counted = phi_read_u8(&r);
    t.count = phi_read_u16(&r);
    t.values = phi_read_bytes(&r, phi_reader_left(&r));
    EXPECT(!r.failed);
    return t;
}

// A value that it has just once, of that kind.
static uint64_t value_of(const told *t, uint8_t kind, const char *name)
{
    phi_reader r = phi_reader_of(t->values);
    uint32_t found = 0;
    uint64_t value = 0;
    for (uint16_t i = 0; i < t->count; i++) {
        uint8_t its_kind = phi_read_u8(&r);
        phi_bytes its_name = phi_read_str8(&r);
        uint64_t its_value = phi_read_u64(&r);
        if (phi_bytes_equal(its_name, phi_bytes_text(name))) {
            EXPECT_EQ(its_kind, kind);
            found++;
            value = its_value;
        }
    }
    EXPECT(!r.failed);
    EXPECT_EQ(phi_reader_left(&r), 0);
    EXPECT_EQ(found, 1);
    return value;
}

// An operator who is told something else than what is counted looks in the wrong place: every
// counter and gauge there is, once, with what it counts. Only what the reply itself adds differs.
// [P-69]
TEST(status, tells_everything_that_is_counted)
{
    world *w = world_new(NULL);
    peer *one = world_join(w, "one");
    peer *two = world_watch(w, "two");
    peer_request(one, "two", 7, 60000);
    world_settle(w);
    EXPECT(peer_next(two) != NULL);
    world_pass(w, 2500);
    ask(one, 8, phi_bytes_of(NULL, 0));
    world_settle(w);
    told t = take_reply(one, 8);
    EXPECT_EQ(t.workers, 1);
    EXPECT_EQ(t.counted, 1);
    EXPECT(t.uptime_ms >= 2500);
    EXPECT(t.uptime_ms < 10000);
    const center_counters now = world_count(w);
    enum { COUNTER = 1, GAUGE = 2, SHARED_COUNTER = 1, SHARED_GAUGE = 2 };
#define CENTER_METRIC(name, kind, help)                                                            \
    if (offsetof(center_counters, name) != offsetof(center_counters, calls) &&                     \
        offsetof(center_counters, name) != offsetof(center_counters, calls_replied_total) &&       \
        offsetof(center_counters, name) != offsetof(center_counters, messages_sent_total) &&       \
        offsetof(center_counters, name) != offsetof(center_counters, send_memory) &&               \
        offsetof(center_counters, name) != offsetof(center_counters, bytes_received_total) &&      \
        offsetof(center_counters, name) != offsetof(center_counters, bytes_sent_total)) {          \
        EXPECT_EQ(value_of(&t, kind, #name), now.name);                                            \
    }
#include "center/metrics.def"
#undef CENTER_METRIC
    EXPECT_EQ(value_of(&t, GAUGE, "sessions"), 2);
    EXPECT_EQ(value_of(&t, GAUGE, "watchers"), 1);
    EXPECT_EQ(value_of(&t, GAUGE, "calls"), 2); // the one that asks is open, too
    EXPECT_EQ(value_of(&t, COUNTER, "joins_total"), 2);
    EXPECT(value_of(&t, GAUGE, "session_memory") > 0);
    world_free(w);
}

// How much is said, and to whom, is nobody's business but the operator's: rules say who that is. A
// client of another machine may nothing without them. [P-80]
TEST(status, takes_the_right_to_that_center)
{
    world *w = world_new(NULL);
    peer *local = world_join(w, "local");
    world_from_far(w, "far");
    peer *far = world_join(w, "far");
    ask(local, 1, phi_bytes_of(NULL, 0));
    ask(far, 1, phi_bytes_of(NULL, 0));
    world_settle(w);
    (void)take_reply(local, 1);
    peer_expect_failure(far, 1, PH_FAILURE_REFUSED_BY_POLICY);
    EXPECT(world_logged(w, "CE0019"));

    WORLD_SECURE(w, "far may status d", "local may status other", "local may call *",
                 "local may drain *");
    ask(local, 2, phi_bytes_of(NULL, 0));
    ask(far, 2, phi_bytes_of(NULL, 0));
    world_settle(w);
    peer_expect_failure(local, 2, PH_FAILURE_REFUSED_BY_POLICY);
    (void)take_reply(far, 2);
    EXPECT_EQ(world_count(w).refused_by_policy_total, 2);
    world_free(w);
}

// What this version does not know must not be taken for what it knows. [P-69]
TEST(status, refuses_a_body)
{
    world *w = world_new(NULL);
    peer *p = world_join(w, "one");
    ask(p, 1, phi_bytes_text("x"));
    world_settle(w);
    peer_expect_failure(p, 1, PH_FAILURE_MALFORMED);
    world_expect_no_calls(w);
    world_free(w);
}

// One who asks and asks and does not read must not take the memory of the others: what is kept for
// it has the bound of its send buffer, and beyond that it is told so, when it reads. [P-59]
TEST(status, is_kept_for_one_as_far_as_its_buffer_is_long)
{
    enum { ASKS = 200, KEPT_MAX = 131072 };
    world *w = world_new(small_buffers);
    peer *p = world_join(w, "one");
    peer *other = world_join(w, "other");
    peer_fill_up(p, other);
    uint64_t before = world_count(w).send_memory;
    for (uint64_t i = 1; i <= ASKS; i++) {
        ask(p, i, phi_bytes_of(NULL, 0));
        world_settle(w);
    }
    EXPECT(world_call_slots(w) == ASKS);
    EXPECT(world_count(w).send_memory - before <= KEPT_MAX);
    peer_drain(p);
    uint64_t replies = 0;
    for (uint64_t i = 1; i <= ASKS; i++) {
        const phi_message *m = peer_next(p);
        assert_non_null(m);
        EXPECT_EQ(m->call, i);
        bool is_kept = m->kind == PHI_KIND_REPLY && replies == i - 1; // the first ones are
        EXPECT(is_kept || m->kind == PHI_KIND_FAILURE);
        replies += is_kept ? 1 : 0;
    }
    EXPECT(replies > 0);
    EXPECT(replies < ASKS);
    ask(p, ASKS + 1, phi_bytes_of(NULL, 0)); // and it may fill up again
    world_settle(w);
    (void)take_reply(p, ASKS + 1);
    world_expect_no_calls(w);
    world_expect_balance(w);
    world_free(w);
}

// Who does not read now is told when it does, and a center that waits for that goes on. [P-59]
TEST(status, waits_for_room)
{
    world *w = world_new(NULL);
    peer *p = world_join(w, "one");
    peer *other = world_join(w, "other");
    peer_fill_up(p, other);
    ask(p, 1, phi_bytes_of(NULL, 0));
    world_settle(w);
    EXPECT(world_call_slots(w) == 1);
    peer_drain(p);
    told t = take_reply(p, 1);
    EXPECT_EQ(value_of(&t, 2, "sessions"), 2);
    world_expect_no_calls(w);
    world_expect_balance(w);
    world_free(w);
}
