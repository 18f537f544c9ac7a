// SPDX-License-Identifier: Apache-2.0
//
// wire/cipher_test.c - the cipher beside OpenSSL's own AES-256-OFB.

#include "wire/cipher.h"

#include "tests/harness/test.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "base/assert.h"
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

// Whether this processor makes key stream for several at once.
static bool goes_together(void)
{
    return phi_key_stream_together(phi_key_stream_best()) > 1;
}

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

// In both ways, where the processor has AES instructions; else twice in the one there is.
static ph_err init_way(phi_cipher *cipher, const phi_alloc *alloc, uint64_t way)
{
    phi_key_stream_way best = phi_key_stream_best();
    return phi_cipher_init_way(cipher, alloc, way % 2 == 0 ? PHI_KEY_STREAM_LIBRARY : best, key,
                               iv);
}

// A member of a group, beside the same cipher as OpenSSL makes it, on data that is all zeros.
typedef struct member {
    phi_cipher cipher;
    EVP_CIPHER_CTX *ofb; // NULL: not there
} member;

static void member_open(member *m, const phi_alloc *alloc, phi_cipher_group *group, uint64_t seed,
                        bool is_library)
{
    cipher_random(seed);
    m->ofb = EVP_CIPHER_CTX_new();
    EXPECT_EQ(EVP_EncryptInit_ex2(m->ofb, EVP_aes_256_ofb(), key, iv, NULL), 1);
    EXPECT_ERR(init_way(&m->cipher, alloc, is_library ? 0 : 1), PH_OK);
    phi_cipher_join(&m->cipher, group);
}

static void member_use(member *m, size_t size)
{
    static const uint8_t zeros[CLEAR_BYTES];
    int done = 0;
    PH_ASSERT(size <= sizeof zeros);
    memset(got, 0, size);
    phi_cipher_apply(&m->cipher, (phi_span){ got, size });
    EXPECT_EQ(EVP_EncryptUpdate(m->ofb, expected, &done, zeros, (int)size), 1);
    EXPECT_BYTES(got, expected, size);
}

static void member_close(member *m)
{
    phi_cipher_fini(&m->cipher);
    EVP_CIPHER_CTX_free(m->ofb);
    m->ofb = NULL;
}

// ---- tests

// The key stream runs on over packet boundaries, wherever they are, however much of it was made
// ahead, and whether or not the window was given back in between. [P-25]
TEST(cipher, any_cutting_is_as_openssl_ofb)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        cipher_random(seed);
        phi_random random = phi_random_seeded(seed);
        phi_cipher cipher;
        EXPECT_ERR(init_way(&cipher, &phi_alloc_heap, seed), PH_OK);
        phi_cipher_group group;
        phi_cipher_group_init(&group);
        phi_cipher_join(&cipher, seed % 3 == 0 ? NULL : &group);
        size_t most = seed % 4 < 2 ? 64 : 5000;
        for (size_t at = 0; at < sizeof got;) {
            size_t n = (size_t)phi_random_below(&random, most); // 0, too
            n = n < sizeof got - at ? n : sizeof got - at;
            phi_cipher_apply(&cipher, (phi_span){ got + at, n });
            at += n;
            if (phi_random_chance(&random, 20)) {
                phi_cipher_group_ahead(&group);
            }
            if (phi_random_chance(&random, 20)) {
                phi_cipher_rest(&cipher);
            }
        }
        EXPECT_BYTES(got, expected, sizeof got);
        phi_cipher_fini(&cipher);
        phi_cipher_group_fini(&group);
    }
}

// Members fill each other's windows; each must still get its own key stream, whoever makes it,
// whoever joins, rests or leaves meanwhile, in whatever order. [P-25]
TEST(cipher, any_interleaving_of_a_group_is_as_openssl_ofb)
{
    enum { MEMBERS = 20, STEPS = 3000 };
    phi_alloc_counter counter;
    phi_alloc_counter_init(&counter, &phi_alloc_heap);
    for (uint64_t seed = 1; seed <= 4; seed++) {
        phi_random random = phi_random_seeded(seed);
        phi_cipher_group group;
        phi_cipher_group_init(&group);
        static member members[MEMBERS];
        for (uint64_t step = 0; step < STEPS; step++) {
            member *m = &members[phi_random_below(&random, MEMBERS)];
            uint64_t what = phi_random_below(&random, 100);
            if (m->ofb == NULL) {
                member_open(m, &counter.alloc, &group, 100 * seed + step, what < 20);
            } else if (what == 0) {
                member_close(m);
            } else if (what < 5) {
                phi_cipher_rest(&m->cipher);
            } else if (what < 20) {
                phi_cipher_group_ahead(&group);
            } else {
                // Mostly packets, now and then a burst.
                member_use(m, (size_t)phi_random_below(&random, what < 30 ? CLEAR_BYTES : 300));
            }
        }
        for (size_t i = 0; i < MEMBERS; i++) {
            member *m = &members[(i * 7 + seed) % MEMBERS];
            if (m->ofb != NULL) {
                member_close(m);
            }
        }
        phi_cipher_group_fini(&group);
        EXPECT_EQ(counter.blocks, 0);
    }
}

