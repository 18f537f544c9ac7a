// SPDX-License-Identifier: Apache-2.0
//
// app/config_rules.c - see config_rules.h.
//
// Design notes
// - What an entry may be, auth/rules.c judges; here is what YAML may be around it. One mistake does
//   not hide the next: reading goes on behind it, and the set is thrown away in the end.
// - A rule that names nobody, or says nothing, is a slip, and refused. An empty list of rules is
//   none: it says that nobody may do anything.

#include "app/config_rules.h"

#include <string.h>

#include "app/suggest.h"

#define WORD_BYTES 64

enum { KEY_NAME, KEY_WHO, KEY_MAY, KEY_MAY_NOT, KEY_COUNT };

static const char *const keys[KEY_COUNT] = { "name", "who", "may", "may_not" };

// To what the texts of a list are added.
typedef struct sink {
    int key;
    phi_action action; // of KEY_MAY and KEY_MAY_NOT
} sink;

static void read_rule(loader *l);
static void read_key(loader *l, uint32_t seen[KEY_COUNT]);
static void read_actions(loader *l, int key);
static bool read_action(loader *l, int key, uint32_t seen[PHI_ACTION_COUNT], phi_action *out);
static void read_texts(loader *l, sink to);
static void read_text(loader *l, sink to);
static bool take_word(loader *l, char word[WORD_BYTES]);
static phi_bytes text_of(const loader *l);
static bool is_plain_scalar(const loader *l);

void config_rules_read(loader *l)
{
    config *c = l->c;
    uint32_t line = loader_line(l);
    uint32_t column = loader_column(l);
    loader_next(l);
    if (l->is_over) {
        return;
    }
    if (c->rules_line != 0) {
        config_complain(l->errors, line, column, "rules: stands there twice; first in line %u",
                        c->rules_line);
        loader_skip(l);
        return;
    }
    c->rules_line = line;
    if (phi_rules_new(&c->rules, &phi_alloc_heap) != PH_OK) {
        config_complain(l->errors, line, column, "rules: out of memory");
        loader_skip(l);
        return;
    }
    if (l->event.type != YAML_SEQUENCE_START_EVENT || !loader_is_plain(l)) {
        config_complain(l->errors, loader_line(l), loader_column(l),
                        "rules: expected a list of rules, found %s; 'rules: []' lets nobody do "
                        "anything, without the key peers of this machine may do everything",
                        loader_what(l));
        loader_skip(l);
        return;
    }
    for (loader_next(l); !l->is_over && l->event.type != YAML_SEQUENCE_END_EVENT; loader_next(l)) {
        read_rule(l);
    }
}

static void read_rule(loader *l)
{
    uint32_t line = loader_line(l);
    uint32_t column = loader_column(l);
    phi_diag diag = { { 0 } };
    phi_rules_mark(l->c->rules, line);
    if (l->event.type != YAML_MAPPING_START_EVENT || !loader_is_plain(l)) {
        config_complain(l->errors, line, column,
                        "rules: expected a rule, such as '- who: orders' with 'may:' below it, "
                        "found %s",
                        loader_what(l));
        loader_skip(l);
        return;
    }
    if (phi_rules_add(l->c->rules, (phi_bytes){ 0 }, &diag) != PH_OK) {
        config_complain(l->errors, line, column, "rules: %s", diag.text);
        loader_skip(l);
        return;
    }
    uint32_t seen[KEY_COUNT] = { 0 };
    for (loader_next(l); !l->is_over && l->event.type != YAML_MAPPING_END_EVENT; loader_next(l)) {
        read_key(l, seen);
    }
    if (l->is_over) {
        return;
    }
    if (seen[KEY_WHO] == 0) {
        config_complain(l->errors, line, column,
                        "rules: this one does not say whom it is for; 'who: \"*\"' is everybody");
    }
    if (seen[KEY_MAY] == 0 && seen[KEY_MAY_NOT] == 0) {
        config_complain(l->errors, line, column,
                        "rules: this one says nothing; 'may:' or 'may_not:' is missing");
    }
}

static void read_key(loader *l, uint32_t seen[KEY_COUNT])
{
    char word[WORD_BYTES];
    uint32_t line = loader_line(l);
    uint32_t column = loader_column(l);
    int key = KEY_COUNT;
    if (!take_word(l, word)) {
        config_complain(l->errors, line, column, "rules: a key must be a word, found %s",
                        loader_what(l));
        loader_skip(l);
    } else {
        suggestion s = suggestion_for(word);
        for (int i = 0; i < KEY_COUNT; i++) {
            key = strcmp(word, keys[i]) == 0 ? i : key;
            suggestion_try(&s, keys[i]);
        }
        if (key == KEY_COUNT) {
            config_complain(l->errors, line, column,
                            "rules: unknown key '%s'%s%s%s a rule has name, who, may, may_not",
                            word, s.best == NULL ? ";" : "; did you mean '",
                            s.best == NULL ? "" : s.best, s.best == NULL ? "" : "'?");
        }
    }
    loader_next(l);
    if (l->is_over || key == KEY_COUNT) {
        loader_skip(l);
        return;
    }
    if (seen[key] != 0) {
        config_complain(l->errors, line, column, "rules: %s stands there twice; first in line %u",
                        keys[key], seen[key]);
        loader_skip(l);
        return;
    }
    seen[key] = line;
    if (key == KEY_NAME) {
        read_text(l, (sink){ .key = key });
    } else if (key == KEY_WHO) {
        read_texts(l, (sink){ .key = key });
    } else {
        read_actions(l, key);
    }
}

