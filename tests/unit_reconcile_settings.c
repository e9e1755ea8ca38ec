/* The reconciler's config. */
#include "reconcile/reconcile.h"
#include "tests/support_command.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static void settings_name_what_is_wrong(void **state)
{
    struct tm_err err = { .code = TM_OK };
    struct tm_recon_settings s;
    struct tm_config *c = NULL;
    char path[400], folder[256];
    (void)state;
    snprintf(folder, sizeof folder, "%s", tm_test_folder());
    snprintf(path, sizeof path, "%s/r.json", folder);
    tm_test_write_file(folder, "r.json",
                       "{\"name\":\"r\",\"config\":{\"objects\":\"User,Account\",\"salesforce."
                       "consumer.key\":\"k\","
                       "\"overflow.read\":\"range\",\"window.idle.ms\":250}}");
    assert_int_equal(tm_recon_settings_load(&s, &c, path, "http://mock", &err), TM_OK);
    assert_int_equal(s.objects_count, 2);
    assert_string_equal(s.recon[1], "sfdc.recon.account");
    assert_string_equal(s.salesforce.instance, "http://mock");
    assert_true(s.overflow_range && s.sees_all);
    assert_int_equal(s.idle_ns, 250 * TM_NS_PER_MS);
    tm_recon_settings_free(&s);
    tm_config_close(c);
    c = NULL;
    tm_test_write_file(folder, "r.json",
                       "{\"config\":{\"objects\":\"User\",\"salesforce.consumer.key\":\"k\","
                       "\"window.idel.ms\":1}}");
    assert_int_equal(tm_recon_settings_load(&s, &c, path, NULL, &err), TM_E_ARG);
    assert_non_null(strstr(err.msg, "window.idle.ms"));
    tm_config_close(c);
    tm_test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(settings_name_what_is_wrong) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
