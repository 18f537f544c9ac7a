// SPDX-License-Identifier: Apache-2.0
//
// app/config.c - the schema and the values.
//
// Design notes
// - The rows of config.def and center/limits.def are the only place where a key is named. The
//   parser, the flags, the environment, --help, docs/limits.md and the sample file are made from
//   them.
// - A value is set by one function from its text, wherever it came from, so that file, environment
//   and flags accept the same.
// - Later sources replace earlier ones; a list is replaced as a whole, never merged.
//
// Invariants
// - Every value in a config satisfies its row: config_set writes nothing that does not.

#include "app/config.h"

#include <ctype.h>
#include <stdarg.h>
#include <string.h>

#include "app/config_kinds.h"
#include "app/value.h"
#include "base/assert.h"

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
#define CONFIG_SPAN(id, key_path, number, low, high, text)                                         \
    { .path = (key_path),                                                                          \
      .kind = CONFIG_TIME,                                                                         \
      .fallback_number = (number),                                                                 \
      .min = (low),                                                                                \
      .max = (high),                                                                               \
      .can_reload = true,                                                                          \
      .help = (text) },
#include "app/config.def"
#undef CONFIG_SPAN
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

static char flags[CONFIG_KEY_COUNT][NAME_BYTES];
static char variables[CONFIG_KEY_COUNT][NAME_BYTES];
static char fallbacks[CONFIG_KEY_COUNT][VALUE_TEXT_BYTES];
static option options[CONFIG_KEY_COUNT];

static void make_rows(void);
static void make_option(option *o, const config_row *row);
static bool is_number(config_kind kind);
static bool is_text(config_kind kind);
static value_kind value_kind_of(config_kind kind);
static ph_err judge_text(config_kind kind, const char *chars, phi_diag *diag);
static ph_err add_listen(config *c, size_t count, const char *chars, phi_diag *diag);
static ph_err add_user(config *c, size_t count, const char *chars, phi_diag *diag);
static size_t list_max(config_kind kind);

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
        const char *fallback = config_get_row(key)->fallback;
        if (*fallback == '\0') {
            continue; // nothing
        }
        phi_diag diag = { { 0 } };
        ph_err rc = config_set(c, key, fallback, CONFIG_FROM_DEFAULT, &diag);
        PH_ASSERT(rc == PH_OK); // a row whose own default breaks it
    }
}

void config_fini(config *c)
{
    phi_rules_free(&c->rules);
    c->rules_line = 0;
}

