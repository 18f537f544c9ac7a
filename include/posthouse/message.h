// SPDX-License-Identifier: Apache-2.0
//
// posthouse/message.h - what is sent, and what is received.
//
// Threads    The functions here only read what they are given: [any thread].
// Ownership  Everything received is a view, valid until the callback it was given to returns,
//            unless it says otherwise. Everything to be sent is borrowed until the call returns.
//            Texts that are received are not terminated: print them with "%.*s".

#ifndef PH_MESSAGE_H
#define PH_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <posthouse/err.h>
#include <posthouse/export.h>

#ifdef __cplusplus
extern "C" {
#endif

// Bytes of somebody else's; text when the field says so.
typedef struct ph_view {
    const char *data;
    size_t size;
} ph_view;

#define PH_VIEW_INIT                                                                               \
    {                                                                                              \
        NULL, 0                                                                                    \
    }

// One header. Names are case-sensitive, at most 255 bytes; values at most 65,535.
typedef struct ph_header {
    const char *name;
    const void *value;
    size_t value_size;
} ph_header;

// Something received.
typedef struct ph_incoming {
    ph_view from; // "account@domain"; "@domain": the center itself
    ph_view to;   // as the sender wrote it
    ph_view method;
    ph_view headers; // read with ph_incoming_header
    ph_view body;
    // requests and inquiries: what is left of the deadline; events: of their use, 0 for ever
    uint32_t timeout_ms;
} ph_incoming;

// A connection to a center: client.h.
typedef struct ph_client ph_client;

// One call of a client. The zero value is never a live call.
typedef struct ph_call_id {
    uint64_t value;
} ph_call_id;

// Something that came in and waits for its answer: a request, or an inquiry inside a call of ours.
// A value to keep and copy, good until the connection it came over ends. It is filled in by the
// library, and read with ph_request_id_equal and ph_client_time_left_ms.
typedef struct ph_request_id {
    uint64_t call;
    uint64_t connection;
    uint64_t deadline_ns; // on the clock of the client's loop
    uint16_t turn;        // 0: a request; else an inquiry, which is one of several in its call
    uint8_t depth;        // how many dialogs it stands in: 0 to 4
} ph_request_id;

// Whether both are the same request, or the same inquiry. [any thread]
PH_API bool ph_request_id_equal(ph_request_id a, ph_request_id b);

// The responder of one of our calls asks back, inside the call, before it replies: answer it like a
// request, with ph_client_reply or ph_client_fail, now or later. Once the call is over nobody waits
// for the answer, and sending one is harmless.
//
//   call      the call of ours that it belongs to
//   incoming  what is asked; timeout_ms is what is left of the call
typedef void ph_inquiry_fn(ph_client *client, ph_call_id call, ph_request_id inquiry,
                           const ph_incoming *incoming, void *arg);

// A body that was left to the library is the application's again. Not a place to call the library
// from, but for the functions marked [any thread].
typedef void ph_release_fn(const void *body, void *arg);

// Something to send.
typedef struct ph_outgoing {
    size_t struct_size; // set by PH_OUTGOING_INIT; lets later versions add fields
    // "account", "account@domain", "service:NAME" (one ready instance), "all:NAME" (every
    // instance), "all:" (everybody), "topic:NAME" (who subscribed to it), "@" (the center itself:
    // P-69). Required, but in replies and inquiries, which have their way
    const char *to;
    const char *method; // what is asked or told; NULL: none; at most 255 bytes
    const void *body;   // NULL with body_size 0: none
    size_t body_size;
    const ph_header *headers; // NULL: none
    size_t header_count;
    // requests: from now until the end of the call, 0 means 30000. events: for how long it is of
    // use, 0 for ever. inquiries: 0 means all that is left of the request
    uint32_t timeout_ms;
    // requests: the request or inquiry that this one is part of. It ends with that one's time, if
    // not sooner, and dialogs that grow too deep are refused, as P-63 has it. NULL: none
    const ph_request_id *within;
    // requests: what this one's responder asks back goes there, with the call's own `arg`. NULL: to
    // on_inquiry of ph_client_options
    ph_inquiry_fn *on_inquiry;
    // for a body of megabytes, which is copied else, and while it is nothing is sent or answered:
    // the library keeps the body itself, which must not change, until it calls this. Exactly once
    // for each message that is accepted (PH_OK), perhaps before the function that sends it returns;
    // never for one that is not. NULL: copied
    ph_release_fn *release;
    void *release_arg;
} ph_outgoing;

#define PH_OUTGOING_INIT                                                                           \
    {                                                                                              \
        sizeof(ph_outgoing), NULL, NULL, NULL, 0, NULL, 0, 0, NULL, NULL, NULL, NULL               \
    }

// The value of the first header of that name. [any thread]
//
//   out   a view of the message, valid as long as it is
//
// PH_ENOTFOUND   there is none
// PH_EPROTO      the headers before it are malformed
PH_API PH_MUST_CHECK ph_err ph_incoming_header(const ph_incoming *incoming, const char *name,
                                               ph_view *out);

// Walks over all headers: start with *cursor 0; false at the end, and before a malformed one.
// [any thread]
PH_API bool ph_incoming_header_next(const ph_incoming *incoming, size_t *cursor, ph_view *name,
                                    ph_view *value);

// Why a call failed; see failure.def. 1000 and above are the responder's own.
typedef enum ph_failure_code {
#define PH_FAILURE(name, code, label, text) PH_FAILURE_##name = (code),
#include <posthouse/failure.def>
#undef PH_FAILURE
    PH_FAILURE_APPLICATION = 1000
} ph_failure_code;

// "no_such_account"; "application" for 1000 and above; "unknown" for what this version does not
// know. [any thread]
PH_API const char *ph_failure_name(uint16_t code);

// A phrase for people. [any thread]
PH_API const char *ph_failure_text(uint16_t code);

#ifdef __cplusplus
}
#endif

#endif // PH_MESSAGE_H
