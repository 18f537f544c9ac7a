// SPDX-License-Identifier: Apache-2.0
//
// fuzz/fuzz_online_list.c - presence: pages, status packets, asks and the details of entries.
//
// Input    family u8 (modulo 4) | payload

#include "fuzz/fuzz.h"

#include "tests/wire/judge.h"
#include "wire/presence.h"

// What may be an entry's fields: counted by reading them as their owner would.
static void details(phi_bytes fields)
{
    phi_entry_detail detail;
    if (phi_entry_detail_decode(fields, &detail) != PH_OK) {
        return;
    }
    size_t found = 0;
    phi_reader r = phi_reader_of(fields);
    phi_field field;
    phi_metadata metadata;
    while (phi_field_next(&r, &field)) {
        if (field.tag == PHI_ENTRY_METADATA) {
            fuzz_expect(phi_metadata_decode(field.value, &metadata), "metadata taken and refused");
            found++;
        }
    }
    fuzz_expect(found == detail.metadata_count, "metadata counted wrongly");
    fuzz_expect(found <= PHI_METADATA_COUNT_MAX, "too much metadata");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static judge_fn *const judges[] = { judge_page, judge_status, judge_ask };
    if (size == 0) {
        return 0;
    }
    phi_bytes payload = phi_bytes_of(data + 1, size - 1);
    if (data[0] % 4 == 3) {
        details(payload);
        return 0;
    }
    bool accepted = false;
    const char *wrong = judges[data[0] % 4](payload, &accepted);
    fuzz_expect(wrong == NULL, wrong);
    return 0;
}
