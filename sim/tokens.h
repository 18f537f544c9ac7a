// SPDX-License-Identifier: Apache-2.0
//
// sim/tokens.h - what actors prove who they are with in worlds where that ends soon: each has a
// token of domain_options.token_life, and gives the next one when its client asks: at once, a while
// later, or not at all, by its node's chance; now and then it is somebody else's.
//
// Life     tokens_new -> tokens_on_wanted* -> tokens_free

#ifndef SIM_TOKENS_H
#define SIM_TOKENS_H

#include "sim/domain.h"

typedef struct tokens tokens;

// With a key for that domain, which is told of it.
tokens *tokens_new(domain *d);
void tokens_free(tokens **t);

// From now on each token comes at once.
void tokens_hurry(tokens *t);

// For ph_client_options.on_token; `arg` is the actor.
void tokens_on_wanted(ph_client *client, void *arg);

#endif // SIM_TOKENS_H
