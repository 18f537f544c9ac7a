// SPDX-License-Identifier: Apache-2.0
//
// app/table.c - columns that line up.

#include "app/table.h"

#include <stdarg.h>

#include "base/assert.h"

#define GAP 2
#define CELL_BYTES 256

static void add_padded(const table *t, size_t column, phi_bytes cell, draft *to);

void table_init(table *t, const char *const *heads, size_t columns)
{
    PH_ASSERT(columns > 0);
    PH_ASSERT(columns <= TABLE_COLUMNS_MAX);
    *t = (table){ .columns = columns };
    for (size_t i = 0; i < columns; i++) {
        t->heads[i] = heads[i];
        t->widths[i] = draft_columns(phi_bytes_text(heads[i]));
    }
    draft_init(&t->cells);
}

void table_fini(table *t)
{
    draft_fini(&t->cells);
}

void table_right(table *t, size_t column)
{
    PH_ASSERT(column < t->columns);
    t->is_right[column] = true;
}

void table_cell(table *t, phi_bytes bytes)
{
    size_t before = draft_size(&t->cells);
    draft_printable(&t->cells, bytes.size == 0 ? phi_bytes_text("-") : bytes);
    phi_bytes all = draft_view(&t->cells);
    size_t width = draft_columns(phi_bytes_of(all.data + before, all.size - before));
    size_t column = t->cell_count % t->columns;
    if (width > t->widths[column]) {
        t->widths[column] = width;
    }
    draft_bytes(&t->cells, phi_bytes_of("", 1));
    t->cell_count++;
}

void table_text(table *t, const char *chars)
{
    table_cell(t, phi_bytes_text(chars));
}

void table_format(table *t, const char *format, ...)
{
    char cell[CELL_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(cell, sizeof cell, format, args);
    va_end(args);
    table_text(t, cell);
}

void table_render(const table *t, draft *to, term_style style)
{
    PH_ASSERT(t->cell_count % t->columns == 0);
    draft_add(to, style.bold);
    for (size_t i = 0; i < t->columns; i++) {
        add_padded(t, i, phi_bytes_text(t->heads[i]), to);
    }
    draft_add(to, style.reset);
    draft_add(to, "\n");
    phi_bytes cells = draft_view(&t->cells);
    size_t at = 0;
    for (size_t i = 0; i < t->cell_count && at < cells.size; i++) {
        size_t size = strnlen((const char *)cells.data + at, cells.size - at);
        add_padded(t, i % t->columns, phi_bytes_of(cells.data + at, size), to);
        at += size + 1;
        if (i % t->columns == t->columns - 1) {
            draft_add(to, "\n");
        }
    }
}

// The last column is not padded: no line ends in spaces.
static void add_padded(const table *t, size_t column, phi_bytes cell, draft *to)
{
    size_t missing = t->widths[column] - draft_columns(cell);
    bool is_last = column == t->columns - 1;
    if (t->is_right[column]) {
        draft_spaces(to, missing);
        draft_bytes(to, cell);
    } else {
        draft_bytes(to, cell);
        draft_spaces(to, is_last ? 0 : missing);
    }
    draft_spaces(to, is_last ? 0 : GAP);
}