ph_err config_set(config *c, config_key key, const char *chars, config_origin origin,
                  phi_diag *diag)
{
    const config_row *row = config_get_row(key);
    config_value value = { .origin = origin };
    ph_err rc = PH_OK;
    switch (row->kind) {
    case CONFIG_ADDRESSES:
    case CONFIG_USERS:
        return config_add(c, key, chars, origin, diag);
    case CONFIG_NAME:
    case CONFIG_TEXT:
    case CONFIG_PATH:
    case CONFIG_KEYS:
    case CONFIG_SECRET:
        rc = judge_text(row->kind, chars, diag);
        snprintf(value.text, sizeof value.text, "%s", chars);
        break;
    case CONFIG_CHOICE:
        rc = config_judge_choice(row->choices, chars, &value.number, diag);
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

ph_err config_add(config *c, config_key key, const char *chars, config_origin origin,
                  phi_diag *diag)
{
    PH_ASSERT(config_is_list(key));
    config_kind kind = config_get_row(key)->kind;
    config_value *v = &c->values[key];
    size_t *count = kind == CONFIG_USERS ? &c->user_count : &c->listen_count;
    bool is_first = v->origin != origin || origin == CONFIG_FROM_DEFAULT;
    size_t kept = is_first ? 0 : *count;
    if (kept == list_max(kind)) {
        return phi_diag_add(diag, PH_EINVAL, "more than %zu of them", list_max(kind));
    }
    ph_err rc =
        kind == CONFIG_USERS ? add_user(c, kept, chars, diag) : add_listen(c, kept, chars, diag);
    if (rc == PH_OK) {
        *count = kept + 1;
        v->origin = origin;
    }
    return rc;
}

static ph_err add_listen(config *c, size_t count, const char *chars, phi_diag *diag)
{
    listener l;
    ph_err rc = listener_parse(chars, &l, diag);
    if (rc != PH_OK) {
        return rc;
    }
    bool takes_any = strlen(chars) > 2 && strcmp(chars + strlen(chars) - 2, ":0") == 0;
    for (size_t i = 0; i < count && !takes_any; i++) {
        if (strcmp(c->listen[i], chars) == 0) {
            return phi_diag_add(diag, PH_EINVAL, "'%s' stands there twice", chars);
        }
    }
    snprintf(c->listen[count], sizeof c->listen[count], "%s", chars);
    return PH_OK;
}

static ph_err add_user(config *c, size_t count, const char *chars, phi_diag *diag)
{
    config_user user;
    ph_err rc = config_judge_user(chars, &user, diag);
    for (size_t i = 0; i < count && rc == PH_OK; i++) {
        if (c->users[i].uid == user.uid) {
            rc = phi_diag_add(diag, PH_EINVAL, "user %u stands there twice", user.uid);
        }
    }
    if (rc == PH_OK) {
        c->users[count] = user;
    }
    return rc;
}

void config_take_reloadable(config *to, config *from)
{
    for (config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
        if (config_get_row(key)->can_reload) {
            to->values[key] = from->values[key];
        }
    }
    PH_ASSERT(config_get_row(CONFIG_users)->can_reload);
    memcpy(to->users, from->users, sizeof to->users);
    to->user_count = from->user_count;
    config_fini(to);
    to->rules = from->rules;
    to->rules_line = from->rules_line;
    from->rules = NULL;
    from->rules_line = 0;
}

bool config_is_list(config_key key)
{
    config_kind kind = config_get_row(key)->kind;
    return kind == CONFIG_ADDRESSES || kind == CONFIG_USERS;
}

bool config_is_set(const config *c, config_key key)
{
    const config_value *v = &c->values[key];
    return v->origin != CONFIG_FROM_DEFAULT && v->text[0] != '\0';
}

const char *config_text(const config *c, config_key key)
{
    return c->values[key].text;
}

bool config_flag(const config *c, config_key key)
{
    return c->values[key].number != 0;
}

bool config_is_choice(const config *c, config_key key, const char *word)
{
    int index = choice_index(config_get_row(key)->choices, word);
    PH_ASSERT(index >= 0);
    return c->values[key].number == (uint64_t)index;
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

void config_complain_key(config_errors *errors, const config *c, config_key key, const char *format,
                         ...)
{
    const config_value *v = &c->values[key];
    char said[PHI_DIAG_BYTES_MAX];
    va_list list;
    va_start(list, format);
    vsnprintf(said, sizeof said, format, list);
    va_end(list);
    draft from;
    draft_init(&from);
    bool has_line = v->origin == CONFIG_FROM_FILE; // told beside it
    if (has_line || v->origin == CONFIG_FROM_DEFAULT) {
        draft_add(&from, config_get_row(key)->path);
    } else {
        config_show_origin(c, key, &from);
    }
    config_complain(errors, has_line ? v->line : 0, 1, "%s: %s", draft_chars(&from), said);
    draft_fini(&from);
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
    } else if (row->kind == CONFIG_USERS) {
        for (size_t i = 0; i < c->user_count; i++) {
            draft_format(out, "%s%u=%s", i == 0 ? "" : ", ", c->users[i].uid,
                         c->users[i].principal);
        }
    } else if (is_text(row->kind)) {
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
        .shown = *row->fallback == '\0' ? NULL : row->fallback,
        .choices = row->choices,
        .min = row->min,
        .max = row->max,
    };
    switch (row->kind) {
    case CONFIG_ADDRESSES:
        o->kind = OPTION_LIST;
        o->argument = "ADDRESS";
        return;
    case CONFIG_USERS:
        o->kind = OPTION_LIST;
        o->argument = "UID=NAME";
        return;
    case CONFIG_NAME:
        o->argument = "NAME";
        return;
    case CONFIG_TEXT:
        o->argument = "TEXT";
        return;
    case CONFIG_PATH:
        o->argument = "FILE";
        return;
    case CONFIG_KEYS:
        o->argument = "FILE|URL";
        return;
    case CONFIG_SECRET:
        o->argument = "PLACE";
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

static bool is_text(config_kind kind)
{
    return kind == CONFIG_NAME || kind == CONFIG_TEXT || kind == CONFIG_PATH ||
           kind == CONFIG_KEYS || kind == CONFIG_SECRET;
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

static ph_err judge_text(config_kind kind, const char *chars, phi_diag *diag)
{
    if (kind == CONFIG_NAME) {
        return config_judge_name(chars, diag);
    }
    if (kind == CONFIG_TEXT) {
        return config_judge_text(chars, diag);
    }
    if (kind == CONFIG_PATH) {
        return config_judge_path(chars, diag);
    }
    return kind == CONFIG_KEYS ? config_judge_keys(chars, diag) : config_judge_secret(chars, diag);
}

static size_t list_max(config_kind kind)
{
    return kind == CONFIG_USERS ? CONFIG_USERS_MAX : CONFIG_LISTEN_MAX;
}
