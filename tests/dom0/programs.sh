#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# gatekeeperd and the gatekeeper command as they are installed, on a machine
# without Xen: what they say there, that they say it in time, and how the files
# and the control socket between them behave.
# usage: programs.sh DIRECTORY-OF-THE-PROGRAMS PLAYED-LINK
set -u

bin=$(cd "${1:?usage: programs.sh DIR PLAYED-LINK}" && pwd)
played=${2:?usage: programs.sh DIR PLAYED-LINK}
tmp=$(mktemp -d /tmp/gk-programs-XXXXXX)
root=$tmp/root
daemon=
failed=0

# shellcheck disable=SC2317 # called by trap
cleanup() {
    [ -z "$daemon" ] || kill "$daemon" 2> /dev/null
    rm -rf "$tmp"
}
trap cleanup EXIT

gk() {
    timeout 20 "$bin/gatekeeper" --run-dir "$tmp/run" --root-prefix "$root" "$@" \
        > "$tmp/out" 2> "$tmp/err"
    status=$?
}

# expect NAME STATUS TEXT: of the last gk; TEXT is in what it said.
expect() {
    if [ "$status" != "$2" ] ||
        { [ -n "$3" ] && ! cat "$tmp/out" "$tmp/err" | grep -qF -- "$3"; }; then
        echo "FAILED: $1: status $status (not $2), said:"
        cat "$tmp/out" "$tmp/err"
        failed=1
    else
        echo "ok: $1"
    fi
}

machine() {
    rm -rf "$root"
    mkdir -p "$root/sys/bus/pci/devices" "$root/sys/bus/pci/drivers/pciback" \
        "$root/proc" "$root/bin"
    echo "root=/dev/x $1" > "$root/proc/cmdline"
}

controller() {
    mkdir -p "$root/sys/bus/pci/devices/$1"
    echo 0x0c0330 > "$root/sys/bus/pci/devices/$1/class"
    echo "(null)" > "$root/sys/bus/pci/devices/$1/driver_override"
    ln -s "../../drivers/$2" "$root/sys/bus/pci/devices/$1/driver"
}

start() {
    rm -rf "$tmp/run"
    "$bin/gatekeeperd" --run-dir "$tmp/run" --root-prefix "$root" 2> "$tmp/log" &
    daemon=$!
}

stop() {
    kill "$daemon"
    wait "$daemon"
    daemon=
}

# --- without gatekeeperd ---
machine ""
gk
expect "no command" 2 "usage:"
gk nonsense
expect "an unknown command" 2 "usage:"
gk --help
expect "--help" 0 "usage:"
gk --version
expect "--version" 0 "gatekeeper "
gk status
expect "status without gatekeeperd" 1 "does not run"
gk wait --timeout 0
expect "wait without gatekeeperd ends" 1 "no answer within 0 s"
gk wait --timeout x
expect "wait with a wrong time" 2 "usage:"
gk handoff --release-only --to-config /etc/passwd
expect "handoff with both" 2 "usage:"
gk doctor
expect "doctor" 1 "FAIL Xen"
gk doctor --json
expect "doctor --json" 1 '"ok":false'
if [ -x /usr/bin/python3 ]; then
    /usr/bin/python3 -m json.tool < "$tmp/out" > /dev/null || {
        echo "FAILED: doctor --json is no JSON"
        failed=1
    }
fi

mkdir -p "$root/etc/gatekeeper"
doctor() {
    printf '%b' "$3" > "$root/etc/gatekeeper/rules.conf"
    gk doctor
    expect "doctor on $1" 1 "$2"
}
doctor "rules with an error" "rules.conf line 2, column 1: " 'allow\nallaw\n'
doctor "rules without keyboards" "does not let every plain keyboard in" \
    'allow role fido\n'
doctor "rules without hubs" "does not let every hub in" \
    'allow with-interface 03:01:01\n'
doctor "rules with a note" "WARN rules: $root/etc/gatekeeper/rules.conf line 2" \
    'allow\nblock\n'
doctor "a mode alone" "lets hubs and plain keyboards in" 'keyboards one\n'
rm "$root/etc/gatekeeper/rules.conf"
gk doctor
expect "doctor without rules" 1 "ok   rules: the built-in ones"

# What unlocking needs, one after the other; then the volumes of crypttab.
lib=$root/usr/lib/gatekeeper
expect "doctor without the unlocker" 1 "/gatekeeper-unlock is missing: install it again"
mkdir -p "$lib" "$root/usr/lib/systemd/system" "$root/usr/lib/dracut/modules.d/89gatekeeper"
cp "$bin/gatekeeper-unlock" "$bin/gatekeeper-enroll" "$lib/"
printf '#!/bin/sh\nexit 127\n' > "$lib/gatekeeper-key"
gk doctor
expect "doctor without the key's program" 1 "/gatekeeper-key is missing: install it again"
chmod +x "$lib/gatekeeper-key"
gk doctor
expect "doctor, a library is missing" 1 "/gatekeeper-key does not start: ldd shows"
cp "$bin/gatekeeper-key" "$lib/"
gk doctor
expect "doctor without the unit" 1 "/gatekeeper-unlock.service is missing: install it"
: > "$root/usr/lib/systemd/system/gatekeeper-unlock.service"
for file in cryptsetup-20-gatekeeper.conf ask.sh; do
    gk doctor
    expect "doctor without $file" 1 "gatekeeper/$file is missing: install it"
    : > "$root/usr/lib/dracut/modules.d/89gatekeeper/$file"
