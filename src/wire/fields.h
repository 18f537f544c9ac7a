// SPDX-License-Identifier: Apache-2.0
//
// wire/fields.h - `tag u8 | length u16 | value` sequences: docs/protocol.md P-26.

#ifndef PHI_WIRE_FIELDS_H
#define PHI_WIRE_FIELDS_H

#include "base/bytes.h"

typedef struct phi_field {
    uint8_t tag;
    phi_bytes value; // view into the payload
} phi_field;

// False at the end, and when a field does not end inside (then r->failed).
bool phi_field_next(phi_reader *r, phi_field *field);

// Notes that `tag` (below 64) was seen; false when it was before.
static inline bool phi_field_once(uint64_t *seen, uint8_t tag)
{
    if (tag >= 64 || (*seen >> tag & 1) != 0) {
        return false;
    }
    *seen |= UINT64_C(1) << tag;
    return true;
}

// True when the value has just this size, and then *out is it.
bool phi_field_u8(const phi_field *field, uint8_t *out);
bool phi_field_u16(const phi_field *field, uint16_t *out);
bool phi_field_u32(const phi_field *field, uint32_t *out);
bool phi_field_u64(const phi_field *field, uint64_t *out);

void phi_write_field(phi_writer *w, uint8_t tag, phi_bytes value);
void phi_write_field_u8(phi_writer *w, uint8_t tag, uint8_t value);
void phi_write_field_u16(phi_writer *w, uint8_t tag, uint16_t value);
void phi_write_field_u32(phi_writer *w, uint8_t tag, uint32_t value);
void phi_write_field_u64(phi_writer *w, uint8_t tag, uint64_t value);

#endif // PHI_WIRE_FIELDS_H
