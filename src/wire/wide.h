// SPDX-License-Identifier: Apache-2.0
//
// wire/wide.h - feature header: 16 bytes at a time, for the loops of this folder that touch every
// byte. The compiler's own vectors: SSE2, NEON, or plain integers where there is neither.
//
// A function marked PHI_WIDE_CODE is compiled for AVX, whose instructions load and combine in one,
// and runs only where phi_wide_is_here().

#ifndef PHI_WIRE_WIDE_H
#define PHI_WIRE_WIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"

typedef uint64_t phi_wide __attribute__((vector_size(16)));
typedef uint16_t phi_wide_words __attribute__((vector_size(16))); // the same bytes

// From and to any address: the wire is not aligned.
static PHI_ALWAYS_INLINE phi_wide phi_wide_load(const uint8_t *p)
{
    phi_wide v;
    memcpy(&v, p, sizeof v);
    return v;
}

static PHI_ALWAYS_INLINE void phi_wide_store(uint8_t *p, phi_wide v)
{
    memcpy(p, &v, sizeof v);
}

#if defined(__x86_64__)

#include <immintrin.h>

#define PHI_WIDE_CODE __attribute__((target("avx")))

static inline bool phi_wide_is_here(void)
{
    return __builtin_cpu_supports("avx") != 0;
}

// The `size` bytes before `end`, less than 16, and zeros behind them. 16 bytes before `end` can be
// read.
static inline PHI_WIDE_CODE phi_wide phi_wide_load_tail(const uint8_t *end, size_t size)
{
    // From where each byte comes; those with the highest bit are zero.
    static const uint8_t from[32] = { 0,    1,    2,    3,    4,    5,    6,    7,
                                      8,    9,    10,   11,   12,   13,   14,   15,
                                      0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
                                      0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80 };
    return (phi_wide)_mm_shuffle_epi8((__m128i)phi_wide_load(end - 16),
                                      (__m128i)phi_wide_load(from + 16 - size));
}

// The upper halves of the products of words.
static PHI_ALWAYS_INLINE phi_wide_words phi_wide_high_products(phi_wide_words a, phi_wide_words b)
{
    return (phi_wide_words)_mm_mulhi_epu16((__m128i)a, (__m128i)b);
}

#else

#define PHI_WIDE_CODE

static inline bool phi_wide_is_here(void)
{
    return false;
}

static inline phi_wide phi_wide_load_tail(const uint8_t *end, size_t size)
{
    (void)size;
    return phi_wide_load(end - 16); // never called
}

static PHI_ALWAYS_INLINE phi_wide_words phi_wide_high_products(phi_wide_words a, phi_wide_words b)
{
    phi_wide_words high = a;
    for (size_t i = 0; i < sizeof a / sizeof a[0]; i++) {
        high[i] = (uint16_t)((uint32_t)a[i] * b[i] >> 16);
    }
    return high;
}

#endif

#endif // PHI_WIRE_WIDE_H
