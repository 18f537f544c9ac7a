// SPDX-License-Identifier: Apache-2.0
//
// auth/key.c - see key.h.
//
// Design notes
// - Everything that a key may be is decided by two members, `kty` and `crv`, and `alg` may only
//   choose among what is left: `kinds` says which. A member that is not needed is not looked at.
// - Whatever the crypto library has to say about a failure is taken off its queue again: the queue
//   is the thread's, and a TLS connection would believe that it is about itself.
// - A signature has exactly one size for its key. So DER instead of r and s, and cut off or
//   lengthened ones, do not even get to the mathematics.

#include "auth/key.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>

#include "auth/base64url.h"
#include "base/assert.h"
#include "base/utf8.h"

#define COORDINATE_BYTES 32u // of the curve, r and s of ES256, both parts of an Ed25519 key
#define POINT_BYTES (1u + 2u * COORDINATE_BYTES)
#define DIGEST_BYTES 32u
// A number of RSA; some issuers put the zero byte of a sign in front.
#define NUMBER_BYTES (PHI_RSA_BITS_MAX / 8u + 1u)
// Below it is what is too weak, above it what takes too long to verify with.
#define EXPONENT_MIN 65537u

PH_STATIC_ASSERT(PHI_SIGNATURE_BYTES_MAX >= 2 * COORDINATE_BYTES);

