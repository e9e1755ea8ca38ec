/* tidemark clock: two processes of one machine share its monotonic clock, so what is measured must
 * be nothing, within the bound that is given with it. */
#include "support_command.h"
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void the_clock_of_one_machine_is_found_to_be_its_own(void **state)
{
    json_error_t error;
    (void)state;
    struct tm_test_server org = tm_test_server_start("tidemark serve --port 0 --quiet");
    struct tm_test_output o =
        tm_test_command(60, "tidemark clock --json --salesforce-url %s", org.line);
    assert_int_equal(o.code, 0);
    json_t *said = json_loads(o.out, 0, &error);
    assert_non_null(said);
    json_int_t offset_ns = json_integer_value(json_object_get(said, "offset_ns"));
    json_int_t bound_ns = json_integer_value(json_object_get(said, "bound_ns"));
    assert_true(bound_ns > 0);
    if (llabs(offset_ns) > bound_ns)
        fail_msg("%lld ns ahead, bound %lld ns", (long long)offset_ns, (long long)bound_ns);
    json_decref(said);
    tm_test_output_free(&o);
    o = tm_test_command(60, "tidemark clock --salesforce-url %s", org.line);
    assert_non_null(strstr(o.out, "ahead of this host's, give or take"));
    tm_test_output_free(&o);
    tm_test_refused(64, WORDS("/nowhere/tidemark/v1/clock", "tidemark serve"), 60,
                    "tidemark clock --salesforce-url %s/nowhere", org.line);
    tm_test_server_stop(&org);
}

static void without_an_org_it_says_what_to_give(void **state)
{
    (void)state;
    tm_test_refused(64, WORDS("--salesforce-url"), 20, "TIDEMARK_SALESFORCE_URL= tidemark clock");
    tm_test_refused(2, WORDS("127.0.0.1:1"), 20,
                    "tidemark clock --salesforce-url http://127.0.0.1:1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_clock_of_one_machine_is_found_to_be_its_own),
        cmocka_unit_test(without_an_org_it_says_what_to_give),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
