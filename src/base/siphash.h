// SPDX-License-Identifier: Apache-2.0
//
// base/siphash.h - SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012),
// for every table whose keys a peer names.

#ifndef PHI_BASE_SIPHASH_H
#define PHI_BASE_SIPHASH_H

#include "base/bytes.h"

typedef struct phi_hash_key {
    uint64_t k0;
    uint64_t k1;
} phi_hash_key;

uint64_t phi_siphash(phi_hash_key key, phi_bytes bytes);

#endif // PHI_BASE_SIPHASH_H
