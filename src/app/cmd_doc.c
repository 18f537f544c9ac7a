// SPDX-License-Identifier: Apache-2.0
//
// app/cmd_doc.c - posthouse doc: the documents that are made from the schema, so that they cannot
// disagree with it. docs/limits.md and packaging/posthouse.yaml are committed; a test compares.

#include "app/command.h"

#include <string.h>

#include "app/config.h"
#include "app/file_watch.h"
#include "app/jwks_fetch.h"
#include "app/term.h"
#include "app/value.h"
#include "auth/jwk.h"
#include "auth/principal.h"
#include "auth/strict.h"
#include "base/assert.h"
#include "center/center.h"
#include "center/drain.h"
#include "center/fan_mail.h"
#include "center/gather.h"
#include "center/inquiry.h"
#include "center/readership.h"
#include "center/status.h"
#include "center/worker.h"
#include "io/identity.h"
#include "io/tls.h"
#include "io/tls_hello.h"
#include "io/uv.h"
#include "link/transport.h"
#include "obs/log.h"
#include "wire/bye.h"
#include "wire/handshake.h"
#include "wire/message.h"
#include "wire/name.h"
#include "wire/packet.h"
#include "wire/subscription.h"
#include "wire/topic.h"

static exit_status run(const args *a);
static void write_limits(draft *t);
static void write_fixed_tokens(draft *t);
static void write_fixed_tls(draft *t);
static void write_fixed_methods(draft *t);
static void write_fixed_turns(draft *t);
static void write_fixed(draft *t);
static void write_sample(draft *t);
static void write_range(draft *t, const config_row *row);

static const char limits_head[] =
    "# Limits\n\n"
    "Nothing in posthouse grows without a limit, and every limit has a name. This page is made\n"
    "from the schema of the configuration (`posthouse doc limits`); a test fails when it\n"
    "differs.\n\n"
    "## Settings of a center\n\n"
    "In the file as `key: value`, as flag `--key-with-hyphens value`, as variable\n"
    "`POSTHOUSE_KEY`. Flag goes before environment, environment before file, file before\n"
    "default. A limit takes effect at the next start.\n\n"
    "| key | default | range | what happens at it |\n|---|---|---|---|\n";

// A list of rules is no key with a default; so the sample shows one, and does not set it.
static const char sample_rules[] =
    "\n# Who may do what. Without rules, peers of this machine may do everything, and others\n"
    "# nothing. With rules, everybody may do what a rule says, and no `may_not` takes back;\n"
    "# their order means nothing. Ask: posthouse may orders call service:stock get\n"
    "#   who: principals, `*` for any run of characters: the name in a certificate or token, or\n"
    "#     of a peer that need not prove anything, its account\n"
    "#   call, send: an account or service:NAME, and methods behind it. see, drain, register: the\n"
    "#     same without methods. publish, subscribe: a topic, `*` for one word, `>` for the rest.\n"
    "#     center, status: a domain\n"
    "# rules:\n"
    "#   - name: shop\n"
    "#     who: [orders, \"checkout-*\"]\n"
    "#     may:\n"
    "#       register: [\"service:orders\"]\n"
    "#       call: [\"service:stock get reserve\", \"service:bank pay.*\"]\n"
    "#       publish: [\"orders.>\"]\n"
    "#       see: [\"service:stock\", \"service:bank\"]\n"
    "#     may_not:\n"
    "#       call: [\"service:bank pay.salary\"]\n"
    "#   - name: operators\n"
    "#     who: alice\n"
    "#     may: {see: \"*\", call: \"*\", subscribe: \">\", drain: \"service:*\", status: \"*\"}\n";

const command command_doc = {
    .name = "doc",
    .words = "sample|limits",
    .summary = "print a sample configuration, or docs/limits.md",
    .example = "posthouse doc sample >posthouse.yaml\n",
    .about = "Both are made from the schema of the configuration.\n",
    .words_min = 1,
    .words_max = 1,
    .run = run,
    .is_local = true,
};

