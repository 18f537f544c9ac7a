// SPDX-License-Identifier: Apache-2.0

#include "io/address.h"

#include <stdio.h>

#include "tests/harness/test.h"

// What people write must come back as it was written: the text stands in logs and is dialled again.
TEST(address, good_ones_read_and_write_back)
{
    static const struct {
        const char *text;
        phi_endpoint_kind kind;
        uint16_t port;
    } rows[] = {
        { "127.0.0.1:7678", PHI_ENDPOINT_IP4, 7678 },
        { "0.0.0.0:0", PHI_ENDPOINT_IP4, 0 },
        { "255.255.255.255:65535", PHI_ENDPOINT_IP4, 65535 },
        { "[::1]:7678", PHI_ENDPOINT_IP6, 7678 },
        { "[2001:db8::7]:1", PHI_ENDPOINT_IP6, 1 },
        { "[::]:7678", PHI_ENDPOINT_IP6, 7678 },
        { "localhost:7678", PHI_ENDPOINT_NAME, 7678 },
        { "center-1.example:80", PHI_ENDPOINT_NAME, 80 },
        { "4center:80", PHI_ENDPOINT_NAME, 80 },
        { "unix:/run/posthouse.sock", PHI_ENDPOINT_UNIX, 0 },
        { "unix:relative:7678", PHI_ENDPOINT_UNIX, 0 },
        { "tls:127.0.0.1:7679", PHI_ENDPOINT_IP4, 7679 },
        { "tls:[::1]:7679", PHI_ENDPOINT_IP6, 7679 },
        { "tls:center.example:7679", PHI_ENDPOINT_NAME, 7679 },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(rows); i++) {
        phi_endpoint endpoint;
        EXPECT_ERR(phi_endpoint_parse(rows[i].text, &endpoint, NULL), PH_OK);
        EXPECT_EQ(endpoint.kind, rows[i].kind);
        EXPECT_EQ(endpoint.port, rows[i].port);
        EXPECT(endpoint.is_tls == (strncmp(rows[i].text, "tls:", 4) == 0));
        char text[PHI_ADDRESS_TEXT_MAX];
        phi_endpoint_format(&endpoint, text);
        EXPECT_TEXT(text, rows[i].text);
    }
}

// A slip in a configuration must be told with what was expected, not guessed around.
TEST(address, bad_ones_say_what_is_wrong)
{
    static const struct {
        const char *text;
        const char *says;
    } rows[] = {
        { "", "no port" },
        { "localhost", "no port" },
        { ":7678", "no host" },
        { "[]:7678", "no host" },
        { "localhost:", "port" },
        { "localhost:65536", "port" },
        { "localhost:4294974974", "port" },
        { "localhost:007678", "port" },
        { "localhost:+7", "port" },
        { "localhost:-1", "port" },
        { "localhost: 1", "port" },
        { "localhost:1 ", "port" },
        { "localhost:0x10", "port" },
        { "::1:7678", "brackets" },
        { "[127.0.0.1]:7678", "IPv6" },
        { "[fe80::1%lo]:7678", "IPv6" },
        { "127.1:7678", "IPv4" },
        { "127.0.0.256:7678", "IPv4" },
        { "1.2.3.4.5:7678", "IPv4" },
        { "a b:7678", "letters" },
        { "-a:7678", "letters" },
        { "h\xc3\xa9:7678", "letters" },
        { "http://localhost:7678", "brackets" },
        { "unix:", "no path" },
        { "tls:", "no port" },
        { "tls::7679", "no host" },
        { "tls:unix:/run/a.sock", "not for unix:PATH" },
        { "TLS:a:7679", "brackets" },
        { "[::1]", "no port" },
        { "[", "no port" },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(rows); i++) {
        phi_endpoint endpoint = { .port = 4711 };
        phi_diag diag = { "" };
        EXPECT_ERR(phi_endpoint_parse(rows[i].text, &endpoint, &diag), PH_EINVAL);
        EXPECT_EQ(endpoint.port, 4711); // outputs are written only on success
        if (strstr(diag.text, rows[i].says) == NULL || strstr(diag.text, rows[i].text) == NULL) {
            fail_msg("'%s' gave: %s", rows[i].text, diag.text);
        }
    }
}

