// SPDX-License-Identifier: Apache-2.0
//
// center/readership.h - whom events on a topic are for, kept as a match found it.
//
// Mostly nothing changed between two events on a topic, and a match would find the same again. So
// what it found stands here under the topic's text: its owners, in their order, and what it cost,
// for that is charged all the same. It is good for one version of topics.h, in which no
// subscription came or went and nobody left; so an owner that stands here and is good is there.
//
// The topic that was asked for last is looked at first. The others have places by their hash, one
// each: of two that share a place the one that is asked for later has it. Who changes subscriptions
// all the time makes others pay for a look and for what is kept in vain, no more.
//
// Life     readerships_init -> (readership_find, then readership_match when it is NULL)* ->
//          readerships_fini
// Limits   READERSHIPS_COUNT topics, READERSHIPS_BYTES_MAX for all; they count as memory of
//          topics.h, so memory_max there is for both. Of a topic for which there is no room
//          nothing is kept. A subscription for which there is none comes first: readerships_shed
// Threads  none

#ifndef CENTER_READERSHIP_H
#define CENTER_READERSHIP_H

#include "center/guard.h"
#include "center/topics.h"
#include "wire/name.h"

#define READERSHIPS_COUNT 256u         // a power of two
#define READERSHIPS_BYTES_MAX 4194304u // half a million owners

typedef struct readership {
    uint64_t version;  // topics.version when it was found; 0: nothing stands here
    size_t cost;       // of finding it
    guard_topic topic; // it, and what is known of rights to it
    void **owners;     // owned
    uint32_t count;
    uint32_t capacity;
    uint8_t name[PHI_TOPIC_BYTES_MAX]; // topic.name
} readership;

typedef struct readerships {
    topics *topics;           // borrowed
    phi_hash_key key;         // secret: peers choose the topics
    phi_alloc_counter memory; // of all this; it is counted by topics.memory, too
    readership *places;       // owned; NULL until something is to be kept
    readership *last;         // that was asked for, whatever stands there; NULL: none yet
    const uint8_t *asked;     // for what, when it was not the one before
} readerships;

void readerships_init(readerships *all, topics *t, phi_hash_key key);

// Accepts a zeroed one.
void readerships_fini(readerships *all);

// Whom the topic is for, valid until somebody subscribes, unsubscribes or leaves, or the next call
// here. NULL: it is not known.
readership *readership_find(readerships *all, phi_bytes topic);

// The same for an address, if it is that of the topic that was asked for last.
static PHI_ALWAYS_INLINE readership *readership_again(const readerships *all, phi_bytes address)
{
    readership *last = all->last;
    bool is_good = last != NULL && last->version == all->topics->version &&
                   phi_address_is_topic(address, last->topic.name);
    return PHI_LIKELY(is_good) ? last : NULL;
}

// topics_match() of the topic `text`, for which readership_find was just asked in vain, and keeps
// what it finds.
size_t readership_match(readerships *all, phi_bytes text, const phi_topic *topic,
                        topics_found_fn *found, void *arg);

// Gives back all memory. False: it had none.
bool readerships_shed(readerships *all);

// Asserts the invariants: what is good is what a match finds.
void readerships_check(const readerships *all);

#endif // CENTER_READERSHIP_H
