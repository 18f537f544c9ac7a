// SPDX-License-Identifier: Apache-2.0
//
// auth/jwt.c - see jwt.h.
//
// Design notes
// - What is cheap comes first: size, form, the few members of the header that are looked at. Then
//   the signature, once, and only then the payload is read as JSON. So a stranger can make us do
//   no more than one verification for each token, and his JSON is a header's at most.
// - Times are compared in whole seconds that favour the center: `exp` with a fraction ends at the
//   second before it, `nbf` and `iat` begin at the one behind it.
// - Times later than the year 9999 are refused. They are milliseconds where seconds belong, and
//   such a token would never end.

#include "auth/jwt.h"

#include <math.h>
#include <string.h>

#include "auth/base64url.h"
#include "auth/key.h"
#include "auth/principal.h"
#include "auth/strict.h"
#include "base/assert.h"

#define TIME_MAX_S 253402300799u // 9999-12-31T23:59:59Z

typedef enum rounding { DOWN, UP } rounding;

static phi_jwt_fault judge_header(phi_bytes part, const phi_jwks *keys, const phi_jwk **key);
static bool is_token_type(const json_t *object);
static bool is_caseless(phi_bytes text, phi_bytes small);
static phi_jwt_fault judge_payload(phi_bytes json, const phi_jwt_expect *expect, uint64_t now_s,
                                   phi_jwt_claims *out);
static phi_jwt_fault judge_times(const json_t *claims, uint32_t leeway_s, uint64_t now_s,
                                 uint64_t *expires_s);
static phi_jwt_fault judge_issuer(const json_t *claims, phi_bytes expected);
static phi_jwt_fault judge_audience(const json_t *claims, phi_bytes expected);
static phi_jwt_fault judge_principal(const json_t *claims, phi_bytes claim, phi_jwt_claims *out);
static bool read_time(const json_t *value, rounding way, uint64_t *out);

static const struct {
    const char *name;
    const char *text;
} faults[PHI_JWT_FAULT_COUNT] = {
    [PHI_JWT_GOOD] = { "token_good", "the token is good" },
    [PHI_JWT_MALFORMED] = { "token_malformed", "the token is malformed" },
    [PHI_JWT_CRITICAL] = { "token_critical",
                           "the token demands an extension that nobody has here" },
    [PHI_JWT_KEY_UNKNOWN] = { "token_key_unknown", "the token's key is not known here" },
    [PHI_JWT_ALGORITHM] = { "token_algorithm", "the token's algorithm is not that of its key" },
    [PHI_JWT_SIGNATURE] = { "token_signature", "the token's signature is wrong" },
    [PHI_JWT_EXPIRED] = { "token_expired", "the token has expired" },
    [PHI_JWT_EARLY] = { "token_early", "the token is not valid yet" },
    [PHI_JWT_ISSUER] = { "token_issuer", "the token is of another issuer" },
    [PHI_JWT_AUDIENCE] = { "token_audience", "the token is for another audience" },
    [PHI_JWT_CLAIM] = { "token_claim", "a claim of the token is missing or of the wrong type" },
    [PHI_JWT_NAME] = { "token_name", "the token is for no name of a principal: 1 to 55 of "
                                     "a-z 0-9 . _ -, not ending as a made-up one" },
};

const char *phi_jwt_fault_name(phi_jwt_fault fault)
{
    PH_ASSERT((size_t)fault < PHI_JWT_FAULT_COUNT);
    return faults[fault].name;
}

const char *phi_jwt_fault_text(phi_jwt_fault fault)
{
    PH_ASSERT((size_t)fault < PHI_JWT_FAULT_COUNT);
    return faults[fault].text;
}

bool phi_jwt_split(phi_bytes token, phi_jwt_parts *out)
{
    phi_bytes parts[3];
    size_t count = 0;
    size_t from = 0;
    for (size_t at = 0; at <= token.size; at++) {
        if (at != token.size && token.data[at] != '.') {
            continue;
        }
        if (count == PHI_COUNT_OF(parts)) {
            return false;
        }
        parts[count++] = phi_bytes_of(token.data + from, at - from);
        from = at + 1;
    }
    if (count != PHI_COUNT_OF(parts)) {
        return false;
    }
    *out = (phi_jwt_parts){
        .header = parts[0],
        .payload = parts[1],
        .signature = parts[2],
        .signed_text = phi_bytes_of(token.data, parts[0].size + 1 + parts[1].size),
    };
    return true;
}

