#include "run/command.h"
#include <stdio.h>

int tm_cmd_kafka(int argc, char **argv)
{
    (void)argc;
    fprintf(stderr, "tidemark %s: not built yet\n", argv[0]);
    return TM_EXIT_OURS;
}
