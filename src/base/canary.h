// SPDX-License-Identifier: Apache-2.0
//
// base/canary.h - a feature header: one defect built in on purpose, to test the tests.
//
// CMake builds the center a second time with PHI_CANARY=1 (target center_canary), and nothing
// else. In that build a center takes a reply or failure from anybody who names an open call, not
// only from the responder that was chosen (docs/protocol.md P-56). The swarm must notice. Where the
// center decides who may answer, it reads
//
//     if (call->responder != sender && !PHI_CANARY) {

#ifndef PHI_BASE_CANARY_H
#define PHI_BASE_CANARY_H

#ifndef PHI_CANARY
#define PHI_CANARY 0
#endif

#endif // PHI_BASE_CANARY_H
