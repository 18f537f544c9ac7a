// SPDX-License-Identifier: Apache-2.0
//
// wire/check.c - the running check, 16 words at a time.
//
// Design notes
//
// (s | w) - (s & w) is s ^ w: the two never borrow from each other's bits. Exclusive or and
// rotation commute, so after m packet words p[0..m-1] behind the sequence number n,
//
//     s' = rotl(s, m + 1) ^ rotl(n, m) ^ XOR of rotl(p[i], m - 1 - i)
//
// and because rotl by 16 is the identity, all words whose index is the same modulo 16 meet in the
// same rotation. So the packet is first reduced to 16 words by plain exclusive or (32 bytes at a
// time, any order), and only these are rotated. With t = XOR of rotl(lane[j], 15 - j) the last term
// is rotl(t, m).
//
// No bytes are swapped: a word loaded in the machine's order is the word on the wire, perhaps
// rotated by 8, and a rotation can wait until the end. Lanes stand in memory order throughout and
// are read as big-endian once, in check_fold.
//
// The check field counts as zero. Instead of treating the first words apart, it takes part like
// everything else and is taken out of its lane again afterwards.
//
// Clauses: P-23.

#include "wire/check.h"

#include "base/assert.h"
#include "wire/packet.h"
#include "wire/wide.h"

#define LANES_BYTES 32u   // 16 words
#define STRIDE_BYTES 128u // four independent chains of exclusive or keep both load ports busy
#define CHECK_AT 4u
#define CHECK_BYTES 2u

// The 16 words, in memory order.
typedef struct lanes {
    uint64_t at[4];
} lanes;

PH_STATIC_ASSERT(sizeof(lanes) == LANES_BYTES);
PH_STATIC_ASSERT(PHI_PACKET_HEAD_CHECKED == sizeof(uint64_t));

static lanes check_reduce(const uint8_t *p, size_t size);
static uint16_t check_fold(const lanes *l);

static inline uint16_t rotl16(uint16_t v, unsigned by)
{
    by &= 15;
    return (uint16_t)((uint32_t)v << by | (uint32_t)v >> (16 - by));
}

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

// Each of the four words in `v` rotated left.
static inline uint64_t rotl16_each(uint64_t v, unsigned by)
{
    uint64_t low = UINT64_C(0x0001000100010001) * ((UINT64_C(1) << by) - 1);
    return (v << by & ~low) | (v >> (16 - by) & low);
}

uint16_t phi_check_packet(phi_check *check, phi_bytes packet)
{
    PH_ASSERT(packet.data != NULL);
    PH_ASSERT(packet.size >= PHI_PACKET_HEAD_CHECKED);

    lanes l = check_reduce(packet.data, packet.size);

    uint8_t field[sizeof(uint64_t)] = { 0 };
    memcpy(field + CHECK_AT, packet.data + CHECK_AT, CHECK_BYTES);
    l.at[0] ^= load64(field);

    unsigned words = (unsigned)((packet.size + 1) / 2 & 15);
    uint16_t sum = rotl16(check->sum, words + 1);
    sum ^= rotl16((uint16_t)(check->count ^ check_fold(&l)), words);

    check->sum = sum;
    check->count++;
    return sum;
}

static lanes check_reduce(const uint8_t *p, size_t size)
{
    const uint8_t *end = p + size;
    phi_wide even = { 0, 0 }; // words 0 to 7 of the 16
    phi_wide odd = { 0, 0 };  // words 8 to 15

    if (size >= STRIDE_BYTES) {
        phi_wide even2 = { 0, 0 };
        phi_wide odd2 = { 0, 0 };
        do {
            even ^= phi_wide_load(p) ^ phi_wide_load(p + 32);
            odd ^= phi_wide_load(p + 16) ^ phi_wide_load(p + 48);
            even2 ^= phi_wide_load(p + 64) ^ phi_wide_load(p + 96);
            odd2 ^= phi_wide_load(p + 80) ^ phi_wide_load(p + 112);
            p += STRIDE_BYTES;
        } while ((size_t)(end - p) >= STRIDE_BYTES);
        even ^= even2;
        odd ^= odd2;
    }
    while ((size_t)(end - p) >= LANES_BYTES) {
        even ^= phi_wide_load(p);
        odd ^= phi_wide_load(p + 16);
        p += LANES_BYTES;
    }

    lanes l = { { even[0], even[1], odd[0], odd[1] } };
    size_t k = 0;
    for (; (size_t)(end - p) >= sizeof(uint64_t); k++) {
        l.at[k] ^= load64(p);
        p += sizeof(uint64_t);
    }
    size_t left = (size_t)(end - p);
    if (left != 0) {
        // The last up to 7 bytes, out of the last 8: a packet has as many, and what the shift drops
        // was taken in already.
        PH_ASSERT(k < 4);
        uint8_t tail[sizeof(uint64_t)];
        phi_put_u64(tail, phi_get_u64(end - 8) << (64 - 8 * left));
        l.at[k] ^= load64(tail);
    }
    return l;
}

// XOR of rotl(lane[j], 15 - j): first the four groups of four by 12, 8, 4 and 0, then within one.
static uint16_t check_fold(const lanes *l)
{
    uint64_t v =
        rotl16_each(l->at[0], 12) ^ rotl16_each(l->at[1], 8) ^ rotl16_each(l->at[2], 4) ^ l->at[3];
    uint8_t word[sizeof v];
    memcpy(word, &v, sizeof v);
    return (uint16_t)(rotl16(phi_get_u16(word), 3) ^ rotl16(phi_get_u16(word + 2), 2) ^
                      rotl16(phi_get_u16(word + 4), 1) ^ phi_get_u16(word + 6));
}
