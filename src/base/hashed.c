// SPDX-License-Identifier: Apache-2.0
//
// base/hashed.c - linear hashing (Litwin, "Linear hashing: a new tool for file and table
// addressing", 1980).
//
// Design notes
//   - A record that comes splits a bucket or two, the next in order: growth costs each record the
//     same, however many there are. A table that doubles would stop the loop for tens of
//     milliseconds when a million are copied.
//   - Buckets below the one that is split next have been split already: for their hashes one bit
//     more counts (phi_hashed_bucket).
//   - When there is no memory for more buckets the chains grow instead.
//   - Neither records nor buckets go back to the allocator before fini: who had so many once may
//     have them again, and count_max bounds it.
//
// Invariants  see phi_hashed_check

#include "base/hashed.h"

#include <stdbool.h>
#include <string.h>

enum {
    CHUNKS_FIRST = 4,
    // For each record. Most look-ups then touch one record, or none; with one bucket for each, half
    // as many more, and each is a way to memory.
    BUCKETS_EACH = 2,
};

static bool add_chunk(phi_hashed *t, phi_hashed_chunks *chunks, size_t size);
static void free_chunks(phi_hashed *t, phi_hashed_chunks *chunks, size_t size);
static bool grow(phi_hashed *t);
static bool add_bucket(phi_hashed *t);
static uint32_t take_index(phi_hashed *t);
static phi_hashed_head *head_at(const phi_hashed *t, uint32_t index);

void phi_hashed_init(phi_hashed *t, const phi_alloc *alloc, size_t record_size, uint32_t count_max)
{
    PH_ASSERT(alloc != NULL);
    PH_ASSERT(record_size >= sizeof(phi_hashed_head));
    PH_ASSERT(record_size % _Alignof(phi_hashed_head) == 0);
    PH_ASSERT(record_size < UINT32_MAX / PHI_HASHED_CHUNK);
    PH_ASSERT(count_max <= UINT32_MAX / 4 / BUCKETS_EACH); // masks fit
    *t = (phi_hashed){
        .alloc = alloc,
        .record_size = (uint32_t)record_size,
        .count_max = count_max,
    };
}

void phi_hashed_fini(phi_hashed *t)
{
    free_chunks(t, &t->records, (size_t)t->record_size * PHI_HASHED_CHUNK);
    free_chunks(t, &t->buckets, sizeof(uint32_t) * PHI_HASHED_CHUNK);
    *t = (phi_hashed){ .alloc = t->alloc };
}

uint32_t phi_hashed_take(phi_hashed *t, uint32_t hash)
{
    PH_ASSERT(t->record_size > 0); // was initialised
    if (t->count >= t->count_max || !grow(t)) {
        return 0;
    }
    uint32_t index = take_index(t);
    if (index == 0) {
        return 0;
    }
    t->count++;
    uint32_t *bucket = phi_hashed_bucket(t, hash);
    phi_hashed_head *head = head_at(t, index);
    memset(head, 0, t->record_size);
    *head = (phi_hashed_head){ .next = *bucket, .hash = hash };
    *bucket = index;
    return index;
}

void phi_hashed_give(phi_hashed *t, uint32_t index)
{
    PH_ASSERT(t->count > 0);
    phi_hashed_head *head = head_at(t, index);
    uint32_t *at = phi_hashed_bucket(t, head->hash);
    while (*at != index) {
        PH_ASSERT(*at != 0); // it is not taken
        at = &head_at(t, *at)->next;
    }
    *at = head->next;
    head->next = t->free_first;
    t->free_first = index;
    t->count--;
}

// ---- helpers

