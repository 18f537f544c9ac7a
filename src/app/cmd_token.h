// SPDX-License-Identifier: Apache-2.0
//
// app/cmd_token.h - what the files of `posthouse token` share: its deeds.

#ifndef APP_CMD_TOKEN_H
#define APP_CMD_TOKEN_H

#include "app/command.h"

#define TOKEN_LIFE_LONG_S (24u * 3600u) // longer ones are worth a warning

exit_status token_key(const args *a);
exit_status token_issue(const args *a);
exit_status token_inspect(const args *a);

#endif // APP_CMD_TOKEN_H
