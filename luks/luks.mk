# SPDX-License-Identifier: GPL-2.0-or-later
# Unlocking: gatekeeper-unlock, gatekeeper-enroll, gatekeeper-key, and the texts in other languages.

# gatekeeper-key alone has libfido2 in it; unlocking and enrolling libcryptsetup.
LUKS_KEY := $(addprefix luks/,key_child.c key_fido.c key_jail.c)
LUKS_MAIN := luks/main.c
LUKS_ENROLL := $(wildcard luks/enroll*.c)
$(B)/libgkluks.a: $(call objs,$(filter-out $(LUKS_KEY) $(LUKS_MAIN) $(LUKS_ENROLL),\
	$(wildcard luks/*.c)))
$(B)/gatekeeper-unlock: $(call objs,$(LUKS_MAIN)) $(B)/libgkluks.a $(B)/libgkdom0.a \
	$(B)/libgkcore.a
$(B)/gatekeeper-enroll: $(call objs,$(LUKS_ENROLL)) $(B)/libgkluks.a $(B)/libgkdom0.a \
	$(B)/libgkcore.a
$(B)/gatekeeper-unlock $(B)/gatekeeper-enroll: LIBS := -lcryptsetup -ljson-c -lcrypto
$(B)/gatekeeper-key: $(call objs,$(LUKS_KEY)) $(B)/obj/luks/key_msg.o $(JAIL) \
	$(B)/libgkcore.a
$(B)/gatekeeper-key: LIBS := -lfido2 -lcrypto
$(B)/gatekeeper-unlock $(B)/gatekeeper-enroll $(B)/gatekeeper-key:
	$(call say,LD $@)
	$(Q)$(CC) -pie $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

LUKS_MO := $(patsubst luks/po/%.po,$(B)/locale/%/LC_MESSAGES/gatekeeper.mo,$(wildcard luks/po/*.po))
$(B)/locale/%/LC_MESSAGES/gatekeeper.mo: luks/po/%.po
	$(call say,MSGFMT $@)
	$(Q)mkdir -p $(@D)
	$(Q)msgfmt --check -o $@ $<

# The texts as the sources have them now; tests/luks/texts compares.
$(B)/luks.pot: $(wildcard luks/*.c)
	$(call say,XGETTEXT $@)
	$(Q)xgettext --language=C --keyword=_ --keyword=N_ --keyword=gk_unlock_tell:2 \
		--keyword=dngettext:2,3 --from-code=UTF-8 --sort-output \
		-o $@ $(sort $^)

PROGRAMS += $(B)/gatekeeper-unlock $(B)/gatekeeper-enroll $(B)/gatekeeper-key $(LUKS_MO)

# ---- tests -------------------------------------------------------------------
LUKS_TESTS := $(patsubst tests/luks/%.c,$(B)/tests/luks/%,$(wildcard tests/luks/test_*.c))
$(LUKS_TESTS): $(B)/tests/luks/%: $(B)/obj/tests/luks/%.o $(B)/libgkluks.a \
		$(B)/libgkdom0.a $(B)/libgkcore.a
	$(call say,LD $@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -pie $(ALL_LDFLAGS) -o $@ $^ -lcryptsetup -ljson-c -lcrypto -lcmocka
luks_fuzz = $(B)/tests/replay/$(1) $(B)/tests/fuzz/$(1)
$(call luks_fuzz,token): luks/token.c luks/token.h
$(call luks_fuzz,token): LIBS := -ljson-c -lcrypto
$(call luks_fuzz,key_reply): luks/key_msg.c luks/key_msg.h
$(call luks_fuzz,unit): $(addprefix luks/,unit.c volume.c token.c unit.h volume.h) \
	gatekeeper/dom0/log.c gatekeeper/dom0/paths.c
$(call luks_fuzz,unit): LIBS := -lcryptsetup -ljson-c -lcrypto
# gatekeeper-enroll with the points of luks/enroll_points.h, where tests stop it.
ENROLL_STOPS := $(B)/tests/enroll-stops
$(ENROLL_STOPS): tests/luks/enroll_stops.c $(LUKS_ENROLL) $(wildcard luks/*.h) $(B)/libgkluks.a \
		$(B)/libgkdom0.a $(B)/libgkcore.a
	$(call say,LD $@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) $(WARN) $(CFLAGS) -DGK_ENROLL_STOPS -Igatekeeper -I. -o $@ \
		$(filter %.c %.a,$^) $(LDFLAGS) -lcryptsetup -ljson-c -lcrypto