static bool add_chunk(phi_hashed *t, phi_hashed_chunks *chunks, size_t size)
{
    if (chunks->count == chunks->capacity) {
        uint32_t capacity = chunks->capacity == 0 ? CHUNKS_FIRST : chunks->capacity * 2;
        void **at = phi_take(t->alloc, capacity * sizeof at[0]);
        if (at == NULL) {
            return false;
        }
        if (chunks->at != NULL) {
            memcpy(at, chunks->at, chunks->count * sizeof at[0]);
            phi_give(t->alloc, chunks->at, chunks->capacity * sizeof at[0]);
        }
        chunks->at = at;
        chunks->capacity = capacity;
    }
    void *chunk = phi_take_zeroed(t->alloc, 1, size);
    if (chunk == NULL) {
        return false;
    }
    chunks->at[chunks->count++] = chunk;
    return true;
}

static void free_chunks(phi_hashed *t, phi_hashed_chunks *chunks, size_t size)
{
    for (uint32_t i = 0; i < chunks->count; i++) {
        phi_give(t->alloc, chunks->at[i], size);
    }
    phi_give(t->alloc, chunks->at, chunks->capacity * sizeof chunks->at[0]);
}

// Buckets for one record more. False only when there are none at all.
static bool grow(phi_hashed *t)
{
    for (int i = 0; i < BUCKETS_EACH && t->bucket_count / BUCKETS_EACH <= t->count; i++) {
        if (!add_bucket(t)) {
            return t->bucket_count != 0;
        }
    }
    return true;
}

// False when there is no memory for it.
static bool add_bucket(phi_hashed *t)
{
    if (t->bucket_count == t->buckets.count * PHI_HASHED_CHUNK &&
        !add_chunk(t, &t->buckets, sizeof(uint32_t) * PHI_HASHED_CHUNK)) {
        return false;
    }
    if (t->bucket_count == 0) { // the first chunk is one level of its own
        t->bucket_count = PHI_HASHED_CHUNK;
        t->bucket_mask = 2 * PHI_HASHED_CHUNK - 1;
        return true;
    }
    uint32_t added = t->bucket_count;
    uint32_t *from = phi_hashed_bucket(t, added); // where its records are until now
    t->bucket_count++;
    uint32_t *to = phi_hashed_bucket(t, added);
    PH_ASSERT(to != from);
    PH_ASSERT(*to == 0);
    while (*from != 0) {
        phi_hashed_head *head = head_at(t, *from);
        if ((head->hash & t->bucket_mask) != added) {
            from = &head->next;
            continue;
        }
        uint32_t index = *from;
        *from = head->next;
        head->next = *to;
        *to = index;
    }
    if (t->bucket_count > t->bucket_mask) {
        t->bucket_mask = 2 * t->bucket_mask + 1;
    }
    return true;
}

// 0: no memory.
static uint32_t take_index(phi_hashed *t)
{
    if (t->free_first != 0) {
        uint32_t index = t->free_first;
        t->free_first = head_at(t, index)->next;
        return index;
    }
    if (t->high == t->records.count * PHI_HASHED_CHUNK &&
        !add_chunk(t, &t->records, (size_t)t->record_size * PHI_HASHED_CHUNK)) {
        return 0;
    }
    return ++t->high;
}

static phi_hashed_head *head_at(const phi_hashed *t, uint32_t index)
{
    return phi_hashed_at(t, index);
}

void phi_hashed_check(const phi_hashed *t)
{
    PH_ASSERT(t->count <= t->count_max);
    PH_ASSERT(t->count <= t->high);
    PH_ASSERT(t->bucket_count <= t->buckets.count * PHI_HASHED_CHUNK);
    uint32_t count = 0;
    for (uint32_t bucket = 0; bucket < t->bucket_count; bucket++) {
        const uint32_t *first =
            (uint32_t *)t->buckets.at[bucket / PHI_HASHED_CHUNK] + bucket % PHI_HASHED_CHUNK;
        for (uint32_t i = *first; i != 0; i = head_at(t, i)->next) {
            PH_ASSERT(phi_hashed_bucket(t, head_at(t, i)->hash) == first);
            count++;
        }
    }
    PH_ASSERT(count == t->count);
    for (uint32_t i = t->free_first; i != 0; i = head_at(t, i)->next) {
        count++;
    }
    PH_ASSERT(count == t->high);
}
