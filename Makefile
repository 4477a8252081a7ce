# Ingot. `make help` lists the targets. Modules and their import levels stand in hack/levels; everything below
# follows from the tree: pkg/<module>/**.c, test/unit/<module>/test_*.c, test/fuzz/fuzz_<module>_<what>.c.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules

B := build
CC := gcc
VERSION := $(shell git describe --always --dirty 2>/dev/null || echo unknown)

LEVELS := $(shell awk '/^[0-9]/ && $$2 !~ "/" {print $$1 ":" $$2}' hack/levels)
MODULES := $(foreach m,$(LEVELS),$(lastword $(subst :, ,$m)))
level_of = $(firstword $(subst :, ,$(filter %:$1,$(LEVELS))))
# Modules that are the inside of one program, and nobody's foundation.
INSIDE := agent hostview sim
INSIDE_ingot-agent := agent
INSIDE_ingotctl := hostview
# Modules of lower levels than $1's.
below = $(filter-out $(INSIDE),$(strip $(foreach m,$(MODULES),$(shell [ $(call level_of,$m) -lt $(call level_of,$1) ] && echo $m))))

SAN := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
CPPFLAGS := -D_GNU_SOURCE -Ipkg -Itest -DINGOT_VERSION='"$(VERSION)"'
WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wundef
CFLAGS_release := -std=gnu17 -O2 -g -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE $(WARN)
CFLAGS_san := -std=gnu17 -O1 -g $(SAN) $(WARN)
LDFLAGS_release := -pie -Wl,-z,relro,-z,now -Wl,--as-needed
LDFLAGS_san := $(SAN) -Wl,--as-needed
LIBS := -luv -lcjson -lyaml -lcurl -lwebsockets -lssl -lcrypto -lsqlite3 -lfreeipmi -lgcrypt -lz -llzma -lzstd -lseccomp -lpthread -lm

export INGOT_BUILD := $(B)

.PHONY: all help setup
all: $(patsubst cmd/%/main.c,$(B)/%,$(wildcard cmd/*/main.c)) ## build the programs into build/

help: ## this list
	@awk -F':.*## ' '/^[a-z][a-z-]*:.*## / {printf "  %-14s %s\n", $$1, $$2}' Makefile

setup: ## install the Debian packages that building and testing need
	@hack/setup

# --- objects and archives: build/<variant>/<path>.o, build/<variant>/lib<module>.a -----------------------------

sources = $(sort $(wildcard pkg/$1/*.c pkg/$1/*/*.c))

define object_rule
$(B)/$1/%.o: %.c Makefile
	@mkdir -p $$(@D)
	@$(CC) $(CPPFLAGS) $(CFLAGS_$1) -MMD -MP -c $$< -o $$@
endef
$(foreach v,release san,$(eval $(call object_rule,$v)))

define module_rule
$(B)/$1/lib$2.a: $(patsubst %.c,$(B)/$1/%.o,$(call sources,$2))
	@mkdir -p $$(@D)
	@rm -f $$@; ar rcs $$@ $$^
endef
$(foreach v,release san,$(foreach m,$(MODULES),$(eval $(call module_rule,$v,$m))))

# The CRDs travel inside the programs.
$(B)/gen/crds.c: hack/embed $(wildcard crds/*.yaml)
	@mkdir -p $(@D)
	@hack/embed embedded_crds $(wildcard crds/*.yaml) >$@
$(B)/release/libapi.a: $(B)/release/$(B)/gen/crds.o
$(B)/san/libapi.a: $(B)/san/$(B)/gen/crds.o

archives = $(patsubst %,$(B)/$1/lib%.a,$2)
link = $(CC) $(LDFLAGS_$1) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS)

# --- programs ---------------------------------------------------------------------------------------------------

define program_rule
$(B)/$1: $(patsubst %.c,$(B)/release/%.o,$(wildcard cmd/$1/*.c)) $(call archives,release,$(filter-out $(INSIDE),$(MODULES)) $(INSIDE_$1))
	@mkdir -p $$(@D)
	@echo "  LINK $$@"
	@$$(call link,release)
$(B)/san/$1: $(patsubst %.c,$(B)/san/%.o,$(wildcard cmd/$1/*.c)) $(call archives,san,$(filter-out $(INSIDE),$(MODULES)) $(INSIDE_$1))
	@mkdir -p $$(@D)
	@$$(call link,san)
endef
$(foreach p,$(patsubst cmd/%/main.c,%,$(wildcard cmd/*/main.c)),$(eval $(call program_rule,$p)))


