// SPDX-License-Identifier: Apache-2.0
//
// io/busy_poll.h - whether a loop that has run out of work should poll for a while before it
// sleeps.
//
// Who is awake need not be woken, which is most of what a message costs when there are few; but who
// polls for nothing burns a processor. So a loop polls only as long as that pays: the wait was over
// within `bound`. Each poll that does not pay is followed by a pause of waits that are slept
// through, and doubles the next pause; each that pays takes an eighth off it. That balances where
// about one of six does not pay (2 x (7/8)^5 = 1): who is below that polls on, and who is above is
// soon left with one try in PHI_BUSY_POLL_PAUSE_MAX. (docs/adr/0010-sleep-as-late-as-pays.md)
//
// A poll that was away for far longer than the bound gave way to somebody who had work: processors
// are scarce, and who polls there loses its turn to them. That makes the pause the longest at once.
//
// Only short waits shorten a pause: when it is long until something comes there is nothing to try,
// so an idle loop never polls. Short is what a poll might have seen the end of, had those that it
// waits for been polling, too: a wait that was slept through has the waking in it, its own and
// theirs.
//
// Life     init -> (wants, then polled | slept)*
// Threads  none; pure functions of the times that are given

#ifndef PHI_IO_BUSY_POLL_H
#define PHI_IO_BUSY_POLL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/time.h"

#define PHI_BUSY_POLL_PAUSE_MAX 1024u // waits
#define PHI_BUSY_POLL_SHORT 4u        // bounds; a wait that was slept through may be so long
#define PHI_BUSY_POLL_STARVED 10u     // bounds; a poll that took longer had no processor

typedef struct phi_busy_poll {
    phi_dur bound;   // so long it polls at most; zero: not at all
    uint32_t pause;  // short waits that are slept through before it polls again
    uint32_t doubt;  // the next pause, in sixteenths
    uint64_t paid;   // polls that did, ever
    uint64_t unpaid; // and that did not
} phi_busy_poll;

void phi_busy_poll_init(phi_busy_poll *poll, phi_dur bound);

// Whether to poll before the wait that begins.
static inline bool phi_busy_poll_wants(const phi_busy_poll *poll)
{
    return poll->pause == 0 && poll->bound.ns != 0;
}

// It did, for so long, and the wait was over or not. What was there when the wait began says
// nothing.
void phi_busy_poll_polled(phi_busy_poll *poll, phi_dur polled, bool is_over);

// It did not, and the wait took so long.
void phi_busy_poll_slept(phi_busy_poll *poll, phi_dur waited);

#endif // PHI_IO_BUSY_POLL_H
