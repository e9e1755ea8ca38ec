#include "mocks/http/tls.h"
#include "base/buf.h"
#include "base/clock.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TLS_DAY_S 86400
#define TLS_CA_DAYS 3650
#define TLS_SERVER_DAYS 397 /* more is refused by some clients */
#define TLS_SERIAL_BYTES 16
#define TLS_FILE_BYTES_MAX 65536
#define TLS_PATH_BYTES_MAX 1024

struct tm_tls {
    gnutls_x509_crt_t ca;
    gnutls_x509_privkey_t ca_key;
    struct tm_buf chain, key;
};

static enum tm_code tls_failed(struct tm_err *err, const char *what, int rc)
{
    return tm_fail(err, TM_E_IO, "%s: %s", what, gnutls_strerror(rc));
}

/* ---- files ---- */

/* TM_OK with nothing in `out` when there is no such file. */
static enum tm_code tls_read(struct tm_buf *out, const char *path, struct tm_err *err)
{
    char chunk[4096];
    FILE *f = fopen(path, "rb");
    if (f == NULL && errno == ENOENT)
        return TM_OK;
    if (f == NULL)
        return tm_fail(err, TM_E_ARG, "cannot read %.100s: %s", path, strerror(errno));
    for (size_t got; out->failed == TM_OK && (got = fread(chunk, 1, sizeof chunk, f)) > 0;)
        tm_buf_add(out, chunk, got);
    fclose(f);
    return tm_buf_check(out, path, err);
}

/* Whole or not at all. */
static enum tm_code tls_write(const char *path, mode_t mode, const gnutls_datum_t *data,
                              struct tm_err *err)
{
    char fresh[TLS_PATH_BYTES_MAX];
    if (snprintf(fresh, sizeof fresh, "%s.new", path) >= (int)sizeof fresh)
        return tm_fail(err, TM_E_ARG, "%.100s…: the path is too long", path);
    unlink(fresh);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    bool good =
        fd >= 0 && write(fd, data->data, data->size) == (ssize_t)data->size && fsync(fd) == 0;
    int why = errno;
    if (fd >= 0 && close(fd) != 0 && good) {
        good = false;
        why = errno;
    }
    if (good && rename(fresh, path) != 0) {
        good = false;
        why = errno;
    }
    if (!good)
        unlink(fresh);
    return good ? TM_OK : tm_fail(err, TM_E_ARG, "cannot write %.100s: %s", path, strerror(why));
}

/* ---- certificates ---- */

static int tls_new_key(gnutls_x509_privkey_t *out)
{
    int rc = gnutls_x509_privkey_init(out);
    return rc != 0
               ? rc
               : gnutls_x509_privkey_generate(*out, GNUTLS_PK_ECDSA,
                                              GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
}

/* What an authority's and a server's certificate have in common. */
static int tls_new_certificate(gnutls_x509_crt_t *out, gnutls_x509_privkey_t key, const char *name,
                               int days)
{
    uint8_t serial[TLS_SERIAL_BYTES], key_id[64];
    size_t key_id_bytes = sizeof key_id;
    time_t now = (time_t)(tm_clock_realtime_ns() / TM_NS_PER_S);
    int rc = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof serial);
    serial[0] &= 0x7f; /* a positive number */
    serial[0] |= 0x40;
    if (rc == 0)
        rc = gnutls_x509_crt_init(out);
    if (rc == 0)
        rc = gnutls_x509_crt_set_version(*out, 3);
    if (rc == 0)
        rc = gnutls_x509_crt_set_serial(*out, serial, sizeof serial);
    if (rc == 0) /* a client's clock may be behind */
        rc = gnutls_x509_crt_set_activation_time(*out, now - TLS_DAY_S);
    if (rc == 0)
        rc = gnutls_x509_crt_set_expiration_time(*out, now + (time_t)days * TLS_DAY_S);
    if (rc == 0)
        rc = gnutls_x509_crt_set_dn_by_oid(*out, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                           (unsigned)strlen(name));
    if (rc == 0)
        rc = gnutls_x509_crt_set_key(*out, key);
    if (rc == 0)
        rc = gnutls_x509_crt_get_key_id(*out, GNUTLS_KEYID_USE_SHA1, key_id, &key_id_bytes);
    if (rc == 0)
        rc = gnutls_x509_crt_set_subject_key_id(*out, key_id, key_id_bytes);
    return rc;
}

