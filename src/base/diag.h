// SPDX-License-Identifier: Apache-2.0
//
// base/diag.h - the detail of an error, in a fixed buffer that the caller owns. Each level may put
// one phrase in front: "listen on 127.0.0.1:7678: bind: Address already in use". No thread-local
// state, no allocation on the error path.

#ifndef PHI_BASE_DIAG_H
#define PHI_BASE_DIAG_H

#include <posthouse/err.h>

#include "base/compiler.h"

#define PHI_DIAG_BYTES_MAX 512

typedef struct phi_diag {
    char text[PHI_DIAG_BYTES_MAX]; // always terminated; the tail is cut when it does not fit
} phi_diag;

// Puts "phrase: " in front of what stands there and returns `err`, so that it reads `return
// phi_diag_add(...)`. `diag` may be NULL: nobody cares.
PHI_PRINTF(3, 4) ph_err phi_diag_add(phi_diag *diag, ph_err err, const char *format, ...);

// "" for NULL.
const char *phi_diag_text(const phi_diag *diag);

#endif // PHI_BASE_DIAG_H
