// SPDX-License-Identifier: Apache-2.0
//
// tests/api/secure_test.c - the public functions over real TLS: certificates, tokens, rules, and
// what is said when one end does not believe the other.

#include <posthouse/posthouse.h>

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/api/fort.h"
#include "tests/harness/test.h"

static void says(const fort_client *c, ph_err err, const char *const *words)
{
    EXPECT_ERR(c->err, err);
    for (; *words != NULL; words++) {
        if (strstr(c->text, *words) == NULL) {
            fail_msg("no '%s' in: %s", *words, c->text);
        }
    }
}

#define SAYS(c, err, ...) says((c), (err), (const char *const[]){ __VA_ARGS__, NULL })

// As alice, whose certificate it shows.
static void as_alice(fort_client *c, fort *f)
{
    fort_client_init(c, f, "alice");
    c->options.tls_certificate_file = fort_path(f, "alice.pem");
    c->options.tls_key_file = fort_path(f, "alice.key");
}

// A client is who its certificate says it is, and that is what others are told of it. [P-77]
TEST(secure, certificate_says_who_it_is)
{
    fort f;
    fort_init(&f);
    fort_open(&f);
    fort_client alice;
    as_alice(&alice, &f);
    alice.options.suite_floor = PH_SUITE_PAPER; // is for centers without TLS
    fort_client_new(&alice);
    fort_wait(&f, &alice.ups, 1);
    EXPECT_TEXT(ph_client_id(alice.client), "alice@home");
    fort_client other; // made up from the name in the certificate
    as_alice(&other, &f);
    other.options.account = NULL;
    fort_client_new(&other);
    fort_wait(&f, &other.ups, 1);
    EXPECT(strncmp(ph_client_id(other.client), "alice-", 6) == 0);
    fort_call(&other, "alice", "who");
    EXPECT_ERR(other.status, PH_OK);
    EXPECT_TEXT(other.reply, ph_client_id(other.client));
    fort_client_free(&alice);
    fort_client_free(&other);
    fort_fini(&f);
}

// So it is by a token, and by nothing at all nobody: in words, and for good.
TEST(secure, token_says_who_it_is_and_nothing_says_nothing)
{
    fort f;
    fort_init(&f);
    fort_open(&f);
    fort_client bob;
    fort_client_init(&bob, &f, "bob");
    bob.options.token = fort_token(&f, "bob", 600);
    fort_client_new(&bob);
    fort_wait(&f, &bob.ups, 1);
    EXPECT_TEXT(ph_client_id(bob.client), "bob@home");
    fort_client_free(&bob);

    fort_client_init(&bob, &f, "bob");
    bob.options.token = fort_token(&f, "mallory", 600);
    fort_client_new(&bob);
    fort_wait(&f, &bob.closes, 1);
    SAYS(&bob, PH_EREFUSED, "mallory", "bob");
    EXPECT_TEXT(bob.bye, "not_authorised");
    fort_client_free(&bob);
    fort_fini(&f);
}

// A token that has ended is replaced, and the client is in at the second attempt.
TEST(secure, token_that_ended_is_asked_for_again)
{
    fort f;
    fort_init(&f);
    fort_open(&f);
    fort_client bob;
    fort_client_init(&bob, &f, "bob");
    char first[1024];
    snprintf(first, sizeof first, "%s", fort_token(&f, "bob", -600));
    bob.options.token = first;
    bob.gives = fort_token(&f, "bob", 600);
    fort_client_new(&bob);
    fort_wait(&f, &bob.ups, 1);
    EXPECT_EQ(bob.asked, 1);
    EXPECT_EQ(bob.downs, 1);
    fort_client_free(&bob);
    fort_fini(&f);
}

// One that is set while it is up is told to the center, which goes on with it; and one that proves
// somebody else ends the connection. [P-76]
TEST(secure, token_is_renewed_while_it_is_up)
{
    fort f;
    fort_init(&f);
    fort_open(&f);
    fort_client bob;
    fort_client_init(&bob, &f, "bob");
    bob.options.token = fort_token(&f, "bob", 600);
    fort_client_new(&bob);
    fort_wait(&f, &bob.ups, 1);
    EXPECT_ERR(ph_client_set_token(bob.client, fort_token(&f, "bob", 900)), PH_OK);
    fort_call(&bob, "bob", "who"); // goes behind it
    EXPECT_ERR(bob.status, PH_OK);
    EXPECT_EQ(bob.downs, 0);
    EXPECT_ERR(ph_client_set_token(bob.client, fort_token(&f, "mallory", 900)), PH_OK);
    fort_wait(&f, &bob.closes, 1);
    SAYS(&bob, PH_EREFUSED, "mallory", "bob");
    EXPECT_EQ(bob.ups, 1);
    fort_client_free(&bob);
    fort_fini(&f);
}

