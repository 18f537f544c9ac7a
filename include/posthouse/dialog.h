// SPDX-License-Identifier: Apache-2.0
//
// posthouse/dialog.h - more than a question and an answer: a responder that asks its caller back, a
// question to every instance of a service, an event whose sender is told what became of it.
//
//     // a responder, inside on_request or at any time before it replies
//     ph_outgoing question = PH_OUTGOING_INIT;
//     question.method = "which";
//     ph_client_ask(client, request, &question, NULL, on_answer, state);
//
//     // its caller, who is asked: the same functions as for a request
//     static void on_inquiry(ph_client *client, ph_call_id call, ph_request_id inquiry, ...)
//     {
//         ph_client_reply(client, inquiry, "GN", 2);
//     }
//
// Threads, ownership, errors, versions   as client.h
// Limits     Of one call at most 4 inquiries are open at a time. Dialogs may stand inside one
//            another at most 4 deep. A center asks at most 1,000 instances in one gather, unless it
//            is configured otherwise.

#ifndef PH_DIALOG_H
#define PH_DIALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <posthouse/client.h>
#include <posthouse/err.h>
#include <posthouse/export.h>
#include <posthouse/message.h>

#ifdef __cplusplus
extern "C" {
#endif

// ---- inquiries

// Asks the caller of a request back, before it is answered. On PH_OK `done` runs exactly once: with
// the answer, with a failure, or without either when the whole dialog is over (ph_reply_fn). There
// is one deadline for all of it, that of the request: an inquiry may have less time, never more.
//
// A caller that does not answer inquiries fails with no_handler; more than 4 open at a time fail
// with too_many_calls; one that would make dialogs more than 4 deep fails with too_deep. A request
// that was answered already has nobody to be asked: such an inquiry ends at its deadline.
//
//   request    as on_request was given it
//   outgoing   `to`, `within` and `on_inquiry` are not used
//   id         receives what ph_client_cancel wants; may be NULL
//   done       required
//
// PH_ESTALE      the connection it came over is gone, and with it the call
// PH_ETIMEDOUT   the request's time is over
// PH_ELIMIT      calls_max inquiries are open, or 65,535
// PH_ENOMEM      no memory for one more than were ever open
// PH_EINVAL      also for an inquiry: who answers one may make a request `within` it instead
// PH_ETOOLARGE, PH_EBUSY   as ph_client_send
PH_API PH_MUST_CHECK ph_err ph_client_ask(ph_client *client, ph_request_id request,
                                          const ph_outgoing *outgoing, ph_call_id *id,
                                          ph_reply_fn *done, void *arg);

// How much of its time a request or an inquiry has left, in milliseconds; 0 when it is over. What
// is sent `within` it, and what is asked back, keeps to it without being told.
PH_API uint32_t ph_client_time_left_ms(const ph_client *client, ph_request_id request);

// ---- gathers

// One of those asked has replied, or failed.
//
//   code   0: it replied; else the failure's, and part->body is its text
//   part   part->from says who
typedef void ph_part_fn(ph_client *client, ph_call_id call, uint16_t code, const ph_incoming *part,
                        void *arg);

// What came of a gather.
typedef struct ph_gathered {
    uint16_t asked;   // instances that it went to
    uint16_t replied; // those of them that replied
    // those of the others that are named: as many as fit into 8 KiB
    uint16_t missing_count;
    ph_view missing; // read with ph_gathered_next
} ph_gathered;

// Walks over those who did not reply: start with *cursor 0; false at the end. [any thread]
//
//   id     "account@domain"
//   code   PH_FAILURE_DEADLINE, or what it failed with
PH_API bool ph_gathered_next(const ph_gathered *gathered, size_t *cursor, ph_view *id,
                             uint16_t *code);

// How a gather ended: exactly once, after all of its parts.
//
//   status   PH_OK         as many as were wanted have replied, or nobody is left who could, or the
//                          time is over: `gathered` says
//            PH_EFAILURE   nobody was asked; `code` says why (no_ready_instance, too_many_calls...)
//            PH_ETIMEDOUT  not even the center said anything until a second after the deadline
//            PH_ERESET, PH_ECANCELLED   as in ph_reply_fn
//
// `gathered` is NULL but for PH_OK; `code` is 0 where nothing else is said.
typedef void ph_gathered_fn(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                            const ph_gathered *gathered, void *arg);

// How replies are gathered.
typedef struct ph_gather {
    size_t struct_size;   // set by PH_GATHER_INIT; lets later versions add fields
    uint16_t want;        // it is over when so many have replied; failures do not count; 0: all
    ph_part_fn *on_part;  // each part as it comes; may be NULL
    ph_gathered_fn *done; // required
    void *arg;            // given to both
} ph_gather;

#define PH_GATHER_INIT                                                                             \
    {                                                                                              \
        sizeof(ph_gather), 0, NULL, NULL, NULL                                                     \
    }

// Sends a request to every instance of a service but this client, whatever its state. On PH_OK
// gather->done runs exactly once, on any error it does not. Those who are asked cannot ask back.
//
//   outgoing   `to` is "all:NAME"; it has to fit into a packet
//   gather     borrowed until this returns
//   id         receives what ph_client_cancel wants; may be NULL
//
// PH_EINVAL   another `to`, no `done`
// and those of ph_client_request
PH_API PH_MUST_CHECK ph_err ph_client_gather(ph_client *client, const ph_outgoing *outgoing,
                                             const ph_gather *gather, ph_call_id *id);

// ---- receipts

// What became of an event.
typedef struct ph_receipt {
    uint32_t delivered; // receivers in whose connection's send buffer it stands, whole
    // receivers for which there was no room, or no time. Who is bound by rules is not told of those
    // that were left when the event could not wait any longer
    uint32_t dropped;
    // why the first of these was dropped, or why there was no receiver at all; 0: no reason to tell
    uint16_t code;
} ph_receipt;

// How it ended: exactly once.
//
//   status   PH_OK          `receipt` says
//            PH_ETIMEDOUT   no receipt until a second after the deadline
//            PH_ERESET      the connection died meanwhile: it may or may not have gone out
//            PH_ECANCELLED  ph_client_cancel, or the client was closed
//
// `receipt` is NULL but for PH_OK.
typedef void ph_receipt_fn(ph_client *client, ph_call_id event, ph_err status,
                           const ph_receipt *receipt, void *arg);

// Sends an event and asks the center what became of it. On PH_OK `done` runs exactly once, on any
// error it does not. That an event was delivered says nothing about what its receiver does with it:
// who wants to know that sends a request.
//
//   outgoing   timeout_ms 0 means 30000
//   id         receives what ph_client_cancel wants; may be NULL
//   done       required
//
// PH_ELIMIT   calls_max calls and receipts are in flight
// PH_ENOMEM   no memory for one more than were ever in flight
// and those of ph_client_send
PH_API PH_MUST_CHECK ph_err ph_client_send_with_receipt(ph_client *client,
                                                        const ph_outgoing *outgoing, ph_call_id *id,
                                                        ph_receipt_fn *done, void *arg);

// The same, and drives the loop until it ended. Not from inside a callback.
//
//   out   receives the receipt
//
// PH_ETIMEDOUT, PH_ERESET, PH_ECANCELLED   as in ph_receipt_fn
// PH_EINVAL   called from inside a callback
// and those of ph_client_send_with_receipt
PH_API PH_MUST_CHECK ph_err ph_client_send_with_receipt_wait(ph_client *client,
                                                             const ph_outgoing *outgoing,
                                                             ph_receipt *out);

#ifdef __cplusplus
}
#endif

#endif // PH_DIALOG_H
