// SPDX-License-Identifier: Apache-2.0
//
// auth/signer.c - see signer.h.

#include "auth/signer.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <string.h>

#include "auth/base64url.h"
#include "auth/jwt.h"
#include "auth/key.h"
#include "auth/strict.h"
#include "base/assert.h"

#define RSA_BITS 3072u // as strong as the curves (NIST SP 800-57)
#define SECRET_BYTES 32u
#define ID_BYTES 12u
#define NUMBER_BYTES (PHI_RSA_BITS_MAX / 8u)
#define COORDINATE_BYTES 32u

struct phi_signer {
    phi_jwk key;
};

// A number in a key, as JSON calls it and as the library does.
typedef struct member {
    const char *name;
    const char *param;
    bool is_private;
} member;

static const member members_rsa[] = {
    { "n", OSSL_PKEY_PARAM_RSA_N, false },         { "e", OSSL_PKEY_PARAM_RSA_E, false },
    { "d", OSSL_PKEY_PARAM_RSA_D, true },          { "p", OSSL_PKEY_PARAM_RSA_FACTOR1, true },
    { "q", OSSL_PKEY_PARAM_RSA_FACTOR2, true },    { "dp", OSSL_PKEY_PARAM_RSA_EXPONENT1, true },
    { "dq", OSSL_PKEY_PARAM_RSA_EXPONENT2, true }, { "qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1, true },
};
static const member members_ec[] = {
    { "x", OSSL_PKEY_PARAM_EC_PUB_X, false },
    { "y", OSSL_PKEY_PARAM_EC_PUB_Y, false },
    { "d", OSSL_PKEY_PARAM_PRIV_KEY, true },
};

static ph_err make_material(phi_jwk *key, phi_diag *diag);
static ph_err adopt(phi_signer **out, const phi_alloc *alloc, phi_jwk *key);
static json_t *describe(const phi_jwk *key, bool is_private);
static bool describe_numbers(const phi_jwk *key, const member *members, size_t count,
                             bool is_private, json_t *object);
static bool describe_raw(const phi_jwk *key, bool is_private, json_t *object);
static bool set_bytes(json_t *object, const char *name, phi_bytes bytes);
static bool set_text(json_t *object, const char *name, phi_bytes text);
static ph_err append_json(json_t *value, size_t flags, phi_buf *out);
static int append_piece(const char *piece, size_t size, void *arg);
static bool append_part(phi_buf *out, phi_bytes bytes);

// ---- life

ph_err phi_signer_make(phi_signer **out, const phi_alloc *alloc, phi_jws_algorithm algorithm,
                       phi_bytes id, phi_diag *diag)
{
    PH_ASSERT(out != NULL);
    PH_ASSERT(algorithm < PHI_JWS_COUNT);

    phi_jwk key = { .alloc = alloc, .algorithm = algorithm };
    uint8_t random[ID_BYTES];
    if (id.size != 0) {
        if (!phi_jwk_id_is_valid(id)) {
            return phi_diag_add(diag, PH_EINVAL,
                                "the id of a key has at most %u bytes and no control characters",
                                PHI_JWK_ID_BYTES_MAX);
        }
        memcpy(key.id, id.data, id.size);
        key.id_size = id.size;
    } else if (RAND_bytes(random, sizeof random) == 1) {
        key.id_size = phi_base64url_encode(phi_bytes_of(random, sizeof random),
                                           (phi_span){ key.id, sizeof key.id })
                          .size;
    } else {
        return phi_diag_add(diag, PH_ESYSTEM, "no random bytes");
    }
    ERR_set_mark();
    ph_err rc = make_material(&key, diag);
    ERR_pop_to_mark();
    return rc == PH_OK ? adopt(out, alloc, &key) : rc;
}

ph_err phi_signer_parse(phi_signer **out, const phi_alloc *alloc, phi_bytes json, phi_diag *diag)
{
    PH_ASSERT(out != NULL);
    json_t *root = json.size <= PHI_JWKS_BYTES_MAX ? phi_strict_object(json) : NULL;
    if (root == NULL) {
        return phi_diag_add(diag, PH_EINVAL,
                            "no key: it must be one JSON object, in which no name stands twice");
    }
    const json_t *object = root;
    const json_t *array = json_object_get(root, "keys");
    if (array != NULL) {
        object = json_array_size(array) == 1 ? json_array_get(array, 0) : NULL;
    }
    phi_jwk key = { .alloc = alloc };
    bool is_for_us = false;
    ph_err rc = object == NULL
                    ? phi_diag_add(diag, PH_EINVAL, "a set to sign with must have exactly one key")
                    : phi_jwk_read(&key, alloc, object, PHI_JWK_PRIVATE, &is_for_us, diag);
    json_decref(root);
    if (rc == PH_OK && !is_for_us) {
        rc = phi_diag_add(diag, PH_EINVAL,
                          "it is not to sign with, or not for ES256, EdDSA, RS256, PS256 or HS256");
    }
    return rc == PH_OK ? adopt(out, alloc, &key) : rc;
}

ph_err phi_signer_of_secret(phi_signer **out, const phi_alloc *alloc, phi_bytes secret,
                            phi_diag *diag)
{
    PH_ASSERT(out != NULL);
    phi_jwk key;
    ph_err rc = phi_secret_judge(secret, diag);
    if (rc == PH_OK) {
        rc = phi_jwk_of_secret(&key, alloc, secret);
    }
    return rc == PH_OK ? adopt(out, alloc, &key) : rc;
}

void phi_signer_free(phi_signer **signer)
{
    phi_signer *s = *signer;
    if (s == NULL) {
        return;
    }
    const phi_alloc *alloc = s->key.alloc;
    phi_jwk_fini(&s->key);
    phi_give(alloc, s, sizeof *s);
    *signer = NULL;
}

static ph_err make_material(phi_jwk *key, phi_diag *diag)
{
    uint8_t secret[SECRET_BYTES];
    ph_err rc = PH_OK;
    switch (key->algorithm) {
    case PHI_JWS_RS256:
    case PHI_JWS_PS256:
        key->pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)RSA_BITS);
        break;
    case PHI_JWS_ES256:
        key->pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", PHI_EC_CURVE);
        break;
    case PHI_JWS_EDDSA:
        key->pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
        break;
    case PHI_JWS_HS256:
        if (RAND_priv_bytes(secret, sizeof secret) == 1) {
            phi_jwk made;
            rc = phi_jwk_of_secret(&made, key->alloc, phi_bytes_of(secret, sizeof secret));
            OPENSSL_cleanse(secret, sizeof secret);
            key->secret = rc == PH_OK ? made.secret : NULL;
            key->secret_size = sizeof secret;
        }
        break;
    case PHI_JWS_COUNT:
        PH_UNREACHABLE("no algorithm");
    }
    if (rc == PH_OK && key->pkey == NULL && key->secret == NULL) {
        rc = phi_diag_add(diag, PH_ESYSTEM, "the crypto library could not make a key");
    }
    return rc;
}