// What a key of RSA is made of; the first two are public.
static const struct {
    const char *name;
    const char *param;
} numbers[] = {
    { "n", OSSL_PKEY_PARAM_RSA_N },          { "e", OSSL_PKEY_PARAM_RSA_E },
    { "d", OSSL_PKEY_PARAM_RSA_D },          { "p", OSSL_PKEY_PARAM_RSA_FACTOR1 },
    { "q", OSSL_PKEY_PARAM_RSA_FACTOR2 },    { "dp", OSSL_PKEY_PARAM_RSA_EXPONENT1 },
    { "dq", OSSL_PKEY_PARAM_RSA_EXPONENT2 }, { "qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1 },
};

#define NUMBERS_PUBLIC 2u

typedef ph_err key_reader(phi_jwk *key, const json_t *object, phi_jwk_part part, phi_diag *diag);

// A kind of key that is spoken here.
typedef struct key_kind {
    const char *name;           // `kty`
    const char *curve;          // `crv`; NULL: it has none
    uint32_t algorithms;        // bits of phi_jws_algorithm: what it can be for
    phi_jws_algorithm fallback; // what it is for when it does not say; PHI_JWS_COUNT: it must
    bool is_secret;             // all of it, so that it has no public part
    key_reader *read;
} key_kind;

static key_reader read_rsa;
static key_reader read_ec;
static key_reader read_okp;
static key_reader read_oct;

#define BIT(algorithm) (UINT32_C(1) << (algorithm))

static const key_kind kinds[] = {
    { "RSA", NULL, BIT(PHI_JWS_RS256) | BIT(PHI_JWS_PS256), PHI_JWS_RS256, false, read_rsa },
    { "EC", PHI_EC_CURVE, BIT(PHI_JWS_ES256), PHI_JWS_ES256, false, read_ec },
    { "OKP", "Ed25519", BIT(PHI_JWS_EDDSA), PHI_JWS_EDDSA, false, read_okp },
    { "oct", NULL, BIT(PHI_JWS_HS256), PHI_JWS_COUNT, true, read_oct },
};

static ph_err find_kind(const json_t *object, const key_kind **out, phi_diag *diag);
static bool is_for(const json_t *object, phi_jwk_part part);
static bool is_of_curve(const json_t *object, const key_kind *kind);
static ph_err read_algorithm(const json_t *object, const key_kind *kind, phi_jws_algorithm *out,
                             phi_diag *diag);
static ph_err read_id(phi_jwk *key, const json_t *object, phi_diag *diag);
static ph_err check_rsa(const BIGNUM *n, const BIGNUM *e, phi_diag *diag);
static bool read_member(const json_t *object, const char *name, phi_span room, phi_bytes *out);
static EVP_PKEY *make_pkey(const char *type, OSSL_PARAM_BLD *parts, phi_jwk_part part);
static bool verify_secret(const phi_jwk *key, phi_bytes input, phi_bytes signature);
static bool verify_point(const phi_jwk *key, phi_bytes input, phi_bytes signature);
static bool verify_pkey(const phi_jwk *key, phi_bytes input, phi_bytes signature);
static bool sign_pkey(const phi_jwk *key, phi_bytes input, uint8_t *out, size_t *size);
static bool set_padding(phi_jws_algorithm algorithm, EVP_PKEY_CTX *context);
static const EVP_MD *digest_of(phi_jws_algorithm algorithm);
static ph_err make_mark(phi_jwk *key);

// ---- life

ph_err phi_jwk_read(phi_jwk *out, const phi_alloc *alloc, const json_t *object, phi_jwk_part part,
                    bool *is_for_us, phi_diag *diag)
{
    PH_ASSERT(out != NULL);
    PH_ASSERT(alloc != NULL);

    const key_kind *kind;
    ph_err rc = find_kind(object, &kind, diag);
    if (rc != PH_OK) {
        return rc;
    }
    if (kind != NULL && !kind->is_secret && part == PHI_JWK_PUBLIC &&
        json_object_get(object, "d") != NULL) { // whatever it is for
        return phi_diag_add(diag, PH_EINVAL,
                            "it is a private key, and this is to verify with: keep it where tokens "
                            "are signed, and put the public key here");
    }
    phi_jwk key = { .alloc = alloc, .algorithm = PHI_JWS_COUNT };
    if (kind != NULL && is_for(object, part) && is_of_curve(object, kind)) {
        rc = read_algorithm(object, kind, &key.algorithm, diag);
    }
    if (rc != PH_OK) {
        return rc;
    }
    if (key.algorithm == PHI_JWS_COUNT) {
        *is_for_us = false;
        return PH_OK;
    }

    ERR_set_mark();
    rc = read_id(&key, object, diag);
    if (rc == PH_OK) {
        rc = kind->read(&key, object, part, diag);
    }
    ERR_pop_to_mark();
    if (rc != PH_OK) {
        return rc;
    }
    PH_ASSERT((key.pkey == NULL) != (key.secret == NULL));
    rc = make_mark(&key);
    if (rc != PH_OK) {
        phi_jwk_fini(&key);
        return rc;
    }
    *out = key;
    *is_for_us = true;
    return PH_OK;
}

ph_err phi_jwk_of_secret(phi_jwk *out, const phi_alloc *alloc, phi_bytes secret)
{
    PH_ASSERT(secret.size != 0);
    uint8_t *copy = phi_take(alloc, secret.size);
    if (copy == NULL) {
        return PH_ENOMEM;
    }
    memcpy(copy, secret.data, secret.size);
    phi_jwk key = {
        .alloc = alloc, .algorithm = PHI_JWS_HS256, .secret = copy, .secret_size = secret.size
    };
    ph_err rc = make_mark(&key);
    if (rc != PH_OK) {
        phi_jwk_fini(&key);
        return rc;
    }
    *out = key;
    return PH_OK;
}

void phi_jwk_fini(phi_jwk *key)
{
    EVP_PKEY_free(key->pkey);
    if (key->secret != NULL) {
        OPENSSL_cleanse(key->secret, key->secret_size);
        phi_give(key->alloc, key->secret, key->secret_size);
    }
    *key = (phi_jwk){ .pkey = NULL };
}

bool phi_jwk_id_is_valid(phi_bytes id)
{
    bool is_valid = id.size != 0 && id.size <= PHI_JWK_ID_BYTES_MAX && phi_utf8_is_valid(id);
    for (size_t i = 0; is_valid && i < id.size; i++) {
        is_valid = id.data[i] >= 0x20 && id.data[i] != 0x7f;
    }
    return is_valid;
}

// ---- using it

bool phi_jwk_verify(const phi_jwk *key, phi_bytes input, phi_bytes signature)
{
    PH_ASSERT(key != NULL);
    ERR_set_mark();
    bool is_good = false;
    switch (key->algorithm) {
    case PHI_JWS_HS256:
        is_good = verify_secret(key, input, signature);
        break;
    case PHI_JWS_ES256:
        is_good = verify_point(key, input, signature);
        break;
    case PHI_JWS_RS256:
    case PHI_JWS_PS256:
        is_good = signature.size == (size_t)EVP_PKEY_get_size(key->pkey) &&
                  verify_pkey(key, input, signature);
        break;
    case PHI_JWS_EDDSA:
        is_good = signature.size == 2 * COORDINATE_BYTES && verify_pkey(key, input, signature);
        break;
    case PHI_JWS_COUNT:
        PH_UNREACHABLE("no algorithm");
    }
    ERR_pop_to_mark();
    return is_good;
}

ph_err phi_jwk_sign(const phi_jwk *key, phi_bytes input, uint8_t out[PHI_SIGNATURE_BYTES_MAX],
                    size_t *size)
{
    PH_ASSERT(key != NULL);
    uint8_t made[PHI_SIGNATURE_BYTES_MAX];
    size_t made_size = sizeof made;
    bool is_good;
    ERR_set_mark();
    if (key->algorithm == PHI_JWS_HS256) {
        made_size = DIGEST_BYTES;
        is_good = HMAC(EVP_sha256(), key->secret, (int)key->secret_size, input.data, input.size,
                       made, NULL) != NULL;
    } else {
        is_good = sign_pkey(key, input, made, &made_size);
    }
    if (is_good && key->algorithm == PHI_JWS_ES256) { // DER to r and s
        const uint8_t *at = made;
        ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)made_size);
        is_good =
            pair != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, (int)COORDINATE_BYTES) > 0 &&
            BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + COORDINATE_BYTES, (int)COORDINATE_BYTES) > 0;
        made_size = 2 * COORDINATE_BYTES;
        ECDSA_SIG_free(pair);
    } else if (is_good) {
        memcpy(out, made, made_size);
    }
    ERR_pop_to_mark();
    if (!is_good) {
        return PH_ESYSTEM;
    }
    *size = made_size;
    return PH_OK;
}

