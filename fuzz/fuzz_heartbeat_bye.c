// SPDX-License-Identifier: Apache-2.0
//
// fuzz/fuzz_heartbeat_bye.c - the two small families, from the same bytes.

#include "fuzz/fuzz.h"

#include "tests/wire/judge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool accepted = false;
    phi_bytes payload = phi_bytes_of(data, size);
    const char *wrong = judge_heartbeat(payload, &accepted);
    fuzz_expect(wrong == NULL, wrong);
    wrong = judge_bye(payload, &accepted);
    fuzz_expect(wrong == NULL, wrong);
    return 0;
}
