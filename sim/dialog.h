// SPDX-License-Identifier: Apache-2.0
//
// sim/dialog.h - what is more than a question and an answer: actors that ask their callers back,
// callers that ask somebody else before they answer that, and gathers. Each is written down as it
// was promised, and looked at when it ends.

#ifndef SIM_DIALOG_H
#define SIM_DIALOG_H

#include <posthouse/dialog.h>

#include "sim/domain.h"

#define ASKS_MAX 16384u   // in one life of a domain
#define GATHERS_MAX 4096u // same

// An inquiry, and how it ended.
typedef struct ask_record {
    domain *domain;
    uint32_t serial; // its index in the ledger
    uint32_t asker;
    uint32_t asked; // an actor, or NOBODY
    ph_request_id request;
    held_request *held; // answered when all that is asked inside it has ended; NULL: not by us
    phi_time begun;     // world time
    phi_time deadline;  // same; PHI_TIME_NEVER once its asker was frozen
    ph_call_id id;
    unsigned ends; // must become 1
    phi_time ended;
    ph_err status;
    uint16_t code;
} ask_record;

// A gather, and how it ended.
typedef struct gather_record {
    domain *domain;
    uint32_t serial;
    uint32_t caller;
    char service[16];
    uint16_t want;
    phi_time deadline; // world time; PHI_TIME_NEVER once its caller was frozen
    ph_call_id id;
    uint32_t heard; // actors of whom a part came, a bit each
    unsigned parts;
    unsigned replies;
    unsigned ends; // must become 1
    phi_time ended;
    ph_err status;
    uint16_t code;
    uint16_t asked;
    uint16_t missing;
} gather_record;

typedef struct dialogs {
    ask_record *asks; // owned; ASKS_MAX
    uint32_t ask_count;
    uint32_t asks_open;
    gather_record *gathers; // owned; GATHERS_MAX
    uint32_t gather_count;
    uint32_t gathers_open;
} dialogs;

dialogs *dialogs_new(void);
void dialogs_free(dialogs **all);

// Asks the caller of a request back. `timeout_ms` 0: all the time there is. NULL: it was not
// accepted; *why says it (may be NULL).
ask_record *actor_ask(actor *a, const held_request *request, uint32_t timeout_ms, ph_err *why);

// A call in the course of a request or an inquiry, which ends with it.
call_record *actor_call_within(actor *a, held_request *within, const actor *to,
                               uint32_t timeout_ms);

// Asks all instances of a service ("s1"). NULL: it was not accepted; *why says it (may be NULL).
gather_record *actor_gather(actor *a, const char *service, uint16_t want, uint32_t timeout_ms,
                            ph_err *why);

// ---- for actor.c

// MANNER_ASK: asks before it answers. A request: its caller, once or a few times; an inquiry: who
// asked, or anybody, in a call within it.
void dialog_ask_first(actor *a, const held_request *request);

// A call within something has ended.
void dialog_call_ended(const call_record *call);

// The request is over: what was asked inside it has ended before.
void dialog_cancelled(const actor *a, ph_request_id request);

// The process of this actor stands still: nobody ends anything in it.
void dialog_frozen(const actor *a);

#endif // SIM_DIALOG_H
