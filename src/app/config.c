// SPDX-License-Identifier: Apache-2.0
//
// app/config.c - the schema and the values.
//
// Design notes
// - The rows of config.def and center/limits.def are the only place where a key is named. The
// parser,
//   the flags, the environment, --help, docs/limits.md and the sample file are made from them.
// - A value is set by one function from its text, wherever it came from, so that file, environment
//   and flags accept the same.
// - Later sources replace earlier ones; a list is replaced as a whole, never merged.
//
// Invariants
// - Every value in a config satisfies its row: config_set writes nothing that does not.

#include "app/config.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "app/suggest.h"
#include "app/term.h"
#include "app/value.h"
#include "base/assert.h"
#include "io/address.h"
#include "wire/name.h"

#define NAME_BYTES 64 // of a flag or variable

// Flags and variables are made from paths, once.
static config_row rows[CONFIG_KEY_COUNT] = {
#define CONFIG_KEY(id, key_path, key_kind, key_fallback, key_choices, reload, text)                \
    { .path = (key_path),                                                                          \
      .kind = CONFIG_##key_kind,                                                                   \
      .fallback = (key_fallback),                                                                  \
      .choices = (key_choices),                                                                    \
      .can_reload = (reload),                                                                      \
      .help = (text) },
#define CONFIG_NUMBER(id, key_path, number, low, high, text)                                       \
    { .path = (key_path),                                                                          \
      .kind = CONFIG_COUNT,                                                                        \
      .fallback_number = (number),                                                                 \
      .min = (low),                                                                                \
      .max = (high),                                                                               \
      .help = (text) },
#include "app/config.def"
#undef CONFIG_NUMBER
#undef CONFIG_KEY
#define CENTER_LIMIT(name, type, limit_fallback, low, high, unit, text)                            \
    { .path = #name,                                                                               \
      .kind = CONFIG_##type,                                                                       \
      .fallback_number = (limit_fallback),                                                         \
      .min = (low),                                                                                \
      .max = (high),                                                                               \
      .is_limit = true,                                                                            \
      .help = (text) },
#include "center/limits.def"
#undef CENTER_LIMIT
};

// Of each, `part` above `whole` could never be reached, or would break what `whole` promises.
static const struct {
    config_key part;
    config_key whole;
} pairs[] = {
    { CONFIG_connections_joining_max, CONFIG_connections_max },
    { CONFIG_calls_per_client_max, CONFIG_calls_max },
    { CONFIG_call_time_default, CONFIG_call_time_max },
};

static char flags[CONFIG_KEY_COUNT][NAME_BYTES];
static char variables[CONFIG_KEY_COUNT][NAME_BYTES];
static char fallbacks[CONFIG_KEY_COUNT][VALUE_TEXT_BYTES];
static option options[CONFIG_KEY_COUNT];

static void make_rows(void);
static void make_option(option *o, const config_row *row);
static bool is_number(config_kind kind);
static value_kind value_kind_of(config_kind kind);
static ph_err set_choice(config_value *v, const config_row *row, const char *chars, phi_diag *diag);
static ph_err check_address(const char *address, phi_diag *diag);
static void settle_pair(config *c, config_key part, config_key whole, config_errors *errors);

// ---- schema

const config_row *config_get_row(config_key key)
{
    PH_ASSERT(key < CONFIG_KEY_COUNT);
    if (rows[0].flag == NULL) {
        make_rows();
    }
    return &rows[key];
}

config_key config_find(const char *path)
{
    for (config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
        if (strcmp(config_get_row(key)->path, path) == 0) {
            return key;
        }
    }
    return CONFIG_KEY_COUNT;
}

const option *config_options(size_t *count)
{
    for (config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
        make_option(&options[key], config_get_row(key));
    }
    *count = CONFIG_KEY_COUNT;
    return options;
}

// ---- values

void config_init(config *c)
{
    memset(c, 0, sizeof *c);
    for (config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
        phi_diag diag = { { 0 } };
        ph_err rc = config_set(c, key, config_get_row(key)->fallback, CONFIG_FROM_DEFAULT, &diag);
        PH_ASSERT(rc == PH_OK); // a row whose own default breaks it
    }
}

