// SPDX-License-Identifier: Apache-2.0

#include "io/tls_hello.h"

#include "tests/harness/test.h"

// A record of a type, in front of what `out` holds then; returns its size.
static size_t record(uint8_t *out, uint8_t type, const uint8_t *bytes, size_t size)
{
    out[0] = type;
    out[1] = 3;
    out[2] = 1;
    phi_put_u16(out + 3, (uint16_t)size);
    memcpy(out + 5, bytes, size);
    return 5 + size;
}

// The head of a message, with `size` bytes of nothing behind it.
static size_t message(uint8_t *out, uint8_t type, uint32_t announced, size_t size)
{
    out[0] = type;
    out[1] = (uint8_t)(announced >> 16);
    phi_put_u16(out + 2, (uint16_t)announced);
    memset(out + 4, 0, size);
    return 4 + size;
}

// Gives it all, cut into pieces of that size.
static bool watched(phi_tls_hello *h, const uint8_t *bytes, size_t size, size_t piece)
{
    *h = (phi_tls_hello){ .is_done = false };
    for (size_t at = 0; at < size; at += piece) {
        size_t n = size - at < piece ? size - at : piece;
        if (!phi_tls_hello_watch(h, phi_bytes_of(bytes + at, n))) {
            return false;
        }
    }
    return true;
}

static const size_t pieces[] = { 1, 2, 3, 5, 7, 100, SIZE_MAX };

// A client that says hello as it should must get in, also by a second hello when it is asked for.
TEST(tls_hello, usual_ones_pass_however_they_are_cut)
{
    uint8_t inner[600];
    uint8_t bytes[2000];
    size_t hello = message(inner, 1, 512, 512);
    size_t size = record(bytes, 22, inner, 300);
    size += record(bytes + size, 22, inner + 300, hello - 300);
    size += record(bytes + size, 20, (const uint8_t[]){ 1 }, 1);
    size += record(bytes + size, 22, inner, hello);
    for (size_t i = 0; i < PHI_COUNT_OF(pieces); i++) {
        phi_tls_hello h;
        EXPECT(watched(&h, bytes, size, pieces[i]));
        EXPECT(!h.is_done);
        size_t whole = size + record(bytes + size, 23, inner, 40);
        EXPECT(watched(&h, bytes, whole, pieces[i]));
        EXPECT(h.is_done);
    }
}

// Nine bytes would cost 128 KiB.
TEST(tls_hello, long_ones_are_refused_by_their_head)
{
    uint8_t inner[64];
    uint8_t bytes[200];
    static const uint32_t sizes[] = { PHI_TLS_HELLO_BYTES_MAX + 1, 0x10000, 131072, 0xffffff };
    for (size_t s = 0; s < PHI_COUNT_OF(sizes); s++) {
        (void)message(inner, 1, sizes[s], 0);
        size_t one = record(bytes, 22, inner, 4);
        size_t cut = record(bytes + one, 22, inner, 2); // the same in two records
        cut += record(bytes + one + cut, 22, inner + 2, 2);
        for (size_t i = 0; i < PHI_COUNT_OF(pieces); i++) {
            phi_tls_hello h;
            EXPECT(!watched(&h, bytes, one, pieces[i]));
            EXPECT(!watched(&h, bytes + one, cut, pieces[i]));
        }
    }
    (void)message(inner, 1, PHI_TLS_HELLO_BYTES_MAX, 0);
    phi_tls_hello h;
    EXPECT(watched(&h, bytes, record(bytes, 22, inner, 4), 1));
}

// The second is as much a stranger's as the first.
TEST(tls_hello, second_one_is_watched_too)
{
    uint8_t inner[64];
    uint8_t bytes[200];
    size_t size = record(bytes, 22, inner, message(inner, 1, 20, 20));
    size += record(bytes + size, 20, (const uint8_t[]){ 1 }, 1);
    size += record(bytes + size, 22, inner, message(inner, 1, 100000, 0));
    phi_tls_hello h;
    EXPECT(!watched(&h, bytes, size, 3));
}

// What is no hello is for others to judge: a certificate has its own limit, and noise its alert.
TEST(tls_hello, everything_else_ends_the_look)
{
    uint8_t inner[64];
    uint8_t bytes[200];
    phi_tls_hello h;
    size_t size = record(bytes, 22, inner, message(inner, 1, 20, 20));
    size += record(bytes + size, 22, inner, message(inner, 11, 0xffffff, 20));
    EXPECT(watched(&h, bytes, size, 1));
    EXPECT(h.is_done);
    EXPECT(watched(&h, (const uint8_t *)"GET / HTTP/1.1\r\n", 16, 1));
    EXPECT(h.is_done);
    size = record(bytes, 22, inner, 0); // empty ones lead nowhere, and not round and round
    size += record(bytes + size, 22, inner, 0);
    EXPECT(watched(&h, bytes, size, 1));
    EXPECT(!h.is_done);
}