// ---- reading what is common

// NULL: one that is not spoken here.
static ph_err find_kind(const json_t *object, const key_kind **out, phi_diag *diag)
{
    phi_bytes name;
    if (!json_is_object(object)) {
        return phi_diag_add(diag, PH_EINVAL, "it is no object");
    }
    if (phi_strict_text(object, "kty", &name) != PHI_STRICT_TEXT) {
        return phi_diag_add(diag, PH_EINVAL, "it does not say its kind (`kty`)");
    }
    *out = NULL;
    for (size_t i = 0; i < PHI_COUNT_OF(kinds); i++) {
        if (phi_bytes_equal(name, phi_bytes_text(kinds[i].name))) {
            *out = &kinds[i];
        }
    }
    return PH_OK;
}

// Neither `use` nor `key_ops` keeps it for something else.
static bool is_for(const json_t *object, phi_jwk_part part)
{
    phi_bytes use;
    phi_strict_member member = phi_strict_text(object, "use", &use);
    if (member == PHI_STRICT_OTHER ||
        (member == PHI_STRICT_TEXT && !phi_bytes_equal(use, phi_bytes_text("sig")))) {
        return false;
    }
    const json_t *operations = json_object_get(object, "key_ops");
    bool is_listed = operations == NULL;
    for (size_t i = 0; i < json_array_size(operations); i++) {
        const char *name = json_string_value(json_array_get(operations, i));
        is_listed |= name != NULL && strcmp(name, part == PHI_JWK_PUBLIC ? "verify" : "sign") == 0;
    }
    return is_listed;
}

