// SPDX-License-Identifier: Apache-2.0
//
// app/body.c - what a command sends.

#include "app/body.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "app/term.h"
#include "base/assert.h"

bool body_take(const char *command_name, const args *a, size_t word, draft *out)
{
    draft_init(out);
    phi_diag diag = { { 0 } };
    if (body_read(a->word_count > word ? a->words[word] : NULL, out, &diag) == PH_OK) {
        return true;
    }
    draft_fini(out);
    term_error("%s: %s", command_name, diag.text);
    return false;
}

ph_err body_read(const char *argument, draft *out, phi_diag *diag)
{
    if (argument == NULL) {
        return PH_OK;
    }
    if (strcmp(argument, "-") == 0) {
        ph_err rc = body_read_fd(STDIN_FILENO, BODY_BYTES_MAX, out, diag);
        return rc == PH_OK ? rc : phi_diag_add(diag, rc, "standard input");
    }
    if (argument[0] != '@') {
        draft_add(out, argument);
        return PH_OK;
    }
    const char *path = argument + 1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return phi_diag_add(diag, PH_EINVAL, "cannot read %s: %s", path, strerror(errno));
    }
    ph_err rc = body_read_fd(fd, BODY_BYTES_MAX, out, diag);
    close(fd);
    return rc == PH_OK ? rc : phi_diag_add(diag, rc, "%s", path);
}

ph_err body_read_fd(int fd, size_t bytes_max, draft *out, phi_diag *diag)
{
    PH_ASSERT(fd >= 0);
    uint8_t chunk[16 * 1024];
    for (;;) {
        ssize_t got = read(fd, chunk, sizeof chunk);
        if (got == 0) {
            return PH_OK;
        }
        if (got < 0 && errno != EINTR) {
            return phi_diag_add(diag, PH_ESYSTEM, "cannot be read: %s", strerror(errno));
        }
        size_t size = got < 0 ? 0 : (size_t)got;
        if (draft_size(out) + size > bytes_max) {
            return phi_diag_add(diag, PH_ETOOLARGE, "longer than %zu bytes", bytes_max);
        }
        draft_bytes(out, phi_bytes_of(chunk, size));
    }
}
