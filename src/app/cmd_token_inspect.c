// SPDX-License-Identifier: Apache-2.0
//
// app/cmd_token_inspect.c - posthouse token inspect: what a token says, what is odd about it, and
// whether a center would accept it.
//
// Design notes
// - What is shown is what is there, verified or not; a verdict is given only when keys are.
// - The verdict is phi_jwt_judge's, the center's own. The warnings are advice and decide nothing.
// - All of it is a stranger's text: for people it is made printable, in JSON it is plain ASCII.

#include "app/cmd_token.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app/body.h"
#include "app/secret.h"
#include "app/term.h"
#include "app/value.h"
#include "auth/base64url.h"
#include "auth/jwt.h"
#include "auth/strict.h"
#include "base/assert.h"

#define WARNINGS_MAX 16
#define TOKEN_BYTES_SHOWN_MAX                                                                      \
    (16u * PHI_JWT_BYTES_MAX) // what is too long for a center is shown, too
#define NAME_COLUMNS 8

// What is known of a token.
typedef struct inspection {
    draft token;
    json_t *header; // owned
    json_t *claims;
    uint64_t now_s;
    const char *warnings[WARNINGS_MAX]; // constants
    size_t warning_count;
    bool is_judged;
    uint32_t leeway_s;   // when is_judged
    phi_jwt_fault fault; //
    phi_jwt_claims judged;
} inspection;

static ph_err read_token(inspection *i, const args *a, phi_diag *diag);
static ph_err open_part(phi_bytes part, const char *name, json_t **out, phi_diag *diag);
static ph_err read_keys(const args *a, phi_jwks **out, phi_diag *diag);
static ph_err judge(inspection *i, const args *a, phi_diag *diag);
static void collect_warnings(inspection *i);
static void warn(inspection *i, const char *text);
static bool find_time(const inspection *i, const char *name, uint64_t *out);
static void print_people(const inspection *i);
static void print_object(draft *out, const inspection *i, const char *title, const json_t *object);
static void print_value(draft *out, const inspection *i, const char *name, const json_t *value);
static void print_time(draft *out, const inspection *i, uint64_t time_s);
static void add_json(draft *out, const json_t *value);
static void print_verdict(draft *out, const inspection *i);
static void print_json(const inspection *i);

exit_status token_inspect(const args *a)
{
    if (args_flag(a, "keys") && args_flag(a, "secret")) {
        return command_usage(&command_token, "inspect: either --keys FILE or --secret PLACE");
    }
    if (a->word_count == 2 && strncmp(a->words[1], "eyJ", 3) == 0 &&
        strchr(a->words[1], '.') != NULL) {
        return command_usage(&command_token,
                             "inspect: a token does not belong in an argument, where everybody on "
                             "this machine can read it; give it on standard input");
    }
    phi_diag diag = { { 0 } };
    inspection i = { .now_s = (uint64_t)time(NULL) };
    draft_init(&i.token);
    exit_status status = STATUS_FAILED;
    ph_err rc = read_token(&i, a, &diag);
    if (rc == PH_OK) {
        rc = judge(&i, a, &diag);
        status = rc == PH_EINVAL ? STATUS_USAGE : status;
    }
    if (rc == PH_OK) {
        collect_warnings(&i);
        if (choice_index("json", args_text(a, "output")) == 0) {
            print_json(&i);
        } else {
            print_people(&i);
        }
        status = i.is_judged && i.fault != PHI_JWT_GOOD ? STATUS_REFUSED : STATUS_OK;
    } else {
        term_error("token inspect: %s", diag.text);
    }
    json_decref(i.header);
    json_decref(i.claims);
    draft_fini(&i.token);
    return status;
}

// ---- reading

