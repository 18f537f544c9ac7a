// SPDX-License-Identifier: Apache-2.0
//
// app/term.c - standard output and standard error.

#include "app/term.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"

#define LINE_BYTES 4096

static int level = 1;
static int print_error; // errno of the first write that failed

static void say(const char *label, bool is_error, const char *format, va_list args);

bool term_is_terminal(int fd)
{
    return isatty(fd) == 1;
}

term_style term_style_of(int fd)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    bool is_plain = (no_color != NULL && *no_color != '\0') || !term_is_terminal(fd) ||
                    (term != NULL && strcmp(term, "dumb") == 0);
    if (is_plain) {
        return (term_style){ "", "", "", "", "", "" };
    }
    return (term_style){ "\033[1m", "\033[2m", "\033[31m", "\033[32m", "\033[33m", "\033[0m" };
}

void term_set_level(int l)
{
    PH_ASSERT(l >= 0);
    level = l;
}

void term_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("posthouse: ", /* is_error= */ true, format, args);
    va_end(args);
}

void term_hint(const char *format, ...)
{
    if (level < 1) {
        return;
    }
    va_list args;
    va_start(args, format);
    say("  ", /* is_error= */ false, format, args);
    va_end(args);
}

void term_note(const char *format, ...)
{
    if (level < 1) {
        return;
    }
    va_list args;
    va_start(args, format);
    say("", /* is_error= */ false, format, args);
    va_end(args);
}

void term_detail(const char *format, ...)
{
    if (level < 2) {
        return;
    }
    va_list args;
    va_start(args, format);
    say("", /* is_error= */ false, format, args);
    va_end(args);
}

bool term_print(draft *t)
{
    phi_bytes left = draft_view(t);
    while (left.size != 0 && print_error == 0) {
        ssize_t written = write(STDOUT_FILENO, left.data, left.size);
        if (written < 0 && errno != EINTR) {
            print_error = errno;
        } else if (written > 0) {
            left.data += written;
            left.size -= (size_t)written;
        }
    }
    if (t->is_cut && print_error == 0) {
        print_error = ENOMEM;
    }
    draft_clear(t);
    return print_error == 0;
}

int term_finish(int status)
{
    if (print_error == 0 || print_error == EPIPE) {
        return status;
    }
    term_error("cannot write to standard output: %s", strerror(print_error));
    return status == 0 ? 1 : status;
}

// One write per message, so that messages of several processes do not mix within a line. Arguments
// may hold what peers or files said: only harmless characters get through.
static void say(const char *label, bool is_error, const char *format, va_list args)
{
    char line[LINE_BYTES];
    int size = vsnprintf(line, sizeof line, format, args);
    if (size < 0) {
        return;
    }
    size_t used = (size_t)size < sizeof line ? (size_t)size : sizeof line - 1;
    term_style style = term_style_of(STDERR_FILENO);
    bool is_dim = *label == '\0'; // what happens, beside what the user asked for
    const char *colour = is_dim ? style.dim : is_error ? style.red : "";
    draft t;
    draft_init(&t);
    draft_add(&t, colour);
    draft_add(&t, label);
    draft_add(&t, is_dim ? "" : style.reset);
    draft_printable(&t, phi_bytes_of(line, used));
    draft_add(&t, is_dim ? style.reset : "");
    draft_add(&t, "\n");
    phi_bytes out = draft_view(&t);
    ssize_t ignored = write(STDERR_FILENO, out.data, out.size);
    (void)ignored; // there is nowhere left to complain
    draft_fini(&t);
}
