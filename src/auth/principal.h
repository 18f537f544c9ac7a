// SPDX-License-Identifier: Apache-2.0
//
// auth/principal.h - who somebody has proved to be, as one name, and which accounts
// are that name's.
//
// A *principal* is a name like an account's. A certificate names it in its SAN, a token in its
// subject, the configuration for a user of this machine; and who need not prove anything is who it
// says it is. Rules speak of principals (auth/rules.h), so that one rule fits all ways to prove it.
//
// Accounts  A principal `orders` is the account `orders`, and every one made up for it: `orders-`
//           and 4 or 8 hexadecimal digits. So a name of that form names no principal: otherwise two
//           could have one account. What else it may be, rules say.
//
// Threads  none; pure functions

#ifndef PHI_AUTH_PRINCIPAL_H
#define PHI_AUTH_PRINCIPAL_H

#include "base/bytes.h"
#include "base/compiler.h"
#include "wire/name.h"

#define PHI_MADE_UP_BYTES_MAX 9u // a hyphen and 8 digits
// Every account that is made up for a principal must fit into a name, with all of the principal's:
// otherwise two that differ in their last bytes only would have the same accounts.
#define PHI_PRINCIPAL_BYTES_MAX (PHI_NAME_BYTES_MAX - PHI_MADE_UP_BYTES_MAX)

typedef enum phi_proof {
    PHI_PROOF_NONE,        // it says so; good for peers of this machine at most
    PHI_PROOF_USER,        // the kernel says which user is at the other end of a Unix socket
    PHI_PROOF_CERTIFICATE, // a certificate from a CA that is trusted
    PHI_PROOF_TOKEN,       // a token that a trusted key has signed
} phi_proof;

// "none", "user", "certificate", "token".
const char *phi_proof_name(phi_proof proof);

// A name that can be a principal's: one of an account, of at most PHI_PRINCIPAL_BYTES_MAX, and not
// of the form that is made up.
bool phi_principal_is_valid(phi_bytes name);

// The name in a URI of a SAN, `posthouse://DOMAIN/NAME`, when the domain is `domain`. False, and
// *name is not written, for every other URI.
bool phi_principal_of_uri(phi_bytes uri, phi_bytes domain, phi_bytes *name);

// Whose own the account is: its name without what was made up; a view. Of who proves nothing, that
// is who it says it is.
phi_bytes phi_principal_of_account(phi_bytes account);

// Who an instance of the service is that proves nothing and asks for no account: the service's
// name, or as much of it as a principal's can be; "client" without a service.
phi_bytes phi_principal_of_service(phi_bytes service);

// Whether the account is the principal's own: its name, or one made up from it.
bool phi_principal_owns(phi_bytes principal, phi_bytes account);

#endif // PHI_AUTH_PRINCIPAL_H
