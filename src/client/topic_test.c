// SPDX-License-Identifier: Apache-2.0

#include <posthouse/topic.h>

#include <stdio.h>

#include "client/core.h"
#include "tests/client/stage.h"
#include "tests/harness/test.h"
#include "wire/subscription.h"
#include "wire/topic.h"

// One subscription of a test; its callbacks write into the log.
typedef struct listener {
    stage *s;
    const char *name;
    ph_subscription_id id;
    struct listener *victim; // unsubscribed in the next event
    const char *wants;       // subscribed to in the next event
    unsigned events;
} listener;

static void on_event(ph_client *client, const ph_incoming *event, void *arg)
{
    listener *l = arg;
    l->events++;
    stage_note(l->s, "%s %.*s\n", l->name, (int)event->to.size, event->to.data);
    if (l->victim != NULL) {
        EXPECT_ERR(ph_client_unsubscribe(client, l->victim->id), PH_OK);
        l->victim = NULL;
    }
    if (l->wants != NULL) {
        const char *wants = l->wants;
        l->wants = NULL;
        EXPECT_ERR(ph_client_subscribe(client, wants, NULL, on_event, NULL, l), PH_OK);
    }
}

static void on_subscribed(ph_client *client, ph_subscription_id id, ph_err status, uint16_t code,
                          void *arg)
{
    listener *l = arg;
    EXPECT(id.value == l->id.value || l->id.value == 0);
    stage_note(l->s, "%s %s %u\n", l->name, ph_err_name(status), code);
    if (l->s->closes) {
        l->s->closes = false;
        ph_client_close(client);
    }
}

static listener listen(stage *s, const char *name, const char *pattern, listener *l)
{
    *l = (listener){ .s = s, .name = name };
    EXPECT_ERR(ph_client_subscribe(s->client, pattern, &l->id, on_event, on_subscribed, l), PH_OK);
    EXPECT(l->id.value != 0);
    return *l;
}

// The n-th packet the center got, as "#1 +a.b -c.d ".
static const char *asked(stage *s, unsigned n)
{
    static char text[2048];
    assert_true(n < s->got_count);
    EXPECT_EQ(s->got[n].command, PHI_COMMAND_SUBSCRIPTION);
    phi_subscription packet;
    EXPECT_ERR(phi_subscription_decode(phi_bytes_of(s->got[n].payload, s->got[n].size), &packet),
               PH_OK);
    int size = snprintf(text, sizeof text, "#%u ", packet.number);
    phi_reader r = phi_reader_of(packet.changes);
    phi_field field;
    while (phi_field_next(&r, &field)) {
        size += snprintf(text + size, sizeof text - (size_t)size, "%c%.*s ",
                         field.tag == PHI_SUBSCRIPTION_ADD ? '+' : '-', (int)field.value.size,
                         (const char *)field.value.data);
    }
    return text;
}

// The center answers, and refuses one pattern when there is a code.
static void answer(stage *s, uint32_t number, const char *pattern, uint16_t code)
{
    uint8_t room[512];
    phi_writer w = phi_writer_of((phi_span){ room, sizeof room });
    phi_subscription_begin(&w, number);
    if (code != 0) {
        phi_write_refusal(&w, code, phi_bytes_text(pattern));
    }
    stage_say(s, PHI_COMMAND_SUBSCRIPTION, phi_writer_view(&w));
}

static void publish(stage *s, const char *topic)
{
    char to[256];
    snprintf(to, sizeof to, "topic:%s", topic);
    stage_say_message(s, &(phi_message){ .kind = PHI_KIND_EVENT,
                                         .to = phi_bytes_text(to),
                                         .from = phi_bytes_text("you@home"),
                                         .body = phi_bytes_text("news") });
}

