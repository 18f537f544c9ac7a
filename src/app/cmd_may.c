// SPDX-License-Identifier: Apache-2.0
//
// app/cmd_may.c - posthouse may: whether the rules of a configuration allow something, and which
// one says so. It asks what a center asks (auth/rules.h), without a center.

#include "app/command.h"

#include <string.h>

#include "app/config.h"
#include "app/may_hints.h"
#include "app/suggest.h"
#include "app/term.h"
#include "auth/principal.h"
#include "base/assert.h"
#include "text/json.h"
#include "wire/name.h"
#include "wire/topic.h"

// What settles it.
typedef enum ground {
    GROUND_RULE,     // verdict.rule
    GROUND_NO_RULE,  // none mentions it
    GROUND_OWN,      // it is the principal's own, and nobody needs a rule for that
    GROUND_NO_RULES, // the configuration has none
} ground;

typedef struct may {
    config config;
    may_question q;
    char principal[PHI_NAME_BYTES_MAX + 1];
    const char *method; // "" for none
    bool is_local;
    ground ground;
    phi_verdict verdict; // `rule` and `entry` mean something for GROUND_RULE only
    may_hints hints;
} may;

// As in "orders may ...".
static const char *const verbs[PHI_ACTION_COUNT] = {
    [PHI_MAY_CALL] = "call",
    [PHI_MAY_SEND] = "send to",
    [PHI_MAY_PUBLISH] = "publish",
    [PHI_MAY_SUBSCRIBE] = "subscribe to",
    [PHI_MAY_SEE] = "see",
    [PHI_MAY_REGISTER] = "register as",
    [PHI_MAY_DRAIN] = "drain",
    [PHI_MAY_STATUS] = "ask the status of",
    [PHI_MAY_CENTER] = "be the center of",
};

static exit_status run(const args *a);
static bool load(may *m, const args *a);
static bool read_words(may *m, const args *a);
static bool read_principal(may *m, const char *word);
static bool read_target(may *m, const char *word, const char *service);
static bool read_receiver(may *m, const char *word, const char *service);
static bool read_name(const char *what, const char *word);
static void judge(may *m);
static bool is_own(const may_question *q);
static void add_sentence(const may *m, draft *t);
static void add_entry(const may *m, draft *t);
static void print_text(may *m, draft *t);
static void print_json(may *m, draft *t);
static void add_what(const may *m, draft *t);

static const option options[] = {
    { .name = "config",
      .kind = OPTION_TEXT,
      .argument = "FILE",
      .env = "POSTHOUSE_CONFIG",
      .help = "where the rules are" },
    { .name = "service",
      .letter = 's',
      .kind = OPTION_TEXT,
      .argument = "NAME",
      .help = "TARGET is an account, and an instance of this service" },
    { .name = "local",
      .kind = OPTION_FLAG,
      .help = "ACCOUNT connects from the center's machine; matters without rules only" },
};

const command command_may = {
    .name = "may",
    .words = "ACCOUNT ACTION TARGET [METHOD]",
    .summary = "say whether the rules allow something, and which one says so",
    .example =
        "posthouse may orders call service:stock get --config posthouse.yaml\n"
        "posthouse may orders send printer-2 --service printers   an account, known by both\n"
        "posthouse may orders publish orders.eu.created\n"
        "posthouse may audit subscribe 'orders.>'        all that it fits, or nothing\n"
        "posthouse may alice see bank                    presence\n"
        "posthouse may stock-eu register service:stock   join as an instance of it\n"
        "posthouse may alice drain service:stock\n"
        "posthouse may alice status home                 that of the center of that domain\n"
        "posthouse may center-us center us               be the center of that domain\n",
    .about = "ACCOUNT is who asks: the name in its certificate or token, or else its account. A\n"
             "service without an account is judged as if any of its instances got it; --service\n"
             "tells an account's service, because a rule about either may settle it. Ends with 0\n"
             "when it is allowed, with 4 when it is refused.\n",
    .options = options,
    .option_count = PHI_COUNT_OF(options),
    .words_min = 3,
    .words_max = 4,
    .run = run,
    .is_local = true,
};

