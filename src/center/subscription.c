// SPDX-License-Identifier: Apache-2.0
//
// center/subscription.c - see subscription.h.
//
// Design notes
//   - Most clients never subscribe: what it takes is made with the first packet.
//   - An answer is put together on the stack and copied into the send buffer; only one that finds
//     no room is kept. While it waits its client is held, so there is at most one.
//   - A packet of few bytes may bring thousands of words into the tree. A turn has an allowance of
//     them; a packet that finds it used up is kept and its client held. They go on in later turns,
//     in the order in which they came.
//
// Invariants  what a subscriber keeps, a packet or an answer, is set only while its session is held
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
};

struct subscriber {
    topics_client *client;
    phi_list node; // on center.subscribing: it goes on in the next turn
    uint8_t *kept; // owned; NULL: nothing waits
    size_t kept_size;
    bool keeps_answer; // else a packet
};

// topics_subscribe or topics_follow.
typedef ph_err add_fn(topics *t, topics_client *client, const phi_topic *pattern);

// An answer under way.
typedef struct answer {
    phi_writer w;
    phi_writer *made; // what was not refused, for other workers; NULL: there are none
    uint32_t refused_count;
    ph_failure_code refused_last;
} answer;

static void go_on_later(center *c, subscriber *sub);
static void go_on(center *c, subscriber *sub, session *s);

static bool make_subscriber(center *c, session *s);
static bool follow(center *c, session *s, const phi_field *field);
static ph_err add(center *c, session *s, const phi_topic *pattern, add_fn *how);
static bool change_all(center *c, session *s, const phi_subscription *subscription);
static void change_each(center *c, session *s, phi_bytes changes, answer *a);
static void change(center *c, session *s, const phi_field *field, answer *a);
static void subscribe(center *c, session *s, phi_bytes text, answer *a);
static void unsubscribe(center *c, session *s, phi_bytes text, answer *a);
static void charge(center *c, uint64_t words);
static void refuse(center *c, answer *a, ph_failure_code code, phi_bytes pattern);
static void log_refusals(center *c, const session *s, const answer *a);

static bool say(session *s, phi_bytes bytes);
static bool keep(center *c, session *s, phi_bytes bytes);
static void drop_kept(center *c, subscriber *sub);

void subscription_init(center *c)
{
    const center_options *o = &c->options;
    topics_init(&c->topics, c->io->alloc, c->hash,
                &(topics_limits){
                    .subscriptions_max = (uint32_t)o->subscriptions_max,
                    .subscriptions_per_client_max = (uint32_t)o->subscriptions_per_client_max,
                    .wild_per_client_max = (uint32_t)o->subscriptions_wild_per_client_max,
                    .memory_max = (size_t)o->subscription_memory_max,
                });
    readerships_init(&c->readerships, &c->topics, c->hash);
    phi_list_init(&c->subscribing);
    c->pattern_words_left = CENTER_PATTERN_TURN_WORDS_MAX;
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
    PH_ASSERT(s->subscriber->kept == NULL); // or it would be held
    if (c->pattern_words_left > 0) {
        (void)change_all(c, s, &subscription);
    } else if (keep(c, s, payload)) {
        s->subscriber->keeps_answer = false;
        go_on_later(c, s->subscriber);
    }
}

void subscription_on_room(center *c, session *s)
{
    subscriber *sub = s->subscriber;
    if (sub != NULL && sub->kept != NULL && sub->keeps_answer &&
        say(s, phi_bytes_of(sub->kept, sub->kept_size))) {
        drop_kept(c, sub);
        go_on_later(c, sub);
    }
}

void subscription_leave(center *c, session *s)
{
    subscriber *sub = s->subscriber;
    if (sub == NULL) {
        return;
    }
    topics_leave(&c->topics, &sub->client);
    drop_kept(c, sub);
    phi_list_remove(&sub->node);
    phi_give(center_alloc(c, CENTER_MEMORY_SESSIONS), sub, sizeof *sub);
    s->subscriber = NULL;
}

uint32_t subscription_count(const session *s)
{
    return s->subscriber == NULL ? 0 : topics_client_count(s->subscriber->client);
}