# --- unit tests and fuzz targets ---------------------------------------------------------------------------------

define unit_rule
$(B)/test/unit/$1/%: $(B)/san/test/unit/$1/%.o $(call archives,san,$(if $(filter bmc engine,$1),sim) $1 $(call below,$1))
	@mkdir -p $$(@D)
	@$(CC) $(LDFLAGS_san) -o $$@ $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $(LIBS) -lcmocka
.PHONY: unit-$1
unit-$1: $(patsubst test/%.c,$(B)/test/%,$(wildcard test/unit/$1/test_*.c))
	@hack/run-tests $$^
endef
$(foreach m,$(MODULES),$(eval $(call unit_rule,$m)))

UNIT_TESTS := $(foreach m,$(MODULES),$(patsubst test/%.c,$(B)/test/%,$(wildcard test/unit/$m/test_*.c)))
FUZZ := $(patsubst test/fuzz/fuzz_%.c,%,$(wildcard test/fuzz/fuzz_*.c))
fuzz_module = $(firstword $(subst _, ,$1))

# Replayed with gcc's sanitizers in `make test`; searched with clang's libFuzzer by `make fuzz`.
define fuzz_rule
$(B)/test/fuzz/$1: $(B)/san/test/fuzz/fuzz_$1.o $(B)/san/test/fuzz/replay.o $(call archives,san,$(if $(filter bmc_ipmi,$1),sim) $(call fuzz_module,$1) $(call below,$(call fuzz_module,$1)))
	@mkdir -p $$(@D)
	@$$(call link,san)
$(B)/fuzz/$1: test/fuzz/fuzz_$1.c $(if $(filter bmc_ipmi,$1),pkg/sim/bmc_ipmi.c) $(foreach m,$(call fuzz_module,$1) $(call below,$(call fuzz_module,$1)),$(call sources,$m))
	@mkdir -p $$(@D)
	@clang -std=gnu17 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all $(CPPFLAGS) -o $$@ $$^ -Wl,--as-needed $(LIBS)
endef
$(foreach f,$(FUZZ),$(eval $(call fuzz_rule,$f)))

.PHONY: test-unit fuzz-replay fuzz
test-unit: $(UNIT_TESTS) ## unit tests (ASan, UBSan)
	@hack/run-tests $^

fuzz-replay: $(patsubst %,$(B)/test/fuzz/%,$(FUZZ)) ## replay the fuzz corpora
	@hack/run-fuzz replay $(FUZZ)

fuzz: $(patsubst %,$(B)/fuzz/%,$(FUZZ)) ## search with each fuzz target for SECONDS=60
	@hack/run-fuzz search $(or $(SECONDS),60) $(FUZZ)

# --- ramdisk, demo, lab ---------------------------------------------------------------------------------------------

FLAVOUR ?= virt
export SSH_KEY FIRMWARE
.PHONY: ramdisk demo lab-image
ramdisk: setup $(B)/ramdisk/$(FLAVOUR)/initramfs ## build the boot ramdisk: FLAVOUR=virt|generic [SSH_KEY=file] [FIRMWARE=none]

