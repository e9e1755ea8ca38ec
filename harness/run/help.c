/* help: what `tidemark --help` and `tidemark COMMAND --help` print. One text a command, written for
 * who meets it for the first time: what it does, the flags it heeds, an example to copy. */
#include "run/help.h"
#include <string.h>

#define FLAG_BROKERS "  --brokers HOST:PORT,…  Kafka\n"
#define FLAG_REGISTRY                                                                              \
    "  --registry URL         schema registry, http://[user:password@]host:port[/path]\n"
#define FLAG_CA                                                                                    \
    "  --ca-file FILE         who signs https servers' certificates (PEM); the system's without "  \
    "it\n"
#define FLAG_URL "  --salesforce-url URL   instead of the config's salesforce.instance\n"
#define FLAG_PROPERTIES                                                                            \
    "  --kafka-properties FILE  name=value lines for the Kafka client (TLS, sign-in);\n"           \
    "                         instead of the file that the config's kafka.properties names\n"
#define FLAG_INSTANCE                                                                              \
    "  --instance NAME        of this process alone in its group: restarted within 15 s it "       \
    "keeps\n"                                                                                      \
    "                         its partitions, and the group is not disturbed\n"
#define FLAG_STATE "  --state DIR            its own durable state, the current folder without it\n"
#define FLAG_CLOCK "  --clock FILE           a run's shared clock; real time without it\n"
#define FLAG_TRACE "  --trace FILE           when it touched which event, for the report\n"
#define FLAG_STATS "  --stats FILE           its counters as JSON, written anew once a second\n"
#define FLAG_EMBEDDED "  --embedded             the broker is the one of `tidemark kafka`\n"
#define ENVIRONMENT                                                                                \
    "\nFlags are written --name VALUE or --name=VALUE, and are also read from TIDEMARK_<NAME>.\n"

