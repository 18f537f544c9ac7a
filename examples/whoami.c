// SPDX-License-Identifier: Apache-2.0
//
// whoami - a service on another machine than its center: it believes nobody but that center, and
// proves who it is itself, with a certificate, or with a token that is replaced now and then. It
// answers each request with the account that asked.
//
//     export POSTHOUSE_CENTER=tls:center.example POSTHOUSE_TLS_CA=ca.crt
//
//     POSTHOUSE_TLS_CERT=whoami.crt POSTHOUSE_TLS_KEY=whoami.key ./whoami     with a certificate,
//     POSTHOUSE_TOKEN_FILE=/run/secrets/token ./whoami                        or with a token
//
//     posthouse call whoami me --tls-cert alice.crt --tls-key alice.key --account alice
//                                                                             alice@home
//
// Where rules are, they let alice call it: `call: whoami`.
//
// What to learn here: TLS is an address and some files. Those are read again before each dial, so
// replacing one is all there is to a rotation. A token is asked for when it is wanted: before the
// client joins, and when three quarters of its time are over. And `from` in what a center delivers
// is proved: who asks need not be asked for it.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <posthouse/posthouse.h>

static ph_loop *loop;

static void on_signal(int signum)
{
    (void)signum;
    ph_loop_stop(loop);
}

// A token is wanted. This one stands in a file, which something else replaces in time, as
// Kubernetes does. Who fetches tokens from a server begins to here, and calls ph_client_set_token
// when the answer is there: joining waits for it.
static void on_token(ph_client *client, void *arg)
{
    const char *path = arg;
    char token[4096 + 2];
    FILE *file = fopen(path, "r");
    const char *line = file == NULL ? NULL : fgets(token, sizeof token, file);
    if (file != NULL) {
        fclose(file);
    }
    ph_err rc = PH_EINVAL;
    if (line != NULL) {
        token[strcspn(token, "\r\n")] = '\0';
        rc = ph_client_set_token(client, token); // copied
    }
    explicit_bzero(token, sizeof token);
    if (rc != PH_OK) { // then it is asked for again
        fprintf(stderr, "whoami: no token in %s: %s\n", path, ph_err_text(rc));
    }
}

// Why there is no connection is said in words: "its certificate is for a.example, not for
// b.example", "the token has expired".
static void on_link(ph_client *client, const ph_link_change *change, void *arg)
{
    (void)arg;
    if (change->state == PH_LINK_UP) {
        fprintf(stderr, "whoami: online as %s\n", ph_client_id(client));
    } else if (change->err != PH_ECLOSED) {
        fprintf(stderr, "whoami: %.*s\n", (int)change->text.size, change->text.data);
    }
    if (change->state == PH_LINK_CLOSED) {
        ph_loop_stop(loop); // for good: what was refused would be refused again
    }
}

static void on_request(ph_client *client, ph_request_id request, const ph_incoming *incoming,
                       void *arg)
{
    (void)arg;
    ph_err rc = ph_client_reply(client, request, incoming->from.data, incoming->from.size);
    if (rc != PH_OK) {
        fprintf(stderr, "whoami: an answer was lost: %s\n", ph_err_text(rc));
    }
}

int main(void)
{
    ph_client_options options = PH_CLIENT_OPTIONS_INIT;
    options.centers = getenv("POSTHOUSE_CENTER"); // "tls:HOST"; several with commas
    options.account = "whoami";
    options.service = "whoami";
    options.tls_authorities_file = getenv("POSTHOUSE_TLS_CA"); // NULL: the system's CAs
    options.tls_certificate_file = getenv("POSTHOUSE_TLS_CERT");
    options.tls_key_file = getenv("POSTHOUSE_TLS_KEY");
    options.arg = getenv("POSTHOUSE_TOKEN_FILE"); // of the callbacks
    options.on_token = options.arg == NULL ? NULL : on_token;
    options.on_link = on_link;
    options.on_request = on_request;

    ph_client *client = NULL;
    ph_err rc = ph_loop_new(&loop);
    if (rc == PH_OK) {
        options.loop = loop;
        rc = ph_client_new(&client, &options);
    }
    if (rc == PH_OK) {
        rc = ph_client_open(client);
    }
    if (rc == PH_OK) {
        signal(SIGINT, on_signal);
        signal(SIGTERM, on_signal);
        ph_loop_run(loop);
        rc = ph_client_state(client) == PH_LINK_CLOSED ? PH_EREFUSED : PH_OK;
        ph_client_close(client);
        ph_loop_turn(loop, 0);
    } else {
        fprintf(stderr, "whoami: %s\n", ph_err_text(rc));
    }
    ph_client_free(&client);
    ph_loop_free(&loop);
    return rc == PH_OK ? 0 : 1;
}