done
gk doctor
expect "doctor on the unlocker" 1 "ok   unlocking: its programs start"
expect "doctor without uhid" 1 "WARN uhid: this kernel has none"
expect "doctor without volumes" 1 "WARN security keys: which volumes have one"
# volume TOKEN...: one in crypttab, with these tokens.
volume() {
    truncate -s 20M "$tmp/disk"
    printf secret | cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 \
        --pbkdf-force-iterations 1000 "$tmp/disk" -
    for token; do
        printf '%s' "$token" | cryptsetup token import --disable-external-tokens "$tmp/disk"
    done
    echo "root $tmp/disk none luks" > "$root/etc/crypttab"
}
volume
gk doctor
expect "doctor, no key is enrolled" 1 "ok   security keys: keyslots that one opens: 0"
volume '{"type":"systemd-fido2","keyslots":["0"],"fido2-credential":"AAAA","fido2-salt":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}'
gk doctor
expect "doctor, one is" 1 "ok   security keys: keyslots that one opens: 1"
volume '{"type":"systemd-fido2","keyslots":["0"],"fido2-credential":"AAAA","fido2-salt":"AAAA"}'
gk doctor
expect "doctor, a token that cannot be read" 1 "tokens of 1 of 1 keyslots cannot be read: see"
volume '{"type":"gatekeeper-enrolling","keyslots":[],"keyslot":1}'
gk doctor
expect "doctor, an enrolment was broken off" 1 "something is left over in a header: see"
rm "$root/etc/crypttab"
expect "doctor on a shell" 1 "WARN rd.shell: "
machine "rd.shell rd.shell=0"
gk doctor
expect "doctor without a shell" 1 "ok   rd.shell: "

# --- inspect: a boot keyboard, and what is cut off after its first bytes ---
printf '\022\001\000\002\000\000\000\010\047\006\001\000\000\000\001\002\003\001' \
    > "$tmp/keyboard"
printf '\011\002\042\000\001\001\000\240\062\011\004\000\000\001\003\001\001\000' \
    >> "$tmp/keyboard"
printf '\011\041\021\001\000\001\042\077\000\007\005\201\003\010\000\012' \
    >> "$tmp/keyboard"
gk inspect --json "$tmp/keyboard"
expect "inspect a keyboard" 0 '"roles":["keyboard"]'
gk inspect "$tmp/keyboard"
expect "inspect, for people" 0 "interface 0 (03:01:01, input): admitted as keyboard"
expect "inspect, the rule" 0 "rule built-in:12: allow with-interface one-of"
head -c 40 "$tmp/keyboard" > "$tmp/short"
gk inspect --json "$tmp/short"
expect "inspect half of it" 1 '"parsed":false'
gk inspect "$tmp/none"
expect "inspect nothing" 1 "cannot be read"
head -c 100000 /dev/zero > "$tmp/long"
gk inspect --json "$tmp/long"
expect "inspect too much" 1 '"parsed":false'

# --- inspect: what lsusb -v prints, a keyboard with a disk in it ---
lsusb=$(dirname "$0")/lsusb-keyboard.txt
gk inspect "$lsusb"
expect "inspect a dump" 0 "device 0627:0001: admitted in part: allowed"
gk inspect --json "$lsusb"
expect "inspect a dump --json" 0 '"class":"08:06:50","role":null,"verdict":"refused"'
grep -v bConfigurationValue "$lsusb" > "$tmp/dump"
gk inspect --json "$tmp/dump"
expect "inspect a dump with a line missing" 1 '"parsed":false'
# A card reader's own descriptor, in a dump as linux-hardware.org has them.
reader=$(dirname "$0")/lsusb-reader.txt
gk inspect "$reader"
expect "inspect a dump of a reader" 0 "interface 0 (0b:00:00, smartcard): admitted as smart"
sed 's/dwMaxCCIDMsgLen       271/dwMaxCCIDMsgLen        14/' "$reader" > "$tmp/dump"
gk inspect "$tmp/dump"
expect "inspect a reader of no use" 1 "refused: no role for it"

# --- inspect: by which rules ---
rules=$tmp/rules.conf
# judge NAME STATUS TEXT RULES [OPTION...]: the dump by these rules.
judge() {
    name=$1 want=$2 text=$3
    printf '%b' "$4" > "$rules"
    shift 4
    gk inspect --rules "$rules" "$@" "$lsusb"
    expect "$name" "$want" "$text"
}
judge "a rule that blocks" 1 "refused: blocked by a rule" '# x\nblock\n'
judge "it is named" 1 'rules.conf:2: block id 0627:*' 'allow 0001:*\nblock id 0627:*\n'
judge "no rule" 1 'refused: no rule allows it' 'allow 0001:*\n'
judge "a role less" 1 "refused: no role for it" 'allow role fido\n'
judge "a port that is not known" 1 "no rule allows it" 'allow via-port "1-3"\n'
judge "a port" 0 "admitted in part" 'allow via-port "1-3"\n' --port 1-3
judge "a serial number" 0 '"rule":"' 'allow serial "7"\n' --json --serial 7
judge "a name" 1 'refused' 'allow name "A"\n' --name B
judge "rules with an error" 1 "rules.conf:1:1: " 'nonsense\n'
mkdir -p "$root/etc/gatekeeper"
echo 'block label "mine"' > "$root/etc/gatekeeper/rules.conf"
gk inspect "$lsusb"
expect "the rules of this machine" 1 'rule rules.conf:1: block label "mine"'
echo 'blick' > "$root/etc/gatekeeper/rules.conf"
gk inspect "$lsusb"
expect "the rules of this machine are broken" 0 "rule built-in:12"
rm "$root/etc/gatekeeper/rules.conf"
echo "block hash \"$(sha256sum < "$tmp/keyboard" | cut -c1-64)\"" > "$rules"
echo allow >> "$rules"
gk inspect --rules "$rules" "$tmp/keyboard"
expect "a device by its hash" 1 "rules.conf:1: block hash"
gk inspect --rules "$rules" "$lsusb"
expect "not another one" 0 "rules.conf:2: allow"
# The same keyboard without the boot protocol: its report descriptor decides.
{ head -c 33 "$tmp/keyboard" && printf '\000\000' && tail -c +36 "$tmp/keyboard"; } \
    > "$tmp/hid"
