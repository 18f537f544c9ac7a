// SPDX-License-Identifier: Apache-2.0
//
// app/config_safe.c - see config_safe.h.
//
// Design notes
// - What is not safe is refused unless a setting asks for it whose name says that it is insecure.
// - What would have no effect is refused, too: somebody believes to be protected by it.

#include "app/config_safe.h"

#include <string.h>

#include "base/assert.h"

static void judge_listeners(const config *c, config_errors *errors);
static void judge_proof(const config *c, config_errors *errors);
static void judge_anonymous(const config *c, config_errors *errors);
static void judge_centers(const config *c, config_errors *errors);
static void judge_tokens(const config *c, config_errors *errors);
static void judge_tls(const config *c, config_errors *errors);
static bool has_tls(const config *c);

void config_judge_safety(const config *c, config_errors *errors)
{
    judge_listeners(c, errors);
    judge_tls(c, errors);
    judge_tokens(c, errors);
    judge_proof(c, errors);
    judge_anonymous(c, errors);
    judge_centers(c, errors);
}

static void judge_listeners(const config *c, config_errors *errors)
{
    for (size_t i = 0; i < c->listen_count; i++) {
        listener l = config_listener_at(c, i);
        if (l.kind == CENTER_LISTENER_PLAIN && !l.is_local &&
            !config_flag(c, CONFIG_insecure_allow_remote)) {
            config_complain_key(errors, c, CONFIG_listen,
                                "other machines could connect to %s, and nothing is encrypted "
                                "against an attacker; write tls:%s, or set insecure_allow_remote "
                                "if the network is trusted",
                                c->listen[i], c->listen[i]);
        }
    }
}

static void judge_tls(const config *c, config_errors *errors)
{
    bool has_certificate = config_is_set(c, CONFIG_tls_certificate);
    bool has_key = config_is_set(c, CONFIG_tls_key);
    if (has_certificate != has_key) {
        config_complain_key(errors, c, has_key ? CONFIG_tls_key : CONFIG_tls_certificate,
                            "a certificate and its key go together: set %s, too",
                            has_key ? "tls.certificate" : "tls.key");
    } else if (has_tls(c) && !has_certificate) {
        config_complain_key(errors, c, CONFIG_listen,
                            "TLS needs a certificate: set tls.certificate and tls.key; posthouse "
                            "cert dev makes some to try it with");
    }
    bool has_authorities = config_is_set(c, CONFIG_tls_authorities);
    bool has_centers = config_is_set(c, CONFIG_tls_centers_authorities);
    if (config_is_choice(c, CONFIG_tls_peers, "required") && !has_authorities) {
        config_complain_key(errors, c, CONFIG_tls_peers,
                            "a certificate of a client is judged by the CAs of tls.authorities: "
                            "set that");
    }
    if (config_is_choice(c, CONFIG_tls_peers, "unasked") && has_authorities) {
        config_complain_key(errors, c, CONFIG_tls_peers,
                            "nobody is asked for a certificate, and tls.authorities means nothing "
                            "then: take one of them away");
    }
    if (config_is_set(c, CONFIG_tls_revoked) && !has_authorities && !has_centers) {
        config_complain_key(errors, c, CONFIG_tls_revoked,
                            "a list of revoked certificates belongs to the CAs of tls.authorities: "
                            "set that");
    }
}

static void judge_tokens(const config *c, config_errors *errors)
{
    static const config_key parts[] = { CONFIG_tokens_issuer, CONFIG_tokens_audience };
    for (size_t i = 0; i < PHI_COUNT_OF(parts) && !config_has_tokens(c); i++) {
        if (config_is_set(c, parts[i])) {
            config_complain_key(errors, c, parts[i],
                                "no token is accepted without tokens.keys or tokens.secret: set "
                                "one of them");
        }
    }
    if (config_is_set(c, CONFIG_tokens_keys) && config_is_set(c, CONFIG_tokens_secret)) {
        config_complain_key(errors, c, CONFIG_tokens_secret,
                            "tokens.keys is set, too, and there is one set of keys: choose one, or "
                            "put the secret into the file of tokens.keys (\"kty\": \"oct\")");
    }
    bool is_url = strncmp(config_text(c, CONFIG_tokens_keys), "https://", 8) == 0;
    if (config_is_set(c, CONFIG_tokens_keys_authorities) && !is_url) {
        config_complain_key(errors, c, CONFIG_tokens_keys_authorities,
                            "means something with an https:// URL in tokens.keys only");
    }
    if (config_text(c, CONFIG_tokens_claim)[0] == '\0') {
        config_complain_key(errors, c, CONFIG_tokens_claim,
                            "a token must say whose it is; the usual claim is sub");
    }
}

