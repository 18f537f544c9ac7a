// SPDX-License-Identifier: Apache-2.0
//
// io/tls_files.h - the credentials of one who connects, as they stand in files that somebody may
// replace at any time. They are read before each connection; what is made of them is kept as long
// as they say the same, and shared by all on a loop that have the same.
//
// Life     fill in -> (phi_io_tls_load -> connect with `tls`)* -> phi_io_tls_drop
// Threads  none: belongs to the io that it is loaded on

#ifndef PHI_IO_TLS_FILES_H
#define PHI_IO_TLS_FILES_H

#include "io/io.h"

struct phi_tls_files {
    // Paths of PEM files; borrowed.
    const char *authorities; // NULL: the CAs of the system
    const char *certificate; // NULL: none
    const char *key;         // of that; NULL without it
    bool allows_tls12;
    phi_tls *tls; // what the last load made of them; NULL: nothing yet
};

// Reads the files; `tls` is theirs when this succeeds, and as it was when not. Waits for the disk.
//
// PH_EINVAL, PH_ETOOLARGE   a file cannot be read, is kept badly, or cannot be used, or they do not
//                           fit together; or this io has no TLS. *diag says what to do
// PH_ENOMEM
static inline PHI_MUST_CHECK ph_err phi_io_tls_load(phi_io *io, phi_tls_files *files,
                                                    phi_diag *diag)
{
    if (io->ops->tls_load == NULL) {
        return phi_diag_add(diag, PH_EINVAL, "there is no TLS here");
    }
    return io->ops->tls_load(io, files, diag);
}

// Gives `tls` back; connections keep what they need of it. Accepts what was never loaded.
static inline void phi_io_tls_drop(phi_io *io, phi_tls_files *files)
{
    if (files->tls != NULL) {
        io->ops->tls_drop(io, files);
    }
}

#endif // PHI_IO_TLS_FILES_H
