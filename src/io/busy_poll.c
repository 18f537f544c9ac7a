// SPDX-License-Identifier: Apache-2.0
//
// io/busy_poll.c - see there.
//
// Invariants   DOUBT_MIN <= doubt <= DOUBT_MAX; pause <= PHI_BUSY_POLL_PAUSE_MAX

#include "io/busy_poll.h"

#include "base/assert.h"

#define DOUBT_ONE 16u // a pause of one wait
#define DOUBT_MIN DOUBT_ONE
#define DOUBT_MAX (PHI_BUSY_POLL_PAUSE_MAX * DOUBT_ONE)

void phi_busy_poll_init(phi_busy_poll *poll, phi_dur bound)
{
    *poll = (phi_busy_poll){ .bound = bound, .doubt = DOUBT_MIN };
}

void phi_busy_poll_polled(phi_busy_poll *poll, phi_dur polled, bool is_over)
{
    PH_ASSERT(phi_busy_poll_wants(poll));
    PH_ASSERT(poll->doubt >= DOUBT_MIN);
    PH_ASSERT(poll->doubt <= DOUBT_MAX);
    if (polled.ns > poll->bound.ns * PHI_BUSY_POLL_STARVED) {
        poll->doubt = DOUBT_MAX;
    }
    if (is_over && polled.ns <= poll->bound.ns) {
        poll->paid++;
        uint32_t less = poll->doubt - poll->doubt / 8;
        poll->doubt = less > DOUBT_MIN ? less : DOUBT_MIN;
    } else {
        poll->unpaid++;
        poll->pause = poll->doubt / DOUBT_ONE;
        uint32_t more = poll->doubt * 2;
        poll->doubt = more < DOUBT_MAX ? more : DOUBT_MAX;
    }
}

void phi_busy_poll_slept(phi_busy_poll *poll, phi_dur waited)
{
    PH_ASSERT(poll->pause != 0);
    if (waited.ns <= poll->bound.ns * PHI_BUSY_POLL_SHORT) {
        poll->pause--;
    }
}