// Who subscribes must be told from when on it counts, and get what fits: each subscription once,
// and nobody what does not fit. [P-73] [P-74]
TEST(topic, event_comes_once_to_each_subscription_it_fits)
{
    stage s;
    stage_init(&s, PHI_SUITE_CHECK);
    stage_up(&s);
    listener a, b, c, d, e;
    listen(&s, "a", "orders.*.created", &a);
    listen(&s, "b", "orders.>", &b);
    listen(&s, "c", "orders.eu.created", &c);
    listen(&s, "d", "orders.eu", &d);
    listen(&s, "e", "orders.eu.created", &e);
    stage_settle(&s);
    EXPECT_TEXT(asked(&s, 0), "#1 +orders.*.created ");
    EXPECT_TEXT(asked(&s, 2), "#3 +orders.eu.created ");
    EXPECT_EQ(s.got_count, 5);
    EXPECT_TEXT(stage_heard(&s), "");
    for (uint32_t i = 1; i <= 5; i++) {
        answer(&s, i, NULL, 0);
    }
    EXPECT_TEXT(stage_heard(&s), "a PH_OK 0\nb PH_OK 0\nd PH_OK 0\nc PH_OK 0\ne PH_OK 0\n");
    publish(&s, "orders.eu.created");
    EXPECT(a.events == 1 && b.events == 1 && c.events == 1 && d.events == 0 && e.events == 1);
    publish(&s, "orders");
    publish(&s, "orders.eu");
    EXPECT(a.events == 1 && b.events == 2 && c.events == 1 && d.events == 1 && e.events == 1);
    EXPECT_EQ(ph_client_subscription_count(s.client), 5);
    phi_client_topics_check(s.client);
    stage_fini(&s);
}

// A refusal is an answer, too, and says why; a later connection may let it in. [P-73]
TEST(topic, refusal_says_why_and_is_asked_again_after_a_reconnect)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    listener a;
    listen(&s, "a", "secret.>", &a);
    stage_settle(&s);
    answer(&s, 1, "secret.>", PH_FAILURE_REFUSED_BY_POLICY);
    EXPECT_TEXT(stage_heard(&s), "a PH_EFAILURE 6\n");
    stage_cut(&s);
    stage_pass(&s, phi_seconds(11));
    EXPECT_TEXT(stage_heard(&s), "down PH_ERESET\nup me@home\n");
    EXPECT_TEXT(asked(&s, 1), "#2 +secret.> ");
    answer(&s, 2, NULL, 0);
    EXPECT_TEXT(stage_heard(&s), "a PH_OK 0\n");
    // Of a refused one the center knows nothing: there is nothing to take back.
    stage_cut(&s);
    stage_pass(&s, phi_seconds(11));
    answer(&s, 3, "secret.>", PH_FAILURE_TOO_MANY_CALLS);
    stage_forget(&s);
    EXPECT_ERR(ph_client_unsubscribe(s.client, a.id), PH_OK);
    stage_settle(&s);
    EXPECT_EQ(s.got_count, 0);
    EXPECT_EQ(s.client->topics.map.count, 0);
    stage_fini(&s);
}

static void send_when_up(ph_client *client, const ph_link_change *change, void *arg)
{
    (void)arg;
    if (change->state == PH_LINK_UP) {
        EXPECT_ERR(ph_client_publish(client, "hello", "me", 2), PH_OK);
    }
}

// What the application says when it is up finds its subscriptions there already: else it would miss
// the answers to its own first words. [P-73]
TEST(topic, restored_before_the_application_can_say_anything)
{
    stage s;
    stage_init(&s, PHI_SUITE_PAPER);
    ph_client_options o = stage_options(&s);
    o.on_link = send_when_up;
    EXPECT_ERR(stage_client(&s, &o), PH_OK);
    listener a, b;
    listen(&s, "a", "hello", &a);
    listen(&s, "b", "b.*", &b);
    EXPECT_ERR(ph_client_open(s.client), PH_OK);
    stage_settle(&s);
    for (unsigned i = 0; i < 3; i++) {
        char expected[32];
        snprintf(expected, sizeof expected, "#%u +hello +b.* ", i + 1);
        EXPECT_TEXT(asked(&s, 0), expected);
        phi_message m = stage_got(&s, 1);
        EXPECT(phi_bytes_equal(m.to, phi_bytes_text("topic:hello")));
        EXPECT_EQ(s.got_count, 2);
        if (i != 1) { // also when the answer was still on its way
            answer(&s, i + 1, NULL, 0);
            EXPECT_TEXT(stage_heard(&s), "a PH_OK 0\nb PH_OK 0\n");
        }
        stage_forget(&s);
        stage_cut(&s);
        stage_pass(&s, phi_seconds(11));
    }
    stage_fini(&s);
}

