// SPDX-License-Identifier: Apache-2.0
//
// wire/damage_test.c - what the check finds: [P-24], 100,000 random cases of each kind of damage.
//
// What is expected here in every case:
//
//   a flipped bit outside   found in the packet that holds it: the check is linear, and one bit
//   the length              never cancels itself
//   packets removed,        found in the first packet that is not the one that was sent in its
//   inserted, repeated      place, or else in the one after it
//   or swapped
//
// The second because with a chance of 2^-16 the check of the first wrong packet agrees. When it
// agrees after a removal, or after the packet just before came once more, then the sums agree but
// the counters do not, and the packet after it cannot agree, too. In the other cases both could
// agree by accident, once in 2^32; the seeds are fixed, so that this does not happen here now and
// then. The test counts how often the second packet was needed, and expects that to be near what
// chance says.
//
// A flipped bit in the length cuts the stream elsewhere. Then a packet made of the wrong bytes
// would have to agree with its check: 2^-16 again, and behind it no second one may follow. Where
// the length became longer, the receiver waits for that many bytes, which is all it can do, and
// finds it then.
//
// In suite paper the cipher lies over it. A flipped bit is the same bit flipped (so the same is
// expected); a stream that lacks or repeats bytes is noise behind that place.

#include "tests/harness/test.h"

#include <stdlib.h>
#include <string.h>

#include "tests/wire/recording.h"
#include "wire/codes.h"

#define CASES 100000
#define CASES_PAPER 10000
#define PACKETS 3000
#define AFTER 4       // recorded packets fed behind the damage
#define TWO_NEEDED 12 // of 100,000 at 2^-16 one expects 1.5; 12 or more happens once in 10^7

static recording rec;
static const recording_mix mix = { .count = PACKETS, .payload_max = 60 };

// What is fed in place of packets `first` on.
static uint8_t fed[4 * PHI_PACKET_BYTES_MAX];
static size_t fed_size;

static void fed_add(const uint8_t *bytes, size_t size)
{
    EXPECT(size <= sizeof fed - fed_size);
    memcpy(fed + fed_size, bytes, size);
    fed_size += size;
}

static void fed_add_packets(size_t first, size_t last)
{
    size_t at = rec.packets[first].at;
    fed_add(rec.clear + at, rec.packets[last].at - at);
}

typedef struct outcome {
    phi_inbound_result result;
    size_t delivered; // before the end
    size_t right;     // of these from the first on, those that were sent in that place
} outcome;

// As a link takes its packets: what is most common the short way, which must see as much.
static phi_inbound_result next(phi_inbound *in, phi_packet *packet)
{
    packet->command = PHI_COMMAND_MESSAGE;
    if (phi_inbound_take(in, PHI_COMMAND_MESSAGE, &packet->payload)) {
        return PHI_INBOUND_PACKET;
    }
    return phi_inbound_next(in, packet);
}

// A receiver that is before packet `first` gets what was prepared.
static outcome run(size_t first)
{
    phi_inbound in;
    phi_packet packet;
    outcome o = { 0 };
    recording_encipher(&rec, rec.packets[first].at, (phi_span){ fed, fed_size });
    recording_resume(&rec, first, &in);
    phi_inbound_receive(&in, (phi_span){ fed, fed_size });
    while ((o.result = next(&in, &packet)) == PHI_INBOUND_PACKET) {
        size_t index = first + o.delivered;
        if (o.right == o.delivered && index < rec.count &&
            recording_hash(&packet) == rec.packets[index].hash) {
            o.right++;
        }
        o.delivered++;
    }
    phi_inbound_fini(&in);
    fed_size = 0;
    return o;
}

static bool is_end(outcome o)
{
    return o.result == PHI_INBOUND_CHECK || o.result == PHI_INBOUND_LENGTH;
}

// Found in the first wrong packet or the one after it. Says whether the second was needed.
static bool expect_found(outcome o, const char *what, size_t first)
{
    if (!is_end(o) || o.delivered - o.right > 1) {
        fail_msg("%s at packet %zu: %zu delivered, %zu right, result %d", what, first, o.delivered,
                 o.right, (int)o.result);
    }
    return o.delivered > o.right;
}

static void expect_chance(size_t needed, const char *what)
{
    print_message("# %s: the second packet was needed in %zu of %d cases\n", what, needed, CASES);
    EXPECT(needed < TWO_NEEDED);
}

