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

int main(void)
{
    int downs = 0;
    ph_client *client = NULL;
    ph_client_options options = PH_CLIENT_OPTIONS_INIT;
    options.centers = "unix:/nonexistent/posthouse";
    options.on_link = on_link;
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
    ph_client_free(&client);
    return 0;
}
