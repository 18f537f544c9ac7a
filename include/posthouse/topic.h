// SPDX-License-Identifier: Apache-2.0
//
// posthouse/topic.h - publish, and subscribe to what others publish.
//
//     ph_client_subscribe(client, "orders.*.created", &id, on_order, NULL, NULL);
//     ph_client_publish(client, "orders.eu.created", body, body_size);
//
// A topic is 1 to 16 words with dots between them, together at most 240 bytes. A word is 1 or more
// bytes of UTF-8 without space, control characters, `.`, `*` and `>`. In a pattern, `*` stands for
// any one word, and `>`, as the last word, for one or more.
//
// Coming back  Subscriptions are remembered over reconnects. Behind a new connection's handshake
//              they go first, before on_link says "up" and so before anything that the application
//              sends. Many of them (more than half a send buffer) follow as there is room. What is
//              published between two connections, or before a subscription is in force again, is
//              missed: ph_subscribed_fn says from when on nothing is.
// Threads, ownership, errors   as in client.h

#ifndef PH_TOPIC_H
#define PH_TOPIC_H

#include <posthouse/client.h>

#ifdef __cplusplus
extern "C" {
#endif

// One subscription of one client. The zero value is never one.
typedef struct ph_subscription_id {
    uint64_t value;
} ph_subscription_id;

// What became of a subscription: once over each connection, so again after each reconnect.
//
//   status  PH_OK        in force: of what the center takes from now on, nothing is missed
//           PH_EFAILURE  refused; `code` says why: PH_FAILURE_TOO_MANY_CALLS (the center's limit of
//                        subscriptions), PH_FAILURE_REFUSED_BY_POLICY, PH_FAILURE_MALFORMED. The
//                        next connection asks again, unless it is unsubscribed
typedef void ph_subscribed_fn(ph_client *client, ph_subscription_id id, ph_err status,
                              uint16_t code, void *arg);

// Subscribes, now or as soon as the client is up. Several subscriptions may have the same pattern;
// an event comes to each whose pattern it fits, once. Who publishes gets it too.
//
//   id             receives what ph_client_unsubscribe wants; may be NULL
//   on_event       gets the events; `to` of an event is "topic:" and the topic. NULL: they come to
//                  the on_event of the options, once however many such patterns fit
//   on_subscribed  may be NULL
//   arg            given to both
//
// PH_EINVAL   not a pattern
// PH_ELIMIT   there are options.subscriptions_max
// PH_ENOMEM   no memory
// PH_ECLOSED  the client is closed
PH_API PH_MUST_CHECK ph_err ph_client_subscribe(ph_client *client, const char *pattern,
                                                ph_subscription_id *id, ph_event_fn *on_event,
                                                ph_subscribed_fn *on_subscribed, void *arg);

// Ends it: none of its callbacks run from now on.
//
// PH_ENOTFOUND   there is none of that id (any more)
PH_API PH_MUST_CHECK ph_err ph_client_unsubscribe(ph_client *client, ph_subscription_id id);

// How many there are, in force or not.
PH_API size_t ph_client_subscription_count(const ph_client *client);

// Sends an event to everybody who subscribed to it: ph_client_send to "topic:" and the topic, which
// is what somebody with headers or a method calls.
//
// PH_EINVAL   not a topic
// and those of ph_client_send
PH_API PH_MUST_CHECK ph_err ph_client_publish(ph_client *client, const char *topic,
                                              const void *body, size_t body_size);

// [any thread] NULL is not one.
PH_API bool ph_topic_is_valid(const char *topic);
PH_API bool ph_pattern_is_valid(const char *pattern); // a topic is a pattern, too

// Whether an event of that topic comes to who subscribed to that pattern; false when either is not
// valid. [any thread]
PH_API bool ph_topic_fits(const char *topic, const char *pattern);

#ifdef __cplusplus
}
#endif

#endif // PH_TOPIC_H
