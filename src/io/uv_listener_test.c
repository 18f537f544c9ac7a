// SPDX-License-Identifier: Apache-2.0

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/io/uv_fixture.h"

// ---- helpers

static struct rlimit limit_before;

// From now on no descriptor can be opened.
static void descriptors_exhaust(void)
{
    int next = dup(0);
    EXPECT(next >= 0);
    close(next);
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &limit_before), 0);
    struct rlimit limit = limit_before;
    limit.rlim_cur = (rlim_t)next;
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    EXPECT(dup(0) == -1 && errno == EMFILE);
}

static void descriptors_restore(void)
{
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit_before), 0);
}

static void raw_begin(const fixture *f, int fd)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(f->port) };
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
}

// A directory of this test's own, and a path in it.
static char scratch[64];

static const char *scratch_path(const char *prefix, const char *name)
{
    static char path[128];
    if (scratch[0] == '\0') {
        (void)snprintf(scratch, sizeof scratch, "%s", "/tmp/posthouse-io-XXXXXX");
        assert_non_null(mkdtemp(scratch));
    }
    (void)snprintf(path, sizeof path, "%s%s/%s", prefix, scratch, name);
    return path;
}

static void scratch_remove(void)
{
    EXPECT_EQ(rmdir(scratch), 0); // fails when something was left behind
    scratch[0] = '\0';
}

static ph_err listen_again(fixture *f, const char *address, phi_diag *diag)
{
    phi_listener *second = NULL;
    ph_err err = phi_io_listen(f->io, &(phi_listen_options){ .address = address },
                               &fixture_listener_events, f, &second, diag);
    EXPECT((err == PH_OK) == (second != NULL));
    if (second != NULL) {
        phi_listener_close(f->io, second);
    }
    return err;
}

// ---- out of descriptors

