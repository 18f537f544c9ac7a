// SPDX-License-Identifier: Apache-2.0
//
// auth/strict.c - see strict.h.

#include "auth/strict.h"

static bool is_too_deep(phi_bytes text);

json_t *phi_strict_object(phi_bytes text)
{
    if (text.size == 0 || is_too_deep(text)) {
        return NULL;
    }
    json_t *value =
        json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, /* error= */ NULL);
    if (value != NULL && !json_is_object(value)) {
        json_decref(value);
        value = NULL;
    }
    return value;
}

phi_strict_member phi_strict_text(const json_t *object, const char *name, phi_bytes *out)
{
    const json_t *value = json_object_get(object, name);
    if (value == NULL) {
        return PHI_STRICT_ABSENT;
    }
    if (!json_is_string(value)) {
        return PHI_STRICT_OTHER;
    }
    *out = phi_bytes_of(json_string_value(value), json_string_length(value));
    return PHI_STRICT_TEXT;
}

// Before the parser sees it. What is no JSON may be judged wrongly here: it is refused there.
static bool is_too_deep(phi_bytes text)
{
    size_t depth = 0;
    bool is_in_text = false;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (is_in_text && c == '\\') {
            i++;
        } else if (c == '"') {
            is_in_text = !is_in_text;
        } else if (!is_in_text && (c == '{' || c == '[')) {
            depth++;
            if (depth > PHI_STRICT_DEPTH_MAX) {
                return true;
            }
        } else if (!is_in_text && (c == '}' || c == ']') && depth != 0) {
            depth--;
        }
    }
    return false;
}
