#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Before the switch to the real root, which starts a xenconsoled of its own.
if [ -s /run/gatekeeper/xenconsoled.pid ]; then
    kill "$(cat /run/gatekeeper/xenconsoled.pid)"
    rm -f /run/gatekeeper/xenconsoled.pid
fi
