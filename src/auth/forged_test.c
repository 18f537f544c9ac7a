// SPDX-License-Identifier: Apache-2.0
//
// auth/forged_test.c - tokens that nobody may get in with: each with the fault that must be found,
// so that it is refused for its own reason and not for a slip in this file.
//
// A row says how a token that would be good is changed. What it does not say is as in a good one.

#include <openssl/ec.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/base64url.h"
#include "auth/key.h"
#include "tests/auth/forgery.h"
#include "tests/harness/test.h"

// ---- edits

// Replaces the first occurrence; both of any length.
static void replace(token *t, const char *from, const char *to)
{
    char *at = strstr(t->text, from);
    assert_non_null(at);
    token made;
    int size = snprintf(made.text, sizeof made.text, "%.*s%s%s", (int)(at - t->text), t->text, to,
                        at + strlen(from));
    assert_true(size > 0);
    made.size = (size_t)size;
    *t = made;
}

static void set_text(token *t, const char *text)
{
    t->size = strlen(text);
    memcpy(t->text, text, t->size + 1);
}

static void cut_signature_and_dot(token *t)
{
    t->size = token_dot(t, 2);
    t->text[t->size] = '\0';
}

static void cut_to_header(token *t)
{
    t->size = token_dot(t, 1);
    t->text[t->size] = '\0';
}

static void cut_to_nothing(token *t)
{
    set_text(t, "");
}

static void only_dots(token *t)
{
    set_text(t, "..");
}

static void add_dot(token *t)
{
    token_insert(t, t->size, ".", 1);
}

static void add_part(token *t)
{
    token_insert(t, t->size, ".e30", 4);
}

static void add_two_parts(token *t)
{
    token_insert(t, t->size, ".e30.e30", 8);
}

static void dot_in_front(token *t)
{
    token_insert(t, 0, ".", 1);
}

static void empty_payload(token *t)
{
    size_t first = token_dot(t, 1);
    size_t second = token_dot(t, 2);
    memmove(t->text + first + 1, t->text + second, t->size - second + 1);
    t->size -= second - first - 1;
}

static void empty_header(token *t)
{
    size_t first = token_dot(t, 1);
    memmove(t->text, t->text + first, t->size - first + 1);
    t->size -= first;
}

static void pad_signature(token *t)
{
    token_insert(t, t->size, "==", 2);
}

static void pad_header(token *t)
{
    token_insert(t, token_dot(t, 1), "=", 1);
}

static void newline_behind(token *t)
{
    token_insert(t, t->size, "\n", 1);
}

static void space_in_front(token *t)
{
    token_insert(t, 0, " ", 1);
}

static void line_break_inside(token *t)
{
    token_insert(t, token_dot(t, 1) + 9, "\r\n", 2);
}

static void nul_behind(token *t)
{
    token_insert(t, t->size, "\0", 1);
}

static void nul_inside(token *t)
{
    token_insert(t, token_dot(t, 2) + 5, "\0", 1);
}

static void byte_of_eight_bits(token *t)
{
    token_insert(t, token_dot(t, 2) + 5, "\xc3\xa4", 2);
}

static void digit_more(token *t) // 4n + 1 digits are no bytes
{
    assert_int_equal((t->size - token_dot(t, 2) - 1) % 4, 2);
    token_insert(t, t->size, "AAA", 3);
}

static void idle_bits(token *t) // of 64 bytes the last digit has 4 bits that say nothing
{
    char *last = &t->text[t->size - 1];
    *last = *last == 'A' ? 'B' : *last == 'Q' ? 'R' : *last == 'g' ? 'h' : 'x';
}

static void plain_alphabet(token *t)
{
    replace(t, "-", "+");
}

static void bearer(token *t)
{
    token_insert(t, 0, "Bearer ", 7);
}

static void json_flattened(token *t)
{
    token made;
    size_t first = token_dot(t, 1);
    size_t second = token_dot(t, 2);
    made.size = (size_t)snprintf(
        made.text, sizeof made.text,
        "{\"protected\":\"%.*s\",\"payload\":\"%.*s\",\"signature\":\"%s\"}", (int)first, t->text,
        (int)(second - first - 1), t->text + first + 1, t->text + second + 1);
    *t = made;
}

static void json_general(token *t)
{
    token made;
    size_t first = token_dot(t, 1);
    size_t second = token_dot(t, 2);
    made.size = (size_t)snprintf(made.text, sizeof made.text,
                                 "{\"payload\":\"%.*s\",\"signatures\":[{\"protected\":\"%.*s\","
                                 "\"signature\":\"%s\"}]}",
                                 (int)(second - first - 1), t->text + first + 1, (int)first,
                                 t->text, t->text + second + 1);
    *t = made;
}

static void plain_payload(token *t) // as RFC 7797 has it
{
    size_t first = token_dot(t, 1);
    size_t second = token_dot(t, 2);
    token made;
    made.size = (size_t)snprintf(made.text, sizeof made.text, "%.*s.%s%s", (int)first, t->text,
                                 GOOD_PAYLOAD, t->text + second);
    *t = made;
}

static void swap_payload(token *t)
{
    const char other[] =
        "{\"sub\":\"bank\",\"exp\":1800000600,\"iss\":\"issuer\",\"aud\":\"center\"}";
    uint8_t room[256];
    phi_bytes part = phi_base64url_encode(phi_bytes_text(other), (phi_span){ room, sizeof room });
    empty_payload(t);
    token_insert(t, token_dot(t, 1) + 1, (const char *)part.data, part.size);
}