corpus=$(dirname "$0")/../fuzz/corpus/hid_report
gk inspect --json "$tmp/hid"
expect "a HID interface" 0 '"role":null,"verdict":"undecided"'
expect "what it could be" 0 '"roles":[],"possible_roles":["keyboard","fido"]'
gk inspect --report 0="$corpus/keyboard-nkro" "$tmp/hid"
expect "with its report descriptor" 0 "(03:00:00, input): admitted as keyboard"
gk inspect --json --report 0="$corpus/fido" "$tmp/hid"
expect "a FIDO key" 0 '"roles":["fido"],"possible_roles":[]'
gk inspect --json --report 0="$corpus/gamepad" "$tmp/hid"
expect "a gamepad" 1 '"reason":"no role for it"'
gk inspect --json --report 0="$corpus/bad-deep" "$tmp/hid"
expect "a broken one" 1 '"reason":"its HID report descriptor is broken","reason_code":13,"offset":100'
gk inspect --report 3="$corpus/fido" "$tmp/hid"
expect "of an interface that is not there" 1 "no HID interface 3"
gk inspect --report "$corpus/fido" "$tmp/hid"
expect "of no interface" 2 "usage"
gk inspect --replay "$tmp/hid" --port 1-3
expect "no port with --replay" 2 "usage"

# --- inspect: report descriptors and recordings ---
corpus=$(dirname "$0")/../fuzz/corpus/hid_report
gk inspect --hid-report "$corpus/keyboard-nkro"
expect "inspect a report descriptor" 0 "8 fields: keyboard"
gk inspect --json --hid-report "$corpus/receiver"
expect "inspect a receiver" 0 '"roles":["keyboard","pointer"]'
gk inspect --json --hid-report "$corpus/bad-deep"
expect "inspect a deep one" 1 '"offset":100'
gk inspect --hid-report "$tmp/long"
expect "inspect a long one" 1 "longer than 4096 bytes"
gk inspect --hid-report
expect "inspect nothing to report" 2 "usage"
hex=$(od -An -v -tx1 "$corpus/keyboard-plain" | tr -d '\n')
{
    echo "# a recording"
    echo "D: 0"
    echo "R: 63$hex"
    echo "N: a keyboard"
    echo "I: 3 0627 0001"
    echo "E: 000000.000000 8 02 00 04 00 00 00 00 00"
    echo "E: 000001.5 8 00 00 00 00 00 00 00 00"
} > "$tmp/recording"
gk inspect --replay "$tmp/recording"
expect "replay" 0 "1.500000 EV_KEY 30 0"
[ "$(wc -l < "$tmp/out")" = 4 ] || {
    echo "FAILED: replay has other than four events"
    failed=1
}
gk inspect --json --replay "$tmp/recording"
expect "replay --json" 0 '{"time":"0.000000","code":42,"value":1}'
echo "E: 2.0 8 00" >> "$tmp/recording"
gk inspect --replay "$tmp/recording"
expect "replay a line that is cut off" 1 "line 8: value not allowed"
gk inspect --replay "$tmp/keyboard"
expect "replay no text" 1 "line 1: value not allowed"
echo "# nothing" > "$tmp/recording"
gk inspect --replay "$tmp/recording"
expect "replay no recording" 1 "no report descriptor"

[ "$(id -u)" = 0 ] || {
    echo "skipped: gatekeeperd serves root only"
    exit $failed
}

# --- no controller ---
machine ""
start
gk wait --timeout 10
expect "no controller at all" 1 "no USB controller found"
gk wait --json
expect "the same as JSON" 1 '"state":"no-controller"'
gk status
expect "status" 0 "gate: no-controller"
gk switched-root
expect "switched-root" 0 ""
gk handoff
expect "no handoff then" 1 "no gate, and none is being started"
stop
gk status
expect "after its end" 1 "does not run"

# --- controllers that nobody can read of ---
machine ""
rm -r "$root/sys/bus/pci/devices"
start
gk wait --timeout 10
expect "controllers that cannot be read" 1 "cannot be read from /sys/bus/pci/devices"
gk wait --json
expect "that is a failure" 1 '"state":"failed"'
gk doctor
expect "doctor on that" 1 "FAIL controllers: cannot be read"
stop
machine ""
controller 0000:00:14.0 pciback
echo 0xzz > "$root/sys/bus/pci/devices/0000:00:14.0/class"
start
gk wait --timeout 10
expect "a class that is no number" 1 "cannot be read from /sys/bus/pci/devices"
stop

# --- a controller that something else has ---
machine ""
controller 0000:00:14.0 xhci_hcd
start
gk wait --timeout 10
expect "a controller not taken" 1 "no USB controller is bound to pciback"
grep -q "0000:00:14.0 could not be taken (driver xhci_hcd)" "$tmp/log" || {
    echo "FAILED: the controller is not named"
    failed=1
}
stop

machine "rd.qubes.dom0_usb=00:14.0"
controller 0000:00:14.0 xhci_hcd
start
gk wait --timeout 10
expect "a controller left to dom0" 1 "no USB controller found"
stop

# --- switched off ---
machine "rd.gatekeeper=0"
start
gk wait --timeout 10
expect "rd.gatekeeper=0" 1 "switched off"
wait "$daemon"
daemon=

