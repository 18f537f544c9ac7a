// SPDX-License-Identifier: Apache-2.0
//
// app/value.h - counts, sizes and times as people write them: 1000, 64KiB, 500ms. One reader for
// options, environment and configuration file, so that they cannot disagree.

#ifndef APP_VALUE_H
#define APP_VALUE_H

#include <posthouse/err.h>

#include "base/diag.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum value_kind {
    VALUE_COUNT, // 1000
    VALUE_BYTES, // 65536, 64KiB, 1MiB
    VALUE_TIME,  // 500ms, 10s, 5m, 1h; read as milliseconds
} value_kind;

// PH_EINVAL   not of that kind, or outside min..max; *diag says what was expected
PHI_MUST_CHECK ph_err value_parse(value_kind kind, const char *chars, uint64_t min, uint64_t max,
                                  uint64_t *out, phi_diag *diag);

#define VALUE_TEXT_BYTES 32

// As value_parse reads it, with the largest unit that fits without a rest.
void value_format(value_kind kind, uint64_t value, char out[VALUE_TEXT_BYTES]);

// "a number", "a size such as 64KiB", "a time such as 10s".
const char *value_kind_text(value_kind kind);

#endif // APP_VALUE_H
