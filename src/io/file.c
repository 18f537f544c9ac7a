// SPDX-License-Identifier: Apache-2.0
//
// io/file.c - see file.h.
//
// Design notes
// - A file is opened first and judged by its descriptor: what is judged is what is read.
// - It is read into one piece of memory of its size, so that no growing buffer leaves copies
//   behind.
// - A pipe or device is refused before anything is read: it could block, or never end.

#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/shell.h"

static ph_err judge(const char *path, phi_file_care care, size_t bytes_max,
                    const struct stat *found, phi_diag *diag);
static ph_err judge_private(const char *path, const struct stat *found, phi_diag *diag);
static ph_err read_all(phi_file *file, int fd, const char *path, phi_diag *diag);

ph_err phi_file_read(phi_file *out, const phi_alloc *alloc, const char *path, phi_file_care care,
                     size_t bytes_max, phi_diag *diag)
{
    PH_ASSERT(out != NULL);
    PH_ASSERT(path != NULL);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        return phi_diag_add(diag, PH_EINVAL, "cannot read %s: %s", path, strerror(errno));
    }
    struct stat found;
    ph_err rc = PH_OK;
    if (fstat(fd, &found) != 0) {
        rc = phi_diag_add(diag, PH_EINVAL, "cannot read %s: %s", path, strerror(errno));
    }
    if (rc == PH_OK) {
        rc = judge(path, care, bytes_max, &found, diag);
    }
    if (rc == PH_OK) {
        phi_file file = { .alloc = alloc, .room = (size_t)found.st_size };
        rc = read_all(&file, fd, path, diag);
        if (rc == PH_OK) {
            *out = file;
        }
    }
    close(fd);
    return rc;
}

void phi_file_fini(phi_file *file)
{
    if (file->data != NULL) {
        explicit_bzero(file->data, file->room);
        phi_give(file->alloc, file->data, file->room);
    }
    *file = (phi_file){ 0 };
}

static ph_err judge(const char *path, phi_file_care care, size_t bytes_max,
                    const struct stat *found, phi_diag *diag)
{
    if (!S_ISREG(found->st_mode)) {
        return phi_diag_add(diag, PH_EINVAL, "%s is no regular file", path);
    }
    if ((found->st_mode & S_IWOTH) != 0) {
        char word[PHI_SHELL_WORD_BYTES_MAX];
        return phi_diag_add(diag, PH_EINVAL, "everybody may write %s: chmod %s %s", path,
                            care == PHI_FILE_PRIVATE ? "640" : "644",
                            phi_shell_word(path, word, sizeof word));
    }
    if (care == PHI_FILE_PRIVATE) {
        ph_err rc = judge_private(path, found, diag);
        if (rc != PH_OK) {
            return rc;
        }
    }
    if (found->st_size == 0) {
        return phi_diag_add(diag, PH_EINVAL, "%s is empty", path);
    }
    if ((uint64_t)found->st_size > bytes_max) {
        return phi_diag_add(diag, PH_ETOOLARGE, "%s is longer than %zu bytes", path, bytes_max);
    }
    return PH_OK;
}

static ph_err judge_private(const char *path, const struct stat *found, phi_diag *diag)
{
    char room[PHI_SHELL_WORD_BYTES_MAX];
    const char *word = phi_shell_word(path, room, sizeof room);
    if (found->st_uid != 0 && found->st_uid != geteuid()) {
        return phi_diag_add(diag, PH_EINVAL,
                            "%s belongs to user %u, neither to root nor to the user of this "
                            "process: chown %u %s",
                            path, (unsigned)found->st_uid, (unsigned)geteuid(), word);
    }
    if ((found->st_mode & S_IRWXO) != 0) {
        return phi_diag_add(diag, PH_EINVAL, "everybody may read %s: chmod 640 %s", path, word);
    }
    if ((found->st_mode & S_IWGRP) != 0) {
        return phi_diag_add(diag, PH_EINVAL, "its group may write %s: chmod 640 %s", path, word);
    }
    return PH_OK;
}

// A file that grows meanwhile is taken as it was; whoever watches it sees the change.
static ph_err read_all(phi_file *file, int fd, const char *path, phi_diag *diag)
{
    file->data = phi_take(file->alloc, file->room);
    if (file->data == NULL) {
        return phi_diag_add(diag, PH_ENOMEM, "read %s", path);
    }
    while (file->size < file->room) {
        ssize_t got = read(fd, file->data + file->size, file->room - file->size);
        if (got == 0) {
            break;
        }
        if (got < 0 && errno != EINTR) {
            int error = errno;
            phi_file_fini(file);
            return phi_diag_add(diag, PH_EINVAL, "cannot read %s: %s", path, strerror(error));
        }
        file->size += got < 0 ? 0 : (size_t)got;
    }
    return PH_OK;
}
