#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154 # moddir, initdir and others are dracut's
# dracut module "gatekeeper": the gate domain, its image and its dom0 side, in
# the initramfs. dracut.modules(7).

# Where this distribution keeps a Xen tool: Debian has a versioned directory
# (and a slow wrapper in /usr/sbin), Fedora and Qubes have /usr/sbin and libexec.
# Of several versions the newest, as GRUB boots that one.
_gk_xen_tool() {
    local dir found=
    for dir in "${dracutsysrootdir-}"/usr/libexec/xen/bin \
        "${dracutsysrootdir-}"/usr/lib/xen/bin \
        "${dracutsysrootdir-}"/usr/sbin \
        $(printf '%s\n' "${dracutsysrootdir-}"/usr/lib/xen-*/bin | sort -V); do
        [[ -x $dir/$1 ]] && found=${dir#"${dracutsysrootdir-}"}/$1
    done
    [[ $found ]] && echo "$found"
}

check() {
    local f
    require_binaries gatekeeper modprobe || return 1
    for f in xl xenstored xenconsoled xen-init-dom0; do
        _gk_xen_tool "$f" > /dev/null || {
            dinfo "dracut module 'gatekeeper' needs Xen's $f"
            return 1
        }
    done
    for f in gatekeeperd gatekeeper-link gatekeeper-unlock gatekeeper-key \
        gate-kernel gate-image; do
        [[ -e ${dracutsysrootdir-}/usr/lib/gatekeeper/$f ]] || {
            dinfo "dracut module 'gatekeeper' needs /usr/lib/gatekeeper/$f"
            return 1
        }
    done
    return 0
}

depends() {
    local conf="${dracutsysrootdir:-}/etc/gatekeeper/gatekeeper.conf"

    echo crypt
    # Then systemd's own programs are to find the keys already here, and look for what
    # opens a disk with one: libcryptsetup's plugin.
    if grep -Eqs '^[[:space:]]*uhid[[:space:]]*=[[:space:]]*"?always' "$conf" &&
        [[ -d $(dracut_module_path fido2) ]]; then
        echo fido2
    fi
    return 0
}

installkernel() {
    # dom0's side of Xen, the virtual keyboard, virtual FIDO keys.
    hostonly='' instmods xen-pciback xen-gntdev xen-gntalloc xen-evtchn \
        xen-privcmd xenfs uinput uhid
    # Used by rd.gatekeeper.fallback=dom0-hid alone.
    hostonly='' instmods xhci-pci ehci-pci ohci-pci uhci-hcd usbhid hid-generic
}

install() {
    local tool unit catalogue

    inst_multiple modprobe cat kill sleep setsid gatekeeper
    inst_rules 60-gatekeeper.rules
    inst_multiple /usr/lib/gatekeeper/gatekeeperd \
        /usr/lib/gatekeeper/gatekeeper-link \
        /usr/lib/gatekeeper/gatekeeper-unlock \
        /usr/lib/gatekeeper/gatekeeper-key \
        /usr/lib/gatekeeper/gate-kernel \
        /usr/lib/gatekeeper/gate-image
    inst_multiple -o /etc/gatekeeper/gatekeeper.conf \
        /etc/gatekeeper/rules.conf /etc/xen/xl.conf \
        /var/lib/gatekeeper/keyboards
    # The prompt in the language of the system: its catalogue, and the one file of a
    # locale that gettext wants to see before it translates.
    inst_multiple -o /etc/locale.conf /etc/default/locale \
        /usr/lib/locale/C.utf8/LC_MESSAGES/SYS_LC_MESSAGES
    for catalogue in "${dracutsysrootdir-}"/usr/share/locale/*/LC_MESSAGES/gatekeeper.mo; do
        [[ -e $catalogue ]] && inst_simple "${catalogue#"${dracutsysrootdir-}"}"
    done
    for tool in xenstored xenconsoled xen-init-dom0; do
        inst "$(_gk_xen_tool "$tool")"
    done
    # gatekeeperd looks for it on PATH, and finds the real one here.
    inst "$(_gk_xen_tool xl)" /usr/sbin/xl
    # pthread_cancel() loads it at run time; without it xl aborts.
    inst_libdir_file "libgcc_s.so*"

    if dracut_module_included "systemd"; then
        for unit in gatekeeper-controllers gatekeeper-xenstored \
            gatekeeper-xenconsoled gatekeeperd gatekeeper-wait gatekeeper-unlock; do
            inst_simple "$systemdsystemunitdir/$unit.service"
            $SYSTEMCTL -q --root "$initdir" add-wants sysinit.target "$unit.service"
        done
        # The units name the Xen that was there when this was installed.
        for tool in xenstored xenconsoled xen-init-dom0; do
            sed -i "s|/[^ @=]*/$tool\>|$(_gk_xen_tool "$tool")|" \
                "$initdir$systemdsystemunitdir"/gatekeeper-xen*.service
        done
        inst_simple "$moddir/cryptsetup-20-gatekeeper.conf" \
            "/etc/systemd/system/systemd-cryptsetup@.service.d/20-gatekeeper.conf"
        # Qubes' own hook takes the controllers from pciback and back again.
        if dracut_module_included "qubes-pciback"; then
            mkdir -p "$initdir$systemdsystemunitdir/gatekeeper-controllers.service.d"
            printf '[Unit]\nAfter=dracut-cmdline.service\n' \
                > "$initdir$systemdsystemunitdir/gatekeeper-controllers.service.d/qubes.conf"
        fi
    else
        inst_simple "$moddir/start.sh" /usr/lib/gatekeeper/start.sh
        inst_simple "$moddir/ask.sh" /usr/lib/gatekeeper/ask.sh
        inst_multiple sed grep mv
        inst_hook cmdline 03 "$moddir/hook-cmdline.sh"
        inst_hook initqueue/settled 00 "$moddir/hook-wait.sh"
        inst_hook cleanup 90 "$moddir/hook-cleanup.sh"
    fi
    dracut_need_initqueue
}
