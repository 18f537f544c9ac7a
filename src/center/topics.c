// SPDX-License-Identifier: Apache-2.0
//
// center/topics.c - see topics.h.
//
// Design notes
//   - A tree of words, whose edges are one hash table over all: a node is found by its parent and
//     its word. So a place costs 48 bytes and a bucket, however many branches it has, and a topic
//     of n words needs n look-ups for its literal way, n more for each `*` that branches off.
//   - `*` and `>` are nodes like others (no word of a topic looks like them), and their parents
//     keep their index: a match does not search for what is not there.
//   - Most places have one child, as `created` behind a number: the parent keeps its index, too,
//     and needs no look-up. The way to memory is what a match among a million waits for.
//   - A subscription hangs on its node and on its client, and is found by both: subscribing again,
//     or taking back one of many, never walks a list.
//   - Clients with several patterns that fit are told once: they keep the number of the match that
//     found them last.
//   - The version is counted up by whatever a match could tell: also by a client that leaves, whose
//     owner may be gone, and by sweeping, which makes a match cheaper. So what was found holds as
//     long as the version does (readership.h).
//   - A match holds no more than one open place for each word: of the two ways on, it walks one and
//     keeps the other.
//   - Words are hashed under a secret, once for a match, and mixed with places by a secret odd
//     factor: a peer that chooses the words does not choose the buckets.
//
// Invariants  see topics_check

#include "center/topics.h"

#include <string.h>

#include "base/assert.h"

// For each subscription that there may be: other workers may have let in what this one would not
// have, because they heard of who left sooner.
#define PLACES 2u

typedef struct subscription {
    phi_hashed_head head; // found by client and node
    topics_client *client;
    uint32_t node;
    uint32_t of_node_next; // 0 none
    uint32_t of_node_prev; // 0: node.first
    uint32_t of_client_next;
    uint32_t of_client_prev; // 0: client.first
    bool is_wild;            // more than TOPICS_ONES_MAX `*`
} subscription;

struct topics_client {
    phi_list node;   // on topics.leaving, once it left
    void *owner;     // NULL: left
    uint64_t number; // never reused
    uint64_t match;  // that found it last
    uint32_t first;  // of its subscriptions; 0 none
    uint32_t count;
    uint32_t wild_count; // of them, is_wild
};

// 48 bytes a node and 40 a subscription: half of what a million of them cost.
PH_STATIC_ASSERT(sizeof(void *) != 8 || sizeof(topic_node) == 48);
PH_STATIC_ASSERT(sizeof(void *) != 8 || sizeof(subscription) == 40);

// A match under way.
typedef struct walk {
    topics *topics;
    const phi_topic *topic;
    uint64_t hashes[PHI_TOPIC_WORDS_MAX]; // of its words
    topics_found_fn *found;
    void *arg;
    size_t cost;
} walk;

// Where a walk goes on.
typedef struct place {
    uint32_t node;
    uint32_t depth; // words that led there
} place;

static uint64_t word_hash(const topics *t, phi_bytes word);
static uint32_t mix(const topics *t, uint64_t a, uint64_t b);

static topic_node *node_at(const topics *t, uint32_t index);
static phi_bytes node_word(const topic_node *n);
static uint32_t node_find(const topics *t, uint32_t parent, phi_bytes word, uint64_t hash);
static uint32_t node_next(const topics *t, uint32_t parent, phi_bytes word, uint64_t hash);
static uint32_t node_add(topics *t, uint32_t parent, phi_bytes word, uint64_t hash);
static bool node_fill(topics *t, topic_node *n, phi_bytes word);
static uint32_t node_word_count(const topic_node *n);
static uint32_t *node_wild(topic_node *n, phi_bytes word);
static uint32_t follow(const topics *t, const phi_topic *pattern, size_t *depth);
static void prune(topics *t, uint32_t index);
static size_t count_ones(const phi_topic *pattern);

static ph_err add(topics *t, topics_client *client, const phi_topic *pattern,
                  const topics_limits *limits);

static subscription *subscription_at(const topics *t, uint32_t index);
static uint32_t subscription_hash(const topics *t, const topics_client *client, uint32_t node);
static uint32_t subscription_find(const topics *t, const topics_client *client, uint32_t node);
static bool subscription_add(topics *t, topics_client *client, uint32_t node, bool is_wild);
static void subscription_drop(topics *t, uint32_t index);

static uint32_t walk_on(walk *w, place at, uint32_t *other);
static void prefetch_next(const walk *w, place at);
static void report(walk *w, uint32_t node);
static void client_free(topics *t, topics_client *client);

