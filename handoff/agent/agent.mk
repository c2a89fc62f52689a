# SPDX-License-Identifier: GPL-2.0-or-later
# Included by the Makefile at the top.

# The agent in a USB domain: the gate's supervisor and worker in another place. Static
# as in the gate: its system-call list then needs no dynamic linker, and it runs in a
# domain with another libc.
AGENT_OBJS := $(call objs,handoff/agent/*.c)
AGENT_DOMAIN := $(filter-out gate log,$(DOMAIN_SUPERVISOR))
$(B)/obj/handoff/agent/agent.o: $(call bpf,agent/agent)
$(AGENT_OBJS): ALL_CFLAGS += -I/usr/include/libusb-1.0 -ffunction-sections -fdata-sections
$(B)/agent/gatekeeper-agent: $(AGENT_OBJS) $(call domain_objs,$(AGENT_DOMAIN)) $(JAIL) \
	$(B)/libgkcore.a
$(B)/agent/gatekeeper-agent: LIBS := -lxenvchan -lxenstore -lxengnttab -lxenevtchn \
	-lxentoollog -lxentoolcore -lcrypto
$(B)/agent/gatekeeper-agent:
	$(call say,LD $@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(STATIC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) -lpthread
$(B)/agent/gatekeeper-worker: $(B)/gate/worker
	$(call say,COPY $@)
	$(Q)mkdir -p $(@D)
	$(Q)cp $< $@
AGENT := $(B)/agent/gatekeeper-agent $(B)/agent/gatekeeper-worker
all: $(AGENT)

# In the USB domain, or into a root of it: make install-agent DESTDIR=...
AGENT_DIR := $(DESTDIR)$(PREFIX)
.PHONY: install-agent
install-agent: $(AGENT)
	install -d $(AGENT_DIR)/lib/gatekeeper $(AGENT_DIR)/lib/systemd/system \
		$(AGENT_DIR)/share/man/man8
	install -m 0755 -s $(AGENT) $(AGENT_DIR)/lib/gatekeeper/
	for unit in handoff/agent/*.service; do \
		sed 's|/usr/lib/gatekeeper|$(PREFIX)/lib/gatekeeper|' $$unit \
			> $(AGENT_DIR)/lib/systemd/system/$${unit##*/} || exit 1; \
	done
	install -m 0644 docs/gatekeeper-agent.8 $(AGENT_DIR)/share/man/man8/
