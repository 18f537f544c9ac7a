// SPDX-License-Identifier: Apache-2.0
//
// wire/aes.h - feature header: the processor's AES instructions, where it has any.
//
// Only these few operations differ between processors; wire/key_stream.c is written over them. For
// an architecture without a part of its own here there is the last one, which says that it has
// none: its operations keep the callers compiling and are never reached.
//
// A function that uses them is marked PHI_AES_CODE, and runs only where phi_aes_is_here().

#ifndef PHI_WIRE_AES_H
#define PHI_WIRE_AES_H

#include <stdbool.h>

#include "base/assert.h"
#include "wire/wide.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define PHI_AES_CODE __attribute__((target("aes")))

static inline bool phi_aes_is_here(void)
{
    return __builtin_cpu_supports("aes") != 0;
}

// One round of the cipher, and the last: SubBytes, ShiftRows, (but in the last) MixColumns,
// AddRoundKey.
static inline PHI_AES_CODE phi_wide phi_aes_round(phi_wide state, phi_wide key)
{
    return (phi_wide)_mm_aesenc_si128((__m128i)state, (__m128i)key);
}

static inline PHI_AES_CODE phi_wide phi_aes_last(phi_wide state, phi_wide key)
{
    return (phi_wide)_mm_aesenclast_si128((__m128i)state, (__m128i)key);
}

#else

#define PHI_AES_CODE

static inline bool phi_aes_is_here(void)
{
    return false;
}

static inline phi_wide phi_aes_round(phi_wide state, phi_wide key)
{
    (void)state;
    (void)key;
    PH_UNREACHABLE("no AES instructions");
}

static inline phi_wide phi_aes_last(phi_wide state, phi_wide key)
{
    (void)state;
    (void)key;
    PH_UNREACHABLE("no AES instructions");
}

#endif

#endif // PHI_WIRE_AES_H
