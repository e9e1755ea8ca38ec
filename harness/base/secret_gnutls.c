/* Adapter of base/secret.h. Facts: GnuTLS 3.7 manual, "Abstract key types" and "Managing encrypted
 * keys"; getrandom(2): up to 256 bytes come whole. */
#include "base/secret.h"
#include <assert.h>
#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/pkcs12.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SECRET_RANDOM_BYTES_ONCE 256u
#define SECRET_BAGS_MAX 64     /* of one keystore */
#define SECRET_ELEMENTS_MAX 64 /* of one bag */
#define SECRET_SIGNATURE_BYTES_MAX 2048u

struct tm_secret_key {
    gnutls_privkey_t private_key; /* NULL: it can only verify */
    gnutls_pubkey_t public_key;   /* NULL: it can only sign */
};

/* ---- bytes ---- */

void tm_secret_random(void *out, size_t bytes)
{
    uint8_t *to = out;
    while (bytes > 0) {
        size_t want = bytes < SECRET_RANDOM_BYTES_ONCE ? bytes : SECRET_RANDOM_BYTES_ONCE;
        ssize_t got = getrandom(to, want, 0);
        assert(got > 0 || errno == EINTR); /* a system without it is none we run on */
        if (got > 0) {
            to += got;
            bytes -= (size_t)got;
        }
    }
}

bool tm_secret_same(const void *a, const void *b, size_t bytes)
{
    return gnutls_memcmp(a, b, bytes) == 0;
}

void tm_secret_digest(uint8_t out[TM_DIGEST_BYTES], const void *data, size_t bytes)
{
    int rc = gnutls_hash_fast(GNUTLS_DIG_SHA256, data, bytes, out);
    assert(rc == 0);
    (void)rc;
}

bool tm_secret_equal(const char *a, const char *b)
{
    uint8_t digests[2][TM_DIGEST_BYTES];
    tm_secret_digest(digests[0], a, strlen(a));
    tm_secret_digest(digests[1], b, strlen(b));
    return tm_secret_same(digests[0], digests[1], TM_DIGEST_BYTES);
}

void tm_secret_wipe(void *data, size_t bytes)
{
    if (data != NULL)
        gnutls_memset(data, 0, bytes);
}

/* ---- base64 ---- */

void tm_base64url_add(struct tm_buf *out, const void *data, size_t bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const uint8_t *from = data;
    for (size_t i = 0; i < bytes; i += 3) {
        size_t left = bytes - i;
        uint32_t three = (uint32_t)from[i] << 16 | (left > 1 ? (uint32_t)from[i + 1] << 8 : 0) |
                         (left > 2 ? from[i + 2] : 0);
        for (size_t k = 0; k < (left > 2 ? 4 : left + 1); k++)
            tm_buf_addc(out, digits[three >> (18 - 6 * k) & 63]);
    }
}

static int secret_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

bool tm_base64_decode(struct tm_buf *out, const char *text, size_t bytes)
{
    size_t before = out->bytes, padding = 0;
    uint32_t bits = 0;
    int have = 0;
    while (bytes > 0 && padding < 2 && text[bytes - 1] == '=') {
        bytes--;
        padding++;
    }
    bool good = bytes % 4 != 1 && (padding == 0 || (bytes + padding) % 4 == 0);
    for (size_t i = 0; i < bytes && good; i++) {
        int digit = secret_digit(text[i]);
        good = digit >= 0;
        bits = bits << 6 | (uint32_t)(digit & 63);
        have += 6;
        if (have >= 8) {
            have -= 8;
            tm_buf_addc(out, (char)(bits >> have & 0xff));
        }
    }
    if (!good && out->data != NULL) {
        out->bytes = before;
        out->data[before] = '\0';
    }
    return good && out->failed == TM_OK;
}

/* ---- keys ---- */

void tm_secret_key_free(struct tm_secret_key *key)
{
    if (key == NULL)
        return;
    if (key->private_key != NULL)
        gnutls_privkey_deinit(key->private_key);
    if (key->public_key != NULL)
        gnutls_pubkey_deinit(key->public_key);
    free(key);
}

static enum tm_code secret_read(struct tm_buf *out, const char *path, struct tm_err *err)
{
    char chunk[4096];
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return tm_fail(err, TM_E_ARG, "cannot read %.150s: %s", path, strerror(errno));
    for (size_t got; out->failed == TM_OK && (got = fread(chunk, 1, sizeof chunk, f)) > 0;)
        tm_buf_add(out, chunk, got);
    bool broken = ferror(f) != 0;
    fclose(f);
    tm_secret_wipe(chunk, sizeof chunk);
    if (broken)
        return tm_fail(err, TM_E_ARG, "cannot read %.150s: it is no readable file", path);
    return tm_buf_check(out, path, err);
}

