// SPDX-License-Identifier: Apache-2.0

#include "io/uv.h"

#include <stdio.h>
#include <sys/socket.h>

#include "io/io_contract.h"
#include "io/uv_private.h"
#include "tests/harness/test.h"

// ---- the contract, on real sockets

static phi_alloc_counter contract_memory;
static phi_uv *contract_uv;

static phi_io *contract_open(void *arg)
{
    (void)arg;
    phi_alloc_counter_init(&contract_memory, &phi_alloc_heap);
    EXPECT_ERR(phi_uv_new(&contract_uv, &contract_memory.alloc, NULL), PH_OK);
    return phi_uv_io(contract_uv);
}

static void contract_turn(void *arg)
{
    (void)arg;
    phi_uv_turn(contract_uv, phi_seconds(5));
}

static void contract_close(void *arg)
{
    (void)arg;
    phi_uv_free(&contract_uv);
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

static const io_driver contract_driver = {
    .open = contract_open,
    .turn = contract_turn,
    .close = contract_close,
    .cut = contract_cut,
    .address = "127.0.0.1:0",
};

IO_CONTRACT(&contract_driver)
