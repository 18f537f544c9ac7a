// SPDX-License-Identifier: Apache-2.0
//
// link/link_end_test.c - byes, their texts, and what their receivers make of them.

#include "tests/harness/test.h"

#include <stdio.h>

#include "tests/link/link_pair.h"

#define CENTER PHI_LINK_CENTER
#define CLIENT PHI_LINK_CLIENT

// ---- helpers

static void forge_bye(link_pair *pair, phi_link_side to, uint16_t reason, uint32_t retry_after_ms,
                      const void *text, size_t text_size)
{
    uint8_t room[PHI_BYE_BYTES_MAX];
    phi_writer w = phi_writer_of((phi_span){ room, sizeof room });
    phi_bye_encode(&w, &(phi_bye){ reason, retry_after_ms, phi_bytes_of(text, text_size) });
    EXPECT(!w.failed);
    link_pair_forge(pair, to, PHI_COMMAND_BYE, phi_writer_view(&w));
}

// ---- errors

// Owners decide by the error whether to try again, and operators read it: link.h's table. [P-61]
TEST(link, every_bye_has_its_error_on_both_ends)
{
    static const struct {
        phi_bye_code code;
        ph_err said;
        ph_err heard;
    } cases[] = {
        { PHI_BYE_NORMAL, PH_OK, PH_OK },
        { PHI_BYE_GOING_AWAY, PH_OK, PH_OK },
        { PHI_BYE_LENGTH_INVALID, PH_EPROTO, PH_EPROTO },
        { PHI_BYE_CHECK_WRONG, PH_ECHECK, PH_ECHECK },
        { PHI_BYE_COMMAND_UNKNOWN, PH_EPROTO, PH_EPROTO },
        { PHI_BYE_ILLEGAL_IN_STATE, PH_EPROTO, PH_EPROTO },
        { PHI_BYE_MALFORMED, PH_EPROTO, PH_EPROTO },
        { PHI_BYE_VERSION_UNSUPPORTED, PH_EPROTO, PH_EREFUSED },
        { PHI_BYE_SUITE_REFUSED, PH_ESUITE, PH_ESUITE },
        { PHI_BYE_JOIN_TIMEOUT, PH_ETIMEDOUT, PH_ETIMEDOUT },
        { PHI_BYE_HEARTBEAT_TIMEOUT, PH_ETIMEDOUT, PH_ETIMEDOUT },
        { PHI_BYE_ACCOUNT_TAKEN, PH_EREFUSED, PH_EREFUSED },
        { PHI_BYE_NAME_INVALID, PH_EREFUSED, PH_EREFUSED },
        { PHI_BYE_NOT_AUTHORISED, PH_EREFUSED, PH_EREFUSED },
        { PHI_BYE_FROM_MISMATCH, PH_EPROTO, PH_EPROTO },
        { PHI_BYE_SLOW_CONSUMER, PH_ETIMEDOUT, PH_EREFUSED },
        { PHI_BYE_LIMIT_REACHED, PH_EREFUSED, PH_EREFUSED },
        { PHI_BYE_KICKED, PH_EREFUSED, PH_EREFUSED },
        { PHI_BYE_INTERNAL, PH_ENOMEM, PH_EREFUSED },
        { PHI_BYE_TYPE_REFUSED, PH_EREFUSED, PH_EREFUSED },
        { PHI_BYE_CREDIT_EXCEEDED, PH_EPROTO, PH_EPROTO },
        { PHI_BYE_CREDENTIAL_EXPIRED, PH_EREFUSED, PH_EREFUSED },
        { PHI_BYE_TLS_REQUIRED, PH_EREFUSED, PH_EREFUSED },
    };
    EXPECT_EQ(PHI_COUNT_OF(cases), PHI_BYE_COUNT);
    for (size_t i = 0; i < PHI_COUNT_OF(cases); i++) {
        link_pair pair;
        link_pair_open(&pair, (phi_suite)(i % PHI_SUITE_COUNT));
        phi_link_bye(&pair.links[CENTER], cases[i].code, 250, NULL);
        link_pair_drain(&pair, CENTER);
        link_pair_settle(&pair);
        EXPECT_EQ(pair.seen[CENTER].closes, 1);
        EXPECT_ERR(pair.seen[CENTER].end.err, cases[i].said);
        EXPECT(!pair.seen[CENTER].end.by_peer);
        EXPECT_EQ(pair.seen[CLIENT].closes, 1);
        EXPECT_ERR(pair.seen[CLIENT].end.err, cases[i].heard);
        EXPECT(pair.seen[CLIENT].end.by_peer);
        EXPECT_EQ(pair.seen[CLIENT].end.code, cases[i].code);
        EXPECT_EQ(pair.seen[CLIENT].end.retry_after_ms, 250);
        EXPECT_TEXT(pair.seen[CLIENT].text, phi_bye_text((uint16_t)cases[i].code));
        link_pair_fini(&pair);
    }
}

