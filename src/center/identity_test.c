// SPDX-License-Identifier: Apache-2.0
//
// center/identity_test.c - who is let in, as whom, and who is not: P-77.

#include <stdio.h>
#include <string.h>

#include "tests/center/issuer.h"
#include "tests/center/world.h"
#include "tests/harness/test.h"

// Somebody who wants to come in, and what becomes of it.
typedef struct arrival {
    const char *name; // of its certificate; "": none; NULL: it is of this machine
    const char *account;
    const char *service;
    const char *id;   // what it is then; a '*' at its end: what was made up
    const char *text; // or why it is refused
} arrival;

static phi_join join_of(const char *account, const char *service)
{
    return (phi_join){ .version = PHI_PROTOCOL_VERSION,
                       .type = PHI_TYPE_CLIENT,
                       .account = phi_bytes_text(account),
                       .service = phi_bytes_text(service) };
}

static void expect_refused(const peer *p, const char *text)
{
    peer_expect_bye(p, PHI_BYE_NOT_AUTHORISED);
    if (!phi_bytes_equal(p->end.text, phi_bytes_text(text))) {
        fail_msg("refused with '%.*s', not '%s'", (int)p->end.text.size,
                 (const char *)p->end.text.data, text);
    }
}

static void expect_arrival(world *w, const arrival *a)
{
    if (a->name == NULL) {
        world_from_here(w);
    } else {
        world_from_far(w, a->name);
    }
    phi_join join = join_of(a->account, a->service);
    peer *p = world_connect_as(w, &join);
    world_settle(w);
    if (a->text != NULL) {
        expect_refused(p, a->text);
        return;
    }
    EXPECT(p->is_open);
    const char *star = strchr(a->id, '*');
    if (star != NULL) {
        EXPECT_EQ(strncmp(p->id, a->id, (size_t)(star - a->id)), 0);
        EXPECT_EQ(strlen(p->id), (size_t)(star - a->id) + strlen("7f3a@d"));
    } else {
        EXPECT_TEXT(p->id, a->id);
    }
    peer_leave(p);
    world_settle(w);
}

static void expect_arrivals(world *w, const arrival *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        expect_arrival(w, &rows[i]);
    }
}

#define NEEDED "a token or a certificate is needed"
#define NAMELESS "its certificate names no account of this domain (of at most 55 bytes)"

// A center as it begins believes those of its machine whatever they say, and nobody else: who could
// be anybody must not be let in by accident. [P-77]
TEST(identity, without_rules_this_machine_is_believed_and_no_other)
{
    static const arrival rows[] = {
        { NULL, "orders", "", "orders@d", NULL },
        { NULL, "orders", "anything", "orders@d", NULL },
        { NULL, "", "orders", "orders-*", NULL },
        { NULL, "", "", "client-*", NULL },
        { "", "orders", "", NULL, NEEDED },
        { "", "", "", NULL, NEEDED },
        { "orders", "orders", "orders", "orders@d", NULL },
        { "orders", "", "", "orders-*", NULL },
        { "orders", "orders", "stock", NULL,
          "principal 'orders' may not be an instance of service 'stock'" },
    };
    world *w = world_new(NULL);
    expect_arrivals(w, rows, PHI_COUNT_OF(rows));
    EXPECT_EQ(world_count(w).joins_refused_unproved_total, 2);
    EXPECT_EQ(world_count(w).joins_refused_account_total, 1);
    EXPECT_EQ(world_count(w).joins_refused_total, 3);
    world_free(w);
}

// A certificate names its account in a SAN, as a URI of this domain or a DNS name, verbatim; what
// is like one, or names somebody elsewhere, is nobody here. [P-77]
TEST(identity, certificate_names_its_account)
{
    static const arrival rows[] = {
        { "orders", "orders", "", "orders@d", NULL },
        { "orders", "orders-7f3a", "", "orders-7f3a@d", NULL },
        { "orders", "orders-7f3a09bc", "", "orders-7f3a09bc@d", NULL },
        { "orders", "bank", "", NULL, "principal 'orders' may not use account 'bank'" },
        { "orders", "orders2", "", NULL, "principal 'orders' may not use account 'orders2'" },
        { "orders", "orders-7f3", "", NULL, "principal 'orders' may not use account 'orders-7f3'" },
        { "posthouse://d/orders", "orders", "", "orders@d", NULL },
        { "posthouse://d/orders", "", "", "orders-*", NULL },
        { "posthouse://other/orders", "orders", "", NULL, NAMELESS },
        { "posthouse://d/orders/more", "", "", NULL, NAMELESS },
        { "posthouse://d/", "", "", NULL, NAMELESS },
        { "https://d/orders", "", "", NULL, NAMELESS },
        { "*.orders", "", "", NULL, NAMELESS },
        { "Orders", "orders", "", NULL, NAMELESS },
        { "orders-7f3a", "orders-7f3a", "", NULL, NAMELESS }, // two could claim that
    };
    world *w = world_new(NULL);
    expect_arrivals(w, rows, PHI_COUNT_OF(rows));
    EXPECT_EQ(world_count(w).joins_refused_certificate_total, 7);
    world_free(w);
}

