// SPDX-License-Identifier: Apache-2.0
//
// base/timers.c - the timing wheel.
//
// A tick is a number of 6-bit digits, one per level. A timer stands on the level of the highest
// digit in which its tick differs from the current one, in the slot of that digit. So
//
// - where it stands depends on its tick and the current one only: all timers of one tick stand
//   together, in the order in which they were set, and sorting down keeps that order;
// - it has to move exactly when the current tick reaches the start of its slot, and then to a lower
//   level, or it is due: at most PHI_TIMERS_LEVELS - 1 moves in its life;
// - every slot of a level that is in use lies behind the current digit, and a lower level's slots
//   come before a higher level's: the first used slot of the lowest used level is what comes next.
//
// The top level has no level above it: a timer further away than its span stands in the slot of its
// digit all the same, possibly at or before the current one, and is put back there once per turn of
// that wheel (139 years) until it is near.

#include "base/timers.h"

#include "base/assert.h"

#define TICK_NS UINT64_C(1000000)
#define DIGIT_BITS 6u
#define TOP (PHI_TIMERS_LEVELS - 1u)
#define TICK_NONE UINT64_MAX

PH_STATIC_ASSERT(PHI_TIMERS_SLOTS == 1 << DIGIT_BITS);

static inline unsigned digit_of(uint64_t tick, unsigned level)
{
    return (unsigned)(tick >> (level * DIGIT_BITS)) & (PHI_TIMERS_SLOTS - 1u);
}

// The first tick that is not before `when`.
static inline uint64_t tick_of(phi_time when)
{
    uint64_t tick = when.ns / TICK_NS;
    return tick * TICK_NS == when.ns ? tick : tick + 1;
}

void phi_timers_init(phi_timers *timers, phi_time now)
{
    PH_ASSERT(timers != NULL);
    *timers = (phi_timers){ .tick = now.ns / TICK_NS };
    for (size_t level = 0; level < PHI_TIMERS_LEVELS; level++) {
        for (size_t slot = 0; slot < PHI_TIMERS_SLOTS; slot++) {
            phi_list_init(&timers->slots[level][slot]);
        }
    }
    phi_list_init(&timers->passed);
    phi_list_init(&timers->due);
}

// Puts a timer that is on no list where it belongs, which is returned.
static inline phi_list *place(phi_timers *timers, phi_timer *timer)
{
    uint64_t differ = timer->tick ^ timers->tick;
    PH_ASSERT(timer->tick > timers->tick);
    unsigned level = (63u - (unsigned)__builtin_clzll(differ)) / DIGIT_BITS;
    if (level > TOP) {
        level = TOP;
    }
    unsigned slot = digit_of(timer->tick, level);
    phi_list_append(&timers->slots[level][slot], &timer->node);
    timers->occupied[level] |= UINT64_C(1) << slot;
    return &timers->slots[level][slot];
}

void phi_timer_set(phi_timers *timers, phi_timer *timer, phi_time when)
{
    PH_ASSERT(timer->fire != NULL);
    phi_timer_clear(timers, timer);
    if (phi_time_is_never(when)) {
        return;
    }
    timers->count++;
    timer->tick = tick_of(when);
    if (PHI_LIKELY(timer->tick > timers->tick)) {
        timers->last_slot = place(timers, timer);
        timers->last_when = when;
        timers->last_tick = timer->tick;
    } else {
        timer->tick = timers->tick;
        phi_list_append(&timers->passed, &timer->node);
    }
}

void phi_timers_emptied(phi_timers *timers, const phi_list *list)
{
    PH_ASSERT(phi_list_is_empty(list));
    uintptr_t offset = (uintptr_t)list - (uintptr_t)timers->slots;
    if (offset < sizeof timers->slots) { // neither `passed` nor `due`
        size_t slot = offset / sizeof(phi_list);
        timers->occupied[slot / PHI_TIMERS_SLOTS] &= ~(UINT64_C(1) << (slot % PHI_TIMERS_SLOTS));
    }
    if (list == timers->last_slot) {
        timers->last_slot = NULL;
    }
}

// The slot that comes next: its level and number, and the tick at which it begins; TICK_NONE when
// the wheel is empty.
static uint64_t next_slot(const phi_timers *timers, unsigned *level_out, unsigned *slot_out)
{
    uint64_t now = timers->tick;
    for (unsigned level = 0; level < PHI_TIMERS_LEVELS; level++) {
        if (timers->occupied[level] == 0) {
            continue;
        }
        unsigned shift = level * DIGIT_BITS;
        uint64_t above = now >> shift >> DIGIT_BITS; // the digits of the higher levels
        uint64_t slots = timers->occupied[level] & (~UINT64_C(1) << digit_of(now, level));
        if (slots == 0) {
            PH_ASSERT(level == TOP); // only there does a slot at or before the current digit live
            slots = timers->occupied[level];
            above++;
        }
        unsigned slot = (unsigned)__builtin_ctzll(slots);
        *level_out = level;
        *slot_out = slot;
        return (above << DIGIT_BITS | slot) << shift;
    }
    return TICK_NONE;
}

// The current tick has reached the start of this slot: what is due goes to `due`, the rest down.
static void open_slot(phi_timers *timers, unsigned level, unsigned slot)
{
    phi_list *from = &timers->slots[level][slot];
    PH_ASSERT(!phi_list_is_empty(from));
    timers->occupied[level] &= ~(UINT64_C(1) << slot);

    // What has to stay (top level only) is appended behind the last that is there now.
    phi_list *last = from->prev;
    for (bool is_last = false; !is_last;) {
        phi_list *node = phi_list_take(from);
        is_last = node == last;
        phi_timer *timer = PHI_CONTAINER_OF(node, phi_timer, node);
        PH_ASSERT(timer->tick >= timers->tick);
        if (timer->tick == timers->tick) {
            phi_list_append(&timers->due, node);
        } else {
            (void)place(timers, timer);
        }
    }
}

void phi_timers_run(phi_timers *timers, phi_time now)
{
    PH_ASSERT(phi_list_is_empty(&timers->due)); // a callback must not run the timers
    uint64_t target = now.ns / TICK_NS;
    if (target < timers->tick) {
        target = timers->tick; // a clock that stood still; nothing can have become due
    }

    for (phi_list *node; (node = phi_list_take(&timers->passed)) != NULL;) {
        phi_list_append(&timers->due, node);
    }
    unsigned level = 0;
    unsigned slot = 0;
    if (target != timers->tick) {
        timers->last_slot = NULL; // where it stands depends on the current tick
    }
    for (uint64_t tick; (tick = next_slot(timers, &level, &slot)) <= target;) {
        PH_ASSERT(tick > timers->tick);
        timers->tick = tick;
        open_slot(timers, level, slot);
    }
    timers->tick = target;

    for (phi_list *node; (node = phi_list_take(&timers->due)) != NULL;) {
        phi_timer *timer = PHI_CONTAINER_OF(node, phi_timer, node);
        PH_ASSERT(timers->count > 0);
        timers->count--;
        timer->fire(timer, now);
    }
}

phi_time phi_timers_next(const phi_timers *timers)
{
    if (timers->count == 0) {
        return PHI_TIME_NEVER;
    }
    unsigned level = 0;
    unsigned slot = 0;
    uint64_t tick =
        phi_list_is_empty(&timers->passed) ? next_slot(timers, &level, &slot) : timers->tick;
    return tick > UINT64_MAX / TICK_NS ? PHI_TIME_NEVER : (phi_time){ tick * TICK_NS };
}
