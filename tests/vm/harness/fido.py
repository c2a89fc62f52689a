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

from . import checks, disk, gate, paths, secrets
from .qemu import overlay
from .virtual import VirtualDevice

BRIDGE = paths.TOP / "build/tests/fido-bridge"
HEADER = checks.LUKS_HEADER
# No digits that stand in a log by chance: they are searched for.
PIN = "7391648520"
PASSPHRASE = "Vq7 lampen-Wetter 93"


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


OPENED = (r"is open, by a key on port .*; keyslot (\d+) ms \((\d+) computing\), "
          r"(\d+) ms after the key's answer")


def measure(t, key, plugged=None):
    """From the journal and the key: who took which part of the time. plugged: guest ms,
    for a key that nothing was typed for between that and its touch."""
    journal = t.guest.output("journalctl -b --no-pager -o short-monotonic", 60)
    (t.out / "journal.txt").write_text(journal)
    at = {name: guest_ms(t, ms / 1000) for name, ms in stats(key)["ms"].items() if ms}
    told = gate.journal_ms(journal, r"Touch the security key on port 1-2 now", last=True)
    if plugged is not None:
        t.metrics["fido_plug_to_touch_prompt_ms"] = told - plugged
        t.metrics["fido_plug_to_first_packet_ms"] = at["first"] - plugged
        t.metrics["fido_exchange_ms"] = at["asked"] - at["first"]
        t.metrics["fido_asked_to_told_ms"] = told - at["asked"]
    own = re.search(OPENED, journal)
    ready = gate.journal_ms(journal, OPENED)
    if own and "touched" in at:
        keyslot, computing, after = (int(n) for n in own.groups())
        t.metrics["fido_touch_to_open_ms"] = ready - at["touched"]
        t.metrics["fido_key_ms"] = at["answered"] - at["touched"]
        t.metrics["fido_wire_ms"] = ready - after - at["answered"]
        t.metrics["fido_pbkdf_ms"] = computing
        t.metrics["fido_device_mapper_ms"] = keyslot - computing
        t.metrics["fido_ours_ms"] = after - keyslot
    return journal


def keep_disk(t):
    """What the VM that has just ended made of its disk, for the next t.boot()."""
    t.stop()
    kept = Path(tempfile.mkdtemp(prefix="gkvm-")) / "disk.qcow2"
    t.cleanups.append(lambda: shutil.rmtree(kept.parent, ignore_errors=True))
    shutil.move(t.vm.overlay, kept)
    t.header = checks.luks_header(kept)
    return kept


def search(t, values, unseen=()):
    """Known values (name: bytes) are in no log, command line, environment, core file or
    other file of dom0, in no process's memory, and in nothing that was written to the
    disk; and how often they are left in the machine's memory: those named in unseen,
    which only our own processes ever held, nowhere."""
    t.doing("searching for secrets")
    image = t.run_dir / "memory"
    t.qmp.run("pmemsave", val=0, size=t.vm.machine.memory << 20, filename=str(image))
    found = {}
    with open(image, "rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as m:
        # The search itself is not to be trusted that finds nothing at all.
        t.check(m.find(secrets.LUKS_UUID.encode()) >= 0, "memory was not searched")
        for name, value in values.items():
            at, places = m.find(value), []
            while at >= 0 and len(places) < 100:
                places.append((at, m[max(0, at - 48):at + len(value) + 48]))
                at = m.find(value, at + 1)
            found[name] = places
    image.unlink()
    (t.out / "in-memory.txt").write_text("".join(
        f"{name} {at:#x} {around!r}\n" for name, places in found.items()
        for at, around in places))
    for name, places in found.items():
        t.metrics[f"left_in_memory_{name.split()[-1]}"] = len(places)
        t.check(name not in unseen or not places, f"{name} is left in memory: {places}")
    lines = t.guest.script("secrets_search.py", *(v.hex() for v in values.values()),
                           timeout=120).splitlines()
    t.check(lines[-1:] == [f"{len(values) - 1} a search that works"], f"{lines[-1:]}")
    t.check(not lines[:-1], f"secrets are in: {lines[:-1]}")
    written = disk.Written(t, secrets.SIMPLE)
    for name, value in values.items():
        t.check(not written.find(value), f"{name} is on the disk")
    t.metrics["searched_on_disk_kib"] = written.size >> 10
    t.say(f"nothing has them; in memory: { {n: len(p) for n, p in found.items()} }")


class SecondDisk:
    """/dev/sdb: a LUKS2 volume, and behind it a program. The header's first state and
    the program come to lie in /run."""

    PASSPHRASE = "correct horse battery"
    HEADER, PROGRAM = "/run/second-header", "/run/second-program"

    def __init__(self, t, program):
        folder = Path(tempfile.mkdtemp(prefix="gkvm-"))
        t.cleanups.append(lambda: shutil.rmtree(folder, ignore_errors=True))
        case = SimpleNamespace(dir=str(folder), number=0)
        disk = _rig().Disk(case, "second")
        self.volume, self.size = os.path.getsize(disk.path), os.path.getsize(program)
        with open(disk.path, "ab") as f:
            f.write(Path(program).read_bytes())
            f.truncate((f.tell() + 511) & ~511)
        self.qemu = ("-drive", f"if=none,id=second,format=raw,file={disk.path}",
                     "-device", "ide-hd,drive=second,bus=ide.1")

    def unpack(self, device):
        return (f"head -c {16 << 20} {device} > {self.HEADER} && "
                f"tail -c +{self.volume + 1} {device} | head -c {self.size} "
                f"> {self.PROGRAM} && chmod +x {self.PROGRAM}")


def second_disk(t, program):
    """What `gatekeeper enroll --list` names after each of the points, and the disk."""
    _rig()
    import enroll
    after = {name: enroll.AFTER.get(name, []) for name in enroll.points()}
    return after, SecondDisk(t, program)
