// SPDX-License-Identifier: Apache-2.0
//
// wire/cipher.c - AES-256-OFB out of a window of key stream, filled together with others.
//
// Design notes
//
// The window is a ring, and one block before it:
//
//     | block before | ... made | room ... | to be used | made ...  |
//     0              BLOCK      end        at                       capacity
//
// From the block before `end` the key stream goes on (key_stream.h holds no position); when `end`
// wraps, that block is copied to the front. The block before `at`, too, is never overwritten. From
// it the key stream could be made again; so a window is given back by keeping what fits into the
// chain itself, and what was made beyond that costs only being made once more.
//
// Filling. Whichever chain lacks key stream makes what it lacks. As many thirsty chains as go side
// by side, with room in a quarter of their windows or more, go along until theirs is full. They are
// taken in the order in which they were last used: where links are served in turn, the first is the
// next to be served. Who went along is a use ahead and need not make anything when its time comes;
// so in the steady state one makes for all, be it the two directions of a client or the four that a
// call passes in a center. A chain that falls idle is filled once and is not thirsty any more. A
// pass ends when a chain has enough, is full or its ring wraps, which bounds the number of passes.
//
// Ahead. When a turn is over, each chain that used key stream in it is asked whether it has enough
// for another such turn: for the most that one of its turns used lately, which fades by an eighth
// with each turn that used less. If it has not, it makes some, while the other ends work on what
// was sent. A chain that did nothing has what it had, and is not even looked at; but if it is
// thirsty it goes along.
//
// Size. A window holds what two uses need, and less than four. So a chain is thirsty after each
// use, and one that went along before its use still has enough for it. With room for one use only,
// a busy center makes its key stream for two directions at a time instead of four.
//
// Invariants: BLOCK <= at < capacity; at + left is a multiple of BLOCK; what is made leaves the
// block before `at` alone; a chain is put on the list of its group when it is thirsty, and taken
// off when it is full; used this turn are those at the end of the list, if any. What was used is
// wiped when the window is given back.
//
// Clauses: P-25.

#include "wire/cipher.h"

#include <openssl/crypto.h>
#include <stdalign.h>

#include "base/assert.h"

#define BLOCK_BYTES PHI_KEY_STREAM_BLOCK_BYTES
// A window that needs no heap: enough for a heartbeat, or the beginning of something larger.
#define OWN_BYTES 256u
// What is made at a time at least: some packets' worth is not topped up after each of them.
#define AHEAD_BYTES (PHI_CIPHER_WINDOW_BYTES_FIRST - SPARE_BYTES)
// In what a turn needs: how much of it is forgotten with each that used less.
#define FORGET_PART 8u
// What is made ahead beyond that, so that turns that differ little need not all make some.
#define SURPLUS_PART 4u
// Of a window, what may not be there to be used: the front, the block before `at`, and what of its
// own block was used.
#define SPARE_BYTES (3 * BLOCK_BYTES)
// A use of less than this part of the window does not need it.
#define SMALL_PART 8u

PH_STATIC_ASSERT(PHI_CIPHER_IV_BYTES == BLOCK_BYTES);
PH_STATIC_ASSERT(OWN_BYTES % BLOCK_BYTES == 0);
PH_STATIC_ASSERT(OWN_BYTES > SPARE_BYTES);
PH_STATIC_ASSERT(PHI_CIPHER_WINDOW_BYTES_FIRST > OWN_BYTES);
PH_STATIC_ASSERT((PHI_CIPHER_WINDOW_BYTES_FIRST & (PHI_CIPHER_WINDOW_BYTES_FIRST - 1)) == 0);
PH_STATIC_ASSERT((PHI_CIPHER_WINDOW_BYTES_MAX & (PHI_CIPHER_WINDOW_BYTES_MAX - 1)) == 0);

