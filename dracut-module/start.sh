#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The gate without systemd in the initramfs: xenstored, then gatekeeperd, in the
# background of everything else. Both outlive the switch to the real root.

gatekeeper prepare-xen
xen_tool() {
    for bin in /usr/lib/xen-*/bin /usr/sbin /usr/lib/xen/bin /usr/libexec/xen/bin; do
        [ -x "$bin/$1" ] && echo "$bin/$1" && return
    done
}

"$(xen_tool xenstored)" --internal-db --pid-file /run/xenstore.pid
# For libxl alone, see gatekeeper-xenconsoled.service; hook-cleanup.sh ends it.
"$(xen_tool xenconsoled)" --log=none --pid-file=/run/gatekeeper/xenconsoled.pid
"$(xen_tool xen-init-dom0)" > /dev/null
# gatekeeperd says what is missing, if something is. It is started again as systemd
# would do it, but only as long as this root is there.
n=0
until /usr/lib/gatekeeper/gatekeeperd || [ $n -ge 5 ]; do
    [ -x /usr/lib/gatekeeper/gatekeeperd ] || exit 0
    n=$((n + 1))
    sleep 1
done
