// SPDX-License-Identifier: Apache-2.0
//
// app/suggest.h - "did you mean 'call'?"

#ifndef APP_SUGGEST_H
#define APP_SUGGEST_H

#include <stddef.h>

// Collects the nearest of the names shown to it.
typedef struct suggestion {
    const char *word; // borrowed
    const char *best; // NULL: nothing is near enough
    size_t distance;
} suggestion;

suggestion suggestion_for(const char *word);
void suggestion_try(suggestion *s, const char *name);

// Edits (a letter more, less, other, or two swapped) from one to the other; SIZE_MAX when one is
// longer than SUGGEST_BYTES_MAX.
#define SUGGEST_BYTES_MAX 40
size_t suggest_distance(const char *a, const char *b);

#endif // APP_SUGGEST_H
