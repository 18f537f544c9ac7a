// SPDX-License-Identifier: Apache-2.0
//
// sim/rogue.h - a client that speaks the protocol and misbehaves: it answers calls that are not its
// own, answers twice, late, or never, cancels what it never asked, and sends what is reserved or
// malformed. It stands on the transport, below the client library, which would not let it.

#ifndef SIM_ROGUE_H
#define SIM_ROGUE_H

#include "sim/domain.h"

// Takes a node of its own.
rogue *rogue_new(domain *d, uint32_t index);
void rogue_free(rogue **r); // its node must have been killed

// Connects, and from then on does mischief every so often, and connects again when it is thrown
// out.
void rogue_start(rogue *r, phi_dur every);
void rogue_kill(rogue *r);
sim_node rogue_node(const rogue *r);
const char *rogue_account(const rogue *r);

#endif // SIM_ROGUE_H