// Consumes *key.
static ph_err adopt(phi_signer **out, const phi_alloc *alloc, phi_jwk *key)
{
    phi_signer *made = phi_take(alloc, sizeof *made);
    if (made == NULL) {
        phi_jwk_fini(key);
        return PH_ENOMEM;
    }
    PH_ASSERT(key->alloc == alloc);
    made->key = *key;
    *out = made;
    return PH_OK;
}

// ---- queries

phi_jws_algorithm phi_signer_algorithm(const phi_signer *signer)
{
    return signer->key.algorithm;
}

phi_bytes phi_signer_id(const phi_signer *signer)
{
    return phi_jwk_id(&signer->key);
}

ph_err phi_signer_write_private(const phi_signer *signer, phi_buf *out)
{
    return append_json(describe(&signer->key, /* is_private= */ true), JSON_INDENT(2), out);
}

ph_err phi_signer_write_public(const phi_signer *signer, phi_buf *out)
{
    json_t *set = json_object();
    json_t *array = json_array();
    bool is_good = json_array_append_new(array, describe(&signer->key, false)) == 0;
    is_good = json_object_set_new(set, "keys", array) == 0 && is_good;
    if (!is_good) {
        json_decref(set);
        return PH_ENOMEM;
    }
    return append_json(set, JSON_INDENT(2), out);
}