// ---- life

void topics_init(topics *t, const phi_alloc *alloc, phi_hash_key key, const topics_limits *limits)
{
    PH_ASSERT(limits->subscriptions_max > 0);
    PH_ASSERT(limits->subscriptions_max <= UINT32_MAX / 8 / PHI_TOPIC_WORDS_MAX);
    *t = (topics){ .limits = *limits, .key = key, .version = 1 };
    phi_alloc_counter_init(&t->memory, alloc);
    t->memory.bytes_max = limits->memory_max;
    t->odd = phi_siphash(key, phi_bytes_text("odd")) | 1;
    phi_hashed_init(&t->nodes, &t->memory.alloc, sizeof(topic_node),
                    PLACES * limits->subscriptions_max * PHI_TOPIC_WORDS_MAX);
    phi_hashed_init(&t->subscriptions, &t->memory.alloc, sizeof(subscription),
                    PLACES * limits->subscriptions_max);
    phi_list_init(&t->leaving);
}

void topics_fini(topics *t)
{
    PH_ASSERT(!t->is_matching);
    while (topics_sweep(t, SIZE_MAX) != 0) {
    }
    PH_ASSERT(t->subscriptions.count == 0); // all clients have left
    PH_ASSERT(t->nodes.count == 0);
    phi_hashed_fini(&t->subscriptions);
    phi_hashed_fini(&t->nodes);
    PH_ASSERT(t->memory.blocks == 0);
}

topics_client *topics_client_new(topics *t, void *owner)
{
    PH_ASSERT(owner != NULL);
    topics_client *client = phi_take(&t->memory.alloc, sizeof *client);
    if (client != NULL) {
        *client = (topics_client){ .owner = owner, .number = ++t->client_last };
    }
    return client;
}

void topics_leave(topics *t, topics_client **client_at)
{
    topics_client *client = *client_at;
    if (client == NULL) {
        return;
    }
    PH_ASSERT(!t->is_matching);
    PH_ASSERT(client->owner != NULL);
    client->owner = NULL;
    *client_at = NULL;
    t->version++;
    if (client->count == 0) {
        client_free(t, client);
    } else {
        phi_list_append(&t->leaving, &client->node);
    }
}

uint32_t topics_client_count(const topics_client *client)
{
    return client->count;
}

void *topics_client_owner(const topics_client *client)
{
    PH_ASSERT(client->owner != NULL);
    return client->owner;
}

// ---- changes

ph_err topics_subscribe(topics *t, topics_client *client, const phi_topic *pattern)
{
    return add(t, client, pattern, &t->limits);
}

ph_err topics_follow(topics *t, topics_client *client, const phi_topic *pattern)
{
    static const topics_limits none = {
        .subscriptions_max = UINT32_MAX,
        .subscriptions_per_client_max = UINT32_MAX,
        .wild_per_client_max = UINT32_MAX,
    };
    return add(t, client, pattern, &none);
}

static ph_err add(topics *t, topics_client *client, const phi_topic *pattern,
                  const topics_limits *limits)
{
    PH_ASSERT(!t->is_matching);
    PH_ASSERT(client->owner != NULL);
    PH_ASSERT(pattern->count > 0);
    size_t depth;
    uint32_t node = follow(t, pattern, &depth);
    if (depth == pattern->count && subscription_find(t, client, node) != 0) {
        return PH_OK;
    }
    if (client->count >= limits->subscriptions_per_client_max ||
        t->subscriptions.count >= limits->subscriptions_max) {
        return PH_ELIMIT;
    }
    bool is_wild = count_ones(pattern) > TOPICS_ONES_MAX;
    if (is_wild && client->wild_count >= limits->wild_per_client_max) {
        return PH_ELIMIT;
    }
    for (; depth < pattern->count; depth++) {
        phi_bytes word = pattern->words[depth];
        uint32_t child = node_add(t, node, word, word_hash(t, word));
        if (child == 0) {
            prune(t, node);
            return PH_ENOMEM;
        }
        node = child;
    }
    if (!subscription_add(t, client, node, is_wild)) {
        prune(t, node);
        return PH_ENOMEM;
    }
    return PH_OK;
}

bool topics_unsubscribe(topics *t, topics_client *client, const phi_topic *pattern)
{
    PH_ASSERT(!t->is_matching);
    PH_ASSERT(client->owner != NULL);
    PH_ASSERT(pattern->count > 0);
    size_t depth;
    uint32_t node = follow(t, pattern, &depth);
    if (depth < pattern->count) {
        return false;
    }
    uint32_t index = subscription_find(t, client, node);
    if (index == 0) {
        return false;
    }
    subscription_drop(t, index);
    return true;
}

