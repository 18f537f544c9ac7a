// SPDX-License-Identifier: Apache-2.0
//
// posthouse/options.h - what a client is made with: its options, and the functions of the
// application that it calls.
//
// Threads, ownership, errors, versions   as in client.h

#ifndef PH_OPTIONS_H
#define PH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <posthouse/err.h>
#include <posthouse/loop.h>
#include <posthouse/message.h>
#include <posthouse/presence.h>

#ifdef __cplusplus
extern "C" {
#endif

// A connection to a center that redials by itself.
typedef struct ph_client ph_client;

// The ways bytes may be protected on the wire, weakest first (docs/protocol.md P-22).
typedef enum ph_suite {
    PH_SUITE_PLAIN = 0,
    PH_SUITE_CHECK = 1,
    PH_SUITE_PAPER = 2,
} ph_suite;

// Where a client stands.
typedef enum ph_link_state {
    PH_LINK_DOWN = 0,   // not connected; will dial again, after the time it was told
    PH_LINK_UP = 1,     // joined
    PH_LINK_CLOSED = 2, // for good: ph_client_close, or a refusal that would be the same every time
} ph_link_state;

// A change of where it stands.
//
//   err   PH_OK         it is up
//         PH_ECONNECT   nobody answers there, or the name is not known
//         PH_ERESET     the connection broke
//         PH_ECLOSED    the center left in order (bye "going_away"), or this client did
//         PH_ETIMEDOUT  it did not join in time, or gave no sign of life
//         PH_EREFUSED   the center refused; `bye` says why
//         PH_EPROTO, PH_ECHECK   one end broke the protocol
//         PH_ESUITE     the center offers less than suite_floor
//         PH_ETLS       no trust: this end does not believe the center's certificate, or the center
//                       refused ours, or one of the files of TLS cannot be used. It dials again,
//                       because certificates are replaced; never without TLS
//         PH_ENOMEM, PH_ESYSTEM  this machine could not even begin
typedef struct ph_link_change {
    ph_link_state state;
    ph_err err;
    // the same for people, in one line: "cannot connect to 127.0.0.1:7678: Connection refused; next
    // try in 0.4 s"
    ph_view text;
    ph_view bye;          // the name of the center's bye ("account_taken"); empty without one
    uint32_t retry_in_ms; // down: when it dials again
    ph_view id;           // up: "account@domain" as the center gave it
} ph_link_change;

typedef void ph_link_fn(ph_client *client, const ph_link_change *change, void *arg);

// Somebody came, went or changed. Sees each change once: what was missed while away comes as
// changes after the reconnect.
typedef void ph_presence_fn(ph_client *client, ph_change change, ph_reason reason,
                            const ph_peer *peer, void *arg);

// The list is complete: everybody who was online has been told to ph_presence_fn.
typedef void ph_presence_ready_fn(ph_client *client, uint64_t revision, void *arg);

// An event for this client.
typedef void ph_event_fn(ph_client *client, const ph_incoming *event, void *arg);

// A request for this client. Answer with ph_client_reply or ph_client_fail, now or later.
typedef void ph_request_fn(ph_client *client, ph_request_id request, const ph_incoming *incoming,
                           void *arg);

// A request that was not answered yet is over: its caller no longer wants it, or no longer can.
// Answering it is harmless. What was asked back inside it has ended before (ph_client_ask).
//
//   code   PH_FAILURE_CANCELLED, _DEADLINE, _CALLER_LOST, or _SLOW_CONSUMER: it asked its caller
//          back more than it read answers
typedef void ph_cancel_fn(ph_client *client, ph_request_id request, uint16_t code, void *arg);

// There is room again after PH_EBUSY: at least half of the send buffer, and of streams_bytes_max.
// Follows also when what was full went with its connection: once the next one is up.
typedef void ph_writable_fn(ph_client *client, void *arg);

// An operator wants this client in another state (PH_STATE_DRAINING: no new work; or what it says
// itself counts again). The center acts on it already; what the client says about itself is not
// changed by it, and is what counts over the next connection: see posthouse/state.h.
typedef void ph_state_wish_fn(ph_client *client, ph_state state, void *arg);

// A token is wanted: before the client joins, when there is none, or the center refused the last
// one, or its time is over; and while it is up, when three quarters of that time have passed, and
// again in what is left until one came. To be given with ph_client_set_token, from inside this or
// later: joining waits for it, for at most connect_timeout_ms each time; then on_link is told
// PH_ETIMEDOUT, and it is asked for again when the wait is over.
typedef void ph_token_fn(ph_client *client, void *arg);

// How a call ended: exactly once for each accepted one.
//
//   status   PH_OK         `reply` is the reply (of an inquiry: the answer)
//            PH_EFAILURE   a failure; `code` says which, reply->body is its text, reply->from who
//                          made it
//            PH_ETIMEDOUT  no answer in time, here or at the center; `code` PH_FAILURE_DEADLINE,
//                          reply NULL
//            PH_ERESET     the connection died meanwhile: the responder may or may not have done
//                          it; reply NULL
//            PH_ECANCELLED ph_client_cancel, or the client was closed; reply NULL. An inquiry also
//                          when its request was answered, or is over: then `code` says why, as in
//                          ph_cancel_fn
//
// `code` is 0 where nothing else is said.
typedef void ph_reply_fn(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                         const ph_incoming *reply, void *arg);

typedef struct ph_metadata {
    const char *key;   // 1 to 64 bytes
    const char *value; // at most 1,024 bytes
} ph_metadata;

typedef struct ph_client_options {
    size_t struct_size; // set by PH_CLIENT_OPTIONS_INIT; lets later versions add fields
    ph_loop *loop;      // borrowed for the client's life; NULL: one of its own
    // "HOST[:PORT]", "tls:HOST[:PORT]" or "unix:PATH", at most 16, separated by commas, tried in
    // turn; without a port 7678, or 7679 behind "tls:"; NULL: 127.0.0.1:7678; copied. What is to be
    // TLS is never dialled without it
    const char *centers;
    const char *account;         // 1 to 64 of a-z 0-9 . _ -; NULL: the center makes one; copied
    const char *service;         // of which this is an instance; may be NULL; copied
    ph_type type;                // 0 means PH_TYPE_CLIENT
    const char *software;        // this program's version, at most 64 bytes; may be NULL; copied
    const ph_metadata *metadata; // copied
    size_t metadata_count;       // at most 32
    // a weaker offer is refused; not for centers behind "tls:", where the suite is plain inside of
    // what guards better than any
    ph_suite suite_floor;
    bool is_watching; // ask for presence from the start, as gateways and discoveries always do

    uint32_t connect_timeout_ms; // from dialling to joined; 0 means 5000
    uint32_t backoff_min_ms;     // first wait before dialling again; 0 means 100
    // longest; 0 means 10000. Waits are drawn from 0 to the bound, which doubles
    uint32_t backoff_max_ms;
    // ask the center after so long without a packet; 0: as the center does with us
    uint32_t heartbeat_idle_ms;
    uint32_t heartbeat_grace_ms; // and give the connection up so long after; 0: as the center
    // calls and receipts in flight, and as many inquiries; beyond it PH_ELIMIT; 0 means 1024; at
    // most 16777216
    uint32_t calls_max;
    // waiting to be sent; beyond it PH_EBUSY; 0 means 1 MiB; 128 KiB to 1 GiB
    size_t send_bytes_max;
    // remembered of the online list; more are dropped and counted; 0 means 1000000
    uint32_t peers_max;

    ph_link_fn *on_link; // any may be NULL
    ph_presence_fn *on_presence;
    ph_presence_ready_fn *on_presence_ready;
    ph_event_fn *on_event;
    ph_request_fn *on_request; // NULL: requests are answered with failure no_handler
    ph_cancel_fn *on_cancel;
    ph_writable_fn *on_writable;
    void *arg; // given to all of them

    ph_state state;  // to join with: PH_STATE_STARTING, _READY or _DRAINING; 0 means ready
    uint16_t weight; // 1 to 1000; 0 means 100. For a true 0: ph_client_set_state
    // largest body sent or taken; what does not fit into a packet goes in fragments; 0 means 16
    // MiB; 64 KiB to 1 GiB
    size_t message_bytes_max;
    // of messages in fragments that are under way: those being sent, beyond it PH_EBUSY; and those
    // being received, beyond it their senders wait, and some fail with slow_consumer; each 0 means
    // 64 MiB, or message_bytes_max if that is more; at least message_bytes_max
    size_t streams_bytes_max;
    uint32_t subscriptions_max; // beyond it PH_ELIMIT; 0 means 65536; at most 16777216
    ph_state_wish_fn *on_state_wish;
    // what the responders of our calls ask back, where a call has no on_inquiry of its own. NULL:
    // they are answered with failure no_handler
    ph_inquiry_fn *on_inquiry;

    // For centers behind "tls:", all copied. Files are PEM; they are read before each dial, so that
    // what replaced them is what counts. One that cannot be used is told to on_link (PH_ETLS), and
    // looked at again before the next dial.
    const char *tls_authorities_file; // whose certificates are believed; NULL: the system's CAs
    // our own, then those between it and the CA; NULL: none
    const char *tls_certificate_file;
    // its key, not encrypted, not readable by others (chmod 600). Both, or none
    const char *tls_key_file;
    // that the center's certificate must bear, a DNS name or an IP address; NULL: the host dialled
    const char *tls_name;
    bool tls_allow_1_2; // for centers that cannot do TLS 1.3

    // a JWT that proves who this is, 1 to 4,096 visible characters of ASCII; may be NULL; copied,
    // and wiped when it is replaced, and with the client. Whoever reads along on a connection
    // without TLS has it
    const char *token;
    // may be NULL: then what was refused for want of rights is refused for good
    ph_token_fn *on_token;
} ph_client_options;

#define PH_CLIENT_OPTIONS_INIT                                                                     \
    {                                                                                              \
        sizeof(ph_client_options), NULL, NULL, NULL, NULL, (ph_type)0, NULL, NULL, 0,              \
            PH_SUITE_PLAIN, false, 0, 0, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL,     \
            NULL, NULL, (ph_state)0, 0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, false, NULL,  \
            NULL                                                                                   \
    }

#ifdef __cplusplus
}
#endif

#endif // PH_OPTIONS_H