// What a group is for: in the steady state one makes key stream for all, however bursts and cutting
// differ, so that eight directions wait hardly longer than one. Without it suite paper is bound by
// the latency of one AES unit.
TEST(cipher, members_of_a_group_are_filled_together)
{
    if (!goes_together()) {
        return; // one after the other
    }
    enum { MEMBERS = 8, TURNS = 40 };
    phi_cipher_group group;
    phi_cipher_group_init(&group);
    member members[MEMBERS];
    for (uint64_t i = 0; i < MEMBERS; i++) {
        member_open(&members[i], &phi_alloc_heap, &group, i, false);
    }
    phi_random random = phi_random_seeded(1);
    for (int turn = 0; turn < 2 * TURNS; turn++) {
        if (turn == TURNS) {
            group.blocks = 0; // the windows have grown
            group.steps = 0;
        }
        for (size_t i = 0; i < MEMBERS; i++) {
            for (size_t left = 30000; left != 0;) {
                size_t n = 5000 + (size_t)phi_random_below(&random, 30000);
                n = n < left ? n : left;
                member_use(&members[i], n);
                left -= n;
            }
        }
        phi_cipher_group_ahead(&group);
    }
    EXPECT(group.blocks >= MEMBERS * TURNS * (30000 / 16) * 9 / 10);
    EXPECT(group.steps * (MEMBERS - 1) <= group.blocks); // at least seven of eight went along
    for (size_t i = 0; i < MEMBERS; i++) {
        member_close(&members[i]);
    }
    phi_cipher_group_fini(&group);
}

// Nobody may wait for the cipher: once a group knows its turns, all that they use was made behind
// them, for both directions of every link, those that take turns (the requests of one turn, the
// replies of the next) included; and the few that are busy are still served by passes of all.
TEST(cipher, turns_find_their_key_stream_made)
{
    if (!goes_together()) {
        return;
    }
    enum { MEMBERS = 32, TURNS = 60 };
    phi_cipher_group group;
    phi_cipher_group_init(&group);
    static member members[MEMBERS];
    for (uint64_t i = 0; i < MEMBERS; i++) {
        member_open(&members[i], &phi_alloc_heap, &group, i, false);
    }
    phi_random random = phi_random_seeded(1);
    uint64_t waited = 0;
    for (size_t turn = 0; turn < 2 * TURNS; turn++) {
        if (turn == TURNS) {
            group.blocks = 0;
            group.steps = 0;
            waited = 0;
        }
        uint64_t before = group.blocks;
        for (size_t i = turn % 2; i < MEMBERS; i += 2) {
            member_use(&members[i], 10000 + (size_t)phi_random_below(&random, 3000));
        }
        waited += group.blocks - before;
        phi_cipher_group_ahead(&group);
    }
    EXPECT_EQ(waited, 0);
    EXPECT(group.steps * 14 <= group.blocks); // of sixteen that could
    for (size_t i = 0; i < MEMBERS; i++) {
        member_close(&members[i]);
    }
    phi_cipher_group_fini(&group);
}

// A burst is not forgotten with the next turn, nor remembered for ever: what is made ahead follows
// what turns use.
TEST(cipher, ahead_follows_what_turns_use)
{
    phi_cipher_group group;
    phi_cipher_group_init(&group);
    member m = { .ofb = NULL };
    member_open(&m, &phi_alloc_heap, &group, 1, false);
    member_use(&m, 30000);
    member_use(&m, 2000);
    if (!goes_together()) {
        member_close(&m);
        phi_cipher_group_fini(&group);
        return; // its window holds no such turn
    }
    static const size_t uses[] = { 30000, 2000, 2000, 2000, 27000 };
    for (size_t i = 0; i < PHI_COUNT_OF(uses); i++) {
        phi_cipher_group_ahead(&group);
        uint64_t before = group.blocks;
        member_use(&m, uses[i]);
        EXPECT_EQ(group.blocks, before); // was made, though the turns between used little
    }
    for (int turn = 0; turn < 40; turn++) {
        phi_cipher_group_ahead(&group);
        member_use(&m, 10000);
    }
    phi_cipher_group_ahead(&group);
    uint64_t before = group.blocks;
    member_use(&m, 30000); // more than any turn for long
    EXPECT(group.blocks > before);
    phi_cipher_group_ahead(&group);
    before = group.blocks;
    phi_cipher_group_ahead(&group); // a turn that used nothing
    EXPECT_EQ(group.blocks, before);
    member_close(&m);
    phi_cipher_group_fini(&group);
}

