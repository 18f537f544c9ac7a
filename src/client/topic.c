// SPDX-License-Identifier: Apache-2.0
//
// client/topic.c - subscriptions: asked for, remembered, restored; and events handed to them.
//
// Design notes  To find who gets an event, its topic is turned into the one pattern of each shape
//               that fits it, which is then looked up. So the cost depends on how many shapes there
//               are, not on how many subscriptions. What was found is kept: of the next event to
//               that topic only the topic is compared.
//               Callbacks may subscribe, unsubscribe and close. So nothing holds a pointer over one
//               of them: an event's subscriptions are collected as handles first, and who is to be
//               told of an answer is taken off the front of lists that others may change meanwhile.
//               A subscription to a pattern that is in force already is asked for all the same: the
//               center's answer is what makes its callback run, in order with the events.
//
// Clauses       P-73, P-74

#include "client/topics.h"

#include "client/post.h"
#include "wire/subscription.h"
#include "wire/topic.h"

#define BATCH_BYTES_MAX PHI_SUBSCRIPTION_BYTES_MAX
#define FIELD_HEAD_BYTES 3u
#define FOUND_CAPACITY_MIN 16u
#define SHAPE_CAPACITY_MIN 8u

typedef struct topic_pattern {
    phi_list node;    // on untold, asked, telling or settled
    phi_list waiting; // phi_subscriber.node: not told of it over this connection
    phi_list told;    // same: the others
    uint32_t number;  // asked: of the packet that did
    uint16_t code;    // why it was refused; 0: it was not
    bool is_known;    // to the center
    uint8_t size;
    uint8_t text[];
} topic_pattern;

// In phi_topics.subscriptions.
typedef struct subscriber {
    phi_list node; // on pattern.waiting or pattern.told
    topic_pattern *pattern;
    uint64_t handle;
    ph_event_fn *on_event;
    ph_subscribed_fn *on_subscribed;
    void *arg;
} subscriber;

static topic_pattern *pattern_take(ph_client *client, phi_bytes text, const phi_topic *words);
static void pattern_free(ph_client *client, topic_pattern *p);
static bool pattern_is_wanted(const topic_pattern *p);
static phi_shape shape_of(const phi_topic *words);
static phi_shape *shape_find(phi_topics *t, const phi_shape *shape);
static phi_bytes shape_apply(const phi_shape *shape, const phi_topic *topic, uint8_t *room);
static bool found_reserve(ph_client *client);
static void move(phi_list *to, topic_pattern *p);
static void tell(ph_client *client);

// ---- life

void phi_client_topics_init(ph_client *client)
{
    phi_topics *t = &client->topics;
    uint32_t count_max = client->options.subscriptions_max;
    phi_hash_key key;
    phi_io_entropy(client->io, (uint8_t *)&key, sizeof key);
    phi_slots_init(&t->subscriptions, client->alloc, sizeof(subscriber), count_max);
    phi_map_init(&t->map, client->alloc, key, count_max);
    phi_list_init(&t->untold);
    phi_list_init(&t->asked);
    phi_list_init(&t->telling);
    phi_list_init(&t->settled);
    t->version = 1;
}

void phi_client_topics_fini(ph_client *client)
{
    phi_topics *t = &client->topics;
    phi_list *lists[] = { &t->untold, &t->asked, &t->telling, &t->settled };
    for (size_t i = 0; i < PHI_COUNT_OF(lists); i++) {
        while (!phi_list_is_empty(lists[i])) {
            pattern_free(client, PHI_CONTAINER_OF(lists[i]->next, topic_pattern, node));
        }
    }
    PH_ASSERT(t->map.count == 0);
    PH_ASSERT(t->shape_count == 0);
    phi_slots_fini(&t->subscriptions);
    phi_map_fini(&t->map);
    phi_give(client->alloc, t->shapes, t->shape_capacity * sizeof *t->shapes);
    phi_give(client->alloc, t->found, t->found_capacity * sizeof *t->found);
    phi_give(client->alloc, t->routes, PHI_ROUTES * sizeof *t->routes);
}

// ---- what the application wants

