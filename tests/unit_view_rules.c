/* Rules R1-R16 of the design, each as a small history that both options must tell alike. Expected
 * lines: "Id A B LastName dirty" per row of X, "~Id kind position epoch unknown" per row of
 * X_dirty. `begin` begins behind a first copy of nothing. */
#include "support_view.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define E(...) sv_event(&w, &(struct sv_event){ __VA_ARGS__ })
#define ANSWER(...) sv_answer(&w, &(struct sv_answer){ __VA_ARGS__ })
#define IMAGE(...) ANSWER(.kind = "image", __VA_ARGS__)
#define VALUES(a, b, c) .values = { a, b, c }
#define COPY "~* copy 0 1 -\n"

static void begin(struct sv_world *w)
{
    sv_open(w);
    sv_copied(w);
}

static void r1_positions_are_numbers_not_text(void **state)
{
    struct sv_world w;
    (void)state;
    begin(&w);
    E(.replay_id = 999, .type = "CREATE", .own = "a", VALUES("1", "1", "1"));
    E(.replay_id = 1000, .type = "UPDATE", .own = "a", .changed = "[\"A\"]",
      VALUES("2", NULL, NULL));
    sv_expect(&w, "a 2 1 1 0\n");
    E(.epoch = 2, .replay_id = 5, .type = "UPDATE", .own = "a", .changed = "[\"A\"]",
      VALUES("3", NULL, NULL));
    /* a raised epoch lies beyond, and wants a copy (R15) */
    sv_expect(&w, "a 3 1 1 0\n~* copy 0 2 -\n");
    sv_close(&w);
}

static void r2_a_redelivery_changes_nothing_and_the_first_delivered_counts(void **state)
{
    struct sv_world w;
    (void)state;
    begin(&w);
    E(.replay_id = 1, .type = "CREATE", .own = "a", VALUES("1", "1", "1"));
    E(.replay_id = 2, .type = "UPDATE", .own = "a", .changed = "[\"A\"]", VALUES("2", NULL, NULL));
    E(.replay_id = 2, .type = "UPDATE", .own = "a", .changed = "[\"A\"]", VALUES("9", NULL, NULL));
    E(.replay_id = 1, .type = "CREATE", .own = "a", VALUES("8", "8", "8"));
    sv_expect(&w, "a 2 1 1 0\n");
    sv_close(&w);
}

static void r3_a_merged_event_concerns_every_record_in_both_forms(void **state)
{
    struct sv_world w;
    (void)state;
    begin(&w);
    /* kept whole */
    E(.replay_id = 1, .type = "CREATE", .own = "a", .ids = "[\"a\",\"b\",\"c\"]",
      VALUES("1", "1", "1"));
    E(.replay_id = 2, .type = "UPDATE", .own = "a", .ids = "[\"a\",\"b\"]", .changed = "[\"A\"]",
      VALUES("2", NULL, NULL));
    E(.replay_id = 2, .type = "UPDATE", .own = "b", .ids = "[\"a\",\"b\"]", .changed = "[\"A\"]",
      VALUES("2", NULL, NULL));
    sv_expect(&w, "a 2 1 1 0\nb 2 1 1 0\nc 1 1 1 0\n");
    sv_close(&w);
}

static void r3_overflow_and_wildcard_are_no_records(void **state)
{
    struct sv_world w;
    (void)state;
    begin(&w);
    E(.replay_id = 7, .type = "GAP_OVERFLOW", .own = "000000000000000AAA");
    E(.replay_id = 8, .type = "UPDATE", .own = "001*");
    sv_expect(&w, "~* conversion 8 1 -\n~* overflow 7 1 -\n");
    sv_close(&w);
}

static void r4_full_images_set_absent_fields_to_null(void **state)
{
    struct sv_world w;
    (void)state;
    begin(&w);
    E(.replay_id = 1, .type = "CREATE", .own = "a", VALUES("1", "1", NULL));
    sv_expect(&w, "a 1 1 - 0\n");
    E(.replay_id = 2, .type = "DELETE", .own = "a");
    E(.replay_id = 3, .type = "UNDELETE", .own = "a", VALUES(NULL, "3", NULL));
    sv_expect(&w, "a - 3 - 0\n");
    sv_close(&w);
}

