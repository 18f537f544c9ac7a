// SPDX-License-Identifier: Apache-2.0
//
// base/shell.h - words of commands that people are told to type: a path may have spaces, and worse.
//
// Threads  none

#ifndef PHI_BASE_SHELL_H
#define PHI_BASE_SHELL_H

#include <stdbool.h>
#include <stddef.h>

// Longer paths than those of any file that can be opened; see phi_shell_word.
#define PHI_SHELL_WORD_BYTES_MAX 1024u

// A shell takes it as it is.
bool phi_shell_is_plain(const char *chars);

// `chars` as one word of a shell: itself, or in quotes, in `room`. What does not fit there is
// returned as it is: nobody types that.
const char *phi_shell_word(const char *chars, char *room, size_t size);

#endif // PHI_BASE_SHELL_H
