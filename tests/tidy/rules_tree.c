// SPDX-License-Identifier: Apache-2.0
//
// tests/tidy/rules_tree.c - rules on how files belong together: sources and build, tables and
// documents, clauses and tests, code and assertions.

#include "tests/tidy/tidy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_MAX_HERE 512

// ---- sources and build

// Does the list name this path? It stands between blanks, or before ')' or after '('.
static bool lists(const file *list, const char *name)
{
    size_t size = strlen(name);
    for (const char *at = list->text; (at = strstr(at, name)) != NULL; at++) {
        bool is_start = at == list->text || strchr(" \t\n(\"/", at[-1]) != NULL;
        bool is_end = strchr(" \t\n)\"", at[size]) != NULL; // '\0' as well
        if (is_start && is_end) {
            return true;
        }
    }
    return false;
}

// The nearest CMakeLists.txt above a file; *name is then the file's path from there.
static const file *list_above(const tree *t, const char *path, const char **name)
{
    char list[PATH_MAX_HERE];
    for (const char *slash = strrchr(path, '/'); slash != NULL;) {
        snprintf(list, sizeof list, "%.*s/CMakeLists.txt", (int)(slash - path), path);
        const file *found = tree_find(t, list);
        if (found != NULL) {
            *name = slash + 1;
            return found;
        }
        const char *above = NULL;
        for (const char *at = path; at < slash; at++) {
            above = *at == '/' ? at : above;
        }
        slash = above;
    }
    return NULL;
}

// A source that two programs share may be named by its whole path in any list.
static bool is_listed_anywhere(const tree *t, const char *path)
{
    for (size_t i = 0; i < t->count; i++) {
        if (has_suffix(t->files[i].path, "/CMakeLists.txt") && lists(&t->files[i], path)) {
            return true;
        }
    }
    return false;
}

void check_listed(const tree *t)
{
    for (size_t i = 0; i < t->count; i++) {
        const char *path = t->files[i].path;
        if (!has_suffix(path, ".c") && !has_suffix(path, ".cc")) {
            continue;
        }
        const char *name = NULL;
        const file *list = list_above(t, path, &name);
        if (list == NULL) {
            report(path, 1, "no CMakeLists.txt here or above");
        } else if (!lists(list, name) && !is_listed_anywhere(t, path)) {
            report(path, 1, "not listed in %s: nobody builds it", list->path);
        }
    }
}

// ---- tables and documents

// The name of a row, `MACRO(name, ...`, and the text of its last string; false when the line is no
// row.
static bool read_row(const char *line, char name[128], const char **help, size_t *help_size)
{
    if (sscanf(line, "%*[A-Z_](%127[a-z0-9_]", name) != 1) {
        return false;
    }
    const char *end = strrchr(line, '"');
    const char *start = end;
    while (start != NULL && start > line &&
           !(start[-1] == '"' && (start - 2 < line || start[-2] != '\\'))) {
        start--;
    }
    *help = start;
    *help_size = end == NULL ? 0 : (size_t)(end - start);
    return true;
}

void check_defs(const tree *t)
{
    const file *limits = tree_find(t, "docs/limits.md");
    const file *metrics = tree_find(t, "docs/metrics.md");
    for (size_t i = 0; i < t->count; i++) {
        const file *f = &t->files[i];
        bool is_metrics = has_suffix(f->path, "/metrics.def");
        if (!is_metrics && !has_suffix(f->path, "/limits.def") &&
            !has_suffix(f->path, "/config.def")) {
            continue;
        }
        for (size_t line = 0; line < f->line_count; line++) {
            char name[128];
            const char *help = NULL;
            size_t help_size = 0;
            if (!read_row(f->lines[line], name, &help, &help_size)) {
                continue;
            }
            if (help_size < 8 || help[help_size - 1] != '.') {
                report(f->path, line + 1, "%s: help is a sentence with a full stop", name);
            }
            bool is_listed = limits != NULL && has_word(limits->text, name);
            char *joint = strchr(name, '_'); // log_level stands there as log.level
            if (!is_listed && limits != NULL && joint != NULL) {
                *joint = '.';
                is_listed = strstr(limits->text, name) != NULL;
                *joint = '_';
            }
            is_listed =
                is_listed || (is_metrics && metrics != NULL && has_word(metrics->text, name));
            if (!is_listed) {
                report(f->path, line + 1, "%s is not in docs/limits.md%s", name,
                       is_metrics ? " or docs/metrics.md" : "");
            }
        }
    }
}

// ---- clauses and tests

#define CLAUSES_MAX 1000
#define PROTOCOL "docs/protocol.md"
#define COVERAGE "docs/protocol-coverage.md"

typedef struct clause {
    size_t defined; // line in PROTOCOL; 0 not
    size_t open;    // line in COVERAGE; 0 not
    bool is_cited;
} clause;

