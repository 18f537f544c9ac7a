// SPDX-License-Identifier: Apache-2.0
//
// center/credential_test.c - what proves who somebody is, ends, and is proved anew: P-76.

#include "tests/harness/test.h"

#include <stdlib.h>

#include "tests/center/issuer.h"
#include "tests/center/world.h"
#include "wire/credential.h"

// ---- fixture: a center that believes tokens of one issuer

static world *world_of_issuer(issuer *i, void (*change)(center_options *options))
{
    issuer_init(i);
    world *w = world_new(change);
    center_secure(w->c, &i->security);
    return w;
}

static void world_end(world *w, issuer *i)
{
    world_free(w);
    issuer_fini(i);
}

static uint64_t wall_s(const world *w)
{
    return w->io.now.ns / 1000000000;
}

static void peer_credential(peer *p, phi_bytes token)
{
    uint8_t bytes[PHI_JWT_BYTES_MAX + 8];
    phi_writer w = phi_writer_of((phi_span){ bytes, sizeof bytes });
    phi_credential_encode(&w, &(phi_credential){ token });
    EXPECT(!w.failed);
    peer_packet(p, PHI_COMMAND_CREDENTIAL, bytes, phi_writer_size(&w));
}

// So many at once, which one read brings.
static void peer_credentials(peer *p, issuer *i, unsigned count)
{
    for (unsigned n = 0; n < count; n++) {
        peer_credential(p, issuer_token(i, "p", wall_s(p->w) + 60));
    }
    world_settle(p->w);
}

// The next answer: in how much time what it proved ends.
static void peer_expect_expires(peer *p, uint32_t ms)
{
    phi_credential_answer answer;
    phi_bytes packet = peer_next_packet(p, PHI_COMMAND_CREDENTIAL);
    EXPECT(ms == 0 || packet.size != 0);
    EXPECT_ERR(phi_credential_answer_decode(packet, &answer), PH_OK);
    EXPECT_EQ(answer.expires_ms, ms);
}

// Joins with a token that is good for so long.
static peer *join_for(world *w, issuer *i, const char *account, uint64_t seconds)
{
    phi_bytes token = issuer_token(i, account, wall_s(w) + seconds);
    return world_join_as(w, &(phi_join){ .account = phi_bytes_text(account), .token = token });
}

// ---- the end

// A center that took a token on trust, because it has no keys to judge it by, would let its bearer
// be whoever the token says. [P-76] [P-77]
TEST(credential, token_that_nobody_can_judge_is_refused)
{
    world *w = world_new(NULL);
    peer *a = world_watch(w, "a");
    peer *p = world_join(w, "p");
    peer_credential(p, phi_bytes_text("eyJhbGciOiJub25lIn0.eyJzdWIiOiJib3NzIn0."));
    world_settle(w);
    peer_expect_bye(p, PHI_BYE_NOT_AUTHORISED);
    EXPECT(peer_find(a, "p@d") == NULL);
    EXPECT_EQ(a->last_reason, PHI_WHY_KICKED);
    world_free(w);
}

// A token that was stolen, or whose bearer was dismissed, is good until its end and no longer; and
// one who comes back with another is in at once. [P-76]
TEST(credential, link_ends_with_its_token)
{
    issuer i;
    world *w = world_of_issuer(&i, NULL);
    peer *a = world_watch(w, "a");
    peer *p = join_for(w, &i, "p", 60);
    EXPECT_EQ(p->expires_ms, 60000);
    EXPECT_EQ(a->expires_ms, 0); // it proved nothing: that does not end
    world_pass(w, 59999);
    EXPECT(!p->is_ended);
    world_pass(w, 1);
    peer_expect_bye(p, PHI_BYE_CREDENTIAL_EXPIRED);
    EXPECT_EQ(p->end.retry_after_ms, 0);
    EXPECT(peer_find(a, "p@d") == NULL);
    EXPECT_EQ(world_count(w).identities_expired_total, 1);
    EXPECT(world_logged(w, "CE0018"));
    world_settle(w);
    (void)join_for(w, &i, "p", 60);
    world_end(w, &i);
}

// Behind a certificate it ends with that, whatever a token says. [P-76]
TEST(credential, link_ends_with_its_certificate)
{
    issuer i;
    world *w = world_of_issuer(&i, NULL);
    w->who.expires_s = wall_s(w) + 30;
    w->who.name_count = 1;
    w->who.names[0] = (phi_identity_name){ .size = 1, .text = "p" };
    peer *p = world_join(w, "p");
    EXPECT_EQ(p->expires_ms, 30000);
    peer *q = join_for(w, &i, "q", 3600);
    EXPECT_EQ(q->expires_ms, 30000);
    world_pass(w, 29000);
    peer_credential(q, issuer_token(&i, "q", wall_s(w) + 3600));
    world_settle(w);
    peer_expect_expires(q, 1000);
    world_pass(w, 1000);
    peer_expect_bye(p, PHI_BYE_CREDENTIAL_EXPIRED);
    peer_expect_bye(q, PHI_BYE_CREDENTIAL_EXPIRED);
    world_end(w, &i);
}

