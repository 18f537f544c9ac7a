// SPDX-License-Identifier: Apache-2.0
//
// app/options.h - arguments of a command, read by the same table that its --help is printed from.
//
// Life     options_parse -> args_* -> nothing to free: values are borrowed from argv and
//          environment
// Limits   ARGS_OPTIONS_MAX options and ARGS_WORDS_MAX words; an option may repeat
//          ARGS_REPEAT_MAX times when its row says LIST, else the last one counts
// Threads  none

#ifndef APP_OPTIONS_H
#define APP_OPTIONS_H

#include <posthouse/err.h>

#include "app/draft.h"
#include "base/diag.h"

#define ARGS_OPTIONS_MAX 128
#define ARGS_WORDS_MAX 16
#define ARGS_REPEAT_MAX 16

typedef enum option_kind {
    OPTION_FLAG,   // takes no argument
    OPTION_TEXT,   // any
    OPTION_LIST,   // any; may be given several times
    OPTION_CHOICE, // one of `choices`
    OPTION_COUNT,
    OPTION_BYTES,
    OPTION_TIME, // milliseconds
} option_kind;

typedef struct option {
    const char *name;     // "in-flight"
    char letter;          // 0: none
    option_kind kind;     //
    const char *argument; // what --help calls it: "N"; NULL for flags
    const char *fallback; // its value when it is not given; NULL: none
    const char *help;     // a phrase; the fallback is added to it
    const char *choices;  // CHOICE: "plain|check|paper"
    uint64_t min;         // COUNT, BYTES, TIME
    uint64_t max;         // 0: no bound
    const char *shown;    // what --help says is the default when it is not `fallback`
    const char *env;      // an environment variable that stands in for it; NULL: none
} option;

typedef struct arg_value {
    const char *texts[ARGS_REPEAT_MAX];
    size_t count;    // 0: not given, and no fallback
    uint64_t number; // COUNT, BYTES, TIME: value; FLAG: 1; CHOICE: index
    bool is_given;   // on the command line
} arg_value;

typedef struct args {
    const option *options[ARGS_OPTIONS_MAX];
    arg_value values[ARGS_OPTIONS_MAX];
    size_t option_count;
    const char *words[ARGS_WORDS_MAX];
    size_t word_count;
} args;

// Announces options, before parsing; borrowed as long as `a` is used. One of a name that was there
// already takes its place: a command may mean something else by it than others do.
void args_init(args *a);
void args_accept(args *a, const option *options, size_t count);

// Reads argv[0 .. argc-1], none of which is the program's name. With `stops_at_word`, reading ends
// before the first word and *used says how many were read.
//
// PH_EINVAL   unknown option, missing or wrong argument, too many words; *diag is for the user
PHI_MUST_CHECK ph_err args_parse(args *a, int argc, char *const *argv, bool stops_at_word,
                                 int *used, phi_diag *diag);

// Fills what was not given from the environment, then from the fallbacks. After all args_parse.
PHI_MUST_CHECK ph_err args_complete(args *a, phi_diag *diag);

// The option must have been announced: asserted.
const option *args_option(const args *a, const char *name);
const arg_value *args_get(const args *a, const char *name);
bool args_flag(const args *a, const char *name);
const char *args_text(const args *a, const char *name); // NULL: not given
uint64_t args_number(const args *a, const char *name);

// The index of `word`, whatever its letters' case, in "a|b|c"; -1 when it is not there.
int choice_index(const char *choices, const char *word);

// What --help shows of a table.
void options_help(draft *t, const option *options, size_t count);

#endif // APP_OPTIONS_H
