#include "salesforce/session.h"
#include "base/json_kept.h"
#include "base/text.h"
#include "salesforce/sign_in.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SESSION_REQUEST_RETRY_NS (900 * TM_NS_PER_S)
#define SESSION_AUTH_RETRY_NS (30 * TM_NS_PER_S)
#define SESSION_BACKOFF_FIRST_NS (250 * TM_NS_PER_MS)
#define SESSION_BACKOFF_NS_MAX (30 * TM_NS_PER_S)
#define SESSION_AUTH_TIMEOUT_NS (30 * TM_NS_PER_S)
/* a query may run that long by Salesforce's limits */
#define SESSION_CALL_TIMEOUT_NS (120 * TM_NS_PER_S)
/* fresh tokens refused in a row before giving up */
#define SESSION_REFUSALS_MAX 3
/* asked for at the same time */
#define SESSION_DESCRIBES_MAX 16
#define SESSION_URL_BYTES_MAX (32u << 10)

enum session_state {
    SESSION_OUT,
    SESSION_SIGNING,
    SESSION_NO_VERSION,
    SESSION_ASKING_VERSION,
    SESSION_READY,
    SESSION_REFUSED
};
struct tm_sf_call {
    struct tm_sf_session *s; /* NULL once the session is gone */
    struct tm_sf_call *next;
    char *method, *path, *body;
    const char *header;
    struct tm_http_reply *raw; /* lent: takes a 2xx answer as it came */
    bool same_again;           /* the answer is mostly the one of before: a describe */
    struct tm_http_call *http; /* under way, or NULL */
    int64_t at_ns;             /* not before; 0 = at once */
    int64_t first_failed_ns, first_sent_ns;
    uint64_t token_number; /* which token it was sent with */
    unsigned attempts, failures, refusals;
    int status;
    char error[64];
};
struct session_describe {
    char object[128];
    struct tm_sf_call *call;
};
struct tm_sf_session {
    struct tm_http *http; /* borrowed */
    struct tm_sf_settings set;
    struct tm_secret_key *key; /* signs assertions; NULL = another grant */
    struct tm_rng rng;
    enum session_state state;
    char *url, *token, version[16];
    char org[TM_ID_BYTES];
    bool version_known;
    uint64_t token_number;     /* grows with every sign-in */
    struct tm_http_call *call; /* sign-in or version exchange under way */
    int64_t at_ns, first_failed_ns;
    unsigned failures;
    struct tm_err refused; /* wrong credentials: told again, not tried again */
    double budget;
    int64_t budget_ns; /* token bucket of the rate limit */
    bool usage_known;
    int64_t usage_used, usage_limit;
    struct tm_sf_call *calls;
    struct session_describe describes[SESSION_DESCRIBES_MAX];
};

/* ---- open, close, small answers ---- */

static bool session_unset(const char *text)
{
    return text == NULL || *text == '\0';
}

