// SPDX-License-Identifier: Apache-2.0
//
// sim/swarm.c - the program: many random worlds, one after the other.
//
// A run has three parts. For a while there is load, and faults. Then both stop, and within a bound
// everybody must be up, see the same, and have no call open. Then each client makes one more call,
// which must succeed. Checks watch all the time.
//
//     swarm --seeds 1000           seeds 1 to 1000
//     swarm --seeds 50 --first 7   from another one
//     swarm --twice                each seed two times; the traces must be the same
//     swarm --census               what happened in all of them; fails when something never did
//     swarm --seed 17 --trace      one seed, told line by line

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "sim/census.h"
#include "sim/check.h"
#include "sim/rogue.h"
#include "sim/swarm.h"

#define CHECK_EVERY phi_ms(100)
#define SETTLE_STEP phi_ms(50)
#define LAST_CALL_MS 60000u
#define PROGRESS_SECONDS 2.0

typedef struct arguments {
    uint64_t first;
    uint64_t seeds;
    bool is_twice;
    bool is_tracing;
    bool is_verbose;
    bool is_census;
} arguments;

typedef struct outcome {
    uint64_t hash;
    uint64_t turns;
    uint32_t calls;
    phi_time settled;
    char fault[sizeof((domain *)0)->fault];
} outcome;

// ---- one run

static void check_all(domain *d)
{
    check_links(d);
    check_counters(d);
}

static void start(domain *d, load *l, const swarm_options *o)
{
    bool has_center = domain_center_start(d);
    PH_ASSERT(has_center);
    for (uint32_t i = 0; i < d->actor_count; i++) {
        actor *a = &d->actors[i];
        a->manner = (manner)phi_random_below(sim_random(d->s), MANNER_COUNT);
        a->is_watching = phi_random_chance(sim_random(d->s), o->watcher_percent);
        bool has_started = actor_start(a);
        PH_ASSERT(has_started);
        load_begin(l, a);
    }
    for (uint32_t i = 0; i < d->rogue_count; i++) {
        rogue_start(d->rogues[i], o->rogue_every);
    }
}

static void run_faults(domain *d, const swarm_options *o)
{
    for (uint64_t past = 0; past < o->duration.ns && !domain_has_fault(d); past += CHECK_EVERY.ns) {
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
        } else if (a->calls_open > 0) {
            domain_fail(d, "%" PRIu64 " ms after the last fault %s has calls open", ms, a->account);
        } else if (!check_presence_agrees(a, &why)) {
            domain_fail(d, "%" PRIu64 " ms after the last fault %s %s", ms, a->account, why);
        }
    }
    domain_fail(d, "%" PRIu64 " ms after the last fault the center has calls open", ms);
}

