// SPDX-License-Identifier: Apache-2.0
//
// auth/jwk.h - the keys with which tokens are signed: a JSON Web Key Set (RFC 7517), or a shared
// secret.
//
// A key knows its one algorithm, and a token is checked with that and no other: what the token says
// of algorithms can only be wrong (RFC 8725 3.1). EC and OKP keys have one by their curve. An RSA
// key without `alg` is for RS256 and nothing else, which is what issuers that leave it out mean by
// it (OpenID Connect's default). A shared secret must say HS256. Private keys in a set that is only
// to verify are refused: they do not belong there.
//
// Limits   PHI_JWKS_BYTES_MAX, PHI_JWKS_KEYS_MAX; RSA of 2,048 to 8,192 bits with an exponent of 17
//          to 32 bits; NIST's curve of 256 bits; Ed25519; secrets of at least 32 bytes that are not
//          obviously guessable
// Threads  none; a set that is made is not changed by verifying, and may be read by several

#ifndef PHI_AUTH_JWK_H
#define PHI_AUTH_JWK_H

#include <posthouse/err.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/diag.h"

#define PHI_JWKS_BYTES_MAX (64u * 1024u)
#define PHI_JWKS_KEYS_MAX 64u
#define PHI_JWK_ID_BYTES_MAX 128u
#define PHI_RSA_BITS_MIN 2048u
#define PHI_RSA_BITS_MAX 8192u
#define PHI_SECRET_BYTES_MIN 32u
#define PHI_SECRET_BYTES_MAX 1024u

typedef enum phi_jws_algorithm {
    PHI_JWS_HS256,
    PHI_JWS_RS256,
    PHI_JWS_PS256,
    PHI_JWS_ES256,
    PHI_JWS_EDDSA, // with Ed25519 (RFC 8037)
    PHI_JWS_COUNT
} phi_jws_algorithm;

// "HS256", "RS256", "PS256", "ES256", "EdDSA".
const char *phi_jws_algorithm_name(phi_jws_algorithm algorithm);
// Letter by letter; also "Ed25519", as RFC 9864 calls EdDSA with that curve.
bool phi_jws_algorithm_of_name(phi_bytes name, phi_jws_algorithm *out);

typedef struct phi_jwks phi_jwks;

// Reads a set, or a single key. Keys of a `use` or `key_ops` for something else, and of kinds that
// are not spoken here, are passed over and counted (*skipped, may be NULL): a set may serve others,
// too. A key that is spoken here and weak or malformed makes the whole set PH_EINVAL.
//
// PH_EINVAL   *diag says which key, what is wrong, and what to do
// PH_ENOMEM
PHI_MUST_CHECK ph_err phi_jwks_parse(phi_jwks **out, const phi_alloc *alloc, phi_bytes json,
                                     uint32_t *skipped, phi_diag *diag);

// One of a shared secret, for HS256.
//
// PH_EINVAL   weak; *diag says why
PHI_MUST_CHECK ph_err phi_jwks_of_secret(phi_jwks **out, const phi_alloc *alloc, phi_bytes secret,
                                         phi_diag *diag);
void phi_jwks_free(phi_jwks **keys);

uint32_t phi_jwks_count(const phi_jwks *keys);

// A shared secret is among them: then the file must be as private as a private key, and the set
// cannot have come from a server that gives it to everybody.
bool phi_jwks_has_secret(const phi_jwks *keys);

// What tells a key from all others, whatever its id and in whichever set. Nothing of it can be
// learned from that.
typedef struct phi_jwk_mark {
    uint8_t bytes[16];
} phi_jwk_mark;

// Whether the key with that mark is among them: who was believed because of it still is.
bool phi_jwks_has(const phi_jwks *keys, const phi_jwk_mark *mark);

// The key of that id, letter by letter; or with `id` NULL, for a token that names none, the only
// key there is. NULL: none.
struct phi_jwk; // key.h
const struct phi_jwk *phi_jwks_find(const phi_jwks *keys, const phi_bytes *id);

// PH_EINVAL when the bytes would be guessed: too few, all alike, a word like "secret" again and
// again. *diag says what a good one is and how to make it. The bytes are not in it.
PHI_MUST_CHECK ph_err phi_secret_judge(phi_bytes secret, phi_diag *diag);

#endif // PHI_AUTH_JWK_H
