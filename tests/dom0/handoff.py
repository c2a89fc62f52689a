#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""gatekeeperd's handoff as it is installed, on a machine without Xen.

A directory stands for the machine: xenstore is a file in it, and what Xen knows another,
xl a script that moves "owns DOMAIN BDF VDEV" and "assigned DOMAIN BDF" lines in them and
refuses what libxl and Xen refuse, the link
readers are played (played_pair.c), uinput is a pipe (shim/uinput.c). What is tested
is gatekeeperd, and in some cases gatekeeper-pci with a played libxl (shim/libxl.c),
which does what that xl does: order, bounds, the record, and that whatever fails or is killed ends
with one owner and an honest status. usage: handoff.py [WORD]: cases with that word.
"""
import concurrent.futures
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = Path(os.environ.get("GK_BUILD", "build")).resolve()
BDF = "0000:00:14.0"
GATE, TARGET = 5, 7

XL = r'''#!/bin/bash
export PATH=/usr/bin:/bin
top=$(dirname "$(dirname "$0")")
store=$top/xenstore
command=$1
echo "$*" >> "$top/${GK_LOG:-xl.log}"
[ ! -e "$top/xl-hang-$command" ] || sleep 1000
[ ! -e "$top/xl-hang-$command-${2##*/}" ] || sleep 1000
[ ! -e "$top/xl-slow" ] || sleep 0.5
# A failure before it has done anything.
[ ! -e "$top/xl-fail-$command-${2##*/}" ] || { echo "libxl: error: no" >&2; exit 1; }
[ ! -e "$top/xl-fail-$command" ] || { echo "libxl: error: $command says no" >&2; exit 1; }
case $command in pci-detach|pci-attach)
    echo "$command [$(cat "$top"/sys/bus/pci/devices/*/reset_method)]" >> "$top/methods" ;;
esac
exec 9> "$top/xl.lock"
flock 9
not_assignable() { # of libxl's mark; a failing add removes it
    grep -q "^marked [0-9]* $1\$" "$store" || return 1
    change -e "/^marked [0-9]* $1\$/d"
    echo "libxl: error: libxl_pci.c:1570: PCI device $1 is not assignable" >&2
}
change() { sed "$@" "$store" > "$store.$$" && mv "$store.$$" "$store"; }
xen() { # of the hypervisor; without the file nobody can ask it
    [ ! -e "$top/xen" ] || { sed "$@" "$top/xen" > "$top/xen.$$" && mv "$top/xen.$$" "$top/xen"; }
}
assign() { xen -e "\$a assigned $1 $2"; }
id_of() { # of a name or an id
    case $1 in
        [0-9]*) grep -q "^domain $1 " "$store" && echo "$1" ;;
        *) sed -n "s/^domain \([0-9]*\) . $1\$/\1/p" "$store" ;;
    esac
}
force=
shift
while [ "${1#-}" != "$1" ]; do
    [ "$1" != -f ] || force=1
    shift
done
case $command in
    list)
        echo 'Name  ID  Mem VCPUs State Time(s)'
        if [ $# = 0 ]; then sed -n 's/^domain [0-9]* . //p' "$store"; exit; fi
        id=$(id_of "$1")
        [ -n "$id" ] || { echo "Error: Domain '$1' does not exist." >&2; exit 1; }
        state=-b----
        [ ! -e "$top/state-$id" ] || state=$(cat "$top/state-$id")
        echo "$(sed -n "s/^domain $id . //p" "$store") $id 300 1 $state 1.0" ;;
    pci-assignable-list)
        for d in "$top"/sys/bus/pci/devices/*; do
            grep -q "^owns [0-9]* ${d##*/} " "$store" || echo "${d##*/}"
        done ;;
    pci-list) sed -n "s/^owns $(id_of "$1") \([^ ]*\) \(.*\)/\2 \1/p" "$store" ;;
    pci-detach)
        id=$(id_of "$1")
        grep -q "^owns $id $2 " "$store" || { echo "not attached" >&2; exit 1; }
        # libxl waits for the frontend of a domain that answers nobody.
        [ ! -e "$top/state-$id" ] || { flock -u 9; sleep 10; exit 1; }
        [ -n "$force" ] || [ ! -e "$top/xl-needs-force" ] || { echo "not willing" >&2; exit 1; }
        xen -e "/^assigned $id $2\$/d"
        # With a guest's, what the domain of its device model has.
        for stub in $(sed -n "s/^stub \([0-9]*\) $id\$/\1/p" "$store"); do
            change -e "/^owns $stub $2 /d"
        done
        change -e "/^owns $id $2 /d" ;;
    pause)
        grep -q "^domain $(id_of "$1") " "$store" || exit 1
        head -c 1 "$top"/sys/bus/pci/devices/*/reset > "$top/reset-before-pause" ;;
    pci-attach)
        id=$(id_of "$1")
        [ -n "$id" ] || { echo "$1 is an invalid domain identifier" >&2; exit 1; }
        bdf=${2%%,*}
        ! grep -q "^owns [0-9]* $bdf " "$store" || { echo "already attached" >&2; exit 1; }
        ! not_assignable $bdf || exit 1
        if [ -e "$top/xl-marks" ]; then
            change -e "\$a marked $id $bdf"
            flock -u 9
            sleep 1000
        fi
        assign $id $bdf
        if [ -e "$top/xl-half" ]; then
            change -e "\$a marked $id $bdf"
            flock -u 9
            sleep 1000
        fi
        echo "$2" > "$top/attached"
        change -e "\$a owns $id $bdf 0000:00:01.00"
        [ ! -e "$top/xl-late" ] || { flock -u 9; sleep 1000; } ;;
    destroy)
        id=$(id_of "$1")
        [ -n "$id" ] || { echo "$1 is an invalid domain identifier (rc=-6)" >&2; exit 1; }
        [ "$id" != 7 ] || rm -f "$top/xl-busy"
        xen -e "/^assigned $id /d"
        change -e "/^domain $id /d; /^domid $id\$/d; /^owns $id /d" ;;
    create)
        if [ -e "$1" ] && grep -q gatekeeper-gate "$1"; then name=gatekeeper-gate
        else name=sys-usb; fi
        [ ! -e "$top/xl-busy" ] || {
            echo "xc_assign_device failed: Device or resource busy" >&2; exit 1; }
        ! grep -qs "^assigned " "$top/xen" || {
            echo "xc_assign_device failed: Device or resource busy" >&2; exit 1; }
        ! grep -q "^owns " "$store" || { echo "libxl: error: PCI device already attached to a domain" >&2; exit 1; }
        for d in "$top"/sys/bus/pci/devices/*; do
            ! not_assignable ${d##*/} || exit 1
        done
        id=$(($(cat "$top/next") + 1))
        echo $id > "$top/next"
        if [ $name = gatekeeper-gate ]; then
            change -e "\$a domid $id" -e "\$a domain $id 0 $name"
        else
            change -e "\$a domain $id 0 $name"
        fi
        for d in "$top"/sys/bus/pci/devices/*; do
            assign $id ${d##*/}
            change -e "\$a owns $id ${d##*/} 0000:00:01.00"
        done ;;
esac
'''


class Machine:
    def __init__(self, agent="", gate="", conf="", controllers=(BDF,)):
        self.top = Path(tempfile.mkdtemp(prefix="gk-handoff-"))
        self.run = self.top / "run/gatekeeper"
        self.lib = self.top / "usr/lib/gatekeeper"
        for d in ("sys/bus/pci/drivers/pciback", "proc", "bin", "dev", "etc/gatekeeper",
                  "run/gatekeeper", "usr/lib/gatekeeper", "etc/xen", "var/lib/gatekeeper"):
            (self.top / d).mkdir(parents=True)
        (self.top / "proc/cmdline").write_text("root=/dev/x\n")
        for bdf in controllers:
            c = self.top / "sys/bus/pci/devices" / bdf
            c.mkdir(parents=True)
            (c / "class").write_text("0x0c0330\n")
            (c / "driver_override").write_text("(null)\n")
            (c / "reset_method").write_text("bus\n")
            (c / "reset").write_text("")
            os.symlink("../../drivers/pciback", c / "driver")
        (self.lib / "gate-kernel").write_bytes(b"\177ELF" + bytes(200000))
        (self.lib / "gate-image").write_bytes(b"070701" + bytes(2000))
        shutil.copy(BUILD / "tests/dom0/played_pair", self.lib / "gatekeeper-link")
        (self.lib / "how").write_text(gate)
        (self.lib / f"agent-{TARGET}").write_text(agent)
        (self.top / "bin/xl").write_text(XL)
        (self.top / "bin/xl").chmod(0o755)
        (self.top / "xl.log").write_text("")
        (self.top / "next").write_text("20")
        (self.top / "etc/gatekeeper/gatekeeper.conf").write_text(conf)
        os.mkfifo(self.top / "dev/uinput")
        self.store(f"answered\ndomid {GATE}\ndomain {GATE} 0 gatekeeper-gate\n"
                   f"domain {TARGET} 1 sys-usb\n" +
                   "".join(f"owns {GATE} {b} 0000:00:01.00\n" for b in controllers))
        # Its first line is for sed, which appends nothing to an empty file.
        (self.top / "xen").write_text("Xen\n" + "".join(f"assigned {GATE} {b}\n"
                                                       for b in controllers))
        self.daemon = None

    def store(self, text=None):
        path = self.top / "xenstore"
        if text is None:
            return path.read_text()
        (self.top / "xenstore.new").write_text(text)
        os.rename(self.top / "xenstore.new", path)
        return text

    def change(self, fn):
        """As xl does it: nobody else in between."""
        with open(self.top / "xl.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.store(fn(self.store()))

    def drop(self, domid):
        """That domain has gone."""
        def without(text):
            return "".join(line + "\n" for line in text.splitlines()
                           if f" {domid} " not in f" {line} ")
        self.change(without)
        self.xen(without)

    def add(self, lines):
        self.change(lambda text: text + lines)
        self.xen(lambda text: text + "".join(
            f"assigned {line.split()[1]} {line.split()[2]}\n"
            for line in lines.splitlines() if line.startswith("owns ")))

    def xen(self, fn):
        """What Xen knows, apart from xenstore; not if it cannot be asked."""
        with open(self.top / "xl.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if (self.top / "xen").exists():
                text = fn((self.top / "xen").read_text())
                (self.top / "xen.new").write_text(text)
                os.rename(self.top / "xen.new", self.top / "xen")

    def owners(self):
        return sorted(line.split()[1] for line in self.store().splitlines()
                      if line.startswith("owns"))

    def start(self):
        env = {**os.environ, "LD_PRELOAD": str(BUILD / "tests/uinput.so"),
               "GK_UINPUT_LOG": str(self.top / "keys"),
               "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0"}
        self.log = open(self.top / "log", "a")
        self.daemon = subprocess.Popen(
            [BUILD / "gatekeeperd", "--run-dir", self.run, "--root-prefix", self.top],
            env=env, stderr=self.log)

    def kill(self, sig=signal.SIGKILL):
        self.daemon.send_signal(sig)
        self.daemon.wait(10)
        self.daemon = None

    def gk(self, *args, wait=True):
        p = subprocess.Popen([BUILD / "gatekeeper", "--run-dir", self.run,
                              "--root-prefix", self.top, *args],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if not wait:
            return p
        try:
            out = p.communicate(timeout=120)[0]
        except subprocess.TimeoutExpired:
            p.kill()
            raise
        return p.returncode, out

    def status(self):
        code, out = self.gk("status", "--json")
        try:
            return json.loads(out)
        except ValueError:
            return {}

    def record(self):
        try:
            return json.loads((self.run / "handoff.json").read_text())
        except FileNotFoundError:
            return {}

    def until(self, what, seconds=15.0):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = what()
            if value:
                return value
            time.sleep(0.02)
        raise AssertionError(f"not within {seconds} s; {self.status()}")

    def up(self, seconds=15.0):
        self.until(lambda: self.status().get("state") == "up" and
                   any(d["verdict"] == "admitted" for d in self.status()["devices"]), seconds)

    def state(self, state, seconds=15.0):
        self.until(lambda: self.record().get("state") == state, seconds)

    def with_pci(self, how="", program=None):
        """gatekeeper-pci is installed; `how` for its libxl."""
        if how:
            (self.top / "pci-how").write_text(how + "\n")
        target = self.lib / "gatekeeper-pci"
        target.write_text(
            "#!/bin/sh\n"
            f"exec /usr/bin/env GK_TOP={self.top} LD_PRELOAD={BUILD}/tests/libxl.so "
            "ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0 "
            f"{program or BUILD / 'gatekeeper-pci'}\n")
        target.chmod(0o755)

    def pci(self):
        """What libxl was asked for, by gatekeeper-pci."""
        try:
            return (self.top / "pci.log").read_text().splitlines()
        except FileNotFoundError:
            return []

    def pci_runs(self):
        return any(str(self.top) in env for env in environments("gatekeeper-pci"))

    def xl(self):
        """What xl was asked to do, after the check has seen that it answers. How a
        domain is the watch on it asks at any time."""
        calls = [call for call in (self.top / "xl.log").read_text().splitlines()
                 if not re.fullmatch(r"list \d+", call)]
        while calls[:1] == ["pci-assignable-list"]:
            calls.pop(0)
        return calls

    def keys(self):
        try:
            return (self.top / "keys").read_text().splitlines()
        except FileNotFoundError:
            return []

    def touch(self, name):
        (self.top / name).write_text("")

    def end(self):
        if self.daemon:
            self.kill()
        self.log.close()
        # An xl that was killed may still have a program of its own at work in there.
        for _ in range(50):
            shutil.rmtree(self.top, ignore_errors=True)
            if not self.top.exists():
                return
            time.sleep(0.02)
        shutil.rmtree(self.top)


def environments(name):
    for d in Path("/proc").glob("[0-9]*"):
        try:
            if (d / "comm").read_text().strip() == name[:15]:
                yield (d / "environ").read_text()
        except OSError:
            pass


CASES = []


def case(**machine):
    def register(fn):
        CASES.append((fn, machine))
        return fn
    return register


def is_handed_over(m, to=TARGET):
    assert m.owners() == [str(to)], m.store()
    s = m.status()
    assert s["state"] == "handed-over" and s["handoff"]["state"] == "confirmed", s
    assert [c["owner"] for c in s["controllers"]] == ["sys-usb"], s["controllers"]


def is_gates(m):
    """One owner, the gate, which works."""
    m.up(30)
    gate = re.search(r"^domain (\d+) 0 gatekeeper-gate$", m.store(), re.M)
    assert gate and m.owners() == [gate[1]], m.store()
    s = m.status()
    assert s["handoff"]["state"] == "gate", s["handoff"]
    assert [c["owner"] for c in s["controllers"]] == ["gatekeeper-gate"], s["controllers"]


def hand_over(m, want=0):
    code, out = m.gk("handoff", "--to", "sys-usb", "--json")
    assert code == want, out
    return out


@case()
def happy(m):
    """To the agent and back."""
    (m.lib / "type").write_text("")
    m.up()
    m.until(lambda: "42 1" in m.keys())
    out = hand_over(m)
    is_handed_over(m)
    assert '"step":"prepared"' in out and '"step":"quiesced","detail":"complete' in out
    xl = m.xl()
    # Paused, so that what it has mapped is of no use to it, before the reset.
    assert xl[:3] == [f"pci-detach {GATE} {BDF}", f"pause {GATE}",
                      f"pci-attach {TARGET} {BDF},permissive=0,rdm_policy=relaxed"], xl
    assert m.top.joinpath("sys/bus/pci/devices", BDF, "reset").read_text() == "1"
    assert (m.top / "reset-before-pause").read_text() == ""
    told = (m.lib / f"told-{TARGET}").read_text().split()
    # BEGIN, two devices, END, and the lights of the one keyboard.
    assert told.count("MANIFEST") == 4 and "LED" in told, told
    # What was down is let go; the virtual keyboard is the one of before.
    keys = m.keys()
    assert keys[:5] == ["made", "42 1", "30 1", "30 0", "42 0"], keys
    m.until(lambda: m.keys()[5:8] == ["42 1", "30 1", "30 0"])
    s = m.status()["handoff"]
    assert 0 <= s["handoff_blackout_ms"] < 5000 and s["continuity"] == [], s
    assert min(s[k] for k in ("prepare_ms", "quiesce_ms", "release_ms", "reset_ms",
                              "assign_ms", "confirm_ms")) >= 0, s
    m.until(lambda: "gatekeeper-gate" not in m.store())
    assert f"destroy {GATE}" in m.xl()
    manifest = json.loads((m.run / "manifest.json").read_text())
    assert manifest["devices"][0]["in_use"] is True
    code, out = m.gk("handoff", "--to", "sys-usb")
    assert code == 1 and "handed over already" in out, out
    code, out = m.gk("reclaim")
    assert code == 0, out
    assert m.keys().count("42 0") == 2, m.keys()
    assert "QUIESCE" in (m.lib / f"told-{TARGET}").read_text()
    is_gates(m)
    # It stays so: that domain was told off.
    time.sleep(5)
    is_gates(m)
    assert m.keys().count("made") == 1
    assert m.gk("reclaim")[0] == 1
    assert m.status()["handoff"]["reclaim_ms"] > 0
    hand_over(m)
    is_handed_over(m)


@case()
def permissive(m):
    """Only when asked, to that domain only, and also when it happens again by itself."""
    m.with_pci("noise attach")
    m.up()
    code, out = m.gk("handoff", "--to", "sys-usb", "--permissive", "--json")
    assert code == 0, out
    is_handed_over(m)
    given = f"pci-attach {TARGET} {BDF},permissive=1,rdm_policy=relaxed"
    assert [line for line in m.xl() if "pci-attach" in line] == [given], m.xl()
    assert not [line for line in m.pci() if line.startswith("attach")], m.pci()
    assert json.loads((m.run / "handoff.json").read_text())["permissive"] is True
    assert m.gk("reclaim")[0] == 0
    is_gates(m)
    hand_over(m)
    assert [line for line in m.xl() if "permissive=1" in line] == [given], m.xl()
    assert m.gk("handoff", "--permissive")[0] == 2
    assert m.gk("handoff", "--release-only", "--permissive")[0] == 2


ORDERS = ["start", f"detach {GATE} {BDF}", f"pause {GATE}", f"attach {TARGET} {BDF}"]
XL_CALLS = [f"pci-detach {GATE} {BDF}", f"pause {GATE}",
            f"pci-attach {TARGET} {BDF},permissive=0,rdm_policy=relaxed"]


def in_path(m):
    """What xl did while nobody could type."""
    return [line for line in m.xl() if line in XL_CALLS]


@case()
def pci_happy(m):
    """gatekeeper-pci does it all, with the options that xl would be given."""
    m.with_pci("noise attach")
    m.up()
    hand_over(m)
    is_handed_over(m)
    assert m.pci() == ORDERS and in_path(m) == [], (m.pci(), m.xl())
    assert (m.top / "by-libxl.log").read_text().splitlines() == XL_CALLS
    assert (m.top / "reset-before-pause").read_text() == ""
    log = (m.top / "log").read_text()
    assert "took: gatekeeper-pci detach" in log, log
    # What libxl says where all went well is as little of interest as xl's.
    assert "not possible" not in log and "more slowly" not in log, log
    m.until(lambda: not m.pci_runs(), 2)
    assert m.gk("reclaim")[0] == 0
    is_gates(m)
    hand_over(m)
    is_handed_over(m)
    assert m.pci().count("start") == 2


@case()
def pci_waits(m):
    """libxl's waiting is shortened, twenty times for an order."""
    m.with_pci("wait detach")
    m.up()
    hand_over(m)
    is_handed_over(m)
    assert 395 < int((m.top / "pci-waited").read_text()) < 1000


