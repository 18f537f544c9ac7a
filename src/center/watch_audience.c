// SPDX-License-Identifier: Apache-2.0
//
// center/watch_audience.c - see watch_audience.h; and watch_touch, see watch.h.

#include "center/watch_audience.h"

#include <string.h>

#include "base/assert.h"
#include "center/entry.h"
#include "center/state.h"

enum {
    KEY_BYTES_MAX = WATCH_SERVICE_AT + UINT8_MAX,
};

static void touch_role(watches *all, const role *r, const uint8_t *entry, uint64_t revision);
static void touch(watches *all, phi_bytes key, uint64_t revision);
static size_t write_key(uint8_t *key, const role *r, uint8_t type, phi_bytes serves);
static void foresee(const watch_audience *u, const watch *w);

watch_audience *watch_audience_join(center *c, role *r, const phi_presence_ask *ask)
{
    watches *all = &c->presence.watches;
    bool is_elsewhere = ask->domain.size != 0 && !phi_bytes_equal(ask->domain, center_domain(c));
    uint8_t key[KEY_BYTES_MAX];
    size_t key_size = is_elsewhere ? write_key(key, r, WATCH_TYPE_NOBODY, phi_bytes_of(NULL, 0))
                                   : write_key(key, r, ask->type, ask->service);
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
        .service_size = (uint8_t)(key_size - WATCH_SERVICE_AT),
    };
    memcpy(u->key, key, key_size);
    phi_list_init(&u->current);
    phi_list_init(&u->roused);
    if (phi_map_put(&all->audiences, phi_bytes_of(u->key, key_size), (uint64_t)(uintptr_t)u) !=
        PH_OK) {
        phi_give(all->alloc, u, sizeof *u + key_size);
        return NULL;
    }
    u->role = guard_role_keep(r);
    if (r != NULL && r->audience_count++ == 0) {
        phi_list_append(&all->roles, &r->of_watches);
    }
    return u;
}

void watch_audience_leave(center *c, watch_audience *u)
{
    watches *all = &c->presence.watches;
    PH_ASSERT(u->count > 0);
    u->count--;
    if (u->count != 0) {
        return;
    }
    PH_ASSERT(phi_list_is_empty(&u->current));
    PH_ASSERT(phi_list_is_empty(&u->roused));
    phi_list_remove(&u->node);
    phi_list_remove(&u->of_roused);
    size_t key_size = (size_t)WATCH_SERVICE_AT + u->service_size;
    bool was_known = phi_map_remove(&all->audiences, phi_bytes_of(u->key, key_size));
    PH_ASSERT(was_known);
    if (u->role != NULL && --u->role->audience_count == 0) {
        phi_list_remove(&u->role->of_watches);
    }
    guard_role_give(c, u->role);
    phi_give(all->alloc, u, sizeof *u + key_size);
}

// Those who may see it, role by role.
void watch_touch(center *c, const uint8_t *entry)
{
    watches *all = &c->presence.watches;
    if (all->audiences.count == 0) {
        return;
    }
    uint64_t revision = presence_revision(&c->presence);
    touch_role(all, NULL, entry, revision);
    for (phi_list *n = all->roles.next; n != &all->roles; n = n->next) {
        const role *r = PHI_CONTAINER_OF(n, role, of_watches);
        if (guard_sees(c, r, center_name_of(c, entry), entry_service(entry))) {
            touch_role(all, r, entry, revision);
        }
    }
    if (PHI_UNLIKELY(!phi_list_is_empty(&all->roles))) {
        watch_touch_self(c, entry);
    }
    phi_io_hurry(c->io);
}

// Four audiences: those of all, of its type, of its service, of both.
static void touch_role(watches *all, const role *r, const uint8_t *entry, uint64_t revision)
{
    const phi_bytes any = phi_bytes_of(NULL, 0);
    const uint8_t types[] = { 0, entry[ENTRY_TYPE_AT] };
    phi_bytes serves = entry_service(entry);
    uint8_t key[KEY_BYTES_MAX];
    for (size_t i = 0; i < PHI_COUNT_OF(types); i++) {
        touch(all, phi_bytes_of(key, write_key(key, r, types[i], any)), revision);
        if (serves.size != 0) {
            touch(all, phi_bytes_of(key, write_key(key, r, types[i], serves)), revision);
        }
    }
}

static void touch(watches *all, phi_bytes key, uint64_t revision)
{
    uint64_t value;
    if (!phi_map_find(&all->audiences, key, &value)) {
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

static size_t write_key(uint8_t *key, const role *r, uint8_t type, phi_bytes serves)
{
    PH_ASSERT(serves.size <= UINT8_MAX);
    phi_put_u64(key, r == NULL ? 0 : r->number);
    key[WATCH_TYPE_AT] = type;
    if (serves.size != 0) {
        memcpy(key + WATCH_SERVICE_AT, serves.data, serves.size);
    }
    return WATCH_SERVICE_AT + serves.size;
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

bool watch_audience_wants(const watch_audience *u, uint8_t type, phi_bytes serves)
{
    uint8_t wanted = watch_audience_type(u);
    return (wanted == 0 || wanted == type) &&
           (u->service_size == 0 || phi_bytes_equal(serves, watch_audience_service(u)));
}

phi_bytes watch_audience_service(const watch_audience *u)
{
    return phi_bytes_of(u->key + WATCH_SERVICE_AT, u->service_size);
}

bool watch_audience_is_everybody(const watch_audience *u)
{
    return u->role == NULL && watch_audience_type(u) == 0 && u->service_size == 0;
}

// ---- who is next

watch *watch_next(watches *all)
{
    bool is_for_behind = all->is_for_behind && !phi_list_is_empty(&all->behind);
    while (!is_for_behind && !phi_list_is_empty(&all->roused)) {
        watch_audience *u = PHI_CONTAINER_OF(all->roused.next, watch_audience, of_roused);
        if (!phi_list_is_empty(&u->roused)) {
            watch *w = PHI_CONTAINER_OF(u->roused.next, watch, node);
            watch_stand_at_least(w, u->roused_from);
            foresee(u, w);
            return w;
        }
        phi_list_remove(&u->of_roused);
    }
    return phi_list_is_empty(&all->behind) ? NULL : PHI_CONTAINER_OF(all->behind.next, watch, node);
}

// Those who are told in a row were quiet for a while, so what is needed of them is in no near
// cache. It is asked for in steps, each of which finds what the one before asked for: the watch
// after the next, the transport of the next, the stream of this one, which is written to at the end
// of the turn.
static PHI_ALWAYS_INLINE void foresee(const watch_audience *u, const watch *w)
{
    PHI_PREFETCH(w->owner->transport.stream);
    if (w->node.next != &u->roused) {
        const watch *next = PHI_CONTAINER_OF(w->node.next, watch, node);
        phi_transport_foresee(&next->owner->transport);
        PHI_PREFETCH(next->node.next);
        PHI_PREFETCH((const uint8_t *)next->node.next + sizeof *next - 1);
    }
}

void watch_move(watch *w, watch_standing standing, phi_list *to)
{
    phi_list_remove(&w->node);
    phi_list_append(to, &w->node);
    w->standing = standing;
}

void watch_stand_at_least(watch *w, uint64_t revision)
{
    w->place = w->place > revision ? w->place : revision;
}
