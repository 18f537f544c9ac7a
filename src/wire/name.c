// SPDX-License-Identifier: Apache-2.0
//
// wire/name.c - what a name may look like, and what an address says.
//
// Clauses: P-38, P-52.

#include "wire/name.h"

static inline bool is_letter_or_digit(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static inline bool is_name_byte(uint8_t c)
{
    return is_letter_or_digit(c) || c == '.' || c == '_' || c == '-';
}

bool phi_name_is_valid(phi_bytes name)
{
    if (name.size == 0 || name.size > PHI_NAME_BYTES_MAX || !is_letter_or_digit(name.data[0])) {
        return false;
    }
    for (size_t i = 1; i < name.size; i++) {
        if (!is_name_byte(name.data[i])) {
            return false;
        }
    }
    return true;
}

bool phi_id_is_valid(phi_bytes id)
{
    phi_address a = phi_address_parse(id);
    return a.form == PHI_ADDRESS_ACCOUNT && a.domain.size != 0;
}

phi_address phi_address_parse(phi_bytes text)
{
    phi_address a = { .form = PHI_ADDRESS_NONE };
    if (text.size == 0) {
        return a;
    }
    if (memchr(text.data, ':', text.size) != NULL) {
        bool everyone = phi_bytes_equal(text, phi_bytes_text("all:"));
        a.form = everyone ? PHI_ADDRESS_EVERYONE : PHI_ADDRESS_UNKNOWN;
        return a;
    }

    a.form = PHI_ADDRESS_MALFORMED;
    phi_bytes account = text;
    phi_bytes domain = { NULL, 0 };
    const uint8_t *at = memchr(text.data, '@', text.size);
    if (at != NULL) {
        account.size = (size_t)(at - text.data);
        domain = phi_bytes_of(at + 1, text.size - account.size - 1);
        if (!phi_name_is_valid(domain)) {
            return a;
        }
    }
    if (phi_name_is_valid(account)) {
        a = (phi_address){ PHI_ADDRESS_ACCOUNT, account, domain };
    }
    return a;
}
