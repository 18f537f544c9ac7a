// SPDX-License-Identifier: Apache-2.0
//
// wire/packet.h - where a packet begins and ends: docs/protocol.md P-10 to P-13, P-20.

#ifndef PHI_WIRE_PACKET_H
#define PHI_WIRE_PACKET_H

#include "base/bytes.h"

#define PHI_PACKET_BYTES_MAX 65536u        // P-11
#define PHI_PACKET_BYTES_JOINING_MAX 8192u // P-12
#define PHI_PACKET_HEAD_PLAIN 6u
#define PHI_PACKET_HEAD_CHECKED 8u

typedef enum phi_suite {
    PHI_SUITE_PLAIN = 0,
    PHI_SUITE_PAPER = 1,
    PHI_SUITE_CHECK = 2,
    PHI_SUITE_COUNT
} phi_suite;

static inline bool phi_suite_is_checked(phi_suite suite)
{
    return suite != PHI_SUITE_PLAIN;
}

static inline size_t phi_suite_head(phi_suite suite)
{
    return phi_suite_is_checked(suite) ? PHI_PACKET_HEAD_CHECKED : PHI_PACKET_HEAD_PLAIN;
}

// For floors: plain 0, check 1, paper 2 (P-22).
int phi_suite_rank(phi_suite suite);

// "plain", "paper", "check".
const char *phi_suite_name(phi_suite suite);

// False when there is none of that name.
bool phi_suite_of_name(phi_bytes name, phi_suite *suite);

typedef struct phi_packet {
    uint16_t command;
    phi_bytes payload; // view into the input, valid until the next packet is asked for
} phi_packet;

typedef enum phi_cut {
    PHI_CUT_MORE,   // not yet a whole packet
    PHI_CUT_PACKET, // *size bytes are one packet
    PHI_CUT_LENGTH, // no packet can begin like this
} phi_cut;

// Looks at the beginning of `in` only. The length is checked before anything is subtracted from it.
static inline phi_cut phi_packet_cut(phi_bytes in, phi_suite suite, uint32_t bytes_max,
                                     size_t *size)
{
    if (in.size < 4) {
        return PHI_CUT_MORE;
    }
    uint32_t length = phi_get_u32(in.data);
    if (length < phi_suite_head(suite) || length > bytes_max) {
        return PHI_CUT_LENGTH;
    }
    if (in.size < length) {
        return PHI_CUT_MORE;
    }
    *size = length;
    return PHI_CUT_PACKET;
}

#endif // PHI_WIRE_PACKET_H
