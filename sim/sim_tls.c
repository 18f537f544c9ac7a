// SPDX-License-Identifier: Apache-2.0
//
// sim/sim_tls.c - who is at the other end of a simulated stream. Nothing is enciphered here: a node
// is whom the scenario says it is, and credentials are a list of nodes that they do not believe. So
// what stands above io.h meets every verdict of TLS, in the order in which a real handshake gives
// them: the dialler judges first, and may have its stream open before it hears that it is not
// believed itself.

#include <string.h>

#include "io/tls.h"
#include "io/tls_files.h"
#include "sim/sim_internal.h"

struct phi_tls {
    phi_tls *next; // on sim.tls
    phi_tls_peers peers;
    uint32_t count;
    const char **refusals; // by node; NULL: it is believed. Owned; the texts are borrowed.
};

// ---- what a scenario sets

void sim_identity_set(sim *s, sim_node node, const phi_identity *identity)
{
    sim_host *host = sim_host_get(s, node);
    PH_ASSERT(identity->name_count <= PHI_IDENTITY_NAMES_MAX);
    sim_identity_free(&host->identity);
    host->identity = sim_identity_dup(identity);
}

phi_tls *sim_tls_new(sim *s, phi_tls_peers peers)
{
    phi_tls *tls = phi_take_zeroed(&phi_alloc_heap, 1, sizeof *tls);
    PH_ASSERT(tls != NULL);
    tls->peers = peers;
    tls->count = s->host_capacity;
    tls->refusals = phi_take_zeroed(&phi_alloc_heap, tls->count, sizeof tls->refusals[0]);
    PH_ASSERT(tls->refusals != NULL);
    tls->next = s->tls;
    s->tls = tls;
    return tls;
}

void sim_tls_files_set(sim *s, sim_node node, phi_tls *tls)
{
    sim_host_get(s, node)->tls_files = tls;
}

void sim_tls_refuse(phi_tls *tls, sim_node node, const char *why)
{
    PH_ASSERT(node < tls->count);
    tls->refusals[node] = why;
}

// ---- what nodes ask

ph_err sim_tls_load(phi_io *io, phi_tls_files *files, phi_diag *diag)
{
    sim_host *host = sim_host_of(io);
    if (host->tls_files == NULL) {
        return phi_diag_add(diag, PH_EINVAL, "cannot read %s: No such file or directory",
                            files->certificate == NULL ? "the CAs" : files->certificate);
    }
    files->tls = host->tls_files;
    return PH_OK;
}

void sim_tls_drop(phi_io *io, phi_tls_files *files)
{
    (void)io; // the world's
    files->tls = NULL;
}

// ---- what streams ask

void sim_stream_identity(const phi_stream *stream, phi_identity *out)
{
    const sim_conn *conn = stream->conn;
    uint16_t peer = 1 - stream->end;
    if (conn->identities[peer] != NULL) {
        *out = *conn->identities[peer];
    } else {
        // 127.0.0.1, or 10.0.0.N, as net_peer shows them.
        bool is_local = conn->is_local;
        uint8_t last = (uint8_t)(is_local ? 1 : conn->places[peer]);
        *out = (phi_identity){ .is_local = is_local,
                               .host = { [10] = 0xff, 0xff, is_local ? 127 : 10, 0, 0, last } };
    }
    out->is_tls = conn->is_tls;
    if (!conn->is_tls) { // then nobody shows a certificate
        out->name_count = 0;
        out->expires_s = 0;
    }
}

ph_err sim_stream_verify(const phi_stream *stream, const phi_tls *tls, phi_diag *diag)
{
    if (!stream->conn->is_tls) {
        return phi_diag_add(diag, PH_EACCESS, "the connection is not secured");
    }
    const char *why = sim_tls_judge(tls, stream->conn, stream->end);
    return why == NULL ? PH_OK : phi_diag_add(diag, PH_EACCESS, "%s", why);
}

// Why credentials of that end do not believe the other; NULL: they do.
const char *sim_tls_judge(const phi_tls *tls, const sim_conn *conn, uint16_t end)
{
    const phi_identity *peer = conn->identities[1 - end];
    if (peer == NULL || peer->name_count == 0) {
        bool is_required = end == 1 && tls->peers == PHI_TLS_PEERS_REQUIRED;
        return is_required ? "it has no certificate" : NULL;
    }
    uint64_t wall_s = phi_io_wall_ms(&conn->hosts[end]->io) / 1000;
    if (peer->expires_s != 0 && peer->expires_s <= wall_s) {
        return "its certificate has expired";
    }
    return tls->refusals[conn->places[1 - end]];
}

// ---- memory

phi_identity *sim_identity_dup(const phi_identity *identity)
{
    if (identity == NULL) {
        return NULL;
    }
    phi_identity *copy = phi_take(&phi_alloc_heap, sizeof *copy);
    PH_ASSERT(copy != NULL);
    *copy = *identity;
    return copy;
}

void sim_identity_free(phi_identity **identity)
{
    if (*identity != NULL) {
        phi_give(&phi_alloc_heap, *identity, sizeof **identity);
        *identity = NULL;
    }
}

void sim_tls_free_all(sim *s)
{
    for (phi_tls *tls; (tls = s->tls) != NULL;) {
        s->tls = tls->next;
        phi_give(&phi_alloc_heap, tls->refusals, tls->count * sizeof tls->refusals[0]);
        phi_give(&phi_alloc_heap, tls, sizeof *tls);
    }
}
