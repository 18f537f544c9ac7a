// SPDX-License-Identifier: Apache-2.0
//
// app/main.c - the program `posthouse`: finds the command, checks its arguments against its table,
// explains it, or runs it.
//
// Design notes
// - One table of commands and one of options for each; what --help says is what is accepted.
// - Options for every command may stand before or after its name.

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <posthouse/version.h>

#include "app/command.h"
#include "app/suggest.h"
#include "app/term.h"
#include "base/assert.h"

static const command *const commands[] = {
    &command_serve,   &command_ls,        &command_watch,  &command_call,    &command_send,
    &command_publish, &command_subscribe, &command_gather, &command_reply,   &command_drain,
    &command_status,  &command_ping,      &command_bench,  &command_cert,    &command_check_config,
    &command_may,     &command_token,     &command_doc,    &command_version,
};

static const option options_common[] = {
    { .name = "output",
      .letter = 'o',
      .kind = OPTION_CHOICE,
      .argument = "FORM",
      .choices = "table|json",
      .fallback = "table",
      .help = "for people or for programs" },
    { .name = "quiet",
      .letter = 'q',
      .kind = OPTION_FLAG,
      .help = "only errors on standard error" },
    { .name = "verbose", .letter = 'v', .kind = OPTION_FLAG, .help = "more on standard error" },
    { .name = "help", .letter = 'h', .kind = OPTION_FLAG, .help = "explain, by example" },
};

static const option options_client[] = {
    { .name = "center",
      .letter = 'c',
      .kind = OPTION_TEXT,
      .argument = "ADDRESS",
      .fallback = "127.0.0.1:7678",
      .env = "POSTHOUSE_CENTER",
      .help = "HOST[:PORT], tls:HOST[:PORT] or unix:PATH; several with commas are tried in turn" },
    { .name = "timeout",
      .letter = 't',
      .kind = OPTION_TIME,
      .argument = "TIME",
      .fallback = "5s",
      .min = 1,
      .max = 3600000,
      .help = "give up connecting, and each call, after so long" },
    { .name = "account",
      .letter = 'a',
      .kind = OPTION_TEXT,
      .argument = "NAME",
      .env = "POSTHOUSE_ACCOUNT",
      .help = "join under this name; else the center makes one" },
    { .name = "suite-floor",
      .kind = OPTION_CHOICE,
      .argument = "SUITE",
      .choices = "plain|check|paper",
      .fallback = "plain",
      .help = "refuse a center that guards the bytes less (TLS guards them best)" },
    { .name = "tls-ca",
      .kind = OPTION_TEXT,
      .argument = "FILE",
      .shown = "the system's",
      .env = "POSTHOUSE_TLS_CA",
      .help = "believe centers whose certificate one of these CAs has signed" },
    { .name = "tls-cert",
      .kind = OPTION_TEXT,
      .argument = "FILE",
      .env = "POSTHOUSE_TLS_CERT",
      .help = "prove who you are with this certificate" },
    { .name = "tls-key",
      .kind = OPTION_TEXT,
      .argument = "FILE",
      .env = "POSTHOUSE_TLS_KEY",
      .help = "and its key, which nobody else can read" },
    { .name = "tls-name",
      .kind = OPTION_TEXT,
      .argument = "NAME",
      .shown = "the host dialled",
      .help = "what the center's certificate must name" },
    { .name = "token-file",
      .kind = OPTION_TEXT,
      .argument = "FILE",
      .env = "POSTHOUSE_TOKEN_FILE",
      .help = "prove who you are with the token in it; read again when that ends. POSTHOUSE_TOKEN "
              "holds a token itself" },
};

// Only before a command.
static const option options_program[] = {
    { .name = "version", .letter = 'V', .kind = OPTION_FLAG, .help = "same as the command" },
};

static const command *find_command(const char *name);
static exit_status run(args *a, const command *c, int argc, char **argv);
static exit_status finish_parse(args *a, const command *c, phi_diag *diag);
static exit_status check_words(const args *a, const command *c);
static exit_status unknown_command(const char *name);
static void program_help(draft *t);
static void command_help(draft *t, const command *c);
static void print_lines(draft *t, const char *title, const char *lines);
static exit_status usage(const char *command_name, const char *text);

