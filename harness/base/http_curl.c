/* Adapter of the HTTP port on libcurl's multi interface. One thread; curl's work is done in start,
 * poll and wait. Facts: curl_multi_poll(3), curl_multi_add_handle(3), libcurl 7.88 manual pages. */
#include "base/http.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <curl/curl.h>

#define CURL_CALLS_MAX 64        /* exchanges under way in one process */
#define CURL_CONNECTIONS_MAX 32L /* kept open between exchanges */
#define CURL_EXTRA_FDS_MAX 32
#define CURL_TIMEOUT_NS (30 * TM_NS_PER_S)
#define CURL_CONNECT_MS_MAX 10000L

struct tm_http_call {
    CURL *easy;
    struct curl_slist *headers;
    char *where; /* "GET http://host/path" for errors: the query is left out */
    struct tm_http_reply reply;
    size_t reply_bytes_max;
    bool done, too_big;
    CURLcode result;
    char detail[CURL_ERROR_SIZE];
};
struct http_curl {
    struct tm_http base; /* first member: the port */
    CURLM *multi;
    CURLSH *share; /* cookies, names, TLS sessions of all exchanges */
    char *user_agent, *ca_file;
    struct tm_http_call *calls[CURL_CALLS_MAX];
    bool news; /* an exchange ended that nobody may have polled since */
};

static struct http_curl *curl_of(struct tm_http *http)
{
    return (struct http_curl *)http;
}

/* ---- what arrives ---- */

static size_t curl_on_body(char *data, size_t size, size_t count, void *self)
{
    struct tm_http_call *call = self;
    size_t bytes = size * count;
    if (bytes > call->reply_bytes_max - call->reply.body.bytes) {
        call->too_big = true;
        return 0;
    }
    tm_buf_add(&call->reply.body, data, bytes);
    return call->reply.body.failed == TM_OK ? bytes : 0;
}

static size_t curl_on_header(char *data, size_t size, size_t count, void *self)
{
    struct tm_http_call *call = self;
    size_t bytes = size * count;
    if (bytes > 5 && strncasecmp(data, "HTTP/", 5) == 0)
        tm_buf_reset(&call->reply.headers); /* what a 100 Continue said does not count */
    else if (bytes > 2)
        tm_buf_add(&call->reply.headers, data, bytes);
    return call->reply.headers.failed == TM_OK ? bytes : 0;
}

static void curl_collect(struct http_curl *h)
{
    CURLMsg *msg;
    int left;
    while ((msg = curl_multi_info_read(h->multi, &left)) != NULL) {
        struct tm_http_call *call = NULL;
        if (msg->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        assert(call != NULL && !call->done);
        call->done = true;
        call->result = msg->data.result;
        call->reply.done_ns = tm_clock_monotonic_ns();
        h->news = true;
    }
}

static enum tm_code curl_pump(struct http_curl *h, struct tm_err *err)
{
    int running;
    CURLMcode rc = curl_multi_perform(h->multi, &running);
    if (rc != CURLM_OK)
        return tm_fail(err, TM_E_IO, "HTTP: %s", curl_multi_strerror(rc));
    curl_collect(h);
    return TM_OK;
}

/* ---- one call ---- */

static void curl_free_call(struct http_curl *h, struct tm_http_call *call)
{
    for (size_t i = 0; i < CURL_CALLS_MAX; i++)
        if (h->calls[i] == call)
            h->calls[i] = NULL;
    if (call->easy != NULL) {
        curl_multi_remove_handle(h->multi, call->easy);
        curl_easy_cleanup(call->easy);
    }
    curl_slist_free_all(call->headers);
    tm_http_reply_free(&call->reply);
    free(call->where);
    free(call);
}

static char *curl_where(const struct tm_http_request *request)
{
    struct tm_buf b;
    tm_buf_init(&b, 4096);
    tm_buf_addf(&b, "%s %.*s", request->method,
                (int)(strcspn(request->url, "?") < 200 ? strcspn(request->url, "?") : 200),
                request->url);
    return b.data;
}

static bool curl_loopback(const char *url)
{
    static const char *const hosts[] = { "//127.", "//localhost", "//[::1]" };
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
        if (strstr(url, hosts[i]) != NULL && strstr(url, hosts[i]) < url + 8)
            return true;
    return false;
}

static bool curl_set_headers(struct tm_http_call *call, const struct tm_http_request *request)
{
    call->headers = curl_slist_append(NULL, "Expect:"); /* no 100-continue round trip */
    for (size_t i = 0;
         i < TM_HTTP_HEADERS_MAX && request->headers[i] != NULL && call->headers != NULL; i++) {
        struct curl_slist *more = curl_slist_append(call->headers, request->headers[i]);
        if (more == NULL)
            return false;
        call->headers = more;
    }
    return call->headers != NULL;
}

static bool curl_set_body(CURL *easy, const struct tm_http_request *request)
{
    bool get = strcmp(request->method, "GET") == 0, post = strcmp(request->method, "POST") == 0;
    CURLcode rc = CURLE_OK;
    if (request->body != NULL || post) {
        rc = curl_easy_setopt(easy, CURLOPT_POST, 1L);
        if (rc == CURLE_OK)
            rc = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                                  (curl_off_t)request->body_bytes);
        if (rc == CURLE_OK)
            rc = curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS,
                                  request->body != NULL ? request->body : "");
    }
    if (strcmp(request->method, "HEAD") == 0)
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    else if (rc == CURLE_OK && !post && (!get || request->body != NULL))
        rc = curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    return rc == CURLE_OK;
}