bool tm_sf_fits_line(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

enum tm_code tm_sf_session_open(struct tm_sf_session **out, struct tm_http *http,
                                const struct tm_sf_settings *settings, struct tm_err *err)
{
    enum tm_code rc = tm_sf_settings_check(settings, err);
    struct tm_secret_key *key = NULL;
    if (rc == TM_OK && settings->grant == TM_SF_JWT_BEARER)
        rc = tm_secret_key_load(&key, settings->keystore_path, settings->keystore_password, err);
    if (rc != TM_OK)
        return rc;
    struct tm_sf_session *s = calloc(1, sizeof *s);
    if (s == NULL) {
        tm_secret_key_free(key);
        return tm_fail(err, TM_E_NOMEM, "Salesforce session");
    }
    s->key = key;
    s->http = http;
    s->set = *settings;
    if (s->set.request_retry_ns_max <= 0)
        s->set.request_retry_ns_max = SESSION_REQUEST_RETRY_NS;
    if (s->set.auth_retry_ns_max <= 0)
        s->set.auth_retry_ns_max = SESSION_AUTH_RETRY_NS;
    const char *version = settings->api_version;
    if (version != NULL && strcmp(version, "latest") != 0) {
        snprintf(s->version, sizeof s->version, "%s%s", version,
                 strchr(version, '.') == NULL ? ".0" : "");
        s->version_known = true;
    }
    tm_rng_init(&s->rng, settings->seed);
    *out = s;
    return TM_OK;
}

static void session_wipe(char *text)
{
    if (text != NULL)
        tm_secret_wipe(text, strlen(text));
    free(text);
}

void tm_sf_session_close(struct tm_sf_session *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < SESSION_DESCRIBES_MAX; i++)
        tm_sf_call_close(s->describes[i].call);
    for (struct tm_sf_call *c = s->calls; c != NULL; c = c->next) {
        s->http->ops->cancel(s->http, c->http);
        c->http = NULL;
        c->s = NULL;
    }
    s->http->ops->cancel(s->http, s->call);
    free(s->url);
    session_wipe(s->token);
    tm_secret_key_free(s->key);
    free(s);
}

void tm_sf_session_expired(struct tm_sf_session *s)
{
    if (s->state != SESSION_READY)
        return;
    s->state = SESSION_OUT;
    s->at_ns = 0;
}

const char *tm_sf_session_url(const struct tm_sf_session *s)
{
    return s->state == SESSION_READY ? s->url : NULL;
}
const char *tm_sf_session_token(const struct tm_sf_session *s)
{
    return s->state == SESSION_READY ? s->token : NULL;
}
const char *tm_sf_session_version(const struct tm_sf_session *s)
{
    return s->version_known ? s->version : NULL;
}
const char *tm_sf_session_org(const struct tm_sf_session *s)
{
    return s->org;
}
struct tm_http *tm_sf_session_http(const struct tm_sf_session *s)
{
    return s->http;
}
const struct tm_sf_settings *tm_sf_session_settings(const struct tm_sf_session *s)
{
    return &s->set;
}

bool tm_sf_session_usage(const struct tm_sf_session *s, int64_t *out_used, int64_t *out_limit)
{
    *out_used = s->usage_used;
    *out_limit = s->usage_limit;
    return s->usage_known;
}

int64_t tm_sf_session_next_at(const struct tm_sf_session *s)
{
    bool signing = s->state != SESSION_READY && s->state != SESSION_REFUSED;
    int64_t at =
        s->call == NULL && (s->failures > 0 || s->calls != NULL) && signing ? s->at_ns : TM_NEVER;
    for (const struct tm_sf_call *c = s->calls; c != NULL; c = c->next)
        if (!signing && c->http == NULL && c->at_ns < at)
            at = c->at_ns;
    return at;
}

int64_t tm_sf_session_backoff_ns(struct tm_sf_session *s, unsigned failures)
{
    int64_t ns = SESSION_BACKOFF_FIRST_NS;
    for (unsigned i = 1; i < failures && ns < SESSION_BACKOFF_NS_MAX; i++)
        ns *= 2;
    if (ns > SESSION_BACKOFF_NS_MAX)
        ns = SESSION_BACKOFF_NS_MAX;
    return tm_rng_between(&s->rng, ns / 2, ns);
}

/* ---- what an error body says ---- */

/* errorCode and message of [{"message":…,"errorCode":…}] or {"error":…,"error_description":…}; ""
 * when neither. */
