// SPDX-License-Identifier: Apache-2.0
//
// app/tls_none.c - stands in for io/tls.h until that is there: refuses.

#include "base/compiler.h"
#include "io/tls.h"

__attribute__((weak)) ph_err phi_tls_new(phi_tls **out, const phi_tls_options *options,
                                         phi_diag *diag)
{
    (void)out;
    (void)options;
    return phi_diag_add(diag, PH_EINVAL, "this build has no TLS");
}

__attribute__((weak)) void phi_tls_free(phi_tls **tls)
{
    (void)tls;
}

__attribute__((weak)) uint64_t phi_tls_expires_s(const phi_tls *tls)
{
    (void)tls;
    return 0;
}
