// SPDX-License-Identifier: Apache-2.0
//
// tests/harness/kept_file.h - a file `key` in a folder of its own, kept well or badly.
//
// Life     kept_file_make -> kept_file_remove

#ifndef TESTS_HARNESS_KEPT_FILE_H
#define TESTS_HARNESS_KEPT_FILE_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness/test.h"

typedef struct kept_file {
    char folder[64];
    char path[128];
} kept_file;

// Fails the test when it cannot be made. Nobody's umask changes `mode`.
static inline void kept_file_make(kept_file *f, const char *text, mode_t mode)
{
    snprintf(f->folder, sizeof f->folder, "/tmp/posthouse-test-XXXXXX");
    EXPECT(mkdtemp(f->folder) != NULL);
    snprintf(f->path, sizeof f->path, "%s/key", f->folder);
    int fd = open(f->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    EXPECT(fd >= 0);
    EXPECT_EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    EXPECT_EQ(fchmod(fd, mode), 0);
    close(fd);
}

static inline void kept_file_remove(const kept_file *f)
{
    unlink(f->path);
    EXPECT_EQ(rmdir(f->folder), 0);
}

#endif // TESTS_HARNESS_KEPT_FILE_H
