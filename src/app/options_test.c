// SPDX-License-Identifier: Apache-2.0
//
// app/options_test.c - arguments of a command.

#include "app/options.h"

#include <stdlib.h>
#include <string.h>

#include "tests/harness/test.h"

static const option table[] = {
    { .name = "count",
      .letter = 'n',
      .kind = OPTION_COUNT,
      .argument = "N",
      .fallback = "3",
      .min = 1,
      .max = 10,
      .help = "how many",
      .env = "POSTHOUSE_TEST_COUNT" },
    { .name = "verbose", .letter = 'v', .kind = OPTION_FLAG, .help = "more" },
    { .name = "quiet", .letter = 'q', .kind = OPTION_FLAG, .help = "less" },
    { .name = "listen", .kind = OPTION_LIST, .argument = "ADDRESS", .help = "where" },
    { .name = "suite",
      .kind = OPTION_CHOICE,
      .argument = "S",
      .choices = "plain|check|paper",
      .help = "which" },
    { .name = "time", .kind = OPTION_TIME, .argument = "TIME", .help = "how long" },
};

static ph_err parse(args *a, phi_diag *diag, int argc, const char *const *argv)
{
    args_init(a);
    args_accept(a, table, PHI_COUNT_OF(table));
    memset(diag, 0, sizeof *diag);
    int used = 0;
    ph_err rc = args_parse(a, argc, (char *const *)(uintptr_t)argv, false, &used, diag);
    if (rc == PH_OK) {
        EXPECT_EQ(used, argc);
        rc = args_complete(a, diag);
    }
    return rc;
}

#define PARSE(...)                                                                                 \
    parse(&a, &diag, (int)PHI_COUNT_OF(((const char *const[]){ __VA_ARGS__ })),                    \
          (const char *const[]){ __VA_ARGS__ })

// Every way in which an option may be written means the same.
TEST(options, each_form_is_understood)
{
    args a;
    phi_diag diag;
    EXPECT_ERR(PARSE("one", "--count", "4", "two"), PH_OK);
    EXPECT_EQ(args_number(&a, "count"), 4);
    EXPECT_EQ(a.word_count, 2);
    EXPECT_TEXT(a.words[1], "two");
    EXPECT_ERR(PARSE("--count=5"), PH_OK);
    EXPECT_EQ(args_number(&a, "count"), 5);
    EXPECT_ERR(PARSE("-n", "6"), PH_OK);
    EXPECT_EQ(args_number(&a, "count"), 6);
    EXPECT_ERR(PARSE("-vqn7"), PH_OK);
    EXPECT_EQ(args_number(&a, "count"), 7);
    EXPECT(args_flag(&a, "verbose"));
    EXPECT(args_flag(&a, "quiet"));
    EXPECT_ERR(PARSE("--count", "8", "--count", "9"), PH_OK); // the last one counts
    EXPECT_EQ(args_number(&a, "count"), 9);
}

// "-" is standard input, and what stands behind "--" is never an option.
TEST(options, dashes_are_words_where_they_are_meant_to_be)
{
    args a;
    phi_diag diag;
    EXPECT_ERR(PARSE("-", "--", "--count", "-v"), PH_OK);
    EXPECT_EQ(a.word_count, 3);
    EXPECT_TEXT(a.words[0], "-");
    EXPECT_TEXT(a.words[1], "--count");
    EXPECT(!args_flag(&a, "verbose"));
}

// Command line before environment before default; and it is known which it was.
TEST(options, command_line_goes_before_environment)
{
    args a;
    phi_diag diag;
    EXPECT_ERR(PARSE("x"), PH_OK);
    EXPECT_EQ(args_number(&a, "count"), 3);
    EXPECT(!args_get(&a, "count")->is_given);
    setenv("POSTHOUSE_TEST_COUNT", "7", 1);
    EXPECT_ERR(PARSE("x"), PH_OK);
    EXPECT_EQ(args_number(&a, "count"), 7);
    EXPECT(!args_get(&a, "count")->is_given);
    EXPECT_ERR(PARSE("--count", "8"), PH_OK);
    EXPECT_EQ(args_number(&a, "count"), 8);
    EXPECT(args_get(&a, "count")->is_given);
    setenv("POSTHOUSE_TEST_COUNT", "none", 1);
    EXPECT_ERR(PARSE("x"), PH_EINVAL);
    EXPECT(strstr(diag.text, "POSTHOUSE_TEST_COUNT") != NULL);
    unsetenv("POSTHOUSE_TEST_COUNT");
    EXPECT(args_text(&a, "time") == NULL);
}

