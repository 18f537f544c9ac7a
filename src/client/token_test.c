// SPDX-License-Identifier: Apache-2.0

#include <posthouse/client.h>

#include <stdio.h>

#include "client/core.h"
#include "tests/client/stage.h"
#include "tests/harness/test.h"

#define MINUTE phi_seconds(60)

// A client whose application is asked for tokens, and gives `gives` (NULL: none).
static void client_that_is_asked(stage *s, const char *token, const char *gives)
{
    s->gives = gives;
    ph_client_options o = stage_options(s);
    o.token = token;
    o.on_token = stage_on_token;
    EXPECT_ERR(stage_client(s, &o), PH_OK);
    EXPECT_ERR(ph_client_open(s->client), PH_OK);
    stage_settle(s);
}

// Moves on by a millisecond until something is heard; how long that took.
static uint64_t ms_until_heard(stage *s, uint64_t most)
{
    uint64_t ms = 0;
    while (s->log.size == 0 && ms < most) {
        stage_pass(s, phi_ms(1));
        ms++;
    }
    return ms;
}

// The heap, which looks at what is given back to it.
typedef struct watchful_heap {
    phi_alloc alloc;
    unsigned given;
    unsigned found; // blocks with a planted secret in them
} watchful_heap;

static void *watchful_take(void *arg, size_t size)
{
    (void)arg;
    return phi_take_zeroed(&phi_alloc_heap, 1, size); // so that what is found was put there
}

static void watchful_give(void *arg, void *ptr, size_t size)
{
    watchful_heap *heap = arg;
    heap->given++;
    heap->found += memmem(ptr, size, "planted", 7) != NULL;
    phi_give(&phi_alloc_heap, ptr, size);
}

static void *watchful_resize(void *arg, void *ptr, size_t old_size, size_t size)
{
    void *larger = watchful_take(arg, size);
    if (larger != NULL) {
        memcpy(larger, ptr, old_size < size ? old_size : size);
        watchful_give(arg, ptr, old_size);
    }
    return larger;
}

// What proves who somebody is goes with JOIN, and a program may throw its copy away. [P-35]
TEST(token, of_the_options_goes_with_join)
{
    char token[] = "head.claims.signature";
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    ph_client_options o = stage_options(&s);
    o.token = token;
    EXPECT_ERR(stage_client(&s, &o), PH_OK);
    memset(token, 'x', sizeof token - 1);
    EXPECT_ERR(ph_client_open(s.client), PH_OK);
    stage_settle(&s);
    EXPECT_TEXT(stage_heard(&s), "up me@home\n");
    EXPECT_TEXT(s.token, "head.claims.signature");
    stage_fini(&s);
}

// A center must not be dialled without the token that it will want, and is dialled as soon as there
// is one. [P-77]
TEST(token, is_asked_for_before_dialling)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    client_that_is_asked(&s, NULL, NULL);
    EXPECT_TEXT(stage_heard(&s), "token?\n");
    EXPECT_EQ(s.dials, 0);
    EXPECT(ph_client_state(s.client) == PH_LINK_DOWN);
    stage_pass(&s, phi_ms(4000));
    EXPECT_TEXT(stage_heard(&s), "");
    EXPECT_ERR(ph_client_set_token(s.client, "a.b.c"), PH_OK);
    EXPECT_EQ(s.dials, 0); // not from inside the call
    stage_settle(&s);
    EXPECT_TEXT(stage_heard(&s), "up me@home\n");
    EXPECT_TEXT(s.token, "a.b.c");
    EXPECT_EQ(s.dials, 1);
    stage_fini(&s);
}

