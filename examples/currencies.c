// SPDX-License-Identifier: Apache-2.0
//
// currencies - a service that answers from the ISO 4217 table of Debian's iso-codes.
//
//     posthouse call currencies by_code EUR
//     posthouse call currencies for_country '{"alpha_2":"JP","numeric":"392"}'
//     posthouse call currencies list
//
// ISO 4217 does not say which country uses which currency; for_country goes by the rules after
// which its codes are made, and says which rule it was:
//
//     euro      the country is in the euro area, or uses the euro by an agreement or as a territory
//               of a member: a short list, below, because no table of iso-codes holds it
//     numeric   the currency has the country's own number (Japan 392, yen 392)
//     letters   exactly one currency begins with the country's letters (PL, PLN)
//
// Where no rule holds there is no answer: many territories share a neighbour's currency, and the
// two tables do not tell.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>
#include <posthouse/posthouse.h>

#define TABLE "/usr/share/iso-codes/json/iso_4217.json"
#define NOT_FOUND 1000

// Members as of 2023, then microstates by agreement and Montenegro by itself, then territories of
// Finland and France.
static const char euro_area[] = "AT BE CY DE EE ES FI FR GR HR IE IT LT LU LV MT NL PT SI SK "
                                "AD MC SM VA ME "
                                "AX BL GF GP MF MQ PM RE TF YT ";

static json_t *currencies; // an array of objects
static ph_loop *loop;

static void on_signal(int signum)
{
    (void)signum;
    ph_loop_stop(loop);
}

static const char *field(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));
    return value == NULL ? "" : value;
}

static json_t *by_code(ph_view code)
{
    size_t index;
    json_t *currency;
    json_array_foreach(currencies, index, currency)
    {
        if (code.size == 3 && (strncasecmp(field(currency, "alpha_3"), code.data, 3) == 0 ||
                               strncmp(field(currency, "numeric"), code.data, 3) == 0)) {
            return currency;
        }
    }
    return NULL;
}

// With the rule that gave it; NULL when none did.
static json_t *for_country(const char *alpha_2, const char *numeric, const char **rule)
{
    char word[4];
    snprintf(word, sizeof word, "%.2s ", alpha_2);
    if (strlen(alpha_2) == 2 && strstr(euro_area, word) != NULL) {
        *rule = "euro";
        return by_code((ph_view){ "EUR", 3 });
    }
    json_t *begins = NULL;
    size_t count = 0;
    size_t index;
    json_t *currency;
    json_array_foreach(currencies, index, currency)
    {
        if (strcmp(field(currency, "numeric"), numeric) == 0) {
            *rule = "numeric";
            return currency;
        }
        if (strlen(alpha_2) == 2 && strncmp(field(currency, "alpha_3"), alpha_2, 2) == 0) {
            begins = currency;
            count++;
        }
    }
    *rule = "letters";
    return count == 1 ? begins : NULL;
}

// `body` is given away; NULL is answered with a failure.
static void answer(ph_client *client, ph_request_id request, json_t *body)
{
    char *text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT);
    ph_err rc = text != NULL ? ph_client_reply(client, request, text, strlen(text))
                             : ph_client_fail(client, request, NOT_FOUND, "no such currency");
    if (rc != PH_OK) {
        fprintf(stderr, "currencies: an answer was lost: %s\n", ph_err_text(rc));
    }
    free(text);
    json_decref(body);
}

static int is(ph_view text, const char *word)
{
    return text.size == strlen(word) && memcmp(text.data, word, text.size) == 0;
}

static void on_request(ph_client *client, ph_request_id request, const ph_incoming *incoming,
                       void *arg)
{
    (void)arg;
    if (is(incoming->method, "by_code")) {
        answer(client, request, json_incref(by_code(incoming->body)));
    } else if (is(incoming->method, "for_country")) {
        json_t *country = json_loadb(incoming->body.data, incoming->body.size, 0, NULL);
        const char *rule = "";
        json_t *found = for_country(field(country, "alpha_2"), field(country, "numeric"), &rule);
        json_t *body = json_copy(found); // NULL of NULL
        if (body != NULL) {
            json_object_set_new(body, "rule", json_string(rule));
        }
        answer(client, request, body);
        json_decref(country);
    } else if (is(incoming->method, "list")) {
        answer(client, request, json_incref(currencies));
    } else if (ph_client_fail(client, request, PH_FAILURE_NO_HANDLER,
                              "methods: by_code, for_country, list") != PH_OK) {
        fprintf(stderr, "currencies: a failure was lost\n");
    }
}

int main(void)
{
    json_error_t error;
    json_t *file = json_load_file(TABLE, JSON_REJECT_DUPLICATES, &error);
    currencies = json_object_get(file, "4217");
    if (!json_is_array(currencies)) {
        fprintf(stderr, "currencies: cannot use %s: %s (package iso-codes)\n", TABLE, error.text);
        return 1;
    }

    ph_client_options options = PH_CLIENT_OPTIONS_INIT;
    options.centers = getenv("POSTHOUSE_CENTER"); // NULL: 127.0.0.1:7678
    options.account = "currencies";
    options.service = "currencies";
    options.on_request = on_request;

    ph_client *client = NULL;
    ph_err rc = ph_loop_new(&loop);
    if (rc == PH_OK) {
        options.loop = loop;
        rc = ph_client_new(&client, &options);
    }
    if (rc == PH_OK) {
        rc = ph_client_open_wait(client, 5000); // here a service that starts without a center fails
    }
    if (rc == PH_OK) {
        fprintf(stderr, "currencies: online as %s\n", ph_client_id(client));
        signal(SIGINT, on_signal);
        signal(SIGTERM, on_signal);
        ph_loop_run(loop);
        ph_client_close(client);
        ph_loop_turn(loop, 0);
    } else {
        fprintf(stderr, "currencies: %s: %s\n", ph_err_text(rc),
                client == NULL ? "" : ph_client_trouble(client));
    }
    ph_client_free(&client);
    ph_loop_free(&loop);
    json_decref(file);
    return rc == PH_OK ? 0 : 1;
}
