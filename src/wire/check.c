// SPDX-License-Identifier: Apache-2.0
//
// wire/check.c - the running check, 16 words at a time.
//
// Design notes
//
// (s | w) - (s & w) is s ^ w: the two never borrow from each other's bits. Exclusive or and
// rotation commute, so after m packet words p[0..m-1] behind the sequence number n,
//
//     s' = rotl(rotl(s, 1) ^ n, m) ^ XOR of rotl(p[i], m - 1 - i)
//
// and because rotl by 16 is the identity, all words whose index is the same modulo 16 meet in the
// same rotation. So the packet, filled up with zeros to a multiple of 32 bytes, is first reduced to
// 16 words by plain exclusive or, and only these are rotated. With t = XOR of rotl(lane[j], 15 - j)
// the last term is rotl(t, m), and m is applied to everything at once. That t is the packet's part.
//
// Lanes j and j + 8 differ by a rotation of 8, which swaps the bytes of a word; so 16 lanes become
// 8, and these are rotated all at once: rotl(v, k) is the lower half of v * 2^k combined with the
// upper one. A word loaded in the machine's order is the word on the wire, perhaps rotated by 8; it
// is read as big-endian once, at the end.
//
// The last bytes are loaded with those before them, which are shifted out: a packet has as many.
//
// The check field counts as zero. It takes part like everything else, and is taken out again: as
// word 2 it stands in t rotated by 13.
//
// Most packets are short, so what counts is what is done once in a packet, not the speed of the
// loop. The same code is compiled twice, see wire/wide.h.
//
// Clauses: P-23.

#include "wire/check.h"

#include "base/assert.h"
#include "wire/packet.h"
#include "wire/wide.h"

#define WIDE_BYTES sizeof(phi_wide)
#define LANES_BYTES 32u // 16 words
#define STRIDE_BYTES (2 * LANES_BYTES)
#define CHECK_AT 4u
#define CHECK_WORD (CHECK_AT / 2)
#define LANES 16u

PH_STATIC_ASSERT(LANES_BYTES == 2 * WIDE_BYTES);
PH_STATIC_ASSERT(PHI_PACKET_HEAD_CHECKED == sizeof(uint64_t));

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

// The `size` bytes before `end`, less than 8, and zeros behind them. The 8 bytes before `end` can
// be read.
static PHI_ALWAYS_INLINE uint64_t load_rest(const uint8_t *end, size_t size)
{
    if (size == 0) {
        return 0;
    }
    uint64_t last = PHI_LITTLE_U64(load64(end - sizeof last));
    return PHI_LITTLE_U64(last >> (64 - 8 * size));
}

// The same for less than 16.
static PHI_ALWAYS_INLINE phi_wide load_tail(const uint8_t *end, size_t size)
{
    uint64_t rest = load_rest(end, size % 8);
    return size < 8 ? (phi_wide){ rest, 0 } : (phi_wide){ load64(end - size), rest };
}

// XOR of rotl(lane[j], 15 - j), where `first` are lanes 0 to 7 and `second` the others.
static PHI_ALWAYS_INLINE uint16_t fold(phi_wide first, phi_wide second)
{
    static const phi_wide_words by = { 128, 64, 32, 16, 8, 4, 2, 1 };
    phi_wide_words swapped = (phi_wide_words)first;
    swapped = swapped << 8 | swapped >> 8;
    phi_wide_words v = swapped ^ (phi_wide_words)second;
    phi_wide turned = (phi_wide)(v * by ^ phi_wide_high_products(v, by));
    uint64_t four = turned[0] ^ turned[1];
    uint32_t two = (uint32_t)(four ^ four >> 32);
    uint16_t one = (uint16_t)(two ^ two >> 16);
    uint8_t word[sizeof one];
    memcpy(word, &one, sizeof one);
    return phi_get_u16(word);
}

static PHI_ALWAYS_INLINE uint16_t reduce(const uint8_t *p, size_t size, bool is_wide)
{
    const uint8_t *end = p + size;
    if (PHI_UNLIKELY(size < WIDE_BYTES)) {
        return fold(load_tail(end, size), (phi_wide){ 0, 0 });
    }
    phi_wide first = { 0, 0 };
    phi_wide second = { 0, 0 };
    const uint8_t *strides_end = p + size / STRIDE_BYTES * STRIDE_BYTES;
    for (; p != strides_end; p += STRIDE_BYTES) {
        first ^= phi_wide_load(p) ^ phi_wide_load(p + LANES_BYTES);
        second ^= phi_wide_load(p + WIDE_BYTES) ^ phi_wide_load(p + LANES_BYTES + WIDE_BYTES);
    }
    if ((size & LANES_BYTES) != 0) {
        first ^= phi_wide_load(p);
        second ^= phi_wide_load(p + WIDE_BYTES);
        p += LANES_BYTES;
    }
    size_t left = size % WIDE_BYTES;
    phi_wide tail = is_wide ? phi_wide_load_tail(end, left) : load_tail(end, left);
    if ((size & WIDE_BYTES) != 0) {
        first ^= phi_wide_load(p);
        second ^= tail;
    } else {
        first ^= tail;
    }
    return fold(first, second);
}

// `is_wide` is a constant at each place this is called from.
static PHI_ALWAYS_INLINE uint16_t part_of(const uint8_t *packet, size_t size, bool is_wide)
{
    uint16_t field = phi_get_u16(packet + CHECK_AT);
    return reduce(packet, size, is_wide) ^ phi_check_rotl(field, LANES - 1 - CHECK_WORD);
}

static PHI_ALWAYS_INLINE void write_all(phi_check *check, phi_span packets, bool is_wide)
{
    phi_check at = *check;
    while (packets.size != 0) {
        size_t size = phi_get_u32(packets.data);
        PH_ASSERT(size >= PHI_PACKET_HEAD_CHECKED);
        PH_ASSERT(size <= packets.size);
        uint16_t part = part_of(packets.data, size, is_wide);
        phi_put_u16(packets.data + CHECK_AT, phi_check_take(&at, part, size));
        packets.data += size;
        packets.size -= size;
    }
    *check = at;
}

// ---- with wide vectors

static PHI_WIDE_CODE uint16_t part_of_wide(phi_bytes packet)
{
    return part_of(packet.data, packet.size, /* is_wide= */ true);
}

static PHI_WIDE_CODE void write_all_wide(phi_check *check, phi_span packets)
{
    write_all(check, packets, /* is_wide= */ true);
}

// ---- with what every processor has

uint16_t phi_check_part_plainly(phi_bytes packet)
{
    PH_ASSERT(packet.size >= PHI_PACKET_HEAD_CHECKED);
    return part_of(packet.data, packet.size, /* is_wide= */ false);
}

void phi_check_write_plainly(phi_check *check, phi_span packets)
{
    write_all(check, packets, /* is_wide= */ false);
}

// ---- whichever is there

uint16_t phi_check_part(phi_bytes packet)
{
    PH_ASSERT(packet.size >= PHI_PACKET_HEAD_CHECKED);
    return phi_wide_is_here() ? part_of_wide(packet) : phi_check_part_plainly(packet);
}

void phi_check_write(phi_check *check, phi_span packets)
{
    if (phi_wide_is_here()) {
        write_all_wide(check, packets);
    } else {
        phi_check_write_plainly(check, packets);
    }
}
