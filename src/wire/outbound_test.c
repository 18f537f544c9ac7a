// SPDX-License-Identifier: Apache-2.0
//
// wire/outbound_test.c - building packets in the send buffer.

#include "wire/outbound.h"

#include "tests/harness/test.h"

#include "base/random.h"
#include "wire/codes.h"
#include "wire/inbound.h"

static const uint8_t key[PHI_CIPHER_KEY_BYTES] = { 1, 2, 3 };
static const uint8_t iv[PHI_CIPHER_IV_BYTES] = { 4, 5, 6 };

static bool send_text(phi_outbound *out, const char *text)
{
    uint8_t *room = phi_outbound_begin(out, strlen(text));
    if (room == NULL) {
        return false;
    }
    memcpy(room, text, strlen(text));
    phi_outbound_commit(out, PHI_COMMAND_MESSAGE, strlen(text));
    return true;
}

// A packet is just its length, command and payload; a sender that reserved too much sends no more
// than it committed. [P-10]
TEST(outbound, commit_may_use_less_than_begin_reserved)
{
    phi_outbound out;
    phi_outbound_init(&out, &phi_alloc_heap, 4096);
    uint8_t *room = phi_outbound_begin(&out, 1000);
    EXPECT(room != NULL);
    memcpy(room, "abc", 3);
    EXPECT_EQ(phi_outbound_size(&out), 0);
    phi_outbound_commit(&out, 0x0102, 3);
    phi_bytes all = phi_outbound_seal(&out);
    EXPECT_EQ(all.size, 9);
    EXPECT_BYTES(all.data, "\0\0\0\x09\1\2abc", 9);
    phi_outbound_fini(&out);
}

// What was begun and not committed is forgotten: no trace of it is sent.
TEST(outbound, second_begin_forgets_the_first)
{
    phi_outbound out;
    phi_outbound_init(&out, &phi_alloc_heap, 4096);
    uint8_t *room = phi_outbound_begin(&out, 100);
    EXPECT(room != NULL);
    memset(room, 'x', 100);
    EXPECT(send_text(&out, "y"));
    phi_bytes all = phi_outbound_seal(&out);
    EXPECT_EQ(all.size, 7);
    EXPECT_BYTES(all.data, "\0\0\0\7\0\5y", 7);
    phi_outbound_fini(&out);
}

// A peer that does not read costs bytes_max, not more; and what was queued stays whole.
TEST(outbound, full_buffer_refuses_and_recovers)
{
    phi_alloc_counter counter;
    phi_alloc_counter_init(&counter, &phi_alloc_heap);
    phi_outbound out;
    phi_outbound_init(&out, &counter.alloc, 100);
    size_t sent = 0;
    while (send_text(&out, "0123456789")) {
        sent++;
    }
    EXPECT_EQ(sent, 6); // of 16 bytes
    EXPECT(phi_outbound_put(&out, PHI_COMMAND_MESSAGE, 0, 0) == NULL);
    EXPECT(counter.bytes <= 128);
    EXPECT_EQ(phi_outbound_seal(&out).size, 96);
    phi_outbound_sent(&out, 16);
    EXPECT(phi_outbound_put(&out, PHI_COMMAND_MESSAGE, 10, 5) == NULL); // 80 and 21
    EXPECT(send_text(&out, "abcdefghij"));
    EXPECT(!send_text(&out, "abcdefghij"));
    phi_bytes all = phi_outbound_seal(&out);
    EXPECT_EQ(all.size, 96);
    EXPECT_BYTES(all.data + 86, "abcdefghij", 10);
    phi_outbound_fini(&out);
    EXPECT_EQ(counter.bytes, 0);
}

// The largest packet there is. [P-11]
TEST(outbound, largest_packet_fits)
{
    phi_outbound out;
    phi_outbound_init(&out, &phi_alloc_heap, 2 * PHI_PACKET_BYTES_MAX);
    size_t payload = PHI_PACKET_BYTES_MAX - PHI_PACKET_HEAD_PLAIN;
    uint8_t *room = phi_outbound_begin(&out, payload);
    EXPECT(room != NULL);
    memset(room, 7, payload);
    phi_outbound_commit(&out, PHI_COMMAND_MESSAGE, payload);
    phi_bytes all = phi_outbound_seal(&out);
    EXPECT_EQ(all.size, PHI_PACKET_BYTES_MAX);
    EXPECT_EQ(phi_get_u32(all.data), PHI_PACKET_BYTES_MAX);
    phi_outbound_fini(&out);
}