static void read_actions(loader *l, int key)
{
    if (l->event.type != YAML_MAPPING_START_EVENT || !loader_is_plain(l)) {
        config_complain(l->errors, loader_line(l), loader_column(l),
                        "rules: %s: expected actions, such as 'call: [\"service:stock\"]', found "
                        "%s",
                        keys[key], loader_what(l));
        loader_skip(l);
        return;
    }
    uint32_t seen[PHI_ACTION_COUNT] = { 0 };
    for (loader_next(l); !l->is_over && l->event.type != YAML_MAPPING_END_EVENT; loader_next(l)) {
        sink to = { .key = key };
        bool is_known = read_action(l, key, seen, &to.action);
        loader_next(l);
        if (is_known && !l->is_over) {
            read_texts(l, to);
        } else {
            loader_skip(l);
        }
    }
}

// The key of a list of entries. False, and told, when there is no such action, or it stood there.
static bool read_action(loader *l, int key, uint32_t seen[PHI_ACTION_COUNT], phi_action *out)
{
    char word[WORD_BYTES];
    uint32_t line = loader_line(l);
    uint32_t column = loader_column(l);
    if (!take_word(l, word)) {
        config_complain(l->errors, line, column, "rules: %s: an action must be a word, found %s",
                        keys[key], loader_what(l));
        loader_skip(l);
        return false;
    }
    phi_action action;
    if (!phi_action_of_name(phi_bytes_text(word), &action)) {
        suggestion s = suggestion_for(word);
        for (phi_action a = 0; a < PHI_ACTION_COUNT; a++) {
            suggestion_try(&s, phi_action_name(a));
        }
        config_complain(l->errors, line, column,
                        "rules: %s: unknown action '%s'%s%s%s actions are " PHI_ACTION_NAMES,
                        keys[key], word, s.best == NULL ? ";" : "; did you mean '",
                        s.best == NULL ? "" : s.best, s.best == NULL ? "" : "'?");
        return false;
    }
    if (seen[action] != 0) {
        config_complain(l->errors, line, column,
                        "rules: %s: '%s' stands there twice; first in line %u", keys[key], word,
                        seen[action]);
        return false;
    }
    seen[action] = line;
    *out = action;
    return true;
}

// One text, or a list of them.
static void read_texts(loader *l, sink to)
{
    if (l->event.type != YAML_SEQUENCE_START_EVENT || !loader_is_plain(l)) {
        read_text(l, to);
        return;
    }
    uint32_t line = loader_line(l);
    uint32_t column = loader_column(l);
    uint32_t count = 0;
    for (loader_next(l); !l->is_over && l->event.type != YAML_SEQUENCE_END_EVENT; loader_next(l)) {
        read_text(l, to);
        count++;
    }
    if (count == 0 && !l->is_over && to.key == KEY_WHO) {
        config_complain(l->errors, line, column,
                        "rules: who: an empty list is nobody; 'who: \"*\"' is everybody");
    }
}

static void read_text(loader *l, sink to)
{
    phi_rules *rules = l->c->rules;
    phi_diag diag = { { 0 } };
    if (!is_plain_scalar(l)) {
        config_complain(l->errors, loader_line(l), loader_column(l),
                        "rules: %s: expected one value, found %s", keys[to.key],
                        l->event.type == YAML_SCALAR_EVENT ? "an anchor or a tag" : loader_what(l));
        loader_skip(l);
        return;
    }
    phi_bytes text = text_of(l);
    phi_rules_mark(rules, loader_line(l));
    ph_err rc = to.key == KEY_NAME ? phi_rules_call_it(rules, text, &diag)
                : to.key == KEY_WHO
                    ? phi_rules_who(rules, text, &diag)
                    : phi_rules_entry(rules, to.key == KEY_MAY, to.action, text, &diag);
    if (rc != PH_OK) {
        bool has_action = to.key == KEY_MAY || to.key == KEY_MAY_NOT;
        config_complain(l->errors, loader_line(l), loader_column(l), "rules: %s%s%s: %s",
                        keys[to.key], has_action ? ": " : "",
                        has_action ? phi_action_name(to.action) : "", diag.text);
    }
}

// A key, made fit to be shown. False: it is none.
static bool take_word(loader *l, char word[WORD_BYTES])
{
    if (!is_plain_scalar(l)) {
        return false;
    }
    phi_bytes text = text_of(l);
    size_t size = text.size < WORD_BYTES - 1 ? text.size : WORD_BYTES - 1;
    for (size_t i = 0; i < size; i++) {
        uint8_t b = text.data[i];
        word[i] = b >= ' ' && b < 0x7f ? (char)b : '?';
    }
    word[size] = '\0';
    return true;
}

static phi_bytes text_of(const loader *l)
{
    return phi_bytes_of(l->event.data.scalar.value, l->event.data.scalar.length);
}

static bool is_plain_scalar(const loader *l)
{
    return l->event.type == YAML_SCALAR_EVENT && loader_is_plain(l);
}
