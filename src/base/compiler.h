// SPDX-License-Identifier: Apache-2.0
//
// base/compiler.h - the few things that differ between compilers, and nothing else.

#ifndef PHI_BASE_COMPILER_H
#define PHI_BASE_COMPILER_H

#define PHI_LIKELY(x) __builtin_expect(!!(x), 1)
#define PHI_UNLIKELY(x) __builtin_expect(!!(x), 0)
// To be read. A function that does only this is to be PHI_ALWAYS_INLINE: gcc drops calls that have
// no effect, and takes this for none.
#define PHI_PREFETCH(address) __builtin_prefetch(address)
// To be written, which takes it from the processors that have it. What compilers make of their own
// way to say so is to be read, unless told that all processors have this; those that lack it pass
// over it.
#ifdef __x86_64__
#define PHI_PREFETCH_TO_WRITE(address)                                                             \
    __asm__ volatile("prefetchw %0" : : "m"(*(const unsigned char *)(address)))
#else
#define PHI_PREFETCH_TO_WRITE(address) __builtin_prefetch((address), 1)
#endif
#define PHI_NORETURN __attribute__((noreturn))
#define PHI_COLD __attribute__((cold, noinline))
#define PHI_PRINTF(fmt_index, args_index) __attribute__((format(printf, fmt_index, args_index)))
#define PHI_ALWAYS_INLINE inline __attribute__((always_inline))
// A way off the common one: it keeps its registers and its stack to itself.
#define PHI_NOINLINE __attribute__((noinline))
#define PHI_MUST_CHECK __attribute__((warn_unused_result))

// Before a short loop of constant length whose variables are to stay in registers.
#ifdef __clang__
#define PHI_UNROLL _Pragma("clang loop unroll(full)")
#else
#define PHI_UNROLL _Pragma("GCC unroll 16")
#endif

// The object that holds `member` at `ptr`.
#define PHI_CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define PHI_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

// Between this machine's byte order and a named one, either way.
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define PHI_BIG_U32(x) __builtin_bswap32(x)
#define PHI_BIG_U64(x) __builtin_bswap64(x)
#define PHI_LITTLE_U64(x) (x)
#else
#define PHI_BIG_U32(x) (x)
#define PHI_BIG_U64(x) (x)
#define PHI_LITTLE_U64(x) __builtin_bswap64(x)
#endif

#endif // PHI_BASE_COMPILER_H