static void swap_header(token *t)
{
    const char other[] = "{\"alg\":\"ES256\",\"kid\":\"es\",\"typ\":\"JWT\"}";
    uint8_t room[256];
    phi_bytes part = phi_base64url_encode(phi_bytes_text(other), (phi_span){ room, sizeof room });
    empty_header(t);
    token_insert(t, 0, (const char *)part.data, part.size);
}

static void signature_one_less(token *t)
{
    uint8_t room[TOKEN_ROOM];
    phi_bytes bytes = token_signature(t, room);
    token_set_signature(t, phi_bytes_of(bytes.data, bytes.size - 1));
}

static void signature_one_more(token *t)
{
    uint8_t room[TOKEN_ROOM];
    phi_bytes bytes = token_signature(t, room);
    room[bytes.size] = 0;
    token_set_signature(t, phi_bytes_of(room, bytes.size + 1));
}

static void signature_half(token *t)
{
    uint8_t room[TOKEN_ROOM];
    phi_bytes bytes = token_signature(t, room);
    token_set_signature(t, phi_bytes_of(bytes.data, bytes.size / 2));
}

static void signature_zeros(token *t) // r = s = 0: "psychic" signatures
{
    uint8_t room[TOKEN_ROOM];
    phi_bytes bytes = token_signature(t, room);
    memset(room, 0, bytes.size);
    token_set_signature(t, phi_bytes_of(room, bytes.size));
}

static void signature_flipped(token *t)
{
    uint8_t room[TOKEN_ROOM];
    phi_bytes bytes = token_signature(t, room);
    room[bytes.size / 2] ^= 0x10;
    token_set_signature(t, bytes);
}

static void signature_one(token *t)
{
    uint8_t room[TOKEN_ROOM];
    phi_bytes bytes = token_signature(t, room);
    memset(room, 0, bytes.size);
    room[bytes.size - 1] = 1;
    token_set_signature(t, phi_bytes_of(room, bytes.size));
}

static void signature_r_is_s(token *t)
{
    uint8_t room[TOKEN_ROOM];
    phi_bytes bytes = token_signature(t, room);
    memcpy(room + 32, room, 32);
    token_set_signature(t, bytes);
}

static void signature_swapped(token *t)
{
    uint8_t room[TOKEN_ROOM];
    phi_bytes bytes = token_signature(t, room);
    uint8_t r[32];
    memcpy(r, room, 32);
    memcpy(room, room + 32, 32);
    memcpy(room + 32, r, 32);
    token_set_signature(t, bytes);
}

// r = s = the order of the curve, which is zero for who does not look.
static void signature_of_order(token *t)
{
    static const uint8_t order[32] = { 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00,
                                       0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                       0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84,
                                       0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51 };
    uint8_t both[64];
    memcpy(both, order, 32);
    memcpy(both + 32, order, 32);
    token_set_signature(t, phi_bytes_of(both, sizeof both));
}

static void signature_der(token *t)
{
    uint8_t room[TOKEN_ROOM];
    phi_bytes bytes = token_signature(t, room);
    ECDSA_SIG *pair = ECDSA_SIG_new();
    ECDSA_SIG_set0(pair, BN_bin2bn(bytes.data, 32, NULL), BN_bin2bn(bytes.data + 32, 32, NULL));
    uint8_t *der = NULL;
    int size = i2d_ECDSA_SIG(pair, &der);
    assert_true(size > 0);
    token_set_signature(t, phi_bytes_of(der, (size_t)size));
    OPENSSL_free(der);
    ECDSA_SIG_free(pair);
}

// s + L, the order of Ed25519's group: the same signature for who does not look (RFC 8032 5.1.7).
static void signature_plus_order(token *t)
{
    static const uint8_t order[32] = { 0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,
                                       0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
                                       0,    0,    0,    0,    0,    0,    0,    0,
                                       0,    0,    0,    0,    0,    0,    0,    0x10 };
    uint8_t room[TOKEN_ROOM];
    phi_bytes bytes = token_signature(t, room);
    unsigned carry = 0;
    for (size_t i = 0; i < 32; i++) {
        unsigned sum = room[32 + i] + order[i] + carry;
        room[32 + i] = (uint8_t)sum;
        carry = sum >> 8;
    }
    token_set_signature(t, bytes);
}

static void signature_of_identity(token *t) // R the neutral point, s = 0
{
    uint8_t both[64] = { 1 };
    token_set_signature(t, phi_bytes_of(both, sizeof both));
}

static void signature_without_zero(token *t) // as a number, padded at the other end
{
    uint8_t room[TOKEN_ROOM];
    phi_bytes bytes = token_signature(t, room);
    memmove(room, room + 1, bytes.size - 1);
    room[bytes.size - 1] = 0;
    token_set_signature(t, bytes);
}

static void too_long(token *t)
{
    while (t->size <= PHI_JWT_BYTES_MAX) {
        token_insert(t, t->size, "A", 1);
    }
}

static void very_long(token *t)
{
    while (t->size + 4 <= TOKEN_ROOM) {
        token_insert(t, t->size, "AAAA", 4);
    }
}

// ---- the table

