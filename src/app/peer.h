// SPDX-License-Identifier: Apache-2.0
//
// app/peer.h - one line of the online list, as JSON and in the filter options that ls and watch
// share.

#ifndef APP_PEER_H
#define APP_PEER_H

#include "app/connection.h"
#include "text/json.h"

extern const option peer_options[2]; // --service, --type

// Asks for the part of the list that the options name, or says why not.
exit_status peer_watch(connection *s);

// Keys of a peer into an object that is open.
void peer_json(phi_json *j, const ph_peer *peer);

// "key=value key=value".
void peer_metadata(draft *t, const ph_peer *peer);

// This program, now or as it was called before a reconnect.
bool peer_is_self(const connection *s, const ph_peer *peer);

#endif // APP_PEER_H
