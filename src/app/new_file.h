// SPDX-License-Identifier: Apache-2.0
//
// app/new_file.h - a file that is made whole, and never over another: of keys, and what is renamed
// over its place then.

#ifndef APP_NEW_FILE_H
#define APP_NEW_FILE_H

#include <sys/types.h>

#include <posthouse/err.h>

#include "base/bytes.h"
#include "base/diag.h"

// With that mode from its first byte; on disk when it returns PH_OK, and not there otherwise.
//
// PH_EINVAL   there is one already, and it stays
// PH_ESYSTEM
PHI_MUST_CHECK ph_err new_file_write(const char *path, mode_t mode, phi_bytes bytes,
                                     phi_diag *diag);

#endif // APP_NEW_FILE_H
