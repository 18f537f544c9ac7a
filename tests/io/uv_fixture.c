// SPDX-License-Identifier: Apache-2.0

#include "tests/io/uv_fixture.h"

#include <dirent.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void end_on_open(void *owner)
{
    fixture_end *e = (fixture_end *)owner;
    EXPECT_EQ(e->closed, 0);
    e->opened++;
}

static void end_on_bytes(void *owner, phi_span bytes)
{
    fixture_end *e = (fixture_end *)owner;
    EXPECT_EQ(e->closed, 0);
    for (size_t i = 0; i < bytes.size && e->size + i < sizeof e->got; i++) {
        e->got[e->size + i] = (char)bytes.data[i];
    }
    e->size += bytes.size;
}

static void end_on_writable(void *owner)
{
    (void)owner;
}

static void end_on_closed(void *owner, ph_err reason, const char *why)
{
    fixture_end *e = (fixture_end *)owner;
    EXPECT_EQ(e->closed, 0);
    e->closed++;
    e->reason = reason;
    (void)snprintf(e->why, sizeof e->why, "%s", why);
    e->stream = NULL;
}

static size_t end_on_silent(void *owner, phi_span room)
{
    ((fixture_end *)owner)->silences++;
    memcpy(room.data, "speak", 5);
    return 5;
}

const phi_stream_events fixture_stream_events = {
    .on_silent = end_on_silent,
    .on_open = end_on_open,
    .on_bytes = end_on_bytes,
    .on_writable = end_on_writable,
    .on_closed = end_on_closed,
};

static void on_accept(void *owner, phi_stream *stream)
{
    fixture *f = (fixture *)owner;
    EXPECT(f->count < FIXTURE_ENDS_MAX);
    fixture_end *e = &f->ends[f->count++];
    e->f = f;
    e->stream = stream;
    phi_stream_attach(f->io, stream, &fixture_stream_events, e);
    if (f->closes_listener) {
        phi_listener_close(f->io, f->listener);
    }
}

static phi_bytes on_shed(void *owner, ph_err reason)
{
    EXPECT(reason == PH_ELIMIT || reason == PH_ENOMEM);
    ((fixture *)owner)->sheds++;
    return phi_bytes_text("full");
}

const phi_listener_events fixture_listener_events = {
    .on_accept = on_accept,
    .on_shed = on_shed,
};

fixture *fixture_new(const char *address)
{
    fixture *f = (fixture *)calloc(1, sizeof *f);
    assert_non_null(f);
    phi_uv *first = NULL; // libuv makes a pipe for signals with the first loop, and keeps it
    EXPECT_ERR(phi_uv_new(&first, &phi_alloc_heap, NULL), PH_OK);
    phi_uv_free(&first);
    f->descriptors = descriptor_count();
    phi_alloc_counter_init(&f->memory, &phi_alloc_heap);
    EXPECT_ERR(phi_uv_new(&f->uv, &f->memory.alloc, NULL), PH_OK);
    f->io = phi_uv_io(f->uv);
    f->client.f = f;
    if (address != NULL) {
        fixture_listen(f, address, NULL);
    }
    return f;
}

void fixture_listen(fixture *f, const char *address, phi_tls *tls)
{
    phi_diag diag = { "" };
    phi_listen_options options = { .address = address, .tls = tls };
    if (phi_io_listen(f->io, &options, &fixture_listener_events, f, &f->listener, &diag) != PH_OK) {
        fail_msg("%s", diag.text);
    }
    phi_listener_address(f->io, f->listener, f->address);
    phi_endpoint at;
    EXPECT_ERR(phi_endpoint_parse(f->address, &at, NULL), PH_OK);
    f->port = at.port;
}

void fixture_free(fixture *f)
{
    phi_uv_free(&f->uv);
    EXPECT(f->uv == NULL);
    EXPECT_EQ(f->memory.blocks, 0);
    EXPECT_EQ(f->memory.bytes, 0);
    if (f->descriptors != 0) {
        EXPECT_EQ(descriptor_count(), f->descriptors);
    }
    free(f);
}

void fixture_turn(fixture *f)
{
    phi_uv_turn(f->uv, phi_seconds(1));
}

void fixture_settle(fixture *f)
{
    phi_time until = phi_time_add(phi_io_now(f->io), phi_ms(5));
    while (phi_time_before(phi_io_now(f->io), until)) {
        phi_uv_turn(f->uv, phi_ms(1));
    }
}

void fixture_skip(fixture *f, phi_dur dur)
{
    phi_timers_run(&f->io->timers, phi_time_add(phi_io_now(f->io), dur));
}

void fixture_connect(fixture *f, const char *address)
{
    phi_diag diag = { "" };
    if (phi_io_connect(f->io, &(phi_connect_options){ .address = address }, &fixture_stream_events,
                       &f->client, &f->client.stream, &diag) != PH_OK) {
        fail_msg("%s", diag.text);
    }
}

phi_identity fixture_peer(const fixture *f, const phi_stream *s)
{
    phi_identity identity;
    phi_stream_identity(f->io, s, &identity);
    return identity;
}

int raw_connect(const fixture *f)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT(fd >= 0);
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(f->port) };
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

int raw_connect_accepted(fixture *f, size_t index)
{
    int fd = raw_connect(f);
    FIXTURE_UNTIL(f, f->count > index);
    EXPECT_EQ(f->count, index + 1);
    return fd;
}

void raw_reset(int fd)
{
    struct linger now = { .l_onoff = 1, .l_linger = 0 };
    EXPECT_EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    close(fd);
}

size_t descriptor_count(void)
{
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    size_t count = 0;
    while (readdir(dir) != NULL) {
        count++;
    }
    closedir(dir);
    return count;
}

bool has_ip6(void)
{
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    bool can = bind(fd, (const struct sockaddr *)&at, sizeof at) == 0;
    close(fd);
    return can;
}
