// SPDX-License-Identifier: Apache-2.0
//
// wire/key_stream_test.c - all ways of making key stream, beside NIST's example and OpenSSL's own
// AES-256-OFB.

#include "wire/key_stream.h"

#include "tests/harness/test.h"

#include <openssl/evp.h>
#include <string.h>

#include "base/random.h"

#define BLOCK PHI_KEY_STREAM_BLOCK_BYTES
#define KEY PHI_KEY_STREAM_KEY_BYTES
#define CHAINS PHI_KEY_STREAM_CHAINS_MAX
#define BLOCKS 600u // more than one call into the crypto library makes
#define AROUND 64u  // bytes that must not be touched
#define FILL 0xa5

typedef struct one {
    uint8_t key[KEY];
    phi_key_stream chain;
    uint8_t room[AROUND + BLOCK + BLOCKS * BLOCK + AROUND];
    uint8_t expected[BLOCKS * BLOCK];
} one;

static one ones[CHAINS];

// The place of the block before the first.
static uint8_t *before(one *o)
{
    return o->room + AROUND;
}

static phi_key_stream_part part(one *o)
{
    return (phi_key_stream_part){ &o->chain, before(o) + BLOCK };
}

static bool is_here(phi_key_stream_way way)
{
    return way <= phi_key_stream_best();
}

// OFB of zeros is the key stream.
static void one_start(one *o, phi_key_stream_way way, phi_random *random)
{
    memset(o->room, FILL, sizeof o->room);
    for (size_t i = 0; i < KEY; i++) {
        o->key[i] = (uint8_t)phi_random_next(random);
    }
    for (size_t i = 0; i < BLOCK; i++) {
        before(o)[i] = (uint8_t)phi_random_next(random);
    }
    static const uint8_t zeros[BLOCKS * BLOCK];
    int done = 0;
    EVP_CIPHER_CTX *ofb = EVP_CIPHER_CTX_new();
    EXPECT_EQ(EVP_EncryptInit_ex2(ofb, EVP_aes_256_ofb(), o->key, before(o), NULL), 1);
    EXPECT_EQ(EVP_EncryptUpdate(ofb, o->expected, &done, zeros, sizeof zeros), 1);
    EXPECT_EQ(done, sizeof zeros);
    EVP_CIPHER_CTX_free(ofb);
    EXPECT_ERR(phi_key_stream_init(&o->chain, way, o->key), PH_OK);
}

// ---- tests

// The output blocks of NIST's OFB-AES256 example, SP 800-38A F.4.5: a stream that differs is
// understood by nobody. [P-25]
TEST(key_stream, is_as_nist_says)
{
    static const uint8_t key[KEY] = {
        0x60, 0x3d, 0xeb, 0x10, 0x15, 0xca, 0x71, 0xbe, 0x2b, 0x73, 0xae,
        0xf0, 0x85, 0x7d, 0x77, 0x81, 0x1f, 0x35, 0x2c, 0x07, 0x3b, 0x61,
        0x08, 0xd7, 0x2d, 0x98, 0x10, 0xa3, 0x09, 0x14, 0xdf, 0xf4,
    };
    static const uint8_t expected[4 * BLOCK] = {
        0xb7, 0xbf, 0x3a, 0x5d, 0xf4, 0x39, 0x89, 0xdd, 0x97, 0xf0, 0xfa, 0x97, 0xeb,
        0xce, 0x2f, 0x4a, 0xe1, 0xc6, 0x56, 0x30, 0x5e, 0xd1, 0xa7, 0xa6, 0x56, 0x38,
        0x05, 0x74, 0x6f, 0xe0, 0x3e, 0xdc, 0x41, 0x63, 0x5b, 0xe6, 0x25, 0xb4, 0x8a,
        0xfc, 0x16, 0x66, 0xdd, 0x42, 0xa0, 0x9d, 0x96, 0xe7, 0xf7, 0xb9, 0x30, 0x58,
        0xb8, 0xbc, 0xe0, 0xff, 0xfe, 0xa4, 0x1b, 0xf0, 0x01, 0x2c, 0xd3, 0x94,
    };
    for (int w = 0; w < PHI_KEY_STREAM_WAY_COUNT; w++) {
        phi_key_stream_way way = (phi_key_stream_way)w;
        if (!is_here(way)) {
            continue;
        }
        phi_key_stream chain;
        EXPECT_ERR(phi_key_stream_init(&chain, way, key), PH_OK);
        uint8_t room[5 * BLOCK];
        for (uint8_t i = 0; i < BLOCK; i++) {
            room[i] = i;
        }
        phi_key_stream_make(&(phi_key_stream_part){ &chain, room + BLOCK }, 1, 4);
        EXPECT_BYTES(room + BLOCK, expected, sizeof expected);
        phi_key_stream_fini(&chain);
    }
}