static bool is_of_curve(const json_t *object, const key_kind *kind)
{
    phi_bytes curve;
    return kind->curve == NULL || (phi_strict_text(object, "crv", &curve) == PHI_STRICT_TEXT &&
                                   phi_bytes_equal(curve, phi_bytes_text(kind->curve)));
}

// PHI_JWS_COUNT: one that is not spoken here, of encryption or with a longer digest.
static ph_err read_algorithm(const json_t *object, const key_kind *kind, phi_jws_algorithm *out,
                             phi_diag *diag)
{
    phi_bytes name;
    phi_jws_algorithm named = kind->fallback;
    phi_strict_member member = phi_strict_text(object, "alg", &name);
    if (member == PHI_STRICT_OTHER) {
        return phi_diag_add(diag, PH_EINVAL, "its `alg` is no text");
    }
    if (member == PHI_STRICT_ABSENT && named == PHI_JWS_COUNT) {
        return phi_diag_add(diag, PH_EINVAL,
                            "a shared secret must say what it is for: add \"alg\": \"HS256\"");
    }
    if (member == PHI_STRICT_TEXT && !phi_jws_algorithm_of_name(name, &named)) {
        *out = PHI_JWS_COUNT;
        return PH_OK;
    }
    if ((kind->algorithms & BIT(named)) == 0) {
        return phi_diag_add(diag, PH_EINVAL, "its `alg` %s is not for a key of its kind",
                            phi_jws_algorithm_name(named));
    }
    *out = named;
    return PH_OK;
}

static ph_err read_id(phi_jwk *key, const json_t *object, phi_diag *diag)
{
    phi_bytes id = { NULL, 0 };
    phi_strict_member member = phi_strict_text(object, "kid", &id);
    if (member == PHI_STRICT_ABSENT) {
        return PH_OK;
    }
    if (member != PHI_STRICT_TEXT || !phi_jwk_id_is_valid(id)) {
        return phi_diag_add(diag, PH_EINVAL,
                            "its `kid` must be a text of 1 to %u bytes without control characters",
                            PHI_JWK_ID_BYTES_MAX);
    }
    memcpy(key->id, id.data, id.size);
    key->id_size = id.size;
    return PH_OK;
}

// ---- reading the key

static ph_err read_rsa(phi_jwk *key, const json_t *object, phi_jwk_part part, phi_diag *diag)
{
    BIGNUM *values[PHI_COUNT_OF(numbers)] = { NULL };
    size_t count = part == PHI_JWK_PUBLIC ? NUMBERS_PUBLIC : PHI_COUNT_OF(numbers);
    OSSL_PARAM_BLD *parts = OSSL_PARAM_BLD_new();
    ph_err rc = parts == NULL ? PH_ENOMEM : PH_OK;
    for (size_t i = 0; i < count && rc == PH_OK; i++) {
        uint8_t room[NUMBER_BYTES];
        phi_bytes bytes;
        if (!read_member(object, numbers[i].name, (phi_span){ room, sizeof room }, &bytes)) {
            rc = phi_diag_add(diag, PH_EINVAL, "its `%s` is missing, too long, or no base64url",
                              numbers[i].name);
            break;
        }
        values[i] = BN_bin2bn(bytes.data, (int)bytes.size, NULL);
        OPENSSL_cleanse(room, sizeof room);
        if (values[i] == NULL || !OSSL_PARAM_BLD_push_BN(parts, numbers[i].param, values[i])) {
            rc = PH_ENOMEM;
        }
    }
    if (rc == PH_OK) {
        rc = check_rsa(values[0], values[1], diag);
    }
    if (rc == PH_OK) {
        key->pkey = make_pkey("RSA", parts, part);
        rc = key->pkey != NULL ? PH_OK : phi_diag_add(diag, PH_EINVAL, "it is no RSA key");
    }
    for (size_t i = 0; i < PHI_COUNT_OF(numbers); i++) {
        BN_clear_free(values[i]);
    }
    OSSL_PARAM_BLD_free(parts);
    return rc;
}

