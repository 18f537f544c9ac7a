// SPDX-License-Identifier: Apache-2.0

#include <posthouse/topic.h>

#include <stdio.h>

#include "client/core.h"
#include "tests/client/stage.h"
#include "tests/harness/test.h"

// What the last message was to say. The application's texts stand in the same few places all the
// time, so that a head that was kept is guessed again and again.
typedef struct said {
    char to[256];
    char method[256];
    char other[256];
    char expected_to[300];
    phi_kind kind;
    uint32_t ttl_ms;
    uint64_t call;
    char body[300];
    const char *from;
    unsigned checked;
} said;

static void on_packet(stage *s, const phi_packet *packet)
{
    said *it = s->arg;
    phi_message m;
    EXPECT_EQ(packet->command, PHI_COMMAND_MESSAGE);
    EXPECT_ERR(phi_message_decode(packet->payload, &m), PH_OK);
    EXPECT_EQ(m.kind, it->kind);
    EXPECT_EQ(m.flags, 0);
    EXPECT_EQ(m.turn, 0);
    EXPECT_EQ(m.call, it->call);
    EXPECT_EQ(m.ttl_ms, it->ttl_ms);
    EXPECT(phi_bytes_equal(m.to, phi_bytes_text(it->expected_to)));
    EXPECT(phi_bytes_equal(m.from, phi_bytes_text(it->from)));
    EXPECT(phi_bytes_equal(m.method, phi_bytes_text(it->method)));
    EXPECT(phi_bytes_equal(m.body, phi_bytes_text(it->body)));
    it->checked++;
}

static void on_reply(ph_client *client, ph_call_id id, ph_err status, uint16_t code,
                     const ph_incoming *reply, void *arg)
{
    (void)client, (void)id, (void)code, (void)reply, (void)arg;
    EXPECT_ERR(status, PH_ETIMEDOUT);
}

// Few different ones, which begin alike, and now and then one that no head can hold.
static void random_text(phi_random *random, char *text, size_t size_max)
{
    size_t size = phi_random_chance(random, 5) ? phi_random_below(random, size_max)
                                               : phi_random_below(random, 12);
    memset(text, 'a', size);
    if (size != 0) {
        text[size - 1] = (char)('a' + phi_random_below(random, 2));
    }
    text[size] = '\0';
}

static void say_one(stage *s, said *it, bool is_same)
{
    phi_random *random = &s->random;
    if (!is_same) {
        random_text(random, it->to, 240);
        random_text(random, it->method, phi_random_chance(random, 50) ? 250 : 1);
    }
    random_text(random, it->body, 299);
    memcpy(it->other, it->to, sizeof it->other);
    ph_outgoing out = PH_OUTGOING_INIT;
    out.to = phi_random_chance(random, 20) ? it->other : it->to; // the same from another place
    out.method = it->method[0] != '\0' || phi_random_chance(random, 50) ? it->method : NULL;
    out.body = it->body;
    out.body_size = strlen(it->body);
    it->call = 0;
    it->ttl_ms = 0;
    it->kind = PHI_KIND_EVENT;
    unsigned before = it->checked;
    ph_err rc;
    if (it->method[0] == '\0' && phi_random_chance(random, 50)) {
        snprintf(it->expected_to, sizeof it->expected_to, "topic:%s", it->to);
        rc = ph_client_publish(s->client, out.to, it->body, out.body_size);
    } else {
        snprintf(it->expected_to, sizeof it->expected_to, "%s", it->to);
        it->ttl_ms = 1 + (uint32_t)phi_random_below(random, 1000);
        out.timeout_ms = it->ttl_ms;
        if (phi_random_chance(random, 50)) {
            rc = ph_client_send(s->client, &out);
        } else {
            it->kind = PHI_KIND_REQUEST;
            ph_call_id id = { 0 };
            rc = ph_client_request(s->client, &out, &id, on_reply, NULL);
            it->call = id.value;
        }
    }
    EXPECT_ERR(rc, it->to[0] == '\0' ? PH_EINVAL : PH_OK);
    stage_settle(s);
    EXPECT_EQ(it->checked, before + (rc == PH_OK));
}

