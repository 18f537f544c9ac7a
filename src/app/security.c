// SPDX-License-Identifier: Apache-2.0
//
// app/security.c - see security.h.
//
// Design notes
// - All that is wrong is told at once, each with its key: who has made three mistakes starts twice,
//   not four times.
// - Private keys and secrets are in memory of ours only while they are read (secret.h); what
//   verifies or signs later is OpenSSL's.

#include "app/security.h"

#include <stdlib.h>
#include <string.h>

#include "app/config_safe.h"
#include "app/jwks_fetch.h"
#include "base/assert.h"

#define SECONDS_A_DAY 86400u
#define TEXT_BYTES 256u // of an issuer, audience or claim, with its end

struct security {
    center_security center;
    security_facts facts;
    bool has_remote; // TLS listeners
    bool has_audience;
    phi_jwks *keys;
    center_user users[CONFIG_USERS_MAX];
    char names[CONFIG_USERS_MAX][PHI_NAME_BYTES_MAX + 1];
    char issuer[TEXT_BYTES];
    char audience[TEXT_BYTES];
    char claim[TEXT_BYTES];
};

// What the files of tls.* hold, while a snapshot is made.
typedef struct tls_files {
    secret certificate;
    secret key;
    secret authorities;
    secret revoked;
    secret centers_authorities;
} tls_files;

static void read_tls(security *s, const config *c, config_errors *errors);
static void make_tls(security *s, const config *c, const tls_files *files, config_errors *errors);
static void make_one_tls(phi_tls **out, const config *c, const phi_tls_options *options,
                         config_key authorities, config_errors *errors);
static void read_keys(security *s, const config *c, phi_bytes fetched, config_errors *errors);
static void read_keys_file(security *s, const config *c, config_errors *errors);
static void read_secret(security *s, const config *c, config_errors *errors);
static void take_rules(security *s, const config *c);
static void take_users(security *s, const config *c);
static void take_expect(security *s, const config *c);
static void read_file(const config *c, config_key key, secret_care care, secret *out,
                      config_errors *errors);
static uint64_t days_until(uint64_t end_s, uint64_t now_s);
static bool is_url(const config *c);

ph_err security_new(security **out, const config *c, phi_bytes fetched, config_errors *errors)
{
    security *s = calloc(1, sizeof *s);
    if (s == NULL) {
        config_complain(errors, 0, 0, "out of memory");
        return PH_ENOMEM;
    }
    size_t before = errors->count + errors->left_out;
    s->has_remote = config_count_listeners(c, CENTER_LISTENER_TLS) != 0;
    s->facts.insecure_listeners = (uint32_t)config_count_insecure(c);
    s->center.anonymous_local = config_is_choice(c, CONFIG_anonymous, "local");
    s->center.insecure_allow_anonymous = config_flag(c, CONFIG_insecure_allow_anonymous);
    read_tls(s, c, errors);
    read_keys(s, c, fetched, errors);
    take_users(s, c);
    take_expect(s, c);
    take_rules(s, c);
    if (errors->count + errors->left_out != before) {
        security_free(&s);
        return PH_ECONFIG;
    }
    *out = s;
    return PH_OK;
}

void security_free(security **security_ptr)
{
    security *s = *security_ptr;
    if (s == NULL) {
        return;
    }
    phi_tls_free(&s->center.tls);
    phi_tls_free(&s->center.tls_centers);
    phi_jwks_free(&s->keys);
    free(s);
    *security_ptr = NULL;
}

// ---- TLS

static void read_tls(security *s, const config *c, config_errors *errors)
{
    if (!config_is_set(c, CONFIG_tls_certificate)) {
        return; // nor anything else of it: config_judge_safety
    }
    tls_files files = { 0 };
    size_t before = errors->count + errors->left_out;
    read_file(c, CONFIG_tls_certificate, SECRET_PUBLIC, &files.certificate, errors);
    read_file(c, CONFIG_tls_key, SECRET_PRIVATE, &files.key, errors);
    read_file(c, CONFIG_tls_authorities, SECRET_PUBLIC, &files.authorities, errors);
    read_file(c, CONFIG_tls_revoked, SECRET_PUBLIC, &files.revoked, errors);
    read_file(c, CONFIG_tls_centers_authorities, SECRET_PUBLIC, &files.centers_authorities, errors);
    if (errors->count + errors->left_out == before) {
        make_tls(s, c, &files, errors);
    }
    secret_fini(&files.certificate);
    secret_fini(&files.key);
    secret_fini(&files.authorities);
    secret_fini(&files.revoked);
    secret_fini(&files.centers_authorities);
}