static void r5_an_update_sets_what_it_names_also_to_null_and_compound_parts(void **state)
{
    struct sv_world w;
    (void)state;
    begin(&w);
    E(.replay_id = 1, .type = "CREATE", .own = "a", VALUES("1", "1", "1"));
    E(.replay_id = 2, .type = "UPDATE", .own = "a", .changed = "[\"A\",\"Name.LastName\"]",
      VALUES(NULL, "9", "2"));
    sv_expect(&w, "a - 1 2 0\n");
    E(.replay_id = 3, .type = "UPDATE", .own = "a", .changed = "[\"LastName\"]",
      VALUES(NULL, NULL, "3"));
    sv_expect(&w, "a - 1 3 0\n");
    sv_close(&w);
}

/* An administrator may rename Foo__c to foo__c: columns keep the name they were made with. */
static void r5_names_of_fields_are_the_same_in_any_case(void **state)
{
    struct sv_world w;
    (void)state;
    begin(&w);
    E(.replay_id = 1, .type = "CREATE", .own = "a", VALUES("1", "1", "1"));
    E(.replay_id = 2, .type = "UPDATE", .own = "a", .changed = "[\"a\",\"name.LASTNAME\",\"B\"]",
      .diff = "[\"b\"]", VALUES("2", "2", "2"));
    sv_expect(&w, "a 2 1 2 1\n~a diff 2 1 -\n");
    sv_close(&w);
}

static void r5_values_of_many_megabytes_are_values(void **state)
{
    struct sv_world w;
    static char large[3 << 20], row[(3 << 20) + 32];
    (void)state;
    memset(large, 'x', sizeof large - 1);
    begin(&w);
    E(.replay_id = 1, .type = "CREATE", .own = "a", VALUES("1", "1", "1"));
    E(.replay_id = 2, .type = "UPDATE", .own = "a", .changed = "[\"B\"]",
      VALUES(NULL, large, NULL));
    snprintf(row, sizeof row, "a 1 %s 1 0\n", large);
    sv_expect(&w, row);
    sv_close(&w);
}

static void r5_a_diff_keeps_the_value_and_makes_the_record_dirty(void **state)
{
    struct sv_world w;
    (void)state;
    begin(&w);
    E(.replay_id = 1, .type = "CREATE", .own = "a", VALUES("1", "1", "1"));
    E(.replay_id = 2, .type = "UPDATE", .own = "a", .changed = "[\"A\",\"B\"]", .diff = "[\"B\"]",
      VALUES("2", "@@ -1 +1", NULL));
    sv_expect(&w, "a 2 1 1 1\n~a diff 2 1 -\n");
    IMAGE(.g = 2, .seq = 1, .read_id = "r", .id = "a", VALUES("2", "whole", "1"));
    sv_expect(&w, "a 2 whole 1 0\n");
    sv_close(&w);
}

/* Its own full image does not clear what it raises itself. */
static void r5_a_full_image_that_carries_a_diff_is_in_doubt(void **state)
{
    struct sv_world w;
    (void)state;
    begin(&w);
    E(.replay_id = 1, .type = "CREATE", .own = "a", .diff = "[\"B\"]", VALUES("1", NULL, "1"));
    sv_expect(&w, "a 1 - 1 1\n~a diff 1 1 -\n");
    IMAGE(.g = 1, .seq = 1, .read_id = "r", .id = "a", VALUES("1", "whole", "1"));
    sv_expect(&w, "a 1 whole 1 0\n");
    sv_close(&w);
}

static void r6_per_field_the_highest_position_wins_in_any_order_of_arrival(void **state)
{
    struct sv_world w;
    (void)state;
    sv_open(&w);
    E(.replay_id = 4, .type = "UPDATE", .own = "a", .changed = "[\"A\"]", VALUES("4", NULL, NULL));
    E(.replay_id = 3, .type = "UPDATE", .own = "a", .changed = "[\"A\",\"B\"]",
      VALUES("3", "3", NULL));
    sv_expect(&w, "a 4 3 - 1\n" COPY "~a no_base 4 1 [\"LastName\"]\n");
    E(.replay_id = 1, .type = "CREATE", .own = "a", VALUES("1", "1", "1"));
    sv_expect(&w, "a 4 3 1 0\n" COPY);
    sv_close(&w);
}

