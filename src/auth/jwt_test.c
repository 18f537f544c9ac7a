// SPDX-License-Identifier: Apache-2.0
//
// auth/jwt_test.c - tokens, judged: the examples of the standards, and time to the second.

#include "auth/jwt.h"

#include <stdio.h>

#include "auth/key.h"
#include "auth/principal.h"
#include "auth/signer.h"
#include "tests/auth/token_fixture.h"
#include "tests/harness/test.h"

#define NOW_S UINT64_C(1800000000)

// RFC 7515, appendix A.1: HS256; its `exp` is 1300819380.
static const char rfc_secret[] =
    "{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS"
    "0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}";
static const char rfc_token[] =
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogIm"
    "h0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

static const phi_jwt_expect anybody = { .leeway_s = 0 };

// Signs `payload`, in which ' stands for ", with the key of ES256; judges it at `now_s`.
static phi_jwt_fault judge(const char *payload, const phi_jwt_expect *expect, uint64_t now_s,
                           phi_jwt_claims *claims)
{
    static const char header[] = "{\"alg\":\"ES256\",\"kid\":\"es\"}";
    char json[512];
    size_t size = strlen(payload);
    assert_true(size < sizeof json);
    for (size_t i = 0; i < size; i++) {
        json[i] = payload[i] == '\'' ? '"' : payload[i];
    }
    phi_signer *signer = NULL;
    phi_jwks *keys = NULL;
    phi_buf token;
    phi_buf_init(&token, &phi_alloc_heap, PHI_JWT_BYTES_MAX);
    EXPECT_ERR(phi_signer_parse(&signer, &phi_alloc_heap,
                                phi_bytes_text(phi_fixture_private[PHI_JWS_ES256]), NULL),
               PH_OK);
    phi_buf set;
    phi_buf_init(&set, &phi_alloc_heap, PHI_JWKS_BYTES_MAX);
    EXPECT_ERR(phi_signer_write_public(signer, &set), PH_OK);
    EXPECT_ERR(
        phi_jwks_parse(&keys, &phi_alloc_heap, phi_span_view(phi_buf_view(&set)), NULL, NULL),
        PH_OK);
    EXPECT_ERR(phi_signer_sign(signer, phi_bytes_text(header), phi_bytes_of(json, size), &token),
               PH_OK);
    phi_jwt_fault fault =
        phi_jwt_judge(phi_span_view(phi_buf_view(&token)), keys, expect, now_s, claims);
    phi_buf_fini(&set);
    phi_buf_fini(&token);
    phi_jwks_free(&keys);
    phi_signer_free(&signer);
    return fault;
}

// Tokens that other implementations make would be refused. [P-79]
TEST(jwt, of_the_standard_is_good_until_its_second)
{
    phi_jwks *keys = NULL;
    EXPECT_ERR(phi_jwks_parse(&keys, &phi_alloc_heap, phi_bytes_text(rfc_secret), NULL, NULL),
               PH_OK);
    phi_jwt_expect expect = { .issuer = phi_bytes_text("joe"), .claim = phi_bytes_text("iss") };
    phi_bytes token = phi_bytes_text(rfc_token);
    phi_jwt_claims claims;
    EXPECT_EQ(phi_jwt_judge(token, keys, &expect, UINT64_C(1300819379), &claims), PHI_JWT_GOOD);
    EXPECT_TEXT(claims.principal, "joe");
    EXPECT_EQ(claims.expires_s, 1300819380);
    EXPECT_EQ(phi_jwt_judge(token, keys, &expect, UINT64_C(1300819380), &claims), PHI_JWT_EXPIRED);
    phi_jwks_free(&keys);
}

// RFC 8037 A.4: with that key this input has this signature, and EdDSA has no other. [P-79]
TEST(jwt, of_the_standard_for_curves_has_its_signature)
{
    static const char key[] = "{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
                              "\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\","
                              "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}";
    static const char token[] =
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PG"
        "cvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    phi_signer *signer = NULL;
    phi_buf made;
    phi_buf_init(&made, &phi_alloc_heap, PHI_JWT_BYTES_MAX);
    EXPECT_ERR(phi_signer_parse(&signer, &phi_alloc_heap, phi_bytes_text(key), NULL), PH_OK);
    EXPECT_ERR(phi_signer_sign(signer, phi_bytes_text("{\"alg\":\"EdDSA\"}"),
                               phi_bytes_text("Example of Ed25519 signing"), &made),
               PH_OK);
    EXPECT(phi_bytes_equal(phi_span_view(phi_buf_view(&made)), phi_bytes_text(token)));
    phi_buf_fini(&made);
    phi_signer_free(&signer);
}