// Ended is ended: no callback of it runs, not even for the event that is being handed out; and the
// center hears of it only when nobody else here wants the pattern. [P-73]
TEST(topic, unsubscribed_hears_nothing_more)
{
    stage s;
    stage_init(&s, PHI_SUITE_CHECK);
    stage_up(&s);
    listener a, b, c;
    listen(&s, "a", "x.y", &a);
    listen(&s, "b", "x.y", &b);
    listen(&s, "c", "x.>", &c);
    stage_settle(&s);
    answer(&s, 2, NULL, 0); // before the first, and again: no harm
    answer(&s, 1, NULL, 0);
    answer(&s, 2, NULL, 0);
    answer(&s, 3, NULL, 0);
    answer(&s, 3, NULL, 0);
    stage_heard(&s);
    stage_forget(&s);
    a.victim = &b;
    a.wants = "x.*";
    publish(&s, "x.y");
    EXPECT_TEXT(stage_heard(&s), "a topic:x.y\nc topic:x.y\n");
    EXPECT_TEXT(asked(&s, 0), "#4 +x.* "); // b was not the last of x.y
    EXPECT_ERR(ph_client_unsubscribe(s.client, b.id), PH_ENOTFOUND);
    EXPECT_ERR(ph_client_unsubscribe(s.client, c.id), PH_OK);
    stage_settle(&s);
    EXPECT_TEXT(asked(&s, 1), "#5 -x.> ");
    publish(&s, "x.z.z"); // was on its way
    EXPECT_TEXT(stage_heard(&s), "");
    ph_client_counters n = stage_counters(&s);
    EXPECT_EQ(n.dropped, 1);
    EXPECT_EQ(n.events, 1);
    phi_client_topics_check(s.client);
    stage_fini(&s);
}

// Without a callback of their own, subscriptions share that of the options: once for each event.
TEST(topic, without_callback_it_is_an_ordinary_event)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    ph_subscription_id ids[2];
    EXPECT_ERR(ph_client_subscribe(s.client, "a.b", &ids[0], NULL, NULL, NULL), PH_OK);
    EXPECT_ERR(ph_client_subscribe(s.client, "a.*", &ids[1], NULL, NULL, NULL), PH_OK);
    stage_settle(&s);
    publish(&s, "a.b");
    EXPECT_TEXT(stage_heard(&s), "event  news\n");
    EXPECT_ERR(ph_client_unsubscribe(s.client, ids[0]), PH_OK);
    publish(&s, "a.b");
    EXPECT_TEXT(stage_heard(&s), "event  news\n");
    EXPECT_ERR(ph_client_unsubscribe(s.client, ids[1]), PH_OK);
    publish(&s, "a.b");
    EXPECT_TEXT(stage_heard(&s), "");
    stage_fini(&s);
}

// Topics that end alike are looked for in the same place, and are not the same. [P-74]
TEST(topic, ending_alike_is_not_equal)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    listener a, b;
    listen(&s, "a", "eu.stock.changed", &a);
    listen(&s, "b", "us.*.changed", &b);
    stage_settle(&s);
    for (unsigned i = 0; i < 2; i++) {
        publish(&s, "eu.stock.changed");
        EXPECT_TEXT(stage_heard(&s), "a topic:eu.stock.changed\n");
        publish(&s, "us.stock.changed");
        EXPECT_TEXT(stage_heard(&s), "b topic:us.stock.changed\n");
        publish(&s, "no.stock.changed");
        EXPECT_TEXT(stage_heard(&s), "");
    }
    stage_fini(&s);
}

// A full buffer delays subscriptions, and loses none; what was taken back meanwhile is not even
// asked for. [P-73]
TEST(topic, full_buffer_only_delays)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    listener a, b, c;
    listen(&s, "a", "before", &a);
    stage_settle(&s);
    answer(&s, 1, NULL, 0);
    stage_forget(&s);
    stage_fill(&s, 4096);
    listen(&s, "b", "b", &b);
    listen(&s, "c", "c", &c);
    EXPECT_ERR(ph_client_unsubscribe(s.client, a.id), PH_OK);
    EXPECT_ERR(ph_client_unsubscribe(s.client, c.id), PH_OK);
    stage_settle(&s);
    stage_heard(&s);
    EXPECT_EQ(s.got_count, 0);
    s.write_max = SIZE_MAX;
    stage_settle(&s);
    EXPECT_TEXT(stage_heard(&s), "writable\n");
    EXPECT_EQ(s.got_count, STAGE_GOT_MAX); // behind all that was waiting
    EXPECT(s.got_lost > 0);
    EXPECT_EQ(s.client->topics.number, 2);
    EXPECT_EQ(s.client->topics.map.count, 1);
    answer(&s, 2, NULL, 0);
    EXPECT_TEXT(stage_heard(&s), "b PH_OK 0\n");
    stage_fini(&s);
}

