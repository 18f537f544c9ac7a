// SPDX-License-Identifier: Apache-2.0
//
// center/credential.h - what a client proved who it is with ends, and is proved anew. P-76.

#ifndef CENTER_CREDENTIAL_H
#define CENTER_CREDENTIAL_H

#include "center/session.h"

// A credential packet of a joined session, at its home: judges the token in it, and answers.
void credential_handle(center *c, session *s, phi_bytes payload);

#endif // CENTER_CREDENTIAL_H
