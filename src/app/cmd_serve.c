// SPDX-License-Identifier: Apache-2.0
//
// app/cmd_serve.c - posthouse serve: a message center of one domain.
//
// Design notes
// - Everything that can be refused is refused before the first client is admitted: configuration,
//   addresses, the file that says where it listens.
// - SIGTERM and SIGINT say bye to everybody and end with 0; a second one ends at once. SIGHUP reads
//   the configuration again: it takes effect as a whole, or not at all. SIGUSR2 logs the counters.
// - The first of the workers (crew.h) listens and takes the signals, in the main thread.

#include "app/command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <posthouse/version.h>

#include "app/app_log.h"
#include "app/config.h"
#include "app/crew.h"
#include "app/keeper.h"
#include "app/security.h"
#include "app/term.h"
#include "base/assert.h"
#include "center/center.h"
#include "io/uv.h"

#define DESCRIPTORS_SPARE 64     // listeners, log, the loop's own
#define DESCRIPTORS_PER_WORKER 8 // the loops' of the others

typedef struct server {
    const args *args;
    config config;
    log_sink sink; // for what the program says; the workers have their own
    keeper *keeper;
    crew *crew;
    char bound[CONFIG_LISTEN_MAX][LISTENER_TEXT_MAX];
    size_t bound_count;
    rlim_t descriptors; // fewer than connections_max needs; 0: enough
    bool is_stopping;
} server;

static exit_status run(const args *a);
static void hold_signals(void);
static exit_status start(server *s);
static exit_status listen_all(server *s);
static exit_status fail(const phi_diag *diag, ph_err err);
static void raise_descriptors(server *s);
static void say_descriptors(server *s);
static bool tell_ready(server *s);
static bool write_addresses(server *s, int fd);
static void say_ready(server *s);
static void on_stop(void *arg, int signum);
static void on_reload(void *arg, int signum);
static void reread(void *arg);
static void on_taken(void *arg);
static void on_count(void *arg, int signum);
static void on_counted(void *arg, const center_counters *now, uint64_t lines_lost);
static void compare(server *s, const config *fresh);
static void apply_log(server *s);
static void log_event(server *s, app_event event, const phi_log_field *fields, size_t count);

static const option options[] = {
    { .name = "config",
      .kind = OPTION_TEXT,
      .argument = "FILE",
      .env = "POSTHOUSE_CONFIG",
      .help = "YAML; see posthouse doc sample" },
    { .name = "port-file",
      .kind = OPTION_TEXT,
      .argument = "FILE",
      .help = "write where it listens, one address a line, once clients can connect" },
    { .name = "ready-fd",
      .kind = OPTION_COUNT,
      .argument = "N",
      .max = 65535,
      .help = "the same to this descriptor, which is then closed" },
};

const command command_serve = {
    .name = "serve",
    .words = "",
    .summary = "run a message center",
    .example = "posthouse serve                                  on 127.0.0.1:7678\n"
               "posthouse serve --listen unix:/run/posthouse.sock --domain home\n"
               "posthouse serve --config posthouse.yaml --log-level debug\n"
               "posthouse cert dev                               with TLS: says what to type next\n"
               "kill -HUP PID                                    read the file again\n",
    .about = "Precedence: flag, environment (POSTHOUSE_SUITE for --suite), file, default.\n"
             "Signals: TERM and INT say bye to every client and end, HUP reads the configuration\n"
             "again (all or nothing), USR2 logs the counters. Logs go to standard error.\n",
    .options = options,
    .option_count = PHI_COUNT_OF(options),
    .more = config_options,
    .more_title = "Configuration (the same keys as in the file, with _ for -)",
    .run = run,
    .is_local = true,
};

static exit_status run(const args *a)
{
    static server s; // large, and there is one
    s = (server){ .args = a };
    config_errors errors;
    if (config_load(&s.config, a, &errors) != PH_OK) {
        config_print_errors(&s.config, &errors);
        return STATUS_USAGE;
    }
    log_sink_init(&s.sink, STDERR_FILENO, false, PHI_LOG_INFO);
    apply_log(&s);
    raise_descriptors(&s);
    if (keeper_new(&s.keeper, &s.config, &errors) != PH_OK) {
        config_print_errors(&s.config, &errors);
        return STATUS_USAGE;
    }
    exit_status status = start(&s);
    if (status == STATUS_OK) {
        crew_run(s.crew);
        hold_signals();
    }
    keeper_stop(s.keeper);
    crew_free(&s.crew);
    keeper_free(&s.keeper); // behind those who use what it has
    config_fini(&s.config);
    return status;
}

