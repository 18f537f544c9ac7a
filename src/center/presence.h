// SPDX-License-Identifier: Apache-2.0
//
// center/presence.h - the online list: who is told what changed, without a gap and without a double
// (P-41 to P-48).
//
// There is one table (the listed accounts), one revision, and one log of changes. A watcher has a
// place in the log: everything up to it is queued for that client. At the end of each turn those
// who lag get a stretch of the log, the same bytes for all. A watcher whose buffer is half full
// waits until there is room and goes on where it was. One whose place was forgotten, or who asks
// for the first time, is given the list, page by page as there is room, and stands at the place the
// log had when the list began.
//
//    why no gap     what a watcher is sent always begins at its place; the place moves only over
//                   what was queued; a place the log no longer has means a new list
//    why no double  the same; and what a list repeats, clients apply idempotently (P-48)
//    why bounded    a watcher costs its place and its filter, whatever it missed
//
// Life     presence_init -> (changes, watches, presence_turn)* -> presence_fini
// Limits   presence_log_max; half of a client's send buffer; CENTER_PRESENCE_TURN_BYTES_MAX
// Threads  none

#ifndef CENTER_PRESENCE_H
#define CENTER_PRESENCE_H

#include "center/presence_log.h"
#include "center/session.h"

typedef struct presence {
    uint64_t epoch;
    presence_log log;    // its last revision is the table's
    size_t table_bytes;  // of the entries of all that are online
    size_t watch_count;  // on the three lists
    phi_list current;    // watch.node: know all there is
    phi_list behind;     // watch.node: are to be told in this turn
    phi_list blocked;    // watch.node: are to be told when their buffer has room
    presence_place seen; // where the log ended when `current` was last looked at
} presence;

// PH_ENOMEM   no memory for the log
PHI_MUST_CHECK ph_err presence_init(presence *p, const phi_alloc *alloc, uint64_t epoch,
                                    size_t log_bytes);
void presence_fini(presence *p);

static inline uint64_t presence_revision(const presence *p)
{
    return p->log.last.revision;
}

// The account, whose entry is made, has come; its entry gets the revision.
void presence_online(center *c, account *a);

// Its state may be another now (account_state): if so, its line shows it and watchers are told.
void presence_show(center *c, account *a);

// Replaces its line, whose state is what the client says of itself now. Watchers are told, unless
// nothing that they see changed.
//
// PH_ENOMEM   no memory; the line stays
PHI_MUST_CHECK ph_err presence_replace(center *c, account *a, phi_bytes entry);

// It is about to go.
void presence_offline(center *c, account *a, phi_why why);

// What the client wants to know from now on; replaces what it asked before.
//
// PH_ENOMEM   no memory; it watches as before
PHI_MUST_CHECK ph_err presence_watch(center *c, session *s, const phi_presence_ask *ask);

// Nothing when it does not watch.
void presence_unwatch(center *c, session *s);

// There is room in its buffer.
void presence_on_room(center *c, session *s);

// The end of a turn: tells whom there is something to tell.
void presence_turn(center *c);

#endif // CENTER_PRESENCE_H