def pci_helpless(name, how, orders, xl, program=None):
    """Whatever becomes of it: xl, and no longer than xl."""
    @case()
    def fn(m):
        m.with_pci(how, program and program(m))
        m.up()
        begin = time.monotonic()
        hand_over(m)
        assert time.monotonic() - begin < 20
        is_handed_over(m)
        assert m.pci() == orders and in_path(m) == xl, (m.pci(), m.xl())
        m.until(lambda: not m.pci_runs(), 2)
        # Later on the handoff may be done before its end is seen.
        if len(orders) < 2:
            assert "xl does its work" in (m.top / "log").read_text()
    fn.__name__ = name
    return fn


def other_xen(m):
    """Built for a libxl that is not there."""
    program = (BUILD / "gatekeeper-pci").read_bytes()
    assert program.count(b"libxenlight.so.") == 1
    at = program.index(b"libxenlight.so.") + len(b"libxenlight.so.")
    path = m.top / "gatekeeper-pci"
    path.write_bytes(program[:at] + b"9" + program[at + 1:])
    path.chmod(0o755)
    return path


pci_helpless("pci_other_xen", "", [], XL_CALLS, other_xen)
pci_helpless("pci_no_xen", "fail start", ["start"], XL_CALLS)
pci_helpless("pci_not_ready", "hang start", ["start"], XL_CALLS)
pci_helpless("pci_dies_detaching", "die detach", ORDERS[:2], XL_CALLS)
# It had come so far that nothing is left to do.
pci_helpless("pci_dies_detached", "gone detach", ORDERS[:2], XL_CALLS[1:])
pci_helpless("pci_dies_pausing", "die pause", ORDERS[:3], XL_CALLS[1:])
pci_helpless("pci_dies_attaching", "die attach", ORDERS, XL_CALLS[2:])
pci_helpless("pci_dies_attached", "gone attach", ORDERS, [])


