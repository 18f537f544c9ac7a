// SPDX-License-Identifier: Apache-2.0
//
// app/config.h - what a center is started with, from flags, environment, file and defaults, in this
// order of precedence; and where each value came from.
//
// Life     config_init -> config_load_file, config_load_environment, config_load_args ->
//          config_settle -> config_fini
// Limits   CONFIG_FILE_BYTES_MAX, CONFIG_DEPTH_MAX levels, CONFIG_ERRORS_MAX errors are collected
// Threads  none

#ifndef APP_CONFIG_H
#define APP_CONFIG_H

#include "app/listener.h"
#include "app/options.h"
#include "auth/rules.h"
#include "center/center.h"
#include "io/io.h"
#include "obs/log.h"
#include "wire/name.h"

#define CONFIG_FILE_BYTES_MAX (256u * 1024u)
#define CONFIG_DEPTH_MAX 8u
#define CONFIG_ERRORS_MAX 10u
#define CONFIG_LISTEN_MAX CENTER_LISTENERS_MAX // what is accepted can be listened on
#define CONFIG_USERS_MAX 64u
#define CONFIG_ITEM_BYTES LISTENER_TEXT_MAX // the longest of a list, with its end
#define CONFIG_TEXT_BYTES 1024u             // a path or URL, with its end

typedef enum config_key {
#define CONFIG_KEY(id, path, kind, fallback, choices, reload, help) CONFIG_##id,
#define CONFIG_NUMBER(id, path, fallback, min, max, help) CONFIG_##id,
#define CONFIG_SPAN(id, path, fallback, min, max, help) CONFIG_##id,
#include "app/config.def"
#undef CONFIG_SPAN
#undef CONFIG_NUMBER
#undef CONFIG_KEY
#define CENTER_LIMIT(name, type, fallback, min, max, unit, help) CONFIG_##name,
#include "center/limits.def"
#undef CENTER_LIMIT
    CONFIG_KEY_COUNT
} config_key;

typedef enum config_kind {
    CONFIG_ADDRESSES, // a list
    CONFIG_USERS,     // a list
    CONFIG_NAME,
    CONFIG_TEXT,   // any, for people or for comparing
    CONFIG_PATH,   // of a file; relative ones begin where the program was started
    CONFIG_KEYS,   // a path or URL
    CONFIG_SECRET, // where one is: file:PATH, env:NAME, credential:NAME
    CONFIG_CHOICE,
    CONFIG_BOOL,
    CONFIG_COUNT,
    CONFIG_BYTES,
    CONFIG_TIME,
} config_kind;

// One row of the schema.
typedef struct config_row {
    const char *path;         // "log.level"
    const char *flag;         // "log-level"
    const char *env;          // "POSTHOUSE_LOG_LEVEL"
    config_kind kind;         //
    const char *fallback;     // as it would be written in a file
    uint64_t fallback_number; // COUNT, BYTES, TIME
    const char *choices;      // CHOICE
    uint64_t min;             // COUNT, BYTES, TIME
    uint64_t max;             //
    bool is_limit;            // from center/limits.def
    bool can_reload;          // takes effect on SIGHUP; others at the next start
    const char *help;         // a sentence or two
} config_row;

typedef enum config_origin {
    CONFIG_FROM_DEFAULT,
    CONFIG_FROM_FILE,
    CONFIG_FROM_ENVIRONMENT,
    CONFIG_FROM_FLAG,
} config_origin;

typedef struct config_value {
    config_origin origin;
    uint32_t line;                // CONFIG_FROM_FILE
    uint64_t number;              // COUNT, BYTES, TIME, BOOL, CHOICE (its index)
    char text[CONFIG_TEXT_BYTES]; // NAME, TEXT, PATH, KEYS, SECRET; "": none
} config_value;

typedef struct config_user {
    uint32_t uid;
    char principal[PHI_NAME_BYTES_MAX + 1];
} config_user;