// Who dials need not know the ports; but whether it is TLS is never guessed.
TEST(address, dialled_ones_have_a_port_of_their_own)
{
    static const struct {
        const char *text;
        const char *full; // NULL: refused
    } rows[] = {
        { "localhost", "localhost:7678" },
        { "10.0.0.7", "10.0.0.7:7678" },
        { "[::1]", "[::1]:7678" },
        { "tls:center.example", "tls:center.example:7679" },
        { "tls:[2001:db8::7]", "tls:[2001:db8::7]:7679" },
        { "tls:10.0.0.7", "tls:10.0.0.7:7679" },
        { "tls:center.example:1", "tls:center.example:1" },
        { "center.example:1", "center.example:1" },
        { "unix:/run/a.sock", "unix:/run/a.sock" },
        { "", NULL },
        { "tls:", NULL },
        { "[]", NULL },
        { "::1", NULL }, // a port 1, or an address?
        { "localhost:", NULL },
        { "localhost:0", NULL },
        { "127.1", NULL },
        { "tls:tls:a", NULL },
        { "tls:unix:/run/a.sock", NULL },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(rows); i++) {
        phi_endpoint endpoint = { .port = 4711 };
        phi_diag diag = { "" };
        ph_err err = phi_endpoint_parse_dialled(rows[i].text, &endpoint, &diag);
        EXPECT_ERR(err, rows[i].full != NULL ? PH_OK : PH_EINVAL);
        if (rows[i].full == NULL) {
            EXPECT_EQ(endpoint.port, 4711);
            EXPECT(strstr(diag.text, rows[i].text) != NULL);
            continue;
        }
        char text[PHI_ADDRESS_TEXT_MAX];
        phi_endpoint_format(&endpoint, text);
        EXPECT_TEXT(text, rows[i].full);
    }
}

// A name or path of any length must neither overflow nor be cut silently.
TEST(address, lengths_are_checked)
{
    char text[400];
    phi_endpoint endpoint;
    for (int size = 1; size < 300; size++) {
        snprintf(text, sizeof text, "unix:%0*d", size, 0);
        EXPECT_ERR(phi_endpoint_parse(text, &endpoint, NULL),
                   size <= PHI_ENDPOINT_PATH_MAX ? PH_OK : PH_EINVAL);

        snprintf(text, sizeof text, "tls:h%0*d:65535", size, 0);
        ph_err err = phi_endpoint_parse(text, &endpoint, NULL);
        EXPECT_ERR(err, size < PHI_ENDPOINT_NAME_MAX ? PH_OK : PH_EINVAL);
        if (err == PH_OK) {
            char again[PHI_ADDRESS_TEXT_MAX];
            phi_endpoint_format(&endpoint, again);
            EXPECT_TEXT(again, text);
        }
    }
}

// The center offers the suites that protect against nobody only where this says yes.
TEST(address, local_is_loopback_and_unix_only)
{
    static const char *const local[] = {
        "127.0.0.1:1", "127.255.0.9:1",        "[::1]:1",          "localhost:1",
        "LocalHost:1", "[::ffff:127.0.0.1]:1", "unix:/run/a.sock", "tls:127.0.0.1:1",
    };
    static const char *const remote[] = {
        "0.0.0.0:1",           "[::]:1",  "10.0.0.1:1",   "128.0.0.1:1",
        "[::ffff:10.0.0.1]:1", "[::2]:1", "center:1",     "localhost.:1",
        "localhost",           "",        "tls:center:1",
    };
    for (size_t i = 0; i < PHI_COUNT_OF(local); i++) {
        EXPECT(phi_endpoint_is_local(local[i]));
    }
    for (size_t i = 0; i < PHI_COUNT_OF(remote); i++) {
        EXPECT(!phi_endpoint_is_local(remote[i]));
    }
}