def well_again(m):
    """The gate has them, and then sys-usb, when somebody asks or by itself, which may be
    before this has looked."""
    m.until(lambda: m.record().get("state") in ("gate", "confirmed"), 40)
    m.gk("handoff", "--to", "sys-usb")
    m.state("confirmed", 40)
    m.until(lambda: m.status().get("state") == "handed-over")
    is_handed_over(m)


def gate_again(m):
    assert "the gate is started again" in (m.top / "log").read_text()
    (m.top / "pci-how").unlink()
    well_again(m)


@case()
def pci_says_no(m):
    """libxl's own words, as xl's."""
    m.with_pci("fail attach")
    m.up()
    out = hand_over(m, 1)
    assert "gatekeeper-pci attach failed: -3 attach says no: Device or resource" in out, out
    assert "libxl: error: first of all" in (m.top / "log").read_text()
    gate_again(m)


@case()
def pci_detach_says_no(m):
    m.with_pci("fail detach")
    m.up()
    hand_over(m)
    is_handed_over(m)
    assert "destroy gatekeeper-gate" in m.xl() and f"pci-detach {GATE} {BDF}" not in m.xl()


@case()
def pci_detach_hangs(m):
    """It ends itself when its time is over; the gate is destroyed then."""
    m.with_pci("hang detach")
    m.up()
    begin = time.monotonic()
    hand_over(m)
    assert 9 < time.monotonic() - begin < 25
    is_handed_over(m)
    assert re.search("took: gatekeeper-pci detach 10[0-9]{3} ms", (m.top / "log").read_text())
    assert "destroy gatekeeper-gate" in m.xl() and not m.pci_runs()


@case()
def pci_stops(m):
    """It does not even end: nothing is done beside it, it is killed and all is undone."""
    m.with_pci("stop detach")
    m.up()
    begin = time.monotonic()
    out = hand_over(m, 1)
    assert 11 < time.monotonic() - begin < 30 and "no answer that makes sense" in out, out
    gate_again(m)
    m.until(lambda: not m.pci_runs(), 2)


@case()
def pci_attach_hangs(m):
    m.with_pci("hang attach")
    m.up()
    begin = time.monotonic()
    out = hand_over(m, 1)
    assert time.monotonic() - begin < 40 and "not done after" in out, out
    gate_again(m)
    m.until(lambda: not m.pci_runs(), 2)


def pci_kill(how, what):
    """kill -9 of gatekeeperd while gatekeeper-pci is at it: it dies, and one owner."""
    @case()
    def fn(m):
        m.with_pci(f"{how} {what}")
        m.up()
        asked = m.gk("handoff", "--to", "sys-usb", wait=False)
        m.until(lambda: any(line.startswith(what) for line in m.pci()))
        if how == "late":
            m.until(lambda: (m.owners() == [str(TARGET)]) == (what == "attach") and
                    m.owners() != [str(GATE)])
        m.kill()
        m.until(lambda: not m.pci_runs(), 2)
        asked.communicate(timeout=5)
        (m.top / "pci-how").unlink()
        m.start()
        well_again(m)
    fn.__name__ = f"pci_kill_{how}_{what}"


for _how in ("hang", "late"):
    for _what in ("detach", "attach"):
        pci_kill(_how, _what)
pci_kill("hang", "pause")


@case()
def pci_marked(m):
    """Killed when it had marked the controller for the target and not yet assigned it."""
    m.with_pci()
    m.up()
    m.touch("xl-marks")
    asked = m.gk("handoff", "--to", "sys-usb", wait=False)
    m.until(lambda: f"marked {TARGET} {BDF}" in m.store())
    m.kill()
    asked.communicate(timeout=5)
    (m.top / "xl-marks").unlink()
    m.start()
    well_again(m)
    assert "marked" not in m.store()


@case(agent="no-server")
def no_agent(m):
    """Nothing is touched for a domain without an agent."""
    m.up()
    m.gk("handoff", "--to", "nobody")
    code, out = m.gk("handoff", "--to", "nobody")
    assert code == 1 and "there is no domain nobody" in out, out
    out = hand_over(m, 1)
    assert "does not answer" in out, out
    m.change(lambda text: text.replace(f"domain {TARGET} 1", f"domain {TARGET} 0"))
    out = hand_over(m, 1)
    assert "has no gatekeeper-agent" in out, out
    assert m.xl() == [] and m.status()["state"] == "up", m.xl()
    assert m.record()["state"] == "gate"
    code, out = m.gk("handoff", "--to", "a b")
    assert code == 1, out


@case(agent="refuses")
def agent_refuses(m):
    m.up()
    hand_over(m, 1)
    assert m.xl() == [] and m.status()["state"] == "up"


@case(agent="mute")
def agent_mute(m):
    m.up()
    begin = time.monotonic()
    hand_over(m, 1)
    assert 9 < time.monotonic() - begin < 25
    assert m.xl() == [] and m.status()["state"] == "up"


@case(gate="deaf")
def gate_deaf(m):
    """A gate that never says QUIESCED is destroyed for its controllers."""
    m.up()
    hand_over(m)
    is_handed_over(m)
    assert m.xl()[:2] == ["list", "destroy gatekeeper-gate"], m.xl()