size_t topics_sweep(topics *t, size_t count_max)
{
    PH_ASSERT(!t->is_matching);
    size_t count = 0;
    while (count < count_max && !phi_list_is_empty(&t->leaving)) {
        topics_client *client = PHI_CONTAINER_OF(t->leaving.next, topics_client, node);
        PH_ASSERT(client->owner == NULL);
        PH_ASSERT(client->first != 0);
        subscription_drop(t, client->first);
        count++;
        if (client->count == 0) {
            phi_list_remove(&client->node);
            client_free(t, client);
        }
    }
    return count;
}

static size_t count_ones(const phi_topic *pattern)
{
    size_t count = 0;
    for (size_t i = 0; i < pattern->count; i++) {
        count += phi_bytes_equal(pattern->words[i], phi_bytes_text("*"));
    }
    return count;
}

// ---- matching

size_t topics_match(topics *t, const phi_topic *topic, topics_found_fn *found, void *arg)
{
    PH_ASSERT(!t->is_matching);
    PH_ASSERT(topic->count > 0);
    if (t->subscriptions.count == 0) {
        return 0;
    }
    walk w = { .topics = t, .topic = topic, .found = found, .arg = arg };
    for (size_t i = 0; i < topic->count; i++) {
        w.hashes[i] = word_hash(t, topic->words[i]);
    }
    t->is_matching = true;
    t->match_last++;
    place open[PHI_TOPIC_WORDS_MAX]; // each deeper than the one before
    size_t open_count = 0;
    place at = { 0, 0 };
    for (;;) {
        uint32_t other = 0;
        at.node = walk_on(&w, at, &other);
        at.depth++;
        if (other != 0) {
            PH_ASSERT(open_count < PHI_TOPIC_WORDS_MAX);
            open[open_count++] = (place){ other, at.depth };
        }
        if (at.node == 0) {
            if (open_count == 0) {
                break;
            }
            at = open[--open_count];
        }
    }
    t->is_matching = false;
    return w.cost;
}

// Looks at one place: the two places after it, 0 for none.
static uint32_t walk_on(walk *w, place at, uint32_t *other)
{
    const topics *t = w->topics;
    w->cost++;
    if (at.depth == w->topic->count) {
        report(w, at.node);
        return 0;
    }
    const topic_node *n = node_at(t, at.node);
    if (n->rest != 0) {
        w->cost++;
        report(w, n->rest);
    }
    if (n->one != 0) {
        prefetch_next(w, (place){ n->one, at.depth + 1 });
    }
    *other = n->one;
    return node_next(t, at.node, w->topic->words[at.depth], w->hashes[at.depth]);
}

// It is looked at a little later; the way to memory is long.
static void prefetch_next(const walk *w, place at)
{
    const topics *t = w->topics;
    PHI_PREFETCH(phi_hashed_at(&t->nodes, at.node));
    if (at.depth < w->topic->count) {
        PHI_PREFETCH(phi_hashed_bucket(&t->nodes, mix(t, w->hashes[at.depth], at.node)));
    }
}

static void report(walk *w, uint32_t node)
{
    const topics *t = w->topics;
    for (uint32_t i = node_at(t, node)->first; i != 0;) {
        const subscription *s = subscription_at(t, i);
        topics_client *client = s->client;
        w->cost++;
        if (client->match != t->match_last && client->owner != NULL) {
            client->match = t->match_last;
            w->found(w->arg, client->owner);
        }
        i = s->of_node_next;
    }
}

// ---- nodes

static uint64_t word_hash(const topics *t, phi_bytes word)
{
    return phi_siphash(t->key, word);
}

static uint32_t mix(const topics *t, uint64_t a, uint64_t b)
{
    uint64_t x = (a + b) * t->odd;
    x = (x ^ x >> 32) * t->odd;
    return (uint32_t)(x >> 32);
}

static topic_node *node_at(const topics *t, uint32_t index)
{
    return index == 0 ? (topic_node *)&t->root : phi_hashed_at(&t->nodes, index);
}

static bool is_near(size_t word_size)
{
    return word_size <= TOPIC_WORD_NEAR_MAX;
}

static phi_bytes node_word(const topic_node *n)
{
    uint8_t size = n->word.size;
    return phi_bytes_of(is_near(size) ? n->word.near.text : n->word.far.text, size);
}

