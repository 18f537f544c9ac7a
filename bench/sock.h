// SPDX-License-Identifier: Apache-2.0
//
// bench/sock.h - the sockets of benchmark programs that speak over no library.

#ifndef BENCH_SOCK_H
#define BENCH_SOCK_H

#include <stdbool.h>
#include <stddef.h>

// Connects to HOST:PORT, or PORT, on loopback: blocking, without delay. Exits when it cannot.
int sock_connect(const char *target);

// All of it, waiting as long as it takes. False when the other end is gone.
bool sock_write(int fd, const void *bytes, size_t size);

#endif // BENCH_SOCK_H