ph_err ph_client_subscribe(ph_client *client, const char *text, ph_subscription_id *id,
                           ph_event_fn *on_event, ph_subscribed_fn *on_subscribed, void *arg)
{
    phi_topic words;
    if (client == NULL || text == NULL) {
        return PH_EINVAL;
    }
    phi_bytes bytes = phi_bytes_of(text, strnlen(text, PHI_TOPIC_BYTES_MAX + 1u));
    if (!phi_pattern_parse(bytes, &words)) {
        return PH_EINVAL;
    }
    if (ph_client_state(client) == PH_LINK_CLOSED) {
        return PH_ECLOSED;
    }
    phi_topics *t = &client->topics;
    if (t->subscriptions.count >= client->options.subscriptions_max) {
        return PH_ELIMIT;
    }
    uint64_t handle = 0;
    subscriber *s = found_reserve(client) ? phi_slots_take(&t->subscriptions, &handle) : NULL;
    if (s == NULL) {
        return PH_ENOMEM;
    }
    topic_pattern *p = pattern_take(client, bytes, &words);
    if (p == NULL) {
        phi_slots_give(&t->subscriptions, handle);
        return PH_ENOMEM;
    }
    *s = (subscriber){ .pattern = p,
                       .handle = handle,
                       .on_event = on_event,
                       .on_subscribed = on_subscribed,
                       .arg = arg };
    phi_list_append(&p->waiting, &s->node);
    t->version++;
    move(&t->untold, p);
    phi_client_topics_flush(client);
    if (id != NULL) {
        id->value = handle;
    }
    return PH_OK;
}

ph_err ph_client_unsubscribe(ph_client *client, ph_subscription_id id)
{
    if (client == NULL) {
        return PH_EINVAL;
    }
    phi_topics *t = &client->topics;
    subscriber *s = phi_slots_find(&t->subscriptions, id.value);
    if (s == NULL) {
        return PH_ENOTFOUND;
    }
    topic_pattern *p = s->pattern;
    phi_list_remove(&s->node);
    t->version++;
    phi_slots_give(&t->subscriptions, id.value);
    if (pattern_is_wanted(p)) {
        return PH_OK;
    }
    if (!p->is_known || !phi_client_is(client, PHI_CLIENT_UP)) {
        pattern_free(client, p); // subscriptions end with the link
        return PH_OK;
    }
    move(&t->untold, p);
    phi_client_topics_flush(client);
    return PH_OK;
}

size_t ph_client_subscription_count(const ph_client *client)
{
    return client == NULL ? 0 : client->topics.subscriptions.count;
}

// What has no head: there is no connection, the topic is none, or long.
static PHI_COLD ph_err publish_draft(ph_client *client, const char *topic, const void *body,
                                     size_t body_size)
{
    if (!ph_topic_is_valid(topic)) {
        return PH_EINVAL;
    }
    char to[PHI_TOPIC_PREFIX_BYTES + PHI_TOPIC_BYTES_MAX + 1];
    memcpy(to, PHI_TOPIC_PREFIX, PHI_TOPIC_PREFIX_BYTES);
    memcpy(to + PHI_TOPIC_PREFIX_BYTES, topic, strlen(topic) + 1);
    ph_outgoing outgoing = PH_OUTGOING_INIT;
    outgoing.to = to;
    outgoing.body = body;
    outgoing.body_size = body_size;
    return ph_client_send(client, &outgoing);
}

ph_err ph_client_publish(ph_client *client, const char *topic, const void *body, size_t body_size)
{
    bool is_up = client != NULL && phi_client_is(client, PHI_CLIENT_UP);
    if (PHI_UNLIKELY(!is_up || topic == NULL || (body == NULL && body_size != 0))) {
        return publish_draft(client, topic, body, body_size);
    }
    phi_head *head = phi_head_guess(client, topic, NULL);
    bool is_known = head->size != 0 && head->is_topic && strcmp(head->texts, topic) == 0;
    if (PHI_UNLIKELY(!is_known) &&
        !phi_head_make(client, head, topic, /* method= */ NULL, /* is_topic= */ true)) {
        return publish_draft(client, topic, body, body_size);
    }
    return phi_post_event(client, head, /* ttl_ms= */ 0, phi_bytes_of(body, body_size));
}

// ---- what the center is told

void phi_client_topics_restore(ph_client *client)
{
    phi_topics *t = &client->topics;
    phi_list all;
    phi_list_init(&all);
    phi_list *lists[] = { &t->settled, &t->telling, &t->asked, &t->untold };
    for (size_t i = 0; i < PHI_COUNT_OF(lists); i++) {
        while (!phi_list_is_empty(lists[i])) {
            move(&all, PHI_CONTAINER_OF(lists[i]->next, topic_pattern, node));
        }
    }
    while (!phi_list_is_empty(&all)) {
        topic_pattern *p = PHI_CONTAINER_OF(all.next, topic_pattern, node);
        p->is_known = false;
        p->code = 0;
        if (!pattern_is_wanted(p)) {
            pattern_free(client, p); // its end with the last connection was all that was owed
            continue;
        }
        while (!phi_list_is_empty(&p->told)) {
            phi_list_append(&p->waiting, phi_list_take(&p->told));
        }
        move(&t->untold, p);
    }
    phi_client_topics_flush(client);
}

