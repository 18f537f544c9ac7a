// SPDX-License-Identifier: Apache-2.0
//
// wire/outbound_test.c - building packets in the send buffer.

#include "wire/outbound.h"

#include "tests/harness/test.h"

#include "base/quota.h"
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

// What the packet with that payload adds to the check.
static uint16_t part_of(const uint8_t *payload, size_t payload_size)
{
    return phi_check_part(
        phi_bytes_of(payload - PHI_PACKET_HEAD_CHECKED, PHI_PACKET_HEAD_CHECKED + payload_size));
}

// A packet of any size that begins with a number, in one step or in two; 0 without room. In checked
// suites its check may be made at once.
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
    if (phi_suite_is_checked(out->suite) && phi_random_chance(random, 50)) {
        phi_outbound_check(out, room, size, part_of(room, size));
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
        EXPECT_ERR(phi_outbound_suite(&out, &phi_alloc_heap, suite, k, v), PH_OK);
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
        if (phi_outbound_suite(&out, &counter.alloc, PHI_SUITE_PAPER, key, iv) != PH_OK) {
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

// ---- what is the same for many

enum {
    MANY = 5,
    RUN_BYTES = 4096,
    SPARE = 16,
};

// A check made ahead is that of all before it: behind a packet that still waits for its own, none
// is. And in suite paper what is checked is not yet what may be sent. [P-23] [P-25]
TEST(outbound, check_is_made_ahead_only_in_its_turn)
{
    phi_outbound out;
    phi_outbound_init(&out, &phi_alloc_heap, 4096);
    EXPECT_ERR(phi_outbound_suite(&out, &phi_alloc_heap, PHI_SUITE_CHECK, NULL, NULL), PH_OK);
    for (uint32_t turn = 0; turn < 3; turn++) {
        bool is_first = turn != 1;
        if (!is_first) {
            EXPECT(send_text(&out, "waits"));
        }
        uint8_t *room = phi_outbound_put(&out, PHI_COMMAND_MESSAGE, 4, 0);
        EXPECT(room != NULL);
        phi_put_u32(room, turn);
        phi_outbound_check(&out, room, 4, part_of(room, 4));
        EXPECT_EQ(out.sealed, is_first ? 12 : 0);
        phi_outbound_sent(&out, phi_outbound_seal(&out).size);
    }
    EXPECT_EQ(out.check.count, 4);
    phi_outbound_fini(&out);

    phi_outbound_init(&out, &phi_alloc_heap, 4096);
    EXPECT_ERR(phi_outbound_suite(&out, &phi_alloc_heap, PHI_SUITE_PAPER, key, iv), PH_OK);
    uint8_t *room = phi_outbound_put(&out, PHI_COMMAND_MESSAGE, 4, 0);
    EXPECT(room != NULL);
    phi_put_u32(room, 7);
    phi_outbound_check(&out, room, 4, part_of(room, 4));
    EXPECT_EQ(out.sealed, 0);
    EXPECT_EQ(phi_outbound_seal(&out).size, 12);
    EXPECT_EQ(out.check.count, 1);
    phi_outbound_fini(&out);
}

static phi_stretch run_text(phi_run *run, const char *text)
{
    phi_stretch stretch = { .size = 0 };
    uint8_t *room = phi_run_put(run, PHI_COMMAND_MESSAGE, strlen(text), &stretch);
    if (room != NULL) {
        memcpy(room, text, strlen(text));
    }
    return stretch;
}

static void send_all(phi_outbound *out)
{
    phi_outbound_sent(out, phi_outbound_seal(out).size);
}

// What is shared must be what a copy would have been, to the byte, and cost its receivers no
// memory: that is what it is for. [P-10]
TEST(outbound, shared_packets_are_sent_from_the_run)
{
    phi_alloc_counter counter;
    phi_alloc_counter_init(&counter, &phi_alloc_heap);
    phi_run run;
    phi_run_init(&run, &phi_alloc_heap, RUN_BYTES, NULL);
    phi_outbound out[MANY];
    phi_stretch packets[] = { run_text(&run, "abc"), run_text(&run, "d") };
    for (size_t i = 0; i < MANY; i++) {
        phi_outbound_init(&out[i], &counter.alloc, 100);
        EXPECT(phi_outbound_share(&out[i], &run, &packets[0], SPARE));
        EXPECT(phi_outbound_share(&out[i], &run, &packets[1], SPARE));
        EXPECT_EQ(phi_outbound_size(&out[i]), 16);
    }
    EXPECT_EQ(run.lent, MANY * 16);
    for (size_t i = 0; i < MANY; i++) {
        phi_bytes all = phi_outbound_seal(&out[i]);
        EXPECT_EQ(all.size, 16);
        EXPECT_BYTES(all.data, "\0\0\0\x09\0\5abc\0\0\0\7\0\5d", 16);
        phi_outbound_sent(&out[i], all.size);
        EXPECT_EQ(phi_outbound_size(&out[i]), 0);
        phi_outbound_fini(&out[i]);
    }
    EXPECT_EQ(counter.takes, 0);
    phi_run_reset(&run);
    EXPECT(!phi_run_has(&run, &packets[0]));
    phi_run_fini(&run);
}

// Who has something of his own waiting, or other neighbours, another suite, or no room must be sent
// a copy: the same bytes out of order, or past the limit, would be worse than slow.
TEST(outbound, what_cannot_be_shared_is_refused)
{
    phi_run run;
    phi_run_init(&run, &phi_alloc_heap, RUN_BYTES, NULL);
    phi_stretch first = run_text(&run, "first");
    phi_stretch second = run_text(&run, "second");
    phi_outbound out;
    phi_outbound_init(&out, &phi_alloc_heap, 100);

    EXPECT(send_text(&out, "own"));
    EXPECT(!phi_outbound_may_share(&out, &run));
    EXPECT(!phi_outbound_share(&out, &run, &first, SPARE));
    send_all(&out);

    EXPECT(phi_outbound_share(&out, &run, &first, SPARE));
    EXPECT(!phi_outbound_may_share(&out, &run));
    EXPECT(phi_outbound_share(&out, &run, &second, SPARE));
    EXPECT(phi_outbound_may_share(&out, &run));
    (void)run_text(&run, "of others");
    EXPECT(!phi_outbound_may_share(&out, &run));
    phi_stretch fourth = run_text(&run, "fourth");
    EXPECT(!phi_outbound_share(&out, &run, &fourth, SPARE));
    send_all(&out);

    EXPECT(phi_outbound_share(&out, &run, &fourth, 100 - fourth.size));
    send_all(&out);
    EXPECT(!phi_outbound_share(&out, &run, &fourth, 101 - fourth.size));
    EXPECT_ERR(phi_outbound_suite(&out, &phi_alloc_heap, PHI_SUITE_CHECK, NULL, NULL), PH_OK);
    EXPECT(!phi_outbound_may_share(&out, &run));
    EXPECT(!phi_outbound_share(&out, &run, &fourth, 0));
    phi_outbound_fini(&out);
    EXPECT_EQ(run.lent, 0);
    phi_run_fini(&run);
}

// A run is bounded, and may move when it grows: those who see it must see the same bytes.
TEST(outbound, run_is_bounded_and_may_move)
{
    phi_alloc_counter counter;
    phi_alloc_counter_init(&counter, &phi_alloc_heap);
    phi_run run;
    phi_run_init(&run, &counter.alloc, RUN_BYTES, NULL);
    phi_outbound out;
    phi_outbound_init(&out, &phi_alloc_heap, RUN_BYTES);
    phi_stretch packet;
    uint32_t count = 0;
    while ((packet = run_text(&run, "0123456789")).size != 0) {
        EXPECT(phi_outbound_share(&out, &run, &packet, 0));
        count++;
    }
    EXPECT_EQ(count, RUN_BYTES / 16);
    EXPECT(counter.takes > 2);
    phi_bytes all = phi_outbound_seal(&out);
    for (uint32_t i = 0; i < count; i++) {
        EXPECT_BYTES(all.data + (size_t)i * 16, "\0\0\0\x10\0\0050123456789", 16);
    }
    phi_outbound_fini(&out);
    phi_run_reset(&run);
    phi_run_fini(&run);
    EXPECT_EQ(counter.bytes, 0);
}

// One of many receivers, which reads what was sent to it.
typedef struct reader {
    phi_outbound out;
    phi_inbound in;
    uint32_t expected[RUN_BYTES]; // numbers queued and not read yet
    uint32_t queued;
    uint32_t found;
} reader;

static void reader_queue(reader *r, uint32_t number)
{
    EXPECT(r->queued < RUN_BYTES);
    r->expected[r->queued++] = number;
}

// As if the stream took a random part of what waits.
static void reader_flush(reader *r, phi_random *random)
{
    phi_bytes ready = phi_outbound_seal(&r->out);
    bool takes_all = phi_random_chance(random, 50);
    size_t count = takes_all ? ready.size : (size_t)phi_random_below(random, ready.size + 1);
    static uint8_t chunk[2 * RUN_BYTES];
    if (count != 0) {
        memcpy(chunk, ready.data, count);
    }
    phi_outbound_sent(&r->out, count);
    phi_inbound_receive(&r->in, (phi_span){ chunk, count });
    phi_packet packet;
    while (phi_inbound_next(&r->in, &packet) == PHI_INBOUND_PACKET) {
        EXPECT(r->found < r->queued);
        EXPECT_EQ(phi_get_u32(packet.payload.data), r->expected[r->found]);
        EXPECT_EQ(packet.payload.data[packet.payload.size - 1], (uint8_t)r->expected[r->found]);
        r->found++;
    }
}

// A packet for most of them, and one of his own for a few. How many share it.
static uint64_t tell_many(reader readers[MANY], phi_run *run, uint32_t *number, phi_random *random)
{
    uint64_t shared = 0;
    size_t size = (size_t)phi_random_between(random, 4, 300);
    phi_stretch packet = { .size = 0 };
    uint8_t *once = phi_run_put(run, PHI_COMMAND_MESSAGE, size, &packet);
    EXPECT(once != NULL);
    const uint32_t id = ++*number;
    memset(once, (int)id, size);
    phi_put_u32(once, id);
    for (size_t i = 0; i < MANY; i++) {
        reader *r = &readers[i];
        if (phi_random_chance(random, 20)) {
            continue; // not for it
        }
        uint8_t *room;
        if (phi_outbound_share(&r->out, run, &packet, SPARE)) {
            shared++;
            reader_queue(r, id);
        } else if ((room = phi_outbound_put(&r->out, PHI_COMMAND_MESSAGE, size, SPARE)) != NULL) {
            memcpy(room, phi_run_at(run, packet.at) + PHI_PACKET_HEAD_PLAIN, size);
            reader_queue(r, id);
        }
        if (phi_random_chance(random, 10) && send_number(&r->out, ++*number, random) != 0) {
            reader_queue(r, *number);
        }
    }
    return shared;
}

// Shared and own packets, slow streams and turns in any mixture: each receiver gets what was queued
// for it, whole, once and in order, whatever the others do. [P-10]
TEST(outbound, shared_and_own_packets_keep_their_order)
{
    static reader readers[MANY];
    for (uint64_t seed = 1; seed <= 40; seed++) {
        phi_random random = phi_random_seeded(seed);
        phi_run run;
        phi_run_init(&run, &phi_alloc_heap, RUN_BYTES, NULL);
        uint64_t shared = 0;
        for (size_t i = 0; i < MANY; i++) {
            readers[i] = (reader){ .queued = 0 };
            phi_outbound_init(&readers[i].out, &phi_alloc_heap, RUN_BYTES);
            phi_inbound_init(&readers[i].in, &phi_alloc_heap, PHI_PACKET_BYTES_MAX);
        }
        uint32_t number = 0;
        for (int turn = 0; turn < 100; turn++) {
            for (uint64_t n = phi_random_below(&random, 5); n > 0; n--) {
                shared += tell_many(readers, &run, &number, &random);
            }
            for (size_t i = 0; i < MANY; i++) {
                reader_flush(&readers[i], &random);
                EXPECT(phi_outbound_keep(&readers[i].out, SPARE));
            }
            phi_run_reset(&run); // asserts that nobody sees it
        }
        EXPECT(shared > 200);
        for (size_t i = 0; i < MANY; i++) {
            while (phi_outbound_size(&readers[i].out) != 0) {
                reader_flush(&readers[i], &random);
            }
            EXPECT_EQ(readers[i].found, readers[i].queued);
            phi_outbound_fini(&readers[i].out);
            phi_inbound_fini(&readers[i].in);
        }
        phi_run_fini(&run);
    }
}

// Without memory what is shared can neither be kept nor followed by anything, but is still whole;
// who gives it up owes the run nothing.
TEST(outbound, shared_packet_without_memory_still_waits)
{
    phi_alloc_counter counter;
    phi_alloc_counter_init(&counter, &phi_alloc_heap);
    phi_run run;
    phi_run_init(&run, &phi_alloc_heap, RUN_BYTES, NULL);
    phi_outbound out;
    phi_outbound_init(&out, &counter.alloc, RUN_BYTES);
    phi_stretch packet = run_text(&run, "abc");
    EXPECT(phi_outbound_share(&out, &run, &packet, SPARE));
    counter.bytes_max = 1;
    EXPECT(!send_text(&out, "behind it"));
    EXPECT(phi_outbound_put(&out, PHI_COMMAND_MESSAGE, 1, SPARE) == NULL);
    phi_outbound_sent(&out, 4); // of 9
    EXPECT(!phi_outbound_keep(&out, SPARE));
    EXPECT_EQ(phi_outbound_seal(&out).size, 5);
    EXPECT_BYTES(phi_outbound_seal(&out).data, "\0\5abc", 5);
    phi_outbound_forget(&out);
    EXPECT_EQ(phi_outbound_size(&out), 0);
    EXPECT_EQ(run.lent, 0);
    counter.bytes_max = 0;
    EXPECT(phi_outbound_share(&out, &run, &packet, SPARE));
    EXPECT(send_text(&out, "behind it"));
    EXPECT_EQ(phi_outbound_size(&out), 9 + 15);
    phi_outbound_fini(&out);
    phi_run_fini(&run);
}

// What many share costs nobody memory until they are slow, all at once: then it must be there,
// whoever took what is left meanwhile. So as much as might be needed is promised, and what cannot
// be promised is not shared.
TEST(outbound, room_for_shared_packets_is_promised_by_the_quota)
{
    static char text[3000];
    memset(text, 'x', sizeof text - 1);
    phi_quota quota;
    phi_quota_init(&quota, &phi_alloc_heap, 128 * 1024);
    quota.holders = 8;
    phi_run run;
    phi_run_init(&run, &phi_alloc_heap, RUN_BYTES, &quota);
    phi_stretch packet = run_text(&run, text);
    phi_outbound out[8];
    size_t count = 0;
    for (size_t i = 0; i < PHI_COUNT_OF(out); i++) {
        phi_outbound_init(&out[i], &quota.limited, RUN_BYTES);
        count += phi_outbound_share(&out[i], &run, &packet, SPARE);
    }
    EXPECT_EQ(count, 5); // a step: four times 16 KiB, all there is
    EXPECT(phi_take(&quota.limited, 16 * 1024) == NULL);
    void *others = phi_take(&quota.limited, 4 * 1024); // a share
    EXPECT(others != NULL);
    quota.bytes_max = 1; // as if it were gone
    for (size_t i = 0; i < PHI_COUNT_OF(out); i++) {
        EXPECT(phi_outbound_keep(&out[i], SPARE));
        EXPECT_EQ(phi_outbound_size(&out[i]), i < count ? packet.size : 0);
        phi_outbound_fini(&out[i]);
    }
    phi_give(&quota.limited, others, 4 * 1024);
    EXPECT(quota.promised != 0);
    phi_run_fini(&run);
    EXPECT_EQ(quota.promised, 0);
    phi_quota_fini(&quota);
}

// One promise is for one copy. Who is queued something else behind what he shares is copied at
// once, in the same turn, and so may be as many as there are: all of them on the first one's
// promise would be memory that nobody limits. [P-10]
TEST(outbound, promise_that_was_kept_is_over)
{
    static char text[3000];
    memset(text, 'x', sizeof text - 1);
    phi_quota quota;
    phi_quota_init(&quota, &phi_alloc_heap, 256 * 1024);
    phi_outbound out[64];
    quota.holders = PHI_COUNT_OF(out);
    phi_run run;
    phi_run_init(&run, &phi_alloc_heap, RUN_BYTES, &quota);
    phi_stretch packet = run_text(&run, text);
    size_t count = 0;
    for (size_t i = 0; i < PHI_COUNT_OF(out); i++) {
        phi_outbound_init(&out[i], &quota.limited, RUN_BYTES);
        if (phi_outbound_share(&out[i], &run, &packet, SPARE)) {
            EXPECT(phi_outbound_keep(&out[i], SPARE));
            EXPECT_EQ(run.lent, 0);
            count++;
        }
    }
    EXPECT(count > 4);
    EXPECT(count < PHI_COUNT_OF(out) / 2);
    EXPECT(quota.bytes_large <= quota.bytes_max / 2);
    for (size_t i = 0; i < PHI_COUNT_OF(out); i++) {
        phi_outbound_fini(&out[i]);
    }
    phi_run_fini(&run);
    EXPECT_EQ(quota.promised, 0);
    phi_quota_fini(&quota);
}