static exit_status run(const args *a)
{
    draft out;
    draft_init(&out);
    exit_status status = STATUS_OK;
    if (strcmp(a->words[0], "limits") == 0) {
        write_limits(&out);
    } else if (strcmp(a->words[0], "sample") == 0) {
        write_sample(&out);
    } else {
        status =
            command_usage(&command_doc, "no document '%s'; there are: limits, sample", a->words[0]);
    }
    term_print(&out);
    draft_fini(&out);
    return status;
}

static void write_limits(draft *t)
{
    draft_add(t, limits_head);
    for (config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
        const config_row *row = config_get_row(key);
        if (!row->is_limit) {
            continue;
        }
        draft_format(t, "| `%s` | %s | ", row->path, row->fallback);
        write_range(t, row);
        draft_format(t, " | %s |\n", row->help);
    }
    draft_add(
        t, "\n## Other keys\n\n| key | default | values | on SIGHUP | |\n|---|---|---|---|---|\n");
    for (config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
        const config_row *row = config_get_row(key);
        if (row->is_limit) {
            continue;
        }
        bool is_none = *row->fallback == '\0';
        draft_format(t, is_none ? "| `%s` | none%s | " : "| `%s` | `%s` | ", row->path,
                     row->fallback);
        write_range(t, row);
        draft_format(t, " | %s | %s |\n", row->can_reload ? "at once" : "needs a restart",
                     row->help);
    }
    write_fixed(t);
}

#define LIMIT(name, number, help)                                                                  \
    draft_format(t, "| %s | %llu | %s |\n", (name), (unsigned long long)(number), (help))

static void write_fixed_tokens(draft *t)
{
    LIMIT("objects in objects, in a token or key set", PHI_STRICT_DEPTH_MAX,
          "Refused as malformed [P-79].");
    LIMIT("key set of tokens, bytes", PHI_JWKS_BYTES_MAX, "It is refused.");
    LIMIT("keys in a key set", PHI_JWKS_KEYS_MAX, "The set is refused.");
    LIMIT("fetch of a key set, ms", JWKS_FETCH_MS_MAX, "It is given up, and tried again.");
    LIMIT("users of this machine", CONFIG_USERS_MAX, "The configuration is refused.");
    LIMIT("id of a key (`kid`), bytes", PHI_JWK_ID_BYTES_MAX, "The key set is refused.");
    LIMIT("RSA key of tokens, bits", PHI_RSA_BITS_MAX,
          "The key set is refused; so it is below 2,048.");
    LIMIT("shared secret of tokens, bytes", PHI_SECRET_BYTES_MAX,
          "It is refused; so it is below 32, or when it would be guessed.");
}

static void write_fixed_tls(draft *t)
{
    LIMIT("file of TLS, bytes", PHI_TLS_PEM_BYTES_MAX, "It is refused.");
    LIMIT("look for files that changed, ms", FILE_WATCH_MS,
          "So late a renewed file may be seen; then it must be quiet for 200 ms.");
    LIMIT("certificates between one and its authority", PHI_TLS_CHAIN_MAX, "It is not believed.");
    LIMIT("certificates of one end, bytes", PHI_TLS_CERTIFICATE_BYTES_MAX,
          "The handshake fails; in our own files they are refused.");
    LIMIT("names in a client's certificate", PHI_IDENTITY_NAMES_MAX, "It is not believed.");
    LIMIT("name in a certificate, bytes", PHI_IDENTITY_NAME_BYTES_MAX,
          "It is not believed; nor with what is no printable ASCII.");
    LIMIT("client hello, bytes", PHI_TLS_HELLO_BYTES_MAX,
          "The handshake fails when it says that it will be longer.");
    LIMIT("silence of who connects, ms", PHI_TLS_SILENCE_MS,
          "It is told in the clear that TLS is spoken here, and closed.");
    LIMIT("a client's part of a handshake, bytes", PHI_UV_TLS_SHAKE_BYTES_MAX,
          "The handshake fails; time is limited by `join_timeout`.");
    LIMIT("of it in a turn, bytes", PHI_UV_TLS_SHAKE_BYTES_PER_TURN,
          "The rest waits in the kernel.");
    LIMIT("steps of handshakes in a turn", PHI_UV_TLS_SHAKES_PER_TURN,
          "Others go on in the next turns; a handshake has two or three.");
    LIMIT("enciphered at once, bytes", PHI_UV_TLS_WRITE_BYTES,
          "What the kernel does not take of that is kept; more is taken when it has gone.");
    LIMIT("enciphered and kept, of one connection, bytes", PHI_UV_TLS_PENDING_BYTES_MAX,
          "It breaks: it asks for answers and does not read them.");
    LIMIT("new keys of TLS in one reading", PHI_UV_TLS_RENEWALS_MAX, "The connection is ended.");
}

