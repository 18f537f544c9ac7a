// SPDX-License-Identifier: Apache-2.0
//
// link/link_end.c - how a link ends: bye said, bye heard, connection lost. P-60, P-70, P-71, P-81.
//
// However it ends, it ends here: one function fills `end` and closes. The text may come from the
// other side and goes into logs and onto terminals, so it is cleaned first; it is allocated only
// now, because an open link should not pay for it. Without memory the code's own text stands in.

#include "base/assert.h"
#include "base/utf8.h"
#include "link/link_internal.h"

// What the bye means for the owner, by whether this end said it or heard it. The header's table.
static const struct {
    ph_err said;
    ph_err heard;
} link_errors[PHI_BYE_COUNT] = {
    [PHI_BYE_NORMAL] = { PH_OK, PH_OK },
    [PHI_BYE_GOING_AWAY] = { PH_OK, PH_OK },
    [PHI_BYE_LENGTH_INVALID] = { PH_EPROTO, PH_EPROTO },
    [PHI_BYE_CHECK_WRONG] = { PH_ECHECK, PH_ECHECK },
    [PHI_BYE_COMMAND_UNKNOWN] = { PH_EPROTO, PH_EPROTO },
    [PHI_BYE_ILLEGAL_IN_STATE] = { PH_EPROTO, PH_EPROTO },
    [PHI_BYE_MALFORMED] = { PH_EPROTO, PH_EPROTO },
    [PHI_BYE_VERSION_UNSUPPORTED] = { PH_EPROTO, PH_EREFUSED },
    [PHI_BYE_SUITE_REFUSED] = { PH_ESUITE, PH_ESUITE },
    [PHI_BYE_JOIN_TIMEOUT] = { PH_ETIMEDOUT, PH_ETIMEDOUT },
    [PHI_BYE_HEARTBEAT_TIMEOUT] = { PH_ETIMEDOUT, PH_ETIMEDOUT },
    [PHI_BYE_ACCOUNT_TAKEN] = { PH_EREFUSED, PH_EREFUSED },
    [PHI_BYE_NAME_INVALID] = { PH_EREFUSED, PH_EREFUSED },
    [PHI_BYE_NOT_AUTHORISED] = { PH_EREFUSED, PH_EREFUSED },
    [PHI_BYE_FROM_MISMATCH] = { PH_EPROTO, PH_EPROTO },
    [PHI_BYE_SLOW_CONSUMER] = { PH_ETIMEDOUT, PH_EREFUSED },
    [PHI_BYE_LIMIT_REACHED] = { PH_EREFUSED, PH_EREFUSED },
    [PHI_BYE_KICKED] = { PH_EREFUSED, PH_EREFUSED },
    [PHI_BYE_INTERNAL] = { PH_ENOMEM, PH_EREFUSED },
    [PHI_BYE_TYPE_REFUSED] = { PH_EREFUSED, PH_EREFUSED },
    [PHI_BYE_CREDIT_EXCEEDED] = { PH_EPROTO, PH_EPROTO },
    [PHI_BYE_CREDENTIAL_EXPIRED] = { PH_EREFUSED, PH_EREFUSED },
    [PHI_BYE_TLS_REQUIRED] = { PH_EREFUSED, PH_EREFUSED },
};
PH_STATIC_ASSERT(PHI_BYE_TLS_REQUIRED + 1 == PHI_BYE_COUNT);

// ---- text

// C0, DEL and, in two bytes, C1: they would act on a terminal.
static bool text_is_control(phi_bytes character)
{
    const uint8_t *at = character.data;
    return at[0] < 0x20 || at[0] == 0x7f || (at[0] == 0xc2 && at[1] < 0xa0);
}

// Copies with '?' for every byte that does not belong to a printable character.
static void text_clean(char *out, phi_bytes text)
{
    for (size_t i = 0; i < text.size;) {
        phi_bytes rest = phi_bytes_of(text.data + i, text.size - i);
        size_t skip;
        size_t size = phi_utf8_char(rest, &skip);
        if (size != 0 && !text_is_control(rest)) {
            memcpy(out + i, rest.data, size);
        } else {
            size = size == 0 ? skip : size;
            memset(out + i, '?', size);
        }
        i += size;
    }
}

static phi_bytes link_keep_text(phi_link *link, phi_bytes text, const char *fallback)
{
    PH_ASSERT(!link->owns_end_text);
    text = phi_utf8_cut(text, PHI_BYE_TEXT_BYTES_MAX);
    char *copy = text.size == 0 ? NULL : phi_take(link->options->alloc, text.size);
    if (copy == NULL) {
        return phi_bytes_text(fallback);
    }
    text_clean(copy, text);
    link->owns_end_text = true;
    return phi_bytes_of(copy, text.size);
}

// ---- ending

static void link_end(phi_link *link, phi_link_end end)
{
    PH_ASSERT(!link->has_end);
    PH_ASSERT(end.code < PHI_BYE_COUNT);
    PH_ASSERT(end.text.size <= PHI_BYE_TEXT_BYTES_MAX);
    PH_ASSERT(end.retry_after_ms <= PHI_LINK_RETRY_AFTER_MS_MAX);
    link->end = end;
    link->has_end = true;
    phi_link_move(link, PHI_LINK_CLOSED);
}

