// SPDX-License-Identifier: Apache-2.0
//
// wire/stream_test.c - however a stream is cut on its way, its packets are the same: the whole of
// [P-2], for 10,000 mixed packets in every suite.
//
// 10,000 cuttings of the whole stream take a minute without optimisation, so they are run with
// PH_LONG=1 in the environment. Otherwise 10,000 cuttings each cover a part of the stream, starting
// from the receiver's state at a packet of it and ending in the recorded state of another; and a
// hundred cover the whole.

#include "tests/harness/test.h"

#include <stdlib.h>
#include <string.h>

#include "tests/wire/recording.h"

#define PACKETS 10000
#define CUTTINGS 10000
#define CUTTINGS_WHOLE 100
#define WINDOW 150

static const recording_mix mix = { .count = PACKETS, .payload_max = 60, .largest = 3 };

// Received bytes are changed, so they are fed from a copy.
static uint8_t *chunk;
static size_t chunk_size;

static phi_span chunk_of(const recording *r, size_t at, size_t size)
{
    if (chunk_size < size) {
        chunk = realloc(chunk, size);
        EXPECT(chunk != NULL);
        chunk_size = size;
    }
    memcpy(chunk, r->stream + at, size);
    return (phi_span){ chunk, size };
}

static uint16_t command_of(const recording *r, size_t index)
{
    const uint8_t *packet = r->clear + r->packets[index].at;
    return index < r->count ? phi_get_u16(packet + phi_suite_head(r->suite) - 2) : 0;
}

// The next packet, which is expected to be a `command`: of three one the long way, one the short
// way, and one behind a look for another command, which must leave everything as it was.
static phi_inbound_result next(phi_inbound *in, size_t index, uint16_t command, phi_packet *packet)
{
    packet->command = command;
    if (index % 3 == 1 && phi_inbound_take(in, command, &packet->payload)) {
        return PHI_INBOUND_PACKET;
    }
    if (index % 3 == 2) {
        EXPECT(!phi_inbound_take(in, command ^ 1, &packet->payload));
    }
    return phi_inbound_next(in, packet);
}

// Feeds one chunk; the packets in it must be the recorded ones from *index on.
static void feed(const recording *r, phi_inbound *in, size_t at, size_t size, size_t *index)
{
    phi_packet packet;
    phi_inbound_result result;
    phi_inbound_receive(in, chunk_of(r, at, size));
    while ((result = next(in, *index, command_of(r, *index), &packet)) == PHI_INBOUND_PACKET) {
        if (*index >= r->count || recording_hash(&packet) != r->packets[*index].hash) {
            fail_msg("packet %zu is another when the stream is cut at %zu", *index, at);
        }
        (*index)++;
    }
    if (result != PHI_INBOUND_MORE) {
        fail_msg("the stream ended with %d behind packet %zu", (int)result, *index);
    }
}

// Packets `first` to `last` (not included), in chunks of random sizes; or of `size` when not 0.
static void expect_same(const recording *r, size_t first, size_t last, size_t size,
                        phi_random *random)
{
    phi_inbound in;
    recording_resume(r, first, &in);
    size_t at = r->packets[first].at;
    size_t end = r->packets[last].at;
    size_t index = first;
    // From many cuts in a packet to many packets in a chunk.
    size_t most = (size_t)1 << phi_random_between(random, 1, 17);
    while (at < end) {
        size_t n = size != 0 ? size : (size_t)phi_random_between(random, 1, most);
        n = n < end - at ? n : end - at;
        feed(r, &in, at, n, &index);
        at += n;
    }
    EXPECT_EQ(index, last);
    EXPECT_EQ(phi_buf_size(&in.partial), 0);
    if (phi_suite_is_checked(r->suite)) {
        EXPECT_EQ(in.check.sum, r->packets[last].check.sum);
        EXPECT_EQ(in.check.count, r->packets[last].check.count);
    }
    phi_inbound_fini(&in);
}

static void expect_same_however_cut(phi_suite suite)
{
    bool is_long = getenv("PH_LONG") != NULL;
    phi_random random = phi_random_seeded(20 + (uint64_t)suite);
    recording r;
    recording_init(&r, suite, &mix, 2);
    expect_same(&r, 0, PACKETS, r.size, &random); // whole
    expect_same(&r, 0, PACKETS, 1, &random);      // byte by byte
    for (int i = 0; i < (is_long ? CUTTINGS : CUTTINGS_WHOLE); i++) {
        expect_same(&r, 0, PACKETS, 0, &random);
    }
    for (int i = 0; i < (is_long ? 0 : CUTTINGS); i++) {
        size_t first = (size_t)phi_random_below(&random, PACKETS);
        size_t last = first + (size_t)phi_random_below(&random, WINDOW);
        expect_same(&r, first, last < PACKETS ? last : PACKETS, 0, &random);
    }
    recording_fini(&r);
}

// TCP has no boundaries: a receiver that depended on where it cuts would work in the laboratory and
// fail behind a busy switch. [P-2]
TEST(stream, suite_plain_is_the_same_however_cut)
{
    expect_same_however_cut(PHI_SUITE_PLAIN);
}

// The same where a sum runs over all packets: a byte taken in twice or not at all would break it.
// [P-2] [P-23]
TEST(stream, suite_check_is_the_same_however_cut)
{
    expect_same_however_cut(PHI_SUITE_CHECK);
}

// The same where the key stream runs on: a byte deciphered twice, or with the key stream of
// another, is noise. [P-2] [P-25]
TEST(stream, suite_paper_is_the_same_however_cut)
{
    expect_same_however_cut(PHI_SUITE_PAPER);
}

// A hundred packets, cut in two at every single place. [P-2]
TEST(stream, every_two_way_split_is_the_same)
{
    static const recording_mix few = { .count = 100, .payload_max = 90 };
    for (int suite = 0; suite < PHI_SUITE_COUNT; suite++) {
        recording r;
        recording_init(&r, (phi_suite)suite, &few, 3);
        for (size_t cut = 0; cut <= r.size; cut++) {
            phi_inbound in;
            size_t index = 0;
            recording_resume(&r, 0, &in);
            feed(&r, &in, 0, cut, &index);
            feed(&r, &in, cut, r.size - cut, &index);
            EXPECT_EQ(index, r.count);
            phi_inbound_fini(&in);
        }
        recording_fini(&r);
    }
}
