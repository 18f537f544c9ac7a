// SPDX-License-Identifier: Apache-2.0
//
// app/value.c - counts, sizes and times as people write them.
//
// Design notes
// - A time without a unit is refused: nobody should have to guess whether 10 means seconds or
//   milliseconds. Only 0 needs none.
// - KB is refused rather than taken for 1,000 or 1,024.

#include "app/value.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"

typedef struct unit {
    const char *name;
    uint64_t factor;
} unit;

// Largest last, so that value_format finds the largest that divides.
static const unit units_bytes[] = {
    { "", 1 },
    { "B", 1 },
    { "KiB", UINT64_C(1) << 10 },
    { "MiB", UINT64_C(1) << 20 },
    { "GiB", UINT64_C(1) << 30 },
};
static const unit units_time[] = {
    { "ms", 1 },
    { "s", 1000 },
    { "m", 60 * 1000 },
    { "h", 60 * 60 * 1000 },
};
static const unit units_count[] = { { "", 1 } };

static const unit *units_of(value_kind kind, size_t *count);

ph_err value_parse(value_kind kind, const char *chars, uint64_t min, uint64_t max, uint64_t *out,
                   phi_diag *diag)
{
    PH_ASSERT(chars != NULL);
    PH_ASSERT(min <= max);

    uint64_t number = 0;
    const char *at = chars;
    bool is_huge = false;
    for (; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        is_huge = is_huge || number > (UINT64_MAX - digit) / 10;
        number = is_huge ? UINT64_MAX : number * 10 + digit;
    }
    size_t count;
    const unit *units = units_of(kind, &count);
    const unit *found = NULL;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(at, units[i].name) == 0) {
            found = &units[i];
        }
    }
    if (number == 0 && at != chars && *at == '\0') {
        found = &units[0]; // zero is zero in any unit
    }
    if (at == chars || found == NULL) {
        return phi_diag_add(diag, PH_EINVAL, "'%.40s' is not %s", chars, value_kind_text(kind));
    }
    is_huge = is_huge || number > UINT64_MAX / found->factor;
    uint64_t value = is_huge ? UINT64_MAX : number * found->factor;
    if (value < min || value > max) {
        char low[VALUE_TEXT_BYTES];
        char high[VALUE_TEXT_BYTES];
        value_format(kind, min, low);
        value_format(kind, max, high);
        return phi_diag_add(diag, PH_EINVAL, "%.40s is out of range: %s to %s", chars, low, high);
    }
    *out = value;
    return PH_OK;
}

void value_format(value_kind kind, uint64_t value, char out[VALUE_TEXT_BYTES])
{
    size_t count;
    const unit *units = units_of(kind, &count);
    const unit *best = &units[0];
    for (size_t i = 0; i < count; i++) {
        if (value != 0 && value % units[i].factor == 0 && units[i].factor > best->factor) {
            best = &units[i];
        }
    }
    snprintf(out, VALUE_TEXT_BYTES, "%llu%s", (unsigned long long)(value / best->factor),
             value == 0 ? "" : best->name);
}

const char *value_kind_text(value_kind kind)
{
    switch (kind) {
    case VALUE_COUNT:
        return "a whole number";
    case VALUE_BYTES:
        return "a size such as 65536, 64KiB or 1MiB";
    case VALUE_TIME:
        return "a time such as 500ms, 10s, 5m or 1h";
    }
    PH_UNREACHABLE("kind of value");
}

static const unit *units_of(value_kind kind, size_t *count)
{
    switch (kind) {
    case VALUE_COUNT:
        *count = PHI_COUNT_OF(units_count);
        return units_count;
    case VALUE_BYTES:
        *count = PHI_COUNT_OF(units_bytes);
        return units_bytes;
    case VALUE_TIME:
        *count = PHI_COUNT_OF(units_time);
        return units_time;
    }
    PH_UNREACHABLE("kind of value");
}
