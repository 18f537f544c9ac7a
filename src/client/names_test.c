// SPDX-License-Identifier: Apache-2.0

#include <posthouse/posthouse.h>

#include "tests/harness/test.h"
#include "wire/codes.h"
#include "wire/presence.h"

// The names in programs' output are those of the document; a shifted table would name the wrong
// failure. [P-58]
TEST(names, failures_are_named_as_in_the_document)
{
#define PH_FAILURE(name, code, label, text)                                                        \
    EXPECT_TEXT(ph_failure_name(code), label);                                                     \
    EXPECT_TEXT(ph_failure_text(code), text);
#include <posthouse/failure.def>
#undef PH_FAILURE
    EXPECT_TEXT(ph_failure_name(1), "no_such_account");
    EXPECT_TEXT(ph_failure_name(13), "responder_lost");
    EXPECT_TEXT(ph_failure_name(18), "no_handler");
    EXPECT_TEXT(ph_failure_name(0), "unknown");
    EXPECT_TEXT(ph_failure_name(20), "too_deep");
    EXPECT_TEXT(ph_failure_name(21), "unknown");
    EXPECT_TEXT(ph_failure_name(999), "unknown");
    EXPECT_TEXT(ph_failure_name(1000), "application");
    EXPECT_TEXT(ph_failure_name(65535), "application");
    EXPECT_TEXT(ph_failure_text(11), "no reply in time");
    EXPECT_TEXT(ph_failure_text(999), "a failure this version does not know");
    EXPECT_TEXT(ph_failure_text(1000), "the responder's own failure");
}

// [P-46] [P-47]
TEST(names, presence_is_named_as_in_the_document)
{
    EXPECT_TEXT(ph_change_name(PH_ONLINE), "online");
    EXPECT_TEXT(ph_change_name(PH_OFFLINE), "offline");
    EXPECT_TEXT(ph_change_name(PH_CHANGED), "changed");
    EXPECT_TEXT(ph_change_name((ph_change)9), "unknown");
    EXPECT_TEXT(ph_reason_name(PH_REASON_NONE), "none");
    EXPECT_TEXT(ph_reason_name(PH_REASON_CONNECTION_LOST), "connection_lost");
    EXPECT_TEXT(ph_reason_name(PH_REASON_CENTER_STOPPING), "center_stopping");
    EXPECT_TEXT(ph_reason_name(PH_REASON_UNKNOWN), "unknown");
    EXPECT_TEXT(ph_reason_name((ph_reason)99), "unknown");
    EXPECT_TEXT(ph_state_name(PH_STATE_READY), "ready");
    EXPECT_TEXT(ph_state_name(PH_STATE_DOWN), "down");
    EXPECT_TEXT(ph_state_name((ph_state)9), "unknown");
    EXPECT_TEXT(ph_state_name(PH_STATE_STARTING), "starting");
    EXPECT_TEXT(ph_state_name(PH_STATE_DRAINING), "draining");
    EXPECT_TEXT(ph_state_name(PH_STATE_SUSPECT), "suspect");
    EXPECT_TEXT(ph_type_name(PH_TYPE_CLIENT), "CLIENT");
    EXPECT_TEXT(ph_type_name(PH_TYPE_GATEWAY), "GATEWAY");
    EXPECT_TEXT(ph_type_name(PH_TYPE_DISCOVERY), "DISCOVERY");
    EXPECT_TEXT(ph_type_name(PH_TYPE_CENTER), "CENTER");
    EXPECT_TEXT(ph_type_name((ph_type)0), "unknown");
}

// The public numbers are the protocol's: the library copies them without a table.
TEST(names, public_numbers_are_those_of_the_wire)
{
    EXPECT_EQ(PH_TYPE_CENTER, PHI_TYPE_CENTER);
    EXPECT_EQ(PH_STATE_STARTING, PHI_STATE_STARTING);
    EXPECT_EQ(PH_STATE_DOWN, PHI_STATE_DOWN);
    EXPECT_EQ(PH_REASON_LEFT, PHI_WHY_LEFT);
    EXPECT_EQ(PH_REASON_CENTER_STOPPING, PHI_WHY_CENTER_STOPPING);
    EXPECT_EQ(PH_ONLINE, PHI_WHAT_ONLINE);
    EXPECT_EQ(PH_CHANGED, PHI_WHAT_CHANGED);
    EXPECT_TEXT(ph_version(), PH_VERSION_TEXT);
}
