// SPDX-License-Identifier: Apache-2.0
//
// center/security.h - what a center is told about whom to believe, and who may do what. Made from
// the configuration, replaced as a whole when that is read again (center_secure).
//
// Whoever joins must say who it is (auth/principal.h), and proves it with the first of these that
// it shows: a token in JOIN, a certificate, the user at the other end of a Unix socket. A proof
// that is shown and wrong is refused, whatever other proof would be good. Without proof, a peer of
// this machine is who it says it is, unless `anonymous_local` is false; others are refused, unless
// `insecure_allow_anonymous`.
//
// Without rules, peers of this machine may do everything, and others nothing, whatever they proved.
// When there are rules, they apply to all.

#ifndef CENTER_SECURITY_H
#define CENTER_SECURITY_H

#include "auth/jwt.h"
#include "auth/principal.h"
#include "auth/rules.h"
#include "io/tls.h"

// A user of this machine, and the principal that it is.
typedef struct center_user {
    uint32_t uid;
    phi_bytes principal;
} center_user;

// Everything is borrowed, and not changed while it is in use.
typedef struct center_security {
    const phi_rules *rules; // NULL: there are none
    const phi_jwks *keys;   // of tokens; NULL: tokens are refused
    phi_jwt_expect expect;
    phi_tls *tls;         // of TLS listeners; NULL without them
    phi_tls *tls_centers; // of the listeners for centers
    const center_user *users;
    size_t user_count;
    bool anonymous_local;
    bool insecure_allow_anonymous;
} center_security;

// As a center starts: no rules, no keys, anonymous_local.
extern const center_security center_security_open;

#endif // CENTER_SECURITY_H
