// SPDX-License-Identifier: Apache-2.0
//
// center/topics.h - who wants which topics: patterns of words, and who is told of a topic.
//
// Nothing but the structure: it knows no session and no message. A client of it is somebody with
// subscriptions; one that leaves is told nothing any more at once, while its subscriptions are
// swept out bit by bit, because one client may have tens of thousands.
//
// What a match costs follows from the topic and from who is found, not from how many other
// subscriptions there are. But for a topic of n words there may be 2^n patterns of words and `*`,
// so topics_match says what it did cost, and its caller charges that. Few clients with all of those
// would make a match take longer than any turn may; so of patterns with more than TOPICS_ONES_MAX
// `*`, of which there are so many, each client may have only some.
//
// Life     init -> (client_new, subscribe, unsubscribe, match, leave, sweep)* -> fini
// Limits   those of topics_limits; a pattern has at most PHI_TOPIC_WORDS_MAX words
// Threads  none

#ifndef CENTER_TOPICS_H
#define CENTER_TOPICS_H

#include <posthouse/err.h>

#include "base/hashed.h"
#include "base/list.h"
#include "base/siphash.h"
#include "wire/topic.h"

typedef struct topics_limits {
    uint32_t subscriptions_max; // in total, those of clients that left and are not swept included
    uint32_t subscriptions_per_client_max;
    uint32_t wild_per_client_max; // of those, with more than TOPICS_ONES_MAX `*`
    size_t memory_max;            // bytes
} topics_limits;

#define TOPIC_WORD_NEAR_MAX 15u

// With at most so many `*`, no more than some 800 patterns fit the same topic.
#define TOPICS_ONES_MAX 2u

// One word of a pattern, at one place in the tree of all patterns.
typedef struct topic_node {
    phi_hashed_head head; // found by parent and word
    uint32_t parent;
    uint32_t one;         // child for `*`; 0 none
    uint32_t rest;        // child for `>`; 0 none
    uint32_t only;        // the child for a word, when there never was another beside it; 0: look
    uint32_t child_count; // `one` and `rest` included
    uint32_t first;       // of its subscriptions: topics.subscriptions, by of_node; 0 none
    union {
        uint8_t size;
        struct {
            uint8_t size;
            uint8_t text[TOPIC_WORD_NEAR_MAX];
        } near; // when it fits
        struct {
            uint8_t size;
            uint8_t *text; // owned
        } far;             // else
    } word;
} topic_node;

typedef struct topics topics;
typedef struct topics_client topics_client;

struct topics {
    phi_alloc_counter memory; // of all this
    topics_limits limits;
    phi_hash_key key;         // secret: peers choose the words
    uint64_t odd;             // same; mixes words with places
    phi_hashed nodes;         // topic_node
    phi_hashed subscriptions; // subscription, in topics.c
    topic_node root;          // what has index 0
    phi_list leaving;         // topics_client.node, those that left
    uint64_t client_last;     // number given last
    uint64_t match_last;      // same
    uint64_t version;         // counts what changes who is found, in which order, or at what cost
    bool is_matching;
};

// What a match found: `owner` as given to topics_client_new.
typedef void topics_found_fn(void *arg, void *owner);

// `alloc` is borrowed until fini.
void topics_init(topics *t, const phi_alloc *alloc, phi_hash_key key, const topics_limits *limits);

// All clients have left.
void topics_fini(topics *t);

// Somebody who may subscribe; `owner`, which is handed out by matches, is borrowed until it leaves.
// NULL when there is no memory.
topics_client *topics_client_new(topics *t, void *owner);

// Is found no more. Its subscriptions go when they are swept. Accepts NULL in *client; clears it.
void topics_leave(topics *t, topics_client **client);

uint32_t topics_client_count(const topics_client *client);

// As given to topics_client_new.
void *topics_client_owner(const topics_client *client);

// Subscribing again to the same is nothing.
//
// PH_ELIMIT   the client has, or all have, as many as they may
// PH_ENOMEM   no memory, or memory_max
PHI_MUST_CHECK ph_err topics_subscribe(topics *t, topics_client *client, const phi_topic *pattern);

// The same for one whose limits were kept elsewhere (center/worker.h): only places and memory may
// be used up, and places are twice as many as subscriptions may be.
PHI_MUST_CHECK ph_err topics_follow(topics *t, topics_client *client, const phi_topic *pattern);

// False when it had not subscribed to that.
bool topics_unsubscribe(topics *t, topics_client *client, const phi_topic *pattern);

// Tells `found` of everybody with a pattern that the topic fits, each once. Returns what that cost:
// places looked at and subscriptions passed. `found` must not change the structure.
size_t topics_match(topics *t, const phi_topic *topic, topics_found_fn *found, void *arg);

// Removes up to `count_max` subscriptions of those that left; returns how many it did.
size_t topics_sweep(topics *t, size_t count_max);

// Subscriptions, those not yet swept included.
static inline uint32_t topics_count(const topics *t)
{
    return t->subscriptions.count;
}

// Asserts the invariants; walks over all.
void topics_check(const topics *t);

#endif // CENTER_TOPICS_H
