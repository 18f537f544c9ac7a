/* SPDX-License-Identifier: Apache-2.0 */
/* tests/api/consumer.c - somebody else's program: C11 and C++17, against the installed library. */

#include <posthouse/posthouse.h>
#include <stdio.h>
#include <string.h>

static void on_link(ph_client *client, const ph_link_change *change, void *arg)
{
    int *downs = (int *)arg;
    if (change->state == PH_LINK_DOWN && ph_client_state(client) == PH_LINK_DOWN) {
        ++*downs;
    }
}

static void on_part(ph_client *client, ph_call_id call, uint16_t code, const ph_incoming *part,
                    void *arg)
{
    (void)client;
    (void)call;
    (void)arg;
    printf("%.*s: %s\n", (int)part->from.size, part->from.data, ph_failure_name(code));
}

static void on_gathered(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                        const ph_gathered *gathered, void *arg)
{
    size_t cursor = 0;
    ph_view id = PH_VIEW_INIT;
    (void)client;
    (void)call;
    (void)arg;
    printf("%s %u\n", ph_err_name(status), (unsigned)code);
    while (gathered != NULL && ph_gathered_next(gathered, &cursor, &id, &code)) {
        printf("%.*s\n", (int)id.size, id.data);
    }
}

static void on_answer(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                      const ph_incoming *answer, void *arg)
{
    (void)client;
    (void)call;
    (void)code;
    (void)answer;
    (void)arg;
    puts(ph_err_name(status));
}

static void on_inquiry(ph_client *client, ph_call_id call, ph_request_id inquiry,
                       const ph_incoming *incoming, void *arg)
{
    ph_outgoing out = PH_OUTGOING_INIT;
    (void)call;
    (void)arg;
    out.to = "atlas";
    out.body = incoming->body.data;
    out.body_size = incoming->body.size;
    out.within = &inquiry;
    if (ph_client_request(client, &out, NULL, on_answer, NULL) != PH_OK) {
        puts("no atlas");
    }
}

static void on_request(ph_client *client, ph_request_id request, const ph_incoming *incoming,
                       void *arg)
{
    ph_outgoing question = PH_OUTGOING_INIT;
    (void)incoming;
    (void)arg;
    question.method = "which";
    if (ph_client_ask(client, request, &question, NULL, on_answer, NULL) != PH_OK) {
        printf("%u ms left\n", (unsigned)ph_client_time_left_ms(client, request));
    }
}

static void on_token(ph_client *client, void *arg)
{
    (void)arg;
    if (ph_client_set_token(client, "head.claims.signature") != PH_OK) {
        fprintf(stderr, "the token was not taken\n");
    }
}

/* A center behind TLS whose files are not there: which is said, and nothing is dialled. */
static int is_told_of_files(void)
{
    ph_client *client = NULL;
    ph_client_options options = PH_CLIENT_OPTIONS_INIT;
    options.centers = "tls:localhost";
    options.tls_authorities_file = "/nonexistent/ca.crt";
    options.on_token = on_token;
    int is_told = ph_client_new(&client, &options) == PH_OK &&
                  ph_client_open_wait(client, 20) == PH_ETIMEDOUT &&
                  strstr(ph_client_trouble(client), "/nonexistent/ca.crt") != NULL;
    ph_client_free(&client);
    return is_told;
}

/* What a program does with a service; here nobody is there, and each call says so. */
static int use(ph_client *client)
{
    ph_outgoing out = PH_OUTGOING_INIT;
    ph_gather gather = PH_GATHER_INIT;
    ph_receipt receipt;
    gather.want = 2;
    gather.on_part = on_part;
    gather.done = on_gathered;
    out.to = "all:letters";
    return ph_client_gather(client, &out, &gather, NULL) == PH_ENOTCONNECTED &&
           ph_client_send_with_receipt_wait(client, &out, &receipt) == PH_ENOTCONNECTED;
}

int main(void)
{
    int downs = 0;
    ph_client *client = NULL;
    ph_client_options options = PH_CLIENT_OPTIONS_INIT;
    options.centers = "unix:/nonexistent/posthouse";
    options.on_link = on_link;
    options.on_request = on_request;
    options.on_inquiry = on_inquiry;
    options.arg = &downs;
    if (strcmp(ph_version(), PH_VERSION_TEXT) != 0) {
        fprintf(stderr, "compiled against %s, runs with %s\n", PH_VERSION_TEXT, ph_version());
        return 1;
    }
    ph_err err = ph_client_new(&client, &options);
    if (err != PH_OK) {
        fprintf(stderr, "ph_client_new: %s\n", ph_err_text(err));
        return 1;
    }
    err = ph_client_open_wait(client, 20);
    if (err != PH_ETIMEDOUT || downs == 0) {
        fprintf(stderr, "ph_client_open_wait: %s, %d times down\n", ph_err_name(err), downs);
        return 1;
    }
    puts(ph_client_trouble(client));
    if (!use(client)) {
        fprintf(stderr, "sent without a connection\n");
        return 1;
    }
    ph_client_free(&client);
    if (!is_told_of_files()) {
        fprintf(stderr, "files of TLS were not missed\n");
        return 1;
    }
    return 0;
}
