// SPDX-License-Identifier: Apache-2.0
//
// app/suggest.c - the nearest name to a mistyped one: restricted Damerau-Levenshtein distance.

#include "app/suggest.h"

#include <stdint.h>
#include <string.h>

static size_t least(size_t a, size_t b);

suggestion suggestion_for(const char *word)
{
    return (suggestion){ .word = word, .best = NULL, .distance = SIZE_MAX };
}

void suggestion_try(suggestion *s, const char *name)
{
    size_t distance = suggest_distance(s->word, name);
    // A third of the letters may be wrong, or a name that was only begun. `top` is no `doc`.
    size_t allowed = (strlen(name) + 2) / 3;
    size_t begun = strlen(s->word);
    if (begun >= 3 && strncmp(s->word, name, begun) == 0) {
        distance = 1;
    }
    if (distance <= allowed && distance < s->distance) {
        s->best = name;
        s->distance = distance;
    }
}

size_t suggest_distance(const char *a, const char *b)
{
    size_t a_size = strlen(a);
    size_t b_size = strlen(b);
    if (a_size > SUGGEST_BYTES_MAX || b_size > SUGGEST_BYTES_MAX) {
        return SIZE_MAX;
    }
    size_t rows[SUGGEST_BYTES_MAX + 1][SUGGEST_BYTES_MAX + 1];
    for (size_t i = 0; i <= a_size; i++) {
        rows[i][0] = i;
    }
    for (size_t k = 0; k <= b_size; k++) {
        rows[0][k] = k;
    }
    for (size_t i = 1; i <= a_size; i++) {
        for (size_t k = 1; k <= b_size; k++) {
            size_t other = rows[i - 1][k - 1] + (a[i - 1] != b[k - 1]);
            size_t edit = least(rows[i - 1][k] + 1, rows[i][k - 1] + 1);
            rows[i][k] = least(other, edit);
            if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1]) {
                rows[i][k] = least(rows[i][k], rows[i - 2][k - 2] + 1);
            }
        }
    }
    return rows[a_size][b_size];
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}