typedef struct phi_cipher_chain {
    phi_key_stream key_stream;
    const phi_alloc *alloc;  // borrowed until fini
    phi_cipher_group *group; // borrowed until fini; NULL: none
    phi_list thirsty;        // on group->thirsty
    uint8_t *window;         // `own`, or owned
    size_t capacity;
    size_t at;           // next byte to be used
    size_t left;         // bytes that are made from there on
    uint32_t used;       // in turn `turn`, or the largest window
    uint32_t need;       // of a turn, as those before it say
    uint32_t turn;       // group->turn when it was last used
    uint32_t small_uses; // in a row, while the window is larger than the first size
    uint8_t own[OWN_BYTES];
} chain;

static void chain_use(chain *c, phi_span bytes);
static void chain_count(chain *c, size_t use);
static size_t chain_lack(const chain *c);
static void chain_shrink(chain *c, size_t use);
static void chain_queue(chain *c);
static void chain_make(chain *maker, size_t blocks);
static size_t chain_companions(const chain *maker, chain *companions[]);
static void chain_made(chain *c, size_t blocks);
static void chain_grow(chain *c, size_t use);
static void chain_rest(chain *c);
static void chain_move(chain *c, uint8_t *window, size_t capacity);
static void xor_into(uint8_t *data, const uint8_t *stream, size_t size);
static void chain_check(const chain *c);

static inline size_t chain_ring(const chain *c)
{
    return c->capacity - BLOCK_BYTES;
}

// Where what is made ends.
static inline size_t chain_end(const chain *c)
{
    size_t end = c->at + c->left;
    return end < c->capacity ? end : end - chain_ring(c);
}

// Blocks that can be made: all but that of `at`, the one before it, and those that are made.
static inline size_t chain_room(const chain *c)
{
    size_t kept = BLOCK_BYTES + c->at % BLOCK_BYTES + c->left;
    return (chain_ring(c) - kept) / BLOCK_BYTES;
}

// Of these, how many before the ring wraps.
static inline size_t chain_room_ahead(const chain *c)
{
    size_t room = chain_room(c);
    size_t ahead = (c->capacity - chain_end(c)) / BLOCK_BYTES;
    return room < ahead ? room : ahead;
}

// Nobody to share a pass with; the crypto library would make one after the other.
static inline bool chain_is_alone(const chain *c)
{
    return c->group == NULL || phi_key_stream_together(c->key_stream.way) == 1;
}

// Its window is worth filling along with another's, or ahead; the few blocks of an idle chain are
// not.
static inline bool chain_is_thirsty(const chain *c)
{
    return c->left <= c->capacity / 4 * 3 && c->capacity >= PHI_CIPHER_WINDOW_BYTES_FIRST &&
           c->group != NULL;
}

// ---- life

void phi_cipher_group_init(phi_cipher_group *group)
{
    PH_ASSERT(group != NULL);
    *group = (phi_cipher_group){ .count = 0 };
    phi_list_init(&group->thirsty);
}

void phi_cipher_group_fini(phi_cipher_group *group)
{
    PH_ASSERT(group->count == 0);
    PH_ASSERT(group->bytes == 0);
    PH_ASSERT(!phi_list_is_linked(&group->thirsty));
    *group = (phi_cipher_group){ .count = 0 };
}

ph_err phi_cipher_init(phi_cipher *cipher, const phi_alloc *alloc,
                       const uint8_t key[PHI_CIPHER_KEY_BYTES],
                       const uint8_t iv[PHI_CIPHER_IV_BYTES])
{
    return phi_cipher_init_way(cipher, alloc, phi_key_stream_best(), key, iv);
}

