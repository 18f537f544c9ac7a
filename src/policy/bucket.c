// SPDX-License-Identifier: Apache-2.0

#include "policy/bucket.h"

#include "base/assert.h"

#define NS_PER_SECOND UINT64_C(1000000000)

// A product of this never overflows.
PH_STATIC_ASSERT(UINT32_MAX <= (UINT64_MAX - PHI_BUCKET_RATE_MAX) / NS_PER_SECOND);

// How long the rate takes for so much, rounded up.
static phi_dur cost_of(uint64_t rate, uint32_t amount)
{
    PH_ASSERT(rate > 0);
    PH_ASSERT(rate <= PHI_BUCKET_RATE_MAX);
    return phi_ns((amount * NS_PER_SECOND + rate - 1) / rate);
}

void phi_bucket_charge(phi_bucket *bucket, uint64_t rate, uint32_t amount, phi_time now)
{
    phi_time from = phi_time_before(bucket->spent, now) ? now : bucket->spent;
    bucket->spent = phi_time_add(from, cost_of(rate, amount));
}

// One more fits when it, too, is spent within the burst from now.
phi_time phi_bucket_ready(const phi_bucket *bucket, uint64_t rate, phi_time now)
{
    phi_time spent = phi_time_add(bucket->spent, cost_of(rate, 1));
    phi_time fits = { phi_time_diff(spent, (phi_time){ PHI_BUCKET_BURST.ns }).ns };
    return phi_time_before(fits, now) ? now : fits;
}