// ---- anew

// A client that lives for weeks on tokens of an hour must not lose its link every hour. The answer
// says until when it has time. [P-76]
TEST(credential, new_token_moves_the_end)
{
    issuer i;
    world *w = world_of_issuer(&i, NULL);
    peer *p = join_for(w, &i, "p", 60);
    uint64_t session = p->session;
    for (int n = 0; n < 10; n++) {
        world_pass(w, 45000);
        peer_credential(p, issuer_token(&i, "p", wall_s(w) + 60));
        world_settle(w);
        peer_expect_expires(p, 60000);
    }
    world_pass(w, 30000);
    peer_credential(p, issuer_token(&i, "p", wall_s(w) + 10)); // sooner than what it had
    world_settle(w);
    peer_expect_expires(p, 10000);
    world_pass(w, 9999);
    EXPECT(!p->is_ended);
    EXPECT_EQ(p->session, session);
    world_pass(w, 1);
    peer_expect_bye(p, PHI_BYE_CREDENTIAL_EXPIRED);
    EXPECT_EQ(world_count(w).credentials_renewed_total, 11);
    world_end(w, &i);
}

// Who proved nothing, because it did not have to, and then proves something, is held to that.
// [P-76]
TEST(credential, first_token_may_come_late)
{
    issuer i;
    world *w = world_of_issuer(&i, NULL);
    peer *p = world_join(w, "p");
    peer_credential(p, issuer_token(&i, "p", wall_s(w) + 5));
    world_settle(w);
    peer_expect_expires(p, 5000);
    world_pass(w, 5000);
    peer_expect_bye(p, PHI_BYE_CREDENTIAL_EXPIRED);
    world_end(w, &i);
}

// A token that is wrong, or somebody else's, ends the link, with a reason, though the old one is
// still good: its bearer wanted to be somebody and is not. Nothing of the token is in the log.
// [P-76] [P-77]
TEST(credential, wrong_token_ends_the_link)
{
    static const struct {
        const char *subject;
        int64_t seconds;
        const char *text;
    } rows[] = {
        { "p", -1, "the token has expired" },
        { "q", 60, "principal 'q' may not use account 'p'" },
        { "p", 0, NULL }, // forged, see below
    };
    for (size_t n = 0; n < sizeof rows / sizeof rows[0]; n++) {
        issuer i;
        world *w = world_of_issuer(&i, NULL);
        world_pass(w, 10000);
        peer *p = join_for(w, &i, "p", 60);
        phi_bytes token =
            issuer_token(&i, rows[n].subject, (uint64_t)((int64_t)wall_s(w) + rows[n].seconds));
        if (rows[n].text == NULL) {
            token = issuer_token(&i, "p", wall_s(w) + 60);
            token.size -= 2;
        }
        peer_credential(p, token);
        world_settle(w);
        peer_expect_bye(p, PHI_BYE_NOT_AUTHORISED);
        if (rows[n].text != NULL) {
            EXPECT(phi_bytes_equal(p->end.text, phi_bytes_text(rows[n].text)));
        }
        EXPECT_EQ(world_count(w).credentials_refused_total, 1);
        EXPECT_EQ(world_count(w).identities_expired_total, 0);
        world_end(w, &i);
    }
}

// What `p` says behind 12 tokens comes to `r` when they are paid: two a second, so 10 more than at
// once, and one for the next.
static void expect_wait(peer *p, peer *r)
{
    peer_event(p, "r", "x");
    world_pass(p->w, 5499);
    EXPECT(peer_next(r) == NULL);
    world_pass(p->w, 1);
    EXPECT(peer_next(r) != NULL);
    EXPECT_EQ(world_count(p->w).throttled, 0);
}

// Judging a signature costs far more than sending one: who sends them in a row is read later, so
// that others have the center's time. All are answered, and nothing behind them is lost. [P-76]
TEST(credential, many_tokens_have_to_wait)
{
    issuer i;
    world *w = world_of_issuer(&i, NULL);
    peer *r = world_join(w, "r");
    peer *p = join_for(w, &i, "p", 60);
    peer_credentials(p, &i, 12);
    EXPECT_EQ(world_count(w).credentials_renewed_total, 12);
    EXPECT_EQ(world_count(w).throttled, 1);
    for (int n = 0; n < 12; n++) {
        peer_expect_expires(p, 60000);
    }
    expect_wait(p, r);
    world_end(w, &i);
}

static void ten_messages(center_options *o)
{
    o->client_messages_per_second = 10;
}

