// SPDX-License-Identifier: Apache-2.0
//
// auth/base64url_test.c - the one canonical form, and nothing near it.

#include "auth/base64url.h"

#include <string.h>

#include "tests/harness/test.h"

static bool decodes(const char *text, size_t size, const char *expected)
{
    uint8_t room[64];
    phi_bytes view = { NULL, 0 };
    bool is_good =
        phi_base64url_decode(phi_bytes_of(text, size), (phi_span){ room, sizeof room }, &view);
    if (is_good) {
        EXPECT_EQ(view.size, strlen(expected));
        EXPECT_BYTES(view.data, expected, view.size);
    }
    return is_good;
}

// The examples of RFC 4648 10 without their padding: others' tokens would not be read.
TEST(base64url, reads_and_writes_the_examples_of_the_standard)
{
    static const char *const pairs[][2] = {
        { "", "" },           { "f", "Zg" },          { "fo", "Zm8" },         { "foo", "Zm9v" },
        { "foob", "Zm9vYg" }, { "fooba", "Zm9vYmE" }, { "foobar", "Zm9vYmFy" }
    };
    for (size_t i = 0; i < PHI_COUNT_OF(pairs); i++) {
        uint8_t room[16];
        phi_bytes text =
            phi_base64url_encode(phi_bytes_text(pairs[i][0]), (phi_span){ room, sizeof room });
        EXPECT_EQ(text.size, strlen(pairs[i][1]));
        EXPECT_BYTES(text.data, pairs[i][1], text.size);
        EXPECT(decodes(pairs[i][1], strlen(pairs[i][1]), pairs[i][0]));
    }
}

// A signature would be good in more than one spelling, so a token could not be recognised.
TEST(base64url, refuses_what_is_not_canonical)
{
    static const char *const texts[] = { "Zg==", "Zg=",   "Zg ",  " Zg",  "Zg\n",
                                         "Z\ng", "Zh",    "Zm9=", "Zm9",  "Zm+v",
                                         "Zm/v", "Zm9vY", "Z",    "Zm.v", "Zm\xc3\xa4" };
    for (size_t i = 0; i < PHI_COUNT_OF(texts); i++) {
        if (decodes(texts[i], strlen(texts[i]), "")) {
            fail_msg("'%s' was taken", texts[i]);
        }
    }
    EXPECT(!decodes("Zg\0v", 4, ""));
    EXPECT(decodes("_-_-", 4, "\xff\xef\xfe"));
}

// A byte would be lost, or written too far, at some length; and each last digit has one reading.
TEST(base64url, comes_back_at_every_length)
{
    for (size_t size = 0; size < 50; size++) {
        uint8_t bytes[50];
        uint8_t chars[PHI_BASE64URL_CHARS(50)];
        uint8_t back[50];
        for (size_t i = 0; i < size; i++) {
            bytes[i] = (uint8_t)(i * 37 + size);
        }
        phi_bytes text = phi_base64url_encode(phi_bytes_of(bytes, size),
                                              (phi_span){ chars, PHI_BASE64URL_CHARS(size) });
        EXPECT_EQ(PHI_BASE64URL_BYTES(text.size), size);
        phi_bytes view = { NULL, 1 };
        EXPECT(phi_base64url_decode(text, (phi_span){ back, size }, &view));
        EXPECT(phi_bytes_equal(view, phi_bytes_of(bytes, size)));
        size_t readings = 0;
        for (unsigned c = 0; c <= UINT8_MAX && text.size != 0; c++) {
            chars[text.size - 1] = (uint8_t)c;
            readings += phi_base64url_decode(text, (phi_span){ back, size }, &view);
        }
        EXPECT_EQ(readings, size == 0 ? 0 : size % 3 == 0 ? 64 : size % 3 == 1 ? 4 : 16);
    }
}