static ph_err read_token(inspection *i, const args *a, phi_diag *diag)
{
    const char *path = a->word_count == 2 ? a->words[1] : "-";
    bool is_input = strcmp(path, "-") == 0;
    int fd = is_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return phi_diag_add(diag, PH_ESYSTEM, "%s: %s", path, strerror(errno));
    }
    ph_err rc = body_read_fd(fd, TOKEN_BYTES_SHOWN_MAX, &i->token, diag);
    if (!is_input) {
        close(fd);
    }
    phi_bytes token = draft_of_line(
        (ph_view){ (const char *)draft_view(&i->token).data, draft_view(&i->token).size });
    phi_buf_uncommit(&i->token.buf, draft_size(&i->token) - token.size);
    phi_jwt_parts parts;
    if (rc == PH_OK && !phi_jwt_split(token, &parts)) {
        rc = phi_diag_add(diag, PH_EPROTO, "no token: it must have three parts with dots between");
    }
    if (rc == PH_OK) {
        rc = open_part(parts.header, "header", &i->header, diag);
    }
    if (rc == PH_OK) {
        rc = open_part(parts.payload, "payload", &i->claims, diag);
    }
    return rc == PH_OK ? rc : phi_diag_add(diag, rc, "%s", is_input ? "standard input" : path);
}

static ph_err open_part(phi_bytes part, const char *name, json_t **out, phi_diag *diag)
{
    size_t room = PHI_BASE64URL_BYTES(part.size);
    uint8_t *bytes = malloc(room + 1);
    if (bytes == NULL) {
        return phi_diag_add(diag, PH_ENOMEM, "%s", name);
    }
    phi_bytes text;
    ph_err rc = PH_OK;
    if (!phi_base64url_decode(part, (phi_span){ bytes, room }, &text)) {
        rc = phi_diag_add(diag, PH_EPROTO,
                          "its %s is no base64url as tokens have it: without padding, white space, "
                          "and bits that say nothing",
                          name);
    } else {
        *out = phi_strict_object(text);
        if (*out == NULL) {
            rc = phi_diag_add(diag, PH_EPROTO,
                              "its %s is not one JSON object in which no name stands twice", name);
        }
    }
    free(bytes);
    return rc;
}

static ph_err read_keys(const args *a, phi_jwks **out, phi_diag *diag)
{
    const char *path = args_text(a, "keys");
    secret found = { .data = NULL };
    ph_err rc;
    if (path == NULL) {
        rc = secret_read_place(args_text(a, "secret"), &found, diag);
        if (rc == PH_OK) {
            rc = phi_jwks_of_secret(out, &phi_alloc_heap, secret_view(&found), diag);
        }
        rc = rc == PH_OK ? rc : phi_diag_add(diag, rc, "--secret");
    } else {
        rc = secret_read_file(path, SECRET_PUBLIC, PHI_JWKS_BYTES_MAX, &found, diag);
        if (rc == PH_OK) {
            rc = phi_jwks_parse(out, &phi_alloc_heap, secret_view(&found), NULL, diag);
            rc = rc == PH_OK ? rc : phi_diag_add(diag, rc, "%s", path);
        }
        if (rc == PH_OK && phi_jwks_has_secret(*out)) { // then it is judged as what it is
            secret_fini(&found);
            rc = secret_read_file(path, SECRET_PRIVATE, PHI_JWKS_BYTES_MAX, &found, diag);
        }
    }
    secret_fini(&found);
    return rc;
}

static ph_err judge(inspection *i, const args *a, phi_diag *diag)
{
    if (!args_flag(a, "keys") && !args_flag(a, "secret")) {
        return PH_OK;
    }
    phi_jwks *keys = NULL;
    ph_err rc = read_keys(a, &keys, diag);
    if (rc != PH_OK) {
        phi_jwks_free(&keys);
        return rc;
    }
    phi_jwt_expect expect = {
        .issuer = phi_bytes_text(args_text(a, "issuer")),
        .audience = phi_bytes_text(args_text(a, "audience")),
        .claim = phi_bytes_text(args_text(a, "claim")),
        .leeway_s = (uint32_t)(args_number(a, "leeway") / 1000),
    };
    i->is_judged = true;
    i->leeway_s = expect.leeway_s;
    i->fault = phi_jwt_judge(draft_view(&i->token), keys, &expect, i->now_s, &i->judged);
    phi_jwks_free(&keys);
    return PH_OK;
}

