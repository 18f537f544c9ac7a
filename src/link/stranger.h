// SPDX-License-Identifier: Apache-2.0
//
// link/stranger.h - who is there, when the first bytes are no packet: for people. Most often it is
// a program that was given the wrong port, and its operator looks for the reason at either end.

#ifndef PHI_LINK_STRANGER_H
#define PHI_LINK_STRANGER_H

#include "base/bytes.h"

// The name of the protocol that begins like this; NULL: none that is known here.
const char *phi_stranger_protocol(phi_bytes first);

#endif // PHI_LINK_STRANGER_H