// Of a turn, and of what comes late.
static void write_fixed_turns(draft *t)
{
    LIMIT("connections accepted on one address in a turn", PHI_UV_ACCEPTS_PER_TURN,
          "The rest waits in the kernel for the next turn.");
    LIMIT("bytes read from one connection in a turn", PHI_UV_INPUT_BYTES,
          "The rest waits in the kernel, so that the others have their turn.");
    LIMIT("and more behind a turn in which one alone had some, bytes", PHI_UV_INPUT_TURNS_BYTES,
          "What is more waits as well.");
    LIMIT("the same, behind two in which it was the same one", PHI_UV_INPUT_MORE_BYTES, "Same.");
    LIMIT("KiB of the first reading of a connection, while its loop sleeps", PHI_UV_SHARE_KIB_MIN,
          "What is more waits for the next turn; who always has more has twice as much there.");
    LIMIT("bytes written once for many in a turn", PHI_TRANSPORT_RUN_BYTES_MAX,
          "Suite plain. What is more is copied to each receiver, which is slower.");
    LIMIT("memory of a burst of that which is kept, ms", PHI_TRANSPORT_RUN_REST_MS,
          "It is given back, unless a turn needed a quarter of it meanwhile.");
    LIMIT("silent clients asked for a sign of life at once", PHI_LINK_PACE_BURST,
          "The others are asked in turns, `heartbeats_per_second_max` in a second [P-40].");
    LIMIT("receivers of an event in one mail to another worker", FAN_MAIL_RECEIVERS_MAX,
          "The others are in further mails.");
    LIMIT("topics whose receivers are kept for the next event", READERSHIPS_COUNT,
          "Those of others are looked for again.");
    LIMIT("bytes of that, within `subscription_memory_max`", READERSHIPS_BYTES_MAX, "Same.");
    LIMIT("presence told in a turn, bytes", CENTER_PRESENCE_TURN_BYTES_MAX, "The next goes on.");
    LIMIT("watchers told of presence in a turn", CENTER_PRESENCE_TURN_WATCHERS_MAX, "Same.");
    LIMIT("changes of presence gathered, ms", WATCH_GATHER_MS,
          "When telling watchers takes time; a lone change goes out at once [P-49].");
    LIMIT("burst of events of a client that is written before its turn ends, bytes",
          PHI_TRANSPORT_EASE_BYTES, "It is written piece by piece, while the stream takes it.");
    LIMIT("wait for the end of an older link, ms", CENTER_REJOIN_WAIT_MS,
          "Then bye `account_taken` [P-37].");
    LIMIT("wait of a worker for memory for what the first one decided, ms", WORKER_STILL_MS,
          "The process ends, and logs why (CE0026).");
}

// Of what the center answers itself.
static void write_fixed_methods(draft *t)
{
    LIMIT("drains under way", DRAINS_MAX, "One more fails with too_many_calls [P-69].");
    LIMIT("drains under way, of one client", DRAINS_PER_CLIENT_MAX,
          "One more fails with too_many_calls [P-69].");
    LIMIT("connections that drains look at in a turn", CENTER_DRAIN_TURN_PLACES_MAX,
          "One that comes when it is used up fails with too_many_calls [P-69].");
    LIMIT("asks for the status of a center with several workers, under way", STATUS_ASKS_MAX,
          "One more fails with too_many_calls [P-69].");
    LIMIT("asks for it under way, of one client", STATUS_ASKS_PER_CLIENT_MAX,
          "One more fails with too_many_calls [P-69].");
    LIMIT("wait for a worker's part of it, ms", STATUS_WAIT_MS,
          "It is left out, and the reply says so [P-69].");
    LIMIT("wait of a drain for the names of other workers' watchers, ms", DRAIN_NAMES_WAIT_MS,
          "Those that have come are told [P-69].");
}

