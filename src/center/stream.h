// SPDX-License-Identifier: Apache-2.0
//
// center/stream.h - messages in fragments on their way through the center: P-66, P-67, P-75.
//
// The center joins nothing. It passes each fragment on as it comes, and remembers of the message
// only where it goes and how much of it may still come. What may come is what the receiver granted,
// of several receivers the least; so what waits here for a receiver is bounded by what it wants,
// and a fragment never has to wait for room.
//
//     sender --fragment--> stream --fragment--> each receiver
//     sender <--credit---- stream <--credit---- each receiver, the least of them
//
// Life     stream_receive(first) -> stream_bind for each receiver -> (stream_receive(rest),
//          stream_control)* -> the last fragment, an abort, the end of its call, of its sender, of
//          its last receiver, or a stall
// Limits   message_max bytes of body; streams_per_client_max as a sender, and as a receiver;
//          stream_receivers_max of one message; full_timeout without a move
// Threads  none

#ifndef CENTER_STREAM_H
#define CENTER_STREAM_H

#include "center/call.h"
#include "wire/message.h"

typedef struct message_stream message_stream;

// Of one session, made with its first stream: those it sends and those it receives.
struct session_streams {
    phi_list going;  // stream.of_sender
    phi_list coming; // stream_receiver.of_session
    uint32_t going_count;
    uint32_t coming_count;
};

// How a receiver knows the message.
typedef struct stream_key {
    uint64_t number; // `call` on its link
    uint16_t turn;
    uint8_t flags; // set in each of its fragments
} stream_key;

// What a bind came to.
typedef enum stream_bound {
    STREAM_BOUND,
    STREAM_FULL,      // as many as may be under way, or no memory
    STREAM_TOO_LARGE, // it takes none in fragments, or there are too many receivers
} stream_bound;

// Sizes of the objects in center.streams and center.stream_receivers.
size_t stream_size(void);
size_t stream_receiver_size(void);

// A message with flag more or rest, from a joined client. The handle of a stream that it begins:
// the message is to be routed now like any other, and stream_routed follows. 0: no more is to be
// done. May end the session.
uint64_t stream_receive(center *c, session *s, const phi_message *m, phi_bytes payload);
void stream_routed(center *c, session *s, uint64_t handle);

// The first fragment, which is being routed, is about to be queued for `receiver`, which will know
// it by `key`; key->number 0: the number is made up here. From router.c's deliver.
stream_bound stream_bind(center *c, session *receiver, stream_key *key);

// It could not be queued after all.
void stream_unbind(center *c, session *receiver);

// The handle of the stream whose first fragment is being routed; 0: none is.
uint64_t stream_opening(const center *c);

// A broadcast goes on telling the first fragment of that stream, up to stream_pause. False when it
// was given up meanwhile.
PHI_MUST_CHECK bool stream_reopen(center *c, uint64_t handle);
void stream_pause(center *c);

// A broadcast whose message is in fragments has been told to all its receivers. `handle` of the
// stream that was c->opening when it began.
void stream_opened(center *c, uint64_t handle);

// It was an event with a receipt, whose first fragment went as `tally` says: the receipt waits for
// the end of the stream. False when that has come.
PHI_MUST_CHECK bool stream_take_tally(center *c, uint64_t handle, const phi_receipt *tally);

// A stream packet. May end the session.
void stream_control(center *c, session *s, phi_bytes payload);

// The call, which has_stream, is over: what comes of it in fragments from now on is dropped.
void stream_call_over(center *c, const call *k);

// An inquiry of the call is answered, maybe before all of it has come: the rest is dropped.
void stream_inquiry_over(center *c, const call *k, uint16_t turn);

// There is room in its send buffer: what it is owed.
void stream_pay(center *c, session *s);

// It leaves: the ends of all of its streams.
void stream_leave(center *c, session *s);

// Frees all at once, without a word.
void stream_drop_all(center *c);

#endif // CENTER_STREAM_H