static bool curl_set_up(struct http_curl *h, struct tm_http_call *call,
                        const struct tm_http_request *request)
{
    CURL *easy = call->easy;
    int64_t ns = request->timeout_ns > 0 ? request->timeout_ns : CURL_TIMEOUT_NS;
    long ms = (long)((ns + TM_NS_PER_MS - 1) / TM_NS_PER_MS);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->detail);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     ms < CURL_CONNECT_MS_MAX ? ms : CURL_CONNECT_MS_MAX);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_SHARE, h->share);
    curl_easy_setopt(easy, CURLOPT_COOKIEFILE, ""); /* cookies on, none read from a file */
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, curl_on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, curl_on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    if (curl_loopback(request->url))
        /* an http_proxy variable is not meant for this host */
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
    if (h->ca_file != NULL && curl_easy_setopt(easy, CURLOPT_CAINFO, h->ca_file) != CURLE_OK)
        return false;
    return curl_easy_setopt(easy, CURLOPT_URL, request->url) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_USERAGENT, h->user_agent) == CURLE_OK &&
           curl_set_headers(call, request) &&
           curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers) == CURLE_OK &&
           curl_set_body(easy, request);
}

static enum tm_code curl_start(struct tm_http *http, struct tm_http_call **out,
                               const struct tm_http_request *request, struct tm_err *err)
{
    struct http_curl *h = curl_of(http);
    enum tm_code rc = TM_OK;
    size_t slot = 0;
    struct tm_http_call *call = NULL;
    assert(request->method != NULL && request->url != NULL);
    while (slot < CURL_CALLS_MAX && h->calls[slot] != NULL)
        slot++;
    if (slot == CURL_CALLS_MAX)
        return tm_fail(err, TM_E_LIMIT, "HTTP: %d exchanges under way at once", CURL_CALLS_MAX);
    call = calloc(1, sizeof *call);
    if (call == NULL)
        return tm_fail(err, TM_E_NOMEM, "HTTP call");
    tm_http_reply_init(&call->reply);
    call->reply_bytes_max =
        request->reply_bytes_max ? request->reply_bytes_max : TM_HTTP_REPLY_BYTES_MAX;
    call->reply.body.max = call->reply_bytes_max;
    call->where = curl_where(request);
    call->easy = curl_easy_init();
    if (call->where == NULL || call->easy == NULL || !curl_set_up(h, call, request)) {
        rc = tm_fail(err, TM_E_NOMEM, "HTTP call: cannot be set up");
        goto done;
    }
    call->reply.started_ns = tm_clock_monotonic_ns();
    if (curl_multi_add_handle(h->multi, call->easy) != CURLM_OK) {
        rc = tm_fail(err, TM_E_NOMEM, "HTTP call: cannot be started");
        goto done;
    }
    http->counts.calls++;
    /* the request leaves now, not at the next poll */
    rc = curl_pump(h, err);
    if (rc != TM_OK)
        goto done;
    h->calls[slot] = call;
    *out = call;
    call = NULL;
done:
    if (call != NULL)
        curl_free_call(h, call);
    return rc;
}

static void curl_count(struct http_curl *h, struct tm_http_call *call)
{
    long request_bytes = 0, header_bytes = 0;
    curl_off_t up = 0, down = 0;
    curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &request_bytes);
    curl_easy_getinfo(call->easy, CURLINFO_HEADER_SIZE, &header_bytes);
    curl_easy_getinfo(call->easy, CURLINFO_SIZE_UPLOAD_T, &up);
    curl_easy_getinfo(call->easy, CURLINFO_SIZE_DOWNLOAD_T, &down);
    h->base.counts.bytes_out += (uint64_t)request_bytes + (uint64_t)up;
    h->base.counts.bytes_in += (uint64_t)header_bytes + (uint64_t)down;
}

