// SPDX-License-Identifier: Apache-2.0
//
// app/cmd_version.c - posthouse version.

#include "app/command.h"

#include <string.h>

#include <openssl/crypto.h>
#include <posthouse/version.h>
#include <uv.h>
#include <yaml.h>

#include "app/term.h"
#include "text/json.h"
#include "wire/codes.h"

static exit_status run(const args *a);

const command command_version = {
    .name = "version",
    .words = "",
    .summary = "print the versions of program, protocol and libraries",
    .example = "posthouse version\n"
               "posthouse version --output json\n",
    .about = "The libraries are those that run, not those it was built with.\n",
    .run = run,
    .is_local = true,
};

static exit_status run(const args *a)
{
    draft out;
    draft_init(&out);
    if (choice_index("json", args_text(a, "output")) == 0) {
        phi_json j;
        phi_json_init_buf(&j, &out.buf);
        phi_json_object_begin(&j);
        phi_json_key(&j, "posthouse");
        phi_json_text(&j, ph_version());
        phi_json_key(&j, "protocol");
        phi_json_u64(&j, PHI_PROTOCOL_VERSION);
        phi_json_key(&j, "libuv");
        phi_json_text(&j, uv_version_string());
        phi_json_key(&j, "openssl");
        phi_json_text(&j, OpenSSL_version(OPENSSL_VERSION_STRING));
        phi_json_key(&j, "libyaml");
        phi_json_text(&j, yaml_get_version_string());
        phi_json_object_end(&j);
        draft_json_end(&out, &j);
    } else {
        draft_format(&out,
                     "posthouse  %s\nprotocol   %d\nlibuv      %s\nopenssl    %s\nlibyaml    %s\n",
                     ph_version(), PHI_PROTOCOL_VERSION, uv_version_string(),
                     OpenSSL_version(OPENSSL_VERSION_STRING), yaml_get_version_string());
    }
    term_print(&out);
    draft_fini(&out);
    return STATUS_OK;
}