// Out of descriptors the kernel reports the listener as ready for ever: the loop must neither spin
// nor let the callers hang, and must take new ones as soon as there are descriptors again.
TEST(uv_listener, out_of_descriptors_sheds_and_recovers)
{
    enum { COUNT = 100 };
    fixture *f = fixture_new("127.0.0.1:0");
    static int raw[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        raw[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        EXPECT(raw[i] >= 0);
    }
    descriptors_exhaust();
    for (size_t i = 0; i + 1 < COUNT; i++) {
        raw_begin(f, raw[i]);
    }
    int turns = 0;
    for (; f->sheds < COUNT - 1 && turns < 1000; turns++) {
        fixture_turn(f);
    }
    EXPECT_EQ(f->sheds, COUNT - 1);
    EXPECT_EQ(f->count, 0);
    EXPECT(turns < 3 * COUNT / 2); // two in a turn, with rests between
    char told[8];
    for (size_t i = 0; i + 1 < COUNT; i++) { // all were, and not left hanging
        EXPECT_EQ(recv(raw[i], told, sizeof told, 0), 4);
        EXPECT(memcmp(told, "full", 4) == 0);
        EXPECT_EQ(recv(raw[i], told, sizeof told, 0), 0);
    }

    descriptors_restore();
    fixture_skip(f, phi_ms(500)); // a rest may still last, but not for long
    phi_time restored = phi_io_now(f->io);
    raw_begin(f, raw[COUNT - 1]);
    FIXTURE_UNTIL(f, f->count == 1);
    EXPECT(phi_time_diff(f->io->now, restored).ns < phi_ms(500).ns);
    for (size_t i = 0; i < COUNT; i++) {
        close(raw[i]);
    }
    FIXTURE_UNTIL(f, f->ends[0].closed == 1);
    fixture_free(f);
}

// The same when even the spare descriptor is lost, to another thread that was quicker.
TEST(uv_listener, out_of_descriptors_without_spare_rests)
{
    fixture *f = fixture_new("127.0.0.1:0");
    int raw = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int thief = dup(0);
    EXPECT(f->uv->spare_fd >= 0);
    close(f->uv->spare_fd);
    f->uv->spare_fd = -1;
    int taken = dup(0); // where the spare was
    descriptors_exhaust();
    raw_begin(f, raw);
    phi_time until = phi_time_add(phi_io_now(f->io), phi_ms(75));
    int turns = 0;
    for (; phi_time_before(phi_io_now(f->io), until); turns++) {
        phi_uv_turn(f->uv, phi_time_diff(until, f->io->now));
    }
    EXPECT(turns >= 2);  // it looks again
    EXPECT(turns <= 60); // and does not spin
    EXPECT_EQ(f->count, 0);
    descriptors_restore();
    fixture_skip(f, phi_ms(500));
    FIXTURE_UNTIL(f, f->count == 1); // it waited in the kernel's queue
    EXPECT(f->uv->spare_fd >= 0);
    close(raw);
    close(thief);
    close(taken);
    fixture_free(f);
}

// Whatever needs a descriptor must say that there is none, and leave nothing half made.
TEST(uv_listener, out_of_descriptors_is_told_by_every_call)
{
    fixture *f = fixture_new("127.0.0.1:0");
    descriptors_exhaust();
    phi_uv *second = NULL;
    phi_diag diag = { "" };
    EXPECT_ERR(phi_uv_new(&second, &f->memory.alloc, &diag), PH_ESYSTEM);
    EXPECT(strstr(diag.text, "too many open files") != NULL);
    diag.text[0] = '\0';
    EXPECT_ERR(listen_again(f, "127.0.0.1:0", &diag), PH_ESYSTEM);
    EXPECT(strstr(diag.text, "Too many open files") != NULL);

    fixture_connect(f, f->address);
    FIXTURE_UNTIL(f, f->client.closed == 1);
    EXPECT_ERR(f->client.reason, PH_ECONNECT);
    EXPECT(strstr(f->client.why, "Too many open files") != NULL);

    f->client = (fixture_end){ .f = f };
    f->uv->name_servers = "127.0.0.1:1";
    fixture_connect(f, "center.example:7678");
    char text[PHI_ADDRESS_TEXT_MAX];
    phi_stream_peer(f->io, f->client.stream, text);
    EXPECT_TEXT(text, "(not connected)");
    FIXTURE_UNTIL(f, f->client.closed == 1);
    EXPECT_ERR(f->client.reason, PH_ECONNECT);
    EXPECT(strstr(f->client.why, "look up the name: ") != NULL);
    descriptors_restore();
    fixture_free(f);
}

// ---- accepting

// Those who are connected must not wait until a thousand newcomers have been greeted.
TEST(uv_listener, accepts_a_bounded_number_per_turn)
{
    enum { COUNT = PHI_UV_ACCEPTS_PER_TURN + 10 };
    fixture *f = fixture_new("127.0.0.1:0");
    int raw[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        raw[i] = raw_connect(f);
    }
    phi_uv_turn(f->uv, phi_seconds(1));
    EXPECT_EQ(f->count, PHI_UV_ACCEPTS_PER_TURN);
    phi_uv_turn(f->uv, phi_seconds(1));
    EXPECT_EQ(f->count, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        close(raw[i]);
    }
    fixture_free(f);
}

// A center that is told to stop by the one it accepts must not touch the listener it closed.
TEST(uv_listener, closed_inside_accept_accepts_no_more)
{
    fixture *f = fixture_new("127.0.0.1:0");
    int first = raw_connect(f);
    int second = raw_connect(f);
    f->closes_listener = true;
    FIXTURE_UNTIL(f, f->count == 1);
    fixture_settle(f);
    EXPECT_EQ(f->count, 1);
    close(first);
    close(second);
    fixture_free(f);
}

// The log says who it was, and the suites that protect nobody are offered to neighbours only.
TEST(uv_listener, peer_is_named)
{
    fixture *f = fixture_new("127.0.0.1:0");
    int raw = raw_connect_accepted(f, 0);
    struct sockaddr_in at;
    socklen_t size = sizeof at;
    EXPECT_EQ(getsockname(raw, (struct sockaddr *)&at, &size), 0);
    char expected[PHI_ADDRESS_TEXT_MAX];
    char text[PHI_ADDRESS_TEXT_MAX];
    (void)snprintf(expected, sizeof expected, "127.0.0.1:%u", ntohs(at.sin_port));
    phi_stream_peer(f->io, f->ends[0].stream, text);
    EXPECT_TEXT(text, expected);
    phi_identity identity = fixture_peer(f, f->ends[0].stream);
    EXPECT(identity.is_local);
    EXPECT(!identity.is_tls);
    EXPECT(!identity.has_user);
    static const uint8_t host[16] = { [10] = 0xff, 0xff, 127, 0, 0, 1 };
    EXPECT_BYTES(identity.host, host, sizeof host);
    EXPECT_EQ(identity.name_count, 0);
    close(raw);
    fixture_free(f);
}

// ---- addresses

// Who starts a center twice, or where it cannot be, reads what to do.
TEST(uv_listener, refusals_say_what_to_do)
{
    fixture *f = fixture_new("127.0.0.1:0");
    char in_use[64];
    (void)snprintf(in_use, sizeof in_use, "localhost:%u", f->port);
    const struct {
        const char *address;
        ph_err err;
        const char *says;
    } rows[] = {
        { in_use, PH_EADDRINUSE, "is another center running?" },
        { "203.0.113.7:0", PH_ESYSTEM, "no such address" },
        { "center.example:0", PH_EINVAL, "0.0.0.0" },
        { "7678", PH_EINVAL, "HOST:PORT" },
        { "tls:127.0.0.1:0", PH_EINVAL, "TLS" },
        { "unix:/nonexistent/a.sock", PH_ESYSTEM, "No such file" },
    };
    size_t blocks = f->memory.blocks;
    for (size_t i = 0; i < PHI_COUNT_OF(rows); i++) {
        phi_diag diag = { "" };
        EXPECT_ERR(listen_again(f, rows[i].address, &diag), rows[i].err);
        if (strncmp(diag.text, "listen on ", 10) != 0 ||
            strstr(diag.text, rows[i].address) == NULL || strstr(diag.text, rows[i].says) == NULL) {
            fail_msg("%s", diag.text);
        }
    }
    EXPECT_EQ(f->memory.blocks, blocks);
    fixture_free(f);
}

// [::] is how one says "everybody": callers over IPv4 are part of that, and are recognised as near
// or far by their IPv4 address.
TEST(uv_listener, ip6_wildcard_takes_ip4_too)
{
    if (!has_ip6()) {
        skip();
    }
    fixture *f = fixture_new("[::]:0");
    EXPECT(strncmp(f->address, "[::]:", 5) == 0);
    int raw = raw_connect_accepted(f, 0);
    EXPECT(fixture_peer(f, f->ends[0].stream).is_local);
    char text[PHI_ADDRESS_TEXT_MAX];
    phi_stream_peer(f->io, f->ends[0].stream, text);
    EXPECT(strncmp(text, "[::ffff:127.0.0.1]:", 19) == 0);
    close(raw);
    fixture_free(f);
}

// ---- Unix sockets

// A center on a Unix socket: reachable by its group only, and gone from the disk when it stops.
TEST(uv_listener, unix_socket_serves_and_is_removed)
{
    fixture *f = fixture_new(scratch_path("unix:", "a.sock"));
    EXPECT_TEXT(f->address, scratch_path("unix:", "a.sock"));
    struct stat made;
    EXPECT_EQ(lstat(scratch_path("", "a.sock"), &made), 0);
    EXPECT(S_ISSOCK(made.st_mode));
    EXPECT_EQ(made.st_mode & 0777, 0660);

    fixture_connect(f, f->address);
    FIXTURE_UNTIL(f, f->client.opened == 1 && f->count == 1);
    EXPECT_EQ(phi_stream_write(f->io, f->client.stream, phi_bytes_text("hello")), 5);
    FIXTURE_UNTIL(f, f->ends[0].size == 5);
    char text[PHI_ADDRESS_TEXT_MAX];
    char expected[PHI_ADDRESS_TEXT_MAX];
    phi_stream_peer(f->io, f->ends[0].stream, text);
    (void)snprintf(expected, sizeof expected, "unix:pid=%d,uid=%u", (int)getpid(), getuid());
    EXPECT_TEXT(text, expected);
    phi_identity identity = fixture_peer(f, f->ends[0].stream);
    EXPECT(identity.is_local);
    EXPECT(!identity.is_tls);
    EXPECT(identity.has_user);
    EXPECT_EQ(identity.uid, getuid());
    EXPECT_EQ(identity.gid, getgid());
    EXPECT(fixture_peer(f, f->client.stream).is_local);

    phi_listener_close(f->io, f->listener);
    EXPECT(lstat(scratch_path("", "a.sock"), &made) == -1 && errno == ENOENT);
    scratch_remove();
    fixture_free(f);
}

// A center that was killed leaves its socket's file; the next one must start all the same, but
// never take the file from under a living one.
TEST(uv_listener, unix_socket_replaces_only_a_dead_one)
{
    phi_sock_storage storage;
    socklen_t size = phi_sock_path_to(scratch_path("", "b.sock"), &storage);
    int dead = phi_sock_open(PHI_ENDPOINT_UNIX);
    EXPECT_EQ(bind(dead, &storage.any, size), 0);
    EXPECT_EQ(listen(dead, 1), 0);
    close(dead);

    fixture *f = fixture_new(scratch_path("unix:", "b.sock"));
    phi_diag diag = { "" };
    EXPECT_ERR(listen_again(f, scratch_path("unix:", "b.sock"), &diag), PH_EADDRINUSE);
    EXPECT(strstr(diag.text, "is another center running?") != NULL);
    fixture_connect(f, f->address);
    FIXTURE_UNTIL(f, f->client.opened == 1);
    fixture_free(f);
    scratch_remove();
}

// A slip in the configuration must not cost somebody his file.
TEST(uv_listener, unix_socket_spares_other_files)
{
    const char *path = scratch_path("", "data");
    int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    EXPECT(file >= 0);
    close(file);
    fixture *f = fixture_new("127.0.0.1:0");
    phi_diag diag = { "" };
    EXPECT_ERR(listen_again(f, scratch_path("unix:", "data"), &diag), PH_ESYSTEM);
    EXPECT(strstr(diag.text, "no socket") != NULL);
    EXPECT_EQ(unlink(scratch_path("", "data")), 0);
    fixture_free(f);
    scratch_remove();
}

// A successor that already stands under the name must survive the end of its predecessor.
TEST(uv_listener, unix_socket_of_a_successor_is_not_removed)
{
    fixture *f = fixture_new(scratch_path("unix:", "c.sock"));
    EXPECT_EQ(unlink(scratch_path("", "c.sock")), 0);
    fixture *successor = fixture_new(scratch_path("unix:", "c.sock"));
    phi_listener_close(f->io, f->listener);
    struct stat there;
    EXPECT_EQ(lstat(scratch_path("", "c.sock"), &there), 0);
    f->descriptors = 0; // each has those of the other
    successor->descriptors = 0;
    fixture_free(successor);
    fixture_free(f);
    scratch_remove();
}
