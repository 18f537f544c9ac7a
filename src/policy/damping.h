// SPDX-License-Identifier: Apache-2.0
//
// policy/damping.h - who comes and goes all the time is not shown until it is calm: flap damping.
//
// Each loss adds a penalty, which halves every half-life. Somebody whose penalty reaches `suppress`
// is damped until it has fallen below `reuse`. Two thresholds, so that nobody is shown and hidden
// in turn; and a ceiling, so that nobody is hidden for longer than `wait_max` after the last loss,
// however often it was lost. (As routers damp routes: RFC 2439.)
//
// Life     zeroed -> (lost, is_damped)*
// Threads  none

#ifndef PHI_POLICY_DAMPING_H
#define PHI_POLICY_DAMPING_H

#include "base/time.h"

// What one loss adds; the thresholds are in the same measure.
#define PHI_DAMPING_PER_LOSS 1000u

typedef struct phi_damping_rule {
    uint32_t suppress; // reuse < suppress
    uint32_t reuse;    // more than 0
    phi_dur half_life; // more than 0
    phi_dur wait_max;  // at most 16 half-lives count
} phi_damping_rule;

typedef struct phi_damping {
    phi_time at;      // when `penalty` held
    uint64_t penalty; // in 1/1024
    bool is_damped;   // at `at`
} phi_damping;

// It was lost.
void phi_damping_lost(phi_damping *damping, const phi_damping_rule *rule, phi_time now);

bool phi_damping_is_damped(const phi_damping *damping, const phi_damping_rule *rule, phi_time now);

// When it is not damped any more, if it is not lost again: `now` for one that is not.
phi_time phi_damping_calm(const phi_damping *damping, const phi_damping_rule *rule, phi_time now);

// So long ago that it need not be remembered.
bool phi_damping_is_over(const phi_damping *damping, const phi_damping_rule *rule, phi_time now);

#endif // PHI_POLICY_DAMPING_H
