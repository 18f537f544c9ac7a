// SPDX-License-Identifier: Apache-2.0
//
// base/compiler.h - the few things that differ between compilers, and nothing else.

#ifndef PHI_BASE_COMPILER_H
#define PHI_BASE_COMPILER_H

#define PHI_LIKELY(x) __builtin_expect(!!(x), 1)
#define PHI_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define PHI_NORETURN __attribute__((noreturn))
#define PHI_COLD __attribute__((cold, noinline))
#define PHI_PRINTF(fmt_index, args_index) __attribute__((format(printf, fmt_index, args_index)))
#define PHI_MUST_CHECK __attribute__((warn_unused_result))

// The object that holds `member` at `ptr`.
#define PHI_CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define PHI_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif // PHI_BASE_COMPILER_H
