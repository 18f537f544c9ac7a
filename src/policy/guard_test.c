// SPDX-License-Identifier: Apache-2.0

#include "policy/guard.h"

#include "tests/harness/test.h"

static const phi_guard_rule rule = { .window = { 8000000000u }, .instances_min = 5 };

static phi_time at(uint64_t ms)
{
    return (phi_time){ ms * 1000000u + 1 };
}

// The guard must act with the loss that makes it most of them, not before, and not for a service so
// small that half of it is nothing. [P-49]
TEST(guard, acts_when_most_are_lost)
{
    for (uint32_t known = 1; known <= 40; known++) {
        phi_guard guard = { .slot = 0 };
        for (uint32_t lost = 1; lost <= known; lost++) {
            bool is_held = phi_guard_lost(&guard, &rule, known - lost, at(100));
            EXPECT_EQ(is_held, known >= 5 && lost * 2 > known);
        }
    }
}

// Losses apart from each other are what happens every day. [P-49]
TEST(guard, forgets_after_the_window)
{
    phi_guard guard = { .slot = 0 };
    for (uint32_t lost = 1; lost <= 5; lost++) {
        EXPECT(!phi_guard_lost(&guard, &rule, 10 - lost, at(1000)));
    }
    // One slot less than the window later the sixth of ten is too many; a window later it is the
    // first of five.
    phi_guard late = guard;
    EXPECT(phi_guard_lost(&late, &rule, 4, at(8000)));
    EXPECT(!phi_guard_lost(&guard, &rule, 4, at(9001)));
    EXPECT(!phi_guard_lost(&guard, &rule, 3, at(1000000)));
}

// A restart one after the other, each without a bye, must not trip it: they come back. [P-49]
TEST(guard, who_comes_back_is_not_lost)
{
    phi_guard guard = { .slot = 0 };
    for (uint64_t i = 0; i < 100; i++) {
        EXPECT(!phi_guard_lost(&guard, &rule, 9, at(i * 50)));
        phi_guard_joined(&guard, &rule, at(i * 50 + 25));
    }
    // Joins alone build up no credit.
    for (uint32_t lost = 1; lost <= 10; lost++) {
        EXPECT_EQ(phi_guard_lost(&guard, &rule, 10 - lost, at(5000)), lost > 5);
    }
}

// Time that stands still, or jumps far, must not confuse the slots.
TEST(guard, slides_over_any_gap)
{
    phi_guard guard = { .slot = 0 };
    phi_guard_joined(&guard, &rule, at(0));
    for (uint64_t ms = 0; ms < 200000; ms += 7777) {
        EXPECT_EQ(phi_guard_lost(&guard, &rule, 4, at(ms)), false);
    }
    EXPECT(!phi_guard_lost(&guard, &rule, 4, (phi_time){ UINT64_MAX - 1 }));
}
