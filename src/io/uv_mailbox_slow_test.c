// SPDX-License-Identifier: Apache-2.0

#include "tests/harness/test.h"
#include "tests/io/uv_mail_load.h"

// Nothing is lost or overtaken between loops, however long they run: a call that crosses them is
// answered once.
TEST(uv_mailbox, millions_of_mails_in_one_order)
{
    mail_load_run(4, 1000 * 1000);
}
