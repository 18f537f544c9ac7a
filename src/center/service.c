// SPDX-License-Identifier: Apache-2.0
//
// center/service.c - see service.h.
//
// Design notes
//   - Room in the balancer is taken when an instance joins, whatever its state is: what changes
//     later, in the middle of anything, cannot fail.
//   - Whether an instance may be chosen follows from its account alone. Who changes that account
//     calls service_refresh; nobody sets it from outside.
//   - The instances stand in a list besides, in the order in which they came: those that are not
//     ready are meant by all:NAME, too.
//
// Invariants  see service_check

#include "center/service.h"

#include <string.h>

#include "base/assert.h"
#include "center/registry.h"

static ph_err make(services *all, phi_bytes name, service **out);
static void drop_unused(services *all, service *v);

void services_init(services *all, const phi_alloc *alloc, phi_hash_key key, uint32_t services_max)
{
    PH_ASSERT(services_max > 0);
    phi_slots_init(&all->slots, alloc, sizeof(service), services_max);
    phi_map_init(&all->by_name, alloc, key, services_max);
}

void services_fini(services *all)
{
    uint32_t index = 0;
    uint64_t handle;
    service *v;
    for (; (v = phi_slots_next(&all->slots, &index, &handle)) != NULL; index++) {
        phi_balancer_fini(&v->ready);
    }
    phi_map_fini(&all->by_name);
    phi_slots_fini(&all->slots);
}

ph_err services_join(services *all, account *a, phi_bytes name)
{
    PH_ASSERT(a->service == NULL);
    service *v = services_find(all, name);
    ph_err rc = v == NULL ? make(all, name, &v) : PH_OK;
    if (rc != PH_OK) {
        return rc;
    }
    rc = phi_balancer_reserve(&v->ready, v->instance_count + 1);
    if (rc != PH_OK) {
        drop_unused(all, v);
        return rc;
    }
    a->service = v;
    phi_list_append(&v->instances, &a->of_service);
    v->instance_count++;
    service_check(v);
    return PH_OK;
}

void services_leave(services *all, account *a)
{
    service *v = a->service;
    if (v == NULL) {
        return;
    }
    PH_ASSERT(v->instance_count > 0);
    PH_ASSERT(a->load.place == 0);
    PH_ASSERT(a->load.outstanding == 0);
    phi_list_remove(&a->of_service);
    v->instance_count--;
    a->service = NULL;
    service_check(v);
    drop_unused(all, v);
}

service *services_find(const services *all, phi_bytes name)
{
    uint64_t handle;
    if (!phi_map_find(&all->by_name, name, &handle)) {
        return NULL;
    }
    service *v = services_at(all, handle);
    PH_ASSERT(v != NULL);
    return v;
}

void service_refresh(account *a, phi_time now)
{
    service *v = a->service;
    if (v != NULL) {
        phi_balancer_set(&v->ready, &a->load, account_is_ready(a) ? a->weight : 0, now);
        service_check(v);
    }
}

account *service_pick(service *v, phi_random *random, phi_time now, const account *but)
{
    const phi_load *not_this = but == NULL || but->service != v ? NULL : &but->load;
    phi_load *load = phi_balancer_pick(&v->ready, random, now, not_this);
    if (load == NULL) {
        return NULL;
    }
    account *a = PHI_CONTAINER_OF(load, account, load);
    PH_ASSERT(account_is_ready(a));
    PH_ASSERT(a->service == v);
    PH_ASSERT(a != but);
    return a;
}

static ph_err make(services *all, phi_bytes name, service **out)
{
    PH_ASSERT(phi_name_is_valid(name));
    if (all->slots.count == all->slots.count_max) {
        return PH_ELIMIT;
    }
    uint64_t handle;
    service *v = phi_slots_take(&all->slots, &handle);
    if (v == NULL) {
        return PH_ENOMEM;
    }
    v->handle = handle;
    v->name_size = (uint8_t)name.size;
    memcpy(v->name, name.data, name.size);
    phi_list_init(&v->instances);
    phi_balancer_init(&v->ready, all->slots.alloc);
    ph_err rc = phi_map_put(&all->by_name, service_name(v), handle);
    if (rc != PH_OK) {
        phi_slots_give(&all->slots, handle);
        return rc;
    }
    *out = v;
    return PH_OK;
}

static void drop_unused(services *all, service *v)
{
    if (v->instance_count == 0) {
        bool was_known = phi_map_remove(&all->by_name, service_name(v));
        PH_ASSERT(was_known);
        phi_balancer_fini(&v->ready);
        phi_slots_give(&all->slots, v->handle);
    }
}

void service_check(const service *v)
{
    PH_ASSERT(v->handle != 0);
    PH_ASSERT(v->name_size > 0);
    PH_ASSERT(v->ready.count <= v->instance_count);
    PH_ASSERT(v->instance_count <= v->ready.capacity);
    PH_ASSERT(v->listed_count <= v->instance_count);
    PH_ASSERT(v->ghost_count <= v->listed_count);
    PH_ASSERT((v->instance_count == 0) == phi_list_is_empty(&v->instances));
}
