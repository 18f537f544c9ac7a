// SPDX-License-Identifier: Apache-2.0
//
// center/credential.c - credentials that come later than JOIN.
//
// Clauses: P-76, P-77.

#include "center/credential.h"

#include "center/state.h"
#include "wire/credential.h"

void credential_handle(center *c, session *s, phi_bytes payload)
{
    PH_ASSERT(session_is(s, SESSION_JOINED));
    phi_credential credential;
    if (phi_credential_decode(payload, &credential) != PH_OK) {
        session_end(c, s, PHI_BYE_MALFORMED, 0, NULL);
        return;
    }
    // There are no keys yet that could have signed it.
    session_end(c, s, PHI_BYE_NOT_AUTHORISED, 0, "this center believes no tokens");
}
