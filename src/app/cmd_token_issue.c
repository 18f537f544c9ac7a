// SPDX-License-Identifier: Apache-2.0
//
// app/cmd_token_issue.c - posthouse token key and issue.
//
// Design notes
// - A key is made with O_EXCL and 0600 from its first byte; nothing here writes over a file.
// - Both files or none: what one run left half made would not be mended by the next.
// - The text of a private key, and of a token, is wiped before its memory is given back.

#include "app/cmd_token.h"

#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "app/new_file.h"
#include "app/secret.h"
#include "app/term.h"
#include "auth/jwt.h"
#include "auth/principal.h"
#include "auth/signer.h"
#include "base/assert.h"
#include "text/json.h"

static ph_err make_files(const args *a, phi_signer **signer, phi_diag *diag);
static void say_made(const args *a, const phi_signer *signer);
static ph_err read_signer(const args *a, phi_signer **out, phi_diag *diag);
static bool is_public_set(const char *path);
static ph_err issue(const args *a, const phi_signer *signer, draft *out, phi_diag *diag);
static void warn_of_readers(void);
static bool has_public(const phi_signer *signer);

// ---- key

exit_status token_key(const args *a)
{
    phi_diag diag = { { 0 } };
    phi_signer *signer = NULL;
    phi_jws_algorithm algorithm = PHI_JWS_ES256;
    bool is_known =
        phi_jws_algorithm_of_name(phi_bytes_text(args_text(a, "algorithm")), &algorithm);
    for (phi_jws_algorithm i = 0; !is_known && i < PHI_JWS_COUNT; i++) { // in other letters
        is_known = choice_index(phi_jws_algorithm_name(i), args_text(a, "algorithm")) == 0;
        algorithm = i;
    }
    PH_ASSERT(is_known);
    if (algorithm == PHI_JWS_HS256 && args_get(a, "public")->is_given) {
        return command_usage(&command_token,
                             "key: HS256 has no public key; the center needs the same secret");
    }
    ph_err rc = phi_signer_make(&signer, &phi_alloc_heap, algorithm,
                                phi_bytes_text(args_text(a, "id")), &diag);
    if (rc == PH_OK) {
        rc = make_files(a, &signer, &diag);
    }
    if (rc != PH_OK) {
        term_error("token key: %s", diag.text[0] == '\0' ? ph_err_text(rc) : diag.text);
        phi_signer_free(&signer);
        return rc == PH_EINVAL ? STATUS_USAGE : STATUS_FAILED;
    }
    say_made(a, signer);
    phi_signer_free(&signer);
    return STATUS_OK;
}

static ph_err make_files(const args *a, phi_signer **signer, phi_diag *diag)
{
    const char *private_path = args_text(a, "private");
    draft text;
    draft_init(&text);
    phi_buf_guard(&text.buf);
    ph_err rc = phi_signer_write_private(*signer, &text.buf);
    draft_add(&text, "\n");
    if (rc == PH_OK && !text.is_cut) {
        rc = new_file_write(private_path, 0600, draft_view(&text), diag);
    }
    draft_clear(&text);
    if (rc == PH_OK && has_public(*signer)) {
        rc = phi_signer_write_public(*signer, &text.buf);
        draft_add(&text, "\n");
        if (rc == PH_OK) {
            rc = new_file_write(args_text(a, "public"), 0644, draft_view(&text), diag);
        }
        if (rc != PH_OK) {
            (void)unlink(private_path); // made above
        }
    }
    draft_fini(&text);
    return rc;
}

static void say_made(const args *a, const phi_signer *signer)
{
    const char *private_path = args_text(a, "private");
    const char *for_center = has_public(signer) ? args_text(a, "public") : private_path;
    draft out;
    draft_init(&out);
    if (choice_index("json", args_text(a, "output")) == 0) {
        phi_json j;
        phi_json_init_buf(&j, &out.buf);
        phi_json_object_begin(&j);
        phi_json_key(&j, "algorithm");
        phi_json_text(&j, phi_jws_algorithm_name(phi_signer_algorithm(signer)));
        phi_json_key(&j, "id");
        phi_json_string(&j, phi_signer_id(signer));
        phi_json_key(&j, "private");
        phi_json_text(&j, private_path);
        phi_json_key(&j, "public");
        if (has_public(signer)) {
            phi_json_text(&j, for_center);
        } else {
            phi_json_null(&j);
        }
        phi_json_object_end(&j);
        draft_json_end(&out, &j);
    } else {
        draft_format(&out, "%s  a key for %s, id ", private_path,
                     phi_jws_algorithm_name(phi_signer_algorithm(signer)));
        draft_printable(&out, phi_signer_id(signer));
        draft_add(&out, has_public(signer) ? ": for who issues tokens, and nobody else\n"
                                           : ": for who issues tokens, and for the center\n");
        if (has_public(signer)) {
            draft_format(&out, "%s  its public key: for centers\n", for_center);
        }
    }
    term_print(&out);
    draft_fini(&out);
    if (!has_public(signer)) {
        term_hint("HS256 has no public key: whoever can verify can also sign");
    }
    term_note("Next:");
    draft word;
    draft_init(&word);
    draft_shell(&word, for_center);
    term_hint("posthouse serve --tokens-keys %s", draft_chars(&word));
    draft_clear(&word);
    draft_shell(&word, private_path);
    term_hint("(umask 077; posthouse token issue --key %s --subject orders >orders.token)",
              draft_chars(&word));
    draft_fini(&word);
}

