// SPDX-License-Identifier: Apache-2.0

#include <posthouse/client.h>

#include <stdio.h>

#include "client/core.h"
#include "tests/client/stage.h"
#include "tests/harness/test.h"

// A state nobody can leave, or reach, is a client that hangs.
TEST(dial, state_table_is_sound)
{
    const char *fault = phi_sm_table_fault(phi_client_states, PHI_CLIENT_STATE_COUNT);
    EXPECT(fault == NULL);
}

// [P-32] [P-36]
TEST(dial, opens_in_every_suite)
{
    static const phi_suite suites[] = { PHI_SUITE_PLAIN, PHI_SUITE_PAPER, PHI_SUITE_CHECK };
    for (size_t i = 0; i < 3; i++) {
        stage s;
        stage_init(&s, suites[i]);
        EXPECT_ERR(stage_client(&s, NULL), PH_OK);
        EXPECT_TEXT(ph_client_id(s.client), "");
        EXPECT(ph_client_state(s.client) == PH_LINK_DOWN);
        EXPECT_EQ(s.dials, 0);
        EXPECT_ERR(ph_client_open(s.client), PH_OK);
        EXPECT_ERR(ph_client_open(s.client), PH_OK);
        EXPECT_EQ(s.dials, 0);
        stage_settle(&s);
        EXPECT_TEXT(stage_heard(&s), "up me@home\n");
        EXPECT_TEXT(ph_client_id(s.client), "me@home");
        EXPECT_TEXT(ph_client_trouble(s.client), "");
        EXPECT_TEXT(s.dialled, "127.0.0.1:7678");
        EXPECT_EQ(ph_client_round_trip_us(s.client), 0);
        EXPECT(ph_client_loop(s.client) == NULL);
        stage_fini(&s);
    }
}

// A program with no center to talk to tells its user what is wrong, in words, and goes on trying.
TEST(dial, refused_connection_is_told_and_tried_again)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    s.is_deaf = true;
    EXPECT_ERR(stage_client(&s, NULL), PH_OK);
    EXPECT_ERR(ph_client_open(s.client), PH_OK);
    stage_turn(&s);
    stage_turn(&s);
    EXPECT_TEXT(stage_heard(&s), "down PH_ECONNECT\n");
    const char *expected = "cannot connect to 127.0.0.1:7678: Connection refused; next try in 0.";
    EXPECT(strncmp(ph_client_trouble(s.client), expected, strlen(expected)) == 0);
    unsigned dials = s.dials;
    stage_pass(&s, phi_seconds(60));
    EXPECT(s.dials > dials + 3);   // it does not give up,
    EXPECT(s.dials < dials + 100); // nor does it hammer
    s.is_deaf = false;
    stage_heard(&s);
    stage_pass(&s, phi_seconds(11));
    EXPECT_TEXT(stage_heard(&s), "up me@home\n");
    stage_fini(&s);
}

// A thousand clients of one center must not come back in step: waits differ from client to client.
TEST(dial, waits_are_spread)
{
    uint64_t waits[8];
    for (size_t i = 0; i < 8; i++) {
        stage s;
        stage_init(&s, PHI_SUITE_PLAIN);
        s.random = phi_random_seeded(i);
        s.is_deaf = true;
        EXPECT_ERR(stage_client(&s, NULL), PH_OK);
        EXPECT_ERR(ph_client_open(s.client), PH_OK);
        stage_pass(&s, phi_seconds(30));
        waits[i] = s.client->dial_at.ns;
        for (size_t j = 0; j < i; j++) {
            EXPECT(waits[i] != waits[j]);
        }
        stage_fini(&s);
    }
}

// With one center of several down, the next one must be dialled, not the dead one for ever.
TEST(dial, centers_are_tried_in_turn)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    s.is_deaf = true;
    ph_client_options o = stage_options(&s);
    o.centers = "unix:/a,unix:/b";
    EXPECT_ERR(stage_client(&s, &o), PH_OK);
    EXPECT_ERR(ph_client_open(s.client), PH_OK);
    char last[PHI_ADDRESS_TEXT_MAX] = "";
    unsigned seen = 0;
    for (unsigned ms = 0; ms < 3000 && seen < 6; ms++) {
        unsigned dials = s.dials;
        stage_pass(&s, phi_ms(1));
        if (s.dials == dials + 1) {
            EXPECT(strcmp(last, s.dialled) != 0);
            snprintf(last, sizeof last, "%s", s.dialled);
            seen++;
        }
    }
    EXPECT(seen >= 3);
    stage_fini(&s);
}

// A center that asks to be left alone for a while is. [P-60]
TEST(dial, retry_after_is_kept)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    stage_bye(&s, PHI_BYE_GOING_AWAY, 5000);
    EXPECT_TEXT(stage_heard(&s), "down PH_ECLOSED going_away\n");
    EXPECT_TEXT(ph_client_id(s.client), "");
    stage_pass(&s, phi_ms(4900));
    EXPECT_EQ(s.dials, 1);
    stage_pass(&s, phi_ms(300));
    EXPECT_TEXT(stage_heard(&s), "up me@home\n");
    stage_fini(&s);
}