# --- only one of it, and a socket that takes nonsense ---
machine ""
start
gk wait --timeout 10
"$bin/gatekeeperd" --run-dir "$tmp/run" --root-prefix "$root" 2> "$tmp/out"
status=$?
expect "a second gatekeeperd" 1 "another gatekeeperd runs"
if [ -x /usr/bin/python3 ]; then
    /usr/bin/python3 - "$tmp/run/control" > "$tmp/out" 2>&1 << 'END'
import socket, sys
def ask(data, shut=False):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(8)
    s.connect(sys.argv[1])
    try:
        s.sendall(data)
        out = b""
        while True:
            n = s.recv(65536)
            if not n:
                return out
            out += n
    except (BrokenPipeError, ConnectionResetError):
        return b""
assert b"unknown request" in ask(b"nonsense\n")
assert b"unknown request" in ask(b"\x1b[2J\xff\n")
assert ask(b"x" * 5000) == b""
assert b"unknown word" in ask(b"handoff a=b\n")
assert b"without '='" in ask(b"handoff word\n")
assert b"exclude" in ask(b"handoff release_only=1 config=/x\n")
assert b"is needed" in ask(b"handoff no_strict_reset=1\n")
assert b"too long" in ask(b"handoff to=" + b"a" * 200 + b"\n")
# Clients that say nothing do not keep others out for long, and are cut off.
mute = []
for i in range(20):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(8)
    s.connect(sys.argv[1])
    mute.append(s)
for s in mute:
    try:
        assert s.recv(10) == b""
    except ConnectionResetError:
        pass
assert b'"state"' in ask(b"status\n")
print("well")
END
    status=$?
    expect "the control socket" 0 "well"
fi
kill -9 "$daemon"
wait "$daemon" 2> /dev/null
"$bin/gatekeeperd" --run-dir "$tmp/run" --root-prefix "$root" 2> "$tmp/log" &
daemon=$!
sleep 0.3
gk wait --timeout 10
expect "started again after a kill" 1 "no USB controller found"

# --- a gate that cannot be ---
gate() {
    machine "$1"
    controller 0000:00:14.0 pciback
    mkdir -p "$root/usr/lib/gatekeeper"
    { printf '\177ELF' && head -c 200000 /dev/zero; } \
        > "$root/usr/lib/gatekeeper/gate-kernel"
    { printf '070701' && head -c 2000 /dev/zero; } \
        > "$root/usr/lib/gatekeeper/gate-image"
    echo answered > "$root/xenstore"
}

# xl_says TEXT: an xl whose create fails so; there is nothing to destroy then.
xl_says() {
    # shellcheck disable=SC2016 # for the script that is written
    printf '#!/bin/sh\necho "$@" >> %s/xl.log\nexec >&2\n[ "$1" = destroy ] &&
        echo "$2 is an invalid domain identifier (rc=-6)" && exit 1
        echo "%s"\nexit 1\n' \
        "$tmp" "$1" > "$root/bin/xl"
    chmod +x "$root/bin/xl"
}

stop
gate ""
start
gk wait --timeout 10
expect "no xl" 1 "the program xl is missing"
stop

gate ""
rm "$root/usr/lib/gatekeeper/gate-image"
start
gk wait --timeout 10
expect "no image" 1 "gate-image is missing"
stop

gate ""
truncate -s 150000 "$root/usr/lib/gatekeeper/gate-kernel"
printf 'xxxx' | dd of="$root/usr/lib/gatekeeper/gate-kernel" conv=notrunc 2> "$tmp/dd"
start
gk wait --timeout 10
expect "a damaged kernel" 1 "gate-kernel is damaged"
stop

gate ""
xl_says "libxl: error: passthrough not supported on this platform"
start
gk wait --timeout 10
expect "no IOMMU" 1 "no IOMMU"
grep -q "PS/2 keyboard, or boot with rd.gatekeeper=0" "$tmp/log" || {
    echo "FAILED: the way on is not told"
    failed=1
}
grep -q '^create -q -e .*/gate.cfg$' "$tmp/xl.log" || {
    echo "FAILED: xl was not called as it should be"
    failed=1
}
stop

gate ""
mkdir -p "$root/etc/gatekeeper"
echo "restarts = 2" > "$root/etc/gatekeeper/gatekeeper.conf"
xl_says "failed to free memory for the domain"
: > "$tmp/xl.log"
start
gk wait --timeout 15
expect "not enough memory" 1 "not enough memory for the gate domain (2 restarts"
[ "$(grep -c '^create' "$tmp/xl.log")" = 3 ] || {
    echo "FAILED: not created three times"
    failed=1
}
stop

