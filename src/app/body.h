// SPDX-License-Identifier: Apache-2.0
//
// app/body.h - what a command sends: the text of an argument, standard input for "-", or a file for
// "@PATH".

#ifndef APP_BODY_H
#define APP_BODY_H

#include "app/command.h"
#include "app/draft.h"
#include "base/diag.h"

#define BODY_BYTES_MAX (16u * 1024u * 1024u) // as a center's message_max; so that /dev/zero ends

// `argument` may be NULL: empty. Appends to `out`.
//
// PH_EINVAL     it cannot be read; *diag says why
// PH_ETOOLARGE  longer than BODY_BYTES_MAX
PHI_MUST_CHECK ph_err body_read(const char *argument, draft *out, phi_diag *diag);

// Makes *out of the word with that number, which may be absent. False, nothing made, and it was
// said why.
bool body_take(const char *command_name, const args *a, size_t word, draft *out);

// The whole of a descriptor, or as much of it as fits `bytes_max`.
//
// PH_ESYSTEM    read failed
// PH_ETOOLARGE  there is more
PHI_MUST_CHECK ph_err body_read_fd(int fd, size_t bytes_max, draft *out, phi_diag *diag);

#endif // APP_BODY_H
