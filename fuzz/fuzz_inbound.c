// SPDX-License-Identifier: Apache-2.0
//
// fuzz/fuzz_inbound.c - packet cutting, one program for each suite (FUZZ_SUITE).
//
// Input    control u8 | seed u16 | stream
// Control  1: the stream is clear, and its checks are put right first, so that more than the first
//          packet of a checked suite is reached; otherwise it is what came over the wire
//          6: the largest packet: 64, 8,192 or 65,536
// Oracle   whole, byte by byte and in random cuttings (from the seed), with or without a receiver
//          that now and then keeps the rest of a chunk for later, give the same packets and the
//          same end [P-2]; what was put right is delivered, all of it

#include "fuzz/fuzz.h"

#include <string.h>

#include "base/random.h"
#include "wire/inbound.h"

#define CONTROL_BYTES 3
#define REPAIR 1
#define STREAM_BYTES_MAX (1 << 20)

static const uint8_t key[PHI_CIPHER_KEY_BYTES] = { 1, 2, 3, 4 };
static const uint8_t iv[PHI_CIPHER_IV_BYTES] = { 5, 6, 7, 8 };
static const uint32_t limits[] = { 64, 8192, 65536, 65536 };

typedef struct result {
    size_t packets;
    uint64_t hash; // of all packets, in order
    phi_inbound_result end;
} result;

static bool has_cipher(void)
{
    return FUZZ_SUITE == PHI_SUITE_PAPER;
}

static uint64_t hash_add(uint64_t hash, const phi_packet *packet)
{
    hash = (hash ^ packet->command) * UINT64_C(0x100000001b3);
    hash = (hash ^ packet->payload.size) * UINT64_C(0x100000001b3);
    for (size_t i = 0; i < packet->payload.size; i++) {
        hash = (hash ^ packet->payload.data[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

// In chunks of 1 to `most` bytes (0: in one). Each stands at the end of its block, so that
// AddressSanitizer sees a byte read too far, and is spoilt afterwards, so that a view kept of it
// shows. `keep_percent` of the packets are followed by phi_inbound_keep.
static result run(phi_bytes stream, uint32_t bytes_max, size_t most, uint32_t keep_percent,
                  uint64_t seed)
{
    phi_random random = phi_random_seeded(seed);
    phi_inbound in;
    phi_packet packet;
    result r = { .end = PHI_INBOUND_MORE };
    phi_inbound_init(&in, &phi_alloc_heap, bytes_max);
    fuzz_expect(phi_inbound_suite(&in, FUZZ_SUITE, has_cipher() ? key : NULL,
                                  has_cipher() ? iv : NULL) == PH_OK,
                "no cipher");
    uint8_t *block = malloc(stream.size + 1);
    fuzz_expect(block != NULL, "no memory");
    for (size_t at = 0; at < stream.size && r.end == PHI_INBOUND_MORE;) {
        size_t n = most == 0 ? stream.size : (size_t)phi_random_between(&random, 1, most);
        n = n < stream.size - at ? n : stream.size - at;
        uint8_t *chunk = block + stream.size + 1 - n;
        memcpy(chunk, stream.data + at, n);
        at += n;
        phi_inbound_receive(&in, (phi_span){ chunk, n });
        while ((r.end = phi_inbound_next(&in, &packet)) == PHI_INBOUND_PACKET) {
            r.packets++;
            r.hash = hash_add(r.hash, &packet);
            if (phi_random_chance(&random, keep_percent)) {
                fuzz_expect(phi_inbound_keep(&in, &phi_alloc_heap), "no memory");
                memset(chunk, 0xaa, n);
            }
        }
        memset(chunk, 0xaa, n);
    }
    free(block);
    phi_inbound_fini(&in);
    return r;
}

// Puts the checks right and enciphers. Says how many packets must come.
static size_t repair(phi_span stream, uint32_t bytes_max)
{
    size_t packets = 0;
    size_t at = 0;
    size_t size = 0;
    phi_check check = { 0 };
    for (;;) {
        phi_bytes rest = phi_bytes_of(stream.data + at, stream.size - at);
        if (phi_packet_cut(rest, FUZZ_SUITE, bytes_max, &size) != PHI_CUT_PACKET) {
            break;
        }
        if (phi_suite_is_checked(FUZZ_SUITE)) {
            uint16_t sum = phi_check_packet(&check, phi_bytes_of(rest.data, size));
            phi_put_u16(stream.data + at + 4, sum);
        }
        packets++;
        at += size;
    }
    if (has_cipher()) {
        phi_cipher cipher;
        fuzz_expect(phi_cipher_init(&cipher, &phi_alloc_heap, key, iv) == PH_OK, "no cipher");
        phi_cipher_apply(&cipher, stream);
        phi_cipher_fini(&cipher);
    }
    return packets;
}

static void expect_same(result a, result b)
{
    fuzz_expect(a.end == b.end, "another end when cut otherwise");
    fuzz_expect(a.packets == b.packets, "more or fewer packets when cut otherwise");
    fuzz_expect(a.hash == b.hash, "other packets when cut otherwise");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t bytes[STREAM_BYTES_MAX];
    if (size < CONTROL_BYTES || size - CONTROL_BYTES > sizeof bytes) {
        return 0;
    }
    uint8_t control = data[0];
    uint16_t seed = phi_get_u16(data + 1);
    uint32_t bytes_max = limits[control >> 1 & 3];
    phi_span stream = { bytes, size - CONTROL_BYTES };
    memcpy(bytes, data + CONTROL_BYTES, stream.size);
    size_t expected = (control & REPAIR) != 0 ? repair(stream, bytes_max) : 0;

    phi_bytes view = phi_span_view(stream);
    result whole = run(view, bytes_max, 0, 0, seed);
    expect_same(whole, run(view, bytes_max, 0, 30, seed));
    expect_same(whole, run(view, bytes_max, 1, 0, seed));
    expect_same(whole, run(view, bytes_max, 2 + seed % 100, 10, seed));
    expect_same(whole, run(view, bytes_max, 2 + stream.size, 10, seed));
    if ((control & REPAIR) != 0) {
        fuzz_expect(whole.packets == expected, "a good packet was not delivered");
        fuzz_expect(whole.end != PHI_INBOUND_CHECK, "a good check was refused");
    }
    return 0;
}
