# SPDX-License-Identifier: GPL-2.0-or-later
# Included by the Makefile at the top.

# A gate that has been taken over; tests/takeover/gate/README.md.
EVIL_GATE := tests/takeover/gate
# gatekeeperd's own code without its main().
$(B)/obj/gatekeeperd_main.o: $(B)/obj/gatekeeper/dom0/main.o
	$(Q)objcopy --redefine-sym main=gatekeeperd_main $< $@
$(T)/takeover/campaign: $(call objs,$(EVIL_GATE)/campaign.c $(EVIL_GATE)/attack.c) \
	$(B)/obj/gatekeeperd_main.o $(B)/libgkdom0.a $(B)/libgkcore.a
$(T)/takeover/campaign: LIBS := -lxenstore
$(T)/takeover/campaign:
	$(call say,LD $@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -pie $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(T)/takeover/gate-supervisor: $(call objs,$(EVIL_GATE)/supervisor.c $(EVIL_GATE)/attack.c) \
	$(B)/libgkcore.a
$(T)/takeover/gate-supervisor: LIBS := -lxenvchan -lxenstore -lxengnttab -lxenevtchn \
	-lxentoollog -lxentoolcore
$(T)/takeover/witness: $(call objs,$(EVIL_GATE)/witness.c)
$(T)/takeover/gate-supervisor $(T)/takeover/witness:
	$(call say,LD $@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(STATIC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) -lpthread
$(T)/takeover/gate-image: $(B)/gate/init $(T)/takeover/gate-supervisor $(B)/gate/worker \
		$(IMAGE)/build-image
	$(call say,IMAGE $@)
	$(Q)$(IMAGE)/build-image $@ $(filter $(B)/%,$^)
# The list of keys, for the scenario.
$(T)/takeover/keys: $(T)/takeover/campaign
	$(Q)$< --keys > $@
TAKEN_OVER_GATE := $(T)/takeover/gate-image $(T)/takeover/witness $(T)/takeover/keys

# A worker that was taken over: all objects of the real one, and hooks in them.
# `unsealed`: without its system-call filter, to see what the rest of the jail holds.
EVIL_WORKER := $(T)/takeover/worker
evil_objs = $(1:%=$(B)/obj/tests/takeover/worker/%.o)
$(call evil_objs,evil evil-unsealed attempts attempts_link test_jail test_link): \
	ALL_CFLAGS += -I/usr/include/libusb-1.0
$(call evil_objs,test_jail): $(call bpf,domain/supervisor)
$(call evil_objs,evil-unsealed): tests/takeover/worker/evil.c
	$(call say,CC $< (unsealed))
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -DGK_UNSEALED -fPIE -c -o $@ $<
$(EVIL_WORKER)/sealed: $(call evil_objs,evil)
$(EVIL_WORKER)/unsealed: $(call evil_objs,evil-unsealed)
$(EVIL_WORKER)/sealed $(EVIL_WORKER)/unsealed: $(call domain_objs,$(DOMAIN_WORKER)) \
		$(call evil_objs,attempts attempts_link) $(JAIL) $(B)/libgkcore.a
	$(call say,LD $@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(STATIC) $(ALL_LDFLAGS) -Wl,--wrap=gk_worker_send \
		-Wl,--wrap=gk_sandbox_seal -o $@ $^ -lusb-1.0 -lpthread
$(EVIL_WORKER)/%.image: $(B)/gate/init $(B)/gate/supervisor $(EVIL_WORKER)/%
	$(call say,IMAGE $@)
	$(Q)$(IMAGE)/build-image $@ $^
TAKEN_OVER_WORKER := $(EVIL_WORKER)/sealed.image $(EVIL_WORKER)/unsealed.image
$(EVIL_WORKER)/test_link: $(call evil_objs,test_link attempts_link) \
		$(call domain_objs,devices) $(B)/libgkcore.a
$(EVIL_WORKER)/test_jail: $(call evil_objs,test_jail attempts) \
		$(call domain_objs,sandbox reduce) $(JAIL)
$(EVIL_WORKER)/test_jail $(EVIL_WORKER)/test_link:
	$(call say,LD $@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -pie $(ALL_LDFLAGS) -o $@ $^ -lcmocka
