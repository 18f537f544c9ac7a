// SPDX-License-Identifier: Apache-2.0
//
// auth/strict.h - JSON of strangers (RFC 8259), read strictly: one object and nothing behind it, no
// name twice at any depth, no NUL in a text, UTF-8, and not deeper than anybody needs.
//
// Limits   PHI_STRICT_DEPTH_MAX; the size is the caller's to limit, before
// Threads  none; what is read belongs to its reader

#ifndef PHI_AUTH_STRICT_H
#define PHI_AUTH_STRICT_H

#include <jansson.h>

#include "base/bytes.h"
#include "base/compiler.h"

// Objects and arrays inside each other. Jansson's parser recurses, and takes 2,048.
#define PHI_STRICT_DEPTH_MAX 16u

// To be given back with json_decref. NULL: it is none, or there is no memory.
PHI_MUST_CHECK json_t *phi_strict_object(phi_bytes text);

typedef enum phi_strict_member {
    PHI_STRICT_ABSENT,
    PHI_STRICT_TEXT,
    PHI_STRICT_OTHER, // it is there, and no text
} phi_strict_member;

// *out is a view into `object`, written for PHI_STRICT_TEXT only.
phi_strict_member phi_strict_text(const json_t *object, const char *name, phi_bytes *out);

#endif // PHI_AUTH_STRICT_H
