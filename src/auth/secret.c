// SPDX-License-Identifier: Apache-2.0
//
// auth/secret.c - would these bytes be guessed? (phi_secret_judge of jwk.h)
//
// Design notes
// - Nobody can tell from some bytes how they were chosen. What can be told is that they are what
//   people type when they are asked for a secret: too few, one character or one word again and
//   again, a row of the keyboard, the sample out of a manual. Whoever has a token can try all of
//   these in minutes, offline.
// - Bytes of a random generator pass, raw, in hexadecimal or in base64, but for one in millions.

#include "auth/jwk.h"

#include "auth/key.h"
#include "base/assert.h"

#define DISTINCT_MIN 8u // 32 digits of a random number have fewer than 8 different ones hardly ever
#define PERIOD_MAX 16u
#define LEFT_BYTES_MIN 16u // that stay when all that everybody tries is taken out
// Of ten steps from a byte to the next, so many may go to the same one or a neighbour ("abcd").
#define TENTHS_OF_STEPS_MAX 6u

static const char advice[] = "make one of 32 random bytes: openssl rand -base64 32";

// Longer ones first, where one begins with another.
static const char *const words[] = {
    "authentication",
    "correcthorsebatterystaple",
    "development",
    "production",
    "changeit",
    "changeme",
    "posthouse",
    "password",
    "passwort",
    "letmein",
    "example",
    "default",
    "testing",
    "private",
    "qwertz",
    "qwerty",
    "secret",
    "sample",
    "change",
    "shared",
    "please",
    "secure",
    "string",
    "signing",
    "super",
    "admin",
    "token",
    "random",
    "pass",
    "test",
    "demo",
    "hmac",
    "hello",
    "world",
    "long",
    "user",
    "your",
    "this",
    "that",
    "very",
    "bytes",
    "bits",
    "least",
    "must",
    "some",
    "root",
    "jwt",
    "key",
    "bit",
    "the",
    "not",
    "for",
    "dev",
    "foo",
    "bar",
    "my",
    "is",
    "it",
    "at",
    "to",
    "me",
    "in",
    "of",
    "be",
    "hs",
};

static size_t count_distinct(phi_bytes b);
static size_t period_of(phi_bytes b);
static size_t count_small_steps(phi_bytes b);
static size_t count_left(phi_bytes b);
static size_t word_at(phi_bytes b, size_t at);
static uint8_t small_letter(uint8_t c);

ph_err phi_secret_judge(phi_bytes secret, phi_diag *diag)
{
    if (secret.size < PHI_SECRET_BYTES_MIN) {
        return phi_diag_add(diag, PH_EINVAL, "the secret has %zu bytes, and must have %u; %s",
                            secret.size, PHI_SECRET_BYTES_MIN, advice);
    }
    if (secret.size > PHI_SECRET_BYTES_MAX) {
        return phi_diag_add(diag, PH_EINVAL, "the secret has %zu bytes, and may have %u; %s",
                            secret.size, PHI_SECRET_BYTES_MAX, advice);
    }
    if (count_distinct(secret) < DISTINCT_MIN || period_of(secret) <= PERIOD_MAX) {
        return phi_diag_add(diag, PH_EINVAL,
                            "the secret is the same few characters again and again; %s", advice);
    }
    if (count_small_steps(secret) * 10 >= (secret.size - 1) * TENTHS_OF_STEPS_MAX) {
        return phi_diag_add(diag, PH_EINVAL, "the secret counts up or down; %s", advice);
    }
    if (count_left(secret) < LEFT_BYTES_MIN) {
        return phi_diag_add(diag, PH_EINVAL,
                            "the secret is made of words and numbers that everybody tries first; "
                            "%s",
                            advice);
    }
    return PH_OK;
}

static size_t count_distinct(phi_bytes b)
{
    bool is_there[UINT8_MAX + 1] = { false };
    size_t count = 0;
    for (size_t i = 0; i < b.size; i++) {
        count += is_there[b.data[i]] ? 0 : 1;
        is_there[b.data[i]] = true;
    }
    return count;
}

// After how many bytes it begins again; its size when it does not.
static size_t period_of(phi_bytes b)
{
    for (size_t period = 1; period <= b.size / 2; period++) {
        size_t same = 0;
        while (same < b.size - period && b.data[same] == b.data[same + period]) {
            same++;
        }
        if (same == b.size - period) {
            return period;
        }
    }
    return b.size;
}

static size_t count_small_steps(phi_bytes b)
{
    size_t count = 0;
    for (size_t i = 1; i < b.size; i++) {
        int step = (int)b.data[i] - (int)b.data[i - 1];
        count += step >= -1 && step <= 1;
    }
    return count;
}

// Bytes that are not of a word, and no digit or mark between words. When no word is in it, all.
static size_t count_left(phi_bytes b)
{
    size_t count = 0;
    bool has_word = false;
    for (size_t at = 0; at < b.size;) {
        size_t size = word_at(b, at);
        uint8_t c = small_letter(b.data[at]);
        if (size != 0) {
            has_word |= size > 3; // three letters may be chance
            at += size;
            continue;
        }
        bool is_mark = c >= ' ' && c <= '~' && (c < 'a' || c > 'z');
        count += is_mark ? 0 : 1;
        at++;
    }
    return has_word ? count : b.size;
}

// How long the word is that stands there; 0: none.
static size_t word_at(phi_bytes b, size_t at)
{
    for (size_t i = 0; i < PHI_COUNT_OF(words); i++) {
        phi_bytes word = phi_bytes_text(words[i]);
        size_t same = 0;
        while (same < word.size && at + same < b.size &&
               small_letter(b.data[at + same]) == word.data[same]) {
            same++;
        }
        if (same == word.size) {
            return same;
        }
    }
    return 0;
}

static uint8_t small_letter(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}