static void expect_made(one *o, size_t blocks)
{
    uint8_t *room = before(o) + BLOCK;
    EXPECT_BYTES(room, o->expected, blocks * BLOCK);
    for (size_t i = 0; i < AROUND; i++) {
        EXPECT_EQ(o->room[i], FILL);
        EXPECT_EQ(room[blocks * BLOCK + i], FILL);
    }
}

// Chains side by side must not mix, however many there are, and nothing around their room may be
// written: that is other chains' key stream. [P-25]
TEST(key_stream, any_number_of_chains_is_as_openssl_ofb)
{
    phi_random random = phi_random_seeded(1);
    for (int w = 0; w < PHI_KEY_STREAM_WAY_COUNT; w++) {
        phi_key_stream_way way = (phi_key_stream_way)w;
        size_t most = phi_key_stream_together(way);
        for (size_t i = 0; i < 5 * most && is_here(way); i++) {
            size_t count = 1 + i % most;
            size_t blocks = i < most ? BLOCKS : (size_t)phi_random_below(&random, BLOCKS + 1);
            phi_key_stream_part parts[CHAINS];
            for (size_t j = 0; j < count; j++) {
                one_start(&ones[j], way, &random);
                parts[j] = part(&ones[j]);
            }
            phi_key_stream_make(parts, count, blocks);
            for (size_t j = 0; j < count; j++) {
                expect_made(&ones[j], blocks);
                phi_key_stream_fini(&ones[j].chain);
            }
        }
    }
}

// A chain goes on from the block it is shown, be it an earlier one: that is how a window is given
// back. The crypto library, which has a place of its own, must notice. [P-25]
TEST(key_stream, goes_on_from_any_block)
{
    phi_random random = phi_random_seeded(2);
    for (int w = 0; w < PHI_KEY_STREAM_WAY_COUNT; w++) {
        if (!is_here((phi_key_stream_way)w)) {
            continue;
        }
        one *o = &ones[0];
        one_start(o, (phi_key_stream_way)w, &random);
        for (int i = 0; i < 200; i++) {
            size_t at = (size_t)phi_random_below(&random, BLOCKS);
            size_t blocks = (size_t)phi_random_below(&random, BLOCKS - at + 1);
            uint8_t room[BLOCK + BLOCKS * BLOCK];
            memcpy(room, at == 0 ? before(o) : o->expected + (at - 1) * BLOCK, BLOCK);
            phi_key_stream_make(&(phi_key_stream_part){ &o->chain, room + BLOCK }, 1, blocks);
            EXPECT_BYTES(room + BLOCK, o->expected + at * BLOCK, blocks * BLOCK);
        }
        phi_key_stream_fini(&o->chain);
    }
}

// Who finds the key in memory that was given back can read everything.
TEST(key_stream, fini_wipes_the_key)
{
    static const phi_key_stream wiped;
    phi_random random = phi_random_seeded(3);
    one_start(&ones[0], phi_key_stream_best(), &random);
    phi_key_stream_fini(&ones[0].chain);
    EXPECT_BYTES(&ones[0].chain, &wiped, sizeof wiped);
    phi_key_stream_fini(&ones[0].chain); // a zeroed one is accepted
}
