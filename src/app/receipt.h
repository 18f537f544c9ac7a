// SPDX-License-Identifier: Apache-2.0
//
// app/receipt.h - an event that is sent, and what became of it.

#ifndef APP_RECEIPT_H
#define APP_RECEIPT_H

#include "app/connection.h"

// Sends it, waits for the center's receipt and says what it says: how many connections it was
// queued for, or why for none.
//
//   what      "event to 'orders'"
//   needs_one  nobody to get it is a failure
exit_status receipt_send(connection *s, const ph_outgoing *event, const char *what, bool needs_one);

#endif // APP_RECEIPT_H
