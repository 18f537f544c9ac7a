// SPDX-License-Identifier: Apache-2.0
//
// center/presence.h - who is shown to be online: the list of a domain, and its changes.
//
// An account that has joined is listed; one that left is not. Between the two stand those of whom
// the center is not sure (P-49):
//
//    suspect   left an ask unanswered: shown as such until it is heard, or gone
//    ghost     was lost together with most of its service: its line stays for a while, as suspect
//    damped    was lost again and again: it is joined, but not shown until it is calm
//
// A client that says again and again that it is another costs each watcher a line for each time. So
// beyond own_changes_max at once, such changes are shown every CENTER_PRESENCE_PACE_MS: what it
// said last.
//
// Each change is one revision, and is put into the log; center/watch.h tells those who want it.
//
// Life     presence_init -> (join -> (show, replace, suspect)* -> leave)* -> presence_fini
// Limits   presence_log_max; own_changes_max; the flap_ and guard_ options; center/watch.h
// Threads  none

#ifndef CENTER_PRESENCE_H
#define CENTER_PRESENCE_H

#include "center/center.h"
#include "center/flap.h"
#include "center/presence_log.h"
#include "center/session.h"
#include "center/watch.h"
#include "policy/guard.h"

typedef struct presence {
    uint64_t epoch;
    presence_log log;    // its last revision is the list's
    size_t table_bytes;  // what a list of everybody may take
    uint32_t listed;     // accounts on the list, ghosts included
    uint32_t suspects;   // of them shown as suspect, ghosts included
    uint32_t ghosts;     // of them without a session
    uint32_t damped;     // accounts that are joined, but not on the list
    flaps flaps;         // who was lost again and again
    phi_guard_rule rule; // of service.guard
    watches watches;     // who is told
    phi_list untold;     // account.untold: changed again before they were calm
    phi_timer tell;      // set while there are any
} presence;

// PH_ENOMEM   no memory
PHI_MUST_CHECK ph_err presence_init(presence *p, phi_io *io, const phi_alloc *alloc,
                                    const center_options *options, uint64_t epoch,
                                    phi_hash_key key);

// The accounts of the registry are not to be shown any more.
void presence_drop(center *c);

// Nobody watches; presence_drop was called. Accepts a zeroed one.
void presence_fini(presence *p);

static inline uint64_t presence_revision(const presence *p)
{
    return p->log.last;
}

// The account has got its session.
void presence_join(center *c, account *a);

// Its session is gone. The account is presence's from here on: it is removed from the registry, at
// once, or when it has been a ghost for long enough.
void presence_leave(center *c, account *a, phi_why why);

// A ghost's account is wanted: it goes.
void presence_bury(center *c, account *ghost);

// Its state may be another now (account_state): if so, its line shows it and watchers are told.
void presence_show(center *c, account *a);

// Replaces its line, whose state is what the client says of itself now. Watchers are told, unless
// nothing that they see changed: at once, or when it has been calm for a moment.
//
// PH_ENOMEM   no memory; the line stays
PHI_MUST_CHECK ph_err presence_replace(center *c, account *a, phi_bytes entry);

// It left an ask unanswered, or was heard again.
void presence_suspect(center *c, account *a, bool is_suspect);

// ---- at workers that do not decide (replica.h)

// A line as the first worker has it.
typedef struct presence_line_told {
    phi_bytes entry;
    uint8_t own_state;
    bool is_suspect;
    bool is_drained;
    bool is_new; // it is listed now
} presence_line_told;

// Takes it on, and tells watchers.
//
// PH_ENOMEM   no memory; all is as it was
PHI_MUST_CHECK ph_err presence_follow_line(center *c, account *a, const presence_line_told *told);

// It is off the list.
void presence_follow_gone(center *c, account *a, phi_why why);

// Asserts the invariants of the list; walks the accounts.
void presence_check(const center *c);

#endif // CENTER_PRESENCE_H
