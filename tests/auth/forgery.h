// SPDX-License-Identifier: Apache-2.0
//
// tests/auth/forgery.h - for tests: tokens as somebody makes them who has no business to: by a
// good one's header and payload, or others, signed in a way that one says, and changed after that.

#ifndef TESTS_AUTH_FORGERY_H
#define TESTS_AUTH_FORGERY_H

#include "auth/jwt.h"
#include "auth/signer.h"

#define TOKEN_ROOM (4u * PHI_JWT_BYTES_MAX)

// In these texts ' stands for ", and ` for '.
#define CLAIMS "'iss':'issuer','aud':'center','sub':'orders','iat':1799999990,'exp':1800000600"
#define GOOD_PAYLOAD "{" CLAIMS "}"

// Who signs, with what: HMACs, then curves, then RSA.
typedef enum signing {
    BY_ITS_KEY,    // the key of `algorithm`
    BY_STRANGER,   // a key of the same kind that nobody knows
    BY_NOBODY,     // no signature
    BY_EMPTY,      // HMAC with no bytes at all
    BY_ZEROS,      // HMAC with 32 zero bytes
    BY_ID,         // HMAC with the key's id
    BY_PEM,        // HMAC with what everybody may know of the key of RS256
    BY_JSON,       // HMAC with the set of public keys, letter by letter
    BY_MODULUS,    // HMAC with the number n of the key of RS256
    BY_POINT,      // HMAC with the point of the key of ES256
    BY_ED,         // HMAC with the public key of EdDSA
    BY_HS512,      // HMAC with the right secret, and SHA-512
    BY_SECP256K1,  // ECDSA with a key of Bitcoin's curve
    BY_SECP384R1,  // ECDSA with a key of the longer curve
    BY_PSS_0,      // RSA-PSS without a salt
    BY_PSS_MAX,    // RSA-PSS with as long a salt as fits
    BY_PSS_SHA1,   // RSA-PSS whose mask is made with SHA-1
    BY_RSA_SHA512, // RSA with the longer digest
} signing;

typedef struct token {
    char text[TOKEN_ROOM + 1];
    size_t size;
} token;

typedef struct forgery {
    const char *name;
    phi_jwt_fault fault;
    phi_jws_algorithm algorithm; // whose key signs
    const char *header;          // NULL: of that algorithm, and with its kid
    const char *payload;         // NULL: GOOD_PAYLOAD
    signing by;
    void (*edit)(token *t); // after it was signed; NULL: not
} forgery;

// Reads the fixture's keys, and makes some that nobody knows.
void forgery_setup(void);
void forgery_teardown(void);

void forgery_make(const forgery *f, token *out);
// What a center that believes the fixture's keys says to it.
phi_jwt_fault forgery_judge(const token *t);

// ---- for edits

void token_insert(token *t, size_t at, const char *bytes, size_t size);
// Where its dot of that number stands, from 1; its end: there are fewer.
size_t token_dot(const token *t, int number);
phi_bytes token_signature(const token *t, uint8_t room[TOKEN_ROOM]);
void token_set_signature(token *t, phi_bytes bytes);

#endif // TESTS_AUTH_FORGERY_H