static void session_words(const struct tm_http_reply *reply, char *code, size_t code_bytes,
                          char *text, size_t text_bytes)
{
    json_t *json = json_loadb(tm_buf_text(&reply->body), reply->body.bytes, 0, NULL);
    const json_t *first = json_is_array(json) ? json_array_get(json, 0) : json;
    const char *word = json_string_value(json_object_get(first, "errorCode"));
    const char *said = json_string_value(json_object_get(first, "message"));
    if (word == NULL)
        word = json_string_value(json_object_get(first, "error"));
    if (said == NULL)
        said = json_string_value(json_object_get(first, "error_description"));
    snprintf(code, code_bytes, "%s", word != NULL ? word : "");
    if (json == NULL && reply->body.bytes > 0)
        snprintf(text, text_bytes, "not JSON: %.80s", tm_buf_text(&reply->body));
    else
        snprintf(text, text_bytes, "%s", said != NULL ? said : "");
    for (char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20)
            *p = ' ';
    json_decref(json);
}

static bool session_transient(int status)
{
    return status == 420 || status == 429 || status >= 500;
}

/* ---- signing in ---- */

static enum tm_code session_send_sign_in(struct tm_sf_session *s, const struct tm_now *now,
                                         struct tm_err *err)
{
    struct tm_buf url, body;
    tm_buf_init(&url, SESSION_URL_BYTES_MAX);
    tm_buf_init(&body, SESSION_URL_BYTES_MAX);
    size_t n = strlen(s->set.instance);
    while (n > 0 && s->set.instance[n - 1] == '/')
        n--;
    tm_buf_add(&url, s->set.instance, n);
    tm_buf_addz(&url, "/services/oauth2/token");
    enum tm_code rc = tm_sf_sign_in_form(&body, &s->set, s->key, now, err);
    if (rc == TM_OK)
        rc = tm_buf_check(&url, "salesforce.instance", err);
    struct tm_http_request request = {
        .method = "POST",
        .url = tm_buf_text(&url),
        .body = tm_buf_text(&body),
        .body_bytes = body.bytes,
        .headers = { "Content-Type: application/x-www-form-urlencoded",
                     "Accept: application/json" },
        .timeout_ns = SESSION_AUTH_TIMEOUT_NS,
    };
    if (rc == TM_OK)
        rc = s->http->ops->start(s->http, &s->call, &request, err);
    if (body.data != NULL)
        tm_secret_wipe(body.data, body.bytes);
    tm_buf_free(&url);
    tm_buf_free(&body);
    return rc;
}

static enum tm_code session_send_versions(struct tm_sf_session *s, struct tm_err *err)
{
    struct tm_buf url;
    tm_buf_init(&url, SESSION_URL_BYTES_MAX);
    tm_buf_addf(&url, "%s/services/data", s->url);
    enum tm_code rc = tm_buf_check(&url, "instance URL", err);
    struct tm_http_request request = { .method = "GET",
                                       .url = tm_buf_text(&url),
                                       .headers = { "Accept: application/json" },
                                       .timeout_ns = SESSION_AUTH_TIMEOUT_NS };
    if (rc == TM_OK)
        rc = s->http->ops->start(s->http, &s->call, &request, err);
    tm_buf_free(&url);
    return rc;
}

static enum tm_code session_refuse(struct tm_sf_session *s, const char *code, const char *text,
                                   int status, struct tm_err *err)
{
    tm_err_clear(&s->refused);
    if (status == 404)
        tm_fail(&s->refused, TM_E_ARG,
                "sign-in at %.120s: there is no /services/oauth2/token (HTTP 404); is "
                "salesforce.instance right?",
                s->set.instance);
    else
        tm_fail(&s->refused, TM_E_ARG,
                "sign-in at %.80s refused (HTTP %d): %s: %s; check salesforce.%s", s->set.instance,
                status, *code ? code : "no error code", text,
                s->set.grant == TM_SF_JWT_BEARER
                    ? "consumer.key, .username, and that the app has the keystore's certificate"
                    : "username, .password, .password.token, .consumer.key and .consumer.secret");
    s->state = SESSION_REFUSED;
    return tm_fail(err, TM_E_ARG, "%s", s->refused.msg);
}

