/* support_wire: raw HTTP over loopback, for tests that must see every byte. in: requests as text;
 * out: what came back, whole or cut. One connection a request unless the test holds it open itself.
 * Failures of the network fail the test. Owner: the test, by init and free. */
#ifndef TM_TESTS_SUPPORT_WIRE_H
#define TM_TESTS_SUPPORT_WIRE_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct tm_wire {
    int port;
    char token[200]; /* sent as a Bearer, unless empty */
    char *raw;       /* the last answer: head and body, terminated */
    size_t bytes;
    bool closed; /* the server ended the connection before the answer was whole */
};
void tm_wire_init(struct tm_wire *w, const char *url); /* "http://127.0.0.1:port" */
void tm_wire_free(struct tm_wire *w);
/* Signs in by client credentials. */
void tm_wire_sign_in(struct tm_wire *w);
/* Status; 0 = the connection ended without one. more: further header lines, each with its CRLF, or
 * NULL; a Content-Type among them replaces application/json. */
int tm_wire_ask(struct tm_wire *w, const char *method, const char *target, const char *more,
                const char *body);
/* The same in two halves, so that several are under way; fd is closed by take. */
int tm_wire_send(struct tm_wire *w, const char *method, const char *target, const char *more,
                 const char *body);
int tm_wire_take(struct tm_wire *w, int fd);
/* A request of the test's own making, every byte of it. */
int tm_wire_bytes(struct tm_wire *w, const char *bytes);
const char *tm_wire_body(const struct tm_wire *w);
/* The header's value in out, "" when absent; out. */
const char *tm_wire_header(const struct tm_wire *w, const char *name, char out[512]);
json_t *tm_wire_json(const struct tm_wire *w); /* new reference; NULL when it is none */
#endif
