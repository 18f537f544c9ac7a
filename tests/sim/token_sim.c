// SPDX-License-Identifier: Apache-2.0
//
// tests/sim/token_sim.c - clients whose proof ends, in virtual time: a production center judges
// tokens and certificates, a production client renews them. [P-76] [P-77]
//
// One way takes 5 ms. The client is on another machine, and dials with TLS.

#include <stdio.h>
#include <string.h>

#include "auth/signer.h"
#include "center/center.h"
#include "center/security.h"
#include "client/client.h"
#include "tests/sim/sim_test.h"

#define ADDRESS "10.0.0.9:7679"

typedef struct story {
    sim *s;
    sim_node center_node;
    sim_node client_node;
    center *center;
    center_security security;
    phi_signer *signer;
    phi_jwks *keys;
    phi_tls *client_tls; // whom the client believes
    ph_client *client;
    ph_client_options options;
    unsigned ups;
    unsigned downs;
    unsigned asked;
    uint32_t gives_s; // on_token gives one that is good for so long; 0: none
    ph_err err;
    char bye[64];
    char text[512];
} story;

// ---- the client's application

static void token_for(const story *t, uint32_t seconds, char text[1024])
{
    uint64_t now_s = phi_io_wall_ms(sim_io(t->s, t->client_node)) / 1000;
    phi_token_claims claims = {
        .subject = phi_bytes_text("bob"),
        .issued_s = now_s,
        .expires_s = now_s + seconds,
    };
    phi_buf buf;
    phi_buf_init(&buf, &phi_alloc_heap, 1023);
    EXPECT_ERR(phi_signer_issue(t->signer, &claims, &buf), PH_OK);
    phi_span view = phi_buf_view(&buf);
    snprintf(text, 1024, "%.*s", (int)view.size, (const char *)view.data);
    phi_buf_fini(&buf);
}

static void give_token(story *t, uint32_t seconds)
{
    char text[1024];
    token_for(t, seconds, text);
    EXPECT_ERR(ph_client_set_token(t->client, text), PH_OK);
}

static void on_token(ph_client *client, void *arg)
{
    (void)client;
    story *t = arg;
    t->asked++;
    if (t->gives_s != 0) {
        give_token(t, t->gives_s);
    }
}

static void on_link(ph_client *client, const ph_link_change *change, void *arg)
{
    (void)client;
    story *t = arg;
    t->ups += change->state == PH_LINK_UP;
    t->downs += change->state == PH_LINK_DOWN;
    t->err = change->err;
    snprintf(t->bye, sizeof t->bye, "%.*s", (int)change->bye.size, change->bye.data);
    snprintf(t->text, sizeof t->text, "%.*s", (int)change->text.size, change->text.data);
}

static bool is_up(sim *s, void *arg)
{
    (void)s;
    story *t = arg;
    return ph_client_state(t->client) == PH_LINK_UP;
}

static bool is_down(sim *s, void *arg)
{
    return !is_up(s, arg);
}

// ---- the world

static void story_begin(story *t)
{
    sim_options options = { .seed = 5, .path = { .delay = MS(5) } };
    *t = (story){ .s = sim_new(&options), .options = PH_CLIENT_OPTIONS_INIT };
    t->center_node = sim_node_add(t->s, "center");
    t->client_node = sim_node_add(t->s, "client");
    phi_bytes secret = phi_bytes_text("Zq4tW9yB2vR7pK1xM5nD8sF3hJ6gL0cA");
    EXPECT_ERR(phi_signer_of_secret(&t->signer, &phi_alloc_heap, secret, NULL), PH_OK);
    EXPECT_ERR(phi_jwks_of_secret(&t->keys, &phi_alloc_heap, secret, NULL), PH_OK);
    t->security = center_security_open;
    t->security.keys = t->keys;
    t->security.tls = sim_tls_new(t->s, PHI_TLS_PEERS_ASKED);
    t->client_tls = sim_tls_new(t->s, PHI_TLS_PEERS_ASKED);
    sim_tls_files_set(t->s, t->client_node, t->client_tls);

    center_options c = center_options_default();
    c.domain = "home";
    EXPECT_ERR(center_new(&t->center, sim_io(t->s, t->center_node), &c, NULL, NULL), PH_OK);
    center_secure(t->center, &t->security);
    center_listen_options at = { .address = ADDRESS, .kind = CENTER_LISTENER_TLS };
    EXPECT_ERR(center_listen(t->center, &at, NULL, NULL), PH_OK);

    t->options.centers = "tls:" ADDRESS;
    t->options.account = "bob";
    t->options.backoff_min_ms = 1000;
    t->options.backoff_max_ms = 10000;
    t->options.on_link = on_link;
    t->options.arg = t;
}

