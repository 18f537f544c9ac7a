// SPDX-License-Identifier: Apache-2.0

#include "io/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness/test.h"

#define PLANTED "planted-2b7e151628aed2a6"

static char folder[64];
static char path[128];

static void begin(const char *text, mode_t mode)
{
    snprintf(folder, sizeof folder, "/tmp/posthouse-file-XXXXXX");
    EXPECT(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/key", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    EXPECT(fd >= 0);
    EXPECT_EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    EXPECT_EQ(fchmod(fd, mode), 0);
    close(fd);
}

static void end(void)
{
    unlink(path);
    EXPECT_EQ(rmdir(folder), 0);
}

// A key that others can read is no secret any more; one that others can write is theirs. What is
// wrong, and how it is mended, is said; what stands in the file is not.
TEST(file, modes_decide_whether_it_is_believed)
{
    static const struct {
        mode_t mode;
        phi_file_care care;
        const char *says; // NULL: it is read
    } rows[] = {
        { 0600, PHI_FILE_PRIVATE, NULL },        { 0400, PHI_FILE_PRIVATE, NULL },
        { 0640, PHI_FILE_PRIVATE, NULL },        { 0644, PHI_FILE_PRIVATE, "chmod 640" },
        { 0641, PHI_FILE_PRIVATE, "chmod 640" }, { 0660, PHI_FILE_PRIVATE, "group may write" },
        { 0602, PHI_FILE_PRIVATE, "may write" }, { 0644, PHI_FILE_PUBLIC, NULL },
        { 0664, PHI_FILE_PUBLIC, NULL },         { 0666, PHI_FILE_PUBLIC, "chmod 644" },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(rows); i++) {
        begin(PLANTED, rows[i].mode);
        phi_file file = { 0 };
        phi_diag diag = { "" };
        ph_err rc = phi_file_read(&file, &phi_alloc_heap, path, rows[i].care, 100, &diag);
        EXPECT_ERR(rc, rows[i].says == NULL ? PH_OK : PH_EINVAL);
        if (rc == PH_OK) {
            phi_bytes view = phi_file_view(&file);
            EXPECT(view.size == strlen(PLANTED) && memcmp(view.data, PLANTED, view.size) == 0);
        } else if (strstr(diag.text, rows[i].says) == NULL || strstr(diag.text, path) == NULL ||
                   strstr(diag.text, PLANTED) != NULL) {
            fail_msg("mode %o: %s", (unsigned)rows[i].mode, diag.text);
        }
        phi_file_fini(&file);
        end();
    }
}

// A program must neither hang on what is no file nor fill its memory from it.
TEST(file, what_is_no_file_or_too_long_is_refused)
{
    begin(PLANTED, 0600);
    phi_file file = { 0 };
    phi_diag diag = { "" };
    const phi_alloc *heap = &phi_alloc_heap;
    const char *others[] = { folder, "/dev/zero", "/nonexistent/file", "" };
    for (size_t i = 0; i < PHI_COUNT_OF(others); i++) {
        EXPECT_ERR(phi_file_read(&file, heap, others[i], PHI_FILE_PUBLIC, 100, &diag), PH_EINVAL);
    }
    size_t size = strlen(PLANTED);
    EXPECT_ERR(phi_file_read(&file, heap, path, PHI_FILE_PUBLIC, size - 1, &diag), PH_ETOOLARGE);
    EXPECT(file.data == NULL);
    EXPECT_EQ(truncate(path, 0), 0);
    EXPECT_ERR(phi_file_read(&file, heap, path, PHI_FILE_PUBLIC, size, &diag), PH_EINVAL);
    EXPECT(strstr(diag.text, "is empty") != NULL);
    end();
    char fifo[128];
    snprintf(folder, sizeof folder, "/tmp/posthouse-file-XXXXXX");
    EXPECT(mkdtemp(folder) != NULL);
    snprintf(fifo, sizeof fifo, "%s/fifo", folder);
    EXPECT_EQ(mkfifo(fifo, 0600), 0);
    EXPECT_ERR(phi_file_read(&file, heap, fifo, PHI_FILE_PRIVATE, 100, &diag), PH_EINVAL);
    unlink(fifo);
    rmdir(folder);
}

// Memory that is not there is an error like any other, and nothing is kept.
TEST(file, no_memory_is_told)
{
    begin(PLANTED, 0600);
    phi_alloc_counter memory;
    phi_alloc_counter_init(&memory, &phi_alloc_heap);
    memory.fail_at = 1;
    phi_file file = { 0 };
    EXPECT_ERR(phi_file_read(&file, &memory.alloc, path, PHI_FILE_PRIVATE, 100, NULL), PH_ENOMEM);
    EXPECT_ERR(phi_file_read(&file, &memory.alloc, path, PHI_FILE_PRIVATE, 100, NULL), PH_OK);
    phi_file_fini(&file);
    phi_file_fini(&file);
    EXPECT_EQ(memory.bytes, 0);
    end();
}