static enum tm_code curl_failure(const struct tm_http_call *call, struct tm_err *err)
{
    const char *why = call->detail[0] != '\0' ? call->detail : curl_easy_strerror(call->result);
    if (call->too_big)
        return tm_fail(err, TM_E_LIMIT, "%s: the reply is larger than %zu bytes", call->where,
                       call->reply_bytes_max);
    if (call->reply.body.failed == TM_E_NOMEM || call->reply.headers.failed == TM_E_NOMEM)
        return tm_fail(err, TM_E_NOMEM, "%s: out of memory", call->where);
    if (call->reply.headers.failed != TM_OK)
        return tm_fail(err, TM_E_LIMIT, "%s: the reply's headers are larger than %zu bytes",
                       call->where, call->reply.headers.max);
    switch (call->result) {
    case CURLE_OUT_OF_MEMORY: return tm_fail(err, TM_E_NOMEM, "%s: out of memory", call->where);
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return tm_fail(err, TM_E_ARG, "%s: %s (http:// or https:// URLs only)", call->where, why);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE: return tm_fail(err, TM_E_IO, "%s: %s", call->where, why);
    default: return tm_fail_retry(err, TM_E_IO, "%s: %s", call->where, why);
    }
}

static enum tm_code curl_poll_call(struct tm_http *http, struct tm_http_call *call,
                                   struct tm_http_reply *reply, struct tm_err *err)
{
    struct http_curl *h = curl_of(http);
    enum tm_code rc = call->done ? TM_OK : curl_pump(h, err);
    long status = 0;
    if (rc == TM_OK && !call->done)
        return TM_E_AGAIN;
    if (rc != TM_OK)
        goto done;
    curl_count(h, call);
    if (call->result != CURLE_OK) {
        http->counts.failed++;
        rc = curl_failure(call, err);
        goto done;
    }
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    call->reply.status = (int)status;
    tm_http_reply_free(reply);
    *reply = call->reply;
    call->reply = (struct tm_http_reply){ .status = 0 };
done:
    curl_free_call(h, call);
    return rc;
}

static void curl_cancel(struct tm_http *http, struct tm_http_call *call)
{
    if (call == NULL)
        return;
    curl_count(curl_of(http), call);
    curl_free_call(curl_of(http), call);
}

static void curl_close(struct tm_http *http)
{
    struct http_curl *h = curl_of(http);
    if (h == NULL)
        return;
    for (size_t i = 0; i < CURL_CALLS_MAX; i++)
        if (h->calls[i] != NULL)
            curl_free_call(h, h->calls[i]);
    if (h->multi != NULL)
        curl_multi_cleanup(h->multi);
    if (h->share != NULL)
        curl_share_cleanup(h->share);
    free(h->user_agent);
    free(h->ca_file);
    free(h);
}

enum tm_code tm_http_curl_open(struct tm_http **out, const char *user_agent, const char *ca_file,
                               struct tm_err *err)
{
    static const struct tm_http_ops ops = { curl_start, curl_poll_call, curl_cancel, curl_close };
    enum tm_code rc = TM_OK;
    assert(user_agent != NULL);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return tm_fail(err, TM_E_NOMEM, "libcurl cannot be initialised");
    struct http_curl *h = calloc(1, sizeof *h);
    if (h != NULL) {
        h->base.ops = &ops;
        h->multi = curl_multi_init();
        h->share = curl_share_init();
        h->user_agent = strdup(user_agent);
        h->ca_file = ca_file != NULL ? strdup(ca_file) : NULL;
    }
    if (h == NULL || h->multi == NULL || h->share == NULL || h->user_agent == NULL ||
        (ca_file != NULL && h->ca_file == NULL)) {
        rc = tm_fail(err, TM_E_NOMEM, "HTTP client");
        goto done;
    }
    curl_share_setopt(h->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_COOKIE);
    curl_share_setopt(h->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
    curl_share_setopt(h->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, CURL_CONNECTIONS_MAX);
    *out = &h->base;
    h = NULL;
done:
    if (h != NULL)
        curl_close(&h->base);
    return rc;
}

enum tm_code tm_http_curl_wait(struct tm_http *http, const int *extra_fds, size_t extra_fds_count,
                               int64_t timeout_ns, struct tm_err *err)
{
    struct http_curl *h = curl_of(http);
    struct curl_waitfd fds[CURL_EXTRA_FDS_MAX];
    assert(extra_fds_count <= CURL_EXTRA_FDS_MAX);
    for (size_t i = 0; i < extra_fds_count; i++)
        fds[i] = (struct curl_waitfd){ .fd = extra_fds[i], .events = CURL_WAIT_POLLIN };
    int64_t ms = timeout_ns <= 0 ? 0 : timeout_ns / TM_NS_PER_MS + (timeout_ns % TM_NS_PER_MS != 0);
    if (h->news || ms < 0)
        ms = 0; /* an end that was seen in passing must wake its owner */
    h->news = false;
    CURLMcode rc = curl_multi_poll(h->multi, fds, (unsigned)extra_fds_count,
                                   ms > 60000 ? 60000 : (int)ms, NULL);
    if (rc != CURLM_OK)
        return tm_fail(err, TM_E_IO, "waiting for HTTP: %s", curl_multi_strerror(rc));
    return curl_pump(h, err);
}