static void story_dial(story *t)
{
    EXPECT_ERR(phi_client_new_on(&t->client, sim_io(t->s, t->client_node), &t->options), PH_OK);
    EXPECT_ERR(ph_client_open(t->client), PH_OK);
}

static void story_end(story *t)
{
    ph_client_free(&t->client);
    center_free(&t->center);
    sim_run_for(t->s, SECONDS(5));
    sim_free(&t->s);
    phi_jwks_free(&t->keys);
    phi_signer_free(&t->signer);
}

static uint64_t ms_until(story *t, sim_condition *is_so)
{
    phi_time from = sim_now(t->s);
    EXPECT(sim_run_until(t->s, is_so, t, SECONDS(3600)));
    return phi_dur_ms(phi_time_diff(sim_now(t->s), from));
}

static void give_certificate_to(story *t, sim_node node, uint32_t seconds)
{
    uint64_t now_s = phi_io_wall_ms(sim_io(t->s, node)) / 1000;
    static const char uri[] = "posthouse://home/bob";
    phi_identity identity = { .host = { [10] = 0xff, 0xff, 10, 0, 0, 2 },
                              .expires_s = now_s + seconds,
                              .name_count = 1 };
    identity.names[0].is_uri = true;
    identity.names[0].size = sizeof uri - 1;
    memcpy(identity.names[0].text, uri, sizeof uri);
    sim_identity_set(t->s, node, &identity);
}

// The client has one that is good for so long.
static void give_certificate(story *t, uint32_t seconds)
{
    give_certificate_to(t, t->client_node, seconds);
}

// ---- tokens

// A connection outlives any number of tokens, as long as there is a next one: an hour of tokens
// that are good for a minute, and not one reconnect.
SIM_TEST(token, connection_outlives_its_tokens)
{
    story t;
    story_begin(&t);
    t.gives_s = 60;
    t.options.on_token = on_token;
    story_dial(&t);
    EXPECT_EQ(ms_until(&t, is_up),
              30); // connection, HELLO, JOIN and WELCOME: no token of time lost
    sim_run_for(t.s, SECONDS(3600));
    EXPECT_EQ(t.ups, 1);
    EXPECT_EQ(t.downs, 0);
    EXPECT(t.asked >= 3600 / 46); // at three quarters: every 45 s
    EXPECT(t.asked <= 3600 / 43);
    EXPECT_EQ(center_count(t.center).joins_total, 1);
    story_end(&t);
}

// One whose application has no other in time is out when it ends, to the second, and in again one
// handshake after it has.
SIM_TEST(token, client_without_another_is_out_until_it_has_one)
{
    story t;
    story_begin(&t);
    char first[1024];
    token_for(&t, 100, first);
    t.options.token = first;
    t.options.on_token = on_token;
    story_dial(&t);
    EXPECT_EQ(ms_until(&t, is_up), 30);
    uint64_t ms = ms_until(&t, is_down);
    EXPECT(ms >= 99000);
    EXPECT(ms <= 100100);
    EXPECT_ERR(t.err, PH_EREFUSED);
    EXPECT_TEXT(t.bye, "credential_expired");
    EXPECT(t.asked >= 4); // at three quarters, and again and again
    sim_run_for(t.s, SECONDS(2));
    EXPECT_EQ(center_count(t.center).joins_total, 1); // it does not try without
    give_token(&t, 100);
    EXPECT_EQ(ms_until(&t, is_up), 30);
    story_end(&t);
}

// A token that ended before it was shown is replaced at once: the second attempt begins when the
// first was refused.
SIM_TEST(token, that_is_over_is_replaced_at_once)
{
    story t;
    story_begin(&t);
    char first[1024];
    token_for(&t, 10, first);
    sim_run_for(t.s, SECONDS(20));
    t.options.token = first;
    t.options.on_token = on_token;
    t.gives_s = 60;
    story_dial(&t);
    EXPECT_EQ(ms_until(&t, is_up), 30 + 30); // as long to be refused as to be let in
    EXPECT_EQ(t.asked, 1);
    EXPECT_EQ(t.downs, 1);
    story_end(&t);
}