// What rules forbid reaches the program with its code and a text; the rest goes on.
TEST(secure, what_rules_forbid_is_told)
{
    fort f;
    fort_init(&f);
    fort_open(&f);
    fort_client alice;
    as_alice(&alice, &f);
    fort_client_new(&alice);
    fort_wait(&f, &alice.ups, 1);
    fort_call(&alice, "alice", "secret");
    EXPECT_ERR(alice.status, PH_EFAILURE);
    EXPECT_EQ(alice.code, PH_FAILURE_REFUSED_BY_POLICY);
    EXPECT(alice.reply[0] != '\0');
    fort_call(&alice, "alice", "who");
    EXPECT_TEXT(alice.reply, "alice@home");
    fort_client_free(&alice);
    fort_fini(&f);
}

typedef struct subscribed {
    unsigned count;
    ph_err status;
    uint16_t code;
} subscribed;

static void on_subscribed(ph_client *client, ph_subscription_id id, ph_err status, uint16_t code,
                          void *arg)
{
    (void)client;
    (void)id;
    subscribed *s = arg;
    *s = (subscribed){ s->count + 1, status, code };
}

// The same for a subscription. [P-73]
TEST(secure, subscription_that_rules_forbid_is_told)
{
    fort f;
    fort_init(&f);
    fort_open(&f);
    fort_client alice;
    as_alice(&alice, &f);
    fort_client_new(&alice);
    fort_wait(&f, &alice.ups, 1);
    subscribed no = { 0 };
    subscribed yes = { 0 };
    EXPECT_ERR(ph_client_subscribe(alice.client, "secret.x", NULL, NULL, on_subscribed, &no),
               PH_OK);
    EXPECT_ERR(ph_client_subscribe(alice.client, "open.>", NULL, NULL, on_subscribed, &yes), PH_OK);
    fort_wait(&f, &no.count, 1);
    fort_wait(&f, &yes.count, 1);
    EXPECT_ERR(no.status, PH_EFAILURE);
    EXPECT_EQ(no.code, PH_FAILURE_REFUSED_BY_POLICY);
    EXPECT_ERR(yes.status, PH_OK);
    fort_client_free(&alice);
    fort_fini(&f);
}

// ---- who is not believed

// A center that another CA has signed is not talked to, and it is said which file decided so.
TEST(secure, center_of_another_authority_is_not_believed)
{
    fort f;
    fort_init(&f);
    fort_open(&f);
    fort_client alice;
    as_alice(&alice, &f);
    const char *strange = alice.options.tls_authorities_file = fort_path(&f, "strange.pem");
    fort_client_new(&alice);
    fort_wait(&f, &alice.downs, 1);
    SAYS(&alice, PH_ETLS, "cannot connect to tls:127.0.0.1:", "an authority that is not known here",
         "; known are those of ", strange, "; next try in ");
    EXPECT_EQ(alice.ups, 0);
    fort_client_free(&alice);
    // Nor by those of the system.
    as_alice(&alice, &f);
    alice.options.tls_authorities_file = NULL;
    fort_client_new(&alice);
    fort_wait(&f, &alice.downs, 1);
    SAYS(&alice, PH_ETLS, "; known are those of the system; next try in ");
    EXPECT_EQ(alice.ups, 0);
    fort_client_free(&alice);
    fort_fini(&f);
}

// A center with another name is not the one that was dialled: both names are said.
TEST(secure, center_of_another_name_is_not_believed)
{
    fort f;
    fort_init(&f);
    fort_open(&f);
    fort_client alice;
    as_alice(&alice, &f);
    alice.options.tls_name = "center.example";
    fort_client_new(&alice);
    fort_wait(&f, &alice.downs, 2); // and again
    SAYS(&alice, PH_ETLS, "its certificate is for '127.0.0.1', and not for 'center.example'");
    EXPECT_EQ(alice.ups, 0);
    fort_client_free(&alice);
    fort_close(&f);

    fort_certificate(&f, &(fort_order){ .name = "center", .host = "center.example" });
    fort_open(&f);
    as_alice(&alice, &f);
    fort_client_new(&alice);
    fort_wait(&f, &alice.downs, 1);
    SAYS(&alice, PH_ETLS,
         "its certificate is for 'center.example', and not for the address 127.0.0.1");
    fort_client_free(&alice);
    as_alice(&alice, &f);
    alice.options.tls_name = "center.example";
    fort_client_new(&alice);
    fort_wait(&f, &alice.ups, 1);
    fort_client_free(&alice);
    fort_fini(&f);
}