// Patterns from the front of `untold` into one packet.
static void batch_write(ph_client *client, phi_writer *w)
{
    phi_topics *t = &client->topics;
    t->number++;
    phi_subscription_begin(w, t->number);
    while (!phi_list_is_empty(&t->untold)) {
        topic_pattern *p = PHI_CONTAINER_OF(t->untold.next, topic_pattern, node);
        if ((size_t)(w->end - w->at) < FIELD_HEAD_BYTES + p->size) {
            break;
        }
        phi_bytes text = phi_bytes_of(p->text, p->size);
        if (!pattern_is_wanted(p)) {
            phi_write_change(w, PHI_SUBSCRIPTION_REMOVE, text);
            pattern_free(client, p);
            continue;
        }
        phi_write_change(w, PHI_SUBSCRIPTION_ADD, text);
        p->number = t->number;
        p->is_known = true;
        p->code = 0;
        move(&t->asked, p);
    }
    PH_ASSERT(!w->failed); // measured
}

void phi_client_topics_flush(ph_client *client)
{
    phi_topics *t = &client->topics;
    while (!phi_list_is_empty(&t->untold) && phi_client_is(client, PHI_CLIENT_UP)) {
        phi_link *link = &client->transport.link;
        if (!phi_link_is(link, PHI_LINK_OPEN)) {
            return; // it is ending
        }
        if (!phi_link_is_roomy(link)) {
            phi_transport_want_room(&client->transport); // the application's share
            return;
        }
        size_t size = phi_link_payload_max(link);
        size = size < BATCH_BYTES_MAX ? size : BATCH_BYTES_MAX;
        uint8_t *room = phi_transport_begin(&client->transport, size);
        if (room == NULL) {
            return; // on_room follows
        }
        phi_writer w = phi_writer_of((phi_span){ room, size });
        batch_write(client, &w);
        phi_transport_commit(&client->transport, PHI_COMMAND_SUBSCRIPTION, phi_writer_size(&w));
    }
}

// ---- what the center says

void phi_client_on_subscription(ph_client *client, phi_bytes payload)
{
    phi_topics *t = &client->topics;
    phi_subscription answer;
    if (phi_subscription_answer_decode(payload, &answer) != PH_OK) {
        phi_client_breach(client, "an answer to a subscription breaks its form");
        return;
    }
    phi_reader r = phi_reader_of(answer.changes);
    phi_field field;
    while (phi_field_next(&r, &field)) {
        if (field.tag != PHI_SUBSCRIPTION_REFUSED) {
            continue;
        }
        phi_refusal refusal = phi_refusal_decode(field.value);
        uint64_t value = 0;
        if (phi_map_find(&t->map, refusal.pattern, &value)) {
            topic_pattern *p = (topic_pattern *)(uintptr_t)value;
            p->code = p->number == answer.number ? refusal.code : p->code;
        }
    }
    // Answers come in the order of the questions; what was asked for again waits for a later one.
    for (phi_list *node = t->asked.next, *next; node != &t->asked; node = next) {
        next = node->next;
        topic_pattern *p = PHI_CONTAINER_OF(node, topic_pattern, node);
        if (p->number != answer.number) {
            break;
        }
        p->is_known = p->code == 0;
        move(&t->telling, p);
    }
    tell(client);
}

// Subscriptions of patterns that were answered, as long as the connection is the one that was.
static void tell(ph_client *client)
{
    phi_topics *t = &client->topics;
    uint64_t connection = client->connection;
    while (!phi_list_is_empty(&t->telling)) {
        topic_pattern *p = PHI_CONTAINER_OF(t->telling.next, topic_pattern, node);
        phi_list *first = phi_list_take(&p->waiting);
        if (first == NULL) {
            move(&t->settled, p);
            continue;
        }
        phi_list_append(&p->told, first);
        const subscriber *s = PHI_CONTAINER_OF(first, subscriber, node);
        if (s->on_subscribed == NULL) {
            continue;
        }
        phi_client_enter(client);
        s->on_subscribed(client, (ph_subscription_id){ s->handle },
                         p->code == 0 ? PH_OK : PH_EFAILURE, p->code, s->arg);
        phi_client_leave(client);
        if (!phi_client_is(client, PHI_CLIENT_UP) || client->connection != connection) {
            return; // what is left is asked for again
        }
    }
}