# --- rules: what the gate is given, and what is said of a file with an error ---
# xl takes a copy of what it was given.
takes_rules() {
    # shellcheck disable=SC2016 # for the script that is written
    printf '#!/bin/sh\nexport PATH=/usr/bin:/bin\n[ "$1" = create ] || exit 0\nwhile [ $# -gt 1 ]; do shift; done
        cp "$(sed -n "s/^ramdisk = .\\(.*\\).$/\\1/p" "$1")" %s/given\nexit 1\n' \
        "$tmp" > "$root/bin/xl"
    chmod +x "$root/bin/xl"
    mkdir -p "$root/etc/gatekeeper"
    echo "restarts = 0" > "$root/etc/gatekeeper/gatekeeper.conf"
    rm -f "$tmp/given"
}
# given NAME TEXT: the rules in the archive before the gate image are this text.
given() {
    if [ "$(head -c 1024 "$tmp/given" | cpio --quiet -i --to-stdout rules.conf)" = "$2" ] &&
        tail -c 2006 "$tmp/given" | cmp -s - "$root/usr/lib/gatekeeper/gate-image" &&
        [ ! -e "$tmp/run/gate-initramfs" ]; then
        echo "ok: $1"
    else
        echo "FAILED: $1"
        failed=1
    fi
}
gate ""
takes_rules
start
gk wait --timeout 10
cmp -s "$tmp/given" "$root/usr/lib/gatekeeper/gate-image" || {
    echo "FAILED: without rules the gate gets other than its image"
    failed=1
}
gk status
expect "no rules file" 0 "rules: the built-in rules"
stop
gate ""
takes_rules
echo 'block label "all"' > "$root/etc/gatekeeper/rules.conf"
start
gk wait --timeout 10
given "rules for the gate" 'block label "all"'
gk status
expect "its rules in the status" 0 "rules: the rules of rules.conf"
kill -9 "$daemon"
wait "$daemon" 2> /dev/null
printf 'allow\nallow via-port 1-3\n' > "$root/etc/gatekeeper/rules.conf"
rm "$tmp/given"
"$bin/gatekeeperd" --run-dir "$tmp/run" --root-prefix "$root" 2> "$tmp/log" &
daemon=$!
sleep 0.3
gk wait --timeout 10
given "rules with an error: the last good ones" 'block label "all"'
gk status
expect "where and why" 0 "rules.conf line 2, column 16: "
expect "and what holds" 0 "; the rules from before are in force"
gk status --json
expect "as JSON" 0 '"line":2,"column":16}'
stop

gate ""
takes_rules
echo 'keyboards one' > "$root/etc/gatekeeper/rules.conf"
start
gk wait --timeout 10
stop
cat "$tmp/given" > "$tmp/all"
if grep -qa 'keyboards one$' "$tmp/all" && grep -qa '^allow with-interface one-of' "$tmp/all"
then
    echo "ok: a mode alone comes with the built-in rules"
else
    echo "FAILED: a mode alone comes without rules"
    failed=1
fi
gate ""
takes_rules
printf 'block\nallow\n' > "$root/etc/gatekeeper/rules.conf"
start
gk wait --timeout 10
stop
grep -q "rules.conf line 2, column 1: never reached" "$tmp/log" || {
    echo "FAILED: the parser's note is not told"
    failed=1
}

# --- a controller that is gone when the gate is made again ---
gate ""
controller 0000:00:1a.0 pciback
takes_rules
echo "restarts = 1" > "$root/etc/gatekeeper/gatekeeper.conf"
sed -i "s|^exit 1|cp \"\$1\" $tmp/config; rm -rf $root/sys/bus/pci/devices/0000:00:1a.0; exit 1|" \
    "$root/bin/xl"
start
gk wait --timeout 10
stop
if grep -q 0000:00:14.0 "$tmp/config" && ! grep -q 0000:00:1a.0 "$tmp/config"; then
    echo "ok: a controller that has gone"
else
    echo "FAILED: the gate is to have a controller that has gone"
    failed=1
fi

# --- a gate that runs already, the link reader is played: there is no Xen here ---
# xl destroy takes the domain out of the store.
running_gate() {
    gate "$1"
    printf 'answered\ndomid 5\n' > "$root/xenstore"
    # shellcheck disable=SC2016 # for the script that is written
    printf '#!/bin/sh\necho "$@" >> %s/xl.log\n[ "$1" != create ] || exit 1\n' \
        "$tmp" > "$root/bin/xl"
    echo "echo answered > $root/xenstore" >> "$root/bin/xl"
    chmod +x "$root/bin/xl"
    : > "$tmp/xl.log"
    cp "$played" "$root/usr/lib/gatekeeper/gatekeeper-link"
    echo "$2" > "$root/usr/lib/gatekeeper/how"
}

running_gate "" well
start
sleep 0.5
gk status
expect "it connects to it" 0 "gate: up (domain 5)"
grep -q "port 1-2 (0627:0001): admitted: " "$tmp/out" || {
    echo "FAILED: the keyboard is not there"
    failed=1
}
gk status --json
expect "the disk is refused" 0 '"port":"1-3","controller":"0000:00:14.0"'
expect "and its class told" 0 '"class":"storage","verdict":"refused"'
grep -q "storage device on port 1-3 (0627:0001) refused: " "$tmp/log" || {
    echo "FAILED: the disk is not named"
    failed=1
}
[ ! -s "$tmp/xl.log" ] || {
    echo "FAILED: xl was run for a gate that runs"
    failed=1
}
gk status
expect "interfaces in the status" 0 "  interface 0 (08:00:00): refused"
gk status --log
expect "the log of it" 0 "port 1-3 (0627:0001): refused: "
gk status --log --json
expect "the log as JSON" 0 '"log":[{"ms":'
if [ -x /usr/bin/python3 ]; then
    /usr/bin/python3 -m json.tool < "$tmp/out" > /dev/null || {
        echo "FAILED: status --json is no JSON"
        failed=1
    }
fi
# Only the reader dies: a new one, the same gate.
for reader in $(pgrep -P "$daemon"); do
    kill -KILL "$reader"
done
sleep 1
gk status
expect "a reader that was killed" 0 "gate: up (domain 5), restarted 1 times"
[ ! -s "$tmp/xl.log" ] || {
    echo "FAILED: the gate was destroyed for its reader"
    failed=1
}
stop

# --- a program is at a security key, and goes, or the link does ---
running_gate "" well
start
if [ -x /usr/bin/python3 ]; then
    /usr/bin/python3 - "$tmp/run/fido/1-4" "$daemon" "$tmp/log" > "$tmp/out" 2>&1 << 'END'
import os, signal, socket, subprocess, sys, time
path, daemon, log = sys.argv[1:]
def until(what, check, seconds=15):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, what
        time.sleep(0.02)
def says(s, cid, cmd, data):
    s.send((cid + bytes([0x80 | cmd, 0, len(data)]) + data).ljust(64, b"\0"))
