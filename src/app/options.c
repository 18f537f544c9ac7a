// SPDX-License-Identifier: Apache-2.0
//
// app/options.c - arguments of a command.
//
// Design notes
// - Options may stand before and after words; "--" ends them; "-" alone is a word (standard input).
// - An option that nobody announced is answered with the nearest one that was.

#include "app/options.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "app/suggest.h"
#include "app/value.h"
#include "base/assert.h"

#define HELP_INDENT 28 // where the help of an option begins
#define HELP_WIDTH 92

static ph_err parse_long(args *a, const char *word, const char *next, int *used, phi_diag *diag);
static ph_err parse_letters(args *a, const char *word, const char *next, int *used, phi_diag *diag);
static ph_err take(args *a, size_t index, const char *value, phi_diag *diag);
static ph_err read_value(const option *o, const char *value, uint64_t *out, phi_diag *diag);
static size_t find(const args *a, const char *name, size_t size);
static size_t find_letter(const args *a, char letter);
static const char *label_of(const option *o, char out[64]);

void args_init(args *a)
{
    memset(a, 0, sizeof *a);
}

void args_accept(args *a, const option *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t index = find(a, options[i].name, strlen(options[i].name));
        PH_ASSERT(index < ARGS_OPTIONS_MAX);
        a->options[index] = &options[i];
        a->option_count += index == a->option_count ? 1 : 0;
    }
}

ph_err args_parse(args *a, int argc, char *const *argv, bool stops_at_word, int *used,
                  phi_diag *diag)
{
    bool has_ended = false;
    int at = 0;
    while (at < argc) {
        const char *word = argv[at];
        const char *next = at + 1 < argc ? argv[at + 1] : NULL;
        bool is_option = !has_ended && word[0] == '-' && word[1] != '\0';
        int taken = 1;
        ph_err rc = PH_OK;
        if (is_option && strcmp(word, "--") == 0) {
            has_ended = true;
        } else if (is_option && word[1] == '-') {
            rc = parse_long(a, word, next, &taken, diag);
        } else if (is_option) {
            rc = parse_letters(a, word, next, &taken, diag);
        } else if (stops_at_word) {
            break;
        } else if (a->word_count == ARGS_WORDS_MAX) {
            rc = phi_diag_add(diag, PH_EINVAL, "too many arguments");
        } else {
            a->words[a->word_count++] = word;
        }
        if (rc != PH_OK) {
            return rc;
        }
        at += taken;
    }
    *used = at;
    return PH_OK;
}

ph_err args_complete(args *a, phi_diag *diag)
{
    for (size_t i = 0; i < a->option_count; i++) {
        const option *o = a->options[i];
        const char *env = o->env == NULL ? NULL : getenv(o->env);
        if (a->values[i].count != 0) {
            continue;
        }
        if (env != NULL && *env != '\0') {
            ph_err rc = take(a, i, env, diag);
            if (rc != PH_OK) {
                return phi_diag_add(diag, rc, "environment %s", o->env);
            }
            a->values[i].is_given = false;
        } else if (o->fallback != NULL && o->kind != OPTION_FLAG) {
            ph_err rc = take(a, i, o->fallback, diag);
            PH_ASSERT(rc == PH_OK); // a row of ours
            a->values[i].is_given = false;
        }
    }
    return PH_OK;
}

const option *args_option(const args *a, const char *name)
{
    size_t index = find(a, name, strlen(name));
    PH_ASSERT(index < a->option_count);
    return a->options[index];
}

const arg_value *args_get(const args *a, const char *name)
{
    size_t index = find(a, name, strlen(name));
    PH_ASSERT(index < a->option_count);
    return &a->values[index];
}

bool args_flag(const args *a, const char *name)
{
    return args_get(a, name)->count != 0;
}

const char *args_text(const args *a, const char *name)
{
    const arg_value *v = args_get(a, name);
    return v->count == 0 ? NULL : v->texts[v->count - 1];
}

uint64_t args_number(const args *a, const char *name)
{
    return args_get(a, name)->number;
}

int choice_index(const char *choices, const char *word)
{
    size_t size = strlen(word);
    const char *at = choices;
    for (int index = 0;; index++) {
        size_t length = strcspn(at, "|");
        if (length == size && strncasecmp(at, word, size) == 0) {
            return index;
        }
        if (at[length] == '\0') {
            return -1;
        }
        at += length + 1;
    }
}

void options_help(draft *t, const option *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const option *o = &options[i];
        size_t before = draft_size(t);
        if (o->letter != 0) {
            draft_format(t, "  -%c, --%s", o->letter, o->name);
        } else {
            draft_format(t, "      --%s", o->name);
        }
        if (o->argument != NULL) {
            draft_format(t, " %s", o->argument);
        }
        size_t column = draft_size(t) - before;
        if (column + 2 > HELP_INDENT) {
            draft_add(t, "\n");
            column = 0;
        }
        draft_spaces(t, HELP_INDENT - column);
        char phrase[512];
        const char *shown = o->shown != NULL ? o->shown : o->fallback;
        bool is_sentence = o->help[strlen(o->help) - 1] == '.';
        size_t size = (size_t)snprintf(phrase, sizeof phrase, "%s", o->help);
        if (o->kind == OPTION_CHOICE) {
            size += (size_t)snprintf(phrase + size, sizeof phrase - size, "%s%s",
                                     is_sentence ? " One of " : ": ", o->choices);
        }
        snprintf(phrase + size, sizeof phrase - size, "%s%s%s%s%s%s%s",
                 o->kind == OPTION_LIST ? " May repeat." : "", shown == NULL ? "" : " [",
                 shown == NULL ? "" : shown, shown == NULL ? "" : "]",
                 o->env == NULL ? "" : " (or ", o->env == NULL ? "" : o->env,
                 o->env == NULL ? "" : ")");
        draft_wrap(t, phrase, HELP_INDENT, HELP_INDENT, HELP_WIDTH);
        draft_add(t, "\n");
    }
}

