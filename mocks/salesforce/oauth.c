#include "mocks/salesforce/oauth_impl.h"
#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define OAUTH_LIFE_NS (7200 * TM_NS_PER_S)
#define OAUTH_SECRET_BYTES_MAX 512
#define OAUTH_USER_BYTES 64
#define OAUTH_RANDOM_BYTES_MAX 256 /* of one tm_oauth_random */

/* The texts of the settings and what they are unless told. */
struct oauth_text {
    size_t at; /* offset in struct tm_oauth_settings */
    const char *preset;
};
#define T(name, preset)                                                                            \
    {                                                                                              \
        offsetof(struct tm_oauth_settings, name), preset                                           \
    }
static const struct oauth_text oauth_texts[] = {
    T(username, "integration@tidemark.example"),
    T(password, "tidemark"),
    T(password_token, "TOKEN"),
    T(consumer_key, "tidemark-consumer-key"),
    T(consumer_secret, "tidemark-consumer-secret"),
    T(refresh_token, "tidemark-refresh-token"),
    T(org_id, "00D000000000001EAA"),
    T(user_id, "005000000000001AAA"),
    T(users, ""),
};
#undef T
#define OAUTH_TEXTS (sizeof oauth_texts / sizeof oauth_texts[0])

static const char **oauth_text_of(struct tm_oauth_settings *s, size_t i)
{
    return (const char **)(void *)((char *)s + oauth_texts[i].at);
}

/* Names with commas between: letters that need no quoting anywhere. */
static enum tm_code oauth_check_users(const char *users, struct tm_err *err)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t count = 0;
    for (const char *at = users; at != NULL && *at != '\0'; count++) {
        size_t bytes = strspn(at, letters);
        if (bytes == 0 || bytes >= OAUTH_USER_BYTES || (at[bytes] != ',' && at[bytes] != '\0') ||
            (at[bytes] == ',' && at[bytes + 1] == '\0'))
            return tm_fail(
                err, TM_E_ARG,
                "users: \"%.80s\" must begin with a name of letters, digits, - and _, at "
                "most %d of them, with a comma between two names",
                at, OAUTH_USER_BYTES - 1);
        at += bytes + (at[bytes] == ',');
    }
    if (count > TM_OAUTH_USERS_MAX)
        return tm_fail(err, TM_E_ARG, "more than %d further users", TM_OAUTH_USERS_MAX);
    return TM_OK;
}

static enum tm_code oauth_check_texts(struct tm_oauth_settings *s, struct tm_err *err)
{
    for (size_t i = 0; i < OAUTH_TEXTS; i++) {
        const char *text = *oauth_text_of(s, i);
        if (text == NULL)
            continue;
        for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++)
            if (*p < 0x20 || *p == 0x7f)
                return tm_fail(err, TM_E_ARG,
                               "usernames, passwords, keys and tokens must not hold control "
                               "characters");
        if (text == s->users)
            continue; /* checked for itself */
        if (strlen(text) >= OAUTH_SECRET_BYTES_MAX / 2)
            return tm_fail(err, TM_E_ARG,
                           "usernames, passwords, keys and tokens must be shorter than %d bytes",
                           OAUTH_SECRET_BYTES_MAX / 2);
    }
    if (s->username != NULL && strpbrk(s->username, "\"\\") != NULL)
        return tm_fail(err, TM_E_ARG, "the username must not hold quotes or backslashes");
    return oauth_check_users(s->users, err);
}

enum tm_code tm_oauth_open(struct tm_oauth **out, const struct tm_oauth_settings *settings,
                           struct tm_err *err)
{
    struct tm_oauth *o = calloc(1, sizeof *o);
    if (o == NULL)
        return tm_fail(err, TM_E_NOMEM, "sign-in");
    struct tm_oauth_settings *s = &o->settings;
    *s = *settings;
    enum tm_code rc = oauth_check_texts(s, err);
    for (size_t i = 0; i < OAUTH_TEXTS; i++) {
        const char **text = oauth_text_of(s, i);
        *text = strdup(*text != NULL ? *text : oauth_texts[i].preset);
        if (*text == NULL && rc == TM_OK)
            rc = tm_fail(err, TM_E_NOMEM, "sign-in");
    }
    if (s->token_ns_max == 0)
        s->token_ns_max = OAUTH_LIFE_NS;
    tm_rng_init(&o->rng, settings->seed);
    o->sessions = calloc(TM_OAUTH_TOKENS_MAX, sizeof *o->sessions);
    o->unkept = calloc(TM_OAUTH_TOKENS_MAX + 1, sizeof *o->unkept);
    if ((o->sessions == NULL || o->unkept == NULL) && rc == TM_OK)
        rc = tm_fail(err, TM_E_NOMEM, "sign-in");
    if (rc == TM_OK)
        *out = o;
    else
        tm_oauth_close(o);
    return rc;
}