// Of several names the one counts whose account is wanted: one program may have two accounts with
// one certificate. [P-77]
TEST(identity, certificate_with_several_names_is_the_one_it_asks_for)
{
    static const struct {
        const char *account;
        const char *id;
    } rows[] = { { "orders", "orders@d" }, { "bank", "bank@d" }, { "bank-0001", "bank-0001@d" } };
    world *w = world_new(NULL);
    for (size_t i = 0; i < PHI_COUNT_OF(rows); i++) {
        world_from_far(w, "*.nobody");
        w->who.name_count = 3;
        snprintf(w->who.names[1].text, sizeof w->who.names[1].text, "orders");
        w->who.names[1].size = 6;
        snprintf(w->who.names[2].text, sizeof w->who.names[2].text, "bank");
        w->who.names[2].size = 4;
        EXPECT_TEXT(world_join(w, rows[i].account)->id, rows[i].id);
    }
    peer *p = world_join(w, "");
    EXPECT_EQ(strncmp(p->id, "orders-", 7), 0); // the first
    peer *stock = world_connect(w, "stock");
    world_settle(w);
    expect_refused(stock, "principal 'orders' may not use account 'stock'");
    world_free(w);
}

// What else somebody may be called is in the rules, under `register`. [P-77]
TEST(identity, rules_lend_accounts_and_services)
{
    static const arrival rows[] = {
        { "orders", "bank", "", "bank@d", NULL },
        { "orders", "stock", "", NULL, "principal 'orders' may not use account 'stock'" },
        { "orders", "orders", "till", "orders@d", NULL },
        { "orders", "orders", "bank", NULL,
          "principal 'orders' may not be an instance of service 'bank'" },
        { "shop", "anything", "anything", "anything@d", NULL },
        { "shop", "kept", "", NULL, "principal 'shop' may not use account 'kept'" },
        // Rules are for those of this machine, too; but their names they may choose.
        { NULL, "orders", "orders", "orders@d", NULL },
        { NULL, "", "orders", "orders-*", NULL },
        { NULL, "orders", "bank", NULL,
          "principal 'orders' may not be an instance of service 'bank'" },
        { NULL, "bank", "till", NULL, "principal 'bank' may not be an instance of service 'till'" },
    };
    world *w = world_new(NULL);
    WORLD_SECURE(w, "orders may register bank", "orders may register service:till",
                 "shop may register *", "shop may register service:*",
                 "shop may_not register kept");
    expect_arrivals(w, rows, PHI_COUNT_OF(rows));
    world_free(w);
}

// Whoever wants proof from its own machine, too, must get it; and who lets in anybody says so in a
// setting whose name is a warning. [P-77]
TEST(identity, settings_say_who_need_not_prove_anything)
{
    static const arrival strict[] = {
        { NULL, "orders", "", NULL, NEEDED },
        { "orders", "orders", "", "orders@d", NULL },
    };
    static const arrival loose[] = {
        { "", "orders", "", "orders@d", NULL },
        { "", "", "", "client-*", NULL },
        { "", "orders", "bank", NULL,
          "principal 'orders' may not be an instance of service 'bank'" },
    };
    world *w = world_new(NULL);
    w->security.anonymous_local = false;
    WORLD_SECURE(w, NULL);
    expect_arrivals(w, strict, PHI_COUNT_OF(strict));
    w->security.insecure_allow_anonymous = true;
    WORLD_SECURE(w, NULL);
    expect_arrivals(w, loose, PHI_COUNT_OF(loose));
    expect_arrivals(w, strict, PHI_COUNT_OF(strict));
    world_free(w);
}

// The user at the other end of a Unix socket is whom the configuration says; others prove nothing
// by being one. [P-77]
TEST(identity, user_of_a_unix_socket_is_its_principal)
{
    static const center_user users[] = { { .uid = 1000,
                                           .principal = { (const uint8_t *)"orders", 6 } } };
    world *w = world_new(NULL);
    w->security.users = users;
    w->security.user_count = 1;
    w->security.anonymous_local = false;
    WORLD_SECURE(w, NULL);
    w->who.has_user = true;
    w->who.uid = 1000;
    EXPECT_TEXT(world_join(w, "orders")->id, "orders@d");
    peer *bank = world_connect(w, "bank");
    world_settle(w);
    expect_refused(bank, "principal 'orders' may not use account 'bank'");
    w->who.uid = 1001;
    peer *other = world_connect(w, "other");
    world_settle(w);
    expect_refused(other, NEEDED);
    world_free(w);
}

