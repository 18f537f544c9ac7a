// SPDX-License-Identifier: Apache-2.0
//
// base/assert.h - assertions. They stay on in release; input from peers, files or users never
// reaches one.

#ifndef PHI_BASE_ASSERT_H
#define PHI_BASE_ASSERT_H

#include "base/compiler.h"

// Prints where and what, the note set by phi_assert_note, and aborts.
PHI_NORETURN PHI_COLD void phi_assert_fail(const char *file, int line, const char *what);

// A line that explains a crash (a seed, a session): printed with every failed assertion after it.
// `text` is borrowed until the next call; NULL clears it.
void phi_assert_note(const char *text);

#define PH_ASSERT(x)                                                                               \
    do {                                                                                           \
        if (PHI_UNLIKELY(!(x))) {                                                                  \
            phi_assert_fail(__FILE__, __LINE__, #x);                                               \
        }                                                                                          \
    } while (0)

#define PH_UNREACHABLE(why) phi_assert_fail(__FILE__, __LINE__, why)

#define PH_STATIC_ASSERT(x) _Static_assert(x, #x)

// Walks a structure: on in debug, sanitizer, simulator and fuzz builds (PHI_SLOW_ASSERTS=1), off in
// release.
#if PHI_SLOW_ASSERTS
#define PH_ASSERT_SLOW(x) PH_ASSERT(x)
#else
#define PH_ASSERT_SLOW(x)                                                                          \
    do {                                                                                           \
        (void)sizeof(x);                                                                           \
    } while (0)
#endif

#endif // PHI_BASE_ASSERT_H