void tm_oauth_close(struct tm_oauth *o)
{
    if (o == NULL)
        return;
    for (size_t i = 0; i < OAUTH_TEXTS; i++) {
        char *text = (char *)(uintptr_t)*oauth_text_of(&o->settings, i);
        if (text != NULL)
            tm_secret_wipe(text, strlen(text));
        free(text);
    }
    free(o->sessions);
    free(o->unkept);
    free(o);
}

const struct tm_oauth_settings *tm_oauth_settings(const struct tm_oauth *o)
{
    return &o->settings;
}
size_t tm_oauth_tokens(const struct tm_oauth *o)
{
    return o->sessions_count;
}
uint64_t tm_oauth_ended(const struct tm_oauth *o)
{
    return o->ended;
}

void tm_oauth_random(struct tm_oauth *o, char *out, size_t bytes)
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    uint8_t pool[OAUTH_RANDOM_BYTES_MAX];
    size_t left = 0;
    assert(bytes > 1 && bytes <= sizeof pool);
    for (size_t i = 0; i + 1 < bytes;) {
        uint8_t b;
        if (o->settings.seeded) {
            b = (uint8_t)tm_rng_below(&o->rng, 252);
        } else {
            if (left == 0)
                tm_secret_random(pool, left = sizeof pool);
            b = pool[--left];
        }
        if (b < 252) /* 252 = 7 * 36: no letter more likely than another */
            out[i++] = letters[b % 36];
    }
    out[bytes - 1] = '\0';
}

/* ---- sessions ---- */

static size_t oauth_bucket(const uint8_t *digest)
{
    uint32_t at;
    memcpy(&at, digest, sizeof at);
    return at & (OAUTH_BUCKETS - 1);
}

static struct oauth_session *oauth_find_digest(const struct tm_oauth *o, const uint8_t *digest)
{
    struct oauth_session *s = o->buckets[oauth_bucket(digest)];
    while (s != NULL && !tm_secret_same(digest, s->digest, TM_DIGEST_BYTES))
        s = s->next;
    return s;
}

static struct oauth_session *oauth_find(const struct tm_oauth *o, const char *token)
{
    uint8_t digest[TM_DIGEST_BYTES];
    tm_secret_digest(digest, token, strlen(token));
    return oauth_find_digest(o, digest);
}

/* NULL: what row 0 tells. */
static void oauth_changed(struct tm_oauth *o, struct oauth_session *s)
{
    bool *unkept = s != NULL ? &s->unkept : &o->head_unkept;
    if (!*unkept)
        o->unkept[o->unkept_count++] = s != NULL ? (size_t)(s - o->sessions) + 1 : 0;
    *unkept = true;
}

static void oauth_drop(struct tm_oauth *o, struct oauth_session *s)
{
    struct oauth_session **at = &o->buckets[oauth_bucket(s->digest)];
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    *(s->older != NULL ? &s->older->newer : &o->oldest) = s->newer;
    *(s->newer != NULL ? &s->newer->older : &o->newest) = s->older;
    s->open = false;
    s->next = o->free;
    o->free = s;
    o->sessions_count--;
    oauth_changed(o, s);
}

/* Into this free place; sessions end in the order in which they are given, so
 * that the place among the ends is the last, but for those that are loaded. */