// One that is given from inside the callback is as good as one that is given later; with one from
// the start, nobody is asked.
TEST(token, is_given_inside_the_callback_or_not_asked_for)
{
    stage s;
    stage_init(&s, PHI_SUITE_CHECK);
    client_that_is_asked(&s, NULL, "a.b.c");
    EXPECT_TEXT(stage_heard(&s), "token?\nup me@home\n");
    EXPECT_TEXT(s.token, "a.b.c");
    stage_fini(&s);

    stage_init(&s, PHI_SUITE_CHECK);
    client_that_is_asked(&s, "d.e.f", "a.b.c");
    EXPECT_TEXT(stage_heard(&s), "up me@home\n");
    EXPECT_TEXT(s.token, "d.e.f");
    stage_fini(&s);
}

// An application that never gets its token must hear so, and be asked again, as often as it would
// dial, not more often.
TEST(token, that_does_not_come_is_told_and_asked_for_again)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    client_that_is_asked(&s, NULL, NULL);
    stage_heard(&s);
    EXPECT_EQ(ms_until_heard(&s, 10000), 5000); // connect_timeout_ms
    EXPECT_TEXT(stage_heard(&s), "down PH_ETIMEDOUT\n");
    EXPECT(strstr(ph_client_trouble(s.client), "no token came in time; next try in ") != NULL);
    EXPECT_EQ(s.dials, 0);
    unsigned asked = 0;
    for (phi_time end = phi_time_add(s.io.now, phi_seconds(120)); phi_time_before(s.io.now, end);) {
        ms_until_heard(&s, 20000);
        asked += strstr(stage_heard(&s), "token?\n") != NULL;
    }
    EXPECT(asked >= 7); // 5 s of waiting and at most 10 s of pause each
    EXPECT(asked <= 24);
    EXPECT_EQ(s.dials, 0);
    stage_fini(&s);
}

// The end of a token must not be the end of the connection: another is asked for in time, told to
// the center, and what that says counts from then on. [P-36] [P-76]
TEST(token, is_renewed_when_three_quarters_of_its_time_are_over)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    s.expires_ms = 600000;
    client_that_is_asked(&s, "first", NULL);
    EXPECT_TEXT(stage_heard(&s), "up me@home\n");
    EXPECT_EQ(ms_until_heard(&s, 600000), 450000);
    EXPECT_TEXT(stage_heard(&s), "token?\n");
    EXPECT_EQ(ms_until_heard(&s, 600000), 75000); // half of what is left
    EXPECT_TEXT(stage_heard(&s), "token?\n");
    s.expires_ms = 1000000;
    EXPECT_ERR(ph_client_set_token(s.client, "second"), PH_OK);
    stage_settle(&s);
    EXPECT_EQ(s.credentials, 1);
    EXPECT_TEXT(s.token, "second");
    s.expires_ms = 0; // the third does not end
    EXPECT_EQ(ms_until_heard(&s, 1000000), 750000);
    EXPECT_TEXT(stage_heard(&s), "token?\n");
    EXPECT_ERR(ph_client_set_token(s.client, "third"), PH_OK);
    stage_pass(&s, phi_seconds(3600));
    EXPECT_TEXT(stage_heard(&s), "");
    EXPECT_EQ(s.credentials, 2);
    EXPECT_EQ(s.dials, 1);
    stage_fini(&s);
}

// An application that has no other one is not asked without end in the last seconds.
TEST(token, is_asked_for_less_often_than_each_second)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    s.expires_ms = 64000;
    client_that_is_asked(&s, "first", NULL);
    stage_heard(&s);
    stage_pass(&s, phi_ms(64000));
    // after 48, 56, 60, 62 and 63 s, and half a second later
    EXPECT_TEXT(stage_heard(&s), "token?\ntoken?\ntoken?\ntoken?\ntoken?\ntoken?\n");
    stage_fini(&s);
}

