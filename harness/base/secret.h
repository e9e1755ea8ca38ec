/* secret: what keeps credentials: bytes nobody can guess, comparison that tells nothing by its
 * time, SHA-256, base64, and RS256 signatures with a key or certificate of a file. in: bytes,
 * paths; out: bytes, yes or no. Adapter over GnuTLS and getrandom (secret_gnutls.c); everything but
 * random and load is pure. Owner: the caller frees keys with tm_secret_key_free. Facts: RFC 4648
 * section 5 (base64url), RFC 7518 3.3 (RS256). */
#ifndef TM_BASE_SECRET_H
#define TM_BASE_SECRET_H
#include "base/buf.h"
#include <stdbool.h>

#define TM_DIGEST_BYTES 32
#define TM_SECRET_FILE_BYTES_MAX (1u << 20) /* of a key, certificate or keystore */

/* From the system's random source; waits for it once, early at boot. */
void tm_secret_random(void *out, size_t bytes);
/* Equal bytes? The time depends on `bytes` alone. */
bool tm_secret_same(const void *a, const void *b, size_t bytes);
/* Equal texts? By their digests: the time tells nothing about where they differ. */
bool tm_secret_equal(const char *a, const char *b);
void tm_secret_digest(uint8_t out[TM_DIGEST_BYTES], const void *data, size_t bytes);
/* Overwrites, also where a compiler sees that nobody reads it again. */
void tm_secret_wipe(void *data, size_t bytes);

/* Of [A-Za-z0-9-_], without padding. */
void tm_base64url_add(struct tm_buf *out, const void *data, size_t bytes);
/* Either alphabet, with or without padding. False on any other letter or a length that no bytes
 * have; out keeps what it held before. */
bool tm_base64_decode(struct tm_buf *out, const char *text, size_t bytes);

struct tm_secret_key; /* a private key, or the public one of a certificate */
/* The RSA private key of a PKCS#12 keystore, as Java's keytool makes them, or of a PEM file, which
 * may be encrypted with the password too. TM_E_ARG names the file and what is wrong. */
enum tm_code tm_secret_key_load(struct tm_secret_key **out, const char *path, const char *password,
                                struct tm_err *err);
/* The public RSA key of a certificate in PEM or DER. */
enum tm_code tm_secret_certificate_load(struct tm_secret_key **out, const char *path,
                                        struct tm_err *err);
/* The same from memory; `what` names it in errors. */
enum tm_code tm_secret_certificate_read(struct tm_secret_key **out, const void *data, size_t bytes,
                                        const char *what, struct tm_err *err);
void tm_secret_key_free(struct tm_secret_key *key); /* NULL-safe */
/* RS256. The signature is appended to out. */
enum tm_code tm_secret_sign(const struct tm_secret_key *key, struct tm_buf *out, const void *data,
                            size_t bytes, struct tm_err *err);
bool tm_secret_verify(const struct tm_secret_key *key, const void *data, size_t bytes,
                      const void *signature, size_t signature_bytes);
#endif