def opened():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(10)
    until("the socket", lambda: s.connect_ex(path) == 0)
    says(s, b"\xff" * 4, 0x06, b"nonce123")
    answer = s.recv(64)
    assert answer[4] == 0x86 and answer[7:15] == b"nonce123", answer
    return s, answer[15:19]
def which():
    try:
        now = os.stat(path)
    except FileNotFoundError:
        return None
    return now.st_ino, now.st_ctime_ns
def count(what):
    return open(log).read().count("played key: " + what)
def asks(s, cid):
    before = count("asked")
    says(s, cid, 0x10, b"\x02")
    until("a request at the key", lambda: count("asked") > before)
def ends(why, end):
    before = count("cancelled")
    end()
    until(f"CANCEL after {why}", lambda: count("cancelled") > before)
s, cid = opened()
asks(s, cid)
ends("close", s.close)
# Killed in the middle.
before, pid = count("asked"), os.fork()
if pid == 0:
    held = opened()
    asks(*held)
    time.sleep(60)
until("a request of the other", lambda: count("asked") > before)
ends("kill -9", lambda: os.kill(pid, signal.SIGKILL))
os.waitpid(pid, 0)
# The link reader goes, in the middle of a request; then there is a new one.
s, cid = opened()
asks(s, cid)
old = which()
for reader in subprocess.run(["pgrep", "-P", daemon], stdout=subprocess.PIPE,
                             check=True).stdout.split():
    os.kill(int(reader), signal.SIGKILL)
assert s.recv(64) == b"", "not closed"
until("the next socket", lambda: which() not in (None, old))
s, cid = opened()
asks(s, cid)
ends("the last one", s.close)
END
    status=$?
    expect "programs at a key" 0 ""
fi
stop

for how in violation rogue; do
    case $how in
        violation) why="the gate broke the protocol: KEY, decoding: value not allowed" ;;
        rogue) why="passed on a KEY that is not allowed (.*)" ;;
    esac
    running_gate "" $how
    start
    gk wait --timeout 10
    expect "a gate that is a $how" 1 "is not ready"
    grep -q '^destroy gatekeeper-gate' "$tmp/xl.log" || {
        echo "FAILED: $how: not destroyed"
        failed=1
    }
    grep -q '^create' "$tmp/xl.log" || {
        echo "FAILED: $how: not started again"
        failed=1
    }
    grep -q "$why; it is started again" "$tmp/log" || {
        echo "FAILED: $how: not told what was wrong"
        failed=1
    }
    # What it had told stays in the log, over the end of gatekeeperd, too.
    kill -9 "$daemon"
    wait "$daemon" 2> /dev/null
    "$bin/gatekeeperd" --run-dir "$tmp/run" --root-prefix "$root" 2> "$tmp/log" &
    daemon=$!
    sleep 0.3
    gk status --log
    expect "the log of before" 0 "port 1-3 (0627:0001): refused: "
    stop
done

# A reader that closes its end and stays is ended, and the gate with it, within a
# bounded time. (One that hangs: fuzz_gatekeeperd, whose clock need not be waited for.)
running_gate "" stays
mkdir -p "$root/etc/gatekeeper"
echo "restarts = 0" > "$root/etc/gatekeeper/gatekeeper.conf"
start
why="the link reader closed its end and did not go (0 restarts did not help)"
for _ in $(seq 40); do
    grep -qF "$why" "$tmp/log" && break
    sleep 0.1
done
gk wait --timeout 5
expect "a reader that stays" 1 "$why"
[ "$(cat "$tmp/xl.log")" = "destroy gatekeeper-gate" ] || {
    echo "FAILED: the gate was not destroyed once, and that was all"
    failed=1
}
if pgrep -P "$daemon" > "$tmp/out"; then
    echo "FAILED: a child is left, dead or alive: $(cat "$tmp/out")"
    failed=1
fi
stop

# A stop, while the gate is asked to let go and the virtual keyboard is given up:
# nothing comes in between, and whoever asked first is answered.
if [ -x /usr/bin/python3 ]; then
    running_gate "" well
    start
    sleep 0.7
    /usr/bin/python3 - "$tmp/run/control" > "$tmp/out" 2>&1 << 'END'
import socket, sys
def say(data):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(sys.argv[1])
    s.sendall(data)
    return s
def rest(s):
    out = b""
    while n := s.recv(65536):
        out += n
    return out
first = say(b"stop\n")
assert b'"state":"quiescing"' in rest(say(b"status\n"))
assert b"being stopped" in rest(say(b"handoff release_only=1\n"))
assert b"being stopped" in rest(say(b"stop\n"))
assert rest(first) == b'{"ok":true}\n'
print("well")
END
    status=$?
    expect "stop, and what comes too late" 0 "well"
    wait "$daemon"
    status=$?
    daemon=
    expect "it has ended" 0 ""
    if [ "$(cat "$tmp/xl.log")" != "destroy gatekeeper-gate" ]; then
        echo "FAILED: the gate was not destroyed once, and that was all:"
        cat "$tmp/xl.log" "$tmp/log"
        failed=1
    fi
fi

# A stop while the gate's time runs out: nobody falls back to dom0-hid.
gate "rd.gatekeeper.timeout=1 rd.gatekeeper.fallback=dom0-hid"
mkdir -p "$root/sys/module/usbcore/parameters"
echo 1 > "$root/sys/module/usbcore/parameters/authorized_default"
# shellcheck disable=SC2016 # for the script that is written
printf '#!/bin/sh\n[ "$1" = destroy ] || exec /bin/sleep 30\n/bin/sleep 2\n' > "$root/bin/xl"
chmod +x "$root/bin/xl"
start
sleep 0.5
gk stop
expect "a stop while the gate is late" 0 ""
wait "$daemon"
daemon=
if grep -qE "not ready after|allback" "$tmp/log" ||
    [ "$(cat "$root/sys/module/usbcore/parameters/authorized_default")" != 1 ]; then
    echo "FAILED: something came between the stop and the end:"
    cat "$tmp/log"
    failed=1
