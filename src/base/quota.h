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
// Life     init -> (take, resize, give through `limited` or `counted`)* -> fini
// Threads  none

#ifndef PHI_BASE_QUOTA_H
#define PHI_BASE_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"

#define PHI_QUOTA_SMALL_BYTES 2048u

typedef struct phi_quota {
    phi_alloc limited; // counts, and refuses
    phi_alloc counted; // counts only: for what its taker bounds, having asked phi_quota_is_used_up
    const phi_alloc *inner; // borrowed until fini
    size_t bytes;           // in use
    size_t bytes_large;     // of them, in blocks that are not small
    size_t bytes_max;       // of those
    size_t holders;         // set by the owner: among so many the second half is shared
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

// The largest block that one holder may have while memory is short.
size_t phi_quota_share(const phi_quota *quota);

#endif // PHI_BASE_QUOTA_H
