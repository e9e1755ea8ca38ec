# tidemark. `make run` and `make test` do everything; `make help` lists the rest.
# MODE picks a compiler setting; each has an object tree of its own under build/, so nothing needs cleaning between.
MODE ?= release
V ?= 0
Q := $(if $(filter 1,$(V)),,@)
JOBS := $(shell nproc 2>/dev/null || echo 2)
BUILD := build/$(MODE)
PKGS := libcurl jansson sqlite3 rdkafka libmicrohttpd avro-c expat gnutls libxxhash
CPPFLAGS += -D_GNU_SOURCE -Iharness -I. -MMD -MP
CFLAGS += -std=c11 -g -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla
CFLAGS += $(if $(filter true,$(CI)),-Werror) $(CFLAGS_$(MODE))
CFLAGS_release := -O2
CFLAGS_asan := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
CFLAGS_tsan := -O1 -fsanitize=thread
SOURCES_tsan := tests/tsan_threads.c
CFLAGS_cov := -O0 --coverage
CFLAGS_fuzz := -O1 -DTM_LIBFUZZER -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
LDLIBS = $(shell pkg-config --libs $(PKGS)) -lz -lm -lpthread
CPPFLAGS += $(shell pkg-config --cflags $(PKGS) 2>/dev/null) $(shell pkg-config --cflags cmocka 2>/dev/null)
# The program's allocator: SQLite and JSON allocate and free all day. Sanitizers and coverage bring or want the system's.
ALLOC_release := jemalloc
# Linked into the program where there is an archive of them: a call costs less, and it is they that are called all day.
INSIDE_release := sqlite3 jansson
archive = $(filter /%,$(shell $(CC) -print-file-name=lib$(1).a))
inside = $(foreach f,$(1),$(if $(and $(filter $(f),$(INSIDE_$(MODE):%=-l%)),$(call archive,$(f:-l%=%))),-l:lib$(f:-l%=%).a,$(f)))

SOURCES := $(shell find harness mocks reports -name '*.c')
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o) $(BUILD)/reports/page.o
MAIN := $(BUILD)/harness/run/main.o
TESTS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard $(addprefix tests/,unit_*.c fault_*.c contract_*.c e2e_*.c real_*.c)))
SUPPORT := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/support_*.c))
BENCHES := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/bench_*.c))
FUZZERS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/fuzz_*.c))

.PHONY: all run test test-page test-clients test-real check asan tsan cov bench fuzz fuzz-run zoo small scale determinism layering tidy valgrind clean deps help tests-built
.DEFAULT_GOAL := all
all: $(BUILD)/tidemark tests-built
tests-built: $(TESTS) $(FUZZERS)

# Installing comes first, and pkg-config is asked again by a second make: it knows nothing before.
# KAFKA=real: on Apache Kafka (KAFKA_VERSION) and Apicurio Registry (REGISTRY_VERSION), fetched once, not the embedded ones.
KAFKA ?= embedded
run_with_embedded :=
run_with_real := sh mocks/kafka/real.sh with
run:
	@$(if $(filter embedded real,$(KAFKA)),:,echo "KAFKA=$(KAFKA): embedded or real" >&2; exit 64)
	@sh .ci/packages $(if $(filter real,$(KAFKA)),kafka,run)
	@$(MAKE) --no-print-directory -j$(JOBS) $(BUILD)/tidemark
	@TIDEMARK_BIN=$(BUILD)/tidemark $(run_with_$(KAFKA)) $(BUILD)/tidemark run $(SCENARIO) $(ARGS)
test: deps
	@$(MAKE) --no-print-directory -j$(JOBS) check
deps:
	@sh .ci/packages

# The report's, a sweep's and growth's page in headless Chromium; RUN=DIR looks at that run's.
test-page: $(BUILD)/tidemark $(BUILD)/tests/bench_view
	@sh tests/page/run.sh $(BUILD)/tidemark $(RUN)
