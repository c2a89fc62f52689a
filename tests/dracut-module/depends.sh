#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Which of dracut's modules ours asks for, as the settings say.
here=$(cd "$(dirname "$0")" && pwd)
dracutsysrootdir=$(mktemp -d /tmp/gk-dracut-XXXXXX)
trap 'rm -rf "$dracutsysrootdir"' EXIT
conf=$dracutsysrootdir/etc/gatekeeper/gatekeeper.conf
mkdir -p "${conf%/*}" "$dracutsysrootdir/91fido2"
failed=0

# dracut's own: where a module is.
# shellcheck disable=SC2317 # called by depends
dracut_module_path() {
    echo "$dracutsysrootdir/91$1"
}

# shellcheck source=dracut-module/module-setup.sh
. "$here/../../dracut-module/module-setup.sh"

# expect MODULES SETTING
expect() {
    printf '%s\n' "$2" > "$conf"
    got=$(depends | tr '\n' ' ')
    if [ "$got" = "$1 " ]; then
        echo "ok: '$2': $1"
    else
        echo "FAILED: '$2': $got, not $1"
        failed=1
    fi
}

expect "crypt" ""
expect "crypt" "uhid = after-boot"
expect "crypt" "#uhid = always"
expect "crypt fido2" "uhid = always"
expect "crypt fido2" "  uhid=always"
rmdir "$dracutsysrootdir/91fido2"
expect "crypt" "uhid = always"
exit $failed