static void make_tls(security *s, const config *c, const tls_files *files, config_errors *errors)
{
    static const phi_tls_peers peers[] = { PHI_TLS_PEERS_ASKED, PHI_TLS_PEERS_REQUIRED,
                                           PHI_TLS_PEERS_UNASKED }; // as in config.def
    bool has_authorities = files->authorities.size != 0;
    bool has_own = files->centers_authorities.size != 0;
    PH_ASSERT(c->values[CONFIG_tls_peers].number < PHI_COUNT_OF(peers));
    // Without a CA no certificate could be believed, so nobody is asked for one.
    phi_tls_options options = {
        .side = PHI_TLS_CENTER,
        .certificate = secret_view(&files->certificate),
        .key = secret_view(&files->key),
        .authorities = secret_view(&files->authorities),
        .revoked = has_authorities ? secret_view(&files->revoked) : phi_bytes_of(NULL, 0),
        .peers =
            has_authorities ? peers[c->values[CONFIG_tls_peers].number] : PHI_TLS_PEERS_UNASKED,
        .allows_tls12 = config_flag(c, CONFIG_tls_allow_1_2),
    };
    make_one_tls(&s->center.tls, c, &options, CONFIG_tls_authorities, errors);
    if (s->center.tls == NULL) {
        return;
    }
    s->facts.holds_secrets = true;
    s->facts.certificate_expires_s = phi_tls_expires_s(s->center.tls);
    s->facts.revocations_expire_s = phi_tls_revoked_until_s(s->center.tls);
    if (config_count_listeners(c, CENTER_LISTENER_CENTERS) == 0) {
        return;
    }
    options.peers = PHI_TLS_PEERS_REQUIRED;
    options.authorities = secret_view(has_own ? &files->centers_authorities : &files->authorities);
    options.revoked = secret_view(&files->revoked);
    make_one_tls(&s->center.tls_centers, c, &options,
                 has_own ? CONFIG_tls_centers_authorities : CONFIG_tls_authorities, errors);
    if (s->center.tls_centers != NULL) { // the same lists, when they are used at all
        s->facts.revocations_expire_s = phi_tls_revoked_until_s(s->center.tls_centers);
    }
}

static void make_one_tls(phi_tls **out, const config *c, const phi_tls_options *options,
                         config_key authorities, config_errors *errors)
{
    phi_diag diag = { { 0 } };
    ph_err rc = phi_tls_new(out, options, &diag);
    if (rc == PH_OK) {
        return;
    }
    const struct {
        const char *part; // of the diag: which file it is about
        config_key key;
    } parts[] = { { "certificate: ", CONFIG_tls_certificate },
                  { "key: ", CONFIG_tls_key },
                  { "authorities: ", authorities },
                  { "revoked: ", CONFIG_tls_revoked } };
    for (size_t i = 0; i < PHI_COUNT_OF(parts); i++) {
        size_t size = strlen(parts[i].part);
        if (strncmp(diag.text, parts[i].part, size) == 0) {
            config_complain_key(errors, c, parts[i].key, "'%s': %s", c->values[parts[i].key].text,
                                diag.text + size);
            return;
        }
    }
    config_complain_key(errors, c, CONFIG_tls_certificate, "%s",
                        diag.text[0] == '\0' ? ph_err_text(rc) : diag.text);
}

// ---- tokens

static void read_keys(security *s, const config *c, phi_bytes fetched, config_errors *errors)
{
    phi_diag diag = { { 0 } };
    if (config_is_set(c, CONFIG_tokens_secret)) {
        read_secret(s, c, errors);
    } else if (config_is_set(c, CONFIG_tokens_keys) && !is_url(c)) {
        read_keys_file(s, c, errors);
    } else if (config_is_set(c, CONFIG_tokens_keys)) {
        ph_err rc =
            phi_jwks_parse(&s->keys, &phi_alloc_heap, fetched, &s->facts.keys_skipped, &diag);
        if (rc == PH_OK && phi_jwks_has_secret(s->keys)) {
            rc = phi_diag_add(&diag, PH_EINVAL,
                              "a shared secret (\"kty\": \"oct\") is not fetched "
                              "from a URL, which others can read, too");
        }
        if (rc != PH_OK) {
            config_complain_key(errors, c, CONFIG_tokens_keys, "%s", diag.text);
        }
    }
    if (s->keys != NULL) {
        s->center.keys = s->keys;
        s->facts.keys = phi_jwks_count(s->keys);
        s->facts.holds_secrets = s->facts.holds_secrets || phi_jwks_has_secret(s->keys);
    }
}

