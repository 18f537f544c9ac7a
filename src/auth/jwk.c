// SPDX-License-Identifier: Apache-2.0
//
// auth/jwk.c - see jwk.h.
//
// Design notes
// - A set is read once and then only looked at. Looking for a key walks over all of them: there are
//   at most 64, and a signature costs a thousand times as much.
// - One id names one key. RFC 7517 lets two of different kinds share one; then a token could choose
//   between them, so such a set is refused.

#include "auth/jwk.h"

#include <string.h>

#include "auth/key.h"
#include "auth/strict.h"
#include "base/assert.h"

struct phi_jwks {
    const phi_alloc *alloc; // borrowed for the life of the set
    uint32_t capacity;
    uint32_t count;
    phi_jwk keys[]; // of `capacity`
};

static ph_err set_new(phi_jwks **out, const phi_alloc *alloc, size_t capacity);
static ph_err read_all(phi_jwks *set, const json_t *array, uint32_t *skipped, phi_diag *diag);
static ph_err refuse(const json_t *object, size_t index, ph_err rc, phi_diag *diag);

PH_STATIC_ASSERT(PHI_SECRET_BYTES_MAX >= PHI_SECRET_BYTES_MIN);

static const char *const algorithms[PHI_JWS_COUNT] = {
    [PHI_JWS_HS256] = "HS256", [PHI_JWS_RS256] = "RS256", [PHI_JWS_PS256] = "PS256",
    [PHI_JWS_ES256] = "ES256", [PHI_JWS_EDDSA] = "EdDSA",
};

const char *phi_jws_algorithm_name(phi_jws_algorithm algorithm)
{
    PH_ASSERT((size_t)algorithm < PHI_JWS_COUNT);
    return algorithms[algorithm];
}

bool phi_jws_algorithm_of_name(phi_bytes name, phi_jws_algorithm *out)
{
    if (phi_bytes_equal(name, phi_bytes_text("Ed25519"))) {
        *out = PHI_JWS_EDDSA;
        return true;
    }
    for (size_t i = 0; i < PHI_JWS_COUNT; i++) {
        if (phi_bytes_equal(name, phi_bytes_text(algorithms[i]))) {
            *out = (phi_jws_algorithm)i;
            return true;
        }
    }
    return false;
}

// ---- life

ph_err phi_jwks_parse(phi_jwks **out, const phi_alloc *alloc, phi_bytes json, uint32_t *skipped,
                      phi_diag *diag)
{
    PH_ASSERT(out != NULL);
    PH_ASSERT(alloc != NULL);

    if (json.size > PHI_JWKS_BYTES_MAX) {
        return phi_diag_add(diag, PH_EINVAL, "a key set longer than %u bytes", PHI_JWKS_BYTES_MAX);
    }
    json_t *root = phi_strict_object(json);
    if (root == NULL) {
        return phi_diag_add(
            diag, PH_EINVAL,
            "no key set: it must be one JSON object, in which no name stands twice");
    }
    const json_t *found = json_object_get(root, "keys");
    json_t *array = NULL;
    if (found == NULL) { // a single key
        array = json_array();
        if (json_array_append(array, root) != 0) {
            json_decref(array);
            json_decref(root);
            return PH_ENOMEM;
        }
        found = array;
    }

    ph_err rc = PH_OK;
    phi_jwks *set = NULL;
    size_t count = json_array_size(found);
    if (!json_is_array(found) || count == 0 || count > PHI_JWKS_KEYS_MAX) {
        rc = phi_diag_add(diag, PH_EINVAL, "its `keys` must be a list of 1 to %u keys",
                          PHI_JWKS_KEYS_MAX);
    } else {
        rc = set_new(&set, alloc, count);
    }
    uint32_t passed_over = 0;
    if (rc == PH_OK) {
        rc = read_all(set, found, &passed_over, diag);
    }
    json_decref(array);
    json_decref(root);
    if (rc != PH_OK) {
        phi_jwks_free(&set);
        return rc;
    }
    if (skipped != NULL) {
        *skipped = passed_over;
    }
    *out = set;
    return PH_OK;
}

ph_err phi_jwks_of_secret(phi_jwks **out, const phi_alloc *alloc, phi_bytes secret, phi_diag *diag)
{
    PH_ASSERT(out != NULL);
    ph_err rc = phi_secret_judge(secret, diag);
    if (rc != PH_OK) {
        return rc;
    }
    phi_jwks *set;
    rc = set_new(&set, alloc, 1);
    if (rc != PH_OK) {
        return rc;
    }
    rc = phi_jwk_of_secret(&set->keys[0], alloc, secret);
    if (rc != PH_OK) {
        phi_jwks_free(&set);
        return rc;
    }
    set->count = 1;
    *out = set;
    return PH_OK;
}

