// SPDX-License-Identifier: Apache-2.0
//
// app/jwks_fetch_test.c - which URLs keys may come from. The fetching itself is tested in
// tests/e2e/reload.sh and tests/interop/tokens_test.py.

#include "app/jwks_fetch.h"

#include <string.h>

#include "base/bytes.h"
#include "tests/harness/test.h"

// Whoever may choose where keys come from chooses who is let in.
TEST(jwks_fetch, urls_of_keys)
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