// What stands in front of a body is kept, and found by where the application has its texts. A
// message must say what they say now, whatever stood there before, over each connection with the id
// that it was given. [P-50] [P-53]
TEST(post, message_says_what_its_texts_say_now)
{
    static said it;
    memset(&it, 0, sizeof it);
    stage s;
    stage_init(&s, PHI_SUITE_CHECK);
    stage_up(&s);
    s.on_packet = on_packet;
    s.arg = &it;
    it.from = "me@home";
    for (unsigned i = 0; i < 3000; i++) {
        if (i % 1000 == 999) {
            it.from = i == 999 ? "me-2@elsewhere" : "m@h";
            s.id = it.from;
            stage_pass(&s, phi_seconds(2)); // all calls have ended
            stage_cut(&s);
            stage_pass(&s, phi_seconds(11));
            EXPECT_TEXT(ph_client_id(s.client), it.from);
            (void)stage_heard(&s);
        }
        say_one(&s, &it, i % 1000 == 999 || phi_random_chance(&s.random, 30));
        if (i % 64 == 0) {
            stage_pass(&s, phi_seconds(2));
        }
    }
    EXPECT(it.checked > 2000);
    stage_pass(&s, phi_seconds(2));
    (void)stage_heard(&s);
    stage_fini(&s);
}

// A wrong argument is refused with the same error whether there is a head for it or not, and sends
// nothing. [P-50]
TEST(post, wrong_arguments_are_refused_on_either_way)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    char long_text[300];
    memset(long_text, 'a', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    for (unsigned i = 0; i < 2; i++) {
        ph_outgoing out = PH_OUTGOING_INIT;
        EXPECT_ERR(ph_client_send(s.client, NULL), PH_EINVAL);
        EXPECT_ERR(ph_client_send(s.client, &out), PH_EINVAL); // to nobody
        out.to = "";
        EXPECT_ERR(ph_client_request(s.client, &out, NULL, on_reply, NULL), PH_EINVAL);
        out.to = "all:stock";
        EXPECT_ERR(ph_client_request(s.client, &out, NULL, on_reply, NULL), PH_EINVAL);
        out.to = long_text;
        EXPECT_ERR(ph_client_send(s.client, &out), PH_EINVAL);
        out.to = "echo";
        out.method = long_text;
        EXPECT_ERR(ph_client_request(s.client, &out, NULL, on_reply, NULL), PH_EINVAL);
        out.method = NULL;
        out.body_size = 1; // of nothing
        EXPECT_ERR(ph_client_send(s.client, &out), PH_EINVAL);
        EXPECT_ERR(ph_client_request(s.client, &out, NULL, on_reply, NULL), PH_EINVAL);
        EXPECT_ERR(ph_client_publish(s.client, "a", NULL, 1), PH_EINVAL);
        EXPECT_ERR(ph_client_publish(s.client, "a.*", "x", 1), PH_EINVAL);
        EXPECT_ERR(ph_client_publish(s.client, NULL, "x", 1), PH_EINVAL);
        stage_settle(&s);
        EXPECT_EQ(s.got_count, i);
        out.body_size = 0;
        EXPECT_ERR(ph_client_send(s.client, &out), PH_OK); // now there is a head for it
        stage_settle(&s);
    }
    stage_cut(&s);
    stage_settle(&s);
    ph_outgoing out = PH_OUTGOING_INIT;
    out.to = "echo";
    EXPECT_ERR(ph_client_send(s.client, &out), PH_ENOTCONNECTED);
    EXPECT_ERR(ph_client_request(s.client, &out, NULL, on_reply, NULL), PH_ENOTCONNECTED);
    EXPECT_ERR(ph_client_publish(s.client, "a", "x", 1), PH_ENOTCONNECTED);
    (void)stage_heard(&s);
    stage_fini(&s);
}
