// SPDX-License-Identifier: Apache-2.0
//
// fuzz/fuzz_message.c - messages, their headers and failure bodies: refused, or written again byte
// for byte. The addresses in one that was taken are parsed.

#include "fuzz/fuzz.h"

#include "tests/wire/judge.h"
#include "wire/message.h"
#include "wire/name.h"

static void parse(phi_bytes text)
{
    phi_address a = phi_address_parse(text);
    if (a.form == PHI_ADDRESS_ACCOUNT) {
        fuzz_expect(phi_name_is_valid(a.name), "an account that is no name");
        size_t domain = a.domain.size == 0 ? 0 : a.domain.size + 1;
        fuzz_expect(a.name.size + domain == text.size, "an address is more than its parts");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool accepted = false;
    phi_message m;
    phi_bytes payload = phi_bytes_of(data, size);
    const char *wrong = judge_message(payload, &accepted);
    fuzz_expect(wrong == NULL, wrong);
    if (accepted && phi_message_decode(payload, &m) == PH_OK) {
        parse(m.to);
        parse(m.from);
    }
    return 0;
}
