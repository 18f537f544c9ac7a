// SPDX-License-Identifier: Apache-2.0
//
// base/slots.h - a table of equal objects found by number, with a generation that makes an old
// number miss.
//
// A handle is generation << 32 | mark << 24 | index. The mark is 0, or what tells handles of this
// table from those of others of its kind: they miss here. Objects never move (they stand in
// chunks), so pointers to them stay good until they are given back. Iteration is by index: the same
// in every run.
//
// The generation of a slot comes round after 2^32 uses of it: a number that old may hit again. Who
// gives handles to peers checks, too, that what they name is theirs.
//
// Life     init -> (take, find, give)* -> fini
// Limits   count_max objects, at most PHI_SLOTS_COUNT_MAX; beyond it phi_slots_take returns NULL
// Threads  none

#ifndef PHI_BASE_SLOTS_H
#define PHI_BASE_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/assert.h"

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
    uint32_t mark;       // where it stands in a handle
} phi_slots;

#define PHI_SLOTS_CHUNK 256u
#define PHI_SLOTS_COUNT_MAX (1u << PHI_SLOTS_MARK_SHIFT)
#define PHI_SLOTS_MARK_SHIFT 24

// In front of each object, which it keeps aligned for every type.
typedef struct phi_slot_head {
    _Alignas(16) uint32_t live; // the generation while in use, else 0
    uint32_t generation;        // of the last use
    uint32_t free_next;         // index + 1 on the free list, 0 none; while in use, anything
} phi_slot_head;

void phi_slots_init(phi_slots *slots, const phi_alloc *alloc, size_t object_size,
                    uint32_t count_max);

// Before the first take.
void phi_slots_set_mark(phi_slots *slots, uint8_t mark);

// Objects in use are forgotten, not finished.
void phi_slots_fini(phi_slots *slots);

static inline uint32_t phi_slots_index(uint64_t handle)
{
    return (uint32_t)handle & (PHI_SLOTS_COUNT_MAX - 1);
}

// Of any number: who gives handles to peers may be sent anything.
static inline uint8_t phi_slots_mark(uint64_t handle)
{
    return (uint8_t)(handle >> PHI_SLOTS_MARK_SHIFT);
}

// Of an index below `high`.
static inline phi_slot_head *phi_slots_head(const phi_slots *slots, uint32_t index)
{
    uint8_t *chunk = slots->chunks[index / PHI_SLOTS_CHUNK];
    return (phi_slot_head *)(void *)(chunk + (size_t)(index % PHI_SLOTS_CHUNK) * slots->stride);
}

// NULL when the handle is no longer, or never was, good. Any number may be asked for.
static inline void *phi_slots_find(const phi_slots *slots, uint64_t handle)
{
    uint32_t generation = (uint32_t)(handle >> 32);
    uint32_t index = (uint32_t)handle ^ slots->mark; // beyond any, when the mark is another
    if (index >= slots->high || generation == 0) {
        return NULL;
    }
    phi_slot_head *head = phi_slots_head(slots, index);
    return head->live == generation ? head + 1 : NULL;
}

// A zeroed object and its handle (never 0); NULL when count_max are in use or there is no memory.
void *phi_slots_take(phi_slots *slots, uint64_t *handle);

// A place that was in use before; its bytes are anything. NULL when there is none, or count_max are
// in use: phi_slots_take_raw tells.
static inline void *phi_slots_take_again(phi_slots *slots, uint64_t *handle)
{
    if (PHI_UNLIKELY(slots->free_first == 0 || slots->count >= slots->count_max)) {
        return NULL;
    }
    uint32_t index = slots->free_first - 1;
    phi_slot_head *head = phi_slots_head(slots, index);
    slots->free_first = head->free_next;
    slots->count++;
    head->generation += head->generation == UINT32_MAX ? 2 : 1; // 0 never names an object
    head->live = head->generation;
    *handle = (uint64_t)head->generation << 32 | slots->mark | index;
    return head + 1;
}

// Slow path of phi_slots_take_raw: full, or an index that was never used. Do not call.
void *phi_slots_take_new(phi_slots *slots, uint64_t *handle);

// As phi_slots_take, with an object that has yet to be written: its bytes are anything.
static inline void *phi_slots_take_raw(phi_slots *slots, uint64_t *handle)
{
    void *object = phi_slots_take_again(slots, handle);
    return PHI_LIKELY(object != NULL) ? object : phi_slots_take_new(slots, handle);
}

// The handle of an object in use ends here.
static inline void phi_slots_give_object(phi_slots *slots, void *object, uint64_t handle)
{
    phi_slot_head *head = (phi_slot_head *)object - 1;
    PH_ASSERT(head->live == (uint32_t)(handle >> 32));
    PH_ASSERT(head->live != 0);
    PH_ASSERT_SLOW(phi_slots_find(slots, handle) == object);
    head->live = 0;
    head->free_next = slots->free_first;
    slots->free_first = phi_slots_index(handle) + 1;
    slots->count--;
}

// The same for who has only the handle. Asserts that it was good.
void phi_slots_give(phi_slots *slots, uint64_t handle);

// The object in use with the lowest index that is at least *index, which is then set to its index;
// NULL when there is none.
static inline void *phi_slots_next(const phi_slots *slots, uint32_t *index, uint64_t *handle)
{
    PH_ASSERT(index != NULL);
    PH_ASSERT(handle != NULL);
    for (uint32_t i = *index; i < slots->high; i++) {
        phi_slot_head *head = phi_slots_head(slots, i);
        if (head->live != 0) {
            *index = i;
            *handle = (uint64_t)head->live << 32 | slots->mark | i;
            return head + 1;
        }
    }
    return NULL;
}

#endif // PHI_BASE_SLOTS_H
