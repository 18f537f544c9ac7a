// SPDX-License-Identifier: Apache-2.0
//
// center/registry.c - see registry.h.
//
// Design notes
//   - The id is kept apart from the line, so that a line can be replaced while the map and sessions
//     hold views of the name.
//   - A session keeps a view of the id, too: the router compares it with each message's `from`.
//
// Invariants  see account_check

#include "center/registry.h"

#include <string.h>

#include "base/assert.h"
#include "center/session.h"

static void note_entry(account *a);
static uint8_t *dup(const phi_alloc *alloc, phi_bytes bytes);

void registry_init(registry *r, const phi_alloc *alloc, phi_hash_key key, uint32_t accounts_max)
{
    PH_ASSERT(accounts_max > 0);
    *r = (registry){ .alloc = alloc };
    phi_slots_init(&r->accounts, alloc, sizeof(account), accounts_max);
    phi_map_init(&r->by_name, alloc, key, accounts_max);
    services_init(&r->services, alloc, key, accounts_max);
}

void registry_fini(registry *r)
{
    uint32_t index = 0;
    uint64_t handle;
    account *a;
    for (; (a = phi_slots_next(&r->accounts, &index, &handle)) != NULL; index++) {
        phi_give(r->alloc, a->entry, a->entry_size);
        phi_give(r->alloc, a->id, a->id_size);
    }
    services_fini(&r->services);
    phi_map_fini(&r->by_name);
    phi_slots_fini(&r->accounts);
}

ph_err registry_add(registry *r, account **out, const account_options *options)
{
    PH_ASSERT(phi_name_is_valid(options->name));
    PH_ASSERT(options->name.size + options->domain.size <= PHI_ID_BYTES_MAX);
    PH_ASSERT(registry_find(r, options->name) == NULL);
    if (r->accounts.count == r->accounts.count_max) {
        return PH_ELIMIT;
    }
    uint64_t handle;
    account *a = phi_slots_take(&r->accounts, &handle);
    ph_err rc = PH_ENOMEM;
    if (a == NULL) {
        return rc;
    }
    a->handle = handle;
    a->name_size = (uint8_t)options->name.size;
    a->id_size = (uint8_t)(options->name.size + options->domain.size);
    a->id = phi_take(r->alloc, a->id_size);
    if (a->id == NULL) {
        goto fail_id;
    }
    memcpy(a->id, options->name.data, options->name.size);
    memcpy(a->id + options->name.size, options->domain.data, options->domain.size);
    a->entry = dup(r->alloc, options->entry);
    if (a->entry == NULL) {
        goto fail_entry;
    }
    a->entry_size = (uint16_t)options->entry.size;
    note_entry(a);
    if (options->service.size != 0) {
        rc = services_join(&r->services, a, options->service);
        if (rc != PH_OK) {
            goto fail_service;
        }
    }
    rc = phi_map_put(&r->by_name, account_name(a), handle);
    if (rc != PH_OK) {
        goto fail_map;
    }
    account_check(a);
    *out = a;
    return PH_OK;

fail_map:
    services_leave(&r->services, a);
fail_service:
    phi_give(r->alloc, a->entry, a->entry_size);
fail_entry:
    phi_give(r->alloc, a->id, a->id_size);
fail_id:
    phi_slots_give(&r->accounts, handle);
    return rc;
}

void registry_remove(registry *r, account **a_at)
{
    account *a = *a_at;
    account_check(a);
    PH_ASSERT(a->session == NULL);
    PH_ASSERT(!a->is_listed); // or its watchers would never learn that it went
    bool was_known = phi_map_remove(&r->by_name, account_name(a));
    PH_ASSERT(was_known);
    services_leave(&r->services, a);
    phi_give(r->alloc, a->entry, a->entry_size);
    phi_give(r->alloc, a->id, a->id_size);
    phi_slots_give(&r->accounts, a->handle);
    *a_at = NULL;
}

account *registry_find(const registry *r, phi_bytes name)
{
    uint64_t handle;
    if (!phi_map_find(&r->by_name, name, &handle)) {
        return NULL;
    }
    account *a = registry_at(r, handle);
    PH_ASSERT(a != NULL);
    return a;
}

ph_err account_set_entry(registry *r, account *a, phi_bytes entry)
{
    PH_ASSERT(phi_bytes_equal(entry_id(entry.data), account_id(a)));
    uint8_t *owned = dup(r->alloc, entry);
    if (owned == NULL) {
        return PH_ENOMEM;
    }
    PH_ASSERT(phi_bytes_equal(entry_service(entry.data), account_service(a)));
    phi_give(r->alloc, a->entry, a->entry_size);
    a->entry = owned;
    a->entry_size = (uint16_t)entry.size;
    note_entry(a);
    a->entry[ENTRY_STATE_AT] = (uint8_t)account_state(a);
    account_check(a);
    return PH_OK;
}

phi_state account_state(const account *a)
{
    if (a->session == NULL || a->is_suspect) {
        return PHI_STATE_SUSPECT;
    }
    return a->is_drained ? PHI_STATE_DRAINING : (phi_state)a->own_state;
}

void account_bind(account *a, session *s)
{
    PH_ASSERT(a->session == NULL);
    PH_ASSERT(s->account == NULL);
    a->session = s;
    s->account = a;
    s->id = a->id;
    s->id_size = a->id_size;
    s->name_size = a->name_size;
    s->number = entry_session(a->entry);
}

void account_unbind(account *a)
{
    session *s = a->session;
    PH_ASSERT(s != NULL);
    PH_ASSERT(s->account == a);
    a->session = NULL;
    s->account = NULL;
    s->id = NULL;
}

// What its new line says of it.
static void note_entry(account *a)
{
    phi_entry_detail detail;
    ph_err rc = phi_entry_detail_decode(entry_fields(a->entry), &detail);
    PH_ASSERT(rc == PH_OK); // encoded here
    a->own_state = a->entry[ENTRY_STATE_AT];
    a->weight = detail.weight;
}

static uint8_t *dup(const phi_alloc *alloc, phi_bytes bytes)
{
    PH_ASSERT(bytes.size > 0);
    uint8_t *copy = phi_take(alloc, bytes.size);
    if (copy != NULL) {
        memcpy(copy, bytes.data, bytes.size);
    }
    return copy;
}

void account_check(const account *a)
{
    PH_ASSERT(a->handle != 0);
    PH_ASSERT(a->name_size > 0);
    PH_ASSERT(a->name_size < a->id_size);
    PH_ASSERT(a->entry_size >= ENTRY_BYTES_MIN);
    PH_ASSERT(phi_get_u16(a->entry) == a->entry_size);
    PH_ASSERT(phi_bytes_equal(entry_id(a->entry), account_id(a)));
    PH_ASSERT(a->session == NULL || a->session->account == a);
    PH_ASSERT(a->own_state >= PHI_STATE_STARTING && a->own_state <= PHI_STATE_DRAINING);
    PH_ASSERT(phi_bytes_equal(entry_service(a->entry), account_service(a)));
}
