// SPDX-License-Identifier: Apache-2.0
//
// tests/io/io_contract.h - what every implementation of io.h must do, as tests that run against
// any of them. A test program names its driver once:
//
//     static const io_driver driver = { .open = ..., };
//     IO_CONTRACT(&driver)
//
// and has one TEST for each line of IO_CONTRACT_CHECKS.

#ifndef TESTS_IO_IO_CONTRACT_H
#define TESTS_IO_IO_CONTRACT_H

#include "io/io.h"
#include "io/mailbox.h"

#define IO_CONTRACT_LOOPS_MAX 4u

// How to make an implementation, and how to let time pass in it.
typedef struct io_driver {
    void *arg;
    phi_io *(*open)(void *arg);
    // Instead of that: loops of one process, with a mailbox each.
    void (*open_loops)(void *arg, uint32_t count, size_t bytes_max, phi_io **ios,
                       phi_mailbox **mailboxes);
    // One turn, of any loop that has something to do; waits (or moves its clock) when there is
    // nothing to do, but not for ever.
    void (*turn)(void *arg);
    // Ends it; fails the test when memory was not given back.
    void (*close)(void *arg);
    // Breaks the connection of `s` hard: the other end sees a reset, this end may see anything.
    void (*cut)(void *arg, phi_stream *s);
    const char *address; // to listen on; the system picks the port
    // Credentials of the ends; NULL: the streams are plain.
    phi_tls *(*tls)(void *arg, bool is_listener);
} io_driver;

#define IO_CONTRACT_CHECKS(X)                                                                      \
    X(bytes_go_both_ways)                                                                          \
    X(connect_tells_nothing_from_inside)                                                           \
    X(connect_refused_is_told_once)                                                                \
    X(connect_closed_before_open_ends_in_ok)                                                       \
    X(connect_address_that_does_not_parse)                                                         \
    X(listen_twice_on_one_address)                                                                 \
    X(listener_closed_accepts_no_more)                                                             \
    X(write_short_then_writable)                                                                   \
    X(write_before_open_is_called_for_later)                                                       \
    X(write_to_broken_takes_nothing)                                                               \
    X(close_is_told_once_and_later)                                                                \
    X(close_inside_open)                                                                           \
    X(close_inside_bytes)                                                                          \
    X(close_other_inside_bytes)                                                                    \
    X(close_delivers_what_was_written)                                                             \
    X(attach_again_changes_the_owner)                                                              \
    X(pause_reads_nothing)                                                                         \
    X(peer_closes_in_order)                                                                        \
    X(peer_breaks)                                                                                 \
    X(hooks_run_at_the_end_of_the_turn)                                                            \
    X(late_hooks_run_behind_all_others)                                                            \
    X(asked_hooks_run_once)                                                                        \
    X(hooks_may_remove_hooks)                                                                      \
    X(hurry_keeps_the_turn_from_waiting)                                                           \
    X(timers_fire_in_order_and_not_early)                                                          \
    X(clock_goes_on)                                                                               \
    X(entropy_differs)                                                                             \
    X(mail_comes_whole_and_in_order)                                                               \
    X(mail_is_what_was_committed)                                                                  \
    X(mail_waits_for_its_reader)                                                                   \
    X(mail_is_thrown_away_for_nobody)                                                              \
    X(mail_of_any_size)                                                                            \
    X(mail_by_the_thousands)                                                                       \
    X(mail_handler_may_answer)                                                                     \
    X(mail_that_follows_from_mail_comes_later)                                                     \
    X(mail_has_one_order_for_all)                                                                  \
    X(mail_is_roomy_while_it_is_read)                                                              \
    X(released_stream_goes_on_elsewhere)                                                           \
    X(released_stream_that_broke)

// Where one speaks before a handshake could have been done, which TLS cannot do.
#define IO_CONTRACT_CHECKS_PLAIN(X)                                                                \
    X(accept_closed_without_owner)                                                                 \
    X(accept_owner_that_closes_at_once)                                                            \
    X(released_stream_keeps_what_came)                                                             \
    X(released_stream_comes_back)                                                                  \
    X(released_stream_that_nobody_takes)

// How a check listens, and dials what it listens on.
phi_listen_options io_driver_listens(const io_driver *driver);
phi_connect_options io_driver_dials(const io_driver *driver, const char *bound,
                                    char text[PHI_ADDRESS_TEXT_MAX]);

#define IO_CONTRACT_DECLARE(check) void io_contract_##check(const io_driver *driver);
IO_CONTRACT_CHECKS(IO_CONTRACT_DECLARE)
IO_CONTRACT_CHECKS_PLAIN(IO_CONTRACT_DECLARE)
#undef IO_CONTRACT_DECLARE

// One TEST for each check; to be used once per program, so the names need no more than `check`.
#define IO_CONTRACT(driver)                                                                        \
    IO_CONTRACT_TLS(driver)                                                                        \
    IO_CONTRACT_CHECKS_PLAIN(IO_CONTRACT_TEST)

// The same over TLS: the driver has credentials.
#define IO_CONTRACT_TLS(driver)                                                                    \
    static const io_driver *const io_contract_driver = (driver);                                   \
    IO_CONTRACT_CHECKS(IO_CONTRACT_TEST)

#define IO_CONTRACT_TEST(check)                                                                    \
    TEST(io_contract, check)                                                                       \
    {                                                                                              \
        io_contract_##check(io_contract_driver);                                                   \
    }

#endif // TESTS_IO_IO_CONTRACT_H
