// SPDX-License-Identifier: Apache-2.0
//
// tests/api/fort.h - for tests: a center with a listener of TLS on this machine, certificates for
// it and its clients in a folder, and a key for tokens; all on one loop.
//
// Life     fort_init -> (fort_open -> fort_client ...)* -> fort_fini

#ifndef TESTS_API_FORT_H
#define TESTS_API_FORT_H

#include <posthouse/posthouse.h>

#include "app/cert.h"
#include "auth/signer.h"
#include "center/center.h"
#include "center/security.h"

#define FORT_WAIT_MS 5000

typedef struct fort_authority {
    EVP_PKEY *key;
    X509 *certificate;
} fort_authority;

typedef struct fort {
    ph_loop *loop;
    center *center;
    center_security security;
    center_options options;
    phi_rules *rules;
    phi_jwks *keys;
    phi_signer *signer;
    fort_authority authority; // that the center's clients are to believe, and it itself
    fort_authority stranger;  // nobody's
    char folder[40];
    char secure[PHI_ADDRESS_TEXT_MAX + 4]; // "tls:127.0.0.1:PORT"
    char plain[PHI_ADDRESS_TEXT_MAX];
    char paths[8][80]; // of fort_path, in turn
    unsigned path;
} fort;

// Of one client, as its callbacks were told.
typedef struct fort_client {
    fort *fort;
    ph_client *client;
    ph_client_options options;
    unsigned ups;
    unsigned downs;
    unsigned closes;
    unsigned asked; // for tokens
    unsigned dones;
    ph_err err;
    char text[512];
    char bye[64];
    ph_err status;
    uint16_t code;
    char reply[256];
    const char *gives; // in on_token; NULL: nothing
} fort_client;

void fort_init(fort *f);
// Makes the center and its listeners, from the files `center.pem` and `center.key`.
void fort_open(fort *f);
void fort_close(fort *f);
void fort_fini(fort *f);

// A path in the folder; good until eight others were asked for.
const char *fort_path(fort *f, const char *name);

// Writes NAME.pem and NAME.key, of an account, or with `host` of a center; good from `from_days`
// ago, for `days`.
typedef struct fort_order {
    const fort_authority *issuer; // NULL: the authority
    const char *name;             // of the files
    const char *account;
    const char *host;
    int from_days;
    uint32_t days; // 0: 30
} fort_order;
void fort_certificate(fort *f, const fort_order *order);

// A token for that principal, for so many seconds from now; good until the next one is asked for.
const char *fort_token(fort *f, const char *subject, int seconds);

// Fills in what a client of this center needs, and its account. Change it, then fort_client_new.
void fort_client_init(fort_client *c, fort *f, const char *account);
void fort_client_new(fort_client *c);
void fort_client_free(fort_client *c);

// Turns until *counter is at least `least`.
void fort_wait(fort *f, const unsigned *counter, unsigned least);

// Calls `to`, and waits until that has ended.
void fort_call(fort_client *c, const char *to, const char *method);

#endif // TESTS_API_FORT_H
