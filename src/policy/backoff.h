// SPDX-License-Identifier: Apache-2.0
//
// policy/backoff.h - how long to wait before trying again: exponential, with full jitter.
//
// Each wait is drawn evenly from 0 to a bound that doubles from `min` to `max`. After a center
// died, thousands of clients come back; drawing from the whole range instead of from a band near
// its end spreads them best (M. Brooker, "Exponential Backoff And Jitter", 2015).
//
// Life     init -> (next* -> reset)*
// Threads  none

#ifndef PHI_POLICY_BACKOFF_H
#define PHI_POLICY_BACKOFF_H

#include "base/random.h"
#include "base/time.h"

typedef struct phi_backoff {
    phi_dur min;
    phi_dur max;
    phi_dur bound; // of the next wait
} phi_backoff;

// 0 < min <= max.
void phi_backoff_init(phi_backoff *backoff, phi_dur min, phi_dur max);

// It worked: the next failure begins with `min` again.
void phi_backoff_reset(phi_backoff *backoff);

// It failed: how long to wait. `retry_after` is what the other end asked for (zero: nothing); the
// wait is never shorter. The drawn time comes on top of it, because all who were refused at once
// were told the same.
phi_dur phi_backoff_next(phi_backoff *backoff, phi_random *random, phi_dur retry_after);

#endif // PHI_POLICY_BACKOFF_H