// A list keeps what it is given, in order, up to its limit.
TEST(options, lists_have_an_end)
{
    args a;
    phi_diag diag;
    EXPECT_ERR(PARSE("--listen", "a", "--listen=b"), PH_OK);
    EXPECT_EQ(args_get(&a, "listen")->count, 2);
    EXPECT_TEXT(args_get(&a, "listen")->texts[1], "b");
    const char *many[2 * (ARGS_REPEAT_MAX + 1)];
    for (size_t i = 0; i < PHI_COUNT_OF(many); i += 2) {
        many[i] = "--listen";
        many[i + 1] = "a";
    }
    EXPECT_ERR(parse(&a, &diag, 2 * ARGS_REPEAT_MAX, many), PH_OK);
    EXPECT_ERR(parse(&a, &diag, 2 * (ARGS_REPEAT_MAX + 1), many), PH_EINVAL);
    const char *words[ARGS_WORDS_MAX + 1];
    for (size_t i = 0; i < PHI_COUNT_OF(words); i++) {
        words[i] = "w";
    }
    EXPECT_ERR(parse(&a, &diag, ARGS_WORDS_MAX, words), PH_OK);
    EXPECT_ERR(parse(&a, &diag, ARGS_WORDS_MAX + 1, words), PH_EINVAL);
}

// A mistake is answered with what was expected, so that the next try succeeds.
TEST(options, mistakes_are_explained)
{
    static const struct {
        const char *argv[2];
        const char *says;
    } cases[] = {
        { { "--cuont", "3" }, "unknown option '--cuont'; did you mean '--count'?" },
        { { "--zzzzzzz", "3" }, "unknown option '--zzzzzzz'" },
        { { "-x", "3" }, "unknown option '-x'" },
        { { "x", "--count" }, "--count needs an argument: N" },
        { { "x", "-n" }, "--count needs an argument: N" },
        { { "--count", "11" }, "--count: 11 is out of range: 1 to 10" },
        { { "--count", "" }, "--count: '' is not a whole number" },
        { { "--verbose=yes", "x" }, "--verbose takes no argument" },
        { { "--suite", "chek" }, "--suite: 'chek' is none of plain|check|paper" },
        { { "--time", "5" }, "--time: '5' is not a time such as" },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(cases); i++) {
        args a;
        phi_diag diag;
        EXPECT_ERR(parse(&a, &diag, 2, cases[i].argv), PH_EINVAL);
        if (strstr(diag.text, cases[i].says) == NULL) {
            EXPECT_TEXT(diag.text, cases[i].says);
        }
    }
}

// Reading up to the name of a command must not eat its own arguments.
TEST(options, reading_can_stop_at_the_first_word)
{
    args a;
    phi_diag diag = { { 0 } };
    args_init(&a);
    args_accept(&a, table, PHI_COUNT_OF(table));
    char *const argv[] = { (char[]){ "-v" }, (char[]){ "call" }, (char[]){ "--strange" } };
    int used = 0;
    EXPECT_ERR(args_parse(&a, 3, argv, true, &used, &diag), PH_OK);
    EXPECT_EQ(used, 1);
    EXPECT(args_flag(&a, "verbose"));
}

// --help and the parser read the same table; every option has to be in it.
TEST(options, help_shows_every_option_and_its_default)
{
    draft d;
    draft_init(&d);
    options_help(&d, table, PHI_COUNT_OF(table));
    const char *help = draft_chars(&d);
    for (size_t i = 0; i < PHI_COUNT_OF(table); i++) {
        EXPECT(strstr(help, table[i].name) != NULL);
        EXPECT(strstr(help, table[i].help) != NULL);
    }
    EXPECT(strstr(help, "-n, --count N") != NULL);
    EXPECT(strstr(help, "how many [3] (or POSTHOUSE_TEST_COUNT)") != NULL);
    EXPECT(strstr(help, "which: plain|check|paper") != NULL);
    EXPECT(strstr(help, "where May repeat.") != NULL);
    draft_fini(&d);
}

// A command may mean something else by a name than the others do: `serve --tls-key` is the
// center's.
TEST(options, a_later_table_replaces_a_row)
{
    static const option own[] = {
        { .name = "time", .kind = OPTION_TEXT, .argument = "WORD", .help = "what" },
    };
    args a;
    phi_diag diag = { { 0 } };
    args_init(&a);
    args_accept(&a, table, PHI_COUNT_OF(table));
    args_accept(&a, own, PHI_COUNT_OF(own));
    EXPECT_EQ(a.option_count, PHI_COUNT_OF(table));
    EXPECT(args_option(&a, "time") == &own[0]);
    EXPECT(args_option(&a, "suite") == &table[4]);
    char *argv[] = { (char[]){ "--time" }, (char[]){ "noon" } };
    int used = 0;
    EXPECT_ERR(args_parse(&a, 2, argv, false, &used, &diag), PH_OK);
    EXPECT_TEXT(args_text(&a, "time"), "noon");
}
