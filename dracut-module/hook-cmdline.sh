#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# dracut's cmdline stage, before udev: controllers first, then the gate.
gatekeeper take-controllers
if getargbool 1 rd.gatekeeper && [ -e /sys/hypervisor/type ]; then
    setsid /usr/lib/gatekeeper/start.sh < /dev/null > /dev/kmsg 2>&1 &
    # Security keys: see ask.sh.
    if [ -e /lib/dracut-crypt-lib.sh ]; then
        sed 's/^ask_for_password()/gk_stock_ask_for_password()/' \
            /lib/dracut-crypt-lib.sh > /tmp/crypt-lib.sh
        if grep -q '^gk_stock_ask_for_password()' /tmp/crypt-lib.sh; then
            cat /usr/lib/gatekeeper/ask.sh >> /tmp/crypt-lib.sh
            mv /tmp/crypt-lib.sh /lib/dracut-crypt-lib.sh
        fi
    fi
fi
