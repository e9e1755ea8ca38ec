/* sign_in: what a sign-in needs and what it sends. in: config keys, a key of a keystore, the
 * instant; out: checked settings, the form for /services/oauth2/token. Pure but for the keystore,
 * which is read once. Facts: connectors.md 1.1 (keys), salesforce-wire.md 1.2 (grants; JWT bearer:
 * iss = consumer key, sub = username, aud = login URL, RS256). */
#ifndef TM_SALESFORCE_SIGN_IN_H
#define TM_SALESFORCE_SIGN_IN_H
#include "base/config.h"
#include "base/secret.h"
#include "salesforce/session.h"

/* The keys of a station's config that say how to sign in: part of its table of keys. */
#define TM_SF_KEYS                                                                                 \
    {                                                                                              \
        "salesforce.instance",                                                                     \
        TM_KEY_TEXT,                                                                               \
        0,                                                                                         \
        "https://login.salesforce.com",                                                            \
        0,                                                                                         \
        0,                                                                                         \
        NULL,                                                                                      \
        "login URL"                                                                                \
    },                                                                                             \
        { "salesforce.username",                                                                   \
          TM_KEY_TEXT,                                                                             \
          0,                                                                                       \
          NULL,                                                                                    \
          0,                                                                                       \
          0,                                                                                       \
          NULL,                                                                                    \
          "user with View All Data; PASSWORD and JWT_BEARER" },                                    \
        { "salesforce.password", TM_KEY_TEXT, TM_KEY_SECRET, NULL, 0, 0, NULL, "its password" },   \
        { "salesforce.password.token",                                                             \
          TM_KEY_TEXT,                                                                             \
          TM_KEY_SECRET,                                                                           \
          NULL,                                                                                    \
          0,                                                                                       \
          0,                                                                                       \
          NULL,                                                                                    \
          "security token, put behind the password" },                                             \
        { "salesforce.consumer.key", TM_KEY_TEXT, TM_KEY_REQUIRED, NULL, 0, 0, NULL,               \
          "of the connected app" },                                                                \
        { "salesforce.consumer.secret", TM_KEY_TEXT, TM_KEY_SECRET, NULL, 0, 0, NULL,              \
          "of the connected app" },                                                                \
        { "salesforce.grant.type",                                                                 \
          TM_KEY_TEXT,                                                                             \
          0,                                                                                       \
          "PASSWORD",                                                                              \
          0,                                                                                       \
          0,                                                                                       \
          "PASSWORD|CLIENT_CREDENTIALS|JWT_BEARER",                                                \
          "sign-in flow" },                                                                        \
        { "salesforce.jwt.keystore.path",                                                          \
          TM_KEY_TEXT,                                                                             \
          0,                                                                                       \
          NULL,                                                                                    \
          0,                                                                                       \
          0,                                                                                       \
          NULL,                                                                                    \
          "PKCS#12 keystore or PEM key that signs, JWT_BEARER" },                                  \
        { "salesforce.jwt.keystore.password",                                                      \
          TM_KEY_TEXT,                                                                             \
          TM_KEY_SECRET,                                                                           \
          NULL,                                                                                    \
          0,                                                                                       \
          0,                                                                                       \
          NULL,                                                                                    \
          "opens it" },                                                                            \
    {                                                                                              \
        "salesforce.version", TM_KEY_TEXT, 0, "latest", 0, 0, NULL, "API version, latest or 59.0"  \
    }

/* Fills everything these keys say and the two retry times; the rest is left as it is. url NULL =
 * the config's. Texts are the config's. */
void tm_sf_settings_read(struct tm_sf_settings *out, const struct tm_config *config,
                         const char *url);
/* TM_E_ARG names the key that is missing or wrong. */
enum tm_code tm_sf_settings_check(const struct tm_sf_settings *set, struct tm_err *err);
/* The form of the sign-in; key: of the keystore, for JWT_BEARER alone. The caller wipes it. */
enum tm_code tm_sf_sign_in_form(struct tm_buf *out, const struct tm_sf_settings *set,
                                const struct tm_secret_key *key, const struct tm_now *now,
                                struct tm_err *err);
#endif