static void settle(domain *d, const swarm_options *o)
{
    for (uint32_t i = 0; i < d->rogue_count; i++) {
        rogue_kill(d->rogues[i]);
    }
    for (uint64_t past = 0; !domain_has_fault(d); past += SETTLE_STEP.ns) {
        sim_run_for(d->s, SETTLE_STEP);
        check_all(d);
        if (past >= o->settle_min.ns && domain_is_settled(d->s, d)) {
            check_presence_converged(d);
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

static outcome run(uint64_t seed, FILE *trace, census *sum)
{
    swarm_options options = swarm_options_random(seed);
    options.domain.trace = trace;
    options.domain.census = sum;
    domain *d = domain_new(&options.domain);
    load *l = load_new(d, &options);
    chaos *c = chaos_new(d, l, &options);
    start(d, l, &options);
    chaos_begin(c);
    run_faults(d, &options);
    load_stop(l);
    chaos_stop(c);
    settle(d, &options);
    outcome out = { .settled = sim_now(d->s) };
    last_calls(d);
    out.hash = sim_trace_hash(d->s);
    out.turns = sim_turns(d->s);
    out.calls = d->call_count;
    domain_free(&d, out.fault);
    chaos_free(&c);
    load_free(&l);
    return out;
}

// ---- the program

static void usage(void)
{
    fputs("usage: swarm [--seeds N] [--first SEED] [--twice] [--verbose] [--census]\n"
          "       swarm --seed SEED [--trace]\n",
          stderr);
    exit(2);
}

static uint64_t number(const char *text)
{
    char *end = NULL;
    uint64_t value = text == NULL ? 0 : strtoull(text, &end, 0);
    if (text == NULL || end == text || *end != '\0') {
        usage();
    }
    return value;
}

static arguments parse(int argc, char **argv)
{
    arguments a = { .first = 1, .seeds = 100 };
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--seeds") == 0) {
            a.seeds = number(value);
            i++;
        } else if (strcmp(argv[i], "--first") == 0) {
            a.first = number(value);
            i++;
        } else if (strcmp(argv[i], "--seed") == 0) {
            a.first = number(value);
            a.seeds = 1;
            i++;
        } else if (strcmp(argv[i], "--twice") == 0) {
            a.is_twice = true;
        } else if (strcmp(argv[i], "--trace") == 0) {
            a.is_tracing = true;
        } else if (strcmp(argv[i], "--census") == 0) {
            a.is_census = true;
        } else if (strcmp(argv[i], "--verbose") == 0) {
            a.is_verbose = true;
        } else {
            usage();
        }
    }
    return a;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int report(const char *program, uint64_t seed, const char *fault)
{
    swarm_options options = swarm_options_random(seed);
    swarm_options_print(stdout, &options);
    printf("FAULT %s\n", fault);
    printf("repeat: %s --seed %" PRIu64 " --trace\n", program, seed);
    return 1;
}

static int run_seed(const arguments *a, const char *program, uint64_t seed, census *sum)
{
    char note[128];
    snprintf(note, sizeof note, "repeat: %s --seed %" PRIu64 " --trace", program, seed);
    phi_assert_note(note);
    if (a->seeds == 1) {
        swarm_options options = swarm_options_random(seed);
        swarm_options_print(stdout, &options);
        fflush(stdout);
    }
    outcome first = run(seed, a->is_tracing ? stdout : NULL, sum);
    if (first.fault[0] == '\0' && a->is_twice) {
        outcome second = run(seed, NULL, NULL);
        if (second.hash != first.hash) {
            snprintf(first.fault, sizeof first.fault,
                     "the same seed gives another trace: %016" PRIx64 ", then %016" PRIx64,
                     first.hash, second.hash);
        }
    }
    phi_assert_note(NULL);
    if (a->is_verbose || a->seeds == 1) {
        printf("seed %" PRIu64 " hash %016" PRIx64 ": %" PRIu64
               " turns, %u calls, settled at %" PRIu64 " ms\n",
               seed, first.hash, first.turns, first.calls, first.settled.ns / 1000000u);
    }
    return first.fault[0] == '\0' ? 0 : report(program, seed, first.fault);
}

int main(int argc, char **argv)
{
    arguments a = parse(argc, argv);
    if (a.seeds != 1) {
        printf("%s --seeds %" PRIu64 " --first %" PRIu64 "%s\n", argv[0], a.seeds, a.first,
               a.is_twice ? " --twice" : "");
        fflush(stdout);
    }
    double begun = seconds();
    double told = begun;
    census sum = { 0 };
    for (uint64_t i = 0; i < a.seeds; i++) {
        int rc = run_seed(&a, argv[0], a.first + i, &sum);
        if (rc != 0) {
            return rc;
        }
        double now = seconds();
        if (now - told > PROGRESS_SECONDS) {
            fprintf(stderr, "%" PRIu64 " of %" PRIu64 " seeds\n", i + 1, a.seeds);
            told = now;
        }
    }
    printf("%" PRIu64 " seeds, no fault, %.1f s\n", a.seeds, seconds() - begun);
    return a.is_census && census_print(stdout, &sum) > 0 ? 1 : 0;
}
