// SPDX-License-Identifier: Apache-2.0
//
// posthouse/client.h - connect to a message center, see who is there, send, call, answer.
//
//     ph_client_options options = PH_CLIENT_OPTIONS_INIT;
//     options.account = "profile";
//     ph_client_new(&client, &options);
//     ph_client_open(client);
//     ph_loop_run(ph_client_loop(client));
//
// Threads    A client belongs to the thread that drives its loop. Functions marked [any thread] are
//            the exception. Callbacks run on the driving thread, never inside the call that caused
//            them (ph_client_free excepted, which ends what is open).
// Ownership  `T **out` receives an object you then own. `const T *` is borrowed until the call
//            returns. What a callback is given is valid until it returns.
// Errors     Functions that can fail return ph_err and write their outputs only on PH_OK.
// Limits     Every one is a field of ph_client_options with its default.

#ifndef PH_CLIENT_H
#define PH_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <posthouse/err.h>
#include <posthouse/export.h>
#include <posthouse/loop.h>
#include <posthouse/message.h>
#include <posthouse/presence.h>

#ifdef __cplusplus
extern "C" {
#endif

// A connection to a center that redials by itself.
typedef struct ph_client ph_client;

// One call of this client. The zero value is never a live call.
typedef struct ph_call_id {
    uint64_t value;
} ph_call_id;

// A request that came in and waits for its answer: a value to keep and copy, good until the
// connection it came over ends.
typedef struct ph_request_id {
    uint64_t call;
    uint64_t connection;
} ph_request_id;

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
typedef struct ph_link_change {
    ph_link_state state;
    // why it is not up: PH_ECONNECT, PH_ERESET, PH_ECLOSED, PH_EREFUSED, PH_EPROTO, ...
    ph_err err;
    ph_view text;         // the same for people; what the center said in its bye, when it did
    ph_view bye;          // the bye's name ("account_taken"); empty without one
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

// The caller of a request that was not answered yet no longer wants it (cancelled, out of time, or
// gone). Answering it is harmless.
typedef void ph_cancel_fn(ph_client *client, ph_request_id request, void *arg);

// There is room again after PH_EBUSY.
typedef void ph_writable_fn(ph_client *client, void *arg);

// How a call ended: exactly once for each accepted one.
//
//   status   PH_OK         `reply` is the reply
//            PH_EFAILURE   a failure; `code` says which, reply->body is its text, reply->from who
//                          made it
//            PH_ETIMEDOUT  no answer in time; `code` PH_FAILURE_DEADLINE, reply NULL
//            PH_ERESET     the connection died meanwhile: the responder may or may not have done
//                          it; reply NULL
//            PH_ECANCELLED ph_client_cancel, or the client was closed; reply NULL
typedef void ph_reply_fn(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                         const ph_incoming *reply, void *arg);

typedef struct ph_metadata {
    const char *key;   // 1 to 64 bytes
    const char *value; // at most 1,024 bytes
} ph_metadata;

typedef struct ph_client_options {
    size_t struct_size; // set by PH_CLIENT_OPTIONS_INIT; lets later versions add fields
    ph_loop *loop;      // borrowed for the client's life; NULL: one of its own
    // "host:port[,host:port...]" or "unix:PATH"; NULL: 127.0.0.1:7678; tried in turn; copied
    const char *centers;
    const char *account;         // 1 to 64 of a-z 0-9 . _ -; NULL: the center makes one; copied
    const char *service;         // of which this is an instance; may be NULL; copied
    ph_type type;                // 0 means PH_TYPE_CLIENT
    const char *software;        // this program's version, for people; may be NULL; copied
    const ph_metadata *metadata; // copied
    size_t metadata_count;       // at most 32
    ph_suite suite_floor;        // a weaker offer is refused
    bool is_watching;            // ask for presence from the start; see ph_client_watch

    uint32_t connect_timeout_ms; // from dialling to joined; 0 means 5000
    uint32_t backoff_min_ms;     // first wait before dialling again; 0 means 100
    // longest; 0 means 10000. Waits are drawn from 0 to the bound, which doubles
    uint32_t backoff_max_ms;
    // ask the center after so long without a packet; 0: as the center does with us
    uint32_t heartbeat_idle_ms;
    uint32_t heartbeat_grace_ms; // and give the connection up so long after; 0: as the center
    uint32_t calls_max;          // calls in flight; beyond it PH_ELIMIT; 0 means 1024
    size_t send_bytes_max;       // waiting to be sent; beyond it PH_EBUSY; 0 means 1 MiB
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
} ph_client_options;

#define PH_CLIENT_OPTIONS_INIT                                                                     \
    {                                                                                              \
        .struct_size = sizeof(ph_client_options)                                                   \
    }

// Makes a client. Nothing is sent before ph_client_open.
//
//   options  borrowed
//
// PH_EINVAL   a field is out of range, or a name breaks the rules
// PH_ENOMEM   no memory
// PH_ESYSTEM  no loop could be made
PH_API PH_MUST_CHECK ph_err ph_client_new(ph_client **out, const ph_client_options *options);

// Frees *client and clears it; NULL is fine. Calls in flight end with PH_ECANCELLED before this
// returns. Not from one of its own callbacks: use ph_client_close there.
PH_API void ph_client_free(ph_client **client);

// Begins to dial, and goes on until closed.
//
// PH_ECLOSED   it was closed
PH_API PH_MUST_CHECK ph_err ph_client_open(ph_client *client);

// Says bye and stays down. Calls in flight end with PH_ECANCELLED, in a later turn. Idempotent.
PH_API void ph_client_close(ph_client *client);

// Drives the loop until the client is up.
//
// PH_ETIMEDOUT   not within timeout_ms; the reason of the last attempt is in ph_client_trouble
// PH_EREFUSED, PH_ESUITE, PH_EPROTO   closed for good
// Not from inside a callback.
PH_API PH_MUST_CHECK ph_err ph_client_open_wait(ph_client *client, uint32_t timeout_ms);

PH_API ph_loop *ph_client_loop(ph_client *client);
PH_API ph_link_state ph_client_state(const ph_client *client);

// "account@domain" once up, "" before; valid until the next turn.
PH_API const char *ph_client_id(const ph_client *client);

// Why it is not up, for people; "" when it is. Valid until the next turn.
PH_API const char *ph_client_trouble(const ph_client *client);

// The last round trip of a heartbeat with the center, in microseconds; 0 unknown.
PH_API uint32_t ph_client_round_trip_us(const ph_client *client);

// Which part of the table to watch.
typedef struct ph_watch {
    size_t struct_size;
    ph_type type;        // 0: any
    const char *service; // NULL: any
    const char *domain;  // NULL: any
} ph_watch;

#define PH_WATCH_INIT                                                                              \
    {                                                                                              \
        sizeof(ph_watch), (ph_type)0, NULL, NULL                                                   \
    }

// Asks for the online list and all changes; remembered over reconnects. NULL: everything. Peers
// that no longer pass are forgotten without a word.
//
// PH_EINVAL   a name breaks the rules
// PH_EBUSY    the send buffer is full
PH_API PH_MUST_CHECK ph_err ph_client_watch(ph_client *client, const ph_watch *watch);
PH_API void ph_client_unwatch(ph_client *client);

// How many are known to be online.
PH_API size_t ph_client_peer_count(const ph_client *client);

// Walks over them: start with *cursor 0; false at the end. Order is stable while nothing changes.
PH_API bool ph_client_peer_next(const ph_client *client, size_t *cursor, ph_peer *out);

// PH_ENOTFOUND   not online, or not watched
PH_API PH_MUST_CHECK ph_err ph_client_peer_find(const ph_client *client, const char *id,
                                                ph_peer *out);

// Sends an event: to one account, or to everybody ("all:").
//
// PH_EINVAL         `to` or `method` too long, no `to`
// PH_ETOOLARGE      with its head it is longer than a packet (64 KiB)
// PH_EBUSY          the send buffer is full; on_writable follows
// PH_ENOTCONNECTED  the client is not up
PH_API PH_MUST_CHECK ph_err ph_client_send(ph_client *client, const ph_outgoing *outgoing);

// Sends a request. On PH_OK `done` runs exactly once. On any error it does not run.
//
//   id   receives what ph_client_cancel wants; may be NULL
//
// PH_ELIMIT   calls_max are in flight
// and those of ph_client_send
PH_API PH_MUST_CHECK ph_err ph_client_request(ph_client *client, const ph_outgoing *outgoing,
                                              ph_call_id *id, ph_reply_fn *done, void *arg);

// A reply that is kept.
typedef struct ph_reply ph_reply;

// Sends a request and drives the loop until it ended. Not from inside a callback.
//
//   out   receives the reply, or the failure, to be freed with ph_reply_free; NULL stays in it when
//         there is neither
//
// PH_EFAILURE, PH_ETIMEDOUT, PH_ERESET, PH_ECANCELLED   as in ph_reply_fn; *out is set for
//                                                       PH_EFAILURE
// PH_ENOMEM   the reply could not be kept
// and those of ph_client_request
PH_API PH_MUST_CHECK ph_err ph_client_request_wait(ph_client *client, const ph_outgoing *outgoing,
                                                   ph_reply **out);

// Views are valid until ph_reply_free.
PH_API const ph_incoming *ph_reply_incoming(const ph_reply *reply);
// 0 when it is a reply, else the failure's code
PH_API uint16_t ph_reply_code(const ph_reply *reply);
PH_API void ph_reply_free(ph_reply **reply);

// Ends a call: `done` runs with PH_ECANCELLED in a later turn, the responder is told.
//
// PH_ENOTFOUND   it is over
PH_API PH_MUST_CHECK ph_err ph_client_cancel(ph_client *client, ph_call_id id);

// Answers a request.
//
// PH_ESTALE      the connection it came over is gone, and with it the call
// PH_ETOOLARGE, PH_EBUSY, PH_EINVAL   as ph_client_send; the request can still be answered
PH_API PH_MUST_CHECK ph_err ph_client_reply(ph_client *client, ph_request_id request,
                                            const void *body, size_t body_size);

// The same with headers (to, method and timeout_ms are not used).
PH_API PH_MUST_CHECK ph_err ph_client_reply_with(ph_client *client, ph_request_id request,
                                                 const ph_outgoing *outgoing);

// Answers with a failure. `code` is PH_FAILURE_RESPONDER_FAILED, PH_FAILURE_NO_HANDLER, or 1000 and
// above; `text` for people.
//
// PH_EINVAL   another code
// and those of ph_client_reply
PH_API PH_MUST_CHECK ph_err ph_client_fail(ph_client *client, ph_request_id request, uint16_t code,
                                           const char *text);

// What a client counted since it was made.
typedef struct ph_client_counters {
    size_t struct_size; // set by the caller; only so much is written
    uint64_t connects;
    uint64_t calls;
    uint64_t replies;
    uint64_t failures;
    uint64_t timeouts;
    uint64_t replies_stray; // replies to calls that were over
    uint64_t requests;
    uint64_t events;
    uint64_t peers_dropped; // beyond peers_max
    uint64_t bytes_sent;
    uint64_t bytes_received;
} ph_client_counters;

PH_API void ph_client_count(const ph_client *client, ph_client_counters *out);

#ifdef __cplusplus
}
#endif

#endif // PH_CLIENT_H
