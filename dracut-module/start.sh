#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The gate without systemd in the initramfs: xenstored, then gatekeeperd, in the
# background of everything else. Both outlive the switch to the real root.

/usr/lib/gatekeeper/prepare-xen.sh || exit 1
for bin in /usr/lib/xen-*/bin /usr/sbin /usr/lib/xen/bin /usr/libexec/xen/bin; do
    [ -x "$bin/xenstored" ] && break
done
"$bin/xenstored" --internal-db --pid-file /run/xenstore.pid || exit 1
for bin in /usr/lib/xen-*/bin /usr/sbin /usr/lib/xen/bin /usr/libexec/xen/bin; do
    [ -x "$bin/xen-init-dom0" ] && "$bin/xen-init-dom0" > /dev/null && break
done
exec /usr/lib/gatekeeper/gatekeeperd