static void oauth_place(struct tm_oauth *o, struct oauth_session *s, const uint8_t *digest,
                        int64_t until_ns, unsigned user, bool refreshed)
{
    struct oauth_session *older = o->newest, **bucket = &o->buckets[oauth_bucket(digest)];
    while (older != NULL && older->until_ns > until_ns)
        older = older->older;
    s->older = older;
    s->newer = older != NULL ? older->newer : o->oldest;
    *(s->older != NULL ? &s->older->newer : &o->oldest) = s;
    *(s->newer != NULL ? &s->newer->older : &o->newest) = s;
    memcpy(s->digest, digest, TM_DIGEST_BYTES);
    s->until_ns = until_ns;
    s->user = user;
    s->refreshed = refreshed;
    s->open = true;
    s->next = *bucket;
    *bucket = s;
    o->sessions_count++;
}

/* A place for a new session: those whose time is over make way, else the
 * oldest. */
static struct oauth_session *oauth_room(struct tm_oauth *o, int64_t now_ns)
{
    while (o->oldest != NULL && o->oldest->until_ns <= now_ns)
        oauth_drop(o, o->oldest);
    if (o->sessions_count == TM_OAUTH_TOKENS_MAX) {
        oauth_drop(o, o->oldest);
        o->ended++;
    }
    struct oauth_session *s = o->free;
    if (s != NULL) {
        o->free = s->next;
        return s;
    }
    oauth_changed(o, NULL); /* one row more */
    return &o->sessions[o->sessions_used++];
}

int64_t tm_oauth_until(const struct tm_oauth *o, const uint8_t digest[TM_DIGEST_BYTES])
{
    const struct oauth_session *s = oauth_find_digest(o, digest);
    return s != NULL ? s->until_ns : 0;
}

void oauth_give(struct tm_oauth *o, char out[TM_OAUTH_TOKEN_BYTES], const struct tm_now *now,
                unsigned user, bool refreshed)
{
    char random[81];
    uint8_t digest[TM_DIGEST_BYTES];
    struct oauth_session *session = oauth_room(o, now->wall_ns);
    tm_oauth_random(o, random, sizeof random);
    int bytes = snprintf(out, TM_OAUTH_TOKEN_BYTES, "%.15s!AQ%s", o->settings.org_id, random);
    assert(bytes > 0 && bytes < TM_OAUTH_TOKEN_BYTES);
    tm_secret_digest(digest, out, (size_t)bytes);
    oauth_place(o, session, digest, now->wall_ns + o->settings.token_ns_max, user, refreshed);
    oauth_changed(o, session);
}

void tm_oauth_give(struct tm_oauth *o, char out[TM_OAUTH_TOKEN_BYTES], const struct tm_now *now)
{
    oauth_give(o, out, now, 1, false);
}

void tm_oauth_give_to(struct tm_oauth *o, char out[TM_OAUTH_TOKEN_BYTES], const struct tm_now *now,
                      unsigned user)
{
    oauth_give(o, out, now, user, false);
}

bool tm_oauth_good(const struct tm_oauth *o, const char *token, const struct tm_now *now)
{
    const struct oauth_session *s = oauth_find(o, token);
    return s != NULL && s->until_ns > now->wall_ns;
}

bool tm_oauth_forget(struct tm_oauth *o, const char *token)
{
    struct oauth_session *s = oauth_find(o, token);
    if (s == NULL)
        return false;
    oauth_drop(o, s);
    o->ended++;
    return true;
}

void tm_oauth_expire_all(struct tm_oauth *o)
{
    while (o->oldest != NULL)
        oauth_drop(o, o->oldest);
    o->ended++;
}

const char *oauth_user_name(const struct tm_oauth *o, unsigned user, char out[OAUTH_USER_BYTES])
{
    const char *at = o->settings.users;
    for (unsigned i = 2; i < user && strchr(at, ',') != NULL; i++)
        at = strchr(at, ',') + 1;
    snprintf(out, OAUTH_USER_BYTES, "%.*s", user < 2 ? 0 : (int)strcspn(at, ","), at);
    return out;
}

unsigned oauth_user_named(const struct tm_oauth *o, const char *head, const char *text,
                          const char *tail)
{
    char name[OAUTH_USER_BYTES], whole[2 * OAUTH_SECRET_BYTES_MAX];
    for (unsigned user = 2; oauth_user_name(o, user, name)[0] != '\0'; user++) {
        snprintf(whole, sizeof whole, "%s%s%s", head, name, tail);
        if (tm_secret_equal(text, whole))
            return user;
        if (user > TM_OAUTH_USERS_MAX)
            break;
    }
    return 0;
}