void phi_jwks_free(phi_jwks **keys)
{
    phi_jwks *set = *keys;
    if (set == NULL) {
        return;
    }
    PH_ASSERT(set->count <= set->capacity);
    for (uint32_t i = 0; i < set->count; i++) {
        phi_jwk_fini(&set->keys[i]);
    }
    phi_give(set->alloc, set, sizeof *set + set->capacity * sizeof set->keys[0]);
    *keys = NULL;
}

static ph_err set_new(phi_jwks **out, const phi_alloc *alloc, size_t capacity)
{
    PH_ASSERT(capacity >= 1);
    PH_ASSERT(capacity <= PHI_JWKS_KEYS_MAX);
    phi_jwks *set = phi_take_zeroed(alloc, 1, sizeof *set + capacity * sizeof set->keys[0]);
    if (set == NULL) {
        return PH_ENOMEM;
    }
    set->alloc = alloc;
    set->capacity = (uint32_t)capacity;
    *out = set;
    return PH_OK;
}

static ph_err read_all(phi_jwks *set, const json_t *array, uint32_t *skipped, phi_diag *diag)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *object = json_array_get(array, i);
        bool is_for_us = false;
        phi_jwk *key = &set->keys[set->count];
        ph_err rc = phi_jwk_read(key, set->alloc, object, PHI_JWK_PUBLIC, &is_for_us, diag);
        if (rc != PH_OK) {
            return refuse(object, i, rc, diag);
        }
        if (!is_for_us) {
            (*skipped)++;
            continue;
        }
        phi_bytes id = phi_jwk_id(key);
        bool is_twice = id.size != 0 && phi_jwks_find(set, &id) != NULL;
        set->count++;
        if (is_twice) {
            return refuse(object, i,
                          phi_diag_add(diag, PH_EINVAL, "another key before it has the same `kid`"),
                          diag);
        }
    }
    if (set->count == 0) {
        return phi_diag_add(diag, PH_EINVAL,
                            "none of its keys can be used: there must be one for RS256, PS256, "
                            "ES256, EdDSA or HS256");
    }
    return PH_OK;
}

// Puts in front which key it is. Its id is shown when it is plain: it is a stranger's text.
static ph_err refuse(const json_t *object, size_t index, ph_err rc, phi_diag *diag)
{
    phi_bytes id = { NULL, 0 };
    bool is_plain = phi_strict_text(object, "kid", &id) == PHI_STRICT_TEXT && id.size != 0 &&
                    id.size <= PHI_JWK_ID_BYTES_MAX;
    for (size_t i = 0; is_plain && i < id.size; i++) {
        is_plain = id.data[i] > ' ' && id.data[i] <= '~' && id.data[i] != '\'';
    }
    if (!is_plain) {
        return phi_diag_add(diag, rc, "key %zu", index + 1);
    }
    return phi_diag_add(diag, rc, "key %zu ('%.*s')", index + 1, (int)id.size,
                        (const char *)id.data);
}

// ---- queries

uint32_t phi_jwks_count(const phi_jwks *keys)
{
    return keys->count;
}

bool phi_jwks_has_secret(const phi_jwks *keys)
{
    for (uint32_t i = 0; i < keys->count; i++) {
        if (keys->keys[i].algorithm == PHI_JWS_HS256) {
            return true;
        }
    }
    return false;
}

bool phi_jwks_has(const phi_jwks *keys, const phi_jwk_mark *mark)
{
    for (uint32_t i = 0; i < keys->count; i++) {
        if (memcmp(keys->keys[i].mark.bytes, mark->bytes, sizeof mark->bytes) == 0) {
            return true;
        }
    }
    return false;
}

const phi_jwk *phi_jwks_find(const phi_jwks *keys, const phi_bytes *id)
{
    if (id == NULL) {
        return keys->count == 1 ? &keys->keys[0] : NULL;
    }
    for (uint32_t i = 0; i < keys->count; i++) {
        phi_bytes own = phi_jwk_id(&keys->keys[i]);
        if (own.size != 0 && phi_bytes_equal(own, *id)) {
            return &keys->keys[i];
        }
    }
    return NULL;
}
