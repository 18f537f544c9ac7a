// SPDX-License-Identifier: Apache-2.0
//
// center/throttle_test.c - who sends, or connects, more than it may: P-78.

#include "tests/harness/test.h"

#include "center/security.h"
#include "tests/center/world.h"

// ---- fixture

static void ten_messages(center_options *o)
{
    o->client_messages_per_second = 10;
}

static void few_bytes(center_options *o)
{
    o->client_bytes_per_second = 1000;
}

static void of_address(center_options *o)
{
    o->address_messages_per_second = 10;
}

static void connections(center_options *o)
{
    o->address_connections_max = 3;
}

static void connecting(center_options *o)
{
    o->address_connections_per_second = 2;
}

static void small_table(center_options *o)
{
    o->address_messages_per_second = 1000000;
    o->client_messages_per_second = 1000000;
    o->throttle_table_max = 1024;
}

// Who connects from here on comes from that host, of another machine.
static void come_from(world *w, const uint8_t host[16])
{
    w->who = (phi_identity){ .is_local = false };
    memcpy(w->who.host, host, 16);
}

static void come_from_v4(world *w, uint8_t a, uint8_t b)
{
    come_from(w, (const uint8_t[16]){ [10] = 0xff, 0xff, 192, 0, a, b });
}

// In the account's own name only: nobody has to prove anything here, wherever it comes from.
static world *open_world(void (*change)(center_options *options))
{
    world *w = world_new(change);
    w->security.insecure_allow_anonymous = true;
    WORLD_SECURE(w, "* may send *");
    return w;
}

static void peer_events(peer *p, const char *to, int count)
{
    for (int i = 0; i < count; i++) {
        peer_event(p, to, "x");
    }
}

// All that came, one after the other.
static int read_all(peer *p)
{
    int count = 0;
    while (peer_next(p) != NULL) {
        count++;
    }
    return count;
}

// ---- what is sent

// An operator who allows ten messages a second must get ten messages a second: a second's worth at
// once, and what came beyond it, in one read, paid for before more is read. Nothing is lost, and
// others notice nothing. [P-78]
TEST(throttle, account_is_read_on_when_it_has_paid)
{
    world *w = world_new(ten_messages);
    peer *r = world_join(w, "r");
    peer *fast = world_join(w, "fast");
    peer *other = world_join(w, "other");
    world_pass(w, 1000); // JOIN counts, too
    peer_events(fast, "r", 30);
    world_settle(w);
    EXPECT_EQ(read_all(r), 30); // one read
    EXPECT_EQ(world_count(w).throttled, 1);
    EXPECT_EQ(world_count(w).pauses_total, 1);
    EXPECT(world_logged(w, "CE0015"));
    peer_events(fast, "r", 1);
    peer_events(other, "r", 1);
    world_settle(w);
    EXPECT_EQ(read_all(r), 1); // the other's
    // 30 are 20 more than the burst, and one for the next: 21 tenths of a second.
    world_pass(w, 2099);
    EXPECT_EQ(read_all(r), 0);
    world_pass(w, 1);
    EXPECT_EQ(read_all(r), 1);
    // From here on one by one.
    for (int i = 0; i < 5; i++) {
        peer_events(fast, "r", 1);
        world_pass(w, 99);
        EXPECT_EQ(read_all(r), 0);
        world_pass(w, 1);
        EXPECT_EQ(read_all(r), 1);
    }
    center_check(w->c);
    world_free(w);
}

// Who leaves when it owes, and comes again, still owes; else it would send a read's worth with
// each of many connections. [P-78]
TEST(throttle, account_that_comes_again_still_owes)
{
    world *w = world_new(ten_messages);
    peer *r = world_join(w, "r");
    peer *fast = world_join(w, "fast");
    world_pass(w, 1000);
    peer_events(fast, "r", 30);
    peer_leave(fast);
    world_settle(w);
    EXPECT_EQ(read_all(r), 30);
    world_pass(w, 1000);
    fast = world_join(w, "fast");
    EXPECT_EQ(world_count(w).throttled, 1);
    peer_events(fast, "r", 1);
    world_settle(w);
    EXPECT_EQ(read_all(r), 0);
    // 30 events, the bye and the second JOIN are 22 more than the burst, and one for the next; a
    // second has passed.
    world_pass(w, 1299);
    EXPECT_EQ(read_all(r), 0);
    world_pass(w, 1);
    EXPECT_EQ(read_all(r), 1);
    center_check(w->c);
    world_free(w);
}

// Bytes are counted as they come on the wire, heartbeats and heads with them. [P-78]
TEST(throttle, account_is_read_on_when_its_bytes_are_paid)
{
    static char body[1501];
    memset(body, 'b', 1500);
    world *w = world_new(few_bytes);
    peer *r = world_join(w, "r");
    peer *p = world_join(w, "p");
    world_pass(w, 1000);
    uint64_t before = world_count(w).bytes_received_total;
    peer_event(p, "r", body);
    world_settle(w);
    uint64_t size = world_count(w).bytes_received_total - before;
    EXPECT(size > 1500);
    EXPECT(size < 1700);
    EXPECT_EQ(read_all(r), 1);
    peer_event(p, "r", "x");
    world_pass(w, size - 1000); // and one byte of the next
    EXPECT_EQ(read_all(r), 0);
    world_pass(w, 1);
    EXPECT_EQ(read_all(r), 1);
    world_free(w);
}