void subscription_turn(center *c)
{
    if (topics_sweep(&c->topics, CENTER_SWEEP_TURN_COUNT_MAX) == CENTER_SWEEP_TURN_COUNT_MAX) {
        phi_io_hurry(c->io);
    }
    c->pattern_words_left = CENTER_PATTERN_TURN_WORDS_MAX;
    while (c->pattern_words_left > 0 && !phi_list_is_empty(&c->subscribing)) {
        subscriber *sub = PHI_CONTAINER_OF(phi_list_take(&c->subscribing), subscriber, node);
        go_on(c, sub, topics_client_owner(sub->client));
    }
    if (!phi_list_is_empty(&c->subscribing)) {
        phi_io_hurry(c->io);
    }
}

static void go_on_later(center *c, subscriber *sub)
{
    phi_list_append(&c->subscribing, &sub->node);
    phi_io_hurry(c->io);
}

// With the packet that was kept, when that is what it waited for, and with what came behind it.
static void go_on(center *c, subscriber *sub, session *s)
{
    PH_ASSERT(session_is(s, SESSION_JOINED));
    PH_ASSERT(s->subscriber == sub);
    if (sub->kept != NULL) {
        PH_ASSERT(!sub->keeps_answer);
        uint8_t bytes[PHI_SUBSCRIPTION_BYTES_MAX];
        PH_ASSERT(sub->kept_size <= sizeof bytes);
        phi_bytes payload = phi_bytes_of(bytes, sub->kept_size);
        memcpy(bytes, sub->kept, sub->kept_size);
        drop_kept(c, sub);
        phi_subscription subscription;
        ph_err rc = phi_subscription_decode(payload, &subscription);
        PH_ASSERT(rc == PH_OK); // as when it was kept
        if (!change_all(c, s, &subscription)) {
            return;
        }
    }
    session_go_on(s);
}

// ---- changes

void subscription_follow(center *c, session *s, phi_bytes changes)
{
    PH_ASSERT(s->is_abroad);
    if (s->subscriber == NULL && !make_subscriber(c, s)) {
        session_end(c, s, PHI_BYE_INTERNAL, RETRY_MS, "no memory");
        return;
    }
    phi_reader r = phi_reader_of(changes);
    phi_field field;
    bool has_room = true;
    while (has_room && phi_field_next(&r, &field)) {
        has_room = follow(c, s, &field);
    }
    PH_ASSERT(!r.failed);
    if (!has_room) { // better without it than with one that does not hear all it asked for
        session_end(c, s, PHI_BYE_INTERNAL, RETRY_MS, "no memory");
    }
}

// False without memory.
static bool follow(center *c, session *s, const phi_field *field)
{
    phi_topic pattern;
    bool is_good = phi_pattern_parse(field->value, &pattern);
    PH_ASSERT(is_good); // at its home
    charge(c, pattern.count);
    if (field->tag == PHI_SUBSCRIPTION_ADD) {
        return add(c, s, &pattern, topics_follow) == PH_OK;
    }
    PH_ASSERT(field->tag == PHI_SUBSCRIPTION_REMOVE);
    (void)topics_unsubscribe(&c->topics, s->subscriber->client, &pattern);
    return true;
}

// What is kept of whom topics are for gives way: it would not be good any more behind this.
static ph_err add(center *c, session *s, const phi_topic *pattern, add_fn *how)
{
    topics_client *client = s->subscriber->client;
    ph_err rc = how(&c->topics, client, pattern);
    if (PHI_UNLIKELY(rc == PH_ENOMEM) && readerships_shed(&c->readerships)) {
        rc = how(&c->topics, client, pattern);
    }
    return rc;
}

