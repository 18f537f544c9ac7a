// SPDX-License-Identifier: Apache-2.0
//
// auth/jwk_test.c - key sets: which are taken, which are refused, and with what advice.

#include "auth/jwk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/base64url.h"
#include "auth/key.h"
#include "auth/signer.h"
#include "auth/strict.h"
#include "base/random.h"
#include "tests/auth/token_fixture.h"
#include "tests/harness/test.h"

#define ROOM (128u * 1024u)
#define EC_X "'x':'WKn-ZIGevcwGIyyrzFoZNBdaq9_TsqzGl96oc0CWuis'"
#define EC_Y "'y':'y77t-RvAHRKTsSGdIYUfweuOvwrvDD-Q3Hv5J0fSKbA'" // of another x
#define ED_X "'x':'11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo'" // RFC 8037 A.2
#define SECRET                                                                                     \
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
#define GOOD_ED "{'kty':'OKP','crv':'Ed25519'," ED_X "}"
#define A100                                                                                       \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aaaaaaaaaaaa"

static char text_room[ROOM];

// ' stands for ".
static phi_bytes unquote(const char *text)
{
    size_t size = strlen(text);
    assert_true(size < ROOM);
    for (size_t i = 0; i < size; i++) {
        text_room[i] = text[i] == '\'' ? '"' : text[i];
    }
    return phi_bytes_of(text_room, size);
}

static ph_err parse(const char *text, phi_jwks **out, uint32_t *skipped, phi_diag *diag)
{
    diag->text[0] = '\0';
    return phi_jwks_parse(out, &phi_alloc_heap, unquote(text), skipped, diag);
}

// An issuer's tokens would be refused because of what else stands in its set, or a key for
// something else would verify tokens.
TEST(jwk, set_is_read_and_what_is_for_something_else_passed_over)
{
    static const struct {
        const char *name;
        const char *json;
        uint32_t count;
        uint32_t skipped;
    } sets[] = {
        { "a key by itself", GOOD_ED, 1, 0 },
        { "a set of one", "{'keys':[" GOOD_ED "]}", 1, 0 },
        { "members that nobody knows",
          "{'kty':'OKP','crv':'Ed25519'," ED_X ",'x5t':'a','x5u':'http://127.0.0.1:9/','y':1}", 1,
          0 },
        { "for encryption", "{'keys':[" GOOD_ED ",{'kty':'RSA','use':'enc'}]}", 1, 1 },
        { "to encrypt with",
          "{'keys':[" GOOD_ED ",{'kty':'OKP','crv':'Ed25519','key_ops':['deriveKey']," ED_X "}]}",
          1, 1 },
        { "to verify with",
          "{'kty':'OKP','crv':'Ed25519','use':'sig','key_ops':['verify']," ED_X "}", 1, 0 },
        { "of another kind", "{'keys':[{'kty':'AKP','alg':'ML-DSA-44'}," GOOD_ED "]}", 1, 1 },
        { "of another curve", "{'keys':[{'kty':'EC','crv':'secp256k1'}," GOOD_ED "]}", 1, 1 },
        { "of X25519", "{'keys':[{'kty':'OKP','crv':'X25519'}," GOOD_ED "]}", 1, 1 },
        { "for longer digests", "{'keys':[{'kty':'RSA','alg':'RS512'}," GOOD_ED "]}", 1, 1 },
        { "a secret for encryption", "{'keys':[{'kty':'oct','use':'enc','k':'AAAA'}," GOOD_ED "]}",
          1, 1 },
        { "for RSA encryption", "{'keys':[{'kty':'RSA','alg':'RSA-OAEP'}," GOOD_ED "]}", 1, 1 },
        { "for wrapping keys", "{'keys':[{'kty':'oct','alg':'A256KW'}," GOOD_ED "]}", 1, 1 },
        { "by its newer name", "{'kty':'OKP','crv':'Ed25519','alg':'Ed25519'," ED_X "}", 1, 0 },
        { "a shared secret", "{'kty':'oct','alg':'HS256','k':'" SECRET "'}", 1, 0 },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(sets); i++) {
        phi_jwks *keys = NULL;
        phi_diag diag;
        uint32_t skipped = 99;
        ph_err rc = parse(sets[i].json, &keys, &skipped, &diag);
        if (rc != PH_OK) {
            fail_msg("%s: %s", sets[i].name, diag.text);
        }
        EXPECT_EQ(phi_jwks_count(keys), sets[i].count);
        EXPECT_EQ(skipped, sets[i].skipped);
        phi_jwks_free(&keys);
    }
}

