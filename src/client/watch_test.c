// SPDX-License-Identifier: Apache-2.0

#include <posthouse/client.h>

#include <stdio.h>

#include "client/core.h"
#include "tests/client/stage.h"
#include "tests/harness/test.h"

static phi_presence_ask asked(stage *s, unsigned n)
{
    assert_true(n < s->got_count);
    EXPECT_EQ(s->got[n].command, PHI_COMMAND_ONLINE_LIST);
    phi_presence_ask ask = { .wants = false };
    EXPECT_ERR(phi_presence_ask_decode(phi_bytes_of(s->got[n].payload, s->got[n].size), &ask),
               PH_OK);
    return ask;
}

// The library's default is nothing: who does not ask does not pay. [P-35]
TEST(watch, nothing_is_asked_for_by_default)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    EXPECT(!s.asked.wants);
    stage_page(&s, STAGE_EPOCH, 10, PHI_PAGE_FIRST | PHI_PAGE_LAST, "+a:1:5");
    stage_status(&s, STAGE_EPOCH, 10, 11, "+b:2:11");
    EXPECT_TEXT(stage_heard(&s), ""); // nor listened to
    EXPECT_EQ(ph_client_peer_count(s.client), 0);
    stage_fini(&s);
}

// From the list over changes to the reconnect: each change once. [P-43] [P-48]
TEST(watch, changes_are_told_once_over_reconnects)
{
    stage s;
    stage_init(&s, PHI_SUITE_CHECK);
    stage_up(&s);
    EXPECT_ERR(ph_client_watch(s.client, NULL), PH_OK);
    stage_settle(&s);
    EXPECT(asked(&s, 0).wants);
    EXPECT_EQ(asked(&s, 0).last_epoch, 0);
    stage_page(&s, STAGE_EPOCH, 10, PHI_PAGE_FIRST | PHI_PAGE_LAST, "+a:1:5 +b:2:6:1");
    EXPECT_TEXT(stage_heard(&s), "online a@home 1 ready\nonline b@home 2 starting\nready 10\n");
    stage_status(&s, STAGE_EPOCH, 10, 12, "~b:2:11:2 -a:1:12");
    EXPECT_TEXT(stage_heard(&s), "changed b@home 2 ready\noffline a@home 1 connection_lost\n");
    EXPECT_EQ(ph_client_peer_count(s.client), 1);

    s.revision = 14;
    stage_cut(&s);
    EXPECT_EQ(ph_client_peer_count(s.client), 1); // as of when it was up
    stage_pass(&s, phi_seconds(1));
    EXPECT_TEXT(stage_heard(&s), "down PH_ERESET\nup me@home\n");
    EXPECT(s.asked.wants);
    EXPECT_EQ(s.asked.last_epoch, STAGE_EPOCH);
    EXPECT_EQ(s.asked.last_revision, 12);
    stage_status(&s, STAGE_EPOCH, 12, 14, "+c:3:13 -b:2:14");
    EXPECT_TEXT(stage_heard(&s),
                "online c@home 3 ready\noffline b@home 2 connection_lost\nready 14\n");
    stage_fini(&s);
}

// [P-45], end to end.
TEST(watch, gap_is_asked_for_again)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    EXPECT_ERR(ph_client_watch(s.client, NULL), PH_OK);
    stage_settle(&s);
    stage_page(&s, STAGE_EPOCH, 10, PHI_PAGE_FIRST | PHI_PAGE_LAST, "+a:1:5");
    stage_heard(&s);
    stage_status(&s, STAGE_EPOCH, 11, 12, "-a:1:12");
    EXPECT_TEXT(stage_heard(&s), "");
    EXPECT_EQ(asked(&s, 1).last_revision, 10);
    EXPECT_EQ(asked(&s, 1).last_epoch, STAGE_EPOCH);
    stage_status(&s, STAGE_EPOCH, 10, 12, "+b:2:11 -a:1:12");
    EXPECT_TEXT(stage_heard(&s), "online b@home 2 ready\noffline a@home 1 connection_lost\n");
    stage_fini(&s);
}