static ph_err check_rsa(const BIGNUM *n, const BIGNUM *e, phi_diag *diag)
{
    int bits = BN_num_bits(n);
    if (bits < (int)PHI_RSA_BITS_MIN || bits > (int)PHI_RSA_BITS_MAX) {
        return phi_diag_add(diag, PH_EINVAL, "an RSA key of %d bits; it must have %u to %u", bits,
                            PHI_RSA_BITS_MIN, PHI_RSA_BITS_MAX);
    }
    if (BN_num_bits(e) > 32 || BN_get_word(e) < EXPONENT_MIN || !BN_is_odd(e)) {
        return phi_diag_add(diag, PH_EINVAL,
                            "an RSA key whose exponent is not odd, less than %u, or longer than "
                            "32 bits",
                            EXPONENT_MIN);
    }
    return PH_OK;
}

static ph_err read_ec(phi_jwk *key, const json_t *object, phi_jwk_part part, phi_diag *diag)
{
    uint8_t point[POINT_BYTES] = { POINT_CONVERSION_UNCOMPRESSED };
    uint8_t scalar[COORDINATE_BYTES];
    phi_bytes x;
    phi_bytes y;
    phi_bytes d = { NULL, 0 };
    bool is_good = read_member(object, "x", (phi_span){ point + 1, COORDINATE_BYTES }, &x) &&
                   read_member(object, "y",
                               (phi_span){ point + 1 + COORDINATE_BYTES, COORDINATE_BYTES }, &y) &&
                   x.size == COORDINATE_BYTES && y.size == COORDINATE_BYTES;
    if (is_good && part == PHI_JWK_PRIVATE) {
        is_good = read_member(object, "d", (phi_span){ scalar, sizeof scalar }, &d) &&
                  d.size == COORDINATE_BYTES;
    }
    if (!is_good) {
        return phi_diag_add(diag, PH_EINVAL, "its `x`, `y`%s must be %u bytes in base64url",
                            part == PHI_JWK_PUBLIC ? "" : " and `d`", COORDINATE_BYTES);
    }
    OSSL_PARAM_BLD *parts = OSSL_PARAM_BLD_new();
    BIGNUM *number = d.size == 0 ? NULL : BN_bin2bn(d.data, (int)d.size, NULL);
    OPENSSL_cleanse(scalar, sizeof scalar);
    bool is_pushed =
        parts != NULL &&
        OSSL_PARAM_BLD_push_utf8_string(parts, OSSL_PKEY_PARAM_GROUP_NAME, PHI_EC_CURVE, 0) &&
        OSSL_PARAM_BLD_push_octet_string(parts, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point) &&
        (d.size == 0 ||
         (number != NULL && OSSL_PARAM_BLD_push_BN(parts, OSSL_PKEY_PARAM_PRIV_KEY, number)));
    EVP_PKEY *pkey = is_pushed ? make_pkey("EC", parts, part) : NULL;
    BN_clear_free(number);
    OSSL_PARAM_BLD_free(parts);
    if (!is_pushed) {
        return PH_ENOMEM;
    }
    if (pkey == NULL) {
        return phi_diag_add(diag, PH_EINVAL, "it is no point of its curve, or not its own");
    }
    key->pkey = pkey;
    return PH_OK;
}

