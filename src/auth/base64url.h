// SPDX-License-Identifier: Apache-2.0
//
// auth/base64url.h - base64url without padding (RFC 4648 5, RFC 7515 2), in its one canonical form:
// no '=', no white space, no line ends, no '+' and '/', and no bit set that says nothing. So two
// texts that differ are never the same bytes.
//
// Threads  none; pure functions

#ifndef PHI_AUTH_BASE64URL_H
#define PHI_AUTH_BASE64URL_H

#include "base/bytes.h"
#include "base/compiler.h"

// Characters for so many bytes, and bytes from so many characters (at most).
#define PHI_BASE64URL_CHARS(bytes) (((bytes)*4 + 2) / 3)
#define PHI_BASE64URL_BYTES(chars) ((chars) / 4 * 3 + (chars) % 4 * 3 / 4)

// Writes PHI_BASE64URL_BYTES(text.size) bytes to `out`, which has room for them (asserted), and
// *view is these. False, and *view is not written: `text` is not canonical.
PHI_MUST_CHECK bool phi_base64url_decode(phi_bytes text, phi_span out, phi_bytes *view);

// Writes PHI_BASE64URL_CHARS(bytes.size) characters to `out`, which has room for them (asserted).
phi_bytes phi_base64url_encode(phi_bytes bytes, phi_span out);

#endif // PHI_AUTH_BASE64URL_H
