// SPDX-License-Identifier: Apache-2.0
//
// wire/topic.c - see topic.h.
//
// A word is 1 or more characters of UTF-8 without space, control characters, `.`, `*` and `>`. That
// makes a wildcard always a word of its own, and a word always fit for a log line.
//
// The center judges each event that is published: one pass, and what most topics are made of first.

#include "wire/topic.h"

#include "base/utf8.h"

// Of one byte, and fit for a word: no control character, space, dot or wildcard. Letters first.
static inline bool is_plain(uint8_t c)
{
    return (c > '>' && c < 0x7f) || (c > ' ' && c < '>' && c != '.' && c != '*');
}

static bool parse(phi_bytes text, bool is_pattern, phi_topic *out);
static const uint8_t *word_end(const uint8_t *at, const uint8_t *end);
static bool is_wildcard(phi_bytes word, bool is_last);

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
        const uint8_t *stop = word_end(at, end);
        if (PHI_UNLIKELY(stop != end && *stop != '.')) { // none of a word
            if (!is_pattern || stop != at) {
                return false;
            }
            stop++;
            if ((stop != end && *stop != '.') ||
                !is_wildcard(phi_bytes_of(at, 1), /* is_last= */ stop == end)) {
                return false;
            }
        }
        if (stop == at || out->count == PHI_TOPIC_WORDS_MAX) {
            return false;
        }
        out->words[out->count++] = phi_bytes_of(at, (size_t)(stop - at));
        if (stop == end) {
            return true;
        }
        at = stop + 1;
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

// Behind the last character that a word may have; that is not before `end`, at a dot, or wrong.
static const uint8_t *word_end(const uint8_t *at, const uint8_t *end)
{
    for (;;) {
        while (at != end && is_plain(*at)) {
            at++;
        }
        if (PHI_LIKELY(at == end || *at < 0x80)) {
            return at;
        }
        size_t skip;
        size_t length = phi_utf8_char(phi_bytes_of(at, (size_t)(end - at)), &skip);
        if (length == 0 || (at[0] == 0xc2 && at[1] < 0xa0)) { // U+0080 to U+009F
            return at;
        }
        at += length;
    }
}

static bool is_wildcard(phi_bytes word, bool is_last)
{
    return word.size == 1 && (word.data[0] == '*' || (word.data[0] == '>' && is_last));
}
