// SPDX-License-Identifier: Apache-2.0
//
// center/call.h - a request that is under way: P-56, P-57.
//
// A call takes one slot. The slot's handle is the call number that the responder sees; so a reply
// finds its call by index, and a number that is over misses by its generation.
//
// Life     call_open -> open -> call_finish (a reply or failure was delivered)
//                            -> call_fail (the center ends it) -> owed until there is room
// States   open: waits for its reply; on its responder's list and timed
//          owed: is over for everybody but its caller, whose full buffer did not take the failure
//                yet; on_room or the caller's end finishes it
// Limits   calls_max slots, of them calls_per_client_max for one caller, owed ones included
// Threads  none

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

typedef struct call {
    phi_timer timer;
    uint64_t handle;       // in center.calls, and the number the responder sees
    uint64_t number;       // the caller's own
    session *caller;       // never NULL; a session ends its calls before it goes
    session *responder;    // NULL once owed
    account *instance;     // the responder's, when it was chosen for this; NULL: not, or judged
    phi_time begun;        // when it was chosen
    phi_list of_caller;    // on caller->calls_made
    phi_list of_number;    // open, and its caller cancels: in caller->calls_by_number
    phi_list of_responder; // on responder->calls_taken; owed: on caller->calls_owed
    uint16_t owed_code;    // ph_failure_code
    uint8_t owed_end;      // call_end
} call;

// NULL when the caller, or the center, has as many calls as it may. The timer is not set yet.
call *call_open(center *c, session *caller, session *responder, uint64_t number);

// Starts its time.
void call_time(center *c, call *k, uint32_t ttl_ms);

// Its responder was chosen from its service: what becomes of the call tells of the instance.
void call_measure(center *c, call *k, account *instance);

// Its responder, nobody else, failed it with that code. It is still to be finished.
void call_judge(center *c, call *k, uint16_t code);

// NULL for a number that is no open call's.
call *call_find(const center *c, uint64_t handle);

// The caller's open call of that number, or NULL; of several, which a caller should not have, the
// newest.
call *call_of_number(center *c, session *caller, uint64_t number);

// Over, and the caller knows, or is gone.
void call_finish(center *c, call *k, call_end end);

// Over, and the caller is told so: now, or as soon as it has room.
void call_fail(center *c, call *k, call_end end, ph_failure_code code);

// Tells the responder that nobody wants the call any more, and why. The call is still to be ended.
void call_stop(center *c, call *k, ph_failure_code why);

// A request that never became a call.
void call_refuse(center *c, session *caller, uint64_t number, ph_failure_code code);

// There is room in the caller's buffer.
void call_pay(center *c, session *caller);

// Ends all calls of a session that leaves, both ways.
void call_leave(center *c, session *s);

// Frees the session's calls_by_number.
void call_drop_index(center *c, session *s);

#endif // CENTER_CALL_H
