// SPDX-License-Identifier: Apache-2.0

#include <posthouse/state.h>

#include "client/core.h"
#include "tests/client/stage.h"
#include "tests/harness/test.h"
#include "wire/own_state.h"

// The n-th packet the center got. Views point into the stage.
static phi_own_state said(stage *s, unsigned n)
{
    phi_own_state own = { .state = 0 };
    assert_true(n < s->got_count);
    EXPECT_EQ(s->got[n].command, PHI_COMMAND_OWN_STATE);
    EXPECT_ERR(phi_own_state_decode(phi_bytes_of(s->got[n].payload, s->got[n].size), &own), PH_OK);
    return own;
}

static ph_err set(stage *s, ph_state state)
{
    ph_own_state own = PH_OWN_STATE_INIT;
    own.state = state;
    return ph_client_set_state(s->client, &own);
}

// What is changed is said, and nothing else; the next connection begins with all of it. [P-35]
// [P-72]
TEST(own_state, change_is_said_and_remembered)
{
    stage s;
    stage_init(&s, PHI_SUITE_CHECK);
    ph_client_options o = stage_options(&s);
    o.state = PH_STATE_STARTING;
    o.weight = 7;
    o.software = "one";
    ph_metadata first = { "zone", "a" };
    o.metadata = &first;
    o.metadata_count = 1;
    EXPECT_ERR(stage_client(&s, &o), PH_OK);
    EXPECT_ERR(ph_client_open(s.client), PH_OK);
    stage_settle(&s);
    EXPECT_EQ(s.join.state, PHI_STATE_STARTING);
    EXPECT_EQ(s.join.weight, 7);
    EXPECT_EQ(s.got_count, 0);

    EXPECT_ERR(set(&s, PH_STATE_READY), PH_OK);
    ph_own_state own = PH_OWN_STATE_INIT;
    ph_metadata pairs[] = { { "zone", "b" }, { "rack", "" } };
    own.has_metadata = true;
    own.metadata = pairs;
    own.metadata_count = 2;
    EXPECT_ERR(ph_client_set_state(s.client, &own), PH_OK);
    own = (ph_own_state)PH_OWN_STATE_INIT;
    own.software = "two";
    own.has_weight = true; // of 0
    EXPECT_ERR(ph_client_set_state(s.client, &own), PH_OK);
    stage_settle(&s);
    phi_own_state got = said(&s, 0);
    EXPECT(got.state == PHI_STATE_READY && !got.has_weight && !got.has_metadata);
    EXPECT(!got.has_software);
    got = said(&s, 1);
    EXPECT(got.state == 0 && got.has_metadata && !got.has_software);
    EXPECT_EQ(got.metadata_count, 2);
    EXPECT(phi_bytes_equal(got.metadata[0].value, phi_bytes_text("b")));
    got = said(&s, 2);
    EXPECT(got.has_weight && got.weight == 0 && got.has_software);
    EXPECT(phi_bytes_equal(got.software, phi_bytes_text("two")));
    EXPECT_EQ(s.got_count, 3);

    stage_forget(&s);
    stage_cut(&s);
    stage_pass(&s, phi_seconds(11));
    EXPECT_EQ(s.join.state, PHI_STATE_READY);
    EXPECT_EQ(s.join.weight, 0);
    EXPECT_EQ(s.join.metadata_count, 2);
    EXPECT_EQ(s.join.software.size, 3);
    EXPECT_EQ(s.got_count, 0); // JOIN said it
    stage_fini(&s);
}

// "None" is something to say, too, and not the same as nothing. [P-72]
TEST(own_state, metadata_and_software_can_be_taken_back)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    ph_client_options o = stage_options(&s);
    o.software = "one";
    ph_metadata pair = { "zone", "a" };
    o.metadata = &pair;
    o.metadata_count = 1;
    EXPECT_ERR(stage_client(&s, &o), PH_OK);
    ph_own_state own = PH_OWN_STATE_INIT;
    own.has_metadata = true;
    EXPECT_ERR(ph_client_set_state(s.client, &own), PH_OK); // before it is opened
    EXPECT_EQ(s.client->join.metadata_count, 0);
    EXPECT_EQ(s.client->join.software.size, 3);
    EXPECT_ERR(ph_client_open(s.client), PH_OK);
    stage_settle(&s);
    EXPECT_EQ(s.join.metadata_count, 0);
    EXPECT_EQ(s.got_count, 0);
    own.software = "";
    EXPECT_ERR(ph_client_set_state(s.client, &own), PH_OK);
    stage_settle(&s);
    phi_own_state got = said(&s, 0);
    EXPECT(got.has_metadata && got.metadata_count == 0);
    EXPECT(got.has_software && got.software.size == 0);
    stage_fini(&s);
}

// A full buffer loses no change, and says only how it came out. [P-72]
TEST(own_state, full_buffer_only_delays)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    stage_fill(&s, 4096);
    EXPECT_ERR(set(&s, PH_STATE_STARTING), PH_OK);
    EXPECT_ERR(set(&s, PH_STATE_READY), PH_OK);
    EXPECT_ERR(set(&s, PH_STATE_DRAINING), PH_OK);
    EXPECT(s.client->owes_own != 0);
    do {
        stage_forget(&s); // what waited before it
        s.write_max += 16384;
        stage_settle(&s);
    } while (phi_link_waiting(&s.client->transport.link) != 0);
    EXPECT_EQ(said(&s, s.got_count - 1).state, PHI_STATE_DRAINING);
    EXPECT_EQ(s.got_lost, 0);
    stage_fini(&s);
}

