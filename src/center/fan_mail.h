// SPDX-License-Identifier: Apache-2.0
//
// center/fan_mail.h - a packet for many at another worker: mailed there once, with the handles of
// all whom it is for.
//
// An event for many is the same packet for each of its receivers. The first of them whose home is
// that worker begins a mail there; each that follows adds its handle to it, as long as nothing else
// was mailed there since and it was not posted. So it stands at its place among all mail from its
// first receiver on: nothing is collected aside, nothing waits for the fan to end, and what is
// mailed to anybody behind it comes behind it. [P-55] Who gets it is decided here, one by one, and
// what is on the way to each is counted as of any other mail (abroad.h).
//
// Limits   FAN_MAIL_RECEIVERS_MAX to a mail; for the mailbox each counts FAN_MAIL_WEIGHT bytes, so
//          that a full one is not many times the work that it is when full of other mail
// Threads  none

#ifndef CENTER_FAN_MAIL_H
#define CENTER_FAN_MAIL_H

#include "center/abroad.h"
#include "center/worker.h"

#define FAN_MAIL_RECEIVERS_MAX 12u
#define FAN_MAIL_WEIGHT 64u

// A new fan, or its next turn, in which its packet says less time: what to call it below, never 0.
uint32_t fan_mail_new(center *c);

// The packet is in the mail for one more receiver abroad. False: it is to be begun for that one.
bool fan_mail_add(session *receiver, uint32_t fan, size_t payload_size);

// Where the payload goes, to be written there before anything else is mailed; NULL as session_put.
uint8_t *fan_mail_begin(session *receiver, uint32_t fan, phi_command command, size_t payload_size);

// MAIL_FAN.
void fan_mail_handle(center *c, uint32_t from, const mail *m, phi_bytes bytes);

#endif // CENTER_FAN_MAIL_H
