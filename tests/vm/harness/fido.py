# SPDX-License-Identifier: GPL-2.0-or-later
"""Disks that security keys are enrolled for, and what is measured of the keys."""
import json
import mmap
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

from . import checks, gate, paths, secrets
from .qemu import overlay
from .virtual import VirtualDevice

BRIDGE = paths.TOP / "build/tests/fido-bridge"
HEADER = checks.LUKS_HEADER
# No digits that stand in a log by chance: they are searched for.
PIN = "7391648520"


def _rig():
    """tests/luks/rig.py: enrols by python3-fido2 and cryptsetup."""
    os.environ.setdefault("GK_BUILD", str(paths.TOP / "build"))
    if str(paths.TOP / "tests/luks") not in sys.path:
        sys.path.insert(0, str(paths.TOP / "tests/luks"))
    import rig
    return rig


class KeyDisk:
    """The disk all share, with tokens of its own: an overlay with another header."""

    def __init__(self, t):
        rig = _rig()
        self.t = t
        self.dir = Path(tempfile.mkdtemp(prefix="gkvm-"))
        t.cleanups.append(lambda: shutil.rmtree(self.dir, ignore_errors=True))
        self.path = self.dir / "disk.qcow2"
        image = self.dir / "header.img"
        subprocess.run(["qemu-img", "dd", "-f", "qcow2", "-O", "raw", "bs=1M",
                        f"count={HEADER >> 20}", f"if={paths.DISK}", f"of={image}"],
                       check=True, stdout=subprocess.DEVNULL)
        # cryptsetup wants a device that goes on behind the header.
        os.truncate(image, HEADER + (4 << 20))
        self.header = rig.Disk.__new__(rig.Disk)
        self.header.path = str(image)
        self.header.passphrase = secrets.SIMPLE

    def enroll(self, name, *options, pin=None, up=True):
        """A key of that name; what it is is in its state file from then on."""
        if pin:
            options = ("--pin", pin, *options)
        key = _rig().Key(SimpleNamespace(dir=str(self.dir)), name, *options)
        key.enroll(self.header, pin=pin, up=up)
        return key

    def write(self):
        """After the last key; t.boot(disk=...) takes what this returns."""
        overlay(paths.DISK, self.path)
        subprocess.run(["qemu-io", "-f", "qcow2", "-c",
                        f"write -q -s {self.header.path} 0 {HEADER}", str(self.path)],
                       check=True, stdout=subprocess.DEVNULL)
        self.t.header = checks.luks_header(self.path)
        return self.path


def plug_in(t, key, *options, port=None, name=None):
    """The virtual device with an enrolled key's state; not in a port yet."""
    return VirtualDevice(t, "fido", "--state", str(key.state), *options, port=port,
                         name=name or key.name)


def stats(device):
    return json.loads(device.do("fido").removeprefix("ok "))


def guest_ms(t, seconds):
    """The guest's clock at a moment of the host's time.monotonic()."""
    host = (seconds - t.vm.start) * 1000
    behind = min(when * 1000 - ms for _, ms, _, when in t.events.all())
    return round(host - behind)


def now(t):
    return guest_ms(t, time.monotonic())


def measure(t, plugged=None, touched=None, port="1-2"):
    """From the journal: who took which part of the time. plugged, touched: guest ms."""
    journal = t.guest.output("journalctl -b --no-pager -o short-monotonic", 60)
    (t.out / "journal.txt").write_text(journal)
    admitted = gate.journal_ms(journal, rf"FIDO key on port {port} .*admitted")
    asked = gate.journal_ms(journal, rf"Touch the security key on port {port} now")
    opened = t.events.first("unlocked")[0]
    if plugged is not None and admitted is not None:
        t.metrics["fido_plug_to_admitted_ms"] = admitted - plugged
    if admitted is not None and asked is not None:
        t.metrics["fido_admitted_to_touch_ms"] = asked - admitted
    if touched is not None:
        t.metrics["fido_touch_to_open_ms"] = opened - touched
    own = re.search(r"is open, by a key on port .*; keyslot (\d+) ms, "
                    r"(\d+) ms after the key's answer", journal)
    if own:
        t.metrics["fido_keyslot_ms"] = int(own[1])
        t.metrics["fido_answer_to_open_ms"] = int(own[2])
    return journal


def keep_disk(t):
    """What the VM that has just ended made of its disk, for the next t.boot()."""
    t.stop()
    kept = Path(tempfile.mkdtemp(prefix="gkvm-")) / "disk.qcow2"
    t.cleanups.append(lambda: shutil.rmtree(kept.parent, ignore_errors=True))
    shutil.move(t.vm.overlay, kept)
    t.header = checks.luks_header(kept)
    return kept


# Names what holds one of the values, which are in hex: this text itself must not.
SEARCH = """
import os, subprocess
values = [bytes.fromhex(v) for v in "VALUES".split()]
def look(name, data):
    for n, value in enumerate(values):
        if value in data:
            print(n, name)
def look_file(path):
    try:
        with open(path, "rb") as f:
            look(path, f.read())
    except OSError:
        pass
for pid in filter(str.isdigit, os.listdir("/proc")):
    look_file("/proc/%s/cmdline" % pid)
    look_file("/proc/%s/environ" % pid)
for top in "/run", "/var/log", "/var/lib/systemd", "/var/tmp", "/tmp", "/etc", "/root":
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not os.path.islink(path):
                look_file(path)
            if name.startswith("core"):
                print("core", path)
for command in ["journalctl", "-b", "--no-pager", "-a", "-o", "export"], ["dmesg"]:
    look(command[0], subprocess.run(command, stdout=subprocess.PIPE).stdout)
look("a search that works", values[-1])
"""


def search(t, values):
    """Known values (name: text) are in no log, command line, environment, core file or
    other file of dom0; and how often they are left in the machine's memory."""
    t.doing("searching for secrets")
    image = t.run_dir / "memory"
    t.qmp.run("pmemsave", val=0, size=t.vm.machine.memory << 20, filename=str(image))
    found = {}
    with open(image, "rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as m:
        # The search itself is not to be trusted that finds nothing at all.
        t.check(m.find(secrets.LUKS_UUID.encode()) >= 0, "memory was not searched")
        for name, value in values.items():
            at, places = m.find(value.encode()), []
            while at >= 0 and len(places) < 100:
                places.append((at, m[max(0, at - 48):at + len(value) + 48]))
                at = m.find(value.encode(), at + 1)
            found[name] = places
    image.unlink()
    (t.out / "in-memory.txt").write_text("".join(
        f"{name} {at:#x} {around!r}\n" for name, places in found.items()
        for at, around in places))
    for name, places in found.items():
        t.metrics[f"left_in_memory_{name.split()[-1]}"] = len(places)
    script = SEARCH.replace("VALUES", " ".join(v.encode().hex() for v in values.values()))
    lines = t.guest.output(f"python3 - <<'END'\n{script}\nEND", 120).splitlines()
    t.check(lines[-1:] == [f"{len(values) - 1} a search that works"], f"{lines[-1:]}")
    t.check(not lines[:-1], f"secrets are in: {lines[:-1]}")
    t.say(f"no file has them; in memory: { {n: len(p) for n, p in found.items()} }")
