// SPDX-License-Identifier: Apache-2.0
//
// app/table_test.c - columns that line up.

#include "app/table.h"

#include "tests/harness/test.h"

static const term_style plain = { "", "", "", "", "", "" };

// Columns must line up for every content: wide characters, empty cells, hostile bytes.
TEST(table, columns_line_up)
{
    table t;
    table_init(&t, (const char *const[]){ "ID", "N", "END" }, 3);
    table_right(&t, 1);
    table_text(&t, "\xc3\xa9t\xc3\xa9@home"); // two characters of two bytes
    table_text(&t, "1");
    table_text(&t, "x");
    table_cell(&t, phi_bytes_of("a\033", 2));
    table_format(&t, "%d", 1000);
    table_text(&t, "");
    draft out;
    draft_init(&out);
    table_render(&t, &out, plain);
    EXPECT_TEXT(draft_chars(&out), "ID           N  END\n"
                                   "\xc3\xa9t\xc3\xa9@home     1  x\n"
                                   "a\\x1b     1000  -\n");
    draft_fini(&out);
    table_fini(&t);
}

// A list of nobody still says what its columns would be.
TEST(table, no_rows_is_only_the_head)
{
    table t;
    table_init(&t, (const char *const[]){ "ID", "STATE" }, 2);
    draft out;
    draft_init(&out);
    table_render(&t, &out, plain);
    EXPECT_TEXT(draft_chars(&out), "ID  STATE\n");
    draft_fini(&out);
    table_fini(&t);
}