// [P-42]
TEST(watch, filter_goes_to_the_center)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    ph_watch watch = PH_WATCH_INIT;
    watch.type = PH_TYPE_GATEWAY;
    watch.service = "letters";
    watch.domain = "home";
    EXPECT_ERR(ph_client_watch(s.client, &watch), PH_OK);
    stage_settle(&s);
    phi_presence_ask ask = asked(&s, 0);
    EXPECT_EQ(ask.type, PHI_TYPE_GATEWAY);
    EXPECT(phi_bytes_equal(ask.service, phi_bytes_text("letters")));
    EXPECT(phi_bytes_equal(ask.domain, phi_bytes_text("home")));
    watch.domain = "No";
    EXPECT_ERR(ph_client_watch(s.client, &watch), PH_EINVAL);
    watch.domain = NULL;
    watch.service = "";
    EXPECT_ERR(ph_client_watch(s.client, &watch), PH_EINVAL);
    watch.service = NULL;
    watch.type = (ph_type)5;
    EXPECT_ERR(ph_client_watch(s.client, &watch), PH_EINVAL);
    watch.struct_size = 4;
    EXPECT_ERR(ph_client_watch(s.client, &watch), PH_EINVAL);
    EXPECT_ERR(ph_client_watch(NULL, NULL), PH_EINVAL);
    ph_client_unwatch(s.client);
    stage_settle(&s);
    EXPECT(!asked(&s, 1).wants);
    EXPECT_EQ(s.got_count, 2);
    stage_fini(&s);
}

// Before it is up, the ask goes with JOIN.
TEST(watch, before_up_goes_with_join)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    EXPECT_ERR(stage_client(&s, NULL), PH_OK);
    EXPECT_ERR(ph_client_watch(s.client, NULL), PH_OK);
    EXPECT_ERR(ph_client_open(s.client), PH_OK);
    stage_settle(&s);
    EXPECT(s.asked.wants);
    EXPECT_EQ(s.got_count, 0);
    stage_page(&s, STAGE_EPOCH, 1, PHI_PAGE_FIRST | PHI_PAGE_LAST, "");
    EXPECT_TEXT(stage_heard(&s), "up me@home\nready 1\n");
    stage_fini(&s);
}

// What is wanted while the JOIN that asks for something else is on its way must be asked for once
// it is answered; else the watch would wait for ever. [P-42]
TEST(watch, while_joining_is_asked_for_when_up)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    EXPECT_ERR(stage_client(&s, NULL), PH_OK);
    EXPECT_ERR(ph_client_open(s.client), PH_OK);
    while (!phi_link_is(&s.client->transport.link, PHI_LINK_JOINING)) {
        stage_turn(&s);
    }
    EXPECT_ERR(ph_client_watch(s.client, NULL), PH_OK);
    stage_settle(&s);
    EXPECT(!s.asked.wants); // in JOIN
    EXPECT(asked(&s, 0).wants);
    stage_page(&s, STAGE_EPOCH, 1, PHI_PAGE_FIRST | PHI_PAGE_LAST, "+a:1:1");
    EXPECT_TEXT(stage_heard(&s), "up me@home\nonline a@home 1 ready\nready 1\n");
    stage_fini(&s);
}

