// SPDX-License-Identifier: Apache-2.0
//
// base/shell_test.c

#include "base/shell.h"

#include "base/compiler.h"
#include "tests/harness/test.h"

// Whoever pastes an advice such as `chmod 640 ...` must change that file and run nothing else,
// whatever it is called.
TEST(shell, word_is_one_word)
{
    static const struct {
        const char *chars;
        const char *word;
    } rows[] = {
        { "center.key", "center.key" },
        { "/etc/posthouse/c_1.key", "/etc/posthouse/c_1.key" },
        { "my key", "'my key'" },
        { "", "''" },
        { "-rf", "'-rf'" },
        { "~/key", "'~/key'" },
        { "a;b", "'a;b'" },
        { "$(id)", "'$(id)'" },
        { "it's", "'it'\\''s'" },
    };
    char room[32];
    for (size_t i = 0; i < PHI_COUNT_OF(rows); i++) {
        EXPECT_TEXT(phi_shell_word(rows[i].chars, room, sizeof room), rows[i].word);
    }
    EXPECT_TEXT(phi_shell_word("a b", room, 6), "'a b'"); // just fits
    EXPECT_TEXT(phi_shell_word("a b", room, 5), "a b");
}
