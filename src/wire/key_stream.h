// SPDX-License-Identifier: Apache-2.0
//
// wire/key_stream.h - makes AES-256-OFB key stream: block i is the enciphered block i - 1, and the
// IV stands before the first. docs/protocol.md P-25.
//
// One chain is serial: a block needs the one before it, so the processor waits for its AES unit
// most of the time. Several chains at once fill that wait: up to phi_key_stream_together of them
// cost hardly more than one, where the processor has AES instructions. Where it has none, the
// crypto library makes one after the other.
//
// A chain holds no position. It goes on from whatever block stands before the room it is given; so
// any block that was kept is a place to go on, or to begin again, from.
//
// Life     init -> make* -> fini (which wipes the key)
// Threads  none

#ifndef PHI_WIRE_KEY_STREAM_H
#define PHI_WIRE_KEY_STREAM_H

#include <posthouse/err.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "wire/wide.h"

#define PHI_KEY_STREAM_KEY_BYTES 32u
#define PHI_KEY_STREAM_BLOCK_BYTES 16u
#define PHI_KEY_STREAM_CHAINS_MAX 16u

// Slowest first; a processor that has one of them has those before it.
typedef enum phi_key_stream_way {
    PHI_KEY_STREAM_LIBRARY,   // libcrypto
    PHI_KEY_STREAM_PROCESSOR, // the processor's AES instructions
    PHI_KEY_STREAM_QUADS,     // those that take four states at a time
    PHI_KEY_STREAM_WAY_COUNT
} phi_key_stream_way;

// Of 14 rounds; the key before the first; and the last one's combined with it, see key_stream.c.
#define PHI_KEY_STREAM_ROUND_KEYS 16u

typedef struct phi_key_stream {
    phi_key_stream_way way;
    void *context;                                  // EVP_CIPHER_CTX, owned; library only
    uint8_t context_at[PHI_KEY_STREAM_BLOCK_BYTES]; // the block it goes on from
    phi_wide round_keys[PHI_KEY_STREAM_ROUND_KEYS]; // not with the library
} phi_key_stream;

// One chain's part in phi_key_stream_make.
typedef struct phi_key_stream_part {
    phi_key_stream *chain;
    uint8_t *room; // what is made goes here; the 16 bytes before it are the block before it
} phi_key_stream_part;

// The fastest way this processor has.
phi_key_stream_way phi_key_stream_best(void);

// How many chains can be made together; 1: one after the other.
size_t phi_key_stream_together(phi_key_stream_way way);

// `way`: at most phi_key_stream_best.
//
// PH_ENOMEM   no memory in the crypto library
PHI_MUST_CHECK ph_err phi_key_stream_init(phi_key_stream *chain, phi_key_stream_way way,
                                          const uint8_t key[PHI_KEY_STREAM_KEY_BYTES]);

// Accepts a zeroed one.
void phi_key_stream_fini(phi_key_stream *chain);

// Makes `blocks` blocks for each of `count` different chains of one way, at most
// phi_key_stream_together of it.
void phi_key_stream_make(const phi_key_stream_part *parts, size_t count, size_t blocks);

#endif // PHI_WIRE_KEY_STREAM_H
