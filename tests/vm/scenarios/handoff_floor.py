# SPDX-License-Identifier: GPL-2.0-or-later
"""What a handoff is measured against: the least that a reset costs in one domain, and
xl pci-detach and pci-attach without anything else."""
import re

from harness import handoff
from harness.registry import scenario
from harness.test import Test

ROUNDS = 3              # of each measurement; the median counts
NAIVE_ROUNDS = 2
USB_KEYBOARD = "QEMU QEMU USB Keyboard"
CONFIG = "/etc/xen/sys-usb.cfg"


def in_dom0(t, bdf):
    """dom0 unbinds, resets and binds while somebody types."""
    t.doing("measuring the floor in dom0")
    handoff.quiet_console(t)
    recorder = handoff.Recorder(t, "floor", USB_KEYBOARD)
    typist = handoff.Typist(t)
    t.sleep(2)
    rounds, steps = [], []
    for _ in range(ROUNDS):
        out = t.guest.output(f"{handoff.TOOL}/floor {bdf} '{USB_KEYBOARD}'", 60)
        times = {word: int(us) for word, us in map(str.split, out.splitlines())}
        rounds.append((times["unbind"], times["input"]))
        steps.append({b: round((times[b] - times[a]) / 1000) for a, b in zip(
            ("unbind", "reset", "bind", "bound"), ("reset", "bind", "bound", "input"))})
        t.sleep(2.5)
    typist.stop()
    t.sleep(1)
    typist.write(t.out / "floor-sent.txt")
    recorded = recorder.end()
    t.metrics["handoff_floor_rounds"] = steps
    t.metrics["handoff_floor_ms"] = handoff.median(
        [(end - begin) / 1000 for begin, end in rounds])
    # And as the handoff itself is measured: from the last key to the next.
    gaps = []
    presses = [us for us, _, value in recorded.keys if value == 1]
    for begin, _ in rounds:
        before = max(us for us in presses if us <= begin + 50000)
        after = min(us for us in presses if us > before + 300000)
        gaps.append(round((after - before) / 1000))
    t.metrics["handoff_floor_key_gaps_ms"] = gaps
    t.metrics["handoff_floor_keys_ms"] = handoff.median(gaps)
    t.say(f"floor: {t.metrics['handoff_floor_ms']} ms until the keyboard is there, "
          f"{t.metrics['handoff_floor_keys_ms']} ms between keys")


def create(t, name, bdf=None, args=""):
    """A sys-usb of that name, with the controller from the start or without."""
    t.guest.run(
        f"sed 's/^name = .*/name = \"{name}\"/; s/^memory.*/memory = 200/; "
        f"s/^maxmem.*/maxmem = 200/; s/^cmdline = \"/&noagent {args} /' {CONFIG} "
        f">/run/{name}.cfg && xl create -q /run/{name}.cfg "
        + (f"'pci=[\"{bdf},permissive=0,rdm_policy=relaxed\"]'" if bdf else ""), 90)
    t.check(t.guest.until(f"grep -q 'SYSUSB up' {handoff.console_of(name)}", t.left(60)),
            f"{name} did not start")


class Tail:
    """dom0-scripts/tail in dom0, over the consoles of some domains."""

    def __init__(self, t, label, seconds, *names):
        self.t = t
        self.out = f"{handoff.HERE}/{label}"
        files = " ".join(map(handoff.console_of, names))
        t.guest.run(f"rm -f {self.out}*; setsid {handoff.TOOL}/tail {self.out} {seconds} "
                    f"{files} >{self.out}.log 2>&1 </dev/null &")
        t.check(t.guest.until(f"[ -e {self.out}.ready ]", 20, 0.1), "no tail")

    def wait(self, pattern, seconds):
        """When the first such line was seen, us."""
        self.t.check(self.t.guest.until(f"grep -qE '{pattern}' {self.out}",
                                        self.t.left(seconds), 0.2),
                     f"no {pattern!r}: {self.t.guest.output(f'tail -n 15 {self.out}')}")
        return int(self.t.guest.output(f"grep -m1 -E '{pattern}' {self.out}").split()[0])