/* Waits and tries again until the sign-in budget is used up; then the cause is told. */
static enum tm_code session_try_later(struct tm_sf_session *s, const struct tm_now *now,
                                      const char *cause, struct tm_err *err)
{
    if (s->failures++ == 0)
        s->first_failed_ns = now->wall_ns;
    int64_t delay_ns = tm_sf_session_backoff_ns(s, s->failures);
    s->state = s->state == SESSION_ASKING_VERSION ? SESSION_NO_VERSION : SESSION_OUT;
    s->at_ns = now->wall_ns + delay_ns;
    if (s->at_ns - s->first_failed_ns <= s->set.auth_retry_ns_max)
        return TM_E_AGAIN;
    unsigned failures = s->failures;
    s->failures = 0;
    s->at_ns =
        0; /* whoever asks again begins a new budget at once: no wake-up would be told for a wait */
    return tm_fail_retry(err, TM_E_IO, "sign-in at %.80s failed %u times in %lld ms: %s",
                         s->set.instance, failures,
                         (long long)((now->wall_ns - s->first_failed_ns) / TM_NS_PER_MS), cause);
}

/* The sign-in's "id" is a URL: …/id/<org>/<user>. */
static void session_take_org(struct tm_sf_session *s, const json_t *answer)
{
    const char *url = json_string_value(json_object_get(answer, "id"));
    const char *from = url != NULL ? strstr(url, "/id/") : NULL;
    char id[TM_ID_BYTES];
    if (from == NULL)
        return;
    from += strlen("/id/");
    size_t n = strcspn(from, "/");
    if (n >= sizeof id)
        return;
    memcpy(id, from, n);
    id[n] = '\0';
    (void)tm_id18(s->org, id, NULL);
}

static enum tm_code session_take_token(struct tm_sf_session *s, const struct tm_http_reply *reply,
                                       struct tm_err *err)
{
    json_t *json = json_loadb(tm_buf_text(&reply->body), reply->body.bytes, 0, NULL);
    const char *token = json_string_value(json_object_get(json, "access_token"));
    const char *url = json_string_value(json_object_get(json, "instance_url"));
    enum tm_code rc = TM_OK;
    if (session_unset(token) || session_unset(url) || strpbrk(token, "\r\n") != NULL ||
        !tm_sf_fits_line(url)) {
        rc = tm_fail(err, TM_E_PROTO,
                     "sign-in at %.80s: the answer has no usable access_token and instance_url",
                     s->set.instance);
        goto done;
    }
    free(s->url);
    session_wipe(s->token);
    s->url = strdup(url);
    s->token = strdup(token);
    if (s->url == NULL || s->token == NULL) {
        rc = tm_fail(err, TM_E_NOMEM, "sign-in");
        goto done;
    }
    size_t n = strlen(s->url);
    while (n > 0 && s->url[n - 1] == '/')
        s->url[--n] = '\0';
    session_take_org(s, json);
    s->token_number++;
    s->failures = 0;
    s->at_ns = 0;
    s->state = s->version_known ? SESSION_READY : SESSION_NO_VERSION;
done:
    json_decref(json);
    return rc;
}

static enum tm_code session_take_version(struct tm_sf_session *s, const struct tm_http_reply *reply,
                                         struct tm_err *err)
{
    json_t *json = tm_json_kept(tm_buf_text(&reply->body), reply->body.bytes, 0, NULL), *item;
    double best = 0;
    size_t i;
    json_array_foreach(json, i, item)
    {
        const char *version = json_string_value(json_object_get(item, "version"));
        double n = version != NULL ? strtod(version, NULL) : 0;
        if (version != NULL && n > best && strlen(version) < sizeof s->version &&
            version[strspn(version, "0123456789.")] == '\0') {
            best = n;
            snprintf(s->version, sizeof s->version, "%s", version);
        }
    }
    json_decref(json);
    if (best <= 0)
        return tm_fail(err, TM_E_PROTO,
                       "%.120s/services/data lists no API version; set salesforce.version", s->url);
    s->version_known = true;
    s->failures = 0;
    s->at_ns = 0;
    s->state = SESSION_READY;
    return TM_OK;
}