ph_err config_set(config *c, config_key key, const char *chars, config_origin origin,
                  phi_diag *diag)
{
    const config_row *row = config_get_row(key);
    config_value value = { .origin = origin };
    ph_err rc = PH_OK;
    switch (row->kind) {
    case CONFIG_ADDRESSES:
        return config_add_listen(c, chars, origin, diag);
    case CONFIG_NAME:
        if (!phi_name_is_valid(phi_bytes_text(chars))) {
            return phi_diag_add(diag, PH_EINVAL,
                                "'%.80s' is no name: 1 to 64 of a-z 0-9 . _ -, beginning with a "
                                "letter or digit",
                                chars);
        }
        snprintf(value.text, sizeof value.text, "%s", chars);
        break;
    case CONFIG_CHOICE:
        rc = set_choice(&value, row, chars, diag);
        break;
    case CONFIG_BOOL:
        value.number = strcmp(chars, "true") == 0 || strcmp(chars, "yes") == 0;
        if (value.number == 0 && strcmp(chars, "false") != 0 && strcmp(chars, "no") != 0) {
            return phi_diag_add(diag, PH_EINVAL, "'%.40s' is neither true nor false", chars);
        }
        break;
    case CONFIG_COUNT:
    case CONFIG_BYTES:
    case CONFIG_TIME:
        rc = value_parse(value_kind_of(row->kind), chars, row->min, row->max, &value.number, diag);
        break;
    }
    if (rc == PH_OK) {
        c->values[key] = value;
    }
    return rc;
}

ph_err config_add_listen(config *c, const char *address, config_origin origin, phi_diag *diag)
{
    config_value *v = &c->values[CONFIG_listen];
    bool is_first = v->origin != origin || origin == CONFIG_FROM_DEFAULT;
    size_t count = is_first ? 0 : c->listen_count;
    if (count == CONFIG_LISTEN_MAX) {
        return phi_diag_add(diag, PH_EINVAL, "more than %u addresses", CONFIG_LISTEN_MAX);
    }
    ph_err rc = check_address(address, diag);
    if (rc != PH_OK) {
        return rc;
    }
    for (size_t i = 0; i < count; i++) {
        bool takes_any = strlen(address) > 2 && strcmp(address + strlen(address) - 2, ":0") == 0;
        if (strcmp(c->listen[i], address) == 0 && !takes_any) {
            return phi_diag_add(diag, PH_EINVAL, "'%s' stands there twice", address);
        }
    }
    snprintf(c->listen[count], CONFIG_TEXT_BYTES, "%s", address);
    c->listen_count = count + 1;
    v->origin = origin;
    return PH_OK;
}

void config_load_environment(config *c, config_errors *errors)
{
    for (config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
        const config_row *row = config_get_row(key);
        const char *value = getenv(row->env);
        if (value == NULL || *value == '\0') {
            continue;
        }
        phi_diag diag = { { 0 } };
        ph_err rc = PH_OK;
        if (row->kind == CONFIG_ADDRESSES) {
            char copy[CONFIG_LISTEN_MAX * CONFIG_TEXT_BYTES];
            snprintf(copy, sizeof copy, "%s", value);
            char *rest = copy;
            for (char *one = strsep(&rest, ","); one != NULL && rc == PH_OK;
                 one = strsep(&rest, ",")) {
                rc = config_add_listen(c, one, CONFIG_FROM_ENVIRONMENT, &diag);
            }
        } else {
            rc = config_set(c, key, value, CONFIG_FROM_ENVIRONMENT, &diag);
        }
        if (rc != PH_OK) {
            config_complain(errors, 0, 0, "environment %s: %s", row->env, diag.text);
        }
    }
}

void config_load_args(config *c, const args *a, config_errors *errors)
{
    for (config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
        const config_row *row = config_get_row(key);
        const arg_value *given = args_get(a, row->flag);
        for (size_t i = 0; i < given->count; i++) {
            const char *value = row->kind == CONFIG_BOOL ? "true" : given->texts[i];
            phi_diag diag = { { 0 } };
            if (config_set(c, key, value, CONFIG_FROM_FLAG, &diag) != PH_OK) {
                config_complain(errors, 0, 0, "--%s: %s", row->flag, diag.text);
            }
        }
    }
}