// A client that is read later is no dead one: neither end may give it up, though it is silent, and
// asks for signs of life that nobody reads. Its call ends as any other. [P-40] [P-78]
TEST(throttle, slowed_client_is_not_taken_for_dead)
{
    world *w = world_new(ten_messages);
    peer *r = world_join(w, "r");
    peer *p = world_connect(w, "p");
    p->options.heartbeat_idle = phi_seconds(10);
    p->options.heartbeat_grace = phi_seconds(5);
    world_settle(w);
    EXPECT(p->is_open);
    peer_events(p, "r", 1500); // for 150 s
    world_settle(w);
    EXPECT_EQ(read_all(r), 1500);
    peer_request(p, "r", 7, 0);
    world_pass(w, 149000);
    EXPECT_EQ(read_all(r), 0);
    EXPECT(p->is_open);
    EXPECT(!p->is_ended);
    EXPECT_EQ(world_count(w).sessions, 2);
    EXPECT_EQ(world_count(w).suspects, 0);
    world_pass(w, 1000);
    const phi_message *m = peer_next(r);
    EXPECT(m != NULL);
    peer_reply(r, m->call, "yes");
    world_settle(w);
    peer_expect(p, PHI_KIND_REPLY, 7, "yes");
    world_free(w);
}

static void stopped(void *arg)
{
    *(bool *)arg = true;
}

// One that is cut off while it is slowed is gone at once, and a center that stops does not wait for
// what it owes.
TEST(throttle, slowed_client_that_goes_is_gone)
{
    for (int how = 0; how < 3; how++) {
        world *w = world_new(ten_messages);
        peer *r = world_join(w, "r");
        peer *p = world_join(w, "p");
        bool has_stopped = false;
        peer_events(p, "r", 100);
        world_settle(w);
        EXPECT_EQ(read_all(r), 100);
        EXPECT_EQ(world_count(w).throttled, 1);
        if (how == 0) {
            peer_cut(p);
            world_settle(w);
            EXPECT_EQ(world_count(w).sessions, 1);
            EXPECT_EQ(world_count(w).throttled, 0);
        } else if (how == 1) {
            center_stop(w->c, stopped, &has_stopped);
            world_pass(w, 10);
            EXPECT(has_stopped);
            peer_expect_bye(p, PHI_BYE_GOING_AWAY);
        }
        world_free(w); // or all at once
    }
}

// ---- addresses

// All connections of one address share its rate, and one that comes when it owes waits with them;
// who comes from elsewhere does not. [P-78]
TEST(throttle, connections_of_an_address_share_its_rate)
{
    world *w = open_world(of_address);
    peer *r = world_join(w, "r"); // loopback
    come_from_v4(w, 2, 1);
    peer *a = world_join(w, "a");
    peer *b = world_join(w, "b");
    come_from_v4(w, 2, 2);
    peer *other = world_join(w, "other");
    world_pass(w, 1000);
    peer_events(a, "r", 30);
    world_settle(w);
    EXPECT_EQ(read_all(r), 30);
    peer_events(b, "r", 5); // it is not paused yet: read once
    world_settle(w);
    EXPECT_EQ(read_all(r), 5);
    EXPECT_EQ(world_count(w).throttled, 2);
    peer_events(other, "r", 5);
    world_settle(w);
    EXPECT_EQ(read_all(r), 5);
    come_from_v4(w, 2, 1);
    peer *late = world_connect(w, "late");
    world_settle(w);
    EXPECT(!late->is_open);
    peer_events(a, "r", 1);
    peer_events(b, "r", 1);
    world_pass(w, 2599); // 35 + 1 - 10
    EXPECT_EQ(read_all(r), 0);
    EXPECT(!late->is_open);
    world_pass(w, 1);
    EXPECT_EQ(read_all(r), 2);
    EXPECT(late->is_open);
    center_check(w->c);
    world_free(w);
}

