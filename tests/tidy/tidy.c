// SPDX-License-Identifier: Apache-2.0
//
// tests/tidy/tidy.c - loads the tree, runs the rules, applies waivers, prints.
//
//   find . -type f | tidy ROOT [--tap] [--rule NAME]
//
// Exit code 0: nothing found; 1: something; 2: could not look.

#include "tests/tidy/tidy.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct finding {
    const char *path;
    size_t line;
    const char *rule;
    char *message;
    size_t sequence;
} finding;

typedef struct waiver {
    const file *file;
    size_t line;
    const char *rule;
    bool is_used;
} waiver;

const rule rules[] = {
    { "line-length", "lines of C have at most 100 columns", check_line_length, NULL },
    { "blanks", "no blanks at line ends, no tabs in C, one line end at the end", check_blanks,
      NULL },
    { "spdx", "the first line names the licence", check_spdx, NULL },
    { "todo", "a to-do names its issue", check_todo, NULL },
    { "file-size", "sources 800 lines, tests 1,500, headers 400, CMake 30", check_file_size, NULL },
    { "guard", "header guards are named after the path", check_guard, NULL },
    { "include", "folders include lower folders only", check_include, NULL },
    { "own-header", "a source includes its own header first", NULL, check_own_header },
    { "banned", "what the shell alone may call", check_banned, NULL },
    { "threads", "threads and atomics in src/io and src/obs only", check_threads, NULL },
    { "conditional", "#ifdef in src/io and feature headers only", check_conditional, NULL },
    { "pointer-typedef", "no typedef hides a pointer", check_pointer_typedef, NULL },
    { "function-length", "functions have at most 70 lines", check_function_length, NULL },
    { "parameters", "functions have at most 6 parameters", check_parameters, NULL },
    { "nesting", "blocks nest at most 4 levels deep", check_nesting, NULL },
    { "braces", "if, else, for and while have braces", check_braces, NULL },
    { "sleep", "tests do not sleep", check_sleep, NULL },
    { "test-says", "a test opens with a sentence", check_test_says, NULL },
    { "listed", "each source is listed in its CMakeLists.txt", NULL, check_listed },
    { "defs", "each row of a table has help and is documented", NULL, check_defs },
    { "clauses", "each clause of the protocol is cited by a test, or listed as open", NULL,
      check_clauses },
    { "assertions", "25 assertions in 1,000 lines of code", NULL, check_assertions },
};
const size_t rule_count = sizeof rules / sizeof rules[0];

static const char *rule_now; // the name of the rule that runs
static finding *findings;
static size_t finding_count;
static waiver *waivers;
static size_t waiver_count;

// ---- helpers

bool has_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool has_suffix(const char *text, const char *suffix)
{
    size_t size = strlen(text);
    size_t tail = strlen(suffix);
    return size >= tail && strcmp(text + size - tail, suffix) == 0;
}

bool is_word(const token *t, const char *word)
{
    return t->kind == TOKEN_WORD && t->size == strlen(word) && memcmp(t->at, word, t->size) == 0;
}

bool is_punct(const token *t, char c)
{
    return t->kind == TOKEN_PUNCT && *t->at == c && !t->is_arrow;
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool has_word(const char *text, const char *word)
{
    size_t size = strlen(word);
    for (const char *at = text; (at = strstr(at, word)) != NULL; at++) {
        if ((at == text || !is_name_char(at[-1])) && !is_name_char(at[size])) {
            return true;
        }
    }
    return false;
}

bool is_in(const char *path, const char *const *folders)
{
    for (; *folders != NULL; folders++) {
        if (has_prefix(path, *folders)) {
            return true;
        }
    }
    return false;
}

const file *tree_find(const tree *t, const char *path)
{
    for (size_t i = 0; i < t->count; i++) {
        if (strcmp(t->files[i].path, path) == 0) {
            return &t->files[i];
        }
    }
    return NULL;
}

static void *need(void *ptr)
{
    if (ptr == NULL) {
        fprintf(stderr, "tidy: no memory\n");
        exit(2);
    }
    return ptr;
}

// Room for one more item behind `count`.
void *grow(void *array, size_t count, size_t item_size)
{
    if ((count & (count - 1)) != 0) { // only when it is full: 0, 1, 2, 4, 8...
        return array;
    }
    return need(realloc(array, (count == 0 ? 1 : count * 2) * item_size));
}

void report(const char *path, size_t line, const char *format, ...)
{
    char *message = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&message, format, args) < 0) {
        message = NULL;
    }
    va_end(args);
    findings = grow(findings, finding_count, sizeof findings[0]);
    findings[finding_count] = (finding){ path, line, rule_now, need(message), finding_count };
    finding_count++;
}

