// SPDX-License-Identifier: Apache-2.0
//
// policy/guard.h - when most instances of a service are lost at about the same time, it is more
// likely the network than all of them: the mass-loss guard.
//
// Losses without a bye of the last `window` are counted. While they are more than half of the
// instances known in it (those left, and those lost), of which there must be `instances_min`,
// each further loss is not believed at once. Who comes back counts as not lost.
//
// Life     zeroed -> (lost, joined)*
// Threads  none

#ifndef PHI_POLICY_GUARD_H
#define PHI_POLICY_GUARD_H

#include "base/time.h"

// The window is cut into so many slots, and slides by one at a time.
#define PHI_GUARD_SLOTS 8u

typedef struct phi_guard_rule {
    phi_dur window;         // at least PHI_GUARD_SLOTS ns
    uint32_t instances_min; // known ones below which it does not act
} phi_guard_rule;

typedef struct phi_guard {
    uint64_t slot;                  // the number of the newest
    uint32_t lost[PHI_GUARD_SLOTS]; // slot n stands at n % PHI_GUARD_SLOTS
} phi_guard;

// An instance was lost without a bye; `left` are still there. True: do not believe it yet.
bool phi_guard_lost(phi_guard *guard, const phi_guard_rule *rule, uint32_t left, phi_time now);

// An instance came, or came back.
void phi_guard_joined(phi_guard *guard, const phi_guard_rule *rule, phi_time now);

#endif // PHI_POLICY_GUARD_H