ph_err phi_cipher_init_way(phi_cipher *cipher, const phi_alloc *alloc, phi_key_stream_way way,
                           const uint8_t key[PHI_CIPHER_KEY_BYTES],
                           const uint8_t iv[PHI_CIPHER_IV_BYTES])
{
    PH_ASSERT(cipher != NULL);
    PH_ASSERT(alloc != NULL);
    PH_ASSERT(iv != NULL);

    chain *c = phi_take(alloc, sizeof *c);
    if (c == NULL) {
        return PH_ENOMEM;
    }
    PH_ASSERT((uintptr_t)c % alignof(chain) == 0);
    *c = (chain){ .alloc = alloc, .capacity = OWN_BYTES, .at = BLOCK_BYTES };
    ph_err rc = phi_key_stream_init(&c->key_stream, way, key);
    if (rc != PH_OK) {
        phi_give(alloc, c, sizeof *c);
        return rc;
    }
    c->window = c->own;
    memcpy(c->window, iv, BLOCK_BYTES);
    chain_check(c);
    cipher->chain = c;
    return PH_OK;
}

void phi_cipher_fini(phi_cipher *cipher)
{
    chain *c = cipher->chain;
    if (c == NULL) {
        return;
    }
    chain_check(c);
    chain_rest(c);
    if (c->group != NULL) {
        PH_ASSERT(c->group->count > 0);
        c->group->count--;
    }
    phi_key_stream_fini(&c->key_stream);
    const phi_alloc *alloc = c->alloc;
    OPENSSL_cleanse(c, sizeof *c);
    phi_give(alloc, c, sizeof *c);
    cipher->chain = NULL;
}

void phi_cipher_join(phi_cipher *cipher, phi_cipher_group *group)
{
    chain *c = cipher->chain;
    PH_ASSERT(c != NULL);
    PH_ASSERT(c->group == NULL);
    if (group == NULL) {
        return;
    }
    PH_ASSERT(c->capacity <= PHI_CIPHER_WINDOW_BYTES_FIRST); // uncounted
    c->group = group;
    group->count++;
    chain_queue(c);
}

// ---- using it

void phi_cipher_apply(phi_cipher *cipher, phi_span bytes)
{
    chain *c = cipher->chain;
    PH_ASSERT(c != NULL);
    PH_ASSERT(bytes.data != NULL || bytes.size == 0);

    size_t use = bytes.size;
    if (use > c->capacity / 2) {
        chain_grow(c, use);
    }
    for (;;) {
        size_t n = bytes.size < c->left ? bytes.size : c->left;
        chain_use(c, (phi_span){ bytes.data, n });
        bytes.data += n;
        bytes.size -= n;
        if (bytes.size == 0) {
            break;
        }
        size_t lacking = bytes.size < AHEAD_BYTES ? AHEAD_BYTES : bytes.size;
        chain_make(c, (lacking + BLOCK_BYTES - 1) / BLOCK_BYTES);
    }
    chain_count(c, use);
    chain_shrink(c, use);
    chain_queue(c);
}

void phi_cipher_group_ahead(phi_cipher_group *group)
{
    PH_ASSERT(group != NULL);
    phi_list *list = &group->thirsty;
    for (phi_list *node = list->prev; node != list;) {
        chain *c = PHI_CONTAINER_OF(node, chain, thirsty);
        if (c->turn != group->turn) {
            break;
        }
        size_t lack = chain_lack(c);
        if (lack != 0) {
            chain_make(c, (lack + BLOCK_BYTES - 1) / BLOCK_BYTES);
        }
        node = node->prev; // others may have left the list
        chain_queue(c);
    }
    group->turn++;
}

void phi_cipher_rest(phi_cipher *cipher)
{
    PH_ASSERT(cipher->chain != NULL);
    chain_rest(cipher->chain);
}

// ---- one chain

// Combines bytes of which as many were made.
static void chain_use(chain *c, phi_span bytes)
{
    PH_ASSERT(bytes.size <= c->left);
    while (bytes.size != 0) {
        size_t ahead = c->capacity - c->at;
        size_t n = bytes.size < ahead ? bytes.size : ahead;
        xor_into(bytes.data, c->window + c->at, n);
        c->at = n == ahead ? BLOCK_BYTES : c->at + n;
        c->left -= n;
        bytes.data += n;
        bytes.size -= n;
    }
}

