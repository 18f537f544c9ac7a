// SPDX-License-Identifier: Apache-2.0
//
// center/replica.h - the registry and the online list at every worker: the first tells, the others
// do the same.
//
// Each step that the first worker takes (an account comes, is listed, has another line, is taken
// off the list, goes) is told right when it is taken. The others take it with the code that the
// first took it with, so revisions agree; that they do is asserted.
//
// Threads  none

#ifndef CENTER_REPLICA_H
#define CENTER_REPLICA_H

#include "center/worker.h"

// For the first worker; nothing when it is alone, and at the others.
void replica_tell_account(center *c, const account *a);
void replica_tell_line(center *c, const account *a, mail_type step); // LISTED or CHANGED
void replica_tell_name(center *c, const account *a, mail_type step, phi_why why);

// For the others: one of those came.
void replica_handle(center *c, const mail *m, phi_bytes bytes);

#endif // CENTER_REPLICA_H
