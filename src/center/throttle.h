// SPDX-License-Identifier: Apache-2.0
//
// center/throttle.h - how much one account, and one address, may do: P-78.
//
//   what it sends     Messages and bytes a second, of each account and of each address. They are
//                     charged after each read, and who is over its limit is read later: nothing is
//                     lost, and whoever sends faster waits on its own socket. Others do not notice.
//   connections       of one address at a time and a second: refused before anything else is done
//                     for them, TLS included
//   refusals          An address from which many came that were not let in has to wait, longer each
//                     time.
//
// An address is a host: of IPv6 the network of 64 bits that one customer has, loopback as a whole,
// Unix sockets as a whole. What is sent is charged where the connection is; with several workers
// each has an equal part of an address's rate. Connections and refusals are counted by the first
// worker, which accepts all.
//
// Without limits none of this is done, and nothing is paid for it (phi_transport_events.on_read).
//
// Life     throttle_init -> throttle_admits -> throttle_begin -> throttle_joined -> throttle_read*
//          -> throttle_end -> throttle_fini
// Limits   throttle_table_max accounts and addresses are remembered, those that nobody is charged
//          to only as long as they owe something
// Threads  none

#ifndef CENTER_THROTTLE_H
#define CENTER_THROTTLE_H

#include "base/hashed.h"
#include "base/list.h"
#include "base/timers.h"
#include "center/session.h"
#include "policy/bucket.h"

// An address from which too many came is refused for a second, then for two, four, ... up to this.
#define THROTTLE_BAR_MS_MAX 64000u
// Refusals are counted for so long; and an address that had to wait counts as new only when it has
// been good for ten times as long.
#define THROTTLE_REFUSALS_MS 60000u

// What one may send in a second; 0: as much as it likes.
typedef struct throttle_rates {
    uint64_t messages;
    uint64_t bytes;
} throttle_rates;

// A connection's part in it, made when it first has one.
struct session_meter {
    session *session;
    phi_timer wake;   // while paused
    phi_time until;   // when it fires, while it is set
    uint64_t address; // its name, where the first worker counts it; 0: it is not counted
    uint32_t host;    // in throttle.sources: what it is charged to; 0: nothing
    uint32_t account; // same
};

typedef struct throttle {
    throttle_rates account;
    throttle_rates host;
    bool is_metering; // one of these is not 0
    bool is_counting; // connections, or refusals
    phi_hashed sources;
    phi_list idle;         // throttle_source.idle: nobody is charged to it
    uint32_t paused_count; // sessions
    uint32_t counted;      // connections, by address; at the first worker
} throttle;

void throttle_init(center *c);
// All sessions are gone: asserted. Accepts a zeroed one.
void throttle_fini(center *c);

// Whether a connection may come in, asked by the worker that accepts it; then *address is to be
// passed on with it, and throttle_gone is to follow when it is gone. False: *retry_after_ms.
PHI_MUST_CHECK bool throttle_admits(center *c, const phi_stream *stream, uint64_t *address,
                                    uint32_t *retry_after_ms);
void throttle_gone(center *c, uint64_t address);
void throttle_on_gone(center *c, uint64_t address); // by mail

// A session is made for it, and its link. `address` is the session's from here on, also when it is
// false, without memory or a place.
PHI_MUST_CHECK bool throttle_begin(center *c, session *s, uint64_t address);
// It has joined: now it is charged as its account, too. False as above.
PHI_MUST_CHECK bool throttle_joined(center *c, session *s);
// The client sent so much.
void throttle_read(center *c, session *s, size_t bytes, size_t packets);
// The client is not read before `until`, for whatever reason; of several times the latest counts.
// Without memory nothing happens.
void throttle_pause(center *c, session *s, phi_time until);
// It was not let in, because nobody believed who it says it is.
void throttle_refused(center *c, session *s);
void throttle_on_refused(center *c, uint64_t address); // by mail
void throttle_end(center *c, session *s);
void throttle_drop(center *c, session *s); // the center is being freed

// Asserts the invariants; walks the table.
void throttle_check(const center *c);

#endif // CENTER_THROTTLE_H
