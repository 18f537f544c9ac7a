// SPDX-License-Identifier: Apache-2.0
//
// tests/sim/stream_sim.c - messages of many megabytes in virtual time: production center,
// production clients. [P-66], [P-67], [P-75]
//
// One way takes 5 ms and holds 64 KiB, so a path carries 64 KiB in 10 ms: 4 MiB take 640 ms, and a
// small call that had to wait for them would show.

#include "client/core.h"
#include "sim/domain.h"
#include "tests/sim/sim_test.h"

#define WAY MS(5)
#define MIB (1u << 20)
#define ALICE 0
#define BOB 1
#define CAROL 2
#define QUIET_MS 20u  // a small call: four ways
#define WINDOW_MS 20u // the window of a receiver, on its path

static domain *begin_with(uint32_t actors, const domain_options *changes)
{
    domain_options options = *changes;
    options.seed = 5;
    options.path = (sim_path){ .delay = WAY, .buffer_bytes = 65536 };
    options.workers = sim_workers;
    options.actor_count = actors;
    options.late_max = SECONDS(1);
    options.center.suite = PHI_SUITE_CHECK;
    domain *d = domain_new(&options);
    domain_start(d);
    EXPECT(sim_run_until(d->s, domain_all_up, d, SECONDS(1)));
    sim_run_for(d->s, MS(100));
    return d;
}

static domain *begin(uint32_t actors)
{
    domain_options options = { .center = center_options_default(),
                               .client = PH_CLIENT_OPTIONS_INIT };
    return begin_with(actors, &options);
}

static void end(domain *d)
{
    char fault[sizeof d->fault];
    domain_free(&d, fault);
    EXPECT_TEXT(fault, "");
}

static bool has_ended(sim *s, void *arg)
{
    (void)s;
    return ((const call_record *)arg)->ends > 0;
}

static call_record *call(domain *d, uint32_t from, uint32_t to, size_t size, uint32_t timeout_ms)
{
    ph_err why = PH_OK;
    call_record *record =
        actor_call(&d->actors[from], d->actors[to].account, to, size, timeout_ms, &why);
    EXPECT_ERR(why, PH_OK);
    assert_non_null(record);
    return record;
}

static uint64_t took_ms(const call_record *record)
{
    return phi_dur_ms(phi_time_diff(record->ended, record->begun));
}

// The slowest of small calls made one after the other for as long as the large one is open.
static uint64_t slowest_beside(domain *d, uint32_t from, uint32_t to, call_record *large)
{
    uint64_t slowest = 0;
    while (large->ends == 0) {
        call_record *small = call(d, from, to, 8, 5000);
        EXPECT(sim_run_until(d->s, has_ended, small, SECONDS(6)));
        EXPECT_ERR(small->status, PH_OK);
        slowest = took_ms(small) > slowest ? took_ms(small) : slowest;
    }
    return slowest;
}

// Megabytes to the same receiver hold a small call up by what is on its way to it, which is the
// window; whoever has nothing to do with it notices nothing. [P-67]
CENTER_TEST(stream, small_calls_pass_a_large_one)
{
    domain *d = begin(4);
    call_record *large = call(d, ALICE, BOB, 4 * MIB, 10000);
    uint64_t at_receiver = slowest_beside(d, CAROL, BOB, large);
    EXPECT_ERR(large->status, PH_OK);
    EXPECT(took_ms(large) > 1200); // both ways
    EXPECT(took_ms(large) < 4000);
    EXPECT(at_receiver >= QUIET_MS);
    EXPECT(at_receiver <= QUIET_MS + 2 * WINDOW_MS);

    large = call(d, ALICE, BOB, 4 * MIB, 10000);
    uint64_t at_sender = slowest_beside(d, ALICE, CAROL, large);
    EXPECT_ERR(large->status, PH_OK);
    EXPECT(at_sender <= QUIET_MS + 2 * WINDOW_MS);

    large = call(d, ALICE, BOB, 4 * MIB, 10000);
    EXPECT_EQ(slowest_beside(d, CAROL, 3, large), QUIET_MS);
    EXPECT_ERR(large->status, PH_OK);
    end(d);
}

// Heartbeats that are much shorter than the message are not stuck behind it: nobody is taken for
// dead. [P-40] [P-67]
CENTER_TEST(stream, heartbeats_pass_a_large_one)
{
    domain_options options = { .center = center_options_default(),
                               .client = PH_CLIENT_OPTIONS_INIT };
    options.center.heartbeat_idle = 100;
    options.center.heartbeat_grace = 100;
    options.client.heartbeat_idle_ms = 100;
    options.client.heartbeat_grace_ms = 100;
    domain *d = begin_with(2, &options);
    call_record *large = call(d, ALICE, BOB, 16 * MIB - 4, 60000);
    while (large->ends == 0) {
        EXPECT_ERR(ph_client_probe(d->actors[ALICE].client), PH_OK);
        sim_run_for(d->s, MS(100));
        EXPECT(!ph_client_is_probing(d->actors[ALICE].client));
        EXPECT(ph_client_round_trip_us(d->actors[ALICE].client) < 100000);
    }
    EXPECT_ERR(large->status, PH_OK);
    EXPECT_EQ(d->actors[ALICE].ups, 1);
    EXPECT_EQ(d->actors[BOB].ups, 1);
    end(d);
}

