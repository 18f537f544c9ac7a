// SPDX-License-Identifier: Apache-2.0
//
// wire/check_test.c - the check beside the formula of the document, taken literally.

#include "wire/check.h"

#include "tests/harness/test.h"

#include "base/random.h"

// docs/protocol.md P-23, line by line.
static uint16_t reference_word(uint16_t s, uint16_t w)
{
    s = (uint16_t)(s << 1 | s >> 15);
    return (uint16_t)((s | w) - (s & w));
}

static uint16_t reference_packet(phi_check *check, phi_bytes packet)
{
    uint16_t s = reference_word(check->sum, check->count);
    for (size_t i = 0; i < packet.size; i += 2) {
        uint16_t low = i + 1 < packet.size ? packet.data[i + 1] : 0;
        uint16_t w = (uint16_t)(packet.data[i] << 8 | low);
        s = reference_word(s, i == 4 ? 0 : w);
    }
    check->count++;
    return check->sum = s;
}

static uint8_t bytes[70000];

static void bytes_fill(phi_random *random)
{
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)phi_random_next(random);
    }
}

// All ways of this processor say what the formula says.
static void expect_as_formula(phi_check start, phi_bytes packet)
{
    phi_check slow = start;
    phi_check best = start;
    phi_check plain = start;
    uint16_t sum = reference_packet(&slow, packet);
    EXPECT_EQ(phi_check_packet(&best, packet), sum);
    EXPECT_EQ(best.sum, sum);
    EXPECT_EQ(best.count, slow.count);
    EXPECT_EQ(phi_check_take(&plain, phi_check_part_plainly(packet), packet.size), sum);
    EXPECT_EQ(plain.sum, sum);
    EXPECT_EQ(plain.count, slow.count);
}

// Every length in which whole strides, whole lanes, words and odd bytes meet, at every alignment:
// the fast way must not differ from the slow one anywhere. [P-23]
TEST(check, every_length_to_600_at_every_alignment_is_as_the_formula_says)
{
    phi_random random = phi_random_seeded(23);
    bytes_fill(&random);
    phi_check start = { 0 };
    for (size_t size = 8; size <= 600; size++) {
        phi_bytes packet = phi_bytes_of(bytes + size % 17, size);
        expect_as_formula(start, packet);
        (void)reference_packet(&start, packet);
    }
}

// The same for random lengths up to the largest packet, from random sums and counts. [P-23]
TEST(check, random_packets_are_as_the_formula_says)
{
    phi_random random = phi_random_seeded(24);
    bytes_fill(&random);
    for (int i = 0; i < 300; i++) {
        size_t most = phi_random_chance(&random, 10) ? 65536 : 300;
        size_t size = (size_t)phi_random_between(&random, 8, most);
        size_t offset = (size_t)phi_random_below(&random, 64);
        phi_check start = { .sum = (uint16_t)phi_random_next(&random),
                            .count = (uint16_t)phi_random_next(&random) };
        expect_as_formula(start, phi_bytes_of(bytes + offset, size));
    }
}

// What a sender writes into the packets of a turn is what the receiver finds, packet by packet; the
// next turn goes on from there. [P-23]
TEST(check, many_packets_are_as_one_after_the_other)
{
    phi_random random = phi_random_seeded(26);
    phi_check check = { 0 };
    for (int turn = 0; turn < 100; turn++) {
        static uint8_t packets[2][20 * 300];
        size_t at = 0;
        for (size_t n = (size_t)phi_random_below(&random, 20); n > 0; n--) {
            uint32_t size = (uint32_t)phi_random_between(&random, 8, 300);
            for (size_t i = 0; i < size; i++) {
                packets[0][at + i] = (uint8_t)phi_random_next(&random);
            }
            phi_put_u32(packets[0] + at, size);
            at += size;
        }
        memcpy(packets[1], packets[0], at);
        phi_check receiver = check;
        phi_check plain = check;
        phi_check_write(&check, (phi_span){ packets[0], at });
        phi_check_write_plainly(&plain, (phi_span){ packets[1], at });
        EXPECT_BYTES(packets[1], packets[0], at);
        for (size_t i = 0; i < at; i += phi_get_u32(packets[0] + i)) {
            phi_bytes packet = phi_bytes_of(packets[0] + i, phi_get_u32(packets[0] + i));
            EXPECT_EQ(reference_packet(&receiver, packet), phi_get_u16(packet.data + 4));
        }
        EXPECT_EQ(check.sum, receiver.sum);
        EXPECT_EQ(check.count, receiver.count);
        EXPECT_EQ(plain.sum, receiver.sum);
    }
}

// The sender computes the check before it writes it, the receiver after: what stands in the field
// must not matter. [P-23]
TEST(check, field_itself_counts_as_zero)
{
    uint8_t packet[41] = { 0, 0, 0, 41, 0, 0, 0, 5, 1, 2, 3 };
    phi_check a = { .sum = 1, .count = 2 };
    phi_check b = a;
    uint16_t sum = phi_check_packet(&a, phi_bytes_of(packet, sizeof packet));
    packet[4] = 0xff;
    packet[5] = 0xfe;
    EXPECT_EQ(phi_check_packet(&b, phi_bytes_of(packet, sizeof packet)), sum);
}

// Who passes a packet on with a number replaced makes its check from that of what came: wherever
// the number stands, it must be the check of the packet as it is then. [P-23]
TEST(check, replaced_number_changes_the_part_as_the_packet_does)
{
    phi_random random = phi_random_seeded(27);
    bytes_fill(&random);
    for (size_t size = 16; size < 200; size += 7) {
        phi_bytes packet = phi_bytes_of(bytes, size);
        uint16_t part = phi_check_part(packet);
        for (size_t at = 6; at + 8 <= size; at += 2) {
            uint64_t other = phi_random_next(&random);
            part ^= phi_check_part_of_u64(at, phi_get_u64(bytes + at) ^ other);
            phi_put_u64(bytes + at, other);
            EXPECT_EQ(part, phi_check_part(packet));
            part ^= phi_check_part_of_u32(at, phi_get_u32(bytes + at) ^ (uint32_t)~other);
            phi_put_u32(bytes + at, (uint32_t)~other);
            EXPECT_EQ(part, phi_check_part(packet));
        }
    }
}

// Each single bit of a packet changes its check: the reason why the check is worth its two bytes.
// [P-24]
TEST(check, every_single_bit_changes_the_sum)
{
    phi_random random = phi_random_seeded(25);
    bytes_fill(&random);
    for (size_t size = 8; size < 200; size += 13) {
        phi_check start = { .sum = (uint16_t)size, .count = 7 };
        phi_check check = start;
        uint16_t sum = phi_check_packet(&check, phi_bytes_of(bytes, size));
        for (size_t bit = 0; bit < size * 8; bit++) {
            if (bit / 8 == 4 || bit / 8 == 5) {
                continue; // the field itself: compared, not summed
            }
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            check = start;
            EXPECT(phi_check_packet(&check, phi_bytes_of(bytes, size)) != sum);
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

// The counter wraps after 65,536 packets without a seam. [P-23]
TEST(check, count_wraps)
{
    phi_check fast = { .sum = 5, .count = 65535 };
    phi_check slow = fast;
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(phi_check_packet(&fast, phi_bytes_of(bytes, 100)),
                  reference_packet(&slow, phi_bytes_of(bytes, 100)));
    }
    EXPECT_EQ(fast.count, 2);
}