fi

# The gate stays: that is what stop says. No copy of its initramfs is left behind.
gate ""
xl_says "failed to free memory for the domain"
# shellcheck disable=SC2016 # for the script that is written
printf '#!/bin/sh\n[ "$1" = destroy ] || exit 1\necho "it stays" >&2\nexit 1\n' \
    > "$root/bin/xl"
mkdir -p "$root/etc/gatekeeper"
echo "restarts = 0" > "$root/etc/gatekeeper/gatekeeper.conf"
start
gk wait --timeout 10
: > "$tmp/run/gate-initramfs"
gk stop
expect "a gate that cannot be destroyed" 1 "the gate domain could not be destroyed"
wait "$daemon"
daemon=
[ ! -e "$tmp/run/gate-initramfs" ] || {
    echo "FAILED: the gate's initramfs stays"
    failed=1
}
case $(stat -c %a "$tmp/run/state.json") in
    600) echo "ok: state.json is root's" ;;
    *)
        echo "FAILED: state.json can be read by all"
        failed=1
        ;;
esac

# --- keyboards: pinned ones only ---
running_gate "" well
mkdir -p "$root/etc/gatekeeper" "$tmp/run"
printf 'allow\nkeyboards pinned\npin via-port "1-9" hash "%s"\n' \
    "$(sha256sum < /dev/null | cut -c1-64)" > "$tmp/rules.good"
rm -rf "$tmp/run"
mkdir "$tmp/run"
cp "$tmp/rules.good" "$tmp/run/rules.good"
"$bin/gatekeeperd" --run-dir "$tmp/run" --root-prefix "$root" 2> "$tmp/log" &
daemon=$!
sleep 0.7
gk status
expect "a keyboard without a pin" 0 \
    "port 1-2 (0627:0001): refused: not one of the pinned keyboards"
stop

# --- fallback: dom0 drives the controller, for keyboards only ---
# usb_device NAME DESCRIPTORS CONFIG:INTERFACE
usb_device() {
    mkdir -p "$root/sys/devices/0000:00:14.0/usb1/$1"
    ln -s "../../../devices/0000:00:14.0/usb1/$1" "$root/sys/bus/usb/devices/$1"
    echo 0 > "$root/sys/bus/usb/devices/$1/authorized"
    echo 0 > "$root/sys/bus/usb/devices/$1/bConfigurationValue"
    echo "$4" > "$root/sys/bus/usb/devices/$1/devnum"
    cp "$2" "$root/sys/bus/usb/devices/$1/descriptors"
    mkdir -p "$root/sys/bus/usb/devices/$1:$3"
    echo 0 > "$root/sys/bus/usb/devices/$1:$3/authorized"
    mkdir "$root/sys/bus/usb/devices/$1/driver"
}

gate "rd.gatekeeper.fallback=dom0-hid"
xl_says "libxl: error: passthrough not supported on this platform"
mkdir -p "$root/sys/module/usbcore/parameters" "$root/sys/bus/usb/devices" \
    "$root/sys/devices/0000:00:14.0/usb1"
echo 1 > "$root/sys/module/usbcore/parameters/authorized_default"
for f in pci/drivers/pciback/unbind pci/drivers/pciback/remove_slot \
    pci/drivers_probe usb/drivers_probe \
    pci/devices/0000:00:14.0/driver_override; do
    echo pciback.............. > "$root/sys/bus/$f"
done
ln -s ../../../devices/0000:00:14.0/usb1 "$root/sys/bus/usb/devices/usb1"
echo 1 > "$root/sys/bus/usb/devices/usb1/interface_authorized_default"
usb_device 1-1 "$tmp/keyboard" 1.0 2
# The same as a mass-storage interface.
{ head -c 32 "$tmp/keyboard" && printf '\010\006\120' &&
    tail -c +36 "$tmp/keyboard"; } > "$tmp/disk"
usb_device 1-2 "$tmp/disk" 1.0 3
start
gk wait --timeout 15
expect "fallback" 1 "no IOMMU"
gk status
expect "fallback in the status" 0 "gate: fallback"
look() {
    read -r now < "$root/sys/$1"
    case $now in
        "$2"*) echo "ok: $1 is $2" ;;
        *)
            echo "FAILED: $1 is $now, not $2"
            failed=1
            ;;
    esac
}
for _ in $(seq 50); do
    grep -q 1 "$root/sys/bus/usb/devices/1-1:1.0/authorized" && break
    sleep 0.2
done
look module/usbcore/parameters/authorized_default 0
look bus/usb/devices/usb1/interface_authorized_default 0
look bus/pci/drivers/pciback/unbind 0000:00:14.0
look bus/pci/drivers_probe 0000:00:14.0
look bus/usb/devices/1-1/authorized 1
look bus/usb/devices/1-1/bConfigurationValue 1
look bus/usb/devices/1-1:1.0/authorized 1
look bus/usb/drivers_probe 1-1:1.0
look bus/usb/devices/1-2/authorized 0
look bus/usb/devices/1-2:1.0/authorized 0
# And one that comes later.
usb_device 1-3 "$tmp/keyboard" 1.0 4
for _ in $(seq 50); do
    grep -q 1 "$root/sys/bus/usb/devices/1-3:1.0/authorized" && break
    sleep 0.2
