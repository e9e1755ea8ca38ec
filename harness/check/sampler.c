#include "check/sampler.h"
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

struct sampler_thread {
    pthread_t id;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool asked, stop, joined, started;
    int64_t took_ns; /* by the last read */
    int64_t (*wall_ns)(void);
};

/* The views may not be there yet, or the writer may be in the way: the next request tries again. */
static void sampler_read(struct tm_sampler *s)
{
    struct tm_full_read *read = &s->reads[s->reads_count];
    struct tm_err err = { 0 };
    if (tm_reader_full(s->reader, false, read, &err) != TM_OK)
        return;
    if (s->beside != NULL)
        tm_reader_full(s->beside, false, &s->beside_reads[s->reads_count], &err);
    if (s->reads_count + 1 < TM_SAMPLER_READS_MAX)
        s->reads_count++;
}

static void *sampler_main(void *arg)
{
    struct tm_sampler *s = arg;
    struct sampler_thread *t = s->thread;
    pthread_mutex_lock(&t->lock);
    while (!t->stop) {
        if (!t->asked) {
            pthread_cond_wait(&t->wake, &t->lock);
            continue;
        }
        pthread_mutex_unlock(&t->lock);
        int64_t begun_ns = t->wall_ns();
        sampler_read(s);
        pthread_mutex_lock(&t->lock);
        t->took_ns = t->wall_ns() - begun_ns;
        t->asked = false;
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

enum tm_code tm_sampler_open(struct tm_sampler **out, const char *path, const char *const *objects,
                             size_t objects_count, int64_t (*wall_ns)(void), bool in_step,
                             struct tm_err *err)
{
    enum tm_code rc = TM_OK;
    struct tm_sampler *s = calloc(1, sizeof *s);
    struct sampler_thread *t = calloc(1, sizeof *t);
    if (s == NULL || t == NULL) {
        free(t);
        rc = tm_fail(err, TM_E_NOMEM, "sampler");
        goto done;
    }
    s->thread = t;
    t->wall_ns = wall_ns;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->wake, NULL);
    rc = tm_reader_open(&s->reader, path, true, objects, objects_count, wall_ns, err);
    if (rc != TM_OK)
        goto done;
    if (!in_step && pthread_create(&t->id, NULL, sampler_main, s) != 0) {
        rc = tm_fail(err, TM_E_IO, "sampler: no thread");
        goto done;
    }
    t->started = !in_step;
    *out = s;
    s = NULL;
done:
    tm_sampler_close(s);
    return rc;
}

enum tm_code tm_sampler_beside(struct tm_sampler *s, const char *path, const char *const *objects,
                               size_t objects_count, struct tm_err *err)
{
    assert(s->beside == NULL && s->reads_count == 0);
    return tm_reader_open(&s->beside, path, false, objects, objects_count, s->thread->wall_ns, err);
}

void tm_sampler_ask(struct tm_sampler *s)
{
    struct sampler_thread *t = s->thread;
    if (!t->started) {
        sampler_read(s);
        return;
    }
    pthread_mutex_lock(&t->lock);
    t->asked = true;
    pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->lock);
}

int64_t tm_sampler_took_ns(struct tm_sampler *s)
{
    struct sampler_thread *t = s->thread;
    pthread_mutex_lock(&t->lock);
    int64_t took_ns = t->took_ns;
    pthread_mutex_unlock(&t->lock);
    return took_ns;
}

void tm_sampler_stop(struct tm_sampler *s)
{
    struct sampler_thread *t = s->thread;
    if (t == NULL || !t->started || t->joined)
        return;
    pthread_mutex_lock(&t->lock);
    t->stop = true;
    pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->id, NULL);
    t->joined = true;
}

void tm_sampler_close(struct tm_sampler *s)
{
    if (s == NULL)
        return;
    if (s->thread != NULL) {
        tm_sampler_stop(s);
        pthread_cond_destroy(&s->thread->wake);
        pthread_mutex_destroy(&s->thread->lock);
        free(s->thread);
    }
    tm_reader_close(s->reader);
    tm_reader_close(s->beside);
    free(s);
}
