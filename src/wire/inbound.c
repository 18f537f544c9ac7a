// SPDX-License-Identifier: Apache-2.0
//
// wire/inbound.c - cuts a received stream into packets, in place where it can.
//
// Design notes
//
// A packet that lies whole in the chunk is returned where it lies. One that straddles the end of a
// chunk is put together in `partial`: its beginning is copied there when the chunk ends, and of
// the following chunks just the bytes it lacks. So every byte is copied at most once (growing
// aside), and nothing behind a packet is touched before the packet was handed out: its handling
// may change the suite (HELLO) or the largest length (JOIN).
//
// In suite paper the rest of a chunk is deciphered in one go, when first looked at. This runs
// ahead of the packets, which is harmless because no later packet can change the suite again
// (P-21); bytes that complete `partial` are deciphered by themselves.
//
// A chunk may be kept: then `at` to `end` is a copy of its rest, and everything else, also how far
// it is deciphered, stays as it was.
//
// Whatever the cutting, a decision about a packet is made from the same bytes in the same order:
// its length as soon as four of its bytes are there, and so on (P-2).
//
// What a packet adds to the check is kept for whoever passes the packet on, until the next one
// comes or its bytes are given to somebody else. It is known by where the packet lies. One that
// was put together from two reads lies elsewhere; those are few, and nothing is kept of them.
//
// Invariants: at <= clear <= end, and clear is end outside suite paper; partial_used is 0 or the
// size of `partial`; `partial` never holds more than one packet; the rest of the chunk lies in
// `kept` when there is one.
//
// Clauses: P-2, P-3, P-11 to P-13, P-21, P-24.

#include "wire/inbound.h"

#include "base/assert.h"

#define LENGTH_BYTES 4u

struct phi_inbound_kept {
    const phi_alloc *alloc; // borrowed
    size_t size;
    uint8_t bytes[];
};

static phi_inbound_result inbound_complete(phi_inbound *in, phi_packet *packet);
static phi_inbound_result inbound_deliver(phi_inbound *in, phi_bytes raw, phi_packet *packet);
static phi_inbound_result inbound_keep_rest(phi_inbound *in);
static bool inbound_move(phi_inbound *in, size_t count);
static void inbound_decipher(phi_inbound *in, size_t count);
static void inbound_unkeep(phi_inbound *in);

// What is left of the chunk.
static inline size_t inbound_left(const phi_inbound *in)
{
    return (size_t)(in->end - in->at);
}

static inline void inbound_attach(phi_inbound *in, phi_span chunk)
{
    in->at = chunk.data;
    in->end = chunk.size == 0 ? chunk.data : chunk.data + chunk.size;
    in->clear = in->suite == PHI_SUITE_PAPER ? in->at : in->end;
    in->has_part = false;
}

void phi_inbound_init(phi_inbound *in, const phi_alloc *alloc, uint32_t bytes_max)
{
    PH_ASSERT(alloc != NULL);
    PH_ASSERT(bytes_max >= PHI_PACKET_HEAD_CHECKED);
    PH_ASSERT(bytes_max <= PHI_PACKET_BYTES_MAX);

    *in = (phi_inbound){ .suite = PHI_SUITE_PLAIN, .bytes_max = bytes_max };
    phi_buf_init(&in->partial, alloc, PHI_PACKET_BYTES_MAX);
}

void phi_inbound_fini(phi_inbound *in)
{
    phi_cipher_fini(&in->cipher);
    phi_buf_fini(&in->partial);
    inbound_unkeep(in);
    inbound_attach(in, (phi_span){ NULL, 0 });
    in->partial_used = 0;
}

ph_err phi_inbound_suite(phi_inbound *in, phi_suite suite, const uint8_t *key, const uint8_t *iv)
{
    PH_ASSERT(suite < PHI_SUITE_COUNT);
    PH_ASSERT(in->suite != PHI_SUITE_PAPER);
    PH_ASSERT((key != NULL) == (suite == PHI_SUITE_PAPER));
    PH_ASSERT((iv != NULL) == (suite == PHI_SUITE_PAPER));
    // Between packets: what stands in `partial`, if anything, is the packet handed out last.
    PH_ASSERT(in->partial_used == phi_buf_size(&in->partial));

    if (suite == PHI_SUITE_PAPER) {
        ph_err rc = phi_cipher_init(&in->cipher, in->partial.alloc, key, iv);
        if (rc != PH_OK) {
            return rc;
        }
    }
    in->suite = (uint8_t)suite;
    in->check = (phi_check){ 0 };
    if (suite == PHI_SUITE_PAPER) {
        in->clear = in->at;
    }
    return PH_OK;
}

void phi_inbound_receive(phi_inbound *in, phi_span chunk)
{
    PH_ASSERT(inbound_left(in) == 0);
    PH_ASSERT(chunk.data != NULL || chunk.size == 0);
    PH_ASSERT(chunk.size <= UINT32_MAX);
    PH_ASSERT(in->kept == NULL);
    inbound_attach(in, chunk);
}

bool phi_inbound_keep(phi_inbound *in, const phi_alloc *alloc)
{
    PH_ASSERT(alloc != NULL);
    in->has_part = false;
    size_t left = inbound_left(in);
    if (in->kept != NULL || left == 0) {
        return true;
    }
    struct phi_inbound_kept *copy = phi_take(alloc, sizeof *copy + left);
    if (copy == NULL) {
        return false;
    }
    copy->alloc = alloc;
    copy->size = left;
    memcpy(copy->bytes, in->at, left);
    in->kept = copy;
    in->clear = copy->bytes + (in->clear - in->at);
    in->at = copy->bytes;
    in->end = copy->bytes + left;
    return true;
}

