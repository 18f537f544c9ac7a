// SPDX-License-Identifier: Apache-2.0
//
// policy/bucket.h - how much somebody may do: a rate, with a burst of what a second is good for.
//
// It is charged after the fact, with whatever came. One that has used more than its burst is in
// debt, and has to wait until the rate has paid for that; so in the long run nobody gets more than
// the rate, however much comes at once. (The virtual scheduling of ITU-T I.371: all that is kept
// is the time until which the rate is spent.)
//
// A charge is rounded up to whole nanoseconds: n charges let through what is right, or up to n
// nanoseconds later, and never more.
//
// Life     zeroed -> (charge, ready)*
// Limits   rates up to PHI_BUCKET_RATE_MAX
// Threads  none

#ifndef PHI_POLICY_BUCKET_H
#define PHI_POLICY_BUCKET_H

#include "base/time.h"

// A second's worth of a rate is the burst.
#define PHI_BUCKET_BURST phi_seconds(1)
#define PHI_BUCKET_RATE_MAX UINT64_C(1000000000000)

typedef struct phi_bucket {
    phi_time spent; // until then the rate is spent; before now: it is full
} phi_bucket;

// So much was done. `rate` is per second, more than 0.
void phi_bucket_charge(phi_bucket *bucket, uint64_t rate, uint32_t amount, phi_time now);

// When one more may be done: `now`, or later.
phi_time phi_bucket_ready(const phi_bucket *bucket, uint64_t rate, phi_time now);

// Nothing is owed: it is as good as a new one.
static inline bool phi_bucket_is_full(const phi_bucket *bucket, phi_time now)
{
    return !phi_time_before(now, bucket->spent);
}

#endif // PHI_POLICY_BUCKET_H