/* The first RSA key in one bag of a keystore, decrypted. */
static bool secret_bag_key(gnutls_pkcs12_bag_t bag, const char *password, gnutls_x509_privkey_t key)
{
    int count = gnutls_pkcs12_bag_get_count(bag);
    for (int i = 0; i < count && i < SECRET_ELEMENTS_MAX; i++) {
        gnutls_datum_t data;
        int type = gnutls_pkcs12_bag_get_type(bag, (unsigned)i);
        bool plain = type == GNUTLS_BAG_PKCS8_KEY;
        if ((plain || type == GNUTLS_BAG_PKCS8_ENCRYPTED_KEY) &&
            gnutls_pkcs12_bag_get_data(bag, (unsigned)i, &data) == 0 &&
            gnutls_x509_privkey_import_pkcs8(key, &data, GNUTLS_X509_FMT_DER, password,
                                             plain ? GNUTLS_PKCS_PLAIN : 0) == 0 &&
            gnutls_x509_privkey_get_pk_algorithm(key) == GNUTLS_PK_RSA)
            return true;
    }
    return false;
}

static bool secret_store_key(gnutls_pkcs12_t store, const char *password, gnutls_x509_privkey_t key)
{
    bool found = false;
    for (int i = 0; i < SECRET_BAGS_MAX && !found; i++) {
        gnutls_pkcs12_bag_t bag;
        if (gnutls_pkcs12_bag_init(&bag) != 0)
            return false;
        bool there = gnutls_pkcs12_get_bag(store, i, bag) == 0;
        if (there && gnutls_pkcs12_bag_get_type(bag, 0) == GNUTLS_BAG_ENCRYPTED)
            gnutls_pkcs12_bag_decrypt(bag, password);
        found = there && secret_bag_key(bag, password, key);
        gnutls_pkcs12_bag_deinit(bag);
        if (!there)
            break;
    }
    return found;
}

/* The key of a keystore or PEM file in memory. */
static enum tm_code secret_parse(gnutls_x509_privkey_t key, const gnutls_datum_t *data,
                                 const char *path, const char *password, struct tm_err *err)
{
    gnutls_pkcs12_t store = NULL;
    enum tm_code rc = TM_OK;
    if (data->size > 4 && memcmp(data->data, "\xfe\xed\xfe\xed", 4) == 0)
        return tm_fail(
            err, TM_E_ARG,
            "%.40s is a JKS keystore; convert it: keytool -importkeystore -srckeystore OLD "
            "-destkeystore NEW -deststoretype PKCS12",
            path);
    if (memmem(data->data, data->size, "-----BEGIN ", 11) != NULL) {
        if (gnutls_x509_privkey_import2(key, data, GNUTLS_X509_FMT_PEM, password, 0) != 0)
            rc = tm_fail(err, TM_E_ARG, "%.150s holds no private key that this password opens",
                         path);
        goto done;
    }
    if (gnutls_pkcs12_init(&store) != 0) {
        rc = tm_fail(err, TM_E_NOMEM, "a keystore");
        goto done;
    }
    if (gnutls_pkcs12_import(store, data, GNUTLS_X509_FMT_DER, 0) != 0)
        rc = tm_fail(err, TM_E_ARG, "%.150s is neither a PKCS#12 keystore nor a PEM private key",
                     path);
    else if (gnutls_pkcs12_verify_mac(store, password) != 0)
        rc = tm_fail(err, TM_E_ARG, "%.150s: this password does not open it", path);
    else if (!secret_store_key(store, password, key))
        rc = tm_fail(err, TM_E_ARG, "%.150s holds no RSA private key that this password opens",
                     path);
done:
    if (store != NULL)
        gnutls_pkcs12_deinit(store);
    return rc;
}