static void r7_delete_removes_until_a_full_image_and_an_update_does_not_bring_back(void **state)
{
    struct sv_world w;
    (void)state;
    begin(&w);
    E(.replay_id = 1, .type = "CREATE", .own = "a", VALUES("1", "1", "1"));
    E(.replay_id = 2, .type = "DELETE", .own = "a");
    sv_expect(&w, "");
    E(.replay_id = 4, .type = "UPDATE", .own = "a", .changed = "[\"A\"]", VALUES("4", NULL, NULL));
    sv_expect(&w, "~a no_base 4 1 -\n");
    /* it was only late */
    E(.replay_id = 3, .type = "UNDELETE", .own = "a", VALUES("3", "3", "3"));
    sv_expect(&w, "a 4 3 3 0\n");
    E(.replay_id = 5, .type = "GAP_DELETE", .own = "a");
    sv_expect(&w, "");
    sv_close(&w);
}

static void r8_gaps_make_dirty_and_a_record_without_a_row_is_listed(void **state)
{
    struct sv_world w;
    (void)state;
    begin(&w);
    E(.replay_id = 1, .type = "CREATE", .own = "a", VALUES("1", "1", "1"));
    E(.replay_id = 2, .type = "gap_update", .own = "a");
    E(.replay_id = 3, .type = "GAP_CREATE", .own = "b");
    sv_expect(&w, "a 1 1 1 1\n~a gap 2 1 -\n~b gap 3 1 -\n");
    sv_close(&w);
}

static void r8_an_event_of_no_known_type_is_no_news_to_trust(void **state)
{
    struct sv_world w;
    (void)state;
    begin(&w);
    E(.replay_id = 1, .type = "CREATE", .own = "a", VALUES("1", "1", "1"));
    E(.replay_id = 2, .type = "SNAPSHOT", .own = "a");
    sv_sql(w.raw, "INSERT INTO sfdc_cdc_thing_raw(Id,ReplayId,ChangeEventHeader,_epoch) VALUES"
                  "('b','3','{\"recordIds\":[\"b\"]}',1),('c','4',NULL,1),(NULL,'5','{}',1)");
    sv_expect(&w, "a 1 1 1 1\n~a gap 2 1 -\n~b gap 3 1 -\n");
    sv_close(&w);
}

static void r8_a_raised_no_base_stands_until_answered(void **state)
{
    struct sv_world w;
    (void)state;
    begin(&w);
    sv_alert(&w, 1, 4, "a", "no_base");
    E(.replay_id = 4, .type = "UPDATE", .own = "a", .changed = "[\"A\"]", VALUES("4", NULL, NULL));
    E(.replay_id = 1, .type = "CREATE", .own = "a", VALUES("1", "1", "1"));
    sv_expect(&w, "a 4 1 1 1\n~a no_base 4 1 -\n");
    IMAGE(.g = 4, .seq = 1, .read_id = "r", .id = "a", VALUES("4", "5", "6"));
    sv_expect(&w, "a 4 5 6 0\n");
    sv_close(&w);
}

static void r9_an_image_stands_just_after_g_and_later_events_go_on_top(void **state)
{
    struct sv_world w;
    (void)state;
    begin(&w);
    E(.replay_id = 1, .type = "CREATE", .own = "a", VALUES("1", "1", "1"));
    E(.replay_id = 2, .type = "GAP_UPDATE", .own = "a");
    E(.replay_id = 3, .type = "UPDATE", .own = "a", .changed = "[\"A\"]", VALUES("3", NULL, NULL));
    IMAGE(.g = 2, .seq = 7, .read_id = "r", .id = "a", VALUES("9", "9", "9"));
    sv_expect(&w, "a 3 9 9 0\n");
    /* an earlier read of the same g */
    IMAGE(.g = 2, .seq = 6, .read_id = "q", .id = "a", VALUES("8", "8", "8"));
    sv_expect(&w, "a 3 9 9 0\n");
    IMAGE(.g = 3, .seq = 8, .read_id = "s", .id = "a", VALUES("10", "9", "9"));
    sv_expect(&w, "a 10 9 9 0\n");
    sv_close(&w);
}

static void r10_only_answers_at_or_beyond_and_lifecycle_events_beyond_clear_dirt(void **state)
{
    struct sv_world w;
    (void)state;
    begin(&w);
    E(.replay_id = 1, .type = "CREATE", .own = "a", VALUES("1", "1", "1"));
    E(.replay_id = 5, .type = "GAP_UPDATE", .own = "a");
    E(.replay_id = 9, .type = "UPDATE", .own = "a", .changed = "[\"A\"]", VALUES("9", NULL, NULL));
    IMAGE(.g = 4, .seq = 1, .read_id = "r", .id = "a", VALUES("4", "4", "4"));
    sv_expect(&w, "a 9 4 4 1\n~a gap 5 1 -\n");
    E(.replay_id = 6, .type = "DELETE", .own = "a");
    sv_expect(&w, "~a no_base 9 1 -\n");
    E(.replay_id = 7, .type = "UNDELETE", .own = "a", VALUES("7", "7", "7"));
    sv_expect(&w, "a 9 7 7 0\n");
    sv_close(&w);
}