def fails(name, hook, gate_first=False):
    @case()
    def fn(m):
        m.up()
        m.touch(hook)
        out = hand_over(m, 1)
        assert "started again" in out, out
        (m.top / hook).unlink()
        is_gates(m)
        # And then it works.
        hand_over(m)
        is_handed_over(m)
    fn.__name__ = name
    return fn


fails("attach_fails", "xl-fail-pci-attach")


@case()
def detach_fails(m):
    """The gate does not let go by pci-detach: it is destroyed, and it goes on."""
    m.up()
    m.touch("xl-fail-pci-detach")
    hand_over(m)
    is_handed_over(m)


@case()
def pause_fails(m):
    """It is not left running beside the reset."""
    m.up()
    m.touch("xl-fail-pause")
    hand_over(m)
    is_handed_over(m)
    xl = [line for line in m.xl() if "list" not in line]
    assert xl[:4] == [f"pci-detach {GATE} {BDF}", f"pause {GATE}", "destroy gatekeeper-gate",
                      f"pci-attach {TARGET} {BDF},permissive=0,rdm_policy=relaxed"], xl


@case()
def attach_hangs(m):
    m.up()
    m.touch("xl-hang-pci-attach")
    begin = time.monotonic()
    hand_over(m, 1)
    assert time.monotonic() - begin < 30
    is_gates(m)


def kill_in_attach(m, hook="xl-hang-pci-attach"):
    """gatekeeperd, and xl with it, when xl has come to the hook."""
    m.up()
    m.touch(hook)
    asked = m.gk("handoff", "--to", "sys-usb", wait=False)
    m.state("reset")
    m.until(lambda: f"marked {TARGET} {BDF}" in m.store() if hook == "xl-half" else
            any(line.startswith("pci-attach") for line in m.xl()))
    # Before the attach, so that nobody has to guess.
    assert m.record()["suspect_domid"] == TARGET, m.record()
    m.kill()
    asked.communicate(timeout=5)
    (m.top / hook).unlink()
    return len(m.xl())


@case()
def half_attached(m):
    """Killed when Xen knew of the new owner, and xenstore did not; Xen says so, and
    nothing else is tried before that domain is ended."""
    before = kill_in_attach(m, "xl-half")
    m.start()
    is_gates(m)
    calls = [line.split()[0] for line in m.xl()[before:] if "list" not in line]
    assert calls[:1] == ["destroy"] and calls.count("create") == 1, calls
    assert f"destroy {TARGET}" in m.xl()[before:] and "marked" not in m.store(), m.xl()
    assert m.record()["suspect_domid"] is None


@case()
def half_attached_unseen(m):
    """The same, and Xen cannot be asked: what xl says to the gate tells it."""
    (m.top / "xen").unlink()
    kill_in_attach(m)
    m.touch("xl-busy")
    m.start()
    m.until(lambda: f"destroy {TARGET}" in m.xl())
    is_gates(m)


@case()
def half_attached_killed_twice(m):
    """And killed once more when the record said that they are the gate's again."""
    (m.top / "xen").unlink()
    kill_in_attach(m)
    m.touch("xl-busy")
    m.touch("xl-hang-create")
    m.start()
    m.state("gate")
    m.until(lambda: any(line.startswith("create") for line in m.xl()))
    m.kill()
    assert m.record()["suspect_domid"] == TARGET and m.record()["target_domid"] is None
    assert f"destroy {TARGET}" not in m.xl()
    (m.top / "xl-hang-create").unlink()
    # And again, when it is being ended for it.
    hook = f"xl-hang-destroy-{TARGET}"
    m.touch(hook)
    m.start()
    m.until(lambda: f"destroy {TARGET}" in m.xl())
    m.kill()
    (m.top / hook).unlink()
    m.start()
    is_gates(m)
    assert m.xl().count(f"destroy {TARGET}") == 2, m.xl()
    assert m.record()["suspect_domid"] is None


@case(conf="restarts = 2\n")
def half_attached_for_ever(m):
    """The domain that has it cannot be ended: bounded, and said."""
    (m.top / "xen").unlink()
    kill_in_attach(m)
    m.touch("xl-busy")
    m.touch(f"xl-fail-destroy-{TARGET}")
    m.start()
    m.until(lambda: m.status().get("state") == "failed", 30)
    assert m.xl().count(f"destroy {TARGET}") == 3, m.xl()
    assert "cannot be ended" in m.status()["cause"], m.status()["cause"]


@case()
def suspect_is_innocent(m):
    """A third domain has it by now: sys-usb is not destroyed for that."""
    before = kill_in_attach(m)
    m.add(f"domain 30 0 other\nowns 30 {BDF} 0000:00:01.00\n")
    m.start()
    m.until(lambda: m.status().get("state") == "failed", 30)
    assert f"destroy {TARGET}" not in m.xl()[before:] and m.owners() == ["30"], m.xl()
    s = m.status()
    assert "belongs to domain other (30)" in s["cause"], s["cause"]
    assert s["controllers"][0]["owner"] == "other", s["controllers"]


@case()
def suspect_has_nothing(m):
    """xl says that somebody has it; Xen and xenstore say that nobody does."""
    before = kill_in_attach(m)
    m.touch("xl-busy")
    m.start()
    m.until(lambda: len([line for line in m.xl()[before:] if line.startswith("create")]) > 1)
    (m.top / "xl-busy").unlink(missing_ok=True)
    is_gates(m)
    assert f"destroy {TARGET}" not in m.xl()[before:], m.xl()[before:]


@case()
def half_attached_to_another(m):
    """Free, and a third domain's attach has come half-way: that is told, and left."""
    m.up()
    assert m.gk("handoff", "--release-only")[0] == 0
    m.add("domain 30 0 other\n")
    m.xen(lambda text: text + f"assigned 30 {BDF}\n")
    code, out = m.gk("reclaim")
    assert code == 1 and "is a domain's by Xen, and nobody's by xenstore" in out, out
    assert m.record()["state"] == "free" and "destroy 30" not in m.xl()


@case()
def old_gate(m):
    """Killed when it was confirmed and the old gate was still there."""
    m.up()
    m.touch("xl-hang-destroy")
    hand_over(m)
    m.until(lambda: f"destroy {GATE}" in m.xl())
    m.kill()
    assert f"domain {GATE} 0 gatekeeper-gate" in m.store()
    (m.top / "xl-hang-destroy").unlink()
    m.start()
    m.until(lambda: "gatekeeper-gate" not in m.store())
    is_handed_over(m)


@case()
def not_the_old_gate(m):
    """Another domain has its name by then."""
    m.up()
    m.touch("xl-hang-destroy")
    hand_over(m)
    m.kill()
    (m.top / "xl-hang-destroy").unlink()
    m.drop(GATE)
    m.add("domain 31 0 gatekeeper-gate\n")
    m.start()
    m.until(lambda: "not the gate of before" in (m.top / "log").read_text())
    is_handed_over(m)
    time.sleep(1)
    assert "domain 31 0 gatekeeper-gate" in m.store()


@case()
def what_is_true(m):
    """status: who has it by xenstore and Xen, and what each says if they differ."""
    def owner():
        c = m.status()["controllers"][0]
        return c["owner"], c["owner_by"], c.get("owner_xenstore", "-")

    def store(old, new):
        m.change(lambda text: text.replace(old, new))
    m.up()
    assert owner() == ("gatekeeper-gate", "xenstore and Xen", "-"), owner()
    hand_over(m)
    assert owner() == ("sys-usb", "xenstore and Xen", "-"), owner()
    assert f", sys-usb\n" in m.gk("status")[1]
    m.xen(lambda text: "Xen\n")
    assert owner() == (None, "Xen", "sys-usb"), owner()
    assert "no domain (says Xen; xenstore: sys-usb)" in m.gk("status")[1]
    m.xen(lambda text: f"Xen\nassigned {TARGET} {BDF}\n")
    store(f"owns {TARGET} {BDF}", f"owns {TARGET} 0000:77:00.0")
    assert owner() == ("sys-usb", "Xen", None), owner()
    assert "sys-usb (says Xen; xenstore: no domain)" in m.gk("status")[1]
    store(f"owns {TARGET} 0000:77:00.0", f"domain 30 0 other\nowns 30 {BDF}")
    assert owner() == ("other", "xenstore and Xen", "-"), owner()
    (m.top / "xen").unlink()
    assert owner() == ("other", "xenstore", "-"), owner()
    store("answered\n", "")
    assert owner() == ("sys-usb", "gatekeeperd", "-"), owner()
    assert "as last known: xenstore does not answer" in m.gk("status")[1]


@case()
def only_in_xenstore(m):
    """Confirmed, killed, and Xen does not know of it any more: it is taken back."""
    m.up()
    hand_over(m)
    m.kill()
    m.xen(lambda text: "Xen\n")
    m.start()
    is_gates(m)
    assert "do not say the same" in (m.top / "log").read_text()


@case()
def reset_fails(m):
    m.up()
    reset = m.top / "sys/bus/pci/devices" / BDF / "reset"
    reset.unlink()
    reset.mkdir()
    out = hand_over(m, 1)
    assert "could not be reset" in out, out
    is_gates(m)
    assert "reset-failed" in (m.top / "run/gatekeeper/tainted").read_text()


