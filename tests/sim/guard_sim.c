// SPDX-License-Identifier: Apache-2.0
//
// tests/sim/guard_sim.c - who is let in, and who is put out again, in virtual time: production
// center and clients, TLS as the simulator has it. What each may do to each is in matrix_sim.c.
// [P-77]
//
// One way takes 1 ms. Where TLS is spoken, each actor has a certificate of its account's name.

#include <stdio.h>
#include <string.h>

#include <posthouse/message.h>
#include <posthouse/topic.h>

#include "sim/check.h"
#include "tests/sim/sim_test.h"

#define ALL "* may call *", "* may send *", "* may see *", "* may register service:*"

static domain *world_of(uint32_t actors, center_listener kind)
{
    domain_options options = {
        .seed = 5,
        .path = { .delay = MS(1) },
        .center = center_options_default(),
        .kind = kind,
        .client = PH_CLIENT_OPTIONS_INIT,
        .workers = sim_workers,
        .actor_count = actors,
        .late_max = SECONDS(1),
    };
    domain *d = domain_new(&options);
    if (kind == CENTER_LISTENER_PLAIN) {
        return d;
    }
    d->security.tls = sim_tls_new(d->s, PHI_TLS_PEERS_ASKED);
    for (uint32_t i = 0; i < actors; i++) {
        const actor *a = &d->actors[i];
        phi_identity who = { .host = { [10] = 0xff, 0xff, 192, 0, 2, (uint8_t)i },
                             .expires_s = UINT32_MAX,
                             .name_count = 1 };
        who.names[0].size = (uint8_t)strlen(a->account);
        memcpy(who.names[0].text, a->account, strlen(a->account));
        sim_identity_set(d->s, a->node, &who);
        sim_tls_files_set(d->s, a->node, sim_tls_new(d->s, PHI_TLS_PEERS_ASKED));
    }
    return d;
}

static void begin(domain *d)
{
    domain_start(d);
    EXPECT(sim_run_until(d->s, domain_all_up, d, SECONDS(1)));
    sim_run_for(d->s, MS(100));
}

static void end(domain *d)
{
    char fault[sizeof d->fault];
    domain_free(&d, fault);
    EXPECT_TEXT(fault, "");
}

static bool has_no_calls(sim *s, void *arg)
{
    (void)s;
    const domain *d = arg;
    return d->calls_open == 0;
}

// How a call from one to the other ends: 0, or the failure's code.
static uint16_t code_of_call(domain *d, uint32_t from, uint32_t to)
{
    actor *a = &d->actors[from];
    call_record *k = actor_call_actor(a, &d->actors[to], 1000);
    EXPECT(k != NULL);
    EXPECT(sim_run_until(d->s, has_no_calls, d, SECONDS(2)));
    return k->status == PH_OK ? 0 : k->code;
}

static void let_go(domain *d, uint32_t who)
{
    d->actors[who].may_be_refused = true;
}

static bool is_one_closed(sim *s, void *arg)
{
    (void)s;
    const actor *a = arg;
    return a->link == PH_LINK_CLOSED;
}

// ---- who is put out

// A stolen key's certificate is revoked: its client must be gone in five seconds, with the reason,
// and not come in again; and nobody else may notice, however many there are.
CENTER_TEST(guard, revoked_client_is_cut_and_no_other)
{
    domain *d = world_of(30, CENTER_LISTENER_TLS);
    DOMAIN_SECURE(d, ALL);
    begin(d);
    actor *thief = &d->actors[17];
    EXPECT_EQ(code_of_call(d, 17, 3), 0);
    let_go(d, 17);
    sim_tls_refuse(d->security.tls, thief->node, "its certificate has been revoked");
    DOMAIN_SECURE(d, ALL);
    phi_time told = sim_now(d->s);
    EXPECT(sim_run_until(d->s, is_one_closed, thief, SECONDS(5)));
    EXPECT(phi_dur_ms(phi_time_diff(sim_now(d->s), told)) <= 5);
    EXPECT_TEXT(thief->how_bye, "not_authorised");
    EXPECT(strstr(thief->how_text, "its certificate has been revoked") != NULL);
    EXPECT_EQ(domain_count(d).identities_revoked_total, 1);
    sim_run_for(d->s, SECONDS(5));
    for (uint32_t i = 0; i < d->actor_count; i++) {
        EXPECT_EQ(d->actors[i].downs, i == 17);
    }
    EXPECT_EQ(code_of_call(d, 3, 17), PH_FAILURE_NO_SUCH_ACCOUNT);
    EXPECT_EQ(code_of_call(d, 3, 4), 0);
    // With the same certificate it does not get as far as a JOIN.
    actor_kill(thief);
    EXPECT(actor_start(thief));
    sim_run_for(d->s, SECONDS(3));
    EXPECT(!actor_is_up(thief));
    EXPECT_EQ(domain_count(d).joins_total, 30);
    end(d);
}