// ---- advice

static void collect_warnings(inspection *i)
{
    static const char *const brought[] = { "jku", "x5u", "jwk", "x5c" };
    phi_bytes name = { NULL, 0 };
    phi_jws_algorithm algorithm;
    uint64_t end = 0;
    uint64_t begin = 0;
    bool is_good = i->is_judged && i->fault == PHI_JWT_GOOD;
    (void)phi_strict_text(i->header, "alg", &name);
    if (!phi_jws_algorithm_of_name(name, &algorithm)) {
        warn(i,
             "its algorithm is none of ES256, EdDSA, RS256, PS256 and HS256: a center refuses it");
    }
    if (json_object_get(i->header, "crit") != NULL) {
        warn(i, "it has `crit`: a center refuses it");
    }
    for (size_t k = 0; k < PHI_COUNT_OF(brought); k++) {
        if (json_object_get(i->header, brought[k]) != NULL) {
            warn(i, "it says where its key is, or brings it along: a center does not look there");
            break;
        }
    }
    if (draft_size(&i->token) > PHI_JWT_BYTES_MAX) {
        warn(i, "it is longer than 4096 bytes: a center refuses it");
    }
    if (!find_time(i, "exp", &end)) {
        warn(i, "it has no good `exp`: a center refuses it");
    } else if (end <= i->now_s) {
        warn(i, is_good ? "it has expired: only the leeway, for clocks that differ, lets it in"
                        : "it has expired");
    }
    if (find_time(i, "nbf", &begin) && begin > i->now_s) {
        warn(i, is_good ? "it is not valid yet: only the leeway, for clocks that differ, lets it in"
                        : "it is not valid yet");
    }
    if (find_time(i, "iat", &begin) && begin > i->now_s) {
        warn(i, "it says that it was issued in the future: are the clocks right?");
    } else if (find_time(i, "iat", &begin) && end > begin && end - begin > TOKEN_LIFE_LONG_S) {
        warn(i, "it lives for more than a day, and nobody can take it back before");
    }
    if (json_object_get(i->claims, "aud") == NULL) {
        warn(i, "it has no `aud`: whoever is given it can use it everywhere its issuer is trusted");
    }
    if (json_object_get(i->claims, "iss") == NULL) {
        warn(i, "it has no `iss`");
    }
}

static void warn(inspection *i, const char *text)
{
    PH_ASSERT(i->warning_count < WARNINGS_MAX);
    i->warnings[i->warning_count++] = text;
}

static bool find_time(const inspection *i, const char *name, uint64_t *out)
{
    return phi_jwt_time(json_object_get(i->claims, name), out);
}

// ---- for people

static void print_people(const inspection *i)
{
    term_style style = term_style_of(1);
    draft out;
    draft_init(&out);
    print_object(&out, i, "Header", i->header);
    print_object(&out, i, "Claims", i->claims);
    for (size_t k = 0; k < i->warning_count; k++) {
        draft_format(&out, "%sWarning%s: %s\n", style.yellow, style.reset, i->warnings[k]);
    }
    print_verdict(&out, i);
    term_print(&out);
    draft_fini(&out);
}

static void print_object(draft *out, const inspection *i, const char *title, const json_t *object)
{
    term_style style = term_style_of(1);
    draft_format(out, "%s%s%s\n", style.bold, title, style.reset);
    for (void *at = json_object_iter((json_t *)object); at != NULL;
         at = json_object_iter_next((json_t *)object, at)) {
        phi_bytes name = phi_bytes_text(json_object_iter_key(at));
        size_t columns = draft_columns(name);
        draft_add(out, "  ");
        draft_printable(out, name);
        draft_spaces(out, columns < NAME_COLUMNS ? NAME_COLUMNS - columns : 1);
        print_value(out, i, json_object_iter_key(at), json_object_iter_value(at));
        draft_add(out, "\n");
    }
}

