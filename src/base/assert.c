// SPDX-License-Identifier: Apache-2.0
//
// base/assert.c - the end of a process that found a bug in itself.
//
// Nothing here allocates or takes a lock of stdio: the heap may be what is broken.

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MESSAGE_BYTES_MAX 1024

// Of the loop that runs on this thread.
static _Thread_local const char *note;

void phi_assert_note(const char *text)
{
    note = text;
}

void phi_assert_fail(const char *file, int line, const char *what)
{
    char message[MESSAGE_BYTES_MAX];
    int size = snprintf(message, sizeof message, "%s:%d: assertion failed: %s\n%s%s", file, line,
                        what, note == NULL ? "" : note, note == NULL ? "" : "\n");
    if (size > 0) {
        size_t left = (size_t)size < sizeof message ? (size_t)size : sizeof message - 1;
        // The process ends with the next line; there is nobody to tell that this failed.
        ssize_t written = write(STDERR_FILENO, message, left);
        (void)written;
    }
    abort();
}
