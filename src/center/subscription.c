// SPDX-License-Identifier: Apache-2.0
//
// center/subscription.c - see subscription.h.
//
// Design notes
//   - Most clients never subscribe: what it takes is made with the first packet.
//   - An answer is put together on the stack and copied into the send buffer; only one that finds
//     no room is kept. While it waits its client is held, so there is at most one.
//
// Invariants  session.subscriber->answer is set only while the session is held for it
//
// Clauses: P-73.

#include "center/subscription.h"

#include <posthouse/message.h>

#include "base/assert.h"
#include "center/state.h"
#include "wire/subscription.h"

enum {
    RETRY_MS = 1000,
    // A field's head and code for each pattern refused; the shortest pattern is none at all.
    FIELD_HEAD_BYTES = 3,
    CODE_BYTES = 2,
    ANSWER_BYTES_MAX =
        PHI_SUBSCRIPTION_BYTES_MAX + PHI_SUBSCRIPTION_BYTES_MAX / FIELD_HEAD_BYTES * CODE_BYTES,
    SWEEP_COUNT_MAX = 4096, // in a turn: about a millisecond
};

struct subscriber {
    topics_client *client;
    phi_list node;   // on center.answered, once a kept answer found room
    uint8_t *answer; // owned; NULL: none waits
    size_t answer_size;
};

// An answer under way.
typedef struct answer {
    phi_writer w;
    uint32_t refused_count;
    ph_failure_code refused_last;
} answer;

static bool make_subscriber(center *c, session *s);
static void change(center *c, session *s, const phi_field *field, answer *a);
static void subscribe(center *c, session *s, phi_bytes text, answer *a);
static void unsubscribe(center *c, session *s, phi_bytes text);
static void refuse(center *c, answer *a, ph_failure_code code, phi_bytes pattern);
static void log_refusals(center *c, const session *s, const answer *a);

static bool say(session *s, phi_bytes bytes);
static void keep_answer(center *c, session *s, phi_bytes bytes);
static void drop_answer(center *c, subscriber *sub);

void subscription_init(center *c)
{
    const center_options *o = &c->options;
    topics_init(&c->topics, c->io->alloc, c->hash,
                &(topics_limits){
                    .subscriptions_max = (uint32_t)o->subscriptions_max,
                    .subscriptions_per_client_max = (uint32_t)o->subscriptions_per_client_max,
                    .memory_max = (size_t)o->subscription_memory_max,
                });
    phi_list_init(&c->answered);
}

void subscription_handle(center *c, session *s, phi_bytes payload)
{
    phi_subscription subscription;
    if (phi_subscription_decode(payload, &subscription) != PH_OK) {
        session_end(c, s, PHI_BYE_MALFORMED, 0, NULL);
        return;
    }
    if (s->subscriber == NULL && !make_subscriber(c, s)) {
        session_end(c, s, PHI_BYE_INTERNAL, RETRY_MS, "no memory");
        return;
    }
    PH_ASSERT(s->subscriber->answer == NULL); // or it would be held
    uint8_t bytes[ANSWER_BYTES_MAX];
    answer a = { .w = phi_writer_of((phi_span){ bytes, sizeof bytes }) };
    phi_subscription_begin(&a.w, subscription.number);
    phi_reader r = phi_reader_of(subscription.changes);
    phi_field field;
    while (phi_field_next(&r, &field)) {
        change(c, s, &field, &a);
    }
    PH_ASSERT(!r.failed);
    PH_ASSERT(!a.w.failed);
    log_refusals(c, s, &a);
    if (!say(s, phi_writer_view(&a.w))) {
        keep_answer(c, s, phi_writer_view(&a.w));
    }
}

void subscription_on_room(center *c, session *s)
{
    subscriber *sub = s->subscriber;
    if (sub == NULL || sub->answer == NULL ||
        !say(s, phi_bytes_of(sub->answer, sub->answer_size))) {
        return;
    }
    drop_answer(c, sub);
    phi_list_append(&c->answered, &sub->node);
    phi_io_hurry(c->io);
}

void subscription_leave(center *c, session *s)
{
    subscriber *sub = s->subscriber;
    if (sub == NULL) {
        return;
    }
    topics_leave(&c->topics, &sub->client);
    drop_answer(c, sub);
    phi_list_remove(&sub->node);
    phi_give(c->io->alloc, sub, sizeof *sub);
    s->subscriber = NULL;
}

