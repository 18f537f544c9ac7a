// SPDX-License-Identifier: Apache-2.0
//
// posthouse/posthouse.h - all of the public interface.

#ifndef PH_POSTHOUSE_H
#define PH_POSTHOUSE_H

#include <posthouse/client.h>
#include <posthouse/counters.h>
#include <posthouse/dialog.h>
#include <posthouse/err.h>
#include <posthouse/loop.h>
#include <posthouse/message.h>
#include <posthouse/options.h>
#include <posthouse/presence.h>
#include <posthouse/state.h>
#include <posthouse/topic.h>
#include <posthouse/version.h>

#endif // PH_POSTHOUSE_H
