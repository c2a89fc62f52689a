# SPDX-License-Identifier: GPL-2.0-or-later
"""A worker that was taken over tries things, one after the other, from its jail."""
import re

from harness import gate, paths
from harness.registry import scenario
from harness.serial import Timeout
from harness.test import Failed, Test
from harness.virtual import VirtualDevice

IMAGES = paths.TOP / "build/tests/takeover/worker"
SEALED, UNSEALED = IMAGES / "sealed.image", IMAGES / "unsealed.image"
PORT = "1-3"
LINES = ("journalctl -b --no-pager -o cat -t gatekeeperd | "
         f"grep -aE 'takeover|port {PORT}\\b|ended, status|forbids' || true")
# How long the watchdog may take with one that spins or hangs.
PATIENCE = 20
UNPUNISHED = "nothing was done about it"


class Attempts:
    """Which attempt had which result, by the lines that reached dom0's journal."""

    def __init__(self, t, evil):
        self.t = t
        self.evil = evil
        self.names = {}
        self.results = {}
        self.ended = False
        self.seen = 0

    def news(self):
        """Lines since the last call."""
        lines = self.t.guest.output(LINES).splitlines()
        new, self.seen = lines[self.seen:], len(lines)
        return new

    def wait(self, patterns, seconds):
        """Lines up to the first that matches one of the patterns, and the pattern."""
        end = self.t.guest.until(f"{LINES.replace(' || true', '')} | tail -n "
                                 f"+{self.seen + 1} | grep -aqE '{'|'.join(patterns)}'",
                                 self.t.left(seconds), every=0.2)
        lines = self.news()
        self.note(lines)
        return lines if end else None

    def note(self, lines):
        for line in lines:
            match = re.search(r"takeover (\d+) (\S+): (.+)$", line)
            if match:
                self.names[int(match[1])] = match[2]
                self.results[int(match[1])] = match[3]
            self.ended |= bool(re.search(r"takeover \d+ end$", line))

    def last(self):
        return max(self.results, default=-1)

    def life(self, first):
        """Plug it in, run attempts from this one on; how its worker's life ended."""
        self.news()
        self.evil.do("plug")
        if not self.wait([rf"port {PORT} .*admitted"], 40):
            raise Failed(f"the device of attempt {first} was not admitted")
        self.evil.do(f"type {first}")
        self.evil.do("key enter down")
        lines = self.wait([r"takeover [0-9]+ (next|end)$",
                           rf"port {PORT} .*(refused|gone)"], PATIENCE + 20)
        self.evil.do("unplug")
        after = self.wait([rf"port {PORT} .*gone"], 20)
        if lines is None:
            return UNPUNISHED
        said = "\n".join(lines + (after or []))
        if re.search(r"forbids|status (31|159)\b", said):
            return "killed by the system-call filter"
        refused = re.search(rf"port {PORT} .*refused: (.*)", said)
        return f"worker ended, device refused: {refused[1]}" if refused else ""

    def run(self):
        """Until the last; what a worker did not live to tell is told of its end."""
        first = 0
        while not self.ended:
            how = self.life(first)
            last = self.last()
            if self.ended and last < first:
                break
            if last < first:
                raise Failed(f"attempt {first} did not begin: {how}")
            if how and not self.ended:
                self.results[last] = how
            self.t.doing(f"attempt {last} {self.names[last]}: {self.results[last]}")
            first = last + 1


def believed(t, attempts):
    """What dom0 must not believe: another port, role, or more than is so."""
    now = gate.status(t)
    ports = sorted(d["port"] for d in now["devices"])
    t.check(ports == ["1-1"], f"dom0 believes in devices at {ports}")
    good = now["devices"][0]
    t.check(good["verdict"] == "admitted", f"the other keyboard: {good}")
    t.check(now["state"] == "up", f"the gate is {now['state']}")
    said = t.guest.output("journalctl -b --no-pager -o cat -t gatekeeperd")
    found = set(re.findall(r"port (\d+-[\d.]+)", said))
    t.check(found <= {"1-1", PORT}, f"ports in the journal: {found}")
    t.check("\033" not in said, "control characters in the journal")
    t.check("before it was granted" not in said, "a line before the grant was believed")
    t.check(said.count("HELLO of the gate") == 1, "the link was opened anew")
    kernel = t.guest.output("dmesg | grep -ciE 'sysrq|power key' || true")
    t.check(kernel.strip() == "0", "SysRq or the power key in the kernel's log")
    bad = [attempts.names[n] for n, r in attempts.results.items()
           if "SUCCEEDED" in r or r == UNPUNISHED]
    t.check(not bad, f"not refused: {bad}")


def report(t, attempts):
    lines = [f"{n:3} {attempts.names[n]:28} {result}"
             for n, result in sorted(attempts.results.items())]
    (t.out / "takeover.txt").write_text("\n".join(lines) + "\n")
    results = list(attempts.results.values())
    t.metrics["takeover_attempts"] = len(results)
    for name, what in (("killed", "filter"), ("refused", "refused ("),
                       ("ended", "worker ended"), ("succeeded", "SUCCEEDED")):
        t.metrics[f"takeover_{name}"] = sum(what in r for r in results)


def taken_over(t, image):
    evil = VirtualDevice(t, "composite", "--unplugged", port=3)
    t.boot(initramfs=t.initramfs_with({
        "usr/lib/gatekeeper/gate-image": image.read_bytes()}),
        devices=("usb-kbd,id=kbd,bus=xhci0.0,port=1",), extra=evil.qemu(),
        args="rd.gatekeeper.debug")
    t.wait_prompt()
    gate.wait_keyboard(t)
    evil.do("plug")
    t.screen.wait(rf"port {PORT}\b.*admitted", t.left(40))
    evil.do("type 0")
    evil.do("key enter down")
    if image == SEALED:
        t.screen.wait(rf"port {PORT}\b.*refused", t.left(40))
    t.sleep(2)
    # If a key of the evil worker's had been believed, this would be wrong.
    t.unlock()
    evil.do("unplug")
    t.wait_up()
    attempts = Attempts(t, evil)
    try:
        attempts.run()
    except (Failed, Timeout):
        report(t, attempts)
        raise
    report(t, attempts)
    believed(t, attempts)
    t.say(f"{len(attempts.results)} attempts, none succeeded")
    t.login()
    return attempts


@scenario("taken-over-worker", timeout=900, needs=(SEALED,), default=False)
def taken_over_worker(t: Test):
    """A worker that runs its attacker's code: each attempt's result, one by one."""
    attempts = taken_over(t, SEALED)
    t.check(t.metrics["takeover_killed"] > 50,
            f"the filter killed only {t.metrics['takeover_killed']}")
    t.check(attempts.results[0].startswith("done"), "its own device does not answer")


@scenario("taken-over-worker-unsealed", timeout=900, needs=(UNSEALED,), default=False)
def taken_over_worker_unsealed(t: Test):
    """The same without the worker's system-call filter: the rest of the jail holds."""
    taken_over(t, UNSEALED)
    t.check(t.metrics["takeover_refused"] > 50,
            f"only {t.metrics['takeover_refused']} attempts were refused")
