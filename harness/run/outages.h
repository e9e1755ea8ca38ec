/* outages: whether what a run was given by its user, brokers and registry, can be reached. in:
 * "host:port,host:port" and a URL; out: for each address, when it was gone and when it was back. A
 * connection to each is kept open and idle, with keep-alive probes: its end is an outage unless a
 * new one is taken at once. So a death is seen with the next look, a cut network within some five
 * seconds; a process that stands still keeps its connections and is not seen. Nothing is sent on
 * them. Never waits after open. Clock: monotonic. Owner: the caller of open. */
#ifndef TM_RUN_OUTAGES_H
#define TM_RUN_OUTAGES_H
#include "run/supervise.h"

struct tm_outages;
/* brokers, registry: NULL = not the user's. Names are looked up here. One that cannot be is left
 * alone: who uses it will tell. */
enum tm_code tm_outages_open(struct tm_outages **out, const char *brokers, const char *registry,
                             struct tm_err *err);
void tm_outages_close(struct tm_outages *o); /* NULL-safe */
/* As often as children are looked at. NULL-safe. */
void tm_outages_look(struct tm_outages *o);
/* What befell one of them, "broker HOST:PORT" or "registry HOST:PORT"; NULL: no more. */
const struct tm_befallen *tm_outages_at(const struct tm_outages *o, size_t index,
                                        const char **out_name);
#endif
