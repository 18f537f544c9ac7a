// SPDX-License-Identifier: Apache-2.0
//
// sim/sim_internal.h - what the files of the simulator share. Nobody else includes it.
//
// sim_world.c   nodes, turns, running
// sim_sched.c   the event heap and its order
// sim_listener.c  addresses, and who listens on them
// sim_net.c     connections, streams
// sim_tls.c     who is at the other end of a stream
// sim_loose.c   streams between two loops
// sim_mail.c    mailboxes of nodes that are one process
// sim_fault.c   allocation failure, killed and frozen nodes, broken paths
// sim_trace.c   hash and readable trace

#ifndef SIM_SIM_INTERNAL_H
#define SIM_SIM_INTERNAL_H

#include "base/alloc.h"
#include "base/assert.h"
#include "base/buf.h"
#include "io/address.h"
#include "io/mailbox_private.h"
#include "sim/sim.h"

#define SIM_NAME_BYTES 24
#define SIM_LOOP_BUFFER_BYTES 65536u

// What can be due. The names in sim_trace.c follow this order.
typedef enum sim_kind {
    SIM_WAKE,    // a node's timers
    SIM_TOUCH,   // a turn for what was queued from outside, or in haste
    SIM_ACTION,  // the script
    SIM_SYN,     // at the listener
    SIM_SYN_ACK, // back at who dials
    SIM_REFUSED, // the same, but nobody listens; or, behind it, who listens does not believe us
    SIM_TIMEOUT, // nobody answered
    SIM_ACK,     // at the listener: now it can be accepted
    SIM_SEGMENT, // `size` bytes have arrived
    SIM_READ,    // there is more to be read
    SIM_SILENCE, // who dialled without TLS has said nothing for long, where TLS is spoken
    SIM_ROOM,    // the peer has read
    SIM_FIN,
    SIM_RESET,
    SIM_CLOSED, // the turn after phi_stream_close
    SIM_MAIL,   // what another loop of the process has posted
    SIM_KIND_COUNT
} sim_kind;

typedef enum sim_refusal {
    SIM_NOBODY_LISTENS,
    SIM_NO_SUCH_HOST,
    SIM_NOT_BELIEVED,
} sim_refusal;

typedef struct sim_conn sim_conn;
typedef struct sim_host sim_host;
typedef struct sim_box sim_box;
typedef struct sim_box_set sim_box_set;

typedef struct sim_event {
    uint64_t at; // world time, ns
    uint64_t sequence;
    sim_node node;
    uint32_t life; // of the node; an event of an earlier life is forgotten
    uint16_t kind;
    uint16_t end;   // of conn: which stream it is for
    uint32_t size;  // SEGMENT: bytes; RESET: 1 when it comes through a muted connection; REFUSED:
                    // a sim_refusal
    sim_conn *conn; // holds a reference
    sim_action *fn;
    void *arg; // ACTION: of fn; MAIL: the first of its chunks, owned
} sim_event;

typedef struct sim_heap {
    sim_event *events; // owned
    size_t count;
    size_t capacity;
    uint64_t sequence; // of the next event
} sim_heap;

// What belongs to one ordered pair of nodes.
typedef struct sim_lane {
    sim_path path;
    uint64_t held_until; // ns
    bool is_parted;
} sim_lane;

typedef struct sim_fault {
    phi_alloc alloc; // what the node sees
    phi_alloc_counter counter;
    phi_random random;
    uint32_t per_million;
    uint32_t countdown;
    uint64_t failures; // of allocations, ever
    uint32_t shed_percent;
} sim_fault;

// A node. `io` comes first: the ops are given a phi_io and cast.
struct sim_host {
    phi_io io;
    sim *world;
    sim_node index;
    uint32_t life;
    char name[SIM_NAME_BYTES];
    uint64_t offset; // of its clock, ns
    uint64_t wake;   // world time of the valid WAKE event; UINT64_MAX none
    bool is_alive;
    bool is_frozen;
    bool is_reading;
    phi_random entropy;
    phi_random script; // for what the test puts on it
    phi_random net;    // jitter and ragged cuts of what it sends and reads
    sim_fault fault;
    phi_list streams;       // phi_stream.node
    phi_list listeners;     // phi_listener.node
    phi_list loose;         // phi_loose_stream.node: released here, and not adopted yet
    sim_box *box;           // owned; NULL: it has no mailbox
    phi_identity *identity; // of new connections, for others; owned; NULL: that of its address
    phi_tls *tls_files;     // what its files say; NULL: they cannot be used
    sim_event *waiting;     // while frozen; owned
    size_t waiting_count;
    size_t waiting_capacity;
};

