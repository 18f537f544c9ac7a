// SPDX-License-Identifier: Apache-2.0
//
// client/tls_test.c - what a client asks of the io for a center behind "tls:", and what it tells
// its application. TLS itself is tested in src/io and tests/api.

#include <posthouse/client.h>

#include <stdio.h>

#include "client/core.h"
#include "io/tls.h"
#include "tests/client/stage.h"
#include "tests/harness/test.h"

static void client_of(stage *s, const ph_client_options *options)
{
    EXPECT_ERR(stage_client(s, options), PH_OK);
    EXPECT_ERR(ph_client_open(s->client), PH_OK);
    stage_settle(s);
}

static ph_client_options secure_options(stage *s)
{
    ph_client_options o = stage_options(s);
    o.centers = "tls:center.example";
    o.tls_authorities_file = "/ca.pem";
    o.tls_certificate_file = "/me.pem";
    o.tls_key_file = "/me.key";
    return o;
}

// What was asked to be TLS is dialled with credentials, and with the name that is to be proved.
TEST(tls, center_behind_tls_is_dialled_with_credentials)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    ph_client_options o = secure_options(&s);
    o.tls_allow_1_2 = true;
    client_of(&s, &o);
    EXPECT_TEXT(stage_heard(&s), "up me@home\n");
    EXPECT_TEXT(s.dialled, "tls:center.example:7679");
    EXPECT(s.dialled_tls != NULL);
    EXPECT_TEXT(s.dialled_name, ""); // that of the address
    EXPECT_TEXT(s.files.authorities, "/ca.pem");
    EXPECT_TEXT(s.files.certificate, "/me.pem");
    EXPECT_TEXT(s.files.key, "/me.key");
    EXPECT(s.files.allows_tls12);
    stage_fini(&s);
    EXPECT_EQ(s.drops, 1);

    stage_init(&s, PHI_SUITE_PLAIN);
    o = stage_options(&s);
    o.centers = "tls:10.0.0.7";
    o.tls_name = "center.example";
    client_of(&s, &o);
    EXPECT_TEXT(s.dialled, "tls:10.0.0.7:7679");
    EXPECT_TEXT(s.dialled_name, "center.example");
    EXPECT(s.files.authorities == NULL); // the system's
    EXPECT(s.files.certificate == NULL);
    EXPECT(!s.files.allows_tls12);
    stage_fini(&s);
}

// A program may be told a center of each kind; the credentials are for those of TLS only.
TEST(tls, centers_may_be_mixed)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    ph_client_options o = secure_options(&s);
    o.centers = "unix:/a,tls:b";
    s.is_deaf = true;
    client_of(&s, &o);
    unsigned secure = 0;
    unsigned plain = 0;
    for (unsigned dials = 0; dials < 8;) {
        EXPECT((s.dialled_tls != NULL) == (strcmp(s.dialled, "tls:b:7679") == 0));
        secure += s.dialled_tls != NULL;
        plain += s.dialled_tls == NULL;
        unsigned before = s.dials;
        while (s.dials == before) {
            stage_pass(&s, phi_ms(1));
        }
        dials++;
    }
    EXPECT_EQ(secure, 4);
    EXPECT_EQ(plain, 4);
    stage_fini(&s);
}

// Who replaced a certificate must not have to restart what uses it: files are looked at before each
// dial.
TEST(tls, files_are_looked_at_before_each_dial)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    ph_client_options o = secure_options(&s);
    client_of(&s, &o);
    EXPECT_EQ(s.loads, 1);
    const phi_tls *first = s.dialled_tls;
    stage_cut(&s);
    stage_pass(&s, phi_seconds(1));
    EXPECT_TEXT(stage_heard(&s), "up me@home\ndown PH_ERESET\nup me@home\n");
    EXPECT_EQ(s.loads, 2);
    EXPECT(s.dialled_tls != first);
    stage_fini(&s);
}

// Files that cannot be used, perhaps because they are just being replaced: it is said why, nothing
// is dialled, least of all without TLS, and they are looked at again.
TEST(tls, files_that_cannot_be_used_are_told_and_looked_at_again)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    s.files_fail = "everybody may read /me.key: chmod 640 /me.key";
    ph_client_options o = secure_options(&s);
    client_of(&s, &o);
    EXPECT_TEXT(stage_heard(&s), "down PH_ETLS\n");
    const char *expected = "cannot connect to tls:center.example:7679: everybody may read /me.key: "
                           "chmod 640 /me.key; next try in 0.";
    EXPECT(strncmp(ph_client_trouble(s.client), expected, strlen(expected)) == 0);
    stage_pass(&s, phi_seconds(5));
    EXPECT_EQ(s.dials, 0);
    stage_heard(&s);
    s.files_fail = NULL;
    stage_pass(&s, phi_seconds(11));
    EXPECT_TEXT(stage_heard(&s), "up me@home\n");
    EXPECT(s.dialled_tls != NULL);
    stage_fini(&s);
}

