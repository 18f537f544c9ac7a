// SPDX-License-Identifier: Apache-2.0
//
// center/review.h - when other things are believed or allowed: those who are there are judged anew.
//
// Rules count at once. Who somebody is takes longer to judge, a certificate perhaps a tenth of a
// millisecond; so that is done in shares, a few in each turn, for those who are at home here.
//
// Life     center_secure (center.h) begins it; review_turn* -> all have been looked at
// Limits   REVIEW_TURN_MAX clients in a turn
// Threads  none

#ifndef CENTER_REVIEW_H
#define CENTER_REVIEW_H

#include "center/session.h"

#define REVIEW_TURN_MAX 32u

// The end of a turn: the next share.
void review_turn(center *c);

// One that is at home here, and has joined: judged anew. False: it was ended.
bool review_session(center *c, session *s);

#endif // CENTER_REVIEW_H