size_t phi_inbound_kept(const phi_inbound *in)
{
    return in->kept == NULL ? 0 : in->kept->size;
}

phi_inbound_result phi_inbound_next(phi_inbound *in, phi_packet *packet)
{
    PH_ASSERT(packet != NULL);
    PH_ASSERT(in->bytes_max <= PHI_PACKET_BYTES_MAX);

    if (in->partial_used != 0) {
        PH_ASSERT(in->partial_used == phi_buf_size(&in->partial));
        phi_buf_consume(&in->partial, in->partial_used);
        in->partial_used = 0;
    }
    if (phi_buf_size(&in->partial) != 0) {
        return inbound_complete(in, packet);
    }
    inbound_decipher(in, inbound_left(in));

    phi_bytes rest = phi_bytes_of(in->at, inbound_left(in));
    size_t size = 0;
    switch (phi_packet_cut(rest, in->suite, in->bytes_max, &size)) {
    case PHI_CUT_PACKET:
        PH_ASSERT(size <= rest.size);
        in->at += size;
        return inbound_deliver(in, phi_bytes_of(rest.data, size), packet);
    case PHI_CUT_LENGTH:
        return PHI_INBOUND_LENGTH;
    case PHI_CUT_MORE:
        break;
    }
    return inbound_keep_rest(in);
}

phi_bytes phi_inbound_unreadable(const phi_inbound *in)
{
    phi_bytes bytes = phi_span_view(phi_buf_view(&in->partial));
    if (bytes.size == 0) {
        bytes = phi_bytes_of(in->at, inbound_left(in));
    }
    PH_ASSERT(bytes.size >= LENGTH_BYTES);
    return bytes;
}

// Goes on with the packet in `partial`: first up to its length, then up to its end.
static phi_inbound_result inbound_complete(phi_inbound *in, phi_packet *packet)
{
    for (;;) {
        size_t have = phi_buf_size(&in->partial);
        size_t want = LENGTH_BYTES;
        if (have >= LENGTH_BYTES) {
            phi_bytes raw = phi_span_view(phi_buf_view(&in->partial));
            size_t size = 0;
            switch (phi_packet_cut(raw, in->suite, in->bytes_max, &size)) {
            case PHI_CUT_PACKET:
                PH_ASSERT(size == have);
                in->partial_used = (uint32_t)size;
                return inbound_deliver(in, raw, packet);
            case PHI_CUT_LENGTH:
                return PHI_INBOUND_LENGTH;
            case PHI_CUT_MORE:
                break;
            }
            want = phi_get_u32(raw.data);
        }
        size_t left = inbound_left(in);
        if (left == 0) {
            inbound_unkeep(in);
            return PHI_INBOUND_MORE;
        }
        PH_ASSERT(want > have);
        size_t lacking = want - have;
        if (!inbound_move(in, lacking < left ? lacking : left)) {
            return PHI_INBOUND_MEMORY;
        }
    }
}

// The check of a whole packet, and its parts.
static phi_inbound_result inbound_deliver(phi_inbound *in, phi_bytes raw, phi_packet *packet)
{
    size_t head = phi_suite_head(in->suite);
    PH_ASSERT(raw.size >= head);

    if (phi_suite_is_checked(in->suite)) {
        in->part = phi_check_part(raw);
        in->has_part = in->partial_used == 0;
        uint16_t sum = phi_check_take(&in->check, in->part, raw.size);
        if (PHI_UNLIKELY(sum != phi_get_u16(raw.data + 4))) {
            return PHI_INBOUND_CHECK;
        }
    }
    packet->command = phi_get_u16(raw.data + head - 2);
    packet->payload = phi_bytes_of(raw.data + head, raw.size - head);
    return PHI_INBOUND_PACKET;
}

// The chunk ends within a packet, or at its end: then an idle link keeps no memory.
static phi_inbound_result inbound_keep_rest(phi_inbound *in)
{
    PH_ASSERT(phi_buf_size(&in->partial) == 0);
    in->has_part = false;
    if (inbound_left(in) == 0) {
        phi_buf_release(&in->partial);
        inbound_unkeep(in);
        inbound_attach(in, (phi_span){ NULL, 0 });
        return PHI_INBOUND_MORE;
    }
    if (!inbound_move(in, inbound_left(in))) {
        return PHI_INBOUND_MEMORY;
    }
    inbound_unkeep(in);
    return PHI_INBOUND_MORE;
}

// `count` bytes from the front of the chunk to the end of `partial`, deciphered.
static bool inbound_move(phi_inbound *in, size_t count)
{
    PH_ASSERT(count <= inbound_left(in));
    inbound_decipher(in, count);
    if (!phi_buf_append(&in->partial, phi_bytes_of(in->at, count))) {
        return false;
    }
    in->at += count;
    return true;
}

// Sees to it that at least the first `count` bytes of the chunk are deciphered.
static void inbound_decipher(phi_inbound *in, size_t count)
{
    PH_ASSERT(count <= inbound_left(in));
    size_t clear = (size_t)(in->clear - in->at);
    if (clear < count) {
        PH_ASSERT(in->suite == PHI_SUITE_PAPER);
        phi_cipher_apply(&in->cipher, (phi_span){ in->clear, count - clear });
        in->clear = in->at + count;
    }
}

// The copy of the rest of a chunk is used up.
static void inbound_unkeep(phi_inbound *in)
{
    if (PHI_UNLIKELY(in->kept != NULL)) {
        phi_give(in->kept->alloc, in->kept, sizeof *in->kept + in->kept->size);
        in->kept = NULL;
    }
}