// Who is cut off a second early joins in vain; who is let in a second late should be gone. [P-79]
TEST(jwt, times_are_judged_to_the_second)
{
    static const struct {
        const char *claims;
        uint32_t leeway_s;
        int64_t offset; // of the clock from NOW_S
        phi_jwt_fault fault;
    } cases[] = {
        { "'exp':1800000000", 0, -1, PHI_JWT_GOOD },
        { "'exp':1800000000", 0, 0, PHI_JWT_EXPIRED },
        { "'exp':1800000000", 60, 0, PHI_JWT_GOOD },
        { "'exp':1800000000", 60, 59, PHI_JWT_GOOD },
        { "'exp':1800000000", 60, 60, PHI_JWT_EXPIRED },
        { "'exp':1800000000", PHI_JWT_LEEWAY_MAX_S, 299, PHI_JWT_GOOD },
        { "'exp':1800000000", PHI_JWT_LEEWAY_MAX_S, 300, PHI_JWT_EXPIRED },
        { "'exp':1800000000.999", 0, 0, PHI_JWT_EXPIRED },
        { "'exp':1800000001.0", 0, 0, PHI_JWT_GOOD },
        { "'exp':1800000100,'nbf':1800000000", 0, 0, PHI_JWT_GOOD },
        { "'exp':1800000100,'nbf':1800000000", 0, -1, PHI_JWT_EARLY },
        { "'exp':1800000100,'nbf':1800000000", 60, -60, PHI_JWT_GOOD },
        { "'exp':1800000100,'nbf':1800000000", 60, -61, PHI_JWT_EARLY },
        { "'exp':1800000100,'nbf':1800000000.001", 0, 0, PHI_JWT_EARLY },
        { "'exp':1800000100,'nbf':1800000000.001", 0, 1, PHI_JWT_GOOD },
        { "'exp':1800000100,'iat':1800000000", 60, -60, PHI_JWT_GOOD },
        { "'exp':1800000100,'iat':1800000000", 60, -61, PHI_JWT_EARLY },
        // It is over and has not begun: over is what cannot be helped by waiting.
        { "'exp':1800000000,'nbf':1800000001", 0, 0, PHI_JWT_EXPIRED },
        { "'exp':0", PHI_JWT_LEEWAY_MAX_S, -1800000000, PHI_JWT_GOOD },
        { "'exp':0", 0, -1800000000, PHI_JWT_EXPIRED },
        { "'exp':253402300799", 0, 0, PHI_JWT_GOOD },
        { "'exp':253402300800", 0, 0, PHI_JWT_CLAIM },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(cases); i++) {
        char payload[256];
        snprintf(payload, sizeof payload, "{'sub':'orders',%s}", cases[i].claims);
        phi_jwt_expect expect = { .leeway_s = cases[i].leeway_s };
        phi_jwt_claims claims = { .expires_s = 0 };
        uint64_t now_s = (uint64_t)((int64_t)NOW_S + cases[i].offset);
        phi_jwt_fault fault = judge(payload, &expect, now_s, &claims);
        if (fault != cases[i].fault) {
            fail_msg("case %zu: %s", i, phi_jwt_fault_name(fault));
        }
        EXPECT(fault != PHI_JWT_GOOD || claims.expires_s > now_s);
        EXPECT(fault == PHI_JWT_GOOD || claims.expires_s == 0);
    }
}

// A token would be read that does not fit where it is read to; or one that fits would be refused.
// [P-35]
TEST(jwt, has_at_most_4096_bytes)
{
    phi_signer *signer = NULL;
    phi_jwks *keys = NULL;
    EXPECT_ERR(phi_signer_parse(&signer, &phi_alloc_heap,
                                phi_bytes_text(phi_fixture_private[PHI_JWS_ES256]), NULL),
               PH_OK);
    EXPECT_ERR(
        phi_jwks_parse(&keys, &phi_alloc_heap, phi_bytes_text(phi_fixture_public), NULL, NULL),
        PH_OK);
    unsigned seen = 0;
    for (int filler = 2935; filler < 2955; filler++) {
        for (int blanks = 0; blanks < 3; blanks++) {
            char header[64];
            char payload[4096];
            phi_buf token;
            phi_buf_init(&token, &phi_alloc_heap, 2 * PHI_JWT_BYTES_MAX);
            snprintf(header, sizeof header, "{\"alg\":\"ES256\",\"kid\":\"es\"%*s}", blanks, "");
            snprintf(payload, sizeof payload, "{\"sub\":\"a\",\"exp\":1800000100,\"x\":\"%0*d\"}",
                     filler, 0);
            EXPECT_ERR(
                phi_signer_sign(signer, phi_bytes_text(header), phi_bytes_text(payload), &token),
                PH_OK);
            phi_jwt_claims claims;
            phi_bytes view = phi_span_view(phi_buf_view(&token));
            EXPECT_EQ(phi_jwt_judge(view, keys, &anybody, NOW_S, &claims),
                      view.size <= PHI_JWT_BYTES_MAX ? PHI_JWT_GOOD : PHI_JWT_MALFORMED);
            seen |= view.size == PHI_JWT_BYTES_MAX       ? 1u
                    : view.size == PHI_JWT_BYTES_MAX + 1 ? 2u
                                                         : 0;
            phi_buf_fini(&token);
        }
    }
    EXPECT_EQ(seen, 3);
    phi_jwks_free(&keys);
    phi_signer_free(&signer);
}

