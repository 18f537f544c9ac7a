// SPDX-License-Identifier: Apache-2.0
//
// wire/check.h - the running 16-bit check of one direction: docs/protocol.md P-23.
//
// (s | w) - (s & w) is s ^ w, and rotation by 16 is the identity; so words 16 apart meet in the
// same rotation and can be combined 16 lanes at a time. What is left per 32 bytes is two exclusive
// ors.
//
// What a packet adds, its *part*, does not depend on what came before it. And the part of the
// exclusive or of two packets of one size is the exclusive or of their parts. So whoever passes a
// packet on with only a number changed knows the new part without reading the packet again.

#ifndef PHI_WIRE_CHECK_H
#define PHI_WIRE_CHECK_H

#include "base/bytes.h"
#include "base/compiler.h"

typedef struct phi_check {
    uint16_t sum;
    uint16_t count; // packets so far, modulo 2^16
} phi_check;

// What a whole checked packet adds, as if its check field (bytes 4 and 5) were zero: that is not
// looked at. `packet` has at least 8 bytes.
uint16_t phi_check_part(phi_bytes packet);

static inline uint16_t phi_check_rotl(uint16_t v, unsigned by)
{
    by &= 15;
    return (uint16_t)((uint32_t)v << by | (uint32_t)v >> (-by & 15));
}

// The part of a packet that is all zeros but for a number at `at`, which is even. When a number in
// a packet becomes another, the packet's part changes by that of their exclusive or.
static PHI_ALWAYS_INLINE uint16_t phi_check_part_of_u32(size_t at, uint32_t number)
{
    uint16_t part = phi_check_rotl((uint16_t)(number >> 16), 1) ^ (uint16_t)number;
    return phi_check_rotl(part, 14 - (unsigned)at / 2);
}

static PHI_ALWAYS_INLINE uint16_t phi_check_part_of_u64(size_t at, uint64_t number)
{
    return phi_check_part_of_u32(at, (uint32_t)(number >> 32)) ^
           phi_check_part_of_u32(at + sizeof(uint32_t), (uint32_t)number);
}

// Takes in a packet of which part and size are known, and returns its check.
static PHI_ALWAYS_INLINE uint16_t phi_check_take(phi_check *check, uint16_t part, size_t size)
{
    unsigned words = (unsigned)((size + 1) / 2);
    check->sum = phi_check_rotl(phi_check_rotl(check->sum, 1) ^ check->count ^ part, words);
    check->count++;
    return check->sum;
}

// Takes in a packet, and returns its check.
static inline uint16_t phi_check_packet(phi_check *check, phi_bytes packet)
{
    return phi_check_take(check, phi_check_part(packet), packet.size);
}

// Takes in checked packets that lie one behind the other, and writes the check of each into it.
// Their lengths are right: asserted.
void phi_check_write(phi_check *check, phi_span packets);

// For tests: the same in the way of a processor without wide vectors.
uint16_t phi_check_part_plainly(phi_bytes packet);
void phi_check_write_plainly(phi_check *check, phi_span packets);

#endif // PHI_WIRE_CHECK_H