// ---- tokens

ph_err phi_signer_sign(const phi_signer *signer, phi_bytes header, phi_bytes payload, phi_buf *out)
{
    size_t before = phi_buf_size(out);
    uint8_t signature[PHI_SIGNATURE_BYTES_MAX];
    size_t size = 0;
    ph_err rc = append_part(out, header) && phi_buf_append(out, phi_bytes_text(".")) &&
                        append_part(out, payload)
                    ? PH_OK
                    : PH_ENOMEM;
    if (rc == PH_OK) {
        phi_bytes all = phi_span_view(phi_buf_view(out));
        phi_bytes input = phi_bytes_of(all.data + before, all.size - before);
        rc = phi_jwk_sign(&signer->key, input, signature, &size);
    }
    if (rc == PH_OK && !(phi_buf_append(out, phi_bytes_text(".")) &&
                         append_part(out, phi_bytes_of(signature, size)))) {
        rc = PH_ENOMEM;
    }
    if (rc != PH_OK) {
        phi_buf_uncommit(out, phi_buf_size(out) - before);
    }
    return rc;
}

ph_err phi_signer_issue(const phi_signer *signer, const phi_token_claims *claims, phi_buf *out)
{
    PH_ASSERT(claims->expires_s > claims->issued_s);
    uint8_t random[ID_BYTES];
    if (RAND_bytes(random, sizeof random) != 1) {
        return PH_ESYSTEM;
    }
    json_t *header = json_object();
    json_t *payload = json_object();
    const char *name = phi_jws_algorithm_name(signer->key.algorithm);
    bool is_good =
        set_text(header, "alg", phi_bytes_text(name)) &&
        set_text(header, "typ", phi_bytes_text("JWT")) &&
        set_text(header, "kid", phi_jwk_id(&signer->key)) &&
        set_text(payload, "iss", claims->issuer) && set_text(payload, "sub", claims->subject) &&
        set_text(payload, "aud", claims->audience) &&
        json_object_set_new(payload, "iat", json_integer((json_int_t)claims->issued_s)) == 0 &&
        json_object_set_new(payload, "exp", json_integer((json_int_t)claims->expires_s)) == 0 &&
        set_bytes(payload, "jti", phi_bytes_of(random, sizeof random));
    phi_buf text;
    phi_buf_init(&text, out->alloc, PHI_JWT_BYTES_MAX);
    ph_err rc = is_good ? append_json(json_incref(header), JSON_COMPACT, &text) : PH_EINVAL;
    size_t header_size = phi_buf_size(&text);
    if (rc == PH_OK) {
        rc = append_json(json_incref(payload), JSON_COMPACT, &text);
    }
    if (rc == PH_OK) {
        phi_bytes all = phi_span_view(phi_buf_view(&text));
        rc = phi_signer_sign(signer, phi_bytes_of(all.data, header_size),
                             phi_bytes_of(all.data + header_size, all.size - header_size), out);
    }
    phi_buf_fini(&text);
    json_decref(header);
    json_decref(payload);
    return rc;
}

// ---- a key as JSON

