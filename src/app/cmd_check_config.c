// SPDX-License-Identifier: Apache-2.0
//
// app/cmd_check_config.c - posthouse check-config: proves a configuration, and all that it names,
// before a center is started with it; shows where each value comes from, what protects each
// listener, and who may join there.

#include "app/command.h"

#include <string.h>
#include <time.h>

#include "app/config.h"
#include "app/config_report.h"
#include "app/security.h"
#include "app/table.h"
#include "app/term.h"
#include "base/assert.h"
#include "text/json.h"

static exit_status run(const args *a);
static void print_table(const config *c, draft *out);
static void add_keys(const config *c, bool is_set, table *t);
static void add_rules(const config *c, table *t);
static exit_status prove(const config *c, bool is_json);
static void print_json(const config *c, const security *s, uint64_t now_s, draft *out);
static void print_json_rules(const config *c, phi_json *j);
static void print_json_value(const config *c, config_key key, phi_json *j);

static const option options[] = {
    { .name = "config",
      .kind = OPTION_TEXT,
      .argument = "FILE",
      .env = "POSTHOUSE_CONFIG",
      .help = "YAML; the same as an argument" },
};

const command command_check_config = {
    .name = "check-config",
    .words = "[FILE]",
    .summary = "prove a configuration, and show what is in force and why",
    .example = "posthouse check-config posthouse.yaml\n"
               "posthouse check-config posthouse.yaml --output json\n"
               "POSTHOUSE_SUITE=check posthouse check-config     what would serve run with?\n",
    .about = "Takes what serve takes, starts nothing. Reads every file that serve would read, and\n"
             "fetches the keys of tokens where those have a URL. What was set stands first, then\n"
             "the defaults. Exit status 2 when anything is wrong.\n",
    .options = options,
    .option_count = PHI_COUNT_OF(options),
    .more = config_options,
    .more_title = "Configuration",
    .words_max = 1,
    .run = run,
    .is_local = true,
};

static exit_status run(const args *a)
{
    const arg_value *named = args_get(a, "config");
    if (a->word_count == 1 && named->is_given) {
        return command_usage(&command_check_config, "one file at a time: '%s', or --config '%s'",
                             a->words[0], named->texts[0]);
    }
    args with_file = *a; // the argument goes before POSTHOUSE_CONFIG
    if (a->word_count == 1) {
        arg_value *v = &with_file.values[named - a->values];
        v->texts[0] = a->words[0];
        v->count = 1;
    }
    static config c;
    config_errors errors;
    if (config_load(&c, &with_file, &errors) != PH_OK) {
        config_print_errors(&c, &errors);
        return STATUS_USAGE;
    }
    exit_status status = prove(&c, choice_index("json", args_text(a, "output")) == 0);
    config_fini(&c);
    return status;
}

// Everything that a start would need, files and URL, is read.
static exit_status prove(const config *c, bool is_json)
{
    config_errors errors = { 0 };
    secret keys = { 0 };
    security *s = NULL;
    if (security_fetch(c, &keys, &errors) != PH_OK ||
        security_new(&s, c, secret_view(&keys), &errors) != PH_OK) {
        config_print_errors(c, &errors);
        secret_fini(&keys);
        return STATUS_USAGE;
    }
    uint64_t now_s = (uint64_t)time(NULL);
    draft out;
    draft_init(&out);
    if (is_json) {
        print_json(c, s, now_s, &out);
    } else {
        print_table(c, &out);
        config_report_table(c, s, now_s, &out);
    }
    term_print(&out);
    for (security_warning w = 0; w < SECURITY_WARN_COUNT && !is_json; w++) {
        if (security_warns(s, w, now_s)) {
            const phi_log_event *e = app_event_get(security_event(w));
            term_note("warning: %s. %s", e->text, e->advice);
        }
    }
    draft_fini(&out);
    security_free(&s);
    secret_fini(&keys);
    return STATUS_OK;
}

// What somebody said comes first: among fifty defaults nobody would find it.
static void print_table(const config *c, draft *out)
{
    table t;
    table_init(&t, (const char *const[]){ "KEY", "VALUE", "FROM" }, 3);
    add_keys(c, /* is_set= */ true, &t);
    if (c->rules != NULL) {
        add_rules(c, &t);
    }
    add_keys(c, /* is_set= */ false, &t);
    if (c->rules == NULL) {
        add_rules(c, &t);
    }
    table_render(&t, out, term_style_of(1));
    table_fini(&t);
}

