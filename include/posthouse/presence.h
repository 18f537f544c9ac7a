// SPDX-License-Identifier: Apache-2.0
//
// posthouse/presence.h - who is online.
//
// Threads    The functions here only read what they are given: [any thread].
// Ownership  Views in a ph_peer are valid until the callback it was given to returns; those that
//            ph_client_peer_next and _find filled in, until the next turn. Returned names are
//            constants.

#ifndef PH_PRESENCE_H
#define PH_PRESENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <posthouse/message.h>

#ifdef __cplusplus
extern "C" {
#endif

// What kind of program a client is. Gateways and discoveries watch everything by default.
typedef enum ph_type {
    PH_TYPE_CLIENT = 1,
    PH_TYPE_GATEWAY = 2,
    PH_TYPE_DISCOVERY = 3,
    PH_TYPE_CENTER = 4,
} ph_type;

typedef enum ph_state {
    PH_STATE_STARTING = 1,
    PH_STATE_READY = 2,
    PH_STATE_DRAINING = 3,
    PH_STATE_SUSPECT = 4,
    PH_STATE_DOWN = 5,
} ph_state;

typedef enum ph_change {
    PH_ONLINE = 1,
    PH_OFFLINE = 2,
    PH_CHANGED = 3,
} ph_change;

// Why somebody went offline.
typedef enum ph_reason {
    PH_REASON_NONE = 0,
    PH_REASON_LEFT = 1,
    PH_REASON_CONNECTION_LOST = 2,
    PH_REASON_HEARTBEAT_TIMEOUT = 3,
    PH_REASON_PROTOCOL_ERROR = 4,
    PH_REASON_SLOW_CONSUMER = 5,
    PH_REASON_KICKED = 6,
    PH_REASON_CENTER_STOPPING = 7,
    PH_REASON_UNKNOWN = 255, // it left while this client was away itself
} ph_reason;

// One of those online. What a callback is given has the struct_size of this library.
typedef struct ph_peer {
    size_t struct_size; // set by PH_PEER_INIT; lets later versions add fields
    ph_view id;         // "account@domain"
    ph_view service;    // may be empty
    ph_view software;   // may be empty
    ph_type type;       // may be a number that this version does not know
    ph_state state;     // same
    uint64_t session;
    uint64_t revision;      // of the center's table when this line last changed
    uint32_t round_trip_us; // 0 unknown
    ph_view metadata;       // read with ph_peer_metadata
    uint16_t weight;        // how much of its service's work it wants, 0 to 1000
} ph_peer;

#define PH_PEER_INIT                                                                               \
    {                                                                                              \
        sizeof(ph_peer), PH_VIEW_INIT, PH_VIEW_INIT, PH_VIEW_INIT, (ph_type)0, (ph_state)0, 0, 0,  \
            0, PH_VIEW_INIT, 0                                                                     \
    }

// The value of the first pair of that key.
//
// PH_ENOTFOUND   there is none
PH_API PH_MUST_CHECK ph_err ph_peer_metadata(const ph_peer *peer, const char *key, ph_view *out);

// Walks over all pairs: start with *cursor 0; false at the end.
PH_API bool ph_peer_metadata_next(const ph_peer *peer, size_t *cursor, ph_view *key,
                                  ph_view *value);

// "online", "connection_lost", "ready", "CLIENT". [any thread]
PH_API const char *ph_change_name(ph_change change);
PH_API const char *ph_reason_name(ph_reason reason);
PH_API const char *ph_state_name(ph_state state);
PH_API const char *ph_type_name(ph_type type);

#ifdef __cplusplus
}
#endif

#endif // PH_PRESENCE_H
