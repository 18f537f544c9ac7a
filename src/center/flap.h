// SPDX-License-Identifier: Apache-2.0
//
// center/flap.h - which accounts were lost again and again: flap damping (P-49).
//
// An account that is lost goes, and what it was goes with it; so what is held against it stands
// here, by its name, for as long as it counts (policy/damping.h).
//
// Life     init -> (lost, is_damped)* -> fini
// Limits   count_max records; the oldest loss is forgotten for a new one
// Threads  none

#ifndef CENTER_FLAP_H
#define CENTER_FLAP_H

#include "base/list.h"
#include "base/map.h"
#include "policy/damping.h"

typedef struct flaps {
    const phi_alloc *alloc; // borrowed
    phi_damping_rule rule;
    phi_map by_name;  // account -> record
    phi_list by_time; // record.node, the loss that is longest ago first
    size_t count_max;
} flaps;

void flaps_init(flaps *f, const phi_alloc *alloc, phi_hash_key key, const phi_damping_rule *rule,
                size_t count_max);

// Accepts a zeroed one.
void flaps_fini(flaps *f);

// The account was lost. Without memory nothing is held against it.
void flaps_lost(flaps *f, phi_bytes name, phi_time now);

// Whether it is not to be listed now; then *calm is when it is.
bool flaps_is_damped(const flaps *f, phi_bytes name, phi_time now, phi_time *calm);

#endif // CENTER_FLAP_H