static enum tm_code session_answer(struct tm_sf_session *s, const struct tm_now *now,
                                   const struct tm_http_reply *reply, struct tm_err *err)
{
    char code[64], text[128], cause[224];
    if (reply->status >= 200 && reply->status < 300)
        return s->state == SESSION_SIGNING ? session_take_token(s, reply, err)
                                           : session_take_version(s, reply, err);
    session_words(reply, code, sizeof code, text, sizeof text);
    snprintf(cause, sizeof cause, "HTTP %d %s %s", reply->status, code, text);
    bool busy = session_transient(reply->status) || strstr(text, "rate exceeded") != NULL ||
                strstr(code, "unavailable") != NULL;
    if (busy)
        return session_try_later(s, now, cause, err);
    if (s->state == SESSION_SIGNING)
        return session_refuse(s, code, text, reply->status, err);
    return tm_fail(err, TM_E_PROTO, "%.120s/services/data: %s", s->url, cause);
}

static enum tm_code session_poll(struct tm_sf_session *s, const struct tm_now *now,
                                 struct tm_err *err)
{
    struct tm_http_reply reply;
    struct tm_err cause = { .code = TM_OK };
    char text[400];
    tm_http_reply_init(&reply);
    enum tm_code rc = s->http->ops->poll(s->http, s->call, &reply, &cause);
    if (rc == TM_E_AGAIN)
        goto done;
    s->call = NULL;
    if (rc == TM_OK)
        rc = session_answer(s, now, &reply, err);
    else if (cause.retriable)
        rc = session_try_later(s, now, tm_err_text(&cause, text, sizeof text), err);
    else
        rc = tm_fail(err, cause.code, "%s", cause.msg);
    /* A broken answer is not a state to stay in: the next call signs in anew. */
    if (rc != TM_OK && rc != TM_E_AGAIN && s->state != SESSION_REFUSED)
        s->state = SESSION_OUT;
done:
    tm_http_reply_free(&reply);
    return rc;
}

enum tm_code tm_sf_session_ready(struct tm_sf_session *s, const struct tm_now *now,
                                 struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    if (s->state == SESSION_READY)
        return TM_OK;
    if (s->state == SESSION_REFUSED)
        return tm_fail(err, TM_E_ARG, "%s", s->refused.msg);
    if (s->call != NULL) {
        rc = session_poll(s, now, err);
        if (rc != TM_OK || s->state == SESSION_READY)
            return rc;
    }
    if (now->wall_ns < s->at_ns)
        return TM_E_AGAIN;
    rc =
        s->state == SESSION_OUT ? session_send_sign_in(s, now, err) : session_send_versions(s, err);
    if (rc != TM_OK)
        return rc;
    s->state = s->state == SESSION_OUT ? SESSION_SIGNING : SESSION_ASKING_VERSION;
    return TM_E_AGAIN;
}

/* ---- one REST call ---- */

enum tm_code tm_sf_call_start(struct tm_sf_call **out, struct tm_sf_session *s, const char *method,
                              const char *path, const char *body, struct tm_err *err)
{
    assert(path[0] == '/');
    struct tm_sf_call *c = calloc(1, sizeof *c);
    if (c != NULL) {
        c->method = strdup(method);
        c->path = strdup(path);
        c->body = body != NULL ? strdup(body) : NULL;
    }
    if (c == NULL || c->method == NULL || c->path == NULL || (body != NULL && c->body == NULL)) {
        tm_sf_call_close(c);
        return tm_fail(err, TM_E_NOMEM, "Salesforce call");
    }
    c->s = s;
    c->next = s->calls;
    s->calls = c;
    *out = c;
    return TM_OK;
}

