// SPDX-License-Identifier: Apache-2.0
//
// base/alloc.h - where memory comes from: passed to every allocating constructor, so that a test
// can fail the n-th allocation and count what was not given back.

#ifndef PHI_BASE_ALLOC_H
#define PHI_BASE_ALLOC_H

#include <stddef.h>

// `size` of release and resize is what was asked for; so an implementation can count without a
// header of its own.
typedef struct phi_alloc {
    void *(*take)(void *arg, size_t size); // NULL when there is none; contents undefined
    // NULL: the old block is untouched
    void *(*resize)(void *arg, void *ptr, size_t old_size, size_t size);
    void (*give)(void *arg, void *ptr, size_t size);
    void *arg;
} phi_alloc;

// The C library's heap.
extern const phi_alloc phi_alloc_heap;

static inline void *phi_take(const phi_alloc *a, size_t size)
{
    return a->take(a->arg, size);
}

// Zeroed. NULL on overflow of count * size.
void *phi_take_zeroed(const phi_alloc *a, size_t count, size_t size);

static inline void *phi_resize(const phi_alloc *a, void *ptr, size_t old_size, size_t size)
{
    return a->resize(a->arg, ptr, old_size, size);
}

// Accepts NULL.
static inline void phi_give(const phi_alloc *a, void *ptr, size_t size)
{
    if (ptr != NULL) {
        a->give(a->arg, ptr, size);
    }
}

// An allocator that counts, and fails on demand; wraps another.
typedef struct phi_alloc_counter {
    phi_alloc alloc; // pass &counter.alloc
    const phi_alloc *inner;
    size_t bytes;      // in use now
    size_t bytes_peak; // most ever in use
    size_t blocks;     // in use now
    size_t takes;      // allocations asked for since init (take and growing resize)
    size_t fail_at;    // the take with this number (1 is the first) fails, once; 0 never
    size_t bytes_max;  // takes beyond this many bytes in use fail; 0 no limit
} phi_alloc_counter;

void phi_alloc_counter_init(phi_alloc_counter *counter, const phi_alloc *inner);

#endif // PHI_BASE_ALLOC_H
