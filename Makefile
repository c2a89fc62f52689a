# SPDX-License-Identifier: GPL-2.0-or-later
# USB Gatekeeper. `make demo` shows it, `make check` tests it; README.md.

PREFIX ?= /usr
DESTDIR ?=
B := build

CC ?= cc
CSTD := -std=c11 -D_GNU_SOURCE
WARN := -Wall -Wextra -Wconversion -Wshadow -Wvla -Wformat=2 -Wswitch-enum \
	-Wmissing-prototypes
HARDEN := -fstack-protector-strong -D_FORTIFY_SOURCE=2
CFLAGS ?= -O2 -g
ALL_CFLAGS := $(CSTD) $(WARN) $(HARDEN) -Igatekeeper -I$(B)/gen -I. -MMD -MP $(CFLAGS)
ALL_LDFLAGS := -Wl,-z,relro,-z,now $(LDFLAGS)

ifneq ($(V),1)
Q := @
say = @echo '  $(1)'
endif

.PHONY: all
all:

# ---- core ------------------------------------------------------------------
CORE := $(wildcard gatekeeper/core/*.c)
CORE_PIC := $(CORE:%.c=$(B)/obj/%.o)

# ---- jails: lists of system calls become BPF programs, at build time ----------
JAIL := $(B)/obj/gatekeeper/jail/drop.o
bpf = $(B)/gen/$(1)_filter.h
$(B)/gk-filter: gatekeeper/jail/filter.c gatekeeper/domain/worker_fd.h \
		$(wildcard gatekeeper/*/*.seccomp.h luks/*.seccomp.h handoff/*/*.seccomp.h)
	$(call say,LD $@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) $(WARN) -O1 $(FILTER_FLAGS) -Igatekeeper -I. -o $@ $< -lseccomp
$(B)/gen/%_filter.h: $(B)/gk-filter
	$(call say,FILTER $@)
	$(Q)mkdir -p $(@D)
	$(Q)$(B)/gk-filter $(notdir $*) > $@.part && mv $@.part $@
$(B)/obj/gatekeeper/domain/sandbox.o: $(call bpf,domain/worker)
$(B)/obj/gatekeeper/domain/gate.o: $(call bpf,domain/supervisor)
$(B)/obj/gatekeeper/dom0/link_sandbox.o: $(call bpf,dom0/link_reader)
$(B)/obj/gatekeeper/dom0/input_jail.o: $(call bpf,dom0/input_reader)
$(B)/obj/luks/key_jail.o: $(call bpf,luks/key_child)

# ---- the gate domain: static, because its initramfs holds nothing else -------
DOMAIN_SUPERVISOR := gate supervisor child clock devices digest hostdrivers inventory judge kmsg \
	link_server link_vchan log oom reduce spawn storm uevent
DOMAIN_WORKER := worker worker_look worker_keyboard worker_fido clock sandbox udev_absent
domain_objs = $(1:%=$(B)/obj/gatekeeper/domain/%.o)
STATIC := -static-pie -Wl,--gc-sections

$(B)/gate/init: $(call domain_objs,init log)
$(B)/gate/supervisor: $(call domain_objs,$(DOMAIN_SUPERVISOR)) $(JAIL) $(B)/libgkcore.a
$(B)/gate/supervisor: LIBS := -lxenvchan -lxenstore -lxengnttab -lxenevtchn \
	-lxentoollog -lxentoolcore -lcrypto