static void r11_removed_is_an_answer_and_unreadable_is_dirt(void **state)
{
    struct sv_world w;
    (void)state;
    begin(&w);
    E(.replay_id = 1, .type = "CREATE", .own = "a", VALUES("1", "1", "1"));
    E(.replay_id = 2, .type = "GAP_UPDATE", .own = "a");
    ANSWER(.kind = "unreadable", .g = 2, .seq = 1, .read_id = "r", .id = "a");
    sv_expect(&w, "a 1 1 1 1\n~a gap 2 1 -\n~a unreadable 2 1 -\n");
    ANSWER(.kind = "removed", .g = 2, .seq = 2, .read_id = "s", .id = "a");
    sv_expect(&w, "");
    sv_close(&w);
}

static void r12_an_update_without_a_full_image_yields_a_partial_row(void **state)
{
    struct sv_world w;
    (void)state;
    sv_open(&w);
    E(.replay_id = 2, .type = "UPDATE", .own = "a", .changed = "[\"B\"]", VALUES(NULL, "2", NULL));
    sv_expect(&w, "a - 2 - 1\n" COPY "~a no_base 2 1 [\"A\",\"LastName\"]\n");
    sv_close(&w);
}

static void r12_after_a_copy_an_unheard_record_has_no_row_and_is_listed(void **state)
{
    struct sv_world w;
    (void)state;
    /* R16: it had no answer in the whole read at 0 */
    begin(&w);
    E(.replay_id = 2, .type = "UPDATE", .own = "a", .changed = "[\"B\"]", VALUES(NULL, "2", NULL));
    sv_expect(&w, "~a no_base 2 1 -\n");
    IMAGE(.g = 2, .seq = 1, .read_id = "r", .id = "a", VALUES("1", "2", "3"));
    sv_expect(&w, "a 1 2 3 0\n");
    sv_close(&w);
}

static void r14_until_the_first_copy_is_in_force_the_object_is_in_doubt(void **state)
{
    struct sv_world w;
    (void)state;
    sv_open(&w);
    sv_expect(&w, "~* copy 0 0 -\n");
    IMAGE(.g = 0, .seq = 1, .read_id = "copy", .read_kind = "whole", .id = "a",
          VALUES("1", "1", "1"));
    E(.replay_id = 3, .type = "UPDATE", .own = "a", .changed = "[\"A\"]", VALUES("3", NULL, NULL));
    sv_expect(&w, "a 3 1 1 0\n" COPY);
    ANSWER(.kind = "end", .g = 0, .seq = 1, .read_id = "copy", .read_kind = "whole", .count = 1,
           .partitions = 1);
    sv_expect(&w, "a 3 1 1 0\n");
    sv_close(&w);
}

static void r16_a_read_is_in_force_with_all_its_ends_and_as_many_answers_as_they_count(void **state)
{
    struct sv_world w;
    (void)state;
    sv_open(&w);
    E(.replay_id = 1, .type = "CREATE", .own = "z", VALUES("1", "1", "1"));
    ANSWER(.kind = "end", .g = 5, .seq = 1, .read_id = "w", .read_kind = "whole", .partition = 0,
           .count = 1, .partitions = 2);
    ANSWER(.kind = "end", .g = 5, .seq = 1, .read_id = "w", .read_kind = "whole", .partition = 1,
           .count = 0, .partitions = 2);
    /* one answer of partition 0 is missing */
    sv_expect(&w, "z 1 1 1 0\n" COPY);
    IMAGE(.g = 5, .seq = 1, .read_id = "w", .read_kind = "whole", .id = "a", VALUES("5", "5", "5"));
    sv_expect(&w, "a 5 5 5 0\n"); /* z was not answered: removed at 5 */
    E(.replay_id = 4, .type = "UPDATE", .own = "y", .changed = "[\"A\"]", VALUES("4", NULL, NULL));
    /* y: unheard of, and below the read */
    sv_expect(&w, "a 5 5 5 0\n");
    E(.replay_id = 6, .type = "CREATE", .own = "z", VALUES("6", "6", "6"));
    sv_expect(&w, "a 5 5 5 0\nz 6 6 6 0\n");
    sv_close(&w);
}

