// SPDX-License-Identifier: Apache-2.0
//
// tests/auth/forgery.c - see forgery.h.

#include "tests/auth/forgery.h"

#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/base64url.h"
#include "auth/key.h"
#include "tests/auth/token_fixture.h"
#include "tests/harness/test.h"

#define NOW_S UINT64_C(1800000000)
#define LEEWAY_S 60u

static phi_jwks *known; // the issuer's keys
static phi_signer *own[PHI_JWS_COUNT];
static phi_signer *strangers[PHI_JWS_COUNT]; // of the kinds that are made quickly

void forgery_setup(void)
{
    phi_diag diag = { { 0 } };
    EXPECT_ERR(
        phi_jwks_parse(&known, &phi_alloc_heap, phi_bytes_text(phi_fixture_public), NULL, &diag),
        PH_OK);
    for (phi_jws_algorithm i = 0; i < PHI_JWS_COUNT; i++) {
        EXPECT_ERR(phi_signer_parse(&own[i], &phi_alloc_heap,
                                    phi_bytes_text(phi_fixture_private[i]), &diag),
                   PH_OK);
        if (i != PHI_JWS_RS256 && i != PHI_JWS_PS256) {
            EXPECT_ERR(
                phi_signer_make(&strangers[i], &phi_alloc_heap, i, phi_signer_id(own[i]), &diag),
                PH_OK);
        }
    }
}

void forgery_teardown(void)
{
    phi_jwks_free(&known);
    for (size_t i = 0; i < PHI_JWS_COUNT; i++) {
        phi_signer_free(&own[i]);
        phi_signer_free(&strangers[i]);
    }
}

phi_jwt_fault forgery_judge(const token *t)
{
    phi_jwt_expect expect = { .issuer = phi_bytes_text("issuer"),
                              .audience = phi_bytes_text("center"),
                              .leeway_s = LEEWAY_S };
    phi_jwt_claims claims = { .principal = "untouched" };
    // Of just its size, so that AddressSanitizer sees a byte read too far.
    char *copy = malloc(t->size == 0 ? 1 : t->size);
    assert_non_null(copy);
    memcpy(copy, t->text, t->size);
    phi_jwt_fault fault =
        phi_jwt_judge(phi_bytes_of(copy, t->size), known, &expect, NOW_S, &claims);
    free(copy);
    EXPECT_TEXT(claims.principal, fault == PHI_JWT_GOOD ? "orders" : "untouched");
    return fault;
}

// As it is in the token: ' for ", and ` for '.
static phi_bytes unquote(const char *text, char room[TOKEN_ROOM])
{
    size_t size = strlen(text);
    assert_true(size < TOKEN_ROOM);
    for (size_t i = 0; i < size; i++) {
        room[i] = text[i] == '\'' ? '"' : text[i] == '`' ? '\'' : text[i];
    }
    return phi_bytes_of(room, size);
}

static void append(token *t, phi_bytes bytes)
{
    t->size += phi_base64url_encode(
                   bytes, (phi_span){ (uint8_t *)t->text + t->size, TOKEN_ROOM - t->size })
                   .size;
    t->text[t->size] = '\0';
}

// A value of a key in JSON, decoded.
static size_t member(phi_jws_algorithm algorithm, const char *name, uint8_t *out, size_t room)
{
    json_t *object = phi_strict_object(phi_bytes_text(phi_fixture_private[algorithm]));
    phi_bytes text;
    phi_bytes bytes;
    EXPECT_EQ(phi_strict_text(object, name, &text), PHI_STRICT_TEXT);
    EXPECT(phi_base64url_decode(text, (phi_span){ out, room }, &bytes));
    json_decref(object);
    return bytes.size;
}

// With a secret that is none, or the right one in another way.
static size_t sign_hmac(const forgery *f, phi_bytes input, uint8_t *out)
{
    uint8_t bytes[1024] = { 0 };
    phi_bytes secret = { bytes, 0 };
    if (f->by == BY_ZEROS) {
        secret.size = 32;
    } else if (f->by == BY_ID) {
        secret = phi_signer_id(own[f->algorithm]);
    } else if (f->by == BY_PEM) {
        secret = phi_bytes_text(phi_fixture_pem);
    } else if (f->by == BY_JSON) {
        secret = phi_bytes_text(phi_fixture_public);
    } else if (f->by == BY_MODULUS) {
        secret.size = member(PHI_JWS_RS256, "n", bytes, sizeof bytes);
    } else if (f->by == BY_POINT) {
        bytes[0] = 4;
        secret.size = 1 + member(PHI_JWS_ES256, "x", bytes + 1, 32);
        secret.size += member(PHI_JWS_ES256, "y", bytes + 33, 32);
    } else if (f->by == BY_ED) {
        secret.size = member(PHI_JWS_EDDSA, "x", bytes, sizeof bytes);
    } else if (f->by == BY_HS512) {
        secret.size = member(PHI_JWS_HS256, "k", bytes, sizeof bytes);
    } else {
        assert_int_equal(f->by, BY_EMPTY);
    }
    unsigned size = 0;
    const EVP_MD *md = f->by == BY_HS512 ? EVP_sha512() : EVP_sha256();
    assert_non_null(HMAC(md, secret.data, (int)secret.size, input.data, input.size, out, &size));
    return size;
}

