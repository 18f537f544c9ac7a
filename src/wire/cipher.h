// SPDX-License-Identifier: Apache-2.0
//
// wire/cipher.h - AES-256-OFB of one direction: docs/protocol.md P-25.
//
// The key stream does not depend on the data. So it is made ahead, into a window that runs along
// it, and combined with the data by exclusive or when data comes.
//
// Ciphers of one loop form a group: whenever one of them must make key stream, those that used up
// theirs get as much in the same pass, which costs hardly more (wire/key_stream.h). When a turn of
// the loop is over, the group makes ahead what the next one needs. A cipher that is in no group
// works alone, and slower.
//
// Life     init -> join? -> (apply, rest)* -> fini (which wipes key and key stream)
// Memory   A cipher holds some 600 bytes, and a window from the heap that grows with what is
//          enciphered at a time, up to PHI_CIPHER_WINDOW_BYTES_MAX. It goes back to the heap by
//          phi_cipher_rest, which the owner calls when the link falls idle, or when for
//          PHI_CIPHER_SMALL_USES uses in a row hardly any of it was needed. A window that cannot
//          be had makes a cipher slower, never wrong.
// Limits   All windows of a group that are larger than the first size together hold at most
//          PHI_CIPHER_GROUP_BYTES_MAX.
// Threads  none: a group belongs to one loop

#ifndef PHI_WIRE_CIPHER_H
#define PHI_WIRE_CIPHER_H

#include <posthouse/err.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/list.h"
#include "wire/key_stream.h"

#define PHI_CIPHER_KEY_BYTES PHI_KEY_STREAM_KEY_BYTES
#define PHI_CIPHER_IV_BYTES PHI_KEY_STREAM_BLOCK_BYTES

// Twice what a busy loop enciphers in a turn for one link; see cipher.c.
#define PHI_CIPHER_WINDOW_BYTES_MAX 262144u
#define PHI_CIPHER_WINDOW_BYTES_FIRST 1024u
// For 32 of the busiest directions, or 1,024 that use 4 KiB at a time; those beyond it make their
// key stream 1 KiB at a time.
#define PHI_CIPHER_GROUP_BYTES_MAX (32u * PHI_CIPHER_WINDOW_BYTES_MAX)
#define PHI_CIPHER_SMALL_USES 64u

typedef struct phi_cipher_group {
    phi_list thirsty; // phi_cipher_chain.thirsty; the one that was used last is the last
    size_t count;     // ciphers that joined
    size_t bytes;     // of their windows that are larger than the first size
    uint64_t blocks;  // made together so far
    uint64_t steps;   // and in how many steps: blocks / steps went side by side
    uint32_t turn;    // counts phi_cipher_group_ahead
} phi_cipher_group;

typedef struct phi_cipher {
    struct phi_cipher_chain *chain; // owned; NULL: not started
} phi_cipher;

void phi_cipher_group_init(phi_cipher_group *group);
// All that joined are gone: asserted. Accepts a zeroed one.
void phi_cipher_group_fini(phi_cipher_group *group);

// A turn is over: whoever used key stream in it, and has not enough left for another such turn,
// makes it now, in a moment in which nobody waits. May be left out.
void phi_cipher_group_ahead(phi_cipher_group *group);

// PH_ENOMEM   no memory, here or in the crypto library
PHI_MUST_CHECK ph_err phi_cipher_init(phi_cipher *cipher, const phi_alloc *alloc,
                                      const uint8_t key[PHI_CIPHER_KEY_BYTES],
                                      const uint8_t iv[PHI_CIPHER_IV_BYTES]);
// For tests: in a way that may not be the best here.
PHI_MUST_CHECK ph_err phi_cipher_init_way(phi_cipher *cipher, const phi_alloc *alloc,
                                          phi_key_stream_way way,
                                          const uint8_t key[PHI_CIPHER_KEY_BYTES],
                                          const uint8_t iv[PHI_CIPHER_IV_BYTES]);
// Accepts a zeroed one. Leaves the group.
void phi_cipher_fini(phi_cipher *cipher);

// Once, at any time. `group` is borrowed until phi_cipher_fini; NULL: none.
void phi_cipher_join(phi_cipher *cipher, phi_cipher_group *group);

// Enciphers or deciphers in place (it is the same).
void phi_cipher_apply(phi_cipher *cipher, phi_span bytes);

// Gives the window back to the heap.
void phi_cipher_rest(phi_cipher *cipher);

#endif // PHI_WIRE_CIPHER_H
