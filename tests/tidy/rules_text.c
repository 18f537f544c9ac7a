// SPDX-License-Identifier: Apache-2.0
//
// tests/tidy/rules_text.c - rules on lines and files as text.

#include "tests/tidy/tidy.h"

#include <stdio.h>
#include <string.h>

#define COLUMNS_MAX 100
#define SOURCE_LINES_MAX 800
#define TEST_LINES_MAX 1500
#define HEADER_LINES_MAX 400
#define CMAKE_LINES_MAX 30

// Characters, not bytes: UTF-8 counts as one sees it.
static size_t columns(const char *line)
{
    size_t count = 0;
    for (; *line != '\0'; line++) {
        count += ((unsigned char)*line & 0xc0) != 0x80;
    }
    return count;
}

void check_line_length(const file *f)
{
    for (size_t i = 0; f->is_c && i < f->line_count; i++) {
        size_t count = columns(f->lines[i]);
        if (count > COLUMNS_MAX) {
            report(f->path, i + 1, "%zu columns; at most %d", count, COLUMNS_MAX);
        }
    }
}

void check_blanks(const file *f)
{
    for (size_t i = 0; i < f->line_count; i++) {
        const char *line = f->lines[i];
        size_t size = strlen(line);
        if (size > 0 && strchr(" \t\r", line[size - 1]) != NULL) {
            report(f->path, i + 1, "blanks at the end of the line");
        }
        if (f->is_c && strchr(line, '\t') != NULL) {
            report(f->path, i + 1, "a tab; four spaces");
        }
    }
    if (f->size > 0 && f->text[f->size - 1] != '\n') {
        report(f->path, f->line_count, "the last line does not end");
    }
    if (f->line_count > 1 && f->lines[f->line_count - 1][0] == '\0') {
        report(f->path, f->line_count, "an empty line at the end");
    }
}

// In documents and data it would be noise; the licence covers them by the LICENSE file.
static bool needs_spdx(const file *f)
{
    static const char *const suffixes[] = { ".md", ".json", ".yaml", ".yml", NULL };
    for (const char *const *s = suffixes; *s != NULL; s++) {
        if (has_suffix(f->path, *s)) {
            return false;
        }
    }
    return !has_suffix(f->path, ".txt") || has_suffix(f->path, "CMakeLists.txt");
}

void check_spdx(const file *f)
{
    if (!needs_spdx(f)) {
        return;
    }
    size_t line = f->line_count > 1 && has_prefix(f->lines[0], "#!") ? 1 : 0;
    if (f->line_count <= line ||
        strstr(f->lines[line], "SPDX-License-Identifier: Apache-2.0") == NULL) {
        report(f->path, line + 1, "SPDX-License-Identifier: Apache-2.0 belongs here");
    }
}

void check_todo(const file *f)
{
    static const char *const marks[] = { "TO"
                                         "DO",
                                         "FIX"
                                         "ME",
                                         "X"
                                         "XX" };
    for (size_t i = 0; i < f->line_count; i++) {
        for (size_t m = 0; m < sizeof marks / sizeof marks[0]; m++) {
            unsigned issue = 0;
            const char *at = strstr(f->lines[i], marks[m]);
            if (at != NULL && has_word(at, marks[m]) &&
                sscanf(at + strlen(marks[m]), "(#%u)", &issue) != 1) {
                report(f->path, i + 1, "%s(#issue): who will remember it?", marks[m]);
            }
        }
    }
}

void check_file_size(const file *f)
{
    size_t max = SOURCE_LINES_MAX;
    if (has_suffix(f->path, "CMakeLists.txt")) {
        max = strchr(f->path, '/') == NULL ? SOURCE_LINES_MAX : CMAKE_LINES_MAX;
    } else if (!f->is_c) {
        return;
    } else if (has_suffix(f->path, ".h")) {
        max = HEADER_LINES_MAX;
    } else if (f->is_test) {
        max = TEST_LINES_MAX;
    }
    if (f->line_count > max) {
        report(f->path, 1, "%zu lines; at most %zu", f->line_count, max);
    }
}
