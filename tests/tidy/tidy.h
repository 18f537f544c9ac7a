// SPDX-License-Identifier: Apache-2.0
//
// tests/tidy/tidy.h - the program behind script/lint: the tree keeps its own rules.
//
// It reads the paths of all files of the tree from stdin, loads them, runs every rule over them and
// prints what it found, sorted, as "file:line: rule: message". It needs nothing of what it judges.
//
// A finding is waived by a comment on its line, or in the comment right above it, of the form
//     lint: allow <rule>, because <reason>
// (findings on a whole file are reported on its first line, and waived in its opening comment). A
// waiver without a reason, of an unknown rule, or of nothing is itself a finding.

#ifndef TESTS_TIDY_TIDY_H
#define TESTS_TIDY_TIDY_H

#include <stdbool.h>
#include <stddef.h>

typedef enum token_kind {
    TOKEN_WORD, // identifiers and keywords
    TOKEN_LITERAL,
    TOKEN_PUNCT, // one character; "->" is '>' with is_arrow
    TOKEN_KINDS
} token_kind;

typedef struct token {
    token_kind kind;
    const char *at;
    size_t size;
    size_t line;
    bool is_arrow;
    bool is_directive; // stands on a preprocessor line
} token;

typedef struct file {
    const char *path; // from the root of the tree
    char *text;
    size_t size;
    char **lines; // lines[0] is line 1; terminated, without line end
    size_t line_count;
    token *tokens; // C only
    size_t token_count;
    bool is_c;    // .c or .h
    bool is_test; // in tests/, or *_test.c
} file;

typedef struct tree {
    file *files; // sorted by path
    size_t count;
} tree;

typedef struct rule {
    const char *name;
    const char *about;
    void (*on_file)(const file *f); // either this
    void (*on_tree)(const tree *t); // or that
} rule;

extern const rule rules[];
extern const size_t rule_count;

// Of the rule that runs now.
__attribute__((format(printf, 3, 4))) void report(const char *path, size_t line, const char *format,
                                                  ...);

// ---- helpers

bool has_prefix(const char *text, const char *prefix);
bool has_suffix(const char *text, const char *suffix);
bool is_word(const token *t, const char *word);
bool is_punct(const token *t, char c);
const file *tree_find(const tree *t, const char *path);
// Does `word` occur in `text` with no letter, digit or underscore beside it?
bool has_word(const char *text, const char *word);
// True when `path` lies in one of the folders, a list that ends with NULL.
bool is_in(const char *path, const char *const *folders);

void *grow(void *array, size_t count, size_t item_size);
void lex(file *f);

// ---- rules, by the file they stand in

// rules_text.c
void check_line_length(const file *f);
void check_blanks(const file *f);
void check_spdx(const file *f);
void check_todo(const file *f);
void check_file_size(const file *f);

// rules_c.c
void check_guard(const file *f);
void check_include(const file *f);
void check_own_header(const tree *t);
void check_banned(const file *f);
void check_threads(const file *f);
void check_conditional(const file *f);
void check_pointer_typedef(const file *f);

// rules_function.c
void check_function_length(const file *f);
void check_parameters(const file *f);
void check_nesting(const file *f);
void check_braces(const file *f);

// rules_tests.c
void check_sleep(const file *f);
void check_test_says(const file *f);

// rules_tree.c
void check_listed(const tree *t);
void check_defs(const tree *t);
void check_clauses(const tree *t);
void check_assertions(const tree *t);

#endif // TESTS_TIDY_TIDY_H
