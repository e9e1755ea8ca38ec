/* The private authority: made once, kept, and what it signs says the names it was given. */
#include "mocks/http/server.h"
#include "mocks/http/tls.h"
#include "tests/support_folder.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char ca[300], key[300];

static int fresh(void **state)
{
    (void)state;
    snprintf(ca, sizeof ca, "%s", folder_path("ca.pem"));
    snprintf(key, sizeof key, "%s", folder_path("ca.key"));
    unlink(ca);
    unlink(key);
    return 0;
}

static void read_file(char *out, size_t out_bytes, const char *path)
{
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    out[fread(out, 1, out_bytes - 1, f)] = '\0';
    fclose(f);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static const char *const names[] = { "localhost", "*.example.test", "127.0.0.1", "::1" };

static void an_authority_is_made_once_and_the_servers_certificate_each_time(void **state)
{
    struct tm_tls *a = NULL, *b = NULL;
    char first[4096], second[4096];
    struct stat s;
    (void)state;
    assert_int_equal(tm_tls_open(&a, ca, key, names, 4, NULL), TM_OK);
    read_file(first, sizeof first, ca);
    assert_int_equal(stat(key, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0600);
    assert_int_equal(tm_tls_open(&b, ca, key, names, 4, NULL), TM_OK);
    read_file(second, sizeof second, ca);
    assert_string_equal(first, second);
    assert_string_not_equal(tm_tls_chain(a), tm_tls_chain(b));
    assert_string_not_equal(tm_tls_key(a), tm_tls_key(b));
    assert_non_null(strstr(tm_tls_chain(b), first)); /* the authority's own stands behind it */
    assert_null(strstr(first, "PRIVATE"));
    tm_tls_close(a);
    tm_tls_close(b);
}

static void refused(const char *words, const char *file)
{
    struct tm_tls *t = NULL;
    struct tm_err err = { .code = TM_OK };
    assert_int_equal(tm_tls_open(&t, ca, key, names, 4, &err), TM_E_ARG);
    assert_null(t);
    if (strstr(err.msg, words) == NULL || strstr(err.msg, file) == NULL)
        fail_msg("%s", err.msg);
}

static void files_that_do_not_fit_are_left_alone_and_named(void **state)
{
    struct tm_tls *t = NULL;
    char kept[4096];
    (void)state;
    assert_int_equal(tm_tls_open(&t, ca, key, names, 4, NULL), TM_OK);
    tm_tls_close(t);
    read_file(kept, sizeof kept, key);
    write_file(key, "nonsense");
    refused("no private key", "ca.key");
    unlink(ca);
    unlink(key);
    assert_int_equal(tm_tls_open(&t, ca, key, names, 4, NULL), TM_OK);
    tm_tls_close(t);
    write_file(key, kept); /* of another authority */
    refused("does not belong to", "ca.pem");
    write_file(ca, "nonsense");
    refused("no certificate", "ca.pem");
    snprintf(ca, sizeof ca, "%s/none/ca.pem", folder_name());
    snprintf(key, sizeof key, "%s/none/ca.key", folder_name());
    refused("cannot write", "ca.key");
}

static void names_that_are_none_are_refused(void **state)
{
    static const char *const bad[] = { "", "*.", "a b", "a/b", "http://x", "*", "a.*.b" };
    const char *many[TM_TLS_NAMES_MAX + 1];
    struct tm_tls *t = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct tm_err err = { .code = TM_OK };
        assert_int_equal(tm_tls_open(&t, ca, key, &bad[i], 1, &err), TM_E_ARG);
        assert_non_null(strstr(err.msg, "no host name"));
    }
    for (size_t i = 0; i <= TM_TLS_NAMES_MAX; i++)
        many[i] = "localhost";
    assert_int_equal(tm_tls_open(&t, ca, key, many, TM_TLS_NAMES_MAX + 1, NULL), TM_E_ARG);
    assert_null(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_authority_is_made_once_and_the_servers_certificate_each_time,
                               fresh),
        cmocka_unit_test_setup(files_that_do_not_fit_are_left_alone_and_named, fresh),
        cmocka_unit_test_setup(names_that_are_none_are_refused, fresh),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
