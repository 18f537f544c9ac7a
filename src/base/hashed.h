// SPDX-License-Identifier: Apache-2.0
//
// base/hashed.h - a table of equal records found by a hash, for tables of millions: a record never
// moves, and none pays for the growth of all.
//
// A record begins with a phi_hashed_head. It is named by its index, which is never 0, as long as it
// is taken. The table knows hashes only; what makes two records equal is the caller's:
//
//     for (i = phi_hashed_first(t, hash); i != 0; i = head->next) { ... }
//
// A caller whose keys are chosen by peers hashes them under a secret.
//
// Life     init -> (take, look, give)* -> fini
// Limits   count_max records; beyond it phi_hashed_take returns 0
// Threads  none

#ifndef PHI_BASE_HASHED_H
#define PHI_BASE_HASHED_H

#include <stdint.h>

#include "base/alloc.h"
#include "base/assert.h"

#define PHI_HASHED_CHUNK 256u // records, or buckets

// In front of each record.
typedef struct phi_hashed_head {
    uint32_t next; // of its bucket; 0 none. Given back: of the free list
    uint32_t hash;
} phi_hashed_head;

// Chunks that are never moved, and the array that finds them.
typedef struct phi_hashed_chunks {
    void **at; // owned, and each of them
    uint32_t count;
    uint32_t capacity;
} phi_hashed_chunks;

typedef struct phi_hashed {
    const phi_alloc *alloc;
    phi_hashed_chunks records;
    phi_hashed_chunks buckets; // of uint32_t: the first record; 0 none
    uint32_t bucket_count;     // 0 until the first record
    uint32_t bucket_mask;      // one less than the power of two above bucket_count
    uint32_t record_size;      // with its head
    uint32_t count;            // in use
    uint32_t count_max;
    uint32_t free_first;
    uint32_t high; // indices up to it were used at some time
} phi_hashed;

void phi_hashed_init(phi_hashed *t, const phi_alloc *alloc, size_t record_size, uint32_t count_max);

// Records in use are forgotten, not finished.
void phi_hashed_fini(phi_hashed *t);

// A zeroed record but for its head; 0 when count_max are in use or there is no memory.
uint32_t phi_hashed_take(phi_hashed *t, uint32_t hash);

// Its index ends here.
void phi_hashed_give(phi_hashed *t, uint32_t index);

// The record of an index that is taken.
static inline void *phi_hashed_at(const phi_hashed *t, uint32_t index)
{
    PH_ASSERT(index - 1 < t->high);
    uint8_t *chunk = t->records.at[(index - 1) / PHI_HASHED_CHUNK];
    return chunk + (size_t)((index - 1) % PHI_HASHED_CHUNK) * t->record_size;
}

static inline uint32_t *phi_hashed_bucket(const phi_hashed *t, uint32_t hash)
{
    uint32_t bucket = hash & t->bucket_mask;
    if (bucket >= t->bucket_count) {
        bucket = hash & (t->bucket_mask >> 1);
    }
    return (uint32_t *)t->buckets.at[bucket / PHI_HASHED_CHUNK] + bucket % PHI_HASHED_CHUNK;
}

// The first of those that may have that hash; 0 none.
static inline uint32_t phi_hashed_first(const phi_hashed *t, uint32_t hash)
{
    return t->count == 0 ? 0 : *phi_hashed_bucket(t, hash);
}

// Asserts the invariants; walks over all.
void phi_hashed_check(const phi_hashed *t);

#endif // PHI_BASE_HASHED_H
