// SPDX-License-Identifier: Apache-2.0
//
// sim/chaos.c - what goes wrong, and when it is over.
//
// Faults that last end by an action of their own, which is harmless when something else ended them
// before. chaos_stop ends all of them.

#include "base/assert.h"
#include "sim/dialog.h"
#include "sim/rogue.h"
#include "sim/swarm.h"

#define RESTART_MS 20u // between two attempts to start a process

typedef struct victim {
    chaos *chaos;
    actor *actor;
} victim;

struct chaos {
    domain *domain;
    load *load;
    swarm_options options;
    bool is_on;
    phi_random random;
    victim victims[ACTORS_MAX];
};

static void step(sim *s, void *arg);
static void restart_client(sim *s, void *arg);
static void restart_center(sim *s, void *arg);

// ---- the ends of what lasts

static void thaw(sim *s, void *arg)
{
    sim_node_freeze(s, ((victim *)arg)->actor->node, false);
}

static void read_again(sim *s, void *arg)
{
    sim_node_reading(s, ((victim *)arg)->actor->node, true);
}

static void rejoin(sim *s, void *arg)
{
    const victim *v = arg;
    sim_part(s, v->actor->node, v->chaos->domain->center_node, false);
}

static void alloc_again(sim *s, void *arg)
{
    sim_fault_alloc(s, ((victim *)arg)->actor->node, 0);
    sim_fault_alloc_at(s, ((victim *)arg)->actor->node, 0);
}

static void center_thaw(sim *s, void *arg)
{
    (void)s;
    domain_center_freeze(((chaos *)arg)->domain, false);
}

static void set_center_alloc(sim *s, const domain *d, uint32_t per_million)
{
    for (uint32_t i = 0; i < d->worker_count; i++) {
        sim_fault_alloc(s, d->worker_nodes[i], per_million);
    }
}

static void center_alloc_again(sim *s, void *arg)
{
    set_center_alloc(s, ((chaos *)arg)->domain, 0);
}

static void center_accept_again(sim *s, void *arg)
{
    sim_fault_shed(s, ((chaos *)arg)->domain->center_node, 0);
}

static void restart_client(sim *s, void *arg)
{
    victim *v = arg;
    actor *a = v->actor;
    if (a->client != NULL && !a->is_closing) {
        return;
    }
    if (a->client != NULL) { // it has left in order; the process ends now
        actor_kill(a);
    }
    if (actor_start(a)) {
        load_begin(v->chaos->load, a);
    } else {
        if (a->client != NULL) {
            actor_kill(a);
        }
        sim_after(s, SIM_WORLD, phi_ms(RESTART_MS), restart_client, v);
    }
}

static void restart_center(sim *s, void *arg)
{
    chaos *c = arg;
    domain *d = c->domain;
    if (d->center != NULL) {
        return;
    }
    if (!domain_center_start(d)) {
        sim_after(s, SIM_WORLD, phi_ms(RESTART_MS), restart_center, c);
    }
}

// The center had its time to say bye.
static void end_center(sim *s, void *arg)
{
    chaos *c = arg;
    if (c->domain->center != NULL && c->domain->center_is_ending) {
        c->domain->center_is_ending = false;
        domain_center_kill(c->domain);
        restart_center(s, c);
    }
}

// ---- faults

static phi_dur lasting(chaos *c)
{
    return phi_ns(1 + phi_random_below(&c->random, c->options.chaos_lasts.ns));
}

static void freeze_client(chaos *c, victim *v)
{
    domain *d = c->domain;
    for (uint32_t i = 0; i < d->call_count; i++) {
        call_record *call = &d->calls[i];
        if (call->caller == v->actor->index && call->ends == 0) {
            call->deadline = PHI_TIME_NEVER; // nobody ends a call in a process that stands still
        }
    }
    dialog_frozen(v->actor);
    sim_node_freeze(d->s, v->actor->node, true);
    sim_after(d->s, SIM_WORLD, lasting(c), thaw, v);
}

