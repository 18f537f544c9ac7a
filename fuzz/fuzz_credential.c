// SPDX-License-Identifier: Apache-2.0
//
// fuzz/fuzz_credential.c - credentials, and the answers to them.
//
// Input    which u8 | payload: 0 a credential, else an answer
// Oracle   refused, or written again with the same meaning; a token is never empty, nor too long

#include "fuzz/fuzz.h"

#include "tests/wire/judge.h"
#include "wire/credential.h"
#include "wire/handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    bool accepted = false;
    phi_bytes payload = phi_bytes_of(data + 1, size - 1);
    phi_credential credential;
    if (data[0] != 0) {
        const char *wrong = judge_credential_answer(payload, &accepted);
        fuzz_expect(wrong == NULL, wrong);
        return 0;
    }
    const char *wrong = judge_credential(payload, &accepted);
    fuzz_expect(wrong == NULL, wrong);
    if (accepted && phi_credential_decode(payload, &credential) == PH_OK) {
        fuzz_expect(credential.token.size != 0, "an empty token");
        fuzz_expect(credential.token.size <= PHI_JOIN_TOKEN_BYTES_MAX, "a token that is too long");
    }
    return 0;
}