# Unmodified clients that teams really use, against `tidemark serve`; needs python3-venv, node, npm, javac and mvn.
test-clients: $(BUILD)/tidemark
	@sh tests/clients/run.sh $(BUILD)/tidemark

# What depends on the broker and the registry, on real ones of two versions; needs java 17 and mvn.
test-real:
	@sh .ci/packages
	@sh .ci/packages kafka
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@sh tests/real.sh $(BUILD)
.PHONY: test-hosts
# Three network namespaces of this machine as three hosts; needs root and java as well.
test-hosts:
	@sh .ci/packages kafka
	@$(MAKE) --no-print-directory -j$(JOBS) $(BUILD)/tidemark
	@sh tests/hosts.sh $(BUILD) || [ $$? -eq 77 ]

# What a second of one core carries, by partitions and tasks, on a real broker.
.PHONY: sizing
sizing:
	@sh .ci/packages kafka
	@$(MAKE) --no-print-directory -j$(JOBS) $(BUILD)/tidemark
	@sh tests/sizing.sh $(BUILD)

check: all layering
	@sh tests/run.sh $(BUILD)
asan tsan: ; @$(MAKE) --no-print-directory -j$(JOBS) MODE=$@ check
cov:
	@$(MAKE) --no-print-directory -j$(JOBS) MODE=cov check
	@sh tests/coverage.sh build/cov
bench: $(BUILD)/tidemark $(BENCHES)
	@sh .ci/packages bench
	@for b in $(BENCHES); do TIDEMARK_BIN=$(BUILD)/tidemark $$b || exit 1; done
# libFuzzer over everything that parses bytes from outside; SECONDS_EACH bounds each target. Needs clang.
SECONDS_EACH ?= 60
fuzz:
	@$(MAKE) --no-print-directory MODE=fuzz CC=clang fuzz-run
fuzz-run: $(FUZZERS)
	@for f in $(FUZZERS); do mkdir -p $(BUILD)/corpus/$$(basename $$f); \
	  $$f -max_total_time=$(SECONDS_EACH) -rss_limit_mb=2048 -print_final_stats=0 $(BUILD)/corpus/$$(basename $$f) || exit 1; done
# The bug zoo: every known bug planted in a copy, one at a time, and found. ONLY=33,42 takes some of them.
zoo: $(BUILD)/tidemark
	@sh tests/zoo/run.sh $(BUILD)
# The snapshot at query time (option 1) or kept upstream (option 2), as the history grows; 10,000,000 wants 10 GB of /tmp.
.PHONY: growth nightly
EVENTS ?= 1000000
growth: $(BUILD)/tests/bench_view
	@mkdir -p reports/out/growth && $< growth $(EVENTS) reports/out/growth
# The nightly gate: run, random histories, cases, a slice of the zoo, and comparisons with what was accepted last.
nightly: deps
	@$(MAKE) --no-print-directory -j$(JOBS) $(if $(ZOO),all,$(BUILD)/tidemark)
	@ZOO=$(ZOO) sh tests/nightly.sh $(BUILD)
# Every small world of up to ROWS rows (tests/unit_small_worlds.c); with four, about an hour on one core, or a SLICES-th of it:
# make small SLICES=12 SLICE=0 … SLICE=11 is all of it. `make test` runs a slice of three rows.
ROWS ?= 4
SLICES ?= 1
SLICE ?= 0
small: $(BUILD)/tests/unit_small_worlds
	@TIDEMARK_SMALL=$(ROWS) TIDEMARK_SMALL_EACH=$(SLICES) TIDEMARK_SMALL_AT=$(SLICE) $<
# The checker at scale: a history of so many changes and a warehouse, judged; prints what memory that takes. `make test` runs a slice.
CHANGES ?= 1000000 3000000 10000000
scale: $(BUILD)/tidemark $(BUILD)/tests/e2e_scale
	@TIDEMARK_BIN=$(BUILD)/tidemark TIDEMARK_SCALE="$(CHANGES)" $(BUILD)/tests/e2e_scale
