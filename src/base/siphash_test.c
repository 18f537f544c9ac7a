// SPDX-License-Identifier: Apache-2.0

#include "base/siphash.h"

#include "tests/harness/test.h"

// SipHash-c-d written down from section 2 of the paper, without regard to speed. It proves itself
// with the paper's own vector for 2-4 and is then asked for 1-3.
static uint64_t rotate(uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

static void rounds(uint64_t v[4], int count)
{
    for (int i = 0; i < count; i++) {
        v[0] += v[1];
        v[1] = rotate(v[1], 13);
        v[1] ^= v[0];
        v[0] = rotate(v[0], 32);
        v[2] += v[3];
        v[3] = rotate(v[3], 16);
        v[3] ^= v[2];
        v[0] += v[3];
        v[3] = rotate(v[3], 21);
        v[3] ^= v[0];
        v[2] += v[1];
        v[1] = rotate(v[1], 17);
        v[1] ^= v[2];
        v[2] = rotate(v[2], 32);
    }
}

static uint64_t reference(int c, int d, phi_hash_key key, const uint8_t *bytes, size_t size)
{
    uint64_t v[4] = {
        key.k0 ^ UINT64_C(0x736f6d6570736575),
        key.k1 ^ UINT64_C(0x646f72616e646f6d),
        key.k0 ^ UINT64_C(0x6c7967656e657261),
        key.k1 ^ UINT64_C(0x7465646279746573),
    };
    size_t words = size / 8 + 1;
    for (size_t w = 0; w < words; w++) {
        uint64_t m = 0;
        for (size_t i = 0; i < 8; i++) {
            size_t at = w * 8 + i;
            uint64_t byte = at < size ? bytes[at] : at == words * 8 - 1 ? size & 0xff : 0;
            m |= byte << (8 * i);
        }
        v[3] ^= m;
        rounds(v, c);
        v[0] ^= m;
    }
    v[2] ^= 0xff;
    rounds(v, d);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static const phi_hash_key paper_key = { UINT64_C(0x0706050403020100),
                                        UINT64_C(0x0f0e0d0c0b0a0908) };

// A hash that is not SipHash has none of its proofs: peers could choose colliding names.
TEST(siphash, equals_the_definition)
{
    uint8_t bytes[300];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)i;
    }
    // Appendix A of the paper.
    EXPECT_EQ(reference(2, 4, paper_key, bytes, 15), UINT64_C(0xa129ca6149be45e5));

    for (size_t size = 0; size <= sizeof bytes; size++) {
        EXPECT_EQ(phi_siphash(paper_key, phi_bytes_of(bytes, size)),
                  reference(1, 3, paper_key, bytes, size));
    }
    // Published for SipHash-1-3 and the same key: the empty input.
    EXPECT_EQ(phi_siphash(paper_key, phi_bytes_of(NULL, 0)), UINT64_C(0xabac0158050fc4dc));
}

// A key that is not used entirely would be a smaller key.
TEST(siphash, every_bit_of_the_key_matters)
{
    phi_bytes name = phi_bytes_text("orders");
    uint64_t base = phi_siphash(paper_key, name);
    for (int bit = 0; bit < 64; bit++) {
        phi_hash_key low = paper_key;
        phi_hash_key high = paper_key;
        low.k0 ^= UINT64_C(1) << bit;
        high.k1 ^= UINT64_C(1) << bit;
        EXPECT(phi_siphash(low, name) != base);
        EXPECT(phi_siphash(high, name) != base);
    }
}
