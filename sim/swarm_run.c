// SPDX-License-Identifier: Apache-2.0
//
// sim/swarm_run.c - one random run: load and faults, then quiet, then one more call each, and a
// death.

#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "sim/check.h"
#include "sim/rogue.h"
#include "sim/rules.h"
#include "sim/swarm.h"
#include "sim/tokens.h"

#define CHECK_EVERY phi_ms(100)
#define SETTLE_STEP phi_ms(50)
#define LAST_CALL_MS 60000u
#define LAST_CALLS_MAX 5u // fewer than any center's calls_max

static void check_all(domain *d)
{
    check_links(d);
    check_streams(d);
    check_counters(d);
    check_services(d);
}

// Some prove who they are, some of these as somebody else than their account is named after.
static void become_somebody(domain *d)
{
    for (uint32_t i = 0; i < d->actor_count; i++) {
        actor *a = &d->actors[i];
        if (i % 3 == 0) {
            continue;
        }
        snprintf(a->principal, sizeof a->principal, "%c%02u", i % 3 == 1 ? 'c' : 'p', i);
        const phi_identity who = { .is_local = true, .has_user = true, .uid = 1000 + i };
        sim_identity_set(d->s, a->node, &who);
        d->users[d->security.user_count++] =
            (center_user){ .uid = who.uid, .principal = phi_bytes_text(a->principal) };
    }
    d->security.users = d->users;
}

static void change_rules(domain *d, phi_random *random)
{
    domain_secure(d, rule_lines_random(random));
    sim_note(d->s, SIM_WORLD, "rules %u", d->rule_sets->count);
}

// Nothing is forbidden any more.
static void allow_all(domain *d)
{
    DOMAIN_SECURE(d, "* may register *", "* may register service:*", "* may call *", "* may send *",
                  "* may see *", "* may drain *", "* may publish >", "* may subscribe >");
}

static void start(domain *d, load *l, const swarm_options *o)
{
    bool has_center = domain_center_start(d);
    PH_ASSERT(has_center);
    for (uint32_t i = 0; i < d->actor_count; i++) {
        actor *a = &d->actors[i];
        a->manner = (manner)phi_random_below(sim_random(d->s), MANNER_COUNT);
        a->asked_manner = (manner)phi_random_below(sim_random(d->s), MANNER_COUNT);
        a->is_watching = phi_random_chance(sim_random(d->s), o->watcher_percent);
        bool has_started = actor_start(a);
        PH_ASSERT(has_started);
        load_begin(l, a);
    }
    for (uint32_t i = 0; i < d->rogue_count; i++) {
        rogue_start(d->rogues[i], o->rogue_every);
    }
}

static void run_faults(domain *d, const swarm_options *o, phi_random *random)
{
    uint64_t odds = o->rules_every.ns / CHECK_EVERY.ns;
    for (uint64_t past = 0; past < o->duration.ns && !domain_has_fault(d); past += CHECK_EVERY.ns) {
        if (o->has_rules && phi_random_below(random, odds) == 0) {
            change_rules(d, random);
        }
        sim_run_for(d->s, CHECK_EVERY);
        check_all(d);
    }
}

static void describe_unsettled(domain *d, const swarm_options *o)
{
    const char *why = NULL;
    uint64_t ms = phi_dur_ms(o->settle_max);
    for (uint32_t i = 0; i < d->actor_count; i++) {
        const actor *a = &d->actors[i];
        if (!actor_is_up(a)) {
            domain_fail(d, "%" PRIu64 " ms after the last fault %s is not up: %s", ms, a->account,
                        a->how_text);
        } else if (d->dialogs->asks_open > 0 || d->dialogs->gathers_open > 0) {
            domain_fail(d, "%" PRIu64 " ms after the last fault inquiries or gathers are open", ms);
        } else if (a->calls_open > 0) {
            domain_fail(d, "%" PRIu64 " ms after the last fault %s has calls open", ms, a->account);
        } else if (!check_streams_are_done(a)) {
            domain_fail(d, "%" PRIu64 " ms after the last fault %s has fragments under way", ms,
                        a->account);
        } else if (!check_presence_agrees(a, &why)) {
            domain_fail(d, "%" PRIu64 " ms after the last fault %s %s", ms, a->account, why);
        }
    }
    if (!check_workers_agree(d, &why)) {
        domain_fail(d, "%" PRIu64 " ms after the last fault %s", ms, why);
    }
    domain_fail(d, "%" PRIu64 " ms after the last fault the center has calls open", ms);
}