// ---- tokens

static peer *join_with(world *w, const char *account, phi_bytes token)
{
    phi_join join = join_of(account, "");
    join.token = token;
    peer *p = world_connect_as(w, &join);
    world_settle(w);
    return p;
}

static uint64_t now_s(const world *w)
{
    return w->io.now.ns / 1000000000;
}

// A token is who it says; one that is wrong is refused, whatever else would be good: or a stolen
// one that was withdrawn would still be tried by its thief at no risk. [P-77]
TEST(identity, token_comes_before_all_else)
{
    issuer i;
    issuer_init(&i);
    world *w = world_new(NULL);
    world_pass(w, 10000); // so that something can have ended before
    phi_bytes token = issuer_token(&i, "orders", now_s(w) + 60);
    expect_refused(join_with(w, "orders", token), "this center believes no tokens");
    w->security.keys = i.keys;
    WORLD_SECURE(w, NULL);
    EXPECT_TEXT(join_with(w, "orders", token)->id, "orders@d");
    expect_refused(join_with(w, "bank", token), "principal 'orders' may not use account 'bank'");
    world_from_far(w, "bank");
    EXPECT_EQ(strncmp(join_with(w, "", token)->id, "orders-", 7), 0);
    uint8_t spoilt[512];
    memcpy(spoilt, token.data, token.size);
    spoilt[token.size - 3] = spoilt[token.size - 3] == 'A' ? 'B' : 'A'; // still base64url
    peer *p = join_with(w, "bank", phi_bytes_of(spoilt, token.size));
    expect_refused(p, phi_jwt_fault_text(PHI_JWT_SIGNATURE));
    world_from_here(w);
    p = join_with(w, "me", issuer_token(&i, "me", now_s(w) - 1));
    expect_refused(p, phi_jwt_fault_text(PHI_JWT_EXPIRED));
    EXPECT_EQ(world_count(w).joins_refused_token_total, 3);
    world_free(w);
    issuer_fini(&i);
}

static void count_unknown(void *arg)
{
    (*(int *)arg)++;
}

static int unknown;

static void tell_unknown(center_options *options)
{
    options->on_unknown_key = count_unknown;
    options->on_unknown_key_arg = &unknown;
}

// An issuer that changes its keys would be refused until they are fetched again some minutes later,
// if nobody were told; and told of every bad token, whoever fetches would be at any peer's command.
TEST(identity, a_key_that_is_not_known_is_told)
{
    static const char two[] = "{\"keys\":[{\"kty\":\"oct\",\"alg\":\"HS256\",\"kid\":\"a\","
                              "\"k\":\"b7e151628aed2a6abf7158809cf4f3c762e7160f38c\"},"
                              "{\"kty\":\"oct\",\"alg\":\"HS256\",\"kid\":\"b\","
                              "\"k\":\"c8f262739bfe3b7bcf8269910df5f4d873f8271f49c\"}]}";
    issuer i;
    issuer_init(&i);
    phi_jwks *keys = NULL;
    phi_diag diag = { "" };
    EXPECT_ERR(phi_jwks_parse(&keys, &phi_alloc_heap, phi_bytes_text(two), NULL, &diag), PH_OK);
    unknown = 0;
    world *w = world_new(tell_unknown);
    w->security.keys = i.keys;
    WORLD_SECURE(w, NULL);
    phi_bytes token = issuer_token(&i, "orders", now_s(w) + 60);
    EXPECT_TEXT(join_with(w, "orders", token)->id, "orders@d");
    expect_refused(join_with(w, "bank", phi_bytes_of(token.data, token.size - 2)),
                   phi_jwt_fault_text(PHI_JWT_MALFORMED));
    EXPECT_EQ(unknown, 0);
    w->security.keys = keys; // it names none of them
    WORLD_SECURE(w, NULL);
    world_settle(w);
    expect_refused(join_with(w, "orders", token), phi_jwt_fault_text(PHI_JWT_KEY_UNKNOWN));
    EXPECT_EQ(unknown, 1);
    world_free(w);
    phi_jwks_free(&keys);
    issuer_fini(&i);
}

