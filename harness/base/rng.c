#include "base/rng.h"
#include <assert.h>
#include <math.h>

static uint64_t rng_splitmix(uint64_t *x)
{
    uint64_t z = (*x += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

void tm_rng_init(struct tm_rng *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        rng->s[i] = rng_splitmix(&seed);
}

void tm_rng_fork(const struct tm_rng *parent, struct tm_rng *child, const char *name)
{
    uint64_t h = parent->s[0] ^ 0xcbf29ce484222325ULL;
    for (const unsigned char *p = (const unsigned char *)name; *p; p++)
        h = (h ^ *p) * 0x100000001b3ULL;
    tm_rng_init(child, h ^ parent->s[2]);
}

static uint64_t rng_rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t tm_rng_u64(struct tm_rng *rng)
{
    uint64_t *s = rng->s, result = rng_rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rng_rotl(s[3], 45);
    return result;
}

uint64_t tm_rng_below(struct tm_rng *rng, uint64_t bound)
{
    assert(bound > 0);
    uint64_t threshold = -bound % bound, x;
    do
        x = tm_rng_u64(rng);
    while (x < threshold);
    return x % bound;
}

int64_t tm_rng_between(struct tm_rng *rng, int64_t first, int64_t last)
{
    assert(first <= last);
    uint64_t span = (uint64_t)last - (uint64_t)first + 1;
    return (int64_t)((uint64_t)first + (span == 0 ? tm_rng_u64(rng) : tm_rng_below(rng, span)));
}

double tm_rng_unit(struct tm_rng *rng)
{
    return (double)(tm_rng_u64(rng) >> 11) * 0x1.0p-53;
}
bool tm_rng_chance(struct tm_rng *rng, double p)
{
    return tm_rng_unit(rng) < p;
}

double tm_rng_exponential(struct tm_rng *rng, double mean)
{
    assert(mean >= 0);
    return -mean * log1p(-tm_rng_unit(rng));
}

/* H(x) = integral of x^-s; Hoermann & Derflinger 1996, "Rejection-inversion". */
static double zipf_h(double s, double x)
{
    return fabs(1 - s) < 1e-12 ? log(x) : (pow(x, 1 - s) - 1) / (1 - s);
}

static double zipf_h_inverse(double s, double y)
{
    return fabs(1 - s) < 1e-12 ? exp(y) : pow(1 + y * (1 - s), 1 / (1 - s));
}

void tm_zipf_init(struct tm_zipf *z, uint64_t count, double s)
{
    assert(count > 0 && s > 0);
    z->s = s;
    z->count = count;
    z->h_x1 = zipf_h(s, 1.5) - 1;
    z->h_n = zipf_h(s, (double)count + 0.5);
    z->cut = 2 - zipf_h_inverse(s, zipf_h(s, 2.5) - pow(2, -s));
}

uint64_t tm_zipf_next(const struct tm_zipf *z, struct tm_rng *rng)
{
    for (;;) {
        double u = z->h_n + tm_rng_unit(rng) * (z->h_x1 - z->h_n);
        double x = zipf_h_inverse(z->s, u), k = floor(x + 0.5);
        if (k < 1)
            k = 1;
        if (k > (double)z->count)
            k = (double)z->count;
        if (k - x <= z->cut || u >= zipf_h(z->s, k + 0.5) - pow(k, -z->s))
            return (uint64_t)k - 1;
    }
}