// Without somebody to ask, nothing is asked, and the end of the time is the center's to tell.
TEST(token, without_a_callback_nothing_is_renewed)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    s.expires_ms = 10000;
    ph_client_options o = stage_options(&s);
    o.token = "first";
    EXPECT_ERR(stage_client(&s, &o), PH_OK);
    EXPECT_ERR(ph_client_open(s.client), PH_OK);
    stage_pass(&s, phi_seconds(9));
    EXPECT_TEXT(stage_heard(&s), "up me@home\n");
    EXPECT_ERR(ph_client_set_token(s.client, "second"), PH_OK); // it may know by itself
    stage_settle(&s);
    EXPECT_EQ(s.credentials, 1);
    EXPECT_TEXT(s.token, "second");
    stage_fini(&s);
}

// A center that judges no tokens gets none but with JOIN. [P-76]
TEST(token, is_not_told_to_a_center_that_named_no_end)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    client_that_is_asked(&s, "first", NULL);
    EXPECT_ERR(ph_client_set_token(s.client, "second"), PH_OK);
    stage_settle(&s);
    EXPECT_EQ(s.credentials, 0);
    EXPECT_TEXT(s.token, "first");
    stage_cut(&s);
    stage_pass(&s, phi_seconds(1));
    EXPECT_TEXT(s.token, "second");
    stage_fini(&s);
}

// One that came while JOIN was on its way reaches the center: JOIN may have carried the old one.
TEST(token, that_comes_while_joining_is_told_once_up)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    s.expires_ms = 60000;
    ph_client_options o = stage_options(&s);
    o.token = "first";
    EXPECT_ERR(stage_client(&s, &o), PH_OK);
    EXPECT_ERR(ph_client_open(s.client), PH_OK);
    while (s.joins == 0) {
        stage_turn(&s);
    }
    EXPECT_TEXT(s.token, "first");
    EXPECT_ERR(ph_client_set_token(s.client, "second"), PH_OK);
    stage_settle(&s);
    EXPECT_EQ(s.credentials, 1);
    EXPECT_TEXT(s.token, "second");
    stage_fini(&s);
}

// A full send buffer puts it off, and does not lose it.
TEST(token, waits_for_room)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    s.expires_ms = 60000;
    client_that_is_asked(&s, "first", NULL);
    stage_fill(&s, 1000);
    EXPECT_ERR(ph_client_set_token(s.client, "second"), PH_OK);
    stage_settle(&s);
    EXPECT_EQ(s.credentials, 0);
    s.write_max = SIZE_MAX;
    stage_settle(&s);
    EXPECT_EQ(s.credentials, 1);
    EXPECT_TEXT(s.token, "second");
    stage_fini(&s);
}

// Whose time was over comes back at once, with another: nobody waits longer than it takes. [P-76]
TEST(token, that_ended_is_replaced_at_once)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    s.expires_ms = 60000;
    client_that_is_asked(&s, "first", NULL);
    stage_pass(&s, phi_seconds(60));
    stage_heard(&s);
    stage_bye(&s, PHI_BYE_CREDENTIAL_EXPIRED, 0);
    EXPECT_TEXT(stage_heard(&s), "down PH_EREFUSED credential_expired\ntoken?\n");
    EXPECT_EQ(s.dials, 1);
    EXPECT_ERR(ph_client_set_token(s.client, "second"), PH_OK);
    stage_settle(&s);
    EXPECT_TEXT(stage_heard(&s), "up me@home\n");
    EXPECT_TEXT(s.token, "second");
    EXPECT_EQ(s.credentials, 0);
    stage_fini(&s);
}

// Without a callback too: the end may be that of a certificate, whose file was replaced.
TEST(token, whose_proof_ended_dials_at_once)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    stage_pass(&s, phi_seconds(2));
    stage_bye(&s, PHI_BYE_CREDENTIAL_EXPIRED, 0);
    EXPECT_TEXT(stage_heard(&s), "down PH_EREFUSED credential_expired\nup me@home\n");
    // But not a center that ends it again and again.
    unsigned dials = s.dials;
    for (unsigned i = 0; i < 20; i++) {
        if (ph_client_state(s.client) == PH_LINK_UP) {
            stage_bye(&s, PHI_BYE_CREDENTIAL_EXPIRED, 0);
        }
        stage_pass(&s, phi_ms(50));
    }
    EXPECT(s.dials - dials < 10);
    stage_fini(&s);
}