static ph_err read_okp(phi_jwk *key, const json_t *object, phi_jwk_part part, phi_diag *diag)
{
    uint8_t room[COORDINATE_BYTES];
    uint8_t scalar[COORDINATE_BYTES];
    uint8_t derived[COORDINATE_BYTES];
    size_t derived_size = sizeof derived;
    phi_bytes x;
    phi_bytes d = { NULL, 0 };
    bool is_good =
        read_member(object, "x", (phi_span){ room, sizeof room }, &x) && x.size == COORDINATE_BYTES;
    if (is_good && part == PHI_JWK_PRIVATE) {
        is_good = read_member(object, "d", (phi_span){ scalar, sizeof scalar }, &d) &&
                  d.size == COORDINATE_BYTES;
    }
    if (!is_good) {
        return phi_diag_add(diag, PH_EINVAL, "its `x`%s must be %u bytes in base64url",
                            part == PHI_JWK_PUBLIC ? "" : " and `d`", COORDINATE_BYTES);
    }
    EVP_PKEY *pkey = d.size == 0
                         ? EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x.data, x.size)
                         : EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, d.data, d.size);
    OPENSSL_cleanse(scalar, sizeof scalar);
    if (pkey == NULL) {
        return PH_ENOMEM;
    }
    // Signing with a public key that is not its own gives the private one away.
    if (EVP_PKEY_get_raw_public_key(pkey, derived, &derived_size) != 1 ||
        !phi_bytes_equal(x, phi_bytes_of(derived, derived_size))) {
        EVP_PKEY_free(pkey);
        return phi_diag_add(diag, PH_EINVAL, "its `x` does not belong to its `d`");
    }
    key->pkey = pkey;
    return PH_OK;
}

static ph_err read_oct(phi_jwk *key, const json_t *object, phi_jwk_part part, phi_diag *diag)
{
    (void)part; // both sides have all of it
    uint8_t room[PHI_SECRET_BYTES_MAX];
    phi_bytes secret;
    if (!read_member(object, "k", (phi_span){ room, sizeof room }, &secret)) {
        return phi_diag_add(diag, PH_EINVAL, "its `k` is missing, too long, or no base64url");
    }
    ph_err rc = phi_secret_judge(secret, diag);
    phi_jwk made = { .alloc = NULL };
    if (rc == PH_OK) {
        rc = phi_jwk_of_secret(&made, key->alloc, secret);
    }
    OPENSSL_cleanse(room, sizeof room);
    if (rc == PH_OK) {
        key->secret = made.secret;
        key->secret_size = made.secret_size;
    }
    return rc;
}

// A text of base64url, of at least a byte; into `room`, of which *out is a view.
static bool read_member(const json_t *object, const char *name, phi_span room, phi_bytes *out)
{
    phi_bytes text;
    return phi_strict_text(object, name, &text) == PHI_STRICT_TEXT && text.size != 0 &&
           PHI_BASE64URL_BYTES(text.size) <= room.size && phi_base64url_decode(text, room, out);
}

// NULL: they are no key, or there is no memory.
static EVP_PKEY *make_pkey(const char *type, OSSL_PARAM_BLD *parts, phi_jwk_part part)
{
    bool is_public = part == PHI_JWK_PUBLIC;
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(parts);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    bool is_made =
        params != NULL && context != NULL && EVP_PKEY_fromdata_init(context) == 1 &&
        EVP_PKEY_fromdata(context, &pkey, is_public ? EVP_PKEY_PUBLIC_KEY : EVP_PKEY_KEYPAIR,
                          params) == 1;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    EVP_PKEY_CTX *check = is_made ? EVP_PKEY_CTX_new(pkey, NULL) : NULL;
    bool is_good =
        check != NULL && (is_public ? EVP_PKEY_public_check(check) : EVP_PKEY_check(check)) == 1;
    EVP_PKEY_CTX_free(check);
    if (!is_good) {
        EVP_PKEY_free(pkey);
        return NULL;
    }
    return pkey;
}

// ---- signatures

