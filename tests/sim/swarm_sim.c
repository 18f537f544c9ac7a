// SPDX-License-Identifier: Apache-2.0
//
// tests/sim/swarm_sim.c - a few random worlds in every build, so that the sanitizers see them, too.
// Thousands run in tests/sim/swarm.sh.

#include "sim/swarm.h"
#include "tests/sim/sim_test.h"

#define SEEDS 40u

SIM_TEST(swarm, few_worlds_have_no_fault)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        swarm_outcome outcome = swarm_run(seed, /* trace= */ NULL, /* sum= */ NULL);
        if (outcome.fault[0] != '\0') {
            print_message("# seed %llu\n", (unsigned long long)seed);
        }
        EXPECT_TEXT(outcome.fault, "");
    }
}

// A run that told another story the second time could not be looked into.
SIM_TEST(swarm, same_seed_tells_the_same_story)
{
    for (uint64_t seed = 1; seed <= SEEDS / 4; seed++) {
        uint64_t hash = swarm_run(seed, NULL, NULL).hash;
        EXPECT(hash == swarm_run(seed, NULL, NULL).hash);
        EXPECT(hash != swarm_run(seed + SEEDS, NULL, NULL).hash);
    }
}
