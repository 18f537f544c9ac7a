// SPDX-License-Identifier: Apache-2.0
//
// base/random.h - numbers that need to be spread, not secret: jitter, simulation, tests. Seeded;
// the same seed gives the same numbers. Secrets come from io's entropy.

#ifndef PHI_BASE_RANDOM_H
#define PHI_BASE_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

// splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
typedef struct phi_random {
    uint64_t state;
} phi_random;

static inline phi_random phi_random_seeded(uint64_t seed)
{
    return (phi_random){ seed };
}

static inline uint64_t phi_random_next(phi_random *r)
{
    uint64_t z = (r->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

// 0 .. bound-1; 0 for bound 0. Large bounds favour small numbers by bound / 2^64: nobody notices.
static inline uint64_t phi_random_below(phi_random *r, uint64_t bound)
{
    return bound == 0 ? 0 : phi_random_next(r) % bound;
}

// low .. high, both included.
static inline uint64_t phi_random_between(phi_random *r, uint64_t low, uint64_t high)
{
    uint64_t span = high - low;
    return low + (span == UINT64_MAX ? phi_random_next(r) : phi_random_below(r, span + 1));
}

// True `percent` times in a hundred.
static inline bool phi_random_chance(phi_random *r, uint32_t percent)
{
    return phi_random_below(r, 100) < percent;
}

// A generator of its own, so that one node's numbers do not depend on how many another took.
static inline phi_random phi_random_split(phi_random *r)
{
    return (phi_random){ phi_random_next(r) };
}

#endif // PHI_BASE_RANDOM_H