static void print_value(draft *out, const inspection *i, const char *name, const json_t *value)
{
    bool is_time = strcmp(name, "exp") == 0 || strcmp(name, "nbf") == 0 || strcmp(name, "iat") == 0;
    uint64_t time_s;
    if (json_is_string(value)) {
        draft_printable(out, phi_bytes_of(json_string_value(value), json_string_length(value)));
        return;
    }
    add_json(out, value);
    if (is_time && phi_jwt_time(value, &time_s)) {
        print_time(out, i, time_s);
    }
}

static void print_time(draft *out, const inspection *i, uint64_t time_s)
{
    char span[VALUE_TEXT_BYTES];
    char date[32] = "";
    time_t moment = (time_t)time_s;
    struct tm parts;
    if (gmtime_r(&moment, &parts) != NULL) {
        strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", &parts);
    }
    bool is_ahead = time_s > i->now_s;
    uint64_t distance_s = is_ahead ? time_s - i->now_s : i->now_s - time_s;
    uint64_t unit_s = distance_s >= 7200 ? 3600 : distance_s >= 120 ? 60 : 1;
    value_format(VALUE_TIME, distance_s / unit_s * unit_s * 1000, span);
    draft_format(out, "  %s UTC, %s%s%s", date, is_ahead ? "in " : "",
                 distance_s == 0 ? "now" : span, is_ahead || distance_s == 0 ? "" : " ago");
}

static void print_verdict(draft *out, const inspection *i)
{
    term_style style = term_style_of(1);
    if (!i->is_judged) {
        draft_add(out, "Not verified: --keys FILE or --secret PLACE would\n");
    } else if (i->fault == PHI_JWT_GOOD) {
        draft_format(out, "%sGood%s for '%s' until", style.green, style.reset, i->judged.principal);
        print_time(out, i, i->judged.expires_s);
        char leeway[VALUE_TEXT_BYTES];
        value_format(VALUE_TIME, (uint64_t)i->leeway_s * 1000, leeway);
        draft_format(out, ": its `exp`, and the leeway of %s\n", leeway);
    } else {
        draft_format(out, "%sRefused%s: %s\n", style.red, style.reset,
                     phi_jwt_fault_text(i->fault));
    }
}

// ---- for programs

static void print_json(const inspection *i)
{
    json_t *warnings = json_array();
    for (size_t k = 0; k < i->warning_count; k++) {
        (void)json_array_append_new(warnings, json_string(i->warnings[k]));
    }
    json_t *verdict = i->is_judged ? json_object() : json_null();
    if (i->is_judged) {
        bool is_good = i->fault == PHI_JWT_GOOD;
        (void)json_object_set_new(verdict, "is_good", json_boolean(is_good));
        (void)json_object_set_new(
            verdict, "fault", is_good ? json_null() : json_string(phi_jwt_fault_name(i->fault)));
        (void)json_object_set_new(verdict, "text", json_string(phi_jwt_fault_text(i->fault)));
        (void)json_object_set_new(verdict, "principal",
                                  is_good ? json_string(i->judged.principal) : json_null());
        (void)json_object_set_new(verdict, "expires_s",
                                  is_good ? json_integer((json_int_t)i->judged.expires_s)
                                          : json_null());
    }
    json_t *all = json_object();
    (void)json_object_set(all, "header", i->header);
    (void)json_object_set(all, "claims", i->claims);
    (void)json_object_set_new(all, "warnings", warnings);
    (void)json_object_set_new(all, "verdict", verdict);
    draft out;
    draft_init(&out);
    add_json(&out, all);
    draft_add(&out, "\n");
    term_print(&out);
    draft_fini(&out);
    json_decref(all);
}

// All that a terminal could obey as an escape: jansson leaves out U+007F, which is only in strings.
static void add_json(draft *out, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
    const char *rest = text == NULL ? "null" : text;
    for (size_t size; size = strcspn(rest, "\x7f"), rest[size] != '\0'; rest += size + 1) {
        draft_bytes(out, phi_bytes_of(rest, size));
        draft_add(out, "\\u007f");
    }
    draft_add(out, rest);
    free(text);
}
