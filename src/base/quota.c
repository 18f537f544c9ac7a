// SPDX-License-Identifier: Apache-2.0
//
// base/quota.c - see quota.h.
//
// A holder has one block, which grows; so the size of the block asked for says what its holder is
// about to have, and nothing need be kept for each of them.

#include "base/quota.h"

#include "base/assert.h"

// What a block counts against the ceiling.
static size_t quota_weight(size_t size)
{
    return size <= PHI_QUOTA_SMALL_BYTES ? 0 : size;
}

// A block of `old_size` (0: none) is to become one of `size`.
static bool quota_admits(phi_quota *quota, size_t old_size, size_t size)
{
    PH_ASSERT(quota_weight(old_size) <= quota->bytes_large);
    if (size <= old_size || size <= PHI_QUOTA_SMALL_BYTES) {
        return true;
    }
    size_t others = quota->bytes_large - quota_weight(old_size) + quota->promised;
    size_t half = quota->bytes_max / 2;
    size_t limit = size <= phi_quota_share(quota) ? quota->bytes_max : half;
    if (size <= limit && others <= limit - size) {
        return true;
    }
    quota->refusals++;
    return false;
}

static void quota_exchange(phi_quota *quota, size_t old_size, size_t size)
{
    PH_ASSERT(quota->bytes >= old_size);
    PH_ASSERT(quota->bytes_large >= quota_weight(old_size));
    quota->bytes = quota->bytes - old_size + size;
    quota->bytes_large = quota->bytes_large - quota_weight(old_size) + quota_weight(size);
}

static void *counted_take(void *arg, size_t size)
{
    phi_quota *quota = arg;
    void *ptr = phi_take(quota->inner, size);
    if (ptr != NULL) {
        quota_exchange(quota, 0, size);
    }
    return ptr;
}

static void *counted_resize(void *arg, void *ptr, size_t old_size, size_t size)
{
    phi_quota *quota = arg;
    void *moved = phi_resize(quota->inner, ptr, old_size, size);
    if (moved != NULL) {
        quota_exchange(quota, ptr == NULL ? 0 : old_size, size);
    }
    return moved;
}

static void counted_give(void *arg, void *ptr, size_t size)
{
    phi_quota *quota = arg;
    PH_ASSERT(ptr != NULL);
    quota_exchange(quota, size, 0);
    phi_give(quota->inner, ptr, size);
}

static void *limited_take(void *arg, size_t size)
{
    return quota_admits(arg, 0, size) ? counted_take(arg, size) : NULL;
}

static void *limited_resize(void *arg, void *ptr, size_t old_size, size_t size)
{
    bool is_admitted = quota_admits(arg, ptr == NULL ? 0 : old_size, size);
    return is_admitted ? counted_resize(arg, ptr, old_size, size) : NULL;
}

void phi_quota_init(phi_quota *quota, const phi_alloc *inner, size_t bytes_max)
{
    PH_ASSERT(quota != NULL);
    PH_ASSERT(inner != NULL);
    PH_ASSERT(bytes_max > 0);
    *quota = (phi_quota){
        .limited = { limited_take, limited_resize, counted_give, quota },
        .counted = { counted_take, counted_resize, counted_give, quota },
        .inner = inner,
        .bytes_max = bytes_max,
    };
}

void phi_quota_fini(phi_quota *quota)
{
    PH_ASSERT(quota->bytes == 0);
    PH_ASSERT(quota->promised == 0);
    quota->inner = NULL;
}

size_t phi_quota_share(const phi_quota *quota)
{
    return quota->bytes_max / 2 / (quota->holders == 0 ? 1 : quota->holders);
}