void tm_sf_call_close(struct tm_sf_call *c)
{
    if (c == NULL)
        return;
    if (c->s != NULL) {
        c->s->http->ops->cancel(c->s->http, c->http);
        for (struct tm_sf_call **p = &c->s->calls; *p != NULL; p = &(*p)->next)
            if (*p == c) {
                *p = c->next;
                break;
            }
    }
    free(c->method);
    free(c->path);
    free(c->body);
    free(c);
}

const char *tm_sf_call_error(const struct tm_sf_call *c)
{
    return c->error;
}
int tm_sf_call_status(const struct tm_sf_call *c)
{
    return c->status;
}
unsigned tm_sf_call_attempts(const struct tm_sf_call *c)
{
    return c->attempts;
}
int64_t tm_sf_call_first_sent_ns(const struct tm_sf_call *c)
{
    return c->first_sent_ns;
}
void tm_sf_call_set_header(struct tm_sf_call *c, const char *header)
{
    c->header = header;
}
void tm_sf_call_set_raw(struct tm_sf_call *c, struct tm_http_reply *reply)
{
    c->raw = reply;
}

/* Token bucket, one second deep. False: *out_at_ns says when the next call may leave. */
static bool session_may_call(struct tm_sf_session *s, const struct tm_now *now, int64_t *out_at_ns)
{
    double rate = s->set.calls_per_second_max, cap = rate > 1 ? rate : 1;
    if (rate <= 0)
        return true;
    s->budget = s->budget_ns == 0 ? cap
                                  : s->budget + (double)(now->wall_ns - s->budget_ns) * rate /
                                                    (double)TM_NS_PER_S;
    s->budget_ns = now->wall_ns;
    if (s->budget > cap)
        s->budget = cap;
    if (s->budget >= 1) {
        s->budget -= 1;
        return true;
    }
    *out_at_ns = now->wall_ns + (int64_t)((1 - s->budget) / rate * (double)TM_NS_PER_S) + 1;
    return false;
}

static enum tm_code session_send_call(struct tm_sf_call *c, const struct tm_now *now,
                                      struct tm_err *err)
{
    struct tm_sf_session *s = c->s;
    struct tm_buf url, auth;
    static const char star[] = "/services/data/v*";
    const size_t star_bytes = sizeof star - 1;
    tm_buf_init(&url, SESSION_URL_BYTES_MAX);
    tm_buf_init(&auth, SESSION_URL_BYTES_MAX);
    if (strncmp(c->path, star, star_bytes) == 0)
        tm_buf_addf(&url, "%s/services/data/v%s%s", s->url, s->version, c->path + star_bytes);
    else
        tm_buf_addf(&url, "%s%s", s->url, c->path);
    tm_buf_addf(&auth, "Authorization: Bearer %s", s->token);
    enum tm_code rc = tm_buf_check(&url, "request URL", err);
    if (rc == TM_OK)
        rc = tm_buf_check(&auth, "access token", err);
    struct tm_http_request request = {
        .method = c->method,
        .url = tm_buf_text(&url),
        .body = c->body,
        .body_bytes = c->body ? strlen(c->body) : 0,
        .timeout_ns = SESSION_CALL_TIMEOUT_NS,
    };
    size_t n = 0;
    request.headers[n++] = tm_buf_text(&auth);
    request.headers[n++] = c->raw != NULL ? "Accept: text/csv" : "Accept: application/json";
    if (c->body != NULL)
        request.headers[n++] = "Content-Type: application/json";
    if (c->header != NULL)
        request.headers[n++] = c->header;
    if (rc == TM_OK)
        rc = s->http->ops->start(s->http, &c->http, &request, err);
    if (rc == TM_OK) {
        c->attempts++;
        c->token_number = s->token_number;
        if (c->first_sent_ns == 0)
            c->first_sent_ns = now->wall_ns;
    }
    tm_buf_free(&url);
    tm_buf_free(&auth);
    return rc;
}

static int session_path_bytes(const struct tm_sf_call *c)
{
    size_t n = strcspn(c->path, "?");
    return (int)(n < 100 ? n : 100);
}

