// SPDX-License-Identifier: Apache-2.0
//
// center/guard.h - who may do what: the rules, as far as the hot path is concerned.
//
// A session has a *role*: the set of rules that fit its principal. Most centers have no rules, and
// their clients no role: then everything is allowed, and a message costs one look to see that.
// Roles are interned, so a thousand instances of a service share one; what was found out about a
// role and a receiver is remembered.
//
//    no rules    a client of this machine has no role; those of others have one that allows nothing
//    rules       everybody has a role
//
// A refusal tells nothing: whoever may not write to an account gets the same answer whether there
// is such an account or not. So before a sender is told that there is none, guard_may_name asks
// whether it might write to it if there were.
//
// Life     guard_init -> (guard_enter -> guard_may* -> guard_leave)* -> guard_fini;
//          guard_change when there are other rules
// Limits   a role for each client at most; GUARD_CELLS verdicts remembered
// Threads  none

#ifndef CENTER_GUARD_H
#define CENTER_GUARD_H

#include "auth/rules.h"
#include "base/map.h"
#include "base/slots.h"
#include "center/session.h"

#define GUARD_CELLS 4096u // a power of two

typedef struct role {
    uint64_t generation; // guard.generation: of which rules; with `fits` the map's key
    phi_role fits;
    uint64_t number; // never given again: what was remembered of a role is of no other
    uint32_t count;  // of sessions and audiences that have it
    // What presence keeps of it.
    phi_list of_watches; // on watches.roles while it has audiences
    uint32_t audience_count;
} role;

// What is remembered of one verdict.
typedef struct guard_cell {
    uint64_t key;      // role and action; 0: nothing
    uint64_t receiver; // the account's handle; of a topic its hash
    bool is_allowed;
} guard_cell;

typedef struct guard {
    const phi_alloc *alloc;
    const phi_rules *rules; // borrowed, see center_secure; NULL: there are none
    uint64_t generation;    // grows when they become others
    phi_map roles;          // phi_role -> role
    uint64_t number_last;
    uint32_t judged_count; // sessions with a role
    role nothing;          // of who may do nothing
    role unknown;          // of who is to be looked at again: the rules are others
    guard_cell *cells;     // owned; NULL until one is to be remembered
} guard;

// Of a topic that a message is published to: it, and what is known of both ends' rights.
typedef struct guard_topic {
    phi_bytes name;      // empty: the message is for no topic
    uint64_t publisher;  // number of the role that was judged; 0: none yet
    uint64_t subscriber; // same, of the last
    bool may_publish;
    bool may_subscribe;
} guard_topic;

void guard_init(guard *g, const phi_alloc *alloc, phi_hash_key key);
// Nobody has a role: asserted. Accepts a zeroed one.
void guard_fini(guard *g);

// Puts these rules in force. Those before are still there, to be compared. True: both say the same,
// and nothing changes. False: each session's role is found anew when it next does something.
bool guard_takes(center *c, const phi_rules *rules);

// A session has joined, leaves, or has another principal.
void guard_enter(center *c, session *s);
void guard_leave(center *c, session *s);
void guard_renamed(center *c, session *s);

// Of its principal, by the rules of now. NULL: it may do everything.
role *guard_role(center *c, session *s);
// For whoever keeps a role beyond the session's, which may get another one.
role *guard_role_keep(role *r);
void guard_role_give(center *c, role *r); // NULL is nothing

// Whether it may do that to the account; `method` is empty where there is none.
bool guard_may(center *c, session *s, phi_action action, const account *a, phi_bytes method);

// Whether it might do that to an account of which nothing is known but what stands in `target`.
bool guard_may_name(center *c, session *s, phi_action action, const phi_target *target);

// Whether it may publish to that topic, asked before anybody is looked for.
bool guard_may_publish(center *c, session *s, guard_topic *topic);

// Whether a client of that role sees such an account. `r` NULL: it does. A role of rules that are
// no longer in force sees nobody.
bool guard_sees(const center *c, const role *r, phi_bytes name, phi_bytes serves);

// What a client of that role sees, as a number that changes when the rules say something else about
// that. 0: it has no role, and sees everything. The same at every worker.
uint32_t guard_sight(const center *c, const role *r);

// The sender is told that it may not: that is counted, and logged. Those whom an event for many
// passes over are neither.
void guard_refused(center *c, const session *s, phi_action action, phi_bytes to, phi_bytes method);
void guard_refused_message(center *c, const session *s, phi_bytes payload);

// Slow path of deliver_is_allowed. Do not call.
bool guard_allows(center *c, session *sender, session *receiver, phi_bytes payload,
                  guard_topic *topic);

// The short way for a topic: both roles are those that were judged last, and they may. That is so
// for most receivers of a topic. Part of deliver_is_allowed. Do not call.
static inline bool guard_allows_again(const session *sender, const session *receiver,
                                      const guard_topic *topic)
{
    return topic != NULL && sender->role != NULL && receiver->role != NULL && topic->may_publish &&
           topic->may_subscribe && topic->publisher == sender->role->number &&
           topic->subscriber == receiver->role->number;
}

// Asserts the invariants; walks the sessions.
void guard_check(const center *c);

#endif // CENTER_GUARD_H
