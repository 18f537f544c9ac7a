// SPDX-License-Identifier: Apache-2.0

#include "io/tls_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/uv.h"
#include "tests/harness/test.h"
#include "tests/io/tls_fixture.h"

// A folder with an authority, and two who have certificates of it.
typedef struct desk {
    phi_alloc_counter memory;
    phi_uv *uv;
    phi_io *io;
    fixture_issued *authority;
    fixture_issued *a;
    fixture_issued *b;
    char folder[40];
    char authorities[64];
    char certificate[64];
    char key[64];
    phi_tls_files files;
    phi_diag diag;
} desk;

static void put(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    EXPECT_EQ(fclose(file), 0);
    EXPECT_EQ(chmod(path, mode), 0);
}

static void put_own(desk *d, const fixture_issued *own)
{
    put(d->certificate, own->certificate_pem, 0644);
    put(d->key, own->key_pem, 0600);
}

static void begin(desk *d)
{
    *d = (desk){ .folder = "/tmp/posthouse-tls-XXXXXX" };
    assert_non_null(mkdtemp(d->folder));
    snprintf(d->authorities, sizeof d->authorities, "%s/ca", d->folder);
    snprintf(d->certificate, sizeof d->certificate, "%s/certificate", d->folder);
    snprintf(d->key, sizeof d->key, "%s/key", d->folder);
    d->authority = fixture_authority();
    d->a = fixture_issue_for(d->authority, "URI:posthouse://home/a");
    d->b = fixture_issue_for(d->authority, "URI:posthouse://home/b");
    put(d->authorities, d->authority->certificate_pem, 0644);
    put_own(d, d->a);
    phi_alloc_counter_init(&d->memory, &phi_alloc_heap);
    EXPECT_ERR(phi_uv_new(&d->uv, &d->memory.alloc, NULL), PH_OK);
    d->io = phi_uv_io(d->uv);
    d->files = (phi_tls_files){ d->authorities, d->certificate, d->key, false, NULL };
}

static void end(desk *d)
{
    phi_io_tls_drop(d->io, &d->files);
    EXPECT(d->files.tls == NULL);
    phi_uv_free(&d->uv);
    EXPECT_EQ(d->memory.blocks, 0);
    fixture_issued_free(&d->authority);
    fixture_issued_free(&d->a);
    fixture_issued_free(&d->b);
    unlink(d->authorities);
    unlink(d->certificate);
    unlink(d->key);
    EXPECT_EQ(rmdir(d->folder), 0);
}

// A thousand clients of one process with the same files must not have a thousand stores of CAs; and
// each must be free to go.
TEST(tls_files, same_contents_are_one_for_all_on_a_loop)
{
    desk d;
    begin(&d);
    phi_tls_files other = d.files;
    EXPECT_ERR(phi_io_tls_load(d.io, &d.files, &d.diag), PH_OK);
    EXPECT_ERR(phi_io_tls_load(d.io, &other, &d.diag), PH_OK);
    EXPECT(d.files.tls != NULL);
    EXPECT(other.tls == d.files.tls);
    const phi_tls *first = d.files.tls;
    put_own(&d, d.a); // written again, with the same in them
    EXPECT_ERR(phi_io_tls_load(d.io, &d.files, &d.diag), PH_OK);
    EXPECT(d.files.tls == first);
    phi_io_tls_drop(d.io, &other);
    EXPECT(other.tls == NULL);
    EXPECT_ERR(phi_io_tls_load(d.io, &d.files, &d.diag), PH_OK);
    EXPECT(d.files.tls == first);
    end(&d);
}

// What took a file's place is what counts, also when it is of the same size and second.
TEST(tls_files, what_was_replaced_is_read)
{
    desk d;
    begin(&d);
    EXPECT_ERR(phi_io_tls_load(d.io, &d.files, &d.diag), PH_OK);
    phi_tls_files other = d.files;
    other.tls = NULL;
    EXPECT_ERR(phi_io_tls_load(d.io, &other, &d.diag), PH_OK);
    const phi_tls *first = d.files.tls;
    put_own(&d, d.b);
    EXPECT_ERR(phi_io_tls_load(d.io, &d.files, &d.diag), PH_OK);
    EXPECT(d.files.tls != first);
    EXPECT(other.tls == first); // until it looks, too
    EXPECT_ERR(phi_io_tls_load(d.io, &other, &d.diag), PH_OK);
    EXPECT(other.tls == d.files.tls);
    other.allows_tls12 = true; // is not the same
    EXPECT_ERR(phi_io_tls_load(d.io, &other, &d.diag), PH_OK);
    EXPECT(other.tls != d.files.tls);
    phi_io_tls_drop(d.io, &other);
    end(&d);
}

// Of a rotation that is half done, of a key that lies open, of a file that is not there, people are
// told which file it is and what to do, and what was there before stays.
TEST(tls_files, what_cannot_be_used_is_told_with_its_file)
{
    desk d;
    begin(&d);
    EXPECT_ERR(phi_io_tls_load(d.io, &d.files, &d.diag), PH_OK);
    const phi_tls *first = d.files.tls;
    put(d.certificate, d.b->certificate_pem, 0644);
    EXPECT_ERR(phi_io_tls_load(d.io, &d.files, &d.diag), PH_EINVAL);
    EXPECT(strncmp(d.diag.text, d.key, strlen(d.key)) == 0);
    EXPECT(strstr(d.diag.text, "does not belong to the certificate") != NULL);
    EXPECT(d.files.tls == first);

    d.diag.text[0] = '\0';
    put(d.certificate, "-----BEGIN CERTIFICATE-----\n", 0644);
    EXPECT_ERR(phi_io_tls_load(d.io, &d.files, &d.diag), PH_EINVAL);
    EXPECT(strncmp(d.diag.text, d.certificate, strlen(d.certificate)) == 0);

    d.diag.text[0] = '\0';
    put_own(&d, d.b);
    EXPECT_EQ(chmod(d.key, 0644), 0);
    EXPECT_ERR(phi_io_tls_load(d.io, &d.files, &d.diag), PH_EINVAL);
    EXPECT(strstr(d.diag.text, "chmod 640 ") != NULL);

    d.diag.text[0] = '\0';
    EXPECT_EQ(unlink(d.authorities), 0);
    EXPECT_ERR(phi_io_tls_load(d.io, &d.files, &d.diag), PH_EINVAL);
    EXPECT(strstr(d.diag.text, d.authorities) != NULL);
    EXPECT(d.files.tls == first);
    end(&d);
}

// Without files, the system's CAs are believed; there may be none of its own.
TEST(tls_files, none_are_the_systems)
{
    desk d;
    begin(&d);
    d.files = (phi_tls_files){ .authorities = NULL };
    EXPECT_ERR(phi_io_tls_load(d.io, &d.files, &d.diag), PH_OK);
    EXPECT(d.files.tls != NULL);
    end(&d);
}

// Whichever allocation fails, nothing is lost and nothing is kept.
TEST(tls_files, nth_allocation_failing_ends_clean)
{
    for (size_t n = 1;; n++) {
        desk d;
        begin(&d);
        d.memory.fail_at = d.memory.takes + n;
        ph_err rc = phi_io_tls_load(d.io, &d.files, &d.diag);
        EXPECT(rc == PH_OK || rc == PH_ENOMEM);
        EXPECT((d.files.tls != NULL) == (rc == PH_OK));
        bool is_done = d.memory.takes < d.memory.fail_at;
        d.memory.fail_at = 0;
        end(&d);
        if (is_done) {
            EXPECT(n > 3);
            return;
        }
    }
}