// Certificates are renewed all day long: what says the same as before ends no connection, breaks
// off no call, and sends nobody a list.
CENTER_TEST(guard, credentials_are_renewed_and_nobody_notices)
{
    domain *d = world_of(8, CENTER_LISTENER_TLS);
    for (uint32_t i = 0; i < d->actor_count; i++) {
        d->actors[i].is_watching = true;
        d->actors[i].manner = MANNER_WORK;
        d->actors[i].work = phi_ms(20);
    }
    DOMAIN_SECURE(d, ALL);
    begin(d);
    uint64_t lists = domain_count(d).presence_lists_total;
    for (int round = 0; round < 50; round++) {
        call_record *k = actor_call_actor(&d->actors[round % 8], &d->actors[(round + 3) % 8], 1000);
        EXPECT(k != NULL);
        sim_run_for(d->s, MS(5));
        d->security.tls = sim_tls_new(d->s, PHI_TLS_PEERS_ASKED);
        DOMAIN_SECURE(d, ALL);
        EXPECT(sim_run_until(d->s, has_no_calls, d, SECONDS(1)));
        EXPECT_ERR(k->status, PH_OK);
    }
    EXPECT_EQ(domain_count(d).presence_lists_total, lists);
    for (uint32_t i = 0; i < d->actor_count; i++) {
        EXPECT_EQ(d->actors[i].downs, 0);
    }
    EXPECT(sim_run_until(d->s, domain_is_settled, d, SECONDS(10)));
    end(d);
}

// An account that was lent is taken back: who used it goes, and hears why; so does an instance of a
// service that it may not serve any more.
CENTER_TEST(guard, accounts_and_services_are_taken_back)
{
    domain *d = world_of(4, CENTER_LISTENER_TLS);
    snprintf(d->actors[1].account, sizeof d->actors[1].account, "till"); // with c01's certificate
    snprintf(d->actors[1].id, sizeof d->actors[1].id, "till@" DOMAIN_NAME);
    snprintf(d->actors[1].principal, sizeof d->actors[1].principal, "c01");
    DOMAIN_SECURE(d, ALL, "c01 may register till");
    begin(d);
    let_go(d, 1);
    let_go(d, 2);
    DOMAIN_SECURE(d, "* may call *", "* may register service:s0", "* may register service:s1");
    EXPECT(sim_run_until(d->s, is_one_closed, &d->actors[1], SECONDS(5)));
    EXPECT(strstr(d->actors[1].how_text, "principal 'c01' may not use account 'till'") != NULL);
    EXPECT(sim_run_until(d->s, is_one_closed, &d->actors[2], SECONDS(5)));
    EXPECT(strstr(d->actors[2].how_text,
                  "principal 'c02' may not be an instance of service 's2'") != NULL);
    EXPECT_EQ(d->actors[0].downs, 0);
    EXPECT_EQ(code_of_call(d, 0, 3), 0);
    end(d);
}

// ---- who is not let in

