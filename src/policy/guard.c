// SPDX-License-Identifier: Apache-2.0
//
// policy/guard.c - see guard.h.

#include "policy/guard.h"

#include "base/assert.h"

static void slide(phi_guard *guard, const phi_guard_rule *rule, phi_time now);
static uint64_t count_lost(const phi_guard *guard);

bool phi_guard_lost(phi_guard *guard, const phi_guard_rule *rule, uint32_t left, phi_time now)
{
    slide(guard, rule, now);
    uint32_t *newest = &guard->lost[guard->slot % PHI_GUARD_SLOTS];
    *newest += *newest < UINT32_MAX;
    uint64_t lost = count_lost(guard);
    uint64_t known = lost + left;
    return known >= rule->instances_min && lost * 2 > known;
}

void phi_guard_joined(phi_guard *guard, const phi_guard_rule *rule, phi_time now)
{
    slide(guard, rule, now);
    // The oldest loss: which one it was does not matter, and so the count falls soonest.
    for (uint64_t i = 1; i <= PHI_GUARD_SLOTS; i++) {
        uint32_t *lost = &guard->lost[(guard->slot + i) % PHI_GUARD_SLOTS];
        if (*lost != 0) {
            (*lost)--;
            return;
        }
    }
}

// Forgets what has left the window.
static void slide(phi_guard *guard, const phi_guard_rule *rule, phi_time now)
{
    PH_ASSERT(rule->window.ns >= PHI_GUARD_SLOTS);
    uint64_t slot = now.ns / (rule->window.ns / PHI_GUARD_SLOTS);
    PH_ASSERT(slot >= guard->slot);
    uint64_t steps = slot - guard->slot;
    for (uint64_t i = 0; i < steps && i < PHI_GUARD_SLOTS; i++) {
        guard->lost[(slot - i) % PHI_GUARD_SLOTS] = 0;
    }
    guard->slot = slot;
}

static uint64_t count_lost(const phi_guard *guard)
{
    uint64_t lost = 0;
    for (uint32_t i = 0; i < PHI_GUARD_SLOTS; i++) {
        lost += guard->lost[i];
    }
    return lost;
}
