// SPDX-License-Identifier: Apache-2.0
//
// sim/load.c - what clients do all day: call each other, cancel, tell, watch.

#include <stdio.h>
#include <string.h>

#include <posthouse/state.h>

#include "base/assert.h"
#include "sim/check.h"
#include "sim/dialog.h"
#include "sim/rogue.h"
#include "sim/swarm.h"

#define REQUEST_BYTES_MIN 8u
#define TIMEOUT_MS_MIN 1u

typedef struct loaded {
    load *load;
    actor *actor;
} loaded;

struct load {
    domain *domain;
    swarm_options options;
    bool is_on;
    loaded loaded[ACTORS_MAX];
};

static void step(sim *s, void *arg);

load *load_new(domain *d, const swarm_options *options)
{
    load *l = phi_take_zeroed(&phi_alloc_heap, 1, sizeof *l);
    PH_ASSERT(l != NULL);
    l->domain = d;
    l->options = *options;
    l->is_on = true;
    for (uint32_t i = 0; i < d->actor_count; i++) {
        l->loaded[i] = (loaded){ .load = l, .actor = &d->actors[i] };
    }
    return l;
}

void load_free(load **l)
{
    phi_give(&phi_alloc_heap, *l, sizeof **l);
    *l = NULL;
}

void load_stop(load *l)
{
    l->is_on = false;
}

// The next action, in a time whose mean is load_every.
static void schedule(loaded *one)
{
    load *l = one->load;
    sim *s = l->domain->s;
    phi_random *random = sim_node_random(s, one->actor->node);
    phi_dur wait = phi_ns(1 + phi_random_below(random, 2 * l->options.load_every.ns));
    sim_after(s, one->actor->node, wait, step, one);
}

void load_begin(load *l, actor *a)
{
    if (l->is_on) {
        schedule(&l->loaded[a->index]);
    }
}

static size_t body_size(const load *l, phi_random *random)
{
    // Mostly small, sometimes as large as it may be.
    uint64_t max = phi_random_chance(random, 80) ? 64 : l->options.load_body_max;
    max = max < l->options.load_body_max ? max : l->options.load_body_max;
    return (size_t)phi_random_between(random, REQUEST_BYTES_MIN,
                                      max < REQUEST_BYTES_MIN ? REQUEST_BYTES_MIN : max);
}

// The last one has no instances.
static const char *a_service(phi_random *random)
{
    static const char *const all[] = { "service:s0", "service:s1", "service:s2", "service:s3" };
    return all[phi_random_below(random, 20) < 19 ? phi_random_below(random, 3) : 3];
}

static void change_state(actor *a, phi_random *random)
{
    static const ph_state states[] = { PH_STATE_READY, PH_STATE_READY, PH_STATE_READY,
                                       PH_STATE_STARTING, PH_STATE_DRAINING };
    static const char *const software[] = { "", "1.0", "a little longer than that" };
    ph_own_state own = PH_OWN_STATE_INIT;
    own.state = states[phi_random_below(random, PHI_COUNT_OF(states))];
    own.has_weight = phi_random_chance(random, 50);
    own.weight = (uint16_t)phi_random_below(random, 8);
    if (phi_random_chance(random, 50)) {
        own.software = software[phi_random_below(random, PHI_COUNT_OF(software))];
    }
    ph_err rc = ph_client_set_state(a->client, &own);
    if (rc != PH_OK && rc != PH_ENOMEM) {
        domain_fail(a->domain, "%s cannot change its state: %s", a->account, ph_err_name(rc));
    }
}

static void make_call(const load *l, actor *a, phi_random *random)
{
    domain *d = l->domain;
    const char *to = "nobody-of-that-name";
    uint32_t target = NOBODY;
    uint64_t which = phi_random_below(random, 100);
    if (which >= 15) {
        target = (uint32_t)phi_random_below(random, d->actor_count);
        to = d->actors[target].account;
    } else if (which >= 5 && d->rogue_count > 0) {
        to = rogue_account(d->rogues[phi_random_below(random, d->rogue_count)]);
    } else if (which == 4) {
        to = "all:"; // no address for a request
    }
    if (which >= 80) {
        to = a_service(random);
        target = NOBODY;
    }
    uint32_t timeout_ms =
        (uint32_t)phi_random_between(random, TIMEOUT_MS_MIN, l->options.load_timeout_max_ms);
    call_record *call =
        actor_call(a, to, target, body_size(l, random), timeout_ms, /* why= */ NULL);
    if (call != NULL && phi_random_chance(random, 5)) {
        (void)!ph_client_cancel(a->client, call->id);
    }
}