// ---- loading

static bool is_text(const char *path)
{
    static const char *const suffixes[] = { ".c",  ".h",    ".def", ".txt",  ".cmake", ".sh", ".py",
                                            ".md", ".yaml", ".yml", ".json", ".in",    ".cc" };
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        if (has_suffix(path, suffixes[i])) {
            return true;
        }
    }
    return has_prefix(path, "script/") || has_prefix(path, ".ci/");
}

static void split_lines(file *f)
{
    for (char *at = f->text; *at != '\0';) {
        f->lines = grow(f->lines, f->line_count, sizeof f->lines[0]);
        char *end = strchr(at, '\n');
        size_t size = end == NULL ? strlen(at) : (size_t)(end - at);
        f->lines[f->line_count++] = need(strndup(at, size));
        at += size + (end != NULL);
    }
}

// False for what is not text, or is gone.
static bool load(file *f, const char *root, const char *path)
{
    char *full = NULL;
    struct stat status;
    if (asprintf(&full, "%s/%s", root, path) < 0) {
        full = NULL;
    }
    FILE *in = fopen(need(full), "rb");
    free(full);
    if (in == NULL || fstat(fileno(in), &status) != 0 || !S_ISREG(status.st_mode)) {
        if (in != NULL) {
            fclose(in);
        }
        return false;
    }
    size_t size = (size_t)status.st_size;
    *f = (file){ .path = need(strdup(path)), .text = need(malloc(size + 1)), .size = size };
    f->size = fread(f->text, 1, size, in);
    f->text[f->size] = '\0';
    fclose(in);
    if (memchr(f->text, '\0', f->size) != NULL) {
        return false;
    }
    f->is_c = has_suffix(path, ".c") || has_suffix(path, ".h");
    f->is_test = has_prefix(path, "tests/") || has_suffix(path, "_test.c");
    split_lines(f);
    if (f->is_c) {
        lex(f);
    }
    return true;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const file *)a)->path, ((const file *)b)->path);
}

static void load_tree(tree *t, const char *root)
{
    char line[4096];
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        const char *path = has_prefix(line, "./") ? line + 2 : line;
        if (!is_text(path)) {
            continue;
        }
        t->files = grow(t->files, t->count, sizeof t->files[0]);
        if (load(&t->files[t->count], root, path)) {
            t->count++;
        }
    }
    if (t->count > 0) {
        qsort(t->files, t->count, sizeof t->files[0], by_path);
    }
}

// ---- waivers

#define WAIVER                                                                                     \
    "lint: "                                                                                       \
    "allow " // in two, or this line would be one

static const rule *rule_find(const char *name, size_t size)
{
    for (size_t i = 0; i < rule_count; i++) {
        if (strlen(rules[i].name) == size && memcmp(rules[i].name, name, size) == 0) {
            return &rules[i];
        }
    }
    return NULL;
}

static void collect_waivers(const file *f)
{
    rule_now = "waiver";
    for (size_t i = 0; i < f->line_count; i++) {
        const char *at = strstr(f->lines[i], WAIVER);
        const char *comment = at == NULL ? NULL : strpbrk(f->lines[i], "/#");
        if (at == NULL || comment == NULL || comment > at) {
            continue;
        }
        at += strlen(WAIVER);
        if (*at == '<') { // a document that tells how one looks
            continue;
        }
        size_t size = strcspn(at, ", ");
        const rule *r = rule_find(at, size);
        if (r == NULL) {
            report(f->path, i + 1, "there is no rule '%.*s'", (int)size, at);
        } else if (!has_prefix(at + size, ", because ") || strlen(at + size) < 16) {
            report(f->path, i + 1, "say why: " WAIVER "%s, because ...", r->name);
        } else {
            waivers = grow(waivers, waiver_count, sizeof waivers[0]);
            waivers[waiver_count++] = (waiver){ f, i + 1, r->name, false };
        }
    }
}

static bool is_comment_line(const char *line)
{
    line += strspn(line, " \t");
    return *line == '/' || *line == '#' || *line == '*';
}