@case(agent="nothing")
def never_confirmed(m):
    """An agent that tells of nothing: undone after 15 s."""
    m.up()
    begin = time.monotonic()
    out = hand_over(m, 1)
    assert 14 < time.monotonic() - begin < 40 and "assigned: not done" in out, out
    is_gates(m)


@case(agent="disk")
def no_keyboard(m):
    """An agent that tells of other devices only: nobody could type, so undone, too."""
    m.up()
    out = hand_over(m, 1)
    assert "assigned: not done" in out, out
    is_gates(m)


@case(agent="other")
def dark_after_kill(m):
    """Confirmed with a keyboard that is asked; after a kill -9 it is not there."""
    m.up()
    hand_over(m)
    m.kill()
    assert m.record()["handoff_blackout_ms"] == -1
    (m.lib / f"agent-{TARGET}").write_text("disk")
    begin = time.monotonic()
    m.start()
    m.state("gate", 40)
    assert time.monotonic() - begin > 14
    assert "no keyboard is back" in (m.top / "log").read_text()
    is_gates(m)


@case()
def pulled_after_kill(m):
    """One that somebody has typed on may have been pulled: it stays."""
    m.up()
    hand_over(m)
    m.kill()
    (m.lib / f"agent-{TARGET}").write_text("disk")
    m.start()
    time.sleep(18)
    is_handed_over(m)


@case(agent="other")
def look_alike(m):
    """Another keyboard at the same port: shown, not admitted silently."""
    m.up()
    hand_over(m)
    s = m.status()
    [f] = [f for f in s["handoff"]["continuity"] if f["finding"] == "changed"]
    assert f["port"] == "1-2" and f["keyboard"] and not f["counts"], f
    [d] = [d for d in s["devices"] if d["port"] == "1-2"]
    assert d["verdict"] == "refused" and re.fullmatch(r"\d{6}", d["number_to_type"]), d
    assert "is not the one that was there" in (m.top / "log").read_text()
    (m.lib / "type").write_text("")
    time.sleep(0.3)
    assert m.keys() == ["made"], m.keys()
    code, out = m.gk("status")
    assert "another device than before: its keys do not count" in out, out
    code, out = m.gk("trust", "1-9")
    assert code == 1 and "no device" in out, out
    assert m.gk("trust", "1-2")[0] == 0
    (m.lib / "type").unlink()
    time.sleep(0.2)
    (m.lib / "type").write_text("")
    m.until(lambda: "30 1" in m.keys())
    assert m.gk("trust", "1-2")[0] == 1
    # It is what was there from now on, for a gatekeeperd after this one, too.
    m.kill()
    m.start()
    m.until(lambda: any(d["verdict"] == "admitted" for d in m.status().get("devices", [])))
    assert m.status()["handoff"]["continuity"] == []


def given_up(m):
    """The gate is lost, and may not be started again."""
    m.up()
    m.until(lambda: len(readers(m)) == 1)
    os.kill(readers(m)[0], signal.SIGKILL)
    m.until(lambda: m.status().get("state") == "failed")


@case(conf="sys_usb = sys-usb\nrestarts = 0\n")
def failed_and_agent(m):
    """The gate was given up; then its domain comes, and can have them."""
    m.drop(TARGET)
    given_up(m)
    m.add(f"domain {TARGET} 1 sys-usb\n")
    m.state("confirmed", 25)
    is_handed_over(m)


@case(conf="sys_usb = sys-usb\nrestarts = 0\n")
def agent_and_failed(m):
    """It is there when the gate is given up."""
    given_up(m)
    assert m.owners() == [] and m.record().get("state") != "confirmed"
    m.state("confirmed", 25)
    is_handed_over(m)


@case(conf="restarts = 0\nrestart_window = 10\n")
def failed_for_a_while(m):
    """With nobody to ask for it: once more after the window."""
    given_up(m)
    begin = time.monotonic()
    m.up(25)
    assert time.monotonic() - begin > 9
    is_gates(m)


@case()
def xenstored_comes_back(m):
    m.up()
    m.kill()
    m.change(lambda text: text.replace("answered\n", ""))
    m.start()
    m.until(lambda: "xenstored does not answer" in (m.top / "log").read_text(), 20)
    time.sleep(2)
    assert m.status()["state"] == "probing", m.status()
    assert (m.top / "log").read_text().count("does not answer") == 1
    m.change(lambda text: "answered\n" + text)
    is_gates(m)


@case(agent="other")
def not_laundered(m):
    """The look-alike is asked by the gate after it, too, by a new gatekeeperd, and by
    the agent once more, until the person trusts it."""
    def is_asked():
        [d] = [d for d in m.status().get("devices", []) if d["port"] == "1-2"] or [None]
        return d and d["verdict"] == "refused" and "number_to_type" in d

    def gate_is_up():
        m.until(lambda: m.status().get("state") == "up" and m.status()["devices"])
    m.up()
    hand_over(m)
    (m.lib / "how").write_text("other")
    assert m.gk("reclaim")[0] == 0
    gate_is_up()
    assert is_asked(), m.status()
    (m.lib / "type").write_text("")
    time.sleep(0.3)
    (m.lib / "type").unlink()
    m.kill()
    m.start()
    gate_is_up()
    assert is_asked(), m.status()
    hand_over(m)
    assert is_asked() and "30 1" not in m.keys(), (m.status(), m.keys())
    assert m.gk("reclaim")[0] == 0
    gate_is_up()
    assert is_asked(), m.status()
    assert m.gk("trust", "1-2")[0] == 0
    m.up()
    assert m.gk("trust", "1-2")[0] == 1
    hand_over(m)
    is_handed_over(m)
    m.until(lambda: [d["verdict"] for d in m.status()["devices"]] == ["admitted", "refused"])
    assert m.gk("reclaim")[0] == 0
    is_gates(m)


@case(agent="posing")
def posing(m):
    """Port, ids and hash of a disk that was there, and now it is a keyboard."""
    m.up()
    hand_over(m)
    [f] = [f for f in m.status()["handoff"]["continuity"] if f["finding"] == "changed"]
    assert f["port"] == "1-3" and f["keyboard"] and not f["counts"], f
    (m.lib / "type").write_text("")
    time.sleep(0.3)
    assert m.keys() == ["made"], m.keys()
    # So, too, for a gatekeeperd that reads what was there.
    (m.lib / "type").unlink()
    m.kill()
    m.start()
    m.until(lambda: [d for d in m.status().get("devices", []) if d["port"] == "1-3"])
    [d] = m.status()["devices"]
    assert d["verdict"] == "refused" and "number_to_type" in d, d
    assert m.gk("trust", "1-3")[0] == 0
    m.until(lambda: [d["verdict"] for d in m.status()["devices"]] == ["admitted"])
    m.kill()
    m.start()
    m.until(lambda: [d["verdict"] for d in m.status().get("devices", [])] == ["admitted"])


@case(agent="chatty")
def chatty(m):
    """What the agent says, and what is said of what it tells, is bounded."""
    m.up()
    hand_over(m)
    m.until(lambda: any(d["port"] == "1-6" for d in m.status()["devices"]))
    time.sleep(1)
    log = (m.top / "log").read_text()
    assert 0 < log.count("agent: blah") <= 200, log.count("agent: blah")
    assert log.count("was not there before") <= 200, log.count("was not there before")
    is_handed_over(m)


@case(agent="moved")
def moved(m):
    m.up()
    hand_over(m)
    found = {f["finding"]: f for f in m.status()["handoff"]["continuity"]}
    assert found["moved"]["port"] == "1-4" and not found["moved"]["counts"], found
    assert found["gone"]["port"] == "1-2", found


@case(agent="more")
def one_more(m):
    m.up()
    hand_over(m)
    [f] = m.status()["handoff"]["continuity"]
    assert f["finding"] == "new" and f["port"] == "1-5" and not f["counts"], f
    [d] = [d for d in m.status()["devices"] if d["port"] == "1-2"]
    assert d["verdict"] == "admitted", d


@case()
def target_dies(m):
    """Its domain goes: at once the gate again; a new one gets them, unasked."""
    m.up()
    hand_over(m)
    begin = time.monotonic()
    m.drop(TARGET)
    is_gates(m)
    assert time.monotonic() - begin < 15
    (m.lib / "agent-8").write_text("")
    m.add("domain 8 1 sys-usb\n")
    m.until(lambda: m.record().get("state") == "confirmed", 20)
    is_handed_over(m, 8)


def dead(state):
    @case()
    def fn(m):
        """It is still there, and xl says that it is at its end: no pci-detach, which
        would wait 10 s for it; with xenstored's word of it alone."""
        m.up()
        hand_over(m)
        before = len(m.xl())
        (m.top / f"state-{TARGET}").write_text(state)
        begin = time.monotonic()
        m.add("domain 40 0 other\n")
        m.until(lambda: m.record()["state"] != "confirmed")
        noticed = time.monotonic() - begin
        m.state("gate")
        taken = time.monotonic() - begin
        assert noticed < 4 and taken < 8, (noticed, taken)
        is_gates(m)
        xl = m.xl()[before:]
        assert f"destroy {TARGET}" in xl, xl
        assert not [line for line in xl if line.startswith(f"pci-detach {TARGET}")], xl
        assert "has come to its end" in (m.top / "log").read_text()
    fn.__name__ = f"dead_{state.strip('-')}"


