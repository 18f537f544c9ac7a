// SPDX-License-Identifier: Apache-2.0
//
// base/bytes.h - views of memory, and the two cursors through which every integer of the wire is
// read and written.
//
// A reader never goes past its end: the first short read sets `failed`, later ones yield zero and
// empty views, and the caller checks once, at the end. A writer likewise. So a decoder is a list of
// reads and one check, with no bound to forget.

#ifndef PHI_BASE_BYTES_H
#define PHI_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"

// Borrowed view; never freed by the receiver.
typedef struct phi_bytes {
    const uint8_t *data;
    size_t size;
} phi_bytes;

// The same, and the receiver may change the bytes.
typedef struct phi_span {
    uint8_t *data;
    size_t size;
} phi_span;

static inline phi_bytes phi_bytes_of(const void *data, size_t size)
{
    return (phi_bytes){ (const uint8_t *)data, size };
}

static inline phi_bytes phi_bytes_text(const char *text)
{
    return (phi_bytes){ (const uint8_t *)text, text == NULL ? 0 : strlen(text) };
}

static inline phi_bytes phi_span_view(phi_span s)
{
    return (phi_bytes){ s.data, s.size };
}

static inline bool phi_bytes_equal(phi_bytes a, phi_bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline uint32_t phi_load32(const uint8_t *p) // in the machine's order
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint64_t phi_load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

// The same for what is mostly short and mostly equal, a name perhaps, without a call of memcmp:
// word by word, of which the last may overlap the one before it.
static inline bool phi_text_equal(phi_bytes a, phi_bytes b)
{
    if (a.size != b.size) {
        return false;
    }
    if (a.size >= 8) {
        size_t last = a.size - 8;
        for (size_t at = 0; at < last; at += 8) {
            if (phi_load64(a.data + at) != phi_load64(b.data + at)) {
                return false;
            }
        }
        return phi_load64(a.data + last) == phi_load64(b.data + last);
    }
    if (a.size >= 4) {
        size_t last = a.size - 4;
        return phi_load32(a.data) == phi_load32(b.data) &&
               phi_load32(a.data + last) == phi_load32(b.data + last);
    }
    return phi_bytes_equal(a, b);
}

static inline uint16_t phi_get_u16(const uint8_t *p)
{
    return (uint16_t)((p[0] << 8) | p[1]);
}

static inline uint32_t phi_get_u32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return PHI_BIG_U32(v);
}

static inline uint64_t phi_get_u64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return PHI_BIG_U64(v);
}

static inline void phi_put_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void phi_put_u32(uint8_t *p, uint32_t v)
{
    v = PHI_BIG_U32(v);
    memcpy(p, &v, sizeof v);
}

static inline void phi_put_u64(uint8_t *p, uint64_t v)
{
    v = PHI_BIG_U64(v);
    memcpy(p, &v, sizeof v);
}

// Copies what is mostly short, a name perhaps, without a call of memcpy; returns what is behind it.
static inline uint8_t *phi_put_text(uint8_t *at, phi_bytes b)
{
    const uint8_t *from = b.data;
    size_t size = b.size;
    if (PHI_UNLIKELY(size > 16)) {
        memcpy(at, from, size);
    } else if (size >= 8) { // the first and the last eight, which may overlap
        uint64_t first;
        uint64_t last;
        memcpy(&first, from, 8);
        memcpy(&last, from + size - 8, 8);
        memcpy(at, &first, 8);
        memcpy(at + size - 8, &last, 8);
    } else if (size >= 4) {
        uint32_t first;
        uint32_t last;
        memcpy(&first, from, 4);
        memcpy(&last, from + size - 4, 4);
        memcpy(at, &first, 4);
        memcpy(at + size - 4, &last, 4);
    } else if (size != 0) {
        at[0] = from[0];
        at[size / 2] = from[size / 2];
        at[size - 1] = from[size - 1];
    }
    return at + size;
}

// ---- reading

typedef struct phi_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
} phi_reader;

static inline phi_reader phi_reader_of(phi_bytes b)
{
    return (phi_reader){ b.data, b.data == NULL ? NULL : b.data + b.size, false };
}