// Tokens are messages, too: that they owe less as such than as tokens must not have them read
// sooner.
// [P-76] [P-78]
TEST(credential, wait_for_tokens_is_not_cut_short_by_that_for_messages)
{
    issuer i;
    world *w = world_of_issuer(&i, ten_messages);
    peer *r = world_join(w, "r");
    peer *p = join_for(w, &i, "p", 60);
    world_pass(w, 1000);
    peer_credentials(p, &i, 12); // 300 ms as messages
    EXPECT_EQ(world_count(w).credentials_renewed_total, 12);
    EXPECT_EQ(world_count(w).pauses_total, 1);
    EXPECT(world_logged(w, "CE0015")); // as messages they owe, too
    expect_wait(p, r);
    world_end(w, &i);
}

// Each costs a signature, and what one read brings is judged in one turn: others wait for that.
TEST(credential, flood_of_tokens_ends_the_link)
{
    issuer i;
    world *w = world_of_issuer(&i, NULL);
    peer *p = join_for(w, &i, "p", 60);
    peer_credentials(p, &i, 64);
    EXPECT(world_count(w).credentials_renewed_total <= 20); // 16 ahead, and what may come at once
    peer_expect_bye(p, PHI_BYE_LIMIT_REACHED);
    world_end(w, &i);
}

// A client with much to read that proves anew who it is must get its answer when it has read, and
// not lose its link. [P-59] [P-76]
TEST(credential, answer_waits_for_room)
{
    issuer i;
    world *w = world_of_issuer(&i, NULL);
    peer *other = world_join(w, "other");
    peer *p = join_for(w, &i, "p", 60);
    peer_fill_up(p, other);
    peer_credential(p, issuer_token(&i, "p", wall_s(w) + 100));
    peer_credential(p, issuer_token(&i, "p", wall_s(w) + 200));
    world_settle(w);
    EXPECT_EQ(world_count(w).credentials_renewed_total, 2);
    peer_drain(p);
    world_settle(w);
    peer_expect_expires(p, 200000); // of when they were said
    peer_expect_expires(p, 200000);
    EXPECT(!p->is_ended);
    world_end(w, &i);
}

// ---- guessing

static void three_refusals(center_options *o)
{
    o->address_refusals_max = 3;
}

// Tries to come in from another machine with nothing to show.
static peer *knock(world *w)
{
    peer *p = world_connect(w, "p");
    world_settle(w);
    EXPECT(p->is_ended);
    return p;
}

// Whoever tries tokens, or has a wrong one in a loop, has to wait longer and longer, and costs
// nothing meanwhile; other addresses, and this machine, do not notice. [P-77]
TEST(credential, address_that_guesses_has_to_wait)
{
    static const uint64_t waits_ms[] = { 1000, 2000, 4000, 8000, 16000, 32000, 64000, 64000 };
    world *w = world_new(three_refusals);
    const phi_identity here = w->who;
    const phi_identity there = { .host = { [10] = 0xff, 0xff, 192, 0, 2, 1 } };
    for (size_t n = 0; n < sizeof waits_ms / sizeof waits_ms[0]; n++) {
        w->who = there;
        for (int i = 0; i < 3; i++) {
            peer *p = knock(w);
            peer_expect_bye(p, PHI_BYE_NOT_AUTHORISED);
            world_forget(w, p);
        }
        peer *p = knock(w);
        peer_expect_bye(p, PHI_BYE_LIMIT_REACHED);
        EXPECT(p->end.retry_after_ms >= waits_ms[n]);
        EXPECT(p->end.retry_after_ms <= waits_ms[n] + 2000);
        world_forget(w, p);
        w->who.host[15] = (uint8_t)(100 + n);
        p = knock(w);
        peer_expect_bye(p, PHI_BYE_NOT_AUTHORISED);
        world_forget(w, p);
        w->who = here;
        p = world_join(w, "local");
        peer_leave(p);
        world_settle(w);
        world_forget(w, p);
        world_pass(w, waits_ms[n] - 1);
        w->who = there;
        p = knock(w);
        peer_expect_bye(p, PHI_BYE_LIMIT_REACHED);
        world_forget(w, p);
        world_pass(w, 1);
    }
    EXPECT_EQ(world_count(w).addresses_barred_total, 8);
    EXPECT(world_logged(w, "CE0017"));
    center_check(w->c);

    // Ten quiet minutes, and it begins with one second again.
    world_pass(w, 601000);
    w->who = there;
    for (int i = 0; i < 3; i++) {
        peer *p = knock(w);
        peer_expect_bye(p, PHI_BYE_NOT_AUTHORISED);
        world_forget(w, p);
    }
    peer *p = knock(w);
    EXPECT(p->end.retry_after_ms <= 3000);
    world_free(w);
}

// A few wrong starts in an hour are nobody's attack.
TEST(credential, few_refusals_are_forgotten)
{
    world *w = world_new(three_refusals);
    w->who = (phi_identity){ .host = { [10] = 0xff, 0xff, 192, 0, 2, 1 } };
    for (int n = 0; n < 20; n++) {
        peer *p = knock(w);
        peer_expect_bye(p, PHI_BYE_NOT_AUTHORISED);
        world_forget(w, p);
        world_pass(w, 31000);
    }
    EXPECT_EQ(world_count(w).addresses_barred_total, 0);
    world_free(w);
}
