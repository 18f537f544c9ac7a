// SPDX-License-Identifier: Apache-2.0

#include "wire/topic.h"

#include "base/compiler.h"
#include "tests/harness/test.h"

static bool is_topic(const char *text)
{
    phi_topic topic;
    return phi_topic_parse(phi_bytes_text(text), &topic);
}

static bool is_pattern(const char *text)
{
    phi_topic topic;
    return phi_pattern_parse(phi_bytes_text(text), &topic);
}

// Words that are cut wrongly match what they should not, or never match.
TEST(topic, is_cut_into_its_words)
{
    phi_topic topic;
    EXPECT(phi_topic_parse(phi_bytes_text("orders.Z\xc3\xbcrich.7!"), &topic));
    EXPECT_EQ(topic.count, 3);
    EXPECT(phi_bytes_equal(topic.words[0], phi_bytes_text("orders")));
    EXPECT(phi_bytes_equal(topic.words[1], phi_bytes_text("Z\xc3\xbcrich")));
    EXPECT(phi_bytes_equal(topic.words[2], phi_bytes_text("7!")));
    EXPECT(phi_pattern_parse(phi_bytes_text("*.b.>"), &topic));
    EXPECT_EQ(topic.count, 3);
    EXPECT(phi_bytes_equal(topic.words[0], phi_bytes_text("*")));
    EXPECT(phi_bytes_equal(topic.words[2], phi_bytes_text(">")));
}

// A name with control characters would spoil logs and terminals; an empty word would match nothing
// that anybody means.
TEST(topic, breaks_of_the_rules_are_refused)
{
    static const char *const bad[] = {
        "",       ".",        "a.",       ".a",   "a..b",   "a b",          "a\tb", "a\n",
        "a\x7f",  "\xc2\x85", "\xc2\x9f", "\xc3", "\xff.a", "\xed\xa0\x80", "a*",   "*a",
        "a.b*.c", ">a",       "a.>b",     "a.**", "a.>>",   "*>",
    };
    for (size_t i = 0; i < PHI_COUNT_OF(bad); i++) {
        EXPECT(!is_topic(bad[i]));
        EXPECT(!is_pattern(bad[i]));
    }
    phi_topic topic;
    EXPECT(!phi_topic_parse(phi_bytes_of("a\0", 2), &topic));
    EXPECT(is_topic("\xc2\xa1.\xf0\x9f\x98\x80"));
    EXPECT(is_topic("a@b:c/d#e$f"));
}

// Wildcards stand for words, and only in patterns; `>` has to be the last.
TEST(topic, wildcards_belong_into_patterns)
{
    static const char *const wild[] = { "*", ">", "*.*", "a.*", "*.a", "a.>", "*.>", "a.*.b" };
    for (size_t i = 0; i < PHI_COUNT_OF(wild); i++) {
        EXPECT(!is_topic(wild[i]));
        EXPECT(is_pattern(wild[i]));
    }
    EXPECT(!is_pattern(">.a"));
    EXPECT(!is_pattern("a.>.b"));
    EXPECT(!is_pattern(">.>"));
}

static bool fits(const char *text, const char *pattern_text)
{
    phi_topic topic;
    phi_topic pattern;
    EXPECT(phi_topic_parse(phi_bytes_text(text), &topic));
    EXPECT(phi_pattern_parse(phi_bytes_text(pattern_text), &pattern));
    return phi_topic_fits(&topic, &pattern);
}

// Who subscribed would get what it did not ask for, or miss what it did. [P-74]
TEST(topic, fits_patterns_word_by_word)
{
    EXPECT(fits("orders.eu.created", "orders.eu.created"));
    EXPECT(fits("orders.eu.created", "orders.*.created"));
    EXPECT(fits("orders.eu.created", "*.*.*"));
    EXPECT(fits("orders.eu.created", "orders.>"));
    EXPECT(fits("orders.eu.created", "*.eu.>"));
    EXPECT(fits("orders", "*"));
    EXPECT(fits("orders", ">"));

    EXPECT(!fits("orders.eu.created", "orders.eu"));
    EXPECT(!fits("orders.eu", "orders.eu.created"));
    EXPECT(!fits("orders.eu.created", "orders.us.created"));
    EXPECT(!fits("orders.eu.created", "*.*"));
    EXPECT(!fits("orders", "orders.>"));
    EXPECT(!fits("orders", "*.*"));
    EXPECT(!fits("orders", "order"));
}

// What is longer than its limits does not get into tables whose sizes follow from them.
TEST(topic, limits_hold)
{
    char text[PHI_TOPIC_BYTES_MAX + 2];
    memset(text, 'x', sizeof text);
    text[PHI_TOPIC_BYTES_MAX] = '\0';
    EXPECT(is_topic(text));
    text[PHI_TOPIC_BYTES_MAX] = 'x';
    text[PHI_TOPIC_BYTES_MAX + 1] = '\0';
    EXPECT(!is_topic(text));
    for (size_t i = 0; i + 1 < 2 * PHI_TOPIC_WORDS_MAX; i++) {
        text[i] = i % 2 == 0 ? 'a' : '.';
    }
    text[2 * PHI_TOPIC_WORDS_MAX - 1] = '\0';
    EXPECT(is_topic(text));
    text[2 * PHI_TOPIC_WORDS_MAX - 1] = '.';
    text[2 * PHI_TOPIC_WORDS_MAX] = 'a';
    text[2 * PHI_TOPIC_WORDS_MAX + 1] = '\0';
    EXPECT(!is_topic(text));
}