int main(int argc, char **argv)
{
    // A reader that went away is seen as EPIPE by whoever writes (term_print, the sockets).
    signal(SIGPIPE, SIG_IGN);

    args a;
    args_init(&a);
    args_accept(&a, options_common, PHI_COUNT_OF(options_common));
    args_accept(&a, options_client, PHI_COUNT_OF(options_client));
    args_accept(&a, options_program, PHI_COUNT_OF(options_program));

    phi_diag diag = { { 0 } };
    int used = 0;
    if (args_parse(&a, argc - 1, argv + 1, /* stops_at_word= */ true, &used, &diag) != PH_OK) {
        return (int)usage("", diag.text);
    }
    int at = 1 + used;
    draft out;
    draft_init(&out);
    exit_status status = STATUS_OK;
    if (args_flag(&a, "version")) {
        status = run(&a, &command_version, 0, NULL);
    } else if (at == argc && args_flag(&a, "help")) {
        program_help(&out);
        term_print(&out);
    } else if (at == argc) {
        program_help(&out);
        term_print(&out);
        status = STATUS_USAGE;
    } else if (strcmp(argv[at], "help") == 0 && at + 1 == argc) {
        program_help(&out);
        term_print(&out);
    } else {
        bool is_asking = strcmp(argv[at], "help") == 0;
        const char *name = argv[at + (is_asking ? 1 : 0)];
        const command *c = find_command(name);
        if (is_asking && *name == '-') {
            status = usage("", "help takes the name of a command: posthouse help call");
        } else if (c == NULL) {
            status = unknown_command(name);
        } else if (is_asking) {
            command_help(&out, c);
            term_print(&out);
        } else {
            status = run(&a, c, argc - at - 1, argv + at + 1);
        }
    }
    draft_fini(&out);
    return term_finish((int)status);
}

