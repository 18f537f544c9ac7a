// SPDX-License-Identifier: Apache-2.0
//
// tests/sim/load_sim.c - what a center does for those inside when there is too much of something:
// connections, silence, clients that do not read. Production center and production clients; one
// way takes 5 ms.

#include <string.h>

#include "sim/domain.h"
#include "tests/sim/sim_test.h"

#define WAY MS(5)
#define ALICE 0
#define BOB 1
#define CAROL 2
#define FULL_TIMEOUT_MS 8000u

static domain_options story_options(uint32_t actors)
{
    domain_options options = {
        .seed = 1,
        .path = { .delay = WAY, .buffer_bytes = 32768 },
        .center = center_options_default(),
        .client = PH_CLIENT_OPTIONS_INIT,
        .workers = sim_workers,
        .actor_count = actors,
        .late_max = SECONDS(1),
    };
    options.center.suite = PHI_SUITE_CHECK;
    options.center.full_timeout = FULL_TIMEOUT_MS;
    options.client.heartbeat_idle_ms = 3600000; // so that the center's is seen alone
    return options;
}

// Everybody is up; Alice watches.
static domain *story_begin(const domain_options *options)
{
    domain *d = domain_new(options);
    d->actors[ALICE].is_watching = true;
    domain_start(d);
    EXPECT(sim_run_until(d->s, domain_all_up, d, SECONDS(1)));
    sim_run_for(d->s, SECONDS(1));
    return d;
}

static void story_end(domain *d)
{
    char fault[sizeof d->fault];
    domain_free(&d, fault);
    EXPECT_TEXT(fault, "");
}

static bool is_up(sim *s, void *arg)
{
    (void)s;
    return actor_is_up(arg);
}

static bool has_heard_bye(sim *s, void *arg)
{
    (void)s;
    return ((const actor *)arg)->how_bye[0] != '\0';
}

// A center without descriptors must say so, or its clients would hammer it; who is told comes back
// by itself, not before it may, and those inside notice nothing. [P-60] [P-61]
CENTER_TEST(load, client_that_is_shed_is_told_and_comes_back)
{
    domain_options options = story_options(3);
    options.client.backoff_min_ms = 10;
    options.client.backoff_max_ms = 100;
    domain *d = story_begin(&options);
    actor *carol = &d->actors[CAROL];
    actor_kill(carol);
    sim_run_for(d->s, SECONDS(1));
    sim_fault_shed(d->s, d->center_node, 100);
    EXPECT(actor_start(carol));
    EXPECT(sim_run_until(d->s, has_heard_bye, carol, SECONDS(1)));
    EXPECT_TEXT(carol->how_bye, "limit_reached");
    EXPECT(carol->how.retry_in_ms >= 1000);
    uint64_t shed = domain_count(d).connections_shed_total;
    EXPECT_EQ(shed, 1);
    sim_run_for(d->s, MS(990));
    EXPECT_EQ(domain_count(d).connections_shed_total, 1);
    sim_run_for(d->s, SECONDS(10));
    shed = domain_count(d).connections_shed_total;
    EXPECT(shed >= 5 && shed <= 11); // every one to two seconds
    sim_fault_shed(d->s, d->center_node, 0);
    EXPECT(sim_run_until(d->s, is_up, carol, MS(2000 + 200)));
    EXPECT_EQ(d->actors[ALICE].downs, 0);
    EXPECT_EQ(d->actors[BOB].downs, 0);
    EXPECT(sim_run_until(d->s, domain_is_settled, d, SECONDS(60)));
    story_end(d);
}

// A client that stops reading must be gone in the time that is promised, though the little it is
// sent would take minutes to fill its buffer; nobody's event is lost for it. [P-59]
CENTER_TEST(load, reader_that_stops_under_a_trickle_is_ended)
{
    domain_options options = story_options(3);
    domain *d = story_begin(&options);
    actor *alice = &d->actors[ALICE];
    actor *bob = &d->actors[BOB];
    actor *carol = &d->actors[CAROL];
    sim_node_reading(d->s, bob->node, false);
    phi_time stopped = sim_now(d->s);
    for (int i = 0; i < 120; i++) {
        EXPECT_ERR(actor_event(carol, bob->account, 4000), PH_OK);
        EXPECT_ERR(actor_event(carol, alice->account, 100), PH_OK);
        sim_run_for(d->s, MS(100));
    }
    EXPECT_TEXT(alice->told.id, bob->id);
    EXPECT_EQ(alice->told.change, PH_OFFLINE);
    EXPECT_EQ(alice->told.reason, PH_REASON_SLOW_CONSUMER);
    uint64_t after_ms = phi_dur_ms(phi_time_diff(alice->told.at, stopped));
    EXPECT(after_ms >= FULL_TIMEOUT_MS);
    EXPECT(after_ms <= 10000);
    EXPECT_EQ(alice->events, 120);
    EXPECT_EQ(domain_count(d).send_memory_refused_total, 0);
    sim_node_reading(d->s, bob->node, true);
    EXPECT(sim_run_until(d->s, domain_is_settled, d, SECONDS(60)));
    story_end(d);
}

// With more clients than may be asked in a second each is asked less often, and one that is cut off
// is found as much later. [P-40]
CENTER_TEST(load, crowd_is_asked_less_often)
{
    domain_options options = story_options(30);
    options.center.heartbeats_per_second_max = 2; // 30 clients: every 15 s
    domain *d = story_begin(&options);
    actor *alice = &d->actors[ALICE];
    sim_run_for(d->s, SECONDS(60)); // those that came when there were few know it, too
    uint64_t before = domain_count(d).bytes_sent_total;
    sim_run_for(d->s, SECONDS(60));
    uint64_t asks = (domain_count(d).bytes_sent_total - before) / 17; // suite check
    EXPECT_EQ(asks, 2 * 60);
    sim_mute(d->s, d->actors[BOB].node, d->center_node);
    phi_time begin = sim_now(d->s);
    sim_run_for(d->s, SECONDS(25));
    EXPECT_TEXT(alice->told.id, d->actors[BOB].id);
    EXPECT_EQ(alice->told.reason, PH_REASON_HEARTBEAT_TIMEOUT);
    EXPECT(phi_time_diff(alice->told.at, begin).ns <= SECONDS(15 + 5 + 1).ns);
    EXPECT_EQ(alice->downs, 0);
    story_end(d);
}
