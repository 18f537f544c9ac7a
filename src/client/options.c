// SPDX-License-Identifier: Apache-2.0
//
// client/options.c - what a client was asked to be: checked, copied, turned into a JOIN.
//
// Design notes  Everything the application passed is copied into one block of texts, so that a
//               client holds two allocations of its own and nothing of the application's. What a
//               center would refuse every time (names, sizes) is refused here, where the caller
//               still sees it. JOIN is encoded once, to know that it fits into what a center takes
//               before it has joined (P-12), with the longest ask for presence in it.
//
// Clauses       P-12, P-22, P-35, P-38

#include <posthouse/state.h>
#include <stdio.h>

#include "client/core.h"
#include "io/address.h"
#include "wire/handshake.h"

#define CENTERS_DEFAULT "127.0.0.1:7678"
#define CENTERS_BYTES_MAX (PHI_CENTERS_MAX * PHI_ADDRESS_TEXT_MAX)

#define CONNECT_TIMEOUT_MS 5000u
#define BACKOFF_MIN_MS 100u
#define BACKOFF_MAX_MS 10000u
#define CALLS_MAX 1024u
#define CALLS_MAX_MAX (1u << 24) // slots of 64 bytes: a gigabyte
#define SEND_BYTES_MAX (1u << 20)
#define SEND_BYTES_MIN (2u * PHI_PACKET_BYTES_MAX) // room for any packet, with others around it
#define SEND_BYTES_MAX_MAX (1u << 30)
#define PEERS_MAX 1000000u
#define MESSAGE_BYTES_MAX (16u << 20)
#define MESSAGE_BYTES_MIN PHI_PACKET_BYTES_MAX
#define MESSAGE_BYTES_MAX_MAX (1u << 30)
#define STREAMS_BYTES_MAX (64u << 20)
#define SUBSCRIPTIONS_MAX 65536u
#define SUBSCRIPTIONS_MAX_MAX (1u << 24)
// No struct of ours will be longer: a size above it was never set, and must not be written to.
#define STRUCT_BYTES_MAX 4096u
#define PATH_BYTES_MAX 4095u
#define FULL_TIMEOUT_S 10u // as the center does with us [P-59]

// Measures when `room` is NULL, copies when not; so that both passes cannot disagree.
typedef struct packer {
    char *room;
    size_t size;
} packer;

static ph_err options_check(const ph_client_options *options);
static void options_default(ph_client_options *options);
static ph_err centers_split(ph_client *client);
static void pack(ph_client *client, packer *p);
static void link_options_fill(ph_client *client);

bool phi_struct_copy(void *to, size_t size, const void *from, size_t size_min)
{
    size_t from_size;
    memcpy(&from_size, from, sizeof from_size);
    if (from_size < size_min) {
        return false;
    }
    const uint8_t *bytes = from;
    for (size_t i = size; i < from_size; i++) {
        if (bytes[i] != 0) {
            return false; // of a later version, and asks for something
        }
    }
    memcpy(to, from, from_size < size ? from_size : size);
    memcpy(to, &size, sizeof size);
    return true;
}

// Of somebody who knows fields that are not known here. Of its own: inlined where the caller's size
// is a constant, it makes compilers warn of what cannot happen.
static PHI_COLD void zero_rest(uint8_t *rest, size_t size)
{
    memset(rest, 0, size);
}

bool phi_struct_give(void *to, const void *from, size_t size, size_t size_min)
{
    size_t to_size;
    memcpy(&to_size, to, sizeof to_size);
    if (to_size < size_min || to_size > STRUCT_BYTES_MAX) {
        return false;
    }
    memcpy(to, from, to_size < size ? to_size : size);
    if (to_size > size) {
        zero_rest((uint8_t *)to + size, to_size - size);
    }
    memcpy(to, &to_size, sizeof to_size);
    return true;
}

ph_err phi_client_options_take(ph_client *client, const ph_client_options *options)
{
    ph_client_options *copy = &client->options;
    *copy = (ph_client_options)PH_CLIENT_OPTIONS_INIT;
    if (options != NULL && !phi_struct_copy(copy, sizeof *copy, options, sizeof(size_t))) {
        return PH_EINVAL;
    }
    options_default(copy);
    ph_err rc = options_check(copy);
    if (rc != PH_OK) {
        return rc;
    }

    packer p = { NULL, 0 };
    pack(client, &p);
    client->texts = phi_take(client->alloc, p.size);
    if (client->texts == NULL) {
        return PH_ENOMEM;
    }
    client->texts_size = p.size;
    p = (packer){ client->texts, 0 };
    pack(client, &p);
    PH_ASSERT(p.size == client->texts_size);

    rc = centers_split(client);
    if (rc == PH_OK && !phi_client_join_fits(&client->join)) {
        rc = PH_EINVAL;
    }
    if (rc == PH_OK && copy->token != NULL) {
        rc = phi_client_token_keep(client, copy->token);
        rc = rc == PH_ETOOLARGE ? PH_EINVAL : rc;
    }
    copy->token = NULL; // the application's; ours is kept elsewhere
    if (rc != PH_OK) {
        phi_client_options_give(client);
        return rc;
    }
    link_options_fill(client);
    return PH_OK;
}

