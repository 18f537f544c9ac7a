// SPDX-License-Identifier: Apache-2.0
//
// center/stream_receiver.h - who takes part in a message in fragments. Of stream.c, and of nobody
// else.
//
// Invariant  one that is given up (abort_code is set) has left its stream; it waits until it can be
//            told
//
// Threads  none

#ifndef CENTER_STREAM_RECEIVER_H
#define CENTER_STREAM_RECEIVER_H

#include "center/session.h"
#include "center/stream.h"
#include "wire/stream.h"

// One of those a message in fragments goes to. When it is given up it leaves its stream at once,
// and its session when that has been told.
typedef struct stream_receiver {
    phi_list of_stream;     // on stream.receivers
    phi_list of_session;    // on session.streams->coming
    message_stream *stream; // NULL once given up
    session *session;       // borrowed until it leaves
    stream_key key;
    uint64_t handle;     // in center.stream_receivers
    uint64_t granted;    // bytes of body, all in all
    uint16_t abort_code; // ph_failure_code; given up, and it is still to be told
    uint8_t kind;        // phi_kind
} stream_receiver;

struct message_stream {
    phi_list of_sender; // on session.streams->going
    phi_list receivers; // stream_receiver.of_stream
    uint32_t receiver_count;
    session *sender;    // borrowed until it leaves
    center *center;     // for the timer
    uint64_t handle;    // in center.streams
    uint64_t number;    // with kind and turn: how the sender knows it
    uint64_t call;      // handle of the call it belongs to; 0: an event
    uint64_t passed;    // bytes of body
    uint64_t granted;   // and of how many the sender knows
    uint64_t bytes_max; // what the least of the receivers takes
    phi_timer timer;
    phi_time moved; // when something last came, or could
    uint16_t turn;
    uint16_t abort_code; // ph_failure_code; given up, and the sender is still to be told
    uint8_t kind;        // phi_kind
    bool is_open;        // its receivers are known
    uint16_t lost_code;  // why the first receiver that is gone is; ph_failure_code
    bool owes_receipt;
    phi_receipt tally; // what that says, when all whom the first fragment reached get the last
};

// NULL without memory.
session_streams *streams_of(center *c, session *s);

// False, and on_room follows, when there is no room.
bool stream_tell(session *s, const phi_stream_control *control);

// What the least of them granted; UINT64_MAX without any.
uint64_t stream_least_granted(const message_stream *st);

// Why a receiver is gone, for a receipt: the first one says. NULL: it had left the stream before.
void stream_note_lost(message_stream *st, ph_failure_code code);

// NULL: it takes part in no such one.
stream_receiver *stream_receiver_find(const session *s, const phi_stream_control *about);

// It gets no more, and is told so: now, or as soon as it has room.
void stream_receiver_abort(center *c, stream_receiver *r, ph_failure_code code);

// It gets no more, and knows, or is gone.
void stream_receiver_drop(center *c, stream_receiver *r);

#endif // CENTER_STREAM_RECEIVER_H
