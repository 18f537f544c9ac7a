// SPDX-License-Identifier: Apache-2.0
//
// tests/tidy/rules_c.c - rules on what C files include, call and declare. The levels are those of
// docs/architecture.md.

#include "tests/tidy/tidy.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define PATH_MAX_HERE 512

// ---- folders

static const struct {
    const char *name;
    int level;
    const char *guard; // what its header guards begin with, instead of the folder's name
} folders[] = {
    { "base", 0, "PHI_" },   { "obs", 0, "PHI_" },  { "wire", 1, "PHI_" }, { "text", 1, "PHI_" },
    { "policy", 1, "PHI_" }, { "io", 1, "PHI_" },   { "link", 2, "PHI_" }, { "auth", 2, "PHI_" },
    { "store", 2, "PHI_" },  { "http", 2, "PHI_" }, { "center", 3, "" },   { "client", 3, "PHI_" },
    { "discovery", 4, "" },  { "gateway", 4, "" },  { "app", 5, "" },
};
#define FOLDER_NONE (-1)

// The folder that `path` begins with: "base" in "base/buf.h".
static int folder_of(const char *path)
{
    size_t size = strcspn(path, "/");
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        if (path[size] == '/' && strlen(folders[i].name) == size &&
            memcmp(folders[i].name, path, size) == 0) {
            return (int)i;
        }
    }
    return FOLDER_NONE;
}

static bool may_include(int from, int to)
{
    if (from == to || folders[to].level < folders[from].level) {
        return true;
    }
    return strcmp(folders[from].name, "obs") == 0 && strcmp(folders[to].name, "base") == 0;
}

// ---- guards

static void guard_of(const char *path, char guard[PATH_MAX_HERE])
{
    const char *prefix = "";
    if (has_prefix(path, "include/posthouse/")) {
        prefix = "PH_";
        path += strlen("include/posthouse/");
    } else if (has_prefix(path, "src/")) {
        path += strlen("src/");
        int folder = folder_of(path);
        prefix = folder == FOLDER_NONE ? "" : folders[folder].guard;
    }
    int used = snprintf(guard, PATH_MAX_HERE, "%s%s", prefix, path);
    for (int i = 0; i < used && i < PATH_MAX_HERE; i++) {
        guard[i] = isalnum((unsigned char)guard[i]) ? (char)toupper((unsigned char)guard[i]) : '_';
    }
}

void check_guard(const file *f)
{
    if (!has_suffix(f->path, ".h")) {
        return;
    }
    char guard[PATH_MAX_HERE];
    guard_of(f->path, guard);
    static const char *const parts[] = { "#ifndef ", "#define ", "#endif // " };
    const size_t count = sizeof parts / sizeof parts[0];
    size_t found = 0;
    for (size_t i = 0; i < f->line_count && found < count; i++) {
        size_t size = strlen(parts[found]);
        if (has_prefix(f->lines[i], parts[found]) && strcmp(f->lines[i] + size, guard) == 0) {
            found++;
        }
    }
    if (found < count) {
        report(f->path, 1, "the guard is not, or not wholly, %s", guard);
    }
}

// ---- includes

// What line `i` includes with quotes ("base/buf.h") or with angles; false when nothing.
static bool included(const file *f, size_t i, bool *is_quoted, char path[PATH_MAX_HERE])
{
    char open = 0;
    if (sscanf(f->lines[i], " # include %c%500[^\">]", &open, path) != 2) {
        return false;
    }
    *is_quoted = open == '"';
    return open == '"' || open == '<';
}

static void check_src_include(const file *f, size_t line, const char *path)
{
    int from = folder_of(f->path + strlen("src/"));
    int to = folder_of(path);
    if (from == FOLDER_NONE) {
        report(f->path, line, "this folder has no level; give it one in tests/tidy/rules_c.c");
    } else if (to != FOLDER_NONE) {
        if (!may_include(from, to)) {
            report(f->path, line, "%s (level %d) must not use %s (level %d)", folders[from].name,
                   folders[from].level, folders[to].name, folders[to].level);
        }
    } else if (!f->is_test) {
        report(f->path, line, "\"%s\": not in a folder of src/", path);
    }
}

void check_include(const file *f)
{
    for (size_t i = 0; f->is_c && i < f->line_count; i++) {
        bool is_quoted = false;
        char path[PATH_MAX_HERE];
        if (!included(f, i, &is_quoted, path)) {
            continue;
        }
        if (has_prefix(path, "../")) {
            report(f->path, i + 1, "\"%s\": paths begin at src/ or at the root", path);
        } else if (has_prefix(f->path, "include/") && is_quoted) {
            report(f->path, i + 1, "a public header includes <posthouse/...> only");
        } else if (has_prefix(f->path, "examples/") && is_quoted && folder_of(path) >= 0) {
            report(f->path, i + 1, "an example uses the public interface only");
        } else if (has_prefix(f->path, "src/") && is_quoted) {
            check_src_include(f, i + 1, path);
        }
    }
}

