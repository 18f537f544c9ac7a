// SPDX-License-Identifier: Apache-2.0
//
// app/peer.c - one line of the online list.

#include "app/peer.h"

#include <string.h>

#include "app/term.h"
#include "base/assert.h"

const option peer_options[2] = {
    { .name = "service",
      .letter = 's',
      .kind = OPTION_TEXT,
      .argument = "NAME",
      .help = "only instances of this service" },
    { .name = "type",
      .kind = OPTION_CHOICE,
      .argument = "TYPE",
      .choices = "client|gateway|discovery|center",
      .help = "only clients of this type" },
};

exit_status peer_watch(connection *s)
{
    ph_watch watch = PH_WATCH_INIT;
    watch.service = args_text(s->args, "service");
    const arg_value *type = args_get(s->args, "type");
    if (type->count != 0) {
        watch.type = (ph_type)(type->number + PH_TYPE_CLIENT); // choices stand in this order
        PH_ASSERT(watch.type <= PH_TYPE_CENTER);
    }
    ph_err rc = ph_client_watch(s->client, &watch);
    if (rc == PH_EINVAL) {
        connection_name_refused("--service", watch.service);
        return STATUS_USAGE;
    }
    if (rc != PH_OK) {
        term_error("cannot ask for the list: %s", ph_err_text(rc));
        return STATUS_FAILED;
    }
    return STATUS_OK;
}

void peer_json(phi_json *j, const ph_peer *peer)
{
    phi_json_key(j, "id");
    phi_json_string(j, draft_of_view(peer->id));
    phi_json_key(j, "service");
    phi_json_string(j, draft_of_view(peer->service));
    phi_json_key(j, "type");
    phi_json_text(j, ph_type_name(peer->type));
    phi_json_key(j, "state");
    phi_json_text(j, ph_state_name(peer->state));
    phi_json_key(j, "weight");
    phi_json_u64(j, peer->weight);
    phi_json_key(j, "software");
    phi_json_string(j, draft_of_view(peer->software));
    phi_json_key(j, "session");
    phi_json_u64(j, peer->session);
    phi_json_key(j, "revision");
    phi_json_u64(j, peer->revision);
    phi_json_key(j, "round_trip_us");
    if (peer->round_trip_us == 0) {
        phi_json_null(j);
    } else {
        phi_json_u64(j, peer->round_trip_us);
    }
    phi_json_key(j, "metadata");
    phi_json_object_begin(j);
    size_t cursor = 0;
    ph_view key;
    ph_view value;
    while (ph_peer_metadata_next(peer, &cursor, &key, &value)) {
        phi_json_key_bytes(j, draft_of_view(key));
        phi_json_string(j, draft_of_view(value));
    }
    phi_json_object_end(j);
}

void peer_metadata(draft *t, const ph_peer *peer)
{
    size_t cursor = 0;
    ph_view key;
    ph_view value;
    while (ph_peer_metadata_next(peer, &cursor, &key, &value)) {
        draft_add(t, draft_size(t) == 0 ? "" : " ");
        draft_bytes(t, draft_of_view(key));
        draft_add(t, "=");
        draft_bytes(t, draft_of_view(value));
    }
}

static bool is_id(const ph_peer *peer, const char *id)
{
    return peer->id.size == strlen(id) && memcmp(peer->id.data, id, peer->id.size) == 0;
}

bool peer_is_self(const connection *s, const ph_peer *peer)
{
    bool is_self = is_id(peer, s->id);
    for (size_t i = 0; i < CONNECTION_IDS_MAX; i++) {
        is_self = is_self || is_id(peer, s->ids[i]); // "" is nobody's
    }
    return is_self;
}
