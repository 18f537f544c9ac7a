// SPDX-License-Identifier: Apache-2.0
//
// tests/wire/equal.h - whether two decoded packets say the same. Shared by the tests and fuzzers of
// the wire layer, which compare what was decoded with what was meant, or with itself after a round
// trip.

#ifndef TESTS_WIRE_EQUAL_H
#define TESTS_WIRE_EQUAL_H

#include "wire/bye.h"
#include "wire/credential.h"
#include "wire/handshake.h"
#include "wire/heartbeat.h"
#include "wire/message.h"
#include "wire/own_state.h"
#include "wire/presence.h"
#include "wire/stream.h"
#include "wire/subscription.h"

static inline bool heartbeat_equal(const phi_heartbeat *a, const phi_heartbeat *b)
{
    return a->kind == b->kind && a->stamp == b->stamp;
}

static inline bool hello_equal(const phi_hello *a, const phi_hello *b)
{
    return a->version == b->version && a->suite == b->suite &&
           phi_bytes_equal(a->domain, b->domain) &&
           memcmp(&a->keys, &b->keys, sizeof a->keys) == 0 &&
           a->heartbeat_idle_ms == b->heartbeat_idle_ms &&
           a->heartbeat_grace_ms == b->heartbeat_grace_ms &&
           a->packet_bytes_max == b->packet_bytes_max && a->calls_max == b->calls_max &&
           a->message_bytes_max == b->message_bytes_max && a->streams_max == b->streams_max &&
           a->subscriptions_max == b->subscriptions_max;
}

static inline bool ask_equal(const phi_presence_ask *a, const phi_presence_ask *b)
{
    return a->wants == b->wants && a->type == b->type && phi_bytes_equal(a->service, b->service) &&
           phi_bytes_equal(a->domain, b->domain) && a->last_epoch == b->last_epoch &&
           a->last_revision == b->last_revision;
}

static inline bool metadata_equal(const phi_metadata *a, const phi_metadata *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!phi_bytes_equal(a[i].key, b[i].key) || !phi_bytes_equal(a[i].value, b[i].value)) {
            return false;
        }
    }
    return true;
}

static inline bool join_equal(const phi_join *a, const phi_join *b)
{
    if (a->metadata_count != b->metadata_count ||
        !metadata_equal(a->metadata, b->metadata, a->metadata_count)) {
        return false;
    }
    return a->version == b->version && phi_bytes_equal(a->account, b->account) &&
           a->type == b->type && phi_bytes_equal(a->service, b->service) &&
           phi_bytes_equal(a->token, b->token) && a->capabilities == b->capabilities &&
           ask_equal(&a->presence, &b->presence) && phi_bytes_equal(a->software, b->software) &&
           a->state == b->state && a->has_weight == b->has_weight && a->weight == b->weight &&
           a->message_bytes_max == b->message_bytes_max;
}

static inline bool welcome_equal(const phi_welcome *a, const phi_welcome *b)
{
    return phi_bytes_equal(a->id, b->id) && a->session == b->session && a->epoch == b->epoch &&
           a->revision == b->revision && a->expires_ms == b->expires_ms;
}

static inline bool entry_equal(const phi_entry *a, const phi_entry *b)
{
    return a->what == b->what && a->reason == b->reason && a->type == b->type &&
           a->state == b->state && a->session == b->session && a->revision == b->revision &&
           phi_bytes_equal(a->id, b->id) && phi_bytes_equal(a->service, b->service) &&
           phi_bytes_equal(a->fields, b->fields);
}

static inline bool page_equal(const phi_page *a, const phi_page *b)
{
    return a->epoch == b->epoch && a->revision == b->revision && a->flags == b->flags &&
           a->count == b->count && phi_bytes_equal(a->entries, b->entries);
}

static inline bool status_equal(const phi_status *a, const phi_status *b)
{
    return a->epoch == b->epoch && a->previous == b->previous && a->revision == b->revision &&
           a->count == b->count && phi_bytes_equal(a->entries, b->entries);
}

static inline bool message_equal(const phi_message *a, const phi_message *b)
{
    return a->kind == b->kind && a->flags == b->flags && a->turn == b->turn &&
           a->ttl_ms == b->ttl_ms && a->call == b->call && a->depth == b->depth &&
           a->want == b->want && phi_bytes_equal(a->to, b->to) &&
           phi_bytes_equal(a->from, b->from) && phi_bytes_equal(a->method, b->method) &&
           phi_bytes_equal(a->headers, b->headers) && phi_bytes_equal(a->body, b->body);
}

static inline bool bye_equal(const phi_bye *a, const phi_bye *b)
{
    return a->reason == b->reason && a->retry_after_ms == b->retry_after_ms &&
           phi_bytes_equal(a->text, b->text);
}

static inline bool credential_equal(const phi_credential *a, const phi_credential *b)
{
    return phi_bytes_equal(a->token, b->token);
}

static inline bool credential_answer_equal(const phi_credential_answer *a,
                                           const phi_credential_answer *b)
{
    return a->expires_ms == b->expires_ms;
}

static inline bool own_state_equal(const phi_own_state *a, const phi_own_state *b)
{
    return a->state == b->state && a->has_weight == b->has_weight && a->weight == b->weight &&
           a->has_metadata == b->has_metadata && a->metadata_count == b->metadata_count &&
           metadata_equal(a->metadata, b->metadata, a->metadata_count) &&
           a->has_software == b->has_software && phi_bytes_equal(a->software, b->software);
}

static inline bool stream_equal(const phi_stream_control *a, const phi_stream_control *b)
{
    return a->op == b->op && a->kind == b->kind && a->turn == b->turn && a->call == b->call &&
           a->value == b->value;
}

#endif // TESTS_WIRE_EQUAL_H