// ---- events

// Notes whom it is for, in `found`. True when it is for the on_event of the options, too.
static bool collect(phi_topics *t, const phi_topic *topic, uint32_t *count)
{
    bool is_for_all = false;
    uint8_t room[PHI_TOPIC_BYTES_MAX];
    for (uint32_t i = 0; i < t->shape_count; i++) {
        phi_bytes text = shape_apply(&t->shapes[i], topic, room);
        uint64_t value = 0;
        if (text.size == 0 || !phi_map_find(&t->map, text, &value)) {
            continue;
        }
        topic_pattern *p = (topic_pattern *)(uintptr_t)value;
        const phi_list *lists[] = { &p->told, &p->waiting };
        for (size_t k = 0; k < PHI_COUNT_OF(lists); k++) {
            for (const phi_list *node = lists[k]->next; node != lists[k]; node = node->next) {
                const subscriber *s = PHI_CONTAINER_OF(node, subscriber, node);
                is_for_all = is_for_all || s->on_event == NULL;
                PH_ASSERT(*count < t->found_capacity);
                t->found[(*count)++] = s->handle;
            }
        }
    }
    return is_for_all;
}

// Where the route of that topic stands, if there is one. Names end differently more often than they
// begin; the fixed part of a message stands before the name, so that eight bytes are always there.
static inline phi_topic_route *route_guess(const phi_topics *t, phi_bytes name)
{
    uint64_t mix = phi_load64(name.data + name.size - 8) * UINT64_C(0x9e3779b97f4a7c15);
    return &t->routes[mix >> 58];
}

static inline bool route_is_of(const phi_topics *t, const phi_topic_route *route, phi_bytes name)
{
    return route->version == t->version &&
           phi_text_equal(phi_bytes_of(route->topic, route->size), name);
}

static void route_keep(phi_topics *t, phi_topic_route *route, phi_bytes name, uint32_t count,
                       bool is_for_all)
{
    PH_ASSERT(count <= PHI_ROUTE_FOUND_MAX);
    PH_ASSERT(name.size <= PHI_ROUTE_TOPIC_BYTES_MAX);
    route->version = t->version;
    route->found_count = (uint8_t)count;
    memcpy(route->found, t->found, count * sizeof t->found[0]);
    route->is_for_all = is_for_all;
    route->size = (uint8_t)name.size;
    memcpy(route->topic, name.data, name.size);
}

static inline void hand_out(ph_client *client, uint64_t subscription, const ph_incoming *incoming)
{
    // One of the others may have ended it.
    const subscriber *s = phi_slots_find(&client->topics.subscriptions, subscription);
    if (s != NULL && s->on_event != NULL) {
        s->on_event(client, incoming, s->arg);
    }
}

// Who looks for its subscriptions.
static PHI_COLD void on_new_topic(ph_client *client, phi_bytes name, const ph_incoming *incoming)
{
    phi_topics *t = &client->topics;
    phi_topic topic;
    uint32_t count = 0;
    bool is_for_all = phi_topic_parse(name, &topic) && collect(t, &topic, &count);
    if (count == 0) {
        client->counters.dropped++; // unsubscribed, and this was on its way
        return;
    }
    if (t->routes == NULL) {
        t->routes = phi_take_zeroed(client->alloc, PHI_ROUTES, sizeof *t->routes);
    }
    if (t->routes != NULL && count <= PHI_ROUTE_FOUND_MAX &&
        name.size <= PHI_ROUTE_TOPIC_BYTES_MAX) {
        route_keep(t, route_guess(t, name), name, count, is_for_all);
    }
    client->counters.events++;
    phi_client_enter(client);
    for (uint32_t i = 0; i < count; i++) {
        hand_out(client, t->found[i], incoming);
    }
    if (is_for_all && client->options.on_event != NULL) {
        client->options.on_event(client, incoming, client->options.arg);
    }
    phi_client_leave(client);
}