// What was to be taken back ended with its connection: the next one is not told of it. [P-73]
TEST(topic, taken_back_while_nothing_leaves)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    listener a, b;
    listen(&s, "a", "a", &a);
    listen(&s, "b", "b", &b);
    stage_settle(&s);
    answer(&s, 1, NULL, 0);
    answer(&s, 2, NULL, 0);
    stage_fill(&s, 4096);
    EXPECT_ERR(ph_client_unsubscribe(s.client, a.id), PH_OK);
    EXPECT_EQ(s.client->topics.map.count, 2); // the center is still to be told
    stage_cut(&s);
    s.write_max = SIZE_MAX;
    stage_forget(&s);
    stage_pass(&s, phi_seconds(11));
    EXPECT_TEXT(asked(&s, 0), "#3 +b ");
    EXPECT_EQ(s.client->topics.map.count, 1);
    stage_fini(&s);
}

#define MANY 65536u

// Whoever has as many as may be comes back with all of them, in packets that a center takes, with
// room left for others. [P-73]
TEST(topic, as_many_as_may_be_are_restored)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    char pattern[PHI_TOPIC_BYTES_MAX + 1];
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(pattern, sizeof pattern, "%064u.%u", i, i);
        EXPECT_ERR(ph_client_subscribe(s.client, pattern, NULL, NULL, NULL, NULL), PH_OK);
        if (i % 4096 == 0) {
            stage_settle(&s);
        }
    }
    EXPECT_ERR(ph_client_subscribe(s.client, "more", NULL, NULL, NULL, NULL), PH_ELIMIT);
    stage_settle(&s);
    uint32_t number = s.client->topics.number;
    stage_cut(&s);
    s.write_max = 0; // nothing leaves: half of the buffer stays free
    stage_pass(&s, phi_seconds(1));
    s.write_max = SIZE_MAX;
    stage_pass(&s, phi_seconds(11));
    EXPECT(ph_client_state(s.client) == PH_LINK_UP);
    EXPECT(phi_list_is_empty(&s.client->topics.untold));
    uint32_t packets = s.client->topics.number - number;
    EXPECT(packets > MANY * 70 / PHI_SUBSCRIPTION_BYTES_MAX);
    EXPECT(packets < MANY * 80 / PHI_SUBSCRIPTION_BYTES_MAX);
    for (uint32_t i = 1; i <= packets; i++) {
        answer(&s, number + i, NULL, 0);
    }
    EXPECT(phi_list_is_empty(&s.client->topics.asked));
    phi_client_topics_check(s.client);
    stage_fini(&s);
}

// While many are restored, half of the send buffer stays with the application.
TEST(topic, restoring_leaves_half_of_the_buffer)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    ph_client_options o = stage_options(&s);
    o.send_bytes_max = 128u << 10;
    EXPECT_ERR(stage_client(&s, &o), PH_OK);
    char pattern[PHI_TOPIC_BYTES_MAX + 1];
    for (unsigned i = 0; i < 2048; i++) {
        snprintf(pattern, sizeof pattern, "%064u.%u", i, i);
        EXPECT_ERR(ph_client_subscribe(s.client, pattern, NULL, NULL, NULL, NULL), PH_OK);
    }
    EXPECT_ERR(ph_client_open(s.client), PH_OK);
    s.write_max = 200; // JOIN
    stage_settle(&s);
    EXPECT_TEXT(stage_heard(&s), "up me@home\n");
    size_t waiting = phi_link_waiting(&s.client->transport.link);
    EXPECT(waiting >= 64u << 10);
    EXPECT(waiting < (64u << 10) + PHI_SUBSCRIPTION_BYTES_MAX + 8);
    EXPECT(!phi_list_is_empty(&s.client->topics.untold));
    s.write_max = SIZE_MAX;
    stage_settle(&s);
    EXPECT(phi_list_is_empty(&s.client->topics.untold));
    stage_fini(&s);
}