enum tm_code tm_secret_key_load(struct tm_secret_key **out, const char *path, const char *password,
                                struct tm_err *err)
{
    struct tm_buf text;
    gnutls_x509_privkey_t key = NULL;
    struct tm_secret_key *made = calloc(1, sizeof *made);
    tm_buf_init(&text, TM_SECRET_FILE_BYTES_MAX);
    enum tm_code rc =
        made != NULL ? secret_read(&text, path, err) : tm_fail(err, TM_E_NOMEM, "a private key");
    if (rc == TM_OK &&
        (gnutls_x509_privkey_init(&key) != 0 || gnutls_privkey_init(&made->private_key) != 0))
        rc = tm_fail(err, TM_E_NOMEM, "a private key");
    if (rc != TM_OK)
        goto done;
    gnutls_datum_t data = { (unsigned char *)text.data, (unsigned)text.bytes };
    rc = text.bytes > 0 ? secret_parse(key, &data, path, password != NULL ? password : "", err)
                        : tm_fail(err, TM_E_ARG, "%.150s is empty", path);
    if (rc == TM_OK && gnutls_x509_privkey_get_pk_algorithm(key) != GNUTLS_PK_RSA)
        rc = tm_fail(err, TM_E_ARG, "%.150s: Salesforce takes RSA keys only (RS256)", path);
    if (rc == TM_OK &&
        gnutls_privkey_import_x509(made->private_key, key, GNUTLS_PRIVKEY_IMPORT_COPY) != 0)
        rc = tm_fail(err, TM_E_ARG, "%.150s: the key cannot be used", path);
    if (rc == TM_OK) {
        *out = made;
        made = NULL;
    }
done:
    if (key != NULL)
        gnutls_x509_privkey_deinit(key);
    if (text.data != NULL)
        tm_secret_wipe(text.data, text.cap);
    tm_buf_free(&text);
    tm_secret_key_free(made);
    return rc;
}

enum tm_code tm_secret_certificate_read(struct tm_secret_key **out, const void *data, size_t bytes,
                                        const char *what, struct tm_err *err)
{
    gnutls_datum_t datum = { (unsigned char *)(uintptr_t)data, (unsigned)bytes };
    gnutls_x509_crt_t certificate = NULL;
    enum tm_code rc = TM_OK;
    unsigned bits;
    struct tm_secret_key *made = calloc(1, sizeof *made);
    if (made == NULL || gnutls_x509_crt_init(&certificate) != 0 ||
        gnutls_pubkey_init(&made->public_key) != 0) {
        rc = tm_fail(err, TM_E_NOMEM, "a certificate");
        goto done;
    }
    if (gnutls_x509_crt_import(certificate, &datum, GNUTLS_X509_FMT_PEM) != 0 &&
        gnutls_x509_crt_import(certificate, &datum, GNUTLS_X509_FMT_DER) != 0)
        rc = tm_fail(err, TM_E_ARG, "%.150s is no certificate in PEM or DER form", what);
    else if (gnutls_pubkey_import_x509(made->public_key, certificate, 0) != 0 ||
             gnutls_pubkey_get_pk_algorithm(made->public_key, &bits) != GNUTLS_PK_RSA)
        rc = tm_fail(err, TM_E_ARG, "%.150s: the certificate's key is not RSA (RS256 needs one)",
                     what);
    if (rc == TM_OK) {
        *out = made;
        made = NULL;
    }
done:
    if (certificate != NULL)
        gnutls_x509_crt_deinit(certificate);
    tm_secret_key_free(made);
    return rc;
}

enum tm_code tm_secret_certificate_load(struct tm_secret_key **out, const char *path,
                                        struct tm_err *err)
{
    struct tm_buf text;
    tm_buf_init(&text, TM_SECRET_FILE_BYTES_MAX);
    enum tm_code rc = secret_read(&text, path, err);
    if (rc == TM_OK)
        rc = tm_secret_certificate_read(out, tm_buf_text(&text), text.bytes, path, err);
    tm_buf_free(&text);
    return rc;
}

/* ---- signatures ---- */

enum tm_code tm_secret_sign(const struct tm_secret_key *key, struct tm_buf *out, const void *data,
                            size_t bytes, struct tm_err *err)
{
    gnutls_datum_t from = { (unsigned char *)(uintptr_t)data, (unsigned)bytes },
                   signature = { NULL, 0 };
    assert(key->private_key != NULL);
    int rc = gnutls_privkey_sign_data(key->private_key, GNUTLS_DIG_SHA256, 0, &from, &signature);
    if (rc != 0)
        return tm_fail(err, TM_E_ARG, "signing: %s", gnutls_strerror(rc));
    tm_buf_add(out, signature.data, signature.size);
    gnutls_free(signature.data);
    return tm_buf_check(out, "a signature", err);
}

bool tm_secret_verify(const struct tm_secret_key *key, const void *data, size_t bytes,
                      const void *signature, size_t signature_bytes)
{
    gnutls_datum_t from = { (unsigned char *)(uintptr_t)data, (unsigned)bytes };
    gnutls_datum_t shown = { (unsigned char *)(uintptr_t)signature, (unsigned)signature_bytes };
    assert(key->public_key != NULL);
    return signature_bytes > 0 && signature_bytes <= SECRET_SIGNATURE_BYTES_MAX &&
           gnutls_pubkey_verify_data2(key->public_key, GNUTLS_SIGN_RSA_SHA256, 0, &from, &shown) ==
               0;
}
