// SPDX-License-Identifier: Apache-2.0
//
// app/config_yaml.c - the configuration file: libyaml's events against the schema.
//
// Design notes
// - Events, not a document tree: every value is judged where it stands, with its line and column,
//   and nothing is built from what the file only claims. Anchors, aliases and tags are refused:
//   nobody needs them here, and "billion laughs" is made of them.
// - After an error in one value the next is read, so that one run tells all; after an error of the
//   YAML itself nothing that follows can be trusted, and reading ends.
//
// Invariants
// - Loops, no recursion: a file cannot exhaust the stack.

#include "app/config_loader.h"

#include <string.h>

#include "app/config_rules.h"
#include "app/suggest.h"
#include "base/assert.h"

#define PATH_BYTES 128

static void read_document(loader *l);
static void read_mapping(loader *l, const char *section);
static void read_entry(loader *l, const char *section);
static void read_value(loader *l, config_key key, uint32_t line, uint32_t column);
static void read_scalar(loader *l, config_key key);
static void read_sequence(loader *l, config_key key);
static void complain_unknown(loader *l, const char *section, const char *word, const char *path);
static bool is_section(const char *word);

void config_parse(config *c, const char *name, phi_bytes yaml, config_errors *errors)
{
    snprintf(c->file, sizeof c->file, "%s", name);
    loader l = { .c = c, .errors = errors };
    if (yaml_parser_initialize(&l.parser) == 0) {
        config_complain(errors, 0, 0, "out of memory");
        return;
    }
    yaml_parser_set_encoding(&l.parser, YAML_UTF8_ENCODING);
    // libyaml asserts that there is an input, also when it is empty.
    yaml_parser_set_input_string(&l.parser, yaml.size == 0 ? (const uint8_t *)"" : yaml.data,
                                 yaml.size);
    read_document(&l);
    if (l.has_event) {
        yaml_event_delete(&l.event);
    }
    yaml_parser_delete(&l.parser);
}

static void read_document(loader *l)
{
    loader_next(l); // the stream begins
    loader_next(l);
    if (l->is_over) {
        return; // an empty file is all defaults
    }
    PH_ASSERT(l->event.type == YAML_DOCUMENT_START_EVENT);
    loader_next(l);
    if (l->is_over) {
        return;
    }
    bool is_empty = l->event.type == YAML_SCALAR_EVENT && l->event.data.scalar.length == 0;
    if (l->event.type == YAML_MAPPING_START_EVENT && loader_is_plain(l)) {
        read_mapping(l, "");
    } else if (!is_empty) {
        config_complain(l->errors, loader_line(l), loader_column(l),
                        "expected keys and values such as 'domain: home', found %s",
                        loader_what(l));
        loader_skip(l);
    }
    loader_next(l); // the end of the document
    loader_next(l);
    if (!l->is_over) {
        config_complain(l->errors, loader_line(l), loader_column(l),
                        "a second document; one is enough");
    }
}

// From the start of a mapping to its end; `section` is "" or "log".
static void read_mapping(loader *l, const char *section)
{
    for (;;) {
        loader_next(l);
        if (l->is_over || l->event.type == YAML_MAPPING_END_EVENT) {
            return;
        }
        if (l->event.type == YAML_SCALAR_EVENT) {
            read_entry(l, section);
        } else {
            config_complain(l->errors, loader_line(l), loader_column(l),
                            "a key must be a word, found %s", loader_what(l));
            loader_skip(l);
            loader_next(l);
            loader_skip(l);
        }
    }
}

// A key, its value, and nothing more.
static void read_entry(loader *l, const char *section)
{
    char word[PATH_BYTES / 2];
    char path[PATH_BYTES];
    uint32_t line = loader_line(l);
    uint32_t column = loader_column(l);
    snprintf(word, sizeof word, "%s", (const char *)l->event.data.scalar.value);
    snprintf(path, sizeof path, "%s%s%s", section, *section == '\0' ? "" : ".", word);
    bool is_whole = strlen(word) == l->event.data.scalar.length;
    config_key key = is_whole && strchr(word, '.') == NULL ? config_find(path) : CONFIG_KEY_COUNT;

    if (is_whole && *section == '\0' && is_section(word)) {
        loader_next(l);
        if (!l->is_over && l->event.type == YAML_MAPPING_START_EVENT && loader_is_plain(l)) {
            read_mapping(l, word);
        } else if (!l->is_over) {
            config_complain(l->errors, loader_line(l), loader_column(l),
                            "%s: expected keys and values, found %s", word, loader_what(l));
            loader_skip(l);
        }
        return;
    }
    if (is_whole && *section == '\0' && strcmp(word, "rules") == 0) {
        config_rules_read(l);
        return;
    }
    if (key == CONFIG_KEY_COUNT) {
        complain_unknown(l, section, word, path);
        loader_next(l);
        loader_skip(l);
        return;
    }
    loader_next(l);
    read_value(l, key, line, column);
}

