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
//            the exception. Callbacks run on the driving thread, while the loop turns, never inside
//            the call that caused them (ph_client_free excepted, which ends what is open). Inside a
//            callback everything may be called but ph_client_free for that client, ph_loop_free,
//            and the functions that drive the loop: ph_loop_run, ph_loop_turn and those ending in
//            _wait.
// Ownership  `T **out` receives an object you then own. `const T *` is borrowed until the call
//            returns. What a callback is given is valid until it returns.
// Errors     Functions that can fail return ph_err and write their outputs only on PH_OK, unless
//            they say otherwise. PH_EINVAL is also for a NULL that is not allowed; functions
//            without an error must not get one.
// Limits     Every one is a field of ph_client_options with its default.
// Versions   Structs whose first member is struct_size may grow. A program that was compiled with
//            an older header is understood; one with a newer header as long as it leaves what this
//            library does not know at zero. What callbacks are given (ph_link_change, ph_incoming)
//            is the library's and may grow at its end: it is read, not made or copied into arrays.

#ifndef PH_CLIENT_H
#define PH_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <posthouse/counters.h>
#include <posthouse/err.h>
#include <posthouse/export.h>
#include <posthouse/loop.h>
#include <posthouse/message.h>
#include <posthouse/options.h>
#include <posthouse/presence.h>

