// SPDX-License-Identifier: Apache-2.0

#include "base/utf8.h"

#include "base/compiler.h"
#include "tests/harness/test.h"

// The definition: encode every code point, and call valid what comes out of that and nothing else.
static size_t encode(uint32_t code, uint8_t out[4])
{
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (uint8_t)(0xc0 | code >> 6);
        out[1] = (uint8_t)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (uint8_t)(0xe0 | code >> 12);
        out[1] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | code >> 18);
    out[1] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (code & 0x3f));
    return 4;
}

// Texts in every language must pass, and what no other program accepts must not.
TEST(utf8, every_character_is_valid_and_surrogates_are_not)
{
    for (uint32_t code = 0; code < 0x111000; code++) {
        uint8_t bytes[4];
        size_t size = encode(code, bytes);
        bool is_surrogate = code >= 0xd800 && code < 0xe000;
        bool expected = code <= 0x10ffff && !is_surrogate;
        if (phi_utf8_is_valid(phi_bytes_of(bytes, size)) != expected) {
            fail_msg("U+%04X", code);
        }
        for (size_t cut = 1; cut < size; cut++) {
            EXPECT(!phi_utf8_is_valid(phi_bytes_of(bytes, cut)));
        }
    }
    EXPECT(phi_utf8_is_valid(phi_bytes_of(NULL, 0)));
}

// All sequences of up to three bytes: valid exactly if they are the encodings of characters. An
// overlong form that passes here gets a name past a comparison elsewhere.
TEST(utf8, nothing_else_is_valid)
{
    uint32_t valid[3] = { 0 };
    for (uint32_t n = 0; n < UINT32_C(1) << 24; n++) {
        // Only beginnings that ASCII does not decide.
        uint8_t bytes[3] = { (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n };
        size_t skip = 0;
        if (bytes[0] < 0xc0) {
            n |= 0xffff;
            continue;
        }
        size_t length = phi_utf8_char(phi_bytes_of(bytes, 3), &skip);
        if (length == 2 && bytes[2] == 0) {
            valid[1]++;
        } else if (length == 3) {
            valid[2]++;
        } else if (length == 0) {
            EXPECT(skip >= 1 && skip <= 3);
        }
    }
    EXPECT_EQ(valid[1], 0x800 - 0x80);
    EXPECT_EQ(valid[2], 0x10000 - 0x800 - 0x800); // without surrogates
    static const char *const bad[] = {
        "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\x80", "\xf1\x80\x80"
    };
    for (size_t i = 0; i < PHI_COUNT_OF(bad); i++) {
        EXPECT(!phi_utf8_is_valid(phi_bytes_text(bad[i])));
    }
}

// A text that is cut for a limit must not end in half a character: the receiver would refuse it.
TEST(utf8, cut_falls_between_characters)
{
    const char *text = "a\xc3\xa9"
                       "b\xe2\x82\xac"
                       "c\xf0\x9f\x98\x80"
                       "d"; // a é b € c 😀 d
    static const size_t expected[] = { 0, 1, 1, 3, 4, 4, 4, 7, 8, 8, 8, 8, 12, 13, 13 };
    for (size_t max = 0; max < PHI_COUNT_OF(expected); max++) {
        phi_bytes cut = phi_utf8_cut(phi_bytes_text(text), max);
        EXPECT_EQ(cut.size, expected[max]);
        EXPECT(phi_utf8_is_valid(cut));
    }
    EXPECT_EQ(phi_utf8_cut(phi_bytes_text("\x80\x80\x80\x80\x80"), 4).size, 4); // no UTF-8
    EXPECT_EQ(phi_utf8_cut(phi_bytes_text("abc\xe2\x82"), 4).size,
              4); // a character that never ends
}