// False when it cannot go on yet: its answer waits, or it was ended.
static bool change_all(center *c, session *s, const phi_subscription *subscription)
{
    uint8_t bytes[ANSWER_BYTES_MAX];
    answer a = { .w = phi_writer_of((phi_span){ bytes, sizeof bytes }) };
    phi_subscription_begin(&a.w, subscription->number);
    uint8_t made[PHI_SUBSCRIPTION_BYTES_MAX];
    phi_writer made_writer = phi_writer_of((phi_span){ made, sizeof made });
    a.made = workers_are_several(&c->workers) ? &made_writer : NULL;
    change_each(c, s, subscription->changes, &a);
    PH_ASSERT(!a.w.failed);
    PH_ASSERT(!made_writer.failed); // they came in a packet
    log_refusals(c, s, &a);
    if (PHI_UNLIKELY(phi_writer_size(&made_writer) != 0)) {
        worker_tell_others(
            c,
            &(mail){ .type = MAIL_FROM, .command = PHI_COMMAND_SUBSCRIPTION, .session = s->handle },
            phi_writer_view(&made_writer));
    }
    if (say(s, phi_writer_view(&a.w))) {
        worker_mind_room(c, s);
        return true;
    }
    if (keep(c, s, phi_writer_view(&a.w))) {
        s->subscriber->keeps_answer = true;
    }
    return false;
}

static void change_each(center *c, session *s, phi_bytes changes, answer *a)
{
    phi_reader r = phi_reader_of(changes);
    phi_field field;
    while (phi_field_next(&r, &field)) {
        change(c, s, &field, a);
    }
    PH_ASSERT(!r.failed);
}

// False without memory.
static bool make_subscriber(center *c, session *s)
{
    subscriber *sub = phi_take_zeroed(center_alloc(c, CENTER_MEMORY_SESSIONS), 1, sizeof *sub);
    if (sub == NULL) {
        return false;
    }
    sub->client = topics_client_new(&c->topics, s);
    if (sub->client == NULL && readerships_shed(&c->readerships)) {
        sub->client = topics_client_new(&c->topics, s);
    }
    if (sub->client == NULL) {
        phi_give(center_alloc(c, CENTER_MEMORY_SESSIONS), sub, sizeof *sub);
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
        unsubscribe(c, s, field->value, a);
        return;
    default: // of a later version [P-26]
        return;
    }
}

static void subscribe(center *c, session *s, phi_bytes text, answer *a)
{
    phi_topic pattern;
    if (!phi_pattern_parse(text, &pattern)) {
        charge(c, 1);
        refuse(c, a, PH_FAILURE_MALFORMED, text);
        return;
    }
    charge(c, pattern.count);
    if (!guard_may_name(c, s, PHI_MAY_SUBSCRIBE, &(phi_target){ .topic = text })) {
        refuse(c, a, PH_FAILURE_REFUSED_BY_POLICY, text);
        return;
    }
    if (add(c, s, &pattern, topics_subscribe) != PH_OK) {
        refuse(c, a, PH_FAILURE_TOO_MANY_CALLS, text);
    } else if (a->made != NULL) {
        phi_write_change(a->made, PHI_SUBSCRIPTION_ADD, text);
    }
}

// What is no pattern was never subscribed to.
static void unsubscribe(center *c, session *s, phi_bytes text, answer *a)
{
    phi_topic pattern;
    if (!phi_pattern_parse(text, &pattern)) {
        return;
    }
    charge(c, pattern.count);
    bool had_it = topics_unsubscribe(&c->topics, s->subscriber->client, &pattern);
    if (had_it && a->made != NULL) {
        phi_write_change(a->made, PHI_SUBSCRIPTION_REMOVE, text);
    }
}

static void charge(center *c, uint64_t words)
{
    c->pattern_words_left -= words < c->pattern_words_left ? words : c->pattern_words_left;
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

// Holds the session until it goes on. False without memory: then it is ended.
static bool keep(center *c, session *s, phi_bytes bytes)
{
    subscriber *sub = s->subscriber;
    PH_ASSERT(sub->kept == NULL);
    if (!phi_quota_is_used_up(&c->quota)) {
        sub->kept = phi_take(&c->quota.counted, bytes.size);
    }
    if (sub->kept == NULL) {
        session_end(c, s, PHI_BYE_SLOW_CONSUMER, RETRY_MS, NULL);
        return false;
    }
    memcpy(sub->kept, bytes.data, bytes.size);
    sub->kept_size = bytes.size;
    if (!s->transport.is_held) { // else it still goes on with what waited
        session_hold(c, s);
    }
    return true;
}

static void drop_kept(center *c, subscriber *sub)
{
    phi_give(&c->quota.counted, sub->kept, sub->kept_size);
    sub->kept = NULL;
    sub->kept_size = 0;
}