static void gather(const load *l, actor *a, phi_random *random)
{
    const char *to = a_service(random) + strlen("service:");
    uint16_t want = (uint16_t)phi_random_below(random, 4);
    uint32_t timeout_ms =
        (uint32_t)phi_random_between(random, TIMEOUT_MS_MIN, l->options.load_timeout_max_ms);
    gather_record *g = actor_gather(a, to, want, timeout_ms, /* why= */ NULL);
    if (g != NULL && phi_random_chance(random, 5)) {
        (void)!ph_client_cancel(a->client, g->id);
    }
}

static void cancel_one(const load *l, actor *a, phi_random *random)
{
    const domain *d = l->domain;
    if (d->call_count == 0) {
        return;
    }
    const call_record *call = &d->calls[phi_random_below(random, d->call_count)];
    if (call->caller == a->index && call->ends == 0) {
        ph_err rc = ph_client_cancel(a->client, call->id);
        if (rc != PH_OK && rc != PH_ENOTFOUND) {
            domain_fail(l->domain, "cancel of open call %u says %s", call->serial, ph_err_name(rc));
        }
    }
}

static void change_watch(actor *a, phi_random *random)
{
    switch (phi_random_below(random, 4)) {
    case 0:
        actor_unwatch(a);
        break;
    case 1:
        actor_watch(a, "s1");
        break;
    default:
        actor_watch(a, "");
        break;
    }
}

static void drain(const load *l, actor *a, phi_random *random)
{
    const actor *target = &l->domain->actors[phi_random_below(random, l->domain->actor_count)];
    uint32_t patience_ms = (uint32_t)phi_random_below(random, l->options.load_timeout_max_ms);
    drain_ask(a, target, phi_random_chance(random, 60), patience_ms);
}

// Topics, instances and receipts.
static void talk(const load *l, actor *a, phi_random *random)
{
    uint64_t what = phi_random_below(random, 10);
    if (what < 3) {
        actor_toggle(a, (uint32_t)phi_random_below(random, ACTOR_PATTERNS));
        return;
    }
    static const char *const others[] = { "all:s0", "all:s3", "all:", "nobody-of-that-name" };
    char to[32];
    if (what < 8) {
        snprintf(to, sizeof to, "topic:%s", check_topic((uint32_t)phi_random_next(random)));
    } else {
        snprintf(to, sizeof to, "%s", others[phi_random_below(random, PHI_COUNT_OF(others))]);
    }
    if (phi_random_chance(random, 50)) {
        (void)!actor_event(a, to, body_size(l, random));
    } else {
        uint32_t timeout_ms =
            (uint32_t)phi_random_between(random, TIMEOUT_MS_MIN, l->options.load_timeout_max_ms);
        (void)!actor_event_with_receipt(a, to, body_size(l, random), timeout_ms);
    }
}

static void step(sim *s, void *arg)
{
    loaded *one = arg;
    load *l = one->load;
    actor *a = one->actor;
    if (!l->is_on) {
        return;
    }
    schedule(one);
    if (a->client == NULL || a->is_closing) {
        return;
    }
    phi_random *random = sim_node_random(s, a->node);
    uint64_t what = phi_random_below(random, 114);
    if (what >= 112) {
        status_ask(a);
    } else if (what >= 110) {
        drain(l, a, random);
    } else if (what >= 100) {
        talk(l, a, random);
    } else if (what < 6) {
        gather(l, a, random);
    } else if (what < 70) {
        make_call(l, a, random);
    } else if (what < 80) {
        const actor *to = &l->domain->actors[phi_random_below(random, l->domain->actor_count)];
        (void)!actor_event(a, to->account, body_size(l, random));
    } else if (what < 85) {
        (void)!actor_event(a, "all:", body_size(l, random));
    } else if (what < 88) {
        (void)!actor_event(a, a_service(random), body_size(l, random));
    } else if (what < 94) {
        cancel_one(l, a, random);
    } else if (what < 96) {
        change_state(a, random);
    } else {
        change_watch(a, random);
    }
}