// A receiver that hangs costs its sender the call, and a reason; memory is held for what was
// granted only, and nobody else is held up. [P-59] [P-75]
CENTER_TEST(stream, receiver_that_hangs)
{
    domain_options options = { .center = center_options_default(),
                               .client = PH_CLIENT_OPTIONS_INIT };
    options.center.full_timeout = 2000;
    domain *d = begin_with(3, &options);
    call_record *large = call(d, ALICE, BOB, 4 * MIB, 60000);
    sim_run_for(d->s, MS(100));
    sim_node_freeze(d->s, d->actors[BOB].node, true);
    EXPECT(slowest_beside(d, CAROL, ALICE, large) <= QUIET_MS + 2 * WINDOW_MS);
    EXPECT_ERR(large->status, PH_EFAILURE);
    EXPECT(large->code == PH_FAILURE_SLOW_CONSUMER || large->code == PH_FAILURE_RESPONDER_LOST);
    EXPECT(took_ms(large) < 2500);
    EXPECT(!phi_streams_are_any(&d->actors[ALICE].client->streams));
    sim_node_freeze(d->s, d->actors[BOB].node, false);
    EXPECT(sim_run_until(d->s, domain_is_settled, d, SECONDS(30)));
    EXPECT_EQ(d->actors[BOB].requests, 0); // what came of it counts for nothing
    end(d);
}

// Whoever dies in the middle of a message leaves nothing at the other end. [P-57] [P-75]
CENTER_TEST(stream, end_that_dies)
{
    domain *d = begin(2);
    (void)call(d, ALICE, BOB, 4 * MIB, 60000);
    sim_run_for(d->s, MS(200));
    EXPECT(d->actors[BOB].client->streams.in_bytes > 65536);
    actor_kill(&d->actors[ALICE]);
    sim_run_for(d->s, MS(100));
    EXPECT(!phi_streams_are_any(&d->actors[BOB].client->streams));
    EXPECT_EQ(d->actors[BOB].requests, 0);
    EXPECT(actor_start(&d->actors[ALICE]));
    EXPECT(sim_run_until(d->s, domain_all_up, d, SECONDS(20)));

    call_record *large = call(d, ALICE, BOB, 4 * MIB, 60000);
    sim_run_for(d->s, MS(200));
    actor_kill(&d->actors[BOB]);
    sim_run_for(d->s, MS(100));
    EXPECT_ERR(large->status, PH_EFAILURE);
    EXPECT_EQ(large->code, PH_FAILURE_RESPONDER_LOST);
    EXPECT(!phi_streams_are_any(&d->actors[ALICE].client->streams));
    EXPECT_EQ(domain_count(d).streams, 0);
    end(d);
}

// More at a time than the center takes is no error: they wait their turn. [P-66]
CENTER_TEST(stream, more_than_the_center_takes_at_a_time)
{
    domain_options options = { .center = center_options_default(),
                               .client = PH_CLIENT_OPTIONS_INIT };
    options.center.streams_per_client_max = 1;
    domain *d = begin_with(2, &options);
    call_record *calls[6];
    for (unsigned i = 0; i < 6; i++) {
        calls[i] = call(d, ALICE, BOB, 200000, 60000);
    }
    EXPECT(sim_run_until(d->s, domain_is_settled, d, SECONDS(30)));
    for (unsigned i = 0; i < 6; i++) {
        EXPECT_ERR(calls[i]->status, PH_OK);
    }
    EXPECT_EQ(domain_count(d).streams_refused_total, 0);
    EXPECT_EQ(domain_count(d).streams_done_total, 12);
    end(d);
}

// To many at a time it goes as fast as the slowest of them takes it, and to each whole. [P-75]
CENTER_TEST(stream, to_everybody)
{
    domain *d = begin(8);
    sim_path slow = { .delay = MS(20), .buffer_bytes = 16384 };
    sim_path_set(d->s, d->center_node, d->actors[7].node, &slow);
    sim_path_set(d->s, d->actors[7].node, d->center_node, &slow);
    EXPECT_ERR(actor_event(&d->actors[ALICE], "all:", MIB), PH_OK);
    EXPECT(sim_run_until(d->s, domain_is_settled, d, SECONDS(60)));
    for (unsigned i = 1; i < 8; i++) {
        EXPECT_EQ(d->actors[i].events, 1);
    }
    EXPECT_EQ(d->actors[ALICE].events, 0);
    end(d);
}
