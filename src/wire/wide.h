// SPDX-License-Identifier: Apache-2.0
//
// wire/wide.h - 16 bytes at a time, for the two loops of this folder that touch every byte. The
// compiler's own vectors: SSE2, NEON, or plain integers where there is neither.

#ifndef PHI_WIRE_WIDE_H
#define PHI_WIRE_WIDE_H

#include <stdint.h>
#include <string.h>

typedef uint64_t phi_wide __attribute__((vector_size(16)));

// From and to any address: the wire is not aligned.
static inline phi_wide phi_wide_load(const uint8_t *p)
{
    phi_wide v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void phi_wide_store(uint8_t *p, phi_wide v)
{
    memcpy(p, &v, sizeof v);
}

#endif // PHI_WIRE_WIDE_H