// A client whom the center does not believe hears why, and from whom.
TEST(secure, client_that_the_center_does_not_believe_hears_so)
{
    fort f;
    fort_init(&f);
    fort_open(&f);
    fort_certificate(&f,
                     &(fort_order){ .name = "other", .account = "alice", .issuer = &f.stranger });
    fort_certificate(
        &f, &(fort_order){ .name = "past", .account = "alice", .from_days = 40, .days = 30 });
    fort_client alice;
    as_alice(&alice, &f);
    alice.options.tls_certificate_file = fort_path(&f, "other.pem");
    alice.options.tls_key_file = fort_path(&f, "other.key");
    fort_client_new(&alice);
    fort_wait(&f, &alice.downs, 1);
    SAYS(&alice, PH_ETLS, "refused our certificate");
    EXPECT_EQ(alice.ups, 0);
    fort_client_free(&alice);
    // One's own that has ended is not even shown.
    as_alice(&alice, &f);
    alice.options.tls_certificate_file = fort_path(&f, "past.pem");
    alice.options.tls_key_file = fort_path(&f, "past.key");
    fort_client_new(&alice);
    fort_wait(&f, &alice.downs, 1);
    SAYS(&alice, PH_ETLS, "expired");
    EXPECT_EQ(alice.ups, 0);
    fort_client_free(&alice);
    fort_fini(&f);
}

// ---- what was mixed up

// Neither end understands the other, and people do not know why unless they are told. And what was
// to be TLS is never tried without.
TEST(secure, tls_to_a_plain_listener_is_told)
{
    fort f;
    fort_init(&f);
    fort_open(&f);
    fort_client alice;
    as_alice(&alice, &f);
    char mixed[PHI_ADDRESS_TEXT_MAX + 4];
    snprintf(mixed, sizeof mixed, "tls:%s", f.plain);
    alice.options.centers = mixed;
    fort_client_new(&alice);
    fort_wait(&f, &alice.downs, 3);
    SAYS(&alice, alice.err, "it does not speak TLS");
    EXPECT_EQ(alice.ups, 0);
    EXPECT_EQ(center_count(f.center).joins_total, 0);
    fort_client_free(&alice);
    fort_fini(&f);
}

// The other way round both ends wait, each for the other to begin: what to write is said.
TEST(secure, plain_to_a_listener_of_tls_is_told)
{
    fort f;
    fort_init(&f);
    f.options.join_timeout = 100;
    fort_open(&f);
    fort_client alice;
    as_alice(&alice, &f);
    alice.options.centers = f.secure + 4;
    alice.options.connect_timeout_ms = 50;
    fort_client_new(&alice);
    fort_wait(&f, &alice.downs, 1);
    SAYS(&alice, PH_ETIMEDOUT, "if TLS is spoken there, write tls:127.0.0.1:");
    fort_client_free(&alice);
    fort_fini(&f);
}

// ---- rotation

// A certificate that was replaced is what counts at the next dial; nothing has to be restarted.
TEST(secure, files_that_were_replaced_count_at_the_next_dial)
{
    fort f;
    fort_init(&f);
    fort_open(&f);
    fort_client c;
    as_alice(&c, &f);
    c.options.account = NULL;
    fort_client_new(&c);
    fort_wait(&f, &c.ups, 1);
    EXPECT(strncmp(ph_client_id(c.client), "alice-", 6) == 0);
    // The certificate came, its key is still to come: that is said, and tried again.
    fort_certificate(&f, &(fort_order){ .name = "bob", .account = "bob" });
    EXPECT_EQ(rename(fort_path(&f, "bob.pem"), fort_path(&f, "alice.pem")), 0);
    fort_close(&f);
    fort_open(&f);
    fort_wait(&f, &c.downs, 2);
    SAYS(&c, PH_ETLS, "alice.key: it does not belong to the certificate");
    EXPECT_EQ(c.ups, 1);
    EXPECT_EQ(rename(fort_path(&f, "bob.key"), fort_path(&f, "alice.key")), 0);
    fort_wait(&f, &c.ups, 2);
    EXPECT(strncmp(ph_client_id(c.client), "bob-", 4) == 0);
    fort_client_free(&c);
    fort_fini(&f);
}

// A key that others can read is no longer one's own; how that is mended is said.
TEST(secure, key_that_others_can_read_is_refused)
{
    fort f;
    fort_init(&f);
    fort_open(&f);
    fort_client alice;
    as_alice(&alice, &f);
    EXPECT_EQ(chmod(fort_path(&f, "alice.key"), 0644), 0);
    fort_client_new(&alice);
    fort_wait(&f, &alice.downs, 1);
    SAYS(&alice, PH_ETLS, "everybody may read", "chmod 640 ", "alice.key");
    EXPECT_EQ(alice.ups, 0);
    EXPECT_EQ(chmod(fort_path(&f, "alice.key"), 0600), 0);
    fort_wait(&f, &alice.ups, 1);
    fort_client_free(&alice);
    fort_fini(&f);
}

// Centers of both kinds in one list: each is dialled as it is written.
TEST(secure, centers_of_both_kinds_are_dialled_as_written)
{
    fort f;
    fort_init(&f);
    fort_open(&f);
    fort_client alice;
    as_alice(&alice, &f);
    char both[300];
    snprintf(both, sizeof both, "unix:%s/nobody,%s", f.folder, f.secure);
    alice.options.centers = both;
    fort_client_new(&alice);
    fort_wait(&f, &alice.ups, 1);
    EXPECT_EQ(alice.downs, 1);
    fort_client_free(&alice);
    fort_fini(&f);
}
