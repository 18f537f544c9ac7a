// SPDX-License-Identifier: Apache-2.0
//
// center/inquiry.h - the responder of a call asks its caller back, inside the call: P-62, P-63.
//
// The first inquiry of a call gives it a *dialog*: the few that may be open at a time, by their
// turns. Who never inquires has none.
//
// Life     inquiry_receive -> open -> inquiry_answer, or the end of the call (inquiry_drop)
//                          -> refused
// States   open: waits for the caller
//          owed: is over, but the responder's full buffer did not take the failure yet; on_room or
//                the end of the call settles it
// Limits   CENTER_INQUIRIES_MAX of a call, owed ones included
// Threads  none

#ifndef CENTER_INQUIRY_H
#define CENTER_INQUIRY_H

#include "center/call.h"
#include "wire/message.h"

#define CENTER_INQUIRIES_MAX 4u // of a call, open at a time (P-62)

typedef struct inquiry {
    uint16_t turn;      // 0: none stands here
    uint16_t owed_code; // ph_failure_code; 0: it is open
    bool is_coming;     // open, and the first fragment of its answer was passed on
} inquiry;

struct dialog {
    uint64_t handle; // in center.dialogs
    call *call;
    phi_list of_responder; // on its dialogs_owed while any is owed
    inquiry inquiries[CENTER_INQUIRIES_MAX];
};

// From a responder; or not, then it is dropped.
void inquiry_receive(center *c, session *s, const phi_message *m, phi_bytes payload);

// An answer, or a failure with a turn, from a caller; or not, then it is dropped. The body of a
// failure was looked at.
void inquiry_answer(center *c, session *s, const phi_message *m, phi_bytes payload);

// The answer that was coming in fragments is whole.
void inquiry_answered(center *c, call *k, uint16_t turn);

// An open inquiry, or its answer, comes to nothing on its way in fragments: the responder is told.
// Nothing when it is not open any more.
void inquiry_fail(center *c, call *k, uint16_t turn, ph_failure_code code);

// The first fragment of an inquiry is not let in.
void inquiry_refuse(center *c, call *k, uint16_t turn, ph_failure_code code);

// The call ends, and with it its dialog.
void inquiry_drop(center *c, call *k);

// There is room in the responder's buffer.
void inquiry_pay(center *c, session *responder);

#endif // CENTER_INQUIRY_H
