// SPDX-License-Identifier: Apache-2.0
//
// tests/tidy/rules_tests.c - rules on tests: they do not sleep, and they say what they are for.

#include "tests/tidy/tidy.h"

#include <string.h>

static void sleep_in_c(const file *f)
{
    static const char *const names[] = { "sleep", "usleep", "nanosleep", "clock_nanosleep",
                                         "uv_sleep" };
    for (size_t i = 0; i + 1 < f->token_count; i++) {
        for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
            if (is_word(&f->tokens[i], names[n]) && is_punct(&f->tokens[i + 1], '(')) {
                report(f->path, f->tokens[i].line, "%s: wait for what is to happen", names[n]);
            }
        }
    }
}

// Shell and Python, by their looks: a command at the start of a line or after what separates
// commands, or a call.
static void sleep_in_script(const file *f)
{
    static const char *const calls[] = { "time.sleep(", "asyncio.sleep(" };
    static const char *const separators[] = { ";", "&&", "||", "do", "then", "{" };
    for (size_t i = 0; i < f->line_count; i++) {
        const char *line = f->lines[i] + strspn(f->lines[i], " \t");
        bool is_found = has_suffix(f->path, ".sh") && has_prefix(line, "sleep ");
        for (size_t k = 0; k < sizeof calls / sizeof calls[0]; k++) {
            is_found = is_found || (*line != '#' && strstr(line, calls[k]) != NULL);
        }
        for (size_t k = 0; k < sizeof separators / sizeof separators[0]; k++) {
            const char *at = strstr(line, separators[k]);
            is_found = is_found || (*line != '#' && has_suffix(f->path, ".sh") && at != NULL &&
                                    has_prefix(at + strlen(separators[k]), " sleep "));
        }
        if (is_found) {
            report(f->path, i + 1, "a sleep: wait for what is to happen");
        }
    }
}

void check_sleep(const file *f)
{
    if (!f->is_test && !has_prefix(f->path, "sim/")) {
        return;
    }
    if (f->is_c) {
        sleep_in_c(f);
    } else if (has_suffix(f->path, ".sh") || has_suffix(f->path, ".py")) {
        sleep_in_script(f);
    }
}

void check_test_says(const file *f)
{
    if (!f->is_test || !f->is_c) {
        return;
    }
    for (size_t i = 0; i < f->line_count; i++) {
        if (has_prefix(f->lines[i], "TEST(") && (i == 0 || !has_prefix(f->lines[i - 1], "//"))) {
            report(f->path, i + 1, "a sentence above it: what would be broken if this failed");
        }
    }
}
