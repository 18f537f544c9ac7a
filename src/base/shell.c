// SPDX-License-Identifier: Apache-2.0
//
// base/shell.c - see shell.h.

#include "base/shell.h"

#include <string.h>

#include "base/assert.h"

bool phi_shell_is_plain(const char *chars)
{
    static const char harmless[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "0123456789./_-";
    return *chars != '\0' && *chars != '-' && chars[strspn(chars, harmless)] == '\0';
}

const char *phi_shell_word(const char *chars, char *room, size_t size)
{
    PH_ASSERT(room != NULL);
    if (phi_shell_is_plain(chars)) {
        return chars;
    }
    size_t used = 0;
    for (const char *p = chars; *p != '\0'; p++) {
        used += *p == '\'' ? 4 : 1;
    }
    if (used + 3 > size) { // the quotes, and the end
        return chars;
    }
    char *at = room;
    *at++ = '\'';
    for (const char *p = chars; *p != '\0'; p++) {
        if (*p == '\'') {
            memcpy(at, "'\\''", 4);
            at += 4;
        } else {
            *at++ = *p;
        }
    }
    *at++ = '\'';
    *at = '\0';
    PH_ASSERT(at == room + used + 2);
    return room;
}