// Keys are public, unless a shared secret is among them; what it is, is known once it is read.
static void read_keys_file(security *s, const config *c, config_errors *errors)
{
    const char *path = config_text(c, CONFIG_tokens_keys);
    secret_care care = SECRET_PUBLIC;
    phi_diag diag = { { 0 } };
    ph_err rc = PH_OK;
    do {
        secret json = { 0 };
        phi_jwks_free(&s->keys);
        rc = secret_read_file(path, care, PHI_JWKS_BYTES_MAX, &json, &diag);
        if (rc == PH_OK) {
            rc = phi_jwks_parse(&s->keys, &phi_alloc_heap, secret_view(&json),
                                &s->facts.keys_skipped, &diag);
            rc = rc == PH_OK ? rc : phi_diag_add(&diag, rc, "%s", path);
        }
        secret_fini(&json);
        care = care == SECRET_PUBLIC && rc == PH_OK && phi_jwks_has_secret(s->keys) ? SECRET_PRIVATE
                                                                                    : SECRET_PUBLIC;
    } while (care == SECRET_PRIVATE);
    if (rc != PH_OK) {
        config_complain_key(errors, c, CONFIG_tokens_keys, "%s", diag.text);
    }
}

static void read_secret(security *s, const config *c, config_errors *errors)
{
    const char *place = config_text(c, CONFIG_tokens_secret);
    secret found = { 0 };
    phi_diag diag = { { 0 } };
    ph_err rc = secret_read_place(place, &found, &diag);
    if (rc == PH_OK) {
        rc = phi_jwks_of_secret(&s->keys, &phi_alloc_heap, secret_view(&found), &diag);
        rc = rc == PH_OK ? rc : phi_diag_add(&diag, rc, "%s", place);
    }
    secret_fini(&found);
    if (rc != PH_OK) {
        config_complain_key(errors, c, CONFIG_tokens_secret, "%s", diag.text);
    }
}

ph_err security_fetch(const config *c, secret *out, config_errors *errors)
{
    if (!config_is_set(c, CONFIG_tokens_keys) || !is_url(c)) {
        return PH_OK;
    }
    secret authorities = { 0 };
    phi_diag diag = { { 0 } };
    ph_err rc = security_read_fetch_authorities(c, &authorities, &diag);
    if (rc != PH_OK) {
        config_complain_key(errors, c, CONFIG_tokens_keys_authorities, "%s", diag.text);
        return PH_ECONFIG;
    }
    rc = jwks_fetch_now(config_text(c, CONFIG_tokens_keys), secret_view(&authorities), out, &diag);
    secret_fini(&authorities);
    if (rc != PH_OK) {
        config_complain_key(errors, c, CONFIG_tokens_keys,
                            "%s; a center does not start without the keys of its clients' tokens: "
                            "see that it answers, or put them into a file",
                            diag.text);
        return PH_ECONFIG;
    }
    return PH_OK;
}

ph_err security_read_fetch_authorities(const config *c, secret *out, phi_diag *diag)
{
    if (!config_is_set(c, CONFIG_tokens_keys_authorities)) {
        return PH_OK;
    }
    return secret_read_file(config_text(c, CONFIG_tokens_keys_authorities), SECRET_PUBLIC,
                            PHI_TLS_PEM_BYTES_MAX, out, diag);
}

// ---- the rest

static void take_rules(security *s, const config *c)
{
    s->center.rules = c->rules;
    s->facts.rules = c->rules == NULL ? 0 : phi_rules_count(c->rules);
}

static void take_users(security *s, const config *c)
{
    for (size_t i = 0; i < c->user_count; i++) {
        memcpy(s->names[i], c->users[i].principal, sizeof s->names[i]);
        s->users[i] =
            (center_user){ .uid = c->users[i].uid, .principal = phi_bytes_text(s->names[i]) };
    }
    s->center.users = s->users;
    s->center.user_count = c->user_count;
}

