// SPDX-License-Identifier: Apache-2.0
//
// base/map.h - names to 64-bit values: open addressing, SipHash with a key drawn at start, so that
// no peer can choose collisions.
//
// The map does not copy names: the owner of the value keeps them alive and unchanged while they are
// in the map. Nothing iterates over it: iteration in hash order would differ from run to run.
//
// Limits   count_max entries; beyond it phi_map_put returns PH_ELIMIT
// Threads  none

#ifndef PHI_BASE_MAP_H
#define PHI_BASE_MAP_H

#include <posthouse/err.h>

#include "base/alloc.h"
#include "base/compiler.h"
#include "base/siphash.h"

typedef struct phi_map_entry {
    phi_bytes name; // borrowed until it is removed; data NULL: free
    uint64_t hash;
    uint64_t value;
} phi_map_entry;

typedef struct phi_map {
    const phi_alloc *alloc;
    phi_hash_key key;
    phi_map_entry *entries; // owned
    size_t capacity;        // a power of two, or 0
    size_t count;
    size_t count_max;
} phi_map;

void phi_map_init(phi_map *map, const phi_alloc *alloc, phi_hash_key key, size_t count_max);
void phi_map_fini(phi_map *map);

// PH_ELIMIT   count_max reached
// PH_ENOMEM   could not grow
// The name must not be in the map.
PHI_MUST_CHECK ph_err phi_map_put(phi_map *map, phi_bytes name, uint64_t value);

// True and *value when it is there.
bool phi_map_find(const phi_map *map, phi_bytes name, uint64_t *value);

// False when it is not there.
bool phi_map_remove(phi_map *map, phi_bytes name);

#endif // PHI_BASE_MAP_H