static const struct tm_help helps[] = {
    { "run", "[SCENARIO] [FLAGS]", "compare streaming with batch on one history",
      "Starts an org, a broker, a registry and every pipeline of the scenario; lets the org work;\n"
      "judges what each pipeline showed. SCENARIO is fixtures/scenarios/day.json without one.\n\n"
      "  --out DIR              where the run goes: empty or not there yet;\n"
      "                         reports/out/<scenario>-<time> without it\n"
      "  --seed N               another history of the same scenario\n"
      "  --brokers HOST:PORT,…  your Kafka instead of the embedded one\n"
      "  --registry URL         your schema registry instead of the embedded one\n"
      "  --reset-topics         on your Kafka: deletes the run's topics where they hold records\n"
      "  --kafka-properties FILE  name=value lines for every Kafka client (TLS, sign-in)\n" FLAG_CA
      "  --baseline RUN         an earlier run of the same scenario and seed: what may not change "
      "is\n"
      "                         compared with it (as `tidemark compare --exact` does)\n"
      "  --json                 prints report.json instead of the verdict in words\n"
      "  --resume RUN           goes on with a run that was interrupted or killed, in its folder:\n"
      "                         scenario, seed and flags are those it was started with\n\n"
      "Ctrl-C ends it in order and leaves a report that says it is partial; twice: at once.\n",
      "tidemark run fixtures/scenarios/short.json --out reports/out/first" },
    { "serve", "[FLAGS]", "the mock Salesforce, alone",
      "OAuth and SOAP sign-in, REST, SOQL, CometD over one org. Prints its address, credentials\n"
      "and first calls.\n\n"
      "  --port N               any free port without it\n"
      "  --bind ADDRESS         127.0.0.1 without it\n"
      "  --org FILE             keeps the org there; in memory without it\n"
      "  --objects DIR          describe files, fixtures/objects without it\n"
      "  --scenario FILE        population, delays, limits, and users at work\n"
      "  --seed N               of the scenario's history\n"
      "  --long-poll-ms N       how long a CometD poll is held\n"
      "  --subscribers N        streaming clients at a time; the edition's number without it\n"
      "  --token-life-s N       how long a token is good\n"
      "  --username --password --password-token --consumer-key --consumer-secret\n"
      "  --refresh-token VALUE  what to sign in with\n"
      "  --users A,B            further users, A@tidemark.example, whose calls are counted apart\n"
      "  --jwt-certificate FILE whose key signs the assertions of JWT bearer sign-ins\n"
      "  --tls                  HTTPS by a private certificate authority, kept beside the org's "
      "file\n"
      "  --tls-names A,B        further names the server goes by, with --tls or without\n"
      "  --quiet                prints the address alone\n"
      "  --json                 prints the address and the credentials for programs, in one "
      "line\n" FLAG_CLOCK FLAG_STATS,
      "tidemark serve --org org.db --port 8080" },
    { "kafka", "[FLAGS]", "the embedded broker, alone",
      "Prints its address, serves until it is told to end. All is in memory, 5 MB a partition.\n\n"
      "  --topics NAME:N,…      topics to create, with N partitions\n"
      "  --wait SECONDS         no broker of its own: waits until those of --brokers "
      "answer\n"
      "  --json                 the address, with --wait the cluster, for "
      "programs\n" FLAG_BROKERS FLAG_PROPERTIES,
      "tidemark kafka --topics sfdc.cdc.account_raw:6,tidemark.offsets:1" },
    { "registry", "[FLAGS]", "the embedded schema registry, alone",
      "Prints its URL, serves the Confluent REST API until it is told to end.\n\n"
      "  --port N               any free port without it\n"
      "  --json                 the URL for programs\n"
      "  --store FILE           keeps ids, versions and levels over any end; without it all is in "
      "memory\n",
      "tidemark registry --port 8081" },
    { "clock", "[FLAGS]", "this host's clock against the org's",
      "Asks the mock for its time again and again, and prints how far its monotonic clock is "
      "ahead\n"
      "of this host's, and by how much that may be wrong. Instants of two hosts (traces, logs,\n"
      "warehouses) may be subtracted only with both in hand.\n\n" FLAG_URL FLAG_CA
      "  --json                 the same for programs\n",
      "tidemark clock --salesforce-url http://10.0.0.1:8080" },
    { "source", "CONFIG.json [FLAGS]", "Salesforce change events to Kafka",
      "One object's change events to its raw topic, from the config of the Salesforce CDC source\n"
      "connector (fixtures/connectors/source-*.json).\n\n" FLAG_BROKERS FLAG_REGISTRY FLAG_CA
          FLAG_PROPERTIES FLAG_URL FLAG_STATE FLAG_CLOCK FLAG_TRACE FLAG_STATS FLAG_EMBEDDED
      "  --broker-lost-after EPOCH:REPLAYID  the broker's topics, checkpoints among them, are "
      "lost:\n"
      "                         goes on from there, replay id -1 for none\n",
      "tidemark source fixtures/connectors/source-account.json --state state "
      "--brokers localhost:9092 \\\n    --registry http://localhost:8081" },
    { "gap", "CONFIG.json [FLAGS]", "gap events to the alerts topic",
      "Asks for every record that an event in the raw topics tells too little about\n"
      "(fixtures/connectors/gap.json).\n\n" FLAG_BROKERS FLAG_REGISTRY FLAG_CA FLAG_PROPERTIES
          FLAG_STATE FLAG_CLOCK FLAG_STATS FLAG_INSTANCE FLAG_EMBEDDED,
      "tidemark gap fixtures/connectors/gap.json --state state --brokers localhost:9092 \\\n"
      "    --registry http://localhost:8081" },
    { "reconcile", "CONFIG.json [FLAGS]", "alerts to whole records, by SOQL",
      "Reads what the alerts ask for and writes whole records to the recon topics\n"
      "(fixtures/connectors/reconcile.json).\n\n" FLAG_BROKERS FLAG_REGISTRY FLAG_CA FLAG_PROPERTIES
          FLAG_URL FLAG_STATE FLAG_CLOCK FLAG_STATS FLAG_INSTANCE FLAG_EMBEDDED,
      "tidemark reconcile fixtures/connectors/reconcile.json --state state \\\n"
      "    --brokers localhost:9092 --registry http://localhost:8081" },
    { "sink", "CONFIG.json [FLAGS]", "topics to append-only tables, and views over them",
      "Writes topics to the warehouse, from the config of the BigQuery sink connector\n"
      "(fixtures/connectors/sink-bigquery.json), and keeps the snapshot views (option 1).\n\n"
      "  --warehouse FILE       SQLite database it writes, one of its own\n"
      "  --views DIR            your own views, <Object>.sql, instead of the built-in ones\n"
      "  --shared               other processes of the group have some of the partitions\n"
      "  --broker-life N        how often the broker lost its topics before: each life has "
      "offsets\n"
      "                         of its own; 0 without it\n" FLAG_BROKERS FLAG_REGISTRY FLAG_CA
          FLAG_PROPERTIES FLAG_CLOCK FLAG_TRACE FLAG_STATS FLAG_INSTANCE FLAG_EMBEDDED,
      "tidemark sink fixtures/connectors/sink-bigquery.json --warehouse raw.db \\\n"
      "    --brokers localhost:9092 --registry http://localhost:8081" },
    { "view", "CONFIG.json [FLAGS]", "raw tables to kept snapshots (option 2)",
      "Follows the sink's tables and keeps the snapshot of every object\n"
      "(fixtures/connectors/view.json).\n\n"
      "  --raw FILE             the sink's database; raw.db beside the warehouse without it\n"
      "  --warehouse FILE       SQLite database it writes, one of its own\n"
      "  --objects DIR          describe files, where the config says raise.no_base\n" FLAG_BROKERS
          FLAG_REGISTRY FLAG_CA FLAG_PROPERTIES FLAG_CLOCK FLAG_STATS FLAG_EMBEDDED,
      "tidemark view fixtures/connectors/view.json --raw raw.db --warehouse view.db \\\n"
      "    --brokers localhost:9092 --registry http://localhost:8081 --objects fixtures/objects" },
    { "batch", "CONFIG.json [FLAGS]", "the polling baseline",
      "Polls Salesforce on a fixed grid as one preset does (fixtures/batch/).\n\n"
      "  --warehouse FILE       SQLite database it writes, one of its own\n" FLAG_URL FLAG_CLOCK
          FLAG_STATS,
      "tidemark batch fixtures/batch/best.json --warehouse best.db "
      "--salesforce-url http://localhost:8080" },
    { "external", "CONFIG.json --clock FILE", "somebody's command on a schedule",
      "Starts an external pipeline's command at intended org instants; `tidemark run` writes the\n"
      "config and the clock.\n\n" FLAG_CLOCK,
      "tidemark external RUN/config/shell.json --clock RUN/clock" },
    { "check", "--org ORG --relations MAP [--warehouse FILE] [FLAGS]", "verdict on a warehouse",
      "Compares any warehouse that was fed from the mock with what the org held, or two "
      "warehouses.\n\n"
      "  --org FILE             the org.db of `tidemark serve` or of a run\n"
      "  --warehouse FILE       SQLite database to judge; each object of the map may name its own\n"
      "  --relations FILE       JSON: a query, renamed columns and tolerances for each object\n"
      "  --against FILE         instead of --org: another warehouse\n"
      "  --against-relations FILE  its map, where it is another one\n"
      "  --json                 the verdict for programs\n"
      "  --steps-max N          bound of one query, in millions of SQLite steps\n"
      "  --threads N            that compare at a time; the machine's cores, at most 4, without "
      "it\n"
      "  --live PLAN            instead of all these: follows a run, as `tidemark run` has it do\n"
      "  --part DIR OBJECT…     instead: follows the view.db of one sink of a group (--warehouse,\n"
      "                         --raw, --salesforce-url) until SIGTERM, and leaves DIR/part.db\n"
      "  --raw FILE             of --part: the sink's database behind the warehouse\n"
      "  --merge DIR…           instead: one report of such folders and --org, in the folder "
      "--out\n"
      "  --out DIR              of --merge: where the report goes\n"
      "  --clock-bound-ms N     of --merge: clocks known less well are refused; 50 without "
      "it\n" FLAG_URL FLAG_CA,
      "tidemark check --org org.db --warehouse mine.db --relations map.json" },
    { "simulate", "--seeds A..B | SCENARIO [FLAGS]",
      "random histories and faults, or a day; virtual time",
      "With --seeds: the streaming road on random histories and faults under a virtual clock, one\n"
      "per seed. Prints a line for each seed that breaks a rule, and a summary. The first failing\n"
      "seeds are shrunk, and told as cases under reports/out/simulate-<seed>/.\n\n"
      "  --seeds A..B           which; one seed: A..A\n"
      "  --jobs N               N processes; the output is the same\n"
      "  --fail-fast            the first failing seed is the last\n"
      "  --no-shrink            name failing seeds, do not shrink them\n"
      "  --out DIR              where the case of a failing seed goes: DIR/simulate-<seed>/\n"
      "  --views DIR            your own <Object>.sql over the raw tables is compared at rest, as\n"
      "                         well\n"
      "  --exec CMD             your own program is, as in `tidemark test --exec`\n"
      "  --objects DIR          describes of your objects; fixtures/objects without it\n"
      "  --verbose              a line for every seed, with the digest of all its steps and "
      "records\n"
      "  --json                 the same as one JSON object a line\n\n"
      "With a SCENARIO of `tidemark run`: the whole of it in one process under a virtual clock. "
      "Org\n"
      "time is exact, nothing is compressed, and the same scenario and seed leave the same\n"
      "report.json, byte for byte. Prints the verdict, and where the CPU seconds went.\n\n"
      "  --out DIR              where it goes: empty or not there yet;\n"
      "                         reports/out/<scenario>-<time> without it\n"
      "  --seed N               another history of the same scenario\n"
      "  --baseline RUN         an earlier run of the same scenario and seed, to compare with\n"
      "  --json                 prints report.json instead of the verdict in words\n",
      "tidemark simulate --seeds 1..1000 --jobs 2\n"
      "         tidemark simulate fixtures/scenarios/short.json --out reports/out/exact" },
    { "test", "[CASE…] [FLAGS]", "small histories with a known right answer",
      "Puts cases, small histories with a known right answer, through the shipped views and the\n"
      "shipped state; or through logic of your own. CASE is a name in fixtures/cases, a case's\n"
      "folder, or a folder of cases; without one: all of fixtures/cases.\n\n"
      "  --views DIR            <Object>.sql defines the view <Object>, and <Object>_dirty if it "
      "can\n"
      "  --exec CMD             raw rows on stdin, {\"table\", \"row\"} a line, then end of file;\n"
      "                         the snapshot on stdout, {\"object\", \"row\"} a line; exit 0\n"
      "  --limit S              seconds CMD may take for a case, 10 without it\n"
      "  --objects DIR          describes of the objects, for the columns of the raw tables;\n"
      "                         fixtures/objects without it\n"
      "  --junit FILE           results for a CI server\n"
      "  --json                 results on stdout, for programs\n\n"
      "Exit codes: 0 pass, 1 a case failed, 64 usage, an unreadable case, or SQL that cannot "
      "run.\n",
      "tidemark test --exec 'python3 mine.py'" },
    { "report", "RUN [--history DB RUN…]", "render a run's report again; follow many runs",
      "Writes report.html, report.md, junit.xml, bencher.json and benchmark.json of a run's "
      "folder\n"
      "anew, from its report.json and run.db.\n\n"
      "  --history DB           instead: adds the runs to DB (SQLite, made when missing), draws "
      "how\n"
      "                         each figure went from run to run beside it (DB's name with "
      ".html),\n"
      "                         and says what moved. RUN is as for `tidemark compare`\n"
      "  --json                 with --history: the trends for programs\n",
      "tidemark report reports/out/first" },
    { "why", "RUN Object/Id[.Field] [TIME]", "the story of one cell of a finished run",
      "What the org held, which event or poll carried it, what each station did, what a reader "
      "was\n"
      "shown and when, for every pipeline of the run; and the cause, where the row is wrong at "
      "the\n"
      "end. Object/Id without a field tells of the whole row. TIME is on the org's clock, as "
      "14:05,\n"
      "14:05:30 or 2026-03-02T14:05:30Z: the commits around it; without one, the last ten.\n\n"
      "  --pipeline NAME        of one pipeline only\n"
      "  --last N               commits told of without a time\n"
      "  --json                 the story for programs\n",
      "tidemark why reports/out/first Opportunity/006Py000000007uIAA.Name 08:02" },
    { "compare", "BASE NEW [FLAGS]", "is the new one worse than the old one?",
      "Judges runs of one scenario and seed against earlier ones. Each side is a run's folder, "
      "its\n"
      "report.json, a folder of run folders, or several with commas between: repetitions, made in\n"
      "turns (base, new, base, new, ...) on one machine. Counters that must not change are gated\n"
      "exactly; what the machine takes (work, CPU, query time) by rank statistics, which want "
      "about\n"
      "twelve repetitions a side. Says the smallest growth that could have been seen. The\n"
      "scenario's slo.compare sets effect_min (0.1), effect_seen (0.2), alpha (0.002) and\n"
      "must ([\"cpu\"]: figures without which there is no pass).\n\n"
      "  --control RUNS         more runs of BASE's program, made in the same turns: where they\n"
      "                         differ from BASE the answer is inconclusive; halves of BASE "
      "without it\n"
      "  --exact                counters alone; one run a side is enough\n"
      "  --json                 the whole comparison for programs\n",
      "tidemark compare reports/out/old reports/out/new --exact" },
    { "sweep", "[SCENARIO] [FLAGS]", "what freshness costs: the decision chart",
      "Lets streaming and polling at several intervals, page sizes and modes work on one history\n"
      "under a virtual clock, and draws freshness against cost (API calls, bytes, CPU), with what\n"
      "theory allows and where they break even. SCENARIO is fixtures/scenarios/sweep.json without\n"
      "one; its streaming is kept, its polling is replaced.\n\n"
      "  --intervals LIST       between polls; 1m,5m,15m,30m,1h without it\n"
      "  --page-rows LIST       rows a page of incremental polls; 2000,200 without it\n"
      "  --modes LIST           incremental (REST, by a cursor), full (everything, by Bulk jobs);\n"
      "                         both without it\n"
      "  --out DIR              where sweep.html, sweep.json and the run go: empty or not there\n"
      "                         yet; reports/out/sweep-<time> without it\n"
      "  --seed N               another history of the same scenario\n"
      "  --json                 prints sweep.json instead of the table\n",
      "tidemark sweep --intervals 1m,15m,1h --modes incremental --out reports/out/decision" },
};
#define HELPS (sizeof helps / sizeof helps[0])

