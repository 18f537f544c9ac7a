// SPDX-License-Identifier: Apache-2.0
//
// tests/sim/contract_sim.c - the simulator must keep the contract of io.h as libuv's implementation
// does; else what is proved in it proves nothing about the real world.

#include "io/io_contract.h"
#include "tests/sim/sim_test.h"

typedef struct world {
    sim *s;
    sim_node node;
} world;

static phi_io *world_open(void *arg)
{
    world *w = arg;
    w->s = sim_new(&(sim_options){ .seed = 1, .nodes_max = 1, .path = { .delay = MS(1) } });
    w->node = sim_node_add(w->s, "node");
    return sim_io(w->s, w->node);
}

static void world_turn(void *arg)
{
    (void)sim_step(((world *)arg)->s);
}

static void world_close(void *arg)
{
    world *w = arg;
    sim_node_kill(w->s, w->node);
    sim_node_restart(w->s, w->node);
    EXPECT_EQ(sim_blocks_used(w->s, w->node), 0);
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
    .turn = world_turn,
    .close = world_close,
    .cut = world_cut,
    .address = "127.0.0.1:0",
};

IO_CONTRACT(&driver)
