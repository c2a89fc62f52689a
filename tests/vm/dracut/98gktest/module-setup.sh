#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154 # set by dracut
# Test harness only: the watcher that tells what happens in the initramfs.

check() {
    return 255
}

depends() {
    return 0
}

install() {
    inst_simple /usr/lib/gktest/gktest-watch /usr/bin/gktest-watch
    if dracut_module_included "systemd"; then
        inst_simple "$moddir/gktest-watch.service" \
            "$systemdsystemunitdir/gktest-watch.service"
        $SYSTEMCTL -q --root "$initdir" add-wants sysinit.target gktest-watch.service
    else
        inst_hook cmdline 00 "$moddir/gktest-watch.sh"
    fi
}