# Ten million changes through streaming and one polling pipeline, in real time at 2,000 a second: about an hour and a half on two quiet
# cores, 15 GB of disk and 10 GB of memory (the witness's). LONG=1000000 makes fewer of them. Ctrl-C, or a crash, and go on:
# build/release/tidemark run --resume reports/out/long
LONG ?= 10000000
.PHONY: long
long: deps $(BUILD)/tidemark
	@sh tests/long.sh $(BUILD) $(LONG)
# Static analysis (clang-tidy), the unit tests under valgrind, and which lines the tests reach (after `make cov`).
tidy:
	@for f in $(SOURCES); do clang-tidy --quiet $$f -- -std=c11 $(CPPFLAGS) 2>/dev/null || bad=1; done; exit $${bad:-0}
# Small worlds of two rows there: a tool twenty times slower has no use for more. unit_supervise starts itself as a child, by a
# path that under valgrind is valgrind's.
valgrind: all
	@TIDEMARK_SMALL=2 SKIP=unit_supervise RUNNER="valgrind -q --error-exitcode=9 --leak-check=full --suppressions=tests/valgrind.supp" ONLY=unit_ sh tests/run.sh $(BUILD)
# Seeds give the same bytes twice, and under the sanitizers.
determinism:
	@$(MAKE) MODE=release build/release/tidemark
	@$(MAKE) MODE=asan build/asan/tidemark
	@sh tests/determinism.sh build/release/tidemark build/asan/tidemark
layering:
	@sh tests/layering.sh
clean:
	rm -rf build reports/out
help:
	@grep -E '^# |^[a-z]+:' Makefile

# The shim must be in the program itself, not in an archive: nothing but a shared library asks for it.
EXTRA := $(SOURCES_$(MODE):%.c=$(BUILD)/%.o)
$(BUILD)/tidemark: LDLIBS := $(call inside,$(LDLIBS)) $(if $(ALLOC_$(MODE)),$(shell pkg-config --libs $(ALLOC_$(MODE))))
$(BUILD)/tidemark: $(BUILD)/libtidemark.a $(MAIN) $(EXTRA)
	@echo "  LD $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(MAIN) $(EXTRA) $(BUILD)/libtidemark.a $(LDLIBS)
$(BUILD)/libtidemark.a: $(filter-out $(MAIN),$(OBJECTS))
	@rm -f $@
	@echo "  AR $@"
	$(Q)$(AR) rcs $@ $^
$(BUILD)/tests/%: $(BUILD)/tests/%.o $(SUPPORT) $(EXTRA) $(BUILD)/libtidemark.a
	@echo "  LD $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(SUPPORT) $(EXTRA) $(BUILD)/libtidemark.a $(LDLIBS) $(shell pkg-config --libs cmocka)
# tests/support_fault.h: the Nth allocation fails.
comma := ,
$(BUILD)/tests/fault_%: LDFLAGS += $(foreach f,malloc calloc realloc strdup strndup,-Wl$(comma)--wrap=$(f))
$(BUILD)/tests/fuzz_%: LDFLAGS += $(if $(filter fuzz,$(MODE)),-fsanitize=fuzzer)
$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<
# The report's page travels inside the program.
PAGE := template=reports/page/template.html sweep=reports/page/sweep.html history=reports/page/history.html growth=reports/page/growth.html head=reports/page/head.html style=reports/page/style.css chart=reports/page/chart.js \
	uplot_js=reports/page/uplot.min.js uplot_css=reports/page/uplot.min.css
$(BUILD)/reports/page.c: reports/embed.sh $(foreach p,$(PAGE),$(lastword $(subst =, ,$(p))))
	@mkdir -p $(@D)
	sh reports/embed.sh $(PAGE) >$@
$(BUILD)/reports/page.o: $(BUILD)/reports/page.c
	@echo "  CC $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<
# Objects of tests are kept: the next build needs them.
.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
