// SPDX-License-Identifier: Apache-2.0
//
// tests/tidy/lex.c - cuts C into words, literals and punctuation; comments go. What stands on a
// preprocessor line is marked: it may break the structure around it.

#include "tests/tidy/tidy.h"

#include <ctype.h>
#include <string.h>

typedef struct lexer {
    file *file;
    const char *at;
    size_t line;
    bool is_directive;
    bool is_fresh; // nothing but blanks on this line so far
} lexer;

static void newline(lexer *l)
{
    bool goes_on = l->at > l->file->text && l->at[-1] == '\\';
    l->line++;
    l->is_directive = l->is_directive && goes_on;
    l->is_fresh = true;
}

static void skip_block_comment(lexer *l)
{
    l->at += 2;
    while (*l->at != '\0' && !(l->at[0] == '*' && l->at[1] == '/')) {
        if (*l->at == '\n') {
            l->line++;
        }
        l->at++;
    }
    l->at += *l->at == '\0' ? 0 : 2;
}

static size_t literal_size(const char *at)
{
    char quote = *at;
    size_t size = 1;
    while (at[size] != '\0' && at[size] != quote && at[size] != '\n') {
        size += at[size] == '\\' && at[size + 1] != '\0' ? 2 : 1;
    }
    return at[size] == quote ? size + 1 : size;
}

static void add(lexer *l, token_kind kind, size_t size)
{
    file *f = l->file;
    f->tokens = grow(f->tokens, f->token_count, sizeof f->tokens[0]);
    f->tokens[f->token_count++] = (token){
        .kind = kind,
        .at = l->at,
        .size = size,
        .line = l->line,
        .is_arrow = kind == TOKEN_PUNCT && size == 2,
        .is_directive = l->is_directive,
    };
    l->at += size;
    l->is_fresh = false;
}

static void next(lexer *l)
{
    char c = *l->at;
    if (c == '\n') {
        newline(l);
        l->at++;
    } else if (isspace((unsigned char)c)) {
        l->at++;
    } else if (c == '/' && l->at[1] == '/') {
        l->at += strcspn(l->at, "\n");
    } else if (c == '/' && l->at[1] == '*') {
        skip_block_comment(l);
    } else if (c == '"' || c == '\'') {
        add(l, TOKEN_LITERAL, literal_size(l->at));
    } else if (isalpha((unsigned char)c) || c == '_') {
        size_t size = 1;
        while (isalnum((unsigned char)l->at[size]) || l->at[size] == '_') {
            size++;
        }
        add(l, TOKEN_WORD, size);
    } else if (isdigit((unsigned char)c)) {
        size_t size = 1;
        while (isalnum((unsigned char)l->at[size]) || strchr("._'", l->at[size]) != NULL) {
            if (l->at[size] == '\0') {
                break;
            }
            size++;
        }
        add(l, TOKEN_LITERAL, size);
    } else {
        l->is_directive = l->is_directive || (c == '#' && l->is_fresh);
        add(l, TOKEN_PUNCT, c == '-' && l->at[1] == '>' ? 2 : 1);
    }
}

void lex(file *f)
{
    lexer l = { .file = f, .at = f->text, .line = 1, .is_fresh = true };
    while (*l.at != '\0') {
        next(&l);
    }
}
