// SPDX-License-Identifier: Apache-2.0
//
// app/config_test.c - the schema, and the configuration file against it. What the program says for
// each mistake is tested in tests/e2e/config.sh.

#include "app/config.h"

#include <stdlib.h>
#include <string.h>

#include "tests/app/config_text.h"
#include "tests/harness/test.h"

static config c;
static config_errors errors;

static void parse(const char *yaml)
{
    config_of_text(&c, &errors, yaml);
}

// Every row has to be whole: its names are what users write, its help is their manual.
TEST(config, every_row_is_complete)
{
    for (config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
        const config_row *row = config_get_row(key);
        EXPECT(strlen(row->help) > 10);
        EXPECT(strspn(row->path, "abcdefghijklmnopqrstuvwxyz0123456789_.") == strlen(row->path));
        EXPECT(strspn(row->flag, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(row->flag));
        EXPECT(strncmp(row->env, "POSTHOUSE_", 10) == 0);
        EXPECT_EQ(config_find(row->path), key);
        EXPECT(row->fallback != NULL);
        for (config_key other = 0; other < key; other++) {
            EXPECT(strcmp(row->flag, config_get_row(other)->flag) != 0);
        }
    }
    EXPECT_EQ(config_find("nothing"), CONFIG_KEY_COUNT);
}

// The defaults of the table have to be those of the center itself.
TEST(config, defaults_are_the_centers_own)
{
    config_init(&c);
    center_options from_table = config_center(&c);
    center_options own = center_options_default();
#define CENTER_LIMIT(name, type, fallback, min, max, unit, help)                                   \
    EXPECT(from_table.name == own.name);
#include "center/limits.def"
#undef CENTER_LIMIT
    EXPECT_EQ(from_table.suite, own.suite);
    EXPECT_EQ(from_table.insecure_allow_remote, own.insecure_allow_remote);
    errors.count = 0;
    config_settle(&c, &errors);
    EXPECT_EQ(errors.count, 0);
}

// A value of the file must arrive at its key and nowhere else.
TEST(config, each_kind_of_value_is_read)
{
    parse("listen:\n  - 127.0.0.1:1\n  - unix:/x\n"
          "domain: home\n"
          "suite: paper\n"
          "insecure_allow_remote: true\n"
          "log: {level: warn, format: json}\n"
          "workers: 4\n"
          "connections_max: 10\n"
          "packet_max: 32KiB\n"
          "join_timeout: 7s\n");
    EXPECT_EQ(errors.count, 0);
    EXPECT_EQ(c.listen_count, 2);
    EXPECT_TEXT(c.listen[1], "unix:/x");
    center_options o = config_center(&c);
    EXPECT_TEXT(o.domain, "home");
    EXPECT_EQ(o.suite, PHI_SUITE_PAPER);
    EXPECT(o.insecure_allow_remote);
    EXPECT_EQ(c.values[CONFIG_workers].number, 4);
    EXPECT_EQ(o.connections_max, 10);
    EXPECT_EQ(o.packet_max, 32768);
    EXPECT_EQ(o.join_timeout, 7000);
    EXPECT_EQ(config_log_level(&c), PHI_LOG_WARN);
    EXPECT_EQ(c.values[CONFIG_join_timeout].line, 11);
    EXPECT_EQ(c.values[CONFIG_join_timeout].origin, CONFIG_FROM_FILE);
}

// Lowering one limit must not need a second line, and what is then in force must be what is shown.
TEST(config, defaults_yield_to_a_limit_that_was_set)
{
    parse("connections_max: 10\n\ncalls_max: 100\ncall_time_max: 7s\n");
    config_settle(&c, &errors);
    EXPECT_EQ(errors.count, 0);
    center_options o = config_center(&c);
    EXPECT_EQ(o.connections_joining_max, 10);
    EXPECT_EQ(o.calls_per_client_max, 100);
    EXPECT_EQ(o.call_time_default, 7000);
    EXPECT_EQ(c.values[CONFIG_calls_per_client_max].line, 3);
    EXPECT_EQ(c.values[CONFIG_calls_per_client_max].origin, CONFIG_FROM_FILE);
}

// Two values of somebody's own that contradict each other are a mistake: which one is meant cannot
// be known. Equal ones are not.
TEST(config, limits_that_contradict_each_other_are_told)
{
    parse("connections_joining_max: 11\nconnections_max: 10\n"
          "calls_max: 100\ncalls_per_client_max: 101\n"
          "call_time_default: 8s\ncall_time_max: 7s\n");
    config_settle(&c, &errors);
    EXPECT_EQ(errors.count, 3);
    EXPECT_EQ(errors.list[0].line, 1);
    EXPECT_TEXT(errors.list[0].text,
                "connections_joining_max: 11 is more than connections_max, 10 (c.yaml:2)");
    EXPECT_EQ(errors.list[1].line, 4);
    EXPECT_EQ(errors.list[2].line, 5);
    EXPECT_EQ(c.values[CONFIG_call_time_default].number, 8000);

    parse("call_time_default: 7s\ncall_time_max: 7s\n");
    config_settle(&c, &errors);
    EXPECT_EQ(errors.count, 0);

    parse("calls_max: 100\n");
    EXPECT_ERR(config_set(&c, CONFIG_calls_per_client_max, "101", CONFIG_FROM_FLAG, NULL), PH_OK);
    config_settle(&c, &errors);
    EXPECT_EQ(errors.count, 1);
    EXPECT_EQ(errors.list[0].line, 0);
    EXPECT_TEXT(errors.list[0].text,
                "--calls-per-client-max: 101 is more than calls_max, 100 (c.yaml:1)");
}

// A list of a later source takes the place of an earlier one; two centers on one port would be the
// result of mixing them.
TEST(config, later_sources_replace_lists)
{
    parse("listen: [127.0.0.1:1, 127.0.0.1:2]\n");
    EXPECT_EQ(c.listen_count, 2);
    EXPECT_ERR(config_add(&c, CONFIG_listen, "127.0.0.1:3", CONFIG_FROM_FLAG, NULL), PH_OK);
    EXPECT_ERR(config_add(&c, CONFIG_listen, "127.0.0.1:4", CONFIG_FROM_FLAG, NULL), PH_OK);
    EXPECT_EQ(c.listen_count, 2);
    EXPECT_TEXT(c.listen[0], "127.0.0.1:3");
    for (size_t i = c.listen_count; i < CONFIG_LISTEN_MAX; i++) {
        EXPECT_ERR(config_add(&c, CONFIG_listen, "127.0.0.1:0", CONFIG_FROM_FLAG, NULL), PH_OK);
    }
    EXPECT_ERR(config_add(&c, CONFIG_listen, "127.0.0.1:9", CONFIG_FROM_FLAG, NULL), PH_EINVAL);
}

// After a mistake in one value the others are still judged, each with its own place.
TEST(config, all_mistakes_are_told_with_their_places)
{
    parse("# a comment\n"
          "nonsense: 1\n"
          "domain: Home\n"
          "  \n"
          "log:\n"
          "  level: loud\n");
    EXPECT_EQ(errors.count, 3);
    EXPECT_EQ(errors.list[0].line, 2);
    EXPECT_EQ(errors.list[0].column, 1);
    EXPECT_EQ(errors.list[1].line, 3);
    EXPECT_EQ(errors.list[1].column, 9);
    EXPECT_EQ(errors.list[2].line, 6);
    EXPECT_EQ(errors.list[2].column, 10);
    EXPECT_TEXT(c.values[CONFIG_domain].text, "local"); // what is wrong is not taken
}

// An error buffer that overflows would be the reader's own bug.
TEST(config, mistakes_beyond_the_limit_are_counted)
{
    config_init(&c);
    memset(&errors, 0, sizeof errors);
    for (size_t i = 0; i < CONFIG_ERRORS_MAX + 5; i++) {
        config_complain(&errors, 1, 1, "%s", "x");
    }
    EXPECT_EQ(errors.count, CONFIG_ERRORS_MAX);
    EXPECT_EQ(errors.left_out, 5);
}

// Whatever a file holds, reading it ends, in bounded memory and without a crash: every front part
// of a good file, and every file that differs from it in one byte.
TEST(config, damaged_files_are_survived)
{
    static const char good[] = "listen: [127.0.0.1:1]\nlog: {level: info}\ncalls_max: 10\n";
    char yaml[sizeof good];
    for (size_t size = 0; size < sizeof good - 1; size++) {
        config_init(&c);
        memset(&errors, 0, sizeof errors);
        config_parse(&c, "c.yaml", phi_bytes_of(good, size), &errors);
        for (int byte = 1; byte < 256; byte += 7) {
            memcpy(yaml, good, sizeof good);
            yaml[size] = (char)byte;
            memset(&errors, 0, sizeof errors);
            config_parse(&c, "c.yaml", phi_bytes_of(yaml, sizeof good - 1), &errors);
        }
    }
}

// An empty file, and one of comments only, are all defaults.
TEST(config, nothing_is_all_defaults)
{
    parse("");
    EXPECT_EQ(errors.count, 0);
    parse("# nothing\n---\n");
    EXPECT_EQ(errors.count, 0);
    EXPECT_EQ(c.values[CONFIG_domain].origin, CONFIG_FROM_DEFAULT);
}

// A reload takes what its schema says, and the rules; everything else stays as it is in force.
TEST(config, a_reload_takes_only_what_needs_no_restart)
{
    static config fresh;
    parse("domain: old\nusers: ['1=a']\ncalls_max: 10\n");
    config_of_text(&fresh, &errors,
                   "domain: new\nusers: ['2=b', '3=c']\ncalls_max: 20\n"
                   "log: {level: warn}\ntokens: {secret: 'env:X'}\nrules: []\n");
    EXPECT_EQ(errors.count, 0);
    config_take_reloadable(&c, &fresh);
    EXPECT_TEXT(config_text(&c, CONFIG_domain), "old");
    EXPECT_EQ(c.values[CONFIG_calls_max].number, 10);
    EXPECT_EQ(c.user_count, 2);
    EXPECT_EQ(c.users[1].uid, 3);
    EXPECT_TEXT(config_text(&c, CONFIG_tokens_secret), "env:X");
    EXPECT_EQ(config_log_level(&c), PHI_LOG_WARN);
    EXPECT(c.rules != NULL);
    EXPECT(fresh.rules == NULL);
    config_fini(&fresh);
    config_fini(&c);
}