static void harm_client(chaos *c, chaos_kind kind, victim *v)
{
    domain *d = c->domain;
    sim *s = d->s;
    actor *a = v->actor;
    switch ((int)kind) {
    case CHAOS_CUT:
        sim_cut(s, a->node, d->center_node);
        break;
    case CHAOS_MUTE:
        sim_mute(s, a->node, d->center_node);
        break;
    case CHAOS_PART:
        sim_part(s, a->node, d->center_node, true);
        sim_after(s, SIM_WORLD, lasting(c), rejoin, v);
        break;
    case CHAOS_HOLD:
        sim_hold(s, a->node, d->center_node, lasting(c));
        break;
    case CHAOS_FREEZE:
        freeze_client(c, v);
        break;
    case CHAOS_STALL:
        sim_node_reading(s, a->node, false);
        sim_after(s, SIM_WORLD, lasting(c), read_again, v);
        break;
    case CHAOS_KILL:
        actor_kill(a);
        sim_after(s, SIM_WORLD, lasting(c), restart_client, v);
        break;
    case CHAOS_CLOSE:
        if (!a->is_closing) {
            actor_close(a);
            sim_after(s, SIM_WORLD, lasting(c), restart_client, v);
        }
        break;
    case CHAOS_ALLOC:
        sim_fault_alloc(s, a->node, c->options.alloc_per_million);
        sim_after(s, SIM_WORLD, lasting(c), alloc_again, v);
        break;
    case CHAOS_ALLOC_AT:
        sim_fault_alloc_at(s, a->node, (uint32_t)phi_random_between(&c->random, 1, 10));
        break;
    default:
        PH_UNREACHABLE("not a fault of a client");
    }
}

static void harm_center(chaos *c, chaos_kind kind)
{
    domain *d = c->domain;
    sim *s = d->s;
    switch ((int)kind) {
    case CHAOS_SHED:
        sim_fault_shed(s, d->center_node, 50);
        sim_after(s, SIM_WORLD, lasting(c), center_accept_again, c);
        break;
    case CHAOS_CENTER_ALLOC:
        set_center_alloc(s, d, c->options.alloc_per_million);
        sim_after(s, SIM_WORLD, lasting(c), center_alloc_again, c);
        break;
    case CHAOS_CENTER_FREEZE:
        domain_center_freeze(d, true);
        sim_after(s, SIM_WORLD, lasting(c), center_thaw, c);
        break;
    case CHAOS_WORKER_FREEZE:
        sim_node_freeze(s, d->worker_nodes[phi_random_below(&c->random, d->worker_count)], true);
        sim_after(s, SIM_WORLD, lasting(c), center_thaw, c);
        break;
    case CHAOS_CENTER_KILL:
        domain_center_kill(d);
        sim_after(s, SIM_WORLD, lasting(c), restart_center, c);
        break;
    case CHAOS_CENTER_STOP:
        if (!d->center_is_ending) {
            d->center_is_ending = true;
            domain_center_stop(d);
            sim_after(s, SIM_WORLD, lasting(c), end_center, c);
        }
        break;
    default:
        PH_UNREACHABLE("not a fault of the center");
    }
}

static void step(sim *s, void *arg)
{
    chaos *c = arg;
    if (!c->is_on) {
        return;
    }
    uint64_t mean = c->options.chaos_every.ns;
    sim_after(s, SIM_WORLD, phi_ns(1 + phi_random_below(&c->random, 2 * mean)), step, c);
    chaos_kind kind = (chaos_kind)phi_random_below(&c->random, CHAOS_KIND_COUNT);
    victim *v = &c->victims[phi_random_below(&c->random, c->domain->actor_count)];
    if ((c->options.chaos_kinds & (1u << kind)) == 0) {
        return;
    }
    if (kind < CHAOS_SHED) {
        if (v->actor->client != NULL) {
            harm_client(c, kind, v);
        }
    } else if (c->domain->center != NULL) {
        harm_center(c, kind);
    }
}

// ---- life

chaos *chaos_new(domain *d, load *l, const swarm_options *options)
{
    chaos *c = phi_take_zeroed(&phi_alloc_heap, 1, sizeof *c);
    PH_ASSERT(c != NULL);
    c->domain = d;
    c->load = l;
    c->options = *options;
    c->random = phi_random_split(sim_random(d->s));
    for (uint32_t i = 0; i < d->actor_count; i++) {
        c->victims[i] = (victim){ .chaos = c, .actor = &d->actors[i] };
    }
    return c;
}

void chaos_free(chaos **c)
{
    phi_give(&phi_alloc_heap, *c, sizeof **c);
    *c = NULL;
}

void chaos_begin(chaos *c)
{
    c->is_on = true;
    if (c->options.chaos_kinds != 0) {
        sim_after(c->domain->s, SIM_WORLD, c->options.chaos_every, step, c);
    }
}

void chaos_stop(chaos *c)
{
    domain *d = c->domain;
    sim *s = d->s;
    c->is_on = false;
    center_thaw(s, c);
    center_alloc_again(s, c);
    center_accept_again(s, c);
    end_center(s, c);
    restart_center(s, c);
    for (uint32_t i = 0; i < d->actor_count; i++) {
        victim *v = &c->victims[i];
        thaw(s, v);
        read_again(s, v);
        rejoin(s, v);
        alloc_again(s, v);
        restart_client(s, v);
    }
}