/* Back-off and again, until the retry budget is used up. */
static enum tm_code session_repeat(struct tm_sf_call *c, const struct tm_now *now,
                                   int64_t at_least_ns, const char *cause, struct tm_err *err)
{
    if (c->failures++ == 0)
        c->first_failed_ns = now->wall_ns;
    int64_t delay_ns = tm_sf_session_backoff_ns(c->s, c->failures);
    if (delay_ns < at_least_ns)
        delay_ns = at_least_ns;
    c->at_ns = now->wall_ns + delay_ns;
    if (c->at_ns - c->first_failed_ns <= c->s->set.request_retry_ns_max)
        return TM_E_AGAIN;
    return tm_fail_retry(err, TM_E_IO, "%s %.*s: given up after %u attempts in %lld ms: %s",
                         c->method, session_path_bytes(c), c->path, c->attempts,
                         (long long)((now->wall_ns - c->first_failed_ns) / TM_NS_PER_MS), cause);
}

static void session_note_usage(struct tm_sf_session *s, const struct tm_http_reply *reply)
{
    char info[160];
    long long used, limit;
    if (!tm_http_reply_header(reply, "Sforce-Limit-Info", info, sizeof info))
        return;
    const char *at = strstr(info, "api-usage=");
    if (at != NULL && sscanf(at, "api-usage=%lld/%lld", &used, &limit) == 2) {
        s->usage_known = true;
        s->usage_used = used;
        s->usage_limit = limit;
    }
}

static enum tm_code session_call_refused(struct tm_sf_call *c, const struct tm_now *now,
                                         const struct tm_http_reply *reply, struct tm_err *err)
{
    char text[200], cause[300], after[32];
    int64_t wait_ns = 0;
    session_words(reply, c->error, sizeof c->error, text, sizeof text);
    snprintf(cause, sizeof cause, "HTTP %d %s: %s", c->status, c->error, text);
    if (c->status == 401) {
        if (++c->refusals > SESSION_REFUSALS_MAX)
            return tm_fail(err, TM_E_PROTO, "%s %.*s: %u fresh tokens were refused: %s", c->method,
                           session_path_bytes(c), c->path, c->refusals, cause);
        if (c->token_number == c->s->token_number)
            tm_sf_session_expired(c->s);
        return TM_E_AGAIN;
    }
    if (tm_http_reply_header(reply, "Retry-After", after, sizeof after) && after[0] >= '0' &&
        after[0] <= '9')
        wait_ns = (int64_t)strtol(after, NULL, 10) * TM_NS_PER_S;
    if (session_transient(c->status) || strcmp(c->error, "UNABLE_TO_LOCK_ROW") == 0 ||
        strcmp(c->error, "REQUEST_LIMIT_EXCEEDED") == 0)
        return session_repeat(c, now, wait_ns, cause, err);
    return tm_fail(err, TM_E_PROTO, "%s %.*s: %s", c->method, session_path_bytes(c), c->path,
                   cause);
}

static enum tm_code session_call_answer(struct tm_sf_call *c, const struct tm_now *now,
                                        struct tm_http_reply *reply, json_t **out,
                                        struct tm_err *err)
{
    json_error_t e;
    c->status = reply->status;
    c->error[0] = '\0';
    session_note_usage(c->s, reply);
    if (reply->status < 200 || reply->status >= 300)
        return session_call_refused(c, now, reply, err);
    if (c->raw != NULL) { /* swapped: the caller of poll frees what was there */
        struct tm_http_reply before = *c->raw;
        *c->raw = *reply;
        *reply = before;
    }
    if (c->raw != NULL || reply->body.bytes == 0) {
        *out = json_null();
        return TM_OK;
    }
    *out = c->same_again ? tm_json_kept(reply->body.data, reply->body.bytes, JSON_DECODE_ANY, &e)
                         : json_loadb(reply->body.data, reply->body.bytes, JSON_DECODE_ANY, &e);
    /* a maintenance page, or cut short: the next answer may be whole */
    if (*out == NULL)
        return session_repeat(c, now, 0, "the answer is not JSON", err);
    return TM_OK;
}

