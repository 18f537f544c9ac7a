// SPDX-License-Identifier: Apache-2.0
//
// tests/sim/contract_sim.c - the simulator must keep the contract of io.h as libuv's implementation
// does; else what is proved in it proves nothing about the real world.

#include "tests/io/io_contract.h"
#include "tests/sim/sim_test.h"

typedef struct world {
    sim *s;
    uint32_t count;
    sim_node nodes[IO_CONTRACT_LOOPS_MAX];
} world;

static void world_new(world *w, uint32_t count)
{
    w->s = sim_new(&(sim_options){
        .seed = 1, .nodes_max = IO_CONTRACT_LOOPS_MAX, .path = { .delay = MS(1) } });
    w->count = count;
    for (uint32_t i = 0; i < count; i++) {
        w->nodes[i] = sim_node_add(w->s, "node");
    }
}

static phi_io *world_open(void *arg)
{
    world *w = arg;
    world_new(w, 1);
    return sim_io(w->s, w->nodes[0]);
}

static void world_open_loops(void *arg, uint32_t count, size_t bytes_max, phi_io **ios,
                             phi_mailbox **mailboxes)
{
    world *w = arg;
    world_new(w, count);
    sim_mailboxes_add(w->s, w->nodes, count, bytes_max, phi_us(50));
    for (uint32_t i = 0; i < count; i++) {
        ios[i] = sim_io(w->s, w->nodes[i]);
        mailboxes[i] = sim_mailbox(w->s, w->nodes[i]);
    }
}

static void world_turn(void *arg)
{
    (void)sim_step(((world *)arg)->s);
}

static void world_close(void *arg)
{
    world *w = arg;
    for (uint32_t i = 0; i < w->count; i++) {
        sim_node_kill(w->s, w->nodes[i]);
    }
    for (uint32_t i = 0; i < w->count; i++) {
        sim_node_restart(w->s, w->nodes[i]);
        EXPECT_EQ(sim_blocks_used(w->s, w->nodes[i]), 0);
    }
    sim_free(&w->s);
}

static void world_cut(void *arg, phi_stream *stream)
{
    sim_cut_stream(((world *)arg)->s, stream);
}

static world the_world;

static const io_driver driver = {
    .arg = &the_world,
    .open = world_open,
    .open_loops = world_open_loops,
    .turn = world_turn,
    .close = world_close,
    .cut = world_cut,
    .address = "127.0.0.1:0",
};

IO_CONTRACT(&driver)
