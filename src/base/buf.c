// SPDX-License-Identifier: Apache-2.0
//
// base/buf.c - the slow paths of a buffer: growing, moving to the front, giving memory back.
//
// Moving   What waits is moved to the front only when at least a quarter as many bytes were
//          consumed before it. So each consumed byte pays for at most four moved ones, however
//          slowly the reader takes them. Otherwise the block grows.
// Size     For that to work at the limit too, a block may be a quarter larger than bytes_max. At
//          that size the rule above always allows to move: what does not fit behind
//          bytes_max * 5/4 has more than bytes_max / 4 consumed bytes in front of it.
// Keeping  A block of up to PHI_BUF_KEEP_BYTES stays until phi_buf_release. A larger one is given
//          back after PHI_BUF_SMALL_DRAINS drains in a row that used little of it: a burst does
//          not cost its memory forever, and a busy buffer does not go to the heap for each batch.

#include "base/buf.h"

#include "base/assert.h"

#define CAPACITY_FIRST 512u

static void buf_check(const phi_buf *buf)
{
    PH_ASSERT(buf->read <= buf->write);
    PH_ASSERT(buf->write <= buf->capacity);
    PH_ASSERT((buf->data == NULL) == (buf->capacity == 0));
}

void phi_buf_init(phi_buf *buf, const phi_alloc *alloc, size_t bytes_max)
{
    PH_ASSERT(buf != NULL);
    PH_ASSERT(alloc != NULL);
    size_t limit = bytes_max < PHI_BUF_BYTES_MAX ? bytes_max : PHI_BUF_BYTES_MAX;
    *buf = (phi_buf){ .alloc = alloc, .bytes_max = (uint32_t)limit };
}

static void block_give(const phi_buf *buf)
{
    if (buf->has_secret && buf->data != NULL) {
        explicit_bzero(buf->data, buf->capacity);
    }
    phi_give(buf->alloc, buf->data, buf->capacity);
}

static void buf_drop(phi_buf *buf)
{
    block_give(buf);
    buf->has_secret = false;
    buf->data = NULL;
    buf->capacity = 0;
    buf->read = 0;
    buf->write = 0;
    buf->small_drains = 0;
}

void phi_buf_fini(phi_buf *buf)
{
    PH_ASSERT(buf != NULL);
    buf_drop(buf);
}

// The size of the next block that holds `wanted` bytes.
static uint32_t next_capacity(const phi_buf *buf, size_t wanted)
{
    PH_ASSERT(wanted <= buf->bytes_max);
    uint32_t limit = buf->bytes_max + buf->bytes_max / 4;
    if (buf->data == NULL && wanted <= PHI_BUF_TINY_BYTES) {
        return limit < PHI_BUF_TINY_BYTES ? limit : PHI_BUF_TINY_BYTES;
    }
    uint32_t capacity = buf->capacity < CAPACITY_FIRST / 2 ? CAPACITY_FIRST / 2 : buf->capacity;
    do {
        if (capacity > limit / 2) {
            return limit;
        }
        capacity *= 2;
    } while (capacity < wanted);
    return capacity;
}

static bool buf_enlarge(phi_buf *buf, uint32_t capacity)
{
    PH_ASSERT(capacity > buf->capacity);
    size_t size = phi_buf_size(buf);
    if (buf->data != NULL && buf->read == 0 && !buf->has_secret) {
        uint8_t *data = phi_resize(buf->alloc, buf->data, buf->capacity, capacity);
        if (data == NULL) {
            return false;
        }
        buf->data = data;
    } else {
        uint8_t *data = phi_take(buf->alloc, capacity);
        if (data == NULL) {
            return false;
        }
        if (size != 0) {
            memcpy(data, buf->data + buf->read, size);
        }
        block_give(buf);
        buf->data = data;
    }
    buf->read = 0;
    buf->write = (uint32_t)size;
    buf->capacity = capacity;
    return true;
}

uint8_t *phi_buf_grow(phi_buf *buf, size_t size)
{
    buf_check(buf);
    size_t waiting = phi_buf_size(buf);
    PH_ASSERT(waiting <= buf->bytes_max);
    if (size > buf->bytes_max - waiting) {
        return NULL;
    }

    if (size == 0 && buf->data != NULL) {
        return buf->data + buf->write;
    }
    size_t wanted = waiting + size;
    if (buf->data != NULL && wanted <= buf->capacity && buf->read >= waiting / 4) {
        memmove(buf->data, buf->data + buf->read, waiting);
        buf->read = 0;
        buf->write = (uint32_t)waiting;
    } else if (!buf_enlarge(buf, next_capacity(buf, wanted))) {
        return NULL;
    }
    buf_check(buf);
    PH_ASSERT(buf->capacity - buf->write >= size);
    return buf->data + buf->write;
}

bool phi_buf_append(phi_buf *buf, phi_bytes bytes)
{
    if (bytes.size == 0) {
        return true;
    }
    uint8_t *room = phi_buf_reserve(buf, bytes.size);
    if (room == NULL) {
        return false;
    }
    memcpy(room, bytes.data, bytes.size);
    phi_buf_commit(buf, bytes.size);
    return true;
}

void phi_buf_consume(phi_buf *buf, size_t count)
{
    PH_ASSERT(count <= phi_buf_size(buf));
    buf->read += (uint32_t)count;
    if (buf->read != buf->write) {
        return;
    }
    size_t used = buf->write;
    buf->read = 0;
    buf->write = 0;
    if (buf->capacity <= PHI_BUF_KEEP_BYTES) {
        return;
    }
    if (used > buf->capacity / 4) {
        buf->small_drains = 0;
    } else if (++buf->small_drains >= PHI_BUF_SMALL_DRAINS_MAX) {
        buf_drop(buf);
    }
}

void phi_buf_release(phi_buf *buf)
{
    buf_check(buf);
    if (phi_buf_size(buf) == 0) {
        buf_drop(buf);
    }
}