static exit_status run(const args *a)
{
    static may m;
    m = (may){ .is_local = args_flag(a, "local"), .method = a->word_count > 3 ? a->words[3] : "" };
    if (!read_words(&m, a) || !load(&m, a)) {
        return STATUS_USAGE;
    }
    judge(&m);
    draft out;
    draft_init(&out);
    if (choice_index("json", args_text(a, "output")) == 0) {
        print_json(&m, &out);
    } else {
        print_text(&m, &out);
    }
    term_print(&out);
    draft_fini(&out);
    may_hints_fini(&m.hints);
    config_fini(&m.config);
    return m.verdict.is_allowed ? STATUS_OK : STATUS_REFUSED;
}

// Of the file only the rules matter here, and mistakes elsewhere in it are told all the same: a
// center would not start with it.
static bool load(may *m, const args *a)
{
    config_init(&m->config);
    config_errors errors = { 0 };
    const char *path = args_text(a, "config");
    if (path != NULL && config_load_file(&m->config, path, &errors) != PH_OK) {
        config_print_errors(&m->config, &errors);
        config_fini(&m->config);
        return false;
    }
    return true;
}

// ---- the question

static bool read_words(may *m, const args *a)
{
    phi_action action;
    if (!phi_action_of_name(phi_bytes_text(a->words[1]), &action)) {
        suggestion s = suggestion_for(a->words[1]);
        for (phi_action one = 0; one < PHI_ACTION_COUNT; one++) {
            suggestion_try(&s, phi_action_name(one));
        }
        command_usage(&command_may, "no action '%s'%s%s%s; there are: " PHI_ACTION_NAMES,
                      a->words[1], s.best == NULL ? "" : " (did you mean '",
                      s.best == NULL ? "" : s.best, s.best == NULL ? "" : "'?)");
        return false;
    }
    m->q.action = action;
    if (*m->method != '\0' && action != PHI_MAY_CALL && action != PHI_MAY_SEND) {
        command_usage(&command_may, "'%s' has no methods: what is '%s'?", a->words[1], m->method);
        return false;
    }
    m->q.target.method = phi_bytes_text(m->method);
    return read_principal(m, a->words[0]) && read_target(m, a->words[2], args_text(a, "service"));
}

// An account that was made up says whose it is.
static bool read_principal(may *m, const char *word)
{
    if (!read_name("an account", word)) {
        return false;
    }
    phi_bytes who = phi_principal_of_account(phi_bytes_text(word));
    snprintf(m->principal, sizeof m->principal, "%.*s", (int)who.size, (const char *)who.data);
    if (strcmp(m->principal, word) != 0) {
        term_note("%s is a made-up account of %s, which is who the rules know", word, m->principal);
    }
    m->q.principal = m->principal;
    m->q.account = word;
    return true;
}

static bool read_target(may *m, const char *word, const char *service)
{
    phi_topic topic;
    phi_target *t = &m->q.target;
    if (service != NULL &&
        (phi_action_about(m->q.action) != PHI_ABOUT_RECEIVERS || m->q.action == PHI_MAY_REGISTER)) {
        command_usage(&command_may, "--service means nothing for '%s'",
                      phi_action_name(m->q.action));
        return false;
    }
    switch (m->q.action) {
    case PHI_MAY_PUBLISH:
    case PHI_MAY_SUBSCRIBE:
        t->topic = phi_bytes_text(strncmp(word, "topic:", 6) == 0 ? word + 6 : word);
        if (m->q.action == PHI_MAY_PUBLISH ? !phi_topic_parse(t->topic, &topic)
                                           : !phi_pattern_parse(t->topic, &topic)) {
            command_usage(&command_may, "'%s' is no %s", word,
                          m->q.action == PHI_MAY_PUBLISH ? "topic such as orders.eu.created"
                                                         : "pattern such as orders.*.created");
            return false;
        }
        return true;
    case PHI_MAY_STATUS:
    case PHI_MAY_CENTER:
        t->domain = phi_bytes_text(word);
        return read_name("a domain", word);
    case PHI_MAY_CALL:
    case PHI_MAY_SEND:
    case PHI_MAY_SEE:
    case PHI_MAY_REGISTER:
    case PHI_MAY_DRAIN:
        return read_receiver(m, word, service);
    case PHI_ACTION_COUNT:
        break;
    }
    PH_UNREACHABLE("no such action");
}

