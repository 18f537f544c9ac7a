// SPDX-License-Identifier: Apache-2.0
//
// io/tls_hello.c - see tls_hello.h. RFC 8446, 4 and 5.1.
//
// Design notes. Only the sizes are read, of records of the handshake and of hellos in them, however
// they are cut. There may be two: a center may ask for another one, and a client may put a record
// for old machines on the way (change_cipher_spec) before it. Everything else ends the look;
// whether it is right is OpenSSL's to say.

#include "io/tls_hello.h"

#define RECORD_CHANGE_CIPHER_SPEC 20
#define RECORD_HANDSHAKE 22
#define MESSAGE_CLIENT_HELLO 1

PH_STATIC_ASSERT(PHI_TLS_HELLO_BYTES_MAX <= UINT16_MAX);

static bool head_fill(uint8_t *head, size_t size, uint8_t *have, phi_bytes *from);
static bool watch_messages(phi_tls_hello *h, phi_bytes part);

bool phi_tls_hello_watch(phi_tls_hello *h, phi_bytes bytes)
{
    while (bytes.size != 0 && !h->is_done) {
        if (h->record_have < sizeof h->record) {
            if (head_fill(h->record, sizeof h->record, &h->record_have, &bytes)) {
                h->record_left = phi_get_u16(h->record + 3);
                h->is_done =
                    h->record[0] != RECORD_HANDSHAKE && h->record[0] != RECORD_CHANGE_CIPHER_SPEC;
            }
        } else {
            size_t size = bytes.size < h->record_left ? bytes.size : h->record_left;
            phi_bytes part = phi_bytes_of(bytes.data, size);
            if (h->record[0] == RECORD_HANDSHAKE && !watch_messages(h, part)) {
                return false;
            }
            bytes = phi_bytes_of(bytes.data + size, bytes.size - size);
            h->record_left = (uint16_t)(h->record_left - size);
        }
        if (h->record_have == sizeof h->record && h->record_left == 0) {
            h->record_have = 0;
        }
    }
    return true;
}

static bool watch_messages(phi_tls_hello *h, phi_bytes part)
{
    while (part.size != 0 && !h->is_done) {
        if (h->message_left != 0) {
            size_t size = part.size < h->message_left ? part.size : h->message_left;
            part = phi_bytes_of(part.data + size, part.size - size);
            h->message_left = (uint16_t)(h->message_left - size);
            continue;
        }
        if (!head_fill(h->message, sizeof h->message, &h->message_have, &part)) {
            continue;
        }
        h->message_have = 0;
        uint32_t size = (uint32_t)h->message[1] << 16 | phi_get_u16(h->message + 2);
        if (h->message[0] != MESSAGE_CLIENT_HELLO) {
            h->is_done = true;
        } else if (size > PHI_TLS_HELLO_BYTES_MAX) {
            return false;
        }
        h->message_left = h->is_done ? 0 : (uint16_t)size;
    }
    return true;
}

// Moves bytes into the head; says whether it is whole.
static bool head_fill(uint8_t *head, size_t size, uint8_t *have, phi_bytes *from)
{
    size_t lacks = size - *have;
    size_t count = from->size < lacks ? from->size : lacks;
    memcpy(head + *have, from->data, count);
    *have = (uint8_t)(*have + count);
    *from = phi_bytes_of(from->data + count, from->size - count);
    return *have == size;
}
