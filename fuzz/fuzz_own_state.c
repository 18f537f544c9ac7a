// SPDX-License-Identifier: Apache-2.0
//
// fuzz/fuzz_own_state.c - own state and stream control, from the same bytes: refused, or written
// again with the same meaning.

#include "fuzz/fuzz.h"

#include "tests/wire/judge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool accepted = false;
    phi_bytes payload = phi_bytes_of(data, size);
    const char *wrong = judge_own_state(payload, &accepted);
    fuzz_expect(wrong == NULL, wrong);
    wrong = judge_stream(payload, &accepted);
    fuzz_expect(wrong == NULL, wrong);
    return 0;
}
