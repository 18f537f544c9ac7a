// SPDX-License-Identifier: Apache-2.0
//
// tests/auth/token_fixture.h - the keys of an issuer that tests and fuzzers play: one for each
// algorithm, with its name in small letters as id. RS256 and PS256 have the same numbers, as an
// attacker would like it. They were made for this file and open nothing.

#ifndef TESTS_AUTH_TOKEN_FIXTURE_H
#define TESTS_AUTH_TOKEN_FIXTURE_H

#include "auth/jwk.h"

// To sign with, by algorithm; JSON.
extern const char *const phi_fixture_private[PHI_JWS_COUNT];

// The set to verify with; JSON.
extern const char phi_fixture_public[];

// The public key of RS256 as issuers publish it for people.
extern const char phi_fixture_pem[];

#endif // TESTS_AUTH_TOKEN_FIXTURE_H
