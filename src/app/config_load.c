// SPDX-License-Identifier: Apache-2.0
//
// app/config_load.c - where a configuration comes from: the file, the environment and the flags,
// each over the one before; then what its values have to be beside each other.

#include "app/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/body.h"
#include "app/config_safe.h"
#include "app/term.h"
#include "base/shell.h"

// Of each, `part` above `whole` could never be reached, or would break what `whole` promises.
static const struct {
    config_key part;
    config_key whole;
} pairs[] = {
    { CONFIG_connections_joining_max, CONFIG_connections_max },
    { CONFIG_calls_per_client_max, CONFIG_calls_max },
    { CONFIG_call_time_default, CONFIG_call_time_max },
};

static void load_list(config *c, config_key key, const char *value, ph_err *rc, phi_diag *diag);
static void settle_pair(config *c, config_key part, config_key whole, config_errors *errors);

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

ph_err config_load_file(config *c, const char *path, config_errors *errors)
{
    snprintf(c->file, sizeof c->file, "%s", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        config_complain(errors, 0, 0, "cannot read %s: %s", path, strerror(errno));
        return PH_ECONFIG;
    }
    struct stat found;
    if (fstat(fd, &found) == 0 && S_ISREG(found.st_mode) && (found.st_mode & S_IWOTH) != 0) {
        char word[PHI_SHELL_WORD_BYTES_MAX];
        config_complain(errors, 0, 0,
                        "everybody may write %s, and so say who may do what: chmod 644 %s", path,
                        phi_shell_word(path, word, sizeof word));
        close(fd);
        return PH_ECONFIG;
    }
    draft t;
    draft_init(&t);
    phi_diag diag = { { 0 } };
    ph_err rc = body_read_fd(fd, CONFIG_FILE_BYTES_MAX, &t, &diag);
    close(fd);
    if (rc != PH_OK) {
        config_complain(errors, 0, 0, "%s: %s", path, diag.text);
    } else {
        config_parse(c, path, draft_view(&t), errors);
    }
    draft_fini(&t);
    return errors->count == 0 ? PH_OK : PH_ECONFIG;
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
        if (config_is_list(key)) {
            load_list(c, key, value, &rc, &diag);
        } else {
            rc = config_set(c, key, value, CONFIG_FROM_ENVIRONMENT, &diag);
        }
        if (rc != PH_OK) {
            config_complain(errors, 0, 0, "environment %s: %s", row->env, diag.text);
        }
    }
}

// With commas.
static void load_list(config *c, config_key key, const char *value, ph_err *rc, phi_diag *diag)
{
    char copy[CONFIG_USERS_MAX * CONFIG_ITEM_BYTES];
    if (strlen(value) >= sizeof copy) {
        *rc = phi_diag_add(diag, PH_EINVAL, "longer than %zu bytes", sizeof copy);
        return;
    }
    snprintf(copy, sizeof copy, "%s", value);
    char *rest = copy;
    for (char *one = strsep(&rest, ","); one != NULL && *rc == PH_OK; one = strsep(&rest, ",")) {
        *rc = config_add(c, key, one, CONFIG_FROM_ENVIRONMENT, diag);
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
    config_judge_safety(c, errors);
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
    config_show(c, part, &text);
    draft_format(&text, " is more than %s, ", config_get_row(whole)->path);
    config_show(c, whole, &text);
    draft_add(&text, " (");
    config_show_origin(c, whole, &text);
    draft_add(&text, ")");
    config_complain_key(errors, c, part, "%s", draft_chars(&text));
    draft_fini(&text);
}

void config_print_errors(const config *c, const config_errors *errors)
{
    for (size_t i = 0; i < errors->count; i++) {
        const struct config_error *e = &errors->list[i];
        if (e->line != 0) {
            term_error("%s:%u:%u: %s", c->file, e->line, e->column, e->text);
        } else {
            term_error("%s", e->text);
        }
    }
    if (errors->left_out != 0) {
        term_error("%s: and %zu more", c->file, errors->left_out);
    }
}