// A member that fell idle is filled once and not again: a center with 10,000 idle links must not
// work for them.
TEST(cipher, idle_members_are_left_alone)
{
    phi_cipher_group group;
    phi_cipher_group_init(&group);
    member busy = { .ofb = NULL };
    member idle[20];
    member_open(&busy, &phi_alloc_heap, &group, 1, false);
    for (uint64_t i = 0; i < 20; i++) {
        member_open(&idle[i], &phi_alloc_heap, &group, 2 + i, false);
        member_use(&idle[i], 4000);
    }
    for (int turn = 0; turn < 200; turn++) {
        if (turn == 100) {
            group.blocks = 0;
            group.steps = 0;
        }
        member_use(&busy, 4000);
        phi_cipher_group_ahead(&group);
    }
    EXPECT_EQ(group.blocks, group.steps);
    EXPECT(group.blocks <= 101 * 4000 / 16); // no more than what was used
    for (size_t i = 0; i < 20; i++) {
        member_close(&idle[i]);
    }
    member_close(&busy);
    phi_cipher_group_fini(&group);
}

// The window follows what is used at a time, up to its limit, and is given back by itself when so
// much is not used any more, and by a rest: 10,000 idle links must not hold 10,000 windows.
TEST(cipher, window_grows_and_is_given_back)
{
    phi_alloc_counter counter;
    phi_alloc_counter_init(&counter, &phi_alloc_heap);
    phi_cipher_group group;
    phi_cipher_group_init(&group);
    member m = { .ofb = NULL };
    member_open(&m, &counter.alloc, &group, 1, false);
    size_t none = counter.bytes;
    EXPECT(none < 640);

    member_use(&m, 20); // a heartbeat
    phi_cipher_group_ahead(&group);
    EXPECT_EQ(counter.blocks, 1);
    member_use(&m, 200);
    EXPECT_EQ(counter.bytes, none + PHI_CIPHER_WINDOW_BYTES_FIRST);
    bool is_shared = goes_together();
    for (size_t use = 1024; use <= CLEAR_BYTES; use *= 2) {
        member_use(&m, use);
        EXPECT_EQ(counter.bytes, none + (is_shared ? 2 * use : PHI_CIPHER_WINDOW_BYTES_FIRST));
    }
    member_use(&m, CLEAR_BYTES);
    EXPECT(counter.bytes <= none + PHI_CIPHER_WINDOW_BYTES_MAX);
    EXPECT_EQ(group.bytes, is_shared ? counter.bytes - none : 0);
    for (unsigned i = 0; i < PHI_CIPHER_SMALL_USES; i++) {
        member_use(&m, 20);
    }
    EXPECT_EQ(group.bytes, 0);
    EXPECT_EQ(counter.bytes, none + (is_shared ? 0 : PHI_CIPHER_WINDOW_BYTES_FIRST));

    member_use(&m, CLEAR_BYTES);
    EXPECT(counter.bytes > none);
    phi_cipher_rest(&m.cipher);
    EXPECT_EQ(counter.bytes, none);
    EXPECT_EQ(group.bytes, 0);
    member_use(&m, CLEAR_BYTES);
    member_close(&m);
    phi_cipher_group_fini(&group);
    EXPECT_EQ(counter.bytes, 0);
}