static void chain_count(chain *c, size_t use)
{
    uint32_t turn = c->group == NULL ? 0 : c->group->turn;
    if (c->turn != turn) {
        uint32_t less = c->need - c->need / FORGET_PART;
        c->need = c->used > less ? c->used : less;
        c->used = 0;
        c->turn = turn;
        phi_list_remove(&c->thirsty); // to its end, if it still is
    }
    size_t used = c->used + use;
    c->used = (uint32_t)(used < PHI_CIPHER_WINDOW_BYTES_MAX ? used : PHI_CIPHER_WINDOW_BYTES_MAX);
}

// Bytes to be made ahead; 0: it has enough for another turn.
static size_t chain_lack(const chain *c)
{
    size_t need = c->used > c->need ? c->used : c->need;
    need = need > AHEAD_BYTES / 2 ? need : AHEAD_BYTES / 2;
    if (c->left >= need) {
        return 0;
    }
    size_t lack = need + need / SURPLUS_PART - c->left;
    return lack > AHEAD_BYTES ? lack : AHEAD_BYTES;
}

// After a use of `use` bytes: does the chain still need its window?
static void chain_shrink(chain *c, size_t use)
{
    if (c->capacity <= PHI_CIPHER_WINDOW_BYTES_FIRST || use > c->capacity / SMALL_PART) {
        c->small_uses = 0;
    } else if (++c->small_uses >= PHI_CIPHER_SMALL_USES) {
        chain_rest(c);
    }
}

// Puts a thirsty chain on the list, and takes off one that is full.
static void chain_queue(chain *c)
{
    if (!phi_list_is_linked(&c->thirsty) && chain_is_thirsty(c)) {
        phi_list_append(&c->group->thirsty, &c->thirsty);
    } else if (chain_room(c) == 0) {
        phi_list_remove(&c->thirsty);
    }
    chain_check(c);
}

// Makes up to `blocks` for `maker`, as its room allows, and as much for those who are thirsty. The
// maker stays on the list where it is.
static void chain_make(chain *maker, size_t blocks)
{
    size_t room = chain_room(maker);
    blocks = blocks < room ? blocks : room;
    while (blocks != 0) {
        chain *chains[PHI_KEY_STREAM_CHAINS_MAX] = { maker };
        size_t count = 1 + chain_companions(maker, chains + 1);
        phi_key_stream_part parts[PHI_KEY_STREAM_CHAINS_MAX];
        size_t pass = blocks;
        for (size_t i = 0; i < count; i++) {
            chain *c = chains[i];
            parts[i] = (phi_key_stream_part){ &c->key_stream, c->window + chain_end(c) };
            room = chain_room_ahead(c);
            pass = pass < room ? pass : room;
        }
        PH_ASSERT(pass != 0);
        phi_key_stream_make(parts, count, pass);
        for (size_t i = 0; i < count; i++) {
            chain_made(chains[i], pass);
            if (chains[i] != maker && chain_room(chains[i]) == 0) {
                phi_list_remove(&chains[i]->thirsty);
            }
        }
        if (maker->group != NULL) {
            maker->group->blocks += count * pass;
            maker->group->steps += pass;
        }
        blocks -= pass;
    }
}

// The thirsty who go along with `maker`, as many as a pass takes; their number.
static size_t chain_companions(const chain *maker, chain *companions[])
{
    if (chain_is_alone(maker)) {
        return 0;
    }
    size_t most = phi_key_stream_together(maker->key_stream.way) - 1;
    size_t count = 0;
    const phi_list *list = &maker->group->thirsty;
    for (phi_list *node = list->next; node != list && count < most; node = node->next) {
        chain *c = PHI_CONTAINER_OF(node, chain, thirsty);
        if (c != maker && c->key_stream.way == maker->key_stream.way) {
            companions[count++] = c;
        }
    }
    return count;
}