/* raw.db of one process of several: of partitions 0 and 1 it has 0. */
static void r16_a_shared_file_waits_for_the_ends_of_its_own_partitions(void **state)
{
    struct sv_world w;
    (void)state;
    sv_open(&w);
    sv_sql(w.raw, "CREATE TABLE _assigned(\"table\" TEXT, partition INTEGER)");
    sv_views(&w);
    E(.replay_id = 1, .type = "CREATE", .own = "z", VALUES("1", "1", "1"));
    IMAGE(.g = 5, .seq = 1, .read_id = "w", .read_kind = "whole", .id = "a", VALUES("5", "5", "5"));
    ANSWER(.kind = "end", .g = 5, .seq = 1, .read_id = "w", .read_kind = "whole", .partition = 0,
           .count = 1, .partitions = 2);
    /* as long as nobody says what it has, it may have all of them */
    sv_expect(&w, "a 5 5 5 0\nz 1 1 1 0\n" COPY);
    /* nothing but this comes: no row to look again for */
    sv_sql(w.raw, "INSERT INTO _assigned VALUES('sfdc_recon_thing',0),('sfdc_recon_other',1)");
    sv_expect(&w, "a 5 5 5 0\n");
    /* It is given the other one too: a read wants the ends of both. */
    sv_sql(w.raw, "INSERT INTO _assigned VALUES('sfdc_recon_thing',1)");
    E(.replay_id = 6, .type = "CREATE", .own = "y", VALUES("6", "6", "6"));
    ANSWER(.kind = "end", .g = 7, .seq = 2, .read_id = "v", .read_kind = "whole", .partition = 1,
           .count = 0, .partitions = 2);
    ANSWER(.kind = "end", .g = 7, .seq = 2, .read_id = "v", .read_kind = "whole", .partition = 0,
           .count = 1, .partitions = 2);
    IMAGE(.g = 7, .seq = 2, .read_id = "v", .read_kind = "whole", .id = "a", VALUES("7", "7", "7"));
    sv_expect(&w, "a 7 7 7 0\n");
    /* It loses 0: an end that is left over from there is none of its own. */
    sv_sql(w.raw, "DELETE FROM _assigned WHERE partition=0");
    ANSWER(.kind = "end", .g = 9, .seq = 3, .read_id = "u", .read_kind = "whole", .partition = 0,
           .count = 0, .partitions = 2);
    sv_expect(&w, "a 7 7 7 0\n");
    ANSWER(.kind = "end", .g = 9, .seq = 3, .read_id = "u", .read_kind = "whole", .partition = 1,
           .count = 0, .partitions = 2);
    sv_expect(&w, ""); /* nothing is left of what the other process has now */
    /* It is given 0 again, with what came there meanwhile, and reads it from where it was. */
    sv_sql(w.raw, "INSERT INTO _assigned VALUES('sfdc_recon_thing',0)");
    E(.replay_id = 10, .type = "UPDATE", .own = "b", .changed = "[\"A\"]",
      VALUES("10", NULL, NULL));
    sv_expect(&w, "~b no_base 10 1 -\n");
    IMAGE(.g = 9, .seq = 3, .read_id = "u", .read_kind = "whole", .id = "b", VALUES("9", "9", "9"));
    IMAGE(.g = 9, .seq = 3, .read_id = "u", .read_kind = "whole", .id = "c", VALUES("9", "9", "9"));
    sv_expect(&w, "b 10 9 9 0\nc 9 9 9 0\n");
    sv_close(&w);
}

static void r16_an_answer_that_came_twice_counts_once(void **state)
{
    struct sv_world w;
    (void)state;
    sv_open(&w);
    E(.replay_id = 1, .type = "CREATE", .own = "z", VALUES("1", "1", "1"));
    IMAGE(.g = 5, .seq = 1, .read_id = "w", .read_kind = "whole", .id = "a", VALUES("5", "5", "5"));
    IMAGE(.g = 5, .seq = 1, .read_id = "w", .read_kind = "whole", .id = "a", VALUES("5", "5", "5"));
    ANSWER(.kind = "end", .g = 5, .seq = 1, .read_id = "w", .read_kind = "whole", .count = 2,
           .partitions = 1);
    /* the answer of z is still under way */
    sv_expect(&w, "a 5 5 5 0\nz 1 1 1 0\n" COPY);
    IMAGE(.g = 5, .seq = 1, .read_id = "w", .read_kind = "whole", .id = "z", VALUES("6", "6", "6"));
    sv_expect(&w, "a 5 5 5 0\nz 6 6 6 0\n");
    sv_close(&w);
}