typedef enum sim_stream_state {
    SIM_STREAM_CONNECTING,
    SIM_STREAM_ACCEPTED, // attached in this turn; read from the next one on
    SIM_STREAM_OPEN,
    SIM_STREAM_CLOSING, // closed by its owner; on_closed is due
    SIM_STREAM_DEAD,    // its process was killed
} sim_stream_state;

struct phi_stream {
    phi_list node; // on sim_host.streams
    sim_host *host;
    sim_conn *conn; // holds a reference
    uint16_t end;
    sim_stream_state state;
    bool is_paused;
    bool is_read_due; // a READ event is on its way
    bool wants_room;  // a write was short
    bool is_room_due; // a ROOM event is on its way
    const phi_stream_events *events;
    void *owner;
};

// An accepted stream between two loops.
struct phi_loose_stream {
    phi_list node; // on sim_host.loose
    sim_host *host;
    sim_conn *conn; // holds a reference
    uint16_t end;
    bool is_reset; // a reset came meanwhile
};

// A mailbox of a node.
struct sim_box {
    phi_mailbox m; // the first, so that one is cast to the other
    sim_host *host;
    sim_box_set *set;
    phi_mail_list inbox;   // arrived, and not read
    uint64_t last_arrival; // nothing posted later arrives before; ns
    bool is_touched;       // a TOUCH event for what is in the inbox is on its way
};

struct sim_box_set {
    sim_box_set *next; // on sim.box_sets
    uint32_t count;
    size_t bytes_max;
    phi_dur delay_max;
    phi_random random;
    phi_mailbox *all[PHI_MAILBOXES_MAX];
};

struct phi_listener {
    phi_list node; // on sim_host.listeners
    sim_host *host;
    char address[PHI_ADDRESS_TEXT_MAX]; // the one that is dialled
    phi_tls *tls;                       // of new connections; NULL: it is plain
    const phi_listener_events *events;
    void *owner;
};

// One direction of a connection, from `end` to the other.
typedef struct sim_pipe {
    phi_buf bytes;         // written and not read
    size_t arrived;        // of them, that many are at the receiver
    uint64_t last_arrival; // nothing sent later arrives before; ns
    bool has_fin;          // arrived
} sim_pipe;

struct sim_conn {
    phi_list node; // on sim.conns
    uint64_t id;
    uint32_t refs; // events and streams
    bool is_muted;
    bool is_local;
    bool is_tls;
    bool is_mistaken;        // who dialled speaks no TLS, who accepted nothing else
    bool is_open;            // the three packets of its beginning went through
    sim_host *hosts[2];      // [0] dialled
    sim_node places[2];      // in the network: who dialled, and who accepted, whoever adopted it
    phi_stream *streams[2];  // NULL: not yet, or no more
    phi_loose_stream *loose; // of end 1, while it is between two loops
    sim_pipe pipes[2];       // [0] from the one who dialled
    phi_tls *tls[2]; // whom each end believes; NULL without TLS, [1] also before it was accepted
    phi_identity *identities[2]; // of each end, as the other sees it; owned; NULL: see sim_host
    uint64_t drains_until[2];    // a closed end throws away what comes, until then; ns
    phi_listener *listening;     // compared, never followed
    char address[PHI_ADDRESS_TEXT_MAX];
    uint16_t port; // of who dialled
};

struct sim {
    uint64_t now;
    uint64_t turns;
    uint64_t instant_turns; // at this very `now`: a guard against a world that does not move on
    phi_random random;
    sim_heap heap;
    sim_host **hosts; // owned; [0] is NULL
    uint32_t host_count;
    uint32_t host_capacity;
    sim_lane *lanes; // host_capacity squared; owned
    phi_list conns;  // sim_conn.node, in the order in which they were dialled
    uint64_t conn_count;
    uint16_t port_next;    // for listeners on port 0
    sim_box_set *box_sets; // owned
    phi_tls *tls;          // the first of all; owned
    uint64_t hash;
    FILE *trace;
    uint8_t buffer[SIM_LOOP_BUFFER_BYTES]; // where on_bytes looks; one node reads at a time
};

