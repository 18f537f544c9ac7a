// SPDX-License-Identifier: Apache-2.0
//
// fuzz/fuzz_topics.c - subscribing, taking back, leaving and matching in any order, beside a plain
// array that does the same; memory may fail anywhere.

#include "fuzz/fuzz.h"

#include "tests/center/topics_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *wrong = topics_model_judge(phi_bytes_of(data, size));
    fuzz_expect(wrong == NULL, wrong);
    return 0;
}
