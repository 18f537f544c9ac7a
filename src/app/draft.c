// SPDX-License-Identifier: Apache-2.0
//
// app/draft.c - a growing text.
//
// Design notes
// - Everything that a command prints is built here first and written in one go, so that a line of a
//   log or of `watch` is never torn, and a failed write is noticed in one place.
// - Running out of memory cuts the text instead of ending the program: a center must survive a log
//   line that did not fit.

#include "app/draft.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/shell.h"
#include "base/utf8.h"

#define FORMAT_BYTES 512 // most formatted pieces are shorter; longer ones are measured first

void draft_init(draft *t)
{
    phi_buf_init(&t->buf, &phi_alloc_heap, DRAFT_BYTES_MAX);
    t->is_cut = false;
}

void draft_fini(draft *t)
{
    phi_buf_fini(&t->buf);
}

void draft_clear(draft *t)
{
    phi_buf_consume(&t->buf, phi_buf_size(&t->buf));
    t->is_cut = false;
}

phi_bytes draft_view(const draft *t)
{
    return phi_span_view(phi_buf_view(&t->buf));
}

const char *draft_chars(draft *t)
{
    uint8_t *end = phi_buf_reserve(&t->buf, 1);
    if (end == NULL) {
        t->is_cut = true;
        return "";
    }
    *end = 0; // behind what is there, and not committed
    return (const char *)phi_buf_view(&t->buf).data;
}

void draft_add(draft *t, const char *chars)
{
    draft_bytes(t, phi_bytes_text(chars));
}

void draft_bytes(draft *t, phi_bytes bytes)
{
    if (bytes.size != 0 && !phi_buf_append(&t->buf, bytes)) {
        t->is_cut = true;
    }
}

void draft_format(draft *t, const char *format, ...)
{
    char piece[FORMAT_BYTES];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(piece, sizeof piece, format, args);
    va_end(args);
    if (size < 0) {
        t->is_cut = true;
        return;
    }
    if ((size_t)size < sizeof piece) {
        draft_bytes(t, phi_bytes_of(piece, (size_t)size));
        return;
    }
    uint8_t *room = phi_buf_reserve(&t->buf, (size_t)size + 1);
    if (room == NULL) {
        t->is_cut = true;
        return;
    }
    va_start(args, format);
    vsnprintf((char *)room, (size_t)size + 1, format, args);
    va_end(args);
    phi_buf_commit(&t->buf, (size_t)size);
}

void draft_spaces(draft *t, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        draft_bytes(t, phi_bytes_of(" ", 1));
    }
}

void draft_printable(draft *t, phi_bytes bytes)
{
    for (size_t at = 0; at < bytes.size;) {
        phi_bytes rest = phi_bytes_of(bytes.data + at, bytes.size - at);
        size_t broken = 1;
        size_t size = phi_utf8_char(rest, &broken);
        if (size != 0 && phi_utf8_is_harmless(phi_utf8_code(rest.data, size))) {
            draft_bytes(t, phi_bytes_of(rest.data, size));
            at += size;
            continue;
        }
        broken = size == 0 ? broken : size;
        for (size_t i = 0; i < broken; i++) {
            draft_format(t, "\\x%02x", rest.data[i]);
        }
        at += broken;
    }
}

void draft_readable(draft *t, phi_bytes bytes)
{
    size_t begin = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        if (bytes.data[i] == '\n' || bytes.data[i] == '\t') {
            draft_printable(t, phi_bytes_of(bytes.data + begin, i - begin));
            draft_bytes(t, phi_bytes_of(bytes.data + i, 1));
            begin = i + 1;
        }
    }
    draft_printable(t, phi_bytes_of(bytes.data + begin, bytes.size - begin));
}

void draft_json_end(draft *t, phi_json *json)
{
    if (!phi_json_finish(json)) {
        t->is_cut = true;
    }
    draft_add(t, "\n");
}

void draft_shell(draft *t, const char *chars)
{
    if (phi_shell_is_plain(chars)) {
        draft_add(t, chars);
        return;
    }
    draft_add(t, "'");
    for (const char *p = chars; *p != '\0'; p++) {
        draft_bytes(t, *p == '\'' ? phi_bytes_text("'\\''") : phi_bytes_of(p, 1));
    }
    draft_add(t, "'");
}

void draft_wrap(draft *t, const char *chars, size_t column, size_t indent, size_t width)
{
    bool is_first = true;
    while (*chars != '\0') {
        size_t word = strcspn(chars, " ");
        size_t columns = draft_columns(phi_bytes_of(chars, word));
        if (!is_first && column + 1 + columns > width) {
            draft_add(t, "\n");
            draft_spaces(t, indent);
            column = indent;
            is_first = true;
        }
        if (!is_first) {
            draft_add(t, " ");
            column++;
        }
        draft_bytes(t, phi_bytes_of(chars, word));
        column += columns;
        is_first = false;
        chars += word;
        chars += strspn(chars, " ");
    }
}

size_t draft_columns(phi_bytes bytes)
{
    size_t columns = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        columns += (bytes.data[i] & 0xc0) != 0x80; // not a continuation byte
    }
    return columns;
}