for letters in ("---s--", "---sc-", "-----d"):
    dead(letters)


@case()
def suspended(m):
    """Shut down in xl's words, too, and goes on one day."""
    m.up()
    hand_over(m)
    (m.top / f"state-{TARGET}").write_text("---ss-")
    m.add("domain 40 0 other\n")
    m.until(lambda: (m.top / "xl.log").read_text().count(f"list {TARGET}\n") >= 2)
    time.sleep(1)
    is_handed_over(m)


@case()
def started_again_for_ever(m):
    """systemd does not count how often gatekeeperd ends."""
    units = HERE.parent.parent
    unit = (units / "dracut-module/units/gatekeeperd.service").read_text()
    head = unit[:unit.index("[Service]")]
    assert "\nStartLimitIntervalSec=0\n" in head, head
    assert "\nRestart=on-failure\n" in unit


def readers(m):
    return [int(p) for p in subprocess.run(
        ["pgrep", "-P", str(m.daemon.pid), "-f", "gatekeeper-link"],
        stdout=subprocess.PIPE, text=True).stdout.split()]


@case()
def link_lost_and_dead(m):
    """Nothing has told of it but the end of the link: it is asked for at once."""
    m.up()
    hand_over(m)
    m.until(lambda: len(readers(m)) == 1)
    m.until(lambda: f"list {TARGET}\n" in (m.top / "xl.log").read_text())
    time.sleep(0.5)
    (m.top / f"state-{TARGET}").write_text("---sc-")
    (m.lib / f"agent-{TARGET}").write_text("no-server")
    begin = time.monotonic()
    os.kill(readers(m)[0], signal.SIGKILL)
    m.until(lambda: m.record()["state"] not in ("confirmed",))
    # Not the 5 s that an agent has to come back.
    assert time.monotonic() - begin < 4
    is_gates(m)
    assert f"pci-detach {TARGET} {BDF}" not in m.xl() and f"destroy {TARGET}" in m.xl()


@case()
def dies_unseen(m):
    """Killed; meanwhile it has come to its end: gatekeeperd asks before it detaches."""
    m.up()
    hand_over(m)
    m.touch("xl-hang-pci-detach")
    asked = m.gk("reclaim", wait=False)
    m.until(lambda: f"pci-detach {TARGET} {BDF}" in m.xl())
    m.kill()
    asked.communicate(timeout=5)
    before = len(m.xl())
    (m.top / f"state-{TARGET}").write_text("---sc-")
    (m.top / "xl-hang-pci-detach").unlink()
    m.start()
    is_gates(m)
    xl = m.xl()[before:]
    assert f"destroy {TARGET}" in xl and f"pci-detach {TARGET} {BDF}" not in xl, xl


@case()
def agent_dies(m):
    """Only its link: it has 5 s to come back."""
    m.up()
    hand_over(m)

    def reader():
        return readers(m)
    m.until(lambda: len(reader()) == 1)
    first = reader()[0]
    os.kill(first, signal.SIGKILL)
    m.until(lambda: reader() and reader()[0] != first)
    m.until(lambda: m.status()["handoff"]["agent"] is True and
            [d["verdict"] for d in m.status()["devices"]] == ["admitted", "refused"])
    is_handed_over(m)
    assert m.status()["handoff"]["reclaims"] == 0
    (m.lib / f"agent-{TARGET}").write_text("no-server")
    begin = time.monotonic()
    os.kill(reader()[0], signal.SIGKILL)
    m.state("gate")
    assert 4 < time.monotonic() - begin < 25
    is_gates(m)


@case()
def agent_hangs(m):
    m.up()
    hand_over(m)
    m.touch("xl-needs-force")
    (m.lib / f"agent-{TARGET}").write_text("deaf no-server")
    code, out = m.gk("reclaim")
    assert code == 0, out
    assert any(line.startswith("pci-detach -f 7") for line in m.xl()), m.xl()
    is_gates(m)


def no_answer(how, least, most):
    @case(agent=how)
    def fn(m):
        """xl waits for a PCI frontend that says nothing: force would wait as long."""
        m.up()
        hand_over(m)
        m.touch("xl-hang-pci-detach")
        (m.lib / f"agent-{TARGET}").write_text("no-server")
        before, begin = len(m.xl()), time.monotonic()
        code, out = m.gk("reclaim")
        assert code == 0 or how and "recalling: not done" in out, out
        assert least < time.monotonic() - begin < most, time.monotonic() - begin
        xl = [line for line in m.xl()[before:]
              if line not in ("destroy gatekeeper-gate", f"destroy {GATE}")]
        assert xl[:2] == [f"pci-detach {TARGET} {BDF}", f"destroy {TARGET}"], xl
        is_gates(m)
    fn.__name__ = f"no_answer_{how}"


# An agent that let go; one that did not answer either.
no_answer("", 9.5, 13)
no_answer("deaf", 5.5, 9)


@case()
def destroyed_at_last(m):
    """A domain that gives nothing back is destroyed."""
    m.up()
    hand_over(m)
    m.touch("xl-fail-pci-detach")
    assert m.gk("reclaim")[0] == 0
    assert f"destroy {TARGET}" in m.xl(), m.xl()
    is_gates(m)


@case(conf="sys_usb = sys-usb\n")
def automatic(m):
    """sys_usb: without being asked for, and again, but not for ever."""
    m.state("confirmed", 20)
    is_handed_over(m)
    (m.top / "etc/gatekeeper/gatekeeper.conf").write_text("sys_usb = sys-usb\n")
    code, out = m.gk("handoff")
    assert code == 0 and "gets the controllers when" in out, out


@case(conf="sys_usb = sys-usb\nrestarts = 1\n")
def not_for_ever(m):
    m.state("confirmed", 20)
    for domid in (8, 9):
        m.drop(domid - 1)
        (m.lib / f"agent-{domid}").write_text("")
        is_gates(m)
        m.add(f"domain {domid} 1 sys-usb\n")
        if domid == 8:
            m.until(lambda: m.record().get("state") == "confirmed", 20)
    m.until(lambda: "has lost the controllers too often" in (m.top / "log").read_text(), 20)
    is_gates(m)


@case(conf="sys_usb = sys-usb\nrestarts = 0\nrestart_window = 40\n", agent="nothing")
def never_again(m):
    """It never confirms: after the last time the keyboard stays with the gate, also when
    the window is over, until somebody asks or it is started anew."""
    m.until(lambda: "has lost the controllers too often" in (m.top / "log").read_text(), 60)
    is_gates(m)
    assert m.record()["held_domid"] == TARGET
    attached = len([line for line in m.xl() if line.startswith("pci-attach")])
    time.sleep(32)
    is_gates(m)
    assert len([line for line in m.xl() if line.startswith("pci-attach")]) == attached == 1
    (m.lib / "agent-8").write_text("")
    m.drop(TARGET)
    m.add("domain 8 1 sys-usb\n")
    m.state("confirmed", 20)
    is_handed_over(m, 8)


@case(conf="sys_usb = sys-usb\nrestarts = 0\n", agent="no-server")
def tried_in_vain(m):
    """An agent that does not answer has taken no keyboard from anybody."""
    log = m.top / "log"
    m.until(lambda: log.read_text().count("does not answer (") == 2, 40)
    assert "too often" not in log.read_text() and m.xl() == []
    (m.lib / f"agent-{TARGET}").write_text("")
    # It says itself when it has begun; else the next try comes later and later.
    m.change(lambda text: text.replace(f"domain {TARGET} 1", f"domain {TARGET} 0"))
    time.sleep(0.5)
    m.change(lambda text: text.replace(f"domain {TARGET} 0", f"domain {TARGET} 1"))
    m.state("confirmed", 20)
    is_handed_over(m)


@case()
def stop_in_states(m):
    """gatekeeper stop ends, whatever is going on."""
    m.up()
    m.touch("xl-hang-pci-attach")
    asked = m.gk("handoff", "--to", "sys-usb", wait=False)
    m.state("reset")
    begin = time.monotonic()
    assert m.gk("stop")[0] == 0
    assert time.monotonic() - begin < 5
    assert m.daemon.wait(5) == 0
    m.daemon = None
    asked.communicate(timeout=5)
    assert asked.returncode == 1


@case()
def stop_confirmed(m):
    m.up()
    hand_over(m)
    assert m.gk("stop")[0] == 0
    assert m.daemon.wait(5) == 0
    m.daemon = None
    assert m.owners() == [str(TARGET)]


