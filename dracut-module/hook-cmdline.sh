#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# dracut's cmdline stage, before udev: controllers first, then the gate.
gatekeeper take-controllers
if getargbool 1 rd.gatekeeper && [ -e /sys/hypervisor/type ]; then
    setsid /usr/lib/gatekeeper/start.sh < /dev/null > /dev/kmsg 2>&1 &
fi
