// SPDX-License-Identifier: Apache-2.0
//
// auth/base64url.c - see base64url.h.

#include "auth/base64url.h"

#include "base/assert.h"

#define NO_DIGIT 0xffu

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

PH_STATIC_ASSERT(sizeof digits == 64 + 1);

static uint32_t value_of(uint8_t digit);

bool phi_base64url_decode(phi_bytes text, phi_span out, phi_bytes *view)
{
    size_t size = PHI_BASE64URL_BYTES(text.size);
    PH_ASSERT(size <= out.size);

    if (text.size % 4 == 1) {
        return false;
    }
    uint32_t bits = 0;
    size_t written = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint32_t value = value_of(text.data[i]);
        if (value == NO_DIGIT) {
            return false;
        }
        bits = (bits << 6) | value;
        if (i % 4 != 0) {
            out.data[written++] = (uint8_t)(bits >> (6 - i % 4 * 2));
        }
    }
    // A last group of 2 or 3 digits has 4 or 2 bits that belong to no byte.
    uint32_t idle = text.size % 4 == 2 ? 0xfu : text.size % 4 == 3 ? 0x3u : 0;
    if ((bits & idle) != 0) {
        return false;
    }
    PH_ASSERT(written == size);
    *view = phi_bytes_of(out.data, size);
    return true;
}

phi_bytes phi_base64url_encode(phi_bytes bytes, phi_span out)
{
    size_t size = PHI_BASE64URL_CHARS(bytes.size);
    PH_ASSERT(size <= out.size);

    size_t written = 0;
    for (size_t at = 0; at < bytes.size; at += 3) {
        size_t count = bytes.size - at < 3 ? bytes.size - at : 3;
        uint32_t bits = 0;
        for (size_t i = 0; i < 3; i++) {
            bits = (bits << 8) | (i < count ? bytes.data[at + i] : 0u);
        }
        for (size_t i = 0; i <= count; i++) {
            out.data[written++] = (uint8_t)digits[(bits >> (18 - 6 * i)) & 63u];
        }
    }
    PH_ASSERT(written == size);
    return phi_bytes_of(out.data, size);
}

static uint32_t value_of(uint8_t digit)
{
    if (digit >= 'A' && digit <= 'Z') {
        return digit - 'A';
    }
    if (digit >= 'a' && digit <= 'z') {
        return digit - 'a' + 26u;
    }
    if (digit >= '0' && digit <= '9') {
        return digit - '0' + 52u;
    }
    return digit == '-' ? 62u : digit == '_' ? 63u : NO_DIGIT;
}
