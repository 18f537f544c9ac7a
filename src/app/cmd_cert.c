// SPDX-License-Identifier: Apache-2.0
//
// app/cmd_cert.c - posthouse cert: certificates to develop with, and what any certificate says.

#include "app/cmd_cert.h"

#include "app/deed.h"

static exit_status run(const args *a);

static const option options[] = {
    { .name = "dir",
      .letter = 'd',
      .kind = OPTION_TEXT,
      .argument = "DIR",
      .fallback = "certificates",
      .help = "where the authority and what it signed lie (dev, revoke)" },
    { .name = "account",
      .letter = 'a',
      .kind = OPTION_LIST,
      .argument = "NAME,...",
      .help = "make one for this account (dev); without, there will be 'client' where there is no "
              "account yet." },
    { .name = "host",
      .kind = OPTION_LIST,
      .argument = "NAME,...",
      .help =
          "the center is reached under this name or IP address, too; localhost and the loopback "
          "addresses are there anyway (dev)." },
    { .name = "domain",
      .kind = OPTION_TEXT,
      .argument = "NAME",
      .env = "POSTHOUSE_DOMAIN",
      .help = "of the accounts: that of the center (dev); the first run decides, 'local' if it "
              "names none" },
    { .name = "days",
      .kind = OPTION_COUNT,
      .argument = "N",
      .fallback = "90",
      .min = 1,
      .max = CERT_DAYS_MAX,
      .help = "how long what is signed is good for (dev, revoke)" },
};

static const deed deeds[] = {
    { "dev", 0, 0, "no further words", { "dir", "account", "host", "domain", "days" }, cert_dev },
    { "show", 1, ARGS_WORDS_MAX - 1, "FILE...", { NULL }, cert_show },
    { "revoke", 1, 1, "NAME", { "dir", "days" }, cert_revoke },
};

const command command_cert = {
    .name = "cert",
    .words = "dev | show FILE... | revoke NAME",
    .summary = "make certificates to develop with; show what one says",
    .example =
        "posthouse cert dev                              an authority, a center, an account\n"
        "posthouse cert dev --account orders,stock       two accounts more\n"
        "posthouse cert dev --host center.lan,10.0.0.7   the center under other names, too\n"
        "posthouse cert show certificates/center.crt     whose, until when, good for what\n"
        "posthouse cert revoke orders                    into certificates/crl.pem\n",
    .about =
        "dev makes what is missing in --dir: ca.crt and ca.key, center.crt and center.key, and\n"
        "for each account NAME.crt and NAME.key. Run it again to add accounts and hosts; what\n"
        "ends soon is renewed, with the key that it has. No key is ever written over.\n"
        "An account is named by the URI posthouse://DOMAIN/NAME in its certificate, a center by\n"
        "its hosts; the subject is for people only.\n"
        "revoke names every certificate that dev made for an account or the center.\n"
        "Who has ca.key can be anybody. For development that is convenient; elsewhere an\n"
        "authority belongs on another machine: docs/security.md.\n",
    .options = options,
    .option_count = PHI_COUNT_OF(options),
    .words_min = 1,
    .words_max = ARGS_WORDS_MAX,
    .run = run,
    .is_local = true,
};

static exit_status run(const args *a)
{
    return deed_run(&command_cert, deeds, PHI_COUNT_OF(deeds), a);
}
