// SPDX-License-Identifier: Apache-2.0
//
// app/draft.h - a growing text: what a command prints, before it is printed. Foreign bytes get into
// it as JSON (text/json.h writes into its buffer), or made harmless for a terminal.
//
// Life     draft_init -> draft_add* -> draft_fini
// Limits   DRAFT_BYTES_MAX; what does not fit is left out and is_cut says so
// Threads  none

#ifndef APP_DRAFT_H
#define APP_DRAFT_H

#include <stdio.h>

#include <posthouse/message.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "text/json.h"

#define DRAFT_BYTES_MAX (64u * 1024u * 1024u)

typedef struct draft {
    phi_buf buf;
    bool is_cut; // something did not fit: the limit, or no memory
} draft;

void draft_init(draft *t);
void draft_fini(draft *t);
void draft_clear(draft *t);

static inline size_t draft_size(const draft *t)
{
    return phi_buf_size(&t->buf);
}
phi_bytes draft_view(const draft *t);

// Terminated; valid until the next change.
const char *draft_chars(draft *t);

void draft_add(draft *t, const char *chars);
void draft_bytes(draft *t, phi_bytes bytes);
PHI_PRINTF(2, 3) void draft_format(draft *t, const char *format, ...);
void draft_spaces(draft *t, size_t count);

// As people may see it: control characters, what reorders text, and broken UTF-8 become \xHH, so
// that no peer can write escape sequences to an operator's terminal.
void draft_printable(draft *t, phi_bytes bytes);

// The same for a text of several lines: line ends and tabs stay.
void draft_readable(draft *t, phi_bytes bytes);

// Ends a JSON value that was written into `t->buf`, and its line.
void draft_json_end(draft *t, phi_json *json);

// Appends `chars` as one word of a shell's command, in quotes where it needs them.
void draft_shell(draft *t, const char *chars);

// Appends `chars`, broken at spaces, to lines of at most `width` columns; lines after the first
// begin with `indent` spaces. The first begins at column `column`.
void draft_wrap(draft *t, const char *chars, size_t column, size_t indent, size_t width);

// Columns on a terminal, taking one for each character.
size_t draft_columns(phi_bytes bytes);

static inline phi_bytes draft_of_view(ph_view view)
{
    return phi_bytes_of(view.data, view.size);
}

// The same without the newline that commands end their output with: for what is shown in a line.
static inline phi_bytes draft_of_line(ph_view view)
{
    bool has_newline = view.size != 0 && view.data[view.size - 1] == '\n';
    return phi_bytes_of(view.data, view.size - (has_newline ? 1 : 0));
}

#endif // APP_DRAFT_H
