// SPDX-License-Identifier: Apache-2.0
//
// app/listener_test.c - addresses as the configuration writes them.

#include "app/listener.h"

#include <string.h>

#include "base/compiler.h"
#include "tests/harness/test.h"

// What is spoken on an address is its most important property: a prefix that was overlooked would
// make a plain listener of one that was meant to be TLS.
TEST(listener, says_what_is_spoken_where)
{
    static const struct {
        const char *text;
        center_listener kind;
        bool is_local;
        const char *address;
    } rows[] = {
        { "127.0.0.1:1", CENTER_LISTENER_PLAIN, true, "127.0.0.1:1" },
        { "127.0.0.1", CENTER_LISTENER_PLAIN, true, "127.0.0.1:7678" },
        { "localhost", CENTER_LISTENER_PLAIN, true, "localhost:7678" },
        { "[::1]", CENTER_LISTENER_PLAIN, true, "[::1]:7678" },
        { "[::1]:5", CENTER_LISTENER_PLAIN, true, "[::1]:5" },
        { "0.0.0.0:7678", CENTER_LISTENER_PLAIN, false, "0.0.0.0:7678" },
        { "unix:/a/b", CENTER_LISTENER_PLAIN, true, "unix:/a/b" },
        { "tls:0.0.0.0", CENTER_LISTENER_TLS, false, "0.0.0.0:7679" },
        { "tls:[::]", CENTER_LISTENER_TLS, false, "[::]:7679" },
        { "tls:127.0.0.1:9", CENTER_LISTENER_TLS, true, "127.0.0.1:9" },
        { "centers:10.0.0.1", CENTER_LISTENER_CENTERS, false, "10.0.0.1:7680" },
        { "centers:10.0.0.1:1", CENTER_LISTENER_CENTERS, false, "10.0.0.1:1" },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(rows); i++) {
        listener l;
        EXPECT_ERR(listener_parse(rows[i].text, &l, NULL), PH_OK);
        EXPECT_EQ(l.kind, rows[i].kind);
        EXPECT_EQ(l.is_local, rows[i].is_local);
        EXPECT_TEXT(l.address, rows[i].address);
        char text[LISTENER_TEXT_MAX];
        listener_format(l.kind, l.address, text);
        listener again;
        EXPECT_ERR(listener_parse(text, &again, NULL), PH_OK);
        EXPECT_EQ(again.kind, l.kind);
        EXPECT_TEXT(again.address, l.address);
    }
}

// What is not understood must be refused: "TLS:" is no prefix, and would be a host of that name.
TEST(listener, refuses_what_it_does_not_understand)
{
    static const char *const wrong[] = {
        "",       "tls:",     "centers:", "TLS:0.0.0.0:1",   "tls:unix:/a", "here",
        "here:1", "tls:here", "1.2.3",    "tls:tls:1.2.3.4", "::1",         "[::1",
    };
    for (size_t i = 0; i < PHI_COUNT_OF(wrong); i++) {
        listener l = { .address = "untouched" };
        phi_diag diag = { { 0 } };
        if (listener_parse(wrong[i], &l, &diag) != PH_EINVAL) {
            fail_msg("accepted: '%s' as %s", wrong[i], l.address);
        }
        EXPECT_TEXT(l.address, "untouched");
        EXPECT(diag.text[0] != '\0');
    }
    char longer[300] = "tls:";
    memset(longer + 4, 'a', sizeof longer - 5);
    listener l;
    EXPECT_ERR(listener_parse(longer, &l, NULL), PH_EINVAL);
}
