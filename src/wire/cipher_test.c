// SPDX-License-Identifier: Apache-2.0
//
// wire/cipher_test.c - the cipher beside OpenSSL's own AES-256-OFB.

#include "wire/cipher.h"

#include "tests/harness/test.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "base/random.h"

#define CLEAR_BYTES 40000

static uint8_t clear[CLEAR_BYTES];
static uint8_t expected[CLEAR_BYTES];
static uint8_t got[CLEAR_BYTES];
static uint8_t key[PHI_CIPHER_KEY_BYTES];
static uint8_t iv[PHI_CIPHER_IV_BYTES];

// ---- the crypto library's memory, so that it can fail

static size_t library_takes;
static size_t library_fail_at; // 0 never

static int library_fails(void)
{
    return ++library_takes == library_fail_at;
}

static void *library_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return library_fails() ? NULL : malloc(size);
}

static void *library_realloc(void *ptr, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return library_fails() ? NULL : realloc(ptr, size);
}

static void library_free(void *ptr, const char *file, int line)
{
    (void)file;
    (void)line;
    free(ptr);
}

// Only possible before the library took anything.
__attribute__((constructor)) static void library_memory(void)
{
    if (CRYPTO_set_mem_functions(library_malloc, library_realloc, library_free) != 1) {
        abort();
    }
}

// ---- fixture

static void cipher_random(uint64_t seed)
{
    phi_random random = phi_random_seeded(seed);
    for (size_t i = 0; i < sizeof key; i++) {
        key[i] = (uint8_t)phi_random_next(&random);
    }
    for (size_t i = 0; i < sizeof iv; i++) {
        iv[i] = (uint8_t)phi_random_next(&random);
    }
    for (size_t i = 0; i < sizeof clear; i++) {
        clear[i] = (uint8_t)phi_random_next(&random);
    }
    int done = 0;
    EVP_CIPHER_CTX *ofb = EVP_CIPHER_CTX_new();
    EXPECT_EQ(EVP_EncryptInit_ex2(ofb, EVP_aes_256_ofb(), key, iv, NULL), 1);
    EXPECT_EQ(EVP_EncryptUpdate(ofb, expected, &done, clear, sizeof clear), 1);
    EXPECT_EQ(done, sizeof clear);
    EVP_CIPHER_CTX_free(ofb);
    memcpy(got, clear, sizeof got);
}

// ---- tests

// The key stream runs on over packet boundaries, wherever they are, and however much of it was made
// ahead. [P-25]
TEST(cipher, any_cutting_is_as_openssl_ofb)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        cipher_random(seed);
        phi_random random = phi_random_seeded(seed);
        phi_cipher cipher;
        EXPECT_ERR(phi_cipher_init(&cipher, &phi_alloc_heap, key, iv), PH_OK);
        size_t most = seed % 2 == 0 ? 64 : 5000;
        for (size_t at = 0; at < sizeof got;) {
            size_t n = (size_t)phi_random_below(&random, most); // 0, too
            n = n < sizeof got - at ? n : sizeof got - at;
            phi_cipher_apply(&cipher, (phi_span){ got + at, n });
            at += n;
            if (phi_random_chance(&random, 20)) {
                phi_cipher_ahead(&cipher);
            }
        }
        EXPECT_BYTES(got, expected, sizeof got);
        phi_cipher_fini(&cipher);
    }
}

// Deciphering is the same as enciphering, from the same start. [P-25]
TEST(cipher, twice_is_clear_again)
{
    cipher_random(77);
    for (int i = 0; i < 2; i++) {
        phi_cipher cipher;
        EXPECT_ERR(phi_cipher_init(&cipher, &phi_alloc_heap, key, iv), PH_OK);
        phi_cipher_apply(&cipher, (phi_span){ got, sizeof got });
        phi_cipher_fini(&cipher);
    }
    EXPECT_BYTES(got, clear, sizeof got);
}

// Bytes around those enciphered stay as they are, for every length and alignment that the wide loop
// treats differently.
TEST(cipher, neighbours_are_not_touched)
{
    cipher_random(78);
    for (size_t size = 0; size < 150; size++) {
        size_t at = 16 + size % 16;
        phi_cipher cipher;
        memcpy(got, clear, sizeof got);
        EXPECT_ERR(phi_cipher_init(&cipher, &phi_alloc_heap, key, iv), PH_OK);
        phi_cipher_apply(&cipher, (phi_span){ got + at, size });
        EXPECT_BYTES(got, clear, at);
        EXPECT_BYTES(got + at + size, clear + at + size, 100);
        phi_cipher_fini(&cipher);
    }
}

// Every allocation, ours and the crypto library's, may fail: that is PH_ENOMEM, nothing is left
// behind and the cipher is as before.
TEST(cipher, no_memory_is_said_and_leaves_nothing)
{
    cipher_random(79);
    phi_alloc_counter counter;
    phi_alloc_counter_init(&counter, &phi_alloc_heap);
    phi_cipher cipher = { 0 };

    counter.fail_at = 1;
    EXPECT_ERR(phi_cipher_init(&cipher, &counter.alloc, key, iv), PH_ENOMEM);
    EXPECT(cipher.context == NULL);
    EXPECT_EQ(counter.blocks, 0);

    // The library may live without some of its allocations; then the cipher must be right.
    counter.fail_at = 0;
    size_t refused = 0;
    bool has_failed = true;
    for (size_t n = 1; has_failed; n++) {
        library_fail_at = n;
        library_takes = 0;
        ph_err rc = phi_cipher_init(&cipher, &counter.alloc, key, iv);
        if (rc == PH_OK) {
            memcpy(got, clear, sizeof got);
            phi_cipher_apply(&cipher, (phi_span){ got, sizeof got });
            EXPECT_BYTES(got, expected, sizeof got);
            phi_cipher_fini(&cipher);
        } else {
            EXPECT_ERR(rc, PH_ENOMEM);
            EXPECT(cipher.context == NULL);
            refused++;
        }
        EXPECT_EQ(counter.blocks, 0);
        EXPECT(n < 1000);
        has_failed = library_takes >= n; // else there is no n-th allocation
    }
    library_fail_at = 0;
    EXPECT(refused >= 2); // the context's and the provider's at least
}

// An allocator that looks at what it gets back.
typedef struct looking_alloc {
    phi_alloc alloc;
    bool is_wiped;
} looking_alloc;

static void *looking_take(void *arg, size_t size)
{
    (void)arg;
    return malloc(size);
}

static void looking_give(void *arg, void *ptr, size_t size)
{
    looking_alloc *a = arg;
    a->is_wiped = true;
    for (size_t i = 0; i < size; i++) {
        a->is_wiped = a->is_wiped && ((uint8_t *)ptr)[i] == 0;
    }
    free(ptr);
}

// Key stream that went back to the heap could decipher what was recorded.
TEST(cipher, fini_wipes_the_key_stream)
{
    cipher_random(80);
    looking_alloc looking = { .alloc = { .take = looking_take, .give = looking_give } };
    looking.alloc.arg = &looking;
    phi_cipher cipher;
    EXPECT_ERR(phi_cipher_init(&cipher, &looking.alloc, key, iv), PH_OK);
    phi_cipher_ahead(&cipher);
    EXPECT(cipher.size > 0);
    phi_cipher_fini(&cipher);
    EXPECT(looking.is_wiped);
    EXPECT(cipher.context == NULL);
    phi_cipher_fini(&cipher); // a zeroed one is accepted
}
