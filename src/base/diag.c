// SPDX-License-Identifier: Apache-2.0
//
// base/diag.c - phrases put in front of each other in a fixed buffer. What does not fit is cut at
// the end, where the oldest and most technical phrase stands.

#include "base/diag.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

ph_err phi_diag_add(phi_diag *diag, ph_err err, const char *format, ...)
{
    PH_ASSERT(format != NULL);
    if (diag == NULL) {
        return err;
    }

    phi_diag phrase;
    va_list args;
    va_start(args, format);
    int printed = vsnprintf(phrase.text, sizeof phrase.text, format, args);
    va_end(args);
    PH_ASSERT(printed >= 0);

    size_t used = strlen(phrase.text);
    if (diag->text[0] != '\0') {
        PH_ASSERT(memchr(diag->text, '\0', sizeof diag->text) != NULL);
        const char *parts[] = { ": ", diag->text };
        for (size_t i = 0; i < PHI_COUNT_OF(parts); i++) {
            size_t room = sizeof phrase.text - 1 - used;
            size_t size = strlen(parts[i]);
            size = size < room ? size : room;
            memcpy(phrase.text + used, parts[i], size);
            used += size;
        }
        phrase.text[used] = '\0';
    }
    memcpy(diag->text, phrase.text, used + 1);
    return err;
}

const char *phi_diag_text(const phi_diag *diag)
{
    return diag == NULL ? "" : diag->text;
}
