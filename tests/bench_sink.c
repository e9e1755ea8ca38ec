/* How fast the sink writes: 100,000 records of 30 fields (8 of them set, a header of 370 bytes as
 * text) from an in-memory broker into one table of a WAL file, through Avro decoding, columns,
 * offsets and commits. Prints what the machine did. */
#include "support_sink.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RECORDS 100000
#define BATCH 20000

static double cpu_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int main(void)
{
    struct ss_world w;
    struct tm_err err = { .code = TM_OK };
    char fields[2048] = "Id:string,ReplayId:string,ChangeEventHeader:string", replay[24],
         header[400];
    const char *values[33];
    double cpu = 0, wall = 0;
    ss_open(&w);
    for (int i = 0; i < 29; i++)
        snprintf(fields + strlen(fields), sizeof fields - strlen(fields), ",Field%02d__c:string",
                 i);
    ss_schema(&w, 1, fields);
    memset(header, 'h', sizeof header);
    header[370] = '\0';
    for (size_t i = 0; i < 32; i++)
        values[i] = i < 11 ? "a value of some length" : "-";
    values[0] = "006000000000001AAA";
    values[1] = replay;
    values[2] = header;
    if (ss_start(&w, &err) != TM_OK)
        return 70;
    for (int n = 0; n < RECORDS; n += BATCH) {
        for (int i = 0; i < BATCH; i++) {
            snprintf(replay, sizeof replay, "%d", n + i);
            ss_produce(&w, "a.b", i % 2, 1, values);
        }
        double began = cpu_s();
        int64_t began_ns = tm_clock_monotonic_ns();
        if (ss_run(&w, &err) != TM_OK)
            return 70;
        cpu += cpu_s() - began;
        wall += (double)(tm_clock_monotonic_ns() - began_ns) / 1e9;
    }
    printf("sink: %d records of 32 fields in %.2f s: %.0f rows/s (%.0f rows per CPU second), %llu "
           "transactions\n",
           RECORDS, wall, RECORDS / wall, RECORDS / cpu,
           (unsigned long long)tm_sink_counted(w.sink)->transactions);
    ss_close(&w);
    return 0;
}
