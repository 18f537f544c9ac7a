// SPDX-License-Identifier: Apache-2.0
//
// base/slots.h - a table of equal objects found by number, with a generation that makes an old
// number miss.
//
// A handle is generation << 32 | index. Objects never move (they stand in chunks), so pointers to
// them stay good until they are given back. Iteration is by index: the same in every run.
//
// Life     init -> (take, find, give)* -> fini
// Limits   count_max objects; beyond it phi_slots_take returns NULL
// Threads  none

#ifndef PHI_BASE_SLOTS_H
#define PHI_BASE_SLOTS_H

#include <stdint.h>

#include "base/alloc.h"

typedef struct phi_slots {
    const phi_alloc *alloc;
    uint8_t **chunks; // owned; each holds PHI_SLOTS_CHUNK objects with their heads
    uint32_t chunk_count;
    uint32_t chunk_capacity;
    uint32_t object_size; // without the head
    uint32_t stride;
    uint32_t count; // in use
    uint32_t count_max;
    uint32_t free_first; // index + 1; 0 none
    uint32_t high;       // indices below it were used at some time
} phi_slots;

#define PHI_SLOTS_CHUNK 256u

void phi_slots_init(phi_slots *slots, const phi_alloc *alloc, size_t object_size,
                    uint32_t count_max);

// Objects in use are forgotten, not finished.
void phi_slots_fini(phi_slots *slots);

// A zeroed object and its handle (never 0); NULL when count_max are in use or there is no memory.
void *phi_slots_take(phi_slots *slots, uint64_t *handle);

// NULL when the handle is no longer, or never was, good.
void *phi_slots_find(const phi_slots *slots, uint64_t handle);

// Its handle ends here. Asserts that it was good.
void phi_slots_give(phi_slots *slots, uint64_t handle);

// The object in use with the lowest index that is at least *index, which is then set to its index;
// NULL when there is none.
void *phi_slots_next(const phi_slots *slots, uint32_t *index, uint64_t *handle);

static inline uint32_t phi_slots_index(uint64_t handle)
{
    return (uint32_t)handle;
}

#endif // PHI_BASE_SLOTS_H