// Children that are no wildcards.
static uint32_t node_word_count(const topic_node *n)
{
    uint32_t wild_count = (n->one != 0 ? 1u : 0u) + (n->rest != 0 ? 1u : 0u);
    PH_ASSERT(n->child_count >= wild_count);
    return n->child_count - wild_count;
}

// `hash` is the word's; 0: none.
static uint32_t node_find(const topics *t, uint32_t parent, phi_bytes word, uint64_t hash)
{
    uint32_t mixed = mix(t, hash, parent);
    uint32_t index = phi_hashed_first(&t->nodes, mixed);
    while (index != 0) {
        const topic_node *n = phi_hashed_at(&t->nodes, index);
        if (n->head.hash == mixed && n->parent == parent && phi_bytes_equal(node_word(n), word)) {
            return index;
        }
        index = n->head.next;
    }
    return 0;
}

// The same for a word of a topic, which is no wildcard, by the shortest way.
static uint32_t node_next(const topics *t, uint32_t parent, phi_bytes word, uint64_t hash)
{
    const topic_node *n = node_at(t, parent);
    if (n->only != 0) {
        return phi_bytes_equal(node_word(node_at(t, n->only)), word) ? n->only : 0;
    }
    return node_word_count(n) == 0 ? 0 : node_find(t, parent, word, hash);
}

// 0: no memory.
static uint32_t node_add(topics *t, uint32_t parent, phi_bytes word, uint64_t hash)
{
    uint32_t index = phi_hashed_take(&t->nodes, mix(t, hash, parent));
    if (index == 0) {
        return 0;
    }
    topic_node *n = node_at(t, index);
    if (!node_fill(t, n, word)) {
        phi_hashed_give(&t->nodes, index);
        return 0;
    }
    n->parent = parent;
    topic_node *above = node_at(t, parent);
    uint32_t *wild = node_wild(above, word);
    if (wild != NULL) {
        PH_ASSERT(*wild == 0);
        *wild = index;
    } else {
        above->only = node_word_count(above) == 0 ? index : 0;
    }
    above->child_count++;
    return index;
}

// False: no memory.
static bool node_fill(topics *t, topic_node *n, phi_bytes word)
{
    PH_ASSERT(word.size > 0);
    PH_ASSERT(word.size <= PHI_TOPIC_BYTES_MAX);
    if (is_near(word.size)) {
        memcpy(n->word.near.text, word.data, word.size);
    } else {
        uint8_t *text = phi_take(&t->memory.alloc, word.size);
        if (text == NULL) {
            return false;
        }
        memcpy(text, word.data, word.size);
        n->word.far.text = text;
    }
    n->word.size = (uint8_t)word.size;
    return true;
}

// Where a parent keeps the child for that word; NULL: only in the table.
static uint32_t *node_wild(topic_node *n, phi_bytes word)
{
    if (word.size != 1) {
        return NULL;
    }
    return word.data[0] == '*' ? &n->one : word.data[0] == '>' ? &n->rest : NULL;
}

// The deepest node on the pattern's way that there is, and how many words led there.
static uint32_t follow(const topics *t, const phi_topic *pattern, size_t *depth)
{
    uint32_t node = 0;
    size_t i = 0;
    for (; i < pattern->count; i++) {
        phi_bytes word = pattern->words[i];
        uint32_t child = node_find(t, node, word, word_hash(t, word));
        if (child == 0) {
            break;
        }
        node = child;
    }
    *depth = i;
    return node;
}

// Frees the node, and those above it, that nobody needs any more.
static void prune(topics *t, uint32_t index)
{
    while (index != 0) {
        topic_node *n = node_at(t, index);
        if (n->first != 0 || n->child_count != 0) {
            return;
        }
        PH_ASSERT(n->one == 0);
        PH_ASSERT(n->rest == 0);
        PH_ASSERT(n->only == 0);
        uint32_t parent = n->parent;
        topic_node *above = node_at(t, parent);
        uint32_t *wild = node_wild(above, node_word(n));
        if (wild != NULL) {
            PH_ASSERT(*wild == index);
            *wild = 0;
        } else if (above->only == index) {
            above->only = 0;
        }
        if (!is_near(n->word.size)) {
            phi_give(&t->memory.alloc, n->word.far.text, n->word.size);
        }
        PH_ASSERT(above->child_count > 0);
        above->child_count--;
        phi_hashed_give(&t->nodes, index);
        index = parent;
    }
}

// ---- subscriptions

static subscription *subscription_at(const topics *t, uint32_t index)
{
    return phi_hashed_at(&t->subscriptions, index);
}

static uint32_t subscription_hash(const topics *t, const topics_client *client, uint32_t node)
{
    return mix(t, client->number << 32, node);
}