// A weak key would let in whoever can break it, and a set that is half read would leave somebody
// out without a word.
TEST(jwk, set_with_a_bad_key_is_refused_and_the_key_named)
{
    static const struct {
        const char *json;
        const char *says;
    } sets[] = {
        { "", "one JSON object" },
        { "[]", "one JSON object" },
        { "{'keys':[]", "one JSON object" },
        { "{'keys':[" GOOD_ED "],'keys':[]}", "no name stands twice" },
        { "{'keys':[]}", "a list of 1 to 64 keys" },
        { "{'keys':{}}", "a list of 1 to 64 keys" },
        { "{'keys':[1]}", "key 1: it is no object" },
        { "{}", "key 1: it does not say its kind" },
        { "{'keys':[{'kty':1}]}", "does not say its kind" },
        { "{'keys':[{'kty':'RSA','use':'enc'}]}", "none of its keys can be used" },
        { "{'keys':[" GOOD_ED ",{'kty':'OKP','crv':'Ed25519','x':'AAAA'}]}",
          "key 2: its `x` must be" },
        { "{'kty':'OKP','crv':'Ed25519'}", "its `x` must be 32 bytes" },
        { "{'kty':'OKP','crv':'Ed25519','alg':'ES256'," ED_X "}", "its `alg` ES256 is not for" },
        { "{'kty':'OKP','crv':'Ed25519','alg':7," ED_X "}", "its `alg` is no text" },
        { "{'kty':'OKP','crv':'Ed25519','d':'AAAA'," ED_X "}", "it is a private key" },
        { "{'kty':'RSA','use':'enc','d':'AAAA'}", "it is a private key" },
        { "{'kty':'EC','crv':'" PHI_EC_CURVE "','d':'AAAA'}", "it is a private key" },
        { "{'kty':'EC','crv':'" PHI_EC_CURVE "'," EC_X "}", "must be 32 bytes" },
        { "{'kty':'EC','crv':'" PHI_EC_CURVE "'," EC_X "," EC_Y "}", "no point of its curve" },
        { "{'kty':'EC','crv':'" PHI_EC_CURVE "','alg':'RS256'," EC_X "}",
          "`alg` RS256 is not for" },
        { "{'kty':'EC','crv':'" PHI_EC_CURVE "','x':'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',"
          "'y':'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'}",
          "no point of its curve" },
        { "{'kty':'oct','k':'" SECRET "'}", "add \"alg\": \"HS256\"" },
        { "{'kty':'oct','alg':'RS256','k':'" SECRET "'}", "`alg` RS256 is not for" },
        { "{'kty':'oct','alg':'HS256','k':''}", "its `k` is missing" },
        { "{'kty':'oct','alg':'HS256'}", "its `k` is missing" },
        { "{'kty':'oct','alg':'HS256','k':'AAAA'}", "the secret has 3 bytes, and must have 32" },
        { "{'kty':'oct','alg':'HS256','k':'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'}",
          "again and again" },
        { "{'kty':'RSA','alg':'HS256'}", "`alg` HS256 is not for" },
        { "{'kty':'RSA'}", "its `n` is missing" },
        { "{'kty':'RSA','n':'AQAB','e':'AQAB'}",
          "an RSA key of 17 bits; it must have 2048 to 8192" },
        { "{'kty':'RSA','n':'AQ==','e':'AQAB'}", "its `n` is missing, too long, or no base64url" },
        { "{'kty':'OKP','crv':'Ed25519','kid':''," ED_X "}",
          "its `kid` must be a text of 1 to 128" },
        { "{'kty':'OKP','crv':'Ed25519','kid':1," ED_X "}", "its `kid` must be a text" },
        { "{'kty':'OKP','crv':'Ed25519','kid':'\\u001b[2J'," ED_X "}", "key 1: its `kid` must be" },
        { "{'kty':'OKP','crv':'Ed25519','kid':'" A100 A100 "'," ED_X "}",
          "key 1: its `kid` must be" },
        { "{'keys':[{'kty':'OKP','crv':'Ed25519','kid':'a'," ED_X "},"
          "{'kty':'OKP','crv':'Ed25519','kid':'a'," ED_X "}]}",
          "key 2 ('a'): another key before it" },
        { "{'keys':[{'kty':'OKP','crv':'Ed25519','kid':'a b','x':''}]}", "key 1: its `x`" },
        { "{'x':[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]}", "one JSON object" },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(sets); i++) {
        phi_jwks *keys = NULL;
        phi_diag diag;
        ph_err rc = parse(sets[i].json, &keys, NULL, &diag);
        if (rc != PH_EINVAL || strstr(diag.text, sets[i].says) == NULL) {
            fail_msg("%s: '%s' does not say '%s'", sets[i].json, diag.text, sets[i].says);
        }
        assert_null(keys);
    }
}

