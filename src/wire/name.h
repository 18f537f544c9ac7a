// SPDX-License-Identifier: Apache-2.0
//
// wire/name.h - accounts, services, domains, and the addresses made of them: docs/protocol.md P-38,
// P-52.

#ifndef PHI_WIRE_NAME_H
#define PHI_WIRE_NAME_H

#include "base/bytes.h"

#define PHI_NAME_BYTES_MAX 64u
#define PHI_ID_BYTES_MAX (2u * PHI_NAME_BYTES_MAX + 1u) // account@domain

bool phi_name_is_valid(phi_bytes name);

// account@domain, both valid names.
bool phi_id_is_valid(phi_bytes id);

typedef enum phi_address_form {
    PHI_ADDRESS_NONE,      // empty
    PHI_ADDRESS_ACCOUNT,   // account, or account@domain
    PHI_ADDRESS_SERVICE,   // service:NAME
    PHI_ADDRESS_INSTANCES, // all:NAME
    PHI_ADDRESS_EVERYONE,  // all:
    PHI_ADDRESS_TOPIC,     // topic:NAME, whatever the name: see topic.h
    PHI_ADDRESS_CENTER,    // @domain, or @
    PHI_ADDRESS_UNKNOWN,   // a scheme that this version has no use for
    PHI_ADDRESS_MALFORMED, // names in it break the rules
} phi_address_form;

typedef struct phi_address {
    phi_address_form form;
    phi_bytes name;   // of the account, service or topic; views into what was parsed
    phi_bytes domain; // empty when left out
} phi_address;

phi_address phi_address_parse(phi_bytes text);

// That address is service:NAME with this valid name.
static inline bool phi_address_is_service(phi_bytes address, phi_bytes name)
{
    static const char scheme[] = { 's', 'e', 'r', 'v', 'i', 'c', 'e', ':' };
    return address.size == sizeof scheme + name.size &&
           memcmp(address.data, scheme, sizeof scheme) == 0 &&
           phi_text_equal(phi_bytes_of(address.data + sizeof scheme, name.size), name);
}

// The same for topic:TOPIC.
static inline bool phi_address_is_topic(phi_bytes address, phi_bytes topic)
{
    static const char scheme[] = { 't', 'o', 'p', 'i', 'c', ':' };
    return address.size == sizeof scheme + topic.size &&
           memcmp(address.data, scheme, sizeof scheme) == 0 &&
           phi_text_equal(phi_bytes_of(address.data + sizeof scheme, topic.size), topic);
}

#endif // PHI_WIRE_NAME_H