static void setup(phi_suite suite)
{
    recording_init(&rec, suite, &mix, 4);
}

static void teardown(void)
{
    recording_fini(&rec);
}

// ---- single bits

static void expect_flip_found(phi_random *random)
{
    size_t first = (size_t)phi_random_below(random, PACKETS - AFTER - 1);
    const recording_packet *p = &rec.packets[first];
    size_t bit = (size_t)phi_random_below(random, 8 * (uint64_t)p->size);
    uint32_t length = (uint32_t)p->size;
    bool is_length = bit < 32;
    if (is_length) {
        length ^= UINT32_C(1) << (31 - bit);
    }
    // A longer length: as many bytes as it asks for, from the packets that follow.
    size_t last = first + AFTER;
    if (is_length && length <= PHI_PACKET_BYTES_MAX) {
        while (last < PACKETS && rec.packets[last].at - p->at < length) {
            last++;
        }
    }
    fed_add_packets(first, last);
    fed[bit / 8] ^= (uint8_t)(0x80u >> bit % 8);
    size_t available = fed_size;
    outcome o = run(first);

    if (!is_length) {
        EXPECT_EQ(o.result, PHI_INBOUND_CHECK);
        EXPECT_EQ(o.delivered, 0);
    } else if (length < PHI_PACKET_HEAD_CHECKED || length > PHI_PACKET_BYTES_MAX) {
        EXPECT_EQ(o.result, PHI_INBOUND_LENGTH);
        EXPECT_EQ(o.delivered, 0);
    } else if (length > available) {
        EXPECT_EQ(o.result, PHI_INBOUND_MORE); // the recording ends before
        EXPECT_EQ(o.delivered, 0);
    } else {
        EXPECT(o.delivered <= 1);
        EXPECT(is_end(o) || o.delivered == 1);
    }
}

// [P-24]
TEST(damage, every_flipped_bit_is_found)
{
    setup(PHI_SUITE_CHECK);
    phi_random random = phi_random_seeded(31);
    for (int i = 0; i < CASES; i++) {
        expect_flip_found(&random);
    }
    teardown();
}

// [P-24] [P-25]
TEST(damage, every_flipped_bit_is_found_under_the_cipher)
{
    setup(PHI_SUITE_PAPER);
    phi_random random = phi_random_seeded(32);
    for (int i = 0; i < CASES; i++) {
        expect_flip_found(&random);
    }
    teardown();
}

// ---- whole packets

// One to three packets are missing. [P-24]
TEST(damage, removed_packets_are_found)
{
    setup(PHI_SUITE_CHECK);
    phi_random random = phi_random_seeded(33);
    size_t needed = 0;
    for (int i = 0; i < CASES; i++) {
        size_t first = (size_t)phi_random_below(&random, PACKETS - AFTER - 3);
        size_t gone = (size_t)phi_random_between(&random, 1, 3);
        fed_add_packets(first + gone, first + gone + AFTER);
        needed += expect_found(run(first), "removed", first);
    }
    expect_chance(needed, "removed");
    teardown();
}

// A packet of the same stream, from anywhere in it, comes once more: the one just before
// (a retransmission gone wrong) as often as any other. [P-24]
TEST(damage, replayed_packets_are_found)
{
    setup(PHI_SUITE_CHECK);
    phi_random random = phi_random_seeded(34);
    size_t needed = 0;
    for (int i = 0; i < CASES; i++) {
        size_t first = (size_t)phi_random_between(&random, 1, PACKETS - AFTER - 1);
        size_t again =
            phi_random_chance(&random, 50) ? first - 1 : (size_t)phi_random_below(&random, first);
        fed_add_packets(again, again + 1);
        fed_add_packets(first, first + AFTER);
        needed += expect_found(run(first), "replayed", first);
    }
    expect_chance(needed, "replayed");
    teardown();
}

// A foreign packet, well formed but for a check that is a guess. [P-24]
TEST(damage, inserted_packets_are_found)
{
    setup(PHI_SUITE_CHECK);
    phi_random random = phi_random_seeded(35);
    size_t needed = 0;
    for (int i = 0; i < CASES; i++) {
        size_t first = (size_t)phi_random_below(&random, PACKETS - AFTER);
        uint8_t packet[64];
        size_t size = (size_t)phi_random_between(&random, PHI_PACKET_HEAD_CHECKED, sizeof packet);
        for (size_t j = 0; j < size; j++) {
            packet[j] = (uint8_t)phi_random_next(&random);
        }
        phi_put_u32(packet, (uint32_t)size);
        fed_add(packet, size);
        fed_add_packets(first, first + AFTER);
        needed += expect_found(run(first), "inserted", first);
    }
    expect_chance(needed, "inserted");
    teardown();
}