// A token that is over by the clock is not shown to a center that is dialled later.
TEST(token, that_ended_while_away_is_replaced_before_dialling)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    s.expires_ms = 60000;
    client_that_is_asked(&s, "first", NULL);
    s.is_deaf = true;
    stage_cut(&s);
    stage_pass(&s, phi_seconds(59));
    EXPECT(strstr(stage_heard(&s), "token?") == NULL);
    s.gives = "second";
    stage_pass(&s, phi_seconds(12)); // it was dialled again in between
    EXPECT(strstr(stage_heard(&s), "token?\n") != NULL);
    s.is_deaf = false;
    stage_pass(&s, phi_seconds(11));
    EXPECT_TEXT(stage_heard(&s), "up me@home\n");
    EXPECT_TEXT(s.token, "second");
    stage_fini(&s);
}

// What the center does not believe is replaced once at once; then it is as with every refusal, so
// that an application with one bad token does not fill a center's log. [P-77]
TEST(token, that_is_refused_is_replaced_once_and_then_with_pauses)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    s.refuse_join = PHI_BYE_NOT_AUTHORISED;
    s.refuse_text = "the token has expired";
    client_that_is_asked(&s, "first", "second");
    EXPECT_TEXT(stage_heard(&s), "down PH_EREFUSED not_authorised\ntoken?\n"
                                 "down PH_EREFUSED not_authorised\n");
    EXPECT(strstr(ph_client_trouble(s.client), "the token has expired; next try in 0.") != NULL);
    EXPECT_EQ(s.dials, 2);
    stage_pass(&s, phi_seconds(60));
    EXPECT(s.dials > 6);
    EXPECT(s.dials < 30);
    stage_heard(&s);
    s.refuse_join = PHI_BYE_NORMAL;
    stage_pass(&s, phi_seconds(11));
    EXPECT_TEXT(stage_heard(&s), "token?\nup me@home\n");
    // And then the next refusal is the first again.
    stage_pass(&s, phi_seconds(2));
    unsigned dials = s.dials;
    stage_bye(&s, PHI_BYE_NOT_AUTHORISED, 0);
    EXPECT_TEXT(stage_heard(&s), "down PH_EREFUSED not_authorised\ntoken?\nup me@home\n");
    EXPECT_EQ(s.dials, dials + 1);
    stage_fini(&s);
}

// A center that asks to be left alone is, also by one with a new token. [P-60]
TEST(token, does_not_come_sooner_than_the_center_asked)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    s.refuse_join = PHI_BYE_NOT_AUTHORISED;
    s.retry_after_ms = 5000;
    client_that_is_asked(&s, "first", "second");
    stage_pass(&s, phi_ms(4900));
    EXPECT_EQ(s.dials, 1);
    s.refuse_join = PHI_BYE_NORMAL;
    stage_pass(&s, phi_ms(200));
    EXPECT_TEXT(s.token, "second");
    stage_fini(&s);
}

// Nothing of a token may be told to anybody but its center: what people see goes into logs.
TEST(token, is_in_no_text)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    s.refuse_join = PHI_BYE_NOT_AUTHORISED;
    client_that_is_asked(&s, "planted-secret-1", "planted-secret-2");
    for (unsigned i = 0; i < 100; i++) {
        EXPECT(strstr(ph_client_trouble(s.client), "planted") == NULL);
        EXPECT(strstr(stage_heard(&s), "planted") == NULL);
        stage_pass(&s, phi_ms(100));
    }
    stage_fini(&s);
}

