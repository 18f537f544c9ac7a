// SPDX-License-Identifier: Apache-2.0
//
// link/ciphers.h - the ciphers of all links of one loop, whoever owns them. They make their key
// stream together, and ahead: behind the writes of a turn, when nobody waits for this end.
//
// Life     init -> links with options.ciphers = &group -> fini, when these are gone
// Threads  none: belongs to its io

#ifndef PHI_LINK_CIPHERS_H
#define PHI_LINK_CIPHERS_H

#include "io/io.h"
#include "wire/cipher.h"

typedef struct phi_ciphers {
    phi_cipher_group group; // for phi_link_options.ciphers
    phi_turn_hook hook;     // late: behind those that write
} phi_ciphers;

// `io` is borrowed until phi_ciphers_fini.
void phi_ciphers_init(phi_ciphers *ciphers, phi_io *io);

// Accepts a zeroed one.
void phi_ciphers_fini(phi_ciphers *ciphers);

#endif // PHI_LINK_CIPHERS_H
