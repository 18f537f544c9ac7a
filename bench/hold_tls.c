// SPDX-License-Identifier: Apache-2.0
//
// bench/hold_tls.c - thousands of TLS connections from one process, which then do nothing.
//
//     hold_tls --system posthouse|nats --target 127.0.0.1:PORT --ca FILE --count N
//
// One after the other: connect, handshake, join, and wait until the server has answered. Prints how
// many there are as a line of JSON, and ends with its standard input. It answers no heartbeats: the
// center is told to ask for none meanwhile.

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/sock.h"
#include "wire/codes.h"
#include "wire/handshake.h"
#include "wire/packet.h"

#define COUNT_MAX 65536

typedef struct holder {
    const char *system;
    const char *target;
    const char *ca;
    uint32_t count;
    SSL_CTX *ctx;
} holder;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "hold_tls: %s\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

// All of `size` bytes.
static void read_all(SSL *ssl, uint8_t *bytes, size_t size)
{
    for (size_t have = 0; have < size;) {
        size_t n = 0;
        if (SSL_read_ex(ssl, bytes + have, size - have, &n) != 1) {
            die("the server closed a connection");
        }
        have += n;
    }
}

static void write_all(SSL *ssl, const void *bytes, size_t size)
{
    size_t n = 0;
    if (SSL_write_ex(ssl, bytes, size, &n) != 1 || n != size) {
        die("cannot write");
    }
}

static uint16_t read_packet(SSL *ssl)
{
    static uint8_t packet[PHI_PACKET_BYTES_MAX];
    read_all(ssl, packet, PHI_PACKET_HEAD_PLAIN);
    size_t size = phi_get_u32(packet);
    if (size < PHI_PACKET_HEAD_PLAIN || size > sizeof packet) {
        die("that is no packet");
    }
    read_all(ssl, packet + PHI_PACKET_HEAD_PLAIN, size - PHI_PACKET_HEAD_PLAIN);
    return phi_get_u16(packet + 4);
}

static void join_center(SSL *ssl, uint32_t number)
{
    char account[32];
    snprintf(account, sizeof account, "idle-n%u", number);
    if (read_packet(ssl) != PHI_COMMAND_HANDSHAKE) { // HELLO
        die("no HELLO");
    }
    uint8_t packet[512];
    phi_writer w = phi_writer_of(
        (phi_span){ packet + PHI_PACKET_HEAD_PLAIN, sizeof packet - PHI_PACKET_HEAD_PLAIN });
    phi_join_encode(&w, &(phi_join){ .version = PHI_PROTOCOL_VERSION,
                                     .type = PHI_TYPE_CLIENT,
                                     .account = phi_bytes_text(account) });
    size_t size = PHI_PACKET_HEAD_PLAIN + phi_writer_view(&w).size;
    phi_put_u32(packet, (uint32_t)size);
    phi_put_u16(packet + 4, PHI_COMMAND_HANDSHAKE);
    write_all(ssl, packet, size);
    if (read_packet(ssl) != PHI_COMMAND_HANDSHAKE) { // WELCOME
        die("no WELCOME");
    }
}

// INFO comes before the handshake.
static void greet_nats(int fd)
{
    char c = 0;
    while (c != '\n') {
        if (read(fd, &c, 1) != 1) {
            die("no INFO");
        }
    }
}

static void join_nats(SSL *ssl)
{
    static const char hello[] = "CONNECT {\"verbose\":false,\"tls_required\":true}\r\nPING\r\n";
    write_all(ssl, hello, sizeof hello - 1);
    uint8_t pong[6];
    read_all(ssl, pong, sizeof pong);
    if (memcmp(pong, "PONG\r\n", sizeof pong) != 0) {
        die("no PONG");
    }
}

static void open_one(const holder *h, uint32_t number)
{
    bool is_nats = strcmp(h->system, "nats") == 0;
    int fd = sock_connect(h->target);
    if (is_nats) {
        greet_nats(fd);
    }
    SSL *ssl = SSL_new(h->ctx); // for as long as the process lives
    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1 || SSL_set1_host(ssl, "127.0.0.1") != 1 ||
        SSL_connect(ssl) != 1) {
        die("no TLS");
    }
    if (is_nats) {
        join_nats(ssl);
    } else {
        join_center(ssl, number);
    }
}

static holder parse(int argc, char **argv)
{
    holder h = { .system = "posthouse", .count = 1000 };
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--system") == 0) {
            h.system = argv[i + 1];
        } else if (strcmp(argv[i], "--target") == 0) {
            h.target = argv[i + 1];
        } else if (strcmp(argv[i], "--ca") == 0) {
            h.ca = argv[i + 1];
        } else if (strcmp(argv[i], "--count") == 0) {
            h.count = (uint32_t)strtoul(argv[i + 1], NULL, 10);
        } else {
            die("unknown option");
        }
    }
    if (h.target == NULL || h.ca == NULL || h.count == 0 || h.count > COUNT_MAX) {
        die("--target, --ca and --count (at most 65536) are needed");
    }
    return h;
}

int main(int argc, char **argv)
{
    holder h = parse(argc, argv);
    h.ctx = SSL_CTX_new(TLS_client_method());
    if (h.ctx == NULL || SSL_CTX_load_verify_file(h.ctx, h.ca) != 1) {
        die("cannot use that CA");
    }
    SSL_CTX_set_verify(h.ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(h.ctx, SSL_MODE_RELEASE_BUFFERS);
    for (uint32_t i = 0; i < h.count; i++) {
        open_one(&h, i);
    }
    printf("{\"held\": %u}\n", h.count);
    fflush(stdout);
    while (getchar() != EOF) {
    }
    return 0;
}