// "--name value", "--name=value", "--flag".
static ph_err parse_long(args *a, const char *word, const char *next, int *used, phi_diag *diag)
{
    const char *name = word + 2;
    size_t size = strcspn(name, "=");
    const char *value = name[size] == '=' ? name + size + 1 : NULL;
    size_t index = find(a, name, size);
    if (index == a->option_count) {
        char mistyped[SUGGEST_BYTES_MAX + 1];
        snprintf(mistyped, sizeof mistyped, "%.*s", (int)size, name);
        suggestion s = suggestion_for(mistyped);
        for (size_t i = 0; i < a->option_count; i++) {
            suggestion_try(&s, a->options[i]->name);
        }
        if (s.best == NULL) {
            return phi_diag_add(diag, PH_EINVAL, "unknown option '--%s'", mistyped);
        }
        return phi_diag_add(diag, PH_EINVAL, "unknown option '--%s'; did you mean '--%s'?",
                            mistyped, s.best);
    }
    if (a->options[index]->kind == OPTION_FLAG) {
        if (value != NULL) {
            return phi_diag_add(diag, PH_EINVAL, "--%s takes no argument", a->options[index]->name);
        }
        return take(a, index, "yes", diag);
    }
    if (value == NULL) {
        value = next;
        *used = 2;
    }
    return take(a, index, value, diag);
}

// "-q", "-qv", "-o json".
static ph_err parse_letters(args *a, const char *word, const char *next, int *used, phi_diag *diag)
{
    for (const char *letter = word + 1; *letter != '\0'; letter++) {
        size_t index = find_letter(a, *letter);
        if (index == a->option_count) {
            return phi_diag_add(diag, PH_EINVAL, "unknown option '-%c'", *letter);
        }
        if (a->options[index]->kind == OPTION_FLAG) {
            ph_err rc = take(a, index, "yes", diag);
            if (rc != PH_OK) {
                return rc;
            }
            continue;
        }
        bool is_attached = letter[1] != '\0';
        *used = is_attached ? 1 : 2;
        return take(a, index, is_attached ? letter + 1 : next, diag);
    }
    return PH_OK;
}

static ph_err take(args *a, size_t index, const char *value, phi_diag *diag)
{
    const option *o = a->options[index];
    arg_value *v = &a->values[index];
    char label[64];
    if (value == NULL) {
        return phi_diag_add(diag, PH_EINVAL, "%s needs an argument: %s", label_of(o, label),
                            o->argument);
    }
    uint64_t number = 0;
    ph_err rc = read_value(o, value, &number, diag);
    if (rc != PH_OK) {
        return phi_diag_add(diag, rc, "%s", label_of(o, label));
    }
    if (o->kind != OPTION_LIST) {
        v->count = 0; // the last one counts
    }
    if (v->count == ARGS_REPEAT_MAX) {
        return phi_diag_add(diag, PH_EINVAL, "--%s: more than %d times", o->name, ARGS_REPEAT_MAX);
    }
    v->texts[v->count++] = value;
    v->number = number;
    v->is_given = true;
    return PH_OK;
}

static ph_err read_value(const option *o, const char *value, uint64_t *out, phi_diag *diag)
{
    uint64_t max = o->max == 0 ? UINT64_MAX : o->max;
    switch (o->kind) {
    case OPTION_FLAG:
        *out = 1;
        return PH_OK;
    case OPTION_TEXT:
    case OPTION_LIST:
        return PH_OK;
    case OPTION_CHOICE: {
        int index = choice_index(o->choices, value);
        if (index < 0) {
            return phi_diag_add(diag, PH_EINVAL, "'%.40s' is none of %s", value, o->choices);
        }
        *out = (uint64_t)index;
        return PH_OK;
    }
    case OPTION_COUNT:
        return value_parse(VALUE_COUNT, value, o->min, max, out, diag);
    case OPTION_BYTES:
        return value_parse(VALUE_BYTES, value, o->min, max, out, diag);
    case OPTION_TIME:
        return value_parse(VALUE_TIME, value, o->min, max, out, diag);
    }
    PH_UNREACHABLE("kind of option");
}

static size_t find(const args *a, const char *name, size_t size)
{
    for (size_t i = 0; i < a->option_count; i++) {
        const char *other = a->options[i]->name;
        if (strlen(other) == size && memcmp(other, name, size) == 0) {
            return i;
        }
    }
    return a->option_count;
}

static size_t find_letter(const args *a, char letter)
{
    for (size_t i = 0; i < a->option_count; i++) {
        if (a->options[i]->letter == letter) {
            return i;
        }
    }
    return a->option_count;
}

static const char *label_of(const option *o, char out[64])
{
    snprintf(out, 64, "--%s", o->name);
    return out;
}
