// SPDX-License-Identifier: Apache-2.0
//
// app/cmd_cert.h - what the files of `posthouse cert` share: its subcommands.

#ifndef APP_CMD_CERT_H
#define APP_CMD_CERT_H

#include "app/cert_store.h"
#include "app/command.h"

exit_status cert_dev(const args *a);
exit_status cert_revoke(const args *a);
exit_status cert_show(const args *a);

#endif // APP_CMD_CERT_H
