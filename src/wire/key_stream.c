// SPDX-License-Identifier: Apache-2.0
//
// wire/key_stream.c - several AES-256-OFB chains side by side.
//
// Design notes
//
// With AES instructions a block costs 14 of them, each waiting for the one before: some 57 cycles,
// in which the unit could have taken 100 and more. So the inner loop does the same round of every
// chain before the next round of any. The number of chains is a constant in there (there is one
// loop for each), so that their states stay in registers.
//
// Between two blocks of a chain stand the last key of one and the first key of the next, both
// combined by exclusive or. The state is carried on with both in one (round key 15 is the two
// combined), and the block itself is taken off to the side: one step less to wait for.
//
// Without them each chain is made by the crypto library as AES-256-CBC over zeros, which is the
// same chain: OFB is O[i] = E(O[i-1]), CBC is C[i] = E(P[i] ^ C[i-1]). OpenSSL has CBC in assembly
// from end to end, while its OFB calls the block cipher once per 16 bytes. A CBC context carries
// its own last block; context_at says which, and it is set anew where the caller goes on elsewhere.
//
// The key schedule uses the last round with a zero key as S-box: all four columns of the state are
// the same word, so ShiftRows changes nothing. Words are kept in memory order throughout.
//
// Neither way has tables or branches that depend on secrets.
//
// Clauses: P-25.

#include "wire/key_stream.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/assert.h"
#include "wire/aes.h"

#define BLOCK_BYTES PHI_KEY_STREAM_BLOCK_BYTES
#define CHAINS_MAX PHI_KEY_STREAM_CHAINS_MAX
#define ROUNDS 14u
#define KEY_FIRST 0u
#define KEY_LAST ROUNDS
#define KEY_BETWEEN (ROUNDS + 1)  // KEY_LAST ^ KEY_FIRST
#define WORDS (4u * (ROUNDS + 1)) // of the key schedule
#define KEY_WORDS 8u
#define ZEROS_BYTES 4096u

PH_STATIC_ASSERT(sizeof(phi_wide) == BLOCK_BYTES);
PH_STATIC_ASSERT(PHI_KEY_STREAM_ROUND_KEYS == KEY_BETWEEN + 1);
PH_STATIC_ASSERT(ZEROS_BYTES % BLOCK_BYTES == 0);

static const uint8_t zeros[ZEROS_BYTES];

static void processor_expand(phi_key_stream *chain, const uint8_t *key);
static void processor_make(const phi_key_stream_part *parts, size_t count, size_t blocks);
static ph_err library_init(phi_key_stream *chain, const uint8_t *key);
static void library_make(const phi_key_stream_part *part, size_t blocks);

phi_key_stream_way phi_key_stream_best(void)
{
    return phi_aes_is_here() ? PHI_KEY_STREAM_PROCESSOR : PHI_KEY_STREAM_LIBRARY;
}

ph_err phi_key_stream_init(phi_key_stream *chain, phi_key_stream_way way,
                           const uint8_t key[PHI_KEY_STREAM_KEY_BYTES])
{
    PH_ASSERT(chain != NULL);
    PH_ASSERT(key != NULL);
    PH_ASSERT(way < PHI_KEY_STREAM_WAY_COUNT);

    if (way == PHI_KEY_STREAM_LIBRARY) {
        return library_init(chain, key);
    }
    PH_ASSERT(phi_aes_is_here());
    *chain = (phi_key_stream){ .way = way };
    processor_expand(chain, key);
    return PH_OK;
}

void phi_key_stream_fini(phi_key_stream *chain)
{
    EVP_CIPHER_CTX_free(chain->context); // wipes the key schedule; accepts NULL
    OPENSSL_cleanse(chain, sizeof *chain);
}

void phi_key_stream_make(const phi_key_stream_part *parts, size_t count, size_t blocks)
{
    PH_ASSERT(count >= 1);
    PH_ASSERT(count <= CHAINS_MAX);
    for (size_t i = 0; i < count; i++) {
        PH_ASSERT(parts[i].room != NULL);
        PH_ASSERT(parts[i].chain->way == PHI_KEY_STREAM_PROCESSOR || count == 1);
    }
    if (parts[0].chain->way == PHI_KEY_STREAM_LIBRARY) {
        library_make(parts, blocks);
    } else {
        processor_make(parts, count, blocks);
    }
}

// ---- with the processor's instructions

// The S-box for each byte of a word.
static PHI_AES_CODE uint32_t processor_substitute(uint32_t word)
{
    uint64_t twice = (uint64_t)word << 32 | word;
    phi_wide state = { twice, twice };
    return (uint32_t)phi_aes_last(state, (phi_wide){ 0, 0 })[0];
}

