// SPDX-License-Identifier: Apache-2.0
//
// wire/inbound_test.c - cutting: the paper's examples, lengths that are none, suites that begin in
// the middle of a chunk, memory.

#include "wire/inbound.h"

#include "tests/harness/test.h"

#include "wire/codes.h"
#include "wire/outbound.h"

static const uint8_t key[PHI_CIPHER_KEY_BYTES] = { 1, 2, 3 };
static const uint8_t iv[PHI_CIPHER_IV_BYTES] = { 4, 5, 6 };

// Receives a copy of `size` bytes, as sockets write into a buffer of the loop's.
static void receive(phi_inbound *in, const void *bytes, size_t size)
{
    static uint8_t chunk[4 * PHI_PACKET_BYTES_MAX];
    EXPECT(size <= sizeof chunk);
    memcpy(chunk, bytes, size);
    phi_inbound_receive(in, (phi_span){ chunk, size });
}

static void expect_packet(phi_inbound *in, uint16_t command, phi_bytes payload)
{
    phi_packet packet;
    EXPECT_EQ(phi_inbound_next(in, &packet), PHI_INBOUND_PACKET);
    EXPECT_EQ(packet.command, command);
    EXPECT(phi_bytes_equal(packet.payload, payload));
}

static void expect_more(phi_inbound *in)
{
    phi_packet packet;
    EXPECT_EQ(phi_inbound_next(in, &packet), PHI_INBOUND_MORE);
}

static void send_packet(phi_outbound *out, uint16_t command, phi_bytes payload)
{
    uint8_t *room = phi_outbound_begin(out, payload.size);
    EXPECT(room != NULL);
    if (payload.size != 0) {
        memcpy(room, payload.data, payload.size);
    }
    phi_outbound_commit(out, command, payload.size);
}

#define NOTHING ((phi_bytes){ NULL, 0 })

// ---- the paper's examples

// "00 00 00 06 00 01 00 00 00 06 00 01 is two packets of 6 bytes with empty payload." [P-10] [P-12]
TEST(inbound, paper_merged_packets_are_two)
{
    static const uint8_t bytes[] = { 0, 0, 0, 6, 0, 1, 0, 0, 0, 6, 0, 1 };
    phi_inbound in;
    phi_inbound_init(&in, &phi_alloc_heap, PHI_PACKET_BYTES_MAX);
    receive(&in, bytes, sizeof bytes);
    expect_packet(&in, PHI_COMMAND_HEARTBEAT, NOTHING);
    expect_packet(&in, PHI_COMMAND_HEARTBEAT, NOTHING);
    expect_more(&in);
    phi_inbound_fini(&in);
}

// "00 00 00 06 00 must wait; with 01 00 00 00 more, one packet is complete and 3 bytes wait (not
// even a length yet)." [P-2]
TEST(inbound, paper_split_packet_waits)
{
    phi_inbound in;
    phi_inbound_init(&in, &phi_alloc_heap, PHI_PACKET_BYTES_MAX);
    receive(&in, "\0\0\0\6\0", 5);
    expect_more(&in);
    receive(&in, "\1\0\0\0", 4);
    expect_packet(&in, PHI_COMMAND_HEARTBEAT, NOTHING);
    expect_more(&in);
    EXPECT_EQ(phi_buf_size(&in.partial), 3);
    receive(&in, "\6\0\1", 3);
    expect_packet(&in, PHI_COMMAND_HEARTBEAT, NOTHING);
    expect_more(&in);
    phi_inbound_fini(&in);
}

// "When no valid length can be read, drop the connection": packets before it still count. [P-3]
TEST(inbound, paper_lost_sync_ends_the_stream)
{
    static const uint8_t bytes[] = { 0, 0, 0, 6, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1 };
    phi_inbound in;
    phi_packet packet;
    phi_inbound_init(&in, &phi_alloc_heap, PHI_PACKET_BYTES_MAX);
    receive(&in, bytes, sizeof bytes);
    expect_packet(&in, PHI_COMMAND_HEARTBEAT, NOTHING);
    EXPECT_EQ(phi_inbound_next(&in, &packet), PHI_INBOUND_LENGTH);
    phi_inbound_fini(&in);
}

// ---- lengths

