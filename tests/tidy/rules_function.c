// SPDX-License-Identifier: Apache-2.0
//
// tests/tidy/rules_function.c - rules on functions: their length, parameters and blocks.
//
// A function is what stands at the top level between ')' and its braces. Macros are not expanded; a
// TEST() is a function, too.

#include "tests/tidy/tidy.h"

#include <string.h>

#define LINES_MAX 70
#define PARAMETERS_MAX 6
#define NESTING_MAX 4

// ---- finding functions

typedef struct function {
    size_t first; // token: where its declaration begins
    size_t name;  // token
    size_t open;  // token '('
    size_t close; // token ')'
    size_t body;  // token '{', or ';' of a prototype
    size_t end;   // token '}', or ';'
} function;

typedef void function_fn(const file *f, const function *fn);

// The parenthesis or brace that belongs to the one at `i`; token_count when it is not closed.
static size_t match_forward(const file *f, size_t i, char open, char close)
{
    size_t depth = 0;
    for (; i < f->token_count; i++) {
        const token *t = &f->tokens[i];
        if (t->is_directive) {
            continue;
        }
        if (is_punct(t, open)) {
            depth++;
        } else if (is_punct(t, close) && --depth == 0) {
            return i;
        }
    }
    return f->token_count;
}

static size_t match_back(const file *f, size_t i)
{
    size_t depth = 0;
    for (;; i--) {
        const token *t = &f->tokens[i];
        if (!t->is_directive && is_punct(t, ')')) {
            depth++;
        } else if (!t->is_directive && is_punct(t, '(') && --depth == 0) {
            return i;
        }
        if (i == 0) {
            return 0;
        }
    }
}

// The last token before `i` that is not on a preprocessor line; `i` itself when there is none.
static size_t before(const file *f, size_t i)
{
    for (size_t k = i; k > 0; k--) {
        if (!f->tokens[k - 1].is_directive) {
            return k - 1;
        }
    }
    return i;
}

static bool is_extern_c(const file *f, size_t brace)
{
    return brace >= 2 && f->tokens[brace - 1].kind == TOKEN_LITERAL &&
           is_word(&f->tokens[brace - 2], "extern");
}

// `at` is '{' or ';' at the top level. Tells whether what stands before it declares a function.
static bool function_at(const file *f, size_t first, size_t at, function *fn)
{
    size_t close = before(f, at);
    if (close == at || close <= first || !is_punct(&f->tokens[close], ')')) {
        return false;
    }
    size_t open = match_back(f, close);
    if (open <= first || f->tokens[open - 1].kind != TOKEN_WORD ||
        is_word(&f->tokens[first], "typedef")) {
        return false;
    }
    *fn = (function){ first, open - 1, open, close, at, at };
    return true;
}

static void each_function(const file *f, function_fn *on_function)
{
    size_t first = 0;
    for (size_t i = 0; i < f->token_count; i++) {
        const token *t = &f->tokens[i];
        if (t->is_directive) {
            first = first == i ? i + 1 : first;
            continue;
        }
        bool is_brace = is_punct(t, '{');
        if (is_brace && is_extern_c(f, i)) {
            first = i + 1;
        } else if (is_brace || is_punct(t, ';')) {
            function fn;
            bool is_function = function_at(f, first, i, &fn);
            size_t end = is_brace ? match_forward(f, i, '{', '}') : i;
            if (is_function && end < f->token_count) {
                fn.end = end;
                on_function(f, &fn);
            }
            i = end;
            // A struct goes on to its semicolon, a function does not.
            first = is_function || !is_brace ? end + 1 : first;
        } else if (is_punct(t, '}')) {
            first = i + 1; // of extern "C"
        }
    }
}

// ---- rules

static void function_length(const file *f, const function *fn)
{
    size_t first = f->tokens[fn->first].line;
    size_t lines = f->tokens[fn->end].line - first + 1;
    if (lines > LINES_MAX) {
        const token *name = &f->tokens[fn->name];
        report(f->path, first, "%.*s has %zu lines; at most %d", (int)name->size, name->at, lines,
               LINES_MAX);
    }
}

