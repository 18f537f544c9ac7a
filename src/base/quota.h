// SPDX-License-Identifier: Apache-2.0
//
// base/quota.h - a ceiling over the memory of many holders: an allocator that says no before the
// memory is gone, and says it first to those who hold most.
//
// Up to half of the ceiling a block is given to whoever asks. Beyond that no block may be larger
// than one holder's share of that half: who takes little still gets it, who hogs does not. At the
// ceiling nobody gets any. Blocks of up to PHI_QUOTA_SMALL_BYTES are always given, so that no one
// falls silent, and do not take from the others: the memory in use is at most bytes_max, and that
// much for each holder.
//
// Whoever may soon need memory that it could not do without has it promised beforehand, and then
// takes it through `counted`. When somebody else asks, what is promised counts as taken.
//
// Life     init -> (take, resize, give through `limited` or `counted`)* -> fini
// Threads  none

#ifndef PHI_BASE_QUOTA_H
#define PHI_BASE_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/assert.h"

#define PHI_QUOTA_SMALL_BYTES 2048u

typedef struct phi_quota {
    phi_alloc limited; // counts, and refuses
    phi_alloc counted; // refuses nothing: for what its taker bounds after phi_quota_is_used_up,
                       // and for what was promised
    const phi_alloc *inner; // borrowed until fini
    size_t bytes;           // in use
    size_t bytes_large;     // of them, in blocks that are not small
    size_t bytes_max;       // of those
    size_t holders;         // set by the owner: among so many the second half is shared
    size_t promised;        // bytes in large blocks that may soon be taken
    uint64_t refusals;      // blocks that were not given; only grows
} phi_quota;

void phi_quota_init(phi_quota *quota, const phi_alloc *inner, size_t bytes_max);

// All came back: asserted. Accepts a zeroed one.
void phi_quota_fini(phi_quota *quota);

// More than a quarter is in use: from here on holders give back what they only keep for later. It
// is less than the half up to which a block is given to whoever asks; else memory that nobody uses
// could stand in the way of a large block for ever.
static inline bool phi_quota_is_tight(const phi_quota *quota)
{
    return quota->bytes_large > quota->bytes_max / 4;
}

// More than half is in use: from here on large blocks are refused.
static inline bool phi_quota_is_short(const phi_quota *quota)
{
    return quota->bytes_large > quota->bytes_max / 2;
}

static inline bool phi_quota_is_used_up(const phi_quota *quota)
{
    return quota->bytes_large >= quota->bytes_max;
}

// False when memory is short, or would be if all that is promised were taken.
static inline bool phi_quota_promise(phi_quota *quota, size_t size)
{
    size_t half = quota->bytes_max / 2;
    size_t taken = quota->bytes_large + quota->promised;
    if (size > half || taken > half - size) {
        return false;
    }
    quota->promised += size;
    return true;
}

// It is taken, or not needed.
static inline void phi_quota_release(phi_quota *quota, size_t size)
{
    PH_ASSERT(size <= quota->promised);
    quota->promised -= size;
}

// The largest block that one holder may have while memory is short.
size_t phi_quota_share(const phi_quota *quota);

#endif // PHI_BASE_QUOTA_H