// A callback that closes the client ends the telling, and nothing is leaked or told twice.
TEST(topic, closed_from_its_callback)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    ph_client_options o = stage_options(&s);
    EXPECT_ERR(stage_client(&s, &o), PH_OK);
    listener a, b;
    listen(&s, "a", "a", &a);
    listen(&s, "b", "b", &b);
    EXPECT_ERR(ph_client_open(s.client), PH_OK);
    stage_settle(&s);
    stage_heard(&s);
    s.closes = true;
    answer(&s, 1, NULL, 0);
    EXPECT_TEXT(stage_heard(&s), "a PH_OK 0\nclosed PH_ECLOSED\n");
    EXPECT_ERR(ph_client_subscribe(s.client, "c", NULL, NULL, NULL, NULL), PH_ECLOSED);
    EXPECT_ERR(ph_client_unsubscribe(s.client, a.id), PH_OK);
    phi_client_topics_check(s.client);
    stage_fini(&s);
}

// No memory for a subscription is its caller's to hear, and leaves nothing behind.
TEST(topic, every_allocation_may_fail)
{
    bool was_enough = false;
    for (size_t n = 1; !was_enough; n++) {
        stage s;
        stage_init(&s, PHI_SUITE_PLAIN);
        stage_up(&s);
        s.memory.fail_at = s.memory.takes + n;
        was_enough = true;
        char pattern[32];
        for (unsigned i = 0; i < 40; i++) {
            snprintf(pattern, sizeof pattern, "a.%u%.*s", i, (int)(i % 10 * 2),
                     ".*.*.*.*.*.*.*.*.*.*");
            size_t count = ph_client_subscription_count(s.client);
            ph_err rc = ph_client_subscribe(s.client, pattern, NULL, NULL, NULL, NULL);
            EXPECT(rc == PH_OK || rc == PH_ENOMEM);
            EXPECT_EQ(ph_client_subscription_count(s.client), count + (rc == PH_OK));
            was_enough = was_enough && rc == PH_OK;
            phi_client_topics_check(s.client);
        }
        was_enough = was_enough && s.memory.takes < s.memory.fail_at;
        stage_pass(&s, phi_seconds(1)); // what had no room is said a little later
        EXPECT(phi_list_is_empty(&s.client->topics.untold));
        stage_fini(&s);
    }
}

// ---- what fits

// The rule in as few words as it has; the client finds the same without asking each pattern.
static bool fits(const phi_topic *topic, const phi_topic *pattern)
{
    for (size_t i = 0; i < pattern->count; i++) {
        phi_bytes word = pattern->words[i];
        if (word.size == 1 && word.data[0] == '>') {
            return topic->count > i;
        }
        bool is_star = word.size == 1 && word.data[0] == '*';
        if (i >= topic->count || (!is_star && !phi_bytes_equal(word, topic->words[i]))) {
            return false;
        }
    }
    return topic->count == pattern->count;
}

static void draw(phi_random *random, bool is_pattern, char out[32])
{
    static const char *words[] = { "a", "b", "cc", "*", "*", ">" };
    size_t count = (size_t)phi_random_between(random, 1, 4);
    int used = 0;
    for (size_t i = 0; i < count; i++) {
        size_t kinds = !is_pattern ? 3 : i + 1 == count ? 6 : 5;
        used += snprintf(out + used, 32 - (size_t)used, "%s%s", i == 0 ? "" : ".",
                         words[phi_random_below(random, kinds)]);
    }
}

