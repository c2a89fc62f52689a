#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Before the passphrase prompt: until the gate is ready, or its time is up.
if getargbool 1 rd.gatekeeper && [ -e /sys/hypervisor/type ]; then
    gatekeeper wait
fi