// Without somebody who gives another one, a refusal is for good.
SIM_TEST(token, that_is_refused_is_final_when_nobody_gives_another)
{
    story t;
    story_begin(&t);
    t.options.token = "no.good.token";
    story_dial(&t);
    sim_run_for(t.s, SECONDS(60));
    EXPECT(ph_client_state(t.client) == PH_LINK_CLOSED);
    EXPECT_TEXT(t.bye, "not_authorised");
    EXPECT(strstr(t.text, "no.good.token") == NULL);
    story_end(&t);
}

// An application that gives one bad token after another is patient, however often it is asked.
SIM_TEST(token, that_is_refused_again_and_again_is_not_hammered)
{
    story t;
    story_begin(&t);
    t.options.token = "no.good.token";
    t.options.on_token = on_token;
    t.gives_s = 0;
    story_dial(&t);
    for (unsigned i = 0; i < 6000; i++) {
        sim_run_for(t.s, MS(100));
        EXPECT_ERR(ph_client_set_token(t.client, "no.better.token"), PH_OK);
    }
    EXPECT_EQ(t.ups, 0);
    EXPECT(t.downs >= 40); // ten minutes, with pauses of 5 s in the middle
    EXPECT(t.downs <= 240);
    t.gives_s = 60;
    EXPECT(sim_run_until(t.s, is_up, &t, SECONDS(60)));
    story_end(&t);
}

// ---- certificates

// A certificate ends under a connection: the client is out when it does, and in at once with the
// one that has taken its place.
SIM_TEST(token, certificate_that_was_replaced_comes_back_at_once)
{
    story t;
    story_begin(&t);
    give_certificate(&t, 100);
    story_dial(&t);
    EXPECT_EQ(ms_until(&t, is_up), 30);
    sim_run_for(t.s, SECONDS(50));
    give_certificate(&t, 1000); // the files are replaced; the connection goes on
    uint64_t ms = ms_until(&t, is_down);
    EXPECT(ms >= 49000);
    EXPECT(ms <= 50100);
    EXPECT_TEXT(t.bye, "credential_expired");
    EXPECT(ms_until(&t, is_up) <= 50);
    story_end(&t);
}

// One that was not replaced is not believed; the client goes on trying, and is in soon after it is.
SIM_TEST(token, certificate_that_was_not_replaced_is_told_and_tried_again)
{
    story t;
    story_begin(&t);
    give_certificate(&t, 100);
    story_dial(&t);
    (void)ms_until(&t, is_up);
    (void)ms_until(&t, is_down);
    sim_run_for(t.s, SECONDS(30));
    EXPECT(is_down(t.s, &t));
    EXPECT_ERR(t.err, PH_ETLS);
    EXPECT(strstr(t.text, "the other end refused our certificate") != NULL);
    give_certificate(&t, 1000);
    EXPECT(ms_until(&t, is_up) <= 10100); // backoff_max_ms
    story_end(&t);
}

// Who dials a listener of TLS without it waits for HELLO, and would wait for long: he is told in
// two seconds, and what to write. [P-81]
SIM_TEST(token, client_without_tls_is_told_so)
{
    story t;
    story_begin(&t);
    t.options.centers = ADDRESS;
    story_dial(&t);
    sim_run_for(t.s, MS(2019)); // three ways until it is accepted, 2 s, and one way back
    EXPECT_EQ(t.downs, 0);
    sim_run_for(t.s, MS(1));
    EXPECT_EQ(t.downs, 1);
    EXPECT_ERR(t.err, PH_EREFUSED);
    EXPECT_TEXT(t.bye, "tls_required");
    EXPECT(strstr(t.text, "TLS is spoken at this address; write tls:" ADDRESS) != NULL);
    EXPECT_EQ(center_count(t.center).tls_refused_total, 1);
    story_end(&t);
}

// A center that the client does not believe any more gets nothing from it, however long that lasts.
SIM_TEST(token, center_that_is_not_believed_hears_no_token)
{
    story t;
    story_begin(&t);
    t.options.on_token = on_token;
    t.gives_s = 3600;
    give_certificate_to(&t, t.center_node, 86400);
    sim_tls_refuse(t.client_tls, t.center_node, "its certificate is for other.example");
    story_dial(&t);
    sim_run_for(t.s, SECONDS(600));
    EXPECT_ERR(t.err, PH_ETLS);
    EXPECT(strstr(t.text, "other.example") != NULL);
    EXPECT_EQ(t.ups, 0);
    EXPECT_EQ(center_count(t.center).joins_total, 0);
    sim_tls_refuse(t.client_tls, t.center_node, NULL);
    EXPECT(ms_until(&t, is_up) <= 10100);
    story_end(&t);
}