static enum tm_code tls_make_ca(struct tm_tls *t, const char *ca_path, const char *key_path,
                                struct tm_err *err)
{
    gnutls_datum_t certificate = { NULL, 0 }, key = { NULL, 0 };
    enum tm_code written = TM_OK;
    int rc = tls_new_key(&t->ca_key);
    if (rc == 0)
        rc = tls_new_certificate(&t->ca, t->ca_key, "tidemark private CA", TLS_CA_DAYS);
    if (rc == 0)
        rc = gnutls_x509_crt_set_basic_constraints(t->ca, 1, 0);
    if (rc == 0)
        rc = gnutls_x509_crt_set_key_usage(t->ca, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN);
    if (rc == 0)
        rc = gnutls_x509_crt_sign2(t->ca, t->ca, t->ca_key, GNUTLS_DIG_SHA256, 0);
    if (rc == 0)
        rc = gnutls_x509_crt_export2(t->ca, GNUTLS_X509_FMT_PEM, &certificate);
    if (rc == 0)
        rc = gnutls_x509_privkey_export2_pkcs8(t->ca_key, GNUTLS_X509_FMT_PEM, NULL,
                                               GNUTLS_PKCS_PLAIN, &key);
    if (rc == 0) /* the key first: a certificate without its key is made anew */
        written = tls_write(key_path, 0600, &key, err);
    if (rc == 0 && written == TM_OK)
        written = tls_write(ca_path, 0644, &certificate, err);
    if (key.data != NULL)
        gnutls_memset(key.data, 0, key.size);
    gnutls_free(key.data);
    gnutls_free(certificate.data);
    return rc != 0 ? tls_failed(err, "making a certificate authority", rc) : written;
}

static enum tm_code tls_take_ca(struct tm_tls *t, const struct tm_buf *certificate,
                                const struct tm_buf *key, const char *ca_path, const char *key_path,
                                struct tm_err *err)
{
    gnutls_datum_t crt_data = { (unsigned char *)certificate->data, (unsigned)certificate->bytes };
    gnutls_datum_t key_data = { (unsigned char *)key->data, (unsigned)key->bytes };
    uint8_t ids[2][64];
    size_t bytes[2] = { sizeof ids[0], sizeof ids[1] };
    if (gnutls_x509_crt_init(&t->ca) != 0 || gnutls_x509_privkey_init(&t->ca_key) != 0)
        return tm_fail(err, TM_E_NOMEM, "a certificate authority");
    if (gnutls_x509_crt_import(t->ca, &crt_data, GNUTLS_X509_FMT_PEM) != 0)
        return tm_fail(err, TM_E_ARG, "%.100s is no certificate; remove it for a new one", ca_path);
    if (gnutls_x509_privkey_import2(t->ca_key, &key_data, GNUTLS_X509_FMT_PEM, NULL, 0) != 0)
        return tm_fail(err, TM_E_ARG, "%.100s is no private key; remove it for a new one",
                       key_path);
    if (gnutls_x509_crt_get_key_id(t->ca, 0, ids[0], &bytes[0]) != 0 ||
        gnutls_x509_privkey_get_key_id(t->ca_key, 0, ids[1], &bytes[1]) != 0 ||
        bytes[0] != bytes[1] || memcmp(ids[0], ids[1], bytes[0]) != 0)
        return tm_fail(err, TM_E_ARG, "%.60s does not belong to %.60s; remove both for new ones",
                       key_path, ca_path);
    if (gnutls_x509_crt_get_expiration_time(t->ca) <
        (time_t)(tm_clock_realtime_ns() / TM_NS_PER_S) + TLS_DAY_S)
        return tm_fail(err, TM_E_ARG, "the time of %.100s is over; remove it for a new one",
                       ca_path);
    return TM_OK;
}

static enum tm_code tls_find_ca(struct tm_tls *t, const char *ca_path, const char *key_path,
                                struct tm_err *err)
{
    struct tm_buf certificate, key;
    tm_buf_init(&certificate, TLS_FILE_BYTES_MAX);
    tm_buf_init(&key, TLS_FILE_BYTES_MAX);
    enum tm_code rc = tls_read(&certificate, ca_path, err);
    if (rc == TM_OK)
        rc = tls_read(&key, key_path, err);
    if (rc == TM_OK && certificate.bytes > 0 && key.bytes > 0)
        rc = tls_take_ca(t, &certificate, &key, ca_path, key_path, err);
    else if (rc == TM_OK)
        rc = tls_make_ca(t, ca_path, key_path, err);
    if (key.data != NULL)
        gnutls_memset(key.data, 0, key.cap);
    tm_buf_free(&key);
    tm_buf_free(&certificate);
    return rc;
}

/* ---- the server's ---- */

static int tls_add_name(gnutls_x509_crt_t crt, const char *name)
{
    uint8_t address[16];
    unsigned bytes = inet_pton(AF_INET, name, address) == 1    ? 4
                     : inet_pton(AF_INET6, name, address) == 1 ? 16
                                                               : 0;
    if (bytes > 0)
        return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, address, bytes,
                                                    GNUTLS_FSAN_APPEND);
    return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, name,
                                                (unsigned)strlen(name), GNUTLS_FSAN_APPEND);
}

