// SPDX-License-Identifier: Apache-2.0
//
// tests/io/uv_contract.h - the driver of io_contract.h for libuv, on real sockets.

#ifndef TESTS_IO_UV_CONTRACT_H
#define TESTS_IO_UV_CONTRACT_H

#include "tests/io/io_contract.h"

extern const io_driver uv_contract_driver;

#endif // TESTS_IO_UV_CONTRACT_H
