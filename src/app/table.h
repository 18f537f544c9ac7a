// SPDX-License-Identifier: Apache-2.0
//
// app/table.h - columns that line up.
//
//     table t;
//     table_init(&t, (const char *const[]){ "ID", "STATE" }, 2);
//     table_cell(&t, id);
//     table_cell(&t, state);
//     table_render(&t, &out, style);
//     table_fini(&t);

#ifndef APP_TABLE_H
#define APP_TABLE_H

#include "app/draft.h"
#include "app/term.h"

#define TABLE_COLUMNS_MAX 12

typedef struct table {
    size_t columns;
    size_t widths[TABLE_COLUMNS_MAX];
    const char *heads[TABLE_COLUMNS_MAX]; // borrowed
    bool is_right[TABLE_COLUMNS_MAX];     // numbers: aligned to the right
    size_t cell_count;
    draft cells; // each ends with a NUL
} table;

void table_init(table *t, const char *const *heads, size_t columns);
void table_fini(table *t);
void table_right(table *t, size_t column);

// The next cell, row by row, made printable. Empty ones are shown as "-".
void table_cell(table *t, phi_bytes bytes);
void table_text(table *t, const char *chars);
PHI_PRINTF(2, 3) void table_format(table *t, const char *format, ...);

// The head is written in bold; a table without rows is only its head.
void table_render(const table *t, draft *to, term_style style);

#endif // APP_TABLE_H