// What is said in the clear where TLS is spoken must be what a client takes in place of HELLO, from
// its first byte on: it is the only packet that it can read there. [P-81]
TEST(link, tls_required_is_heard_in_place_of_hello)
{
    uint8_t said[PHI_LINK_TLS_REQUIRED_BYTES_MAX];
    size_t size = phi_link_tls_required((phi_span){ said, sizeof said });
    EXPECT(size <= sizeof said);
    for (size_t cut = 0; cut <= size; cut++) {
        link_pair pair;
        link_pair_init(&pair, PHI_SUITE_PLAIN);
        EXPECT_ERR(link_pair_start(&pair), PH_OK);
        link_pair_lose(&pair, CENTER); // HELLO
        EXPECT(phi_link_is(&pair.links[CLIENT], PHI_LINK_GREETING));
        link_pair_inject(&pair, CLIENT, said, cut);
        EXPECT_EQ(pair.seen[CLIENT].closes, cut == size);
        link_pair_inject(&pair, CLIENT, said + cut, size - cut);
        const link_pair_seen *seen = &pair.seen[CLIENT];
        EXPECT_EQ(seen->closes, 1);
        EXPECT_EQ(seen->end.code, PHI_BYE_TLS_REQUIRED);
        EXPECT(seen->end.by_peer);
        EXPECT_ERR(seen->end.err, PH_EREFUSED);
        EXPECT_TEXT(seen->text, phi_bye_text(PHI_BYE_TLS_REQUIRED));
        EXPECT_EQ(phi_link_waiting(&pair.links[CLIENT]), 0); // there is no suite to answer in
        link_pair_fini(&pair);
    }
}

// A reason of a later version must end the link like any other; as an index it would leave every
// counter table. [P-60]
TEST(link, bye_with_unknown_reason_ends_the_link)
{
    static const uint16_t reasons[] = { PHI_BYE_COUNT, 1000, UINT16_MAX };
    for (size_t i = 0; i < PHI_COUNT_OF(reasons); i++) {
        link_pair pair;
        link_pair_open(&pair, PHI_SUITE_CHECK);
        forge_bye(&pair, CLIENT, reasons[i], 0, "because", 7);
        EXPECT_EQ(pair.seen[CLIENT].closes, 1);
        EXPECT_EQ(pair.seen[CLIENT].end.code, PHI_BYE_INTERNAL);
        EXPECT_ERR(pair.seen[CLIENT].end.err, PH_EREFUSED);
        EXPECT_TEXT(pair.seen[CLIENT].text, "because");
        link_pair_fini(&pair);
    }
}