void phi_client_on_topic(ph_client *client, const ph_incoming *incoming)
{
    phi_topics *t = &client->topics;
    phi_bytes name = phi_bytes_of(incoming->to.data + PHI_TOPIC_PREFIX_BYTES,
                                  incoming->to.size - PHI_TOPIC_PREFIX_BYTES);
    PH_ASSERT(name.size != 0);
    const phi_topic_route *route = t->routes == NULL ? NULL : route_guess(t, name);
    if (PHI_UNLIKELY(route == NULL || !route_is_of(t, route, name))) {
        on_new_topic(client, name, incoming);
        return;
    }
    client->counters.events++;
    phi_client_enter(client);
    uint32_t count = route->found_count;
    bool is_for_all = route->is_for_all;
    for (uint32_t i = 0; i < count; i++) {
        hand_out(client, route->found[i], incoming);
    }
    if (PHI_UNLIKELY(is_for_all) && client->options.on_event != NULL) {
        client->options.on_event(client, incoming, client->options.arg);
    }
    phi_client_leave(client);
}

// ---- patterns

static bool pattern_is_wanted(const topic_pattern *p)
{
    return !phi_list_is_empty(&p->waiting) || !phi_list_is_empty(&p->told);
}

static void move(phi_list *to, topic_pattern *p)
{
    phi_list_remove(&p->node);
    phi_list_append(to, &p->node);
}

// The one of that text, on whatever list it is, or a new one on none.
static topic_pattern *pattern_take(ph_client *client, phi_bytes text, const phi_topic *words)
{
    phi_topics *t = &client->topics;
    uint64_t value = 0;
    if (phi_map_find(&t->map, text, &value)) {
        return (topic_pattern *)(uintptr_t)value;
    }
    phi_shape shape = shape_of(words);
    phi_shape *known = shape_find(t, &shape);
    if (known == NULL && t->shape_count == t->shape_capacity) {
        uint32_t capacity = t->shape_capacity == 0 ? SHAPE_CAPACITY_MIN : 2 * t->shape_capacity;
        phi_shape *shapes = phi_resize(client->alloc, t->shapes, t->shape_capacity * sizeof *shapes,
                                       capacity * sizeof *shapes);
        if (shapes == NULL) {
            return NULL;
        }
        t->shapes = shapes;
        t->shape_capacity = capacity;
    }
    topic_pattern *p = phi_take_zeroed(client->alloc, 1, sizeof *p + text.size);
    if (p == NULL) {
        return NULL;
    }
    p->size = (uint8_t)text.size;
    memcpy(p->text, text.data, text.size);
    phi_list_init(&p->waiting);
    phi_list_init(&p->told);
    if (phi_map_put(&t->map, phi_bytes_of(p->text, p->size), (uintptr_t)p) != PH_OK) {
        phi_give(client->alloc, p, sizeof *p + p->size);
        return NULL;
    }
    if (known == NULL) {
        known = &t->shapes[t->shape_count++];
        *known = shape;
    }
    known->count++;
    return p;
}

// With its subscriptions, of which only fini leaves any.
static void pattern_free(ph_client *client, topic_pattern *p)
{
    phi_topics *t = &client->topics;
    phi_bytes text = phi_bytes_of(p->text, p->size);
    phi_topic words;
    bool is_valid = phi_pattern_parse(text, &words);
    PH_ASSERT(is_valid);
    phi_shape shape = shape_of(&words);
    phi_shape *known = shape_find(t, &shape);
    PH_ASSERT(known != NULL);
    PH_ASSERT(known->count > 0);
    if (--known->count == 0) {
        *known = t->shapes[--t->shape_count];
    }
    bool was_there = phi_map_remove(&t->map, text);
    PH_ASSERT(was_there);
    phi_list_remove(&p->node);
    phi_give(client->alloc, p, sizeof *p + p->size);
}

// ---- shapes

static bool is_wildcard(phi_bytes word, char sign)
{
    return word.size == 1 && word.data[0] == (uint8_t)sign;
}

static phi_shape shape_of(const phi_topic *words)
{
    phi_shape shape = { .has_rest = is_wildcard(words->words[words->count - 1], '>') };
    shape.word_count = (uint8_t)(words->count - shape.has_rest);
    for (size_t i = 0; i < shape.word_count; i++) {
        if (is_wildcard(words->words[i], '*')) {
            shape.stars |= (uint16_t)(1u << i);
        }
    }
    return shape;
}

static phi_shape *shape_find(phi_topics *t, const phi_shape *shape)
{
    for (uint32_t i = 0; i < t->shape_count; i++) {
        phi_shape *s = &t->shapes[i];
        if (s->stars == shape->stars && s->word_count == shape->word_count &&
            s->has_rest == shape->has_rest) {
            return s;
        }
    }
    return NULL;
}

