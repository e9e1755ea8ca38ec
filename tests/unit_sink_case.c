/* unit_sink_case: a field that comes back in another spelling is the same column of a warehouse,
 * which tells no case apart. */
#include "support_sink.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define VALUES(...) ((const char *const[]){ __VA_ARGS__ })

static void a_field_spelled_another_way_keeps_its_column_and_its_rows(void **state)
{
    struct ss_world w;
    struct tm_err err = { .code = TM_OK };
    (void)state;
    ss_open(&w);
    ss_schema(&w, 1, "Id:string,Foo__c:string");
    ss_schema(&w, 2, "Id:string,foo__c:string");
    assert_int_equal(ss_start(&w, &err), TM_OK);
    ss_produce(&w, "a.b", 0, 1, VALUES("1", "upper"));
    ss_run_ok(&w);
    ss_produce(&w, "a.b", 0, 2, VALUES("2", "lower"));
    ss_produce(&w, "a.b", 0, 1, VALUES("3", "again"));
    ss_run_ok(&w);
    assert_int_equal(ss_int(&w, "SELECT count(*) FROM \"a.b\" WHERE Foo__c IN "
                                "('upper','lower','again')"),
                     3);
    assert_int_equal(ss_int(&w, "SELECT count(*) FROM pragma_table_info('a.b') WHERE "
                                "lower(name)='foo__c'"),
                     1);
    ss_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_field_spelled_another_way_keeps_its_column_and_its_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
