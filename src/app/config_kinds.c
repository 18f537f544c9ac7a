// SPDX-License-Identifier: Apache-2.0
//
// app/config_kinds.c - see config_kinds.h.

#include "app/config_kinds.h"

#include <string.h>

#include "app/jwks_fetch.h"
#include "app/secret.h"
#include "app/suggest.h"
#include "app/value.h"
#include "auth/principal.h"
#include "base/utf8.h"
#include "wire/name.h"

#define TEXT_BYTES_MAX 255u // of an issuer, audience or claim
#define UID_MAX 4294967294u // the one behind it means nobody

static bool is_clean(const char *chars);

ph_err config_judge_name(const char *chars, phi_diag *diag)
{
    if (phi_name_is_valid(phi_bytes_text(chars))) {
        return PH_OK;
    }
    return phi_diag_add(diag, PH_EINVAL,
                        "'%.80s' is no name: 1 to 64 of a-z 0-9 . _ -, beginning with a letter or "
                        "digit",
                        chars);
}

ph_err config_judge_text(const char *chars, phi_diag *diag)
{
    if (strlen(chars) > TEXT_BYTES_MAX) {
        return phi_diag_add(diag, PH_EINVAL, "longer than %u bytes", TEXT_BYTES_MAX);
    }
    return is_clean(chars)
               ? PH_OK
               : phi_diag_add(diag, PH_EINVAL, "holds control characters, or is not UTF-8");
}

ph_err config_judge_path(const char *chars, phi_diag *diag)
{
    if (strlen(chars) >= CONFIG_TEXT_BYTES) {
        return phi_diag_add(diag, PH_EINVAL, "a path is shorter than %u bytes", CONFIG_TEXT_BYTES);
    }
    if (strncmp(chars, "-----BEGIN", 10) == 0) {
        return phi_diag_add(diag, PH_EINVAL,
                            "holds PEM itself; put that into a file and its path here");
    }
    return is_clean(chars)
               ? PH_OK
               : phi_diag_add(diag, PH_EINVAL, "a path without control characters is expected");
}

ph_err config_judge_keys(const char *chars, phi_diag *diag)
{
    if (chars[0] == '{') {
        return phi_diag_add(diag, PH_EINVAL,
                            "holds a key set itself; put that into a file and its path here");
    }
    ph_err rc = config_judge_path(chars, diag);
    return rc == PH_OK && jwks_fetch_is_url(chars) ? jwks_fetch_judge_url(chars, diag) : rc;
}

ph_err config_judge_secret(const char *chars, phi_diag *diag)
{
    return chars[0] == '\0' ? PH_OK : secret_judge_place(chars, diag);
}

ph_err config_judge_choice(const char *choices, const char *chars, uint64_t *out, phi_diag *diag)
{
    int index = choice_index(choices, chars);
    if (index >= 0) {
        *out = (uint64_t)index;
        return PH_OK;
    }
    suggestion s = suggestion_for(chars);
    char word[32];
    for (const char *at = choices; *at != '\0';) {
        size_t size = strcspn(at, "|");
        snprintf(word, sizeof word, "%.*s", (int)size, at);
        suggestion_try(&s, word);
        if (s.best == word) {
            return phi_diag_add(diag, PH_EINVAL, "'%.40s' is none of %s; did you mean '%s'?", chars,
                                choices, word);
        }
        at += size + (at[size] == '|' ? 1 : 0);
    }
    return phi_diag_add(diag, PH_EINVAL, "'%.40s' is none of %s", chars, choices);
}

ph_err config_judge_user(const char *chars, config_user *out, phi_diag *diag)
{
    const char *equals = strchr(chars, '=');
    char number[16];
    uint64_t uid;
    if (equals == NULL || (size_t)(equals - chars) >= sizeof number) {
        return phi_diag_add(diag, PH_EINVAL,
                            "'%.80s' is not the number of a user and a name such as 1000=alice",
                            chars);
    }
    snprintf(number, sizeof number, "%.*s", (int)(equals - chars), chars);
    ph_err rc = value_parse(VALUE_COUNT, number, 0, UID_MAX, &uid, diag);
    if (rc != PH_OK) {
        return phi_diag_add(diag, rc, "'%.80s'", chars);
    }
    if (!phi_principal_is_valid(phi_bytes_text(equals + 1))) {
        return phi_diag_add(diag, PH_EINVAL,
                            "'%.80s' is no name of a principal: 1 to 55 of a-z 0-9 . _ -, not "
                            "ending as names do that a center makes up (-1f3a)",
                            equals + 1);
    }
    out->uid = (uint32_t)uid;
    snprintf(out->principal, sizeof out->principal, "%s", equals + 1);
    return PH_OK;
}

static bool is_clean(const char *chars)
{
    for (const char *p = chars; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7F) {
            return false;
        }
    }
    return phi_utf8_is_valid(phi_bytes_text(chars));
}