// [P-35] A token that could not be meant is refused where its mistake is made.
TEST(token, set_refuses_what_is_none)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    client_that_is_asked(&s, "first", NULL);
    EXPECT_ERR(ph_client_set_token(NULL, "a"), PH_EINVAL);
    EXPECT_ERR(ph_client_set_token(s.client, ""), PH_EINVAL);
    EXPECT_ERR(ph_client_set_token(s.client, "a.b.c\n"), PH_EINVAL);
    static char longest[4098];
    memset(longest, 't', 4097);
    EXPECT_ERR(ph_client_set_token(s.client, longest), PH_EINVAL);
    EXPECT_ERR(ph_client_set_token(s.client, longest + 1), PH_OK);
    stage_cut(&s);
    stage_pass(&s, phi_seconds(1));
    EXPECT_TEXT(s.token, longest + 1);
    EXPECT_ERR(ph_client_set_token(s.client, NULL), PH_OK);
    stage_cut(&s);
    stage_pass(&s, phi_seconds(1));
    EXPECT(strstr(stage_heard(&s), "token?") != NULL); // there is none any more
    s.memory.fail_at = s.memory.takes + 1;
    EXPECT_ERR(ph_client_set_token(s.client, "b"), PH_ENOMEM);
    EXPECT_ERR(ph_client_set_token(s.client, "b"), PH_OK);
    ph_client_close(s.client);
    EXPECT_ERR(ph_client_set_token(s.client, "c"), PH_ECLOSED);
    stage_fini(&s);
}

// JOIN with a token that is longer than a center takes would be refused there, each time. [P-12]
TEST(token, set_refuses_what_does_not_fit_into_join)
{
    static char value[1025];
    memset(value, 'v', sizeof value - 1);
    ph_metadata many[6];
    for (size_t i = 0; i < PHI_COUNT_OF(many); i++) {
        many[i] = (ph_metadata){ "key", value };
    }
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    ph_client_options o = stage_options(&s);
    o.metadata = many;
    o.metadata_count = PHI_COUNT_OF(many);
    EXPECT_ERR(stage_client(&s, &o), PH_OK);
    static char token[4097];
    memset(token, 't', sizeof token - 1);
    EXPECT_ERR(ph_client_set_token(s.client, token), PH_ETOOLARGE);
    EXPECT_ERR(ph_client_set_token(s.client, "short"), PH_OK);
    stage_fini(&s);
}

// What was a token must not stay in memory that others get next.
TEST(token, is_wiped_when_it_is_replaced_and_at_the_end)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    watchful_heap heap = { .alloc = { watchful_take, watchful_resize, watchful_give, &heap } };
    s.memory.inner = &heap.alloc;
    s.expires_ms = 60000;
    client_that_is_asked(&s, "planted-secret-1", NULL);
    EXPECT_TEXT(s.token, "planted-secret-1");
    EXPECT_ERR(ph_client_set_token(s.client, "planted-secret-2"), PH_OK);
    stage_settle(&s);
    EXPECT_TEXT(s.token, "planted-secret-2");
    EXPECT_ERR(ph_client_set_token(s.client, NULL), PH_OK);
    EXPECT_ERR(ph_client_set_token(s.client, "planted-secret-3"), PH_OK);
    ph_client_free(&s.client);
    stage_settle(&s);
    EXPECT(heap.given > 5);
    EXPECT_EQ(heap.found, 0);
    stage_fini(&s);
}

// The application may do anything in the callback, also close.
TEST(token, close_inside_the_callback)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    s.closes = true;
    client_that_is_asked(&s, NULL, "a.b.c");
    EXPECT_TEXT(stage_heard(&s), "token?\nclosed PH_ECLOSED\n");
    EXPECT_EQ(s.dials, 0);
    stage_fini(&s);

    stage_init(&s, PHI_SUITE_PLAIN); // and free, and close, while it waits
    client_that_is_asked(&s, NULL, NULL);
    stage_fini(&s);
    stage_init(&s, PHI_SUITE_PLAIN);
    client_that_is_asked(&s, NULL, NULL);
    ph_client_close(s.client);
    stage_settle(&s);
    EXPECT_TEXT(stage_heard(&s), "token?\nclosed PH_ECLOSED\n");
    stage_fini(&s);
}

