#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The gate without systemd in the initramfs: xenstored, then gatekeeperd, in the
# background of everything else. Both outlive the switch to the real root.

gatekeeper prepare-xen || exit 1
xen_tool() {
    for bin in /usr/lib/xen-*/bin /usr/sbin /usr/lib/xen/bin /usr/libexec/xen/bin; do
        [ -x "$bin/$1" ] && echo "$bin/$1" && return
    done
}

"$(xen_tool xenstored)" --internal-db --pid-file /run/xenstore.pid || exit 1
# For libxl alone, see gatekeeper-xenconsoled.service; hook-cleanup.sh ends it.
"$(xen_tool xenconsoled)" --log=none --pid-file=/run/gatekeeper/xenconsoled.pid
"$(xen_tool xen-init-dom0)" > /dev/null
exec /usr/lib/gatekeeper/gatekeeperd