// A center that is not believed is dialled again, since certificates are replaced; but never
// without TLS, however long that takes.
TEST(tls, no_trust_is_told_and_tried_again_with_tls)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    s.closes_with = PH_ETLS;
    s.closes_why = "its certificate has expired";
    ph_client_options o = secure_options(&s);
    client_of(&s, &o);
    EXPECT_TEXT(stage_heard(&s), "down PH_ETLS\n");
    EXPECT(strstr(ph_client_trouble(s.client), "cannot connect to tls:center.example:7679: its "
                                               "certificate has expired; next try in ") != NULL);
    EXPECT(ph_client_state(s.client) == PH_LINK_DOWN);
    for (unsigned i = 0; i < 600; i++) {
        stage_pass(&s, phi_ms(100));
        EXPECT(s.dialled_tls != NULL);
        EXPECT(strncmp(s.dialled, "tls:", 4) == 0);
    }
    EXPECT(s.dials > 5);
    EXPECT(s.dials < 40);
    stage_heard(&s);
    s.closes_with = PH_OK;
    stage_pass(&s, phi_seconds(11));
    EXPECT_TEXT(stage_heard(&s), "up me@home\n");
    stage_fini(&s);
}

// A program that wants no plain bytes must be able to use TLS, inside of which the suite is plain;
// and of its other centers the floor still holds. [P-22]
TEST(tls, floor_of_suites_is_for_centers_without_tls)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    ph_client_options o = secure_options(&s);
    o.suite_floor = PH_SUITE_PAPER;
    client_of(&s, &o);
    EXPECT_TEXT(stage_heard(&s), "up me@home\n");
    stage_fini(&s);

    stage_init(&s, PHI_SUITE_PLAIN);
    o.centers = "tls:a,unix:/b";
    s.is_deaf = true;
    client_of(&s, &o);
    s.is_deaf = false;
    stage_pass(&s, phi_seconds(1));
    EXPECT_TEXT(s.dialled, "unix:/b");
    EXPECT_TEXT(stage_heard(&s), "down PH_ECONNECT\nclosed PH_ESUITE\n");
    stage_fini(&s);
}

static void expect_trouble(const stage *s, const char *begins)
{
    const char *trouble = ph_client_trouble(s->client);
    if (strncmp(trouble, begins, strlen(begins)) != 0) {
        fail_msg("'%s' begins otherwise than '%s'", trouble, begins);
    }
}

// Where the center says that TLS is spoken, the user is told what to write; but the client does not
// do it by itself, and goes on with the next center: anybody on the path could have said so. [P-81]
TEST(tls, center_that_speaks_tls_says_so)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    s.says_nothing = true;
    ph_client_options o = stage_options(&s);
    o.centers = "10.0.0.7:7679,10.0.0.8:7678";
    o.suite_floor = PH_SUITE_CHECK; // of a HELLO, which this is not
    client_of(&s, &o);
    stage_pass(&s, phi_ms(2000));
    EXPECT_TEXT(stage_heard(&s), "");
    stage_say_tls_required(&s);
    stage_turn(&s);
    EXPECT_TEXT(stage_heard(&s), "down PH_EREFUSED tls_required\n");
    expect_trouble(&s, "cannot connect to 10.0.0.7:7679: TLS is spoken at this address; write "
                       "tls:10.0.0.7:7679; next try in ");
    stage_pass(&s, phi_seconds(1));
    EXPECT_TEXT(s.dialled, "10.0.0.8:7678");
    EXPECT(s.dialled_tls == NULL);
    stage_fini(&s);
}

// Who writes tls: and the address of a plain listener must not be told to leave the tls: away: who
// is on the path could make it seem so.
TEST(tls, center_that_does_not_speak_it_is_named)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    s.closes_with = PH_ETLS;
    s.closes_why = "it " PHI_TLS_NOT_SPOKEN;
    ph_client_options o = secure_options(&s);
    o.centers = "tls:10.0.0.7:7678";
    client_of(&s, &o);
    stage_pass(&s, phi_ms(1));
    expect_trouble(&s, "cannot connect to tls:10.0.0.7:7678: it does not speak TLS; where a center "
                       "does, it is at another address; next try in ");
    stage_fini(&s);
}

// A listener of TLS waits for who dials it, and who dials it plain waits for HELLO: nobody would
// ever know why. So it is said.
TEST(tls, listener_that_says_nothing_may_speak_tls)
{
    static const struct {
        const char *centers;
        bool is_silent;
        const char *advice; // NULL: none
    } rows[] = {
        { "10.0.0.7:7679", true,
          "; nothing was said: if TLS is spoken there, write "
          "tls:10.0.0.7:7679; next try in " },
        { "unix:/run/center", true, NULL },
        { "tls:10.0.0.7:7679", true, NULL },
        { "10.0.0.7:7679", false, NULL }, // it never came to a connection
    };
    for (size_t i = 0; i < PHI_COUNT_OF(rows); i++) {
        stage s;
        stage_init(&s, PHI_SUITE_PLAIN);
        s.says_nothing = rows[i].is_silent;
        s.is_deaf = !rows[i].is_silent;
        ph_client_options o = stage_options(&s);
        o.centers = rows[i].centers;
        client_of(&s, &o);
        stage_pass(&s, phi_ms(5001));
        const char *heard = stage_heard(&s);
        EXPECT(strncmp(heard, rows[i].is_silent ? "down PH_ETIMEDOUT\n" : "down PH_ECONNECT\n",
                       17) == 0);
        const char *trouble = ph_client_trouble(s.client);
        if (rows[i].advice == NULL) {
            EXPECT(strstr(trouble, "TLS") == NULL);
        } else if (strstr(trouble, rows[i].advice) == NULL) {
            fail_msg("%s", trouble);
        }
        stage_fini(&s);
    }
}
