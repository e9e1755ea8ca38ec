/* outages: a listener that is there, gone and back on the same address, as a user's broker may be.
 */
#include "base/clock.h"
#include "run/outages.h"
#include "support_command.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define LOOK_MS 20
#define PATIENCE_MS 20000

static int listen_on(uint16_t *port)
{
    const int on = 1;
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(*port) };
    socklen_t bytes = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &bytes), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

static int take(int listener)
{
    int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    return fd;
}

/* Until the first address has that many outages, the last of them over or not. */
static const struct tm_befallen *look_until(struct tm_outages *o, size_t index, size_t count,
                                            bool over)
{
    const char *name;
    for (int ms = 0; ms < PATIENCE_MS; ms += LOOK_MS) {
        tm_outages_look(o);
        const struct tm_befallen *b = tm_outages_at(o, index, &name);
        if (b->count == count && (count == 0 || (b->faults[count - 1].until_ns != 0) == over))
            return b;
        tm_test_pause(LOOK_MS);
    }
    fail_msg("outage %zu was not seen", count);
    return NULL;
}

static void what_dies_is_gone_until_it_listens_again(void **state)
{
    struct tm_outages *o = NULL;
    struct tm_err err = { .code = TM_OK };
    uint16_t port = 0;
    char brokers[80], registry[80];
    const char *name = NULL;
    (void)state;
    int listener = listen_on(&port);
    snprintf(brokers, sizeof brokers, "127.0.0.1:%u", port);
    snprintf(registry, sizeof registry, "http://user:secret@127.0.0.1:%u/apis/ccompat/v7", port);
    assert_int_equal(tm_outages_open(&o, brokers, registry, &err), TM_OK);
    for (int i = 0; i < 3; i++)
        tm_outages_look(o);
    int first = take(listener), second = take(listener);
    look_until(o, 0, 0, true);
    close(first); /* an idle connection ended, as brokers do: it can be taken anew */
    close(second);
    for (int i = 0; i < 10; i++) {
        tm_outages_look(o);
        tm_test_pause(LOOK_MS);
    }
    assert_int_equal(tm_outages_at(o, 0, &name)->count, 0);
    assert_non_null(strstr(name, "broker 127.0.0.1:"));
    assert_int_equal(tm_outages_at(o, 1, &name)->count, 0);
    assert_non_null(strstr(name, "registry 127.0.0.1:"));
    assert_null(strstr(name, "secret"));
    assert_null(tm_outages_at(o, 2, &name));
    first = take(listener);
    second = take(listener);
    for (size_t n = 1; n <= 2; n++) {
        close(listener);
        close(first);
        close(second);
        const struct tm_befallen *b = look_until(o, 0, n, false);
        assert_int_equal(b->faults[n - 1].signal, 0);
        look_until(o, 1, n, false);
        listener = listen_on(&port);
        look_until(o, 0, n, true);
        b = look_until(o, 1, n, true);
        assert_true(b->faults[n - 1].until_ns > b->faults[n - 1].at_ns);
        first = take(listener);
        second = take(listener);
    }
    close(listener);
    close(first);
    close(second);
    tm_outages_close(o);
}

static void what_has_no_address_is_left_alone(void **state)
{
    struct tm_outages *o = NULL;
    struct tm_err err = { .code = TM_OK };
    const char *name;
    (void)state;
    assert_int_equal(tm_outages_open(&o, " ,nowhere.invalid:1, ", "https://", &err), TM_OK);
    tm_outages_look(o);
    assert_null(tm_outages_at(o, 0, &name));
    tm_outages_close(o);
    tm_outages_look(NULL);
    assert_null(tm_outages_at(NULL, 0, &name));
    tm_outages_close(NULL);
    assert_int_equal(tm_outages_open(&o, "127.0.0.1:1,[::1]:2", NULL, &err), TM_OK);
    assert_non_null(tm_outages_at(o, 1, &name));
    assert_string_equal(name, "broker ::1:2");
    tm_outages_close(o);
}

static void the_seventeenth_is_counted_and_not_kept(void **state)
{
    struct tm_befallen b = { .count = 0 };
    (void)state;
    for (int i = 0; i < TM_BEFALLEN_MAX + 3; i++) {
        struct tm_fault_seen *f = tm_befallen_add(&b, 19, i);
        assert_int_equal(f != NULL, i < TM_BEFALLEN_MAX);
    }
    assert_int_equal(b.count, TM_BEFALLEN_MAX);
    assert_int_equal(b.missed, 3);
    assert_int_equal(tm_befallen_standing(&b)->at_ns, TM_BEFALLEN_MAX - 1);
    b.faults[TM_BEFALLEN_MAX - 1].until_ns = 99;
    assert_null(tm_befallen_standing(&b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_dies_is_gone_until_it_listens_again),
        cmocka_unit_test(what_has_no_address_is_left_alone),
        cmocka_unit_test(the_seventeenth_is_counted_and_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
