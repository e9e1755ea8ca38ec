/* Who is signed in: the identity URL and OpenID's userinfo. What is refused is refused in one word
 * of plain text, as the identity service does (Bad_OAuth_Token, Missing_OAuth_Token, Wrong_Org,
 * Bad_Id: Salesforce Help, "Identity URLs", read 2026-11-30 in clients that match it). */
#include "base/text.h"
#include "mocks/salesforce/oauth_impl.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define IDENTITY_MODIFIED_MS 1704067200000LL /* when somebody last touched the user */

static void identity_word(struct tm_mock_response *out, int status, const char *word)
{
    tm_mock_answer(out, status, "text/plain;charset=UTF-8", word);
}

/* "/id/ORG/USER", ids of 15 or 18 characters: NULL when they are this org's user's. */
static const char *identity_wrong(const struct tm_oauth *o, const char *path)
{
    char ids[2][TM_ID_BYTES];
    const char *at = path + strlen("/id");
    for (int i = 0; i < 2; i++) {
        char id[TM_ID_BYTES];
        size_t bytes = *at == '/' ? strcspn(at + 1, "/") : sizeof id;
        if (bytes >= sizeof id)
            return "Bad_Id";
        memcpy(id, at + 1, bytes);
        id[bytes] = '\0';
        if (tm_id18(ids[i], id, NULL) != TM_OK)
            return "Bad_Id";
        at += 1 + bytes;
    }
    if (*at != '\0' && strcmp(at, "/") != 0)
        return "Bad_Id";
    if (strcmp(ids[0], o->settings.org_id) != 0)
        return "Wrong_Org";
    return strcmp(ids[1], o->settings.user_id) == 0 ? NULL : "Bad_Id";
}

/* The word stays "{version}" unless the client named one. */
static json_t *identity_urls(const struct tm_oauth *o, const struct tm_mock_request *r,
                             const char *base)
{
    static const char *const names[][2] = {
        { "enterprise", "/services/Soap/c/" }, { "metadata", "/services/Soap/m/" },
        { "partner", "/services/Soap/u/" },    { "rest", "/services/data/v" },
        { "sobjects", "/services/data/v" },    { "search", "/services/data/v" },
        { "query", "/services/data/v" },       { "recent", "/services/data/v" },
    };
    static const char *const tails[] = { "/",          "/",        "/",       "/",
                                         "/sobjects/", "/search/", "/query/", "/recent/" };
    const char *version = tm_mock_query(r, "version");
    json_t *urls = json_object();
    if (version == NULL || strlen(version) > 8 || version[strspn(version, "0123456789.")] != '\0')
        version = "{version}";
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        json_object_set_new(urls, names[i][0],
                            json_sprintf("%s%s%s%s%.*s", base, names[i][1], version, tails[i],
                                         i < 3 ? 15 : 0, o->settings.org_id));
    json_object_set_new(urls, "profile", json_sprintf("%s/%s", base, o->settings.user_id));
    return urls;
}

static json_t *identity_json(const struct tm_oauth *o, const struct tm_mock_request *r,
                             const char *base, bool userinfo)
{
    const struct tm_oauth_settings *s = &o->settings;
    char modified[TM_TIME_BYTES];
    json_t *j = json_pack(
        "{s:o,s:s,s:s,s:s,s:s,s:b,s:b,s:s,s:s,s:s,s:i,s:o}", userinfo ? "sub" : "id",
        json_sprintf("%s/id/%s/%s", base, s->org_id, s->user_id), "user_id", s->user_id,
        "organization_id", s->org_id, userinfo ? "preferred_username" : "username", s->username,
        "email", s->username, "email_verified", 1, "active", 1, "user_type", "STANDARD", "language",
        "en_US", "locale", "en_US", "utcOffset", 0, "urls", identity_urls(o, r, base));
    json_object_set_new(j, userinfo ? "nickname" : "nick_name", json_string("integration"));
    json_object_set_new(j, userinfo ? "name" : "display_name", json_string("Integration User"));
    json_object_set_new(j, userinfo ? "given_name" : "first_name", json_string("Integration"));
    json_object_set_new(j, userinfo ? "family_name" : "last_name", json_string("User"));
    json_object_set_new(j, userinfo ? "zoneinfo" : "timezone", json_string("Etc/UTC"));
    json_object_set_new(j, userinfo ? "updated_at" : "last_modified_date",
                        json_string(tm_time_rest(modified, IDENTITY_MODIFIED_MS)));
    if (!userinfo) {
        json_object_set_new(j, "asserted_user", json_true());
        json_object_set_new(j, "is_app_installed", json_true());
    }
    return j;
}

void tm_oauth_identity(const struct tm_oauth *o, const struct tm_mock_request *r,
                       const char *base_url, struct tm_mock_response *out)
{
    bool userinfo = strncmp(r->path, "/services/oauth2/userinfo", 25) == 0;
    enum tm_oauth_verdict verdict = tm_oauth_check(o, r);
    struct tm_mock_pairs form = { 0 };
    if (verdict == TM_OAUTH_MISSING && r->body != NULL && /* POST with the token in a form */
        tm_mock_pairs_parse(&form, r->body, r->body_bytes, NULL) == TM_OK) {
        const char *token = tm_mock_pairs_get(&form, userinfo ? "access_token" : "oauth_token");
        if (token != NULL)
            verdict = tm_oauth_good(o, token, &r->now) ? TM_OAUTH_GOOD : TM_OAUTH_BAD;
    }
    tm_mock_pairs_free(&form);
    const char *wrong = userinfo ? NULL : identity_wrong(o, r->path);
    if (verdict != TM_OAUTH_GOOD) {
        identity_word(out, 403,
                      verdict == TM_OAUTH_MISSING ? "Missing_OAuth_Token" : "Bad_OAuth_Token");
    } else if (wrong != NULL) {
        identity_word(out, strcmp(wrong, "Wrong_Org") == 0 ? 403 : 404, wrong);
    } else {
        json_t *json = identity_json(o, r, base_url, userinfo);
        char *text = json_dumps(json, JSON_COMPACT);
        tm_mock_answer(out, 200, "application/json;charset=UTF-8", text != NULL ? text : "{}");
        free(text);
        json_decref(json);
    }
}
