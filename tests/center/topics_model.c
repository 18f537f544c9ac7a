// SPDX-License-Identifier: Apache-2.0
//
// tests/center/topics_model.c - see topics_model.h.
//
// A script is a sequence of steps, each begun by a byte that says what is done and by whom. Words
// come from a small stock, so that patterns meet; or a text is taken from the script as it is.
// Behind each step a topic is asked for that was asked for before it, too.

#include "tests/center/topics_model.h"

#include "base/compiler.h"
#include "center/readership.h"

enum {
    CLIENTS = 6,
    SUBSCRIPTIONS_MAX = 90,
    PER_CLIENT_MAX = 40,
    WORDS_MAX = 6, // of what is put together here
};

// What a step does: so many of 16.
enum {
    SUBSCRIBE_BELOW = 6,
    UNSUBSCRIBE_BELOW = 8,
    MATCH_BELOW = 12,
    LEAVE,
    SWEEP,
    FAIL,
};

typedef struct model_subscription {
    uint32_t client; // CLIENTS: left, not swept
    uint8_t size;
    char text[PHI_TOPIC_BYTES_MAX];
} model_subscription;

typedef struct text {
    size_t size;
    char bytes[PHI_TOPIC_BYTES_MAX];
} text;

typedef struct model {
    topics topics;
    readerships readerships;
    topics_client *clients[CLIENTS];
    int owners[CLIENTS]; // their addresses are the owners
    model_subscription subscriptions[SUBSCRIPTIONS_MAX];
    size_t count;
    size_t told[CLIENTS];
    const char *wrong; // the first thing
    text asked;        // matched behind each step
} model;

static void expect(model *m, bool holds, const char *wrong)
{
    if (!holds && m->wrong == NULL) {
        m->wrong = wrong;
    }
}

// ---- the definition

bool topics_model_fits(const phi_topic *pattern, const phi_topic *topic)
{
    for (size_t i = 0; i < pattern->count; i++) {
        if (i == topic->count) {
            return false;
        }
        if (phi_bytes_equal(pattern->words[i], phi_bytes_text(">"))) {
            return true;
        }
        if (!phi_bytes_equal(pattern->words[i], phi_bytes_text("*")) &&
            !phi_bytes_equal(pattern->words[i], topic->words[i])) {
            return false;
        }
    }
    return pattern->count == topic->count;
}

// ---- reading a script

static void append(text *t, const char *word)
{
    size_t size = strlen(word);
    if (t->size + size <= sizeof t->bytes) {
        memcpy(t->bytes + t->size, word, size);
        t->size += size;
    }
}

// A pattern or a topic; often not a good one.
static text read_text(phi_reader *r)
{
    static const char *const stock[] = {
        "a", "b", "c", "*", ">", "fifteen-bytes15", "sixteen-bytes-16", "*",
    };
    text t = { .size = 0 };
    uint8_t how = phi_read_u8(r);
    if (how % 32 == 31) {
        phi_bytes raw = phi_read_bytes(r, phi_read_u8(r) % sizeof t.bytes);
        t.size = raw.size;
        if (raw.size != 0) {
            memcpy(t.bytes, raw.data, raw.size);
        }
        return t;
    }
    size_t count = 1 + how % WORDS_MAX;
    for (size_t i = 0; i < count; i++) {
        append(&t, i == 0 ? "" : ".");
        append(&t, stock[phi_read_u8(r) % PHI_COUNT_OF(stock)]);
    }
    return t;
}

static phi_bytes view_of(const text *t)
{
    return phi_bytes_of(t->bytes, t->size);
}

// ---- steps

static size_t model_find(const model *m, uint32_t client, const text *t)
{
    size_t i = 0;
    while (i < m->count &&
           (m->subscriptions[i].client != client ||
            !phi_bytes_equal(phi_bytes_of(m->subscriptions[i].text, m->subscriptions[i].size),
                             view_of(t)))) {
        i++;
    }
    return i;
}

static size_t count_of(const model *m, uint32_t client)
{
    size_t count = 0;
    for (size_t i = 0; i < m->count; i++) {
        count += m->subscriptions[i].client == client;
    }
    return count;
}

static void subscribe(model *m, uint32_t client, const text *t)
{
    phi_topic pattern;
    if (m->clients[client] == NULL || !phi_pattern_parse(view_of(t), &pattern)) {
        return;
    }
    bool may_fail = m->topics.memory.fail_at > m->topics.memory.takes;
    bool is_there = model_find(m, client, t) < m->count;
    bool is_full = m->count == SUBSCRIPTIONS_MAX || count_of(m, client) == PER_CLIENT_MAX;
    ph_err rc = topics_subscribe(&m->topics, m->clients[client], &pattern);
    if (rc == PH_ENOMEM) {
        expect(m, may_fail, "no memory, but there was some");
        (void)readerships_shed(&m->readerships);
        return;
    }
    expect(m, rc == (is_there || !is_full ? PH_OK : PH_ELIMIT), "subscribe's result");
    if (rc == PH_OK && !is_there && m->wrong == NULL) {
        model_subscription *s = &m->subscriptions[m->count++];
        s->client = client;
        s->size = (uint8_t)t->size;
        memcpy(s->text, t->bytes, t->size);
    }
}