static void r16_ends_clear_the_whole_objects_dirt_at_or_below_their_position(void **state)
{
    struct sv_world w;
    (void)state;
    begin(&w);
    E(.replay_id = 5, .type = "GAP_OVERFLOW", .own = "000000000000000AAA");
    E(.replay_id = 6, .type = "UPDATE", .own = "001*");
    ANSWER(.kind = "end", .g = 6, .seq = 2, .read_id = "r", .read_kind = "range", .partitions = 1);
    /* a range read does not repair a conversion */
    sv_expect(&w, "~* conversion 6 1 -\n");
    E(.replay_id = 9, .type = "GAP_OVERFLOW", .own = "000000000000000AAA");
    ANSWER(.kind = "end", .g = 8, .seq = 3, .read_id = "w", .read_kind = "whole", .partitions = 1);
    sv_expect(&w, "~* overflow 9 1 -\n");
    sv_close(&w);
}

static void r16_however_many_reads_come_into_force_at_once_all_do(void **state)
{
    struct sv_world w;
    (void)state;
    begin(&w);
    E(.replay_id = 38, .type = "CREATE", .own = "a", VALUES("1", "1", "1"));
    for (int i = 0; i < 40; i++) {
        char id[16];
        snprintf(id, sizeof id, "w%02d", i);
        ANSWER(.kind = "end", .g = i, .seq = i, .read_id = id, .read_kind = "whole",
               .partitions = 1);
    }
    sv_expect(&w, "");
    sv_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r1_positions_are_numbers_not_text),
        cmocka_unit_test(r2_a_redelivery_changes_nothing_and_the_first_delivered_counts),
        cmocka_unit_test(r3_a_merged_event_concerns_every_record_in_both_forms),
        cmocka_unit_test(r3_overflow_and_wildcard_are_no_records),
        cmocka_unit_test(r4_full_images_set_absent_fields_to_null),
        cmocka_unit_test(r5_an_update_sets_what_it_names_also_to_null_and_compound_parts),
        cmocka_unit_test(r5_names_of_fields_are_the_same_in_any_case),
        cmocka_unit_test(r5_values_of_many_megabytes_are_values),
        cmocka_unit_test(r5_a_diff_keeps_the_value_and_makes_the_record_dirty),
        cmocka_unit_test(r5_a_full_image_that_carries_a_diff_is_in_doubt),
        cmocka_unit_test(r6_per_field_the_highest_position_wins_in_any_order_of_arrival),
        cmocka_unit_test(r7_delete_removes_until_a_full_image_and_an_update_does_not_bring_back),
        cmocka_unit_test(r8_gaps_make_dirty_and_a_record_without_a_row_is_listed),
        cmocka_unit_test(r8_an_event_of_no_known_type_is_no_news_to_trust),
        cmocka_unit_test(r8_a_raised_no_base_stands_until_answered),
        cmocka_unit_test(r9_an_image_stands_just_after_g_and_later_events_go_on_top),
        cmocka_unit_test(r10_only_answers_at_or_beyond_and_lifecycle_events_beyond_clear_dirt),
        cmocka_unit_test(r11_removed_is_an_answer_and_unreadable_is_dirt),
        cmocka_unit_test(r12_an_update_without_a_full_image_yields_a_partial_row),
        cmocka_unit_test(r12_after_a_copy_an_unheard_record_has_no_row_and_is_listed),
        cmocka_unit_test(r14_until_the_first_copy_is_in_force_the_object_is_in_doubt),
        cmocka_unit_test(
            r16_a_read_is_in_force_with_all_its_ends_and_as_many_answers_as_they_count),
        cmocka_unit_test(r16_however_many_reads_come_into_force_at_once_all_do),
        cmocka_unit_test(r16_an_answer_that_came_twice_counts_once),
        cmocka_unit_test(r16_a_shared_file_waits_for_the_ends_of_its_own_partitions),
        cmocka_unit_test(r16_ends_clear_the_whole_objects_dirt_at_or_below_their_position),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