static size_t sign_curve(const forgery *f, phi_bytes input, uint8_t *out)
{
    const char *curve = f->by == BY_SECP256K1 ? "secp256k1" : "secp384r1";
    int half = f->by == BY_SECP256K1 ? 32 : 48;
    uint8_t der[256];
    size_t size = sizeof der;
    EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", curve);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, pkey), 1);
    assert_int_equal(EVP_DigestSign(md, der, &size, input.data, input.size), 1);
    const uint8_t *at = der;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)size);
    BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, half);
    BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + half, half);
    ECDSA_SIG_free(pair);
    EVP_MD_CTX_free(md);
    EVP_PKEY_free(pkey);
    return (size_t)half * 2;
}

// With the right key, in a way that is another algorithm's.
static size_t sign_rsa(const forgery *f, phi_bytes input, uint8_t *out)
{
    json_t *object = phi_strict_object(phi_bytes_text(phi_fixture_private[f->algorithm]));
    phi_jwk key;
    bool is_for_us;
    EXPECT_ERR(phi_jwk_read(&key, &phi_alloc_heap, object, PHI_JWK_PRIVATE, &is_for_us, NULL),
               PH_OK);
    const EVP_MD *digest = f->by == BY_RSA_SHA512 ? EVP_sha512() : EVP_sha256();
    EVP_PKEY_CTX *context = NULL;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    size_t size = PHI_SIGNATURE_BYTES_MAX;
    assert_int_equal(EVP_DigestSignInit(md, &context, digest, NULL, key.pkey), 1);
    if (f->by != BY_RSA_SHA512) {
        int salt = f->by == BY_PSS_0     ? 0
                   : f->by == BY_PSS_MAX ? RSA_PSS_SALTLEN_MAX
                                         : RSA_PSS_SALTLEN_DIGEST;
        EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING);
        EVP_PKEY_CTX_set_rsa_pss_saltlen(context, salt);
        EVP_PKEY_CTX_set_rsa_mgf1_md(context, f->by == BY_PSS_SHA1 ? EVP_sha1() : digest);
    }
    assert_int_equal(EVP_DigestSign(md, out, &size, input.data, input.size), 1);
    EVP_MD_CTX_free(md);
    phi_jwk_fini(&key);
    json_decref(object);
    return size;
}

static size_t sign_otherwise(const forgery *f, phi_bytes input, uint8_t *out)
{
    if (f->by == BY_NOBODY) {
        return 0;
    }
    if (f->by == BY_SECP256K1 || f->by == BY_SECP384R1) {
        return sign_curve(f, input, out);
    }
    return f->by < BY_SECP256K1 ? sign_hmac(f, input, out) : sign_rsa(f, input, out);
}

void forgery_make(const forgery *f, token *out)
{
    char own_header[64];
    char header_room[TOKEN_ROOM];
    char payload_room[TOKEN_ROOM];
    phi_bytes id = phi_signer_id(own[f->algorithm]);
    snprintf(own_header, sizeof own_header, "{'alg':'%s','kid':'%.*s'}",
             phi_jws_algorithm_name(f->algorithm), (int)id.size, (const char *)id.data);
    phi_bytes header = unquote(f->header == NULL ? own_header : f->header, header_room);
    phi_bytes payload = unquote(f->payload == NULL ? GOOD_PAYLOAD : f->payload, payload_room);
    out->size = 0;
    if (f->by == BY_ITS_KEY || f->by == BY_STRANGER) {
        phi_signer *const *signers = f->by == BY_ITS_KEY ? own : strangers;
        assert_non_null(signers[f->algorithm]);
        phi_buf buf;
        phi_buf_init(&buf, &phi_alloc_heap, TOKEN_ROOM);
        EXPECT_ERR(phi_signer_sign(signers[f->algorithm], header, payload, &buf), PH_OK);
        out->size = phi_buf_size(&buf);
        memcpy(out->text, phi_buf_view(&buf).data, out->size);
        phi_buf_fini(&buf);
        out->text[out->size] = '\0';
    } else {
        uint8_t signature[PHI_SIGNATURE_BYTES_MAX];
        append(out, header);
        token_insert(out, out->size, ".", 1);
        append(out, payload);
        size_t size = sign_otherwise(f, phi_bytes_of(out->text, out->size), signature);
        token_insert(out, out->size, ".", 1);
        append(out, phi_bytes_of(signature, size));
    }
    if (f->edit != NULL) {
        f->edit(out);
    }
}

phi_bytes token_signature(const token *t, uint8_t room[TOKEN_ROOM])
{
    size_t at = token_dot(t, 2) + 1;
    phi_bytes bytes = { NULL, 0 };
    EXPECT(phi_base64url_decode(phi_bytes_of(t->text + at, t->size - at),
                                (phi_span){ room, TOKEN_ROOM }, &bytes));
    return bytes;
}

void token_set_signature(token *t, phi_bytes bytes)
{
    t->size = token_dot(t, 2) + 1;
    append(t, bytes);
}

// ---- for edits

void token_insert(token *t, size_t at, const char *bytes, size_t size)
{
    assert_true(at <= t->size && t->size + size <= TOKEN_ROOM);
    memmove(t->text + at + size, t->text + at, t->size - at + 1);
    memcpy(t->text + at, bytes, size);
    t->size += size;
}

size_t token_dot(const token *t, int number)
{
    size_t at = 0;
    while (at < t->size && (t->text[at] != '.' || --number > 0)) {
        at++;
    }
    return at;
}
