// SPDX-License-Identifier: Apache-2.0
//
// center/service.h - the services of a domain: each name, and the accounts that are instances of
// it.
//
// A service is there while somebody is an instance of it. The record saves those who mean a service
// from walking over everybody; and its balancer knows those instances that are ready.
//
// Life     services_join makes it with its first instance, services_leave frees it with the last
// Limits   services_max
// Threads  none

#ifndef CENTER_SERVICE_H
#define CENTER_SERVICE_H

#include "base/list.h"
#include "base/map.h"
#include "base/slots.h"
#include "policy/balancer.h"
#include "policy/guard.h"
#include "wire/name.h"

typedef struct account account;

typedef struct service {
    uint64_t handle;    // in services.slots
    phi_list instances; // account.of_service, in the order in which they came
    uint32_t instance_count;
    uint32_t ghost_count;  // of them, kept on the list by the guard
    uint32_t listed_count; // of them, those on the list; kept by presence
    phi_guard guard;
    phi_balancer ready; // account.load of those that may be chosen; has room for all instances
    uint8_t name_size;
    uint8_t name[PHI_NAME_BYTES_MAX];
} service;

typedef struct services {
    phi_slots slots; // service
    phi_map by_name; // service name -> service.handle; keys are views into service.name
} services;

void services_init(services *all, const phi_alloc *alloc, phi_hash_key key, uint32_t services_max);
void services_fini(services *all);

// The service of that name, or NULL.
service *services_find(const services *all, phi_bytes name);

// NULL for a handle that is no longer good.
static inline service *services_at(const services *all, uint64_t handle)
{
    return phi_slots_find(&all->slots, handle);
}

// The account is an instance of that service from now on.
//
// PH_ENOMEM   no memory for a service that is new
// PH_ELIMIT   services_max
PHI_MUST_CHECK ph_err services_join(services *all, account *a, phi_bytes name);

// It no longer is one. Nothing for one that is an instance of none.
void services_leave(services *all, account *a);

// Its state, its weight, or whether it is listed, may be another now: so may be whether it is
// chosen.
void service_refresh(account *a, phi_time now);

// The instance that gets the next message, or NULL; never `but`, which may be NULL. [P-64]
account *service_pick(service *v, phi_random *random, phi_time now, const account *but);

static inline phi_bytes service_name(const service *v)
{
    return phi_bytes_of(v->name, v->name_size);
}

// Asserts the invariants.
void service_check(const service *v);

#endif // CENTER_SERVICE_H
