// SPDX-License-Identifier: Apache-2.0
//
// app/crew.h - the workers of a center: a loop and a center for each, the first in the main thread,
// the others in threads of their own.
//
// Life     crew_new -> crew_secure -> crew_start -> crew_run (crew_set_log, crew_count,
//          crew_secure, crew_stop) -> crew_free
// Limits   CREW_MAIL_BYTES_MAX from one worker to another
// Threads  a crew belongs to the main thread: it is called outside of turns, or from the first loop

#ifndef APP_CREW_H
#define APP_CREW_H

#include "app/log_sink.h"
#include "center/center.h"
#include "center/security.h"
#include "io/uv.h"

// Mail that a worker has not read yet. Who fills it is read from later.
#define CREW_MAIL_BYTES_MAX (4u * 1024u * 1024u)

typedef struct crew crew;

// What all of them have counted together.
typedef void crew_counted(void *arg, const center_counters *counters, uint64_t lines_lost);

// All of them are secured.
typedef void crew_secured(void *arg);

// A token was refused because its key is not known.
typedef void crew_key_missed(void *arg);

// Makes the loops and the centers; the threads come later. Each logs as `sink` does, which is
// copied. Limits of the whole center that each worker would have for itself are shared out.
//
// PH_ENOMEM, PH_ESYSTEM, and those of center_new
PHI_MUST_CHECK ph_err crew_new(crew **out, uint32_t count, const center_options *options,
                               const log_sink *sink, phi_diag *diag);

// Ends what still runs, without byes. Accepts NULL.
void crew_free(crew **c);

// The first worker: it listens, and takes the signals.
phi_uv *crew_uv(crew *c);
center *crew_center(crew *c);

// Of all loops, phi_uv_busy_poll. Before crew_start.
void crew_busy_poll(crew *c, phi_dur bound);

// Starts the threads of the others.
//
// PH_ESYSTEM   there can be no more threads
PHI_MUST_CHECK ph_err crew_start(crew *c, phi_diag *diag);

// Every worker believes that from now on. `secured` is called once, when no worker uses anything
// else any more: what was in force before may be freed then. Before crew_start, and with one
// worker, that is at once; otherwise in a later turn of the first loop. False: somebody secures
// already, and nothing was done.
bool crew_secure(crew *c, const center_security *security, crew_secured *secured, void *arg);

// `missed` is called on the first loop soon after a worker met a token whose key it does not know;
// once for many of them. Before crew_start.
void crew_on_key_missed(crew *c, crew_key_missed *missed, void *arg);

// Turns the first loop until crew_stop has come to its end.
void crew_run(crew *c);

// Has all say bye, and crew_run end. Once.
void crew_stop(crew *c);

// All log as `sink` does from now on.
void crew_set_log(crew *c, const log_sink *sink);

// `counted` is called once, now or in a later turn of the first loop. False: somebody counts
// already, and that will do.
bool crew_count(crew *c, crew_counted *counted, void *arg);

#endif // APP_CREW_H
