// SPDX-License-Identifier: Apache-2.0
//
// center/registry.h - the accounts of a domain: who is in the online list, whose session it is, and
// of what service it is an instance.
//
// An account is apart from its session. It comes when a client joins, and is what others see of it:
// its name, and its line of the list, encoded as it goes on the wire (P-46). The line can be
// replaced while the client stays; the name cannot. And the account may outlive its session: then
// it is a *ghost*, a line that is still shown although nobody is connected.
//
// Life     registry_add -> account_bind -> (account_set_entry, account_unbind)* -> registry_remove
// Limits   accounts_max; the names and lines of those
// Threads  none

#ifndef CENTER_REGISTRY_H
#define CENTER_REGISTRY_H

#include "center/entry.h"
#include "center/presence_log.h"
#include "center/service.h"

typedef struct session session;
typedef struct presence_hold presence_hold;

struct account {
    uint64_t handle;     // in registry.accounts
    session *session;    // borrowed; NULL: a ghost
    uint8_t *id;         // owned, id_size bytes: account@domain; its beginning is the map's key
    uint8_t *entry;      // owned, entry_size bytes; its line as on the wire (P-46)
    uint16_t entry_size; // as the entry says itself
    uint8_t id_size;
    uint8_t name_size;   // of the account in the id
    bool is_listed;      // watchers are told of it; set by presence
    uint8_t own_state;   // phi_state: what the client says of itself
    uint16_t weight;     // as in the entry
    service *service;    // borrowed; NULL: an instance of none
    phi_list of_service; // on service->instances

    phi_load load; // of the calls that it was chosen for; in service->ready when it is ready

    // What presence keeps of it.
    presence_line line;  // when it changed
    presence_hold *hold; // owned; NULL: it is what its connection says
    phi_list untold;     // on presence.untold: its line is not what watchers were told last
    phi_time calm;       // told of changes of its own, it has used up all time until then
    bool is_suspect;     // an ask is unanswered
    bool is_drained;     // an operator wants it to be draining (P-69)
    bool is_wish_owed;   // it does not know of that, or that it was taken back
};

typedef struct registry {
    const phi_alloc *alloc; // borrowed
    phi_slots accounts;     // account
    phi_map by_name;        // account -> account.handle; keys are views into account.id
    services services;      // those that they are instances of
} registry;

// What a new account is made of; views.
typedef struct account_options {
    phi_bytes name;
    phi_bytes domain;  // with its @
    phi_bytes service; // as in the entry; may be empty
    phi_bytes entry;   // encoded; its state is what the client says of itself
} account_options;

void registry_init(registry *r, const phi_alloc *alloc, phi_hash_key key, uint32_t accounts_max);

// Frees what is left.
void registry_fini(registry *r);

// The account of that name, or NULL.
account *registry_find(const registry *r, phi_bytes name);

// NULL for a handle that is no longer good.
static inline account *registry_at(const registry *r, uint64_t handle)
{
    return phi_slots_find(&r->accounts, handle);
}

// A new account, a ghost as yet. Nobody has its name.
//
// PH_ENOMEM   no memory
// PH_ELIMIT   accounts_max
PHI_MUST_CHECK ph_err registry_add(registry *r, account **out, const account_options *options);

// It has no session. Frees it and clears *a_at.
void registry_remove(registry *r, account **a_at);

// Replaces its line. Id and service in it are the same; its state is what the client says of
// itself. The new one shows the state of account_state.
//
// PH_ENOMEM   no memory; the line stays
PHI_MUST_CHECK ph_err account_set_entry(registry *r, account *a, phi_bytes entry);

// What the list should show: its own state, or what is known better here.
phi_state account_state(const account *a);

// The session that is this account from now on. See session_check for what holds then.
void account_bind(account *a, session *s);
void account_unbind(account *a);

// Views, valid for the account's life.
static inline phi_bytes account_id(const account *a)
{
    return phi_bytes_of(a->id, a->id_size);
}
static inline phi_bytes account_name(const account *a)
{
    return phi_bytes_of(a->id, a->name_size);
}

// Empty: an instance of none.
static inline phi_bytes account_service(const account *a)
{
    return a->service == NULL ? phi_bytes_of(NULL, 0) : service_name(a->service);
}

// Valid until the entry is replaced.
static inline phi_bytes account_entry(const account *a)
{
    return phi_bytes_of(a->entry, a->entry_size);
}

// May be chosen, unless its weight is 0.
static inline bool account_is_ready(const account *a)
{
    return a->session != NULL && a->is_listed && a->entry[ENTRY_STATE_AT] == PHI_STATE_READY;
}

// Asserts the invariants.
void account_check(const account *a);

#endif // CENTER_REGISTRY_H
