// SPDX-License-Identifier: Apache-2.0
//
// app/suggest_test.c - the nearest name to a mistyped one.

#include "app/suggest.h"

#include <stdint.h>
#include <string.h>

#include "tests/harness/test.h"

// One edit of each kind counts once: a swap of two letters is the commonest slip.
TEST(suggest, each_edit_counts_once)
{
    EXPECT_EQ(suggest_distance("call", "call"), 0);
    EXPECT_EQ(suggest_distance("cal", "call"), 1);
    EXPECT_EQ(suggest_distance("calll", "call"), 1);
    EXPECT_EQ(suggest_distance("cell", "call"), 1);
    EXPECT_EQ(suggest_distance("clal", "call"), 1);
    EXPECT_EQ(suggest_distance("", "call"), 4);
    EXPECT_EQ(suggest_distance("watch", "serve"), 5);
}

// What a user typed may be of any length; the table of distances is not.
TEST(suggest, long_words_are_far_from_everything)
{
    char word[SUGGEST_BYTES_MAX + 2];
    memset(word, 'a', sizeof word);
    word[SUGGEST_BYTES_MAX + 1] = '\0';
    EXPECT(suggest_distance(word, "call") == SIZE_MAX);
    EXPECT(suggest_distance("call", word) == SIZE_MAX);
    word[SUGGEST_BYTES_MAX] = '\0';
    EXPECT_EQ(suggest_distance(word, "a"), SUGGEST_BYTES_MAX - 1);
}

// A suggestion that is nonsense is worse than none.
TEST(suggest, only_near_names_are_suggested)
{
    static const char *const names[] = { "serve", "send", "call", "check-config", "doc", "status" };
    static const struct {
        const char *word;
        const char *best;
    } cases[] = {
        { "serv", "serve" },  { "sned", "send" },
        { "cal", "call" },    { "check", "check-config" },
        { "dco", "doc" },     { "stat", "status" },
        { "top", NULL },      { "start", NULL },
        { "xyz", NULL },      { "publish", NULL },
        { "servo", "serve" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        suggestion s = suggestion_for(cases[i].word);
        for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
            suggestion_try(&s, names[k]);
        }
        if (cases[i].best == NULL) {
            EXPECT(s.best == NULL);
        } else {
            EXPECT_TEXT(s.best, cases[i].best);
        }
    }
}