// A set of any size would be read, and each token looked up in it.
TEST(jwk, set_has_limits)
{
    phi_jwks *keys = NULL;
    phi_diag diag = { { 0 } };
    char *json = malloc(ROOM);
    size_t size = (size_t)snprintf(json, ROOM, "{'keys':[");
    for (unsigned i = 0; i < PHI_JWKS_KEYS_MAX; i++) {
        size += (size_t)snprintf(json + size, ROOM - size,
                                 "%s{'kid':'%u','kty':'OKP','crv':'Ed25519'," ED_X "}",
                                 i == 0 ? "" : ",", i);
    }
    snprintf(json + size, ROOM - size, "]}");
    EXPECT_ERR(parse(json, &keys, NULL, &diag), PH_OK);
    EXPECT_EQ(phi_jwks_count(keys), PHI_JWKS_KEYS_MAX);
    phi_bytes id = phi_bytes_text("63");
    EXPECT(phi_jwks_find(keys, &id) != NULL);
    EXPECT(phi_jwks_find(keys, NULL) == NULL);
    phi_jwks_free(&keys);

    snprintf(json + size, ROOM - size, ",{'kid':'64','kty':'AKP'}]}");
    EXPECT_ERR(parse(json, &keys, NULL, &diag), PH_EINVAL);
    EXPECT(strstr(diag.text, "1 to 64 keys") != NULL);

    size = (size_t)snprintf(json, ROOM, GOOD_ED);
    memset(json + size, ' ', PHI_JWKS_BYTES_MAX + 1 - size);
    json[PHI_JWKS_BYTES_MAX] = '\0';
    EXPECT_ERR(parse(json, &keys, NULL, &diag), PH_OK);
    phi_jwks_free(&keys);
    json[PHI_JWKS_BYTES_MAX] = ' ';
    json[PHI_JWKS_BYTES_MAX + 1] = '\0';
    EXPECT_ERR(parse(json, &keys, NULL, &diag), PH_EINVAL);
    EXPECT(strstr(diag.text, "longer than 65536 bytes") != NULL);
    free(json);
}

