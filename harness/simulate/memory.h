/* memory: SQLite's, for a process of one thread that opens and closes databases all day: blocks of
 * a size that was freed are handed out again from a list of that size. In: sqlite3_config before
 * SQLite is used; never given back to the system before the end, so it takes as much as was ever in
 * use at once of each size. A build with sanitizers keeps the system's, which they watch. */
#ifndef TM_SIMULATE_MEMORY_H
#define TM_SIMULATE_MEMORY_H
/* Once, before anything else of SQLite's; without effect where it is in use already. */
void tm_sim_memory(void);
#endif
