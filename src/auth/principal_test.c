// SPDX-License-Identifier: Apache-2.0
//
// auth/principal_test.c - who may be whom.

#include "auth/principal.h"

#include <stdio.h>
#include <string.h>

#include "tests/harness/test.h"

static bool owns(const char *principal, const char *account)
{
    return phi_principal_owns(phi_bytes_text(principal), phi_bytes_text(account));
}

static bool is_valid(const char *name)
{
    return phi_principal_is_valid(phi_bytes_text(name));
}

// Somebody would be let in under another's account, or a service's instances would be refused
// theirs.
TEST(principal, owns_its_name_and_what_is_made_up_from_it)
{
    assert_true(owns("orders", "orders"));
    assert_true(owns("orders", "orders-7f3a"));
    assert_true(owns("orders", "orders-7f3a0001"));
    assert_false(owns("orders", "orders-1"));
    assert_false(owns("orders", "orders-7f3"));
    assert_false(owns("orders", "orders-7f3a0"));
    assert_false(owns("orders", "orders-7f3a00010"));
    assert_false(owns("orders", "orders-7F3A"));
    assert_false(owns("orders", "orders7f3a"));
    assert_false(owns("orders", "order"));
    assert_false(owns("orders", "orders-eu-7f3a"));
    assert_false(owns("orders", "-7f3a"));
    assert_false(owns("orders", ""));
    assert_true(owns("orders-eu", "orders-eu-7f3a"));
}

// Two principals would own one account: `a` the made-up `a-beef`, and one that is called so.
TEST(principal, is_not_called_as_what_is_made_up)
{
    assert_true(is_valid("orders"));
    assert_true(is_valid("orders-1"));
    assert_true(is_valid("beef"));
    assert_false(is_valid("orders-beef"));
    assert_false(is_valid("orders-beefbeef"));
    assert_false(is_valid(""));
    assert_false(is_valid("Orders"));
    assert_false(is_valid("a b"));
}

// An account that is made up for a longer name would lack the end of it, and so be another's, too.
TEST(principal, leaves_room_for_what_is_made_up)
{
    static const uint8_t letters[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    EXPECT_EQ(sizeof letters - 1, PHI_PRINCIPAL_BYTES_MAX + 1);
    assert_true(phi_principal_is_valid(phi_bytes_of(letters, PHI_PRINCIPAL_BYTES_MAX)));
    assert_false(phi_principal_is_valid(phi_bytes_of(letters, PHI_PRINCIPAL_BYTES_MAX + 1)));
    char account[PHI_NAME_BYTES_MAX + 1];
    snprintf(account, sizeof account, "%.*s-7f3a0001", (int)PHI_PRINCIPAL_BYTES_MAX,
             (const char *)letters);
    EXPECT_EQ(strlen(account), PHI_NAME_BYTES_MAX);
    assert_true(phi_principal_owns(phi_bytes_of(letters, PHI_PRINCIPAL_BYTES_MAX),
                                   phi_bytes_text(account)));
}

// A certificate of another domain, or with more behind the name, would name an account here.
TEST(principal, is_read_from_a_uri_of_the_own_domain)
{
    phi_bytes home = phi_bytes_text("home");
    phi_bytes name;
    assert_true(phi_principal_of_uri(phi_bytes_text("posthouse://home/orders"), home, &name));
    assert_true(phi_bytes_equal(name, phi_bytes_text("orders")));
    static const char *const others[] = {
        "posthouse://hom/orders",  "posthouse://home2/orders", "posthouse://home/",
        "posthouse://home",        "posthouse://home/Orders",  "posthouse://home/orders/",
        "posthouse://home/a b",    "posthouse://home//orders", "posthouse://home/orders?x",
        "POSTHOUSE://home/orders", "https://home/orders",      "",
        "posthouse://home/x-beef", " posthouse://home/orders",
    };
    for (size_t i = 0; i < PHI_COUNT_OF(others); i++) {
        assert_false(phi_principal_of_uri(phi_bytes_text(others[i]), home, &name));
    }
    phi_bytes nul = phi_bytes_of("posthouse://home/orders\0evil", 28);
    assert_false(phi_principal_of_uri(nul, home, &name));
}