// The one pattern of that shape that the topic fits, in `room`; empty when none can. Never longer
// than the topic.
static phi_bytes shape_apply(const phi_shape *shape, const phi_topic *topic, uint8_t *room)
{
    bool fits =
        shape->has_rest ? topic->count > shape->word_count : topic->count == shape->word_count;
    if (!fits) {
        return (phi_bytes){ NULL, 0 };
    }
    uint8_t *at = room;
    for (size_t i = 0; i < shape->word_count; i++) {
        phi_bytes word = topic->words[i];
        if ((shape->stars >> i & 1) != 0) {
            *at++ = '*';
        } else {
            memcpy(at, word.data, word.size);
            at += word.size;
        }
        *at++ = '.';
    }
    if (shape->has_rest) {
        *at++ = '>';
    } else {
        at--; // the last dot
    }
    size_t size = (size_t)(at - room);
    PH_ASSERT(size <= PHI_TOPIC_BYTES_MAX);
    return phi_bytes_of(room, size);
}

// Room for one event that comes to all subscriptions, and to one more.
static bool found_reserve(ph_client *client)
{
    phi_topics *t = &client->topics;
    if (t->subscriptions.count < t->found_capacity) {
        return true;
    }
    uint32_t capacity = t->found_capacity == 0 ? FOUND_CAPACITY_MIN : 2 * t->found_capacity;
    uint64_t *found = phi_resize(client->alloc, t->found, t->found_capacity * sizeof *found,
                                 capacity * sizeof *found);
    if (found == NULL) {
        return false;
    }
    t->found = found;
    t->found_capacity = capacity;
    return true;
}

// ---- queries

bool ph_topic_is_valid(const char *topic)
{
    phi_topic words;
    return topic != NULL &&
           phi_topic_parse(phi_bytes_of(topic, strnlen(topic, PHI_TOPIC_BYTES_MAX + 1u)), &words);
}

bool ph_pattern_is_valid(const char *pattern)
{
    phi_topic words;
    return pattern != NULL &&
           phi_pattern_parse(phi_bytes_of(pattern, strnlen(pattern, PHI_TOPIC_BYTES_MAX + 1u)),
                             &words);
}

bool ph_topic_fits(const char *topic, const char *pattern)
{
    phi_topic words;
    phi_topic wild;
    if (topic == NULL || pattern == NULL) {
        return false;
    }
    phi_bytes wanted = phi_bytes_of(pattern, strnlen(pattern, PHI_TOPIC_BYTES_MAX + 1u));
    if (!phi_topic_parse(phi_bytes_of(topic, strnlen(topic, PHI_TOPIC_BYTES_MAX + 1u)), &words) ||
        !phi_pattern_parse(wanted, &wild)) {
        return false;
    }
    uint8_t room[PHI_TOPIC_BYTES_MAX];
    phi_shape shape = shape_of(&wild);
    return phi_bytes_equal(shape_apply(&shape, &words, room), wanted);
}

// ---- check

void phi_client_topics_check(const ph_client *client)
{
    const phi_topics *t = &client->topics;
    const phi_list *lists[] = { &t->untold, &t->asked, &t->telling, &t->settled };
    size_t patterns = 0;
    size_t subscribers = 0;
    for (size_t i = 0; i < PHI_COUNT_OF(lists); i++) {
        for (const phi_list *node = lists[i]->next; node != lists[i]; node = node->next) {
            const topic_pattern *p = PHI_CONTAINER_OF(node, topic_pattern, node);
            const phi_list *its[] = { &p->waiting, &p->told };
            for (size_t k = 0; k < PHI_COUNT_OF(its); k++) {
                for (const phi_list *n = its[k]->next; n != its[k]; n = n->next) {
                    PH_ASSERT(PHI_CONTAINER_OF(n, subscriber, node)->pattern == p);
                    subscribers++;
                }
            }
            PH_ASSERT(pattern_is_wanted(p) || lists[i] == &t->untold);
            patterns++;
        }
    }
    size_t shaped = 0;
    for (uint32_t i = 0; i < t->shape_count; i++) {
        PH_ASSERT(t->shapes[i].count > 0);
        shaped += t->shapes[i].count;
    }
    PH_ASSERT(patterns == t->map.count);
    PH_ASSERT(patterns == shaped);
    PH_ASSERT(subscribers == t->subscriptions.count);
    PH_ASSERT(subscribers <= t->found_capacity);
}