// A change between JOIN and WELCOME is not lost: JOIN said something else. [P-72]
TEST(own_state, change_while_joining_follows)
{
    for (unsigned turns = 0; turns < 8; turns++) {
        stage s;
        stage_init(&s, PHI_SUITE_PLAIN);
        EXPECT_ERR(stage_client(&s, NULL), PH_OK);
        EXPECT_ERR(ph_client_open(s.client), PH_OK);
        for (unsigned i = 0; i < turns; i++) {
            stage_turn(&s);
        }
        EXPECT_ERR(set(&s, PH_STATE_STARTING), PH_OK);
        stage_settle(&s);
        bool in_join = s.join.state == PHI_STATE_STARTING;
        EXPECT_EQ(s.got_count, in_join ? 0 : 1);
        EXPECT(in_join || said(&s, 0).state == PHI_STATE_STARTING);
        stage_fini(&s);
    }
}

// What no center would take is refused at once, and changes nothing. [P-12] [P-35] [P-72]
TEST(own_state, out_of_range)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    ph_own_state own = PH_OWN_STATE_INIT;
    EXPECT_ERR(ph_client_set_state(NULL, &own), PH_EINVAL);
    EXPECT_ERR(ph_client_set_state(s.client, NULL), PH_EINVAL);
    EXPECT_ERR(set(&s, PH_STATE_SUSPECT), PH_EINVAL);
    own.has_weight = true;
    own.weight = PH_WEIGHT_MAX + 1;
    EXPECT_ERR(ph_client_set_state(s.client, &own), PH_EINVAL);
    own = (ph_own_state)PH_OWN_STATE_INIT;
    own.struct_size = sizeof(size_t);
    EXPECT_ERR(ph_client_set_state(s.client, &own), PH_EINVAL);
    own = (ph_own_state)PH_OWN_STATE_INIT;
    own.software = "01234567890123456789012345678901234567890123456789012345678901234";
    EXPECT_ERR(ph_client_set_state(s.client, &own), PH_EINVAL);
    own = (ph_own_state)PH_OWN_STATE_INIT;
    own.has_metadata = true;
    own.metadata_count = 1;
    EXPECT_ERR(ph_client_set_state(s.client, &own), PH_EINVAL);
    static char value[PHI_METADATA_VALUE_BYTES_MAX + 1];
    memset(value, 'v', sizeof value - 1);
    ph_metadata pairs[9];
    for (size_t i = 0; i < PHI_COUNT_OF(pairs); i++) {
        pairs[i] = (ph_metadata){ "key", value };
    }
    own.metadata = pairs;
    own.metadata_count = PHI_COUNT_OF(pairs);
    EXPECT_ERR(ph_client_set_state(s.client, &own), PH_EINVAL);
    own.metadata_count = 6;
    EXPECT_ERR(ph_client_set_state(s.client, &own), PH_OK);
    s.memory.fail_at = s.memory.takes + 1;
    own.metadata_count = 5;
    EXPECT_ERR(ph_client_set_state(s.client, &own), PH_ENOMEM);
    EXPECT_EQ(s.client->join.metadata_count, 6);
    ph_client_close(s.client);
    EXPECT_ERR(set(&s, PH_STATE_READY), PH_ECLOSED);
    stage_fini(&s);
}

// Who does not want to hear of it need not. [P-72]
TEST(own_state, wish_without_handler)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    ph_client_options o = stage_options(&s);
    o.on_state_wish = NULL;
    EXPECT_ERR(stage_client(&s, &o), PH_OK);
    EXPECT_ERR(ph_client_open(s.client), PH_OK);
    stage_settle(&s);
    static const uint8_t wish[] = { PHI_OWN_STATE_STATE, 0, 1, PHI_STATE_DRAINING };
    stage_say(&s, PHI_COMMAND_OWN_STATE, phi_bytes_of(wish, sizeof wish));
    EXPECT_TEXT(stage_heard(&s), "up me@home\n");
    EXPECT_EQ(ph_client_state(s.client), PH_LINK_UP);
    stage_fini(&s);
}

// A center that wants it drained is heard; and one that says so in a broken way is left. [P-31]
// [P-72]
TEST(own_state, wish_of_an_operator)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    stage_up(&s);
    uint8_t room[16];
    phi_writer w = phi_writer_of((phi_span){ room, sizeof room });
    phi_own_state_encode(&w, &(phi_own_state){ .state = PHI_STATE_DRAINING });
    stage_say(&s, PHI_COMMAND_OWN_STATE, phi_writer_view(&w));
    EXPECT_TEXT(stage_heard(&s), "wish draining\n");
    EXPECT_EQ(s.client->join.state, PHI_STATE_READY); // what it says itself stays
    stage_say(&s, PHI_COMMAND_OWN_STATE, (phi_bytes){ NULL, 0 });
    EXPECT_TEXT(stage_heard(&s), "down PH_EPROTO\n");
    EXPECT_EQ(s.end_code, PHI_BYE_MALFORMED);
    stage_fini(&s);
}