// Somebody who was given a network of 2^64 addresses is still one; his neighbour, and IPv4 hosts,
// are others. Loopback is one address, whatever it is called. [P-78]
TEST(throttle, addresses_are_what_one_customer_has)
{
    static const struct {
        uint8_t first[16];
        uint8_t second[16];
        bool is_same;
    } rows[] = {
        { { 0x20, 1, 0xd, 0xb8, 0, 0, 0, 7, 1 }, { 0x20, 1, 0xd, 0xb8, 0, 0, 0, 7, 2 }, true },
        { { 0x20, 1, 0xd, 0xb8, 0, 0, 0, 7, 1 }, { 0x20, 1, 0xd, 0xb8, 0, 0, 0, 8, 1 }, false },
        { { [10] = 0xff, 0xff, 192, 0, 2, 1 }, { [10] = 0xff, 0xff, 192, 0, 2, 1 }, true },
        { { [10] = 0xff, 0xff, 192, 0, 2, 1 }, { [10] = 0xff, 0xff, 192, 0, 2, 2 }, false },
        { { [10] = 0xff, 0xff, 192, 0, 2, 1 }, { [15] = 7 }, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        world *w = open_world(connections);
        come_from(w, rows[i].first);
        for (int n = 0; n < 3; n++) {
            EXPECT(world_join(w, "") != NULL);
        }
        come_from(w, rows[i].second);
        peer *p = world_connect(w, "");
        world_settle(w);
        EXPECT_EQ(p->is_open, !rows[i].is_same);
        world_free(w);
    }
    world *w = world_new(connections);
    world_join(w, "");
    w->who = (phi_identity){ .is_local = true, .host = { [10] = 0xff, 0xff, 127, 9, 9, 9 } };
    world_join(w, "");
    w->who = (phi_identity){ .is_local = true, .host = { [15] = 1 } };
    world_join(w, "");
    w->who = (phi_identity){ .is_local = true }; // a Unix socket is another
    world_join(w, "");
    w->who = (phi_identity){ .is_local = true, .host = { [15] = 1 } };
    peer *p = world_connect(w, "");
    world_settle(w);
    peer_expect_bye(p, PHI_BYE_LIMIT_REACHED);
    world_free(w);
}

// One address must not take all connections. Who is refused is told when to come back, at no cost
// to speak of; and each that goes makes room for one, however it goes, joined or not. [P-78]
TEST(throttle, connections_of_an_address_are_limited)
{
    world *w = open_world(connections);
    come_from_v4(w, 2, 1);
    peer *p[3] = { world_join(w, "a"), world_join(w, "b"), world_connect(w, "a") };
    world_settle(w);
    peer_expect_bye(p[2], PHI_BYE_ACCOUNT_TAKEN); // it made room
    p[2] = world_join(w, "c");
    for (int i = 0; i < 3; i++) {
        peer *more = world_connect(w, "d");
        world_settle(w);
        peer_expect_bye(more, PHI_BYE_LIMIT_REACHED);
        EXPECT(more->end.retry_after_ms >= 1000);
        EXPECT(more->end.retry_after_ms <= 2000);
        EXPECT_EQ(world_count(w).connections, 3);
        if (i == 0) {
            peer_leave(p[i]);
        } else {
            peer_cut(p[i]);
        }
        world_settle(w);
        p[i] = world_join(w, "e");
        peer_leave(p[i]);
        world_settle(w);
        p[i] = world_join(w, "f");
        peer_cut(p[i]);
        world_settle(w);
        p[i] = world_join(w, i == 0 ? "a2" : i == 1 ? "b2" : "c2");
    }
    come_from_v4(w, 2, 2);
    world_join(w, "g");
    EXPECT_EQ(world_count(w).connections_limited_total, 3);
    EXPECT_EQ(world_count(w).connections_refused_total, 3);
    EXPECT(world_logged(w, "CE0016"));
    center_check(w->c);
    world_free(w);
}

// So many in a second, and one by one after; who was refused does not count, or nobody would ever
// come in while one knocks. [P-78]
TEST(throttle, connections_in_a_second_are_limited)
{
    world *w = open_world(connecting);
    come_from_v4(w, 2, 1);
    world_join(w, "");
    world_join(w, "");
    for (int i = 0; i < 3; i++) {
        peer *p = world_connect(w, "");
        world_settle(w);
        peer_expect_bye(p, PHI_BYE_LIMIT_REACHED);
        EXPECT(p->end.retry_after_ms >= 1500);
        EXPECT(p->end.retry_after_ms <= 2500);
    }
    world_pass(w, 499);
    peer *p = world_connect(w, "");
    world_settle(w);
    peer_expect_bye(p, PHI_BYE_LIMIT_REACHED);
    world_pass(w, 1);
    world_join(w, "");
    world_free(w);
}

// ---- memory

// Addresses that were here once are forgotten: a scan from all over the world must not fill the
// memory, and those who are in use are never lost.
TEST(throttle, sources_are_forgotten)
{
    world *w = open_world(small_table);
    world_join(w, "stays");
    for (unsigned i = 0; i < 3000; i++) {
        come_from_v4(w, (uint8_t)(i >> 8), (uint8_t)i);
        peer *p = world_join(w, "");
        EXPECT(world_count(w).throttle_sources <= 1024);
        peer_leave(p);
        world_settle(w);
        world_forget(w, p);
        world_pass(w, 1);
    }
    EXPECT(world_count(w).throttle_sources <= 8);
    center_check(w->c);
    world_free(w);
}

// Without limits nothing is remembered of anybody.
TEST(throttle, off_costs_nothing)
{
    world *w = open_world(NULL);
    come_from_v4(w, 2, 1);
    peer *p = world_join(w, "p");
    peer_events(p, "p", 1000);
    world_settle(w);
    EXPECT_EQ(read_all(p), 1000);
    EXPECT_EQ(world_count(w).throttle_sources, 0);
    EXPECT_EQ(world_count(w).pauses_total, 0);
    world_free(w);
}
