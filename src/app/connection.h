// SPDX-License-Identifier: Apache-2.0
//
// app/connection.h - what every command that talks to a center does alike: connect once or say why
// not, go on until a signal, leave with a bye, and turn errors into an exit status with advice.
//
// Life     connection_open -> connection_turn* -> connection_close. connection_close accepts what
//          connection_open left behind, whatever it returned.
// Threads  none; SIGINT and SIGTERM end connection_turn

#ifndef APP_CONNECTION_H
#define APP_CONNECTION_H

#include <posthouse/posthouse.h>

#include "app/command.h"
#include "app/proof.h"

#define CONNECTION_IDS_MAX 8

typedef struct connection {
    const args *args; // borrowed
    ph_loop *loop;
    ph_client *client; // NULL before connection_open
    bool is_up;
    bool was_up;      // once
    bool is_leaving;  // connection_close
    bool is_closed;   // for good
    ph_err err;       // why it is not up
    char bye[64];     // the name of the center's bye; "" without one
    char reason[512]; // the same for people
    char id[132];     // ours; kept after the link went down
    // The ids this had before, the latest CONNECTION_IDS_MAX of them: without --account each
    // connection gets another, and of the old one the center may still speak.
    char ids[CONNECTION_IDS_MAX][132];
    size_t id_count; // all there were
    proof proof;     // what it proves with who it is
    void *arg;       // the command's own
} connection;

// Connects, once: a command line must not hang where a service would dial again.
//
//   options   filled with what the command wants; the rest is done here. arg of its callbacks is
//             `s`.
//
// STATUS_CONNECT, STATUS_REFUSED   and it was said why
exit_status connection_open(connection *s, const args *a, ph_client_options *options);

// Leaves, when it is there, and frees everything.
void connection_close(connection *s);

// Turns the loop once, waiting at most so long. False when it is over: a signal came, or the
// connection is closed for good.
bool connection_turn(connection *s, int wait_ms);

// Turns until *is_over, which a callback sets. STATUS_OK; or why it did not come to that, which was
// said.
exit_status connection_wait(connection *s, const bool *is_over);

// Says why what was waited for does not come, and gives the status for it.
exit_status connection_broken(const connection *s);

// After a signal.
bool connection_is_interrupted(void);

// The moment as nanoseconds of a clock that never goes back; and of the world's.
uint64_t connection_now_ns(void);
uint64_t connection_wall_ns(void);

bool connection_is_json(const args *a);

// Says that the value of an option is no name, and what is one.
void connection_name_refused(const char *option_name, const char *value);

// Whether `to` can be an address; says so when it cannot be. To be asked before connecting: this
// mistake needs no center to be found.
bool connection_is_address(const char *to);

// Says why a call ended without a reply, with what to do, and gives the status for it.
//
//   what   "call to 'orders'"
exit_status connection_explain(const char *what, ph_err status, uint16_t code, ph_view from,
                               ph_view text);

// The status for a failure code.
exit_status connection_failure_status(uint16_t code);

#endif // APP_CONNECTION_H