// A list that answers an older, narrower ask is not the newer one's: taken for it, it would tell
// that the list is complete, and that others have left. [P-44]
TEST(watch, list_of_an_older_ask_is_passed_over)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    EXPECT_ERR(ph_client_watch(s.client, NULL), PH_OK);
    stage_settle(&s);
    stage_page(&s, STAGE_EPOCH, 10, PHI_PAGE_FIRST | PHI_PAGE_LAST, "+a:1:5 +b:2:6");
    stage_heard(&s);
    EXPECT_ERR(ph_client_watch(s.client, NULL), PH_OK); // its page is on the way ...
    stage_settle(&s);
    EXPECT_ERR(ph_client_watch(s.client, NULL), PH_OK); // ... when this is asked
    stage_settle(&s);
    EXPECT_EQ(s.asks, 3);
    s.asks = 2;
    stage_page(&s, STAGE_EPOCH, 10, PHI_PAGE_FIRST | PHI_PAGE_LAST, "+a:1:5");
    EXPECT_TEXT(stage_heard(&s), "");
    s.asks = 3;
    stage_page(&s, STAGE_EPOCH, 11, PHI_PAGE_FIRST | PHI_PAGE_LAST, "+a:1:5 +b:2:6 +c:3:11");
    EXPECT_TEXT(stage_heard(&s), "online c@home 3 ready\nready 11\n");
    stage_fini(&s);
}

// Somebody for whom there was no memory must not be missing for ever.
TEST(watch, list_without_memory_is_asked_for_again)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    EXPECT_ERR(ph_client_watch(s.client, NULL), PH_OK);
    stage_settle(&s);
    s.memory.bytes_max = s.memory.bytes;
    stage_page(&s, STAGE_EPOCH, 10, PHI_PAGE_FIRST | PHI_PAGE_LAST, "+a:1:5");
    EXPECT_TEXT(stage_heard(&s), "ready 10\n");
    s.memory.bytes_max = 0;
    EXPECT_EQ(s.got_count, 1);
    stage_pass(&s, phi_seconds(1));
    EXPECT_EQ(s.got_count, 2);
    EXPECT_EQ(asked(&s, 1).last_epoch, 0);
    stage_page(&s, STAGE_EPOCH, 10, PHI_PAGE_FIRST | PHI_PAGE_LAST, "+a:1:5");
    EXPECT_TEXT(stage_heard(&s), "online a@home 1 ready\n");
    stage_fini(&s);
}

// A callback that ends the watch ends the page around it, too.
TEST(watch, unwatch_inside_a_callback)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    EXPECT_ERR(ph_client_watch(s.client, NULL), PH_OK);
    stage_settle(&s);
    s.unwatches = true;
    stage_page(&s, STAGE_EPOCH, 10, PHI_PAGE_FIRST | PHI_PAGE_LAST, "+a:1:5 +b:2:6");
    EXPECT_TEXT(stage_heard(&s), "online a@home 1 ready\n");
    EXPECT_EQ(ph_client_peer_count(s.client), 0);

    EXPECT_ERR(ph_client_watch(s.client, NULL), PH_OK);
    stage_settle(&s);
    stage_page(&s, STAGE_EPOCH, 10, PHI_PAGE_FIRST | PHI_PAGE_LAST, "+a:1:5 +b:2:6");
    stage_heard(&s);
    s.unwatches = true;
    stage_page(&s, STAGE_EPOCH, 20, PHI_PAGE_FIRST | PHI_PAGE_LAST, ""); // the sweep
    EXPECT_TEXT(stage_heard(&s), "offline a@home 1 unknown\n");
    EXPECT_EQ(ph_client_peer_count(s.client), 0);

    EXPECT_ERR(ph_client_watch(s.client, NULL), PH_OK);
    stage_settle(&s);
    s.closes = true;
    stage_page(&s, STAGE_EPOCH, 30, PHI_PAGE_FIRST | PHI_PAGE_LAST, "+a:1:5 +b:2:6");
    EXPECT(strstr(stage_heard(&s), "closed PH_ECLOSED\n") != NULL);
    stage_fini(&s);
}

// A list that breaks its form ends the connection, and the next one starts from what was known.
TEST(watch, malformed_list_ends_the_connection)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    EXPECT_ERR(ph_client_watch(s.client, NULL), PH_OK);
    stage_settle(&s);
    stage_page(&s, STAGE_EPOCH, 10, PHI_PAGE_FIRST | PHI_PAGE_LAST, "+a:1:5");
    stage_heard(&s);
    stage_say(&s, PHI_COMMAND_ONLINE_STATUS, phi_bytes_text("no status"));
    EXPECT(strncmp(stage_heard(&s), "down PH_EPROTO\n", 15) == 0);
    stage_pass(&s, phi_seconds(1));
    EXPECT_EQ(s.asked.last_revision, 10);
    stage_say(&s, PHI_COMMAND_ONLINE_LIST, phi_bytes_text("no page"));
    EXPECT(strstr(stage_heard(&s), "down PH_EPROTO\n") != NULL);
    stage_fini(&s);
}

