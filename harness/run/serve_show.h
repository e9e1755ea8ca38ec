/* serve_show: what `tidemark serve` prints: its address, credentials, and examples that work when
 * they are pasted into a shell: curl, a Python client, a connector config. in: facts; out: text.
 * Values are quoted for where they stand. Pure. */
#ifndef TM_RUN_SERVE_SHOW_H
#define TM_RUN_SERVE_SHOW_H
#include "base/buf.h"
#include <jansson.h>
#include <stdbool.h>

#define TM_SERVE_TEXT_BYTES_MAX (64u << 10)
struct tm_serve_facts {
    const char *url; /* "http://127.0.0.1:8080" */
    const char *username, *password, *password_token, *consumer_key, *consumer_secret;
    const char *refresh_token;
    const char *jwt_certificate; /* path; NULL = none */
    const char *org_path;        /* NULL = in memory */
    const char *ca_path;         /* absolute; NULL = plain HTTP */
    const char *object;          /* one that the org has, for the examples */
    bool loopback;               /* it listens where only this machine reaches it */
};
/* The first line is the URL alone: programs read it. */
void tm_serve_show(struct tm_buf *out, const struct tm_serve_facts *f);
/* The same facts as one object, of which what is NULL is left out. The caller owns it. */
json_t *tm_serve_json(const struct tm_serve_facts *f);
#endif
