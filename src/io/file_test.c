// SPDX-License-Identifier: Apache-2.0

#include "io/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness/kept_file.h"
#include "tests/harness/test.h"

#define PLANTED "planted-2b7e151628aed2a6"

static kept_file kept;

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
        kept_file_make(&kept, PLANTED, rows[i].mode);
        phi_file file = { 0 };
        phi_diag diag = { "" };
        ph_err rc = phi_file_read(&file, &phi_alloc_heap, kept.path, rows[i].care, 100, &diag);
        EXPECT_ERR(rc, rows[i].says == NULL ? PH_OK : PH_EINVAL);
        if (rc == PH_OK) {
            phi_bytes view = phi_file_view(&file);
            EXPECT(view.size == strlen(PLANTED) && memcmp(view.data, PLANTED, view.size) == 0);
        } else if (strstr(diag.text, rows[i].says) == NULL ||
                   strstr(diag.text, kept.path) == NULL || strstr(diag.text, PLANTED) != NULL) {
            fail_msg("mode %o: %s", (unsigned)rows[i].mode, diag.text);
        }
        phi_file_fini(&file);
        kept_file_remove(&kept);
    }
}

// A program must neither hang on what is no file nor fill its memory from it.
TEST(file, what_is_no_file_or_too_long_is_refused)
{
    kept_file_make(&kept, PLANTED, 0600);
    phi_file file = { 0 };
    phi_diag diag = { "" };
    const phi_alloc *heap = &phi_alloc_heap;
    const char *others[] = { kept.folder, "/dev/zero", "/nonexistent/file", "" };
    for (size_t i = 0; i < PHI_COUNT_OF(others); i++) {
        EXPECT_ERR(phi_file_read(&file, heap, others[i], PHI_FILE_PUBLIC, 100, &diag), PH_EINVAL);
    }
    size_t size = strlen(PLANTED);
    EXPECT_ERR(phi_file_read(&file, heap, kept.path, PHI_FILE_PUBLIC, size - 1, &diag),
               PH_ETOOLARGE);
    EXPECT(file.data == NULL);
    EXPECT_EQ(truncate(kept.path, 0), 0);
    EXPECT_ERR(phi_file_read(&file, heap, kept.path, PHI_FILE_PUBLIC, size, &diag), PH_EINVAL);
    EXPECT(strstr(diag.text, "is empty") != NULL);
    kept_file_remove(&kept);
    char fifo[128];
    snprintf(kept.folder, sizeof kept.folder, "/tmp/posthouse-file-XXXXXX");
    EXPECT(mkdtemp(kept.folder) != NULL);
    snprintf(fifo, sizeof fifo, "%s/fifo", kept.folder);
    EXPECT_EQ(mkfifo(fifo, 0600), 0);
    EXPECT_ERR(phi_file_read(&file, heap, fifo, PHI_FILE_PRIVATE, 100, &diag), PH_EINVAL);
    unlink(fifo);
    rmdir(kept.folder);
}

// Memory that is not there is an error like any other, and nothing is kept.
TEST(file, no_memory_is_told)
{
    kept_file_make(&kept, PLANTED, 0600);
    phi_alloc_counter memory;
    phi_alloc_counter_init(&memory, &phi_alloc_heap);
    memory.fail_at = 1;
    phi_file file = { 0 };
    EXPECT_ERR(phi_file_read(&file, &memory.alloc, kept.path, PHI_FILE_PRIVATE, 100, NULL),
               PH_ENOMEM);
    EXPECT_ERR(phi_file_read(&file, &memory.alloc, kept.path, PHI_FILE_PRIVATE, 100, NULL), PH_OK);
    phi_file_fini(&file);
    phi_file_fini(&file);
    EXPECT_EQ(memory.bytes, 0);
    kept_file_remove(&kept);
}