// Its loop, which takes them, is about to go: one that comes then would end the program, and make
// an orderly stop look like a failure.
static void hold_signals(void)
{
    phi_uv_signal_hold(SIGHUP);
    phi_uv_signal_hold(SIGUSR2);
}

static exit_status start(server *s)
{
    phi_diag diag = { { 0 } };
    center_options options_center = config_center(&s->config);
    uint32_t workers = (uint32_t)s->config.values[CONFIG_workers].number;
    ph_err rc = crew_new(&s->crew, workers, &options_center, &s->sink, &diag);
    if (rc != PH_OK) {
        return fail(&diag, rc);
    }
    const keeper_events kept = { .reread = reread, .taken = on_taken, .arg = s };
    rc = keeper_start(s->keeper, s->crew, &s->sink, &kept, &diag);
    if (rc != PH_OK) {
        return fail(&diag, rc);
    }
    crew_busy_poll(s->crew, phi_us(s->config.values[CONFIG_busy_poll].number));
    exit_status status = listen_all(s);
    if (status != STATUS_OK) {
        return status;
    }
    say_descriptors(s); // behind what may end it: an address in use is the news then
    static const struct {
        int signum;
        void (*fire)(void *arg, int signum);
    } signals[] = {
        { SIGTERM, on_stop }, { SIGINT, on_stop }, { SIGHUP, on_reload }, { SIGUSR2, on_count }
    };
    for (size_t i = 0; i < PHI_COUNT_OF(signals); i++) {
        rc = phi_uv_signal(crew_uv(s->crew), signals[i].signum, signals[i].fire, s);
        if (rc != PH_OK) {
            term_error("cannot watch for signal %d", signals[i].signum);
            return STATUS_FAILED;
        }
    }
    rc = crew_start(s->crew, &diag);
    if (rc != PH_OK) {
        return fail(&diag, rc);
    }
    if (!tell_ready(s)) {
        return STATUS_FAILED;
    }
    say_ready(s);
    return STATUS_OK;
}

static exit_status listen_all(server *s)
{
    for (size_t i = 0; i < s->config.listen_count; i++) {
        listener l;
        phi_diag diag = { { 0 } };
        char bound[PHI_ADDRESS_TEXT_MAX];
        ph_err rc = listener_parse(s->config.listen[i], &l, &diag);
        PH_ASSERT(rc == PH_OK); // or it would not stand there
        rc = center_listen(crew_center(s->crew),
                           &(center_listen_options){ .address = l.address, .kind = l.kind }, bound,
                           &diag);
        if (rc != PH_OK) {
            exit_status status = fail(&diag, rc);
            if (rc == PH_EADDRINUSE) {
                term_hint("--listen takes another address, or port 0 for any free one");
            }
            return status;
        }
        listener_format(l.kind, bound, s->bound[s->bound_count++]);
    }
    return STATUS_OK;
}

static exit_status fail(const phi_diag *diag, ph_err err)
{
    term_error("%s", *diag->text == '\0' ? ph_err_text(err) : diag->text);
    return STATUS_FAILED;
}

// Every connection is a descriptor: the soft limit is raised to what connections_max needs.
static void raise_descriptors(server *s)
{
    rlim_t workers = s->config.values[CONFIG_workers].number;
    rlim_t wanted = s->config.values[CONFIG_connections_max].number + DESCRIPTORS_SPARE +
                    (workers - 1) * DESCRIPTORS_PER_WORKER;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) {
        return;
    }
    rlim_t hard = limit.rlim_max;
    limit.rlim_cur = wanted;
    limit.rlim_max = hard < wanted ? wanted : hard;
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0) {
        return; // also where the hard limit could be raised: as root
    }
    limit.rlim_cur = hard < wanted ? hard : wanted;
    limit.rlim_max = hard;
    int raised = setrlimit(RLIMIT_NOFILE, &limit);
    if (raised != 0 || limit.rlim_cur < wanted) {
        s->descriptors = limit.rlim_cur;
    }
}

