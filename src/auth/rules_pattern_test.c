// SPDX-License-Identifier: Apache-2.0
//
// auth/rules_pattern_test.c - patterns against all there is over small alphabets.

#include "auth/rules_pattern.h"

#include <stdio.h>
#include <string.h>

#include "tests/harness/test.h"

// By the definition: a star is every run of characters there is.
static bool fits_by_trying(const char *p, const char *t)
{
    if (*p != '*') {
        return *p == *t && (*p == '\0' || fits_by_trying(p + 1, t + 1));
    }
    for (size_t run = 0; run <= strlen(t); run++) {
        if (fits_by_trying(p + 1, t + run)) {
            return true;
        }
    }
    return false;
}

// The `n`-th text over the letters; false when it would be longer than `size`.
static bool text_of(size_t n, const char *letters, size_t size, char *out)
{
    size_t base = strlen(letters);
    size_t at = 0;
    for (; n != 0; n = (n - 1) / base) {
        if (at == size) {
            return false;
        }
        out[at++] = letters[(n - 1) % base];
    }
    out[at] = '\0';
    return true;
}

// A pattern that fits too much lets somebody in; every pattern of up to 5 characters a, b and *
// meets every text of up to 6 letters.
TEST(pattern, of_names_fits_what_the_definition_says)
{
    char pattern[8];
    char text[8];
    size_t judged = 0;
    for (size_t i = 0; text_of(i, "ab*", 5, pattern); i++) {
        for (size_t k = 0; text_of(k, "ab", 6, text); k++) {
            EXPECT_EQ(phi_pattern_fits(phi_bytes_text(pattern), phi_bytes_text(text)),
                      fits_by_trying(pattern, text));
            judged++;
        }
    }
    EXPECT_EQ(judged, 364 * 127);
}

// A method of a caller's choice must not keep the center busy: a search that goes back for every
// star takes longer than the universe is old here.
TEST(pattern, with_many_stars_is_judged_at_once)
{
    char pattern[PHI_METHOD_BYTES_MAX + 1];
    char text[PHI_METHOD_BYTES_MAX + 1];
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < PHI_METHOD_BYTES_MAX; i++) {
        pattern[i] = i % 2 == 0 ? '*' : 'a';
    }
    pattern[PHI_METHOD_BYTES_MAX - 1] = 'b';
    for (int i = 0; i < 1000; i++) {
        EXPECT(!phi_pattern_fits(phi_bytes_of(pattern, PHI_METHOD_BYTES_MAX),
                                 phi_bytes_of(text, PHI_METHOD_BYTES_MAX)));
    }
}

#define WORDS_MAX 3u // of a pattern
#define TOPICS 120u  // of 1 to 4 words a, b, c

static void topic_of(size_t n, size_t words, const char *letters, char *out)
{
    size_t base = strlen(letters);
    for (size_t i = 0; i < words; i++, n /= base) {
        out[2 * i] = letters[n % base];
        out[2 * i + 1] = i + 1 == words ? '\0' : '.';
    }
}

// Every pattern of up to three words, a, b, * and > at the end; returns how many.
static size_t all_patterns(char out[][8], size_t room)
{
    size_t count = 0;
    for (size_t words = 1; words <= WORDS_MAX; words++) {
        for (size_t n = 0; n < (size_t)1 << (2 * words); n++) {
            phi_topic parsed;
            topic_of(n, words, "ab*>", out[count]);
            if (phi_pattern_parse(phi_bytes_text(out[count]), &parsed)) {
                count++;
                EXPECT(count < room);
            }
        }
    }
    return count;
}

// A subscription would get what a rule was to keep from it, or a rule that allows it all would not
// count: each pair of patterns, compared as the sets of topics that fit them. The word c stands in
// no pattern, and topics are longer by one word than patterns; so whatever differs shows. [P-74]
TEST(pattern, of_topics_cover_and_overlap_as_sets_do)
{
    static char patterns[128][8];
    static phi_topic parsed[128];
    static bool fits[128][TOPICS];
    size_t count = all_patterns(patterns, PHI_COUNT_OF(patterns));
    EXPECT_EQ(count, 4 + 3 * 4 + 3 * 3 * 4);
    for (size_t i = 0; i < count; i++) {
        EXPECT(phi_pattern_parse(phi_bytes_text(patterns[i]), &parsed[i]));
        size_t topics = 0;
        for (size_t words = 1, all = 3; words <= WORDS_MAX + 1; words++, all *= 3) {
            for (size_t n = 0; n < all; n++) {
                char text[8];
                phi_topic topic;
                topic_of(n, words, "abc", text);
                EXPECT(phi_topic_parse(phi_bytes_text(text), &topic));
                fits[i][topics++] = phi_topic_fits(&topic, &parsed[i]);
            }
        }
        EXPECT_EQ(topics, TOPICS);
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < count; k++) {
            bool is_within = true;
            bool is_shared = false;
            for (size_t t = 0; t < TOPICS; t++) {
                is_within = is_within && (fits[i][t] || !fits[k][t]);
                is_shared = is_shared || (fits[i][t] && fits[k][t]);
            }
            EXPECT_EQ(phi_topics_cover(&parsed[i], &parsed[k]), is_within);
            EXPECT_EQ(phi_topics_overlap(&parsed[i], &parsed[k]), is_shared);
        }
    }
}

// What is shown of a pattern that is refused goes to a terminal or a log.
TEST(pattern, is_shown_fit_to_print)
{
    EXPECT_TEXT(phi_pattern_show(phi_bytes_text("Z\xc3\xbcrich")).text, "Z\xc3\xbcrich");
    EXPECT_TEXT(phi_pattern_show(phi_bytes_text("a\x1b[31m\n")).text, "a?[31m?");
    EXPECT_TEXT(phi_pattern_show(phi_bytes_text("\xc2\x9b"
                                                "31m"))
                    .text,
                "??31m");
    EXPECT_TEXT(phi_pattern_show(phi_bytes_text("\xff")).text, "?");
    EXPECT_TEXT(phi_pattern_show((phi_bytes){ 0 }).text, "");
    char longest[600];
    memset(longest, 'x', sizeof longest);
    phi_pattern_shown shown = phi_pattern_show(phi_bytes_of(longest, sizeof longest));
    EXPECT_EQ(strlen(shown.text), PHI_PATTERN_SHOWN_BYTES - 1);
    EXPECT_TEXT(shown.text + PHI_PATTERN_SHOWN_BYTES - 6, "xx...");
    for (size_t i = 0; i + 1 < sizeof longest; i += 2) { // no half a character at the end
        memcpy(longest + i, "\xc3\xbc", 2);
    }
    EXPECT_EQ(strlen(phi_pattern_show(phi_bytes_of(longest, sizeof longest)).text) % 2, 1);
    EXPECT_TEXT(phi_pattern_show(phi_bytes_text("a\xe2\x80\xae")).text, "a???");
}
