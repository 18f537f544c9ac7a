// SPDX-License-Identifier: Apache-2.0
//
// wire/fields.c - reading and writing of tagged fields.
//
// Clauses: P-26.

#include "wire/fields.h"

#include "base/assert.h"

bool phi_field_next(phi_reader *r, phi_field *field)
{
    if (r->failed || phi_reader_left(r) == 0) {
        return false;
    }
    uint8_t tag = phi_read_u8(r);
    uint16_t size = phi_read_u16(r);
    phi_bytes value = phi_read_bytes(r, size);
    if (r->failed) {
        return false;
    }
    field->tag = tag;
    field->value = value;
    return true;
}

bool phi_field_u8(const phi_field *field, uint8_t *out)
{
    if (field->value.size != 1) {
        return false;
    }
    *out = field->value.data[0];
    return true;
}

bool phi_field_u16(const phi_field *field, uint16_t *out)
{
    if (field->value.size != 2) {
        return false;
    }
    *out = phi_get_u16(field->value.data);
    return true;
}

bool phi_field_u32(const phi_field *field, uint32_t *out)
{
    if (field->value.size != 4) {
        return false;
    }
    *out = phi_get_u32(field->value.data);
    return true;
}

bool phi_field_u64(const phi_field *field, uint64_t *out)
{
    if (field->value.size != 8) {
        return false;
    }
    *out = phi_get_u64(field->value.data);
    return true;
}

void phi_write_field(phi_writer *w, uint8_t tag, phi_bytes value)
{
    PH_ASSERT(tag != 0);
    if (value.size > UINT16_MAX) {
        w->failed = true;
        return;
    }
    phi_write_u8(w, tag);
    phi_write_u16(w, (uint16_t)value.size);
    phi_write_bytes(w, value);
}

void phi_write_field_u8(phi_writer *w, uint8_t tag, uint8_t value)
{
    phi_write_field(w, tag, phi_bytes_of(&value, 1));
}

void phi_write_field_u16(phi_writer *w, uint8_t tag, uint16_t value)
{
    uint8_t room[2];
    phi_put_u16(room, value);
    phi_write_field(w, tag, phi_bytes_of(room, sizeof room));
}

void phi_write_field_u32(phi_writer *w, uint8_t tag, uint32_t value)
{
    uint8_t room[4];
    phi_put_u32(room, value);
    phi_write_field(w, tag, phi_bytes_of(room, sizeof room));
}

void phi_write_field_u64(phi_writer *w, uint8_t tag, uint64_t value)
{
    uint8_t room[8];
    phi_put_u64(room, value);
    phi_write_field(w, tag, phi_bytes_of(room, sizeof room));
}