enum tm_code tm_sf_call_poll(struct tm_sf_call *c, const struct tm_now *now, json_t **out,
                             struct tm_err *err)
{
    struct tm_http_reply reply;
    struct tm_err cause = { .code = TM_OK };
    enum tm_code rc;
    assert(c->s != NULL);
    if (c->http == NULL) {
        if (now->wall_ns < c->at_ns)
            return TM_E_AGAIN;
        rc = tm_sf_session_ready(c->s, now, err);
        if (rc != TM_OK)
            return rc;
        if (!session_may_call(c->s, now, &c->at_ns))
            return TM_E_AGAIN;
        rc = session_send_call(c, now, err);
        return rc == TM_OK ? TM_E_AGAIN : rc;
    }
    tm_http_reply_init(&reply);
    rc = c->s->http->ops->poll(c->s->http, c->http, &reply, &cause);
    if (rc != TM_E_AGAIN)
        c->http = NULL;
    if (rc == TM_OK) {
        rc = session_call_answer(c, now, &reply, out, err);
    } else if (rc != TM_E_AGAIN) {
        char text[400];
        c->status = 0;
        if (cause.retriable)
            rc = session_repeat(c, now, 0, tm_err_text(&cause, text, sizeof text), err);
        else
            rc = tm_fail(err, cause.code, "%s", cause.msg);
    }
    tm_http_reply_free(&reply);
    return rc;
}

/* ---- describe ---- */

static struct session_describe *session_describe_slot(struct tm_sf_session *s, const char *object)
{
    struct session_describe *spare = NULL;
    for (size_t i = 0; i < SESSION_DESCRIBES_MAX; i++) {
        if (s->describes[i].call != NULL && strcmp(s->describes[i].object, object) == 0)
            return &s->describes[i];
        if (s->describes[i].call == NULL && spare == NULL)
            spare = &s->describes[i];
    }
    return spare;
}

enum tm_code tm_sf_describe(struct tm_sf_session *s, const struct tm_now *now,
                            struct tm_describe **out, const char *object, struct tm_err *err)
{
    struct session_describe *slot = session_describe_slot(s, object);
    enum tm_code rc = TM_OK;
    json_t *json = NULL;
    struct tm_err cause = { .code = TM_OK };
    if (slot == NULL)
        return TM_E_AGAIN; /* SESSION_DESCRIBES_MAX others are under way */
    if (slot->call == NULL) {
        char path[256];
        if (object[strspn(object,
                          "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")] !=
                '\0' ||
            *object == '\0' || strlen(object) >= sizeof slot->object)
            return tm_fail(err, TM_E_ARG, "\"%.60s\" is not the name of an object", object);
        snprintf(path, sizeof path, "/services/data/v*/sobjects/%s/describe", object);
        rc = tm_sf_call_start(&slot->call, s, "GET", path, NULL, err);
        if (rc != TM_OK)
            return rc;
        slot->call->same_again = true;
        snprintf(slot->object, sizeof slot->object, "%s", object);
    }
    rc = tm_sf_call_poll(slot->call, now, &json, &cause);
    if (rc == TM_E_AGAIN)
        return rc;
    if (rc == TM_OK)
        rc = tm_describe_parse(out, json, err);
    else if (tm_sf_call_status(slot->call) == 404)
        rc = tm_fail(err, TM_E_ARG, "the org has no object \"%s\", or the user may not see it",
                     object);
    else
        rc = cause.retriable ? tm_fail_retry(err, cause.code, "%s", cause.msg)
                             : tm_fail(err, cause.code, "%s", cause.msg);
    json_decref(json);
    tm_sf_call_close(slot->call);
    slot->call = NULL;
    return rc;
}
