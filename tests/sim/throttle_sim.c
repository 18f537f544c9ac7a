// SPDX-License-Identifier: Apache-2.0
//
// tests/sim/throttle_sim.c - clients that send, or connect, more than they may: production clients,
// real distances, exact times. P-78.

#include <string.h>

#include "center/state.h"
#include "sim/check.h"
#include "tests/sim/sim_test.h"

#define WAY_MS 5u
#define FAST 0
#define RECEIVER 1
#define OTHER 2

static domain_options story_options(uint32_t actors)
{
    domain_options options = {
        .seed = 12,
        .path = { .delay = MS(WAY_MS) },
        .center = center_options_default(),
        .client = PH_CLIENT_OPTIONS_INIT,
        .workers = sim_workers,
        .actor_count = actors,
        .late_max = SECONDS(1),
    };
    options.center.suite = PHI_SUITE_CHECK;
    options.client.backoff_min_ms = 100;
    options.client.backoff_max_ms = 500;
    return options;
}

// Whoever comes is let in, from wherever it comes: these stories are about how much.
static domain *domain_of(const domain_options *options)
{
    domain *d = domain_new(options);
    d->security.insecure_allow_anonymous = true;
    DOMAIN_SECURE(d, "* may register service:*", "* may call *", "* may send *");
    return d;
}

static void live_at(domain *d, uint32_t who, uint8_t host)
{
    phi_identity at = { .host = { [10] = 0xff, 0xff, 192, 0, 2, host } };
    sim_identity_set(d->s, d->actors[who].node, &at);
}

static void begin(domain *d)
{
    domain_start(d);
    EXPECT(sim_run_until(d->s, domain_all_up, d, SECONDS(1)));
    sim_run_for(d->s, SECONDS(1)); // JOIN is paid
}

static void end_at_once(domain *d)
{
    char fault[sizeof d->fault];
    domain_free(&d, fault);
    EXPECT_TEXT(fault, "");
}

static void end(domain *d)
{
    EXPECT(sim_run_until(d->s, domain_is_settled, d, SECONDS(120)));
    end_at_once(d);
}

static void say(domain *d, uint32_t from, uint32_t to, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        EXPECT_ERR(actor_event(&d->actors[from], d->actors[to].account, 16), PH_OK);
    }
}

typedef struct wanted {
    const actor *a;
    unsigned events;
} wanted;

static bool has_heard(sim *s, void *arg)
{
    (void)s;
    const wanted *w = arg;
    return w->a->events >= w->events;
}

// How long it takes until it has heard so many.
static uint64_t ms_until(domain *d, uint32_t who, unsigned events)
{
    wanted w = { &d->actors[who], events };
    phi_time from = sim_now(d->s);
    EXPECT(sim_run_until(d->s, has_heard, &w, SECONDS(300)));
    return phi_dur_ms(phi_time_diff(sim_now(d->s), from));
}

// ---- accounts

// A client over its limit may send on at the very time at which the rate has paid for what it sent;
// one that is within it has what it sends delivered in one trip, as if nobody else were there.
// [P-78]
CENTER_TEST(throttle, client_over_its_limit_waits_and_no_other)
{
    domain_options options = story_options(3);
    options.center.client_messages_per_second = 10;
    domain *d = domain_of(&options);
    begin(d);
    say(d, FAST, RECEIVER, 30);
    EXPECT_EQ(ms_until(d, RECEIVER, 30), 2 * WAY_MS);
    sim_run_for(d->s, MS(1000 - 2 * WAY_MS));
    say(d, FAST, RECEIVER, 1);
    say(d, OTHER, RECEIVER, 1);
    EXPECT_EQ(ms_until(d, RECEIVER, 31), 2 * WAY_MS); // the other's
    // It was read for the last time at 5 ms, and owed 20, and one for the next.
    EXPECT_EQ(ms_until(d, RECEIVER, 32), 2100 + 2 * WAY_MS - 1000 - 2 * WAY_MS);
    EXPECT_EQ(domain_count(d).pauses_total, 2); // and that one has yet to be paid
    end(d);
}

// However slowly it is read, a client that lives is not given up by the center, nor gives it up,
// and nothing that it said is lost or out of order: 3,000 messages at 20 a second. The actors check
// the order. [P-40] [P-55] [P-78]
CENTER_TEST(throttle, client_far_over_its_limit_lives_and_loses_nothing)
{
    domain_options options = story_options(3);
    options.center.client_messages_per_second = 20;
    options.client.heartbeat_idle_ms = 1000;
    options.client.heartbeat_grace_ms = 500;
    options.center.heartbeat_idle = 1000;
    options.center.heartbeat_grace = 500;
    domain *d = domain_of(&options);
    begin(d);
    say(d, FAST, RECEIVER, 3000);
    uint64_t took = ms_until(d, RECEIVER, 3000);
    // All but the burst and the last read have to be paid for first; a read is 64 KiB.
    EXPECT(took >= 80000);
    EXPECT(took <= 150000);
    EXPECT_EQ(d->actors[FAST].downs, 0);
    EXPECT_EQ(domain_count(d).links_ended_total[PHI_BYE_HEARTBEAT_TIMEOUT], 0);
    EXPECT_EQ(domain_count(d).suspects, 0);
    end(d);
}

