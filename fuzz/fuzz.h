// SPDX-License-Identifier: Apache-2.0
//
// fuzz/fuzz.h - what every fuzzer begins with: the entry point, and a way to fail with a sentence.

#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// A property does not hold.
static inline void fuzz_fail(const char *what)
{
    fprintf(stderr, "fuzz: %s\n", what);
    abort();
}

static inline void fuzz_expect(int holds, const char *what)
{
    if (!holds) {
        fuzz_fail(what);
    }
}

#endif // FUZZ_FUZZ_H
