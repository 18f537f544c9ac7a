// SPDX-License-Identifier: Apache-2.0

#include "base/diag.h"

#include <string.h>

#include "tests/harness/test.h"

// What a user reads of a failure is made here: the outermost phrase first.
TEST(diag, phrases_stand_outermost_first)
{
    phi_diag diag = { "" };
    EXPECT_ERR(phi_diag_add(&diag, PH_EADDRINUSE, "%s", "Address already in use"), PH_EADDRINUSE);
    EXPECT_ERR(phi_diag_add(&diag, PH_EADDRINUSE, "bind"), PH_EADDRINUSE);
    EXPECT_ERR(phi_diag_add(&diag, PH_ESYSTEM, "listen on 127.0.0.1:%d", 7678), PH_ESYSTEM);
    EXPECT_TEXT(phi_diag_text(&diag), "listen on 127.0.0.1:7678: bind: Address already in use");
}

// Callers who do not care pass NULL, also on error paths nobody tests.
TEST(diag, null_is_ignored)
{
    EXPECT_ERR(phi_diag_add(NULL, PH_ENOMEM, "x %d", 1), PH_ENOMEM);
    EXPECT_TEXT(phi_diag_text(NULL), "");
}

// File names and peers' texts may be longer than the buffer.
TEST(diag, overlong_is_cut_and_terminated)
{
    char text[2000];
    for (size_t size = PHI_DIAG_BYTES_MAX - 8; size < PHI_DIAG_BYTES_MAX + 8; size++) {
        memset(text, 'x', size);
        text[size] = '\0';
        phi_diag diag = { "" };
        (void)phi_diag_add(&diag, PH_EINVAL, "inner");
        (void)phi_diag_add(&diag, PH_EINVAL, "%s", text);
        size_t expected = size + strlen(": inner");
        expected = expected < PHI_DIAG_BYTES_MAX ? expected : PHI_DIAG_BYTES_MAX - 1;
        EXPECT_EQ(strlen(diag.text), expected);

        (void)phi_diag_add(&diag, PH_EINVAL, "outer");
        EXPECT_EQ(strlen(diag.text), PHI_DIAG_BYTES_MAX - 1);
        EXPECT_EQ(strncmp(diag.text, "outer: xxxx", 11), 0);
    }
}
