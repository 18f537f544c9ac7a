// SPDX-License-Identifier: Apache-2.0
//
// link/ciphers.c - a cipher group and the end of each turn.
//
// Clauses: P-25.

#include "link/ciphers.h"

static void ciphers_on_turn(phi_turn_hook *hook)
{
    phi_ciphers *ciphers = PHI_CONTAINER_OF(hook, phi_ciphers, hook);
    phi_cipher_group_ahead(&ciphers->group);
}

void phi_ciphers_init(phi_ciphers *ciphers, phi_io *io)
{
    *ciphers = (phi_ciphers){ .hook = { .on_turn = ciphers_on_turn } };
    phi_cipher_group_init(&ciphers->group);
    phi_io_hook_late(io, &ciphers->hook);
}

void phi_ciphers_fini(phi_ciphers *ciphers)
{
    if (phi_list_is_linked(&ciphers->hook.node)) {
        phi_io_unhook(&ciphers->hook);
        phi_cipher_group_fini(&ciphers->group);
    }
}
