/* tsan_threads: C11 threads in terms of POSIX ones. ThreadSanitizer (gcc 12) knows pthread_* but
 * not thrd_*, mtx_* and cnd_*, which librdkafka uses: without this a thread it starts is unknown to
 * TSan and the program dies at once. Linked into MODE=tsan only. glibc keeps mtx_t and cnd_t in the
 * storage of their pthread counterparts. */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

_Static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t) && sizeof(cnd_t) == sizeof(pthread_cond_t),
               "glibc layout");

struct tsan_start {
    thrd_start_t run;
    void *arg;
};

static int tsan_code(int rc)
{
    return rc == 0           ? thrd_success
           : rc == ETIMEDOUT ? thrd_timedout
           : rc == EBUSY     ? thrd_busy
                             : thrd_error;
}
static void *tsan_run(void *arg)
{
    struct tsan_start start = *(struct tsan_start *)arg;
    free(arg);
    return (void *)(intptr_t)start.run(start.arg);
}
int thrd_create(thrd_t *thread, thrd_start_t run, void *arg)
{
    struct tsan_start *start = malloc(sizeof *start);
    if (start == NULL)
        return thrd_nomem;
    *start = (struct tsan_start){ run, arg };
    return tsan_code(pthread_create(thread, NULL, tsan_run, start));
}
int thrd_join(thrd_t thread, int *result)
{
    void *value;
    int rc = pthread_join(thread, &value);
    if (rc == 0 && result != NULL)
        *result = (int)(intptr_t)value;
    return tsan_code(rc);
}
int thrd_detach(thrd_t thread)
{
    return tsan_code(pthread_detach(thread));
}
int mtx_init(mtx_t *m, int type)
{
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    if (type & mtx_recursive)
        pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    return tsan_code(pthread_mutex_init((pthread_mutex_t *)m, &attr));
}
int mtx_lock(mtx_t *m)
{
    return tsan_code(pthread_mutex_lock((pthread_mutex_t *)m));
}
int mtx_trylock(mtx_t *m)
{
    return tsan_code(pthread_mutex_trylock((pthread_mutex_t *)m));
}
int mtx_unlock(mtx_t *m)
{
    return tsan_code(pthread_mutex_unlock((pthread_mutex_t *)m));
}
void mtx_destroy(mtx_t *m)
{
    pthread_mutex_destroy((pthread_mutex_t *)m);
}
int cnd_init(cnd_t *c)
{
    return tsan_code(pthread_cond_init((pthread_cond_t *)c, NULL));
}
int cnd_signal(cnd_t *c)
{
    return tsan_code(pthread_cond_signal((pthread_cond_t *)c));
}
int cnd_broadcast(cnd_t *c)
{
    return tsan_code(pthread_cond_broadcast((pthread_cond_t *)c));
}
int cnd_wait(cnd_t *c, mtx_t *m)
{
    return tsan_code(pthread_cond_wait((pthread_cond_t *)c, (pthread_mutex_t *)m));
}
int cnd_timedwait(cnd_t *c, mtx_t *m, const struct timespec *until)
{
    return tsan_code(pthread_cond_timedwait((pthread_cond_t *)c, (pthread_mutex_t *)m, until));
}
void cnd_destroy(cnd_t *c)
{
    pthread_cond_destroy((pthread_cond_t *)c);
}
