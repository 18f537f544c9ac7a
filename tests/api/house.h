// SPDX-License-Identifier: Apache-2.0
//
// tests/api/house.h - for tests: a center and its clients on one loop and real sockets, so that one
// thread sees everything.
//
// Life     house_init -> (guest_up, ... -> ph_client_free)* -> house_fini

#ifndef TESTS_API_HOUSE_H
#define TESTS_API_HOUSE_H

#include <posthouse/posthouse.h>

#include "center/center.h"

#define WAIT_MS 5000

typedef struct house {
    ph_loop *loop;
    center *center;
    char folder[32];
    char address[PHI_ADDRESS_TEXT_MAX];
    center_options options;
} house;

// What a client was told.
typedef struct guest {
    ph_client *client;
    unsigned ups;
    unsigned downs;
    unsigned closes;
    unsigned onlines;
    unsigned offlines;
    unsigned readies;
    unsigned events;
    unsigned requests;
    unsigned cancels;
    unsigned dones;
    ph_err status;
    uint16_t code;
    ph_reason reason;
    ph_request_id request;
    bool answers; // in the callback, with what came
    char seen[256];

    // dialogs
    bool asks;         // back, in the callback; the request is answered with the answer
    bool answers_asks; // in the callback, with what came
    bool goes_on;      // answers an inquiry with what the same request, once more, brings
    unsigned inquiries;
    unsigned ask_dones;
    unsigned depth_most; // of inquiries
    ph_err ask_status;
    uint16_t ask_code;
    ph_request_id inquiry;
} guest;

void house_init(house *h, phi_suite suite);
// Opens it again, after center_free: at the same address.
void house_open(house *h);
void house_fini(house *h);

// Makes a client that counts what it is told; guest_up connects it, too.
void guest_init_as(guest *g, house *h, const char *account, const char *service);
void guest_init(guest *g, house *h, const char *account);
void guest_up(guest *g, house *h, const char *account);

// Turns until *counter is at least `least`.
void wait_for(house *h, const unsigned *counter, unsigned least);

// The method `say` at that address.
ph_outgoing to(const char *address, const char *body);

// What a guest's client is told by; the arg of each is the guest.
void on_reply(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
              const ph_incoming *reply, void *arg);
void on_event(ph_client *client, const ph_incoming *event, void *arg);
void on_inquiry(ph_client *client, ph_call_id call, ph_request_id inquiry,
                const ph_incoming *incoming, void *arg);

#endif // TESTS_API_HOUSE_H