// Calls through a limit are slower, and that is all: each ends in its reply.
CENTER_TEST(throttle, calls_over_the_limit_end_in_replies)
{
    domain_options options = story_options(2);
    options.center.client_messages_per_second = 50;
    domain *d = domain_of(&options);
    begin(d);
    call_record *last = NULL;
    for (int i = 0; i < 200; i++) {
        last = actor_call(&d->actors[FAST], d->actors[RECEIVER].account, RECEIVER, 32, 60000, NULL);
        EXPECT(last != NULL);
        sim_run_for(d->s, MS(1));
    }
    EXPECT(sim_run_until(d->s, domain_is_settled, d, SECONDS(20)));
    for (uint32_t i = 0; i < d->call_count; i++) {
        EXPECT_ERR(d->calls[i].status, PH_OK);
    }
    EXPECT(domain_count(d).pauses_total > 0);
    end(d);
}

// ---- addresses

// Two programs on one host share its rate, and who lives elsewhere has his own. With several
// workers each has its part of the rate: these two are at home with the same. [P-78]
CENTER_TEST(throttle, programs_of_a_host_share_its_rate)
{
    enum { FIRST = 0, SECOND = 6 }; // at home with the first of 1, 2 and 3 workers
    domain_options options = story_options(7);
    options.center.address_messages_per_second = 20 * sim_workers;
    domain *d = domain_of(&options);
    live_at(d, FIRST, 1);
    live_at(d, SECOND, 1);
    live_at(d, OTHER, 2);
    begin(d);
    phi_time from = sim_now(d->s);
    say(d, FIRST, RECEIVER, 60);
    EXPECT_EQ(ms_until(d, RECEIVER, 60), 2 * WAY_MS);
    sim_run_for(d->s, MS(1000));
    say(d, SECOND, RECEIVER, 1); // it is read once
    EXPECT_EQ(ms_until(d, RECEIVER, 61), 2 * WAY_MS);
    say(d, FIRST, RECEIVER, 1);
    say(d, SECOND, RECEIVER, 1);
    say(d, OTHER, RECEIVER, 1);
    EXPECT_EQ(ms_until(d, RECEIVER, 62), 2 * WAY_MS);
    (void)ms_until(d, RECEIVER, 64);
    // 61 were read, and one is to be paid for: 42 twentieths of a second after the first read.
    EXPECT_EQ(phi_dur_ms(phi_time_diff(sim_now(d->s), from)), WAY_MS + 2100 + WAY_MS);
    end(d);
}

static uint32_t count_up(const domain *d, uint32_t actors)
{
    uint32_t up = 0;
    for (uint32_t i = 0; i < actors; i++) {
        up += actor_is_up(&d->actors[i]);
    }
    return up;
}

static bool are_two_up(sim *s, void *arg)
{
    (void)s;
    return count_up(arg, 3) == 2;
}

static bool is_up(sim *s, void *arg)
{
    (void)s;
    return actor_is_up(arg);
}

// A host has as many connections as it may, whichever workers they came to; who finds no place
// comes back by itself, and is in soon after somebody left, however he left. [P-78]
CENTER_TEST(throttle, host_over_its_connections_waits_for_a_place)
{
    domain_options options = story_options(4);
    options.center.address_connections_max = 2;
    domain *d = domain_of(&options);
    for (uint32_t i = 0; i < 3; i++) {
        live_at(d, i, 1);
    }
    domain_start(d);
    for (int round = 0; round < 6; round++) {
        sim_run_for(d->s, SECONDS(3));
        EXPECT_EQ(count_up(d, 3), 2);
        EXPECT(actor_is_up(&d->actors[3]));
        actor *gone = &d->actors[0];
        actor *waits = NULL;
        for (uint32_t i = 0; i < 3; i++) {
            if (actor_is_up(&d->actors[i])) {
                gone = &d->actors[i];
            } else {
                waits = &d->actors[i];
            }
        }
        EXPECT_TEXT(waits->how_bye, "limit_reached");
        if (round % 2 == 0) {
            actor_kill(gone);
        } else {
            sim_cut(d->s, gone->node, d->center_node);
            actor_close(gone);
        }
        // Told to stay away for 1 to 2 s, and a little more by its own back-off.
        EXPECT(sim_run_until(d->s, is_up, waits, MS(2600)));
        if (gone->client != NULL) {
            actor_kill(gone);
        }
        EXPECT(actor_start(gone));
    }
    EXPECT(sim_run_until(d->s, are_two_up, d, SECONDS(5)));
    EXPECT(domain_count(d).connections_limited_total >= 6);
    for (uint32_t i = 0; i < 4; i++) {
        actor_kill(&d->actors[i]);
    }
    sim_run_for(d->s, SECONDS(1));
    EXPECT_EQ(d->center->throttle.counted, 0); // nobody's place was lost
    end_at_once(d);
}
