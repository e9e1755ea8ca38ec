#include "mocks/salesforce/routes.h"
#include "mocks/salesforce/control.h"
#include "mocks/salesforce/soap.h"
#include "mocks/salesforce/scenario.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct tm_salesforce {
    struct tm_org *org;
    struct tm_oauth *oauth;
    struct tm_query *query;
    struct tm_bulk *bulk;
    struct tm_streaming *streaming;
    struct tm_bayeux *bayeux;
    struct tm_disturb *disturb;
    struct tm_rest rest;
    char *base_url, *names;
    enum tm_code (*advance)(void *data, int64_t ms, struct tm_now *now, struct tm_err *err);
    void *advance_data;
    struct tm_now (*instant)(void *data);
    void *instant_data;
    void (*wake)(void *data, uint64_t token);
    void *wake_data;
};

static void routes_wake(void *self, uint64_t token)
{
    struct tm_salesforce *s = self;
    if (s->wake != NULL)
        s->wake(s->wake_data, token);
}

/* The scheme and the Host the client used, so that what it is told is what it can reach. */
static void routes_base(const struct tm_salesforce *s, const struct tm_mock_request *r, char *out,
                        size_t out_bytes)
{
    const char *host = tm_mock_header(r, "Host");
    bool usable =
        host != NULL && *host != '\0' && strlen(host) < 200 &&
        strspn(host, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_:[]") ==
            strlen(host);
    const char *scheme = strncmp(s->base_url, "https:", 6) == 0 ? "https://" : "http://";
    snprintf(out, out_bytes, "%s%s", usable ? scheme : "", usable ? host : s->base_url);
}

/* ---- sign-in ---- */

static bool routes_under(const char *path, const char *folder)
{
    size_t bytes = strlen(folder);
    return strncmp(path, folder, bytes) == 0 && (path[bytes] == '\0' || path[bytes] == '/');
}

static void routes_oauth(struct tm_salesforce *s, const struct tm_mock_request *r,
                         struct tm_mock_response *out)
{
    const char *path = r->path;
    char base[256];
    struct tm_org_usage more = { .calls = 1, .bytes_in = (int64_t)r->body_bytes };
    routes_base(s, r, base, sizeof base);
    if (routes_under(path, "/services/oauth2/token"))
        tm_oauth_token(s->oauth, r, base, out);
    else if (routes_under(path, "/services/oauth2/revoke"))
        tm_oauth_revoke(s->oauth, r, out);
    else if (routes_under(path, "/services/oauth2/userinfo") || routes_under(path, "/id"))
        tm_oauth_identity(s->oauth, r, base, out);
    else
        tm_rest_error(out, 404, "NOT_FOUND", "The requested resource does not exist");
    more.bytes_out = (int64_t)out->body.bytes;
    tm_org_usage_add(s->org, tm_mock_user_agent(r), "login", &more, r->now.org_ms);
}

static void routes_soap(struct tm_salesforce *s, const struct tm_mock_request *r,
                        struct tm_mock_response *out)
{
    char base[256];
    routes_base(s, r, base, sizeof base);
    tm_soap_request(&s->rest, r, base, out);
}

static bool routes_follows(void *self, const char *channel)
{
    return tm_bayeux_follows(((struct tm_salesforce *)self)->bayeux, channel);
}

/* ---- the control API ---- */

static void routes_control_done(enum tm_code rc, json_t *answer, const struct tm_err *err,
                                struct tm_mock_response *out)
{
    char text[700];
    if (rc == TM_OK)
        tm_rest_json(out, 200, answer);
    else if (rc == TM_E_ARG)
        tm_rest_error(out, 400, "BAD_REQUEST", tm_err_text(err, text, sizeof text));
    else
        tm_rest_broken(out, rc, err);
}

static json_t *routes_parameters(const struct tm_mock_request *r)
{
    json_t *map = json_object();
    for (size_t i = 0; i < r->query.count; i++) {
        const char *value = r->query.items[i].value;
        char *end;
        long long n = strtoll(value, &end, 10);
        json_object_set_new(map, r->query.items[i].name,
                            *value != '\0' && *end == '\0' ? json_integer(n) : json_string(value));
    }
    return map;
}

static json_t *routes_clock(const struct tm_salesforce *s, const struct tm_now *at)
{
    const struct tm_org_settings *settings = tm_org_settings(s->org);
    char now[TM_TIME_BYTES], boot[64] = "";
    (void)tm_org_meta_get(s->org, "boot_id", boot, sizeof boot, NULL);
    return json_pack(
        "{s:I,s:I,s:s,s:I,s:I,s:I,s:I,s:s,s:s}", "wall_ns", (json_int_t)at->wall_ns, "org_ms",
        (json_int_t)at->org_ms, "org_time", tm_time_z(now, at->org_ms), "compress",
        (json_int_t)settings->compress, "publish_delay_ms", (json_int_t)settings->publish_delay_ms,
        "index_lag_ms", (json_int_t)settings->index_lag_ms, "pos_last",
        (json_int_t)tm_org_pos_last(s->org), "org_id", tm_org_id(s->org), "boot_id", boot);
}

static json_t *routes_usage(const struct tm_salesforce *s, const struct tm_mock_request *r)
{
    int64_t calls, events;
    tm_org_usage_day(s->org, r->now.org_ms, &calls, &events);
    return json_pack("{s:I,s:I,s:I,s:I,s:I}", "api_calls_day", (json_int_t)calls, "events_day",
                     (json_int_t)events, "tokens", (json_int_t)tm_oauth_tokens(s->oauth),
                     "streaming_clients", (json_int_t)tm_bayeux_clients(s->bayeux), "locators",
                     (json_int_t)tm_query_locators(s->query));
}

/* Commits made by the way, as expired records of the bin are, tell nobody. */
static enum tm_code routes_advance(struct tm_salesforce *s, const struct tm_mock_request *r,
                                   const json_t *body, json_t **out, struct tm_err *err)
{
    static const char *const known[] = { "advance" };
    struct tm_wake wake = { TM_NEVER, TM_NEVER };
    struct tm_mock_request then = *r; /* the same, at the new instant */
    int64_t ms = 0;
    enum tm_code rc = tm_control_known(s->org, body, known, 1, err);
    if (rc == TM_OK)
        rc = tm_duration_ms(&ms, json_object_get(body, "advance"), "clock: advance", err);
    if (rc == TM_OK && ms == 0)
        rc = tm_fail(err, TM_E_ARG, "clock: advance must be above zero");
    if (rc == TM_OK && s->advance == NULL)
        rc = tm_fail(err, TM_E_ARG,
                     "clock: it is shared with other processes of a run and cannot be moved");
    if (rc == TM_OK)
        rc = s->advance(s->advance_data, ms, &then.now, err);
    bool moved = rc == TM_OK;
    if (rc == TM_OK) {
        char detail[80];
        snprintf(detail, sizeof detail, "advanced by %lld ms", (long long)ms);
        rc = tm_org_fault_add(s->org,
                              &(struct tm_org_fault){ .what = "clock",
                                                      .org_ms = r->now.org_ms,
                                                      .wall_ns = r->now.wall_ns,
                                                      .until_ms = then.now.org_ms,
                                                      .request = "",
                                                      .client = "",
                                                      .detail = detail },
                              err);
    }
    if (rc == TM_OK)
        rc = tm_disturb_step(s->disturb, &then.now, &wake, err);
    if (rc == TM_OK)
        rc = tm_org_purge(s->org, &then.now, err);
    /* org.db is locked: the time has moved, asking again would move it twice; the log of faults
     * waits, the steps of the server do the rest */
    if (moved && rc == TM_E_AGAIN)
        rc = TM_OK;
    if (rc == TM_OK)
        *out = routes_clock(s, &then.now);
    return rc;
}

/* out_known: there is such a path; TM_E_AGAIN of one means that org.db is locked. */
static enum tm_code routes_post(struct tm_salesforce *s, const struct tm_mock_request *r,
                                const char *name, const json_t *body, json_t **out, bool *out_known,
                                struct tm_err *err)
{
    if (strcmp(name, "commit") == 0)
        return tm_disturb_commit(s->disturb, body, &r->now, out, err);
    if (strcmp(name, "schema") == 0)
        return tm_control_schema(s->org, body, &r->now, out, err);
    if (strcmp(name, "faults") == 0)
        return tm_disturb_rules_add(s->disturb, body, &r->now, out, err);
    if (strcmp(name, "clock") == 0)
        return routes_advance(s, r, body, out, err);
    if (s->streaming != NULL && strcmp(name, "channels") == 0)
        return tm_streaming_channels(s->streaming, body, out, err);
    if (s->streaming != NULL && strcmp(name, "events") == 0)
        return tm_streaming_publish(s->streaming, body, &r->now, out, err);
    *out_known = false;
    return TM_OK;
}

static enum tm_code routes_get(struct tm_salesforce *s, const struct tm_mock_request *r,
                               const char *name, json_t **out, bool *out_known, struct tm_err *err)
{
    json_t *parameters = routes_parameters(r);
    enum tm_code rc = TM_OK;
    const struct tm_now now = s->instant != NULL ? s->instant(s->instant_data) : r->now;
    if (strcmp(name, "history") == 0)
        rc = tm_control_history(s->org, parameters, out, err);
    else if (strcmp(name, "faults") == 0)
        rc = tm_disturb_rules_list(s->disturb, parameters, &r->now, out, err);
    else if (strcmp(name, "clock") == 0)
        *out = routes_clock(s, &now);
    else if (strcmp(name, "usage") == 0)
        *out = routes_usage(s, r);
    else if (s->streaming != NULL && strcmp(name, "channels") == 0)
        rc = tm_streaming_channels(s->streaming, NULL, out, err);
    else
        *out_known = false;
    json_decref(parameters);
    return rc;
}

/* A page of another site may have given its own name this machine's address, so that a browser
 * takes us for that site and tells no Origin: by what name we are called is all there is to see it
 * by. True of addresses, of names that nobody can register, and of those we were told. */
static bool routes_own_name(const struct tm_salesforce *s, const char *host)
{
    static const char *const ends[] = { ".localhost", ".local",   ".internal",
                                        ".test",      ".example", ".salesforce.com" };
    char name[256];
    unsigned char address[16];
    bool bracket = *host == '[';
    size_t bytes = strcspn(host + bracket, bracket ? "]" : ":");
    if (bytes == 0 || bytes >= sizeof name)
        return bytes == 0;
    snprintf(name, sizeof name, "%.*s", (int)bytes, host + bracket);
    if (strchr(name, '.') == NULL || inet_pton(AF_INET, name, address) == 1 ||
        (bracket && inet_pton(AF_INET6, name, address) == 1))
        return true;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (bytes > strlen(ends[i]) && strcasecmp(name + bytes - strlen(ends[i]), ends[i]) == 0)
            return true;
    for (const char *at = s->names; *at != '\0';) {
        size_t n = strcspn(at, ",");
        if (n == bytes && strncasecmp(at, name, n) == 0)
            return true;
        at += n + (at[n] == ',');
    }
    return false;
}

/* A page that a browser has open can send a simple POST to any address; the browser then names the
 * page's site. Programs send no Origin. */
static bool routes_foreign(const struct tm_mock_request *r)
{
    const char *origin = tm_mock_header(r, "Origin"), *host = tm_mock_header(r, "Host");
    const char *site = origin != NULL ? strstr(origin, "://") : NULL;
    return origin != NULL && (site == NULL || host == NULL || strcasecmp(site + 3, host) != 0);
}

static void routes_control(struct tm_salesforce *s, const struct tm_mock_request *r,
                           struct tm_mock_response *out)
{
    const char *name = r->path + strlen("/tidemark/v1/");
    struct tm_err err = { 0 };
    json_t *answer = NULL, *body = NULL, *parameters;
    bool known = true;
    enum tm_code rc = TM_OK;
    const char *host = tm_mock_header(r, "Host");
    if (host != NULL && !routes_own_name(s, host)) {
        tm_rest_error(out, 403, "FORBIDDEN",
                      "the Host header is no name this server goes by: the control API is reached "
                      "by address, as localhost, or by a name given with --tls-names");
        return;
    }
    if (routes_foreign(r)) {
        tm_rest_error(out, 403, "FORBIDDEN",
                      "the Origin header names another host than the Host header: pages of other "
                      "sites may not use the control API");
        return;
    }
    if (strcmp(r->method, "POST") == 0) {
        body = r->body != NULL ? json_loadb(r->body, r->body_bytes, 0, NULL) : NULL;
        rc = json_is_object(body)
                 ? routes_post(s, r, name, body, &answer, &known, &err)
                 : tm_fail(&err, TM_E_ARG, "%s: the body must be a JSON object", name);
    } else if (strcmp(r->method, "GET") == 0)
        rc = routes_get(s, r, name, &answer, &known, &err);
    else if (strcmp(r->method, "DELETE") == 0 && strcmp(name, "faults") == 0) {
        parameters = routes_parameters(r);
        rc = tm_disturb_rules_remove(s->disturb, parameters, &r->now, &answer, &err);
        json_decref(parameters);
    } else
        known = false;
    if (!known)
        rc = tm_fail(&err, TM_E_ARG,
                     "%s %s: there are POST commit, schema, clock, faults, channels, events, GET "
                     "history, clock, usage, faults, channels and DELETE faults",
                     r->method, r->path);
    routes_control_done(rc, answer, &err, out);
    json_decref(body);
}

/* ---- the handler ---- */

static void routes_welcome(const struct tm_salesforce *s, const struct tm_mock_request *r,
                           struct tm_mock_response *out)
{
    char base[256];
    routes_base(s, r, base, sizeof base);
    tm_mock_answer(out, 200, "text/plain;charset=UTF-8", "");
    tm_buf_addf(&out->body,
                "tidemark: a mock Salesforce org\n\nsign in  POST %s/services/oauth2/token\nREST   "
                "  %s/services/data\n"
                "events   POST %s/cometd/59.0\ncontrol  %s/tidemark/v1/clock\n",
                base, base, base, base);
}

static void routes_serve(struct tm_salesforce *s, const struct tm_mock_request *r,
                         struct tm_mock_response *out)
{
    int64_t before = tm_org_pos_last(s->org);
    uint64_t ended = tm_oauth_ended(s->oauth);
    if (routes_under(r->path, "/cometd"))
        tm_bayeux_request(s->bayeux, r, out);
    else if (routes_under(r->path, "/services/data"))
        tm_rest_request(&s->rest, r, out);
    else if (routes_under(r->path, "/services/async"))
        tm_bulk1_request(s->bulk, r, out);
    else if (routes_under(r->path, "/services/Soap"))
        routes_soap(s, r, out);
    else if (routes_under(r->path, "/services/oauth2") || routes_under(r->path, "/id"))
        routes_oauth(s, r, out);
    else if (strncmp(r->path, "/tidemark/v1/", 13) == 0)
        routes_control(s, r, out);
    else if (strcmp(r->path, "/") == 0)
        routes_welcome(s, r, out);
    else
        tm_rest_error(out, 404, "NOT_FOUND", "The requested resource does not exist");
    /* what a POST published has no place in history */
    if (tm_org_pos_last(s->org) != before || tm_oauth_ended(s->oauth) != ended ||
        (strcmp(r->method, "POST") == 0 && !routes_under(r->path, "/cometd")))
        tm_bayeux_news(s->bayeux);
}

static void routes_request(void *self, const struct tm_mock_request *r,
                           struct tm_mock_response *out)
{
    struct tm_salesforce *s = self;
    if (tm_disturb_request(s->disturb, r, false, out))
        return;
    routes_serve(s, r, out);
    tm_disturb_answer(s->disturb, r, out);
}

static void routes_resume(void *self, const struct tm_mock_request *r, uint64_t token,
                          struct tm_mock_response *out)
{
    struct tm_salesforce *s = self;
    if (token >= TM_DISTURB_TOKEN) {
        if (tm_disturb_request(s->disturb, r, true, out))
            return;
        routes_serve(s, r, out);
    } else if (token >= TM_QUERY_TOKEN && routes_under(r->path, "/services/Soap"))
        tm_soap_resume(&s->rest, r, token, out);
    else if (token >= TM_QUERY_TOKEN)
        tm_rest_resume(&s->rest, r, token, out);
    else
        tm_bayeux_resume(s->bayeux, r, token, out);
    tm_disturb_answer(s->disturb, r, out);
}

static void routes_finished(void *self, uint64_t token, bool sent)
{
    struct tm_salesforce *s = self;
    if (token >= TM_DISTURB_TOKEN)
        return; /* a slow request whose peer went away */
    if (token >= TM_BULK_TOKEN)
        tm_bulk_finished(s->bulk, token);
    else if (token >= TM_QUERY_TOKEN)
        tm_query_finished(s->query, token);
    else
        tm_bayeux_finished(s->bayeux, token, sent);
}

struct tm_mock_handler tm_salesforce_handler(struct tm_salesforce *s)
{
    return (struct tm_mock_handler){ s, routes_request, routes_resume, routes_finished };
}

void tm_salesforce_wired(struct tm_salesforce *s, void (*wake)(void *data, uint64_t token),
                         void *data)
{
    s->wake = wake;
    s->wake_data = data;
}

enum tm_code tm_salesforce_due(struct tm_salesforce *s, const struct tm_now *now,
                               struct tm_wake *wake, struct tm_err *err)
{
    uint64_t ended = tm_oauth_ended(s->oauth);
    enum tm_code rc = tm_disturb_step(s->disturb, now, wake, err);
    if (tm_oauth_ended(s->oauth) != ended)
        tm_bayeux_news(s->bayeux);
    return rc;
}
struct tm_disturb *tm_salesforce_disturb(struct tm_salesforce *s)
{
    return s->disturb;
}

void tm_salesforce_news(struct tm_salesforce *s)
{
    tm_bayeux_news(s->bayeux);
}

void tm_salesforce_step(struct tm_salesforce *s, const struct tm_now *now, struct tm_wake *wake)
{
    int64_t before = tm_org_pos_last(s->org);
    tm_bulk_step(s->bulk, now, wake);
    if (tm_org_pos_last(s->org) != before)
        tm_bayeux_news(s->bayeux);
}

struct tm_streaming *tm_salesforce_streaming(struct tm_salesforce *s)
{
    return s->streaming;
}
void tm_salesforce_restarted(struct tm_salesforce *s)
{
    tm_bayeux_restarted(s->bayeux);
}
struct tm_oauth *tm_salesforce_oauth(struct tm_salesforce *s)
{
    return s->oauth;
}

enum tm_code tm_salesforce_open(struct tm_salesforce **out, struct tm_org *org,
                                const struct tm_salesforce_settings *settings, struct tm_err *err)
{
    struct tm_oauth_settings oauth = settings->oauth;
    struct tm_bayeux_settings bayeux = settings->bayeux;
    struct tm_salesforce *s = calloc(1, sizeof *s);
    if (s == NULL)
        return tm_fail(err, TM_E_NOMEM, "the mock Salesforce");
    s->org = org;
    s->base_url = strdup(settings->base_url != NULL ? settings->base_url : "http://127.0.0.1");
    oauth.org_id = tm_org_id(org);
    oauth.user_id = tm_org_user_id(org);
    bayeux.wake = routes_wake;
    bayeux.wake_data = s;
    s->names = strdup(settings->names != NULL ? settings->names : "");
    enum tm_code rc = s->base_url != NULL && s->names != NULL
                          ? tm_oauth_open(&s->oauth, &oauth, err)
                          : tm_fail(err, TM_E_NOMEM, "a URL");
    if (rc == TM_OK)
        rc = tm_query_open(&s->query, org, s->oauth, err);
    if (rc == TM_OK)
        tm_query_page_max(s->query, settings->page_max);
    if (rc == TM_OK)
        rc = tm_bulk_open(&s->bulk, org, s->oauth, &settings->bulk, err);
    if (rc == TM_OK && tm_org_settings(org)->setup_objects)
        rc = tm_streaming_open(&s->streaming, org, err);
    bayeux.streaming = s->streaming;
    if (rc == TM_OK)
        rc = tm_bayeux_open(&s->bayeux, org, s->oauth, &bayeux, err);
    if (s->streaming != NULL) {
        s->streaming->follows = routes_follows;
        s->streaming->follows_self = s;
    }
    if (rc == TM_OK)
        rc = tm_disturb_open(
            &s->disturb,
            &(struct tm_disturb_ports){ org, s->oauth, s->bayeux,
                                        s->streaming != NULL ? s->streaming->stream : NULL },
            settings->faults, tm_org_settings(org)->origin_ms, tm_org_settings(org)->seed, err);
    s->advance = settings->advance;
    s->advance_data = settings->advance_data;
    s->instant = settings->instant;
    s->instant_data = settings->instant_data;
    s->rest = (struct tm_rest){
        .org = org, .oauth = s->oauth, .query = s->query, .bulk = s->bulk, .streaming = s->streaming
    };
    if (rc == TM_OK)
        *out = s;
    else
        tm_salesforce_close(s);
    return rc;
}

void tm_salesforce_close(struct tm_salesforce *s)
{
    if (s == NULL)
        return;
    tm_disturb_close(s->disturb);
    tm_bayeux_close(s->bayeux);
    tm_streaming_close(s->streaming);
    tm_query_close(s->query);
    tm_bulk_close(s->bulk);
    tm_oauth_close(s->oauth);
    tm_rest_forget(&s->rest);
    free(s->base_url);
    free(s->names);
    free(s);
}