unsigned tm_oauth_user(const struct tm_oauth *o, const char *username, const char *password)
{
    char wanted[OAUTH_SECRET_BYTES_MAX];
    snprintf(wanted, sizeof wanted, "%s%s", o->settings.password, o->settings.password_token);
    unsigned user = tm_secret_equal(username, o->settings.username)
                        ? 1
                        : oauth_user_named(o, "", username, TM_OAUTH_USER_DOMAIN);
    bool secret = tm_secret_equal(password, wanted);
    tm_secret_wipe(wanted, sizeof wanted);
    return secret ? user : 0;
}

/* ---- later requests ---- */

const char *tm_oauth_token_of(const struct tm_mock_request *r)
{
    static const char *const schemes[] = { "Bearer ", "OAuth ", "Token " };
    const char *header = tm_mock_header(r, "Authorization");
    for (size_t i = 0; header != NULL && i < sizeof schemes / sizeof schemes[0]; i++)
        if (strncasecmp(header, schemes[i], strlen(schemes[i])) == 0) {
            header += strlen(schemes[i]);
            break;
        }
    if (header == NULL)
        header = tm_mock_header(r, "X-SFDC-Session");
    if (header == NULL)
        header = tm_mock_query(r, "oauth_token");
    while (header != NULL && *header == ' ')
        header++;
    return header != NULL && *header != '\0' ? header : NULL;
}

const char *tm_oauth_client(const struct tm_oauth *o, const struct tm_mock_request *r,
                            char out[TM_OAUTH_CLIENT_BYTES])
{
    return tm_oauth_client_by(o, r, tm_oauth_token_of(r), out);
}

const char *tm_oauth_client_by(const struct tm_oauth *o, const struct tm_mock_request *r,
                               const char *token, char out[TM_OAUTH_CLIENT_BYTES])
{
    char name[OAUTH_USER_BYTES];
    const struct oauth_session *s = token != NULL ? oauth_find(o, token) : NULL;
    if (s == NULL || s->user < 2)
        return tm_mock_user_agent(r);
    snprintf(out, TM_OAUTH_CLIENT_BYTES, "%s%s", oauth_user_name(o, s->user, name),
             TM_OAUTH_USER_DOMAIN);
    return out;
}

enum tm_oauth_verdict tm_oauth_check(const struct tm_oauth *o, const struct tm_mock_request *r)
{
    const char *token = tm_oauth_token_of(r);
    if (token == NULL)
        return TM_OAUTH_MISSING;
    return tm_oauth_good(o, token, &r->now) ? TM_OAUTH_GOOD : TM_OAUTH_BAD;
}

void tm_oauth_revoke(struct tm_oauth *o, const struct tm_mock_request *r,
                     struct tm_mock_response *out)
{
    struct tm_mock_pairs form = { 0 };
    const char *token = tm_mock_query(r, "token");
    bool found = false;
    if (token == NULL && r->body != NULL &&
        tm_mock_pairs_parse(&form, r->body, r->body_bytes, NULL) == TM_OK)
        token = tm_mock_pairs_get(&form, "token");
    if (token != NULL && !o->refresh_revoked && tm_secret_equal(token, o->settings.refresh_token)) {
        found = o->refresh_revoked = true; /* and with it what it had given */
        for (struct oauth_session *session = o->oldest, *newer; session != NULL; session = newer) {
            newer = session->newer;
            if (session->refreshed)
                oauth_drop(o, session);
        }
        oauth_changed(o, NULL);
        o->ended++;
    } else if (token != NULL) {
        found = tm_oauth_forget(o, token);
    }
    if (found)
        tm_mock_answer(out, 200, NULL, "");
    else
        oauth_refuse(out, "unsupported_token_type", "this token type is not supported");
    tm_mock_pairs_free(&form);
}

/* ---- sessions that outlive the process ---- */