void config_settle(config *c, config_errors *errors)
{
    bool may_be_remote = c->values[CONFIG_insecure_allow_remote].number != 0;
    for (size_t i = 0; i < c->listen_count && !may_be_remote; i++) {
        if (!phi_endpoint_is_local(c->listen[i])) {
            config_complain(errors, c->values[CONFIG_listen].line, 1,
                            "listen: other machines could connect to %s, and nothing is encrypted "
                            "against an attacker; set insecure_allow_remote if the network is "
                            "trusted",
                            c->listen[i]);
        }
    }
    for (size_t i = 0; i < PHI_COUNT_OF(pairs); i++) {
        settle_pair(c, pairs[i].part, pairs[i].whole, errors);
    }
}

static void settle_pair(config *c, config_key part, config_key whole, config_errors *errors)
{
    config_value *v = &c->values[part];
    const config_value *limit = &c->values[whole];
    if (v->number <= limit->number) {
        return;
    }
    if (v->origin == CONFIG_FROM_DEFAULT) {
        *v = *limit;
        return;
    }
    draft text;
    draft_init(&text);
    if (v->origin == CONFIG_FROM_FILE) { // the place is told beside it
        draft_add(&text, config_get_row(part)->path);
    } else {
        config_show_origin(c, part, &text);
    }
    draft_add(&text, ": ");
    config_show(c, part, &text);
    draft_format(&text, " is more than %s, ", config_get_row(whole)->path);
    config_show(c, whole, &text);
    draft_add(&text, " (");
    config_show_origin(c, whole, &text);
    draft_add(&text, ")");
    config_complain(errors, v->line, 1, "%s", draft_chars(&text));
    draft_fini(&text);
}

ph_err config_load(config *c, const args *a, config_errors *errors)
{
    config_init(c);
    memset(errors, 0, sizeof *errors);
    const char *path = args_text(a, "config");
    ph_err rc = path == NULL ? PH_OK : config_load_file(c, path, errors);
    if (rc == PH_OK) {
        config_load_environment(c, errors);
        config_load_args(c, a, errors);
    }
    if (errors->count == 0) {
        config_settle(c, errors);
    }
    return errors->count == 0 ? PH_OK : PH_ECONFIG;
}

void config_complain(config_errors *errors, uint32_t line, uint32_t column, const char *format, ...)
{
    if (errors->count == CONFIG_ERRORS_MAX) {
        errors->left_out++;
        return;
    }
    struct config_error *e = &errors->list[errors->count++];
    e->line = line;
    e->column = column;
    va_list list;
    va_start(list, format);
    vsnprintf(e->text, sizeof e->text, format, list);
    va_end(list);
}

// ---- for the center

center_options config_center(const config *c)
{
    static const phi_suite suites[] = { PHI_SUITE_PLAIN, PHI_SUITE_CHECK, PHI_SUITE_PAPER };
    uint64_t suite = c->values[CONFIG_suite].number;
    PH_ASSERT(suite < PHI_COUNT_OF(suites));
    center_options o = center_options_default();
    o.domain = c->values[CONFIG_domain].text;
    o.suite = suites[suite];
    o.insecure_allow_remote = c->values[CONFIG_insecure_allow_remote].number != 0;
#define CENTER_LIMIT(name, type, fallback, min, max, unit, help)                                   \
    o.name = c->values[CONFIG_##name].number;
#include "center/limits.def"
#undef CENTER_LIMIT
    return o;
}

phi_log_level config_log_level(const config *c)
{
    uint64_t level = c->values[CONFIG_log_level].number;
    PH_ASSERT(level <= PHI_LOG_ERROR);
    return (phi_log_level)level;
}

// ---- for people

void config_show(const config *c, config_key key, draft *out)
{
    const config_row *row = config_get_row(key);
    const config_value *v = &c->values[key];
    if (row->kind == CONFIG_ADDRESSES) {
        for (size_t i = 0; i < c->listen_count; i++) {
            draft_format(out, "%s%s", i == 0 ? "" : ", ", c->listen[i]);
        }
    } else if (row->kind == CONFIG_NAME) {
        draft_add(out, v->text);
    } else if (row->kind == CONFIG_BOOL) {
        draft_add(out, v->number != 0 ? "true" : "false");
    } else if (row->kind == CONFIG_CHOICE) {
        const char *at = row->choices;
        for (uint64_t i = 0; i < v->number; i++) {
            at += strcspn(at, "|") + 1;
        }
        draft_bytes(out, phi_bytes_of(at, strcspn(at, "|")));
    } else {
        char value[VALUE_TEXT_BYTES];
        value_format(value_kind_of(row->kind), v->number, value);
        draft_add(out, value);
    }
}

void config_show_origin(const config *c, config_key key, draft *out)
{
    const config_row *row = config_get_row(key);
    switch (c->values[key].origin) {
    case CONFIG_FROM_DEFAULT:
        draft_add(out, "default");
        return;
    case CONFIG_FROM_FILE:
        draft_format(out, "%s:%u", c->file, c->values[key].line);
        return;
    case CONFIG_FROM_ENVIRONMENT:
        draft_add(out, row->env);
        return;
    case CONFIG_FROM_FLAG:
        draft_format(out, "--%s", row->flag);
        return;
    }
    PH_UNREACHABLE("origin of a value");
}

// ---- helpers

static void make_rows(void)
{
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        config_row *row = &rows[i];
        snprintf(flags[i], NAME_BYTES, "%s", row->path);
        snprintf(variables[i], NAME_BYTES, "POSTHOUSE_%s", row->path);
        for (char *p = flags[i]; *p != '\0'; p++) {
            *p = *p == '_' || *p == '.' ? '-' : *p;
        }
        for (char *p = variables[i]; *p != '\0'; p++) {
            *p = *p == '.' ? '_' : (char)toupper((unsigned char)*p);
        }
        if (is_number(row->kind)) {
            value_format(value_kind_of(row->kind), row->fallback_number, fallbacks[i]);
            row->fallback = fallbacks[i];
        }
        row->env = variables[i];
        row->flag = flags[i];
    }
}

