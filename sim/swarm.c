// SPDX-License-Identifier: Apache-2.0
//
// sim/swarm.c - the program: many random worlds, one after the other.
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
#include "sim/swarm.h"

#define PROGRESS_SECONDS 2.0

typedef struct arguments {
    uint64_t first;
    uint64_t seeds;
    bool is_twice;
    bool is_tracing;
    bool is_verbose;
    bool is_census;
} arguments;

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
    swarm_outcome first = swarm_run(seed, a->is_tracing ? stdout : NULL, sum);
    if (first.fault[0] == '\0' && a->is_twice) {
        swarm_outcome second = swarm_run(seed, NULL, NULL);
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
