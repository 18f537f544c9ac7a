// SPDX-License-Identifier: Apache-2.0
//
// tests/sim/alloc_sim.c - one story, told again and again with the n-th allocation of one node
// failing, for every n: whatever it hits, the domain comes to rest, and all memory comes back.

#include "sim/domain.h"
#include "tests/sim/sim_test.h"

#define ACTORS 3u
#define CENTER ACTORS // as the node whose memory fails: the first worker; the others behind it
#define ALLOCATIONS_MAX 2000u
#define LARGE 100000u // does not fit into a packet

static void restart(domain *d)
{
    while (d->center == NULL && !domain_center_start(d)) {
        sim_run_for(d->s, MS(10));
    }
    for (uint32_t i = 0; i < ACTORS; i++) {
        actor *a = &d->actors[i];
        if (a->client != NULL && a->is_closing) {
            actor_kill(a);
        }
        while (a->client == NULL && !actor_start(a)) {
            if (a->client != NULL) {
                actor_kill(a);
            }
        }
    }
}

// A bit of everything: calls that end in different ways, large messages, events, topics, watching,
// leaving, a center that starts anew.
static void tell(domain *d)
{
    restart(d);
    sim_run_for(d->s, MS(500));
    for (uint32_t i = 0; i < ACTORS; i++) {
        actor *a = &d->actors[i];
        (void)actor_call_actor(a, &d->actors[(i + 1) % ACTORS], 300);
        (void)actor_call(a, "nobody", NOBODY, 100, 300, NULL);
        (void)!actor_event(a, "all:", 3000);
        actor_watch(a, i == 0 ? "s1" : "");
        actor_toggle(a, i); // a topic
    }
    // In fragments, there and back; the last is under way when its connection breaks.
    (void)actor_call(&d->actors[0], d->actors[1].account, 1, LARGE, 2000, NULL);
    (void)!actor_event(&d->actors[0], "all:", LARGE);
    (void)actor_call(&d->actors[1], d->actors[0].account, 0, 4 * LARGE, 5000, NULL);
    sim_run_for(d->s, MS(100));
    (void)actor_call_actor(&d->actors[0], &d->actors[1], 5000);
    sim_cut(d->s, d->actors[1].node, d->center_node);
    sim_run_for(d->s, MS(500));
    actor_close(&d->actors[2]);
    sim_run_for(d->s, MS(500));
    domain_center_kill(d);
    restart(d);
}

static domain *make(uint32_t workers)
{
    domain_options options = {
        .seed = 1,
        .path = { .delay = MS(5), .is_ragged = true },
        .center = center_options_default(),
        .client = PH_CLIENT_OPTIONS_INIT,
        .actor_count = ACTORS,
        .workers = workers,
        .mail_delay_max = phi_us(50),
        .late_max = MS(200),
    };
    options.center.suite = PHI_SUITE_PAPER; // whose ciphers take memory, too
    options.center.heartbeat_grace = 500;
    options.client.backoff_max_ms = 500;
    domain *d = domain_new(&options);
    d->actors[0].manner = MANNER_ECHO;
    d->actors[1].manner = MANNER_LATE;
    d->actors[2].manner = MANNER_FAIL;
    d->actors[1].is_watching = true;
    return d;
}

// False when the story did not reach the n-th allocation.
static bool tell_with_failure(uint32_t workers, uint32_t who, uint32_t n)
{
    domain *d = make(workers);
    sim_node node = who >= CENTER ? d->worker_nodes[who - CENTER] : d->actors[who].node;
    sim_fault_alloc_at(d->s, node, n);
    tell(d);
    bool was_reached = !sim_fault_alloc_is_due(d->s, node);
    sim_fault_alloc_at(d->s, node, 0);
    if (!sim_run_until(d->s, domain_is_settled, d, SECONDS(120))) {
        domain_fail(d, "did not settle with allocation %u failing", n);
    }
    char fault[sizeof d->fault];
    domain_free(&d, fault);
    EXPECT_TEXT(fault, "");
    return was_reached;
}

static void tell_for_every_allocation(uint32_t workers, uint32_t who)
{
    uint32_t n = 1;
    while (tell_with_failure(workers, who, n)) {
        n++;
        EXPECT(n < ALLOCATIONS_MAX);
    }
    EXPECT(n > 10); // or it was not a story
}

SIM_TEST(alloc, nth_allocation_of_the_center_failing_ends_well)
{
    tell_for_every_allocation(1, CENTER);
}

// What the first worker decides the other one cannot refuse for want of memory.
SIM_TEST(alloc, nth_allocation_of_either_worker_failing_ends_well)
{
    tell_for_every_allocation(2, CENTER);
    tell_for_every_allocation(2, CENTER + 1);
}

SIM_TEST(alloc, nth_allocation_of_a_client_failing_ends_well)
{
    for (uint32_t i = 0; i < ACTORS; i++) {
        tell_for_every_allocation(1, i);
    }
}
