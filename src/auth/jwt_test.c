// SPDX-License-Identifier: Apache-2.0
//
// auth/jwt_test.c - tokens, judged: the examples of the standards.

#include "auth/jwt.h"

#include "tests/harness/test.h"

// RFC 7515, appendix A.1: HS256; its `exp` is 1300819380.
static const char rfc_secret[] =
    "{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75"
    "aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}";
static const char rfc_token[] =
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogIm"
    "h0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

// Tokens that other implementations make would be refused. [P-35]
TEST(jwt, of_the_standard_is_good_until_its_second)
{
    phi_jwks *keys = NULL;
    EXPECT_ERR(phi_jwks_parse(&keys, &phi_alloc_heap, phi_bytes_text(rfc_secret), NULL, NULL),
               PH_OK);
    phi_jwt_expect expect = { .issuer = phi_bytes_text("joe"), .claim = phi_bytes_text("iss") };
    phi_jwt_claims claims;
    EXPECT_EQ(
        phi_jwt_judge(phi_bytes_text(rfc_token), keys, &expect, UINT64_C(1300819379), &claims),
        PHI_JWT_GOOD);
    EXPECT_TEXT(claims.principal, "joe");
    EXPECT_EQ(claims.expires_s, 1300819380);
    EXPECT_EQ(
        phi_jwt_judge(phi_bytes_text(rfc_token), keys, &expect, UINT64_C(1300819380), &claims),
        PHI_JWT_EXPIRED);
    phi_jwks_free(&keys);
}
