#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Takes every USB controller to xen-pciback before udev can load a host driver.
# driver_override comes first: once it says "pciback" no other driver binds, not
# even if one is loaded later, and not if pciback itself cannot be loaded.

type getarg > /dev/null 2>&1 || . /lib/dracut-lib.sh

PCI=/sys/bus/pci

say() {
    echo "USB Gatekeeper: $*" >&2
}

driver_of() {
    if [ -e "$PCI/devices/$1/driver" ]; then
        basename "$(readlink -f "$PCI/devices/$1/driver")"
    else
        echo none
    fi
}

# rd.qubes.dom0_usb=BDF[,BDF...]: left to dom0. With or without "0000:".
is_for_dom0() {
    case ",$(getargs rd.qubes.dom0_usb= | tr ' ' ',')," in
        *",$1,"* | *",${1#0000:},"*) return 0 ;;
    esac
    return 1
}

# Class 0c03: UHCI, OHCI, EHCI and xHCI. Not 40 (USB4 host) nor fe (a device).
usb_controllers() {
    for dev in "$PCI"/devices/*; do
        read -r class < "$dev/class" || continue
        case $class in
            0x0c0300 | 0x0c0310 | 0x0c0320 | 0x0c0330) echo "${dev##*/}" ;;
        esac
    done
}

getargbool 1 rd.gatekeeper || exit 0
[ -e /sys/hypervisor/type ] || {
    say "this is not Xen, so there is no gate domain; USB is left as it is."
    exit 0
}

mkdir -p /run/gatekeeper
cut -d' ' -f1 /proc/uptime > /run/gatekeeper/started

taken=
for bdf in $(usb_controllers); do
    if is_for_dom0 "$bdf"; then
        say "controller $bdf is left to dom0 (rd.qubes.dom0_usb)."
        continue
    fi
    driver=$(driver_of "$bdf")
    echo pciback > "$PCI/devices/$bdf/driver_override"
    if [ "$driver" != none ] && [ "$driver" != pciback ]; then
        say "$driver had taken controller $bdf before the gate could: is it built" \
            "into this kernel? dom0 has already spoken to what is plugged in."
        echo "$bdf" > "$PCI/devices/$bdf/driver/unbind"
    fi
    taken="$taken $bdf"
done

[ -n "$taken" ] || exit 0
modprobe -q xen-pciback ||
    say "xen-pciback cannot be loaded: no controller can be given to the gate." \
        "They stay without a driver."
for bdf in $taken; do
    [ "$(driver_of "$bdf")" = pciback ] || echo "$bdf" > "$PCI/drivers_probe"
    [ "$(driver_of "$bdf")" = pciback ] ||
        say "controller $bdf could not be bound to xen-pciback; it stays without" \
            "a driver. A way on: another controller, a PS/2 keyboard, or boot with" \
            "rd.gatekeeper=0."
done
exit 0
