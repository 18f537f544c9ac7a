// SPDX-License-Identifier: Apache-2.0
//
// tests/center/issuer.c - see issuer.h.

#include "tests/center/issuer.h"

#include "tests/harness/test.h"

void issuer_init(issuer *i)
{
    *i = (issuer){ .security = { .anonymous_local = true } };
    phi_bytes secret = phi_bytes_text(ISSUER_SECRET);
    EXPECT_ERR(phi_signer_of_secret(&i->signer, &phi_alloc_heap, secret, NULL), PH_OK);
    EXPECT_ERR(phi_jwks_of_secret(&i->keys, &phi_alloc_heap, secret, NULL), PH_OK);
    i->security.keys = i->keys;
    phi_buf_init(&i->token, &phi_alloc_heap, PHI_JWT_BYTES_MAX);
}

void issuer_fini(issuer *i)
{
    phi_signer_free(&i->signer);
    phi_jwks_free(&i->keys);
    phi_buf_fini(&i->token);
}

phi_bytes issuer_token(issuer *i, const char *subject, uint64_t expires_s)
{
    phi_buf_consume(&i->token, phi_buf_size(&i->token));
    phi_token_claims claims = { .subject = phi_bytes_text(subject), .expires_s = expires_s };
    EXPECT_ERR(phi_signer_issue(i->signer, &claims, &i->token), PH_OK);
    return phi_span_view(phi_buf_view(&i->token));
}