// A packet of any size that begins with a number, in one step or in two; 0 without room.
static uint32_t send_number(phi_outbound *out, uint32_t number, phi_random *random)
{
    size_t size = (size_t)phi_random_between(random, 4, 300);
    bool is_one_step = phi_random_chance(random, 50);
    uint8_t *room = is_one_step ? phi_outbound_put(out, PHI_COMMAND_MESSAGE, size, 0)
                                : phi_outbound_begin(out, size);
    if (room == NULL) {
        return 0;
    }
    memset(room, (int)number, size);
    phi_put_u32(room, number);
    if (!is_one_step) {
        phi_outbound_commit(out, PHI_COMMAND_MESSAGE, size);
    }
    return 1;
}

// Packets are sealed and leave in portions that respect nothing: each byte must be enciphered just
// once, and the receiver must get what was sent. [P-21] [P-25]
TEST(outbound, portions_of_any_size_are_enciphered_once)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        phi_random random = phi_random_seeded(seed);
        phi_suite suite = (phi_suite)(seed % PHI_SUITE_COUNT);
        const uint8_t *k = suite == PHI_SUITE_PAPER ? key : NULL;
        const uint8_t *v = suite == PHI_SUITE_PAPER ? iv : NULL;
        phi_outbound out;
        phi_inbound in;
        phi_outbound_init(&out, &phi_alloc_heap, 4096);
        phi_inbound_init(&in, &phi_alloc_heap, PHI_PACKET_BYTES_MAX);
        EXPECT(send_text(&out, "hello, in the old suite"));
        EXPECT_ERR(phi_outbound_suite(&out, suite, k, v), PH_OK);
        uint32_t sent = 0;
        uint32_t found = 0;
        bool has_hello = false;
        for (int turn = 0; turn < 200; turn++) {
            for (uint64_t n = phi_random_below(&random, 4); n > 0; n--) {
                sent += send_number(&out, sent, &random);
            }
            phi_bytes ready = phi_outbound_seal(&out);
            size_t count = (size_t)phi_random_below(&random, ready.size + 1);
            static uint8_t chunk[8192];
            if (count != 0) {
                memcpy(chunk, ready.data, count);
            }
            phi_outbound_sent(&out, count);
            phi_inbound_receive(&in, (phi_span){ chunk, count });
            phi_packet packet;
            phi_inbound_result result;
            while ((result = phi_inbound_next(&in, &packet)) == PHI_INBOUND_PACKET) {
                if (!has_hello) {
                    has_hello = true;
                    EXPECT_ERR(phi_inbound_suite(&in, suite, k, v), PH_OK);
                    continue;
                }
                EXPECT_EQ(phi_get_u32(packet.payload.data), found);
                EXPECT_EQ(packet.payload.data[packet.payload.size - 1], (uint8_t)found);
                found++;
            }
            EXPECT_EQ(result, PHI_INBOUND_MORE);
        }
        EXPECT(found > 100);
        phi_outbound_fini(&out);
        phi_inbound_fini(&in);
    }
}

// No memory: begin says so, the cipher too, and nothing is left behind.
TEST(outbound, nth_allocation_failing_is_said)
{
    for (size_t n = 1;; n++) {
        phi_alloc_counter counter;
        phi_alloc_counter_init(&counter, &phi_alloc_heap);
        counter.fail_at = n;
        phi_outbound out;
        phi_outbound_init(&out, &counter.alloc, 65536);
        bool has_failed = !send_text(&out, "hello");
        if (phi_outbound_suite(&out, PHI_SUITE_PAPER, key, iv) != PH_OK) {
            EXPECT_EQ(out.suite, PHI_SUITE_PLAIN);
            has_failed = true;
        }
        for (int i = 0; i < 200; i++) {
            has_failed |= !send_text(&out, "0123456789");
        }
        EXPECT(phi_outbound_seal(&out).size >= 199 * 16);
        phi_outbound_fini(&out);
        EXPECT_EQ(counter.blocks, 0);
        if (!has_failed) {
            EXPECT(n > 3);
            break;
        }
    }
}