// An account, or service:NAME; all:NAME is the same question about each of them.
static bool read_receiver(may *m, const char *word, const char *service)
{
    phi_address address = phi_address_parse(phi_bytes_text(word));
    phi_target *t = &m->q.target;
    if (service != NULL && !read_name("a service", service)) {
        return false;
    }
    t->service = phi_bytes_text(service);
    switch (address.form) {
    case PHI_ADDRESS_SERVICE:
    case PHI_ADDRESS_INSTANCES:
        if (service != NULL) {
            command_usage(&command_may, "'%s' is a service already, and --service another", word);
            return false;
        }
        t->service = address.name;
        return true;
    case PHI_ADDRESS_ACCOUNT:
        if (address.domain.size != 0) {
            command_usage(&command_may, "'%s': rules are about this domain: leave out '@...'",
                          word);
            return false;
        }
        t->account = address.name;
        return true;
    case PHI_ADDRESS_EVERYONE:
        command_usage(&command_may, "everyone is judged one by one: ask about one");
        return false;
    case PHI_ADDRESS_TOPIC:
        command_usage(&command_may,
                      "topics are published and subscribed to: 'posthouse may %s "
                      "publish TOPIC'",
                      m->q.principal);
        return false;
    case PHI_ADDRESS_NONE:
    case PHI_ADDRESS_CENTER:
    case PHI_ADDRESS_UNKNOWN:
    case PHI_ADDRESS_MALFORMED:
        break;
    }
    command_usage(&command_may, "'%s' is neither an account nor service:NAME", word);
    return false;
}

static bool read_name(const char *what, const char *word)
{
    if (!phi_name_is_valid(phi_bytes_text(word))) {
        command_usage(&command_may,
                      "'%s' is no name of %s: 1 to 64 of a-z 0-9 . _ -, beginning with a letter or "
                      "digit",
                      word, what);
        return false;
    }
    return true;
}

// ---- the answer

static void judge(may *m)
{
    const phi_rules *rules = m->config.rules;
    if (rules == NULL) {
        m->ground = GROUND_NO_RULES;
        m->verdict = (phi_verdict){ .is_allowed = m->is_local, .rule = PHI_RULE_NONE };
        return;
    }
    phi_role role = phi_rules_role(rules, phi_bytes_text(m->q.principal));
    m->verdict = phi_rules_judge(rules, &role, m->q.action, &m->q.target);
    m->ground = m->verdict.rule == PHI_RULE_NONE ? GROUND_NO_RULE : GROUND_RULE;
    if (!m->verdict.is_allowed && is_own(&m->q)) {
        m->ground = GROUND_OWN;
        m->verdict.is_allowed = true;
    }
    if (m->ground == GROUND_NO_RULE) {
        may_hints_find(&m->hints, rules, m->config.file, &m->q);
    }
}

// Its name, what is made up from it, and the service that is called so are a principal's own. An
// account sees itself, and not what else was made up for the same principal.
static bool is_own(const may_question *q)
{
    phi_bytes who = phi_bytes_text(q->principal);
    switch (q->action) {
    case PHI_MAY_REGISTER:
        return q->target.account.size != 0 ? phi_principal_owns(who, q->target.account)
                                           : phi_bytes_equal(who, q->target.service);
    case PHI_MAY_SEE:
        return phi_bytes_equal(phi_bytes_text(q->account), q->target.account);
    case PHI_MAY_CALL:
    case PHI_MAY_SEND:
    case PHI_MAY_PUBLISH:
    case PHI_MAY_SUBSCRIBE:
    case PHI_MAY_DRAIN:
    case PHI_MAY_STATUS:
    case PHI_MAY_CENTER:
    case PHI_ACTION_COUNT:
        break;
    }
    return false;
}

static void print_text(may *m, draft *t)
{
    term_style style = term_style_of(1);
    draft_format(t, "%s%s%s: ", m->verdict.is_allowed ? style.green : style.red,
                 m->verdict.is_allowed ? "allowed" : "refused", style.reset);
    add_sentence(m, t);
    draft_add(t, "\n");
    for (size_t i = 0; i < m->hints.count; i++) {
        draft_add(t, "  ");
        draft_bytes(t, draft_view(&m->hints.texts[i]));
        draft_add(t, "\n");
    }
}