static void settle(domain *d, const swarm_options *o)
{
    if (d->tokens != NULL) {
        tokens_hurry(d->tokens);
    }
    for (uint32_t i = 0; i < d->rogue_count; i++) {
        rogue_kill(d->rogues[i]);
    }
    // What is on its way may still cause something: calm has to last.
    uint64_t calm = 0;
    uint64_t calm_min =
        8 * (o->domain.path.delay.ns + o->domain.path.jitter.ns + o->domain.mail_delay_max.ns);
    for (uint64_t past = 0; !domain_has_fault(d); past += SETTLE_STEP.ns) {
        sim_run_for(d->s, SETTLE_STEP);
        check_all(d);
        calm = domain_is_settled(d->s, d) ? calm + SETTLE_STEP.ns : 0;
        if (past >= o->settle_min.ns && calm > calm_min) {
            check_presence_converged(d);
            check_places(d);
            return;
        }
        if (past > o->settle_max.ns) {
            describe_unsettled(d, o);
        }
    }
}

static bool has_ended(sim *s, void *arg)
{
    (void)s;
    return ((const call_record *)arg)->ends > 0;
}

// Nothing is wrong any more, so nothing may go wrong.
static void last_calls(domain *d)
{
    for (uint32_t i = 0; i < d->actor_count; i++) {
        d->actors[i].manner = MANNER_ECHO;
    }
    for (uint32_t i = 0; i < d->actor_count && !domain_has_fault(d); i++) {
        actor *to = &d->actors[(i + 1) % d->actor_count];
        call_record *call = actor_call_actor(&d->actors[i], to, LAST_CALL_MS);
        if (call == NULL) {
            domain_fail(d, "%s cannot call, though nothing is wrong", d->actors[i].account);
            return;
        }
        (void)sim_run_until(d->s, has_ended, call, phi_ms(LAST_CALL_MS));
        if (call->ends == 1 && call->status != PH_OK) {
            domain_fail(d, "call %u ended with %s %s, though nothing is wrong", call->serial,
                        ph_err_name(call->status), ph_failure_name(call->code));
        }
    }
}

// A process that dies in the middle of calls must fail them at once: no deadline may be what ends
// them. [P-57]
static void last_death(domain *d)
{
    actor *dies = &d->actors[0];
    call_record *calls[LAST_CALLS_MAX];
    uint32_t count = 0;
    dies->manner = MANNER_HOLD;
    unsigned requests = dies->requests;
    for (uint32_t i = 1; i < d->actor_count && count < LAST_CALLS_MAX; i++) {
        calls[count] = actor_call_actor(&d->actors[i], dies, LAST_CALL_MS);
        count += calls[count] != NULL;
    }
    for (int i = 0; i < 1000 && dies->requests < requests + count; i++) {
        sim_run_for(d->s, phi_ms(1));
    }
    actor_kill(dies);
    for (uint32_t i = 0; i < count; i++) {
        (void)sim_run_until(d->s, has_ended, calls[i], phi_ms(LAST_CALL_MS));
        if (calls[i]->status != PH_EFAILURE || calls[i]->code != PH_FAILURE_RESPONDER_LOST) {
            domain_fail(d, "call %u ended with %s %s after its responder had died",
                        calls[i]->serial, ph_err_name(calls[i]->status),
                        ph_failure_name(calls[i]->code));
        }
    }
}

swarm_outcome swarm_run(uint64_t seed, FILE *trace, census *sum)
{
    swarm_options options = swarm_options_random(seed);
    options.domain.trace = trace;
    options.domain.census = sum;
    domain *d = domain_new(&options.domain);
    load *l = load_new(d, &options);
    chaos *c = chaos_new(d, l, &options);
    phi_random random = phi_random_seeded(seed ^ UINT64_C(0x72756c6573));
    if (options.has_rules) {
        if (d->tokens == NULL) { // else that is who they are
            become_somebody(d);
        }
        change_rules(d, &random);
    }
    start(d, l, &options);
    chaos_begin(c);
    run_faults(d, &options, &random);
    load_stop(l);
    chaos_stop(c);
    if (options.has_rules) {
        allow_all(d);
    }
    settle(d, &options);
    swarm_outcome out = { .settled = sim_now(d->s) };
    if (!domain_has_fault(d)) {
        check_topics(d);
    }
    last_calls(d);
    if (options.has_rules && !domain_has_fault(d)) {
        change_rules(d, &random);
        sim_run_for(d->s, phi_seconds(5));
        check_rules(d);
        allow_all(d);
        sim_run_for(d->s, phi_seconds(5));
    }
    if (!domain_has_fault(d)) {
        last_death(d);
    }
    out.hash = sim_trace_hash(d->s);
    out.turns = sim_turns(d->s);
    out.calls = d->call_count;
    domain_free(&d, out.fault);
    chaos_free(&c);
    load_free(&l);
    return out;
}
