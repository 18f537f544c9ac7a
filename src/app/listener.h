// SPDX-License-Identifier: Apache-2.0
//
// app/listener.h - an address as it stands in the configuration: what is spoken there, and where.
//
//     127.0.0.1:7678   localhost   unix:/run/posthouse.sock   plain
//     tls:0.0.0.0:7679   tls:[::]                             TLS
//     centers:10.0.0.1                                        TLS, for centers of other domains:
//                                                             both ends have a certificate
//
// Threads  none; pure functions

#ifndef APP_LISTENER_H
#define APP_LISTENER_H

#include <posthouse/err.h>

#include "base/diag.h"
#include "center/center.h"
#include "io/io.h"

#define LISTENER_PORT_CENTERS 7680u
#define LISTENER_TEXT_MAX (PHI_ADDRESS_TEXT_MAX + 8) // with "centers:" in front

typedef struct listener {
    center_listener kind;
    bool is_local;                      // nobody outside of this machine can reach it
    char address[PHI_ADDRESS_TEXT_MAX]; // without what stands in front, with its port
} listener;

// PH_EINVAL   it does not parse, or is a host name; *diag says what was expected
PHI_MUST_CHECK ph_err listener_parse(const char *text, listener *out, phi_diag *diag);

// As listener_parse reads it; as a client dials it.
void listener_format(center_listener kind, const char *address, char text[LISTENER_TEXT_MAX]);

#endif // APP_LISTENER_H