// FIPS 197, 5.2.
static PHI_AES_CODE void processor_expand(phi_key_stream *chain, const uint8_t *key)
{
    uint32_t words[WORDS];
    memcpy(words, key, PHI_KEY_STREAM_KEY_BYTES);
    uint32_t constant = 1;
    for (size_t i = KEY_WORDS; i < WORDS; i++) {
        uint32_t word = words[i - 1];
        if (i % KEY_WORDS == 0) {
            // The bytes in memory order b0 b1 b2 b3 become b1 b2 b3 b0, and the constant goes to
            // the first of them.
            word = processor_substitute(word);
            word = (word >> 8 | word << 24) ^ constant;
            constant <<= 1;
        } else if (i % KEY_WORDS == 4) {
            word = processor_substitute(word);
        }
        words[i] = words[i - KEY_WORDS] ^ word;
    }
    memcpy(chain->round_keys, words, sizeof words);
    chain->round_keys[KEY_BETWEEN] = chain->round_keys[KEY_LAST] ^ chain->round_keys[KEY_FIRST];
    OPENSSL_cleanse(words, sizeof words);
}

// `count` is a constant at each place this is called from.
static PHI_ALWAYS_INLINE PHI_AES_CODE void processor_make_some(const phi_key_stream_part *parts,
                                                               size_t count, size_t blocks)
{
    const phi_wide *keys[CHAINS_MAX];
    phi_wide states[CHAINS_MAX]; // the block before, combined with the first key
    PHI_UNROLL
    for (size_t i = 0; i < count; i++) {
        keys[i] = parts[i].chain->round_keys;
        states[i] = phi_wide_load(parts[i].room - BLOCK_BYTES) ^ keys[i][KEY_FIRST];
    }
    size_t end = blocks * BLOCK_BYTES;
    for (size_t at = 0; at < end; at += BLOCK_BYTES) {
        for (size_t round = 1; round < ROUNDS; round++) {
            PHI_UNROLL
            for (size_t i = 0; i < count; i++) {
                states[i] = phi_aes_round(states[i], keys[i][round]);
            }
        }
        PHI_UNROLL
        for (size_t i = 0; i < count; i++) {
            states[i] = phi_aes_last(states[i], keys[i][KEY_BETWEEN]);
            phi_wide_store(parts[i].room + at, states[i] ^ keys[i][KEY_FIRST]);
        }
    }
}

static PHI_AES_CODE void processor_make(const phi_key_stream_part *parts, size_t count,
                                        size_t blocks)
{
    switch (count) {
    case 1:
        processor_make_some(parts, 1, blocks);
        break;
    case 2:
        processor_make_some(parts, 2, blocks);
        break;
    case 3:
        processor_make_some(parts, 3, blocks);
        break;
    case 4:
        processor_make_some(parts, 4, blocks);
        break;
    case 5:
        processor_make_some(parts, 5, blocks);
        break;
    case 6:
        processor_make_some(parts, 6, blocks);
        break;
    case 7:
        processor_make_some(parts, 7, blocks);
        break;
    case 8:
        processor_make_some(parts, 8, blocks);
        break;
    default:
        PH_UNREACHABLE("more chains than fit");
    }
}

// ---- with the crypto library

static ph_err library_init(phi_key_stream *chain, const uint8_t *key)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    if (context == NULL) {
        return PH_ENOMEM;
    }
    // With a good key the only thing that can go wrong here is memory. The IV is not known yet.
    if (EVP_EncryptInit_ex2(context, EVP_aes_256_cbc(), key, zeros, NULL) != 1) {
        EVP_CIPHER_CTX_free(context);
        return PH_ENOMEM;
    }
    EVP_CIPHER_CTX_set_padding(context, 0);
    *chain = (phi_key_stream){ .way = PHI_KEY_STREAM_LIBRARY, .context = context };
    return PH_OK;
}

static void library_make(const phi_key_stream_part *part, size_t blocks)
{
    phi_key_stream *chain = part->chain;
    uint8_t *room = part->room;
    if (memcmp(chain->context_at, room - BLOCK_BYTES, BLOCK_BYTES) != 0) {
        int ok = EVP_EncryptInit_ex2(chain->context, NULL, NULL, room - BLOCK_BYTES, NULL);
        PH_ASSERT(ok == 1);
    }
    while (blocks != 0) {
        size_t n = blocks < ZEROS_BYTES / BLOCK_BYTES ? blocks : ZEROS_BYTES / BLOCK_BYTES;
        int made = 0;
        int ok = EVP_EncryptUpdate(chain->context, room, &made, zeros, (int)(n * BLOCK_BYTES));
        PH_ASSERT(ok == 1);
        PH_ASSERT((size_t)made == n * BLOCK_BYTES);
        room += n * BLOCK_BYTES;
        blocks -= n;
    }
    memcpy(chain->context_at, room - BLOCK_BYTES, BLOCK_BYTES);
}