// An answer that had to wait behind much else must not make the token look longer than it is.
TEST(token, time_counts_from_when_the_center_was_told)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    s.expires_ms = 100000;
    client_that_is_asked(&s, "first", NULL);
    stage_heard(&s);
    s.is_mute = true;
    EXPECT_ERR(ph_client_set_token(s.client, "second"), PH_OK);
    stage_pass(&s, phi_seconds(10));
    EXPECT_ERR(ph_client_set_token(s.client, "third"), PH_OK);
    stage_pass(&s, phi_seconds(30));
    const uint8_t answer[] = { 2, 0, 4, 0, 1, 0x86, 0xa0 }; // 100,000 ms
    stage_say(&s, PHI_COMMAND_CREDENTIAL, phi_bytes_of(answer, sizeof answer));
    EXPECT_EQ(ms_until_heard(&s, 20000), 20000); // of the second: does not count
    stage_say(&s, PHI_COMMAND_CREDENTIAL, phi_bytes_of(answer, sizeof answer));
    EXPECT_EQ(ms_until_heard(&s, 100000), 75000 - 50000);
    EXPECT_TEXT(stage_heard(&s), "token?\n");
    stage_fini(&s);
}

// Who has closed is not asked for tokens any more, while what it said last still leaves.
TEST(token, is_not_asked_for_by_who_has_closed)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    s.expires_ms = 4000;
    client_that_is_asked(&s, "first", NULL);
    EXPECT_TEXT(stage_heard(&s), "up me@home\n");
    s.write_max = 0; // the bye has to wait
    ph_client_close(s.client);
    stage_pass(&s, phi_seconds(10));
    EXPECT_TEXT(stage_heard(&s), "closed PH_ECLOSED\n");
    stage_fini(&s);
}

// A center that answers a credential with what is no answer has broken the protocol. [P-31]
TEST(token, answer_that_breaks_its_form_ends_the_connection)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    s.expires_ms = 60000;
    client_that_is_asked(&s, "first", NULL);
    stage_heard(&s);
    stage_say(&s, PHI_COMMAND_CREDENTIAL, phi_bytes_of((const uint8_t[]){ 2, 0, 9 }, 3));
    EXPECT_TEXT(stage_heard(&s), "down PH_EPROTO\n");
    stage_fini(&s);

    stage_init(&s, PHI_SUITE_PLAIN); // so has one that answers what was not asked
    client_that_is_asked(&s, "first", NULL);
    stage_heard(&s);
    stage_say(&s, PHI_COMMAND_CREDENTIAL, phi_bytes_of(NULL, 0));
    EXPECT_TEXT(stage_heard(&s), "down PH_EPROTO\n");
    stage_fini(&s);
}

// One that came while the last was being refused has not been tried: it is, before another is asked
// for.
TEST(token, that_came_too_late_for_join_is_tried)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    s.refuse_join = PHI_BYE_NOT_AUTHORISED;
    ph_client_options o = stage_options(&s);
    o.token = "first";
    o.on_token = stage_on_token;
    EXPECT_ERR(stage_client(&s, &o), PH_OK);
    EXPECT_ERR(ph_client_open(s.client), PH_OK);
    while (s.joins == 0) {
        stage_turn(&s);
    }
    EXPECT_ERR(ph_client_set_token(s.client, "second"), PH_OK);
    s.refuse_join = PHI_BYE_NORMAL;
    stage_settle(&s);
    EXPECT_TEXT(stage_heard(&s), "down PH_EREFUSED not_authorised\nup me@home\n");
    EXPECT_TEXT(s.token, "second");
    stage_fini(&s);
}