// ---- issue

exit_status token_issue(const args *a)
{
    const char *subject = args_text(a, "subject");
    if (args_flag(a, "key") == args_flag(a, "secret")) {
        return command_usage(&command_token,
                             "issue: either --key FILE or --secret PLACE is needed");
    }
    if (subject == NULL) {
        return command_usage(&command_token, "issue: --subject NAME is needed");
    }
    if (!phi_principal_is_valid(phi_bytes_text(subject))) {
        return command_usage(&command_token,
                             "issue: '%.80s' names no principal: 1 to 55 of a-z 0-9 . _ -, the "
                             "first a letter or digit, and not as a made-up name ends (-7f3a)",
                             subject);
    }
    phi_diag diag = { { 0 } };
    phi_signer *signer = NULL;
    draft out;
    draft_init(&out);
    phi_buf_guard(&out.buf);
    ph_err rc = read_signer(a, &signer, &diag);
    if (rc == PH_OK) {
        rc = issue(a, signer, &out, &diag);
    }
    if (rc == PH_OK) {
        draft_add(&out, "\n");
        term_print(&out);
        warn_of_readers();
    } else {
        term_error("token issue: %s", diag.text[0] == '\0' ? ph_err_text(rc) : diag.text);
    }
    draft_fini(&out);
    phi_signer_free(&signer);
    return rc == PH_OK ? STATUS_OK : rc == PH_EINVAL ? STATUS_USAGE : STATUS_FAILED;
}

static ph_err read_signer(const args *a, phi_signer **out, phi_diag *diag)
{
    const char *path = args_text(a, "key");
    secret found = { .data = NULL };
    ph_err rc;
    if (path != NULL && is_public_set(path)) {
        // Before its mode is looked at: to make it private would help nobody.
        rc = phi_diag_add(diag, PH_EINVAL,
                          "%s: that is the public set, for centers; tokens are signed with the "
                          "private key that was made with it",
                          path);
    } else if (path != NULL) {
        rc = secret_read_file(path, SECRET_PRIVATE, PHI_JWKS_BYTES_MAX, &found, diag);
        if (rc == PH_OK) {
            rc = phi_signer_parse(out, &phi_alloc_heap, secret_view(&found), diag);
            rc = rc == PH_OK ? rc : phi_diag_add(diag, rc, "%s", path);
        }
    } else {
        rc = secret_read_place(args_text(a, "secret"), &found, diag);
        if (rc == PH_OK) {
            rc = phi_signer_of_secret(out, &phi_alloc_heap, secret_view(&found), diag);
        }
        rc = rc == PH_OK ? rc : phi_diag_add(diag, rc, "--secret");
    }
    secret_fini(&found);
    return rc;
}

// Keys to verify with, and no secret among them: whoever reads it learns nothing.
static bool is_public_set(const char *path)
{
    phi_diag diag = { { 0 } }; // whatever else it is, is told by who reads it as a key
    secret found = { .data = NULL };
    phi_jwks *keys = NULL;
    bool is_public =
        secret_read_file(path, SECRET_PUBLIC, PHI_JWKS_BYTES_MAX, &found, &diag) == PH_OK &&
        phi_jwks_parse(&keys, &phi_alloc_heap, secret_view(&found), NULL, &diag) == PH_OK &&
        phi_jwks_count(keys) != 0 && !phi_jwks_has_secret(keys);
    phi_jwks_free(&keys);
    secret_fini(&found);
    return is_public;
}

static ph_err issue(const args *a, const phi_signer *signer, draft *out, phi_diag *diag)
{
    uint64_t now_s = (uint64_t)time(NULL);
    phi_token_claims claims = {
        .subject = phi_bytes_text(args_text(a, "subject")),
        .issuer = phi_bytes_text(args_text(a, "issuer")),
        .audience = phi_bytes_text(args_text(a, "audience")),
        .issued_s = now_s,
        .expires_s = now_s + args_number(a, "expires") / 1000,
    };
    ph_err rc = phi_signer_issue(signer, &claims, &out->buf);
    if (rc == PH_EINVAL) {
        return phi_diag_add(diag, rc, "--issuer or --audience is no UTF-8");
    }
    if (rc == PH_OK && draft_size(out) > PHI_JWT_BYTES_MAX) {
        return phi_diag_add(diag, PH_EINVAL, "the token would be longer than %u bytes",
                            PHI_JWT_BYTES_MAX);
    }
    if (rc == PH_OK && claims.expires_s - now_s > TOKEN_LIFE_LONG_S) {
        term_note("token issue: nobody can take this token back before it expires");
    }
    return rc;
}

// Whoever has a token is its subject. A file that others can read is refused when it is used; here
// it can still be helped.
static void warn_of_readers(void)
{
    struct stat info;
    if (fstat(STDOUT_FILENO, &info) == 0 && S_ISREG(info.st_mode) &&
        (info.st_mode & S_IROTH) != 0) {
        term_note("token issue: everybody can read where it was written to: chmod 600 it, and "
                  "umask 077 before");
    }
}

// ---- helpers

static bool has_public(const phi_signer *signer)
{
    return phi_signer_algorithm(signer) != PHI_JWS_HS256;
}
