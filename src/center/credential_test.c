// SPDX-License-Identifier: Apache-2.0
//
// center/credential_test.c - what proves who somebody is, ends, and is proved anew.

#include "tests/harness/test.h"

#include "center/world_test.h"
#include "wire/credential.h"

static void peer_credential(peer *p, const char *token)
{
    uint8_t bytes[256];
    phi_writer w = phi_writer_of((phi_span){ bytes, sizeof bytes });
    phi_credential_encode(&w, &(phi_credential){ phi_bytes_text(token) });
    EXPECT(!w.failed);
    peer_packet(p, PHI_COMMAND_CREDENTIAL, bytes, phi_writer_size(&w));
}

// A center that took a token on trust, because it has no keys to judge it by, would let its bearer
// be whoever the token says. [P-76] [P-77]
TEST(credential, token_that_nobody_can_judge_is_refused)
{
    world *w = world_new(NULL);
    peer *a = world_watch(w, "a");
    peer *p = world_join(w, "p");
    peer_credential(p, "eyJhbGciOiJub25lIn0.eyJzdWIiOiJib3NzIn0.");
    world_settle(w);
    peer_expect_bye(p, PHI_BYE_NOT_AUTHORISED);
    EXPECT(peer_find(a, "p@d") == NULL);
    EXPECT_EQ(a->last_reason, PHI_WHY_KICKED);
    world_free(w);
}
