// SPDX-License-Identifier: Apache-2.0
//
// auth/key.h - one key of a token's issuer, read from its JSON (RFC 7517, RFC 7518 6, RFC 8037),
// and the two things it can do: verify a signature, and, when it is private, make one.
//
// Of this folder only: others know sets (jwk.h) and signers (signer.h).
//
// Threads  none; a key is not changed by being used, and several may verify with it

#ifndef PHI_AUTH_KEY_H
#define PHI_AUTH_KEY_H

#include <openssl/evp.h>

#include "auth/jwk.h"
#include "auth/strict.h"

#define PHI_EC_CURVE "P-256" // lint: allow clauses, because it is a curve's name
#define PHI_SIGNATURE_BYTES_MAX (PHI_RSA_BITS_MAX / 8u)

// Zeroed: none.
typedef struct phi_jwk {
    const phi_alloc *alloc; // of `secret`
    phi_jws_algorithm algorithm;
    phi_jwk_mark mark;
    size_t id_size; // 0: it has no id
    uint8_t id[PHI_JWK_ID_BYTES_MAX];
    EVP_PKEY *pkey;  // owned; NULL for HS256
    uint8_t *secret; // owned, wiped; NULL for all others
    size_t secret_size;
} phi_jwk;

typedef enum phi_jwk_part {
    PHI_JWK_PUBLIC,  // private parts are an error
    PHI_JWK_PRIVATE, // and must be there
} phi_jwk_part;

// Reads one. *is_for_us: it is of a kind that is spoken here, and to verify with (or to sign with);
// if not, PH_OK, and *out is not written.
//
// PH_EINVAL   weak or malformed; *diag says why
// PH_ENOMEM
PHI_MUST_CHECK ph_err phi_jwk_read(phi_jwk *out, const phi_alloc *alloc, const json_t *object,
                                   phi_jwk_part part, bool *is_for_us, phi_diag *diag);

// Makes one of a secret that was judged.
PHI_MUST_CHECK ph_err phi_jwk_of_secret(phi_jwk *out, const phi_alloc *alloc, phi_bytes secret);
void phi_jwk_fini(phi_jwk *key);

// A text of 1 to PHI_JWK_ID_BYTES_MAX bytes without control characters.
bool phi_jwk_id_is_valid(phi_bytes id);

static inline phi_bytes phi_jwk_id(const phi_jwk *key)
{
    return phi_bytes_of(key->id, key->id_size);
}

// Whether the signature is the one of `input`, in the form that a JWS has (RFC 7518 3).
PHI_MUST_CHECK bool phi_jwk_verify(const phi_jwk *key, phi_bytes input, phi_bytes signature);

// With a private key. *size of `out` is written on success.
//
// PH_ESYSTEM   the library could not
PHI_MUST_CHECK ph_err phi_jwk_sign(const phi_jwk *key, phi_bytes input,
                                   uint8_t out[PHI_SIGNATURE_BYTES_MAX], size_t *size);

#endif // PHI_AUTH_KEY_H
