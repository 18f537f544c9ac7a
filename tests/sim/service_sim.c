// SPDX-License-Identifier: Apache-2.0
//
// tests/sim/service_sim.c - services in virtual time: production center, production clients.
// [P-64], [P-72]
//
// One way takes 1 ms. The first actor calls; the others are the instances of "work".

#include <stdio.h>

#include <posthouse/state.h>

#include "sim/domain.h"
#include "tests/sim/sim_test.h"

#define INSTANCES 10u
#define FAILING 3u
#define SLOW 7u
#define SERVICE "service:work"

typedef struct shop {
    domain *d;
    uint64_t replied[1 + INSTANCES]; // calls, by who replied or failed
    uint32_t counted;                // of d->calls
} shop;

static shop shop_open(uint32_t instances)
{
    domain_options options = {
        .seed = 7,
        .path = { .delay = MS(1) },
        .center = center_options_default(),
        .client = PH_CLIENT_OPTIONS_INIT,
        .workers = sim_workers,
        .actor_count = 1 + instances,
        .late_max = SECONDS(1),
    };
    shop s = { .d = domain_new(&options) };
    for (uint32_t i = 0; i < s.d->actor_count; i++) {
        actor *a = &s.d->actors[i];
        snprintf(a->service, sizeof a->service, "%s", i == 0 ? "callers" : "work");
        a->manner = MANNER_WORK;
        a->work = phi_ms(3);
    }
    domain_start(s.d);
    EXPECT(sim_run_until(s.d->s, domain_all_up, s.d, SECONDS(1)));
    sim_run_for(s.d->s, MS(100));
    return s;
}

static void shop_close(shop *s)
{
    char fault[sizeof s->d->fault];
    domain_free(&s->d, fault);
    EXPECT_TEXT(fault, "");
}

static call_record *ask(shop *s)
{
    call_record *call = actor_call(&s->d->actors[0], SERVICE, NOBODY, 8, 1000, /* why= */ NULL);
    EXPECT(call != NULL);
    return call;
}

// So many seconds of a hundred calls each; counts who got them.
static void run(shop *s, uint32_t seconds)
{
    domain *d = s->d;
    unsigned before[1 + INSTANCES];
    for (uint32_t i = 0; i < d->actor_count; i++) {
        before[i] = d->actors[i].requests;
    }
    for (uint32_t n = 0; n < seconds * 100; n++) {
        (void)ask(s);
        sim_run_for(d->s, MS(10));
    }
    s->counted = seconds * 100;
    for (uint32_t i = 0; i < d->actor_count; i++) {
        s->replied[i] = d->actors[i].requests - before[i];
    }
}

static uint64_t per_mille(const shop *s, uint32_t instance)
{
    return s->replied[instance] * 1000 / s->counted;
}

// Line 3 of what the message center shows: of ten instances one fails at once, and one is ten times
// slower. Callers must hardly meet either; and once they recover, they have their share again
// within five seconds. [P-64]
CENTER_TEST(service, failing_and_slow_instances_are_avoided_and_come_back)
{
    shop s = shop_open(INSTANCES);
    domain *d = s.d;
    d->actors[FAILING].manner = MANNER_BREAK;
    d->actors[SLOW].work = phi_ms(30);
    run(&s, 1);
    run(&s, 10);
    EXPECT(per_mille(&s, FAILING) < 20);
    EXPECT(per_mille(&s, SLOW) < 40);
    d->actors[FAILING].manner = MANNER_WORK;
    d->actors[SLOW].work = phi_ms(3);
    run(&s, 5);
    run(&s, 5);
    for (uint32_t i = 1; i <= INSTANCES; i++) {
        EXPECT(per_mille(&s, i) >= 50);
    }
    sim_run_for(d->s, SECONDS(1));
    EXPECT_EQ(d->calls_open, 0);
    shop_close(&s);
}

// An instance that dies takes what it was given with it, and nothing that comes after.
CENTER_TEST(service, dead_instance_gets_nothing_more)
{
    shop s = shop_open(3);
    domain *d = s.d;
    run(&s, 1);
    EXPECT(per_mille(&s, 1) > 250);
    actor_kill(&d->actors[1]);
    sim_run_for(d->s, MS(2));
    run(&s, 1);
    EXPECT_EQ(s.replied[1], 0);
    EXPECT_EQ(s.replied[2] + s.replied[3], 100);
    EXPECT_EQ(domain_count(d).calls_lost_total, 0);
    EXPECT(actor_start(&d->actors[1]));
    sim_run_for(d->s, MS(100));
    run(&s, 1);
    EXPECT(per_mille(&s, 1) > 250);
    shop_close(&s);
}

// A deployment: the old instance drains, finishes what it has, and leaves; no caller notices. From
// the moment in which the center knows - one way - nothing new comes. [P-72]
CENTER_TEST(service, draining_instance_finishes_and_nobody_notices)
{
    shop s = shop_open(2);
    domain *d = s.d;
    actor *old = &d->actors[1];
    actor *fresh = &d->actors[2];
    ph_own_state own = PH_OWN_STATE_INIT;
    own.state = PH_STATE_STARTING;
    EXPECT_ERR(ph_client_set_state(fresh->client, &own), PH_OK);
    sim_run_for(d->s, MS(1));
    old->work = phi_ms(50);
    for (int i = 0; i < 10; i++) {
        (void)ask(&s);
    }
    sim_run_for(d->s, MS(2));
    EXPECT_EQ(old->requests, 10);
    own.state = PH_STATE_READY;
    EXPECT_ERR(ph_client_set_state(fresh->client, &own), PH_OK);
    own.state = PH_STATE_DRAINING;
    EXPECT_ERR(ph_client_set_state(old->client, &own), PH_OK);
    sim_run_for(d->s, MS(1));
    for (int i = 0; i < 10; i++) {
        (void)ask(&s);
    }
    sim_run_for(d->s, MS(100));
    EXPECT_EQ(old->requests, 10);
    EXPECT_EQ(fresh->requests, 10);
    actor_close(old);
    sim_run_for(d->s, MS(100));
    for (uint32_t i = 0; i < d->call_count; i++) {
        EXPECT_EQ(d->calls[i].ends, 1);
        EXPECT_ERR(d->calls[i].status, PH_OK);
    }
    shop_close(&s);
}

// What a client said of itself holds over its next connection, too: one that was draining does not
// come back as ready because its link broke.
CENTER_TEST(service, own_state_outlives_the_connection)
{
    shop s = shop_open(1);
    domain *d = s.d;
    ph_own_state own = PH_OWN_STATE_INIT;
    own.state = PH_STATE_DRAINING;
    EXPECT_ERR(ph_client_set_state(d->actors[1].client, &own), PH_OK);
    sim_run_for(d->s, MS(100));
    sim_cut(d->s, d->actors[1].node, d->center_node);
    sim_run_for(d->s, SECONDS(10));
    EXPECT_EQ(d->actors[1].ups, 2);
    const call_record *call = ask(&s);
    sim_run_for(d->s, MS(2));
    EXPECT_EQ(call->ends, 1);
    EXPECT_EQ(call->code, PH_FAILURE_NO_READY_INSTANCE);
    shop_close(&s);
}
