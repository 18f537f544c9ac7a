// SPDX-License-Identifier: Apache-2.0
//
// fuzz/fuzz_jwt.c - what strangers and issuers send: tokens, key sets, secrets. What is believed
// satisfies what the center relies on; what is refused leaves nothing behind.
//
// The first byte says what the rest is: 0 a token as it comes; 1 a header and, behind a NUL, a
// payload, which a trusted issuer signs, so that the claims are reached; 2 a key set; 3 a private
// key; 4 a secret; 5 base64url.

#include "fuzz/fuzz.h"

#include <string.h>

#include "auth/base64url.h"
#include "auth/jwt.h"
#include "auth/principal.h"
#include "auth/signer.h"
#include "tests/auth/token_fixture.h"

#define NOW_S UINT64_C(1800000000)

static const phi_jwks *fixture_keys(void)
{
    static phi_jwks *keys;
    if (keys == NULL) {
        ph_err rc =
            phi_jwks_parse(&keys, &phi_alloc_heap, phi_bytes_text(phi_fixture_public), NULL, NULL);
        fuzz_expect(rc == PH_OK, "the fixture's keys are refused");
    }
    return keys;
}

static const phi_signer *fixture_signer(void)
{
    static phi_signer *signer;
    if (signer == NULL) {
        ph_err rc = phi_signer_parse(&signer, &phi_alloc_heap,
                                     phi_bytes_text(phi_fixture_private[PHI_JWS_HS256]), NULL);
        fuzz_expect(rc == PH_OK, "the fixture's key is refused");
    }
    return signer;
}

static void judge(phi_bytes token, bool is_bound)
{
    phi_jwt_expect expect = { .leeway_s = 60 };
    if (is_bound) {
        expect.issuer = phi_bytes_text("issuer");
        expect.audience = phi_bytes_text("center");
    }
    phi_jwt_claims claims;
    memset(&claims, 0xa5, sizeof claims);
    phi_jwt_fault fault = phi_jwt_judge(token, fixture_keys(), &expect, NOW_S, &claims);
    fuzz_expect((size_t)fault < PHI_JWT_FAULT_COUNT, "no such fault");
    if (fault != PHI_JWT_GOOD) {
        fuzz_expect((uint8_t)claims.principal[0] == 0xa5, "claims of a token that is refused");
        return;
    }
    fuzz_expect(token.size <= PHI_JWT_BYTES_MAX, "a token that is too long");
    fuzz_expect(memchr(claims.principal, 0, sizeof claims.principal) != NULL, "a name without end");
    fuzz_expect(phi_principal_is_valid(phi_bytes_text(claims.principal)), "no name");
    fuzz_expect(claims.expires_s > NOW_S, "a token that has expired");
}

static void sign_and_judge(phi_bytes both)
{
    const uint8_t *end = both.size == 0 ? NULL : memchr(both.data, 0, both.size);
    size_t header = end == NULL ? both.size : (size_t)(end - both.data);
    size_t from = end == NULL ? header : header + 1;
    phi_buf token;
    phi_buf_init(&token, &phi_alloc_heap, 4 * PHI_JWT_BYTES_MAX);
    ph_err rc = phi_signer_sign(fixture_signer(), phi_bytes_of(both.data, header),
                                phi_bytes_of(both.data + from, both.size - from), &token);
    if (rc == PH_OK) {
        judge(phi_span_view(phi_buf_view(&token)), true);
        judge(phi_span_view(phi_buf_view(&token)), false);
    }
    phi_buf_fini(&token);
}

static void read_set(phi_bytes json)
{
    phi_alloc_counter counter;
    phi_alloc_counter_init(&counter, &phi_alloc_heap);
    phi_jwks *keys = NULL;
    phi_diag diag = { { 0 } };
    uint32_t skipped = 0;
    ph_err rc = phi_jwks_parse(&keys, &counter.alloc, json, &skipped, &diag);
    if (rc == PH_OK) {
        fuzz_expect(phi_jwks_count(keys) >= 1, "a set without a key");
        fuzz_expect(phi_jwks_count(keys) + skipped <= PHI_JWKS_KEYS_MAX, "too many keys");
        phi_jwks_free(&keys);
    } else {
        fuzz_expect(rc == PH_EINVAL, "neither good nor bad");
        fuzz_expect(diag.text[0] != '\0', "refused without a word");
        for (const char *c = diag.text; *c != '\0'; c++) {
            fuzz_expect(*c >= ' ' && *c <= '~', "a stranger's text in a message");
        }
    }
    fuzz_expect(counter.blocks == 0, "memory was lost");
}

static void read_private(phi_bytes json)
{
    phi_signer *signer = NULL;
    phi_diag diag = { { 0 } };
    if (phi_signer_parse(&signer, &phi_alloc_heap, json, &diag) != PH_OK) {
        fuzz_expect(diag.text[0] != '\0', "refused without a word");
        return;
    }
    phi_jwks *keys = NULL;
    phi_buf text;
    phi_buf_init(&text, &phi_alloc_heap, PHI_JWKS_BYTES_MAX);
    ph_err rc = phi_signer_write_public(signer, &text);
    fuzz_expect(rc == PH_OK, "a key that cannot be written");
    rc = phi_jwks_parse(&keys, &phi_alloc_heap, phi_span_view(phi_buf_view(&text)), NULL, NULL);
    fuzz_expect(rc == PH_OK, "a public key that cannot be read again");
    phi_jwks_free(&keys);
    phi_buf_fini(&text);
    phi_signer_free(&signer);
}

static void round_trip(phi_bytes text)
{
    uint8_t bytes[4096];
    uint8_t again[PHI_BASE64URL_CHARS(sizeof bytes)];
    phi_bytes view;
    if (PHI_BASE64URL_BYTES(text.size) <= sizeof bytes &&
        phi_base64url_decode(text, (phi_span){ bytes, sizeof bytes }, &view)) {
        phi_bytes back = phi_base64url_encode(view, (phi_span){ again, sizeof again });
        fuzz_expect(phi_bytes_equal(back, text), "two spellings of the same bytes");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    phi_bytes rest = phi_bytes_of(data + 1, size - 1);
    switch (data[0]) {
    case 0:
        judge(rest, false);
        break;
    case 1:
        sign_and_judge(rest);
        break;
    case 2:
        read_set(rest);
        break;
    case 3:
        read_private(rest);
        break;
    case 4:
        (void)!phi_secret_judge(rest, NULL);
        break;
    default:
        round_trip(rest);
        break;
    }
    return 0;
}