void phi_client_options_give(ph_client *client)
{
    phi_give(client->alloc, client->texts, client->texts_size);
    client->texts = NULL;
    client->texts_size = 0;
}

// ---- checks

static bool text_is_at_most(const char *text, size_t size_max)
{
    return text == NULL || strnlen(text, size_max + 1) <= size_max;
}

// Absent, or a name.
static bool name_is_fine(const char *name)
{
    return text_is_at_most(name, PHI_NAME_BYTES_MAX) &&
           (name == NULL || phi_name_is_valid(phi_bytes_text(name)));
}

static void options_default(ph_client_options *o)
{
    o->centers = o->centers == NULL ? CENTERS_DEFAULT : o->centers;
    o->type = o->type == 0 ? PH_TYPE_CLIENT : o->type;
    // P-35: what these are for
    o->is_watching = o->is_watching || o->type == PH_TYPE_GATEWAY || o->type == PH_TYPE_DISCOVERY;
    o->connect_timeout_ms = o->connect_timeout_ms == 0 ? CONNECT_TIMEOUT_MS : o->connect_timeout_ms;
    o->backoff_min_ms = o->backoff_min_ms == 0 ? BACKOFF_MIN_MS : o->backoff_min_ms;
    if (o->backoff_max_ms == 0) {
        o->backoff_max_ms = o->backoff_min_ms > BACKOFF_MAX_MS ? o->backoff_min_ms : BACKOFF_MAX_MS;
    }
    o->calls_max = o->calls_max == 0 ? CALLS_MAX : o->calls_max;
    o->send_bytes_max = o->send_bytes_max == 0 ? SEND_BYTES_MAX : o->send_bytes_max;
    o->peers_max = o->peers_max == 0 ? PEERS_MAX : o->peers_max;
    o->state = o->state == 0 ? PH_STATE_READY : o->state;
    o->weight = o->weight == 0 ? PH_WEIGHT_DEFAULT : o->weight;
    o->message_bytes_max = o->message_bytes_max == 0 ? MESSAGE_BYTES_MAX : o->message_bytes_max;
    if (o->streams_bytes_max == 0) {
        o->streams_bytes_max =
            o->message_bytes_max > STREAMS_BYTES_MAX ? o->message_bytes_max : STREAMS_BYTES_MAX;
    }
    o->subscriptions_max = o->subscriptions_max == 0 ? SUBSCRIPTIONS_MAX : o->subscriptions_max;
}

// Absent, or a text.
static bool path_is_fine(const char *path)
{
    return path == NULL || (path[0] != '\0' && text_is_at_most(path, PATH_BYTES_MAX));
}

static bool tls_is_fine(const ph_client_options *o)
{
    return path_is_fine(o->tls_authorities_file) && path_is_fine(o->tls_certificate_file) &&
           path_is_fine(o->tls_key_file) &&
           (o->tls_certificate_file == NULL) == (o->tls_key_file == NULL) &&
           (o->tls_name == NULL ||
            (o->tls_name[0] != '\0' && text_is_at_most(o->tls_name, PHI_ENDPOINT_NAME_MAX)));
}

static ph_err options_check(const ph_client_options *o)
{
    if (!name_is_fine(o->account) || !name_is_fine(o->service) ||
        !text_is_at_most(o->software, PHI_SOFTWARE_BYTES_MAX) ||
        !text_is_at_most(o->centers, CENTERS_BYTES_MAX)) {
        return PH_EINVAL;
    }
    if ((int)o->type < PH_TYPE_CLIENT || o->type > PH_TYPE_CENTER ||
        (int)o->suite_floor < PH_SUITE_PLAIN || o->suite_floor > PH_SUITE_PAPER ||
        o->backoff_min_ms > o->backoff_max_ms || o->calls_max > CALLS_MAX_MAX ||
        o->send_bytes_max < SEND_BYTES_MIN || o->send_bytes_max > SEND_BYTES_MAX_MAX) {
        return PH_EINVAL;
    }
    if ((int)o->state < PH_STATE_STARTING || o->state > PH_STATE_DRAINING ||
        o->weight > PH_WEIGHT_MAX || o->message_bytes_max < MESSAGE_BYTES_MIN ||
        o->message_bytes_max > MESSAGE_BYTES_MAX_MAX ||
        o->streams_bytes_max < o->message_bytes_max ||
        o->subscriptions_max > SUBSCRIPTIONS_MAX_MAX) {
        return PH_EINVAL;
    }
    if (!tls_is_fine(o)) {
        return PH_EINVAL;
    }
    return phi_client_metadata_is_fine(o->metadata, o->metadata_count) ? PH_OK : PH_EINVAL;
}

