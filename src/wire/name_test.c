// SPDX-License-Identifier: Apache-2.0
//
// wire/name_test.c - names and addresses.

#include "wire/name.h"

#include "tests/harness/test.h"

static bool is_valid(const char *name)
{
    return phi_name_is_valid(phi_bytes_text(name));
}

// Every byte, at both places where the rule differs: a name gets into logs, terminals and paths.
// [P-38]
TEST(name, every_byte_is_judged_by_the_rule)
{
    for (int c = 0; c < 256; c++) {
        uint8_t first[2] = { (uint8_t)c, 'a' };
        uint8_t second[2] = { 'a', (uint8_t)c };
        bool is_letter_or_digit = c != 0 && strchr("abcdefghijklmnopqrstuvwxyz0123456789", c);
        bool is_inner = is_letter_or_digit || c == '.' || c == '_' || c == '-';
        EXPECT_EQ(phi_name_is_valid(phi_bytes_of(first, 2)), is_letter_or_digit);
        EXPECT_EQ(phi_name_is_valid(phi_bytes_of(second, 2)), is_inner);
    }
}

// [P-38]
TEST(name, length_is_1_to_64)
{
    char name[66];
    memset(name, 'a', sizeof name);
    EXPECT(!phi_name_is_valid(phi_bytes_of(NULL, 0)));
    EXPECT(phi_name_is_valid(phi_bytes_of(name, 1)));
    EXPECT(phi_name_is_valid(phi_bytes_of(name, 64)));
    EXPECT(!phi_name_is_valid(phi_bytes_of(name, 65)));
    EXPECT(is_valid("orders-7f3a.eu_1"));
    EXPECT(!is_valid("Orders"));
}

// [P-36] [P-38]
TEST(name, id_is_account_and_domain)
{
    EXPECT(phi_id_is_valid(phi_bytes_text("a@d")));
    EXPECT(!phi_id_is_valid(phi_bytes_text("a")));
    EXPECT(!phi_id_is_valid(phi_bytes_text("a@")));
    EXPECT(!phi_id_is_valid(phi_bytes_text("@d")));
    EXPECT(!phi_id_is_valid(phi_bytes_text("a@d@e")));
    EXPECT(!phi_id_is_valid(phi_bytes_text("all:")));
    EXPECT(!phi_id_is_valid(phi_bytes_text("")));
}

// A center routes by what this says; a form it does not know must not look like an account. [P-52]
TEST(name, addresses_have_their_forms)
{
    static const struct {
        const char *text;
        phi_address_form form;
        const char *name;
        const char *domain;
    } rows[] = {
        { "", PHI_ADDRESS_NONE, "", "" },
        { "orders", PHI_ADDRESS_ACCOUNT, "orders", "" },
        { "orders@eu.main", PHI_ADDRESS_ACCOUNT, "orders", "eu.main" },
        { "all:", PHI_ADDRESS_EVERYONE, "", "" },
        { "all:orders", PHI_ADDRESS_INSTANCES, "orders", "" },
        { "all:-", PHI_ADDRESS_MALFORMED, "-", "" },
        { "all::", PHI_ADDRESS_MALFORMED, ":", "" },
        { "service:orders", PHI_ADDRESS_SERVICE, "orders", "" },
        { "service:", PHI_ADDRESS_MALFORMED, "", "" },
        { "service:orders@eu", PHI_ADDRESS_MALFORMED, "orders@eu", "" },
        { "topic:a.*", PHI_ADDRESS_TOPIC, "a.*", "" },
        { "topic:", PHI_ADDRESS_TOPIC, "", "" },
        { ":", PHI_ADDRESS_UNKNOWN, "", "" },
        { "queue:orders", PHI_ADDRESS_UNKNOWN, "orders", "" },
        { "a@d:", PHI_ADDRESS_UNKNOWN, "", "" },
        { "@", PHI_ADDRESS_CENTER, "", "" },
        { "@eu.main", PHI_ADDRESS_CENTER, "", "eu.main" },
        { "@EU", PHI_ADDRESS_MALFORMED, "", "EU" },
        { "orders@", PHI_ADDRESS_MALFORMED, "orders", "" },
        { "orders@eu@main", PHI_ADDRESS_MALFORMED, "orders", "eu@main" },
        { "Orders", PHI_ADDRESS_MALFORMED, "Orders", "" },
        { "orders@EU", PHI_ADDRESS_MALFORMED, "orders", "EU" },
        { "-a", PHI_ADDRESS_MALFORMED, "-a", "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        phi_address a = phi_address_parse(phi_bytes_text(rows[i].text));
        EXPECT_EQ(a.form, rows[i].form);
        EXPECT(phi_bytes_equal(a.name, phi_bytes_text(rows[i].name)));
        EXPECT(phi_bytes_equal(a.domain, phi_bytes_text(rows[i].domain)));
    }
}