// RSA keys that can be broken, or with which verifying takes long, would be used.
TEST(jwk, of_rsa_has_the_right_size_and_exponent)
{
    static const struct {
        size_t bytes;
        uint8_t first;
        const char *exponent;
        const char *says; // NULL: it is good
    } cases[] = {
        { 256, 0x80, "AQAB", NULL },
        { 256, 0x7f, "AQAB", "an RSA key of 2047 bits" },
        { 128, 0x80, "AQAB", "an RSA key of 1024 bits" },
        { 384, 0x80, "AQAB", NULL },
        { 1024, 0x80, "AQAB", NULL },
        { 1025, 0x01, "AQAB", "an RSA key of 8193 bits" },
        { 257, 0x00, "AQAB", NULL },
        { 1026, 0x00, "AQAB", "its `n` is missing, too long" },
        { 256, 0x80, "AQ", "whose exponent" },
        { 256, 0x80, "Aw", "whose exponent" },
        { 256, 0x80, "AQAA", "whose exponent" },
        { 256, 0x80, "AQAC", "whose exponent" },
        { 256, 0x80, "AQAAAAE", "whose exponent" },
        { 256, 0x80, "_____w", NULL },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(cases); i++) {
        uint8_t number[1026];
        uint8_t chars[PHI_BASE64URL_CHARS(1026)];
        for (size_t k = 0; k < sizeof number; k++) {
            number[k] = (uint8_t)(k * 151 + 11);
        }
        number[0] = cases[i].first;
        number[1] |= cases[i].first == 0 ? 0x80 : 0;
        // The crypto library takes it when it is odd and has no small factor: searched for.
        char json[2048];
        phi_jwks *keys = NULL;
        phi_diag diag = { { 0 } };
        ph_err rc = PH_EINVAL;
        for (unsigned last = 1; last < 1000 && rc != PH_OK; last += 2) {
            number[cases[i].bytes - 1] = (uint8_t)last;
            number[cases[i].bytes - 2] = (uint8_t)(last >> 8);
            phi_bytes n = phi_base64url_encode(phi_bytes_of(number, cases[i].bytes),
                                               (phi_span){ chars, sizeof chars });
            snprintf(json, sizeof json, "{'kty':'RSA','n':'%.*s','e':'%s'}", (int)n.size,
                     (const char *)n.data, cases[i].exponent);
            rc = parse(json, &keys, NULL, &diag);
            if (rc != PH_OK && cases[i].says != NULL) {
                break;
            }
        }
        if (cases[i].says == NULL) {
            EXPECT_ERR(rc, PH_OK);
            EXPECT_EQ(phi_jwks_find(keys, NULL)->algorithm, PHI_JWS_RS256);
            phi_jwks_free(&keys);
        } else if (rc != PH_EINVAL || strstr(diag.text, cases[i].says) == NULL) {
            fail_msg("case %zu: '%s' does not say '%s'", i, diag.text, cases[i].says);
        }
    }
}

// A modulus that can be divided would be broken at once. The fixture's last digit is that of an odd
// number; one less makes it even.
TEST(jwk, of_rsa_is_no_even_number)
{
    json_t *object = phi_strict_object(phi_bytes_text(phi_fixture_private[PHI_JWS_RS256]));
    uint8_t number[256];
    uint8_t chars[PHI_BASE64URL_CHARS(256)];
    phi_bytes text;
    phi_bytes n;
    EXPECT_EQ(phi_strict_text(object, "n", &text), PHI_STRICT_TEXT);
    EXPECT(phi_base64url_decode(text, (phi_span){ number, sizeof number }, &n));
    for (int step = 0; step < 2; step++) {
        number[255] = (uint8_t)(number[255] - step);
        phi_bytes made = phi_base64url_encode(n, (phi_span){ chars, sizeof chars });
        char json[512];
        snprintf(json, sizeof json, "{'kty':'RSA','e':'AQAB','n':'%.*s'}", (int)made.size,
                 (const char *)made.data);
        phi_jwks *keys = NULL;
        phi_diag diag;
        EXPECT_ERR(parse(json, &keys, NULL, &diag), step == 0 ? PH_OK : PH_EINVAL);
        EXPECT(step == 0 || strstr(diag.text, "it is no RSA key") != NULL);
        phi_jwks_free(&keys);
    }
    json_decref(object);
}

