// SPDX-License-Identifier: Apache-2.0
//
// client/topics.h - what one client has subscribed to: docs/protocol.md P-73, P-74.
//
// A pattern is asked for once, however many subscriptions have it. It is on one of four lists:
// untold (the center has to be told of it, or that nobody wants it any more), asked (told; the
// answer is awaited), telling (answered; its subscriptions are being told) and settled.
//
// Limits   options.subscriptions_max
// Threads  none

#ifndef PHI_CLIENT_TOPICS_H
#define PHI_CLIENT_TOPICS_H

#include <posthouse/topic.h>

#include "base/list.h"
#include "base/map.h"
#include "base/slots.h"
#include "wire/message.h"

#define PHI_TOPIC_PREFIX "topic:" // in `to`
#define PHI_TOPIC_PREFIX_BYTES 6u

// What patterns with their wildcards at the same places have in common. An event is looked up once
// for each shape there is: programs have few.
typedef struct phi_shape {
    uint16_t stars;     // bit n: word n is `*`
    uint8_t word_count; // `>` not counted
    bool has_rest;      // ends in `>`
    uint32_t count;     // of patterns
} phi_shape;

// To which subscriptions events to one topic come: kept, because few topics are busy at a time, and
// good as long as no subscription comes or goes.
#define PHI_ROUTES 64u // a power of two
#define PHI_ROUTE_TOPIC_BYTES_MAX 64u
#define PHI_ROUTE_FOUND_MAX 4u

typedef struct phi_topic_route {
    uint64_t version; // phi_topics.version when it was made; 0: never
    uint64_t found[PHI_ROUTE_FOUND_MAX];
    uint8_t found_count;
    bool is_for_all;
    uint8_t size;
    uint8_t topic[PHI_ROUTE_TOPIC_BYTES_MAX];
} phi_topic_route;

typedef struct phi_topics {
    phi_slots subscriptions; // phi_subscriber, in topic.c
    phi_map map;             // text -> pattern, in topic.c
    phi_list untold;
    phi_list asked; // the oldest first
    phi_list telling;
    phi_list settled;
    phi_shape *shapes; // owned
    uint32_t shape_count;
    uint32_t shape_capacity;
    uint64_t *found; // owned; room for one event's subscriptions
    uint32_t found_capacity;
    uint64_t version;        // counts subscriptions that come and go
    phi_topic_route *routes; // owned; NULL: no event came, or there was no memory
    uint32_t number;         // of the last packet sent
} phi_topics;

void phi_client_topics_init(ph_client *client);
void phi_client_topics_fini(ph_client *client);

// A connection is up: everything has to be asked for again.
void phi_client_topics_restore(ph_client *client);

// Tells the center what it has to be told, as far as there is room; on_room goes on.
void phi_client_topics_flush(ph_client *client);

void phi_client_on_subscription(ph_client *client, phi_bytes payload);

// An event to a topic: a view of a message.
void phi_client_on_topic(ph_client *client, const ph_incoming *incoming);

static inline bool phi_client_is_topic(phi_bytes to)
{
    return to.size > PHI_TOPIC_PREFIX_BYTES &&
           memcmp(to.data, PHI_TOPIC_PREFIX, PHI_TOPIC_PREFIX_BYTES) == 0;
}

// Walks over everything and asserts that map, slots, shapes and lists agree.
void phi_client_topics_check(const ph_client *client);

#endif // PHI_CLIENT_TOPICS_H