typedef struct config {
    config_value values[CONFIG_KEY_COUNT];
    char listen[CONFIG_LISTEN_MAX][LISTENER_TEXT_MAX];
    size_t listen_count;
    config_user users[CONFIG_USERS_MAX];
    size_t user_count;
    phi_rules *rules;    // owned; NULL: the file has none, or who wants to keep them took them
    uint32_t rules_line; // where they begin; 0: there are none
    char file[1024];     // "" when none was read
} config;

// What is wrong, each with its place.
typedef struct config_errors {
    size_t count;    // kept
    size_t left_out; // beyond CONFIG_ERRORS_MAX
    struct config_error {
        uint32_t line; // 0: not from the file
        uint32_t column;
        char text[PHI_DIAG_BYTES_MAX + 128];
    } list[CONFIG_ERRORS_MAX];
} config_errors;

const config_row *config_get_row(config_key key);

// The key of that path; CONFIG_KEY_COUNT when there is none.
config_key config_find(const char *path);

// All defaults.
void config_init(config *c);

// Frees the rules, which are all that is owned. Accepts a zeroed one.
void config_fini(config *c);

// Reads YAML. Keys that were set already are replaced. `name` is what the file is called in
// messages.
void config_parse(config *c, const char *name, phi_bytes yaml, config_errors *errors);

// PH_ECONFIG   it could not be read, or is larger than CONFIG_FILE_BYTES_MAX; an error was added
PHI_MUST_CHECK ph_err config_load_file(config *c, const char *path, config_errors *errors);

void config_load_environment(config *c, config_errors *errors);

// Flags made by config_options.
void config_load_args(config *c, const args *a, config_errors *errors);

// Rules between keys, and what would be an unsafe start (config_safe.c) as far as no file is needed
// to see it. Call last, when there are no errors.
//
// Lowering one limit must not need a second line: a default that would exceed a limit somebody set
// is lowered to it, and then comes from where that comes from. Somebody's own value never changes.
void config_settle(config *c, config_errors *errors);

// Sets one value from its text, as from everywhere but a file.
//
// PH_EINVAL   *diag says what was expected; nothing changed
PHI_MUST_CHECK ph_err config_set(config *c, config_key key, const char *chars, config_origin origin,
                                 phi_diag *diag);

// Appends to a list; the first call for an origin replaces what stood there before.
PHI_MUST_CHECK ph_err config_add(config *c, config_key key, const char *chars, config_origin origin,
                                 phi_diag *diag);

bool config_is_list(config_key key);

// Somebody has given it a value that is not "".
bool config_is_set(const config *c, config_key key);
const char *config_text(const config *c, config_key key);
bool config_flag(const config *c, config_key key);

// Of a key with choices, one of which the word is.
bool config_is_choice(const config *c, config_key key, const char *word);

// What can be taken over without a restart (can_reload, and the rules, which are moved), with where
// it came from.
void config_take_reloadable(config *to, config *from);

PHI_PRINTF(4, 5)
void config_complain(config_errors *errors, uint32_t line, uint32_t column, const char *format,
                     ...);

// About a key, with the place where it was set: a line of the file, or in the text a flag or
// variable.
PHI_PRINTF(4, 5)
void config_complain_key(config_errors *errors, const config *c, config_key key, const char *format,
                         ...);

// A value as it would be written in a file: into `out`.
void config_show(const config *c, config_key key, draft *out);

// "default", "file line 7", "POSTHOUSE_SUITE", "--suite".
void config_show_origin(const config *c, config_key key, draft *out);

// The rows as options, for the commands that take them.
const option *config_options(size_t *count);

center_options config_center(const config *c);
phi_log_level config_log_level(const config *c);

// The path of --config, or POSTHOUSE_CONFIG; then the three sources and the check.
// PH_ECONFIG   errors were collected
PHI_MUST_CHECK ph_err config_load(config *c, const args *a, config_errors *errors);

// To standard error: one line each, and the line of the file with a mark under the place.
void config_print_errors(const config *c, const config_errors *errors);

#endif // APP_CONFIG_H