#ifdef __cplusplus
extern "C" {
#endif

// Makes a client. Nothing is sent before ph_client_open.
//
//   options  borrowed; NULL: all defaults
//
// PH_EINVAL   a field is out of range, a name breaks the rules, `centers` does not parse, a
//             certificate stands without its key, or service, software, metadata and token together
//             are longer than a center takes (8 KiB)
// PH_ENOMEM   no memory
// PH_ESYSTEM  no loop could be made
PH_API PH_MUST_CHECK ph_err ph_client_new(ph_client **out, const ph_client_options *options);

// Frees *client and clears it; NULL is fine. Says bye when it is up. What is in flight (calls,
// inquiries, receipts) ends with PH_ECANCELLED before this returns; on_link is not called. From one
// of its own callbacks it aborts the program: use ph_client_close there. A loop of its own goes
// with it.
PH_API void ph_client_free(ph_client **client);

// Begins to dial, and goes on until closed: dials the centers in turn, waits between attempts,
// dials again when a connection is lost. Nothing when it was opened before.
//
// PH_ECLOSED   it was closed, or refused for good
PH_API PH_MUST_CHECK ph_err ph_client_open(ph_client *client);

// Says bye and stays down. Small messages sent before it still leave; of those in fragments, what
// has not left by now is given up. After this has returned, and while the loop turns, what is in
// flight ends with PH_ECANCELLED, then on_link is told. Idempotent; nothing for NULL.
PH_API void ph_client_close(ph_client *client);

// Opens it, and drives the loop until it is up.
//
// PH_ETIMEDOUT   not within timeout_ms; it goes on trying. ph_client_trouble says what the last
//                attempt met
// PH_EREFUSED, PH_ESUITE, PH_EPROTO   refused for good; ph_client_trouble says why
// PH_ECLOSED     it was closed before
// PH_EINVAL      called from inside a callback
PH_API PH_MUST_CHECK ph_err ph_client_open_wait(ph_client *client, uint32_t timeout_ms);

// Replaces the token: the next time it joins, it is with this one; and when it is up over a
// connection whose time is limited, the center is told at once, so that it goes on. Once the center
// did not believe it, on_link hears so.
//
//   token   copied, and wiped as `token` of the options; NULL: there is none any more
//
// PH_EINVAL     not 1 to 4,096 visible characters of ASCII: a newline at its end, perhaps
// PH_ETOOLARGE  with service, software and metadata it is longer than a center takes (8 KiB)
// PH_ENOMEM     no memory; the old one stays
// PH_ECLOSED    the client is closed
PH_API PH_MUST_CHECK ph_err ph_client_set_token(ph_client *client, const char *token);

// The loop that was given, or its own.
PH_API ph_loop *ph_client_loop(ph_client *client);

PH_API ph_link_state ph_client_state(const ph_client *client);

// "account@domain" once up, "" before; valid until the next turn.
PH_API const char *ph_client_id(const ph_client *client);

// Why it is not up, for people, in one line; "" when it is, and before the first attempt. Valid
// until the next turn.
PH_API const char *ph_client_trouble(const ph_client *client);

// The last round trip of a heartbeat with the center, in microseconds; 0 unknown.
PH_API uint32_t ph_client_round_trip_us(const ph_client *client);

// Asks the center for a sign of life now; nothing while an ask is out. When ph_client_is_probing
// says false again, ph_client_round_trip_us is new, or the client is down.
//
// PH_ENOTCONNECTED   the client is not up
PH_API PH_MUST_CHECK ph_err ph_client_probe(ph_client *client);
PH_API bool ph_client_is_probing(const ph_client *client);

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

// Asks for the online list and all changes, now or as soon as it is up; remembered over reconnects.
// Replaces what was asked for before: peers that no longer pass are forgotten without a word.
//
//   watch   borrowed; NULL: everything
//
// PH_EINVAL   a name breaks the rules
PH_API PH_MUST_CHECK ph_err ph_client_watch(ph_client *client, const ph_watch *watch);

// Wants no more of it, and forgets everybody without a word.
PH_API void ph_client_unwatch(ph_client *client);

// How many are known to be online. While the client is down: as of when it was up.
PH_API size_t ph_client_peer_count(const ph_client *client);

// Walks over them: start with *cursor 0; false at the end. Order is stable while nothing changes.
// Views in *out are valid until the next turn, or the next ph_client_watch or _unwatch.
//
//   out   its struct_size set by the caller (PH_PEER_INIT); only so much is written
PH_API bool ph_client_peer_next(const ph_client *client, size_t *cursor, ph_peer *out);

// The peer of that full id ("account@domain"). Views and `out` as in ph_client_peer_next.
//
// PH_EINVAL      also for an `out` without its struct_size
// PH_ENOTFOUND   not online, or not watched
PH_API PH_MUST_CHECK ph_err ph_client_peer_find(const ph_client *client, const char *id,
                                                ph_peer *out);

// Sends an event: to one account or to many. One way: nobody says whether it arrived, unless it is
// sent with ph_client_send_with_receipt.
//
// A message that does not fit into a packet (64 KiB, or less when the center says so) is copied,
// and leaves in fragments, as fast as its receiver takes them and so that others get in between;
// what is shorter and sent later may arrive before it. Its receiver sees one message. Failures, and
// requests to all instances of a service, are never cut.
//
// PH_EINVAL         no `to`; `to`, `method` or a header's name longer than 255 bytes; a size
//                   without its pointer
// PH_ETOOLARGE      the body is longer than message_bytes_max, or than the center carries; `to`,
//                   method and headers fill a packet of 32 KiB; or what is never cut does not fit
//                   into a packet
// PH_EBUSY          the send buffer is full, or streams_bytes_max are under way; on_writable
//                   follows
// PH_ENOMEM         no memory for the copy
// PH_ENOTCONNECTED  the client is not up
PH_API PH_MUST_CHECK ph_err ph_client_send(ph_client *client, const ph_outgoing *outgoing);

// Sends a request. On PH_OK `done` runs exactly once, at the latest when timeout_ms is over (a
// center lowers times above its own limit, an hour by default). On any error it does not run. To
// ask all instances of a service use ph_client_gather (dialog.h).
//
//   id    receives what ph_client_cancel wants; may be NULL
//   done  required
//
// PH_ETIMEDOUT   the time of what it is `within` is over
// PH_ELIMIT      calls_max are in flight
// PH_ENOMEM      no memory for one more call than were ever in flight
// PH_EINVAL      also for "all:NAME", and for a `within` that the library did not fill in
// and those of ph_client_send
PH_API PH_MUST_CHECK ph_err ph_client_request(ph_client *client, const ph_outgoing *outgoing,
                                              ph_call_id *id, ph_reply_fn *done, void *arg);

// A reply that is kept.
typedef struct ph_reply ph_reply;

// Sends a request and drives the loop until it ended. Not from inside a callback. What its
// responder asks back goes to on_inquiry, with the `arg` of ph_client_options.
//
//   out   receives the reply, or for PH_EFAILURE the failure, to be freed with ph_reply_free
//
// PH_EFAILURE, PH_ETIMEDOUT, PH_ERESET, PH_ECANCELLED   as in ph_reply_fn
// PH_ENOMEM   the reply could not be kept
// PH_EINVAL   called from inside a callback
// and those of ph_client_request
PH_API PH_MUST_CHECK ph_err ph_client_request_wait(ph_client *client, const ph_outgoing *outgoing,
                                                   ph_reply **out);

// Views are valid until ph_reply_free; of a failure, body is its text.
PH_API const ph_incoming *ph_reply_incoming(const ph_reply *reply);

// 0 when it is a reply, else the failure's code.
PH_API uint16_t ph_reply_code(const ph_reply *reply);

// Frees *reply and clears it; NULL is fine. A reply may outlive its client, not its client's loop.
PH_API void ph_reply_free(ph_reply **reply);

// Ends a call: `done` runs with PH_ECANCELLED after this has returned, and the responder is told.
// Of a receipt or an inquiry it only means that the answer is no longer waited for.
//
// PH_ENOTFOUND   it is over, or cancelled already
PH_API PH_MUST_CHECK ph_err ph_client_cancel(ph_client *client, ph_call_id id);

// Answers a request or an inquiry, once. An answer to a call that is over meanwhile, or a second
// one, is dropped by the center. What is still asked back inside the request ends with
// PH_ECANCELLED, in a later turn.
//
//   body   may be a view of the request's
//
// PH_ESTALE      the connection it came over is gone, and with it the call; of an inquiry: its call
//                is over
// PH_ETOOLARGE, PH_EBUSY, PH_ENOMEM, PH_EINVAL   as ph_client_send; the request can still be
//                answered
PH_API PH_MUST_CHECK ph_err ph_client_reply(ph_client *client, ph_request_id request,
                                            const void *body, size_t body_size);

// The same with headers (only these and the body of `outgoing` are used).
PH_API PH_MUST_CHECK ph_err ph_client_reply_with(ph_client *client, ph_request_id request,
                                                 const ph_outgoing *outgoing);

// Answers with a failure.
//
//   code   PH_FAILURE_RESPONDER_FAILED, PH_FAILURE_NO_HANDLER, or 1000 and above
//   text   for people, at most 1,024 bytes; NULL: the code's own
//
// PH_EINVAL      another code
// PH_ETOOLARGE   a longer text
// and those of ph_client_reply
PH_API PH_MUST_CHECK ph_err ph_client_fail(ph_client *client, ph_request_id request, uint16_t code,
                                           const char *text);

#ifdef __cplusplus
}
#endif

#endif // PH_CLIENT_H