static void make_option(option *o, const config_row *row)
{
    *o = (option){
        .name = row->flag,
        .kind = OPTION_TEXT,
        .help = row->help,
        .fallback = NULL, // the file may say otherwise: args_complete must not fill it in
        .shown = row->fallback,
        .choices = row->choices,
        .min = row->min,
        .max = row->max,
    };
    switch (row->kind) {
    case CONFIG_ADDRESSES:
        o->kind = OPTION_LIST;
        o->argument = "ADDRESS";
        return;
    case CONFIG_NAME:
        o->argument = "NAME";
        return;
    case CONFIG_CHOICE:
        o->kind = OPTION_CHOICE;
        o->argument = "WORD";
        return;
    case CONFIG_BOOL:
        o->kind = OPTION_FLAG;
        o->shown = NULL;
        return;
    case CONFIG_COUNT:
        o->kind = OPTION_COUNT;
        o->argument = "N";
        return;
    case CONFIG_BYTES:
        o->kind = OPTION_BYTES;
        o->argument = "SIZE";
        return;
    case CONFIG_TIME:
        o->kind = OPTION_TIME;
        o->argument = "TIME";
        return;
    }
    PH_UNREACHABLE("kind of key");
}

static bool is_number(config_kind kind)
{
    return kind == CONFIG_COUNT || kind == CONFIG_BYTES || kind == CONFIG_TIME;
}

static value_kind value_kind_of(config_kind kind)
{
    PH_ASSERT(is_number(kind));
    return kind == CONFIG_COUNT ? VALUE_COUNT : kind == CONFIG_BYTES ? VALUE_BYTES : VALUE_TIME;
}

static ph_err set_choice(config_value *v, const config_row *row, const char *chars, phi_diag *diag)
{
    int index = choice_index(row->choices, chars);
    if (index >= 0) {
        v->number = (uint64_t)index;
        return PH_OK;
    }
    suggestion s = suggestion_for(chars);
    char word[32];
    for (const char *at = row->choices; *at != '\0';) {
        size_t size = strcspn(at, "|");
        snprintf(word, sizeof word, "%.*s", (int)size, at);
        suggestion_try(&s, word);
        if (s.best == word) {
            return phi_diag_add(diag, PH_EINVAL, "'%.40s' is none of %s; did you mean '%s'?", chars,
                                row->choices, word);
        }
        at += size + (at[size] == '|' ? 1 : 0);
    }
    return phi_diag_add(diag, PH_EINVAL, "'%.40s' is none of %s", chars, row->choices);
}

static ph_err check_address(const char *address, phi_diag *diag)
{
    phi_endpoint endpoint;
    if (strlen(address) >= CONFIG_TEXT_BYTES) {
        return phi_diag_add(diag, PH_EINVAL, "an address is shorter than %d bytes",
                            CONFIG_TEXT_BYTES);
    }
    return phi_endpoint_parse(address, &endpoint, diag);
}
