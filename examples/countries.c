// SPDX-License-Identifier: Apache-2.0
//
// countries - a service that answers from the ISO 3166-1 table of Debian's iso-codes.
//
//     posthouse call countries by_code FR        by alpha-2, alpha-3 or numeric code
//     posthouse call countries by_name Japan     by name, common name or official name
//     posthouse call countries find Guinea       all whose name or common name begins so
//     posthouse call countries list              all alpha-2 codes, one a line
//
// What to learn here: a responder is one callback. It answers before it returns, or later.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>
#include <posthouse/posthouse.h>

#define TABLE "/usr/share/iso-codes/json/iso_3166-1.json"
#define NOT_FOUND 1000 // codes from 1000 are our own to choose

static json_t *countries; // an array of objects
static ph_loop *loop;

static void on_signal(int signum)
{
    (void)signum;
    ph_loop_stop(loop); // may be called from a signal handler
}

// The first country with that text in one of the fields.
static json_t *find(const char *const *fields, ph_view text)
{
    size_t index;
    json_t *country;
    json_array_foreach(countries, index, country)
    {
        for (size_t i = 0; fields[i] != NULL; i++) {
            const char *value = json_string_value(json_object_get(country, fields[i]));
            if (value != NULL && strlen(value) == text.size &&
                strncasecmp(value, text.data, text.size) == 0) {
                return country;
            }
        }
    }
    return NULL;
}

// An array of those whose name, or common name, begins with that text; to be given back.
static json_t *find_all(ph_view text)
{
    json_t *found = json_array();
    size_t index;
    json_t *country;
    json_array_foreach(countries, index, country)
    {
        const char *name = json_string_value(json_object_get(country, "name"));
        const char *common = json_string_value(json_object_get(country, "common_name"));
        if ((name != NULL && strncasecmp(name, text.data, text.size) == 0) ||
            (common != NULL && strncasecmp(common, text.data, text.size) == 0)) {
            json_array_append(found, country);
        }
    }
    return found;
}

// With a country, or several; NULL: none.
static void answer(ph_client *client, ph_request_id request, json_t *found, ph_view asked)
{
    ph_err rc;
    char *body = found == NULL ? NULL : json_dumps(found, JSON_COMPACT);
    if (body != NULL) {
        rc = ph_client_reply(client, request, body, strlen(body));
    } else {
        char text[128];
        snprintf(text, sizeof text, "no country '%.*s'", (int)asked.size, asked.data);
        rc = ph_client_fail(client, request, NOT_FOUND, text);
    }
    free(body);
    if (rc != PH_OK) {
        // The connection went, or its send buffer is full. The caller is told by the center, or by
        // its own deadline.
        fprintf(stderr, "countries: an answer was lost: %s\n", ph_err_text(rc));
    }
}

static void answer_list(ph_client *client, ph_request_id request)
{
    char body[4096];
    size_t size = 0;
    size_t index;
    json_t *country;
    json_array_foreach(countries, index, country)
    {
        const char *code = json_string_value(json_object_get(country, "alpha_2"));
        if (code != NULL && size + 4 < sizeof body) {
            size += (size_t)snprintf(body + size, sizeof body - size, "%.2s\n", code);
        }
    }
    if (ph_client_reply(client, request, body, size) != PH_OK) {
        fprintf(stderr, "countries: a list was lost\n");
    }
}

static int is(ph_view text, const char *word)
{
    return text.size == strlen(word) && memcmp(text.data, word, text.size) == 0;
}

static void on_request(ph_client *client, ph_request_id request, const ph_incoming *incoming,
                       void *arg)
{
    static const char *const codes[] = { "alpha_2", "alpha_3", "numeric", NULL };
    static const char *const names[] = { "name", "common_name", "official_name", NULL };
    (void)arg;
    if (is(incoming->method, "by_code")) {
        answer(client, request, find(codes, incoming->body), incoming->body);
    } else if (is(incoming->method, "by_name")) {
        answer(client, request, find(names, incoming->body), incoming->body);
    } else if (is(incoming->method, "find")) {
        json_t *found = find_all(incoming->body);
        answer(client, request, json_array_size(found) == 0 ? NULL : found, incoming->body);
        json_decref(found);
    } else if (is(incoming->method, "list")) {
        answer_list(client, request);
    } else if (ph_client_fail(client, request, PH_FAILURE_NO_HANDLER,
                              "methods: by_code, by_name, find, list") != PH_OK) {
        fprintf(stderr, "countries: a failure was lost\n");
    }
}

static void on_link(ph_client *client, const ph_link_change *change, void *arg)
{
    (void)arg;
    if (change->state == PH_LINK_UP) {
        fprintf(stderr, "countries: online as %s\n", ph_client_id(client));
        return;
    }
    // Why it is not, and when it dials again.
    fprintf(stderr, "countries: %.*s\n", (int)change->text.size, change->text.data);
    if (change->state == PH_LINK_CLOSED) { // never: the answer would be the same
        ph_loop_stop(loop);
    }
}

int main(void)
{
    json_error_t error;
    json_t *file = json_load_file(TABLE, JSON_REJECT_DUPLICATES, &error);
    countries = json_object_get(file, "3166-1");
    if (!json_is_array(countries)) {
        fprintf(stderr, "countries: cannot use %s: %s (package iso-codes)\n", TABLE, error.text);
        return 1;
    }

    ph_client_options options = PH_CLIENT_OPTIONS_INIT;
    options.centers = getenv("POSTHOUSE_CENTER"); // NULL: 127.0.0.1:7678
    options.account = "countries";
    options.service = "countries";
    options.on_request = on_request;
    options.on_link = on_link;

    ph_client *client = NULL;
    ph_err rc = ph_loop_new(&loop);
    if (rc == PH_OK) {
        options.loop = loop;
        rc = ph_client_new(&client, &options);
    }
    if (rc == PH_OK) {
        rc = ph_client_open(client); // dials, and dials again whenever the connection is lost
    }
    if (rc == PH_OK) {
        signal(SIGINT, on_signal);
        signal(SIGTERM, on_signal);
        ph_loop_run(loop);
        ph_client_close(client); // says bye, so that everybody sees it left on purpose
        ph_loop_turn(loop, 0);
    } else {
        fprintf(stderr, "countries: %s\n", ph_err_text(rc));
    }
    ph_client_free(&client);
    ph_loop_free(&loop);
    json_decref(file);
    return rc == PH_OK ? 0 : 1;
}