static void write_fixed(draft *t)
{
    draft_add(t, "\n## Fixed\n\nBy the protocol, or because nobody needs another value.\n\n"
                 "| limit | value | what happens at it |\n|---|---|---|\n");
    LIMIT("packet, bytes", PHI_PACKET_BYTES_MAX,
          "Bye `length_invalid` [P-11]. A longer message goes in fragments; a gather's request may "
          "not, and is refused by the library.");
    LIMIT("payload of a longer message's first fragment, bytes", PHI_FRAGMENT_FIRST_BYTES_MAX,
          "Given up as malformed [P-67]; of the rest, as much as its receiver grants.");
    LIMIT("packet before the client joined, bytes", PHI_PACKET_BYTES_JOINING_MAX,
          "Bye `length_invalid` [P-12].");
    LIMIT("name of an account, service or domain, bytes", PHI_NAME_BYTES_MAX,
          "Bye `name_invalid` [P-38].");
    LIMIT("name of a principal, bytes", PHI_PRINCIPAL_BYTES_MAX, "It is not believed [P-77].");
    LIMIT("token in JOIN, bytes", PHI_JOIN_TOKEN_BYTES_MAX, "Bye `malformed` [P-35].");
    LIMIT("metadata of a client, pairs", PHI_METADATA_COUNT_MAX,
          "Bye `malformed` [P-35]; keys have at most 64 bytes, values 1,024.");
    LIMIT("text of a bye, bytes", PHI_BYE_TEXT_BYTES_MAX, "What is longer is malformed [P-60].");
    LIMIT("retry-after of a bye, ms", PHI_LINK_RETRY_AFTER_MS_MAX,
          "A longer one counts as this [P-60].");
    LIMIT("beyond `send_buffer_max`, bytes", PHI_LINK_HEADROOM_BYTES,
          "Kept free for the bye and for heartbeat answers; further answers are left out [P-39].");
    LIMIT("bye that is not taken, ms", PHI_TRANSPORT_LINGER_MS,
          "So long a connection stays for its bye; then it is closed all the same.");
    write_fixed_turns(t);
    write_fixed_methods(t);
    LIMIT("gathers of `gather_max` instances, of one client", GATHER_LARGE_MAX,
          "Of smaller ones more; beyond it they fail with too_many_calls [P-65].");
    LIMIT("inquiries open in one call", CENTER_INQUIRIES_MAX,
          "One more fails with too_many_calls [P-62].");
    LIMIT("dialogs inside dialogs", PHI_DEPTH_MAX,
          "An inquiry that would be deeper fails with too_deep [P-63].");
    LIMIT("words of a topic or pattern", PHI_TOPIC_WORDS_MAX,
          "Refused as malformed; together they have at most 240 bytes [P-74].");
    LIMIT("subscription packet, bytes", PHI_SUBSCRIPTION_BYTES_MAX, "Bye `malformed` [P-73].");
    LIMIT("words of patterns subscribed to in a turn", CENTER_PATTERN_TURN_WORDS_MAX,
          "Who asks for more waits for the next turns, in order.");
    LIMIT("subscriptions of those who left, taken out in a turn", CENTER_SWEEP_TURN_COUNT_MAX,
          "The rest in the next turns; they reach nobody any more.");
    LIMIT("closed connections that wait for the other end", PHI_UV_LINGERING_MAX,
          "The oldest is given up; each is after 2 s.");
    LIMIT("key stream made ahead for a direction, bytes", PHI_CIPHER_WINDOW_BYTES_MAX,
          "Suite paper. What one turn needs beyond it is made when it is needed, which is slower.");
    LIMIT("key stream made ahead for all directions, bytes", PHI_CIPHER_GROUP_BYTES_MAX,
          "Suite paper. Further directions make theirs 1 KiB at a time, which is slower.");
    LIMIT("one log event a second, lines", PHI_LOG_BURST,
          "Further ones are held back; the next line carries their number in `held_back`.");
    LIMIT("configuration file, bytes", CONFIG_FILE_BYTES_MAX, "It is refused.");
    LIMIT("configuration errors told at once", CONFIG_ERRORS_MAX,
          "The number of the rest is told.");
    LIMIT("listen addresses", CONFIG_LISTEN_MAX, "The configuration is refused.");
    LIMIT("rules", PHI_RULES_MAX, "The configuration is refused.");
    LIMIT("entries of one list in a rule", PHI_RULE_ENTRIES_MAX,
          "The configuration is refused; each method of an entry counts.");
    write_fixed_tokens(t);
    write_fixed_tls(t);
    draft_add(t, "\nThe limits of the client library are the fields of `ph_client_options` in\n"
                 "[`posthouse/client.h`](../include/posthouse/client.h), each with its default.\n");
}