// NULL: no memory.
static json_t *describe(const phi_jwk *key, bool is_private)
{
    json_t *object = json_object();
    const char *kind = key->algorithm == PHI_JWS_HS256   ? "oct"
                       : key->algorithm == PHI_JWS_ES256 ? "EC"
                       : key->algorithm == PHI_JWS_EDDSA ? "OKP"
                                                         : "RSA";
    const char *curve = key->algorithm == PHI_JWS_ES256   ? PHI_EC_CURVE
                        : key->algorithm == PHI_JWS_EDDSA ? "Ed25519"
                                                          : "";
    const char *name = phi_jws_algorithm_name(key->algorithm);
    bool is_good = set_text(object, "kty", phi_bytes_text(kind)) &&
                   set_text(object, "crv", phi_bytes_text(curve)) &&
                   set_text(object, "alg", phi_bytes_text(name)) &&
                   set_text(object, "use", phi_bytes_text("sig")) &&
                   set_text(object, "kid", phi_jwk_id(key));
    switch (key->algorithm) {
    case PHI_JWS_HS256:
        is_good = is_good && set_bytes(object, "k", phi_bytes_of(key->secret, key->secret_size));
        break;
    case PHI_JWS_RS256:
    case PHI_JWS_PS256:
        is_good = is_good &&
                  describe_numbers(key, members_rsa, PHI_COUNT_OF(members_rsa), is_private, object);
        break;
    case PHI_JWS_ES256:
        is_good = is_good &&
                  describe_numbers(key, members_ec, PHI_COUNT_OF(members_ec), is_private, object);
        break;
    case PHI_JWS_EDDSA:
        is_good = is_good && describe_raw(key, is_private, object);
        break;
    case PHI_JWS_COUNT:
        PH_UNREACHABLE("no algorithm");
    }
    if (!is_good) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static bool describe_numbers(const phi_jwk *key, const member *members, size_t count,
                             bool is_private, json_t *object)
{
    bool is_good = true;
    for (size_t i = 0; i < count && is_good; i++) {
        if (members[i].is_private && !is_private) {
            continue;
        }
        uint8_t bytes[NUMBER_BYTES];
        BIGNUM *number = NULL;
        is_good = EVP_PKEY_get_bn_param(key->pkey, members[i].param, &number) == 1;
        int size = !is_good                          ? 0
                   : key->algorithm == PHI_JWS_ES256 ? (int)COORDINATE_BYTES
                                                     : BN_num_bytes(number);
        is_good = is_good && size <= (int)sizeof bytes &&
                  BN_bn2binpad(number, bytes, size) == size &&
                  set_bytes(object, members[i].name, phi_bytes_of(bytes, (size_t)size));
        BN_clear_free(number);
        OPENSSL_cleanse(bytes, sizeof bytes);
    }
    return is_good;
}

static bool describe_raw(const phi_jwk *key, bool is_private, json_t *object)
{
    uint8_t bytes[COORDINATE_BYTES];
    size_t size = sizeof bytes;
    bool is_good = EVP_PKEY_get_raw_public_key(key->pkey, bytes, &size) == 1 &&
                   set_bytes(object, "x", phi_bytes_of(bytes, size));
    if (is_good && is_private) {
        size = sizeof bytes;
        is_good = EVP_PKEY_get_raw_private_key(key->pkey, bytes, &size) == 1 &&
                  set_bytes(object, "d", phi_bytes_of(bytes, size));
    }
    OPENSSL_cleanse(bytes, sizeof bytes);
    return is_good;
}

static bool set_bytes(json_t *object, const char *name, phi_bytes bytes)
{
    uint8_t chars[PHI_BASE64URL_CHARS(NUMBER_BYTES)];
    phi_bytes text = phi_base64url_encode(bytes, (phi_span){ chars, sizeof chars });
    bool is_set = set_text(object, name, text);
    OPENSSL_cleanse(chars, sizeof chars);
    return is_set;
}

// An empty text is left out.
static bool set_text(json_t *object, const char *name, phi_bytes text)
{
    return text.size == 0 ||
           json_object_set_new(object, name, json_stringn((const char *)text.data, text.size)) == 0;
}

// ---- writing

// Consumes `value`, which may be NULL: no memory.
static ph_err append_json(json_t *value, size_t flags, phi_buf *out)
{
    size_t before = phi_buf_size(out);
    if (value == NULL) {
        return PH_ENOMEM;
    }
    bool is_good = json_dump_callback(value, append_piece, out, flags) == 0;
    json_decref(value);
    if (!is_good) {
        phi_buf_uncommit(out, phi_buf_size(out) - before);
        return PH_ENOMEM;
    }
    return PH_OK;
}

static int append_piece(const char *piece, size_t size, void *arg)
{
    phi_buf *out = arg;
    return size == 0 || phi_buf_append(out, phi_bytes_of(piece, size)) ? 0 : -1;
}

static bool append_part(phi_buf *out, phi_bytes bytes)
{
    size_t size = PHI_BASE64URL_CHARS(bytes.size);
    uint8_t *room = size == 0 ? NULL : phi_buf_reserve(out, size);
    if (size == 0 || room == NULL) {
        return size == 0;
    }
    phi_base64url_encode(bytes, (phi_span){ room, size });
    phi_buf_commit(out, size);
    return true;
}