// Signing with a public part that is another's gives the private one away (EdDSA), or makes tokens
// that nobody can verify.
TEST(jwk, to_sign_with_has_its_own_public_part)
{
    static const struct {
        phi_jws_algorithm algorithm;
        const char *member; // that is taken from a stranger's key
    } cases[] = {
        { PHI_JWS_EDDSA, "x" }, { PHI_JWS_EDDSA, "d" }, { PHI_JWS_ES256, "d" },
        { PHI_JWS_RS256, "p" }, { PHI_JWS_RS256, "d" },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(cases); i++) {
        phi_signer *stranger = NULL;
        phi_signer *mixed = NULL;
        phi_buf text;
        phi_buf_init(&text, &phi_alloc_heap, PHI_JWKS_BYTES_MAX);
        json_t *own = phi_strict_object(phi_bytes_text(phi_fixture_private[cases[i].algorithm]));
        if (cases[i].algorithm == PHI_JWS_RS256) { // making one takes too long: one of its numbers
            EXPECT_EQ(json_object_set(own, cases[i].member, json_object_get(own, "q")), 0);
        } else {
            EXPECT_ERR(phi_signer_make(&stranger, &phi_alloc_heap, cases[i].algorithm,
                                       phi_bytes_text(""), NULL),
                       PH_OK);
            EXPECT_ERR(phi_signer_write_private(stranger, &text), PH_OK);
            json_t *other = phi_strict_object(phi_span_view(phi_buf_view(&text)));
            EXPECT_EQ(
                json_object_set(own, cases[i].member, json_object_get(other, cases[i].member)), 0);
            json_decref(other);
        }
        char *json = json_dumps(own, JSON_COMPACT);
        phi_diag diag = { { 0 } };
        ph_err rc = phi_signer_parse(&mixed, &phi_alloc_heap, phi_bytes_text(json), &diag);
        if (rc != PH_EINVAL || diag.text[0] == '\0') {
            fail_msg("%s of another: taken", cases[i].member);
        }
        free(json);
        json_decref(own);
        phi_buf_fini(&text);
        phi_signer_free(&stranger);
    }
}

// Who can try words would sign tokens. And a message would print the secret where everybody reads.
TEST(jwk, secret_that_would_be_guessed_is_refused_and_not_shown)
{
    static const struct {
        const char *secret;
        const char *says;
    } secrets[] = {
        { "", "has 0 bytes, and must have 32" },
        { "secret", "has 6 bytes" },
        { "0123456789abcdef0123456789abcde", "has 31 bytes" },
        { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "again and again" },
        { "secretsecretsecretsecretsecretsecret", "again and again" },
        { "abcdefghabcdefghabcdefghabcdefgh", "again and again" },
        { "0123456789abcdef0123456789abcdef", "again and again" },
        { "abababababababcdcdcdcdcdcdefefefefef", "again and again" },
        { "abcdefghijklmnopqrstuvwxyzabcdefghijkl", "counts up or down" },
        { "zyxwvutsrqponmlkjihgfedcba9876543210", "counts up or down" },
        { "your-256-bit-secret-your-256-bit-secret-x", "everybody tries first" },
        { "a-string-secret-at-least-256-bits-long", "everybody tries first" },
        { "my_super_secret_password_please_change_me_123", "everybody tries first" },
        { "PleaseChangeThisSecretKeyInProduction!!", "everybody tries first" },
        { "posthouse-development-secret-2026-01-01", "everybody tries first" },
        { "correcthorsebatterystaple-correct-1234567", "everybody tries first" },
        { "changemechangemechangemechangeme12345678", "everybody tries first" },
        { "Password1234567890Password1234567890!", "everybody tries first" },
        { "9f86d081884c7d659a2feaa0c55ad015", NULL },
        { "k2mV8oZ1tXq5W3sYd7LrB0nJhGf6CvPe", NULL },
        { "3q2+7wAAECAwQFBgcICQoLDA0ODw/x8tP09fb3+Pk=", NULL },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(secrets); i++) {
        phi_diag diag = { { 0 } };
        phi_jwks *keys = NULL;
        ph_err rc =
            phi_jwks_of_secret(&keys, &phi_alloc_heap, phi_bytes_text(secrets[i].secret), &diag);
        if (secrets[i].says == NULL) {
            EXPECT_ERR(rc, PH_OK);
            EXPECT(phi_jwks_has_secret(keys));
            phi_jwks_free(&keys);
            continue;
        }
        if (rc != PH_EINVAL || strstr(diag.text, secrets[i].says) == NULL) {
            fail_msg("%s: '%s' does not say '%s'", secrets[i].secret, diag.text, secrets[i].says);
        }
        EXPECT(strstr(diag.text, "openssl rand") != NULL);
        EXPECT(strlen(secrets[i].secret) < 8 || strstr(diag.text, secrets[i].secret) == NULL);
    }
}

