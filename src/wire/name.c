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

// What has a colon in it: a scheme, and the rest.
static phi_address parse_scheme(phi_bytes scheme, phi_bytes name)
{
    phi_address a = { .form = PHI_ADDRESS_UNKNOWN, .name = name };
    if (phi_bytes_equal(scheme, phi_bytes_text("topic"))) {
        a.form = PHI_ADDRESS_TOPIC;
        return a;
    }
    bool is_all = phi_bytes_equal(scheme, phi_bytes_text("all"));
    if (is_all && name.size == 0) {
        a.form = PHI_ADDRESS_EVERYONE;
    } else if (is_all || phi_bytes_equal(scheme, phi_bytes_text("service"))) {
        a.form = is_all ? PHI_ADDRESS_INSTANCES : PHI_ADDRESS_SERVICE;
        a.form = phi_name_is_valid(name) ? a.form : PHI_ADDRESS_MALFORMED;
    }
    return a;
}

phi_address phi_address_parse(phi_bytes text)
{
    phi_address a = { .form = PHI_ADDRESS_NONE };
    if (text.size == 0) {
        return a;
    }
    const uint8_t *colon = memchr(text.data, ':', text.size);
    if (colon != NULL) {
        size_t size = (size_t)(colon - text.data);
        return parse_scheme(phi_bytes_of(text.data, size),
                            phi_bytes_of(colon + 1, text.size - size - 1));
    }

    a.form = PHI_ADDRESS_MALFORMED;
    a.name = text;
    const uint8_t *at = memchr(text.data, '@', text.size);
    if (at != NULL) {
        a.name.size = (size_t)(at - text.data);
        a.domain = phi_bytes_of(at + 1, text.size - a.name.size - 1);
    }
    bool has_domain = a.domain.size != 0;
    bool is_domain_good = has_domain ? phi_name_is_valid(a.domain) : true;
    if (at != NULL && a.name.size == 0) {
        a.form = is_domain_good ? PHI_ADDRESS_CENTER : PHI_ADDRESS_MALFORMED;
    } else if (phi_name_is_valid(a.name) && is_domain_good && has_domain == (at != NULL)) {
        a.form = PHI_ADDRESS_ACCOUNT;
    }
    return a;
}
