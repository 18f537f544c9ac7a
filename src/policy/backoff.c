// SPDX-License-Identifier: Apache-2.0
//
// policy/backoff.c - see backoff.h.

#include "policy/backoff.h"

#include <stddef.h>

#include "base/assert.h"

void phi_backoff_init(phi_backoff *backoff, phi_dur min, phi_dur max)
{
    PH_ASSERT(backoff != NULL);
    PH_ASSERT(min.ns > 0);
    PH_ASSERT(min.ns <= max.ns);
    *backoff = (phi_backoff){ .min = min, .max = max, .bound = min };
}

void phi_backoff_reset(phi_backoff *backoff)
{
    backoff->bound = backoff->min;
}

phi_dur phi_backoff_next(phi_backoff *backoff, phi_random *random, phi_dur retry_after)
{
    PH_ASSERT(random != NULL);
    PH_ASSERT(backoff->bound.ns >= backoff->min.ns);
    PH_ASSERT(backoff->bound.ns <= backoff->max.ns);

    uint64_t drawn = phi_random_between(random, 0, backoff->bound.ns);
    bool is_last = backoff->bound.ns > backoff->max.ns / 2;
    backoff->bound.ns = is_last ? backoff->max.ns : backoff->bound.ns * 2;
    return phi_ns(retry_after.ns > UINT64_MAX - drawn ? UINT64_MAX : retry_after.ns + drawn);
}