void check_function_length(const file *f)
{
    each_function(f, function_length);
}

static void function_parameters(const file *f, const function *fn)
{
    size_t count = fn->close > fn->open + 1 ? 1 : 0;
    size_t depth = 0;
    for (size_t i = fn->open + 1; i < fn->close; i++) {
        const token *t = &f->tokens[i];
        depth += is_punct(t, '(') || is_punct(t, '{');
        depth -= is_punct(t, ')') || is_punct(t, '}');
        count += depth == 0 && is_punct(t, ',');
    }
    if (count > PARAMETERS_MAX) {
        const token *name = &f->tokens[fn->name];
        report(f->path, f->tokens[fn->first].line, "%.*s has %zu parameters; at most %d",
               (int)name->size, name->at, count, PARAMETERS_MAX);
    }
}

void check_parameters(const file *f)
{
    each_function(f, function_parameters);
}

// Does the brace at `i` open a block, and not a list of values?
static bool is_block(const file *f, size_t i, bool is_in_block)
{
    const token *last = &f->tokens[before(f, i)];
    if (is_word(last, "else") || is_word(last, "do")) {
        return true;
    }
    if (is_punct(last, ')')) { // if (x) { and FOR_EACH(x) {, but not (type){
        size_t open = match_back(f, before(f, i));
        const token *word = &f->tokens[open == 0 ? 0 : open - 1];
        return word->kind == TOKEN_WORD && !is_word(word, "return") && !is_word(word, "sizeof");
    }
    bool is_start =
        is_punct(last, '{') || is_punct(last, '}') || is_punct(last, ';') || is_punct(last, ':');
    return is_start && is_in_block;
}

static void function_nesting(const file *f, const function *fn)
{
    enum { DEPTH_MAX = 64 };
    bool is_blocks[DEPTH_MAX] = { true };
    size_t depth = 0;  // of braces within the function's own
    size_t blocks = 0; // of them
    for (size_t i = fn->body + 1; i < fn->end; i++) {
        const token *t = &f->tokens[i];
        if (t->is_directive) {
            continue;
        }
        if (is_punct(t, '{') && depth + 1 < DEPTH_MAX) {
            is_blocks[depth + 1] = is_block(f, i, is_blocks[depth]);
            depth++;
            blocks += is_blocks[depth];
            if (is_blocks[depth] && blocks == NESTING_MAX + 1) {
                report(f->path, t->line, "nested %zu levels deep; at most %d", blocks, NESTING_MAX);
            }
        } else if (is_punct(t, '}') && depth > 0) {
            blocks -= is_blocks[depth];
            depth--;
        }
    }
}

void check_nesting(const file *f)
{
    each_function(f, function_nesting);
}

static void function_braces(const file *f, const function *fn)
{
    for (size_t i = fn->body; i < fn->end; i++) {
        const token *t = &f->tokens[i];
        bool is_while = is_word(t, "while");
        size_t next = i + 1;
        if (t->is_directive) {
            continue;
        }
        if (is_word(t, "if") || is_word(t, "for") || is_while) {
            next = match_forward(f, i, '(', ')') + 1;
        } else if (!is_word(t, "else")) {
            continue;
        }
        bool is_closed = next < f->token_count && is_punct(&f->tokens[next], '{');
        bool is_chain = is_word(t, "else") && is_word(&f->tokens[next], "if");
        bool is_do =
            is_while && is_punct(&f->tokens[before(f, i)], '}') && is_punct(&f->tokens[next], ';');
        if (!is_closed && !is_chain && !is_do) {
            report(f->path, t->line, "braces after %.*s, always", (int)t->size, t->at);
        }
    }
}

void check_braces(const file *f)
{
    each_function(f, function_braces);
}
