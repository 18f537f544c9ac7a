// SPDX-License-Identifier: Apache-2.0
//
// tests/io/uv_fixture.h - for the tests of the libuv implementation: a loop with a listener,
// streams that count what they are told, and raw sockets of the test's own as the other ends,
// which do what no well-behaved end would.

#ifndef TESTS_IO_UV_FIXTURE_H
#define TESTS_IO_UV_FIXTURE_H

#include "io/uv_private.h"
#include "tests/harness/test.h"

#define FIXTURE_ENDS_MAX 2048

typedef struct fixture fixture;

// One of our streams.
typedef struct fixture_end {
    fixture *f;
    phi_stream *stream; // NULL after it was closed
    int opened;
    int closed;
    ph_err reason;
    char why[PHI_DIAG_BYTES_MAX];
    int silences;
    size_t size; // bytes that came
    char got[64];
} fixture_end;

struct fixture {
    phi_uv *uv;
    phi_io *io;
    phi_alloc_counter memory;
    size_t descriptors; // open before the loop was made; 0: not to be compared
    phi_listener *listener;
    char address[PHI_ADDRESS_TEXT_MAX];
    uint16_t port;
    int sheds;
    bool closes_listener; // in on_accept
    size_t count;         // accepted
    fixture_end ends[FIXTURE_ENDS_MAX];
    fixture_end client; // for fixture_connect
};

// A loop; with an address also a listener.
fixture *fixture_new(const char *address);
void fixture_listen(fixture *f, const char *address, phi_tls *tls);
// Fails the test when memory or descriptors were not given back.
void fixture_free(fixture *f);

extern const phi_listener_events fixture_listener_events;
extern const phi_stream_events fixture_stream_events;

// One turn that waits for at most 1 s.
void fixture_turn(fixture *f);

// So long that whatever would happen has happened.
void fixture_settle(fixture *f);

// Lets the timers find that so much time has passed. What is set later is late by as much.
void fixture_skip(fixture *f, phi_dur dur);

#define FIXTURE_UNTIL(f, condition)                                                                \
    do {                                                                                           \
        for (int turns_ = 0;; turns_++) {                                                          \
            if (condition) {                                                                       \
                break;                                                                             \
            }                                                                                      \
            if (turns_ == 10000) {                                                                 \
                fail_msg("never came: %s", #condition);                                            \
            }                                                                                      \
            fixture_turn(f);                                                                       \
        }                                                                                          \
    } while (0)

// Connects f->client.
void fixture_connect(fixture *f, const char *address);

phi_identity fixture_peer(const fixture *f, const phi_stream *s);

// A blocking raw socket connected to the fixture's listener; the connection is not accepted yet.
int raw_connect(const fixture *f);
// The same, and one that is accepted by us as f->ends[index].
int raw_connect_accepted(fixture *f, size_t index);
// A reset instead of FIN.
void raw_reset(int fd);

size_t descriptor_count(void);

// Whether this machine speaks IPv6 on its loopback.
bool has_ip6(void);

#endif // TESTS_IO_UV_FIXTURE_H