// The number of the next "P-n" at or behind *at, which moves behind it; 0 at the end.
static unsigned next_clause(const char **at)
{
    for (const char *p = *at; (p = strstr(p, "P-")) != NULL; p += 2) {
        bool is_start = p == *at || strchr(" [(\"'`,;:", p[-1]) != NULL;
        unsigned number = (unsigned)strtoul(p + 2, NULL, 10);
        if (is_start && number > 0 && number < CLAUSES_MAX) {
            *at = p + 2;
            return number;
        }
    }
    return 0;
}

static void read_definitions(const file *f, clause *clauses)
{
    for (size_t i = 0; i < f->line_count; i++) {
        unsigned n = 0;
        if (sscanf(f->lines[i], "**[P-%u]**", &n) != 1 || n == 0 || n >= CLAUSES_MAX) {
            continue;
        }
        if (clauses[n].defined != 0) {
            report(f->path, i + 1, "P-%u stands in line %zu already", n, clauses[n].defined);
        }
        clauses[n].defined = i + 1;
    }
}

// Each line that begins with a clause says why it has no test yet.
static void read_open(const file *f, clause *clauses)
{
    for (size_t i = 0; f != NULL && i < f->line_count; i++) {
        unsigned n = 0;
        const char *line = f->lines[i] + strspn(f->lines[i], " -*|[");
        if (sscanf(line, "P-%u", &n) != 1 || n == 0 || n >= CLAUSES_MAX) {
            continue;
        }
        clauses[n].open = i + 1;
        if (strlen(line) < 16) {
            report(f->path, i + 1, "P-%u: say why it has no test", n);
        }
    }
}

static void read_citations(const file *f, clause *clauses)
{
    bool is_evidence = f->is_test || has_prefix(f->path, "sim/");
    for (size_t i = 0; i < f->line_count; i++) {
        const char *at = f->lines[i];
        for (unsigned n; (n = next_clause(&at)) != 0;) {
            if (clauses[n].defined == 0) {
                report(f->path, i + 1, "there is no clause P-%u", n);
            } else if (is_evidence) {
                clauses[n].is_cited = true;
            }
        }
    }
}

void check_clauses(const tree *t)
{
    static clause clauses[CLAUSES_MAX];
    const file *protocol = tree_find(t, PROTOCOL);
    if (protocol == NULL) {
        return;
    }
    read_definitions(protocol, clauses);
    read_open(tree_find(t, COVERAGE), clauses);
    for (size_t i = 0; i < t->count; i++) {
        const file *f = &t->files[i];
        if (!has_prefix(f->path, "tests/tidy/") && !has_suffix(f->path, ".md")) {
            read_citations(f, clauses);
        }
    }
    for (unsigned n = 1; n < CLAUSES_MAX; n++) {
        const clause *c = &clauses[n];
        if (c->defined != 0 && !c->is_cited && c->open == 0) {
            report(PROTOCOL, c->defined, "no test cites P-%u, and " COVERAGE " does not list it",
                   n);
        } else if (c->open != 0 && (c->is_cited || c->defined == 0)) {
            report(COVERAGE, c->open, "P-%u is not open: %s", n,
                   c->is_cited ? "a test cites it" : "there is none");
        }
    }
}

// ---- code and assertions

#define ASSERTIONS_MIN 25
#define LINES_MIN 100 // of a folder; below it the figure means nothing

static bool is_code(const char *line)
{
    line += strspn(line, " \t{}");
    return *line != '\0' && !has_prefix(line, "//");
}

static void count_file(const file *f, size_t *lines, size_t *assertions)
{
    for (size_t i = 0; i < f->line_count; i++) {
        *lines += is_code(f->lines[i]);
    }
    for (size_t i = 0; i < f->token_count; i++) {
        const token *t = &f->tokens[i];
        *assertions +=
            !t->is_directive && (is_word(t, "PH_ASSERT") || is_word(t, "PH_ASSERT_SLOW") ||
                                 is_word(t, "PH_UNREACHABLE") || is_word(t, "PH_STATIC_ASSERT"));
    }
}

void check_assertions(const tree *t)
{
    static const char *const folders[] = { "src/base/", "src/wire/", "src/link/", "src/store/",
                                           "src/center/" };
    for (size_t k = 0; k < sizeof folders / sizeof folders[0]; k++) {
        size_t lines = 0;
        size_t assertions = 0;
        for (size_t i = 0; i < t->count; i++) {
            const file *f = &t->files[i];
            if (has_prefix(f->path, folders[k]) && has_suffix(f->path, ".c") && !f->is_test) {
                count_file(f, &lines, &assertions);
            }
        }
        if (lines >= LINES_MIN && assertions * 1000 < lines * ASSERTIONS_MIN) {
            char list[PATH_MAX_HERE];
            snprintf(list, sizeof list, "%sCMakeLists.txt", folders[k]);
            const file *place = tree_find(t, list);
            report(place == NULL ? folders[k] : place->path, 1,
                   "%zu assertions in %zu lines of code; at least %zu", assertions, lines,
                   (lines * ASSERTIONS_MIN + 999) / 1000);
        }
    }
}