$(B)/gate/worker: $(call domain_objs,$(DOMAIN_WORKER)) $(JAIL) $(B)/libgkcore.a
$(B)/gate/worker: LIBS := -lusb-1.0
$(B)/gate/%:
	$(call say,LD $@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(STATIC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) -lpthread
$(B)/obj/gatekeeper/domain/%.o: ALL_CFLAGS += -ffunction-sections -fdata-sections
$(B)/obj/gatekeeper/domain/%.o $(B)/obj/tests/conformance/%.o $(B)/obj/tests/domain/%.o: \
	ALL_CFLAGS += -I/usr/include/libusb-1.0

IMAGE := gatekeeper/domain/image
$(B)/gate-kernel: $(IMAGE)/kernel.config $(IMAGE)/build-kernel
	$(call say,KERNEL $@ (two to five minutes))
	$(Q)mkdir -p $(@D)
	$(Q)$(IMAGE)/build-kernel $@
$(B)/gate-image: $(B)/gate/init $(B)/gate/supervisor $(B)/gate/worker \
		$(IMAGE)/build-image
	$(call say,IMAGE $@)
	$(Q)$(IMAGE)/build-image $@ $(filter $(B)/%,$^)

$(B)/libgkcore.a: $(CORE_PIC)
%.a:
	$(call say,AR $@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(B)/obj/%.o: %.c
	$(call say,CC $<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -fPIE -c -o $@ $<

# ---- dom0 ------------------------------------------------------------------
objs = $(patsubst %.c,$(B)/obj/%.o,$(wildcard $(1)))
LINK_READER := $(addprefix gatekeeper/dom0/,link_reader.c link_channel.c link_sandbox.c)
INPUT_READER := $(addprefix gatekeeper/dom0/,input_main.c input_reader.c input_jail.c)
DAEMON_MAIN := gatekeeper/dom0/main.c

# What daemon and command share; an archive, so that each takes what it uses.
$(B)/libgkdom0.a: $(call objs,$(filter-out $(LINK_READER) $(INPUT_READER) $(DAEMON_MAIN),$(wildcard \
	gatekeeper/dom0/*.c)) handoff/*.c)
$(B)/gatekeeperd: $(call objs,$(DAEMON_MAIN)) $(B)/libgkdom0.a $(B)/libgkcore.a
$(B)/gatekeeperd: LIBS := -lxenstore -lcrypto
$(B)/gatekeeper-link: $(call objs,$(LINK_READER)) $(JAIL) $(B)/libgkdom0.a $(B)/libgkcore.a
$(B)/gatekeeper-link: LIBS := -lxenvchan -lxenstore
$(B)/gatekeeper-pci: $(call objs,handoff/toolstack/*.c) $(B)/libgkdom0.a
$(B)/gatekeeper-pci: LIBS := -lxenlight -lxentoollog
$(B)/gatekeeper-input-proxy: $(call objs,$(INPUT_READER)) $(JAIL) $(B)/libgkdom0.a \
	$(B)/libgkcore.a
$(B)/gatekeeper: $(call objs,gatekeeper/cli/*.c) $(B)/libgkdom0.a $(B)/libgkcore.a
$(B)/gatekeeper: LIBS := -lxenstore -lcrypto
$(B)/gatekeeperd $(B)/gatekeeper-link $(B)/gatekeeper-pci $(B)/gatekeeper-input-proxy \
		$(B)/gatekeeper:
	$(call say,LD $@)
	$(Q)$(CC) -pie $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

PROGRAMS := $(B)/gatekeeperd $(B)/gatekeeper-link $(B)/gatekeeper-pci \
	$(B)/gatekeeper-input-proxy $(B)/gatekeeper
include luks/luks.mk handoff/agent/agent.mk
all: $(PROGRAMS) $(B)/gate-kernel $(B)/gate-image

# ---- tests -------------------------------------------------------------------
T := $(B)/tests
REDIR := libusbredirparser-0.5
UNIT := $(patsubst tests/unit/%.c,$(T)/unit/%,$(wildcard tests/unit/test_*.c))
DOMAIN_TESTS := $(patsubst tests/domain/%.c,$(T)/domain/%,$(wildcard tests/domain/test_*.c))
DOM0_TESTS := $(patsubst tests/dom0/%.c,$(T)/dom0/%,$(wildcard tests/dom0/*.c))
HANDOFF_TESTS := $(patsubst tests/handoff/%.c,$(T)/handoff/%,$(wildcard tests/handoff/test_*.c))
# Not core alone: gatekeeperd; some of its files are replaced or included there.
FUZZ_CPPFLAGS := -I. -Igatekeeper -Itests/fuzz -I/usr/include/libusb-1.0
FUZZ_INCLUDES := $(DAEMON_MAIN) gatekeeper/dom0/paths.c
FUZZ_DAEMON := $(filter-out $(LINK_READER) $(INPUT_READER) $(FUZZ_INCLUDES) $(addprefix gatekeeper/dom0/,\
	loop.c clock.c log.c screen.c),$(wildcard gatekeeper/dom0/*.c)) $(wildcard handoff/*.c)
REPLAYS := $(patsubst tests/fuzz/fuzz_%.c,$(T)/replay/%,$(wildcard tests/fuzz/fuzz_*.c))
SAN := -fsanitize=address,undefined -fno-sanitize-recover=all

$(UNIT): $(T)/unit/%: $(B)/obj/tests/unit/%.o $(B)/libgkcore.a
$(DOM0_TESTS): $(T)/dom0/%: $(B)/obj/tests/dom0/%.o $(B)/libgkdom0.a $(B)/libgkcore.a
$(T)/domain/test_worker_look: $(call domain_objs,worker_keyboard clock)
$(T)/domain/test_worker_fido $(T)/domain/test_worker_keyboard: $(B)/obj/tests/domain/played.o
$(DOMAIN_TESTS): $(T)/domain/test_%: $(B)/obj/tests/domain/test_%.o \
	$(B)/obj/gatekeeper/domain/%.o $(B)/libgkcore.a
$(HANDOFF_TESTS): $(T)/handoff/%: $(B)/obj/tests/handoff/%.o $(B)/obj/tests/handoff/tree.o \
	$(B)/libgkdom0.a $(B)/libgkcore.a
# They stand for uinput in gatekeeperd under test, for libxl in gatekeeper-pci and for
# libxenctrl: never with the sanitizers in them.
$(T)/uinput.so $(T)/libxl.so: $(T)/%.so: tests/dom0/shim/%.c
$(T)/xenctrl.so: tests/handoff/shim/xenctrl.c
$(T)/uinput.so $(T)/libxl.so $(T)/xenctrl.so:
	$(call say,LD $@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) -D_GNU_SOURCE $(WARN) -O1 -fPIC -shared -o $@ $<
$(T)/golden: $(B)/obj/tests/golden/golden.o $(B)/libgkcore.a
FIDO := tests/devices/fido
$(T)/gk-usb-device: $(call objs,$(filter-out tests/devices/test_% $(FIDO)/test_% \
	$(FIDO)/bridge.c,$(wildcard tests/devices/*.c $(FIDO)/*.c)))
$(T)/gk-usb-device: LIBS = $(shell pkg-config --libs $(REDIR)) -lhogweed -lnettle -lgmp
$(T)/fido-bridge: $(call objs,$(FIDO)/bridge.c tests/devices/loop.c tests/devices/sock.c)
$(T)/fido-bridge: LIBS = $(shell pkg-config --libs $(REDIR))
FIDO_TESTS := $(patsubst $(FIDO)/%.c,$(T)/fido/%,$(filter-out %/test_bridge.c,\
	$(wildcard $(FIDO)/test_*.c)))
$(FIDO_TESTS): $(T)/fido/%: $(B)/obj/$(FIDO)/%.o $(B)/obj/$(FIDO)/test_bridge.o
$(FIDO_TESTS): LIBS := -lfido2 -lcmocka -lpthread
$(T)/bench: $(B)/obj/tests/bench/core.o $(B)/libgkcore.a
$(T)/bench: LIBS = $(shell pkg-config --libs $(REDIR)) -lz
$(T)/test_redir $(T)/test_hostile: $(T)/%: $(B)/obj/tests/devices/%.o \
	$(B)/obj/tests/devices/test_host.o $(B)/libgkcore.a
$(T)/test_redir $(T)/test_hostile: LIBS = $(shell pkg-config --libs $(REDIR)) -lcmocka
$(UNIT) $(DOMAIN_TESTS) $(DOM0_TESTS) $(HANDOFF_TESTS): LIBS := -lcmocka -lxenstore -lcrypto
$(UNIT) $(DOMAIN_TESTS) $(DOM0_TESTS) $(HANDOFF_TESTS) $(T)/golden $(T)/gk-usb-device $(T)/test_redir \
		$(T)/test_hostile $(T)/bench $(T)/fido-bridge $(FIDO_TESTS):
	$(call say,LD $@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -pie $(ALL_LDFLAGS) -o $@ $^ $(LIBS)
# The corpus of the fuzzers, replayed with sanitizers: core is compiled again.
$(REPLAYS): $(T)/replay/%: tests/fuzz/fuzz_%.c tests/fuzz/replay.c $(CORE) \
		$(wildcard gatekeeper/core/*.h)
	$(call say,LD $@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) $(WARN) -O1 -g $(SAN) $(FUZZ_CPPFLAGS) -o $@ \
		$(filter-out $(FUZZ_INCLUDES),$(filter %.c,$^)) $(LIBS)
$(T)/replay/gatekeeperd $(T)/fuzz/gatekeeperd: $(FUZZ_DAEMON) $(FUZZ_INCLUDES) \
	$(wildcard gatekeeper/dom0/*.h)
$(T)/replay/gatekeeperd $(T)/fuzz/gatekeeperd: LIBS := -lxenstore -lcrypto
# The supervisor as it is; what it asks of the kernel stands in the fuzzer.
$(T)/replay/supervisor $(T)/fuzz/supervisor: \
	$(addprefix gatekeeper/domain/,devices.c digest.c judge.c storm.c) \
	$(wildcard gatekeeper/domain/*.h)
$(T)/replay/supervisor $(T)/fuzz/supervisor: LIBS := -lcrypto

include tests/takeover/takeover.mk tests/conformance/conformance.mk tests/bench/bench.mk \
	tests/handoff/agent/agent.mk

TEST_PROGRAMS := $(CONFORMANCE) $(AGENT_TESTS) $(AGENT) \
	$(T)/takeover/campaign $(EVIL_WORKER)/test_jail $(EVIL_WORKER)/test_link \
	$(UNIT) $(DOM0_TESTS) \
	$(DOMAIN_TESTS) $(HANDOFF_TESTS) $(T)/uinput.so $(T)/libxl.so $(T)/xenctrl.so $(T)/golden $(REPLAYS) \
	$(T)/gk-usb-device $(T)/test_redir $(T)/test_hostile $(T)/fido-bridge \
	$(FIDO_TESTS) $(LUKS_TESTS) $(ENROLL_STOPS) $(B)/luks.pot

.PHONY: deps check check-run vm-check demo asan fuzz cover bench campaign
deps:
	$(Q)tests/deps

# Everything that needs no virtual machine; a summary line at the end.
check: deps
	$(Q)$(MAKE) --no-print-directory check-run
check-run: $(PROGRAMS) $(TEST_PROGRAMS)
	$(Q)tests/check $(B)

# All boot scenarios. SCENARIOS="name ..." runs some; JOBS=2 two at a time.
JOBS ?= 1
vm-check: deps
	$(Q)$(MAKE) --no-print-directory all $(T)/gk-usb-device $(T)/fido-bridge $(ENROLL_STOPS) \
		$(TAKEN_OVER_GATE) $(TAKEN_OVER_WORKER)
	$(Q)tests/vm/run --jobs $(JOBS) $(SCENARIOS)

demo: deps
	$(Q)$(MAKE) --no-print-directory all $(T)/gk-usb-device
	$(Q)tests/vm/demo

# The same tests with the sanitizers in everything that runs on this machine.
asan: deps
	$(Q)$(MAKE) --no-print-directory B=$(B)/asan CFLAGS='-O1 -g $(SAN)' \
		LDFLAGS='$(SAN)' HARDEN= FILTER_FLAGS=-DGK_SANITIZED check-run

# The gate that has been taken over, at length: make campaign MESSAGES=n SEED=n
MESSAGES ?= 1000000
SEED ?= 1
campaign: deps
	$(Q)$(MAKE) --no-print-directory $(B)/gatekeeper-link $(T)/takeover/campaign
	$(Q)$(T)/takeover/campaign --link $(B)/gatekeeper-link --seed $(SEED) \
		--messages $(MESSAGES)

# Coverage-guided fuzzing, one target after the other: make fuzz SECONDS=600
SECONDS ?= 60
FUZZERS := $(patsubst tests/fuzz/fuzz_%.c,$(T)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
$(FUZZERS): $(T)/fuzz/%: tests/fuzz/fuzz_%.c tests/fuzz/fuzz.h $(CORE) \
		$(wildcard gatekeeper/core/*.h)
	$(call say,CLANG $@)
	$(Q)mkdir -p $(@D)
	$(Q)clang $(CSTD) -O1 -g -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all -DGK_LIBFUZZER $(FUZZ_CPPFLAGS) \
		-o $@ $(filter-out $(FUZZ_INCLUDES),$(filter %.c,$^)) $(LIBS)
fuzz: deps
	$(Q)$(MAKE) --no-print-directory $(FUZZERS)
	$(Q)tests/fuzz/run $(SECONDS) $(FUZZERS)

# Lines of core/ that unit tests, golden pairs and the fuzzers' corpus run.
cover: deps
	$(Q)tests/cover $(B)/cover

# How fast, beside yardsticks measured in the same run; build/bench/report.json.
bench: deps
	$(Q)$(MAKE) --no-print-directory all $(T)/bench $(T)/gk-usb-device $(BENCH_VM)
	$(Q)tests/bench/run $(B)

# ---- install -----------------------------------------------------------------
D := $(DESTDIR)$(PREFIX)
# Where Xen's own programs are on the machine that this is installed for.
XEN_BIN ?= $(patsubst $(DESTDIR)%,%,$(firstword \
	$(wildcard $(DESTDIR)/usr/lib/xen-*/bin) /usr/lib/xen/bin))
UNITS := $(wildcard dracut-module/units/*.service handoff/*.service)
MAN := $(wildcard docs/*.[1-8])

.PHONY: install
install: all
	install -d $(D)/lib/gatekeeper $(D)/bin $(D)/lib/systemd/system \
		$(D)/lib/dracut/modules.d/89gatekeeper $(D)/lib/udev/rules.d \
		$(DESTDIR)/etc/gatekeeper
	install -m 0755 -s $(B)/gatekeeperd $(B)/gatekeeper-link $(B)/gatekeeper-pci \
		$(B)/gatekeeper-input-proxy \
		$(B)/gatekeeper-unlock \
		$(B)/gatekeeper-key $(B)/gatekeeper-enroll $(D)/lib/gatekeeper/
	for mo in $(LUKS_MO:$(B)/locale/%=%); do \
		install -D -m 0644 $(B)/locale/$$mo $(D)/share/locale/$$mo || exit 1; \
	done
	install -m 0644 $(B)/gate-kernel $(B)/gate-image $(D)/lib/gatekeeper/
	install -m 0755 -s $(B)/gatekeeper $(D)/bin/
	install -m 0755 dracut-module/*.sh $(D)/lib/dracut/modules.d/89gatekeeper/
	install -m 0644 dracut-module/units/cryptsetup-20-gatekeeper.conf \
		$(D)/lib/dracut/modules.d/89gatekeeper/
	install -m 0644 dracut-module/60-gatekeeper.rules $(D)/lib/udev/rules.d/
	install -m 0644 $(UNITS) $(D)/lib/systemd/system/
	for unit in gatekeeper-xenstored gatekeeper-xenconsoled; do \
		sed 's|@XEN_BIN@|$(XEN_BIN)|' dracut-module/units/$$unit.service.in \
			> $(D)/lib/systemd/system/$$unit.service || exit 1; \
	done
	install -d $(D)/lib/systemd/system/sysinit.target.wants
	ln -sf ../gatekeeper-switched.service $(D)/lib/systemd/system/sysinit.target.wants/
	install -d $(D)/lib/systemd/system/multi-user.target.wants
	ln -sf ../gatekeeper-shutdown.service $(D)/lib/systemd/system/multi-user.target.wants/
	install -d $(D)/lib/systemd/system/sleep.target.wants
	ln -sf ../gatekeeper-sleep.service $(D)/lib/systemd/system/sleep.target.wants/
	install -d '$(D)/lib/systemd/system/qubes-vm@sys-usb.service.d'
	install -m 0644 handoff/qubes-vm@sys-usb.service.d/*.conf \
		'$(D)/lib/systemd/system/qubes-vm@sys-usb.service.d/'
	install -d $(D)/lib/systemd/system/xenstored.service.d
	install -m 0644 dracut-module/units/xenstored-20-gatekeeper.conf \
		$(D)/lib/systemd/system/xenstored.service.d/20-gatekeeper.conf
	[ -e $(DESTDIR)/etc/gatekeeper/gatekeeper.conf ] || \
		install -m 0644 gatekeeper/dom0/gatekeeper.conf $(DESTDIR)/etc/gatekeeper/
	[ -e $(DESTDIR)/etc/gatekeeper/rules.conf ] || \
		install -m 0644 gatekeeper/dom0/rules.conf $(DESTDIR)/etc/gatekeeper/
	for page in $(MAN); do \
		dir=$(D)/share/man/man$${page##*.}; \
		install -d $$dir && install -m 0644 $$page $$dir/ || exit 1; \
	done

.PHONY: clean
clean:
	rm -rf $(B)

-include $(wildcard $(B)/obj/*/*/*/*.d $(B)/obj/*/*/*.d $(B)/obj/*/*.d)