// Who has stolen an issuer's key would stay as long as he has made his tokens last; and everybody
// would be put out when the keys are read anew. [P-77] [P-79]
TEST(identity, token_ends_with_its_key)
{
    static const char other[] = "M4vQ9rXc2sLw6TzPnB8yHdYk7jUaE1gK";
    issuer i;
    issuer_init(&i);
    phi_jwks *others = NULL;
    phi_jwks *again = NULL;
    EXPECT_ERR(phi_jwks_of_secret(&others, &phi_alloc_heap, phi_bytes_text(other), NULL), PH_OK);
    EXPECT_ERR(phi_jwks_of_secret(&again, &phi_alloc_heap, phi_bytes_text(ISSUER_SECRET), NULL),
               PH_OK);
    world *w = world_new(NULL);
    w->security.keys = i.keys;
    WORLD_SECURE(w, NULL);
    peer *p = join_with(w, "orders", issuer_token(&i, "orders", now_s(w) + 60));
    peer *unproved = world_join(w, "bank");
    w->security.keys = again;
    WORLD_SECURE(w, NULL);
    world_settle(w);
    EXPECT(p->is_open);
    w->security.keys = others;
    WORLD_SECURE(w, NULL);
    world_settle(w);
    expect_refused(p, "the key of its token is not believed any more");
    EXPECT(unproved->is_open);
    world_free(w);
    phi_jwks_free(&again);
    phi_jwks_free(&others);
    issuer_fini(&i);
}

// Who sets an audience wants nobody there any more who came with a token for something else. What a
// token said is not kept, so all have to show theirs again: at once, and to no harm. [P-77]
TEST(identity, token_is_shown_again_when_it_must_say_something_else)
{
    issuer i;
    issuer_init(&i);
    world *w = world_new(NULL);
    w->security.keys = i.keys;
    WORLD_SECURE(w, NULL);
    phi_bytes token = issuer_token(&i, "orders", now_s(w) + 60);
    peer *p = join_with(w, "orders", token);
    peer *unproved = world_join(w, "bank");
    WORLD_SECURE(w, NULL);
    world_settle(w);
    EXPECT(p->is_open);
    w->security.expect.audience = phi_bytes_text("shop");
    WORLD_SECURE(w, NULL);
    world_settle(w);
    peer_expect_bye(p, PHI_BYE_CREDENTIAL_EXPIRED);
    EXPECT(unproved->is_open);
    expect_refused(join_with(w, "orders", token), phi_jwt_fault_text(PHI_JWT_AUDIENCE));
    world_free(w);
    issuer_fini(&i);
}

// A client must know when what it proved ends, or it could not renew it in time; behind a
// certificate that ends before the token, it is that. [P-36] [P-76]
TEST(identity, welcome_says_when_the_proof_ends)
{
    issuer i;
    issuer_init(&i);
    world *w = world_new(NULL);
    w->security.keys = i.keys;
    WORLD_SECURE(w, NULL);
    EXPECT_EQ(world_join(w, "nobody")->expires_ms, 0);
    EXPECT_EQ(join_with(w, "orders", issuer_token(&i, "orders", now_s(w) + 60))->expires_ms, 60000);
    world_from_far(w, "bank");
    w->who.expires_s = now_s(w) + 7;
    EXPECT_EQ(world_join(w, "bank")->expires_ms, 7000);
    EXPECT_EQ(join_with(w, "stock", issuer_token(&i, "stock", now_s(w) + 60))->expires_ms, 7000);
    world_free(w);
    issuer_fini(&i);
}

// ---- where centers are let in

// Other centers join where they are listened for, and nowhere else, and nobody else there; as whom,
// a rule says. [P-77]
TEST(identity, centers_have_a_door_of_their_own)
{
    world *w = world_new(NULL);
    WORLD_SECURE(w, "north-center may center north", "* may register *");
    phi_join join = join_of("north", "");
    join.type = PHI_TYPE_CENTER;
    world_from_far(w, "north-center");
    peer *p = world_connect_as(w, &join);
    world_settle(w);
    peer_expect_bye(p, PHI_BYE_TYPE_REFUSED);
    world_listen_as(w, CENTER_LISTENER_CENTERS);
    p = world_connect_as(w, &join);
    world_settle(w);
    EXPECT_TEXT(p->id, "north@d");
    static const struct {
        const char *name;
        const char *account;
        const char *text;
    } rows[] = {
        { "north-center", "south", "principal 'north-center' may not be the center of 'south'" },
        { "south-center", "south", "principal 'south-center' may not be the center of 'south'" },
        { "north-center", "", "principal 'north-center' may not be the center of ''" },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(rows); i++) {
        world_from_far(w, rows[i].name);
        join.account = phi_bytes_text(rows[i].account);
        p = world_connect_as(w, &join);
        world_settle(w);
        expect_refused(p, rows[i].text);
    }
    world_from_far(w, "orders");
    p = world_connect(w, "orders");
    world_settle(w);
    peer_expect_bye(p, PHI_BYE_TYPE_REFUSED);
    world_free(w);
}