def killed(state, hook=None, **machine):
    @case(**machine)
    def fn(m):
        m.up()
        if hook:
            m.touch(hook)
        asked = m.gk("handoff", "--to", "sys-usb", wait=False)
        m.state(state)
        time.sleep(0.05)
        m.kill()
        asked.communicate(timeout=5)
        if hook:
            (m.top / hook).unlink()
        m.start()
        m.until(lambda: m.status().get("handoff", {}).get("state") in ("gate", "confirmed"), 30)
        if m.status()["handoff"]["state"] == "gate":
            is_gates(m)
        else:
            is_handed_over(m)
            m.until(lambda: any(d["verdict"] == "admitted" for d in m.status()["devices"]))
    fn.__name__ = f"killed_{state}"


killed("preparing", agent="mute")
killed("quiescing", gate="deaf")
killed("releasing", hook="xl-slow")
killed("reset", hook="xl-slow")
killed("assigned", agent="nothing")
killed("confirmed")


@case()
def killed_taking_back(m):
    m.up()
    hand_over(m)
    m.touch("xl-hang-pci-detach")
    asked = m.gk("reclaim", wait=False)
    m.state("taking-back")
    m.kill()
    asked.communicate(timeout=5)
    (m.top / "xl-hang-pci-detach").unlink()
    m.start()
    is_gates(m)


def is_reset_by_all(m, bdf=BDF):
    """Whoever wants may reset it again, and by what it was."""
    method = m.top / "sys/bus/pci/devices" / bdf / "reset_method"
    m.until(lambda: method.read_text().strip() == "bus")
    m.until(lambda: not list(m.run.glob("reset-method-*")))


@case()
def reset_once(m):
    """By us: neither xl nor pciback has a method meanwhile."""
    m.up()
    hand_over(m)
    assert (m.top / "methods").read_text() == "pci-detach []\npci-attach []\n"
    assert (m.top / "sys/bus/pci/devices" / BDF / "reset").read_text() == "1"
    is_reset_by_all(m)
    assert m.gk("reclaim")[0] == 0
    assert (m.top / "methods").read_text().endswith("pci-detach [bus]\n")
    is_gates(m)
    is_reset_by_all(m)


def killed_without_method(hook, state, end):
    @case()
    def fn(m):
        m.up()
        m.touch(hook)
        asked = m.gk("handoff", "--to", "sys-usb", wait=False)
        m.state(state)
        m.until(lambda: (m.top / "methods").exists())
        if hook == "xl-late":
            m.until(lambda: m.owners() == [str(TARGET)])
        assert (m.run / f"reset-method-{BDF}").read_text() == "bus"
        m.kill()
        asked.communicate(timeout=5)
        (m.top / hook).unlink()
        m.start()
        end(m) if end is is_gates else m.until(
            lambda: m.status().get("handoff", {}).get("state") == "confirmed")
        is_reset_by_all(m)
    fn.__name__ = f"killed_without_method_{hook[3:]}"


killed_without_method("xl-marks", "reset", is_gates)
killed_without_method("xl-late", "reset", is_handed_over)


