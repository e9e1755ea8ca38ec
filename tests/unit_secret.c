/* Secrets: base64 both ways, digests, and keys as Java's keytool and openssl write them. */
#include "base/secret.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define KEYS "tests/keys/"

static void decodes(const char *text, const char *plain)
{
    struct tm_buf out;
    tm_buf_init(&out, 100);
    tm_buf_addz(&out, "kept ");
    bool good = tm_base64_decode(&out, text, strlen(text));
    assert_int_equal(good, plain != NULL);
    assert_int_equal(strncmp(tm_buf_text(&out), "kept ", 5), 0);
    assert_string_equal(tm_buf_text(&out) + 5, plain != NULL ? plain : "");
    tm_buf_free(&out);
}

static void base64_is_read_in_both_alphabets_padded_or_not(void **state)
{
    (void)state;
    decodes("", "");
    decodes("Zg==", "f");
    decodes("Zg", "f");
    decodes("Zm8=", "fo");
    decodes("Zm9v", "foo");
    decodes("Zm9vYmFy", "foobar");
    decodes("w7_Dvw", "\xc3\xbf\xc3\xbf");
    decodes("w7/Dvw==", "\xc3\xbf\xc3\xbf");
    decodes("Zm9vY", NULL); /* no bytes have five letters */
    decodes("Zm9v=", NULL);
    decodes("Zg=", NULL);
    decodes("=", NULL);
    decodes("Zg==Zg==", NULL);
    decodes("Zm 9v", NULL);
    decodes("Zm9v\xff", NULL);
}

static void base64url_of_every_length_comes_back(void **state)
{
    uint8_t bytes[64];
    (void)state;
    for (size_t n = 0; n < sizeof bytes; n++) {
        struct tm_buf text, back;
        tm_buf_init(&text, 200);
        tm_buf_init(&back, 200);
        bytes[n] = (uint8_t)(n * 37 + 200);
        tm_base64url_add(&text, bytes, n + 1);
        assert_null(strpbrk(tm_buf_text(&text), "+/="));
        assert_true(tm_base64_decode(&back, tm_buf_text(&text), text.bytes));
        assert_int_equal(back.bytes, n + 1);
        assert_memory_equal(back.data, bytes, n + 1);
        tm_buf_free(&text);
        tm_buf_free(&back);
    }
}

static void a_digest_is_sha256(void **state)
{
    uint8_t digest[TM_DIGEST_BYTES];
    (void)state;
    tm_secret_digest(digest, "abc", 3); /* FIPS 180-2, B.1 */
    assert_memory_equal(digest,
                        "\xba\x78\x16\xbf\x8f\x01\xcf\xea\x41\x41\x40\xde\x5d\xae\x22\x23"
                        "\xb0\x03\x61\xa3\x96\x17\x7a\x9c\xb4\x10\xff\x61\xf2\x00\x15\xad",
                        TM_DIGEST_BYTES);
}

static void equal_texts_are_equal_and_no_others(void **state)
{
    (void)state;
    assert_true(tm_secret_equal("", ""));
    assert_true(tm_secret_equal("secret", "secret"));
    assert_false(tm_secret_equal("secret", "secret "));
    assert_false(tm_secret_equal("secret", "secreT"));
    assert_false(tm_secret_equal("secret", ""));
    assert_false(tm_secret_equal("secretsecret", "secret"));
}

static void random_bytes_fill_all_of_it_and_differ(void **state)
{
    uint8_t a[600] = { 0 }, b[600] = { 0 };
    size_t zero = 0;
    (void)state;
    tm_secret_random(a, sizeof a);
    tm_secret_random(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    for (size_t i = 0; i < sizeof a; i++)
        zero += a[i] == 0;
    assert_true(zero < 60);
    assert_memory_not_equal(a + 560, b + 560, 40);
}

/* What the key of a file signs, the certificate beside it verifies, and nothing else. */
static void signs(const char *path, const char *password)
{
    struct tm_secret_key *key = NULL, *certificate = NULL;
    struct tm_buf signature;
    struct tm_err err = { .code = TM_OK };
    tm_buf_init(&signature, 1000);
    if (tm_secret_key_load(&key, path, password, &err) != TM_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(tm_secret_certificate_load(&certificate, KEYS "jwt.crt", &err), TM_OK);
    assert_int_equal(tm_secret_sign(key, &signature, "words", 5, &err), TM_OK);
    assert_int_equal(signature.bytes, 256);
    assert_true(tm_secret_verify(certificate, "words", 5, signature.data, signature.bytes));
    assert_false(tm_secret_verify(certificate, "worse", 5, signature.data, signature.bytes));
    assert_false(tm_secret_verify(certificate, "words", 5, signature.data, 255));
    assert_false(tm_secret_verify(certificate, "words", 5, "", 0));
    signature.data[100] ^= 1;
    assert_false(tm_secret_verify(certificate, "words", 5, signature.data, signature.bytes));
    tm_buf_free(&signature);
    tm_secret_key_free(key);
    tm_secret_key_free(certificate);
}

static void a_keystore_of_java_and_a_pem_key_sign_for_their_certificate(void **state)
{
    (void)state;
    signs(KEYS "jwt.p12", "changeit");
    signs(KEYS "jwt.key", NULL);
}

static void refuses_key(const char *name, const char *password, const char *words)
{
    struct tm_secret_key *key = NULL;
    struct tm_err err = { .code = TM_OK };
    char path[100];
    snprintf(path, sizeof path, KEYS "%s", name);
    assert_int_equal(tm_secret_key_load(&key, path, password, &err), TM_E_ARG);
    assert_null(key);
    assert_non_null(strstr(err.msg, words));
    assert_non_null(strstr(err.msg, name));
    assert_null(strstr(err.msg, "changeit"));
}

static void what_is_no_usable_key_is_refused_by_name_and_reason(void **state)
{
    struct tm_secret_key *certificate = NULL;
    struct tm_err err = { .code = TM_OK };
    (void)state;
    refuses_key("jwt.p12", "changeit?", "password does not open it");
    refuses_key("jwt.p12", NULL, "password does not open it");
    refuses_key("none.p12", "x", "No such file");
    refuses_key("old.jks", "changeit", "-deststoretype PKCS12");
    refuses_key("jwt.crt", "changeit", "no private key");
    refuses_key("ec.key", NULL, "RSA keys only");
    refuses_key("README.md", NULL, "neither a PKCS#12 keystore nor a PEM");
    refuses_key("", NULL, "no readable file");
    assert_int_equal(tm_secret_certificate_load(&certificate, KEYS "ec.crt", &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "not RSA"));
    tm_err_clear(&err);
    assert_int_equal(tm_secret_certificate_load(&certificate, KEYS "jwt.key", &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "no certificate"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_is_read_in_both_alphabets_padded_or_not),
        cmocka_unit_test(base64url_of_every_length_comes_back),
        cmocka_unit_test(a_digest_is_sha256),
        cmocka_unit_test(equal_texts_are_equal_and_no_others),
        cmocka_unit_test(random_bytes_fill_all_of_it_and_differ),
        cmocka_unit_test(a_keystore_of_java_and_a_pem_key_sign_for_their_certificate),
        cmocka_unit_test(what_is_no_usable_key_is_refused_by_name_and_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
