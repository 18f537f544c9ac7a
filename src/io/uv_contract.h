// SPDX-License-Identifier: Apache-2.0
//
// io/uv_contract.h - the driver of io_contract.h for libuv, on real sockets.

#ifndef PHI_IO_UV_CONTRACT_H
#define PHI_IO_UV_CONTRACT_H

#include "io/io_contract.h"

extern const io_driver uv_contract_driver;

#endif // PHI_IO_UV_CONTRACT_H
