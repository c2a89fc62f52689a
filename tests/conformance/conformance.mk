# SPDX-License-Identifier: GPL-2.0-or-later
# Included by the Makefile at the top.

# The conformance test, and our supervisor on a socket for it.
$(T)/conformance/conformance: $(B)/obj/tests/conformance/conformance.o $(B)/libgkcore.a
$(T)/conformance/worker: $(B)/obj/tests/conformance/worker.o $(B)/libgkcore.a
$(T)/conformance/supervisor: $(call domain_objs,$(filter-out link_vchan spawn reduce,\
		$(DOMAIN_SUPERVISOR))) $(call objs,tests/conformance/socket_stream.c \
		tests/conformance/plain_start.c) $(B)/libgkcore.a
$(T)/conformance/supervisor: LIBS := -lcrypto
CONFORMANCE := $(addprefix $(T)/conformance/,conformance worker supervisor)
$(CONFORMANCE):
	$(call say,LD $@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -pie $(ALL_LDFLAGS) -o $@ $^ $(LIBS) -lpthread
