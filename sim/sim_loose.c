// SPDX-License-Identifier: Apache-2.0
//
// sim/sim_loose.c - accepted streams on their way from one loop of a process to another.
//
// The connection stays what it is, and its other end sees nothing: what comes meanwhile lies in its
// pipe, as in a socket that nobody reads.

#include "sim/sim_internal.h"

static void loose_free(phi_loose_stream *loose);

ph_err sim_stream_release(phi_stream *stream, phi_loose_stream **out)
{
    PH_ASSERT(stream->state == SIM_STREAM_ACCEPTED);
    PH_ASSERT(stream->events == NULL);
    PH_ASSERT(stream->end == 1);
    phi_loose_stream *loose = phi_take_zeroed(&phi_alloc_heap, 1, sizeof *loose);
    PH_ASSERT(loose != NULL);
    loose->host = stream->host;
    loose->conn = stream->conn;
    loose->conn->refs++;
    loose->conn->loose = loose;
    phi_list_append(&loose->host->loose, &loose->node);
    sim_stream_free(stream);
    *out = loose;
    return PH_OK;
}

// What is on its way to it comes here now.
ph_err sim_stream_adopt(phi_io *io, phi_loose_stream *loose, phi_stream **out)
{
    sim_host *host = (sim_host *)io;
    sim *s = host->world;
    sim_conn *conn = loose->conn;
    PH_ASSERT(conn->loose == loose); // else its process was killed, and this one was not
    phi_stream *stream = sim_stream_new(host, conn, 1);
    if (stream == NULL) {
        sim_loose_close(loose);
        return PH_ENOMEM;
    }
    stream->state = SIM_STREAM_ACCEPTED;
    if (conn->hosts[1] != host) {
        sim_redirect(s, conn, 1, host);
        conn->hosts[1] = host;
    }
    if (loose->is_reset) {
        sim_schedule(s, (sim_event){ .at = s->now,
                                     .node = host->index,
                                     .kind = SIM_RESET,
                                     .end = 1,
                                     .size = 1, // it came through already
                                     .conn = conn });
    }
    loose_free(loose);
    *out = stream;
    return PH_OK;
}

void sim_loose_close(phi_loose_stream *loose)
{
    if (loose->conn->loose == loose) { // else the kernel has done it
        sim_hang_up(loose->host->world, loose->conn, 1);
    }
    loose_free(loose);
}

static void loose_free(phi_loose_stream *loose)
{
    sim_conn *conn = loose->conn;
    if (conn->loose == loose) {
        conn->loose = NULL;
    }
    phi_list_remove(&loose->node);
    sim_conn_unref(loose->host->world, conn);
    phi_give(&phi_alloc_heap, loose, sizeof *loose);
}

// ---- the kernel and its processes

void sim_loose_kill(sim_host *host)
{
    for (phi_list *n = host->loose.next; n != &host->loose; n = n->next) {
        phi_loose_stream *loose = PHI_CONTAINER_OF(n, phi_loose_stream, node);
        sim_hang_up(host->world, loose->conn, 1);
        loose->conn->loose = NULL;
    }
}

void sim_loose_forget(sim_host *host)
{
    while (!phi_list_is_empty(&host->loose)) {
        loose_free(PHI_CONTAINER_OF(host->loose.next, phi_loose_stream, node));
    }
}
