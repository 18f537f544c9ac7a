// SPDX-License-Identifier: Apache-2.0
//
// tests/io/uv_contract.c - see uv_contract.h.

#include "tests/io/uv_contract.h"

#include <sys/socket.h>

#include "io/uv_private.h"
#include "tests/harness/test.h"

static phi_alloc_counter contract_memory;
static uint32_t contract_count;
static phi_uv *contract_uvs[IO_CONTRACT_LOOPS_MAX];
static phi_uv_mailboxes *contract_mail;

static phi_io *contract_open(void *arg)
{
    (void)arg;
    phi_alloc_counter_init(&contract_memory, &phi_alloc_heap);
    contract_count = 1;
    EXPECT_ERR(phi_uv_new(&contract_uvs[0], &contract_memory.alloc, NULL), PH_OK);
    return phi_uv_io(contract_uvs[0]);
}

static void contract_open_loops(void *arg, uint32_t count, size_t bytes_max, phi_io **ios,
                                phi_mailbox **mailboxes)
{
    (void)arg;
    phi_alloc_counter_init(&contract_memory, &phi_alloc_heap);
    contract_count = count;
    EXPECT_ERR(phi_uv_mailboxes_new(&contract_mail, count, bytes_max, NULL), PH_OK);
    for (uint32_t i = 0; i < count; i++) {
        phi_uv **uv = &contract_uvs[i];
        EXPECT_ERR(phi_uv_new(uv, &contract_memory.alloc, NULL), PH_OK);
        EXPECT_ERR(phi_uv_mailbox(contract_mail, i, *uv, &mailboxes[i], NULL), PH_OK);
        ios[i] = phi_uv_io(*uv);
    }
}

// One of several loops cannot wait for what the next one has to do first.
static void contract_turn(void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < contract_count; i++) {
        phi_uv_turn(contract_uvs[i], contract_count == 1 ? phi_seconds(5) : phi_ns(0));
    }
}

static void contract_close(void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < contract_count; i++) {
        phi_uv_free(&contract_uvs[i]);
    }
    phi_uv_mailboxes_free(&contract_mail);
    EXPECT_EQ(contract_memory.blocks, 0);
    EXPECT_EQ(contract_memory.bytes, 0);
}

// A TCP socket that is dissolved sends a reset.
static void contract_cut(void *arg, phi_stream *s)
{
    (void)arg;
    struct sockaddr none = { .sa_family = AF_UNSPEC };
    EXPECT_EQ(connect(s->fd, &none, sizeof none), 0);
}

const io_driver uv_contract_driver = {
    .open = contract_open,
    .open_loops = contract_open_loops,
    .turn = contract_turn,
    .close = contract_close,
    .cut = contract_cut,
    .address = "127.0.0.1:0",
};
