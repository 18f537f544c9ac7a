// SPDX-License-Identifier: Apache-2.0
//
// app/config_safe_test.c - unsafe starts, as the configuration alone shows them. With files, and as
// people see them: tests/e2e/unsafe.sh.

#include "app/config_safe.h"

#include <string.h>

#include "tests/app/config_text.h"
#include "tests/harness/test.h"

static config c;
static config_errors errors;

static void judge(const char *yaml)
{
    config_of_text(&c, &errors, yaml);
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
