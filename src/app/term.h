// SPDX-License-Identifier: Apache-2.0
//
// app/term.h - the two streams a command talks to: results to standard output, messages to standard
// error; colours only on a terminal, and not when NO_COLOR is set.

#ifndef APP_TERM_H
#define APP_TERM_H

#include "app/draft.h"
#include "base/compiler.h"

// Escape sequences, or "" for all where there is to be no colour.
typedef struct term_style {
    const char *bold;
    const char *dim;
    const char *red;
    const char *green;
    const char *yellow;
    const char *reset;
} term_style;

// `fd` 1 or 2.
term_style term_style_of(int fd);
bool term_is_terminal(int fd);

// 0 quiet, 1 normal, 2 verbose.
void term_set_level(int level);

// To standard error with the program's name in front: what went wrong. Also when quiet.
PHI_PRINTF(1, 2) void term_error(const char *format, ...);
// What helps to go on. Not when quiet.
PHI_PRINTF(1, 2) void term_hint(const char *format, ...);
// What happens. Not when quiet.
PHI_PRINTF(1, 2) void term_note(const char *format, ...);
// Only when verbose.
PHI_PRINTF(1, 2) void term_detail(const char *format, ...);

// Writes `t` to standard output and clears it. False when it cannot be written any more: the reader
// is gone, or the disk is full. Then a command that goes on for ever should end.
bool term_print(draft *t);

// For the end of the program: the status, or 1 when something that was printed got lost. A reader
// that had enough (EPIPE) is no failure.
int term_finish(int status);

#endif // APP_TERM_H