static int64_t oauth_real_ms(const struct tm_oauth *o, int64_t wall_ns)
{
    return wall_ns / TM_NS_PER_MS + o->settings.real_ms_at_zero;
}

bool tm_oauth_unkept(const struct tm_oauth *o, size_t *out_row, struct tm_buf *out)
{
    if (o->unkept_count == 0)
        return false;
    *out_row = o->unkept[o->unkept_count - 1];
    if (*out_row == 0) {
        tm_buf_addf(out, "[%s,%zu]", o->refresh_revoked ? "true" : "false", o->sessions_used);
        return true;
    }
    const struct oauth_session *s = &o->sessions[*out_row - 1];
    if (s->open) {
        tm_buf_addz(out, "[\"");
        tm_base64url_add(out, s->digest, TM_DIGEST_BYTES);
        tm_buf_addf(out, "\",%lld,%s,%u]", (long long)oauth_real_ms(o, s->until_ns),
                    s->refreshed ? "true" : "false", s->user);
    }
    return true;
}

void tm_oauth_kept(struct tm_oauth *o)
{
    assert(o->unkept_count > 0);
    size_t row = o->unkept[--o->unkept_count];
    *(row > 0 ? &o->sessions[row - 1].unkept : &o->head_unkept) = false;
}

size_t tm_oauth_rows(const struct tm_oauth *o)
{
    return o->sessions_used + 1;
}

static bool oauth_load_head(struct tm_oauth *o, const json_t *json)
{
    const json_t *revoked = json_array_get(json, 0), *used = json_array_get(json, 1);
    if (!json_is_boolean(revoked) || !json_is_integer(used) || json_integer_value(used) < 0 ||
        json_integer_value(used) > TM_OAUTH_TOKENS_MAX)
        return false;
    o->refresh_revoked = json_is_true(revoked);
    o->sessions_used = (size_t)json_integer_value(used);
    for (size_t i = o->sessions_used; i-- > 0;) {
        o->sessions[i].next = o->free;
        o->free = &o->sessions[i];
    }
    return true;
}

static bool oauth_load_one(struct tm_oauth *o, struct oauth_session *s, const json_t *json,
                           const struct tm_now *now)
{
    const char *digest = json_string_value(json_array_get(json, 0));
    const json_t *until = json_array_get(json, 1), *refreshed = json_array_get(json, 2),
                 *user = json_array_get(json, 3); /* not in rows of before there were several */
    json_int_t number = user == NULL ? 1 : json_integer_value(user);
    struct tm_buf bytes;
    if (digest == NULL || !json_is_integer(until) || !json_is_boolean(refreshed) || number < 1 ||
        number > 1 + TM_OAUTH_USERS_MAX)
        return false;
    tm_buf_init(&bytes, TM_DIGEST_BYTES + 1);
    bool good = tm_base64_decode(&bytes, digest, strlen(digest)) && bytes.bytes == TM_DIGEST_BYTES;
    int64_t left_ms = json_integer_value(until) - oauth_real_ms(o, now->wall_ns);
    if (good && left_ms > 0 && left_ms <= o->settings.token_ns_max / TM_NS_PER_MS) {
        struct oauth_session **at = &o->free;
        while (*at != s) /* rows come in order, as they stand in this list: the first of it */
            at = &(*at)->next;
        *at = s->next;
        oauth_place(o, s, (const uint8_t *)bytes.data, now->wall_ns + left_ms * TM_NS_PER_MS,
                    (unsigned)number, json_is_true(refreshed));
    }
    tm_buf_free(&bytes);
    return good;
}

enum tm_code tm_oauth_load(struct tm_oauth *o, size_t row, const char *text,
                           const struct tm_now *now, struct tm_err *err)
{
    assert(row < tm_oauth_rows(o) && (row == 0 || !o->sessions[row - 1].open));
    json_t *json = *text != '\0' ? json_loads(text, 0, NULL) : NULL;
    bool good = *text == '\0' || (row == 0 ? oauth_load_head(o, json)
                                           : oauth_load_one(o, &o->sessions[row - 1], json, now));
    json_decref(json);
    return good ? TM_OK
                : tm_fail(err, TM_E_PROTO, "a session kept in the org's database cannot be read");
}
