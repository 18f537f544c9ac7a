// SPDX-License-Identifier: Apache-2.0
//
// auth/principal.c - see principal.h.

#include "auth/principal.h"

#include <string.h>

#include "base/assert.h"

#define URI_HEAD "posthouse://"
#define HEAD_BYTES (sizeof URI_HEAD - 1)

static size_t made_up_bytes(phi_bytes name);
static bool is_hex(uint8_t byte);

const char *phi_proof_name(phi_proof proof)
{
    switch (proof) {
    case PHI_PROOF_NONE:
        return "none";
    case PHI_PROOF_USER:
        return "user";
    case PHI_PROOF_CERTIFICATE:
        return "certificate";
    case PHI_PROOF_TOKEN:
        return "token";
    }
    PH_UNREACHABLE("no such proof");
}

bool phi_principal_is_valid(phi_bytes name)
{
    return phi_name_is_valid(name) && name.size <= PHI_PRINCIPAL_BYTES_MAX &&
           made_up_bytes(name) == 0;
}

bool phi_principal_of_uri(phi_bytes uri, phi_bytes domain, phi_bytes *name)
{
    size_t head = HEAD_BYTES + domain.size + 1;
    if (uri.size <= head || memcmp(uri.data, URI_HEAD, HEAD_BYTES) != 0 ||
        memcmp(uri.data + HEAD_BYTES, domain.data, domain.size) != 0 || uri.data[head - 1] != '/') {
        return false;
    }
    phi_bytes rest = phi_bytes_of(uri.data + head, uri.size - head);
    if (!phi_principal_is_valid(rest)) {
        return false;
    }
    *name = rest;
    return true;
}

phi_bytes phi_principal_of_account(phi_bytes account)
{
    return phi_bytes_of(account.data, account.size - made_up_bytes(account));
}

phi_bytes phi_principal_of_service(phi_bytes service)
{
    if (service.size == 0) {
        return phi_bytes_text("client");
    }
    bool is_long = service.size > PHI_PRINCIPAL_BYTES_MAX;
    return phi_bytes_of(service.data, is_long ? PHI_PRINCIPAL_BYTES_MAX : service.size);
}

bool phi_principal_owns(phi_bytes principal, phi_bytes account)
{
    return phi_bytes_equal(principal, account) ||
           phi_bytes_equal(principal, phi_principal_of_account(account));
}

// How long the hyphen and the 4 or 8 digits are with which a made-up name ends; 0: it is not one.
// [P-35]
static size_t made_up_bytes(phi_bytes name)
{
    size_t digits = 0;
    while (digits < name.size && digits <= 8 && is_hex(name.data[name.size - 1 - digits])) {
        digits++;
    }
    bool is_made_up = (digits == 4 || digits == 8) && digits + 1 < name.size &&
                      name.data[name.size - 1 - digits] == '-';
    return is_made_up ? digits + 1 : 0;
}

static bool is_hex(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f');
}