// A good secret out of a random generator would be refused now and then.
TEST(jwk, secret_of_random_bytes_is_good)
{
    phi_random random = phi_random_seeded(5);
    for (unsigned round = 0; round < 1500; round++) {
        uint8_t bytes[PHI_SECRET_BYTES_MIN];
        char hex[2 * sizeof bytes + 1];
        uint8_t chars[PHI_BASE64URL_CHARS(sizeof bytes)];
        for (size_t i = 0; i < sizeof bytes; i++) {
            bytes[i] = (uint8_t)phi_random_next(&random);
            snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
        }
        EXPECT_ERR(phi_secret_judge(phi_bytes_of(bytes, sizeof bytes), NULL), PH_OK);
        EXPECT_ERR(phi_secret_judge(phi_bytes_of(hex, 2 * sizeof bytes), NULL), PH_OK);
        EXPECT_ERR(phi_secret_judge(phi_base64url_encode(phi_bytes_of(bytes, sizeof bytes),
                                                         (phi_span){ chars, sizeof chars }),
                                    NULL),
                   PH_OK);
    }
}

// A center would lose memory with each reload, or fall over one that did not fit.
TEST(jwk, set_survives_every_allocation_that_fails)
{
    for (size_t n = 1;; n++) {
        phi_alloc_counter counter;
        phi_alloc_counter_init(&counter, &phi_alloc_heap);
        counter.fail_at = n;
        phi_jwks *keys = NULL;
        ph_err rc =
            phi_jwks_parse(&keys, &counter.alloc, phi_bytes_text(phi_fixture_public), NULL, NULL);
        if (rc == PH_OK) {
            EXPECT_EQ(phi_jwks_count(keys), PHI_JWS_COUNT);
            phi_jwks_free(&keys);
        } else {
            EXPECT_ERR(rc, PH_ENOMEM);
            assert_null(keys);
        }
        EXPECT_EQ(counter.blocks, 0);
        if (counter.takes < n) {
            EXPECT(n > 2);
            break;
        }
    }
}

// A key that was made here could not be read again, or its public part would give it away.
TEST(jwk, made_by_a_signer_verifies_what_that_signed)
{
    for (phi_jws_algorithm i = 0; i < PHI_JWS_COUNT; i++) {
        if (i == PHI_JWS_RS256 || i == PHI_JWS_PS256) {
            continue; // takes seconds; the command's test makes one
        }
        phi_signer *made = NULL;
        phi_signer *again = NULL;
        phi_jwks *keys = NULL;
        phi_buf text;
        phi_buf_init(&text, &phi_alloc_heap, PHI_JWKS_BYTES_MAX);
        EXPECT_ERR(phi_signer_make(&made, &phi_alloc_heap, i, phi_bytes_text(""), NULL), PH_OK);
        EXPECT_EQ(phi_signer_id(made).size, 16);
        EXPECT_ERR(phi_signer_write_private(made, &text), PH_OK);
        EXPECT_ERR(
            phi_signer_parse(&again, &phi_alloc_heap, phi_span_view(phi_buf_view(&text)), NULL),
            PH_OK);
        phi_buf_consume(&text, phi_buf_size(&text));
        EXPECT_ERR(phi_signer_write_public(made, &text), PH_OK);
        EXPECT_ERR(
            phi_jwks_parse(&keys, &phi_alloc_heap, phi_span_view(phi_buf_view(&text)), NULL, NULL),
            PH_OK);
        EXPECT_EQ(phi_jwks_has_secret(keys), i == PHI_JWS_HS256);
        phi_bytes id = phi_signer_id(again);
        EXPECT(phi_jwks_find(keys, &id) != NULL);
        phi_jwk_mark mark = phi_jwks_find(keys, &id)->mark;
        EXPECT(phi_jwks_has(keys, &mark));
        mark.bytes[15] ^= 1;
        EXPECT(!phi_jwks_has(keys, &mark));
        phi_jwks_free(&keys);
        phi_signer_free(&made);
        phi_signer_free(&again);
        phi_buf_fini(&text);
    }
}
