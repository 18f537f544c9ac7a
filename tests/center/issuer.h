// SPDX-License-Identifier: Apache-2.0
//
// tests/center/issuer.h - for tests: who issues tokens that a center believes.
//
// Life     issuer_init -> issuer_token* -> issuer_fini

#ifndef TESTS_CENTER_ISSUER_H
#define TESTS_CENTER_ISSUER_H

#include "auth/signer.h"
#include "base/buf.h"
#include "center/security.h"

#define ISSUER_SECRET "q3f9-T7w_kd02mZxLr8vYb5nHs1uJcE6gPaXo4iR" // of tests, and nobody else's

typedef struct issuer {
    phi_signer *signer;
    phi_jwks *keys;
    center_security security; // believes it, and whoever is of this machine
    phi_buf token;
} issuer;

void issuer_init(issuer *i);
void issuer_fini(issuer *i);

// A token for that principal; `expires_s` since 1970, which in a world is its beginning. Valid
// until the next one.
phi_bytes issuer_token(issuer *i, const char *subject, uint64_t expires_s);

#endif // TESTS_CENTER_ISSUER_H
