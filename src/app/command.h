// SPDX-License-Identifier: Apache-2.0
//
// app/command.h - one command of the program: a row from which it is found, checked, explained and
// run. One file each: cmd_<name>.c.

#ifndef APP_COMMAND_H
#define APP_COMMAND_H

#include "app/options.h"

// The program's exit status; documented in --help.
typedef enum exit_status {
    STATUS_OK = 0,
    STATUS_FAILED = 1,
    STATUS_USAGE = 2,
    STATUS_CONNECT = 3, // no center there
    STATUS_REFUSED = 4,
    STATUS_TIMEOUT = 5,
    STATUS_NOT_FOUND = 6,
} exit_status;

typedef struct command {
    const char *name;
    const char *words;   // "TO METHOD [BODY]"; "" for none
    const char *summary; // a phrase, for the list of commands
    const char *about;   // a paragraph or more, lines broken
    const char *example; // lines, each a command and what it does
    const option *options;
    size_t option_count;
    // Options that come from another table; NULL: none.
    const option *(*more)(size_t *count);
    const char *more_title;
    size_t words_min;
    size_t words_max;
    exit_status (*run)(const args *a);
    bool is_local; // talks to no center: the options for that are not accepted
} command;

extern const command command_serve;
extern const command command_ls;
extern const command command_watch;
extern const command command_call;
extern const command command_send;
extern const command command_gather;
extern const command command_publish;
extern const command command_subscribe;
extern const command command_reply;
extern const command command_drain;
extern const command command_status;
extern const command command_ping;
extern const command command_bench;
extern const command command_cert;
extern const command command_check_config;
extern const command command_may;
extern const command command_token;
extern const command command_doc;
extern const command command_version;

// Why a command was called wrongly, for main's one way of saying it: the name of the command in
// front, a pointer to its --help behind.
PHI_PRINTF(2, 3) exit_status command_usage(const command *c, const char *format, ...);

#endif // APP_COMMAND_H
