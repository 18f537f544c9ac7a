// SPDX-License-Identifier: Apache-2.0
//
// wire/bye.c - encoder and decoder of bye.
//
// Clauses: P-60.

#include "wire/bye.h"

static size_t utf8_cut(phi_bytes text, size_t bytes_max);

ph_err phi_bye_decode(phi_bytes payload, phi_bye *out)
{
    phi_reader r = phi_reader_of(payload);
    phi_bye bye = { .reason = phi_read_u16(&r), .retry_after_ms = phi_read_u32(&r) };
    bye.text = phi_read_rest(&r);
    if (r.failed || bye.text.size > PHI_BYE_TEXT_BYTES_MAX) {
        return PH_EPROTO;
    }
    *out = bye;
    return PH_OK;
}

void phi_bye_encode(phi_writer *w, const phi_bye *bye)
{
    phi_write_u16(w, bye->reason);
    phi_write_u32(w, bye->retry_after_ms);
    phi_write_bytes(w, phi_bytes_of(bye->text.data, utf8_cut(bye->text, PHI_BYE_TEXT_BYTES_MAX)));
}

// How much of `text` is at most `bytes_max` bytes and does not end within a character.
static size_t utf8_cut(phi_bytes text, size_t bytes_max)
{
    if (text.size <= bytes_max) {
        return text.size;
    }
    size_t size = bytes_max;
    while (size > 0 && (text.data[size] & 0xc0) == 0x80) {
        size--;
    }
    return size;
}