// Lengths that no packet can have, on the fast way and byte by byte: each is refused when its four
// bytes are there, before anything is subtracted from it or memory is taken for it. [P-11] [P-13]
TEST(inbound, impossible_lengths_are_refused_at_once)
{
    static const uint32_t lengths[] = {
        0, 1, 2, 3, 4, 5, 65537, 0x7fffffff, 0x80000000, 0xffffffff
    };
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        for (size_t step = 1; step <= 4; step += 3) {
            phi_alloc_counter counter;
            phi_alloc_counter_init(&counter, &phi_alloc_heap);
            phi_inbound in;
            phi_packet packet;
            uint8_t bytes[4];
            phi_put_u32(bytes, lengths[i]);
            phi_inbound_init(&in, &counter.alloc, PHI_PACKET_BYTES_MAX);
            for (size_t at = 0; at < 4; at += step) {
                receive(&in, bytes + at, step);
                EXPECT_EQ(phi_inbound_next(&in, &packet),
                          at + step == 4 ? PHI_INBOUND_LENGTH : PHI_INBOUND_MORE);
            }
            EXPECT(counter.bytes_peak <= 4096);
            phi_inbound_fini(&in);
            EXPECT_EQ(counter.bytes, 0);
        }
    }
}

// 6 and 7 are packets in suite plain and impossible in a checked one; 65,536 is the largest. [P-11]
TEST(inbound, smallest_and_largest_lengths_depend_on_the_suite)
{
    for (int suite = 0; suite < PHI_SUITE_COUNT; suite++) {
        uint32_t head = (uint32_t)phi_suite_head((phi_suite)suite);
        for (uint32_t length = 0; length <= 65537; length = length == 16 ? 65530 : length + 1) {
            static uint8_t bytes[PHI_PACKET_BYTES_MAX + 1];
            size_t size = 0;
            phi_put_u32(bytes, length);
            phi_cut expected =
                length < head || length > PHI_PACKET_BYTES_MAX ? PHI_CUT_LENGTH : PHI_CUT_PACKET;
            EXPECT_EQ(phi_packet_cut(phi_bytes_of(bytes, sizeof bytes), (phi_suite)suite,
                                     PHI_PACKET_BYTES_MAX, &size),
                      expected);
            if (expected == PHI_CUT_PACKET) {
                EXPECT_EQ(size, length);
                EXPECT_EQ(phi_packet_cut(phi_bytes_of(bytes, length - 1), (phi_suite)suite,
                                         PHI_PACKET_BYTES_MAX, &size),
                          PHI_CUT_MORE);
            }
        }
    }
}

// Before JOIN a client may send at most 8 KiB a packet; afterwards more. The limit in force is that
// of the moment in which the packet is asked for, however the bytes came. [P-12]
TEST(inbound, limit_may_change_between_packets_of_one_chunk)
{
    static uint8_t bytes[2 * 8193];
    for (int is_raised = 0; is_raised < 2; is_raised++) {
        phi_inbound in;
        phi_packet packet;
        phi_inbound_init(&in, &phi_alloc_heap, PHI_PACKET_BYTES_JOINING_MAX);
        phi_put_u32(bytes, PHI_PACKET_BYTES_JOINING_MAX);
        phi_put_u32(bytes + PHI_PACKET_BYTES_JOINING_MAX, PHI_PACKET_BYTES_JOINING_MAX + 1);
        receive(&in, bytes, 2 * PHI_PACKET_BYTES_JOINING_MAX + 1);
        EXPECT_EQ(phi_inbound_next(&in, &packet), PHI_INBOUND_PACKET);
        if (is_raised) {
            in.bytes_max = PHI_PACKET_BYTES_MAX;
        }
        EXPECT_EQ(phi_inbound_next(&in, &packet),
                  is_raised ? PHI_INBOUND_PACKET : PHI_INBOUND_LENGTH);
        phi_inbound_fini(&in);
    }
}

// A peer that announces 64 KiB and sends ten bytes costs what ten bytes cost. [P-13]
TEST(inbound, memory_is_taken_for_bytes_received)
{
    phi_alloc_counter counter;
    phi_alloc_counter_init(&counter, &phi_alloc_heap);
    phi_inbound in;
    phi_inbound_init(&in, &counter.alloc, PHI_PACKET_BYTES_MAX);
    EXPECT_EQ(counter.bytes, 0);
    receive(&in, "\0\1\0\0\0\5abcd", 10);
    expect_more(&in);
    EXPECT(counter.bytes <= 1024);
    phi_inbound_fini(&in);
    EXPECT_EQ(counter.bytes, 0);
}

