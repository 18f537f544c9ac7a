// SPDX-License-Identifier: Apache-2.0
//
// io/file.h - small files that an operator keeps: certificates, keys, tokens. Read whole, once, and
// judged before they are believed: others may not write one; of a private one (a key, a token)
// others may not even read it, its group may not write it, and it belongs to root or to the user of
// this process. Symbolic links are followed: Kubernetes and certbot are made of them.
//
// Life     phi_file_read -> phi_file_view -> phi_file_fini, which wipes it
// Limits   what phi_file_read is told
// Threads  none

#ifndef PHI_IO_FILE_H
#define PHI_IO_FILE_H

#include <posthouse/err.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/diag.h"

typedef enum phi_file_care {
    PHI_FILE_PUBLIC, // a certificate, public keys
    PHI_FILE_PRIVATE,
} phi_file_care;

// Zeroed: nothing.
typedef struct phi_file {
    const phi_alloc *alloc; // borrowed until fini
    uint8_t *data;          // owned
    size_t size;
    size_t room;
} phi_file;

// The whole file, which is not empty. Waits for the disk, not for anybody else: a pipe or a device
// is refused.
//
// PH_EINVAL     it is no such file, or is kept badly; *diag says what to do
// PH_ETOOLARGE  more than `bytes_max`
// PH_ENOMEM
PHI_MUST_CHECK ph_err phi_file_read(phi_file *out, const phi_alloc *alloc, const char *path,
                                    phi_file_care care, size_t bytes_max, phi_diag *diag);

static inline phi_bytes phi_file_view(const phi_file *file)
{
    return phi_bytes_of(file->data, file->size);
}

// Accepts a zeroed one.
void phi_file_fini(phi_file *file);

#endif // PHI_IO_FILE_H