// A wrong or hostile center must not be able to send its clients away for weeks. [P-60]
TEST(link, retry_after_is_bounded)
{
    static const uint32_t asked[] = { 0, 1, 3600000, 3600001, UINT32_MAX };
    static const uint32_t taken[] = { 0, 1, 3600000, 3600000, 3600000 };
    for (size_t i = 0; i < PHI_COUNT_OF(asked); i++) {
        link_pair pair;
        link_pair_open(&pair, PHI_SUITE_PLAIN);
        forge_bye(&pair, CLIENT, PHI_BYE_GOING_AWAY, asked[i], NULL, 0);
        EXPECT_EQ(pair.seen[CLIENT].end.retry_after_ms, taken[i]);
        link_pair_fini(&pair);

        link_pair_open(&pair, PHI_SUITE_PLAIN);
        phi_link_bye(&pair.links[CENTER], PHI_BYE_GOING_AWAY, asked[i], NULL);
        link_pair_drain(&pair, CENTER);
        EXPECT_EQ(pair.seen[CENTER].end.retry_after_ms, taken[i]);
        // what is said, not only what is understood
        phi_bytes said = phi_link_seal(&pair.links[CENTER]);
        EXPECT_EQ(phi_get_u32(said.data + PHI_PACKET_HEAD_PLAIN + 2), taken[i]);
        link_pair_fini(&pair);
    }
}

// ---- text

// The text of a bye comes from a stranger and ends in logs and on terminals: what is not printable
// UTF-8 must not get there. [P-60]
TEST(link, bye_text_is_cleaned)
{
    static const struct {
        const char *said;
        const char *kept;
    } cases[] = {
        { "plain text", "plain text" },
        { "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x8f\xa4",
          "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x8f\xa4" },
        { "line\nline\x1b[31m\x7f", "line?line?[31m?" },
        { "\xc2\x80\xc2\x9f\xc2\xa0", "????\xc2\xa0" },                 // C1 controls
        { "\xc0\xaf\xc1\xbf", "????" },                                 // overlong, two bytes
        { "\xe0\x9f\xbf\xe0\xa0\x80", "???\xe0\xa0\x80" },              // overlong, three
        { "\xf0\x8f\xbf\xbf", "????" },                                 // overlong, four
        { "\xed\x9f\xbf\xed\xa0\x80", "\xed\x9f\xbf???" },              // surrogate
        { "\xf4\x8f\xbf\xbf\xf4\x90\x80\x80", "\xf4\x8f\xbf\xbf????" }, // the end of Unicode
        { "\xf5\x80\x80\x80\xff\xfe", "??????" },
        { "a\x80z\xbf", "a?z?" },  // continuation without a start
        { "\xe2\x82", "??" },      // cut
        { "\xf0\x9f\x8f", "???" }, // cut
        { "\xe2\x28\xa1", "?(?" }, // resumes at the first byte that is good again
        { "\xc3", "?" },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(cases); i++) {
        link_pair pair;
        link_pair_open(&pair, PHI_SUITE_CHECK);
        forge_bye(&pair, CLIENT, PHI_BYE_KICKED, 0, cases[i].said, strlen(cases[i].said));
        EXPECT_EQ(pair.seen[CLIENT].closes, 1);
        EXPECT_TEXT(pair.seen[CLIENT].text, cases[i].kept);
        link_pair_fini(&pair);
    }
}