const struct tm_help *tm_help_of(const char *command)
{
    for (size_t i = 0; i < HELPS; i++)
        if (strcmp(helps[i].command, command) == 0)
            return &helps[i];
    return NULL;
}

const struct tm_help *tm_help_at(size_t index)
{
    return index < HELPS ? &helps[index] : NULL;
}

bool tm_help_names(const struct tm_help *help, const char *flag)
{
    size_t bytes = strlen(flag);
    for (const char *at = strstr(help->text, "--"); at != NULL; at = strstr(at + 2, "--"))
        if (strncmp(at + 2, flag, bytes) == 0 && strchr(" \n", at[2 + bytes]) != NULL)
            return true;
    return false;
}

/* They read their flags themselves: none from the environment. */
static bool help_own(const struct tm_help *help)
{
    static const char *const own[] = { "simulate", "test", "why" };
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (strcmp(help->command, own[i]) == 0)
            return true;
    return false;
}

void tm_help_command(FILE *out, const struct tm_help *help)
{
    fprintf(out, "usage: tidemark %s %s\n\n%s", help->command, help->synopsis, help->text);
    if (strstr(help->text, "\n  --") != NULL && !help_own(help))
        fputs(ENVIRONMENT, out);
    fprintf(out, "\nExample: %s\n", help->example);
}

void tm_help_commands(FILE *out)
{
    fprintf(out, "usage: tidemark COMMAND [ARGUMENTS]\n\n");
    for (size_t i = 0; i < HELPS; i++)
        fprintf(out, "  %-10s %s\n", helps[i].command, helps[i].summary);
    fprintf(
        out,
        "\n`tidemark COMMAND --help` says how; `tidemark help --man` is the manual page, `tidemark "
        "help --bash`\ncompletion for bash.\n\n"
        "Example: tidemark run fixtures/scenarios/short.json\n\n"
        "Exit codes: 0 pass, 1 fail, 2 inconclusive, 64 usage or configuration, 70 our "
        "own fault.\n");
}