// A client that is still greeting says nothing (P-33, P-70). No memory: it goes without.
static void link_say_bye(phi_link *link, phi_bye_code code, uint32_t retry_after_ms, phi_bytes text)
{
    if (phi_link_is(link, PHI_LINK_GREETING)) {
        return;
    }
    uint8_t *room = phi_outbound_begin(&link->out, PHI_BYE_BYTES_MAX);
    if (room == NULL) {
        return;
    }
    phi_writer w = phi_writer_of((phi_span){ room, PHI_BYE_BYTES_MAX });
    phi_bye_encode(&w, &(phi_bye){ (uint16_t)code, retry_after_ms, text });
    PH_ASSERT(!w.failed);
    phi_outbound_commit(&link->out, PHI_COMMAND_BYE, phi_writer_size(&w));
}

static void link_close(phi_link *link, ph_err err, phi_bye_code code, uint32_t retry_after_ms,
                       const char *text)
{
    PH_ASSERT(code < PHI_BYE_COUNT);
    if (retry_after_ms > PHI_LINK_RETRY_AFTER_MS_MAX) {
        retry_after_ms = PHI_LINK_RETRY_AFTER_MS_MAX; // nobody would wait for longer
    }
    const char *own = phi_bye_text((uint16_t)code);
    phi_bytes said = phi_bytes_text(text == NULL ? own : text);
    link_say_bye(link, code, retry_after_ms, said);
    link_end(link, (phi_link_end){
                       .err = err,
                       .code = code,
                       .retry_after_ms = retry_after_ms,
                       .text = text == NULL ? said : link_keep_text(link, said, own),
                   });
}

void phi_link_fail(phi_link *link, phi_bye_code code, const char *detail)
{
    link_close(link, link_errors[code].said, code, /* retry_after_ms= */ 0, detail);
}

void phi_link_fail_with(phi_link *link, ph_err err, phi_bye_code code, const char *detail)
{
    link_close(link, err, code, /* retry_after_ms= */ 0, detail);
}

void phi_link_bye(phi_link *link, phi_bye_code code, uint32_t retry_after_ms, const char *text)
{
    PH_ASSERT(code < PHI_BYE_COUNT);
    if (!phi_link_is(link, PHI_LINK_CLOSED)) {
        link_close(link, link_errors[code].said, code, retry_after_ms, text);
    }
}

size_t phi_link_tls_required(phi_span room)
{
    PH_ASSERT(room.size >= PHI_LINK_TLS_REQUIRED_BYTES_MAX);
    phi_writer w = phi_writer_of((phi_span){ room.data, PHI_LINK_TLS_REQUIRED_BYTES_MAX });
    phi_write_u32(&w, 0); // its length, when that is known
    phi_write_u16(&w, PHI_COMMAND_BYE);
    phi_bytes text = phi_bytes_text(phi_bye_text(PHI_BYE_TLS_REQUIRED));
    phi_bye_encode(&w, &(phi_bye){ .reason = PHI_BYE_TLS_REQUIRED, .text = text });
    PH_ASSERT(!w.failed);
    phi_put_u32(room.data, (uint32_t)phi_writer_size(&w));
    return phi_writer_size(&w);
}

void phi_link_lost(phi_link *link, ph_err reason, const char *why)
{
    if (phi_link_is(link, PHI_LINK_CLOSED)) {
        return;
    }
    link_end(link, (phi_link_end){
                       .err = reason,
                       .code = PHI_BYE_NORMAL,
                       .text = link_keep_text(link, phi_bytes_text(why), ph_err_text(reason)),
                   });
}

void phi_link_torn(phi_link *link)
{
    PH_ASSERT(phi_link_waiting(link) == 0);
    if (!phi_link_is(link, PHI_LINK_CLOSED)) {
        link_end(link, (phi_link_end){
                           .err = PH_ENOMEM,
                           .code = PHI_BYE_INTERNAL,
                           .text = phi_bytes_text("no memory for the rest of a packet"),
                       });
    }
}

void phi_link_on_bye(phi_link *link, const phi_packet *packet, phi_link_event *event, phi_time now)
{
    (void)event;
    (void)now;
    phi_bye bye;
    if (phi_bye_decode(packet->payload, &bye) != PH_OK) {
        phi_link_fail(link, PHI_BYE_MALFORMED, "malformed bye");
        return;
    }
    bool is_known = bye.reason < PHI_BYE_COUNT;
    phi_bye_code code = is_known ? (phi_bye_code)bye.reason : PHI_BYE_INTERNAL;
    bool is_long = bye.retry_after_ms > PHI_LINK_RETRY_AFTER_MS_MAX;
    link_end(link, (phi_link_end){
                       .err = link_errors[code].heard,
                       .code = code,
                       .by_peer = true,
                       .retry_after_ms = is_long ? PHI_LINK_RETRY_AFTER_MS_MAX : bye.retry_after_ms,
                       .text = link_keep_text(link, bye.text, phi_bye_text(bye.reason)),
                   });
}