done
look bus/usb/devices/1-3:1.0/authorized 1
grep -q "fallback: storage device on port 1-2 (0627:0001) refused" "$tmp/log" || {
    echo "FAILED: the disk is not named"
    failed=1
}
stop

# The gate's one controller is the machine's second: it keeps its number.
running_gate "rd.qubes.dom0_usb=00:0d.0" well
controller 0000:00:0d.0 xhci_hcd
start
sleep 0.7
gk status
expect "a controller keeps its number" 0 "controller 2: 0000:00:14.0"
expect "also in ports" 0 "port 2-2 (0627:0001): admitted: "
stop

# A controller that another domain has: dom0 does not take it from there.
gate "rd.gatekeeper.fallback=dom0-hid"
xl_says "libxl: error: PCI device already attached to a domain"
mkdir -p "$root/sys/module/usbcore/parameters"
echo 1 > "$root/sys/module/usbcore/parameters/authorized_default"
echo untouched > "$root/sys/bus/pci/drivers/pciback/unbind"
start
gk wait --timeout 10
expect "no fallback for another's controller" 1 "belongs to another domain"
gk wait --timeout 10 --json
expect "it has failed" 1 '"state":"failed"'
grep -q "may be another domain's, so there is no fallback" "$tmp/log" || {
    echo "FAILED: why there is no fallback is not told"
    failed=1
}
look bus/pci/drivers/pciback/unbind untouched
look module/usbcore/parameters/authorized_default 1
stop

# usbcore that cannot be told: nothing is given away.
gate "rd.gatekeeper.fallback=dom0-hid"
xl_says "libxl: error: passthrough not supported on this platform"
echo untouched > "$root/sys/bus/pci/drivers/pciback/unbind"
start
sleep 1
gk wait --timeout 10 --json
expect "no fallback without authorized_default" 1 '"state":"failed"'
look bus/pci/drivers/pciback/unbind untouched

# --- handed over before ---
stop
machine ""
controller 0000:00:14.0 pciback
echo answered > "$root/xenstore"
cat > "$tmp/run/handoff.json" << 'END'
{"state":"free","mode":"release-only","since":1,"deadline":0,"target":null,
"target_domid":null,"gate_domid":5,"config":null,"no_strict_reset":false,"wanted":false,
"held_domid":null,"cause":null,"handoffs":1,"reclaims":0,"prepare_ms":-1,"quiesce_ms":1,
"release_ms":1,"reset_ms":1,"assign_ms":-1,"confirm_ms":-1,"reclaim_ms":-1,
"handoff_blackout_ms":-1,"controllers":[{"bdf":"0000:00:14.0","owner":0}]}
END
"$bin/gatekeeperd" --run-dir "$tmp/run" --root-prefix "$root" 2> "$tmp/log" &
daemon=$!
sleep 0.3
gk status
expect "it does not take them back" 0 "gate: handed-over"
expect "and nobody has them" 0 "controller 1: 0000:00:14.0, no domain"

# --- keys of an input proxy, then ---
# proxy NAME STATUS TEXT: the stream NAME to gatekeeper-input-proxy. A sender that stays
# is a pipe that stays open.
golden=$(dirname "$0")/../golden/input
proxy() {
    "$golden/write" --get "$1" 2> "$tmp/out" |
        timeout 20 "$bin/gatekeeper-input-proxy" --run-dir "$tmp/run" --from sys-usb \
            > "$tmp/lights" 2> "$tmp/err"
    status=$?
    : > "$tmp/out"
    expect "input proxy: $1" "$2" "$3"
}
# within COMMAND...: in five seconds it is so.
within() {
    for _ in $(seq 50); do
        "$@" > "$tmp/out" 2>&1 && return
        sleep 0.1
    done
}
proxy keyboard 1 "gatekeeperd takes no input proxy now"
stop
mkdir -p "$root/etc/gatekeeper"
echo "input_proxy = yes" > "$root/etc/gatekeeper/gatekeeper.conf"
"$bin/gatekeeperd" --run-dir "$tmp/run" --root-prefix "$root" 2> "$tmp/log" &
daemon=$!
within test -S "$tmp/run/input-proxy"
proxy keyboard 0 "4 keys"
proxy bad-version 3 "does not speak version 1"
proxy bad-mouse 4 "it is no keyboard"
grep -qF 'keyboard "sys-usb: A keyboard" of the input proxy admitted' "$tmp/log" || {
    echo "FAILED: the keyboard is not named"
    failed=1
}
mkfifo "$tmp/stream"
timeout 20 "$bin/gatekeeper-input-proxy" --run-dir "$tmp/run" --from sys-usb \
    < "$tmp/stream" > "$tmp/lights" 2> "$tmp/err" &
exec 9> "$tmp/stream"
"$golden/write" --get only-caps >&9
within grep -q admitted "$tmp/run/state.json"
gk status
expect "the status has it" 0 'input proxy "sys-usb: A keyboard": admitted'
within test -s "$tmp/lights"
[ "$(wc -c < "$tmp/lights")" = 72 ] || {
    echo "FAILED: not three lights at the beginning"
    failed=1
}
kill -9 "$daemon"
wait "$daemon" 2> /dev/null
wait $!
status=$?
expect "it ends with gatekeeperd" 1 "gatekeeperd closed the connection"
exec 9>&-
rm "$tmp/run/input-proxy"
"$bin/gatekeeperd" --run-dir "$tmp/run" --root-prefix "$root" 2> "$tmp/log" &
daemon=$!
within test -S "$tmp/run/input-proxy"
proxy keyboard 0 "4 keys"
"$bin/gatekeeper-input-proxy" --from 'a b' < /dev/null > "$tmp/out" 2> "$tmp/err"
status=$?
expect "a domain that cannot be" 2 "usage:"
exit $failed