static uint32_t subscription_find(const topics *t, const topics_client *client, uint32_t node)
{
    uint32_t index = phi_hashed_first(&t->subscriptions, subscription_hash(t, client, node));
    while (index != 0) {
        const subscription *s = subscription_at(t, index);
        if (s->client == client && s->node == node) {
            break;
        }
        index = s->head.next;
    }
    return index;
}

// False: no memory.
static bool subscription_add(topics *t, topics_client *client, uint32_t node, bool is_wild)
{
    uint32_t index = phi_hashed_take(&t->subscriptions, subscription_hash(t, client, node));
    if (index == 0) {
        return false;
    }
    subscription *s = subscription_at(t, index);
    topic_node *n = node_at(t, node);
    s->client = client;
    s->node = node;
    s->is_wild = is_wild;
    s->of_node_next = n->first;
    s->of_client_next = client->first;
    if (n->first != 0) {
        subscription_at(t, n->first)->of_node_prev = index;
    }
    if (client->first != 0) {
        subscription_at(t, client->first)->of_client_prev = index;
    }
    n->first = index;
    client->first = index;
    client->count++;
    client->wild_count += is_wild;
    t->version++;
    return true;
}

static void subscription_drop(topics *t, uint32_t index)
{
    const subscription *s = subscription_at(t, index);
    topics_client *client = s->client;
    uint32_t node = s->node;
    PH_ASSERT(client->count > 0);
    PH_ASSERT(client->wild_count >= s->is_wild);
    client->count--;
    client->wild_count -= s->is_wild;
    t->version++;
    if (s->of_node_next != 0) {
        subscription_at(t, s->of_node_next)->of_node_prev = s->of_node_prev;
    }
    if (s->of_node_prev != 0) {
        subscription_at(t, s->of_node_prev)->of_node_next = s->of_node_next;
    } else {
        node_at(t, node)->first = s->of_node_next;
    }
    if (s->of_client_next != 0) {
        subscription_at(t, s->of_client_next)->of_client_prev = s->of_client_prev;
    }
    if (s->of_client_prev != 0) {
        subscription_at(t, s->of_client_prev)->of_client_next = s->of_client_next;
    } else {
        client->first = s->of_client_next;
    }
    phi_hashed_give(&t->subscriptions, index);
    prune(t, node);
}

static void client_free(topics *t, topics_client *client)
{
    PH_ASSERT(client->owner == NULL);
    PH_ASSERT(client->first == 0);
    phi_give(&t->memory.alloc, client, sizeof *client);
}

// ---- invariants

static void node_check(const topics *t, uint32_t index)
{
    const topic_node *n = node_at(t, index);
    phi_bytes word = node_word(n);
    PH_ASSERT(word.size > 0);
    PH_ASSERT(n->first != 0 || n->child_count != 0);
    PH_ASSERT(node_find(t, n->parent, word, word_hash(t, word)) == index);
    const uint32_t *wild = node_wild(node_at(t, n->parent), word);
    PH_ASSERT(wild == NULL || *wild == index);
    if (n->only != 0) {
        PH_ASSERT(node_word_count(n) == 1);
        PH_ASSERT(node_at(t, n->only)->parent == index);
    }
    uint32_t before = 0;
    for (uint32_t i = n->first; i != 0; i = subscription_at(t, i)->of_node_next) {
        const subscription *s = subscription_at(t, i);
        PH_ASSERT(s->node == index);
        PH_ASSERT(s->of_node_prev == before);
        PH_ASSERT(subscription_find(t, s->client, index) == i);
        before = i;
    }
}

void topics_check(const topics *t)
{
    phi_hashed_check(&t->nodes);
    phi_hashed_check(&t->subscriptions);
    PH_ASSERT(t->root.first == 0);
    uint64_t children = t->root.child_count;
    uint32_t nodes = 0;
    for (uint32_t hash = 0; hash < t->nodes.bucket_count; hash++) {
        for (uint32_t i = phi_hashed_first(&t->nodes, hash); i != 0;) {
            node_check(t, i);
            children += node_at(t, i)->child_count;
            nodes++;
            i = node_at(t, i)->head.next;
        }
    }
    PH_ASSERT(nodes == t->nodes.count);
    PH_ASSERT(children == nodes); // each has one parent
    for (phi_list *l = t->leaving.next; l != &t->leaving; l = l->next) {
        const topics_client *client = PHI_CONTAINER_OF(l, topics_client, node);
        PH_ASSERT(client->owner == NULL);
        PH_ASSERT(client->count > 0);
    }
}