// What will be refused every time is not tried every time; what may change is. [P-61]
TEST(dial, refusals_for_good_close_and_others_do_not)
{
    static const struct {
        phi_bye_code code;
        const char *heard;
    } cases[] = {
        { PHI_BYE_NAME_INVALID, "closed PH_EREFUSED name_invalid\n" },
        { PHI_BYE_TYPE_REFUSED, "closed PH_EREFUSED type_refused\n" },
        { PHI_BYE_NOT_AUTHORISED, "closed PH_EREFUSED not_authorised\n" },
        { PHI_BYE_VERSION_UNSUPPORTED, "closed PH_EREFUSED version_unsupported\n" },
        { PHI_BYE_SUITE_REFUSED, "closed PH_ESUITE suite_refused\n" },
        { PHI_BYE_ACCOUNT_TAKEN, "down PH_EREFUSED account_taken\n" },
        { PHI_BYE_LIMIT_REACHED, "down PH_EREFUSED limit_reached\n" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        stage s;
        stage_init(&s, PHI_SUITE_PLAIN);
        s.refuse_join = cases[i].code;
        s.retry_after_ms = 1000;
        EXPECT_ERR(stage_client(&s, NULL), PH_OK);
        EXPECT_ERR(ph_client_open(s.client), PH_OK);
        stage_settle(&s);
        EXPECT_TEXT(stage_heard(&s), cases[i].heard);
        bool is_final = cases[i].heard[0] == 'c';
        EXPECT((ph_client_state(s.client) == PH_LINK_CLOSED) == is_final);
        EXPECT_ERR(ph_client_open(s.client), is_final ? PH_ECLOSED : PH_OK);
        s.refuse_join = PHI_BYE_NORMAL;
        stage_pass(&s, phi_seconds(30));
        EXPECT_TEXT(stage_heard(&s), is_final ? "" : "up me@home\n");
        stage_fini(&s);
    }
}

// A weaker suite than the program allows is never used, and the center hears why. [P-22]
TEST(dial, suite_below_the_floor_closes)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    ph_client_options o = stage_options(&s);
    o.suite_floor = PH_SUITE_CHECK;
    EXPECT_ERR(stage_client(&s, &o), PH_OK);
    EXPECT_ERR(ph_client_open(s.client), PH_OK);
    stage_settle(&s);
    EXPECT_TEXT(stage_heard(&s), "closed PH_ESUITE\n");
    EXPECT_EQ(s.joins, 0);
    EXPECT_EQ(s.end_code, PHI_BYE_SUITE_REFUSED);
    stage_fini(&s);
}

// A center that never says HELLO, and one whose cable was cut, must both be given up.
TEST(dial, silent_center_is_given_up)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    ph_client_options o = stage_options(&s);
    o.heartbeat_idle_ms = 1000;
    o.heartbeat_grace_ms = 500;
    EXPECT_ERR(stage_client(&s, &o), PH_OK);
    EXPECT_ERR(ph_client_open(s.client), PH_OK);
    stage_settle(&s);
    stage_heard(&s);
    stage_pass(&s, phi_seconds(10)); // heartbeats are answered
    EXPECT_TEXT(stage_heard(&s), "");
    s.write_max = 0; // nothing arrives any more
    stage_pass(&s, phi_ms(1600));
    EXPECT_TEXT(stage_heard(&s), "down PH_ETIMEDOUT\n");
    stage_fini(&s);
}

// An attempt that could not even begin (no descriptor, no memory) is one like any other.
TEST(dial, attempt_that_cannot_begin_is_tried_again)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    s.connect_fails = PH_ESYSTEM;
    EXPECT_ERR(stage_client(&s, NULL), PH_OK);
    EXPECT_ERR(ph_client_open(s.client), PH_OK);
    stage_turn(&s);
    EXPECT_TEXT(stage_heard(&s), "down PH_ESYSTEM\n");
    EXPECT(strstr(ph_client_trouble(s.client), "no descriptor left") != NULL);
    s.connect_fails = PH_OK;
    stage_pass(&s, phi_seconds(1));
    EXPECT_TEXT(stage_heard(&s), "up me@home\n");
    stage_fini(&s);
}

// A center that lets us in and throws us out again is not hammered: the wait goes on growing until
// a connection lasts.
TEST(dial, flapping_center_is_not_hammered)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    unsigned rounds = 0;
    phi_time end = phi_time_add(s.io.now, phi_seconds(120));
    while (phi_time_before(s.io.now, end)) {
        if (ph_client_state(s.client) == PH_LINK_UP) {
            stage_cut(&s);
            stage_heard(&s);
            rounds++;
        }
        stage_pass(&s, phi_ms(10));
    }
    EXPECT(rounds > 10);
    EXPECT(rounds < 100);
    stage_heard(&s);
    stage_pass(&s, phi_seconds(40)); // this one lasts
    stage_heard(&s);
    unsigned dials = s.dials;
    stage_cut(&s);
    stage_pass(&s, phi_ms(110)); // the shortest bound is 100 ms
    EXPECT_EQ(s.dials, dials + 1);
    stage_fini(&s);
}