static void add_sentence(const may *m, draft *t)
{
    switch (m->ground) {
    case GROUND_NO_RULES:
        if (m->config.file[0] == '\0') {
            draft_add(t, "without a configuration (--config FILE) there are no rules");
        } else {
            draft_format(t, "%s has no rules", m->config.file);
        }
        draft_add(t, m->is_local
                         ? "; so whoever connects from this machine may do everything"
                         : "; so whoever connects from another machine may do nothing, and from "
                           "this one (--local) everything");
        return;
    case GROUND_OWN:
        draft_add(t, "no rule is needed: ");
        add_what(m, t);
        draft_add(t, " is its own");
        return;
    case GROUND_NO_RULE:
        draft_format(t, "no rule says that %s may %s ", m->q.principal, verbs[m->q.action]);
        add_what(m, t);
        return;
    case GROUND_RULE:
        draft_add(t, "rule '");
        draft_bytes(t, phi_rules_name(m->config.rules, m->verdict.rule));
        draft_format(t, "' (%s:%u) says that %s %s %s ", m->config.file,
                     phi_rules_entry_get(m->config.rules, m->verdict.rule, m->verdict.is_allowed,
                                         m->q.action, m->verdict.entry)
                         .line,
                     m->q.principal, m->verdict.is_allowed ? "may" : "may not", verbs[m->q.action]);
        add_entry(m, t);
        return;
    }
    PH_UNREACHABLE("no such ground");
}

static void add_entry(const may *m, draft *t)
{
    draft_printable(t, phi_rules_entry_get(m->config.rules, m->verdict.rule, m->verdict.is_allowed,
                                           m->q.action, m->verdict.entry)
                           .text);
}

// The target and method as they were asked.
static void add_what(const may *m, draft *t)
{
    const phi_target *target = &m->q.target;
    if (target->account.size != 0) {
        draft_bytes(t, target->account);
        if (target->service.size != 0) {
            draft_add(t, " of ");
        }
    }
    if (target->service.size != 0) {
        draft_add(t, "service:");
        draft_bytes(t, target->service);
    }
    draft_printable(t, target->topic);
    draft_bytes(t, target->domain);
    if (target->method.size != 0) {
        draft_add(t, " ");
        draft_printable(t, target->method);
    }
}

static void print_json(may *m, draft *t)
{
    phi_json j;
    draft text;
    draft_init(&text);
    phi_json_init_buf(&j, &t->buf);
    phi_json_object_begin(&j);
    phi_json_key(&j, "allowed");
    phi_json_bool(&j, m->verdict.is_allowed);
    phi_json_key(&j, "why");
    add_sentence(m, &text);
    phi_json_string(&j, draft_view(&text));
    if (m->ground == GROUND_RULE) {
        phi_rule_entry e = phi_rules_entry_get(
            m->config.rules, m->verdict.rule, m->verdict.is_allowed, m->q.action, m->verdict.entry);
        phi_json_key(&j, "rule");
        phi_json_string(&j, phi_rules_name(m->config.rules, m->verdict.rule));
        phi_json_key(&j, "entry");
        phi_json_string(&j, e.text);
        phi_json_key(&j, "file");
        phi_json_text(&j, m->config.file);
        phi_json_key(&j, "line");
        phi_json_u64(&j, e.line);
    }
    phi_json_key(&j, "principal");
    phi_json_text(&j, m->q.principal);
    phi_json_key(&j, "action");
    phi_json_text(&j, phi_action_name(m->q.action));
    phi_json_key(&j, "target");
    draft_clear(&text);
    add_what(m, &text);
    phi_json_string(&j, draft_view(&text));
    phi_json_key(&j, "hints");
    phi_json_array_begin(&j);
    for (size_t i = 0; i < m->hints.count; i++) {
        phi_json_string(&j, draft_view(&m->hints.texts[i]));
    }
    phi_json_array_end(&j);
    phi_json_object_end(&j);
    draft_json_end(t, &j);
    draft_fini(&text);
}
