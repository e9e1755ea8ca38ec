/* err: one error struct for the whole program: first cause wins, context grows on the way up.
 * in: the cause at the place it is found; out: code, retriable flag, cause, "outer: inner" context.
 * Caller-owned and fixed size, so that running out of memory can be told. Pure: no I/O, heap,
 * clock. */
#ifndef TM_BASE_ERR_H
#define TM_BASE_ERR_H
#include <stdbool.h>
#include <stddef.h>

enum tm_code {
    TM_OK = 0,
    TM_E_AGAIN, /* not an error: nothing to do yet, step me again; *err is untouched */
    TM_E_ARG,   /* a caller's or user's mistake: config, request, usage (exit 64) */
    TM_E_NOMEM,
    TM_E_LIMIT,   /* a named maximum was reached; state unchanged */
    TM_E_IO,      /* the operating system, SQLite, the network */
    TM_E_PROTO,   /* a peer answered something its protocol does not allow, or an error */
    TM_E_GAP,     /* data that should be there is not: loss, never silent */
    TM_E_MISMATCH /* stored state belongs to another cluster, org or boot */
};
struct tm_err {
    enum tm_code code;
    bool retriable; /* set by the caller of tm_fail when trying again may help */
    char msg[320];  /* the cause */
    char ctx[320];  /* "outer: inner"; empty when nobody added any */
};
void tm_err_clear(struct tm_err *err);
/* At the cause. Records the first cause only; returns `code` always. `err` may be NULL. */
enum tm_code(tm_fail)(struct tm_err *err, enum tm_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* As tm_fail, and marks the error as one that trying again may cure. */
enum tm_code(tm_fail_retry)(struct tm_err *err, enum tm_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
#ifdef __clang_analyzer__ /* the analyzer does not see that what is returned is `code` */
#define tm_fail(err, code, ...) ((void)(tm_fail)(err, code, __VA_ARGS__), (code))
#define tm_fail_retry(err, code, ...) ((void)(tm_fail_retry)(err, code, __VA_ARGS__), (code))
#endif
/* On the way up: puts "fmt: " before the context; returns err->code. */
enum tm_code tm_at(struct tm_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "ctx: msg" into `out`, always terminated; returns out. */
const char *tm_err_text(const struct tm_err *err, char *out, size_t out_bytes);
const char *tm_code_name(enum tm_code code);
/* Exit code: 0; 64 usage, configuration; 2 the outside failed (network, peer,
 * file: inconclusive); 70 our own fault (out of memory, a limit of ours). */
int tm_err_exit(const struct tm_err *err);
#endif
