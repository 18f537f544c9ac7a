// SPDX-License-Identifier: Apache-2.0
//
// auth/jwt.h - a token (RFC 7519, JWS compact serialisation, RFC 7515), judged: whose it is, until
// when.
//
// The signature is checked before anything in the payload is believed. `jku`, `x5u`, `jwk`, `x5c`
// in the header are never looked at, a `crit` is refused, duplicate names are refused, and nothing
// in a token can cause a connection or a read of a file.
//
// Accepted  the compact serialisation of a JWS: three parts of canonical base64url; `typ` absent,
//           "JWT" or "at+jwt"; of the claims `exp` and the one that names the principal must be
//           there
// Time      nbf - leeway <= now < exp + leeway; an `iat` that lies ahead is as an `nbf`
//
// Threads  none; pure functions over a set of keys

#ifndef PHI_AUTH_JWT_H
#define PHI_AUTH_JWT_H

#include "auth/jwk.h"
#include "wire/name.h"

#define PHI_JWT_BYTES_MAX 4096u // as of a token in JOIN (P-35)
#define PHI_JWT_LEEWAY_MAX_S 300u

// What a token must be for. Views, borrowed.
typedef struct phi_jwt_expect {
    phi_bytes issuer;   // `iss`; empty: any
    phi_bytes audience; // `aud`, or one of them; empty: any
    phi_bytes claim;    // that names the principal; empty: "sub"
    uint32_t leeway_s;  // that clocks may differ by
} phi_jwt_expect;

typedef enum phi_jwt_fault {
    PHI_JWT_GOOD,
    PHI_JWT_MALFORMED,   // not three parts of base64url with JSON in them, too long, a name twice,
                         // a `typ` of something else
    PHI_JWT_CRITICAL,    // `crit`: something must be understood that is not
    PHI_JWT_KEY_UNKNOWN, // no key of that `kid`, or several without one
    PHI_JWT_ALGORITHM,   // not that of the key; "none" is none
    PHI_JWT_SIGNATURE,
    PHI_JWT_EXPIRED,
    PHI_JWT_EARLY, // `nbf` or `iat` lies ahead
    PHI_JWT_ISSUER,
    PHI_JWT_AUDIENCE,
    PHI_JWT_CLAIM, // no `exp`, nobody it is for, or one of these is of the wrong type
    PHI_JWT_NAME,  // its principal is no name, or too long a one
    PHI_JWT_FAULT_COUNT
} phi_jwt_fault;

// "token_expired", ...; a sentence for people. Constants.
const char *phi_jwt_fault_name(phi_jwt_fault fault);
const char *phi_jwt_fault_text(phi_jwt_fault fault);

typedef struct phi_jwt_claims {
    char principal[PHI_NAME_BYTES_MAX + 1];
    uint64_t expires_s; // since 1970; `exp` plus the leeway
    phi_jwk_mark key;   // that it was signed with
} phi_jwt_claims;

// `now_s` is seconds since 1970. *out is written for PHI_JWT_GOOD only.
PHI_MUST_CHECK phi_jwt_fault phi_jwt_judge(phi_bytes token, const phi_jwks *keys,
                                           const phi_jwt_expect *expect, uint64_t now_s,
                                           phi_jwt_claims *out);

// The parts of a token as they stand there, in base64url; for who shows it.
typedef struct phi_jwt_parts {
    phi_bytes header; // views into the token
    phi_bytes payload;
    phi_bytes signature;
    phi_bytes signed_text; // what the signature is of
} phi_jwt_parts;

// False: they are not three.
PHI_MUST_CHECK bool phi_jwt_split(phi_bytes token, phi_jwt_parts *out);

// Reads an `exp`, `nbf` or `iat`, without a fraction: seconds since 1970, up to the year 9999.
// False: it is none, or NULL.
struct json_t;
PHI_MUST_CHECK bool phi_jwt_time(const struct json_t *value, uint64_t *out);

#endif // PHI_AUTH_JWT_H
