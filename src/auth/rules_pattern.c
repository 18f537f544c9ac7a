// SPDX-License-Identifier: Apache-2.0
//
// auth/rules_pattern.c - see rules_pattern.h.
//
// Design notes
// - A pattern is checked when the rules are built, by what could never fit: a letter that no name
//   has would make a rule that looks like protection and is none.
// - Topics are compared word by word, as sets. Only `>` makes a set with topics of several lengths,
//   and it is always the last word; so one pass from the front decides both questions.
//
// Clauses: P-38, P-54, P-74.

#include "auth/rules_pattern.h"

#include "base/assert.h"
#include "base/utf8.h"
#include "wire/name.h"

#define STAR ((uint8_t)'*')

static bool is_name_byte(uint8_t c);
static bool is_word(phi_bytes word, char c);
static size_t find(phi_bytes piece, phi_bytes text, size_t from);
static bool starts_with(phi_bytes text, size_t at, phi_bytes piece);
static phi_bytes next_piece(phi_bytes pattern, size_t at);
static ph_err check_stars(phi_bytes pattern, const char *shown, phi_diag *diag);
static bool is_printable(phi_bytes text);

// ---- checking

phi_pattern_shown phi_pattern_show(phi_bytes pattern)
{
    static const char more[] = "...";
    phi_pattern_shown shown;
    phi_bytes cut = phi_utf8_cut(pattern, sizeof shown.text - sizeof more);
    bool is_text = is_printable(cut);
    for (size_t i = 0; i < cut.size; i++) {
        uint8_t c = cut.data[i];
        shown.text[i] = is_text || (c >= ' ' && c < 0x7f) ? (char)c : '?';
    }
    memcpy(shown.text + cut.size, more, sizeof more);
    shown.text[cut.size + (cut.size < pattern.size ? sizeof more - 1 : 0)] = '\0';
    return shown;
}

ph_err phi_pattern_check_name(phi_bytes pattern, phi_diag *diag)
{
    phi_pattern_shown shown = phi_pattern_show(pattern);
    if (pattern.size == 0) {
        return phi_diag_add(diag, PH_EINVAL, "a name is missing; '*' fits every name");
    }
    size_t letters = 0;
    for (size_t i = 0; i < pattern.size; i++) {
        uint8_t c = pattern.data[i];
        if (c >= 'A' && c <= 'Z') {
            return phi_diag_add(diag, PH_EINVAL, "'%s': names have small letters only", shown.text);
        }
        if (c == '>') {
            return phi_diag_add(diag, PH_EINVAL,
                                "'%s': '>' is for topics; in names '*' fits the rest", shown.text);
        }
        if (c != STAR && !is_name_byte(c)) {
            return phi_diag_add(diag, PH_EINVAL,
                                "'%s': names are made of a-z 0-9 . _ -, and patterns of them may "
                                "have '*'",
                                shown.text);
        }
        letters += c == STAR ? 0 : 1;
    }
    uint8_t first = pattern.data[0];
    if (first == '.' || first == '_' || first == '-') {
        return phi_diag_add(diag, PH_EINVAL, "'%s': names begin with a letter or digit",
                            shown.text);
    }
    if (letters > PHI_NAME_BYTES_MAX) {
        return phi_diag_add(diag, PH_EINVAL, "'%s': no name is longer than %u characters",
                            shown.text, PHI_NAME_BYTES_MAX);
    }
    return check_stars(pattern, shown.text, diag);
}

ph_err phi_pattern_check_method(phi_bytes pattern, phi_diag *diag)
{
    phi_pattern_shown shown = phi_pattern_show(pattern);
    if (pattern.size == 0 || pattern.size > PHI_METHOD_BYTES_MAX) {
        return phi_diag_add(diag, PH_EINVAL, "'%s': a method has 1 to %u bytes", shown.text,
                            PHI_METHOD_BYTES_MAX);
    }
    if (!is_printable(pattern)) {
        return phi_diag_add(diag, PH_EINVAL,
                            "'%s': methods are given in UTF-8 without control characters; '*' fits "
                            "those, too",
                            shown.text);
    }
    return check_stars(pattern, shown.text, diag);
}