static bool verify_secret(const phi_jwk *key, phi_bytes input, phi_bytes signature)
{
    uint8_t digest[DIGEST_BYTES];
    return signature.size == sizeof digest &&
           HMAC(EVP_sha256(), key->secret, (int)key->secret_size, input.data, input.size, digest,
                NULL) != NULL &&
           CRYPTO_memcmp(digest, signature.data, sizeof digest) == 0;
}

// The library wants DER, a token has r and s side by side.
static bool verify_point(const phi_jwk *key, phi_bytes input, phi_bytes signature)
{
    if (signature.size != 2 * COORDINATE_BYTES) {
        return false;
    }
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(signature.data, (int)COORDINATE_BYTES, NULL);
    BIGNUM *s = BN_bin2bn(signature.data + COORDINATE_BYTES, (int)COORDINATE_BYTES, NULL);
    if (pair == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(pair, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        ECDSA_SIG_free(pair);
        return false;
    }
    uint8_t *der = NULL;
    int size = i2d_ECDSA_SIG(pair, &der);
    ECDSA_SIG_free(pair); // with r and s
    bool is_good = size > 0 && verify_pkey(key, input, phi_bytes_of(der, (size_t)size));
    OPENSSL_free(der);
    return is_good;
}

static bool verify_pkey(const phi_jwk *key, phi_bytes input, phi_bytes signature)
{
    EVP_PKEY_CTX *context = NULL; // of `md`
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool is_good =
        md != NULL &&
        EVP_DigestVerifyInit(md, &context, digest_of(key->algorithm), NULL, key->pkey) == 1 &&
        set_padding(key->algorithm, context) &&
        EVP_DigestVerify(md, signature.data, signature.size, input.data, input.size) == 1;
    EVP_MD_CTX_free(md);
    return is_good;
}

static bool sign_pkey(const phi_jwk *key, phi_bytes input, uint8_t *out, size_t *size)
{
    EVP_PKEY_CTX *context = NULL; // of `md`
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool is_good =
        md != NULL &&
        EVP_DigestSignInit(md, &context, digest_of(key->algorithm), NULL, key->pkey) == 1 &&
        set_padding(key->algorithm, context) &&
        EVP_DigestSign(md, out, size, input.data, input.size) == 1;
    EVP_MD_CTX_free(md);
    return is_good;
}

static bool set_padding(phi_jws_algorithm algorithm, EVP_PKEY_CTX *context)
{
    if (algorithm == PHI_JWS_RS256) {
        return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
    }
    if (algorithm == PHI_JWS_PS256) { // with a salt as long as the digest (RFC 7518 3.5)
        return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
               EVP_PKEY_CTX_set_rsa_mgf1_md(context, EVP_sha256()) == 1 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
    }
    return true;
}

static const EVP_MD *digest_of(phi_jws_algorithm algorithm)
{
    return algorithm == PHI_JWS_EDDSA ? NULL : EVP_sha256(); // EdDSA has its own
}

// The digest of what it is for and of its public part, or of the secret.
static ph_err make_mark(phi_jwk *key)
{
    uint8_t digest[DIGEST_BYTES];
    uint8_t algorithm = (uint8_t)key->algorithm;
    uint8_t *der = NULL;
    int size = key->pkey == NULL ? 0 : i2d_PUBKEY(key->pkey, &der);
    phi_bytes bytes = key->pkey == NULL ? phi_bytes_of(key->secret, key->secret_size)
                                        : phi_bytes_of(der, size < 0 ? 0 : (size_t)size);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool is_made = md != NULL && bytes.size != 0 &&
                   EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
                   EVP_DigestUpdate(md, &algorithm, 1) == 1 &&
                   EVP_DigestUpdate(md, bytes.data, bytes.size) == 1 &&
                   EVP_DigestFinal_ex(md, digest, NULL) == 1;
    EVP_MD_CTX_free(md);
    OPENSSL_free(der);
    if (!is_made) {
        return PH_ENOMEM;
    }
    memcpy(key->mark.bytes, digest, sizeof key->mark.bytes);
    return PH_OK;
}
