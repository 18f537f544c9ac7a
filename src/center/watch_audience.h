// SPDX-License-Identifier: Apache-2.0
//
// center/watch_audience.h - watchers with the same filter and role, see watch.h. Of watch.c, and of
// nobody else.
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

// Those with one filter.
struct watch_audience {
    phi_list node;    // on watches.touched
    phi_list current; // watch.node: know all there is, or all up to `from`
    uint32_t count;   // of its watches
    uint64_t from;    // touched: the revision before the first change that was not told
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

#endif // CENTER_WATCH_AUDIENCE_H
