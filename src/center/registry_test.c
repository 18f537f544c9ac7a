// SPDX-License-Identifier: Apache-2.0
//
// center/registry_test.c - accounts and services come, change and go without sessions.

#include "center/registry.h"

#include <stdio.h>

#include "base/alloc.h"
#include "center/entry.h"
#include "tests/harness/test.h"

enum { ACCOUNTS_MAX = 4 };

static void set_up(registry *r, phi_alloc_counter *counter)
{
    phi_alloc_counter_init(counter, &phi_alloc_heap);
    registry_init(r, &counter->alloc, (phi_hash_key){ 1, 2 }, ACCOUNTS_MAX);
}

static phi_bytes encode(phi_span room, const char *id, const char *of, const char *software)
{
    uint8_t fields[64];
    phi_writer f = phi_writer_of((phi_span){ fields, sizeof fields });
    phi_write_field(&f, PHI_ENTRY_SOFTWARE, phi_bytes_text(software));
    phi_writer w = phi_writer_of(room);
    phi_entry_encode(&w, &(phi_entry){
                             .what = PHI_WHAT_ONLINE,
                             .type = PHI_TYPE_CLIENT,
                             .state = PHI_STATE_READY,
                             .session = 7,
                             .id = phi_bytes_text(id),
                             .service = phi_bytes_text(of),
                             .fields = phi_writer_view(&f),
                         });
    EXPECT(!w.failed);
    return phi_writer_view(&w);
}

static ph_err add(registry *r, account **out, const char *name, const char *of)
{
    char id[PHI_ID_BYTES_MAX + 1];
    snprintf(id, sizeof id, "%s@local", name);
    uint8_t room[256];
    return registry_add(
        r, out,
        &(account_options){ .name = phi_bytes_text(name),
                            .domain = phi_bytes_text("@local"),
                            .service = phi_bytes_text(of),
                            .entry = encode((phi_span){ room, sizeof room }, id, of, "1") });
}

// A line that changed under a name that is in use would break the map, the session's id, and every
// view that others hold of it. [P-46]
TEST(registry, line_is_replaced_under_a_name_that_stays)
{
    registry r;
    phi_alloc_counter counter;
    set_up(&r, &counter);
    account *a;
    EXPECT_ERR(add(&r, &a, "orders-1", "orders"), PH_OK);
    phi_bytes name = account_name(a);
    EXPECT_BYTES(name.data, "orders-1", name.size);
    uint8_t room[256];
    phi_bytes entry = encode((phi_span){ room, sizeof room }, "orders-1@local", "orders", "2.0.1");
    counter.fail_at = counter.takes + 1;
    uint8_t *before = a->entry;
    EXPECT_ERR(account_set_entry(&r, a, entry), PH_ENOMEM);
    EXPECT(a->entry == before);
    EXPECT_ERR(account_set_entry(&r, a, entry), PH_OK);
    EXPECT_EQ(account_entry(a).size, entry.size);
    EXPECT_EQ(a->own_state, PHI_STATE_READY);
    EXPECT_EQ(a->entry[ENTRY_STATE_AT], PHI_STATE_SUSPECT); // nobody is connected
    a->entry[ENTRY_STATE_AT] = PHI_STATE_READY;
    EXPECT_BYTES(account_entry(a).data, entry.data, entry.size);
    EXPECT(account_name(a).data == name.data);
    EXPECT(registry_find(&r, phi_bytes_text("orders-1")) == a);
    registry_remove(&r, &a);
    EXPECT(a == NULL);
    EXPECT(registry_find(&r, phi_bytes_text("orders-1")) == NULL);
    registry_fini(&r);
    EXPECT_EQ(counter.bytes, 0);
}

// A service without instances would be found by those who call it, and its record kept for ever.
TEST(registry, service_is_there_with_its_first_instance_and_gone_with_its_last)
{
    registry r;
    phi_alloc_counter counter;
    set_up(&r, &counter);
    phi_bytes orders = phi_bytes_text("orders");
    EXPECT(services_find(&r.services, orders) == NULL);
    account *one;
    account *other;
    account *two;
    EXPECT_ERR(add(&r, &one, "orders-1", "orders"), PH_OK);
    EXPECT_ERR(add(&r, &other, "stock-1", "stock"), PH_OK);
    EXPECT_ERR(add(&r, &two, "orders-2", "orders"), PH_OK);
    service *v = services_find(&r.services, orders);
    EXPECT(v != NULL);
    EXPECT_EQ(v->instance_count, 2);
    EXPECT(PHI_CONTAINER_OF(v->instances.next, account, of_service) == one);
    EXPECT(PHI_CONTAINER_OF(v->instances.prev, account, of_service) == two);
    uint64_t handle = v->handle;
    registry_remove(&r, &one);
    EXPECT(services_at(&r.services, handle) == v);
    registry_remove(&r, &two);
    EXPECT(services_at(&r.services, handle) == NULL);
    EXPECT(services_find(&r.services, orders) == NULL);
    EXPECT(services_find(&r.services, phi_bytes_text("stock")) == other->service);
    registry_fini(&r); // with one left
    EXPECT_EQ(counter.bytes, 0);
}

// Where memory runs out while somebody joins, nothing of it may stay behind.
TEST(registry, failed_add_leaves_nothing)
{
    size_t failures = 0;
    ph_err rc = PH_ENOMEM;
    for (size_t n = 1; rc != PH_OK; n++) {
        registry r;
        phi_alloc_counter counter;
        set_up(&r, &counter);
        counter.fail_at = n;
        account *a = NULL;
        rc = add(&r, &a, "orders-1", "orders");
        if (rc != PH_OK) {
            failures++;
            EXPECT_ERR(rc, PH_ENOMEM);
            EXPECT(a == NULL);
            EXPECT_EQ(r.accounts.count, 0);
            EXPECT_EQ(r.services.slots.count, 0);
            EXPECT(services_find(&r.services, phi_bytes_text("orders")) == NULL);
            EXPECT(registry_find(&r, phi_bytes_text("orders-1")) == NULL);
        }
        registry_fini(&r);
        EXPECT_EQ(counter.bytes, 0);
    }
    EXPECT(failures >= 6); // slots and map of accounts and of services, id, line
}

// Accounts are bounded like the connections they come from.
TEST(registry, more_accounts_than_the_limit_are_refused)
{
    registry r;
    phi_alloc_counter counter;
    set_up(&r, &counter);
    account *a;
    for (int i = 0; i < ACCOUNTS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "c-%d", i);
        EXPECT_ERR(add(&r, &a, name, name), PH_OK);
    }
    account *last = a;
    EXPECT_ERR(add(&r, &a, "c-more", ""), PH_ELIMIT);
    EXPECT(a == last);
    registry_fini(&r);
    EXPECT_EQ(counter.bytes, 0);
}
