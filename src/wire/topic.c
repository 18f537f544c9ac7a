// SPDX-License-Identifier: Apache-2.0
//
// wire/topic.c - see topic.h.
//
// A word is 1 or more characters of UTF-8 without space, control characters, `.`, `*` and `>`. That
// makes a wildcard always a word of its own, and a word always fit for a log line.

#include "wire/topic.h"

#include "base/utf8.h"

static bool parse(phi_bytes text, bool is_pattern, phi_topic *out);
static bool is_word(phi_bytes word);
static bool is_control(const uint8_t *character);

bool phi_topic_parse(phi_bytes text, phi_topic *out)
{
    return parse(text, false, out);
}

bool phi_pattern_parse(phi_bytes text, phi_topic *out)
{
    return parse(text, true, out);
}

static bool parse(phi_bytes text, bool is_pattern, phi_topic *out)
{
    if (text.size == 0 || text.size > PHI_TOPIC_BYTES_MAX) {
        return false;
    }
    out->count = 0;
    const uint8_t *at = text.data;
    const uint8_t *end = text.data + text.size;
    for (;;) {
        const uint8_t *dot = memchr(at, '.', (size_t)(end - at));
        bool is_last = dot == NULL;
        phi_bytes word = phi_bytes_of(at, (size_t)((is_last ? end : dot) - at));
        bool is_wild = is_pattern && word.size == 1 &&
                       (word.data[0] == '*' || (word.data[0] == '>' && is_last));
        if (out->count == PHI_TOPIC_WORDS_MAX || (!is_wild && !is_word(word))) {
            return false;
        }
        out->words[out->count++] = word;
        if (is_last) {
            return true;
        }
        at = dot + 1;
    }
}

bool phi_topic_fits(const phi_topic *topic, const phi_topic *pattern)
{
    for (size_t i = 0; i < pattern->count; i++) {
        if (i == topic->count) {
            return false;
        }
        phi_bytes word = pattern->words[i];
        if (word.size == 1 && word.data[0] == '>') {
            return true;
        }
        bool is_any = word.size == 1 && word.data[0] == '*';
        if (!is_any && !phi_bytes_equal(word, topic->words[i])) {
            return false;
        }
    }
    return topic->count == pattern->count;
}

static bool is_word(phi_bytes word)
{
    for (size_t at = 0; at < word.size;) {
        phi_bytes rest = phi_bytes_of(word.data + at, word.size - at);
        size_t skip;
        size_t length = phi_utf8_char(rest, &skip);
        if (length == 0 || is_control(rest.data) || rest.data[0] == '*' || rest.data[0] == '>') {
            return false;
        }
        at += length;
    }
    return word.size != 0;
}

// U+0000 to U+0020, so space too, and U+007F to U+009F.
static bool is_control(const uint8_t *character)
{
    return character[0] <= 0x20 || character[0] == 0x7f ||
           (character[0] == 0xc2 && character[1] < 0xa0);
}
