# SPDX-License-Identifier: GPL-2.0-or-later
# Included by the Makefile at the top.

# The agent on a socket in vchan's place, with the conformance test's worker.
AGENT_T := $(T)/handoff-agent
$(AGENT_T)/gatekeeper-agent: $(AGENT_OBJS) $(call domain_objs,$(filter-out link_vchan spawn \
		reduce,$(AGENT_DOMAIN))) $(call objs,tests/conformance/socket_stream.c \
		tests/conformance/plain_start.c) $(B)/libgkcore.a
$(AGENT_T)/gatekeeper-agent: LIBS := -lcrypto
$(AGENT_T)/test_duty: $(B)/obj/tests/handoff/agent/test_duty.o $(B)/obj/handoff/agent/duty.o
$(AGENT_T)/test_duty: LIBS := -lcmocka
AGENT_TESTS := $(AGENT_T)/gatekeeper-agent $(AGENT_T)/test_duty
$(AGENT_TESTS):
	$(call say,LD $@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -pie $(ALL_LDFLAGS) -o $@ $^ $(LIBS) -lpthread
$(AGENT_T)/gatekeeper-worker: $(T)/conformance/worker
	$(Q)mkdir -p $(@D)
	$(Q)cp $< $@
AGENT_TESTS += $(AGENT_T)/gatekeeper-worker