#define HEADER(text) "{'alg':'ES256','kid':'es'," text "}"
#define ALG(text) "{'alg':" text ",'kid':'es'}"
#define KID(text) "{'alg':'ES256','kid':" text "}"
#define KID_HS(text) "{'alg':'HS256','kid':" text "}"
#define TIMES "'iss':'issuer','aud':'center','exp':1800000600"
#define SUB(text) "{" TIMES ",'sub':" text "}"
#define EXP(text) "{'iss':'issuer','aud':'center','sub':'orders','exp':" text "}"
#define ISS(text) "{'iss':" text ",'aud':'center','sub':'orders','exp':1800000600}"
#define AUD(text) "{'aud':" text ",'iss':'issuer','sub':'orders','exp':1800000600}"
#define AND(text) "{" CLAIMS "," text "}"
#define MALFORMED PHI_JWT_MALFORMED
#define CRITICAL PHI_JWT_CRITICAL
#define KEY_UNKNOWN PHI_JWT_KEY_UNKNOWN
#define ALGORITHM PHI_JWT_ALGORITHM
#define SIGNATURE PHI_JWT_SIGNATURE
#define EXPIRED PHI_JWT_EXPIRED
#define EARLY PHI_JWT_EARLY
#define ISSUER PHI_JWT_ISSUER
#define AUDIENCE PHI_JWT_AUDIENCE
#define CLAIM PHI_JWT_CLAIM
#define NAME PHI_JWT_NAME
#define ES PHI_JWS_ES256
#define ED PHI_JWS_EDDSA
#define RS PHI_JWS_RS256
#define PS PHI_JWS_PS256
#define HS PHI_JWS_HS256
#define DEEP10 "[[[[[[[[[["
#define LONG10 "aaaaaaaaaa"
#define LONG100 LONG10 LONG10 LONG10 LONG10 LONG10 LONG10 LONG10 LONG10 LONG10 LONG10
#define LONG500 LONG100 LONG100 LONG100 LONG100 LONG100
#define STRANGERS_KEY                                                                              \
    "{'kty':'oct','alg':'HS256','k':'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'}"