// Of `count` listeners at most; one comes with that chance in a round, and leaves with 5 %.
static void just_those_that_fit(size_t count, unsigned rounds, unsigned come_percent)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    phi_random random = phi_random_seeded(7);
    static listener listeners[60];
    static char patterns[60][32];
    unsigned heard = 0;
    PH_ASSERT(count <= PHI_COUNT_OF(listeners));
    memset(patterns, 0, sizeof patterns);
    for (unsigned round = 0; round < rounds; round++) {
        // Now and then one leaves, or another comes.
        size_t k = phi_random_below(&random, count);
        if (patterns[k][0] == '\0' && phi_random_chance(&random, come_percent)) {
            draw(&random, true, patterns[k]);
            listen(&s, "", patterns[k], &listeners[k]);
        } else if (patterns[k][0] != '\0' && phi_random_chance(&random, 5)) {
            EXPECT_ERR(ph_client_unsubscribe(s.client, listeners[k].id), PH_OK);
            patterns[k][0] = '\0';
        }
        char topic[32];
        draw(&random, false, topic);
        for (size_t i = 0; i < count; i++) {
            listeners[i].events = 0;
        }
        publish(&s, topic);
        stage_heard(&s);
        stage_forget(&s);
        phi_topic words;
        EXPECT(phi_topic_parse(phi_bytes_text(topic), &words));
        for (size_t i = 0; i < count; i++) {
            phi_topic wild;
            if (patterns[i][0] == '\0') {
                EXPECT_EQ(listeners[i].events, 0);
                continue;
            }
            EXPECT(phi_pattern_parse(phi_bytes_text(patterns[i]), &wild));
            bool is_for_it = fits(&words, &wild);
            EXPECT_EQ(listeners[i].events, is_for_it);
            EXPECT_EQ(ph_topic_fits(topic, patterns[i]), is_for_it);
            heard += is_for_it;
        }
        phi_client_topics_check(s.client);
    }
    EXPECT(heard > 500);
    stage_fini(&s);
}

// Any set of patterns, any topic, also one that came before when other patterns were there: just
// those that fit hear of it, once. [P-74]
TEST(topic, just_those_that_fit)
{
    just_those_that_fit(60, 300, 100);
}

// What was found for a topic is kept, but only while no subscription comes or goes. [P-74]
TEST(topic, just_those_that_fit_among_few)
{
    just_those_that_fit(4, 3000, 10);
}

// What the center would refuse is refused where the caller still sees it. [P-74]
TEST(topic, validity)
{
    EXPECT(ph_topic_is_valid("orders.eu.created"));
    EXPECT(!ph_topic_is_valid("orders.*.created"));
    EXPECT(!ph_topic_is_valid(""));
    EXPECT(!ph_topic_is_valid(NULL));
    EXPECT(ph_pattern_is_valid("orders.*.>"));
    EXPECT(!ph_pattern_is_valid("orders.>.x"));
    EXPECT(!ph_pattern_is_valid("a b"));
    EXPECT(!ph_pattern_is_valid(NULL));
    EXPECT(ph_topic_fits("orders.eu.created", "orders.*.created"));
    EXPECT(!ph_topic_fits("orders", "orders.>"));
    EXPECT(!ph_topic_fits("orders.*", "orders.*"));
    EXPECT(!ph_topic_fits("orders", "orders..x"));
    EXPECT(!ph_topic_fits(NULL, "a"));
    EXPECT(!ph_topic_fits("a", NULL));
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    EXPECT_ERR(ph_client_subscribe(s.client, "a..b", NULL, NULL, NULL, NULL), PH_EINVAL);
    EXPECT_ERR(ph_client_subscribe(s.client, NULL, NULL, NULL, NULL, NULL), PH_EINVAL);
    EXPECT_ERR(ph_client_subscribe(NULL, "a", NULL, NULL, NULL, NULL), PH_EINVAL);
    EXPECT_ERR(ph_client_unsubscribe(NULL, (ph_subscription_id){ 1 }), PH_EINVAL);
    EXPECT_ERR(ph_client_unsubscribe(s.client, (ph_subscription_id){ 0 }), PH_ENOTFOUND);
    EXPECT_ERR(ph_client_publish(s.client, "a.*", "x", 1), PH_EINVAL);
    EXPECT_ERR(ph_client_publish(s.client, "a.b", NULL, 1), PH_EINVAL);
    EXPECT_ERR(ph_client_publish(NULL, "a.b", NULL, 0), PH_EINVAL);
    EXPECT_EQ(ph_client_subscription_count(NULL), 0);
    stage_fini(&s);
}

// An answer that is not one ends the link, as every broken packet does. [P-31] [P-73]
TEST(topic, malformed_answer_ends_the_link)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    stage_say(&s, PHI_COMMAND_SUBSCRIPTION, phi_bytes_text("abc"));
    EXPECT_TEXT(stage_heard(&s), "down PH_EPROTO\n");
    EXPECT_EQ(s.end_code, PHI_BYE_MALFORMED);
    stage_fini(&s);
}
