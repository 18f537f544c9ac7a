// SPDX-License-Identifier: Apache-2.0
//
// app/deed.h - what a command can do, when its first word says which: `posthouse cert show`.
//
// The command's table of options has those of all its deeds; each deed names its own, and another
// one is an error.

#ifndef APP_DEED_H
#define APP_DEED_H

#include "app/command.h"

#define DEED_OPTIONS_MAX 7

typedef struct deed {
    const char *name;
    size_t words_min; // behind its name
    size_t words_max;
    const char *words;                     // what is expected there
    const char *options[DEED_OPTIONS_MAX]; // up to the first NULL
    exit_status (*run)(const args *a);
} deed;

// Finds the one that the first word names, and runs it. STATUS_USAGE, and it was said why: there is
// none of that name, or it takes other words or options.
exit_status deed_run(const command *c, const deed *deeds, size_t count, const args *a);

#endif // APP_DEED_H
