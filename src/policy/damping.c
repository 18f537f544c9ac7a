// SPDX-License-Identifier: Apache-2.0
//
// policy/damping.c - see damping.h.
//
// Design notes
//   - The decay is computed in integers, so that a simulated run is the same on every machine:
//     whole half-lives shift, the rest of one is a binary fraction, each bit of which has its
//     factor.

#include "policy/damping.h"

#include <stddef.h>

#include "base/assert.h"
#include "base/compiler.h"

enum {
    SCALE_BITS = 10,    // of phi_damping.penalty
    FRACTION_BITS = 14, // of a half-life that count
    HALVINGS_MAX = 16,
    OVER = PHI_DAMPING_PER_LOSS / 8, // a penalty below it is none
};

// 65,536 * 2^(-1/2), 2^(-1/4), 2^(-1/8), ...
static const uint32_t roots[FRACTION_BITS] = {
    46341, 55109, 60097, 62757, 64132, 64830, 65182,
    65359, 65447, 65492, 65514, 65525, 65530, 65533,
};

static void rule_check(const phi_damping_rule *rule);
static uint64_t decayed(uint64_t penalty, const phi_damping_rule *rule, phi_dur passed);
static uint64_t ceiling_of(const phi_damping_rule *rule);
static uint64_t scaled(uint32_t value);

void phi_damping_lost(phi_damping *damping, const phi_damping_rule *rule, phi_time now)
{
    rule_check(rule);
    bool is_damped = phi_damping_is_damped(damping, rule, now);
    uint64_t penalty = decayed(damping->penalty, rule, phi_time_diff(now, damping->at));
    penalty += scaled(PHI_DAMPING_PER_LOSS);
    uint64_t ceiling = ceiling_of(rule);
    penalty = penalty < ceiling ? penalty : ceiling;
    *damping = (phi_damping){
        .at = now,
        .penalty = penalty,
        .is_damped = is_damped || penalty >= scaled(rule->suppress),
    };
}

bool phi_damping_is_damped(const phi_damping *damping, const phi_damping_rule *rule, phi_time now)
{
    rule_check(rule);
    return damping->is_damped &&
           decayed(damping->penalty, rule, phi_time_diff(now, damping->at)) >= scaled(rule->reuse);
}

phi_time phi_damping_calm(const phi_damping *damping, const phi_damping_rule *rule, phi_time now)
{
    if (!phi_damping_is_damped(damping, rule, now)) {
        return now;
    }
    // The first moment at which it is below: somewhere in (low, high].
    uint64_t low = 0;
    uint64_t high = rule->half_life.ns * (HALVINGS_MAX + 1);
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (decayed(damping->penalty, rule, phi_ns(middle)) < scaled(rule->reuse)) {
            high = middle;
        } else {
            low = middle;
        }
    }
    phi_time calm = phi_time_add(damping->at, phi_ns(high));
    PH_ASSERT(!phi_damping_is_damped(damping, rule, calm));
    return calm;
}

bool phi_damping_is_over(const phi_damping *damping, const phi_damping_rule *rule, phi_time now)
{
    return !phi_damping_is_damped(damping, rule, now) &&
           decayed(damping->penalty, rule, phi_time_diff(now, damping->at)) < scaled(OVER);
}

// ---- helpers

static void rule_check(const phi_damping_rule *rule)
{
    PH_ASSERT(rule->reuse > 0);
    PH_ASSERT(rule->reuse < rule->suppress);
    PH_ASSERT(rule->half_life.ns > 0);
    PH_ASSERT(rule->half_life.ns < UINT64_MAX >> (FRACTION_BITS + 1));
}

static uint64_t decayed(uint64_t penalty, const phi_damping_rule *rule, phi_dur passed)
{
    uint64_t halvings = passed.ns / rule->half_life.ns;
    if (halvings > HALVINGS_MAX) {
        return 0;
    }
    penalty >>= halvings;
    uint64_t rest = passed.ns % rule->half_life.ns;
    uint64_t fraction = (rest << FRACTION_BITS) / rule->half_life.ns;
    for (size_t i = 0; i < PHI_COUNT_OF(roots); i++) {
        if ((fraction >> (FRACTION_BITS - 1 - i) & 1) != 0) {
            penalty = penalty * roots[i] >> 16;
        }
    }
    return penalty;
}

// The penalty that needs wait_max to fall below `reuse`: 2^(a + b) = 2^(a + 1) * 2^(-(1 - b)).
static uint64_t ceiling_of(const phi_damping_rule *rule)
{
    uint64_t halvings = rule->wait_max.ns / rule->half_life.ns;
    if (halvings >= HALVINGS_MAX) {
        return scaled(rule->reuse) << HALVINGS_MAX;
    }
    uint64_t rest = rule->wait_max.ns % rule->half_life.ns;
    return decayed(scaled(rule->reuse) << (halvings + 1), rule, phi_ns(rule->half_life.ns - rest));
}

static uint64_t scaled(uint32_t value)
{
    return (uint64_t)value << SCALE_BITS;
}