static void read_value(loader *l, config_key key, uint32_t line, uint32_t column)
{
    if (l->is_over) {
        return;
    }
    const config_row *row = config_get_row(key);
    if (l->seen[key] != 0) {
        config_complain(l->errors, line, column, "%s: stands there twice; first in line %u",
                        row->path, l->seen[key]);
        loader_skip(l);
        return;
    }
    l->seen[key] = line;
    if (!loader_is_plain(l)) {
        config_complain(l->errors, loader_line(l), loader_column(l),
                        "%s: anchors, aliases and tags are not accepted", row->path);
        loader_skip(l);
    } else if (l->event.type == YAML_SCALAR_EVENT) {
        read_scalar(l, key);
    } else if (config_is_list(key) && l->event.type == YAML_SEQUENCE_START_EVENT) {
        read_sequence(l, key);
    } else {
        config_complain(l->errors, loader_line(l), loader_column(l),
                        "%s: expected one value, found %s", row->path, loader_what(l));
        loader_skip(l);
    }
    l->c->values[key].line = line;
}

static void read_scalar(loader *l, config_key key)
{
    const char *chars = (const char *)l->event.data.scalar.value;
    phi_diag diag = { { 0 } };
    if (strlen(chars) != l->event.data.scalar.length) {
        config_complain(l->errors, loader_line(l), loader_column(l), "%s: holds a NUL character",
                        config_get_row(key)->path);
    } else if (config_set(l->c, key, chars, CONFIG_FROM_FILE, &diag) != PH_OK) {
        config_complain(l->errors, loader_line(l), loader_column(l), "%s: %s",
                        config_get_row(key)->path, diag.text);
    }
}

// A list of words.
static void read_sequence(loader *l, config_key key)
{
    const char *path = config_get_row(key)->path;
    uint32_t line = loader_line(l);
    uint32_t column = loader_column(l);
    size_t count = 0;
    for (;; count++) {
        loader_next(l);
        if (l->is_over) {
            return;
        }
        if (l->event.type == YAML_SEQUENCE_END_EVENT) {
            break;
        }
        if (l->event.type == YAML_SCALAR_EVENT && loader_is_plain(l)) {
            read_scalar(l, key);
        } else {
            config_complain(l->errors, loader_line(l), loader_column(l),
                            "%s: expected %s, found %s", path,
                            key == CONFIG_listen ? "an address" : "one value", loader_what(l));
            loader_skip(l);
        }
    }
    if (count == 0 && key == CONFIG_listen) {
        config_complain(l->errors, line, column, "%s: at least one address is needed", path);
    }
}

// ---- words for people

static void complain_unknown(loader *l, const char *section, const char *word, const char *path)
{
    const char *end = strchr(word, '.');
    if (*section == '\0' && end != NULL && config_find(word) != CONFIG_KEY_COUNT) {
        // Known, in one word, as manuals name it.
        config_complain(l->errors, loader_line(l), loader_column(l),
                        "unknown key '%s'; write %.*s: {%s: ...}", word, (int)(end - word), word,
                        end + 1);
        return;
    }
    suggestion s = suggestion_for(path);
    for (config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
        suggestion_try(&s, config_get_row(key)->path);
    }
    if (*section == '\0') {
        suggestion_try(&s, "rules");
    }
    if (s.best == NULL && *section == '\0' && suggest_distance(word, "log") <= 1) {
        s.best = "log";
    }
    // A key of a section, written without it: "level".
    for (config_key key = 0; key < CONFIG_KEY_COUNT && s.best == NULL; key++) {
        const char *dot = strchr(config_get_row(key)->path, '.');
        if (dot != NULL && strcmp(dot + 1, word) == 0) {
            s.best = config_get_row(key)->path;
        }
    }
    config_complain(l->errors, loader_line(l), loader_column(l), "unknown key '%s'%s%s%s", path,
                    s.best == NULL ? "" : "; did you mean '", s.best == NULL ? "" : s.best,
                    s.best == NULL ? "" : "'?");
}

// True when keys begin with "word.".
static bool is_section(const char *word)
{
    size_t size = strlen(word);
    for (config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
        const char *path = config_get_row(key)->path;
        if (strncmp(path, word, size) == 0 && path[size] == '.') {
            return true;
        }
    }
    return false;
}
