# SPDX-License-Identifier: GPL-2.0-or-later
# Included by the Makefile at the top: programs for the part `latency`.

BENCH_LIBS := -lxenvchan -lxenstore -lxengnttab -lxenevtchn -lxentoollog -lxentoolcore
$(T)/bench-vm/probe $(T)/bench-vm/pong $(T)/bench-vm/hostclock: $(T)/bench-vm/%: \
		$(B)/obj/tests/bench/%.o
	$(call say,LD $@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(STATIC) $(ALL_LDFLAGS) -o $@ $^ $(BENCH_LIBS) -lpthread
$(T)/bench-vm/pong-image: $(B)/gate/init $(T)/bench-vm/pong $(B)/gate/worker \
		$(IMAGE)/build-image
	$(call say,IMAGE $@)
	$(Q)$(IMAGE)/build-image $@ $(filter $(B)/%,$^)
BENCH_VM := $(T)/bench-vm/probe $(T)/bench-vm/hostclock $(T)/bench-vm/pong-image
