// SPDX-License-Identifier: Apache-2.0
//
// app/new_file.c - see new_file.h.

#include "app/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool write_all(int fd, phi_bytes bytes);

ph_err new_file_write(const char *path, mode_t mode, phi_bytes bytes, phi_diag *diag)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0 && errno == EEXIST) {
        return phi_diag_add(diag, PH_EINVAL, "%s: there is one already, and it stays", path);
    }
    if (fd < 0) {
        return phi_diag_add(diag, PH_ESYSTEM, "%s: %s", path, strerror(errno));
    }
    int error = write_all(fd, bytes) ? 0 : errno;
    if (close(fd) != 0 && error == 0) {
        error = errno;
    }
    if (error != 0) {
        (void)unlink(path);
        return phi_diag_add(diag, PH_ESYSTEM, "%s: %s", path, strerror(error));
    }
    return PH_OK;
}

// On disk when it returns true: a key that a certificate was made for must not be gone.
static bool write_all(int fd, phi_bytes bytes)
{
    while (bytes.size != 0) {
        ssize_t written = write(fd, bytes.data, bytes.size);
        if (written < 0 && errno != EINTR) {
            return false;
        }
        if (written > 0) {
            bytes = phi_bytes_of(bytes.data + written, bytes.size - (size_t)written);
        }
    }
    return fsync(fd) == 0;
}