bool phi_client_metadata_is_fine(const ph_metadata *metadata, size_t count)
{
    if (count > PHI_METADATA_COUNT_MAX || (count != 0 && metadata == NULL)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const ph_metadata *m = &metadata[i];
        if (m->key == NULL || m->value == NULL || m->key[0] == '\0' ||
            !text_is_at_most(m->key, PHI_METADATA_KEY_BYTES_MAX) ||
            !text_is_at_most(m->value, PHI_METADATA_VALUE_BYTES_MAX)) {
            return false;
        }
    }
    return true;
}

// ---- copies

// The copy of a text, terminated; NULL for NULL, and while only measuring.
static const char *pack_text(packer *p, const char *text)
{
    if (text == NULL) {
        return NULL;
    }
    size_t size = strlen(text) + 1;
    char *at = NULL;
    if (p->room != NULL) {
        at = p->room + p->size;
        memcpy(at, text, size);
    }
    p->size += size;
    return at;
}

// Fills in `join` and, when it really copies, makes the options point to the copies.
static void pack(ph_client *client, packer *p)
{
    ph_client_options *o = &client->options;
    phi_join *join = &client->join;
    const char *centers = pack_text(p, o->centers);
    const char *account = pack_text(p, o->account);
    const char *service = pack_text(p, o->service);
    const char *software = pack_text(p, o->software);
    const char *authorities = pack_text(p, o->tls_authorities_file);
    const char *certificate = pack_text(p, o->tls_certificate_file);
    const char *key = pack_text(p, o->tls_key_file);
    const char *tls_name = pack_text(p, o->tls_name);
    *join = (phi_join){
        .version = PHI_PROTOCOL_VERSION,
        .account = phi_bytes_text(account),
        .type = (phi_client_type)o->type,
        .service = phi_bytes_text(service),
        .metadata_count = o->metadata_count,
        .software = phi_bytes_text(software),
        .state = (phi_state)o->state,
        .has_weight = true,
        .weight = o->weight,
        .message_bytes_max = (uint32_t)o->message_bytes_max,
    };
    for (size_t i = 0; i < o->metadata_count; i++) {
        join->metadata[i].key = phi_bytes_text(pack_text(p, o->metadata[i].key));
        join->metadata[i].value = phi_bytes_text(pack_text(p, o->metadata[i].value));
    }
    if (p->room != NULL) {
        o->centers = centers;
        o->account = account;
        o->service = service;
        o->software = software;
        o->tls_authorities_file = authorities;
        o->tls_certificate_file = certificate;
        o->tls_key_file = key;
        o->tls_name = tls_name;
        client->tls = (phi_tls_files){ .authorities = authorities,
                                       .certificate = certificate,
                                       .key = key,
                                       .allows_tls12 = o->tls_allow_1_2 };
        o->metadata = NULL; // in `join` from now on
    }
}

// Cuts the copied list of centers at its commas, and completes each of them.
static ph_err centers_split(ph_client *client)
{
    char *at = client->texts; // packed first
    for (;;) {
        char *comma = strchr(at, ',');
        if (comma != NULL) {
            *comma = '\0';
        }
        phi_endpoint endpoint;
        if (client->center_count == PHI_CENTERS_MAX ||
            phi_endpoint_parse_dialled(at, &endpoint, NULL) != PH_OK) {
            return PH_EINVAL;
        }
        phi_center_address *center = &client->centers[client->center_count++];
        phi_endpoint_format(&endpoint, center->text);
        center->is_tls = endpoint.is_tls;
        if (comma == NULL) {
            return PH_OK;
        }
        at = comma + 1;
    }
}

static void link_options_fill(ph_client *client)
{
    const ph_client_options *o = &client->options;
    client->link_options = (phi_link_options){
        .alloc = client->alloc,
        .side = PHI_LINK_CLIENT,
        .send_bytes_max = o->send_bytes_max,
        .packet_bytes_max = PHI_PACKET_BYTES_MAX,
        .join_timeout = phi_ms(o->connect_timeout_ms),
        .heartbeat_idle = phi_ms(o->heartbeat_idle_ms),
        .heartbeat_grace = phi_ms(o->heartbeat_grace_ms),
        .full_timeout = phi_seconds(FULL_TIMEOUT_S),
        .join = &client->join,
    };
}

bool phi_client_join_fits(const phi_join *join)
{
    static const uint8_t longest[PHI_NAME_BYTES_MAX];
    phi_join worst = *join;
    worst.presence = (phi_presence_ask){
        .wants = true,
        .type = PHI_TYPE_CENTER,
        .service = phi_bytes_of(longest, sizeof longest),
        .domain = phi_bytes_of(longest, sizeof longest),
        .last_epoch = UINT64_MAX,
        .last_revision = UINT64_MAX,
    };
    uint8_t room[PHI_PACKET_BYTES_JOINING_MAX - PHI_PACKET_HEAD_CHECKED];
    phi_writer w = phi_writer_of((phi_span){ room, sizeof room });
    phi_join_encode(&w, &worst);
    explicit_bzero(room, sizeof room); // of the token
    return !w.failed;
}
