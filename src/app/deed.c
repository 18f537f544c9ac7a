// SPDX-License-Identifier: Apache-2.0
//
// app/deed.c - see deed.h.

#include "app/deed.h"

#include <string.h>

#include "app/draft.h"
#include "base/assert.h"

static exit_status check(const command *c, const deed *d, const args *a);
static bool has_option(const deed *d, const char *name);
static exit_status complain(const command *c, const deed *deeds, size_t count, const args *a);

exit_status deed_run(const command *c, const deed *deeds, size_t count, const args *a)
{
    PH_ASSERT(a->word_count > 0); // words_min of the command
    for (size_t i = 0; i < count; i++) {
        if (strcmp(deeds[i].name, a->words[0]) == 0) {
            exit_status status = check(c, &deeds[i], a);
            return status == STATUS_OK ? deeds[i].run(a) : status;
        }
    }
    return complain(c, deeds, count, a);
}

static exit_status check(const command *c, const deed *d, const args *a)
{
    size_t words = a->word_count - 1;
    if (words < d->words_min || words > d->words_max) {
        return command_usage(c, "%s: expected %s", d->name, d->words);
    }
    for (size_t i = 0; i < c->option_count; i++) {
        const char *name = c->options[i].name;
        if (!has_option(d, name) && args_get(a, name)->is_given) {
            return command_usage(c, "%s: --%s means nothing here", d->name, name);
        }
    }
    return STATUS_OK;
}

static bool has_option(const deed *d, const char *name)
{
    for (size_t i = 0; i < DEED_OPTIONS_MAX && d->options[i] != NULL; i++) {
        if (strcmp(d->options[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static exit_status complain(const command *c, const deed *deeds, size_t count, const args *a)
{
    draft names;
    draft_init(&names);
    for (size_t i = 0; i < count; i++) {
        draft_format(&names, "%s%s", i == 0 ? "" : ", ", deeds[i].name);
    }
    exit_status status = command_usage(c, "there is no '%s %.40s'; there are: %s", c->name,
                                       a->words[0], draft_chars(&names));
    draft_fini(&names);
    return status;
}
