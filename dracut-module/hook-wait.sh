#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Before the passphrase prompt: until the gate is ready, or its time is up. Once:
# dracut comes by here again and again as long as the root is not there.
if [ ! -e /run/gatekeeper/waited ] && getargbool 1 rd.gatekeeper && [ -e /sys/hypervisor/type ]; then
    gatekeeper wait
    : > /run/gatekeeper/waited
fi
