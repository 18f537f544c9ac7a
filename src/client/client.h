// SPDX-License-Identifier: Apache-2.0
//
// client/client.h - the library's inner door: a client on any io.h, for the simulator, and for
// programs that have a loop already.

#ifndef PHI_CLIENT_CLIENT_H
#define PHI_CLIENT_CLIENT_H

#include <posthouse/client.h>

#include "io/io.h"
#include "wire/cipher.h"

// As ph_client_new, but on `io` (borrowed for the client's life), with its allocator and random
// numbers from its entropy; options->loop must be NULL.
PHI_MUST_CHECK ph_err phi_client_new_on(ph_client **out, phi_io *io,
                                        const ph_client_options *options);

// The io of a loop that the library made.
phi_io *phi_loop_io(ph_loop *loop);

// For the links of all clients on it.
phi_cipher_group *phi_loop_cipher_group(ph_loop *loop);

#endif // PHI_CLIENT_CLIENT_H
