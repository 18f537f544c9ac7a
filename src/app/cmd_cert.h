// SPDX-License-Identifier: Apache-2.0
//
// app/cmd_cert.h - what the three files of `posthouse cert` share: its subcommands, and the
// directory in which an authority for development lives.

#ifndef APP_CMD_CERT_H
#define APP_CMD_CERT_H

#include "app/cert.h"
#include "app/command.h"

#define CERT_SOON_DAYS 14 // left: then it is worth a warning

exit_status cert_dev(const args *a);
exit_status cert_revoke(const args *a);
exit_status cert_show(const args *a);

#endif // APP_CMD_CERT_H
