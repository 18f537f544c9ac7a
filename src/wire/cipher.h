// SPDX-License-Identifier: Apache-2.0
//
// wire/cipher.h - AES-256-OFB of one direction: docs/protocol.md P-25.
//
// The key stream does not depend on the data, so it is made ahead (as AES-256-CBC over zeros, which
// is the same chain and which OpenSSL has in assembly) and combined with the data by exclusive or
// when data comes.
//
// Life     init -> apply* -> fini (which wipes key and key stream)
// Threads  none

#ifndef PHI_WIRE_CIPHER_H
#define PHI_WIRE_CIPHER_H

#include <posthouse/err.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/compiler.h"

#define PHI_CIPHER_KEY_BYTES 32
#define PHI_CIPHER_IV_BYTES 16

typedef struct phi_cipher {
    const phi_alloc *alloc;
    void *context;   // EVP_CIPHER_CTX, owned; NULL: not started
    uint8_t *stream; // owned; key stream made ahead
    size_t at;       // bytes of it that are used
    size_t size;     // bytes of it that are made
} phi_cipher;

// PH_ENOMEM   no memory, here or in the crypto library
PHI_MUST_CHECK ph_err phi_cipher_init(phi_cipher *cipher, const phi_alloc *alloc,
                                      const uint8_t key[PHI_CIPHER_KEY_BYTES],
                                      const uint8_t iv[PHI_CIPHER_IV_BYTES]);
void phi_cipher_fini(phi_cipher *cipher);

// Enciphers or deciphers in place (it is the same).
void phi_cipher_apply(phi_cipher *cipher, phi_span bytes);

// Makes key stream ahead, up to what the buffer holds, for a moment in which nobody waits. May be
// left out.
void phi_cipher_ahead(phi_cipher *cipher);

#endif // PHI_WIRE_CIPHER_H