static bool tls_name_good(const char *name)
{
    const char *from = strncmp(name, "*.", 2) == 0 ? name + 2 : name;
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_:";
    return *from != '\0' && strlen(name) < 254 && from[strspn(from, letters)] == '\0';
}

static void tls_add_pem(struct tm_buf *out, gnutls_datum_t *pem)
{
    tm_buf_add(out, pem->data, pem->size);
    gnutls_free(pem->data);
    pem->data = NULL;
}

static int tls_sign_server(struct tm_tls *t, gnutls_x509_crt_t crt)
{
    uint8_t key_id[64];
    size_t key_id_bytes = sizeof key_id;
    gnutls_datum_t pem = { NULL, 0 };
    int rc = gnutls_x509_crt_set_basic_constraints(crt, 0, -1);
    if (rc == 0)
        rc = gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE);
    if (rc == 0)
        rc = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
    if (rc == 0)
        rc = gnutls_x509_crt_get_subject_key_id(t->ca, key_id, &key_id_bytes, NULL);
    if (rc == 0)
        rc = gnutls_x509_crt_set_authority_key_id(crt, key_id, key_id_bytes);
    if (rc == 0)
        rc = gnutls_x509_crt_sign2(crt, t->ca, t->ca_key, GNUTLS_DIG_SHA256, 0);
    if (rc == 0 && (rc = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem)) == 0)
        tls_add_pem(&t->chain, &pem);
    if (rc == 0 && (rc = gnutls_x509_crt_export2(t->ca, GNUTLS_X509_FMT_PEM, &pem)) == 0)
        tls_add_pem(&t->chain, &pem);
    return rc;
}

static enum tm_code tls_make_server(struct tm_tls *t, const char *const *names, size_t names_count,
                                    struct tm_err *err)
{
    gnutls_x509_privkey_t key = NULL;
    gnutls_x509_crt_t crt = NULL;
    gnutls_datum_t pem = { NULL, 0 };
    enum tm_code code = TM_OK;
    int rc = tls_new_key(&key);
    if (rc == 0)
        rc = tls_new_certificate(&crt, key, "tidemark serve", TLS_SERVER_DAYS);
    for (size_t i = 0; i < names_count && rc == 0 && code == TM_OK; i++)
        if (tls_name_good(names[i]))
            rc = tls_add_name(crt, names[i]);
        else
            code = tm_fail(err, TM_E_ARG, "\"%.100s\" is no host name or IP address", names[i]);
    if (rc == 0 && code == TM_OK)
        rc = tls_sign_server(t, crt);
    if (rc == 0 && code == TM_OK &&
        (rc = gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN,
                                                &pem)) == 0)
        tls_add_pem(&t->key, &pem);
    if (rc != 0)
        code = tls_failed(err, "making the server's certificate", rc);
    if (code == TM_OK)
        code = tm_buf_check(&t->chain, "certificates", err);
    if (code == TM_OK)
        code = tm_buf_check(&t->key, "a key", err);
    if (crt != NULL)
        gnutls_x509_crt_deinit(crt);
    if (key != NULL)
        gnutls_x509_privkey_deinit(key);
    return code;
}

enum tm_code tm_tls_open(struct tm_tls **out, const char *ca_path, const char *key_path,
                         const char *const *names, size_t names_count, struct tm_err *err)
{
    struct tm_tls *t = calloc(1, sizeof *t);
    if (t == NULL)
        return tm_fail(err, TM_E_NOMEM, "a certificate authority");
    tm_buf_init(&t->chain, TLS_FILE_BYTES_MAX);
    tm_buf_init(&t->key, TLS_FILE_BYTES_MAX);
    enum tm_code rc =
        names_count <= TM_TLS_NAMES_MAX
            ? tls_find_ca(t, ca_path, key_path, err)
            : tm_fail(err, TM_E_ARG, "more than %d names for one server", TM_TLS_NAMES_MAX);
    if (rc == TM_OK)
        rc = tls_make_server(t, names, names_count, err);
    if (rc == TM_OK)
        *out = t;
    else
        tm_tls_close(t);
    return rc;
}

void tm_tls_close(struct tm_tls *t)
{
    if (t == NULL)
        return;
    if (t->ca != NULL)
        gnutls_x509_crt_deinit(t->ca);
    if (t->ca_key != NULL)
        gnutls_x509_privkey_deinit(t->ca_key);
    if (t->key.data != NULL)
        gnutls_memset(t->key.data, 0, t->key.cap);
    tm_buf_free(&t->key);
    tm_buf_free(&t->chain);
    free(t);
}

const char *tm_tls_chain(const struct tm_tls *t)
{
    return tm_buf_text(&t->chain);
}
const char *tm_tls_key(const struct tm_tls *t)
{
    return tm_buf_text(&t->key);
}