// Those that were set, or those that were not.
static void add_keys(const config *c, bool is_set, table *t)
{
    draft cell;
    draft_init(&cell);
    for (config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
        if ((c->values[key].origin != CONFIG_FROM_DEFAULT) != is_set) {
            continue;
        }
        table_text(t, config_get_row(key)->path);
        draft_clear(&cell);
        config_show(c, key, &cell);
        table_cell(t, draft_view(&cell));
        draft_clear(&cell);
        config_show_origin(c, key, &cell);
        table_cell(t, draft_view(&cell));
    }
    draft_fini(&cell);
}

static void add_rules(const config *c, table *t)
{
    table_text(t, "rules");
    if (c->rules == NULL) {
        table_text(t, "none");
        table_text(t, "default");
    } else {
        uint32_t count = phi_rules_count(c->rules);
        table_format(t, "%u rule%s", count, count == 1 ? "" : "s");
        table_format(t, "%s:%u", c->file, c->rules_line);
    }
}

static void print_json(const config *c, const security *s, uint64_t now_s, draft *out)
{
    static const char *const origins[] = { "default", "file", "environment", "flag" };
    phi_json j;
    phi_json_init_buf(&j, &out->buf);
    phi_json_object_begin(&j);
    phi_json_key(&j, "keys");
    phi_json_array_begin(&j);
    for (config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
        const config_value *v = &c->values[key];
        phi_json_object_begin(&j);
        phi_json_key(&j, "key");
        phi_json_text(&j, config_get_row(key)->path);
        phi_json_key(&j, "value");
        print_json_value(c, key, &j);
        phi_json_key(&j, "from");
        phi_json_text(&j, origins[v->origin]);
        if (v->origin == CONFIG_FROM_FILE) {
            phi_json_key(&j, "file");
            phi_json_text(&j, c->file);
            phi_json_key(&j, "line");
            phi_json_u64(&j, v->line);
        }
        phi_json_object_end(&j);
    }
    print_json_rules(c, &j);
    phi_json_array_end(&j);
    config_report_json(c, s, now_s, &j);
    phi_json_object_end(&j);
    draft_json_end(out, &j);
}

// Their names, or null: no rules are something else than an empty list of them.
static void print_json_rules(const config *c, phi_json *j)
{
    phi_json_object_begin(j);
    phi_json_key(j, "key");
    phi_json_text(j, "rules");
    phi_json_key(j, "value");
    if (c->rules == NULL) {
        phi_json_null(j);
        phi_json_key(j, "from");
        phi_json_text(j, "default");
    } else {
        phi_json_array_begin(j);
        for (uint32_t i = 0; i < phi_rules_count(c->rules); i++) {
            phi_json_string(j, phi_rules_name(c->rules, i));
        }
        phi_json_array_end(j);
        phi_json_key(j, "from");
        phi_json_text(j, "file");
        phi_json_key(j, "file");
        phi_json_text(j, c->file);
        phi_json_key(j, "line");
        phi_json_u64(j, c->rules_line);
    }
    phi_json_object_end(j);
}

static void print_json_value(const config *c, config_key key, phi_json *j)
{
    const config_row *row = config_get_row(key);
    if (row->kind == CONFIG_ADDRESSES) {
        phi_json_array_begin(j);
        for (size_t i = 0; i < c->listen_count; i++) {
            phi_json_text(j, c->listen[i]);
        }
        phi_json_array_end(j);
    } else if (row->kind == CONFIG_USERS) {
        phi_json_object_begin(j);
        for (size_t i = 0; i < c->user_count; i++) {
            char uid[16];
            snprintf(uid, sizeof uid, "%u", c->users[i].uid);
            phi_json_key(j, uid);
            phi_json_text(j, c->users[i].principal);
        }
        phi_json_object_end(j);
    } else if (row->kind == CONFIG_BOOL) {
        phi_json_bool(j, c->values[key].number != 0);
    } else if (row->kind == CONFIG_COUNT || row->kind == CONFIG_BYTES || row->kind == CONFIG_TIME) {
        phi_json_u64(j, c->values[key].number); // times in milliseconds
    } else {
        draft value;
        draft_init(&value);
        config_show(c, key, &value);
        phi_json_string(j, draft_view(&value));
        draft_fini(&value);
    }
}
