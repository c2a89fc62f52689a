#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154 # device, luksname and others are cryptroot-ask's
# Without systemd: put behind dracut's crypt-lib.sh by hook-cmdline.sh, where
# ask_for_password() was renamed. cryptroot-ask calls it when it would ask for the
# passphrase of $device; others (gpg, cifs) get the stock one at once.
ask_for_password() {
    case "$*" in
    *luksOpen*)
        if [ -n "$luksname" ] && [ -b "$device" ]; then
            _gk_options=$luksoptions
            case "$cryptsetupopts" in
            *--allow-discards*) _gk_options="$_gk_options,discard" ;;
            esac
            {
                flock -x 9
                /usr/lib/gatekeeper/gatekeeper-unlock --options "$_gk_options" \
                    "$luksname" "$device" 2> /dev/kmsg
            } 9> /.console_lock && return 0
        fi
        ;;
    esac
    gk_stock_ask_for_password "$@"
}