ph_err phi_pattern_check_topic(phi_bytes pattern, phi_diag *diag)
{
    phi_pattern_shown shown = phi_pattern_show(pattern);
    // A word may begin so; nobody who writes it here means that.
    if (pattern.size >= 6 && memcmp(pattern.data, "topic:", 6) == 0) {
        return phi_diag_add(diag, PH_EINVAL, "'%s': leave out 'topic:'", shown.text);
    }
    phi_topic topic;
    if (phi_pattern_parse(pattern, &topic)) {
        return PH_OK;
    }
    if (pattern.size > PHI_TOPIC_BYTES_MAX) {
        return phi_diag_add(diag, PH_EINVAL, "'%s': no topic is longer than %u bytes", shown.text,
                            PHI_TOPIC_BYTES_MAX);
    }
    return phi_diag_add(diag, PH_EINVAL,
                        "'%s': a topic is 1 to %u words with dots between them, such as "
                        "orders.eu.created; '*' stands for one whole word, '>' at the end for the "
                        "rest",
                        shown.text, PHI_TOPIC_WORDS_MAX);
}

static ph_err check_stars(phi_bytes pattern, const char *shown, phi_diag *diag)
{
    for (size_t i = 1; i < pattern.size; i++) {
        if (pattern.data[i] == STAR && pattern.data[i - 1] == STAR) {
            return phi_diag_add(diag, PH_EINVAL, "'%s': one '*' fits any run of characters already",
                                shown);
        }
    }
    return PH_OK;
}

// ---- judging

// What stands before the first star begins the text, what stands behind the last ends it, and the
// pieces between them are found one behind the other, each as early as it can be: a later place
// would leave less to the others.
bool phi_pattern_fits(phi_bytes pattern, phi_bytes text)
{
    phi_bytes piece = next_piece(pattern, 0);
    if (!starts_with(text, 0, piece)) {
        return false;
    }
    size_t at = piece.size;   // in the pattern: at a star, or the end
    size_t from = piece.size; // in the text: what lies before is taken
    if (at == pattern.size) {
        return from == text.size;
    }
    for (;;) {
        PH_ASSERT(pattern.data[at] == STAR);
        at++;
        piece = next_piece(pattern, at);
        at += piece.size;
        if (at == pattern.size) { // the last one
            return text.size - from >= piece.size &&
                   starts_with(text, text.size - piece.size, piece);
        }
        from = find(piece, text, from);
        if (from == SIZE_MAX) {
            return false;
        }
        from += piece.size;
    }
}

bool phi_topics_cover(const phi_topic *a, const phi_topic *b)
{
    for (size_t i = 0; i < a->count; i++) {
        if (i == b->count) {
            return false; // `b` has shorter ones
        }
        if (is_word(a->words[i], '>')) {
            return true;
        }
        if (is_word(b->words[i], '>')) {
            return false; // `b` has longer ones
        }
        if (!is_word(a->words[i], '*') && !phi_bytes_equal(a->words[i], b->words[i])) {
            return false;
        }
    }
    return a->count == b->count;
}

bool phi_topics_overlap(const phi_topic *a, const phi_topic *b)
{
    for (size_t i = 0; i < a->count && i < b->count; i++) {
        if (is_word(a->words[i], '>') || is_word(b->words[i], '>')) {
            return true;
        }
        bool is_any = is_word(a->words[i], '*') || is_word(b->words[i], '*');
        if (!is_any && !phi_bytes_equal(a->words[i], b->words[i])) {
            return false;
        }
    }
    return a->count == b->count;
}

// ---- helpers

static bool is_name_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

static bool is_word(phi_bytes word, char c)
{
    return word.size == 1 && word.data[0] == (uint8_t)c;
}

// From `at` to the next star or the end.
static phi_bytes next_piece(phi_bytes pattern, size_t at)
{
    PH_ASSERT(at <= pattern.size);
    size_t end = at;
    while (end < pattern.size && pattern.data[end] != STAR) {
        end++;
    }
    return phi_bytes_of(at == pattern.size ? NULL : pattern.data + at, end - at);
}

static bool starts_with(phi_bytes text, size_t at, phi_bytes piece)
{
    PH_ASSERT(at <= text.size);
    return text.size - at >= piece.size &&
           (piece.size == 0 || memcmp(text.data + at, piece.data, piece.size) == 0);
}

// Where the piece stands first, from `from` on; SIZE_MAX: nowhere.
static size_t find(phi_bytes piece, phi_bytes text, size_t from)
{
    for (size_t at = from; at <= text.size; at++) {
        if (starts_with(text, at, piece)) {
            return at;
        }
    }
    return SIZE_MAX;
}

// UTF-8, and nothing in it that would do something to whoever looks at it.
static bool is_printable(phi_bytes text)
{
    if (!phi_utf8_is_valid(text)) {
        return false;
    }
    for (size_t at = 0; at < text.size;) {
        size_t skip;
        size_t size = phi_utf8_char(phi_bytes_of(text.data + at, text.size - at), &skip);
        PH_ASSERT(size != 0); // valid
        if (!phi_utf8_is_harmless(phi_utf8_code(text.data + at, size))) {
            return false;
        }
        at += size;
    }
    return true;
}