// A probe measures the way to the center and back, once at a time. [P-39]
TEST(dial, probe_measures_the_round_trip)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    EXPECT_ERR(stage_client(&s, NULL), PH_OK);
    EXPECT_ERR(ph_client_probe(s.client), PH_ENOTCONNECTED);
    EXPECT_ERR(ph_client_probe(NULL), PH_EINVAL);
    EXPECT_ERR(ph_client_open(s.client), PH_OK);
    stage_settle(&s);
    EXPECT_ERR(ph_client_probe(s.client), PH_OK);
    EXPECT_ERR(ph_client_probe(s.client), PH_OK);
    EXPECT(ph_client_is_probing(s.client));
    stage_turn(&s); // the ask leaves
    s.io.now = phi_time_add(s.io.now, phi_us(250));
    stage_settle(&s);
    EXPECT(!ph_client_is_probing(s.client));
    EXPECT_EQ(ph_client_round_trip_us(s.client), 250);
    stage_fini(&s);
}

// Closing works in every state, tells once, and leaves nothing behind.
TEST(dial, close_in_every_state)
{
    for (unsigned turns = 0; turns < 8; turns++) {
        for (unsigned deaf = 0; deaf < 2; deaf++) {
            stage s;
            stage_init(&s, PHI_SUITE_CHECK);
            s.is_deaf = deaf == 1;
            EXPECT_ERR(stage_client(&s, NULL), PH_OK);
            if (turns > 0) {
                EXPECT_ERR(ph_client_open(s.client), PH_OK);
            }
            for (unsigned i = 1; i < turns; i++) {
                stage_turn(&s);
            }
            stage_heard(&s);
            ph_client_close(s.client);
            stage_pass(&s, phi_seconds(20));
            EXPECT_TEXT(stage_heard(&s), "closed PH_ECLOSED\n");
            EXPECT_TEXT(ph_client_trouble(s.client), "closed by this program");
            EXPECT(s.stream == NULL);
            stage_fini(&s);
        }
    }
}

// The same for ph_client_free, which tells nobody.
TEST(dial, free_in_every_state)
{
    for (unsigned turns = 0; turns < 8; turns++) {
        for (unsigned deaf = 0; deaf < 2; deaf++) {
            stage s;
            stage_init(&s, PHI_SUITE_PAPER);
            s.is_deaf = deaf == 1;
            EXPECT_ERR(stage_client(&s, NULL), PH_OK);
            EXPECT_ERR(ph_client_open(s.client), PH_OK);
            for (unsigned i = 0; i < turns; i++) {
                stage_turn(&s);
            }
            stage_heard(&s);
            ph_client_free(&s.client);
            EXPECT_TEXT(stage_heard(&s), "");
            stage_fini(&s);
        }
    }
}

// Closing from on_link and on calls' ends, while the connection goes down around it.
TEST(dial, close_inside_the_end_of_the_connection)
{
    for (unsigned with_call = 0; with_call < 2; with_call++) {
        stage s;
        stage_init(&s, PHI_SUITE_PLAIN);
        stage_up(&s);
        if (with_call == 1) {
            EXPECT_ERR(stage_call_to(&s, "echo", "a", 0, NULL), PH_OK);
        }
        s.closes = true;
        stage_cut(&s);
        stage_pass(&s, phi_seconds(20));
        EXPECT_TEXT(stage_heard(&s), with_call == 1 ? "done PH_ERESET 0\nclosed PH_ECLOSED\n"
                                                    : "down PH_ERESET\nclosed PH_ECLOSED\n");
        EXPECT_EQ(s.dials, 1);
        stage_fini(&s);
    }
}

// Whichever allocation fails, a client comes up in the end or says why it cannot be made, and all
// memory comes back.
TEST(dial, nth_allocation_failing_ends_clean)
{
    size_t takes = 0;
    for (size_t n = 0; n <= takes; n++) {
        stage s;
        stage_init(&s, PHI_SUITE_PAPER);
        s.memory.fail_at = n;
        ph_client_options o = stage_options(&s);
        o.is_watching = true;
        ph_err rc = stage_client(&s, &o);
        EXPECT(rc == PH_OK || (rc == PH_ENOMEM && n != 0));
        if (rc == PH_OK) {
            EXPECT_ERR(ph_client_open(s.client), PH_OK);
            stage_pass(&s, phi_seconds(20));
            EXPECT(ph_client_state(s.client) == PH_LINK_UP);
            stage_page(&s, STAGE_EPOCH, 10, PHI_PAGE_FIRST | PHI_PAGE_LAST, "+a:1:5 +b:2:6");
            ph_call_id id = { 0 };
            rc = stage_call_to(&s, "echo", "a", 0, &id);
            EXPECT(rc == PH_OK || rc == PH_ENOMEM || rc == PH_EBUSY);
            stage_settle(&s);
            if (rc == PH_OK) {
                stage_reply(&s, id.value, "pong");
            }
            stage_pass(&s, phi_seconds(1));
        }
        if (n == 0) {
            takes = s.memory.takes;
            EXPECT(takes > 5);
        }
        s.memory.fail_at = 0;
        stage_fini(&s);
    }
}
