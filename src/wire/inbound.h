// SPDX-License-Identifier: Apache-2.0
//
// wire/inbound.h - one direction of a link as received: bytes in, packets out. Deciphers in place,
// cuts, checks.
//
// Bytes are attached with phi_inbound_receive and taken out packet by packet with
// phi_inbound_next, until that says MORE; what is then left of the chunk (the beginning of a
// packet) has been copied, and the chunk may be reused. Nothing behind a packet is looked at
// before that packet was returned and the next is asked for, so the suite may change in the middle
// of a chunk, as it does behind HELLO. It changes once: suite paper is never left (P-21).
//
// A receiver that wants no more for now, but will, calls phi_inbound_keep: what is left of the
// chunk is copied, and phi_inbound_next goes on with the copy, whenever that is.
//
// Life     init -> (receive -> (next | keep)*)* -> fini
// Limits   bytes_max for one packet; memory is held only for bytes that came (P-13)
// Threads  none

#ifndef PHI_WIRE_INBOUND_H
#define PHI_WIRE_INBOUND_H

#include "base/buf.h"
#include "wire/check.h"
#include "wire/cipher.h"
#include "wire/packet.h"

typedef enum phi_inbound_result {
    PHI_INBOUND_MORE,   // everything usable was taken; receive more
    PHI_INBOUND_PACKET, // *packet is one
    PHI_INBOUND_LENGTH, // P-3: unusable length; nothing after it can be read
    PHI_INBOUND_CHECK,  // P-24: the check differs
    PHI_INBOUND_MEMORY, // no memory for the beginning of a packet
} phi_inbound_result;

// What each packet passes stands first.
typedef struct phi_inbound {
    uint8_t suite;      // phi_suite
    bool has_part;      // `part` is that of the packet that ends at `at`
    uint16_t part;      // check.h
    uint32_t bytes_max; // may be changed between packets (P-12)
    phi_check check;
    // bytes of the packet that was last returned out of `partial`, consumed at the next call
    uint32_t partial_used;
    // What is left of the chunk, borrowed from receive until next says MORE: from `at` up to `end`,
    // and deciphered up to `clear`, which is `end` outside suite paper. All NULL: nothing.
    uint8_t *at;
    uint8_t *clear;
    uint8_t *end;
    phi_buf partial; // the beginning of a packet whose rest has not come, deciphered
    phi_cipher cipher;
    struct phi_inbound_kept *kept; // owned; NULL, or what holds the rest of the chunk
} phi_inbound;

// Starts in suite plain.
void phi_inbound_init(phi_inbound *in, const phi_alloc *alloc, uint32_t bytes_max);
void phi_inbound_fini(phi_inbound *in);

// From the next packet on. Key and IV are for PHI_SUITE_PAPER only, else NULL.
// PH_ENOMEM   no memory for the cipher
PHI_MUST_CHECK ph_err phi_inbound_suite(phi_inbound *in, phi_suite suite, const uint8_t *key,
                                        const uint8_t *iv);

// `chunk` (less than 4 GiB) is borrowed, and changed, until phi_inbound_next says MORE. Asserts
// that the chunk before it was used up.
void phi_inbound_receive(phi_inbound *in, phi_span chunk);

// What is left of the chunk becomes the object's own, and the packet returned last is invalid. It
// is given back when phi_inbound_next says MORE. False without memory: then it must not be called
// again. `alloc` is borrowed until then.
PHI_MUST_CHECK bool phi_inbound_keep(phi_inbound *in, const phi_alloc *alloc);

// Bytes that keep holds; 0 none.
size_t phi_inbound_kept(const phi_inbound *in);

// After LENGTH, CHECK or MEMORY it must not be called again.
phi_inbound_result phi_inbound_next(phi_inbound *in, phi_packet *packet);

// After LENGTH: the bytes with which no packet can begin, at least the four of its length.
phi_bytes phi_inbound_unreadable(const phi_inbound *in);

// The common case of phi_inbound_next for who waits for just this command: true with the payload
// when the next packet is such a one, lies whole in the chunk, and is right. False, and nothing has
// happened, in all other cases, which phi_inbound_next tells apart.
static PHI_ALWAYS_INLINE bool phi_inbound_take(phi_inbound *in, uint16_t code, phi_bytes *payload)
{
    uint8_t *packet = in->at;
    size_t size = 0;
    phi_bytes clear = { packet, (size_t)(in->clear - packet) };
    if (PHI_UNLIKELY(in->partial.write != 0) ||
        phi_packet_cut(clear, in->suite, in->bytes_max, &size) != PHI_CUT_PACKET) {
        return false;
    }
    size_t head = phi_suite_head(in->suite);
    if (PHI_UNLIKELY(phi_get_u16(packet + head - 2) != code)) {
        return false;
    }
    if (phi_suite_is_checked(in->suite)) {
        phi_check check = in->check;
        uint16_t part = phi_check_part(phi_bytes_of(packet, size));
        if (PHI_UNLIKELY(phi_check_take(&check, part, size) != phi_get_u16(packet + 4))) {
            return false;
        }
        in->check = check;
        in->part = part;
        in->has_part = true;
    }
    in->at = packet + size;
    *payload = phi_bytes_of(packet + head, size - head);
    return true;
}

// True with what the packet that was returned last adds to a check, if that is `payload`, where it
// was returned, and it is known: in a checked suite, and the packet came in one piece.
static PHI_ALWAYS_INLINE bool phi_inbound_part(const phi_inbound *in, phi_bytes payload,
                                               uint16_t *part)
{
    if (!in->has_part || payload.data + payload.size != in->at) {
        return false;
    }
    *part = in->part;
    return true;
}

#endif // PHI_WIRE_INBOUND_H
