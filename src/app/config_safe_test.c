// SPDX-License-Identifier: Apache-2.0
//
// app/config_safe_test.c - unsafe starts, as the configuration alone shows them. With files, and as
// people see them: tests/e2e/unsafe.sh.

#include "app/config_safe.h"

#include <string.h>

#include "app/jwks_fetch.h"
#include "tests/harness/test.h"

static config c;
static config_errors errors;

static void judge(const char *yaml)
{
    config_fini(&c);
    config_init(&c);
    memset(&errors, 0, sizeof errors);
    config_parse(&c, "c.yaml", phi_bytes_text(yaml), &errors);
    if (errors.count != 0) {
        fail_msg("%s: %s", yaml, errors.list[0].text);
    }
    config_judge_safety(&c, &errors);
}

#define TLS "listen: 'tls:0.0.0.0'\ntls: {certificate: c, key: k, authorities: a}\n"

// What is safe must not be refused: or people look for a setting that turns the refusing off.
TEST(config_safe, safe_ones_are_let_through)
{
    static const char *const safe[] = {
        "",
        "listen: ['127.0.0.1', '[::1]', 'unix:/x']\n",
        "listen: 0.0.0.0:1\ninsecure_allow_remote: true\n",
        TLS,
        TLS "tokens: {keys: f, issuer: i, audience: a}\n",
        TLS "anonymous: never\nrules: []\n",
        TLS "insecure_allow_anonymous: true\n",
        "listen: 'tls:0.0.0.0'\ntls: {certificate: c, key: k}\ntokens: {secret: 'file:s'}\n",
        "listen: ['tls:0.0.0.0', 'centers:0.0.0.0']\n"
        "tls: {certificate: c, key: k, authorities: a, centers_authorities: b, revoked: r}\n",
        "listen: 'unix:/x'\nanonymous: never\nusers: ['1000=alice']\n",
        "tokens: {keys: 'https://id.example/keys', keys_authorities: a}\n",
    };
    for (size_t i = 0; i < PHI_COUNT_OF(safe); i++) {
        judge(safe[i]);
        if (errors.count != 0) {
            fail_msg("%s: %s", safe[i], errors.list[0].text);
        }
    }
}

// Each of these would let in whom nobody meant to let in, or protect nobody though it seems to.
TEST(config_safe, unsafe_ones_are_not)
{
    static const struct {
        const char *yaml;
        const char *says;
    } unsafe[] = {
        { "listen: 0.0.0.0:1\n", "write tls:0.0.0.0:1" },
        { "listen: 'tls:0.0.0.0'\ntokens: {secret: 'env:X'}\n", "set tls.certificate and tls.key" },
        { TLS "tokens: {keys: f, secret: 'env:X'}\n", "choose one" },
        { TLS "tokens: {audience: a}\n", "no token is accepted without" },
        { TLS "tokens: {keys: f, claim: ''}\n", "a token must say whose it is" },
        { TLS "tokens: {keys: f, keys_authorities: a}\n", "with an https:// URL" },
        { "insecure_allow_anonymous: true\n", "no other machine can connect" },
        { "anonymous: never\n", "nobody could join" },
        { "tls: {certificate: c}\n", "set tls.key, too" },
        { "tls: {key: k}\n", "set tls.certificate, too" },
        { "listen: 'tls:0.0.0.0'\ntls: {certificate: c, key: k}\n", "nobody could join by TLS" },
        { "listen: 'centers:0.0.0.0'\ntls: {certificate: c, key: k}\n",
          "set tls.centers_authorities" },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(unsafe); i++) {
        judge(unsafe[i].yaml);
        bool is_said = false;
        for (size_t k = 0; k < errors.count; k++) {
            is_said = is_said || strstr(errors.list[k].text, unsafe[i].says) != NULL;
        }
        if (!is_said) {
            fail_msg("%s: %s", unsafe[i].yaml, errors.count == 0 ? "-" : errors.list[0].text);
        }
    }
}

// Whoever may choose where keys come from chooses who is let in.
TEST(config_safe, urls_of_keys)
{
    static const char *const good[] = {
        "https://id.example/keys", "https://id.example:8443/a/b?c=d", "https://192.0.2.1/",
        "http://127.0.0.1/keys",   "http://localhost:80/keys",        "http://[::1]/keys",
        "http://127.1.2.3:9/keys",
    };
    static const char *const bad[] = {
        "http://id.example/keys",
        "http://192.0.2.1/keys",
        "http://127.0.0.1.evil.com/",
        "http://localhost.evil.com/",
        "http://127.0.0.1@evil.com/",
        "https://a:b@id.example/keys",
        "https://a@id.example/keys",
        "ftp://id.example/keys",
        "file:///etc/passwd",
        "https:///keys",
        "https://",
        "https://id.example/keys#a",
        "https://id.example/ke ys",
        "gopher://127.0.0.1/",
        "http://[::ffff:1.2.3.4]/",
        "http://127.0.0.1\\@evil.com/",
        "http://2130706434.com/",
        "://",
    };
    for (size_t i = 0; i < PHI_COUNT_OF(good); i++) {
        phi_diag diag = { { 0 } };
        EXPECT(jwks_fetch_is_url(good[i]));
        if (jwks_fetch_judge_url(good[i], &diag) != PH_OK) {
            fail_msg("%s: %s", good[i], diag.text);
        }
    }
    for (size_t i = 0; i < PHI_COUNT_OF(bad); i++) {
        phi_diag diag = { { 0 } };
        EXPECT(jwks_fetch_is_url(bad[i]));
        if (jwks_fetch_judge_url(bad[i], &diag) == PH_OK) {
            fail_msg("accepted: %s", bad[i]);
        }
        EXPECT(diag.text[0] != '\0');
        EXPECT(strstr(diag.text, "a:b") == NULL);
    }
    EXPECT(!jwks_fetch_is_url("/etc/keys.json"));
    EXPECT(!jwks_fetch_is_url("keys.json"));
}

// A reload takes what its schema says, and the rules; everything else stays as it is in force.
TEST(config_safe, a_reload_takes_only_what_needs_no_restart)
{
    static config fresh;
    judge("domain: old\nusers: ['1=a']\ncalls_max: 10\n");
    config_init(&fresh);
    memset(&errors, 0, sizeof errors);
    config_parse(&fresh, "c.yaml",
                 phi_bytes_text("domain: new\nusers: ['2=b', '3=c']\ncalls_max: 20\n"
                                "log: {level: warn}\ntokens: {secret: 'env:X'}\nrules: []\n"),
                 &errors);
    EXPECT_EQ(errors.count, 0);
    config_take_reloadable(&c, &fresh);
    EXPECT_TEXT(config_text(&c, CONFIG_domain), "old");
    EXPECT_EQ(c.values[CONFIG_calls_max].number, 10);
    EXPECT_EQ(c.user_count, 2);
    EXPECT_EQ(c.users[1].uid, 3);
    EXPECT_TEXT(config_text(&c, CONFIG_tokens_secret), "env:X");
    EXPECT_EQ(config_log_level(&c), PHI_LOG_WARN);
    EXPECT(c.rules != NULL);
    EXPECT(fresh.rules == NULL);
    config_fini(&fresh);
    config_fini(&c);
}
