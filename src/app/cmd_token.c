// SPDX-License-Identifier: Apache-2.0
//
// app/cmd_token.c - posthouse token: keys to sign tokens with, tokens, and what one says.

#include "app/cmd_token.h"

#include "app/deed.h"
#include "auth/jwt.h"

static exit_status run(const args *a);

static const option options[] = {
    { .name = "algorithm",
      .kind = OPTION_CHOICE,
      .argument = "NAME",
      .choices = "ES256|EdDSA|RS256|PS256|HS256",
      .fallback = "ES256",
      .help = "what the key is for, and nothing else (key)" },
    { .name = "id",
      .kind = OPTION_TEXT,
      .argument = "KID",
      .shown = "random",
      .help = "its id; tokens say it, and by it a center finds the key (key)" },
    { .name = "private",
      .kind = OPTION_TEXT,
      .argument = "FILE",
      .fallback = "token-key.json",
      .help = "where the private key goes; only you can read it (key)" },
    { .name = "public",
      .kind = OPTION_TEXT,
      .argument = "FILE",
      .fallback = "token-keys.json",
      .help = "where the public key goes, a set of one for tokens.keys of centers (key)" },
    { .name = "key",
      .kind = OPTION_TEXT,
      .argument = "FILE",
      .help = "the private key, in JSON (issue)" },
    { .name = "secret",
      .kind = OPTION_TEXT,
      .argument = "PLACE",
      .help = "where the shared secret of HS256 is: file:PATH, env:NAME or "
              "credential:NAME (issue, inspect)" },
    { .name = "subject",
      .kind = OPTION_TEXT,
      .argument = "NAME",
      .help = "who has the token: a principal, as rules name it (issue)" },
    { .name = "expires",
      .kind = OPTION_TIME,
      .argument = "TIME",
      .fallback = "1h",
      .min = 1000,
      .max = UINT64_C(366) * 24 * 3600 * 1000,
      .help = "after so long it is good for nothing (issue)" },
    { .name = "issuer",
      .kind = OPTION_TEXT,
      .argument = "TEXT",
      .help = "who issues it (`iss`) (issue, inspect)" },
    { .name = "audience",
      .kind = OPTION_TEXT,
      .argument = "TEXT",
      .help = "whom it is for (`aud`) (issue, inspect)" },
    { .name = "keys",
      .kind = OPTION_TEXT,
      .argument = "FILE",
      .help = "verify it with these public keys, as a center would (inspect)" },
    { .name = "claim",
      .kind = OPTION_TEXT,
      .argument = "NAME",
      .fallback = "sub",
      .help = "the claim that says who has it (inspect)" },
    { .name = "leeway",
      .kind = OPTION_TIME,
      .argument = "TIME",
      .fallback = "60s",
      .max = PHI_JWT_LEEWAY_MAX_S * 1000u,
      .help = "how far clocks may be apart (inspect)" },
};

static const deed deeds[] = {
    { "key", 0, 0, "no further words", { "algorithm", "id", "private", "public" }, token_key },
    { "issue",
      0,
      0,
      "no further words",
      { "key", "secret", "subject", "expires", "issuer", "audience" },
      token_issue },
    { "inspect",
      0,
      1,
      "at most one FILE",
      { "keys", "secret", "issuer", "audience", "claim", "leeway" },
      token_inspect },
};

const command command_token = {
    .name = "token",
    .words = "key | issue | inspect [FILE]",
    .summary = "make a key to sign tokens, sign one, see what one says",
    .example =
        "posthouse token key                             token-key.json and token-keys.json\n"
        "posthouse serve --tokens-keys token-keys.json   a center that takes its tokens\n"
        "(umask 077; posthouse token issue --key token-key.json --subject orders >orders.token)\n"
        "posthouse ls --token-file orders.token          join with it\n"
        "posthouse token inspect orders.token            what does it say?\n"
        "posthouse token inspect --keys token-keys.json <orders.token   would it be accepted?\n",
    .about =
        "A token (JWT, RFC 7519) says who somebody is, until when; the key of whoever issued it\n"
        "proves that. Centers verify with ES256, EdDSA (Ed25519), RS256, PS256, or HS256, whose\n"
        "secret both sides must have. What counts is what a key is for, never what a token says\n"
        "of it.\n"
        "A key is never written over. issue prints the token and nothing else. inspect reads it\n"
        "from a file or standard input: arguments can be seen by everybody on this machine.\n"
        "Without --keys or --secret nothing is verified. With one of them the exit status is 0\n"
        "when a center would accept the token, and 4 when not.\n",
    .options = options,
    .option_count = PHI_COUNT_OF(options),
    .words_min = 1,
    .words_max = 2,
    .run = run,
    .is_local = true,
};

static exit_status run(const args *a)
{
    return deed_run(&command_token, deeds, PHI_COUNT_OF(deeds), a);
}