static void take_expect(security *s, const config *c)
{
    snprintf(s->issuer, sizeof s->issuer, "%s", config_text(c, CONFIG_tokens_issuer));
    snprintf(s->audience, sizeof s->audience, "%s", config_text(c, CONFIG_tokens_audience));
    snprintf(s->claim, sizeof s->claim, "%s", config_text(c, CONFIG_tokens_claim));
    s->center.expect = (phi_jwt_expect){
        .issuer = phi_bytes_text(s->issuer),
        .audience = phi_bytes_text(s->audience),
        .claim = phi_bytes_text(s->claim),
        .leeway_s = (uint32_t)(c->values[CONFIG_tokens_leeway].number / 1000),
    };
    s->has_audience = s->audience[0] != '\0';
}

const center_security *security_of_center(const security *s)
{
    return &s->center;
}

const security_facts *security_get_facts(const security *s)
{
    return &s->facts;
}

uint64_t security_days_left(const security *s, uint64_t now_s)
{
    uint64_t end_s = s->facts.certificate_expires_s;
    return end_s == 0 ? SECURITY_NO_CERTIFICATE : days_until(end_s, now_s);
}

uint64_t security_revocations_days_left(const security *s, uint64_t now_s)
{
    uint64_t end_s = s->facts.revocations_expire_s;
    return end_s == 0 ? SECURITY_NO_REVOCATIONS : days_until(end_s, now_s);
}

static uint64_t days_until(uint64_t end_s, uint64_t now_s)
{
    return end_s <= now_s ? 0 : (end_s - now_s) / SECONDS_A_DAY;
}

bool security_warns(const security *s, security_warning warning, uint64_t now_s)
{
    switch (warning) {
    case SECURITY_WARN_REMOTE:
        return s->facts.insecure_listeners != 0;
    case SECURITY_WARN_ANONYMOUS:
        return s->center.insecure_allow_anonymous;
    case SECURITY_WARN_LOCAL:
        return s->has_remote && s->center.anonymous_local;
    case SECURITY_WARN_RULES:
        return (s->has_remote || s->facts.insecure_listeners != 0) && s->center.rules == NULL;
    case SECURITY_WARN_AUDIENCE:
        return s->keys != NULL && !s->has_audience;
    case SECURITY_WARN_CERTIFICATE:
        return security_days_left(s, now_s) < SECURITY_DAYS_WARNED;
    case SECURITY_WARN_REVOCATIONS:
        return security_revocations_days_left(s, now_s) < SECURITY_LIST_DAYS_WARNED;
    case SECURITY_WARN_COUNT:
        break;
    }
    PH_UNREACHABLE("no such warning");
}

app_event security_event(security_warning warning)
{
    static const app_event events[] = {
        [SECURITY_WARN_REMOTE] = APP_EVENT_WARN_REMOTE,
        [SECURITY_WARN_ANONYMOUS] = APP_EVENT_WARN_ANONYMOUS,
        [SECURITY_WARN_LOCAL] = APP_EVENT_WARN_LOCAL,
        [SECURITY_WARN_RULES] = APP_EVENT_WARN_RULES,
        [SECURITY_WARN_AUDIENCE] = APP_EVENT_WARN_AUDIENCE,
        [SECURITY_WARN_CERTIFICATE] = APP_EVENT_WARN_CERTIFICATE,
        [SECURITY_WARN_REVOCATIONS] = APP_EVENT_WARN_REVOCATIONS,
    };
    PH_ASSERT(warning < SECURITY_WARN_COUNT);
    return events[warning];
}

void security_each_file(const config *c, void (*found)(void *arg, const char *path), void *arg)
{
    for (config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
        config_kind kind = config_get_row(key)->kind;
        char path[SECRET_PATH_BYTES];
        if (!config_is_set(c, key)) {
            continue;
        }
        if (kind == CONFIG_PATH || (kind == CONFIG_KEYS && !is_url(c))) {
            found(arg, config_text(c, key));
        } else if (kind == CONFIG_SECRET && secret_place_path(config_text(c, key), path)) {
            found(arg, path);
        }
    }
}

static void read_file(const config *c, config_key key, secret_care care, secret *out,
                      config_errors *errors)
{
    phi_diag diag = { { 0 } };
    if (config_is_set(c, key) &&
        secret_read_file(config_text(c, key), care, PHI_TLS_PEM_BYTES_MAX, out, &diag) != PH_OK) {
        config_complain_key(errors, c, key, "%s", diag.text);
    }
}

static bool is_url(const config *c)
{
    return jwks_fetch_is_url(config_text(c, CONFIG_tokens_keys));
}