// A text with a zero byte, none, the longest, and one too long. [P-60]
TEST(link, bye_text_of_every_size_is_kept)
{
    char text[PHI_BYE_TEXT_BYTES_MAX + 2];
    memset(text, 't', sizeof text);
    link_pair pair;
    link_pair_open(&pair, PHI_SUITE_PLAIN);
    forge_bye(&pair, CLIENT, PHI_BYE_KICKED, 0, "a\0b", 3);
    EXPECT_TEXT(pair.seen[CLIENT].text, "a?b");
    link_pair_fini(&pair);

    link_pair_open(&pair, PHI_SUITE_PLAIN);
    forge_bye(&pair, CLIENT, PHI_BYE_KICKED, 0, NULL, 0);
    EXPECT_TEXT(pair.seen[CLIENT].text, phi_bye_text(PHI_BYE_KICKED));
    link_pair_fini(&pair);

    link_pair_open(&pair, PHI_SUITE_PLAIN);
    forge_bye(&pair, CLIENT, PHI_BYE_KICKED, 0, text, PHI_BYE_TEXT_BYTES_MAX);
    EXPECT_EQ(strlen(pair.seen[CLIENT].text), PHI_BYE_TEXT_BYTES_MAX);
    link_pair_fini(&pair);

    // One more is cut by the sender: here an owner that says too much.
    text[sizeof text - 1] = '\0';
    link_pair_open(&pair, PHI_SUITE_PLAIN);
    phi_link_bye(&pair.links[CENTER], PHI_BYE_KICKED, 0, text);
    link_pair_drain(&pair, CENTER);
    link_pair_settle(&pair);
    EXPECT_EQ(strlen(pair.seen[CENTER].text), PHI_BYE_TEXT_BYTES_MAX);
    EXPECT_EQ(strlen(pair.seen[CLIENT].text), PHI_BYE_TEXT_BYTES_MAX);
    link_pair_fini(&pair);
}

// A bye that is no bye is a breach like any other. [P-31] [P-60]
TEST(link, malformed_bye_is_answered_as_malformed)
{
    static const uint8_t zeros[6 + PHI_BYE_TEXT_BYTES_MAX + 1] = { 0 };
    static const size_t sizes[] = { 0, 1, 5, sizeof zeros };
    for (size_t i = 0; i < PHI_COUNT_OF(sizes); i++) {
        link_pair pair;
        link_pair_open(&pair, PHI_SUITE_CHECK);
        link_pair_forge(&pair, CENTER, PHI_COMMAND_BYE, phi_bytes_of(zeros, sizes[i]));
        EXPECT_EQ(pair.seen[CENTER].closes, 1);
        EXPECT_EQ(pair.seen[CENTER].end.code, PHI_BYE_MALFORMED);
        EXPECT(!pair.seen[CENTER].end.by_peer);
        EXPECT(phi_link_waiting(&pair.links[CENTER]) != 0);
        link_pair_fini(&pair);
    }
}

// Without memory for the text the link must still end, with its reason.
TEST(link, bye_without_memory_keeps_its_reason)
{
    link_pair pair;
    link_pair_open(&pair, PHI_SUITE_PLAIN);
    EXPECT(link_pair_say(&pair, CENTER, 10, 1)); // so that the sender has a buffer
    pair.memory.bytes_max = 1;
    forge_bye(&pair, CLIENT, PHI_BYE_KICKED, 9, "out with you", 12);
    EXPECT_EQ(pair.seen[CLIENT].closes, 1);
    EXPECT_EQ(pair.seen[CLIENT].end.code, PHI_BYE_KICKED);
    EXPECT_TEXT(pair.seen[CLIENT].text, phi_bye_text(PHI_BYE_KICKED));
    link_pair_fini(&pair);
}

// ---- the end is the end

