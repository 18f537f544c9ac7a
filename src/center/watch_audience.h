// SPDX-License-Identifier: Apache-2.0
//
// center/watch_audience.h - watchers with the same filter and role, see watch.h, and which watcher
// is told next. Of watch.c, and of nobody else.
//
// Life     watch_audience_join makes one with its first watch, _leave frees it with its last
// Threads  none

#ifndef CENTER_WATCH_AUDIENCE_H
#define CENTER_WATCH_AUDIENCE_H

#include "center/guard.h"
#include "center/watch.h"

enum {
    // Changes that an audience remembers.
    WATCH_RECENT_MAX = 16,
    WATCH_TYPE_NOBODY = UINT8_MAX, // the filter of those who want another domain
};

// Which list a watch is on.
typedef enum watch_standing {
    STANDS_WITH_OTHERS, // audience.current or .roused
    STANDS_BEHIND,      // watches.behind
    STANDS_BLOCKED,     // watches.blocked
} watch_standing;

// What one client wants to know, and how far it was told.
struct watch {
    phi_list node; // on one of those
    session *owner;
    watch_audience *audience;
    uint64_t place;      // what is before it is queued, or on the list that is being sent
    uint64_t told;       // the revision of the page or status queued last
    uint64_t shown;      // who came up to this one may be known, though it is behind the place
    uint64_t marked;     // the revision that it was asked to acknowledge last
    uint64_t acked;      // the revision that it has acknowledged
    uint32_t list_index; // the account's slot from which the next page goes on
    bool is_listing;     // pages before changes
    bool has_begun;      // the first page, or the first status of one who came back, is queued
    bool is_late;        // whether a list is less than what it lacks is to be judged
    bool is_unsighted;   // the rules are others: what it may see is to be looked at
    bool sees_itself;    // though its role does not see it
    watch_standing standing;
    uint64_t epoch; // of the table, as it is shown it
};

// Those with one filter.
struct watch_audience {
    phi_list node;      // on watches.touched
    phi_list current;   // watch.node: know all there is, or all up to `from`
    uint64_t from;      // touched: the revision before the first change that was not told
    phi_list of_roused; // on watches.roused
    phi_list roused;    // watch.node: know all up to `roused_from`, and are to be told
    uint64_t roused_from;
    uint32_t count;                    // of its watches
    uint64_t recent[WATCH_RECENT_MAX]; // the last revisions that pass, a ring
    uint64_t recent_count;             // that ever were
    uint64_t recent_after;             // all that pass behind it are in `recent`
    role *role;                        // what they see; NULL: everything. A share of it
    uint8_t service_size;
    uint8_t key[]; // number of the role (u64, 0: none), type (0: any), then service (empty: any)
};

enum {
    WATCH_TYPE_AT = 8, // in key
    WATCH_SERVICE_AT = 9,
};

static inline uint8_t watch_audience_type(const watch_audience *u)
{
    return u->key[WATCH_TYPE_AT];
}

// With one watch more; NULL: no memory.
watch_audience *watch_audience_join(center *c, role *r, const phi_presence_ask *ask);

// One watch is gone.
void watch_audience_leave(center *c, watch_audience *u);

// The next revision behind `r` that passes, of those it remembers; UINT64_MAX: none.
uint64_t watch_audience_next(const watch_audience *u, uint64_t *cursor, uint64_t r);

// Whether its filter lets such an account through.
bool watch_audience_wants(const watch_audience *u, uint8_t type, phi_bytes serves);

// Of its filter; empty: any.
phi_bytes watch_audience_service(const watch_audience *u);

// Whether nothing is filtered or hidden.
bool watch_audience_is_everybody(const watch_audience *u);

// Who is to be told next; NULL: nobody. Those who were roused and those who are behind come first
// in turns (is_for_behind): neither waits for all of the others. It stays on its list.
watch *watch_next(watches *all);

// To the end of that list.
void watch_move(watch *w, watch_standing standing, phi_list *to);

// What is up to that revision does not concern it, or is queued.
void watch_stand_at_least(watch *w, uint64_t revision);

#endif // CENTER_WATCH_AUDIENCE_H
