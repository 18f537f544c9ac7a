// SPDX-License-Identifier: Apache-2.0
//
// base/alloc.c - the heap, and the allocator that counts and fails for tests.

#include "base/alloc.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

static void *heap_take(void *arg, size_t size)
{
    (void)arg;
    PH_ASSERT(size > 0);
    return malloc(size);
}

static void *heap_resize(void *arg, void *ptr, size_t old_size, size_t size)
{
    (void)arg;
    (void)old_size;
    PH_ASSERT(size > 0);
    return realloc(ptr, size);
}

static void heap_give(void *arg, void *ptr, size_t size)
{
    (void)arg;
    (void)size;
    free(ptr);
}

const phi_alloc phi_alloc_heap = { heap_take, heap_resize, heap_give, NULL };

void *phi_take_zeroed(const phi_alloc *a, size_t count, size_t size)
{
    PH_ASSERT(a != NULL);
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) {
        return NULL;
    }
    void *ptr = phi_take(a, total);
    if (ptr != NULL) {
        memset(ptr, 0, total);
    }
    return ptr;
}

// ---- the counter

// Counts an attempt to get `more` bytes; false when it is to fail.
static bool counter_admits(phi_alloc_counter *counter, size_t more)
{
    counter->takes++;
    if (counter->takes == counter->fail_at) {
        return false;
    }
    if (counter->bytes_max == 0) {
        return true;
    }
    return more <= counter->bytes_max && counter->bytes <= counter->bytes_max - more;
}

static void counter_add(phi_alloc_counter *counter, size_t more)
{
    counter->bytes += more;
    if (counter->bytes > counter->bytes_peak) {
        counter->bytes_peak = counter->bytes;
    }
}

static void *counter_take(void *arg, size_t size)
{
    phi_alloc_counter *counter = arg;
    if (!counter_admits(counter, size)) {
        return NULL;
    }
    void *ptr = phi_take(counter->inner, size);
    if (ptr != NULL) {
        counter_add(counter, size);
        counter->blocks++;
    }
    return ptr;
}

static void *counter_resize(void *arg, void *ptr, size_t old_size, size_t size)
{
    phi_alloc_counter *counter = arg;
    if (ptr == NULL) {
        return counter_take(arg, size);
    }
    PH_ASSERT(counter->bytes >= old_size);
    if (size > old_size && !counter_admits(counter, size - old_size)) {
        return NULL;
    }
    void *moved = phi_resize(counter->inner, ptr, old_size, size);
    if (moved != NULL) {
        counter->bytes -= old_size;
        counter_add(counter, size);
    }
    return moved;
}

static void counter_give(void *arg, void *ptr, size_t size)
{
    phi_alloc_counter *counter = arg;
    PH_ASSERT(ptr != NULL);
    PH_ASSERT(counter->blocks > 0);
    PH_ASSERT(counter->bytes >= size);
    counter->blocks--;
    counter->bytes -= size;
    phi_give(counter->inner, ptr, size);
}

void phi_alloc_counter_init(phi_alloc_counter *counter, const phi_alloc *inner)
{
    PH_ASSERT(counter != NULL);
    PH_ASSERT(inner != NULL);
    *counter = (phi_alloc_counter){
        .alloc = { counter_take, counter_resize, counter_give, counter },
        .inner = inner,
    };
}