// The account would be another's, or the wrong one of several names. [P-79]
TEST(jwt, names_its_principal_in_the_claim_that_was_asked_for)
{
    phi_jwt_claims claims;
    phi_jwt_expect expect = { .claim = phi_bytes_text("https://example.com/service") };
    EXPECT_EQ(judge("{'exp':1800000100,'sub':'a','https://example.com/service':'b'}", &expect,
                    NOW_S, &claims),
              PHI_JWT_GOOD);
    EXPECT_TEXT(claims.principal, "b");
    EXPECT_EQ(judge("{'exp':1800000100,'sub':'a'}", &expect, NOW_S, &claims), PHI_JWT_CLAIM);
    EXPECT_EQ(judge("{'exp':1800000100,'sub':'a'}", &anybody, NOW_S, &claims), PHI_JWT_GOOD);
    EXPECT_TEXT(claims.principal, "a");
    EXPECT_EQ(judge("{'exp':1800000100,'sub':"
                    "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'}",
                    &anybody, NOW_S, &claims),
              PHI_JWT_GOOD);
    EXPECT_EQ(strlen(claims.principal), PHI_PRINCIPAL_BYTES_MAX);
    EXPECT_EQ(judge("{'exp':1800000100,'sub':"
                    "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'}",
                    &anybody, NOW_S, &claims),
              PHI_JWT_NAME);
}

// Without an expected issuer or audience any is good; but a broken one is no claim. [P-79]
TEST(jwt, for_anybody_is_still_well_formed)
{
    phi_jwt_claims claims;
    EXPECT_EQ(judge("{'exp':1800000100,'sub':'a','iss':'x','aud':['y']}", &anybody, NOW_S, &claims),
              PHI_JWT_GOOD);
    EXPECT_EQ(judge("{'exp':1800000100,'sub':'a','iss':1}", &anybody, NOW_S, &claims),
              PHI_JWT_CLAIM);
    EXPECT_EQ(judge("{'exp':1800000100,'sub':'a','aud':{}}", &anybody, NOW_S, &claims),
              PHI_JWT_CLAIM);
}

// With one key that has an id, a token that names none is its own; one that names another is not.
// [P-79]
TEST(jwt, without_a_kid_is_of_the_only_key)
{
    phi_jwks *keys = NULL;
    EXPECT_ERR(phi_jwks_parse(&keys, &phi_alloc_heap, phi_bytes_text(rfc_secret), NULL, NULL),
               PH_OK);
    phi_bytes id = phi_bytes_text("x");
    phi_bytes empty = phi_bytes_text("");
    EXPECT(phi_jwks_find(keys, NULL) != NULL);
    EXPECT(phi_jwks_find(keys, &id) == NULL);
    EXPECT(phi_jwks_find(keys, &empty) == NULL);
    phi_jwks_free(&keys);
}

// A refusal would be logged and counted under nothing, or under the same as another.
TEST(jwt, fault_has_a_name_and_a_sentence_of_its_own)
{
    for (phi_jwt_fault i = 0; i < PHI_JWT_FAULT_COUNT; i++) {
        EXPECT(strncmp(phi_jwt_fault_name(i), "token_", 6) == 0);
        EXPECT(strlen(phi_jwt_fault_text(i)) > 10);
        for (phi_jwt_fault k = 0; k < i; k++) {
            EXPECT(strcmp(phi_jwt_fault_name(i), phi_jwt_fault_name(k)) != 0);
            EXPECT(strcmp(phi_jwt_fault_text(i), phi_jwt_fault_text(k)) != 0);
        }
    }
}
