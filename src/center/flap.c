// SPDX-License-Identifier: Apache-2.0
//
// center/flap.c - see flap.h.
//
// Design notes
//   - Records are dropped by the way, when others are lost: two at most for each, so that a storm
//     is not followed by another. Nothing needs a timer for it.

#include "center/flap.h"

#include <string.h>

#include "base/assert.h"

enum {
    DROPS = 2, // at most, for each loss
};

typedef struct record {
    phi_list node; // on flaps.by_time
    phi_damping damping;
    uint8_t name_size;
    uint8_t name[];
} record;

static record *find(const flaps *f, phi_bytes name);
static record *make(flaps *f, phi_bytes name);
static void drop(flaps *f, record *r);
static void drop_old(flaps *f, phi_time now);

void flaps_init(flaps *f, const phi_alloc *alloc, phi_hash_key key, const phi_damping_rule *rule,
                size_t count_max)
{
    PH_ASSERT(count_max > 0);
    *f = (flaps){ .alloc = alloc, .rule = *rule, .count_max = count_max };
    phi_map_init(&f->by_name, alloc, key, count_max);
    phi_list_init(&f->by_time);
}

void flaps_fini(flaps *f)
{
    if (f->alloc == NULL) {
        return;
    }
    while (!phi_list_is_empty(&f->by_time)) {
        drop(f, PHI_CONTAINER_OF(f->by_time.next, record, node));
    }
    PH_ASSERT(f->by_name.count == 0);
    phi_map_fini(&f->by_name);
}

void flaps_lost(flaps *f, phi_bytes name, phi_time now)
{
    drop_old(f, now);
    record *r = find(f, name);
    if (r == NULL) {
        r = make(f, name);
    }
    if (r != NULL) {
        phi_damping_lost(&r->damping, &f->rule, now);
        phi_list_remove(&r->node);
        phi_list_append(&f->by_time, &r->node);
    }
}

bool flaps_is_damped(const flaps *f, phi_bytes name, phi_time now, phi_time *calm)
{
    const record *r = find(f, name);
    if (r == NULL || !phi_damping_is_damped(&r->damping, &f->rule, now)) {
        return false;
    }
    *calm = phi_damping_calm(&r->damping, &f->rule, now);
    return true;
}

static record *find(const flaps *f, phi_bytes name)
{
    uint64_t value;
    return phi_map_find(&f->by_name, name, &value) ? (record *)(uintptr_t)value : NULL;
}

// NULL: no memory.
static record *make(flaps *f, phi_bytes name)
{
    PH_ASSERT(name.size > 0);
    PH_ASSERT(name.size <= UINT8_MAX);
    if (f->by_name.count == f->count_max) {
        drop(f, PHI_CONTAINER_OF(f->by_time.next, record, node));
    }
    record *r = phi_take(f->alloc, sizeof *r + name.size);
    if (r == NULL) {
        return NULL;
    }
    *r = (record){ .name_size = (uint8_t)name.size };
    memcpy(r->name, name.data, name.size);
    if (phi_map_put(&f->by_name, phi_bytes_of(r->name, r->name_size), (uint64_t)(uintptr_t)r) !=
        PH_OK) {
        phi_give(f->alloc, r, sizeof *r + name.size);
        return NULL;
    }
    return r;
}

static void drop(flaps *f, record *r)
{
    bool was_known = phi_map_remove(&f->by_name, phi_bytes_of(r->name, r->name_size));
    PH_ASSERT(was_known);
    phi_list_remove(&r->node);
    phi_give(f->alloc, r, sizeof *r + r->name_size);
}

static void drop_old(flaps *f, phi_time now)
{
    for (int i = 0; i < DROPS && !phi_list_is_empty(&f->by_time); i++) {
        record *r = PHI_CONTAINER_OF(f->by_time.next, record, node);
        if (!phi_damping_is_over(&r->damping, &f->rule, now)) {
            return;
        }
        drop(f, r);
    }
}