// Between packets a link holds no memory here, however large the last one was.
TEST(inbound, memory_is_given_back_between_packets)
{
    phi_alloc_counter counter;
    phi_alloc_counter_init(&counter, &phi_alloc_heap);
    static uint8_t bytes[50000];
    phi_inbound in;
    phi_packet packet;
    phi_inbound_init(&in, &counter.alloc, PHI_PACKET_BYTES_MAX);
    phi_put_u32(bytes, sizeof bytes);
    receive(&in, bytes, 49999);
    expect_more(&in);
    EXPECT(counter.bytes >= 49999);
    receive(&in, bytes + 49999, 1);
    EXPECT_EQ(phi_inbound_next(&in, &packet), PHI_INBOUND_PACKET);
    EXPECT_EQ(packet.payload.size, sizeof bytes - PHI_PACKET_HEAD_PLAIN);
    expect_more(&in);
    EXPECT_EQ(counter.bytes, 0);
    phi_inbound_fini(&in);
}

// Whole packets are returned where they lie in the chunk: the fast way takes no memory at all.
TEST(inbound, whole_packets_are_not_copied)
{
    phi_alloc_counter counter;
    phi_alloc_counter_init(&counter, &phi_alloc_heap);
    uint8_t chunk[24] = { 0, 0, 0, 12, 0, 5, 'a', 'b', 'c', 'd', 'e', 'f',
                          0, 0, 0, 12, 0, 5, 'g', 'h', 'i', 'j', 'k', 'l' };
    phi_inbound in;
    phi_packet packet;
    phi_inbound_init(&in, &counter.alloc, PHI_PACKET_BYTES_MAX);
    phi_inbound_receive(&in, (phi_span){ chunk, sizeof chunk });
    for (size_t at = 6; at < sizeof chunk; at += 12) {
        EXPECT_EQ(phi_inbound_next(&in, &packet), PHI_INBOUND_PACKET);
        EXPECT(packet.payload.data == chunk + at);
    }
    expect_more(&in);
    EXPECT_EQ(counter.takes, 0);
    phi_inbound_fini(&in);
}

// ---- suites

// HELLO and two packets, cut in two.
static void expect_suite_behind_hello(phi_bytes all, size_t cut, phi_suite suite, const uint8_t *k,
                                      const uint8_t *v)
{
    static const char *const texts[] = { "hello", "first", "second!" };
    const phi_bytes halves[] = { { all.data, cut }, { all.data + cut, all.size - cut } };
    phi_inbound in;
    phi_packet packet;
    size_t found = 0;
    phi_inbound_init(&in, &phi_alloc_heap, 8192);
    for (int half = 0; half < 2; half++) {
        receive(&in, halves[half].data, halves[half].size);
        while (phi_inbound_next(&in, &packet) == PHI_INBOUND_PACKET) {
            EXPECT(found < 3);
            EXPECT(phi_bytes_equal(packet.payload, phi_bytes_text(texts[found])));
            if (found++ == 0) {
                EXPECT_ERR(phi_inbound_suite(&in, suite, k, v), PH_OK);
            }
        }
    }
    EXPECT_EQ(found, 3);
    phi_inbound_fini(&in);
}

// HELLO is plain, what follows is not, and both may come in one chunk, cut anywhere. [P-20] [P-21]
TEST(inbound, suite_begins_behind_hello_wherever_the_stream_is_cut)
{
    for (int i = 0; i < PHI_SUITE_COUNT; i++) {
        phi_suite suite = (phi_suite)i;
        const uint8_t *k = suite == PHI_SUITE_PAPER ? key : NULL;
        const uint8_t *v = suite == PHI_SUITE_PAPER ? iv : NULL;
        phi_outbound out;
        phi_outbound_init(&out, &phi_alloc_heap, 1024);
        send_packet(&out, PHI_COMMAND_HANDSHAKE, phi_bytes_text("hello"));
        EXPECT_ERR(phi_outbound_suite(&out, &phi_alloc_heap, suite, k, v), PH_OK);
        send_packet(&out, PHI_COMMAND_MESSAGE, phi_bytes_text("first"));
        send_packet(&out, PHI_COMMAND_BYE, phi_bytes_text("second!"));
        phi_bytes all = phi_outbound_seal(&out);
        EXPECT_BYTES(all.data, "\0\0\0\x0b\0\2hello", 11); // plain in every suite
        for (size_t cut = 0; cut <= all.size; cut++) {
            expect_suite_behind_hello(all, cut, suite, k, v);
        }
        phi_outbound_fini(&out);
    }
}