// Who shows no certificate, one that names nobody, or one of somebody else, is refused with the
// reason, and its client does not try for ever.
CENTER_TEST(guard, strangers_are_refused_with_the_reason)
{
    static const struct {
        const char *name;
        const char *text;
    } rows[] = {
        { NULL, "a token or a certificate is needed" },
        { "*.c01", "its certificate names no account of this domain (of at most 55 bytes)" },
        { "c03", "principal 'c03' may not use account 'c02'" },
    };
    domain *d = world_of(3, CENTER_LISTENER_TLS);
    DOMAIN_SECURE(d, ALL);
    for (uint32_t i = 0; i < PHI_COUNT_OF(rows); i++) {
        phi_identity who = { .host = { [10] = 0xff, 0xff, 192, 0, 2, 9 } };
        if (rows[i].name != NULL) {
            who.name_count = 1;
            who.expires_s = UINT32_MAX;
            who.names[0].size = (uint8_t)strlen(rows[i].name);
            memcpy(who.names[0].text, rows[i].name, strlen(rows[i].name));
        }
        sim_identity_set(d->s, d->actors[i].node, &who);
        let_go(d, i);
    }
    domain_start(d);
    sim_run_for(d->s, SECONDS(2));
    for (uint32_t i = 0; i < PHI_COUNT_OF(rows); i++) {
        EXPECT_EQ(d->actors[i].link, PH_LINK_CLOSED);
        EXPECT_TEXT(d->actors[i].how_bye, "not_authorised");
        EXPECT(strstr(d->actors[i].how_text, rows[i].text) != NULL);
    }
    center_counters n = domain_count(d);
    EXPECT_EQ(n.joins_total, 0);
    EXPECT_EQ(n.joins_refused_unproved_total, 1);
    EXPECT_EQ(n.joins_refused_certificate_total, 1);
    EXPECT_EQ(n.joins_refused_account_total, 1);
    end(d);
}

// A TLS listener without rules lets in who has a certificate, and lets him do nothing.
CENTER_TEST(guard, remote_without_rules_may_do_nothing)
{
    domain *d = world_of(3, CENTER_LISTENER_TLS);
    for (uint32_t i = 0; i < d->actor_count; i++) {
        d->actors[i].service[0] = '\0';
        d->actors[i].is_watching = true;
    }
    begin(d);
    EXPECT_EQ(code_of_call(d, 0, 1), PH_FAILURE_REFUSED_BY_POLICY);
    for (uint32_t i = 0; i < d->actor_count; i++) {
        EXPECT(d->actors[i].is_ready);
        EXPECT_EQ(d->actors[i].known_count, 1);
        EXPECT(actor_knows(&d->actors[i], d->actors[i].id) != NULL);
    }
    end(d);
}

// ---- what others can find out

// Whoever may not call somebody gets the same answer before he is started, while he is there, after
// he was killed, and when the center keeps him on its list as a ghost; at whatever worker he is.
CENTER_TEST(guard, probe_learns_nothing)
{
    domain *d = world_of(4, CENTER_LISTENER_PLAIN);
    for (uint32_t i = 0; i < d->actor_count; i++) {
        d->actors[i].service[0] = '\0';
    }
    DOMAIN_SECURE(d, "c00 may call c01", "c00 may send c01");
    EXPECT(domain_center_start(d));
    EXPECT(actor_start(&d->actors[0]));
    EXPECT(actor_start(&d->actors[1]));
    EXPECT(sim_run_until(d->s, domain_all_up, d, SECONDS(1)));
    EXPECT_EQ(code_of_call(d, 0, 1), 0);
    for (int stage = 0; stage < 3; stage++) {
        for (uint32_t i = 2; i < 4; i++) {
            if (stage == 1) {
                EXPECT(actor_start(&d->actors[i]));
                EXPECT(sim_run_until(d->s, domain_all_up, d, SECONDS(1)));
            } else if (stage == 2) {
                actor_kill(&d->actors[i]);
            }
        }
        for (uint32_t i = 2; i < 4; i++) {
            EXPECT_EQ(code_of_call(d, 0, i), PH_FAILURE_REFUSED_BY_POLICY);
        }
    }
    EXPECT_EQ(d->actors[2].requests + d->actors[3].requests, 0);
    end(d);
}

// ---- what workers tell each other

