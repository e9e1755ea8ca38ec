/* listen: the socket a mock's server listens on, and how many connections its process can have.
 * in: an IP address and a port; out: a listening socket the caller closes. */
#ifndef TM_MOCK_HTTP_LISTEN_H
#define TM_MOCK_HTTP_LISTEN_H
#include "base/err.h"

/* port 0 = any free one; *out_port says which. TM_E_ARG says what to change. */
enum tm_code tm_mock_listen(int *out_fd, int *out_port, const char *address, int port,
                            struct tm_err *err);
/* At most TM_MOCK_CONNECTIONS_MAX; the usual 1,024 descriptors of a process are raised as far as
 * the system lets it. */
unsigned tm_mock_connections(void);
#endif
