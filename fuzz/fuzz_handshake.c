// SPDX-License-Identifier: Apache-2.0
//
// fuzz/fuzz_handshake.c - HELLO, JOIN and WELCOME: any payload is refused, or can be written again
// and means the same; and only the decoder of its own kind takes it.

#include "fuzz/fuzz.h"

#include "tests/wire/judge.h"
#include "wire/handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    phi_bytes payload = phi_bytes_of(data, size);
    uint8_t kind = phi_handshake_peek(payload);
    static const struct {
        judge_fn *judge;
        uint8_t kind;
    } rows[] = { { judge_hello, PHI_HANDSHAKE_HELLO },
                 { judge_join, PHI_HANDSHAKE_JOIN },
                 { judge_welcome, PHI_HANDSHAKE_WELCOME } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool accepted = false;
        const char *wrong = rows[i].judge(payload, &accepted);
        fuzz_expect(wrong == NULL, wrong);
        fuzz_expect(!accepted || kind == rows[i].kind, "taken by the decoder of another kind");
    }
    return 0;
}