// After the end nothing more may be received, queued or reported, whatever still arrives. [P-60]
// [P-70]
TEST(link, closed_link_stays_closed)
{
    for (int suite = 0; suite < PHI_SUITE_COUNT; suite++) {
        link_pair pair;
        link_pair_open(&pair, (phi_suite)suite);
        EXPECT(link_pair_say(&pair, CLIENT, 10, 1));
        phi_link_bye(&pair.links[CENTER], PHI_BYE_GOING_AWAY, 100, "first");
        size_t waiting = phi_link_waiting(&pair.links[CENTER]);
        EXPECT(!link_pair_say(&pair, CENTER, 10, 1));
        phi_link_bye(&pair.links[CENTER], PHI_BYE_KICKED, 0, "second");
        phi_link_lost(&pair.links[CENTER], PH_ERESET, "third");
        phi_link_probe(&pair.links[CENTER], pair.now);
        link_pair_carry(&pair, CLIENT); // arrives too late
        EXPECT_EQ(pair.seen[CENTER].packets, 0);
        EXPECT_EQ(pair.seen[CENTER].closes, 1);
        EXPECT_EQ(pair.seen[CENTER].end.code, PHI_BYE_GOING_AWAY);
        EXPECT_TEXT(pair.seen[CENTER].text, "first");
        EXPECT_EQ(phi_link_waiting(&pair.links[CENTER]), waiting);
        EXPECT(phi_time_is_never(phi_link_deadline(&pair.links[CENTER])));
        phi_link_tick(&pair.links[CENTER], phi_time_add(pair.now, phi_seconds(1000000)));
        link_pair_drain(&pair, CENTER);
        EXPECT_EQ(phi_link_waiting(&pair.links[CENTER]), waiting);

        // What waited goes out, and the bye last; behind it nothing is read.
        link_pair_settle(&pair);
        EXPECT_EQ(pair.seen[CLIENT].end.code, PHI_BYE_GOING_AWAY);
        link_pair_inject(&pair, CLIENT, "anything", 8);
        EXPECT_EQ(pair.seen[CLIENT].closes, 1);
        link_pair_fini(&pair);
    }
}

// What was queued before the bye is delivered before it: a client that sends and leaves loses
// nothing. [P-60]
TEST(link, bye_comes_behind_what_was_queued)
{
    link_pair pair;
    link_pair_open(&pair, PHI_SUITE_PAPER);
    for (int i = 0; i < 50; i++) {
        EXPECT(link_pair_say(&pair, CLIENT, 100, (uint8_t)i));
    }
    phi_link_bye(&pair.links[CLIENT], PHI_BYE_NORMAL, 0, NULL);
    link_pair_drain(&pair, CLIENT);
    link_pair_settle(&pair);
    EXPECT_EQ(pair.seen[CENTER].packets, 50);
    EXPECT_EQ(pair.seen[CENTER].closes, 1);
    EXPECT_ERR(pair.seen[CENTER].end.err, PH_OK);
    link_pair_fini(&pair);
}

// An owner may give up before HELLO: there is nothing to say it with, and nothing is said. [P-33]
TEST(link, client_gives_up_while_greeting_in_silence)
{
    link_pair pair;
    link_pair_init(&pair, PHI_SUITE_PLAIN);
    EXPECT_ERR(link_pair_start(&pair), PH_OK);
    phi_link_bye(&pair.links[CLIENT], PHI_BYE_NORMAL, 0, NULL);
    link_pair_drain(&pair, CLIENT);
    EXPECT_EQ(pair.seen[CLIENT].closes, 1);
    EXPECT_EQ(phi_link_waiting(&pair.links[CLIENT]), 0);
    link_pair_fini(&pair);
}

// The people who read a center's log must find out which packet it was.
TEST(link, refusals_name_their_packet)
{
    link_pair pair;
    link_pair_open(&pair, PHI_SUITE_CHECK);
    link_pair_forge(&pair, CENTER, PHI_COMMAND_ONLINE_STATUS, phi_bytes_of(NULL, 0));
    link_pair_settle(&pair);
    EXPECT_TEXT(pair.seen[CLIENT].text, "online status is not allowed from this end while open");
    link_pair_fini(&pair);

    link_pair_open(&pair, PHI_SUITE_CHECK);
    link_pair_forge(&pair, CLIENT, 0x0123, phi_bytes_of(NULL, 0));
    link_pair_settle(&pair);
    EXPECT_TEXT(pair.seen[CENTER].text, "unknown command 0x0123");
    link_pair_fini(&pair);
}

// A zeroed link may be finished: owners do so on their error paths.
TEST(link, zeroed_link_may_be_finished)
{
    phi_link link = { .options = NULL };
    phi_link_fini(&link);
    EXPECT(link.options == NULL);
}
