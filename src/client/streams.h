// SPDX-License-Identifier: Apache-2.0
//
// client/streams.h - messages that do not fit into one packet: docs/protocol.md P-66, P-67, P-75.
//
//     stream_out.c   copied, cut into fragments, sent as they were granted and in turns
//     stream_in.c    granted, joined, handed up as one message
//
// Life     A stream out is queued until the center takes one more, then ready or waiting for
//          credit, until its last fragment is in the send buffer. A stream in lives from its first
//          fragment to its last. Both end with their call, their connection, or when either end
//          gives them up.
// Limits   options.message_bytes_max of body, options.streams_bytes_max in each direction
// Threads  none

#ifndef PHI_CLIENT_STREAMS_H
#define PHI_CLIENT_STREAMS_H

#include <posthouse/client.h>

#include "base/list.h"
#include "base/map.h"
#include "io/io.h"
#include "wire/message.h"
#include "wire/stream.h"

// Bodies of later fragments: what is short waits behind few of them.
#define PHI_FRAGMENT_BYTES 16384u
// A message in fragments goes on only while less than this waits to be sent: the bound of what a
// small one waits behind.
#define PHI_STREAMS_WAITING_MAX 65536u
// How much may be on its way to us, all streams together; but a fragment each.
#define PHI_STREAMS_WINDOW 131072u
// Streams begun at a time, when the center did not say how many it takes; and at most: all of them
// share one path, and each has to move within the center's patience, also where that path is slow.
#define PHI_STREAMS_ACTIVE_DEFAULT 8u
#define PHI_STREAMS_ACTIVE_MAX 16u

struct phi_draft;

typedef struct phi_streams {
    // out
    phi_list queued;  // not begun
    phi_list ready;   // may send
    phi_list waiting; // for credit
    uint32_t active;  // begun: those ready and waiting
    uint32_t number;  // given last to an event that had none; below every call's
    size_t out_bytes; // copies
    bool is_full;     // somebody was refused for streams_bytes_max
    phi_turn_hook hook;

    // in
    phi_map map;     // key -> stream_in
    phi_list coming; // the oldest first
    uint32_t coming_count;
    size_t in_bytes;              // what they take
    size_t in_owed;               // bytes granted that have not come
    bool is_short;                // some got less credit than they could use
    struct phi_stream_in *joined; // owned; between phi_client_join and its end
} phi_streams;

void phi_client_streams_init(ph_client *client);
void phi_client_streams_fini(ph_client *client);

// The connection is gone, and all of them with it.
void phi_client_streams_end(ph_client *client);

// There is room, or may be.
void phi_client_streams_on_room(ph_client *client);

// A stream packet.
void phi_client_on_stream(ph_client *client, phi_bytes payload);

// A set of kinds.
#define PHI_KINDS(kind) (1u << (kind))

static inline bool phi_streams_are_any(const phi_streams *streams)
{
    return (streams->out_bytes | streams->in_bytes) != 0;
}

// Those of a call that is over. `out` and `in`: which kinds; `turn` 0: any. `code` is what the
// center is told, best effort: a ph_failure_code; 0 when it knows. True when a request was coming.
bool phi_streams_drop(ph_client *client, unsigned out, unsigned in, uint64_t call, uint16_t turn,
                      uint16_t code);

// ---- stream_out.c

// Takes a copy of a message that does not fit into one packet, and begins to send it if it can.
//
// PH_ETOOLARGE, PH_EBUSY, PH_ENOMEM   as ph_client_send
PHI_MUST_CHECK ph_err phi_stream_post(ph_client *client, const struct phi_draft *draft);

// Sends what may be sent.
void phi_streams_out_go_on(ph_client *client);

void phi_streams_out_end(ph_client *client);
void phi_streams_out_drop(ph_client *client, unsigned kinds, uint64_t call, uint16_t turn,
                          uint16_t code);
void phi_streams_out_on_credit(ph_client *client, const phi_stream_control *control);
void phi_streams_out_on_refuse(ph_client *client, const phi_stream_control *control);

// False: no room.
bool phi_stream_tell(ph_client *client, const phi_stream_control *control);

// ---- stream_in.c

// Takes a message with flag more or rest. When it was the last of its message, the payload of the
// whole is returned, without these flags; it stays until phi_client_join_end, which follows.
phi_bytes phi_client_join(ph_client *client, phi_bytes payload, const phi_message *fragment);
void phi_client_join_end(ph_client *client);

void phi_streams_in_init(ph_client *client);
void phi_streams_in_end(ph_client *client);
bool phi_streams_in_drop(ph_client *client, unsigned kinds, uint64_t call, uint16_t turn,
                         uint16_t code);
void phi_streams_in_on_abort(ph_client *client, const phi_stream_control *control);

// Grants what could not be granted before.
void phi_streams_in_go_on(ph_client *client);

// Asserts the invariants; walks over all.
void phi_client_streams_check(const ph_client *client);

#endif // PHI_CLIENT_STREAMS_H