// A warning is for who asked for more than the system gives; the default is nobody's wish.
static void say_descriptors(server *s)
{
    if (s->descriptors == 0) {
        return;
    }
    const config_value *v = &s->config.values[CONFIG_connections_max];
    const phi_log_field fields[] = {
        PHI_LOG_NUMBER("descriptors", s->descriptors),
        PHI_LOG_NUMBER("connections_max", v->number),
    };
    bool is_wish = v->origin != CONFIG_FROM_DEFAULT;
    log_event(s, is_wish ? APP_EVENT_DESCRIPTORS_FEW : APP_EVENT_DESCRIPTORS_BOUND, fields,
              PHI_COUNT_OF(fields));
}

// ---- saying where it listens

static bool tell_ready(server *s)
{
    const char *path = args_text(s->args, "port-file");
    if (path != NULL) {
        // Whoever waits for the file must not find half of it: it appears under its name at once.
        // A pipe or device is written as it is.
        struct stat kind;
        bool is_file = stat(path, &kind) != 0 || S_ISREG(kind.st_mode);
        char fresh[1100];
        snprintf(fresh, sizeof fresh, "%.1024s%s", path, is_file ? ".new" : "");
        int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        bool is_written = fd >= 0 && write_addresses(s, fd);
        is_written = (fd < 0 || close(fd) == 0) && is_written;
        if (!is_written || (is_file && rename(fresh, path) != 0)) {
            term_error("cannot write %s: %s", path, strerror(errno));
            return false;
        }
    }
    if (args_get(s->args, "ready-fd")->count != 0) {
        int fd = (int)args_number(s->args, "ready-fd");
        if (!write_addresses(s, fd)) {
            term_error("cannot write to descriptor %d: %s", fd, strerror(errno));
            return false;
        }
        if (fd > STDERR_FILENO) {
            close(fd);
        }
    }
    return true;
}

static bool write_addresses(server *s, int fd)
{
    draft t;
    draft_init(&t);
    for (size_t i = 0; i < s->bound_count; i++) {
        draft_format(&t, "%s\n", s->bound[i]);
    }
    phi_bytes bytes = draft_view(&t);
    bool is_written = write(fd, bytes.data, bytes.size) == (ssize_t)bytes.size;
    draft_fini(&t);
    return is_written;
}

static void say_ready(server *s)
{
    const phi_log_field fields[] = {
        PHI_LOG_TEXT("version", phi_bytes_text(PH_VERSION_TEXT)),
        PHI_LOG_NUMBER("protocol", PHI_PROTOCOL_VERSION),
        PHI_LOG_NUMBER("pid", (uint64_t)getpid()),
        PHI_LOG_NUMBER("workers", s->config.values[CONFIG_workers].number),
        PHI_LOG_TEXT("config", phi_bytes_text(s->config.file)), // the last: left out without one
    };
    size_t count = PHI_COUNT_OF(fields) - (s->config.file[0] == '\0' ? 1 : 0);
    log_event(s, APP_EVENT_STARTED, fields, count);
    if (s->sink.is_json || !term_is_terminal(STDERR_FILENO) || args_flag(s->args, "quiet")) {
        return;
    }
    bool is_usual = strcmp(s->bound[0], "127.0.0.1:7678") == 0;
    const char *option_name = is_usual ? "" : " --center ";
    const char *address = is_usual ? "" : s->bound[0];
    term_note("%s", "");
    term_note("  Try, in another terminal:");
    term_note("    posthouse reply%s%s --account echo --echo   a service that answers", option_name,
              address);
    term_note("    posthouse ls%s%s                            who is online", option_name,
              address);
    term_note("    posthouse call%s%s echo greet 'hello'       call it", option_name, address);
    term_note("  Ctrl-C stops the center.");
    term_note("%s", "");
}

// ---- signals, on the loop

static void on_stop(void *arg, int signum)
{
    server *s = arg;
    const phi_log_field fields[] = {
        PHI_LOG_TEXT("signal", phi_bytes_text(sigabbrev_np(signum))),
    };
    if (s->is_stopping) {
        log_event(s, APP_EVENT_STOP_FORCED, fields, PHI_COUNT_OF(fields));
        _exit(STATUS_FAILED);
    }
    s->is_stopping = true;
    log_event(s, APP_EVENT_STOP_ASKED, fields, PHI_COUNT_OF(fields));
    crew_stop(s->crew);
}

static void on_reload(void *arg, int signum)
{
    (void)signum;
    reread(arg);
}