static void unsubscribe(model *m, uint32_t client, const text *t)
{
    phi_topic pattern;
    if (m->clients[client] == NULL || !phi_pattern_parse(view_of(t), &pattern)) {
        return;
    }
    size_t i = model_find(m, client, t);
    bool is_there = i < m->count;
    expect(m, topics_unsubscribe(&m->topics, m->clients[client], &pattern) == is_there,
           "unsubscribe's result");
    if (is_there) {
        m->subscriptions[i] = m->subscriptions[--m->count];
    }
}

static void leave(model *m, uint32_t client)
{
    if (m->clients[client] == NULL) {
        m->clients[client] = topics_client_new(&m->topics, &m->owners[client]);
        return;
    }
    expect(m, topics_client_count(m->clients[client]) == count_of(m, client), "a client's count");
    topics_leave(&m->topics, &m->clients[client]);
    for (size_t i = 0; i < m->count; i++) {
        if (m->subscriptions[i].client == client) {
            m->subscriptions[i].client = CLIENTS;
        }
    }
}

static void sweep(model *m, size_t count_max)
{
    size_t left = count_of(m, CLIENTS);
    size_t swept = topics_sweep(&m->topics, count_max);
    expect(m, swept == (left < count_max ? left : count_max), "sweep's count");
    for (size_t i = 0; i < m->count && swept > 0;) {
        if (m->subscriptions[i].client == CLIENTS) {
            m->subscriptions[i] = m->subscriptions[--m->count];
            swept--;
        } else {
            i++;
        }
    }
}

static void on_found(void *arg, void *owner)
{
    model *m = arg;
    m->told[(int *)owner - m->owners]++;
}

// As they are known, or by a match: what that cost.
static size_t find(model *m, phi_bytes name, const phi_topic *topic)
{
    const readership *known = readership_find(&m->readerships, name);
    if (known == NULL) {
        return readership_match(&m->readerships, name, topic, on_found, m);
    }
    for (uint32_t i = 0; i < known->count; i++) {
        on_found(m, known->owners[i]);
    }
    return known->cost;
}

static void match(model *m, const text *t)
{
    phi_topic topic;
    if (!phi_topic_parse(view_of(t), &topic)) {
        return;
    }
    memset(m->told, 0, sizeof m->told);
    size_t cost = find(m, view_of(t), &topic);
    expect(m, cost <= m->count * (topic.count + 2) + 1, "a match costs more than a walk over all");
    for (uint32_t client = 0; client < CLIENTS; client++) {
        bool is_meant = false;
        for (size_t i = 0; i < m->count; i++) {
            const model_subscription *s = &m->subscriptions[i];
            phi_topic pattern;
            is_meant = is_meant || (s->client == client &&
                                    phi_pattern_parse(phi_bytes_of(s->text, s->size), &pattern) &&
                                    topics_model_fits(&pattern, &topic));
        }
        expect(m, m->told[client] >= is_meant, "somebody is missed");
        expect(m, m->told[client] <= is_meant, "somebody is told wrongly, or twice");
    }
}

static void step(model *m, phi_reader *r)
{
    uint8_t what = phi_read_u8(r);
    uint32_t client = what / 16 % CLIENTS;
    switch (what % 16) {
    case LEAVE:
        leave(m, client);
        return;
    case SWEEP:
        sweep(m, phi_read_u8(r) % 16);
        return;
    case FAIL:
        m->topics.memory.fail_at = m->topics.memory.takes + 1 + client;
        return;
    default:
        break;
    }
    text t = read_text(r);
    if (what % 16 < SUBSCRIBE_BELOW) {
        subscribe(m, client, &t);
    } else if (what % 16 < UNSUBSCRIBE_BELOW) {
        unsubscribe(m, client, &t);
    } else {
        m->asked = t;
    }
}

const char *topics_model_judge(phi_bytes script)
{
    static model m;
    memset(&m, 0, sizeof m);
    topics_init(&m.topics, &phi_alloc_heap, (phi_hash_key){ 3, 4 },
                &(topics_limits){ .subscriptions_max = SUBSCRIPTIONS_MAX,
                                  .subscriptions_per_client_max = PER_CLIENT_MAX,
                                  .wild_per_client_max = PER_CLIENT_MAX,
                                  .memory_max = 1 << 20 });
    readerships_init(&m.readerships, &m.topics, (phi_hash_key){ 5, 6 });
    for (uint32_t client = 0; client < CLIENTS; client++) {
        leave(&m, client);
    }
    phi_reader r = phi_reader_of(script);
    while (!r.failed && phi_reader_left(&r) > 0 && m.wrong == NULL) {
        step(&m, &r);
        match(&m, &m.asked); // what was known of it before the step may not hold any more
        expect(&m, m.wrong != NULL || topics_count(&m.topics) == m.count, "the count of all");
        topics_check(&m.topics);
        readerships_check(&m.readerships);
    }
    readerships_fini(&m.readerships);
    for (uint32_t client = 0; client < CLIENTS; client++) {
        topics_leave(&m.topics, &m.clients[client]);
    }
    topics_fini(&m.topics);
    return m.wrong;
}