// What a full send buffer could not take is asked for when there is room.
TEST(watch, ask_waits_for_room)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    ph_client_options o = stage_options(&s);
    o.send_bytes_max = 131072;
    EXPECT_ERR(stage_client(&s, &o), PH_OK);
    EXPECT_ERR(ph_client_open(s.client), PH_OK);
    stage_settle(&s);
    stage_heard(&s);
    stage_fill(&s, 0);
    char longest[PHI_NAME_BYTES_MAX + 1] = "letters-";
    memset(longest + 8, 'x', PHI_NAME_BYTES_MAX - 8);
    ph_watch watch = PH_WATCH_INIT;
    watch.service = longest; // an ask that is longer than the rest of the buffer
    watch.domain = longest;
    EXPECT_ERR(ph_client_watch(s.client, &watch), PH_OK);
    EXPECT(s.client->owes_ask);
    stage_settle(&s);
    stage_forget(&s);
    s.write_max = SIZE_MAX;
    stage_settle(&s);
    EXPECT_TEXT(stage_heard(&s), "writable\n");
    EXPECT(!s.client->owes_ask);
    EXPECT_EQ(s.asks, 1); // behind all the events
    stage_fini(&s);
}

// A list of one peer that says all there is to say, with this round trip.
static void say_detailed(stage *s, uint32_t round_trip_us, bool round_trip_first)
{
    uint8_t fields[256];
    phi_writer w = phi_writer_of((phi_span){ fields, sizeof fields });
    if (round_trip_first) {
        phi_write_field_u32(&w, PHI_ENTRY_ROUND_TRIP, round_trip_us);
    }
    phi_write_field(&w, PHI_ENTRY_SOFTWARE, phi_bytes_text("1.2"));
    phi_write_metadata(&w, PHI_ENTRY_METADATA,
                       &(phi_metadata){ phi_bytes_text("zone"), phi_bytes_text("eu") });
    phi_write_metadata(&w, PHI_ENTRY_METADATA,
                       &(phi_metadata){ phi_bytes_text("rack"), phi_bytes_text("7") });
    if (!round_trip_first) {
        phi_write_field_u32(&w, PHI_ENTRY_ROUND_TRIP, round_trip_us);
    }
    phi_entry entry = { .what = PHI_WHAT_ONLINE,
                        .type = PHI_TYPE_DISCOVERY,
                        .state = PHI_STATE_READY,
                        .session = 1,
                        .revision = 5,
                        .id = phi_bytes_text("a@home"),
                        .service = phi_bytes_text("letters"),
                        .fields = phi_writer_view(&w) };
    uint8_t entries[512];
    phi_writer e = phi_writer_of((phi_span){ entries, sizeof entries });
    phi_entry_encode(&e, &entry);
    unsigned flags = PHI_PAGE_FIRST | PHI_PAGE_LAST | s->asks << PHI_PAGE_ASKS_SHIFT;
    phi_page page = { STAGE_EPOCH, 10, (uint8_t)flags, 1, phi_writer_view(&e) };
    uint8_t room[1024];
    phi_writer p = phi_writer_of((phi_span){ room, sizeof room });
    phi_page_encode(&p, &page);
    stage_say(s, PHI_COMMAND_ONLINE_LIST, phi_writer_view(&p));
}

