// SPDX-License-Identifier: Apache-2.0
//
// wire/cipher.c - AES-256-OFB by way of AES-256-CBC over zeros.
//
// Design notes
//
// OFB is O[1] = E(iv), O[i] = E(O[i-1]), and the data combined with O. CBC is C[i] = E(P[i] ^
// C[i-1]) with C[0] = iv; over zeros it is the same chain. OpenSSL has CBC in assembly from end to
// end, while its OFB calls the block cipher once per 16 bytes and combines word by word.
//
// The key stream is made STREAM_BYTES at a time: one call into the crypto library for several
// packets. More would make that call still rarer (at 1 KiB it is some 4 % of the time), but 10,000
// idle links hold two such buffers each.
//
// Invariants: at <= size <= STREAM_BYTES; bytes of `stream` before `at` were used and are wiped
// when the next ones take their place, or by fini.
//
// Clauses: P-25.

#include "wire/cipher.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/assert.h"
#include "wire/wide.h"

#define BLOCK_BYTES 16u
#define STREAM_BYTES 1024u

PH_STATIC_ASSERT(STREAM_BYTES % BLOCK_BYTES == 0);
PH_STATIC_ASSERT(PHI_CIPHER_IV_BYTES == BLOCK_BYTES);

static const uint8_t zeros[STREAM_BYTES];

static void cipher_xor(uint8_t *data, const uint8_t *stream, size_t size);

ph_err phi_cipher_init(phi_cipher *cipher, const phi_alloc *alloc,
                       const uint8_t key[PHI_CIPHER_KEY_BYTES],
                       const uint8_t iv[PHI_CIPHER_IV_BYTES])
{
    PH_ASSERT(alloc != NULL);
    PH_ASSERT(key != NULL);
    PH_ASSERT(iv != NULL);

    uint8_t *stream = phi_take(alloc, STREAM_BYTES);
    if (stream == NULL) {
        return PH_ENOMEM;
    }
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    if (context == NULL) {
        goto fail_stream;
    }
    // With a good key the only thing that can go wrong here is memory.
    if (EVP_EncryptInit_ex2(context, EVP_aes_256_cbc(), key, iv, NULL) != 1) {
        goto fail_context;
    }
    EVP_CIPHER_CTX_set_padding(context, 0);

    *cipher = (phi_cipher){ .alloc = alloc, .context = context, .stream = stream };
    return PH_OK;

fail_context:
    EVP_CIPHER_CTX_free(context);
fail_stream:
    phi_give(alloc, stream, STREAM_BYTES);
    return PH_ENOMEM;
}

void phi_cipher_fini(phi_cipher *cipher)
{
    if (cipher->context == NULL) {
        return;
    }
    EVP_CIPHER_CTX_free(cipher->context); // wipes the key schedule
    OPENSSL_cleanse(cipher->stream, STREAM_BYTES);
    phi_give(cipher->alloc, cipher->stream, STREAM_BYTES);
    *cipher = (phi_cipher){ 0 };
}

void phi_cipher_apply(phi_cipher *cipher, phi_span bytes)
{
    PH_ASSERT(cipher->context != NULL);
    PH_ASSERT(cipher->at <= cipher->size);

    while (bytes.size != 0) {
        if (cipher->at == cipher->size) {
            phi_cipher_ahead(cipher);
        }
        size_t left = cipher->size - cipher->at;
        size_t n = bytes.size < left ? bytes.size : left;
        PH_ASSERT(n != 0);
        cipher_xor(bytes.data, cipher->stream + cipher->at, n);
        cipher->at += n;
        bytes.data += n;
        bytes.size -= n;
    }
}

void phi_cipher_ahead(phi_cipher *cipher)
{
    PH_ASSERT(cipher->context != NULL);
    PH_ASSERT(cipher->at <= cipher->size);

    // What is left moves to the front; only whole blocks can be made behind it.
    size_t left = cipher->size - cipher->at;
    size_t room = (STREAM_BYTES - left) / BLOCK_BYTES * BLOCK_BYTES;
    if (room == 0) {
        return;
    }
    memmove(cipher->stream, cipher->stream + cipher->at, left);
    int made = 0;
    int ok = EVP_EncryptUpdate(cipher->context, cipher->stream + left, &made, zeros, (int)room);
    PH_ASSERT(ok == 1);
    PH_ASSERT(made == (int)room);
    cipher->at = 0;
    cipher->size = left + room;
}

static void cipher_xor(uint8_t *data, const uint8_t *stream, size_t size)
{
    size_t i = 0;
    for (; size - i >= 4 * sizeof(phi_wide); i += 4 * sizeof(phi_wide)) {
        phi_wide_store(data + i, phi_wide_load(data + i) ^ phi_wide_load(stream + i));
        phi_wide_store(data + i + 16,
                       phi_wide_load(data + i + 16) ^ phi_wide_load(stream + i + 16));
        phi_wide_store(data + i + 32,
                       phi_wide_load(data + i + 32) ^ phi_wide_load(stream + i + 32));
        phi_wide_store(data + i + 48,
                       phi_wide_load(data + i + 48) ^ phi_wide_load(stream + i + 48));
    }
    for (; size - i >= sizeof(uint64_t); i += sizeof(uint64_t)) {
        uint64_t a;
        uint64_t b;
        memcpy(&a, data + i, sizeof a);
        memcpy(&b, stream + i, sizeof b);
        a ^= b;
        memcpy(data + i, &a, sizeof a);
    }
    for (; i < size; i++) {
        data[i] ^= stream[i];
    }
}