static void chain_made(chain *c, size_t blocks)
{
    c->left += blocks * BLOCK_BYTES;
    if (chain_end(c) == BLOCK_BYTES) {
        memcpy(c->window, c->window + c->capacity - BLOCK_BYTES, BLOCK_BYTES);
    }
}

// A window for uses of `use` bytes, if it can be had.
static void chain_grow(chain *c, size_t use)
{
    size_t most = chain_is_alone(c) ? PHI_CIPHER_WINDOW_BYTES_FIRST : PHI_CIPHER_WINDOW_BYTES_MAX;
    size_t capacity = PHI_CIPHER_WINDOW_BYTES_FIRST;
    while (capacity < most && capacity / 2 < use) {
        capacity *= 2;
    }
    if (capacity <= c->capacity) {
        return;
    }
    bool is_counted = capacity > PHI_CIPHER_WINDOW_BYTES_FIRST;
    if (is_counted && capacity > PHI_CIPHER_GROUP_BYTES_MAX - c->group->bytes) {
        return;
    }
    uint8_t *window = phi_take(c->alloc, capacity);
    if (window == NULL) {
        return;
    }
    chain_move(c, window, capacity);
    if (is_counted) {
        c->group->bytes += capacity;
    }
}

static void chain_rest(chain *c)
{
    phi_list_remove(&c->thirsty);
    c->need = 0;
    c->used = 0;
    if (c->window != c->own) {
        chain_move(c, c->own, OWN_BYTES);
    }
    chain_check(c);
}

// Into another window, with as much of what was made as fits; the rest is made again when it is
// needed. The old window is wiped and given back.
static void chain_move(chain *c, uint8_t *window, size_t capacity)
{
    PH_ASSERT(window != c->window);
    uint8_t *old = c->window;
    size_t begun = c->at % BLOCK_BYTES;
    size_t from = c->at - begun;
    size_t most = capacity - 2 * BLOCK_BYTES;
    size_t keep = begun + c->left < most ? begun + c->left : most;
    size_t ahead = c->capacity - from;
    size_t first = keep < ahead ? keep : ahead;
    memcpy(window, old + from - BLOCK_BYTES, BLOCK_BYTES + first);
    memcpy(window + BLOCK_BYTES + first, old + BLOCK_BYTES, keep - first);
    if (old != c->own) {
        if (c->capacity > PHI_CIPHER_WINDOW_BYTES_FIRST) {
            PH_ASSERT(c->group->bytes >= c->capacity);
            c->group->bytes -= c->capacity;
        }
        OPENSSL_cleanse(old, c->capacity);
        phi_give(c->alloc, old, c->capacity);
    }
    c->window = window;
    c->capacity = capacity;
    c->at = BLOCK_BYTES + begun;
    c->left = keep - begun;
    c->small_uses = 0;
}

static void xor_into(uint8_t *data, const uint8_t *stream, size_t size)
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
    for (; size - i >= sizeof(phi_wide); i += sizeof(phi_wide)) {
        phi_wide_store(data + i, phi_wide_load(data + i) ^ phi_wide_load(stream + i));
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

static void chain_check(const chain *c)
{
    PH_ASSERT(c->at >= BLOCK_BYTES);
    PH_ASSERT(c->at < c->capacity);
    PH_ASSERT((c->at + c->left) % BLOCK_BYTES == 0);
    PH_ASSERT(BLOCK_BYTES + c->at % BLOCK_BYTES + c->left <= chain_ring(c));
    PH_ASSERT((c->window == c->own) == (c->capacity == OWN_BYTES));
    if (phi_list_is_linked(&c->thirsty)) {
        PH_ASSERT(c->group != NULL);
        PH_ASSERT(chain_room(c) != 0);
    }
}