// Who cannot prove who he is cannot join from elsewhere.
static void judge_proof(const config *c, config_errors *errors)
{
    bool can_prove = config_has_tokens(c) || config_is_set(c, CONFIG_tls_authorities);
    if (config_count_listeners(c, CENTER_LISTENER_TLS) != 0 && !can_prove &&
        !config_flag(c, CONFIG_insecure_allow_anonymous)) {
        config_complain_key(errors, c, CONFIG_listen,
                            "nobody could join by TLS: clients prove who they are by a certificate "
                            "(set tls.authorities) or a token (set tokens.keys or tokens.secret)");
    }
    if (config_is_choice(c, CONFIG_anonymous, "never") && !can_prove && c->user_count == 0 &&
        !config_flag(c, CONFIG_insecure_allow_anonymous)) {
        config_complain_key(errors, c, CONFIG_anonymous,
                            "nobody could join: set tls.authorities, tokens.keys, tokens.secret or "
                            "users, so that clients can prove who they are");
    }
}

static void judge_anonymous(const config *c, config_errors *errors)
{
    bool is_reachable =
        config_count_listeners(c, CENTER_LISTENER_TLS) != 0 || config_count_insecure(c) != 0;
    if (config_flag(c, CONFIG_insecure_allow_anonymous) && !is_reachable) {
        config_complain_key(
            errors, c, CONFIG_insecure_allow_anonymous,
            "no other machine can connect, so it would be for nobody: take it away, "
            "or add a listener such as tls:0.0.0.0");
    }
}

static void judge_centers(const config *c, config_errors *errors)
{
    bool has_authorities = config_is_set(c, CONFIG_tls_authorities) ||
                           config_is_set(c, CONFIG_tls_centers_authorities);
    bool has_centers = config_count_listeners(c, CENTER_LISTENER_CENTERS) != 0;
    if (has_centers && !has_authorities) {
        config_complain_key(errors, c, CONFIG_listen,
                            "a center of another domain proves itself by its certificate: set "
                            "tls.centers_authorities, or tls.authorities");
    }
    if (!has_centers && config_is_set(c, CONFIG_tls_centers_authorities)) {
        config_complain_key(errors, c, CONFIG_tls_centers_authorities,
                            "means something with a listener for centers only: add one such as "
                            "centers:0.0.0.0 to listen, or take it away");
    }
}

size_t config_count_listeners(const config *c, center_listener kind)
{
    size_t count = 0;
    for (size_t i = 0; i < c->listen_count; i++) {
        count += config_listener_at(c, i).kind == kind ? 1 : 0;
    }
    return count;
}

size_t config_count_insecure(const config *c)
{
    size_t count = 0;
    for (size_t i = 0; i < c->listen_count; i++) {
        listener l = config_listener_at(c, i);
        count += l.kind == CENTER_LISTENER_PLAIN && !l.is_local ? 1 : 0;
    }
    return count;
}

bool config_has_tokens(const config *c)
{
    return config_is_set(c, CONFIG_tokens_keys) || config_is_set(c, CONFIG_tokens_secret);
}

static bool has_tls(const config *c)
{
    return config_count_listeners(c, CENTER_LISTENER_PLAIN) != c->listen_count;
}

listener config_listener_at(const config *c, size_t index)
{
    listener l;
    ph_err rc = listener_parse(c->listen[index], &l, NULL);
    PH_ASSERT(rc == PH_OK); // or it would not stand there
    return l;
}
