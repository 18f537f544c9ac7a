// SPDX-License-Identifier: Apache-2.0
//
// base/slots.c - taking and giving back: chunks that never move, and a free list through the heads
// (last given, first taken: its memory is still in the cache).

#include "base/slots.h"

#include <string.h>

#include "base/assert.h"

#define CHUNKS_FIRST 4u

void phi_slots_init(phi_slots *slots, const phi_alloc *alloc, size_t object_size,
                    uint32_t count_max)
{
    PH_ASSERT(slots != NULL);
    PH_ASSERT(alloc != NULL);
    PH_ASSERT(object_size > 0);
    PH_ASSERT(count_max <= PHI_SLOTS_COUNT_MAX);
    PH_ASSERT(object_size < UINT32_MAX / PHI_SLOTS_CHUNK / 2); // a chunk's size fits 32 bits
    uint32_t align = (uint32_t)sizeof(phi_slot_head);
    *slots = (phi_slots){
        .alloc = alloc,
        .object_size = (uint32_t)object_size,
        .stride = (align + (uint32_t)object_size + align - 1) / align * align,
        .count_max = count_max,
    };
}

void phi_slots_set_mark(phi_slots *slots, uint8_t mark)
{
    PH_ASSERT(slots->high == 0);
    slots->mark = (uint32_t)mark << PHI_SLOTS_MARK_SHIFT;
}

void phi_slots_fini(phi_slots *slots)
{
    PH_ASSERT(slots != NULL);
    for (uint32_t i = 0; i < slots->chunk_count; i++) {
        phi_give(slots->alloc, slots->chunks[i], (size_t)slots->stride * PHI_SLOTS_CHUNK);
    }
    if (slots->chunks != NULL) {
        phi_give(slots->alloc, slots->chunks, slots->chunk_capacity * sizeof slots->chunks[0]);
    }
    *slots = (phi_slots){ .alloc = slots->alloc };
}

static bool add_chunk(phi_slots *slots)
{
    if (slots->chunk_count == slots->chunk_capacity) {
        uint32_t capacity = slots->chunk_capacity == 0 ? CHUNKS_FIRST : slots->chunk_capacity * 2;
        uint8_t **chunks = phi_take(slots->alloc, capacity * sizeof chunks[0]);
        if (chunks == NULL) {
            return false;
        }
        if (slots->chunks != NULL) {
            memcpy(chunks, slots->chunks, slots->chunk_count * sizeof chunks[0]);
            phi_give(slots->alloc, slots->chunks, slots->chunk_capacity * sizeof chunks[0]);
        }
        slots->chunks = chunks;
        slots->chunk_capacity = capacity;
    }
    // Not zeroed: heads are when their index is first used, objects whenever they are taken.
    uint8_t *chunk = phi_take(slots->alloc, (size_t)slots->stride * PHI_SLOTS_CHUNK);
    if (chunk == NULL) {
        return false;
    }
    slots->chunks[slots->chunk_count++] = chunk;
    return true;
}

void *phi_slots_take_new(phi_slots *slots, uint64_t *handle)
{
    PH_ASSERT(handle != NULL);
    PH_ASSERT(slots->stride > 0); // was initialised
    if (slots->count >= slots->count_max) {
        return NULL;
    }
    PH_ASSERT(slots->free_first == 0);
    uint32_t index = slots->high;
    if (index / PHI_SLOTS_CHUNK == slots->chunk_count && !add_chunk(slots)) {
        return NULL;
    }
    phi_slot_head *head = phi_slots_head(slots, index);
    *head = (phi_slot_head){ .live = 1, .generation = 1 };
    slots->high++;
    slots->count++;
    *handle = UINT64_C(1) << 32 | slots->mark | index;
    return head + 1;
}

void *phi_slots_take(phi_slots *slots, uint64_t *handle)
{
    void *object = phi_slots_take_raw(slots, handle);
    return object == NULL ? NULL : memset(object, 0, slots->object_size);
}

void phi_slots_give(phi_slots *slots, uint64_t handle)
{
    void *object = phi_slots_find(slots, handle);
    PH_ASSERT(object != NULL);
    phi_slots_give_object(slots, object, handle);
}