#undef LIMIT

static void write_sample(draft *t)
{
    draft_add(t, "# posthouse.yaml - every key with its default. Made by: posthouse doc sample\n"
                 "# Check it with: posthouse check-config posthouse.yaml\n");
    const char *section = "";
    for (config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
        const config_row *row = config_get_row(key);
        const char *dot = strchr(row->path, '.');
        const char *indent = dot == NULL ? "" : "  ";
        size_t size = dot == NULL ? 0 : (size_t)(dot - row->path);
        draft_add(t, "\n");
        if (size != 0 && strncmp(section, row->path, size) != 0) {
            draft_format(t, "%.*s:\n", (int)size, row->path);
        }
        section = size == 0 ? "" : row->path;
        draft_format(t, "%s# %s\n%s# Values: ", indent, row->help, indent);
        write_range(t, row);
        bool is_none = *row->fallback == '\0';
        bool is_list = config_is_list(key);
        const char *left = is_list && is_none ? "[" : is_list ? "[\"" : is_none ? "\"" : "";
        const char *right = is_list && is_none ? "]" : is_list ? "\"]" : is_none ? "\"" : "";
        draft_format(t, "\n%s%s: %s%s%s\n", indent, dot == NULL ? row->path : dot + 1, left,
                     row->fallback, right);
    }
    draft_add(t, sample_rules);
}

static void write_range(draft *t, const config_row *row)
{
    static const value_kind kinds[] = {
        [CONFIG_COUNT] = VALUE_COUNT, [CONFIG_BYTES] = VALUE_BYTES, [CONFIG_TIME] = VALUE_TIME
    };
    switch (row->kind) {
    case CONFIG_COUNT:
    case CONFIG_BYTES:
    case CONFIG_TIME: {
        char low[VALUE_TEXT_BYTES];
        char high[VALUE_TEXT_BYTES];
        value_format(kinds[row->kind], row->min, low);
        value_format(kinds[row->kind], row->max, high);
        draft_format(t, "%s to %s", low, high);
        return;
    }
    case CONFIG_CHOICE:
        for (const char *p = row->choices; *p != '\0'; p++) {
            draft_bytes(t, *p == '|' ? phi_bytes_text(", ") : phi_bytes_of(p, 1));
        }
        return;
    case CONFIG_BOOL:
        draft_add(t, "true, false");
        return;
    case CONFIG_NAME:
        draft_add(t, "a name");
        return;
    case CONFIG_ADDRESSES:
        draft_format(t, "1 to %u addresses", CONFIG_LISTEN_MAX);
        return;
    case CONFIG_USERS:
        draft_format(t, "up to %u of UID=NAME", CONFIG_USERS_MAX);
        return;
    case CONFIG_TEXT:
        draft_add(t, "a text");
        return;
    case CONFIG_PATH:
        draft_add(t, "a file");
        return;
    case CONFIG_KEYS:
        draft_add(t, "a file or URL");
        return;
    case CONFIG_SECRET:
        draft_add(t, "file:PATH, env:NAME, credential:NAME");
        return;
    }
    PH_UNREACHABLE("kind of key");
}