// sim_sched.c
void sim_heap_push(sim_heap *heap, sim_event event);
const sim_event *sim_heap_first(const sim_heap *heap);
sim_event sim_heap_take(sim_heap *heap);
// The events for one end of a connection are for another node from now on; their order stays.
void sim_heap_redirect(sim_heap *heap, const sim_conn *conn, uint16_t end, const sim_host *to);

// sim_world.c
sim_host *sim_host_get(const sim *s, sim_node node);
void sim_schedule(sim *s, sim_event event); // sets life and sequence, takes the reference
// What is on its way to that end of the connection goes to another node from now on.
void sim_redirect(sim *s, const sim_conn *conn, uint16_t end, const sim_host *to);

// sim_listener.c
static inline sim_host *sim_host_of(phi_io *io)
{
    return (sim_host *)io;
}
// The one spelling of an address under which it is found.
void sim_address(const phi_endpoint *endpoint, char text[PHI_ADDRESS_TEXT_MAX]);
phi_listener *sim_listener_find(const sim *s, const char *address); // as it was normalised
ph_err sim_listen(phi_io *io, const phi_listen_options *options, const phi_listener_events *events,
                  void *owner, phi_listener **out, phi_diag *diag);
void sim_listener_secure(phi_listener *listener, phi_tls *tls);
void sim_listener_address(const phi_listener *listener, char text[PHI_ADDRESS_TEXT_MAX]);
void sim_listener_close(phi_listener *listener);

// sim_net.c
extern const phi_io_ops sim_io_ops;
void sim_net_event(sim *s, sim_host *host, const sim_event *event);
void sim_conn_unref(sim *s, sim_conn *conn);
void sim_net_kill(sim_host *host);          // the kernel's part of a process that dies
void sim_net_forget(sim_host *host);        // gives back the memory of its streams and listeners
void sim_net_resume(sim_host *host);        // it reads again
void sim_net_break(sim *s, sim_conn *conn); // both ends see a reset
phi_stream *sim_stream_new(sim_host *host, sim_conn *conn, uint16_t end); // NULL: no memory
void sim_stream_free(phi_stream *stream);
void sim_hang_up(sim *s, sim_conn *conn, uint16_t end); // the kernel closes what is left behind
sim_lane *sim_lane_get(const sim *s, sim_node from, sim_node to);

// sim_tls.c
ph_err sim_tls_load(phi_io *io, phi_tls_files *files, phi_diag *diag);
void sim_tls_drop(phi_io *io, phi_tls_files *files);
void sim_stream_identity(const phi_stream *stream, phi_identity *out);
ph_err sim_stream_verify(const phi_stream *stream, const phi_tls *tls, phi_diag *diag);
const char *sim_tls_judge(const phi_tls *tls, const sim_conn *conn, uint16_t end);
phi_identity *sim_identity_dup(const phi_identity *identity); // NULL of NULL
void sim_identity_free(phi_identity **identity);
void sim_tls_free_all(sim *s);

// sim_loose.c
ph_err sim_stream_release(phi_stream *stream, phi_loose_stream **out);
ph_err sim_stream_adopt(phi_io *io, phi_loose_stream *loose, phi_stream **out);
void sim_loose_close(phi_loose_stream *loose);
void sim_loose_kill(sim_host *host);
void sim_loose_forget(sim_host *host);

// sim_mail.c
void sim_mail_event(sim_host *host, const sim_event *event);
void sim_mail_forget(const sim_event *event);
void sim_box_read(sim_box *box);     // when somebody is attached
void sim_box_catch_up(sim_box *box); // has a turn taken when there is mail to be read
void sim_box_kill(sim_box *box);
void sim_box_restart(sim_box *box);
void sim_box_free(sim_box *box);

// sim_fault.c
void sim_fault_init(sim_fault *fault, phi_random random);
bool sim_fault_sheds(sim_fault *fault);

// sim_trace.c
void sim_trace_event(sim *s, const sim_event *event);
void sim_trace_bytes(sim *s, sim_node node, const char *verb, uint64_t conn, phi_bytes bytes);
void sim_trace_mix(sim *s, uint64_t word);
const char *sim_node_name(const sim *s, sim_node node);

#endif // SIM_SIM_INTERNAL_H