void check_own_header(const tree *t)
{
    for (size_t i = 0; i < t->count; i++) {
        const file *f = &t->files[i];
        char header[PATH_MAX_HERE];
        if (!has_prefix(f->path, "src/") || !has_suffix(f->path, ".c")) {
            continue;
        }
        snprintf(header, sizeof header, "%.*sh", (int)strlen(f->path) - 1, f->path);
        if (tree_find(t, header) == NULL) {
            continue;
        }
        for (size_t line = 0; line < f->line_count; line++) {
            bool is_quoted = false;
            char path[PATH_MAX_HERE];
            if (included(f, line, &is_quoted, path)) {
                if (strcmp(path, header + strlen("src/")) != 0) {
                    report(f->path, line + 1, "first \"%s\": so it proves that it stands alone",
                           header + strlen("src/"));
                }
                break;
            }
        }
    }
}

// ---- calls

static bool is_listed(const token *t, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (is_word(t, *words)) {
            return true;
        }
    }
    return false;
}

static bool is_call(const file *f, size_t i)
{
    const token *t = f->tokens;
    bool is_member = i > 0 && (is_punct(&t[i - 1], '.') || t[i - 1].is_arrow);
    return i + 1 < f->token_count && is_punct(&t[i + 1], '(') && !is_member;
}

void check_banned(const file *f)
{
    // No use of these is right.
    static const char *const never[] = { "alloca",  "gets",     "strcpy", "strcat",
                                         "sprintf", "vsprintf", "strtok", NULL };
    // Memory, time, input and output come from what the shell passes down.
    static const char *const shell_only[] = {
        "malloc", "calloc",        "realloc", "free",  "strdup",    "strndup", "atoi",   "atol",
        "time",   "gettimeofday",  "rand",    "srand", "sleep",     "usleep",  "socket", "read",
        "write",  "clock_gettime", "printf",  "puts",  "nanosleep", NULL
    };
    static const char *const shell[] = { "src/io/", "src/base/", "src/app/",  "tests/", "bench/",
                                         "sim/",    "fuzz/",     "examples/", NULL };
    bool is_shell = is_in(f->path, shell) || f->is_test;
    for (size_t i = 0; i < f->token_count; i++) {
        const token *t = &f->tokens[i];
        if (t->kind != TOKEN_WORD || !is_call(f, i)) {
            continue;
        }
        if (is_listed(t, never)) {
            report(f->path, t->line, "%.*s is never right", (int)t->size, t->at);
        } else if (!is_shell && is_listed(t, shell_only)) {
            report(f->path, t->line, "%.*s is for src/io, src/base and src/app", (int)t->size,
                   t->at);
        }
    }
}

void check_threads(const file *f)
{
    static const char *const allowed[] = { "src/io/", "src/obs/",  "tests/",
                                           "bench/",  "examples/", NULL };
    static const char *const prefixes[] = { "pthread_", "atomic_",       "_Atomic",
                                            "thrd_",    "mtx_",          "uv_thread",
                                            "uv_mutex", "uv_queue_work", NULL };
    if (is_in(f->path, allowed) || f->is_test) {
        return;
    }
    for (size_t i = 0; i < f->token_count; i++) {
        const token *t = &f->tokens[i];
        if (t->kind == TOKEN_WORD && is_in(t->at, prefixes)) {
            report(f->path, t->line, "%.*s: objects belong to one loop; loops talk by mailboxes",
                   (int)t->size, t->at);
        }
    }
}

// ---- the preprocessor and types

// A feature header is one that says so in its opening comment.
static bool is_feature_header(const file *f)
{
    for (size_t i = 0; has_suffix(f->path, ".h") && i < f->line_count; i++) {
        if (!has_prefix(f->lines[i], "//")) {
            return false;
        }
        if (strstr(f->lines[i], "feature header") != NULL) {
            return true;
        }
    }
    return false;
}

void check_conditional(const file *f)
{
    if (!f->is_c || !has_prefix(f->path, "src/") || has_prefix(f->path, "src/io/") ||
        strcmp(f->path, "src/base/compiler.h") == 0 || is_feature_header(f)) {
        return;
    }
    for (size_t i = 0; i + 2 < f->token_count; i++) {
        const token *t = &f->tokens[i];
        if (!t->is_directive || !is_punct(t, '#')) {
            continue;
        }
        bool is_defined = is_word(t + 1, "if") && is_word(t + 2, "defined");
        if (is_word(t + 1, "ifdef") || is_defined) {
            report(f->path, t->line, "what differs between builds stands in a feature header");
        }
    }
}

void check_pointer_typedef(const file *f)
{
    for (size_t i = 0; i < f->token_count; i++) {
        if (!is_word(&f->tokens[i], "typedef")) {
            continue;
        }
        int depth = 0;
        for (size_t k = i + 1; k < f->token_count; k++) {
            const token *t = &f->tokens[k];
            depth += is_punct(t, '{') || is_punct(t, '(') ? 1 : 0;
            depth -= is_punct(t, '}') || is_punct(t, ')') ? 1 : 0;
            if (depth == 0 && is_punct(t, ';')) {
                // typedef T *name; but not typedef T *name(...), which names a function's type
                if (t[-1].kind == TOKEN_WORD && is_punct(t - 2, '*')) {
                    report(f->path, t->line, "%.*s hides a pointer", (int)t[-1].size, t[-1].at);
                }
                break;
            }
        }
    }
}
