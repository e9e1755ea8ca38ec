/* http: the HTTP port of one station in a simulation. in: requests; out: the mocks' own answers,
 * later, and not all of them: lost requests, lost answers, repeated requests, 5xx, slow and
 * never-ending answers, drawn from a seed. No socket, no clock: virtual time is handed in. A
 * request reaches its handler, and an answer its station, in tm_sim_http_pump only. */
#ifndef TM_SIMULATE_HTTP_H
#define TM_SIMULATE_HTTP_H
#include "base/http.h"
#include "mocks/http/message.h"
#include "simulate/choice.h"

#define TM_SIM_HOSTS_MAX 2
enum tm_sim_fate { /* of one exchange; numbers stand in scripts */
                   TM_SIM_FATE_NONE,
                   TM_SIM_FATE_REQUEST_LOST,
                   TM_SIM_FATE_HANG,
                   TM_SIM_FATE_REFUSED,
                   TM_SIM_FATE_REPEATED,
                   TM_SIM_FATE_ANSWER_LOST_KNOWN, /* the server knows that it did not arrive */
                   TM_SIM_FATE_ANSWER_LOST,
                   TM_SIM_FATE_TORN,
                   TM_SIM_FATE_SLOW, /* beside the others, each way */
                   TM_SIM_FATES
};
struct tm_sim_faults { /* chances of one exchange; all 0 = none */
    double lose_request, lose_answer, repeat, refuse /* 503 */, slow, hang,
        tear /* the answer ends in the middle */;
};
struct tm_sim_host {
    const char *prefix;
    struct tm_mock_handler handler;
};
struct tm_sim_http {
    struct tm_http port;                /* first member: what the station is given */
    const struct tm_sim_host *hosts;    /* [TM_SIM_HOSTS_MAX], borrowed */
    const struct tm_sim_faults *faults; /* borrowed; may change while it runs */
    struct tm_sim_choices *choices;     /* borrowed */
    size_t station;                     /* whose decisions they are */
    const char *agent;                  /* User-Agent, borrowed; NULL = none */
    int64_t hop_ns;                     /* each way, besides what is drawn */
    struct tm_now now;
    struct tm_http_call *calls;   /* under way, oldest first */
    uint64_t fates[TM_SIM_FATES]; /* faults so far, by kind */
    bool news;                    /* an answer arrived since it was last cleared */
};
void tm_sim_http_init(struct tm_sim_http *h, const struct tm_sim_host *hosts,
                      const struct tm_sim_faults *faults, struct tm_sim_choices *choices,
                      size_t station);
/* Brings requests and answers forward to this instant. */
void tm_sim_http_pump(struct tm_sim_http *h, const struct tm_now *now);
/* Next instant at which something happens by itself, wall ns; TM_NEVER. `origin`: an instant of
 * both clocks, which run alike. */
int64_t tm_sim_http_next(const struct tm_sim_http *h, const struct tm_now *origin);
/* The mock wakes a held request. */
void tm_sim_http_woken(struct tm_sim_http *h, uint64_t token);
#endif
