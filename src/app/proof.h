// SPDX-License-Identifier: Apache-2.0
//
// app/proof.h - what a command proves with who it is, and whom it believes: the options of TLS, and
// a token from a file or the environment. A token is never an argument: whoever lists processes
// could read it.
//
// Life     proof_take -> proof_on_token* -> proof_fini
// Threads  none

#ifndef APP_PROOF_H
#define APP_PROOF_H

#include <posthouse/posthouse.h>

#include "app/options.h"
#include "app/secret.h"
#include "base/diag.h"

typedef struct proof {
    const char *token_file; // read anew whenever a token is wanted; NULL: there is none
    secret token;           // of the environment, until the client has its copy
    bool has_token;         // one was given, from either
} proof;

// Fills in what `options` say of TLS and tokens, but on_token: that is for whoever has `arg`. What
// the environment said of a token is gone from there when this returns, so that no child gets it.
// Borrowed by `options` until proof_fini.
//
// PH_EINVAL   they do not fit together, or the file of the token cannot be used; *diag says why
PHI_MUST_CHECK ph_err proof_take(proof *p, const args *a, ph_client_options *options,
                                 phi_diag *diag);

// Whether there is a file to be read again.
static inline bool proof_has_file(const proof *p)
{
    return p->token_file != NULL;
}

// Reads the file again, and gives the client what stands there.
//
// PH_EINVAL, PH_ETOOLARGE, PH_ENOMEM   *diag says why it is not given
PHI_MUST_CHECK ph_err proof_renew(const proof *p, ph_client *client, phi_diag *diag);

// Wipes.
void proof_fini(proof *p);

#endif // APP_PROOF_H