exit_status command_usage(const command *c, const char *format, ...)
{
    char line[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(line, sizeof line, format, list);
    va_end(list);
    return usage(c->name, line);
}

static const command *find_command(const char *name)
{
    for (size_t i = 0; i < PHI_COUNT_OF(commands); i++) {
        if (strcmp(commands[i]->name, name) == 0) {
            return commands[i];
        }
    }
    return NULL;
}

// `argv` is what stands behind the command's name.
static exit_status run(args *a, const command *c, int argc, char **argv)
{
    args_accept(a, c->options, c->option_count);
    if (c->more != NULL) {
        size_t count;
        const option *more = c->more(&count);
        args_accept(a, more, count);
    }
    phi_diag diag = { { 0 } };
    int used = 0;
    ph_err rc = args_parse(a, argc, argv, /* stops_at_word= */ false, &used, &diag);
    if (args_flag(a, "help")) { // also when the rest is wrong: that is when it is needed
        draft out;
        draft_init(&out);
        command_help(&out, c);
        term_print(&out);
        draft_fini(&out);
        return STATUS_OK;
    }
    if (rc != PH_OK) {
        return usage(c->name, diag.text);
    }
    exit_status status = finish_parse(a, c, &diag);
    if (status != STATUS_OK) {
        return status;
    }
    term_set_level(args_flag(a, "quiet") ? 0 : args_flag(a, "verbose") ? 2 : 1);
    return c->run(a);
}

static exit_status finish_parse(args *a, const command *c, phi_diag *diag)
{
    for (size_t i = 0; c->is_local && i < PHI_COUNT_OF(options_client); i++) {
        const option *o = &options_client[i];
        if (args_option(a, o->name) == o && args_flag(a, o->name)) {
            return command_usage(c, "--%s means nothing here: this command talks to no center",
                                 o->name);
        }
    }
    if (args_complete(a, diag) != PH_OK) {
        return usage(c->name, diag->text);
    }
    return check_words(a, c);
}

static exit_status check_words(const args *a, const command *c)
{
    if (a->word_count < c->words_min) {
        return command_usage(c, "arguments are missing; expected: %s", c->words);
    }
    if (a->word_count > c->words_max && c->words_max == 0) {
        return command_usage(c, "unexpected argument '%s'", a->words[0]);
    }
    if (a->word_count > c->words_max) {
        return command_usage(c, "unexpected argument '%s' after %s", a->words[c->words_max],
                             c->words);
    }
    return STATUS_OK;
}

static exit_status unknown_command(const char *name)
{
    suggestion s = suggestion_for(name);
    for (size_t i = 0; i < PHI_COUNT_OF(commands); i++) {
        suggestion_try(&s, commands[i]->name);
    }
    char line[512];
    if (s.best != NULL) {
        snprintf(line, sizeof line, "unknown command '%.80s'; did you mean '%s'?", name, s.best);
        return usage("", line);
    }
    int used = snprintf(line, sizeof line, "unknown command '%.80s'; there are:", name);
    for (size_t i = 0; i < PHI_COUNT_OF(commands) && (size_t)used < sizeof line; i++) {
        used += snprintf(line + used, sizeof line - (size_t)used, " %s", commands[i]->name);
    }
    return usage("", line);
}

static exit_status usage(const char *command_name, const char *line)
{
    bool is_program = *command_name == '\0';
    term_error("%s%s%s", command_name, is_program ? "" : ": ", line);
    term_hint("posthouse %s%s--help explains it by example", command_name, is_program ? "" : " ");
    return STATUS_USAGE;
}

static void program_help(draft *t)
{
    term_style style = term_style_of(1);
    draft_add(
        t, "posthouse connects services through a message center: who is there, events, calls.\n");
    print_lines(t, "First steps, each in a terminal of its own",
                "posthouse serve                         a center on 127.0.0.1:7678\n"
                "posthouse reply --account echo --echo   a service that answers\n"
                "posthouse call echo greet 'hello'       call it\n"
                "posthouse watch                         see who comes and goes, as it happens\n");
    draft_format(t, "\n%sCommands%s\n", style.bold, style.reset);
    for (size_t i = 0; i < PHI_COUNT_OF(commands); i++) {
        draft_format(t, "  %-14s%s\n", commands[i]->name, commands[i]->summary);
    }
    draft_add(t, "\n  posthouse COMMAND --help explains one, by example.\n");
    draft_format(t, "\n%sOptions of every command%s\n", style.bold, style.reset);
    options_help(t, options_common, PHI_COUNT_OF(options_common));
    draft_format(t, "\n%sOptions of those that talk to a center%s\n", style.bold, style.reset);
    options_help(t, options_client, PHI_COUNT_OF(options_client));
    print_lines(t, "From another machine, to a center that listens on tls:",
                "posthouse ls --center tls:center.example --tls-ca ca.crt --token-file token\n"
                "posthouse ls --center tls:center.example --tls-ca ca.crt \\\n"
                "             --tls-cert orders.crt --tls-key orders.key\n");
    print_lines(t, "Exit status",
                "0 ok   1 failed   2 wrong usage or configuration   3 cannot connect\n"
                "4 refused   5 out of time   6 nobody of that name\n");
    draft_add(t, "\nResults go to standard output, messages to standard error.\n"
                 "NO_COLOR turns colours off.\n");
}

static void command_help(draft *t, const command *c)
{
    term_style style = term_style_of(1);
    draft_format(t, "posthouse %s - %s\n", c->name, c->summary);
    draft_format(t, "\n%sUsage%s\n  posthouse %s%s%s [OPTIONS]\n", style.bold, style.reset, c->name,
                 *c->words == '\0' ? "" : " ", c->words);
    print_lines(t, "Examples", c->example);
    draft_format(t, "\n%s", c->about);
    if (c->option_count != 0) {
        draft_format(t, "\n%sOptions%s\n", style.bold, style.reset);
        options_help(t, c->options, c->option_count);
    }
    if (c->more != NULL) {
        size_t count;
        const option *more = c->more(&count);
        draft_format(t, "\n%s%s%s\n", style.bold, c->more_title, style.reset);
        options_help(t, more, count);
    }
    if (!c->is_local) {
        draft_format(t, "\n%sCenter%s\n", style.bold, style.reset);
        options_help(t, options_client, PHI_COUNT_OF(options_client));
    }
    draft_format(t, "\n%sCommon%s\n", style.bold, style.reset);
    options_help(t, options_common, PHI_COUNT_OF(options_common));
}

static void print_lines(draft *t, const char *title, const char *lines)
{
    term_style style = term_style_of(1);
    draft_format(t, "\n%s%s%s\n", style.bold, title, style.reset);
    while (*lines != '\0') {
        size_t size = strcspn(lines, "\n");
        draft_add(t, "  ");
        draft_bytes(t, phi_bytes_of(lines, size));
        draft_add(t, "\n");
        lines += size + (lines[size] == '\n' ? 1 : 0);
    }
}