// Who a client is may change while it is there: then every worker must judge it anew, also those
// that do not have its connection.
CENTER_TEST(guard, other_principal_counts_at_every_worker)
{
    static const center_user users[] = { { .uid = 1,
                                           .principal = { (const uint8_t *)"desk", 4 } } };
    static const center_user changed[] = { { .uid = 1,
                                             .principal = { (const uint8_t *)"spy", 3 } } };
    domain *d = world_of(4, CENTER_LISTENER_PLAIN);
    for (uint32_t i = 0; i < d->actor_count; i++) {
        d->actors[i].service[0] = '\0';
    }
    sim_identity_set(d->s, d->actors[1].node,
                     &(phi_identity){ .is_local = true, .has_user = true, .uid = 1 });
    d->security.users = users;
    d->security.user_count = PHI_COUNT_OF(users);
    const char *const rules[] = { "desk may register c01",   "spy may register c01",
                                  "desk may subscribe >",    "c00 may publish >",
                                  "c02 may publish >",       "c03 may publish >",
                                  "c01 may see nobody-else", NULL };
    domain_secure(d, rules);
    begin(d);
    actor_toggle(&d->actors[1], 4); // `>`
    sim_run_for(d->s, MS(10));
    static const uint32_t publishers[] = { 0, 2, 3 };
    for (int stage = 0; stage < 2; stage++) {
        snprintf(d->actors[1].principal, sizeof d->actors[1].principal, "%s",
                 stage == 0 ? "desk" : "spy");
        unsigned before = d->actors[1].events;
        for (size_t i = 0; i < PHI_COUNT_OF(publishers); i++) {
            EXPECT_ERR(actor_event(&d->actors[publishers[i]], "topic:b.b", 16), PH_OK);
        }
        sim_run_for(d->s, MS(10));
        EXPECT_EQ(d->actors[1].events - before, stage == 0 ? 3 : 0);
        d->security.users = changed;
        domain_secure(d, rules);
        sim_run_for(d->s, MS(100));
        EXPECT(actor_is_up(&d->actors[1]));
    }
    end(d);
}

// Watchers at all workers see what they may, hear of the difference when that changes, and in the
// end just what the center shows them.
CENTER_TEST(guard, sight_changes_while_they_watch)
{
    domain *d = world_of(6, CENTER_LISTENER_PLAIN);
    for (uint32_t i = 0; i < d->actor_count; i++) {
        d->actors[i].service[0] = '\0';
        d->actors[i].is_watching = true;
    }
    DOMAIN_SECURE(d, "* may see c0*");
    begin(d);
    for (uint32_t i = 0; i < d->actor_count; i++) {
        EXPECT_EQ(d->actors[i].known_count, 6);
    }
    DOMAIN_SECURE(d, "c00 may see *", "c01 may see c02", "c01 may see c03", "* may see c05");
    sim_run_for(d->s, MS(100));
    static const size_t known[] = { 6, 4, 2, 2, 2, 1 }; // with themselves
    for (uint32_t i = 0; i < d->actor_count; i++) {
        EXPECT_EQ(d->actors[i].known_count, known[i]);
        EXPECT(actor_knows(&d->actors[i], d->actors[i].id) != NULL);
    }
    EXPECT(actor_knows(&d->actors[1], "c02@" DOMAIN_NAME) != NULL);
    EXPECT(actor_knows(&d->actors[1], "c04@" DOMAIN_NAME) == NULL);
    actor_kill(&d->actors[2]);
    sim_run_for(d->s, MS(100));
    EXPECT_EQ(d->actors[1].known_count, 3);
    EXPECT_EQ(d->actors[3].known_count, 2);
    EXPECT(actor_start(&d->actors[2]));
    DOMAIN_SECURE(d, NULL);
    sim_run_for(d->s, SECONDS(1));
    EXPECT(sim_run_until(d->s, domain_is_settled, d, SECONDS(10)));
    for (uint32_t i = 0; i < d->actor_count; i++) {
        EXPECT_EQ(d->actors[i].known_count, 6);
        EXPECT_EQ(d->actors[i].downs, 0);
    }
    end(d);
}
