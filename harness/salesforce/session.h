/* session: a signed-in user of one org. in: sign-in settings; out: instance URL, token, and single
 * REST exchanges that survive expiry, 5xx, quota and row-lock answers. Used by source, reconcile
 * and batch alike; never waits: every call answers TM_E_AGAIN while under way and is called again
 * in a later step. Facts: salesforce-wire.md 1 and 3. */
#ifndef TM_SALESFORCE_SESSION_H
#define TM_SALESFORCE_SESSION_H
#include "base/describe.h"
#include "base/http.h"
#include "base/rng.h"

enum tm_sf_grant { TM_SF_PASSWORD, TM_SF_CLIENT_CREDENTIALS, TM_SF_JWT_BEARER };
struct tm_sf_settings {   /* all strings borrowed for the session's life */
    const char *instance; /* login URL: https://login.salesforce.com or the mock's base URL */
    const char *username, *password, *password_token, *consumer_key, *consumer_secret;
    const char *keystore_path,
        *keystore_password; /* of the key that signs, JWT bearer; read once */
    enum tm_sf_grant grant;
    int64_t real_ms_at_zero; /* epoch ms when the wall clock showed 0: when an assertion ends */
    const char *api_version; /* "latest" or "59.0" */
    int64_t request_retry_ns_max; /* request.max.retries.time.ms; after that a call fails for good;
                                     0 = 900 s */
    int64_t auth_retry_ns_max;    /* salesforce.auth.retries.time.ms; 0 = 30 s */
    double calls_per_second_max;  /* rate limit over all calls of the session; 0 = none */
    uint64_t seed;                /* of back-off jitter */
};
struct tm_sf_session;
enum tm_code tm_sf_session_open(struct tm_sf_session **out, struct tm_http *http,
                                const struct tm_sf_settings *settings, struct tm_err *err);
void tm_sf_session_close(struct tm_sf_session *s);
/* TM_OK once signed in. Wrong credentials: TM_E_ARG with the server's words, not retried. */
enum tm_code tm_sf_session_ready(struct tm_sf_session *s, const struct tm_now *now,
                                 struct tm_err *err);
/* the token was refused elsewhere (CometD): sign in again */
void tm_sf_session_expired(struct tm_sf_session *s);
/* instance URL; NULL before ready */
const char *tm_sf_session_url(const struct tm_sf_session *s);
const char *tm_sf_session_token(const struct tm_sf_session *s);   /* NULL before ready */
const char *tm_sf_session_version(const struct tm_sf_session *s); /* "59.0" */
/* 18-character id of the org signed in to; "" when the sign-in did not tell */
const char *tm_sf_session_org(const struct tm_sf_session *s);
/* wall ns; when a retry or rate limit ends */
int64_t tm_sf_session_next_at(const struct tm_sf_session *s);

/* One REST call with retry, back-off, re-sign-in and rate limit. path begins with '/' and is
 * relative to the instance; in
 * "/services/data/v*…" the star stands for the API version, known or not yet. Nothing is sent
 * before the first poll. Answers: TM_OK with the JSON body (2xx) in *out (caller owns), or an
 * error: `err` holds status, errorCode, message. 404 and 400 bodies are errors too:
 * tm_sf_call_error gives the errorCode ("ENTITY_IS_DELETED", …), "" when none. */
struct tm_sf_call;
enum tm_code tm_sf_call_start(struct tm_sf_call **out, struct tm_sf_session *s, const char *method,
                              const char *path, const char *body /* JSON or NULL */,
                              struct tm_err *err);
enum tm_code tm_sf_call_poll(struct tm_sf_call *c, const struct tm_now *now, json_t **out,
                             struct tm_err *err);
const char *tm_sf_call_error(const struct tm_sf_call *c);
int tm_sf_call_status(const struct tm_sf_call *c);
/* HTTP exchanges so far: what it cost */
unsigned tm_sf_call_attempts(const struct tm_sf_call *c);
void tm_sf_call_close(struct tm_sf_call *c); /* NULL-safe; cancels */

/* GET …/sobjects/<object>/describe, parsed. */
enum tm_code tm_sf_describe(struct tm_sf_session *s, const struct tm_now *now,
                            struct tm_describe **out, const char *object, struct tm_err *err);
/* api-usage=used/limit as the last answer told it; false when none told. */
bool tm_sf_session_usage(const struct tm_sf_session *s, int64_t *out_used, int64_t *out_limit);

/* For query.c and cometd.c, which build on the session. */
struct tm_http *tm_sf_session_http(const struct tm_sf_session *s);
const struct tm_sf_settings *tm_sf_session_settings(const struct tm_sf_session *s);
/* 0.25 s doubling to 30 s, half of it jitter */
int64_t tm_sf_session_backoff_ns(struct tm_sf_session *s, unsigned failures);
/* "Name: value", borrowed; one only */
void tm_sf_call_set_header(struct tm_sf_call *c, const char *header);
/* A 2xx answer that is not JSON (CSV of a Bulk job): put into *reply, as it came; *out of the poll
 * is null. Lent until the call is over. */
void tm_sf_call_set_raw(struct tm_sf_call *c, struct tm_http_reply *reply);
/* 0 before anything was sent */
int64_t tm_sf_call_first_sent_ns(const struct tm_sf_call *c);
/* Whether text that a server sent may stand in the line of a request: printable ASCII, no blank. */
bool tm_sf_fits_line(const char *text);
#endif
