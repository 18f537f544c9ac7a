// SPDX-License-Identifier: Apache-2.0

#include <posthouse/client.h>

#include <stdio.h>

#include "client/client.h"
#include "client/core.h"
#include "io/address.h"
#include "tests/client/stage.h"
#include "tests/harness/test.h"

// Makes a client of these options, and frees it; what phi_client_new_on said.
static ph_err tried(const ph_client_options *options)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    ph_err rc = phi_client_new_on(&s.client, &s.io, options);
    EXPECT((rc == PH_OK) == (s.client != NULL));
    stage_fini(&s);
    return rc;
}

// A program compiled against the first header must be understood by every later library: what its
// struct does not have is at its default.
TEST(options, shorter_struct_of_an_older_program_is_understood)
{
    union {
        ph_client_options options;
        unsigned char bytes[sizeof(ph_client_options)];
    } u;
    memset(&u, 0xee, sizeof u); // what lies behind the older struct is not ours to read
    u.options.struct_size = offsetof(ph_client_options, service);
    u.options.loop = NULL;
    u.options.centers = "unix:/run/center";
    u.options.account = "old";
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    EXPECT_ERR(phi_client_new_on(&s.client, &s.io, &(ph_client_options){ .struct_size = 0 }),
               PH_EINVAL);
    ph_client_options known;
    EXPECT(phi_struct_copy(&known, sizeof known, &u.options, sizeof(size_t)) == true);
    EXPECT_TEXT(known.account, "old");
    memset(&known, 0, sizeof known);
    EXPECT(phi_struct_copy(&known, sizeof known, &u.options, sizeof(size_t)));
    EXPECT(known.service == NULL);
    EXPECT_EQ(known.struct_size, sizeof known);
    EXPECT_ERR(phi_client_new_on(&s.client, &s.io, &u.options), PH_OK);
    EXPECT_ERR(ph_client_open(s.client), PH_OK);
    stage_settle(&s);
    EXPECT_TEXT(s.join_account, "old");
    stage_fini(&s);
}

// A program of a later version that asks for something unknown here must hear so, instead of
// running without it.
TEST(options, longer_struct_is_fine_while_the_rest_is_zero)
{
    struct {
        ph_client_options options;
        unsigned long later[2];
    } newer = { PH_CLIENT_OPTIONS_INIT, { 0, 0 } };
    newer.options.struct_size = sizeof newer;
    EXPECT_ERR(tried(&newer.options), PH_OK);
    newer.later[1] = 1;
    EXPECT_ERR(tried(&newer.options), PH_EINVAL);
}

// What a center would refuse every time is refused where the program still sees it. [P-35] [P-38]
TEST(options, what_a_center_would_refuse_is_refused_at_once)
{
    ph_client_options o = PH_CLIENT_OPTIONS_INIT;
    EXPECT_ERR(tried(NULL), PH_OK);
    EXPECT_ERR(tried(&o), PH_OK);
    o.account = "No Capitals";
    EXPECT_ERR(tried(&o), PH_EINVAL);
    o.account = "";
    EXPECT_ERR(tried(&o), PH_EINVAL);
    char name[66];
    memset(name, 'a', sizeof name);
    name[64] = '\0';
    o.account = name;
    EXPECT_ERR(tried(&o), PH_OK);
    name[64] = 'a';
    name[65] = '\0';
    EXPECT_ERR(tried(&o), PH_EINVAL);
    o = (ph_client_options)PH_CLIENT_OPTIONS_INIT;
    o.service = "-letters";
    EXPECT_ERR(tried(&o), PH_EINVAL);
    o = (ph_client_options)PH_CLIENT_OPTIONS_INIT;
    o.software = name; // 65 bytes
    EXPECT_ERR(tried(&o), PH_EINVAL);
}

// Numbers outside their range must not become a client that behaves oddly.
TEST(options, numbers_out_of_range_are_refused)
{
    ph_client_options good = PH_CLIENT_OPTIONS_INIT;
    ph_client_options o = good;
    o.type = (ph_type)5;
    EXPECT_ERR(tried(&o), PH_EINVAL);
    o = good;
    o.suite_floor = (ph_suite)3;
    EXPECT_ERR(tried(&o), PH_EINVAL);
    o = good;
    o.backoff_min_ms = 50;
    o.backoff_max_ms = 49;
    EXPECT_ERR(tried(&o), PH_EINVAL);
    o.backoff_min_ms = 60000; // above the default of the longest wait: which follows
    o.backoff_max_ms = 0;
    EXPECT_ERR(tried(&o), PH_OK);
    o = good;
    o.send_bytes_max = 65536;
    EXPECT_ERR(tried(&o), PH_EINVAL);
    o.send_bytes_max = 131072;
    EXPECT_ERR(tried(&o), PH_OK);
    o = good;
    o.calls_max = UINT32_MAX;
    EXPECT_ERR(tried(&o), PH_EINVAL);
}

