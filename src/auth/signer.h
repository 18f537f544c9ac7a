// SPDX-License-Identifier: Apache-2.0
//
// auth/signer.h - the other side of jwk.h: a private key, with which tokens are signed. For the
// command line and for tests; a center has none.
//
// Life     phi_signer_make or _parse or _of_secret -> phi_signer_sign* -> phi_signer_free
// Threads  none

#ifndef PHI_AUTH_SIGNER_H
#define PHI_AUTH_SIGNER_H

#include <posthouse/err.h>

#include "auth/jwk.h"
#include "base/buf.h"

typedef struct phi_signer phi_signer;

// Makes a key, with that id, or, when `id` is empty, with one of random bytes.
//
// PH_EINVAL   an id that is too long, or has control characters
// PH_ESYSTEM  the library could not
// PH_ENOMEM
PHI_MUST_CHECK ph_err phi_signer_make(phi_signer **out, const phi_alloc *alloc,
                                      phi_jws_algorithm algorithm, phi_bytes id, phi_diag *diag);

// Reads a private key in JSON (RFC 7517), by itself or as the only one of a set.
//
// PH_EINVAL   *diag says what is wrong; nothing of the key is in it
// PH_ENOMEM
PHI_MUST_CHECK ph_err phi_signer_parse(phi_signer **out, const phi_alloc *alloc, phi_bytes json,
                                       phi_diag *diag);

// For HS256. Errors as of phi_secret_judge, and PH_ENOMEM.
PHI_MUST_CHECK ph_err phi_signer_of_secret(phi_signer **out, const phi_alloc *alloc,
                                           phi_bytes secret, phi_diag *diag);
void phi_signer_free(phi_signer **signer);

phi_jws_algorithm phi_signer_algorithm(const phi_signer *signer);
phi_bytes phi_signer_id(const phi_signer *signer); // empty: it has none

// Appends the key as JSON: with its private part, or as a set to verify with. For HS256 both have
// the secret.
//
// PH_ENOMEM, PH_ESYSTEM
PHI_MUST_CHECK ph_err phi_signer_write_private(const phi_signer *signer, phi_buf *out);
PHI_MUST_CHECK ph_err phi_signer_write_public(const phi_signer *signer, phi_buf *out);

// Appends a token of that header and payload, whatever they are.
//
// PH_ENOMEM, PH_ESYSTEM
PHI_MUST_CHECK ph_err phi_signer_sign(const phi_signer *signer, phi_bytes header, phi_bytes payload,
                                      phi_buf *out);

// What a token is to say. Views, borrowed; empty ones are left out.
typedef struct phi_token_claims {
    phi_bytes subject;
    phi_bytes issuer;
    phi_bytes audience;
    uint64_t issued_s; // since 1970
    uint64_t expires_s;
} phi_token_claims;

// Appends a token that says so. It has an id of random bytes (`jti`).
//
// PH_EINVAL   a text is no UTF-8
// PH_ENOMEM, PH_ESYSTEM
PHI_MUST_CHECK ph_err phi_signer_issue(const phi_signer *signer, const phi_token_claims *claims,
                                       phi_buf *out);

#endif // PHI_AUTH_SIGNER_H