// A wrong check ends the stream in the packet that holds it; what came before was delivered. [P-24]
TEST(inbound, wrong_check_ends_the_stream)
{
    phi_outbound out;
    phi_inbound in;
    phi_packet packet;
    phi_outbound_init(&out, &phi_alloc_heap, 1024);
    phi_inbound_init(&in, &phi_alloc_heap, 8192);
    EXPECT_ERR(phi_outbound_suite(&out, &phi_alloc_heap, PHI_SUITE_CHECK, NULL, NULL), PH_OK);
    EXPECT_ERR(phi_inbound_suite(&in, PHI_SUITE_CHECK, NULL, NULL), PH_OK);
    send_packet(&out, PHI_COMMAND_MESSAGE, phi_bytes_text("first"));
    send_packet(&out, PHI_COMMAND_MESSAGE, phi_bytes_text("second"));
    phi_bytes all = phi_outbound_seal(&out);
    out.buf.data[out.buf.write - 1] ^= 1;
    receive(&in, all.data, all.size);
    expect_packet(&in, PHI_COMMAND_MESSAGE, phi_bytes_text("first"));
    EXPECT_EQ(phi_inbound_next(&in, &packet), PHI_INBOUND_CHECK);
    phi_outbound_fini(&out);
    phi_inbound_fini(&in);
}

// Who passes a packet on makes its check from what came: only of the packet that was returned last,
// where it lies, is anything told, and only of one that came in one piece. Of another it would be
// the check of bytes that are not sent. [P-23]
TEST(inbound, tells_the_part_of_the_last_packet_only)
{
    phi_outbound out;
    phi_inbound in;
    phi_outbound_init(&out, &phi_alloc_heap, 4096);
    phi_inbound_init(&in, &phi_alloc_heap, PHI_PACKET_BYTES_MAX);
    EXPECT_ERR(phi_outbound_suite(&out, &phi_alloc_heap, PHI_SUITE_CHECK, NULL, NULL), PH_OK);
    EXPECT_ERR(phi_inbound_suite(&in, PHI_SUITE_CHECK, NULL, NULL), PH_OK);
    for (int i = 0; i < 3; i++) {
        send_packet(&out, PHI_COMMAND_MESSAGE, phi_bytes_text("abcde"));
    }
    uint8_t bytes[3 * 13];
    EXPECT_EQ(phi_outbound_seal(&out).size, sizeof bytes);
    memcpy(bytes, phi_outbound_seal(&out).data, sizeof bytes);

    uint16_t part = 0;
    uint8_t first[2 * 13];
    memcpy(first, bytes, sizeof first);
    phi_inbound_receive(&in, (phi_span){ first, sizeof first - 1 });
    EXPECT(!phi_inbound_part(&in, phi_bytes_of(first, 0), &part)); // none was returned
    phi_bytes payload;
    EXPECT(phi_inbound_take(&in, PHI_COMMAND_MESSAGE, &payload));
    EXPECT(phi_inbound_part(&in, payload, &part));
    EXPECT_EQ(part, phi_check_part(phi_bytes_of(bytes, 13)));
    EXPECT(!phi_inbound_part(&in, phi_bytes_of(bytes + 8, 5), &part)); // the same bytes elsewhere
    EXPECT(!phi_inbound_take(&in, PHI_COMMAND_MESSAGE, &payload));
    expect_more(&in);
    EXPECT(!phi_inbound_part(&in, phi_bytes_of(first + sizeof first - 1, 0), &part)); // used up

    receive(&in, bytes + sizeof first - 1, 14);
    phi_packet packet;
    EXPECT_EQ(phi_inbound_next(&in, &packet), PHI_INBOUND_PACKET); // put together
    EXPECT(!phi_inbound_part(&in, packet.payload, &part));
    EXPECT_EQ(phi_inbound_next(&in, &packet), PHI_INBOUND_PACKET);
    EXPECT(phi_inbound_part(&in, packet.payload, &part));
    EXPECT(phi_inbound_keep(&in, &phi_alloc_heap)); // nothing is left to be kept, but it is over
    EXPECT(!phi_inbound_part(&in, packet.payload, &part));
    expect_more(&in);
    receive(&in, bytes, 3);
    EXPECT(!phi_inbound_part(&in, packet.payload, &part)); // its place is another's
    expect_more(&in);
    phi_inbound_fini(&in);
    phi_outbound_fini(&out);
}

