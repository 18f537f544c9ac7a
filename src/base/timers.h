// SPDX-License-Identifier: Apache-2.0
//
// base/timers.h - many deadlines, cheap to set and to clear: a hierarchical timing wheel (Varghese
// and Lauck, 1987).
//
// One call deadline is set and cleared per call, a million times a second; so both are O(1) and
// touch two list nodes. The calls of a turn mostly have the same deadline, so where the last timer
// was put is remembered. A tick is one millisecond; a timer fires at the first tick that is not
// before its time: never early, at most 1 ms late. Timers fire by tick, those of the same tick in
// the order in which they were set, so that a simulated run repeats; a time that has passed when it
// is set counts as the current tick.
//
// Threads  none: one per loop

#ifndef PHI_BASE_TIMERS_H
#define PHI_BASE_TIMERS_H

#include "base/assert.h"
#include "base/list.h"
#include "base/time.h"

typedef struct phi_timer phi_timer;
typedef void phi_timer_fn(phi_timer *timer, phi_time now);

// Embedded in what waits; PHI_CONTAINER_OF leads back. Zeroed means not set.
struct phi_timer {
    phi_list node; // on a slot of the wheel while set
    uint64_t tick; // when it fires
    phi_timer_fn *fire;
};

#define PHI_TIMERS_LEVELS 7
#define PHI_TIMERS_SLOTS 64

typedef struct phi_timers {
    uint64_t tick; // all timers up to this tick have fired
    size_t count;
    uint64_t occupied[PHI_TIMERS_LEVELS]; // bit n: slot n of that level is not empty
    phi_list slots[PHI_TIMERS_LEVELS][PHI_TIMERS_SLOTS];
    phi_list passed; // set for a time that had passed: due at the next run, before all others
    phi_list due;    // collected first, fired second: a callback cannot disturb the scan
    // Where the timer that was placed last went. It is not empty, and a timer for the same time
    // belongs there; NULL: not known any more.
    phi_list *last_slot;
    phi_time last_when;
    uint64_t last_tick;
} phi_timers;

void phi_timers_init(phi_timers *timers, phi_time now);

static inline void phi_timer_init(phi_timer *timer, phi_timer_fn *fire)
{
    timer->node.next = NULL;
    timer->node.prev = NULL;
    timer->tick = 0;
    timer->fire = fire;
}

static inline bool phi_timer_is_set(const phi_timer *timer)
{
    return timer->node.next != NULL;
}

// Sets or moves it. PHI_TIME_NEVER clears it. A time that has passed fires at the next
// phi_timers_run.
void phi_timer_set(phi_timers *timers, phi_timer *timer, phi_time when);

// The same for a timer that is not set, and fast for the time for which one was set last.
static inline void phi_timer_start(phi_timers *timers, phi_timer *timer, phi_time when)
{
    PH_ASSERT(!phi_timer_is_set(timer));
    if (PHI_LIKELY(timers->last_slot != NULL && timers->last_when.ns == when.ns)) {
        PH_ASSERT(timer->fire != NULL);
        timer->tick = timers->last_tick;
        timers->count++;
        phi_list_append(timers->last_slot, &timer->node);
        return;
    }
    phi_timer_set(timers, timer, when);
}

// Slow path of phi_timer_clear: `list` has become empty. Do not call.
void phi_timers_emptied(phi_timers *timers, const phi_list *list);

// Nothing when it is not set. Safe from inside any timer's callback, for any timer.
static inline void phi_timer_clear(phi_timers *timers, phi_timer *timer)
{
    if (phi_timer_is_set(timer)) {
        PH_ASSERT(timers->count > 0);
        timers->count--;
        phi_list *next = timer->node.next;
        bool is_last = next == timer->node.prev; // then both are the head of the list
        phi_list_remove(&timer->node);
        if (PHI_UNLIKELY(is_last)) {
            phi_timers_emptied(timers, next);
        }
    }
}

// Fires everything due at `now`, in order. Callbacks may set and clear any timer; one set in a
// callback for a time not after `now` fires at the next run, so that this one ends.
void phi_timers_run(phi_timers *timers, phi_time now);

// A time at which phi_timers_run has something to do, or has to sort: not later than the first
// timer. PHI_TIME_NEVER when none is set.
phi_time phi_timers_next(const phi_timers *timers);

#endif // PHI_BASE_TIMERS_H
