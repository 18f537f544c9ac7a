// SPDX-License-Identifier: Apache-2.0
//
// fuzz/fuzz_config.c - configuration files: read with as many complaints as are due, in bounded
// memory. Whatever was taken satisfies the schema, so that a center can be started with it.

#include "fuzz/fuzz.h"

#include <string.h>

#include "app/config.h"
#include "app/config_safe.h"
#include "app/jwks_fetch.h"
#include "app/secret.h"
#include "auth/principal.h"
#include "io/address.h"
#include "wire/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static config c;
    static config_errors errors;
    config_init(&c);
    memset(&errors, 0, sizeof errors);
    config_parse(&c, "fuzz.yaml", phi_bytes_of(data, size), &errors);

    fuzz_expect(errors.count <= CONFIG_ERRORS_MAX, "more errors than there is room for");
    fuzz_expect(errors.left_out == 0 || errors.count == CONFIG_ERRORS_MAX, "left out too early");
    for (size_t i = 0; i < errors.count; i++) {
        fuzz_expect(errors.list[i].text[0] != '\0', "an error that says nothing");
    }
    for (config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
        const config_row *row = config_get_row(key);
        const config_value *v = &c.values[key];
        if (row->is_limit) {
            fuzz_expect(v->number >= row->min, "a value below its range was taken");
            fuzz_expect(v->number <= row->max, "a value above its range was taken");
        }
    }
    fuzz_expect(phi_name_is_valid(phi_bytes_text(c.values[CONFIG_domain].text)),
                "a domain that is no name was taken");
    fuzz_expect(c.listen_count >= 1, "no address is left");
    for (size_t i = 0; i < c.listen_count; i++) {
        listener l;
        fuzz_expect(listener_parse(c.listen[i], &l, NULL) == PH_OK,
                    "an address that does not parse was taken");
        fuzz_expect(phi_endpoint_is_local(l.address) == l.is_local, "local, or not?");
    }
    for (size_t i = 0; i < c.user_count; i++) {
        fuzz_expect(phi_principal_is_valid(phi_bytes_text(c.users[i].principal)),
                    "a user that is no principal was taken");
    }
    const char *place = config_text(&c, CONFIG_tokens_secret);
    fuzz_expect(*place == '\0' || secret_judge_place(place, NULL) == PH_OK,
                "a secret itself was taken");
    const char *keys = config_text(&c, CONFIG_tokens_keys);
    fuzz_expect(!jwks_fetch_is_url(keys) || jwks_fetch_judge_url(keys, NULL) == PH_OK,
                "a URL that is not safe was taken");
    center_options options = config_center(&c); // asserts its choices
    if (errors.count == 0) {                    // as the program does before it starts a center
        config_settle(&c, &errors);
    }
    if (errors.count == 0) {
        options = config_center(&c);
        fuzz_expect(options.connections_joining_max <= options.connections_max, "joining past all");
        fuzz_expect(options.insecure_allow_remote || config_count_insecure(&c) == 0,
                    "plain where others can connect");
    }
    config_fini(&c);
    return 0;
}
