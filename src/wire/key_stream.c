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
// Four states fit into one vector where there are instructions for that (VAES with AVX-512): a
// quarter of the instructions, and more chains at once before the unit is busy. Then the keys have
// to stand side by side, too; placing them takes as long as two or three blocks. Lanes that are left
// over in the last vector do once more what the first chain does, and write the same to the same
// place.
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
// No way has tables or branches that depend on secrets.
//
// Clauses: P-25.

#include "wire/key_stream.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdatomic.h>

#include "base/assert.h"
#include "wire/aes.h"

#define BLOCK_BYTES PHI_KEY_STREAM_BLOCK_BYTES
#define CHAINS_MAX PHI_KEY_STREAM_CHAINS_MAX
#define PROCESSOR_CHAINS_MAX 8u // more states than that and their keys find no registers
#define LANES PHI_AES_QUAD_LANES
#define ROUNDS 14u
#define KEY_FIRST 0u
#define KEY_LAST ROUNDS
#define KEY_BETWEEN (ROUNDS + 1)  // KEY_LAST ^ KEY_FIRST
#define WORDS (4u * (ROUNDS + 1)) // of the key schedule
#define KEY_WORDS 8u
#define ZEROS_BYTES 4096u

PH_STATIC_ASSERT(sizeof(phi_wide) == BLOCK_BYTES);
PH_STATIC_ASSERT(sizeof(phi_aes_quad) == LANES * BLOCK_BYTES);
PH_STATIC_ASSERT(CHAINS_MAX % LANES == 0);
PH_STATIC_ASSERT(PHI_KEY_STREAM_ROUND_KEYS == KEY_BETWEEN + 1);
PH_STATIC_ASSERT(ZEROS_BYTES % BLOCK_BYTES == 0);

static const uint8_t zeros[ZEROS_BYTES];

static void processor_expand(phi_key_stream *chain, const uint8_t *key);
static void processor_make(const phi_key_stream_part *parts, size_t count, size_t blocks);
static void quads_make(const phi_key_stream_part *parts, size_t count, size_t blocks);
static ph_err library_init(phi_key_stream *chain, const uint8_t *key);
static void library_make(const phi_key_stream_part *part, size_t blocks);

phi_key_stream_way phi_key_stream_best(void)
{
    // Found out once: in a virtual machine the question takes as long as a thousand blocks.
    static _Atomic int known; // the way plus one
    int best = atomic_load_explicit(&known, memory_order_relaxed);
    if (best == 0) {
        phi_key_stream_way way = phi_aes_quad_is_here() ? PHI_KEY_STREAM_QUADS
                                 : phi_aes_is_here()    ? PHI_KEY_STREAM_PROCESSOR
                                                        : PHI_KEY_STREAM_LIBRARY;
        best = (int)way + 1;
        atomic_store_explicit(&known, best, memory_order_relaxed);
    }
    return (phi_key_stream_way)(best - 1);
}

size_t phi_key_stream_together(phi_key_stream_way way)
{
    static const size_t together[PHI_KEY_STREAM_WAY_COUNT] = {
        [PHI_KEY_STREAM_LIBRARY] = 1,
        [PHI_KEY_STREAM_PROCESSOR] = PROCESSOR_CHAINS_MAX,
        [PHI_KEY_STREAM_QUADS] = CHAINS_MAX,
    };
    PH_ASSERT(way < PHI_KEY_STREAM_WAY_COUNT);
    return together[way];
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
    PH_ASSERT(way <= phi_key_stream_best());
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
    phi_key_stream_way way = parts[0].chain->way;
    PH_ASSERT(count <= phi_key_stream_together(way));
    for (size_t i = 0; i < count; i++) {
        PH_ASSERT(parts[i].room != NULL);
        PH_ASSERT(parts[i].chain->way == way);
    }
    if (way == PHI_KEY_STREAM_LIBRARY) {
        library_make(parts, blocks);
    } else if (way == PHI_KEY_STREAM_PROCESSOR || count == 1) {
        processor_make(parts, count, blocks);
    } else {
        quads_make(parts, count, blocks);
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

// ---- four at a time

typedef struct quads_keys {
    phi_wide rounds[PHI_KEY_STREAM_ROUND_KEYS][CHAINS_MAX];
} quads_keys;

static PHI_ALWAYS_INLINE PHI_AES_QUAD_CODE phi_aes_quad quads_load(const phi_wide lanes[LANES])
{
    phi_aes_quad quad;
    memcpy(&quad, lanes, sizeof quad);
    return quad;
}

// `quads` is a constant at each place this is called from.
static PHI_ALWAYS_INLINE PHI_AES_QUAD_CODE void quads_make_some(const quads_keys *keys,
                                                                uint8_t *const rooms[],
                                                                size_t quads, size_t blocks)
{
    phi_aes_quad states[CHAINS_MAX / LANES]; // the blocks before, combined with the first key
    PHI_UNROLL
    for (size_t i = 0; i < quads; i++) {
        phi_wide before[LANES];
        for (size_t k = 0; k < LANES; k++) {
            before[k] = phi_wide_load(rooms[i * LANES + k] - BLOCK_BYTES);
        }
        states[i] = quads_load(before) ^ quads_load(&keys->rounds[KEY_FIRST][i * LANES]);
    }
    size_t end = blocks * BLOCK_BYTES;
    for (size_t at = 0; at < end; at += BLOCK_BYTES) {
        PHI_UNROLL
        for (size_t round = 1; round < ROUNDS; round++) {
            PHI_UNROLL
            for (size_t i = 0; i < quads; i++) {
                states[i] =
                    phi_aes_quad_round(states[i], quads_load(&keys->rounds[round][i * LANES]));
            }
        }
        PHI_UNROLL
        for (size_t i = 0; i < quads; i++) {
            states[i] =
                phi_aes_quad_last(states[i], quads_load(&keys->rounds[KEY_BETWEEN][i * LANES]));
            phi_aes_quad made = states[i] ^ quads_load(&keys->rounds[KEY_FIRST][i * LANES]);
            PHI_UNROLL
            for (size_t k = 0; k < LANES; k++) {
                phi_wide block = { made[2 * k], made[2 * k + 1] };
                phi_wide_store(rooms[i * LANES + k] + at, block);
            }
        }
    }
}

static PHI_AES_QUAD_CODE void quads_make(const phi_key_stream_part *parts, size_t count,
                                         size_t blocks)
{
    quads_keys keys;
    uint8_t *rooms[CHAINS_MAX];
    size_t quads = (count + LANES - 1) / LANES;
    for (size_t i = 0; i < quads * LANES; i++) {
        const phi_key_stream_part *part = &parts[i < count ? i : 0];
        rooms[i] = part->room;
        for (size_t k = 0; k < PHI_KEY_STREAM_ROUND_KEYS; k++) {
            keys.rounds[k][i] = part->chain->round_keys[k];
        }
    }
    switch (quads) {
    case 1:
        quads_make_some(&keys, rooms, 1, blocks);
        break;
    case 2:
        quads_make_some(&keys, rooms, 2, blocks);
        break;
    case 3:
        quads_make_some(&keys, rooms, 3, blocks);
        break;
    case 4:
        quads_make_some(&keys, rooms, 4, blocks);
        break;
    default:
        PH_UNREACHABLE("more chains than fit");
    }
    OPENSSL_cleanse(&keys, sizeof keys);
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