// What a center says about a peer must reach the application whole. [P-46]
TEST(watch, peers_can_be_found_and_read)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    EXPECT_ERR(ph_client_watch(s.client, NULL), PH_OK);
    stage_settle(&s);
    say_detailed(&s, 77, true);

    ph_peer peer = PH_PEER_INIT;
    EXPECT_ERR(ph_client_peer_find(s.client, "a@home", &peer), PH_OK);
    EXPECT(peer.service.size == 7 && memcmp(peer.service.data, "letters", 7) == 0);
    EXPECT(peer.software.size == 3 && memcmp(peer.software.data, "1.2", 3) == 0);
    EXPECT_EQ(peer.type, PH_TYPE_DISCOVERY);
    EXPECT_EQ(peer.round_trip_us, 77);
    ph_view value;
    EXPECT_ERR(ph_peer_metadata(&peer, "rack", &value), PH_OK);
    EXPECT(value.size == 1 && value.data[0] == '7');
    EXPECT_ERR(ph_peer_metadata(&peer, "none", &value), PH_ENOTFOUND);
    EXPECT_ERR(ph_peer_metadata(NULL, "none", &value), PH_EINVAL);
    size_t cursor = 0;
    ph_view key;
    unsigned pairs = 0;
    while (ph_peer_metadata_next(&peer, &cursor, &key, &value)) {
        pairs++;
    }
    EXPECT_EQ(pairs, 2);
    cursor = 0;
    EXPECT(ph_client_peer_next(s.client, &cursor, &peer));
    EXPECT(!ph_client_peer_next(s.client, &cursor, &peer));
    EXPECT(!ph_client_peer_next(s.client, NULL, &peer));
    EXPECT_ERR(ph_client_peer_find(s.client, "a", &peer), PH_ENOTFOUND);
    EXPECT_ERR(ph_client_peer_find(s.client, NULL, &peer), PH_EINVAL);
    stage_fini(&s);
}

// A program that was compiled before ph_peer grew gets as much as it knows of and not a byte more;
// one that forgot to set the size gets an error, not a smashed stack.
TEST(watch, peer_of_another_size_gets_what_fits)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    EXPECT_ERR(ph_client_watch(s.client, NULL), PH_OK);
    stage_settle(&s);
    say_detailed(&s, 77, true);

    ph_peer older;
    memset(&older, 0x5a, sizeof older);
    older.struct_size = offsetof(ph_peer, round_trip_us);
    EXPECT_ERR(ph_client_peer_find(s.client, "a@home", &older), PH_OK);
    EXPECT_EQ(older.struct_size, offsetof(ph_peer, round_trip_us));
    EXPECT_EQ(older.session, 1);
    EXPECT_EQ(older.round_trip_us, 0x5a5a5a5a);

    struct {
        ph_peer known;
        uint64_t later;
    } newer = { PH_PEER_INIT, 5 };
    newer.known.struct_size = sizeof newer;
    size_t cursor = 0;
    EXPECT(ph_client_peer_next(s.client, &cursor, &newer.known));
    EXPECT_EQ(newer.known.round_trip_us, 77);
    EXPECT_EQ(newer.later, 0);

    older.struct_size = 0;
    EXPECT_ERR(ph_client_peer_find(s.client, "a@home", &older), PH_EINVAL);
    older.struct_size = SIZE_MAX;
    EXPECT_ERR(ph_client_peer_find(s.client, "a@home", &older), PH_EINVAL);
    EXPECT_EQ(older.round_trip_us, 0x5a5a5a5a);
    stage_fini(&s);
}

// Round trips change all the time: a list with another figure is no change, but shows it. [P-48]
TEST(watch, another_round_trip_is_no_change)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    EXPECT_ERR(ph_client_watch(s.client, NULL), PH_OK);
    stage_settle(&s);
    say_detailed(&s, 77, true);
    EXPECT_TEXT(stage_heard(&s), "online a@home 1 ready\nready 10\n");
    say_detailed(&s, 99, false);
    EXPECT_TEXT(stage_heard(&s), "");
    ph_peer peer = PH_PEER_INIT;
    EXPECT_ERR(ph_client_peer_find(s.client, "a@home", &peer), PH_OK);
    EXPECT_EQ(peer.round_trip_us, 99);
    stage_fini(&s);
}
