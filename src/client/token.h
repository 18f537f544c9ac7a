// SPDX-License-Identifier: Apache-2.0
//
// client/token.h - the token with which a client proves who it is: kept, asked for, renewed.
//
// Life     init -> (keep, is_wanted, ask, on_open, flush, on_credential, on_end)* -> fini
// Limits   PHI_JOIN_TOKEN_BYTES_MAX
// Threads  none: belongs to its client

#ifndef PHI_CLIENT_TOKEN_H
#define PHI_CLIENT_TOKEN_H

#include <posthouse/err.h>

#include "base/timers.h"
#include "link/link.h"

struct ph_client;

// What a client proves itself with, and until when the center believes it; token.c.
typedef struct phi_token {
    char *text;          // owned, terminated; NULL: there is none
    size_t size;         // of it
    phi_timer timer;     // when to ask for another
    phi_time ends;       // NEVER: it does not, or nobody said so
    phi_time told;       // when the center was last told of one
    uint32_t unanswered; // of those
    uint32_t refusals;   // since the client was up
    bool is_spent;       // the center did not believe it
    bool is_owed;        // the center has not been told of it
    bool is_limited;     // the center named an end over this connection
} phi_token;

void phi_client_token_init(struct ph_client *client);
void phi_client_token_fini(struct ph_client *client);

// 1 to PHI_JOIN_TOKEN_BYTES_MAX visible characters of ASCII.
bool phi_token_is_fine(const char *text);

// Copies it, and forgets the one before; NULL: only that.
// PH_EINVAL, PH_ETOOLARGE, PH_ENOMEM   as ph_client_set_token
PHI_MUST_CHECK ph_err phi_client_token_keep(struct ph_client *client, const char *text);

// Whether to dial would be in vain before the application gave another one.
bool phi_client_token_is_wanted(const struct ph_client *client);
void phi_client_token_ask(struct ph_client *client);

void phi_client_token_on_open(struct ph_client *client, const phi_welcome *welcome);
// Tells the center of one that came while the client was up: now, or as soon as there is room.
void phi_client_token_flush(struct ph_client *client);
void phi_client_on_credential(struct ph_client *client, phi_bytes payload);
// The client is up no more.
void phi_client_token_rest(struct ph_client *client);
// The same, because of that. Whether to dial again at once: there may be another token, or
// certificate, that is good.
bool phi_client_token_on_end(struct ph_client *client, const phi_link_end *end, bool was_up);

#endif // PHI_CLIENT_TOKEN_H