static void reread(void *arg)
{
    server *s = arg;
    static config fresh;
    config_errors errors;
    keeper_before_read(s->keeper);
    if (config_load(&fresh, s->args, &errors) != PH_OK) {
        for (size_t i = 0; i < errors.count; i++) {
            const struct config_error *e = &errors.list[i];
            const phi_log_field fields[] = {
                PHI_LOG_TEXT("file", phi_bytes_text(fresh.file)),
                PHI_LOG_NUMBER("line", e->line),
                PHI_LOG_NUMBER("column", e->column),
                PHI_LOG_TEXT("error", phi_bytes_text(e->text)),
            };
            log_event(s, APP_EVENT_RELOAD_REFUSED, fields, PHI_COUNT_OF(fields));
        }
        config_fini(&fresh);
        keeper_count_refused(s->keeper);
        return;
    }
    compare(s, &fresh);
    keeper_reload(s->keeper, &fresh);
    config_fini(&fresh);
}

static void on_taken(void *arg)
{
    server *s = arg;
    apply_log(s);
    crew_set_log(s->crew, &s->sink);
    const char *file = s->config.file;
    const phi_log_field fields[] = { PHI_LOG_TEXT("file", phi_bytes_text(file)) };
    log_event(s, APP_EVENT_RELOADED, fields, *file == '\0' ? 0 : PHI_COUNT_OF(fields));
}

static void on_count(void *arg, int signum)
{
    (void)signum;
    server *s = arg;
    (void)crew_count(s->crew, on_counted, s); // one that is under way will do
}

static void on_counted(void *arg, const center_counters *now, uint64_t lines_lost)
{
    server *s = arg;
    const keeper_counters own = keeper_count(s->keeper);
    bool has_certificate = own.certificate_days_left != SECURITY_NO_CERTIFICATE;
    bool has_lists = own.revocations_days_left != SECURITY_NO_REVOCATIONS;
    PH_ASSERT(has_certificate || !has_lists);
    const phi_log_field fields[] = {
#define CENTER_METRIC(name, kind, help) PHI_LOG_NUMBER(#name, now->name),
#include "center/metrics.def"
#undef CENTER_METRIC
#define APP_METRIC(name, kind, help) PHI_LOG_NUMBER(#name, own.name),
#include "app/metrics.def"
#undef APP_METRIC
        PHI_LOG_NUMBER("log_lines_lost_total", s->sink.lines_lost + lines_lost),
        PHI_LOG_NUMBER("certificate_days_left", own.certificate_days_left), // the last but one
        PHI_LOG_NUMBER("revocations_days_left", own.revocations_days_left),
    };
    // Asked for, so it is written whatever the level, and with more fields than others have.
    log_sink_write(&s->sink, app_event_get(APP_EVENT_COUNTERS), fields,
                   PHI_COUNT_OF(fields) - (has_certificate ? 0 : 1) - (has_lists ? 0 : 1));
}

// Tells which changes have to wait for a restart. What runs keeps its old value.
static void compare(server *s, const config *fresh)
{
    draft was;
    draft is;
    draft_init(&was);
    draft_init(&is);
    for (config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
        const config_row *row = config_get_row(key);
        draft_clear(&was);
        draft_clear(&is);
        config_show(&s->config, key, &was);
        config_show(fresh, key, &is);
        if (row->can_reload || phi_bytes_equal(draft_view(&was), draft_view(&is))) {
            continue;
        }
        const phi_log_field fields[] = {
            PHI_LOG_TEXT("key", phi_bytes_text(row->path)),
            PHI_LOG_TEXT("running", draft_view(&was)),
            PHI_LOG_TEXT("file", draft_view(&is)),
        };
        log_event(s, APP_EVENT_RELOAD_RESTART, fields, PHI_COUNT_OF(fields));
    }
    draft_fini(&was);
    draft_fini(&is);
}

static void apply_log(server *s)
{
    enum { FORMAT_AUTO, FORMAT_TEXT, FORMAT_JSON }; // as in config.def
    uint64_t format = s->config.values[CONFIG_log_format].number;
    s->sink.is_json =
        format == FORMAT_JSON || (format == FORMAT_AUTO && !term_is_terminal(STDERR_FILENO));
    s->sink.log.level = config_log_level(&s->config);
    if (args_flag(s->args, "verbose") && !s->config.values[CONFIG_log_level].origin) {
        s->sink.log.level = PHI_LOG_DEBUG;
    }
}

static void log_event(server *s, app_event event, const phi_log_field *fields, size_t count)
{
    app_log(&s->sink, event, fields, count);
}