phi_jwt_fault phi_jwt_judge(phi_bytes token, const phi_jwks *keys, const phi_jwt_expect *expect,
                            uint64_t now_s, phi_jwt_claims *out)
{
    PH_ASSERT(keys != NULL);
    PH_ASSERT(expect != NULL);
    PH_ASSERT(expect->leeway_s <= PHI_JWT_LEEWAY_MAX_S);
    PH_ASSERT(out != NULL);

    uint8_t header[PHI_BASE64URL_BYTES(PHI_JWT_BYTES_MAX)];
    uint8_t payload[PHI_BASE64URL_BYTES(PHI_JWT_BYTES_MAX)];
    uint8_t signature[PHI_BASE64URL_BYTES(PHI_JWT_BYTES_MAX)];
    phi_jwt_parts parts;
    if (token.size > PHI_JWT_BYTES_MAX || !phi_jwt_split(token, &parts) ||
        !phi_base64url_decode(parts.header, (phi_span){ header, sizeof header }, &parts.header) ||
        !phi_base64url_decode(parts.payload, (phi_span){ payload, sizeof payload },
                              &parts.payload) ||
        !phi_base64url_decode(parts.signature, (phi_span){ signature, sizeof signature },
                              &parts.signature)) {
        return PHI_JWT_MALFORMED;
    }
    const phi_jwk *key = NULL;
    phi_jwt_fault fault = judge_header(parts.header, keys, &key);
    if (fault != PHI_JWT_GOOD) {
        return fault;
    }
    if (!phi_jwk_verify(key, parts.signed_text, parts.signature)) {
        return PHI_JWT_SIGNATURE;
    }
    phi_jwt_claims claims = { .key = key->mark };
    fault = judge_payload(parts.payload, expect, now_s, &claims);
    if (fault == PHI_JWT_GOOD) {
        PH_ASSERT(claims.expires_s > now_s);
        *out = claims;
    }
    return fault;
}

bool phi_jwt_time(const json_t *value, uint64_t *out)
{
    return read_time(value, DOWN, out);
}

// ---- the header

static phi_jwt_fault judge_header(phi_bytes part, const phi_jwks *keys, const phi_jwk **key)
{
    json_t *object = phi_strict_object(part);
    if (object == NULL) {
        return PHI_JWT_MALFORMED;
    }
    phi_bytes name = { NULL, 0 };
    phi_bytes id = { NULL, 0 };
    phi_jws_algorithm algorithm = PHI_JWS_COUNT;
    phi_strict_member has_id = phi_strict_text(object, "kid", &id);
    phi_jwt_fault fault = PHI_JWT_GOOD;
    if (json_object_get(object, "crit") != NULL) {
        fault = PHI_JWT_CRITICAL;
    } else if (!is_token_type(object) || has_id == PHI_STRICT_OTHER) {
        fault = PHI_JWT_MALFORMED;
    } else if (phi_strict_text(object, "alg", &name) != PHI_STRICT_TEXT ||
               !phi_jws_algorithm_of_name(name, &algorithm)) {
        fault = PHI_JWT_ALGORITHM;
    } else {
        *key = phi_jwks_find(keys, has_id == PHI_STRICT_ABSENT ? NULL : &id);
        if (*key == NULL) {
            fault = PHI_JWT_KEY_UNKNOWN;
        } else if ((*key)->algorithm != algorithm) {
            fault = PHI_JWT_ALGORITHM;
        }
    }
    json_decref(object);
    return fault;
}

// `typ` is absent, or one of a token for this: an ID token, a logout token, or a proof of
// possession signed by the same issuer is none (RFC 8725 3.11).
static bool is_token_type(const json_t *object)
{
    static const char *const types[] = { "jwt", "at+jwt", "application/at+jwt" };
    phi_bytes type;
    phi_strict_member member = phi_strict_text(object, "typ", &type);
    bool is_one = member == PHI_STRICT_ABSENT;
    for (size_t i = 0; member == PHI_STRICT_TEXT && i < PHI_COUNT_OF(types); i++) {
        is_one |= is_caseless(type, phi_bytes_text(types[i]));
    }
    return is_one;
}

// Equal but for capital letters, of which `small` has none.
static bool is_caseless(phi_bytes text, phi_bytes small)
{
    bool is_equal = text.size == small.size;
    for (size_t i = 0; is_equal && i < text.size; i++) {
        uint8_t c = text.data[i];
        is_equal = (c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c) == small.data[i];
    }
    return is_equal;
}

// ---- the payload

