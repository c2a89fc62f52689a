# SPDX-License-Identifier: GPL-2.0-or-later
"""Questions to the gate and what is measured of it."""
import json
import re

from . import paths
from .guest import GuestError

KERNEL = paths.STAGE / "usr/lib/gatekeeper/gate-kernel"
IMAGE = paths.STAGE / "usr/lib/gatekeeper/gate-image"


def status(t):
    return t.guest.json("gatekeeper status --json")


def wait_keyboard(t, timeout=60):
    """A keyboard was admitted and dom0 has the virtual one."""
    t.doing("waiting for the gate to admit a keyboard")
    # With plymouth only the line beside the prompt stays on the screen.
    t.screen.wait(r"USB Gatekeeper: keyboard on port \d", t.left(timeout))
    t.events.wait("input", t.left(10), 0, "[Gg]atekeeper")
    t.say("the gate admitted a keyboard")


def journal_ms(journal, pattern, last=False):
    """Milliseconds of the first or last line that matches (short-monotonic)."""
    found = None
    for line in journal.splitlines():
        match = re.match(r"\[ *(\d+\.\d+)\] (.*)", line)
        if match and re.search(pattern, match[2]):
            found = round(float(match[1]) * 1000)
            if not last:
                break
    return found


def measure(t):
    """The gate's figures, from its own status and dom0's journal."""
    now = status(t)
    for name in ("gate_create_ms", "gate_ready_ms", "keyboard_ready_ms",
                 "gate_memory_kib"):
        if now.get(name) is not None:
            t.metrics[name] = now[name]
    t.metrics["gate_image_bytes"] = KERNEL.stat().st_size + IMAGE.stat().st_size
    journal = t.guest.output("journalctl -b --no-pager -o short-monotonic _PID=1", 60)
    # What the prompt waited for the gate: from the disk being there (all that a
    # prompt without the gate waits for) to the gate's leave.
    leave = journal_ms(journal, r"(Finished|Failed to start) gatekeeper-wait\.service")
    disk = journal_ms(journal, r"Found device dev-disk-by.*67617465")
    if leave is not None and disk is not None:
        t.metrics["prompt_delay_ms"] = max(0, leave - disk)
    t.check(t.metrics["gate_image_bytes"] <= 4 << 20,
            f"the gate's kernel and image are {t.metrics['gate_image_bytes']} bytes")
    t.check(t.metrics.get("gate_memory_kib", 1 << 30) <= 49152,
            f"the gate uses {t.metrics.get('gate_memory_kib')} KiB")
    return now


def devices(t, verdict=None):
    return [d for d in status(t)["devices"] if verdict in (None, d["verdict"])]


def require_up(t):
    now = status(t)
    t.check(now["state"] == "up", f"the gate is {now['state']}: {now.get('cause')}")
    return now


def state_or_none(t):
    try:
        return status(t)["state"]
    except (GuestError, json.JSONDecodeError, KeyError):
        return None


# Files of the emptied initramfs that some process still has mapped.
KEPT = """import os
seen = {}
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        maps = ["/proc/%s/map_files/%s" % (pid, n)
                for n in os.listdir("/proc/%s/map_files" % pid)]
    except OSError:
        continue
    for name in maps:
        try:
            st, path = os.stat(name), os.readlink(name)
        except OSError:
            continue
        if st.st_nlink == 0 and path.startswith(("/usr/", "/lib", "/bin/", "/sbin/")):
            seen[st.st_dev, st.st_ino] = (st.st_size, path)
print(sum(size for size, _ in seen.values()) // 1024)
for size, path in sorted(seen.values(), reverse=True):
    print(size, path)
"""


def measure_kept(t):
    """What of the initramfs stays in memory because a process still runs from it."""
    out = t.guest.output(f"python3 -c '{KEPT}'", 60)
    (t.out / "kept.txt").write_text(out)
    t.metrics["initramfs_kept_kib"] = int(out.split()[0])
    t.check(t.metrics["initramfs_kept_kib"] < 8192, f"initramfs kept: {out}")
