// SPDX-License-Identifier: Apache-2.0
//
// client/peers.h - who is online, as far as one client knows: docs/protocol.md P-41 to P-48.
//
// Pages and statuses go in; changes come out, each once. The table outlives connections: after a
// reconnect it asks for what happened since its revision, or, when the center sends a list
// instead, compares that with what it knew.
//
// Life     init -> (want -> ask -> (page | status)*)* -> fini
// Limits   count_max peers; what comes beyond it is dropped and counted. What finds no memory, too;
//          then the owner asks again after a while
// Threads  none

#ifndef PHI_CLIENT_PEERS_H
#define PHI_CLIENT_PEERS_H

#include <posthouse/presence.h>

#include "base/map.h"
#include "base/slots.h"
#include "wire/name.h"
#include "wire/presence.h"

typedef enum phi_peers_sync {
    PHI_PEERS_OFF,     // nobody wants it
    PHI_PEERS_LIST,    // a list was asked for; a first page is awaited
    PHI_PEERS_RESUME,  // changes since (epoch, revision) were asked for; or a list comes
    PHI_PEERS_LISTING, // between the first page and the last
    PHI_PEERS_LIVE,    // the table is as of (epoch, revision)
} phi_peers_sync;

typedef struct phi_peers phi_peers;

typedef struct phi_peers_events {
    // May call anything but phi_peers_fini. `peer` is valid until it returns.
    void (*on_change)(phi_peers *peers, ph_change change, ph_reason reason, const ph_peer *peer);
    void (*on_ready)(phi_peers *peers);
} phi_peers_events;

// Which part of the table is wanted; also judged here, so that what an older ask brings is not
// taken for an answer to the newer one.
typedef struct phi_peers_filter {
    uint8_t type; // 0 any
    uint8_t service_size;
    uint8_t domain_size;
    uint8_t service[PHI_NAME_BYTES_MAX]; // size 0: any
    uint8_t domain[PHI_NAME_BYTES_MAX];  // size 0: any
} phi_peers_filter;

struct phi_peers {
    const phi_alloc *alloc;
    const phi_peers_events *events; // borrowed for the life of the table
    phi_map map;                    // id -> handle in `slots`; names stand in the slots
    phi_slots slots;                // peer
    phi_peers_filter filter;
    phi_peers_sync sync;
    uint64_t epoch; // of the table that is known; 0 none
    uint64_t revision;
    uint64_t list_epoch; // of the list that is coming
    uint64_t list_revision;
    uint64_t ready_at; // after a reconnect: the revision as of which nothing is missing
    bool is_ready;     // on_ready was called for this connection and this want
    uint8_t asks;      // sent on this connection, JOIN's not counted; modulo PHI_PAGE_ASKS_COUNT
    uint32_t list;     // counts lists; marks who was seen in this one
    uint32_t wants;    // counts changes of what is wanted: a callback's may end what calls it
    uint64_t dropped;  // entries beyond count_max, or without memory
    bool is_short;     // there was no memory for some: the next ask is for the whole list
};

void phi_peers_init(phi_peers *peers, const phi_alloc *alloc, phi_hash_key key, uint32_t count_max,
                    const phi_peers_events *events);
void phi_peers_fini(phi_peers *peers);

// From now on this part; who does not pass is forgotten without a word. An ask must follow.
void phi_peers_want(phi_peers *peers, const phi_peers_filter *filter);

// Nothing any more; everybody is forgotten.
void phi_peers_unwant(phi_peers *peers);

// What to send to the center now: over a new connection, after phi_peers_want or _unwant, and after
// phi_peers_status has said so. The views point into `peers`.
phi_presence_ask phi_peers_ask(phi_peers *peers);

// That ask has been sent, in JOIN or by itself: lists that answer older ones are passed over.
// [P-44]
void phi_peers_asked(phi_peers *peers, bool in_join);

// A new connection is up; WELCOME said this about the center's table.
void phi_peers_joined(phi_peers *peers, uint64_t epoch, uint64_t revision);

// PH_EPROTO   malformed, or against P-44 or P-46
PHI_MUST_CHECK ph_err phi_peers_page(phi_peers *peers, phi_bytes payload);

// Sets *has_gap when something was lost and has to be asked for again [P-45].
// PH_EPROTO   malformed, or against P-46
PHI_MUST_CHECK ph_err phi_peers_status(phi_peers *peers, phi_bytes payload, bool *has_gap);

static inline size_t phi_peers_count(const phi_peers *peers)
{
    return peers->slots.count;
}

// False at the end; start with *cursor 0.
bool phi_peers_next(const phi_peers *peers, size_t *cursor, ph_peer *out);
bool phi_peers_find(const phi_peers *peers, phi_bytes id, ph_peer *out);

// Walks over everything and asserts that map, slots and counts agree.
void phi_peers_check(const phi_peers *peers);

#endif // PHI_CLIENT_PEERS_H
