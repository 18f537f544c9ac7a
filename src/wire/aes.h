// SPDX-License-Identifier: Apache-2.0
//
// wire/aes.h - feature header: the processor's AES instructions, where it has any.
//
// Only these few operations differ between processors; wire/key_stream.c is written over them. For
// an architecture without a part of its own here there is the last one, which says that it has
// none: its operations keep the callers compiling and are never reached.
//
// A function that uses them is marked PHI_AES_CODE, and runs only where phi_aes_is_here(). The same
// for four states side by side: PHI_AES_QUAD_CODE, phi_aes_quad_is_here().

#ifndef PHI_WIRE_AES_H
#define PHI_WIRE_AES_H

#include <stdbool.h>

#include "base/assert.h"
#include "wire/wide.h"

#define PHI_AES_QUAD_LANES 4u

typedef uint64_t phi_aes_quad __attribute__((vector_size(64)));

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

#define PHI_AES_QUAD_CODE __attribute__((target("aes,vaes,avx512f")))

// Clang cannot be asked for VAES. Every processor that has the one has the other; both came
// together.
#ifdef __clang__
#define PHI_AES_QUAD_FEATURE "vpclmulqdq"
#else
#define PHI_AES_QUAD_FEATURE "vaes"
#endif

static inline bool phi_aes_quad_is_here(void)
{
    return __builtin_cpu_supports(PHI_AES_QUAD_FEATURE) != 0 &&
           __builtin_cpu_supports("avx512f") != 0 && phi_aes_is_here();
}

static PHI_ALWAYS_INLINE PHI_AES_QUAD_CODE phi_aes_quad phi_aes_quad_round(phi_aes_quad state,
                                                                           phi_aes_quad key)
{
    return (phi_aes_quad)_mm512_aesenc_epi128((__m512i)state, (__m512i)key);
}

static PHI_ALWAYS_INLINE PHI_AES_QUAD_CODE phi_aes_quad phi_aes_quad_last(phi_aes_quad state,
                                                                          phi_aes_quad key)
{
    return (phi_aes_quad)_mm512_aesenclast_epi128((__m512i)state, (__m512i)key);
}

#else

#define PHI_AES_CODE
#define PHI_AES_QUAD_CODE

static inline bool phi_aes_quad_is_here(void)
{
    return false;
}

static PHI_ALWAYS_INLINE phi_aes_quad phi_aes_quad_round(phi_aes_quad state, phi_aes_quad key)
{
    (void)state;
    (void)key;
    PH_UNREACHABLE("no AES instructions");
}

static PHI_ALWAYS_INLINE phi_aes_quad phi_aes_quad_last(phi_aes_quad state, phi_aes_quad key)
{
    (void)state;
    (void)key;
    PH_UNREACHABLE("no AES instructions");
}

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