// Two packets changed places: neighbours half of the time. Equal neighbours cannot be told apart,
// and are the one exception. [P-24]
TEST(damage, swapped_packets_are_found)
{
    setup(PHI_SUITE_CHECK);
    phi_random random = phi_random_seeded(36);
    size_t needed = 0;
    size_t equal = 0;
    for (int i = 0; i < CASES;) {
        size_t first = (size_t)phi_random_below(&random, PACKETS - AFTER - 20);
        size_t other =
            first +
            (phi_random_chance(&random, 50) ? 1 : (size_t)phi_random_between(&random, 2, 19));
        const recording_packet *a = &rec.packets[first];
        const recording_packet *b = &rec.packets[other];
        // As the receiver sees them: with their checks, which differ nearly always.
        if (a->size == b->size && memcmp(rec.clear + a->at, rec.clear + b->at, a->size) == 0) {
            equal++;
            continue;
        }
        i++;
        fed_add_packets(other, other + 1);
        fed_add_packets(first + 1, other);
        fed_add_packets(first, first + 1);
        fed_add_packets(other + 1, other + 1 + AFTER);
        outcome o = run(first);
        // Equal payloads with other checks: what is delivered is what was sent.
        needed += expect_found(o, "swapped", first);
    }
    expect_chance(needed, "swapped");
    EXPECT(equal < CASES / 10);
    teardown();
}

// Bytes, not packets: some go missing or come twice, as when a buffer was sent from the wrong
// place. [P-3] [P-24]
TEST(damage, missing_and_repeated_bytes_are_found)
{
    setup(PHI_SUITE_CHECK);
    phi_random random = phi_random_seeded(37);
    for (int i = 0; i < CASES; i++) {
        size_t first = (size_t)phi_random_below(&random, PACKETS - 2);
        size_t end = rec.packets[first + AFTER < PACKETS ? first + AFTER : PACKETS].at;
        size_t at = rec.packets[first].at;
        size_t cut = (size_t)phi_random_below(&random, rec.packets[first].size);
        size_t count = (size_t)phi_random_between(&random, 1, 20);
        fed_add(rec.clear + at, cut);
        if (phi_random_chance(&random, 50)) {
            fed_add(rec.clear + at + cut, count < end - at - cut ? count : end - at - cut);
            fed_add(rec.clear + at + cut, end - at - cut);
        } else if (count < end - at - cut) {
            fed_add(rec.clear + at + cut + count, end - at - cut - count);
        }
        // It ends, or waits for a length that noise announced. Runs of equal bytes hide where they
        // were cut, so that a packet or two may still be right.
        outcome o = run(first);
        EXPECT(o.delivered - o.right <= 1);
        EXPECT(o.delivered < AFTER);
    }
    teardown();
}

// Under the cipher the same happens to what was enciphered: behind the place all is noise, of which
// no packet may come. [P-25]
TEST(damage, moved_bytes_are_found_under_the_cipher)
{
    setup(PHI_SUITE_PAPER);
    phi_random random = phi_random_seeded(38);
    for (int i = 0; i < CASES_PAPER; i++) {
        size_t first = (size_t)phi_random_below(&random, PACKETS - AFTER - 1);
        size_t gone = (size_t)phi_random_between(&random, 1, 3);
        phi_inbound in;
        phi_packet packet;
        outcome o = { 0 };
        size_t from = rec.packets[first + gone].at; // enciphered as it was sent
        size_t to = rec.packets[PACKETS - first < 50 ? PACKETS : first + 50].at;
        memcpy(fed, rec.stream + from, to - from);
        recording_resume(&rec, first, &in);
        phi_inbound_receive(&in, (phi_span){ fed, to - from });
        while ((o.result = phi_inbound_next(&in, &packet)) == PHI_INBOUND_PACKET) {
            o.delivered++;
        }
        EXPECT_EQ(o.delivered, 0);
        phi_inbound_fini(&in);
    }
    teardown();
}
