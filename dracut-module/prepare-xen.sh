#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What xenstored, xl and gatekeeperd need in an initramfs.

modprobe -a -q xen-privcmd xen-evtchn xen-gntdev xen-gntalloc xenfs uinput
[ -e /proc/xen/capabilities ] || mount -t xenfs xenfs /proc/xen
mkdir -p /run/gatekeeper/empty /run/gatekeeper/xen-lib /run/xen /run/xenstored \
    /var/lib /var/log/xen /var/lock
# libxl's view of the domain has to survive the switch to the real root.
[ -e /var/lib/xen ] || ln -s /run/gatekeeper/xen-lib /var/lib/xen
grep -q control_d /proc/xen/capabilities || {
    echo "USB Gatekeeper: this is not dom0; the gate stays out of it." >&2
    exit 1
}
