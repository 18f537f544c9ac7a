// SPDX-License-Identifier: Apache-2.0
//
// app/secret_test.c - files that hold secrets, kept well and badly.

#include "app/secret.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/compiler.h"
#include "tests/harness/kept_file.h"
#include "tests/harness/test.h"

#define PLANTED "planted-b7e151628aed2a6abf7158809cf4f3c7"

static kept_file kept;

// A key that others can read is no secret any more; one that others can write is theirs.
TEST(secret, modes_decide_who_is_believed)
{
    static const struct {
        mode_t mode;
        secret_care care;
        const char *says; // NULL: it is read
    } rows[] = {
        { 0600, SECRET_PRIVATE, NULL },        { 0400, SECRET_PRIVATE, NULL },
        { 0640, SECRET_PRIVATE, NULL },        { 0440, SECRET_PRIVATE, NULL },
        { 0644, SECRET_PRIVATE, "chmod 640" }, { 0604, SECRET_PRIVATE, "chmod 640" },
        { 0641, SECRET_PRIVATE, "chmod 640" }, { 0660, SECRET_PRIVATE, "group may write" },
        { 0602, SECRET_PRIVATE, "may write" }, { 0644, SECRET_PUBLIC, NULL },
        { 0664, SECRET_PUBLIC, NULL },         { 0666, SECRET_PUBLIC, "chmod 644" },
        { 0666, SECRET_PRIVATE, "may write" },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(rows); i++) {
        kept_file_make(&kept, PLANTED, rows[i].mode);
        secret s = { 0 };
        phi_diag diag = { { 0 } };
        ph_err rc = secret_read_file(kept.path, rows[i].care, 100, &s, &diag);
        if (rows[i].says == NULL) {
            EXPECT_ERR(rc, PH_OK);
            EXPECT_EQ(s.size, strlen(PLANTED));
        } else {
            EXPECT_ERR(rc, PH_EINVAL);
            EXPECT(s.data == NULL);
            if (strstr(diag.text, rows[i].says) == NULL || strstr(diag.text, kept.path) == NULL) {
                fail_msg("mode %o: %s", (unsigned)rows[i].mode, diag.text);
            }
        }
        EXPECT(strstr(diag.text, PLANTED) == NULL);
        secret_fini(&s);
        EXPECT(s.data == NULL);
        kept_file_remove(&kept);
    }
}

// A pipe would block the start, a folder or nothing is a mistake in the path.
TEST(secret, only_regular_files_are_read)
{
    kept_file_make(&kept, PLANTED, 0600);
    secret s = { 0 };
    phi_diag diag = { { 0 } };
    EXPECT_ERR(secret_read_file(kept.folder, SECRET_PUBLIC, 100, &s, &diag), PH_EINVAL);
    EXPECT(strstr(diag.text, "no regular file") != NULL);
    unlink(kept.path);
    EXPECT_ERR(secret_read_file(kept.path, SECRET_PUBLIC, 100, &s, &diag), PH_EINVAL);
    EXPECT_EQ(mkfifo(kept.path, 0600), 0);
    EXPECT_ERR(secret_read_file(kept.path, SECRET_PUBLIC, 100, &s, &diag), PH_EINVAL);
    EXPECT_ERR(secret_read_file("/dev/zero", SECRET_PUBLIC, 100, &s, &diag), PH_EINVAL);
    kept_file_remove(&kept);
    kept_file_make(&kept, "", 0600);
    EXPECT_ERR(secret_read_file(kept.path, SECRET_PUBLIC, 100, &s, &diag), PH_EINVAL);
    kept_file_remove(&kept);
    kept_file_make(&kept, PLANTED, 0600);
    EXPECT_ERR(secret_read_file(kept.path, SECRET_PUBLIC, strlen(PLANTED) - 1, &s, &diag),
               PH_ETOOLARGE);
    EXPECT_ERR(secret_read_file(kept.path, SECRET_PUBLIC, strlen(PLANTED), &s, &diag), PH_OK);
    secret_fini(&s);
    kept_file_remove(&kept);
}

// Kubernetes and certbot give a link; who it leads to is who is judged.
TEST(secret, links_are_followed_to_the_file_that_is_judged)
{
    kept_file_make(&kept, PLANTED, 0600);
    char link[160];
    snprintf(link, sizeof link, "%s/link", kept.folder);
    EXPECT_EQ(symlink("key", link), 0);
    secret s = { 0 };
    phi_diag diag = { { 0 } };
    EXPECT_ERR(secret_read_file(link, SECRET_PRIVATE, 100, &s, &diag), PH_OK);
    secret_fini(&s);
    EXPECT_EQ(chmod(kept.path, 0644), 0);
    EXPECT_ERR(secret_read_file(link, SECRET_PRIVATE, 100, &s, &diag), PH_EINVAL);
    unlink(link);
    kept_file_remove(&kept);
}

// What an editor or echo puts behind a secret is not part of it; what stands in the middle is.
TEST(secret, places)
{
    kept_file_make(&kept, PLANTED "\n", 0600);
    char place[160];
    secret s = { 0 };
    phi_diag diag = { { 0 } };
    snprintf(place, sizeof place, "file:%s", kept.path);
    EXPECT_ERR(secret_read_place(place, &s, &diag), PH_OK);
    EXPECT_EQ(s.size, strlen(PLANTED));
    secret_fini(&s);

    EXPECT_ERR(secret_read_place("credential:key", &s, &diag), PH_EINVAL);
    EXPECT(strstr(diag.text, "LoadCredential=key:PATH") != NULL);
    setenv("CREDENTIALS_DIRECTORY", kept.folder, 1);
    EXPECT_ERR(secret_read_place("credential:key", &s, &diag), PH_OK);
    EXPECT_EQ(s.size, strlen(PLANTED));
    secret_fini(&s);
    unsetenv("CREDENTIALS_DIRECTORY");

    diag.text[0] = '\0';
    EXPECT_ERR(secret_read_place("env:POSTHOUSE_TEST_SECRET", &s, &diag), PH_EINVAL);
    EXPECT(strstr(diag.text, "POSTHOUSE_TEST_SECRET") != NULL);
    setenv("POSTHOUSE_TEST_SECRET", PLANTED, 1);
    EXPECT_ERR(secret_read_place("env:POSTHOUSE_TEST_SECRET", &s, &diag), PH_OK);
    EXPECT_EQ(s.size, strlen(PLANTED));
    secret_fini(&s);
    unsetenv("POSTHOUSE_TEST_SECRET");
    kept_file_remove(&kept);
}

// Somebody will write the secret itself where its place is asked for. It must be refused, and the
// refusal, which goes to logs, must not repeat it.
TEST(secret, what_is_no_place_is_not_repeated)
{
    static const char *const wrong[] = {
        PLANTED,
        "file:",
        "env:",
        "env:" PLANTED,
        "credential:",
        "credential:../" PLANTED,
        "credential:a/" PLANTED,
        "credential:." PLANTED,
        "FILE:/" PLANTED,
        "env:A=" PLANTED,
        "",
    };
    for (size_t i = 0; i < PHI_COUNT_OF(wrong); i++) {
        phi_diag diag = { { 0 } };
        EXPECT_ERR(secret_judge_place(wrong[i], &diag), PH_EINVAL);
        EXPECT(strstr(diag.text, "planted") == NULL);
        EXPECT(strstr(diag.text, "file:PATH") != NULL);
    }
}