void subscription_turn(center *c)
{
    if (topics_sweep(&c->topics, SWEEP_COUNT_MAX) == SWEEP_COUNT_MAX) {
        phi_io_hurry(c->io);
    }
    phi_list *node;
    while ((node = phi_list_take(&c->answered)) != NULL) {
        subscriber *sub = PHI_CONTAINER_OF(node, subscriber, node);
        session *s = topics_client_owner(sub->client);
        PH_ASSERT(session_is(s, SESSION_JOINED));
        session_go_on(s);
    }
}

// ---- changes

// False without memory.
static bool make_subscriber(center *c, session *s)
{
    subscriber *sub = phi_take_zeroed(c->io->alloc, 1, sizeof *sub);
    if (sub == NULL) {
        return false;
    }
    sub->client = topics_client_new(&c->topics, s);
    if (sub->client == NULL) {
        phi_give(c->io->alloc, sub, sizeof *sub);
        return false;
    }
    s->subscriber = sub;
    return true;
}

static void change(center *c, session *s, const phi_field *field, answer *a)
{
    switch (field->tag) {
    case PHI_SUBSCRIPTION_ADD:
        subscribe(c, s, field->value, a);
        return;
    case PHI_SUBSCRIPTION_REMOVE:
        unsubscribe(c, s, field->value);
        return;
    default: // of a later version [P-26]
        return;
    }
}

static void subscribe(center *c, session *s, phi_bytes text, answer *a)
{
    phi_topic pattern;
    if (!phi_pattern_parse(text, &pattern)) {
        refuse(c, a, PH_FAILURE_MALFORMED, text);
        return;
    }
    if (topics_subscribe(&c->topics, s->subscriber->client, &pattern) != PH_OK) {
        refuse(c, a, PH_FAILURE_TOO_MANY_CALLS, text);
    }
}

// What is no pattern was never subscribed to.
static void unsubscribe(center *c, session *s, phi_bytes text)
{
    phi_topic pattern;
    if (phi_pattern_parse(text, &pattern)) {
        (void)topics_unsubscribe(&c->topics, s->subscriber->client, &pattern);
    }
}

static void refuse(center *c, answer *a, ph_failure_code code, phi_bytes pattern)
{
    phi_write_refusal(&a->w, (uint16_t)code, pattern);
    a->refused_count++;
    a->refused_last = code;
    c->counters.subscriptions_refused_total++;
}

static void log_refusals(center *c, const session *s, const answer *a)
{
    if (a->refused_count == 0) {
        return;
    }
    CENTER_LOG_WRITE(c, SUBSCRIPTION_REFUSED, PHI_LOG_TEXT("id", session_id(s)),
                     PHI_LOG_NUMBER("refused", a->refused_count),
                     PHI_LOG_NUMBER("code", a->refused_last),
                     PHI_LOG_NUMBER("subscriptions", topics_count(&c->topics)));
}

// ---- answers

// False when there is no room.
static bool say(session *s, phi_bytes bytes)
{
    uint8_t *room = phi_transport_begin(&s->transport, bytes.size);
    if (room == NULL) {
        return false;
    }
    memcpy(room, bytes.data, bytes.size);
    phi_transport_commit(&s->transport, PHI_COMMAND_SUBSCRIPTION, bytes.size);
    return true;
}

static void keep_answer(center *c, session *s, phi_bytes bytes)
{
    subscriber *sub = s->subscriber;
    if (!phi_quota_is_used_up(&c->quota)) {
        sub->answer = phi_take(&c->quota.counted, bytes.size);
    }
    if (sub->answer == NULL) {
        session_end(c, s, PHI_BYE_SLOW_CONSUMER, RETRY_MS, NULL);
        return;
    }
    memcpy(sub->answer, bytes.data, bytes.size);
    sub->answer_size = bytes.size;
    session_hold(c, s);
}

static void drop_answer(center *c, subscriber *sub)
{
    phi_give(&c->quota.counted, sub->answer, sub->answer_size);
    sub->answer = NULL;
    sub->answer_size = 0;
}
