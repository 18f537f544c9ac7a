// SPDX-License-Identifier: Apache-2.0
//
// app/histogram.c - many durations in little memory.

#include "app/histogram.h"

#include "base/assert.h"

static size_t bucket_of(uint64_t value);
static uint64_t highest_in(size_t bucket);

void histogram_add(histogram *h, uint64_t value)
{
    h->counts[bucket_of(value)]++;
    h->min = h->total == 0 || value < h->min ? value : h->min;
    h->max = value > h->max ? value : h->max;
    h->total++;
}

uint64_t histogram_percentile(const histogram *h, double percent)
{
    PH_ASSERT(percent >= 0);
    PH_ASSERT(percent <= 100);
    if (h->total == 0 || percent == 0) {
        return h->min;
    }
    uint64_t rank = (uint64_t)(percent / 100 * (double)h->total + 0.999999);
    rank = rank == 0 ? 1 : rank;
    uint64_t seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->counts[i];
        if (seen >= rank) {
            uint64_t value = highest_in(i);
            return value > h->max ? h->max : value < h->min ? h->min : value;
        }
    }
    return h->max;
}

// Values below 2^BITS have a bucket each; above, each doubling has 2^BITS.
static size_t bucket_of(uint64_t value)
{
    const uint64_t linear = UINT64_C(1) << HISTOGRAM_BITS;
    if (value < linear) {
        return (size_t)value;
    }
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_BITS;
    size_t bucket = ((size_t)(shift + 1) << HISTOGRAM_BITS) + (size_t)((value >> shift) - linear);
    PH_ASSERT(bucket < HISTOGRAM_BUCKETS);
    return bucket;
}

static uint64_t highest_in(size_t bucket)
{
    const uint64_t linear = UINT64_C(1) << HISTOGRAM_BITS;
    if (bucket < linear) {
        return bucket;
    }
    unsigned shift = (unsigned)(bucket >> HISTOGRAM_BITS) - 1;
    uint64_t base = (bucket & (linear - 1)) + linear;
    return (base << shift) + ((UINT64_C(1) << shift) - 1);
}
