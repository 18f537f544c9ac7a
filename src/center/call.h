// SPDX-License-Identifier: Apache-2.0
//
// center/call.h - a request that is under way: P-56, P-57.
//
// A call takes one slot. The slot's handle is the call number that the responder sees; so a reply
// finds its call by index, and a number that is over misses by its generation.
//
//   plain   somebody calls somebody
//   own     answered by the center itself (own != NULL, no responder): a gather, or one of its
//           methods; whoever answers it stands behind `own`
//   part    what an own call asks of one responder (own and responder): it has no place among its
//           caller's calls, and when it ends `own` is told
//
// Life     call_open -> open -> call_finish (a reply or failure was delivered)
//                            -> call_fail, call_break (the center ends it)
//                            -> over until both sides know
// States   open: waits for its reply; on its responder's list and timed
//          over: a side whose send buffer was full does not know it yet. The caller is owed how it
//                ended, the responder a cancel; on_room, or the end of that side, settles it
// Limits   calls_max slots; of them calls_per_client_max for one caller, owed ones included, and as
//          many whose cancel one responder is owed; send_buffer_max bytes of replies of the
//          center's own that one caller is owed, beyond that it is a failure
// Threads  none
//
// What each call passes is inline, in call_inline.h.

#ifndef CENTER_CALL_H
#define CENTER_CALL_H

#include <posthouse/message.h>

#include "base/timers.h"
#include "center/session.h"

// How a call ended. Each end is one counter; those that the center makes have one failure code.
typedef enum call_end {
    CALL_REPLIED,
    CALL_FAILED,    // by its responder
    CALL_REFUSED,   // it never reached a responder
    CALL_EXPIRED,   // its time ran out
    CALL_LOST,      // its responder's link died
    CALL_CANCELLED, // by its caller
    CALL_ABANDONED, // its caller's link died
    CALL_OVERRUN,   // the reply found the caller's buffer full
    CALL_END_COUNT
} call_end;

typedef struct call call;
typedef struct dialog dialog;

// What answers a call at the center. Embedded as first member.
typedef struct own_call {
    const struct own_call_ops *ops;
} own_call;

typedef struct own_call_ops {
    // Its time has run out: it ends the call.
    void (*expire)(center *c, own_call *o);
    // Nobody waits for it any more; its memory goes. The call is ended by who says it.
    void (*stop)(center *c, own_call *o, ph_failure_code why);
    // The reply to a part was delivered, whole: it ends the part. NULL: it has no parts.
    void (*replied)(center *c, own_call *o, call *part);
    // Nothing will come of a part: it ends the part, and tells its responder, unless that one
    // knows. NULL: it has no parts.
    void (*give_up)(center *c, own_call *o, call *part, ph_failure_code why, bool is_known);
    // The center is being freed: its memory goes, without a word.
    void (*drop)(center *c, own_call *o);
} own_call_ops;

struct call {
    phi_timer timer;
    uint64_t handle;       // in center.calls, and the number the responder sees
    uint64_t number;       // the caller's own
    session *caller;       // NULL: it knows how the call ended; a session ends its calls first
    session *responder;    // NULL: it knows, or there is none
    phi_list of_caller;    // on the caller's calls.made; a part: its owner's
    phi_list of_responder; // on the responder's calls.taken; owed: on its calls.cancels_owed
    phi_time opened;
    uint32_t ttl_ms; // the whole time it was given
    bool is_open;
    bool has_stream;    // a message of it came in fragments, and may still come
    uint8_t depth;      // P-63
    uint8_t owed_end;   // call_end
    uint16_t owed_code; // ph_failure_code
    uint16_t turn;      // a part: its number in the call
    account *instance;  // the responder's, when it was chosen for this; NULL: not, or judged
    dialog *dialog;     // owned; NULL until its first inquiry
    own_call *own;      // see above; over: what the caller is owed instead of a failure
    phi_list of_number; // open: in the caller's calls.by_number; owed: on its calls.owed
};

// What a session has to do with calls, made with its first.
struct session_calls {
    phi_list made;       // call.of_caller
    phi_list taken;      // call.of_responder, open ones
    phi_list *by_number; // owned; NULL until its first cancel or answer; see call.c
    uint32_t made_count;
    uint32_t parts_count;  // call.caller, parts
    phi_list owed;         // call.of_number: over, and it does not know how
    size_t owed_bytes;     // of replies of the center's own among them
    phi_list cancels_owed; // call.of_responder: over, and it does not know that they are
    phi_list dialogs_owed; // dialog.of_responder: inquiries failed, and it does not know
    uint32_t cancels_owed_count;
};

// NULL when it may not be, and *why says why. The time does not run yet. `responder` NULL: the
// center answers it, and `own` is to be set.
call *call_open(center *c, session *caller, session *responder, uint64_t number,
                ph_failure_code *why);

// Its responder was chosen from its service: what becomes of the call tells of the instance.
void call_measure(center *c, call *k, account *instance);

// What is left of it; at least 1.
uint32_t call_time_left(const center *c, const call *k);

// The caller's open call of that number, or NULL.
call *call_of_number(center *c, session *caller, uint64_t number);

// Its responder's failure, with that code, was delivered: of a call, or of a part.
void call_failed(center *c, call *k, uint16_t code);

// Over, and the caller knows, or is gone.
void call_finish(center *c, call *k, call_end end);

// Over for its responder, or it never had one; the caller is told so: now, or as soon as it has
// room.
void call_fail(center *c, call *k, call_end end, ph_failure_code code);

// Over, and neither side knows: the responder gets a cancel, the caller a failure, both as soon as
// they have room.
void call_break(center *c, call *k, call_end end, ph_failure_code code);

// What the responder replied does not reach the caller: of a call, or of a part.
void call_overrun(center *c, call *k, ph_failure_code code);

// Its responder has made a call, or a part, impossible, and does not know it.
void call_give_up(center *c, call *k, ph_failure_code code);

// The center's reply to an own call, now or as soon as there is room. `own` is the caller's again.
void call_reply(center *c, call *k, phi_bytes body);

// A request that never became a call.
void call_refuse(center *c, session *caller, uint64_t number, ph_failure_code code);

// ---- parts

// Asks `responder` as a part of the own call `head`. NULL: the center has as many calls as it can.
// Its owner links of_caller.
call *call_part_open(center *c, call *head, session *responder);

// Over, and its responder knows.
void call_part_finish(center *c, call *part);

// Over: its responder gets a cancel.
void call_part_stop(center *c, call *part, ph_failure_code why);

static inline bool call_is_part(const call *k)
{
    return k->own != NULL && k->responder != NULL;
}

// ---- for session.c

// There is room in the session's buffer: it is told what it is owed.
void call_pay(center *c, session *s);

// Ends all calls of a session that leaves, both ways.
void call_leave(center *c, session *s);

// Frees session.calls.
void call_forget(center *c, session *s);

// How many it has made that it does not know the end of.
static inline uint32_t call_made_count(const session *s)
{
    return s->calls == NULL ? 0 : s->calls->made_count;
}

// Asserts the invariants of a session's calls.
void call_check(const session *s);

// The center is being freed: what calls own, and their timers, which stand in the io.
void call_drop_all(center *c);

#endif // CENTER_CALL_H