static phi_jwt_fault judge_payload(phi_bytes json, const phi_jwt_expect *expect, uint64_t now_s,
                                   phi_jwt_claims *out)
{
    json_t *claims = phi_strict_object(json);
    if (claims == NULL) {
        return PHI_JWT_MALFORMED;
    }
    phi_jwt_fault fault = judge_times(claims, expect->leeway_s, now_s, &out->expires_s);
    if (fault == PHI_JWT_GOOD) {
        fault = judge_issuer(claims, expect->issuer);
    }
    if (fault == PHI_JWT_GOOD) {
        fault = judge_audience(claims, expect->audience);
    }
    if (fault == PHI_JWT_GOOD) {
        fault = judge_principal(claims, expect->claim, out);
    }
    json_decref(claims);
    return fault;
}

// Valid while  nbf - leeway <= now < exp + leeway,  and not before it was issued.
static phi_jwt_fault judge_times(const json_t *claims, uint32_t leeway_s, uint64_t now_s,
                                 uint64_t *expires_s)
{
    static const char *const begins[] = { "nbf", "iat" };
    uint64_t end;
    if (!read_time(json_object_get(claims, "exp"), DOWN, &end)) {
        return PHI_JWT_CLAIM;
    }
    bool is_early = false;
    for (size_t i = 0; i < PHI_COUNT_OF(begins); i++) {
        uint64_t begin = 0;
        const json_t *value = json_object_get(claims, begins[i]);
        if (value != NULL && !read_time(value, UP, &begin)) {
            return PHI_JWT_CLAIM;
        }
        is_early |= begin > now_s + leeway_s;
    }
    if (now_s >= end + leeway_s) {
        return PHI_JWT_EXPIRED;
    }
    if (is_early) {
        return PHI_JWT_EARLY;
    }
    *expires_s = end + leeway_s;
    return PHI_JWT_GOOD;
}

static phi_jwt_fault judge_issuer(const json_t *claims, phi_bytes expected)
{
    phi_bytes issuer = { NULL, 0 };
    if (phi_strict_text(claims, "iss", &issuer) == PHI_STRICT_OTHER) {
        return PHI_JWT_CLAIM;
    }
    return expected.size == 0 || phi_bytes_equal(issuer, expected) ? PHI_JWT_GOOD : PHI_JWT_ISSUER;
}

// One text, or a list of nothing but texts.
static phi_jwt_fault judge_audience(const json_t *claims, phi_bytes expected)
{
    const json_t *value = json_object_get(claims, "aud");
    bool is_list = json_is_array(value);
    size_t count = is_list ? json_array_size(value) : value == NULL ? 0 : 1;
    bool is_for_us = expected.size == 0;
    for (size_t i = 0; i < count; i++) {
        const json_t *item = is_list ? json_array_get(value, i) : value;
        if (!json_is_string(item)) {
            return PHI_JWT_CLAIM;
        }
        is_for_us |= phi_bytes_equal(
            phi_bytes_of(json_string_value(item), json_string_length(item)), expected);
    }
    return is_for_us ? PHI_JWT_GOOD : PHI_JWT_AUDIENCE;
}

static phi_jwt_fault judge_principal(const json_t *claims, phi_bytes claim, phi_jwt_claims *out)
{
    const json_t *value = claim.size == 0
                              ? json_object_get(claims, "sub")
                              : json_object_getn(claims, (const char *)claim.data, claim.size);
    if (!json_is_string(value)) {
        return PHI_JWT_CLAIM;
    }
    phi_bytes name = phi_bytes_of(json_string_value(value), json_string_length(value));
    if (!phi_principal_is_valid(name)) {
        return PHI_JWT_NAME;
    }
    PH_ASSERT(name.size < sizeof out->principal);
    memcpy(out->principal, name.data, name.size);
    out->principal[name.size] = '\0';
    return PHI_JWT_GOOD;
}

// A whole number or a fraction, from 0 to the year 9999.
static bool read_time(const json_t *value, rounding way, uint64_t *out)
{
    if (json_is_integer(value)) {
        json_int_t seconds = json_integer_value(value);
        if (seconds < 0 || seconds > (json_int_t)TIME_MAX_S) {
            return false;
        }
        *out = (uint64_t)seconds;
        return true;
    }
    double seconds = json_is_real(value) ? json_real_value(value) : -1.0;
    if (!isfinite(seconds) || seconds < 0.0 || seconds > (double)TIME_MAX_S) {
        return false;
    }
    *out = (uint64_t)(way == DOWN ? floor(seconds) : ceil(seconds));
    return true;
}
