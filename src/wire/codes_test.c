// SPDX-License-Identifier: Apache-2.0
//
// wire/codes_test.c - the tables of docs/protocol.md and those of the code are the same.

#include "wire/codes.h"

#include "tests/harness/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct row {
    long code;
    char name[64];
} row;

static char document[256 * 1024];

static void document_load(void)
{
    if (document[0] != '\0') {
        return;
    }
    FILE *f = fopen(PH_SOURCE_DIR "/docs/protocol.md", "r");
    EXPECT(f != NULL);
    size_t size = fread(document, 1, sizeof document - 1, f);
    EXPECT(size > 0);
    EXPECT(size < sizeof document - 1);
    document[size] = '\0';
    fclose(f);
}

// The rows of the first table behind the clause: `| code | name | ...`.
static size_t table_read(const char *clause, row *rows, size_t rows_max)
{
    document_load();
    char mark[32];
    snprintf(mark, sizeof mark, "**[%s]**", clause);
    const char *at = strstr(document, mark);
    EXPECT(at != NULL);
    at = strstr(at, "\n|");
    EXPECT(at != NULL);
    size_t count = 0;
    for (at++; *at == '|'; at = strchr(at, '\n') + 1) {
        char *end;
        long code = strtol(at + 1, &end, 0);
        if (end == at + 1) {
            continue; // the head, and the line under it
        }
        EXPECT(count < rows_max);
        const char *name = strchr(end, '|') + 1;
        name += strspn(name, " ");
        size_t size = strcspn(name, "|");
        while (size > 0 && name[size - 1] == ' ') {
            size--;
        }
        EXPECT(size < sizeof rows->name);
        rows[count].code = code;
        memcpy(rows[count].name, name, size);
        rows[count].name[size] = '\0';
        count++;
    }
    EXPECT(count > 0);
    return count;
}

static void expect_row(const row *rows, size_t count, long code, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (rows[i].code == code) {
            EXPECT_TEXT(rows[i].name, name);
            return;
        }
    }
    fail_msg("%ld %s is not in the document", code, name);
}

// A stranger takes the numbers from the document: each must be there, under its name, and no other.
// [P-30]
TEST(codes, commands_are_those_of_the_document)
{
    row rows[64];
    size_t count = table_read("P-30", rows, 64);
    size_t known = 0;
#define PHI_COMMAND(name, code, clause, text)                                                      \
    expect_row(rows, count, code, text);                                                           \
    EXPECT_TEXT(phi_command_name(code), text);                                                     \
    known++;
#include "wire/codes.def"
#undef PHI_COMMAND
    EXPECT_EQ(count, known);
    EXPECT_TEXT(phi_command_name(0), "unknown");
    EXPECT_TEXT(phi_command_name(UINT16_MAX), "unknown");
}

// [P-61]
TEST(codes, byes_are_those_of_the_document)
{
    row rows[64];
    size_t count = table_read("P-61", rows, 64);
#define PHI_BYE(name, code, label, text)                                                           \
    expect_row(rows, count, code, label);                                                          \
    EXPECT_TEXT(phi_bye_name(code), label);                                                        \
    EXPECT_TEXT(phi_bye_text(code), text);
#include "wire/codes.def"
#undef PHI_BYE
    EXPECT_EQ(count, PHI_BYE_COUNT);
    EXPECT_TEXT(phi_bye_name(UINT16_MAX), "unknown");
    EXPECT(strlen(phi_bye_text(UINT16_MAX)) > 0);
}

// [P-47]
TEST(codes, whys_are_those_of_the_document)
{
    row rows[64];
    size_t count = table_read("P-47", rows, 64);
#define PHI_WHY(name, code, label)                                                                 \
    EXPECT_TEXT(phi_why_name(code), label);                                                        \
    if ((code) != PHI_WHY_NONE) {                                                                  \
        expect_row(rows, count, code, label);                                                      \
    }
#include "wire/codes.def"
#undef PHI_WHY
    EXPECT_EQ(count, PHI_WHY_COUNT - 1); // 0 is no reason
    EXPECT_TEXT(phi_why_name(UINT8_MAX), "unknown");
}

// [P-51]
TEST(codes, kinds_are_those_of_the_document)
{
    row rows[64];
    size_t count = table_read("P-51", rows, 64);
    size_t known = 0;
#define PHI_KIND(name, code, text)                                                                 \
    expect_row(rows, count, code, text);                                                           \
    EXPECT_TEXT(phi_kind_name(code), text);                                                        \
    known++;
#include "wire/codes.def"
#undef PHI_KIND
    EXPECT_EQ(count, known);
    EXPECT_TEXT(phi_kind_name(0), "unknown");
}

// [P-58]
TEST(codes, failures_are_those_of_the_document)
{
    row rows[64];
    size_t count = table_read("P-58", rows, 64);
    size_t known = 0;
#define PH_FAILURE(name, code, label, text)                                                        \
    expect_row(rows, count, code, label);                                                          \
    known++;
#include <posthouse/failure.def>
#undef PH_FAILURE
    EXPECT_EQ(count, known);
}
