// SPDX-License-Identifier: Apache-2.0
//
// fuzz/fuzz_tls.c - what strangers send to a listener of TLS, on a real loop and a real socket:
// each connection ends with one event, nobody gets in, and nothing is kept. Before that, the look
// at a client hello: cut into bytes it says the same as of the whole.

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "io/address.h"
#include "io/tls_hello.h"
#include "io/uv.h"
#include "tests/io/tls_fixture.h"

#define BYTES_MAX 60000u // below what a handshake may send, and what a socket takes at once
#define HOSTS 65536u     // addresses of loopback that strangers come from

static phi_uv *uv;
static uint16_t port;
static phi_alloc_counter memory;
static unsigned accepted;
static unsigned closed;
static size_t idle_bytes; // of the loop, with its buffers

static void on_bytes(void *owner, phi_span bytes)
{
    (void)owner;
    (void)bytes;
    fuzz_expect(false, "somebody got in");
}

static void on_writable(void *owner)
{
    (void)owner;
}

static void on_closed(void *owner, ph_err reason, const char *why)
{
    (void)owner;
    closed++;
    fuzz_expect(reason == PH_ETLS || reason == PH_ECLOSED || reason == PH_ERESET, "a strange end");
    fuzz_expect(why[0] != '\0', "an end without a reason");
}

static const phi_stream_events stream_events = {
    .on_bytes = on_bytes,
    .on_writable = on_writable,
    .on_closed = on_closed,
};

static void on_accept(void *owner, phi_stream *stream)
{
    (void)owner;
    accepted++;
    phi_stream_attach(phi_uv_io(uv), stream, &stream_events, NULL);
}

static phi_bytes on_shed(void *owner, ph_err reason)
{
    (void)owner;
    (void)reason;
    return phi_bytes_text("");
}

static const phi_listener_events listener_events = { .on_accept = on_accept, .on_shed = on_shed };

static void begin(void)
{
    fixture_issued *authority = fixture_authority();
    fixture_issued *own = fixture_issue_for(authority, "IP:127.0.0.1");
    phi_tls *tls = fixture_credentials(PHI_TLS_CENTER, own, authority, NULL, PHI_TLS_PEERS_ASKED);
    phi_alloc_counter_init(&memory, &phi_alloc_heap);
    fuzz_expect(phi_uv_new(&uv, &memory.alloc, NULL) == PH_OK, "no loop");
    phi_listener *listener = NULL;
    phi_listen_options at = { .address = "127.0.0.1:0", .tls = tls };
    fuzz_expect(phi_io_listen(phi_uv_io(uv), &at, &listener_events, NULL, &listener, NULL) == PH_OK,
                "no listener");
    char address[PHI_ADDRESS_TEXT_MAX];
    phi_listener_address(phi_uv_io(uv), listener, address);
    phi_endpoint endpoint;
    fuzz_expect(phi_endpoint_parse(address, &endpoint, NULL) == PH_OK, "no address");
    port = endpoint.port;
    phi_tls_free(&tls);
    fixture_issued_free(&own);
    fixture_issued_free(&authority);
}

static void watch(const uint8_t *data, size_t size)
{
    phi_tls_hello whole = { .is_done = false };
    phi_tls_hello cut = { .is_done = false };
    bool is_fit = phi_tls_hello_watch(&whole, phi_bytes_of(data, size));
    bool is_cut_fit = true;
    for (size_t i = 0; i < size && is_cut_fit; i++) {
        is_cut_fit = phi_tls_hello_watch(&cut, phi_bytes_of(data + i, 1));
    }
    fuzz_expect(is_fit == is_cut_fit, "a hello is judged by how it is cut");
    fuzz_expect(!is_fit || whole.is_done == cut.is_done, "a look ends by how it is cut");
}

// Each from another address: of one, thousands of connections in a second use up the ports.
static int dial(void)
{
    static uint32_t visits;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    struct sockaddr_in from = { .sin_family = AF_INET };
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + visits++ % HOSTS);
    fuzz_expect(bind(fd, (const struct sockaddr *)&from, sizeof from) == 0, "no address");
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fuzz_expect(connect(fd, (const struct sockaddr *)&to, sizeof to) == 0, "not connected");
    return fd;
}

static void visit(const uint8_t *data, size_t size)
{
    int fd = dial();
    (void)send(fd, data, size, MSG_NOSIGNAL);
    (void)shutdown(fd, SHUT_WR);
    accepted = 0;
    closed = 0;
    for (unsigned i = 0; closed == 0; i++) {
        fuzz_expect(i < 1000, "a connection without end");
        phi_uv_turn(uv, phi_ms(100));
    }
    close(fd);
    for (unsigned i = 0; i < 1000 && idle_bytes != 0 && memory.bytes > idle_bytes; i++) {
        phi_uv_turn(uv, phi_ms(10)); // it lingers until our FIN is there
    }
    if (idle_bytes == 0) {
        phi_uv_turn(uv, phi_ms(10));
        phi_uv_turn(uv, phi_ms(10));
        idle_bytes = memory.bytes;
    }
    fuzz_expect(accepted == 1 && closed == 1, "one end for one connection");
    fuzz_expect(memory.bytes <= idle_bytes, "something is kept");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size = size < BYTES_MAX ? size : BYTES_MAX;
    watch(data, size);
    if (uv == NULL) {
        begin();
    }
    visit(data, size);
    return 0;
}
