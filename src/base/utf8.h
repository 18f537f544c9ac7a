// SPDX-License-Identifier: Apache-2.0
//
// base/utf8.h - what is UTF-8 and where its characters end (RFC 3629: no overlong forms, no
// surrogates, nothing above U+10FFFF).

#ifndef PHI_BASE_UTF8_H
#define PHI_BASE_UTF8_H

#include "base/bytes.h"

// The character at the front of `b`, which is not empty: its length, 1 to 4. 0: no character; then
// *skip bytes (1 to 3) are what one replacement character stands for (the longest piece that could
// have become a character; Unicode 15, 3.9, "substitution of maximal subparts").
static inline size_t phi_utf8_char(phi_bytes b, size_t *skip)
{
    uint8_t first = b.data[0];
    if (first < 0x80) {
        return 1;
    }
    *skip = 1;
    if (first < 0xc2 || first > 0xf4) {
        return 0;
    }
    size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    // Only the second byte has bounds of its own, which keep out overlong forms and what lies
    // outside of Unicode.
    uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    for (size_t i = 1; i < length; i++) {
        if (i == b.size || b.data[i] < low || b.data[i] > high) {
            *skip = i;
            return 0;
        }
        low = 0x80;
        high = 0xbf;
    }
    return length;
}

// The number of a character of 1 to 4 bytes, as phi_utf8_char found it.
static inline uint32_t phi_utf8_code(const uint8_t *character, size_t length)
{
    uint32_t code = length == 1 ? character[0] : character[0] & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        code = (code << 6) | (character[i] & 0x3fu);
    }
    return code;
}

// Not a control character, and not one that ends a line, or reorders or hides what stands around
// it: fit to be shown among other text, whoever wrote it.
static inline bool phi_utf8_is_harmless(uint32_t code)
{
    bool is_control = code < 0x20 || (code >= 0x7f && code < 0xa0);
    bool is_separator = code == 0x2028 || code == 0x2029;
    bool is_direction = (code >= 0x200b && code <= 0x200f) || (code >= 0x202a && code <= 0x202e) ||
                        (code >= 0x2060 && code <= 0x2069) || code == 0x061c || code == 0xfeff;
    return !is_control && !is_separator && !is_direction;
}

static inline bool phi_utf8_is_valid(phi_bytes b)
{
    for (size_t at = 0; at < b.size;) {
        size_t skip;
        size_t length = phi_utf8_char(phi_bytes_of(b.data + at, b.size - at), &skip);
        if (length == 0) {
            return false;
        }
        at += length;
    }
    return true;
}

// The longest front part of at most `size_max` bytes that does not end inside a character. Bytes
// that are no UTF-8 are cut anywhere.
static inline phi_bytes phi_utf8_cut(phi_bytes b, size_t size_max)
{
    if (b.size <= size_max) {
        return b;
    }
    size_t back = size_max < 3 ? size_max : 3;
    for (size_t n = 1; n <= back;
         n++) { // does a character begin n bytes before the cut and pass it?
        size_t skip;
        size_t at = size_max - n;
        if (phi_utf8_char(phi_bytes_of(b.data + at, b.size - at), &skip) > n) {
            return phi_bytes_of(b.data, at);
        }
    }
    return phi_bytes_of(b.data, size_max);
}

#endif // PHI_BASE_UTF8_H