$(B)/ramdisk/%/initramfs: $(B)/ingot-agent hack/ramdisk hack/boot-loaders hack/debian.sh $(wildcard hack/ramdisk.d/*)
	@hack/ramdisk $* $(@D) $(B)/ingot-agent
	@hack/boot-loaders $(@D)/loaders

# Physical machines by default, other than the lab's.
IMAGE ?= ingot.dev/ingot:0.1.0
IMAGE_FLAVOUR := $(if $(filter command% environment%,$(origin FLAVOUR)),$(FLAVOUR),generic)
.PHONY: image
image: setup $(B)/ingot $(B)/ramdisk/$(IMAGE_FLAVOUR)/initramfs ## build a container image: FLAVOUR=generic|virt [IMAGE=name:tag]
	@hack/image --binary $(B)/ingot --ramdisk $(B)/ramdisk/$(IMAGE_FLAVOUR) --out $(B)/image --name $(IMAGE) --version $(VERSION)

lab-image: ## build the operating system image of the lab (once)
	@hack/lab-image $(B)/lab

demo: setup ## the main job: a virtual server from kubectl apply to a running operating system
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@$(MAKE) --no-print-directory $(B)/ramdisk/virt/initramfs lab-image
	@echo "== demo"
	@python3 test/lab/demo.py $(DEMO)

# --- the simulation -------------------------------------------------------------------------------------------------

define sim_rule
$(B)/$1/sim: $(B)/$1/test/sim/sim.o $(call archives,$1,sim $(filter-out $(INSIDE),$(MODULES)))
	@mkdir -p $$(@D)
	@$$(call link,$1)
endef
$(foreach v,release san,$(eval $(call sim_rule,$v)))

.PHONY: test-sim
test-sim: $(B)/release/sim $(B)/san/sim ## controllers, engine and API server on the virtual clock, 200 seeds
	@hack/run-sim $(or $(SEEDS),200)

# --- what benchmarks and lab need beside the programs --------------------------------------------------------------

$(B)/release/bench_ipmi: $(B)/release/test/bench/ipmi.o $(call archives,release,sim bmc $(call below,bmc))
	@mkdir -p $(@D)
	@$(call link,release)

$(B)/release/bench_api: $(B)/release/test/bench/api.o $(call archives,release,base)
	@mkdir -p $(@D)
	@$(call link,release)

$(B)/release/lab_netboot: $(B)/release/test/lab/netboot.o $(call archives,release,boot $(call below,boot))
	@mkdir -p $(@D)
	@$(call link,release)

$(B)/release/bench_media: $(B)/release/test/bench/media.o $(call archives,release,boot $(call below,boot))
	@mkdir -p $(@D)
	@$(call link,release)

# --- the test layers (docs/testing.md) --------------------------------------------------------------------------

# Each layer appends "name passed failed skipped" to build/test/results; hack/totals sums them.
.PHONY: test test-full test-lab-full test-api test-planted lint bench install uninstall
test: setup ## the tests of the 35-minute budget, set-up included
	@rm -f $(B)/test/results
	@hack/test-layers test-unit fuzz-replay test-sim test-api test-lab

test-api: $(B)/san/ingot $(B)/ingot $(B)/san/ingotctl $(B)/ingot-agent ## real kubectl on the embedded API server
	@hack/run-tests $(wildcard test/api/test_*)

.PHONY: test-clients
test-clients: $(B)/san/ingot ## an older kubectl and npm's client on the embedded API server; not in `make test`
	@hack/setup clients
	@LAB_FULL=1 hack/run-tests test/api/test_clients

test-planted: $(UNIT_TESTS) $(B)/release/sim $(B)/ingot ## faults of test/planted/list, one by one: is each seen?
	@hack/planted

.PHONY: kubernetes
kubernetes: ## build two releases of a real control plane into ~/.cache/ingot, once (10 to 15 min)
	@hack/kube-modules || [ $$? = 3 ]
	@hack/setup cluster
	@hack/kube-apiserver

# The API suite, and the operator with its whole way, on the release that is not the judge.
.PHONY: test-elder
test-elder: all $(B)/san/ingot $(B)/ramdisk/virt/initramfs lab-image
	@INGOT_KUBERNETES=$${XDG_CACHE_HOME:-$$HOME/.cache}/ingot/kubernetes-1.20 hack/run-tests test/api/test_suite test/lab/test_operator

.PHONY: test-lab
test-lab: all $(B)/release/bench_media $(B)/release/lab_netboot $(B)/ramdisk/virt/initramfs lab-image ## whole servers: QEMU guests and native ones, ipmi_sim as BMCs
	@hack/run-tests $(wildcard test/lab/test_*)

lint: all ## format, warnings, clang-tidy, cppcheck, import levels, circles of calls, banned functions
	@hack/setup lint
	@hack/lint

test-full: setup ## all that 35 minutes cannot hold: more seeds, the generic ramdisk, every lab case
	@rm -f $(B)/test/results
	@hack/test-layers kubernetes test-unit fuzz-replay test-api test-clients test-planted test-lab-full test-elder test-peers test-sim-full \
		$(B)/ramdisk/generic/initramfs || failed=1; hack/totals $(B)/test/results; exit $${failed:-0}

.PHONY: test-sim-full
test-sim-full:
	@$(MAKE) --no-print-directory test-sim SEEDS=2000

# Each case on guests, also those that test-lab runs on native servers.
test-lab-full: all $(B)/release/bench_media $(B)/release/lab_netboot $(B)/ramdisk/virt/initramfs lab-image
	@LAB_FULL=1 TEST_TIMEOUT_S=10800 hack/run-tests $(wildcard test/lab/test_*)

.PHONY: test-peers
test-peers: all $(B)/ramdisk/virt/initramfs lab-image ## stock agents under Ingot, ingot-agent under stock Ironics: downloads about 1 GB, once; not in `make test`
	@TEST_TIMEOUT_S=10800 hack/run-tests $(wildcard test/peers/test_*)

bench: setup all $(B)/release/bench_ipmi $(B)/release/bench_api $(B)/release/bench_media $(B)/ramdisk/virt/initramfs lab-image ## the figures, with peers in the same run; ROWS="ipmi write": these groups only
	@hack/bench $(ROWS)

# Beside the programs: share/ingot holds CRDs, manifests and the ramdisks that were built; lib what systemd reads.
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
TO := $(DESTDIR)$(PREFIX)
UNIT := lib/systemd/system/ingot.service lib/sysusers.d/ingot.conf
PROGRAMS := ingot ingotctl ingot-agent
with_prefix = sed 's|/usr/local|$(PREFIX)|g; s|/etc/|$(SYSCONFDIR)/|g'

install: all ## programs, CRDs, manifests, ramdisks (if built), systemd unit: PREFIX=/usr/local [DESTDIR=dir]
	@install -d $(TO)/bin $(TO)/share/ingot $(TO)/share/doc/ingot $(addprefix $(TO)/,$(dir $(UNIT))) $(DESTDIR)$(SYSCONFDIR)/default
	@install -m 755 $(addprefix $(B)/,$(PROGRAMS)) $(TO)/bin/
	@ln -sf ingotctl $(TO)/bin/kubectl-ingot
	@umask 022; cp -rP --no-preserve=mode,ownership crds manifests $(TO)/share/ingot/
	@install -m 644 LICENSE docs/*.md $(TO)/share/doc/ingot/
	@for f in $(wildcard $(B)/ramdisk/*/vmlinuz $(B)/ramdisk/*/initramfs $(B)/ramdisk/*/loaders/*); do \
		install -D -m 644 $$f $(TO)/share/ingot/$${f#$(B)/}; done
	@umask 022; $(with_prefix) manifests/systemd/ingot.service >$(TO)/lib/systemd/system/ingot.service
	@install -m 644 manifests/systemd/ingot.sysusers $(TO)/lib/sysusers.d/ingot.conf
	@[ -e $(DESTDIR)$(SYSCONFDIR)/default/ingot ] || $(with_prefix) manifests/systemd/ingot.default >$(DESTDIR)$(SYSCONFDIR)/default/ingot

uninstall: ## what install brought, but for the settings in SYSCONFDIR and Ingot's data
	@rm -f $(addprefix $(TO)/bin/,$(PROGRAMS) kubectl-ingot) $(addprefix $(TO)/,$(UNIT))
	@rm -rf $(TO)/share/ingot $(TO)/share/doc/ingot

.PHONY: clean
clean: ## remove what was built, keep what was downloaded
	@find $(B) -mindepth 1 -maxdepth 1 ! -name cache -exec rm -rf {} +

-include $(shell find $(B) -path $(B)/cache -prune -o -name '*.d' -type f -print 2>/dev/null)