// Deciphered with another key there is no packet: the stream ends, or waits, and delivers nothing.
// [P-25]
TEST(inbound, wrong_key_delivers_nothing)
{
    phi_outbound out;
    phi_inbound in;
    phi_packet packet;
    phi_outbound_init(&out, &phi_alloc_heap, 1024);
    phi_inbound_init(&in, &phi_alloc_heap, 8192);
    EXPECT_ERR(phi_outbound_suite(&out, &phi_alloc_heap, PHI_SUITE_PAPER, key, iv), PH_OK);
    uint8_t other[PHI_CIPHER_KEY_BYTES] = { 9 };
    EXPECT_ERR(phi_inbound_suite(&in, PHI_SUITE_PAPER, other, iv), PH_OK);
    send_packet(&out, PHI_COMMAND_MESSAGE, phi_bytes_text("secret"));
    phi_bytes all = phi_outbound_seal(&out);
    receive(&in, all.data, all.size);
    EXPECT(phi_inbound_next(&in, &packet) != PHI_INBOUND_PACKET);
    phi_outbound_fini(&out);
    phi_inbound_fini(&in);
}

// No memory for a beginning, or for the cipher: said, and nothing is left behind.
TEST(inbound, nth_allocation_failing_is_said)
{
    for (size_t n = 1;; n++) {
        phi_alloc_counter counter;
        phi_alloc_counter_init(&counter, &phi_alloc_heap);
        counter.fail_at = n;
        static uint8_t bytes[3000];
        phi_inbound in;
        phi_packet packet;
        bool has_failed = false;
        phi_inbound_init(&in, &counter.alloc, 8192);
        if (phi_inbound_suite(&in, PHI_SUITE_PAPER, key, iv) != PH_OK) {
            has_failed = true;
            EXPECT_EQ(in.suite, PHI_SUITE_PLAIN);
        }
        phi_put_u32(bytes, sizeof bytes);
        for (size_t at = 0; at < sizeof bytes && !has_failed; at += 300) {
            uint8_t chunk[300];
            memcpy(chunk, bytes + at, sizeof chunk);
            phi_cipher twin; // enciphers, so that it can be deciphered
            EXPECT_ERR(phi_cipher_init(&twin, &phi_alloc_heap, key, iv), PH_OK);
            static uint8_t skip[3000];
            phi_cipher_apply(&twin, (phi_span){ skip, at });
            phi_cipher_apply(&twin, (phi_span){ chunk, sizeof chunk });
            phi_cipher_fini(&twin);
            receive(&in, chunk, sizeof chunk);
            phi_inbound_result result = phi_inbound_next(&in, &packet);
            has_failed = result == PHI_INBOUND_MEMORY;
            EXPECT(result != PHI_INBOUND_LENGTH);
        }
        phi_inbound_fini(&in);
        EXPECT_EQ(counter.blocks, 0);
        if (counter.takes < n) {
            EXPECT(!has_failed);
            EXPECT(n > 4); // the cipher's, the first block, its growth; and what need not be there
            break;
        }
    }
}

// ---- keeping

