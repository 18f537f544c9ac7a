// SPDX-License-Identifier: Apache-2.0
//
// app/proof.c - see proof.h.
//
// Design notes  An option goes before the environment, and in the environment the token itself
//               before its file: the nearer to this very call, the more it is meant.

#include "app/proof.h"

#include <stdlib.h>

#include "io/file.h"

#define TOKEN_ENV "POSTHOUSE_TOKEN"
#define TOKEN_BYTES_MAX 4096u
#define LINE_END_BYTES 2u

static ph_err take_variable(secret *out, phi_diag *diag);
static ph_err read_token(const char *path, secret *out, phi_diag *diag);
static ph_err finish(secret *token, phi_diag *diag);

ph_err proof_take(proof *p, const args *a, ph_client_options *options, phi_diag *diag)
{
    *p = (proof){ 0 };
    options->tls_authorities_file = args_text(a, "tls-ca");
    options->tls_certificate_file = args_text(a, "tls-cert");
    options->tls_key_file = args_text(a, "tls-key");
    options->tls_name = args_text(a, "tls-name");
    secret variable = { 0 };
    ph_err rc = take_variable(&variable, diag);
    if (rc == PH_OK && (options->tls_certificate_file == NULL) != (options->tls_key_file == NULL)) {
        rc = phi_diag_add(diag, PH_EINVAL,
                          "--tls-cert and --tls-key (or POSTHOUSE_TLS_CERT and POSTHOUSE_TLS_KEY) "
                          "go together");
    }
    const char *file = args_text(a, "token-file");
    bool is_file = file != NULL && (variable.data == NULL || args_get(a, "token-file")->is_given);
    if (rc == PH_OK && is_file) {
        p->token_file = file;
        rc = read_token(file, &p->token, diag);
    } else if (rc == PH_OK && variable.data != NULL) {
        p->token = variable;
        variable = (secret){ 0 };
    }
    secret_fini(&variable);
    options->token = (const char *)p->token.data;
    p->has_token = options->token != NULL;
    if (rc != PH_OK) {
        proof_fini(p);
        options->token = NULL;
    }
    return rc;
}

ph_err proof_renew(const proof *p, ph_client *client, phi_diag *diag)
{
    secret token = { 0 };
    ph_err rc = read_token(p->token_file, &token, diag);
    if (rc == PH_OK) {
        rc = ph_client_set_token(client, (const char *)token.data);
        if (rc != PH_OK) {
            (void)phi_diag_add(diag, rc, "%s: %s", p->token_file, ph_err_text(rc));
        }
    }
    secret_fini(&token);
    return rc;
}

void proof_fini(proof *p)
{
    secret_fini(&p->token);
    *p = (proof){ 0 };
}

// Nothing when there is no such variable, or it is empty.
static ph_err take_variable(secret *out, phi_diag *diag)
{
    char *value = getenv(TOKEN_ENV);
    size_t size = value == NULL ? 0 : strlen(value);
    ph_err rc = PH_OK;
    if (size != 0) {
        uint8_t *copy = phi_take(&phi_alloc_heap, size + 1);
        if (copy == NULL) {
            return phi_diag_add(diag, PH_ENOMEM, "environment " TOKEN_ENV);
        }
        memcpy(copy, value, size + 1);
        *out = (secret){ .data = copy, .size = size, .room = size + 1 };
        rc = finish(out, diag);
        explicit_bzero(value, size); // /proc shows it, too
    }
    unsetenv(TOKEN_ENV);
    return rc == PH_OK ? rc : phi_diag_add(diag, rc, "environment " TOKEN_ENV);
}

static ph_err read_token(const char *path, secret *out, phi_diag *diag)
{
    phi_file file = { 0 };
    ph_err rc = phi_file_read(&file, &phi_alloc_heap, path, PHI_FILE_PRIVATE,
                              TOKEN_BYTES_MAX + LINE_END_BYTES, diag);
    if (rc != PH_OK) {
        return phi_diag_add(diag, rc, "token");
    }
    uint8_t *copy = phi_take(&phi_alloc_heap, file.size + 1);
    if (copy == NULL) {
        rc = PH_ENOMEM;
    } else {
        memcpy(copy, file.data, file.size);
        copy[file.size] = '\0';
        *out = (secret){ .data = copy, .size = file.size, .room = file.size + 1 };
        rc = finish(out, diag);
    }
    phi_file_fini(&file);
    return rc == PH_OK ? rc : phi_diag_add(diag, rc, "token in %s", path);
}

// Without the newline that an editor leaves; a token has none, nor blanks. On failure it is gone.
static ph_err finish(secret *token, phi_diag *diag)
{
    size_t size = token->size;
    size -= size != 0 && token->data[size - 1] == '\n';
    size -= size != 0 && token->data[size - 1] == '\r';
    bool is_fine = size != 0 && size <= TOKEN_BYTES_MAX;
    for (size_t i = 0; i < size; i++) {
        is_fine = is_fine && token->data[i] > ' ' && token->data[i] <= '~';
    }
    if (!is_fine) {
        secret_fini(token);
        return phi_diag_add(diag, PH_EINVAL,
                            "that is no token: one line of at most %u visible characters",
                            TOKEN_BYTES_MAX);
    }
    token->data[size] = '\0';
    token->size = size;
    return PH_OK;
}
