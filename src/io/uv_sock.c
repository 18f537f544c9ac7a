// SPDX-License-Identifier: Apache-2.0
//
// io/uv_sock.c - socket addresses to ours and back, and the few socket options.

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/un.h>

#include "base/assert.h"
#include "io/uv_private.h"

// What the kernel takes beyond what is on its way. More than that waits where its limit has a name
// and where a stream that stands still is seen: Linux alone would take 4 MiB for who reads nothing.
#define UNSENT_BYTES_MAX (64 * 1024)
// Between two ends on this machine there is no path to find out about. A control that paces (BBR,
// where it is the default) sets a timer for each write, a fifth of a busy sender's time. Linux is
// never without this one, and who has no privilege may choose it.
#define LOCAL_CONTROL "reno"

PH_STATIC_ASSERT(sizeof(((struct sockaddr_un *)NULL)->sun_path) > PHI_ENDPOINT_PATH_MAX);

bool phi_sock_end_of(const struct sockaddr *from, phi_sock_end *out)
{
    phi_sock_end end = { 0 };
    if (from->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, from, sizeof in);
        end.kind = PHI_ENDPOINT_IP4;
        end.port = ntohs(in.sin_port);
        memcpy(end.host, &in.sin_addr, sizeof in.sin_addr);
    } else if (from->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, from, sizeof in6);
        end.kind = PHI_ENDPOINT_IP6;
        end.port = ntohs(in6.sin6_port);
        memcpy(end.host, &in6.sin6_addr, sizeof in6.sin6_addr);
    } else if (from->sa_family == AF_UNIX) {
        end.kind = PHI_ENDPOINT_UNIX;
    } else {
        return false;
    }
    *out = end;
    return true;
}

socklen_t phi_sock_end_to(const phi_sock_end *end, phi_sock_storage *out)
{
    memset(out, 0, sizeof *out);
    if (end->kind == PHI_ENDPOINT_IP4) {
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(end->port) };
        memcpy(&in.sin_addr, end->host, sizeof in.sin_addr);
        memcpy(out, &in, sizeof in);
        return sizeof in;
    }
    PH_ASSERT(end->kind == PHI_ENDPOINT_IP6);
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(end->port) };
    memcpy(&in6.sin6_addr, end->host, sizeof in6.sin6_addr);
    memcpy(out, &in6, sizeof in6);
    return sizeof in6;
}

socklen_t phi_sock_path_to(const char *path, phi_sock_storage *out)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    size_t size = strlen(path);
    PH_ASSERT(size < sizeof un.sun_path);
    memcpy(un.sun_path, path, size);
    memset(out, 0, sizeof *out);
    memcpy(out, &un, sizeof un);
    return sizeof un;
}

void phi_sock_end_format(const phi_sock_end *end, char text[PHI_ADDRESS_TEXT_MAX])
{
    PH_ASSERT(end->kind == PHI_ENDPOINT_IP4 || end->kind == PHI_ENDPOINT_IP6);
    phi_endpoint endpoint = { .kind = (phi_endpoint_kind)end->kind, .port = end->port };
    memcpy(endpoint.host, end->host, sizeof endpoint.host);
    phi_endpoint_format(&endpoint, text);
}

bool phi_sock_end_is_local(const phi_sock_end *end)
{
    return end->kind == PHI_ENDPOINT_UNIX ||
           (end->kind == PHI_ENDPOINT_IP4 && phi_endpoint_ip4_is_loopback(end->host)) ||
           (end->kind == PHI_ENDPOINT_IP6 && phi_endpoint_ip6_is_loopback(end->host));
}

void phi_sock_end_host(const phi_sock_end *end, uint8_t out[16])
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    memset(out, 0, sizeof end->host);
    if (end->kind == PHI_ENDPOINT_IP4) {
        memcpy(out, mapped, sizeof mapped);
        memcpy(out + sizeof mapped, end->host, 4);
    } else if (end->kind == PHI_ENDPOINT_IP6) {
        memcpy(out, end->host, sizeof end->host);
    }
}

int phi_sock_open(uint8_t kind)
{
    int family = kind == PHI_ENDPOINT_IP4 ? AF_INET : kind == PHI_ENDPOINT_IP6 ? AF_INET6 : AF_UNIX;
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

// Cannot fail on a TCP socket that is ours, and is no reason to refuse one if it did.
void phi_sock_tune(int fd, const phi_sock_end *peer)
{
    if (peer->kind != PHI_ENDPOINT_UNIX) {
        int on = 1;
        int unsent = UNSENT_BYTES_MAX;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
        if (phi_sock_end_is_local(peer)) {
            const char control[] = LOCAL_CONTROL;
            (void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, control, sizeof control - 1);
        }
    }
}

const char *phi_sock_error_text(int error)
{
    // Unlike strerror it keeps no buffer that another thread could write.
    const char *text = strerrordesc_np(error);
    return text == NULL ? "unknown error" : text;
}