static inline size_t phi_reader_left(const phi_reader *r)
{
    return (size_t)(r->end - r->at);
}

// A view of the next `size` bytes, or an empty one and `failed`.
static inline phi_bytes phi_read_bytes(phi_reader *r, size_t size)
{
    if (r->failed || phi_reader_left(r) < size) {
        r->failed = true;
        return (phi_bytes){ NULL, 0 };
    }
    phi_bytes b = { r->at, size };
    if (size != 0) {
        r->at += size;
    }
    return b;
}

static inline uint8_t phi_read_u8(phi_reader *r)
{
    phi_bytes b = phi_read_bytes(r, 1);
    return b.size == 1 ? b.data[0] : 0;
}

static inline uint16_t phi_read_u16(phi_reader *r)
{
    phi_bytes b = phi_read_bytes(r, 2);
    return b.size == 2 ? phi_get_u16(b.data) : 0;
}

static inline uint32_t phi_read_u32(phi_reader *r)
{
    phi_bytes b = phi_read_bytes(r, 4);
    return b.size == 4 ? phi_get_u32(b.data) : 0;
}

static inline uint64_t phi_read_u64(phi_reader *r)
{
    phi_bytes b = phi_read_bytes(r, 8);
    return b.size == 8 ? phi_get_u64(b.data) : 0;
}

static inline phi_bytes phi_read_str8(phi_reader *r)
{
    return phi_read_bytes(r, phi_read_u8(r));
}

static inline phi_bytes phi_read_rest(phi_reader *r)
{
    return phi_read_bytes(r, r->failed ? 0 : phi_reader_left(r));
}

// ---- writing

typedef struct phi_writer {
    uint8_t *start;
    uint8_t *at;
    uint8_t *end;
    bool failed; // something did not fit; nothing was written from there on
} phi_writer;

static inline phi_writer phi_writer_of(phi_span s)
{
    return (phi_writer){ s.data, s.data, s.data == NULL ? NULL : s.data + s.size, false };
}

static inline size_t phi_writer_size(const phi_writer *w)
{
    return (size_t)(w->at - w->start);
}

static inline phi_bytes phi_writer_view(const phi_writer *w)
{
    return (phi_bytes){ w->start, phi_writer_size(w) };
}

// Room for `size` bytes, or NULL and `failed`.
static inline uint8_t *phi_write_room(phi_writer *w, size_t size)
{
    if (w->failed || (size_t)(w->end - w->at) < size) {
        w->failed = true;
        return NULL;
    }
    uint8_t *p = w->at;
    w->at += size;
    return p;
}

static inline void phi_write_u8(phi_writer *w, uint8_t v)
{
    uint8_t *p = phi_write_room(w, 1);
    if (p != NULL) {
        *p = v;
    }
}

static inline void phi_write_u16(phi_writer *w, uint16_t v)
{
    uint8_t *p = phi_write_room(w, 2);
    if (p != NULL) {
        phi_put_u16(p, v);
    }
}

static inline void phi_write_u32(phi_writer *w, uint32_t v)
{
    uint8_t *p = phi_write_room(w, 4);
    if (p != NULL) {
        phi_put_u32(p, v);
    }
}

static inline void phi_write_u64(phi_writer *w, uint64_t v)
{
    uint8_t *p = phi_write_room(w, 8);
    if (p != NULL) {
        phi_put_u64(p, v);
    }
}

static inline void phi_write_bytes(phi_writer *w, phi_bytes b)
{
    uint8_t *p = phi_write_room(w, b.size);
    if (p != NULL && b.size != 0) {
        memcpy(p, b.data, b.size);
    }
}

// Fails when the text is longer than 255 bytes.
static inline void phi_write_str8(phi_writer *w, phi_bytes b)
{
    if (b.size > UINT8_MAX) {
        w->failed = true;
        return;
    }
    phi_write_u8(w, (uint8_t)b.size);
    phi_write_bytes(w, b);
}

#endif // PHI_BASE_BYTES_H