def in_sys_usb(t, bdf):
    """The same in a PV guest: it unbinds and binds, dom0 resets in between."""
    t.doing("measuring the floor in a PV guest")
    found = []
    for n in range(ROUNDS):
        tail = Tail(t, f"pv-floor{n}", 30, "one")
        begin = handoff.now_us(t)
        handoff.in_domain(t, "cd /sys/bus/pci/drivers/xhci_hcd; b=$(echo 0000:*); "
                          "echo $b >unbind; echo SYSUSB unbound", "one")
        t.guest.run(f"until grep -q 'log SYSUSB unbound' {tail.out}; do sleep 0.01; done; "
                    f"echo 1 >/sys/bus/pci/devices/{bdf}/reset; "
                    "tty=$(xenstore-read /local/domain/$(xl domid one)/console/tty); "
                    "echo 'echo $b >bind' >$tty", 30)
        end = tail.wait("input: QEMU QEMU USB Keyboard", 20)
        found.append((end - begin) / 1000)
        t.sleep(0.5)
    t.metrics["handoff_floor_pv_rounds_ms"] = list(map(round, found))
    t.metrics["handoff_floor_pv_ms"] = handoff.median(found)
    t.say(f"floor in a PV guest: {t.metrics['handoff_floor_pv_ms']} ms")


# No process for it: each costs a fifth of a second here. 10 ms are exact enough.
NOW = "now() { read -r up rest </proc/uptime; echo at $up; }; "


def times(out):
    """ns of each now in the output."""
    return [round(float(s) * 1e9) for s in re.findall(r"(?m)^at ([\d.]+)$", out)]


def naive(t, bdf):
    """From one running PV guest, whose driver is bound, to another."""
    t.doing("measuring xl pci-detach and pci-attach")
    create(t, "two")
    found = []
    for n in range(NAIVE_ROUNDS):
        giver, taker = ("one", "two") if n % 2 == 0 else ("two", "one")
        tail = Tail(t, f"naive{n}", 90, giver, taker)
        out = t.guest.output(
            f"{NOW} now; xl pci-detach {giver} {bdf}; now; xl pci-attach {taker} "
            f"{bdf},permissive=0,rdm_policy=relaxed; now", 90)
        begin, detached, attached = times(out)
        end = tail.wait(f"guest-{taker}.*input: QEMU QEMU USB Keyboard", 60) * 1000
        found.append({"total": round((end - begin) / 1e6),
                      "detach": round((detached - begin) / 1e6),
                      "attach": round((attached - detached) / 1e6)})
    t.metrics["handoff_naive_rounds_ms"] = found
    t.metrics["handoff_naive_ms"] = handoff.median([f["total"] for f in found])
    t.say(f"naive: {t.metrics['handoff_naive_ms']} ms")


@scenario("handoff-floor", timeout=420, dom0_usb=True, alone=True)
def handoff_floor(t: Test):
    """dom0, then a PV guest: unbind, reset, re-probe. And pci-detach with pci-attach."""
    t.boot(args="rd.gatekeeper=0")
    t.wait_prompt()
    t.unlock()
    t.wait_up()
    t.check(t.guest.until("systemctl is-active xen.service", 60), "xen.service")
    handoff.tools(t)
    bdf, = handoff.controllers(t)
    in_dom0(t, bdf)
    t.guest.run(f"modprobe xen-pciback && xl pci-assignable-add {bdf}", 60)
    create(t, "one", bdf)
    t.check(t.guest.until("grep -q 'input: QEMU QEMU USB Keyboard' "
                          + handoff.console_of("one"), t.left(60)),
            "the guest shows no keyboard")
    t.metrics["handoff_owner"] = handoff.owner(t)
    in_sys_usb(t, bdf)
    naive(t, bdf)
    names = handoff.domains(t)
    t.check(sorted(names.values()) == ["Domain-0", "one", "two"], f"domains: {names}")
