// SPDX-License-Identifier: Apache-2.0
//
// app/draft_test.c - what people get to see of foreign bytes, and how lines are broken.

#include "app/draft.h"

#include <string.h>

#include "tests/harness/test.h"

#define BYTES(literal) phi_bytes_of((literal), sizeof(literal) - 1)

static void expect_printable(phi_bytes bytes, const char *expected)
{
    draft d;
    draft_init(&d);
    draft_printable(&d, bytes);
    EXPECT_TEXT(draft_chars(&d), expected);
    draft_fini(&d);
}

// A peer must not be able to move an operator's cursor, hide text or turn its direction.
TEST(draft, hostile_bytes_do_not_reach_a_terminal)
{
    expect_printable(BYTES("plain, h\xc3\xa9t\xc3\xa9, \xe6\x97\xa5\xe6\x9c\xac"),
                     "plain, h\xc3\xa9t\xc3\xa9, \xe6\x97\xa5\xe6\x9c\xac");
    expect_printable(BYTES("\033[2Jgone"), "\\x1b[2Jgone");
    expect_printable(BYTES("a\nb\r\tc"), "a\\x0ab\\x0d\\x09c");
    expect_printable(BYTES("nul\0del\x7f"), "nul\\x00del\\x7f");
    expect_printable(BYTES("\xc2\x9b"
                           "31m"),
                     "\\xc2\\x9b31m"); // CSI as one character
    expect_printable(BYTES("a\xe2\x80\xae"
                           "b"),
                     "a\\xe2\\x80\\xaeb"); // right-to-left override
    expect_printable(BYTES("a\xe2\x80\x8b"
                           "b"),
                     "a\\xe2\\x80\\x8bb");                        // zero width
    expect_printable(BYTES("\xef\xbb\xbfx"), "\\xef\\xbb\\xbfx"); // byte order mark
    expect_printable(BYTES("\xc3"), "\\xc3");                     // cut in the middle
    expect_printable(BYTES("\xff\xfe"), "\\xff\\xfe");
    expect_printable(BYTES("\xc0\xaf"), "\\xc0\\xaf");               // overlong
    expect_printable(BYTES("\xf0\x9f\x87\xaf"), "\xf0\x9f\x87\xaf"); // a flag's half is harmless
}

// The body of a reply on a terminal: its lines stay lines, and it moves no cursor.
TEST(draft, lines_of_a_stranger_stay_readable)
{
    draft d;
    draft_init(&d);
    draft_readable(&d, BYTES("one\n\ttwo\r\n\033[2J\n"));
    EXPECT_TEXT(draft_chars(&d), "one\n\ttwo\\x0d\n\\x1b[2J\n");
    draft_clear(&d);
    draft_readable(&d, (phi_bytes){ 0 });
    EXPECT_EQ(draft_size(&d), 0);
    draft_fini(&d);
}

// Formatted pieces longer than the usual ones must come out whole.
TEST(draft, long_formats_are_not_cut)
{
    char word[2000];
    memset(word, 'w', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    draft d;
    draft_init(&d);
    draft_format(&d, "<%s>", word);
    EXPECT_EQ(draft_size(&d), sizeof word + 1);
    EXPECT(draft_view(&d).data[sizeof word] == '>');
    EXPECT(!d.is_cut);
    draft_fini(&d);
}

// Help that runs over the edge of a terminal is not read.
TEST(draft, wrapped_lines_keep_indent_and_width)
{
    draft d;
    draft_init(&d);
    draft_wrap(&d, "one two three four", 4, 4, 12);
    EXPECT_TEXT(draft_chars(&d), "one two\n    three\n    four");
    draft_clear(&d);
    draft_wrap(&d, "unbreakable-as-it-is", 0, 2, 5);
    EXPECT_TEXT(draft_chars(&d), "unbreakable-as-it-is");
    draft_fini(&d);
}

// What a command says to type next would do something else with a path that has a space in it.
TEST(draft, words_for_a_shell_stay_one_word)
{
    static const char *const words[][2] = {
        { "a/b-1_2.crt", "a/b-1_2.crt" }, { "a b", "'a b'" }, { "it's", "'it'\\''s'" },
        { "$(reboot)", "'$(reboot)'" },   { "-rf", "'-rf'" }, { "", "''" },
    };
    draft d;
    draft_init(&d);
    for (size_t i = 0; i < PHI_COUNT_OF(words); i++) {
        draft_clear(&d);
        draft_shell(&d, words[i][0]);
        EXPECT_TEXT(draft_chars(&d), words[i][1]);
    }
    draft_fini(&d);
}

// A text of nothing is a text too.
TEST(draft, empty_is_an_empty_text)
{
    draft d;
    draft_init(&d);
    EXPECT_TEXT(draft_chars(&d), "");
    EXPECT_EQ(draft_size(&d), 0);
    draft_fini(&d);
}
