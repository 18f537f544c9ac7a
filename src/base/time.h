// SPDX-License-Identifier: Apache-2.0
//
// base/time.h - points in time and lengths of time, as types that do not mix.
//
// A phi_time counts nanoseconds of a monotonic clock whose zero means nothing. It is read once per
// loop turn (io->now) and passed down; nothing below the shell reads a clock.

#ifndef PHI_BASE_TIME_H
#define PHI_BASE_TIME_H

#include <stdbool.h>
#include <stdint.h>

typedef struct phi_time {
    uint64_t ns;
} phi_time;

typedef struct phi_dur {
    uint64_t ns;
} phi_dur;

// Later than everything: "not waiting for anything".
#define PHI_TIME_NEVER ((phi_time){ UINT64_MAX })

static inline phi_dur phi_ns(uint64_t n)
{
    return (phi_dur){ n };
}
static inline phi_dur phi_us(uint64_t n)
{
    return (phi_dur){ n * 1000u };
}
static inline phi_dur phi_ms(uint64_t n)
{
    return (phi_dur){ n * 1000000u };
}
static inline phi_dur phi_seconds(uint64_t n)
{
    return (phi_dur){ n * 1000000000u };
}

static inline uint64_t phi_dur_us(phi_dur d)
{
    return d.ns / 1000u;
}
static inline uint64_t phi_dur_ms(phi_dur d)
{
    return d.ns / 1000000u;
}

// Saturates at PHI_TIME_NEVER.
static inline phi_time phi_time_add(phi_time t, phi_dur d)
{
    return (phi_time){ t.ns > UINT64_MAX - d.ns ? UINT64_MAX : t.ns + d.ns };
}

// later - earlier; zero when `later` is not later.
static inline phi_dur phi_time_diff(phi_time later, phi_time earlier)
{
    return (phi_dur){ later.ns > earlier.ns ? later.ns - earlier.ns : 0 };
}

static inline bool phi_time_before(phi_time a, phi_time b)
{
    return a.ns < b.ns;
}
static inline bool phi_time_is_never(phi_time t)
{
    return t.ns == UINT64_MAX;
}
static inline phi_time phi_time_min(phi_time a, phi_time b)
{
    return a.ns < b.ns ? a : b;
}

#endif // PHI_BASE_TIME_H
