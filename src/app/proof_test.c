// SPDX-License-Identifier: Apache-2.0
//
// app/proof_test.c - options of TLS and tokens, as commands get them.

#include "app/proof.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/compiler.h"
#include "tests/harness/test.h"

#define PLANTED "planted.token.6abf7158809cf4f3"

static const option table[] = {
    { .name = "tls-ca", .kind = OPTION_TEXT, .env = "POSTHOUSE_TLS_CA" },
    { .name = "tls-cert", .kind = OPTION_TEXT },
    { .name = "tls-key", .kind = OPTION_TEXT },
    { .name = "tls-name", .kind = OPTION_TEXT },
    { .name = "token-file", .kind = OPTION_TEXT, .env = "POSTHOUSE_TOKEN_FILE" },
};

typedef struct bench {
    proof p;
    ph_client_options options;
    phi_diag diag;
    char folder[64];
    char path[80];
} bench;

static void begin(bench *b, const char *text)
{
    *b = (bench){ .options = PH_CLIENT_OPTIONS_INIT, .folder = "/tmp/posthouse-proof-XXXXXX" };
    EXPECT(mkdtemp(b->folder) != NULL);
    snprintf(b->path, sizeof b->path, "%s/token", b->folder);
    int fd = open(b->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    EXPECT(fd >= 0);
    EXPECT_EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    unsetenv("POSTHOUSE_TOKEN");
    unsetenv("POSTHOUSE_TOKEN_FILE");
}

static void end(bench *b)
{
    proof_fini(&b->p);
    unlink(b->path);
    EXPECT_EQ(rmdir(b->folder), 0);
}

static ph_err take(bench *b, int argc, const char *const *argv)
{
    args a;
    int used;
    args_init(&a);
    args_accept(&a, table, PHI_COUNT_OF(table));
    EXPECT_ERR(args_parse(&a, argc, (char *const *)argv, false, &used, &b->diag), PH_OK);
    EXPECT_ERR(args_complete(&a, &b->diag), PH_OK);
    return proof_take(&b->p, &a, &b->options, &b->diag);
}

// What is given is what the client is made with; nothing given is nothing.
TEST(proof, options_of_tls_are_passed_on)
{
    bench b;
    begin(&b, "");
    EXPECT_ERR(take(&b, 0, NULL), PH_OK);
    EXPECT(b.options.tls_authorities_file == NULL && b.options.token == NULL);
    EXPECT(!proof_has_file(&b.p));
    const char *argv[] = {
        "--tls-ca", "ca", "--tls-cert", "c", "--tls-key", "k", "--tls-name", "n"
    };
    EXPECT_ERR(take(&b, PHI_COUNT_OF(argv), argv), PH_OK);
    EXPECT_TEXT(b.options.tls_authorities_file, "ca");
    EXPECT_TEXT(b.options.tls_certificate_file, "c");
    EXPECT_TEXT(b.options.tls_key_file, "k");
    EXPECT_TEXT(b.options.tls_name, "n");
    EXPECT_ERR(take(&b, 4, argv), PH_EINVAL);
    EXPECT(strstr(b.diag.text, "go together") != NULL);
    end(&b);
}

// A token is one line, whatever an editor did to its end, and is in no message.
TEST(proof, token_comes_from_a_file)
{
    static const struct {
        const char *text;
        const char *token; // NULL: refused
    } rows[] = {
        { PLANTED, PLANTED },
        { PLANTED "\n", PLANTED },
        { PLANTED "\r\n", PLANTED },
        { "\n", NULL },
        { PLANTED "\n\n", NULL },
        { PLANTED " " PLANTED, NULL },
        { "\xef\xbb\xbf" PLANTED, NULL },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(rows); i++) {
        bench b;
        begin(&b, rows[i].text);
        const char *argv[] = { "--token-file", b.path };
        ph_err rc = take(&b, 2, argv);
        EXPECT_ERR(rc, rows[i].token == NULL ? PH_EINVAL : PH_OK);
        if (rc == PH_OK) {
            EXPECT_TEXT(b.options.token, rows[i].token);
            EXPECT(proof_has_file(&b.p));
        } else {
            EXPECT(b.options.token == NULL);
            EXPECT(strstr(b.diag.text, "planted") == NULL);
            EXPECT(strstr(b.diag.text, b.path) != NULL);
        }
        end(&b);
    }
}

// A token that others can read proves nothing any more.
TEST(proof, token_file_is_kept_well)
{
    bench b;
    begin(&b, PLANTED);
    const char *argv[] = { "--token-file", b.path };
    EXPECT_EQ(chmod(b.path, 0644), 0);
    EXPECT_ERR(take(&b, 2, argv), PH_EINVAL);
    EXPECT(strstr(b.diag.text, "chmod 640") != NULL);
    end(&b);
}

// One of the environment is taken from there: no child of this process may get it, and whoever
// looks at the process's memory of it finds nothing.
TEST(proof, token_of_the_environment_is_taken_out_of_it)
{
    bench b;
    begin(&b, "");
    EXPECT_EQ(setenv("POSTHOUSE_TOKEN", PLANTED "\n", 1), 0);
    const char *value = getenv("POSTHOUSE_TOKEN");
    EXPECT_ERR(take(&b, 0, NULL), PH_OK);
    EXPECT_TEXT(b.options.token, PLANTED);
    EXPECT(getenv("POSTHOUSE_TOKEN") == NULL);
    EXPECT_EQ(value[0], '\0'); // setenv's memory is not given back
    EXPECT(!proof_has_file(&b.p));
    end(&b);
    begin(&b, "");
    EXPECT_EQ(setenv("POSTHOUSE_TOKEN", "two words", 1), 0);
    EXPECT_ERR(take(&b, 0, NULL), PH_EINVAL);
    EXPECT(getenv("POSTHOUSE_TOKEN") == NULL);
    EXPECT(strstr(b.diag.text, "two words") == NULL);
    end(&b);
}

// What stands nearer to the call counts: the option, the token, the name of its file.
TEST(proof, option_goes_before_the_environment)
{
    bench b;
    begin(&b, PLANTED);
    EXPECT_EQ(setenv("POSTHOUSE_TOKEN_FILE", b.path, 1), 0);
    EXPECT_ERR(take(&b, 0, NULL), PH_OK);
    EXPECT_TEXT(b.options.token, PLANTED);
    proof_fini(&b.p);
    EXPECT_EQ(setenv("POSTHOUSE_TOKEN", "other", 1), 0);
    EXPECT_ERR(take(&b, 0, NULL), PH_OK);
    EXPECT_TEXT(b.options.token, "other");
    proof_fini(&b.p);
    EXPECT_EQ(setenv("POSTHOUSE_TOKEN", "other", 1), 0);
    const char *argv[] = { "--token-file", b.path };
    EXPECT_ERR(take(&b, 2, argv), PH_OK);
    EXPECT_TEXT(b.options.token, PLANTED);
    EXPECT(getenv("POSTHOUSE_TOKEN") == NULL); // not meant, and not passed on either
    unsetenv("POSTHOUSE_TOKEN_FILE");
    end(&b);
}
