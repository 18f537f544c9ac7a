// SPDX-License-Identifier: Apache-2.0
//
// center/center.h - the message center of one domain: who is there, who is told, what is carried to
// whom.
//
// Life     new -> listen* -> (its io turns) -> stop -> on_stopped -> free
// Limits   fields of center_options, from limits.def, with their defaults, and the constants below;
//          docs/limits.md lists them all
// Threads  none: a center belongs to its io

#ifndef CENTER_CENTER_H
#define CENTER_CENTER_H

#include "io/mailbox.h"
#include "obs/log.h"
#include "wire/codes.h"
#include "wire/packet.h"

// Fixed limits; the others are in limits.def.
#define CENTER_LISTENERS_MAX 16u // addresses one center listens on
// How long a client that joins waits for the end of its older link to be read [P-37]: less than it
// has to join, and less than it is told to wait when its account is taken.
#define CENTER_REJOIN_WAIT_MS 1000u
// All watchers together in one turn: lists for thousands that come back at once must not keep the
// calls of others waiting.
#define CENTER_PRESENCE_TURN_BYTES_MAX (4u * 1024u * 1024u)
#define CENTER_PRESENCE_TURN_WATCHERS_MAX 64u // a write for each: some 0.4 ms

// Watchers are told of what one client says of itself, beyond own_changes_max, not sooner than that
// after the last.
#define CENTER_PRESENCE_PACE_MS 250u
// Words of patterns that are subscribed to or taken back in one turn: a few milliseconds.
#define CENTER_PATTERN_TURN_WORDS_MAX 16384u
// Subscriptions of those who left that are taken out in one turn: about a millisecond.
#define CENTER_SWEEP_TURN_COUNT_MAX 4096u

// Connections that drains look at in one turn: some milliseconds. The last one may exceed it.
#define CENTER_DRAIN_TURN_PLACES_MAX 262144u

typedef struct center center;
typedef struct center_security center_security; // center/security.h

// Fields come from limits.def, so that configuration, --help and docs/limits.md cannot disagree
// with them.
typedef struct center_options {
    const char *domain; // copied
    phi_suite suite;
    bool insecure_allow_remote; // suites of this version away from loopback (P-22)
    // Of one worker of several (worker.h): its mailbox, borrowed for the center's life, and the
    // epoch of their online list, not 0, the same for all. They have the same options, but each its
    // own io; only the first (mailbox index 0) listens. NULL: it is alone.
    phi_mailbox *mailbox;
    uint64_t epoch;
    // A token was refused because its key is not known: whoever fetches keys may want to do so now.
    // Called inside a turn, as often as peers like. NULL: nobody fetches.
    void (*on_unknown_key)(void *arg);
    void *on_unknown_key_arg;
#define CENTER_LIMIT(name, type, fallback, min, max, unit, help) uint64_t name;
#include "center/limits.def"
#undef CENTER_LIMIT
} center_options;

// All defaults.
center_options center_options_default(void);

typedef struct center_counters {
#define CENTER_METRIC(name, kind, help) uint64_t name;
#include "center/metrics.def"
#undef CENTER_METRIC
    uint64_t links_ended_total[PHI_BYE_COUNT]; // by reason, whichever end gave it
} center_counters;

// PH_EINVAL   a limit out of its range, or a domain that is no name; *diag says which
// PH_ENOMEM   no memory
// log may be NULL; it and io are borrowed for the center's life.
PHI_MUST_CHECK ph_err center_new(center **out, phi_io *io, const center_options *options,
                                 phi_log *log, phi_diag *diag);

// Closes what is open, without byes, and frees everything. Not from inside a callback of its io,
// nor from `stopped`.
void center_free(center **c);

// Whom to believe, and who may do what, from now on; that is also for those who have joined. A
// client that is no longer believed, or may no longer be who it is, is ended within the next
// turns; what others may no longer do is refused from here on. `security` is borrowed until
// another takes its place; a center begins with center_security_open.
void center_secure(center *c, const center_security *security);

typedef enum center_listener {
    CENTER_LISTENER_PLAIN,   // the center's suite
    CENTER_LISTENER_TLS,     // security.tls
    CENTER_LISTENER_CENTERS, // security.tls_centers; other centers, and nobody else
    CENTER_LISTENER_COUNT
} center_listener;

// "plain", "tls", "centers".
const char *center_listener_name(center_listener kind);

typedef struct center_listen_options {
    const char *address; // as of phi_io_listen: without the kind
    center_listener kind;
} center_listen_options;

// PH_EACCESS   the address is not local, plain, and insecure_allow_remote is not set
// PH_EINVAL    not plain, and there are no credentials for it
// PH_ELIMIT    CENTER_LISTENERS_MAX are listening
// and those of phi_io_listen. `bound` (may be NULL) receives the address with its real port.
PHI_MUST_CHECK ph_err center_listen(center *c, const center_listen_options *options,
                                    char bound[PHI_ADDRESS_TEXT_MAX], phi_diag *diag);

// Says bye (going_away, with spread retry-after) to everybody; `stopped` runs once, in a later
// turn, when the last link is gone: at the latest PHI_TRANSPORT_LINGER_MS after.
void center_stop(center *c, void (*stopped)(void *arg), void *arg);

// A snapshot.
center_counters center_count(const center *c);

// Adds what another worker has counted. What all of them have alike (kind SHARED_* in metrics.def)
// stays that of `sum`: of the first worker.
void center_counters_add(center_counters *sum, const center_counters *other);

// Asserts the invariants of what it shows; walks it.
void center_check(const center *c);

#endif // CENTER_CENTER_H