// A stream of packets of different sizes in `suite`, cut into chunks of `chunk` bytes, of each of
// which the rest is kept after every packet. Returns how many came out, as they went in.
static uint32_t count_kept(phi_suite suite, size_t chunk)
{
    const uint8_t *k = suite == PHI_SUITE_PAPER ? key : NULL;
    const uint8_t *v = suite == PHI_SUITE_PAPER ? iv : NULL;
    static uint8_t filling[40];
    phi_alloc_counter counter;
    phi_alloc_counter_init(&counter, &phi_alloc_heap);
    phi_outbound out;
    phi_inbound in;
    phi_outbound_init(&out, &phi_alloc_heap, 4096);
    phi_inbound_init(&in, &counter.alloc, 8192);
    EXPECT_ERR(phi_outbound_suite(&out, &phi_alloc_heap, suite, k, v), PH_OK);
    EXPECT_ERR(phi_inbound_suite(&in, suite, k, v), PH_OK);
    for (uint16_t i = 0; i < 20; i++) {
        send_packet(&out, i, phi_bytes_of(filling, i * 2u));
    }
    phi_bytes all = phi_outbound_seal(&out);
    uint16_t count = 0;
    for (size_t at = 0; at < all.size; at += chunk) {
        uint8_t bytes[1024];
        size_t size = all.size - at < chunk ? all.size - at : chunk;
        memcpy(bytes, all.data + at, size);
        phi_inbound_receive(&in, (phi_span){ bytes, size });
        phi_packet packet;
        while (phi_inbound_next(&in, &packet) == PHI_INBOUND_PACKET) {
            EXPECT_EQ(packet.command, count);
            EXPECT(phi_bytes_equal(packet.payload, phi_bytes_of(filling, count * 2u)));
            count++;
            EXPECT(phi_inbound_keep(&in, &counter.alloc));
            memset(bytes, 0xdd, size); // it was the loop's, and others have read into it since
        }
        EXPECT_EQ(phi_inbound_kept(&in), 0); // used up
    }
    phi_outbound_fini(&out);
    phi_inbound_fini(&in);
    EXPECT_EQ(counter.blocks, 0);
    return count;
}

// A receiver that wants a pause in the middle of a chunk must get the rest later as it was, however
// far it was deciphered and wherever the stream was cut. [P-2]
TEST(inbound, rest_of_a_chunk_can_be_kept)
{
    for (int suite = 0; suite < PHI_SUITE_COUNT; suite++) {
        for (size_t chunk = 1; chunk <= 700; chunk += chunk < 60 ? 1 : 37) {
            EXPECT_EQ(count_kept((phi_suite)suite, chunk), 20);
        }
    }
}

// A link that ends while something is kept, or for which there is no memory to keep it, must leave
// nothing behind.
TEST(inbound, what_is_kept_is_given_back)
{
    static const uint8_t bytes[] = { 0, 0, 0, 6, 0, 1, 0, 0, 0, 6, 0, 1 };
    phi_alloc_counter counter;
    phi_alloc_counter_init(&counter, &phi_alloc_heap);
    phi_inbound in;
    phi_inbound_init(&in, &counter.alloc, PHI_PACKET_BYTES_MAX);
    receive(&in, bytes, sizeof bytes);
    expect_packet(&in, PHI_COMMAND_HEARTBEAT, NOTHING);
    counter.fail_at = counter.takes + 1;
    EXPECT(!phi_inbound_keep(&in, &counter.alloc));
    EXPECT(phi_inbound_keep(&in, &counter.alloc));
    EXPECT_EQ(phi_inbound_kept(&in), 6);
    EXPECT(counter.bytes <= 6 + 16); // no more than what is left, and whose it is
    EXPECT(phi_inbound_keep(&in, &counter.alloc));
    EXPECT_EQ(counter.blocks, 1);
    phi_inbound_fini(&in);
    EXPECT_EQ(counter.blocks, 0);
}

// ---- names of suites

// [P-20] [P-22]
TEST(suite, names_and_ranks)
{
    phi_suite suite = PHI_SUITE_COUNT;
    for (int i = 0; i < PHI_SUITE_COUNT; i++) {
        EXPECT(phi_suite_of_name(phi_bytes_text(phi_suite_name((phi_suite)i)), &suite));
        EXPECT_EQ(suite, i);
    }
    EXPECT(phi_suite_rank(PHI_SUITE_PLAIN) < phi_suite_rank(PHI_SUITE_CHECK));
    EXPECT(phi_suite_rank(PHI_SUITE_CHECK) < phi_suite_rank(PHI_SUITE_PAPER));
    EXPECT(!phi_suite_of_name(phi_bytes_text("Plain"), &suite));
    EXPECT(!phi_suite_of_name(phi_bytes_text(""), &suite));
}
