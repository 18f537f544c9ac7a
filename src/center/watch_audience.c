// SPDX-License-Identifier: Apache-2.0
//
// center/watch_audience.c - see watch_audience.h; and watch_touch, see watch.h.

#include "center/watch_audience.h"

#include <string.h>

#include "base/assert.h"
#include "center/entry.h"
#include "center/state.h"

static void touch(watches *all, const uint8_t *key, size_t key_size, uint64_t revision);

watch_audience *watch_audience_join(center *c, const phi_presence_ask *ask)
{
    watches *all = &c->presence.watches;
    uint8_t key[1 + UINT8_MAX] = { ask->type };
    size_t key_size = 1;
    if (ask->domain.size != 0 && !phi_bytes_equal(ask->domain, center_domain(c))) {
        key[0] = WATCH_TYPE_NOBODY;
    } else if (ask->service.size != 0) {
        memcpy(key + 1, ask->service.data, ask->service.size);
        key_size += ask->service.size;
    }
    uint64_t value;
    if (phi_map_find(&all->audiences, phi_bytes_of(key, key_size), &value)) {
        watch_audience *u = (watch_audience *)(uintptr_t)value;
        u->count++;
        return u;
    }
    watch_audience *u = phi_take(all->alloc, sizeof *u + key_size);
    if (u == NULL) {
        return NULL;
    }
    *u = (watch_audience){
        .count = 1,
        .recent_after = presence_revision(&c->presence),
        .key_size = (uint8_t)(key_size - 1),
    };
    memcpy(u->key, key, key_size);
    phi_list_init(&u->current);
    if (phi_map_put(&all->audiences, phi_bytes_of(u->key, key_size), (uint64_t)(uintptr_t)u) !=
        PH_OK) {
        phi_give(all->alloc, u, sizeof *u + key_size);
        return NULL;
    }
    return u;
}

void watch_audience_leave(watches *all, watch_audience *u)
{
    PH_ASSERT(u->count > 0);
    u->count--;
    if (u->count != 0) {
        return;
    }
    PH_ASSERT(phi_list_is_empty(&u->current));
    phi_list_remove(&u->node);
    size_t key_size = 1u + u->key_size;
    bool was_known = phi_map_remove(&all->audiences, phi_bytes_of(u->key, key_size));
    PH_ASSERT(was_known);
    phi_give(all->alloc, u, sizeof *u + key_size);
}

void watch_touch(center *c, const uint8_t *entry)
{
    watches *all = &c->presence.watches;
    if (all->audiences.count == 0) {
        return;
    }
    uint64_t revision = presence_revision(&c->presence);
    phi_bytes serves = entry_service(entry);
    uint8_t key[1 + PHI_NAME_BYTES_MAX] = { 0 };
    PH_ASSERT(serves.size < sizeof key);
    if (serves.size != 0) {
        memcpy(key + 1, serves.data, serves.size);
        touch(all, key, 1 + serves.size, revision);
    }
    touch(all, key, 1, revision);
    key[0] = entry[ENTRY_TYPE_AT];
    touch(all, key, 1, revision);
    if (serves.size != 0) {
        touch(all, key, 1 + serves.size, revision);
    }
    phi_io_hurry(c->io);
}

static void touch(watches *all, const uint8_t *key, size_t key_size, uint64_t revision)
{
    uint64_t value;
    if (!phi_map_find(&all->audiences, phi_bytes_of(key, key_size), &value)) {
        return;
    }
    watch_audience *u = (watch_audience *)(uintptr_t)value;
    if (!phi_list_is_linked(&u->node)) {
        u->from = revision - 1;
        phi_list_append(&all->touched, &u->node);
    }
    uint64_t *recent = &u->recent[u->recent_count % WATCH_RECENT_MAX];
    if (u->recent_count >= WATCH_RECENT_MAX) {
        u->recent_after = *recent;
    }
    *recent = revision;
    u->recent_count++;
}

uint64_t watch_audience_next(const watch_audience *u, uint64_t *cursor, uint64_t r)
{
    while (*cursor != u->recent_count) {
        uint64_t next = u->recent[(*cursor)++ % WATCH_RECENT_MAX];
        if (next > r) {
            return next;
        }
    }
    return UINT64_MAX;
}

bool watch_audience_passes(const watch_audience *u, const uint8_t *entry)
{
    uint8_t type = u->key[0];
    if (type != 0 && type != entry[ENTRY_TYPE_AT]) {
        return false;
    }
    return u->key_size == 0 || phi_bytes_equal(entry_service(entry), watch_audience_service(u));
}

bool watch_audience_wants(const watch_audience *u, uint8_t type, phi_bytes serves)
{
    return (u->key[0] == 0 || u->key[0] == type) &&
           (u->key_size == 0 || phi_bytes_equal(serves, watch_audience_service(u)));
}

phi_bytes watch_audience_service(const watch_audience *u)
{
    return phi_bytes_of(u->key + 1, u->key_size);
}

bool watch_audience_is_everybody(const watch_audience *u)
{
    return u->key[0] == 0 && u->key_size == 0;
}