static const forgery forgeries[] = {
    // Not signed at all: "none", in all spellings.
    { "none", ALGORITHM, ES, .header = ALG("'none'"), .by = BY_NOBODY },
    { "None", ALGORITHM, ES, .header = ALG("'None'"), .by = BY_NOBODY },
    { "NONE", ALGORITHM, ES, .header = ALG("'NONE'"), .by = BY_NOBODY },
    { "nOnE", ALGORITHM, ES, .header = ALG("'nOnE'"), .by = BY_NOBODY },
    { "none with a space before", ALGORITHM, ES, .header = ALG("' none'"), .by = BY_NOBODY },
    { "none with a tab behind", ALGORITHM, ES, .header = ALG("'none\\t'"), .by = BY_NOBODY },
    { "none in escapes", ALGORITHM, ES, .header = ALG("'\\u006eone'"), .by = BY_NOBODY },
    { "none in fullwidth letters", ALGORITHM, ES, .header = ALG("'\uff4e\uff4f\uff4e\uff45'"),
      .by = BY_NOBODY },
    { "none, and a good signature", ALGORITHM, ES, .header = ALG("'none'") },
    { "none without a kid", ALGORITHM, ES, .header = "{'alg':'none'}", .by = BY_NOBODY },
    { "none without its last dot", MALFORMED, ES, .header = ALG("'none'"), .by = BY_NOBODY,
      .edit = cut_signature_and_dot },
    { "none with the secret's kid", ALGORITHM, HS, .header = "{'alg':'none','kid':'hs'}",
      .by = BY_NOBODY },
    { "no alg", ALGORITHM, ES, .header = "{'kid':'es'}" },
    { "no alg, not signed", ALGORITHM, ES, .header = "{'kid':'es'}", .by = BY_NOBODY },
    { "alg null", ALGORITHM, ES, .header = ALG("null") },
    { "alg false", ALGORITHM, ES, .header = ALG("false"), .by = BY_NOBODY },
    { "alg 0", ALGORITHM, ES, .header = ALG("0") },
    { "alg empty", ALGORITHM, ES, .header = ALG("''") },
    { "alg a list", ALGORITHM, ES, .header = ALG("['ES256']") },
    { "alg an object", ALGORITHM, ES, .header = ALG("{'ES256':1}") },
    { "alg in small letters", ALGORITHM, ES, .header = ALG("'es256'") },
    { "alg with a space", ALGORITHM, ES, .header = ALG("'ES256 '") },
    { "alg with a NUL", MALFORMED, ES, .header = ALG("'ES256\\u0000none'") },
    { "signature left out", SIGNATURE, ES, .by = BY_NOBODY },
    { "signature left out, RS256", SIGNATURE, RS, .by = BY_NOBODY },
    { "signature left out, HS256", SIGNATURE, HS, .by = BY_NOBODY },
    { "signature left out, EdDSA", SIGNATURE, ED, .by = BY_NOBODY },

    // One algorithm for another: the public key as the secret, and the like.
    { "RS256 to HS256, PEM", ALGORITHM, RS, .header = "{'alg':'HS256','kid':'rs'}", .by = BY_PEM },
    { "RS256 to HS256, key set", ALGORITHM, RS, .header = "{'alg':'HS256','kid':'rs'}",
      .by = BY_JSON },
    { "RS256 to HS256, modulus", ALGORITHM, RS, .header = "{'alg':'HS256','kid':'rs'}",
      .by = BY_MODULUS },
    { "PS256 to HS256, modulus", ALGORITHM, PS, .header = "{'alg':'HS256','kid':'ps'}",
      .by = BY_MODULUS },
    { "ES256 to HS256, point", ALGORITHM, ES, .header = ALG("'HS256'"), .by = BY_POINT },
    { "EdDSA to HS256, public key", ALGORITHM, ED, .header = "{'alg':'HS256','kid':'ed'}",
      .by = BY_ED },
    { "PEM as the secret, with the secret's kid", SIGNATURE, HS, .by = BY_PEM },
    { "PS256's key for RS256", ALGORITHM, RS, .header = "{'alg':'RS256','kid':'ps'}" },
    { "RS256's key for PS256", ALGORITHM, PS, .header = "{'alg':'PS256','kid':'rs'}" },
    { "RS256's signature said to be PS256's", SIGNATURE, RS,
      .header = "{'alg':'PS256','kid':'ps'}" },
    { "PS256's signature said to be RS256's", SIGNATURE, PS,
      .header = "{'alg':'RS256','kid':'rs'}" },
    { "EdDSA for the key of ES256", ALGORITHM, ED, .header = ALG("'EdDSA'") },
    { "EdDSA's signature for ES256", SIGNATURE, ED, .header = ALG("'ES256'") },
    { "ES256's signature for EdDSA", SIGNATURE, ES, .header = "{'alg':'EdDSA','kid':'ed'}" },
    { "ES384", ALGORITHM, ES, .header = ALG("'ES384'"), .by = BY_SECP384R1 },
    { "ES256K", ALGORITHM, ES, .header = ALG("'ES256K'"), .by = BY_SECP256K1 },
    { "RS512", ALGORITHM, RS, .header = "{'alg':'RS512','kid':'rs'}", .by = BY_RSA_SHA512 },
    { "RS1", ALGORITHM, RS, .header = "{'alg':'RS1','kid':'rs'}" },
    { "HS512", ALGORITHM, HS, .header = "{'alg':'HS512','kid':'hs'}", .by = BY_HS512 },
    { "HS512 said to be HS256", SIGNATURE, HS, .by = BY_HS512 },
    { "dir", ALGORITHM, HS, .header = "{'alg':'dir','enc':'A256GCM','kid':'hs'}" },
    { "Ed448", ALGORITHM, ED, .header = "{'alg':'Ed448','kid':'ed'}" },
    { "secret of no bytes", SIGNATURE, HS, .by = BY_EMPTY },
    { "secret of zero bytes", SIGNATURE, HS, .by = BY_ZEROS },
    { "secret is the kid", SIGNATURE, HS, .by = BY_ID },

    // Which key.
    { "unknown kid", KEY_UNKNOWN, ES, .header = KID("'other'"), .by = BY_STRANGER },
    { "unknown kid, known key", KEY_UNKNOWN, ES, .header = KID("'other'") },
    { "no kid among several keys", KEY_UNKNOWN, ES, .header = "{'alg':'ES256'}" },
    { "kid empty", KEY_UNKNOWN, ES, .header = KID("''") },
    { "kid in capitals", KEY_UNKNOWN, ES, .header = KID("'ES'") },
    { "kid with a space", KEY_UNKNOWN, ES, .header = KID("'es '") },
    { "kid begins right", KEY_UNKNOWN, ES, .header = KID("'e'") },
    { "kid goes up to an empty file", KEY_UNKNOWN, HS,
      .header = KID_HS("'../../../../../dev/null'"), .by = BY_EMPTY },
    { "kid is an empty file", KEY_UNKNOWN, HS, .header = KID_HS("'/dev/null'"), .by = BY_EMPTY },
    { "kid is a file of zeros", KEY_UNKNOWN, HS, .header = KID_HS("'file:///dev/zero'"),
      .by = BY_ZEROS },
    { "kid is SQL", KEY_UNKNOWN, HS, .header = KID_HS("'x` UNION SELECT `hs`;-- '"), .by = BY_ID },
    { "kid is a command", KEY_UNKNOWN, HS, .header = KID_HS("'hs|/usr/bin/id'"), .by = BY_ID },
    { "kid is an address", KEY_UNKNOWN, ES, .header = KID("'http://127.0.0.1:9/es'"),
      .by = BY_STRANGER },
    { "kid is of JavaScript", KEY_UNKNOWN, ES, .header = KID("'__proto__'"), .by = BY_STRANGER },
    { "kid is a format", KEY_UNKNOWN, ES, .header = KID("'%s%s%s%n'"), .by = BY_STRANGER },
    { "kid moves the cursor", KEY_UNKNOWN, ES, .header = KID("'\\u001b[2J'"), .by = BY_STRANGER },
    { "kid of 129 bytes", KEY_UNKNOWN, ES, .header = KID("'" LONG100 LONG10 LONG10 "aaaaaaaaa'") },
    { "kid of 2,000 bytes", KEY_UNKNOWN, ES, .header = KID("'" LONG500 LONG500 LONG500 LONG500 "'"),
      .by = BY_STRANGER },
    { "kid with a NUL", MALFORMED, ES, .header = KID("'es\\u0000x'") },
    { "kid a list", MALFORMED, ES, .header = KID("['es']") },
    { "kid an object", MALFORMED, ES, .header = KID("{'es':1}") },
    { "kid a number", MALFORMED, ES, .header = KID("0") },
    { "kid null", MALFORMED, ES, .header = KID("null") },
    { "kid twice", MALFORMED, ES, .header = "{'alg':'ES256','kid':'hs','kid':'es'}" },
    { "stranger's key, ES256", SIGNATURE, ES, .by = BY_STRANGER },
    { "stranger's key, EdDSA", SIGNATURE, ED, .by = BY_STRANGER },
    { "stranger's key, HS256", SIGNATURE, HS, .by = BY_STRANGER },

    // Keys that the token brings along, or says where they are.
    { "jku", SIGNATURE, ES, .header = HEADER("'jku':'http://127.0.0.1:9/jwks.json'"),
      .by = BY_STRANGER },
    { "jku with another kid", KEY_UNKNOWN, ES,
      .header = "{'alg':'ES256','kid':'x','jku':'http://127.0.0.1:9/jwks.json'}",
      .by = BY_STRANGER },
    { "x5u", SIGNATURE, ES, .header = HEADER("'x5u':'http://127.0.0.1:9/cert.pem'"),
      .by = BY_STRANGER },
    { "x5c", SIGNATURE, ES, .header = HEADER("'x5c':['MIIB']"), .by = BY_STRANGER },
    { "x5t", SIGNATURE, ES, .header = HEADER("'x5t':'AAAAAAAAAAAAAAAAAAAAAAAAAAA'"),
      .by = BY_STRANGER },
    { "jwk", SIGNATURE, HS, .header = "{'alg':'HS256','kid':'hs','jwk':" STRANGERS_KEY "}",
      .by = BY_ZEROS },
    { "jwk without a kid", KEY_UNKNOWN, HS, .header = "{'alg':'HS256','jwk':" STRANGERS_KEY "}",
      .by = BY_ZEROS },
    { "jku and a line break", SIGNATURE, ES,
      .header = HEADER("'jku':'http://127.0.0.1:9/\\r\\nHost: x'"), .by = BY_STRANGER },

    // What must be understood.
    { "crit exp", CRITICAL, ES, .header = HEADER("'crit':['exp'],'exp':1") },
    { "crit of nothing", CRITICAL, ES, .header = HEADER("'crit':[]") },
    { "crit null", CRITICAL, ES, .header = HEADER("'crit':null") },
    { "crit of its own words", CRITICAL, ES, .header = HEADER("'crit':['alg']") },
    { "crit b64", CRITICAL, ES, .header = HEADER("'b64':false,'crit':['b64']") },
    { "crit of an unknown key", CRITICAL, ES, .header = "{'alg':'none','kid':'x','crit':['x']}",
      .by = BY_NOBODY },
    { "payload in plain", MALFORMED, ES, .header = HEADER("'b64':false"), .edit = plain_payload },

    // Tokens for something else.
    { "typ of a logout", MALFORMED, ES, .header = HEADER("'typ':'logout+jwt'") },
    { "typ of a proof", MALFORMED, ES, .header = HEADER("'typ':'dpop+jwt'") },
    { "typ of an encrypted one", MALFORMED, ES, .header = HEADER("'typ':'JWE'") },
    { "typ begins right", MALFORMED, ES, .header = HEADER("'typ':'JWTX'") },
    { "typ ends too early", MALFORMED, ES, .header = HEADER("'typ':'JW'") },
    { "typ a number", MALFORMED, ES, .header = HEADER("'typ':1") },

    // Not three parts, or other serialisations.
    { "nothing", MALFORMED, ES, .edit = cut_to_nothing },
    { "one part", MALFORMED, ES, .edit = cut_to_header },
    { "two parts", MALFORMED, ES, .edit = cut_signature_and_dot },
    { "a dot behind", MALFORMED, ES, .edit = add_dot },
    { "four parts", MALFORMED, ES, .edit = add_part },
    { "five parts", MALFORMED, ES, .edit = add_two_parts },
    { "a dot in front", MALFORMED, ES, .edit = dot_in_front },
    { "only dots", MALFORMED, ES, .edit = only_dots },
    { "no header", MALFORMED, ES, .edit = empty_header },
    { "no payload", SIGNATURE, ES, .edit = empty_payload },
    { "JSON, flattened", MALFORMED, ES, .edit = json_flattened },
    { "JSON, general", MALFORMED, ES, .edit = json_general },
    { "Bearer in front", MALFORMED, ES, .edit = bearer },
    { "too long by a byte", MALFORMED, ES, .edit = too_long },
    { "much too long", MALFORMED, ES, .edit = very_long },

    // Base64url, and what is nearly that.
    { "header padded", MALFORMED, ES, .edit = pad_header },
    { "signature padded", MALFORMED, ES, .edit = pad_signature },
    { "newline behind", MALFORMED, ES, .edit = newline_behind },
    { "space in front", MALFORMED, ES, .edit = space_in_front },
    { "line break inside", MALFORMED, ES, .edit = line_break_inside },
    { "NUL behind", MALFORMED, ES, .edit = nul_behind },
    { "NUL inside", MALFORMED, ES, .edit = nul_inside },
    { "letter that is none", MALFORMED, ES, .edit = byte_of_eight_bits },
    { "digit too many", MALFORMED, ES, .edit = digit_more },
    { "bits that say nothing", MALFORMED, ES, .edit = idle_bits },
    { "the other alphabet", MALFORMED, ES, .payload = AND("'x':'~~~~~~~~~'"),
      .edit = plain_alphabet },

    // JSON, and what is nearly that.
    { "header a list", MALFORMED, ES, .header = "['ES256']" },
    { "header a text", MALFORMED, ES, .header = "'ES256'" },
    { "header null", MALFORMED, ES, .header = "null" },
    { "header of nothing", ALGORITHM, ES, .header = "{}" },
    { "header and more", MALFORMED, ES, .header = ALG("'ES256'") "x" },
    { "header twice", MALFORMED, ES, .header = ALG("'ES256'") ALG("'none'") },
    { "header cut off", MALFORMED, ES, .header = "{'alg':'ES256','kid':'es'" },
    { "header behind a mark of byte order", MALFORMED, ES,
      .header = "\xef\xbb\xbf" ALG("'ES256'") },
    { "header with a comment", MALFORMED, ES, .header = "{/**/'alg':'ES256','kid':'es'}" },
    { "header with a comma too many", MALFORMED, ES, .header = "{'alg':'ES256','kid':'es',}" },
    { "header in other quotes", MALFORMED, ES, .header = "{`alg`:`ES256`,`kid`:`es`}" },
    { "header no UTF-8", MALFORMED, ES, .header = HEADER("'x':'\xff'") },
    { "header with half a character", MALFORMED, ES, .header = HEADER("'x':'\\ud800'") },
    { "header with a control character", MALFORMED, ES, .header = HEADER("'x':'\n'") },
    { "header too deep", MALFORMED, ES,
      .header = HEADER("'x':" DEEP10 DEEP10 "]]]]]]]]]]]]]]]]]]]]") },
    { "header never closed", MALFORMED, ES, .header = DEEP10 DEEP10 DEEP10 DEEP10 },
    { "header with a huge number", MALFORMED, ES, .header = HEADER("'x':1e999") },
    { "alg twice, the good one last", MALFORMED, ES,
      .header = "{'alg':'none','alg':'ES256','kid':'es'}" },
    { "alg twice, the good one first", MALFORMED, ES,
      .header = "{'alg':'ES256','kid':'es','alg':'none'}" },
    { "alg twice, once in escapes", MALFORMED, ES, .header = HEADER("'\\u0061lg':'none'") },
    { "a name twice, deep", MALFORMED, ES, .header = HEADER("'x':[{'y':1,'y':2}]") },

    // Signatures.
    { "payload of another", SIGNATURE, ES, .edit = swap_payload },
    { "payload of another, HS256", SIGNATURE, HS, .edit = swap_payload },
    { "payload of another, RS256", SIGNATURE, RS, .edit = swap_payload },
    { "payload of another, PS256", SIGNATURE, PS, .edit = swap_payload },
    { "payload of another, EdDSA", SIGNATURE, ED, .edit = swap_payload },
    { "header of another", SIGNATURE, ES, .edit = swap_header },
    { "a bit flipped, ES256", SIGNATURE, ES, .edit = signature_flipped },
    { "a bit flipped, HS256", SIGNATURE, HS, .edit = signature_flipped },
    { "a bit flipped, RS256", SIGNATURE, RS, .edit = signature_flipped },
    { "a bit flipped, PS256", SIGNATURE, PS, .edit = signature_flipped },
    { "a bit flipped, EdDSA", SIGNATURE, ED, .edit = signature_flipped },
    { "a byte less, ES256", SIGNATURE, ES, .edit = signature_one_less },
    { "a byte less, HS256", SIGNATURE, HS, .edit = signature_one_less },
    { "a byte less, RS256", SIGNATURE, RS, .edit = signature_one_less },
    { "a byte less, EdDSA", SIGNATURE, ED, .edit = signature_one_less },
    { "a byte more, ES256", SIGNATURE, ES, .edit = signature_one_more },
    { "a byte more, HS256", SIGNATURE, HS, .edit = signature_one_more },
    { "a byte more, RS256", SIGNATURE, RS, .edit = signature_one_more },
    { "a byte more, EdDSA", SIGNATURE, ED, .edit = signature_one_more },
    { "half of it, HS256", SIGNATURE, HS, .edit = signature_half },
    { "half of it, ES256", SIGNATURE, ES, .edit = signature_half },
    { "zeros, ES256", SIGNATURE, ES, .edit = signature_zeros },
    { "zeros, EdDSA", SIGNATURE, ED, .edit = signature_zeros },
    { "zeros, RS256", SIGNATURE, RS, .edit = signature_zeros },
    { "zeros, PS256", SIGNATURE, PS, .edit = signature_zeros },
    { "zeros, HS256", SIGNATURE, HS, .edit = signature_zeros },
    { "r = 0, s = 1", SIGNATURE, ES, .edit = signature_one },
    { "r = s = the order", SIGNATURE, ES, .edit = signature_of_order },
    { "r = s", SIGNATURE, ES, .edit = signature_r_is_s },
    { "r and s swapped", SIGNATURE, ES, .edit = signature_swapped },
    { "DER for r and s", SIGNATURE, ES, .edit = signature_der },
    { "longer curve said to be ES256", SIGNATURE, ES, .by = BY_SECP384R1 },
    { "Bitcoin's curve said to be ES256", SIGNATURE, ES, .by = BY_SECP256K1 },
    { "the signature is 1, RS256", SIGNATURE, RS, .edit = signature_one },
    { "shifted, RS256", SIGNATURE, RS, .edit = signature_without_zero },
    { "longer digest said to be RS256", SIGNATURE, RS, .by = BY_RSA_SHA512 },
    { "PS256 without a salt", SIGNATURE, PS, .by = BY_PSS_0 },
    { "PS256 with a long salt", SIGNATURE, PS, .by = BY_PSS_MAX },
    { "PS256 with a mask of SHA-1", SIGNATURE, PS, .by = BY_PSS_SHA1 },
    { "s + L, EdDSA", SIGNATURE, ED, .edit = signature_plus_order },
    { "neutral point, EdDSA", SIGNATURE, ED, .edit = signature_of_identity },

    // Payloads that a trusted issuer would have signed.
    { "payload no JSON", MALFORMED, ES, .payload = "orders" },
    { "payload of no bytes", MALFORMED, ES, .payload = "" },
    { "payload a list", MALFORMED, ES, .payload = "[" GOOD_PAYLOAD "]" },
    { "payload a token", MALFORMED, ES, .header = HEADER("'cty':'JWT'"),
      .payload = "eyJhbGciOiJub25lIn0.e30." },
    { "payload twice", MALFORMED, ES, .payload = GOOD_PAYLOAD GOOD_PAYLOAD },
    { "payload too deep", MALFORMED, ES,
      .payload = AND("'x':" DEEP10 DEEP10 "]]]]]]]]]]]]]]]]]]]]") },
    { "exp twice", MALFORMED, ES, .payload = AND("'exp':1900000000") },
    { "sub twice, once in escapes", MALFORMED, ES, .payload = AND("'\\u0073ub':'bank'") },
    { "a name twice, deep in the payload", MALFORMED, ES,
      .payload = AND("'x':{'y':{'z':1,'z':2}}") },
    { "no exp", CLAIM, ES, .payload = "{'iss':'issuer','aud':'center','sub':'orders'}" },
    { "exp a text", CLAIM, ES, .payload = EXP("'1800000600'") },
    { "exp null", CLAIM, ES, .payload = EXP("null") },
    { "exp true", CLAIM, ES, .payload = EXP("true") },
    { "exp a list", CLAIM, ES, .payload = EXP("[1800000600]") },
    { "exp negative", CLAIM, ES, .payload = EXP("-1") },
    { "exp negative, a fraction", CLAIM, ES, .payload = EXP("-0.5") },
    { "exp in milliseconds", CLAIM, ES, .payload = EXP("1800000600000") },
    { "exp the largest number", CLAIM, ES, .payload = EXP("9223372036854775807") },
    { "exp beyond 64 bits", MALFORMED, ES, .payload = EXP("18446744073709551616") },
    { "exp 1e300", CLAIM, ES, .payload = EXP("1e300") },
    { "exp beyond all numbers", MALFORMED, ES, .payload = EXP("1e400") },
    { "exp Infinity", MALFORMED, ES, .payload = EXP("Infinity") },
    { "exp NaN", MALFORMED, ES, .payload = EXP("NaN") },
    { "exp in hexadecimal", MALFORMED, ES, .payload = EXP("0x6b49d458") },
    { "exp 0", EXPIRED, ES, .payload = EXP("0") },
    { "exp at the end of the leeway", EXPIRED, ES, .payload = EXP("1799999940") },
    { "exp a fraction short of it", EXPIRED, ES, .payload = EXP("1799999940.9") },
    { "nbf ahead", EARLY, ES, .payload = AND("'nbf':1800000061") },
    { "nbf ahead by a fraction", EARLY, ES, .payload = AND("'nbf':1800000060.1") },
    { "nbf a text", CLAIM, ES, .payload = AND("'nbf':'0'") },
    { "nbf null", CLAIM, ES, .payload = AND("'nbf':null") },
    { "iat ahead", EARLY, ES, .payload = SUB("'orders','iat':1800000061") },
    { "iat a text", CLAIM, ES, .payload = SUB("'orders','iat':'now'") },
    { "no iss", ISSUER, ES, .payload = "{'aud':'center','sub':'orders','exp':1800000600}" },
    { "iss of another", ISSUER, ES, .payload = ISS("'other'") },
    { "iss begins right", ISSUER, ES, .payload = ISS("'issuer.example'") },
    { "iss ends right", ISSUER, ES, .payload = ISS("'my issuer'") },
    { "iss in capitals", ISSUER, ES, .payload = ISS("'ISSUER'") },
    { "iss empty", ISSUER, ES, .payload = ISS("''") },
    { "iss a list", CLAIM, ES, .payload = ISS("['issuer']") },
    { "iss with a NUL", MALFORMED, ES, .payload = ISS("'issuer\\u0000'") },
    { "no aud", AUDIENCE, ES, .payload = "{'iss':'issuer','sub':'orders','exp':1800000600}" },
    { "aud of another", AUDIENCE, ES, .payload = AUD("'bank'") },
    { "aud of others", AUDIENCE, ES, .payload = AUD("['bank','stock']") },
    { "aud of nobody", AUDIENCE, ES, .payload = AUD("[]") },
    { "aud begins right", AUDIENCE, ES, .payload = AUD("'center2'") },
    { "aud with commas", AUDIENCE, ES, .payload = AUD("'bank,center'") },
    { "aud a list with a number", CLAIM, ES, .payload = AUD("['center',1]") },
    { "aud a list in a list", CLAIM, ES, .payload = AUD("[['center']]") },
    { "aud an object", CLAIM, ES, .payload = AUD("{'center':1}") },
    { "aud null", CLAIM, ES, .payload = AUD("null") },
    { "no sub", CLAIM, ES, .payload = "{" TIMES "}" },
    { "sub null", CLAIM, ES, .payload = SUB("null") },
    { "sub a number", CLAIM, ES, .payload = SUB("1") },
    { "sub a list", CLAIM, ES, .payload = SUB("['orders']") },
    { "sub empty", NAME, ES, .payload = SUB("''") },
    { "sub in capitals", NAME, ES, .payload = SUB("'Orders'") },
    { "sub with a space", NAME, ES, .payload = SUB("'orders '") },
    { "sub with a newline", NAME, ES, .payload = SUB("'orders\\n'") },
    { "sub with a NUL", MALFORMED, ES, .payload = SUB("'orders\\u0000'") },
    { "sub with a domain", NAME, ES, .payload = SUB("'orders@home'") },
    { "sub a path", NAME, ES, .payload = SUB("'../orders'") },
    { "sub a pattern", NAME, ES, .payload = SUB("'*'") },
    { "sub a service", NAME, ES, .payload = SUB("'service:orders'") },
    { "sub of the form that is made up", NAME, ES, .payload = SUB("'orders-7f3a'") },
    { "sub in letters that look alike", NAME, ES, .payload = SUB("'\u043erders'") },
    { "sub of 65 bytes", NAME, ES,
      .payload = SUB("'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'") },
};

