/* support_fuzz: what every fuzz target ends with. FUZZ_PROGRAM(corpus) gives libFuzzer the corpus
 * to start from (a parser inside a shared library shows it no coverage, so that it would never find
 * a first valid input); without libFuzzer it is a program that replays the files it is given, or
 * the corpus. */
#ifndef TM_TESTS_SUPPORT_FUZZ_H
#define TM_TESTS_SUPPORT_FUZZ_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#ifdef TM_LIBFUZZER
#define FUZZ_FRESH 64 /* one input in so many starts from the corpus again */
size_t LLVMFuzzerMutate(uint8_t *data, size_t bytes, size_t bytes_max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t bytes_max, unsigned seed);

static inline size_t fuzz_mutate(uint8_t *data, size_t bytes, size_t bytes_max, unsigned seed,
                                 const char *const *corpus, size_t count)
{
    const char *text = corpus[seed / FUZZ_FRESH % count];
    if (seed % FUZZ_FRESH == 0 && strlen(text) <= bytes_max) {
        bytes = strlen(text);
        memcpy(data, text, bytes);
    }
    return LLVMFuzzerMutate(data, bytes, bytes_max);
}

#define FUZZ_PROGRAM(corpus)                                                                       \
    size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t bytes_max, unsigned seed)   \
    {                                                                                              \
        return fuzz_mutate(data, bytes, bytes_max, seed, corpus, sizeof corpus / sizeof *corpus);  \
    }
#else
/* The files it is given, one after the other. */
static int fuzz_files(int argc, char **argv)
{
    static uint8_t data[1 << 20];
    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        if (f == NULL) {
            perror(argv[i]);
            return 1;
        }
        size_t bytes = fread(data, 1, sizeof data, f);
        fclose(f);
        LLVMFuzzerTestOneInput(data, bytes);
    }
    return 0;
}

#define FUZZ_PROGRAM(corpus)                                                                       \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        for (size_t i = 0; argc < 2 && i < sizeof corpus / sizeof *corpus; i++)                    \
            LLVMFuzzerTestOneInput((const uint8_t *)corpus[i], strlen(corpus[i]));                 \
        return fuzz_files(argc, argv);                                                             \
    }
#endif
#endif
