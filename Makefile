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
ALL_CFLAGS := $(CSTD) $(WARN) $(HARDEN) -Igatekeeper -I. -MMD -MP $(CFLAGS)
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

# ---- the gate domain: static, because its initramfs holds nothing else -------
DOMAIN_SUPERVISOR := supervisor devices digest hostdrivers inventory \
	link_server log uevent
DOMAIN_WORKER := worker worker_keyboard sandbox udev_absent
domain_objs = $(1:%=$(B)/obj/gatekeeper/domain/%.o)
STATIC := -static-pie -Wl,--gc-sections

$(B)/gate/init: $(call domain_objs,init log)
$(B)/gate/supervisor: $(call domain_objs,$(DOMAIN_SUPERVISOR)) $(B)/libgkcore.a
$(B)/gate/supervisor: LIBS := -lxenvchan -lxenstore -lxengnttab -lxenevtchn \
	-lxentoollog -lxentoolcore -lcrypto
$(B)/gate/worker: $(call domain_objs,$(DOMAIN_WORKER)) $(B)/libgkcore.a
$(B)/gate/worker: LIBS := -lusb-1.0
$(B)/gate/%:
	$(call say,LD $@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(STATIC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) -lpthread
$(B)/obj/gatekeeper/domain/%.o: ALL_CFLAGS += -ffunction-sections -fdata-sections \
	-I/usr/include/libusb-1.0

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
	$(call say,AR $@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(B)/obj/%.o: %.c
	$(call say,CC $<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -fPIE -c -o $@ $<

# ---- dom0 ------------------------------------------------------------------
objs = $(patsubst %.c,$(B)/obj/%.o,$(wildcard $(1)))
LINK_READER := gatekeeper/dom0/link_%.c
DAEMON := $(filter-out $(wildcard gatekeeper/dom0/link_*.c),$(wildcard gatekeeper/dom0/*.c)) \
	gatekeeper/dom0/link_client.c

$(B)/gatekeeperd: $(call objs,$(DAEMON) handoff/*.c) $(B)/libgkcore.a
$(B)/gatekeeperd: LIBS := -lxenstore
$(B)/gatekeeper-link: $(call objs,$(filter-out gatekeeper/dom0/link_client.c,$(wildcard \
	gatekeeper/dom0/link_*.c)) gatekeeper/dom0/clock.c) $(B)/libgkcore.a
$(B)/gatekeeper-link: LIBS := -lxenvchan -lxenstore -lseccomp
$(B)/gatekeeper: $(call objs,gatekeeper/cli/*.c handoff/pci.c handoff/run.c) $(B)/libgkcore.a
$(B)/gatekeeperd $(B)/gatekeeper-link $(B)/gatekeeper:
	$(call say,LD $@)
	$(Q)$(CC) -pie $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

PROGRAMS := $(B)/gatekeeperd $(B)/gatekeeper-link $(B)/gatekeeper
all: $(PROGRAMS) $(B)/gate-kernel $(B)/gate-image

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
	install -m 0755 -s $(B)/gatekeeperd $(B)/gatekeeper-link $(D)/lib/gatekeeper/
	install -m 0644 $(B)/gate-kernel $(B)/gate-image $(D)/lib/gatekeeper/
	install -m 0755 -s $(B)/gatekeeper $(D)/bin/
	install -m 0755 dracut-module/*.sh $(D)/lib/dracut/modules.d/89gatekeeper/
	install -m 0644 dracut-module/60-gatekeeper.rules $(D)/lib/udev/rules.d/
	install -m 0644 $(UNITS) $(D)/lib/systemd/system/
	sed 's|@XEN_BIN@|$(XEN_BIN)|' dracut-module/units/gatekeeper-xenstored.service.in \
		> $(D)/lib/systemd/system/gatekeeper-xenstored.service
	install -d $(D)/lib/systemd/system/sysinit.target.wants
	ln -sf ../gatekeeper-switched.service $(D)/lib/systemd/system/sysinit.target.wants/
	install -d '$(D)/lib/systemd/system/qubes-vm@sys-usb.service.d'
	install -m 0644 handoff/qubes-vm@sys-usb.service.d/*.conf \
		'$(D)/lib/systemd/system/qubes-vm@sys-usb.service.d/'
	[ -e $(DESTDIR)/etc/gatekeeper/gatekeeper.conf ] || \
		install -m 0644 gatekeeper/dom0/gatekeeper.conf $(DESTDIR)/etc/gatekeeper/
	for page in $(MAN); do \
		dir=$(D)/share/man/man$${page##*.}; \
		install -d $$dir && install -m 0644 $$page $$dir/ || exit 1; \
	done

.PHONY: clean
clean:
	rm -rf $(B)

-include $(wildcard $(B)/obj/*/*/*.d $(B)/obj/*/*.d)
