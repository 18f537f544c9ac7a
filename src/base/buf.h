// SPDX-License-Identifier: Apache-2.0
//
// base/buf.h - owned bytes with a read and a write cursor, growing up to a limit.
//
// Life     init -> (reserve, commit | append, consume)* -> fini
// Memory   None before the first byte. A few bytes get a block of PHI_BUF_TINY_BYTES: strangers
//          that send a length and no more may be many. Other blocks grow from 512 bytes by
//          doubling. An empty buffer keeps a block of up to PHI_BUF_KEEP_BYTES until
//          phi_buf_release, which its owner calls when it falls idle (10,000 idle links must cost
//          nothing here). A larger one that was drained PHI_BUF_SMALL_DRAINS times with less than
//          a quarter of it used is wasteful: an owner of many releases them one by one, because
//          many that grew in the same burst are so at the same time, and giving back thousands of
//          pages takes milliseconds. Without such an owner it goes by itself after
//          PHI_BUF_SMALL_DRAINS_MAX.
// Limits   bytes_max bytes wait at most (and PHI_BUF_BYTES_MAX); beyond it phi_buf_reserve returns
//          NULL. A block is at most a quarter larger, so that what waits is moved to the front
//          seldom.
// Secrets  Of a buffer that has held one, no block is given back with anything in it.
// Threads  none

#ifndef PHI_BASE_BUF_H
#define PHI_BASE_BUF_H

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bytes.h"

#define PHI_BUF_KEEP_BYTES 65536u
#define PHI_BUF_SMALL_DRAINS 64u
#define PHI_BUF_SMALL_DRAINS_MAX 512u
#define PHI_BUF_TINY_BYTES 24u                 // as the smallest block of malloc
#define PHI_BUF_BYTES_MAX (UINT32_MAX / 5 * 4) // so that a block's size fits

typedef struct phi_buf {
    const phi_alloc *alloc; // borrowed for the life of the buffer
    uint8_t *data;          // owned; NULL while nothing was ever appended, or after phi_buf_release
    // 32 bits: a link has two buffers, and a center 100,000 links.
    uint32_t capacity;
    uint32_t read;  // bytes before it were consumed
    uint32_t write; // bytes before it were appended
    uint32_t bytes_max;
    uint32_t small_drains; // in a row, while the block is large; see above
    bool has_secret;       // phi_buf_guard was called
} phi_buf;

void phi_buf_init(phi_buf *buf, const phi_alloc *alloc, size_t bytes_max);
void phi_buf_fini(phi_buf *buf);

static inline size_t phi_buf_size(const phi_buf *buf)
{
    return buf->write - buf->read;
}

// What was appended and not consumed; valid until the next change of the buffer.
static inline phi_span phi_buf_view(const phi_buf *buf)
{
    return (phi_span){ buf->data == NULL ? NULL : buf->data + buf->read, phi_buf_size(buf) };
}

// Slow path of phi_buf_reserve: moves or grows. Do not call.
uint8_t *phi_buf_grow(phi_buf *buf, size_t size);

// Room for `size` more bytes behind what is there, or NULL when the limit or the memory does not
// allow it. Nothing is appended before phi_buf_commit. Earlier views become invalid.
static inline uint8_t *phi_buf_reserve(phi_buf *buf, size_t size)
{
    if (PHI_LIKELY(buf->capacity - buf->write >= size &&
                   phi_buf_size(buf) + size <= buf->bytes_max && size != 0)) {
        return buf->data + buf->write;
    }
    return phi_buf_grow(buf, size);
}

static inline void phi_buf_commit(phi_buf *buf, size_t size)
{
    PH_ASSERT(size <= buf->capacity - buf->write);
    buf->write += (uint32_t)size;
}

// Takes back the last `size` bytes that were appended.
static inline void phi_buf_uncommit(phi_buf *buf, size_t size)
{
    PH_ASSERT(size <= phi_buf_size(buf));
    buf->write -= (uint32_t)size;
}

// False when it does not fit; then nothing is appended.
bool phi_buf_append(phi_buf *buf, phi_bytes bytes);

// The first `count` bytes are done with. An empty buffer starts again at its front.
void phi_buf_consume(phi_buf *buf, size_t count);

// There is a secret among what was appended: its block is wiped before it is given back.
static inline void phi_buf_guard(phi_buf *buf)
{
    buf->has_secret = true;
}

// It keeps a large block that it has not needed for a while.
static inline bool phi_buf_is_wasteful(const phi_buf *buf)
{
    return buf->small_drains >= PHI_BUF_SMALL_DRAINS;
}

// Gives the memory back if the buffer is empty.
void phi_buf_release(phi_buf *buf);

#endif // PHI_BASE_BUF_H