@case()
def lock_is_held(m):
    """A child of the one that was killed lives half a second longer, and holds the lock."""
    with open(m.run / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        m.start()
        time.sleep(0.5)
        assert m.daemon.poll() is None, "it did not wait"
    m.up()


@case()
def killed_marked(m):
    """Killed, and xl with it, after libxl's first write: sys-usb has nothing, and is
    not destroyed for it."""
    m.up()
    m.touch("xl-marks")
    asked = m.gk("handoff", "--to", "sys-usb", wait=False)
    m.until(lambda: f"marked {TARGET} {BDF}" in m.store())
    m.kill()
    asked.communicate(timeout=5)
    (m.top / "xl-marks").unlink()
    # And of a domain that is gone.
    m.add(f"left 40 {BDF}\n")
    before = len(m.xl())
    m.start()
    is_gates(m)
    xl = m.xl()[before:]
    assert f"destroy {TARGET}" not in xl and "marked" not in m.store(), (xl, m.store())
    assert "left 40" not in m.store(), m.store()
    assert f"domain {TARGET} 1 sys-usb" in m.store()
    # The gate is created at the first attempt.
    assert len([line for line in xl if line.startswith("create ")]) == 1, xl


@case()
def marked_for_another(m):
    """Free, and somebody's xl is at work with it: not ours to take."""
    m.up()
    assert m.gk("handoff", "--release-only")[0] == 0
    m.add(f"domain 30 0 other\nmarked 30 {BDF}\n")
    code, out = m.gk("reclaim")
    assert code == 1 and "is being given USB controller" in out, out
    assert f"marked 30 {BDF}" in m.store() and m.record()["state"] == "free"
    m.drop(30)
    m.add(f"marked 30 {BDF}\n")
    assert m.gk("reclaim")[0] == 0
    is_gates(m)


@case()
def gate_marked(m):
    """Its own xl create was killed: the next finds the mark, and is not the last."""
    m.up()
    m.kill()
    m.drop(GATE)
    m.add(f"marked {GATE} {BDF}\n")
    m.start()
    is_gates(m)


@case()
def many_devices(m):
    """Others have a lot of PCI devices; whose the controller is, is seen all the same."""
    m.up()
    hand_over(m)
    m.kill()
    others = "".join(f"owns {50 + i // 4} 0000:{0x40 + i:02x}:00.0 0000:00:{i % 4:02x}.00\n"
                     for i in range(40))
    m.change(lambda text: text.replace("answered\n", f"answered\n{others}"))
    m.start()
    m.until(lambda: m.status().get("handoff", {}).get("agent"))
    time.sleep(1)
    s = m.status()
    assert s["handoff"]["state"] == "confirmed" and s["handoff"]["reclaims"] == 0, s
    assert [c["owner"] for c in s["controllers"]] == ["sys-usb"], s["controllers"]


@case()
def another_of_that_name(m):
    """Killed; meanwhile another domain has taken the name: it is not the target."""
    m.up()
    hand_over(m)
    m.kill()
    m.drop(TARGET)
    m.add("domain 9 0 sys-usb\n")
    m.start()
    is_gates(m)


@case()
def release_only(m):
    m.up()
    code, out = m.gk("handoff", "--release-only")
    assert code == 0, out
    assert m.owners() == [] and m.record()["state"] == "free"
    s = m.status()
    assert s["state"] == "handed-over" and s["controllers"][0]["owner"] is None, s
    m.kill()
    m.start()
    m.until(lambda: m.status().get("state") == "handed-over")
    # Somebody else has started a domain with them: that is none of our business.
    m.add(f"domain 30 0 other\nowns 30 {BDF} 0000:00:01.00\n")
    code, out = m.gk("reclaim")
    assert code == 1 and "was not given it here" in out, out
    assert m.record()["state"] == "free" and m.owners() == ["30"]
    m.drop(30)
    assert m.gk("reclaim")[0] == 0
    is_gates(m)


@case()
def to_config(m):
    """A domain that is started with them."""
    m.up()
    m.drop(TARGET)
    config = m.top / "etc/xen/sys-usb.cfg"
    config.write_text('name = "sys-usb"\n')
    code, out = m.gk("handoff", "--to-config", str(config))
    assert code == 0, out
    assert m.record()["state"] == "confirmed" and m.record()["target_domid"] == 21
    m.kill()
    m.start()
    m.until(lambda: m.status().get("state") == "handed-over")
    assert m.owners() == ["21"]
    assert m.gk("reclaim")[0] == 0
    is_gates(m)
    assert "sys-usb" in m.store()


def release(m, *more):
    code, out = m.gk("handoff", "--release-only", *more)
    assert code == 0, out
    assert m.record()["state"] == "free", m.record()
    return out


@case(conf="free_time = 5\n")
def free_owner_ends(m):
    """Somebody else's domain had them, and has ended: the gate, after a time in which it
    could have been started again. The next start gets them from the gate."""
    m.up()
    release(m)
    m.add(f"domain 30 0 other\nowns 30 {BDF} 0000:00:01.00\n")
    time.sleep(7)
    assert m.record()["state"] == "free" and m.owners() == ["30"]
    m.drop(30)
    time.sleep(3)
    m.add(f"domain 31 0 other\nowns 31 {BDF} 0000:00:01.00\n")
    time.sleep(4)
    assert m.record()["state"] == "free" and m.owners() == ["31"]
    begin = time.monotonic()
    m.drop(31)
    m.until(lambda: m.record()["state"] != "free")
    assert 4.5 < time.monotonic() - begin < 14
    is_gates(m)
    assert "nobody has had the USB controllers for 5 s" in (m.top / "log").read_text()
    release(m)
    assert m.owners() == [] and "gatekeeper-gate" not in m.store()


@case(conf="free_time = 10\n")
def free_never_taken(m):
    """Who asks once more has the whole time; so it is after a kill, too."""
    m.up()
    release(m)
    time.sleep(6)
    assert "free already" in release(m)
    time.sleep(6)
    assert m.record()["state"] == "free"
    m.kill()
    m.start()
    begin = time.monotonic()
    m.until(lambda: m.record()["state"] != "free", 25)
    assert time.monotonic() - begin > 9
    is_gates(m)


@case(conf="free_time = 0\n")
def free_for_ever(m):
    m.up()
    release(m)
    time.sleep(8)
    assert m.record()["state"] == "free" and m.owners() == []


DOCK = "0000:3c:00.0"


def unplug_dock(m):
    shutil.rmtree(m.top / "sys/bus/pci/devices" / DOCK)
    m.change(lambda s: re.sub(rf"owns \d+ {DOCK} .*\n", "", s))
    xen = m.top / "xen"
    xen.write_text(re.sub(rf"assigned \d+ {DOCK}\n", "", xen.read_text()))


@case(conf="free_time = 0\n", controllers=(BDF, DOCK))
def dock_unplugged_while_free(m):
    """One controller is no more: the gate takes back the one that is left."""
    m.up()
    release(m)
    unplug_dock(m)
    assert m.gk("reclaim")[0] == 0
    is_gates(m)


@case(controllers=(BDF, DOCK))
def dock_unplugged(m):
    """And a domain that still has the others is left alone."""
    m.up()
    hand_over(m)
    unplug_dock(m)
    m.kill()
    m.start()
    m.until(lambda: m.status().get("state") == "handed-over")
    time.sleep(3)
    is_handed_over(m)
    assert m.gk("reclaim")[0] == 0
    is_gates(m)


@case()
def reclaim_free(m):
    """For a unit that failed: nothing is taken from anybody who works."""
    m.up()
    before = m.xl()
    assert m.gk("reclaim", "--free") == (0, "")
    assert m.xl() == before
    hand_over(m)
    assert m.gk("reclaim", "--free") == (0, "")
    is_handed_over(m)
    assert m.gk("reclaim")[0] == 0
    # The gate is being started: not now, or as soon as that is over.
    code, out = m.gk("handoff", "--release-only")
    assert code == 1 and "neither up nor given up" in out, out
    release(m, "--wait", "20")
    assert m.gk("reclaim", "--free")[0] == 0
    is_gates(m)


@case(conf="free_time = 5\n")
def config_ends(m):
    m.up()
    m.drop(TARGET)
    config = m.top / "etc/xen/sys-usb.cfg"
    config.write_text('name = "sys-usb"\n')
    assert m.gk("handoff", "--to-config", str(config))[0] == 0
    time.sleep(7)
    assert m.record()["state"] == "confirmed" and m.owners() == ["21"]
    m.drop(21)
    m.state("gate", 25)
    is_gates(m)


@case()
def stub_domain(m):
    """A guest and the domain of its device model have each controller: that is one."""
    m.up()
    m.drop(TARGET)
    config = m.top / "etc/xen/sys-usb.cfg"
    config.write_text('name = "sys-usb"\n')
    assert m.gk("handoff", "--to-config", str(config))[0] == 0
    # Xen knows of the guest alone.
    m.change(lambda text: text + f"domain 60 0 sys-usb-dm\nstub 60 21\n"
             f"owns 60 {BDF} 0000:00:00.00\n")
    m.kill()
    m.start()
    m.until(lambda: m.status().get("state") == "handed-over")
    assert m.record()["controllers"][0]["owner"] == 21, m.record()
    code, out = m.gk("reclaim")
    assert code == 0, out
    assert f"pci-detach 21 {BDF}" in m.xl()
    is_gates(m)
    # A domain of that kind for another guest is another's.
    m.drop(TARGET)
    assert m.gk("handoff", "--to-config", str(config))[0] == 1
    m.change(lambda text: text.replace("domain 21 0 sys-usb\n", ""))
    release(m)
    m.add(f"domain 40 0 other-dm\nstub 40 41\nowns 40 {BDF} 0000:00:00.00\n")
    code, out = m.gk("reclaim")
    assert code == 1 and "(41) has USB controller" in out, out


def gate_id(m):
    found = re.search(r"^domain (\d+) 0 gatekeeper-gate$", m.store(), re.M)
    return found and found[1]


@case(conf="restarts = 0\n")
def suspend_gate(m):
    """A new gate each time; what broke meanwhile is not its fault."""
    m.up()
    for lost in (False, True):
        before = gate_id(m)
        assert m.gk("suspend") == (0, "")
        if lost:
            os.kill(readers(m)[0], signal.SIGKILL)
            m.until(lambda: gate_id(m) not in (None, before))
        assert m.gk("resume") == (0, "")
        m.until(lambda: gate_id(m) not in (None, before))
        is_gates(m)
    # And it is again when the machine is awake.
    m.until(lambda: len(readers(m)) == 1)
    os.kill(readers(m)[0], signal.SIGKILL)
    m.until(lambda: m.status().get("state") == "failed")


@case(agent="mute")
def suspend_waits(m):
    """Until a handoff is over; and what never is, is not waited for."""
    m.up()
    asked = m.gk("handoff", "--to", "sys-usb", wait=False)
    m.state("preparing")
    begin = time.monotonic()
    code, out = m.gk("suspend")
    assert code == 0 and 5 < time.monotonic() - begin < 20, out
    asked.communicate(timeout=5)
    assert m.gk("resume")[0] == 0
    m.until(lambda: m.status().get("state") != "up")
    m.touch("xl-hang-create")
    begin = time.monotonic()
    code, out = m.gk("suspend")
    assert code == 1 and "not waited for any longer" in out, out
    assert 19 < time.monotonic() - begin < 25
    (m.top / "xl-hang-create").unlink()
    assert m.gk("resume")[0] == 0
    is_gates(m)


@case(conf="sys_usb = sys-usb\n")
def suspend_begins_nothing(m):
    m.up()
    assert m.gk("suspend")[0] == 0
    time.sleep(7)
    is_gates(m)
    before = gate_id(m)
    assert m.gk("resume")[0] == 0
    m.until(lambda: gate_id(m) not in (None, before))
    m.state("confirmed", 20)
    is_handed_over(m)


@case()
def suspend_alive(m):
    """Its keyboard is spoken to, and there: it stays."""
    m.up()
    hand_over(m)
    told = m.lib / f"told-{TARGET}"
    lights = told.read_text().count("LED")
    assert m.gk("suspend")[0] == 0 and m.gk("resume")[0] == 0
    m.until(lambda: told.read_text().count("LED") == lights + 1)
    time.sleep(13)
    is_handed_over(m)
    assert m.record()["reclaims"] == 0


@case()
def suspend_dead(m):
    """Its devices are gone when it is awake: the gate, and then it once more. While it
    sleeps nobody counts how long an agent is away."""
    m.up()
    hand_over(m)
    m.until(lambda: len(readers(m)) == 1)
    assert m.gk("suspend")[0] == 0
    (m.lib / f"agent-{TARGET}").write_text("no-server")
    os.kill(readers(m)[0], signal.SIGKILL)
    time.sleep(7)
    assert m.record()["state"] == "confirmed"
    (m.lib / f"agent-{TARGET}").write_text("disk")
    m.until(lambda: m.status()["handoff"]["agent"])
    begin = time.monotonic()
    assert m.gk("resume")[0] == 0
    m.until(lambda: m.record()["state"] != "confirmed")
    assert time.monotonic() - begin > 9
    assert "no keyboard is back since the suspend" in (m.top / "log").read_text()
    (m.lib / f"agent-{TARGET}").write_text("")
    m.state("gate", 20)
    m.up()
    m.state("confirmed", 25)
    is_handed_over(m)
    assert m.record()["reclaims"] == 1 and m.record()["held_domid"] is None


@case()
def suspend_pulled(m):
    """Its keyboard was pulled before: there is nothing to get back by it."""
    m.up()
    hand_over(m)
    m.until(lambda: len(readers(m)) == 1)
    first = readers(m)[0]
    (m.lib / f"agent-{TARGET}").write_text("disk")
    os.kill(first, signal.SIGKILL)
    m.until(lambda: readers(m) and readers(m)[0] != first)
    m.until(lambda: [d["verdict"] for d in m.status()["devices"]] == ["refused"])
    assert m.gk("suspend")[0] == 0 and m.gk("resume")[0] == 0
    time.sleep(12)
    is_handed_over(m)
    assert m.record()["reclaims"] == 0


def run(fn, machine):
    """What there is to say of it; None: nothing was wrong."""
    m = Machine(**machine)
    m.start()
    begin = time.monotonic()
    try:
        fn(m)
        print(f"ok      {fn.__name__} ({time.monotonic() - begin:.1f} s)", flush=True)
        return None
    except (AssertionError, ValueError, KeyError, OSError, subprocess.TimeoutExpired):
        return (f"FAILED  {fn.__name__}\n{traceback.format_exc(limit=3)}"
                f"{(m.top / 'log').read_text()[-6000:]}\nrecord: {m.record()}\n"
                f"store: {m.store()}\nxl: {m.xl()}")
    finally:
        m.end()


def main():
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    cases = [c for c in CASES if word in c[0].__name__]
    # Most of their time is waiting.
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda c: run(*c), cases))
    # Many bounds are in seconds, and others were beside it: once more, alone.
    wrong = 0
    for c, what in zip(cases, said):
        if not what:
            continue
        print(what)
        again = run(*c)
        wrong += again is not None
        print(again or f"        {c[0].__name__}: only beside others", flush=True)
    return 1 if wrong else 0


sys.exit(main())