// Does everything between the waiver and the line belong to the waiver's comment?
static bool reaches(const waiver *w, size_t line)
{
    size_t first = w->line < line ? w->line : line;
    size_t last = w->line < line ? line : w->line + 1;
    if (w->line > line && line != 1) {
        return false;
    }
    for (size_t i = first; i < last; i++) {
        if (i != line && !is_comment_line(w->file->lines[i - 1])) {
            return false;
        }
    }
    return true;
}

static bool is_waived(const finding *f)
{
    bool is_waived = false;
    for (size_t i = 0; i < waiver_count; i++) {
        waiver *w = &waivers[i];
        if (strcmp(w->file->path, f->path) == 0 && strcmp(w->rule, f->rule) == 0 &&
            (w->line == f->line || reaches(w, f->line))) {
            w->is_used = true;
            is_waived = true;
        }
    }
    return is_waived;
}

static void apply_waivers(bool is_every_rule)
{
    size_t kept = 0;
    for (size_t i = 0; i < finding_count; i++) {
        if (!is_waived(&findings[i])) {
            findings[kept++] = findings[i];
        }
    }
    finding_count = kept;
    rule_now = "waiver";
    for (size_t i = 0; is_every_rule && i < waiver_count; i++) {
        if (!waivers[i].is_used) {
            report(waivers[i].file->path, waivers[i].line, "waives nothing: remove it");
        }
    }
}

// ---- output

static int by_place(const void *a, const void *b)
{
    const finding *x = a;
    const finding *y = b;
    int order = strcmp(x->path, y->path);
    if (order != 0) {
        return order;
    }
    if (x->line != y->line) {
        return x->line < y->line ? -1 : 1;
    }
    return x->sequence < y->sequence ? -1 : 1;
}

static void print_finding(const finding *f, const char *prefix)
{
    printf("%s%s:%zu: %s: %s\n", prefix, f->path, f->line, f->rule, f->message);
}

static void print_tap_rule(size_t number, const char *name, const char *about)
{
    bool is_clean = true;
    for (size_t i = 0; i < finding_count; i++) {
        is_clean = is_clean && strcmp(findings[i].rule, name) != 0;
    }
    printf("%s %zu - lint %s: %s\n", is_clean ? "ok" : "not ok", number, name, about);
    for (size_t i = 0; i < finding_count; i++) {
        if (strcmp(findings[i].rule, name) == 0) {
            print_finding(&findings[i], "# ");
        }
    }
}

static void run_rule(const rule *r, const tree *t)
{
    rule_now = r->name;
    if (r->on_tree != NULL) {
        r->on_tree(t);
        return;
    }
    for (size_t i = 0; i < t->count; i++) {
        r->on_file(&t->files[i]);
    }
}

int main(int argc, char **argv)
{
    bool is_tap = false;
    const char *only = NULL;
    for (int i = 2; i < argc; i++) {
        is_tap = is_tap || strcmp(argv[i], "--tap") == 0;
        if (strcmp(argv[i], "--rule") == 0 && i + 1 < argc) {
            only = argv[++i];
        }
    }
    if (only != NULL && rule_find(only, strlen(only)) == NULL) {
        fprintf(stderr, "there is no rule '%s'; there are: format exports", only);
        for (size_t i = 0; i < rule_count; i++) {
            fprintf(stderr, " %s", rules[i].name);
        }
        fprintf(stderr, "\n");
        return 2;
    }
    if (argc < 2) {
        fprintf(stderr, "usage: find . -type f | tidy ROOT [--tap] [--rule NAME]\n");
        return 2;
    }

    static tree t; // for the life of the process, as findings are
    load_tree(&t, argv[1]);
    if (t.count == 0) {
        fprintf(stderr, "tidy: no files on stdin\n");
        return 2;
    }
    for (size_t i = 0; i < t.count; i++) {
        collect_waivers(&t.files[i]);
    }
    for (size_t i = 0; i < rule_count; i++) {
        if (only == NULL || strcmp(rules[i].name, only) == 0) {
            run_rule(&rules[i], &t);
        }
    }
    apply_waivers(only == NULL);
    if (finding_count > 0) {
        qsort(findings, finding_count, sizeof findings[0], by_place);
    }

    if (is_tap) {
        for (size_t i = 0; i < rule_count; i++) {
            print_tap_rule(i + 1, rules[i].name, rules[i].about);
        }
        print_tap_rule(rule_count + 1, "waiver",
                       "a waiver names its rule and reason and is needed");
    } else {
        for (size_t i = 0; i < finding_count; i++) {
            print_finding(&findings[i], "");
        }
    }
    return finding_count == 0 ? 0 : 1;
}