// However many links are busy, their windows stay within the limit of the group; the others work
// without. [limits.md: key stream made ahead]
TEST(cipher, windows_of_a_group_have_a_limit)
{
    enum { MEMBERS = 100 };
    phi_alloc_counter counter;
    phi_alloc_counter_init(&counter, &phi_alloc_heap);
    phi_cipher_group group;
    phi_cipher_group_init(&group);
    static member members[MEMBERS];
    for (uint64_t i = 0; i < MEMBERS; i++) {
        member_open(&members[i], &counter.alloc, &group, i, false);
    }
    size_t none = counter.bytes;
    for (int turn = 0; turn < 2; turn++) {
        for (size_t i = 0; i < MEMBERS; i++) {
            member_use(&members[i], 36000);
            EXPECT(group.bytes <= PHI_CIPHER_GROUP_BYTES_MAX);
        }
    }
    EXPECT(counter.bytes_peak <= none + PHI_CIPHER_GROUP_BYTES_MAX +
                                     MEMBERS * PHI_CIPHER_WINDOW_BYTES_FIRST +
                                     PHI_CIPHER_WINDOW_BYTES_MAX);
    if (goes_together()) {
        EXPECT_EQ(group.bytes, PHI_CIPHER_GROUP_BYTES_MAX);
    }
    phi_cipher_rest(&members[0].cipher); // what one gives back another gets
    member_use(&members[MEMBERS - 1], 36000);
    if (goes_together()) {
        EXPECT_EQ(group.bytes, PHI_CIPHER_GROUP_BYTES_MAX);
    }
    for (size_t i = 0; i < MEMBERS; i++) {
        member_close(&members[i]);
    }
    phi_cipher_group_fini(&group);
    EXPECT_EQ(counter.blocks, 0);
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
    EXPECT(cipher.chain == NULL);
    EXPECT_EQ(counter.blocks, 0);

    counter.fail_at = 0;
    ph_err rc = PH_ENOMEM;
    size_t n = 0;
    for (; rc != PH_OK; n++) {
        library_takes = 0;
        library_fail_at = n + 1;
        rc = phi_cipher_init_way(&cipher, &counter.alloc, PHI_KEY_STREAM_LIBRARY, key, iv);
        if (rc != PH_OK) {
            EXPECT_ERR(rc, PH_ENOMEM);
            EXPECT(cipher.chain == NULL);
            EXPECT_EQ(counter.blocks, 0);
        }
        EXPECT(n < 100);
    }
    library_fail_at = 0;
    EXPECT(n >= 2); // at least one of them failed
    phi_cipher_apply(&cipher, (phi_span){ got, sizeof got });
    EXPECT_BYTES(got, expected, sizeof got);
    phi_cipher_fini(&cipher);
    EXPECT_EQ(counter.blocks, 0);
}

// A link that is up must not break because a window cannot be had: then it is slower. [P-25]
TEST(cipher, without_a_window_it_goes_on)
{
    phi_alloc_counter counter;
    phi_alloc_counter_init(&counter, &phi_alloc_heap);
    for (size_t fail_at = 1;; fail_at++) {
        phi_cipher_group group;
        phi_cipher_group_init(&group);
        member members[3];
        for (uint64_t i = 0; i < 3; i++) {
            member_open(&members[i], &counter.alloc, &group, i, i == 0);
        }
        counter.fail_at = counter.takes + fail_at;
        for (size_t use = 100; use <= CLEAR_BYTES; use *= 3) {
            for (size_t i = 0; i < 3; i++) {
                member_use(&members[i], use);
            }
        }
        bool has_failed = counter.takes >= counter.fail_at;
        counter.fail_at = 0;
        counter.bytes_max = counter.bytes; // none at all
        for (size_t i = 0; i < 3; i++) {
            phi_cipher_rest(&members[i].cipher);
            counter.bytes_max = 1;
            member_use(&members[i], CLEAR_BYTES);
        }
        counter.bytes_max = 0;
        for (size_t i = 0; i < 3; i++) {
            member_close(&members[i]);
        }
        phi_cipher_group_fini(&group);
        EXPECT_EQ(counter.blocks, 0);
        if (!has_failed) {
            EXPECT(fail_at > 3);
            break;
        }
    }
}

// An allocator that looks at what it gets back.
typedef struct looking_alloc {
    phi_alloc alloc;
    size_t looks;
    bool is_wiped; // each of them
} looking_alloc;

static void *looking_take(void *arg, size_t size)
{
    (void)arg;
    return malloc(size);
}

static void looking_give(void *arg, void *ptr, size_t size)
{
    looking_alloc *a = arg;
    a->looks++;
    for (size_t i = 0; i < size; i++) {
        a->is_wiped = a->is_wiped && ((uint8_t *)ptr)[i] == 0;
    }
    free(ptr);
}

// Keys and key stream that went back to the heap could decipher what was recorded.
TEST(cipher, memory_is_wiped_before_it_is_given_back)
{
    looking_alloc looking = { .alloc = { .take = looking_take, .give = looking_give },
                              .is_wiped = true };
    looking.alloc.arg = &looking;
    phi_cipher_group group;
    phi_cipher_group_init(&group);
    member members[2];
    member_open(&members[0], &looking.alloc, &group, 1, false);
    member_open(&members[1], &looking.alloc, &group, 2, true);
    for (size_t i = 0; i < 2; i++) {
        member_use(&members[i], 200);   // a first window
        member_use(&members[i], 20000); // a larger one, the first is given back
        phi_cipher_rest(&members[i].cipher);
        member_use(&members[i], 200);
        phi_cipher_group_ahead(&group);
        member_close(&members[i]);
        EXPECT(members[i].cipher.chain == NULL);
        phi_cipher_fini(&members[i].cipher); // a zeroed one is accepted
    }
    phi_cipher_group_fini(&group);
    EXPECT(looking.looks >= 6);
    EXPECT(looking.is_wiped);
}