// A misspelled center would otherwise be dialled, and fail, for ever.
TEST(options, centers_are_parsed_at_once)
{
    static const struct {
        const char *centers;
        ph_err err;
    } cases[] = {
        { "127.0.0.1:7678", PH_OK },
        { "center.example:1,[::1]:2,unix:/run/x", PH_OK },
        { "", PH_EINVAL },
        { "127.0.0.1", PH_OK },
        { "localhost,tls:center.example,tls:[::1]:1,unix:/run/x", PH_OK },
        { "tls:", PH_EINVAL },
        { "tls:unix:/run/x", PH_EINVAL },
        { "tls:center.example:0", PH_EINVAL },
        { "127.0.0.1:0", PH_EINVAL },
        { "127.0.0.1:70000", PH_EINVAL },
        { "a:1,", PH_EINVAL },
        { "a:1,,b:2", PH_EINVAL },
        { "unix:", PH_EINVAL },
        { "a:1,a:2,a:3,a:4,a:5,a:6,a:7,a:8,a:9,a:10,a:11,a:12,a:13,a:14,a:15,a:16", PH_OK },
        { "a:1,a:2,a:3,a:4,a:5,a:6,a:7,a:8,a:9,a:10,a:11,a:12,a:13,a:14,a:15,a:16,a:17",
          PH_EINVAL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ph_client_options o = PH_CLIENT_OPTIONS_INIT;
        o.centers = cases[i].centers;
        EXPECT_ERR(tried(&o), cases[i].err);
    }
}

// Without a port, what is dialled is the port that a center listens on when nobody said otherwise.
TEST(options, centers_have_a_port_when_none_is_given)
{
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    s.is_deaf = true;
    ph_client_options o = stage_options(&s);
    o.centers = "localhost";
    EXPECT_ERR(stage_client(&s, &o), PH_OK);
    EXPECT_ERR(ph_client_open(s.client), PH_OK);
    stage_settle(&s);
    EXPECT_TEXT(s.dialled, "localhost:7678");
    EXPECT(strstr(ph_client_trouble(s.client), "cannot connect to localhost:7678: ") != NULL);
    stage_fini(&s);
}

// A program that was compiled before there was TLS goes on as it was: the new fields are what lies
// behind its struct, and must not be read.
TEST(options, a_program_without_the_fields_of_tls_is_understood)
{
    union {
        ph_client_options options;
        unsigned char bytes[sizeof(ph_client_options)];
    } u;
    memset(&u, 0xee, sizeof u);
    u.options = (ph_client_options)PH_CLIENT_OPTIONS_INIT;
    size_t before = offsetof(ph_client_options, tls_authorities_file);
    memset(u.bytes + before, 0xee, sizeof u - before);
    u.options.struct_size = before;
    EXPECT_ERR(tried(&u.options), PH_OK);
    // One that was compiled when there was TLS, but nothing behind it.
    u.options.struct_size = offsetof(ph_client_options, token);
    memset(u.bytes + before, 0, offsetof(ph_client_options, token) - before);
    u.options.centers = "tls:center.example";
    EXPECT_ERR(tried(&u.options), PH_OK);
}

// Half a way to prove something is a mistake of whoever wrote it, and not a client without proof.
TEST(options, tls_and_token_are_judged_at_once)
{
    ph_client_options good = PH_CLIENT_OPTIONS_INIT;
    good.centers = "tls:center.example";
    good.tls_authorities_file = "/etc/posthouse/ca.pem";
    good.tls_certificate_file = "/etc/posthouse/me.pem";
    good.tls_key_file = "/etc/posthouse/me.key";
    good.tls_name = "center.example";
    good.token = "a.b.c";
    EXPECT_ERR(tried(&good), PH_OK);
    ph_client_options o = good;
    o.tls_key_file = NULL;
    EXPECT_ERR(tried(&o), PH_EINVAL);
    o = good;
    o.tls_certificate_file = NULL;
    EXPECT_ERR(tried(&o), PH_EINVAL);
    o = good;
    o.tls_authorities_file = "";
    EXPECT_ERR(tried(&o), PH_EINVAL);
    o = good;
    o.tls_name = "";
    EXPECT_ERR(tried(&o), PH_EINVAL);
    static char long_name[PHI_ENDPOINT_NAME_MAX + 2];
    memset(long_name, 'n', sizeof long_name - 1);
    o.tls_name = long_name;
    EXPECT_ERR(tried(&o), PH_EINVAL);
    o.tls_name = long_name + 1;
    EXPECT_ERR(tried(&o), PH_OK);
    static char long_token[PHI_JOIN_TOKEN_BYTES_MAX + 2];
    memset(long_token, 't', sizeof long_token - 1);
    const char *tokens[] = { "", "a.b.c\n", "a b", "a\tb", "\x7f", "\xc3\xa9", long_token };
    for (size_t i = 0; i < PHI_COUNT_OF(tokens); i++) {
        o = good;
        o.token = tokens[i];
        EXPECT_ERR(tried(&o), PH_EINVAL);
    }
    o.token = long_token + 1;
    EXPECT_ERR(tried(&o), PH_OK);
}

// [P-35] and, for the whole of it, [P-12]
TEST(options, metadata_has_its_limits)
{
    char key[66];
    memset(key, 'k', sizeof key);
    key[65] = '\0';
    static char value[1026];
    memset(value, 'v', sizeof value - 1);
    ph_metadata many[33];
    for (size_t i = 0; i < 33; i++) {
        many[i] = (ph_metadata){ "key", "value" };
    }
    ph_client_options o = PH_CLIENT_OPTIONS_INIT;
    o.metadata = many;
    o.metadata_count = 32;
    EXPECT_ERR(tried(&o), PH_OK);
    o.metadata_count = 33;
    EXPECT_ERR(tried(&o), PH_EINVAL);
    o.metadata_count = 1;
    many[0].key = key;
    EXPECT_ERR(tried(&o), PH_EINVAL);
    many[0].key = key + 1;
    EXPECT_ERR(tried(&o), PH_OK);
    many[0].key = "";
    EXPECT_ERR(tried(&o), PH_EINVAL);
    many[0].key = NULL;
    EXPECT_ERR(tried(&o), PH_EINVAL);
    many[0] = (ph_metadata){ "key", value };
    EXPECT_ERR(tried(&o), PH_EINVAL);
    many[0].value = value + 1;
    EXPECT_ERR(tried(&o), PH_OK);
    for (size_t i = 0; i < 8; i++) {
        many[i] = (ph_metadata){ "key", value + 1 }; // each is fine, all of them are 8 KiB
    }
    o.metadata_count = 8;
    EXPECT_ERR(tried(&o), PH_EINVAL);
    o.metadata_count = 4; // and so are these, but not with a token of their length
    EXPECT_ERR(tried(&o), PH_OK);
    static char token[PHI_JOIN_TOKEN_BYTES_MAX + 1];
    memset(token, 't', sizeof token - 1);
    o.token = token;
    EXPECT_ERR(tried(&o), PH_EINVAL);
    o.metadata = NULL;
    EXPECT_ERR(tried(&o), PH_EINVAL);
}

// A program may throw its strings away behind ph_client_new.
TEST(options, texts_are_copied)
{
    char centers[] = "unix:/run/one";
    char account[] = "one";
    ph_client_options o = PH_CLIENT_OPTIONS_INIT;
    o.centers = centers;
    o.account = account;
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    EXPECT_ERR(phi_client_new_on(&s.client, &s.io, &o), PH_OK);
    memset(centers, 'x', sizeof centers - 1);
    memset(account, 'x', sizeof account - 1);
    EXPECT_ERR(ph_client_open(s.client), PH_OK);
    stage_settle(&s);
    EXPECT_TEXT(s.dialled, "unix:/run/one");
    EXPECT_TEXT(s.join_account, "one");
    stage_fini(&s);
}

// Gateways and discoveries are there for the online list. [P-35]
TEST(options, gateways_watch_without_being_told_to)
{
    ph_client_options o = PH_CLIENT_OPTIONS_INIT;
    o.type = PH_TYPE_GATEWAY;
    stage s;
    stage_init(&s, PHI_SUITE_PLAIN);
    EXPECT_ERR(phi_client_new_on(&s.client, &s.io, &o), PH_OK);
    EXPECT_ERR(ph_client_open(s.client), PH_OK);
    stage_settle(&s);
    EXPECT(s.asked.wants);
    EXPECT_EQ(s.join.type, PHI_TYPE_GATEWAY);
    stage_fini(&s);
}

// A process with several accounts pays for suite paper what it should only when the clients of its
// loop make their key stream together, whichever of them comes and goes. [P-25]
TEST(options, clients_of_a_loop_share_their_ciphers)
{
    ph_loop *loop = NULL;
    EXPECT_ERR(ph_loop_new(&loop), PH_OK);
    ph_client_options o = PH_CLIENT_OPTIONS_INIT;
    o.loop = loop;
    ph_client *clients[3] = { NULL };
    for (size_t i = 0; i < PHI_COUNT_OF(clients); i++) {
        EXPECT_ERR(ph_client_new(&clients[i], &o), PH_OK);
        EXPECT(clients[i]->link_options.ciphers == phi_loop_cipher_group(loop));
    }
    ph_client_free(&clients[0]);
    EXPECT(clients[1]->link_options.ciphers == phi_loop_cipher_group(loop));
    ph_client *alone = NULL; // on a loop of its own
    EXPECT_ERR(ph_client_new(&alone, NULL), PH_OK);
    EXPECT(alone->link_options.ciphers == phi_loop_cipher_group(ph_client_loop(alone)));
    EXPECT(alone->link_options.ciphers != clients[1]->link_options.ciphers);
    ph_client_free(&alone);
    ph_client_free(&clients[1]);
    ph_client_free(&clients[2]);
    ph_loop_free(&loop);
}