// ---- the tests

// Somebody would get in who has no business here, under any name that he likes. [P-79]
TEST(jwt, forged_is_refused_for_its_own_reason)
{
    forgery_setup();
    size_t wrong = 0;
    for (size_t i = 0; i < PHI_COUNT_OF(forgeries); i++) {
        token t;
        forgery_make(&forgeries[i], &t);
        phi_jwt_fault fault = forgery_judge(&t);
        if (fault != forgeries[i].fault) {
            print_message("# %s: %s instead of %s\n", forgeries[i].name, phi_jwt_fault_name(fault),
                          phi_jwt_fault_name(forgeries[i].fault));
            wrong++;
        }
    }
    forgery_teardown();
    EXPECT_EQ(wrong, 0);
    EXPECT(PHI_COUNT_OF(forgeries) >= 60);
}

// What is refused above would be refused for being made wrongly here, and say nothing. [P-79]
TEST(jwt, not_forged_is_good)
{
    static const forgery good[] = {
        { "HS256", PHI_JWT_GOOD, HS, .header = NULL },
        { "RS256", PHI_JWT_GOOD, RS, .header = NULL },
        { "PS256", PHI_JWT_GOOD, PS, .header = NULL },
        { "ES256", PHI_JWT_GOOD, ES, .header = NULL },
        { "EdDSA", PHI_JWT_GOOD, ED, .header = NULL },
        { "EdDSA by its newer name", PHI_JWT_GOOD, ED, .header = "{'alg':'Ed25519','kid':'ed'}" },
        { "typ JWT", PHI_JWT_GOOD, ES, .header = HEADER("'typ':'JWT'") },
        { "typ jwt", PHI_JWT_GOOD, ES, .header = HEADER("'typ':'jwt'") },
        { "typ at+JWT", PHI_JWT_GOOD, ES, .header = HEADER("'typ':'at+JWT'") },
        { "typ in full", PHI_JWT_GOOD, ES, .header = HEADER("'typ':'application/at+jwt'") },
        { "kid in escapes", PHI_JWT_GOOD, ES, .header = KID("'\\u0065s'") },
        { "white space in JSON", PHI_JWT_GOOD, ES,
          .header = " {\t'alg' : 'ES256',\r\n'kid':'es' }" },
        // Nobody looks where the keys are said to be: these are the issuer's own.
        { "jku, right key", PHI_JWT_GOOD, ES, .header = HEADER("'jku':'http://127.0.0.1:9/'") },
        { "x5u, right key", PHI_JWT_GOOD, ES, .header = HEADER("'x5u':'http://127.0.0.1:9/'") },
        { "jwk, right key", PHI_JWT_GOOD, ES, .header = HEADER("'jwk':{}") },
        { "aud a list", PHI_JWT_GOOD, ES, .payload = AUD("['bank','center']") },
        { "nbf and iat at the edge", PHI_JWT_GOOD, ES,
          .payload = SUB("'orders','nbf':1800000060,'iat':1800000060") },
        { "exp at the edge", PHI_JWT_GOOD, ES, .payload = EXP("1799999941") },
        { "exp a fraction", PHI_JWT_GOOD, ES, .payload = EXP("1799999941.5") },
        { "exp with an exponent", PHI_JWT_GOOD, ES, .payload = EXP("1.8e9") },
        { "exp the last", PHI_JWT_GOOD, ES, .payload = EXP("253402300799") },
        { "claims that nobody asked for", PHI_JWT_GOOD, ES,
          .payload = AND("'x':[1,{'y':null}],'jti':'a','scope':'all'") },
    };
    forgery_setup();
    for (size_t i = 0; i < PHI_COUNT_OF(good); i++) {
        token t;
        forgery_make(&good[i], &t);
        phi_jwt_fault fault = forgery_judge(&t);
        if (fault != PHI_JWT_GOOD) {
            fail_msg("%s: %s", good[i].name, phi_jwt_fault_name(fault));
        }
    }
    forgery_teardown();
}
