// SPDX-License-Identifier: Apache-2.0
//
// center/watch.h - who wants to know who is online, and how they are told.
//
// A watcher is a revision: what it knows is the list as of that. It is sent the lines that changed
// since, each as it is now; one that knows nothing, or what is forgotten, is sent the list, page by
// page, and then goes on in the same way. So slow, new and returning watchers are one case:
//
//    why no gap     what the revision stands for is queued; an unknown revision means a new list
//    why no double  the same; and what a list repeats, clients apply idempotently (P-48)
//    why bounded    a watcher costs its place and its filter, whatever it missed
//
// Watchers with the same filter and the same role are one *audience*. A change concerns, of each
// role that may see it, at most four of them (those of all, of its type, of its service, of both),
// and nobody else hears that there was one. What an audience is sent is encoded once, and shared
// (wire/run.h). Only its own line everybody may see, whatever his role: who would not, is told of
// that alone.
//
// Storms   Telling many takes time. Then changes are gathered for a while that grows with how many
//          were told, up to WATCH_GATHER_MS; a lone change goes out at once.
// Life     watches_init -> (watch_begin -> watch_turn* -> watch_end)* -> watches_fini
// Limits   half of a client's send buffer; CENTER_PRESENCE_TURN_BYTES_MAX, _TURN_WATCHERS_MAX
// Threads  none

#ifndef CENTER_WATCH_H
#define CENTER_WATCH_H

#include "base/map.h"
#include "io/io.h"
#include "wire/presence.h"

typedef struct center center;
typedef struct session session;
typedef struct watch watch;
typedef struct watch_audience watch_audience;
typedef struct watch_batch watch_batch;

#define WATCH_GATHER_MS 50u

// Somebody whom a watcher may want to know of.
typedef struct watch_subject {
    uint8_t type;
    phi_bytes name; // its account
    phi_bytes service;
} watch_subject;

typedef struct watches {
    phi_io *io;             // borrowed
    const phi_alloc *alloc; // same
    size_t count;           // of watchers
    phi_map audiences;      // role and filter -> audience
    phi_list roles;         // role.of_watches: those that have audiences
    phi_list touched;       // audience.node: there are changes for them
    phi_list roused;        // audience.of_roused: some of theirs are to be told
    phi_list behind;        // watch.node: are to be told, each from a place of its own
    phi_list blocked;       // watch.node: are to be told when their buffer has room
    bool is_for_behind;     // whose turn it is first, theirs or that of the roused
    phi_time rest_until;    // changes are gathered until then
    phi_timer rested;
    uint64_t confirm;      // who is told of so much is asked to acknowledge it; 0: nobody
    uint64_t judged_after; // whether those who know so much lack more than the list is: the
    uint64_t judged_last;  // answer, and of which log
    bool lacks_more;
    watch_batch *batch; // owned; what was encoded last
} watches;

// PH_ENOMEM   no memory
PHI_MUST_CHECK ph_err watches_init(watches *all, phi_io *io, const phi_alloc *alloc,
                                   phi_hash_key key, uint32_t count_max);
// Nobody watches: asserted. Accepts a zeroed one.
void watches_fini(watches *all);

// What the client wants to know from now on; replaces what it asked before.
//
// PH_ENOMEM   no memory; it watches as before
PHI_MUST_CHECK ph_err watch_begin(center *c, session *s, const phi_presence_ask *ask);

// Nothing when it does not watch.
void watch_end(center *c, session *s);

// Every watcher that has not acknowledged that revision is asked to, as soon as it was told of it;
// drain_on_ack hears of it.
void watch_confirm(center *c, uint64_t revision);

// Nobody waits for that any more: who is told something now, or comes back, is not asked.
void watch_confirm_end(center *c);

// It has read what was queued before that mark.
void watch_confirmed(center *c, session *s, uint64_t mark);

// The table's epoch for that client. Who comes back with another one was shown another table.
uint64_t watch_epoch(center *c, session *s);

// The revision that it has acknowledged, or said that it knew when it asked; 0: neither.
uint64_t watch_acked(const watch *w);

// Whether it wants to know of such an account, and may; or may for all that is known, while what it
// may see is to be looked at anew.
bool watch_wants(const center *c, const watch *w, const watch_subject *subject);

// The rules are about to be others: what watchers may see is looked at anew before they are told
// anything more. Those whom the new ones show something else are sent the list.
void watch_unsight(center *c);
// The same for one, who is somebody else from now on.
void watch_unsight_one(center *c, session *s);

// There is room in its buffer.
void watch_on_room(center *c, session *s);

// The newest change is one of this entry (encoded).
void watch_touch(center *c, const uint8_t *entry);

// The same, for a watcher whom it is about and who sees itself only. Of watch_touch.
void watch_touch_self(center *c, const uint8_t *entry);

// The end of a turn: tells whom there is something to tell.
void watch_turn(center *c);

// Asserts the invariants.
void watches_check(const center *c);

#endif // CENTER_WATCH_H
