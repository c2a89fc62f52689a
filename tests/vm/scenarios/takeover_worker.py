# SPDX-License-Identifier: GPL-2.0-or-later
"""A worker that was taken over tries things, one after the other, from its jail.

Each attempt that ends its worker costs a life of it: the device has to be plugged in
again. So there are several such devices, at as many ports, and whichever is free takes
the next attempts.
"""
import re
import time

from harness import paths
from harness.registry import scenario
from harness.test import Test
from harness.virtual import VirtualDevice
from scenarios.hostile import Prompt

IMAGES = paths.TOP / "build/tests/takeover/worker"
SEALED, UNSEALED = IMAGES / "sealed.image", IMAGES / "unsealed.image"
PORTS = (3, 4, 5, 6, 7)
# Attempts of one life: the supervisor passes on 20 lines of a device.
BATCH = 16
# Between two plugs, seconds: a life is five lines, and gatekeeperd takes 200 in ten
# seconds (NOISE_LINES in gatekeeper/dom0/devices.c).
PACE = 0.3
# How long a life may last: the watchdog ends one that hangs after 7 s.
LIFE = 45
GONE = 20
# A piece of the passphrase is typed every so many seconds.
PIECE = 2.0
UNPUNISHED = "nothing was done about it"
KILLED = "killed by the system-call filter"
AGAIN = "it is tried once more"     # what a gate says that takes it for a stumble
FOLLOW = ("journalctl -b -f -n all -o cat -t gatekeeperd >/dev/ttyS1 2>&1 </dev/null & "
          "echo $! >/run/gktest-follow")


class Port:
    """One evil device: out, in, or on its way out."""

    def __init__(self, t, number):
        self.name = f"1-{number}"
        self.device = VirtualDevice(t, "composite", "--unplugged", port=number,
                                    name=f"evil{number}")
        self.state = "out"
        self.left = []          # attempts of this life that have not begun
        self.begun = None
        self.end = ""           # what the gate says of its worker's end
        self.again = False      # its worker is started a second time
        self.since = 0.0

    def plug(self, attempts):
        self.left, self.begun, self.end, self.again = attempts, None, "", False
        # What is typed before its worker listens waits in the device.
        self.device.tell("plug")
        self.command()
        self.state = "in"

    def command(self):
        """Its worker is told what to try."""
        for line in (f"type {self.left[0]} {len(self.left)}", "key enter down"):
            self.device.tell(line)
        self.since = time.monotonic()

    def second_life(self):
        self.again = False
        if self.left:
            self.device.tell("key enter up")
            self.command()
        else:
            self.unplug()

    def unplug(self):
        if self.state == "in":
            self.device.tell("unplug")
            self.state, self.since = "leaving", time.monotonic()


class Attempts:
    """Which attempt had which result, by the lines that reach dom0's journal."""

    def __init__(self, t, prompt, ports):
        self.t = t
        self.prompt = prompt
        self.ports = ports
        self.names = {}
        self.results = {}
        self.total = None
        self.todo = []
        self.mark = t.vm.side.mark()

    def lines(self):
        """dom0's lines since the last call, whole ones only."""
        side = self.t.vm.side
        with side.changed:
            if len(side.lines) == self.mark:
                side.changed.wait(0.1)
            new = side.lines[self.mark:]
            self.mark += len(new)
        return [line for _, line in new]

    def port(self, name):
        return next((p for p in self.ports if p.name == name), None)

    def begins(self, number, total, name, before):
        port = next((p for p in self.ports if number in p.left), None)
        if self.total is None:
            self.total = total
            self.todo = [n for n in range(total) if n not in port.left]
        self.t.check(port and port.state == "in" and number == port.left[0],
                     f"attempt {number} began where it was not to")
        if before:
            self.ends(port, before)
        port.left.pop(0)
        port.begun = number
        self.names[number] = name

    def ends(self, port, how):
        """The result of the attempt that this device's worker is at."""
        if port.begun is not None:
            self.results[port.begun] = how
        port.begun = None

    def read(self, line):
        match = re.search(r"takeover (\d+)/(\d+) (\S+)(?: after (.+))?$", line)
        if match and match[3] == "done":
            # Its last one; a device without any left has had them all.
            port = next((p for p in self.ports if p.begun == int(match[1]) - 1), None)
            self.t.check(port and not port.left, f"who says {line!r}?")
            self.ends(port, match[4])
            port.unplug()
        elif match:
            self.begins(int(match[1]), int(match[2]), match[3], match[4])
        match = re.search(r"gate: the worker of port (\S+) (.+)$", line)
        if match and self.port(match[1]):
            forbidden = "asked the kernel for what its jail forbids"
            self.port(match[1]).end = KILLED if match[2] == forbidden else match[2]
        match = re.search(r" on port (\d+-[\d.]+) \([0-9a-f:]+\) "
                          r"(admitted|refused|gone)\b:? ?(.*)", line)
        port = match and self.port(match[1])
        if not port:
            return
        if match[2] == "refused":
            self.ends(port, port.end or f"device refused: {match[3]}")
            port.unplug()
        elif match[2] == "gone" and AGAIN in match[3] and port.state == "in":
            self.ends(port, "worker ended, tried once more")
            port.again = True
        elif match[2] == "admitted" and port.again:
            port.second_life()
        elif match[2] == "gone":
            self.t.check(port.state == "leaving", f"{port.name} went by itself: {line}")
            # Those that it did not get to are another's.
            self.todo = sorted(self.todo + port.left)
            port.left = []
            port.state = "out"

    def late(self, port):
        """A device that is overdue: with whose attempt, if with any."""
        waited = time.monotonic() - port.since
        self.t.check(port.state != "leaving" or waited < GONE,
                     f"{port.name} was unplugged, and nothing is said of it")
        if port.state == "in" and waited > LIFE:
            self.t.check(port.begun is not None,
                         f"the device at {port.name} was not heard of: {port.left}")
            self.ends(port, UNPUNISHED)
            port.unplug()

    def take(self):
        """The next attempts: a row of them, and something for the others."""
        most = min(BATCH, -(-len(self.todo) // len(self.ports)))
        row = [self.todo.pop(0)]
        while self.todo and self.todo[0] == row[-1] + 1 and len(row) < most:
            row.append(self.todo.pop(0))
        return row

    def run(self):
        typed = plugged = 0.0
        self.ports[0].plug([0])
        while self.total is None or len(self.results) < self.total or \
                any(p.state != "out" for p in self.ports):
            self.t.left(1)
            for line in self.lines():
                self.read(line)
            now = time.monotonic()
            for port in self.ports:
                self.late(port)
                if port.state == "out" and self.todo and now - plugged > PACE:
                    port.plug(self.take())
                    self.prompt.count += 1
                    plugged = now
            if now - typed > PIECE:
                self.prompt.type()
                typed = now
            self.t.doing(f"{len(self.results)} of {self.total} attempts")


def believed(t, prompt, attempts, said):
    """What dom0 must not believe: another port, role, or more than is so."""
    now = prompt.status()
    ports = sorted(d["port"] for d in now["devices"])
    t.check(ports == ["1-1"], f"dom0 believes in devices at {ports}")
    found = set(re.findall(r"port (\d+-[\d.]+)", said))
    t.check(found <= {"1-1", *(p.name for p in attempts.ports)},
            f"ports in the journal: {found}")
    t.check(not re.search(r"\([0-9a-f]{4}:[0-9a-f]{4}\) admitted(?! in part)",
                          re.sub(r".* on port 1-1 .*", "", said)),
            "an evil device was admitted as a whole")
    t.check("\033" not in said, "control characters in the journal")
    t.check("before it was granted" not in said, "a line before the grant was believed")
    t.check(said.count("HELLO of the gate") == 1, "the link was opened anew")
    t.check("says too much" not in said, "lines of the journal were left out")
    bad = [f"{n} {attempts.names[n]}: {r}" for n, r in sorted(attempts.results.items())
           if "SUCCEEDED" in r or r == UNPUNISHED]
    t.check(not bad, f"not refused: {bad}")


def report(t, attempts):
    lines = [f"{n:3} {attempts.names[n]:28} {result}"
             for n, result in sorted(attempts.results.items())]
    (t.out / "takeover.txt").write_text("\n".join(lines) + "\n")
    results = list(attempts.results.values())
    t.metrics["takeover_attempts"] = len(results)
    for name, what in (("killed", "filter"), ("refused", "refused ("),
                       ("put_out", "device refused"), ("again", "tried once more"),
                       ("unheard", "sent"),
                       ("crashed", "crashed"), ("own", "done to its own"),
                       ("succeeded", "SUCCEEDED")):
        t.metrics[f"takeover_{name}"] = sum(what in r for r in results)


def taken_over(t, image):
    ports = [Port(t, number) for number in PORTS]
    prompt = Prompt(t, 48, initramfs=t.initramfs_with({
        "usr/lib/gatekeeper/gate-image": image.read_bytes()}),
        extra=sum((p.device.qemu() for p in ports), ()))
    for port in ports:
        port.device.do("rate 100")
    attempts = Attempts(t, prompt, ports)
    mark = attempts.mark
    t.early(FOLLOW)
    t.say("the good keyboard types while they try")
    start = time.monotonic()
    try:
        attempts.run()
    finally:
        report(t, attempts)
    t.metrics["takeover_s"] = round(time.monotonic() - start, 1)
    t.early("read -r p </run/gktest-follow && kill $p")
    said = "\n".join(line for line in t.vm.side.text(mark).splitlines()
                     if not line.startswith("GKTEST"))
    (t.out / "gatekeeperd.txt").write_text(said + "\n")
    believed(t, prompt, attempts, said)
    t.say(f"{len(attempts.results)} attempts, none succeeded")
    prompt.end(stars=False)
    return attempts


@scenario("taken-over-worker", timeout=300, needs=(SEALED,))
def taken_over_worker(t: Test):
    """A worker that runs its attacker's code: each attempt's result, one by one."""
    attempts = taken_over(t, SEALED)
    t.check(t.metrics["takeover_killed"] > 50,
            f"the filter killed only {t.metrics['takeover_killed']}")
    t.check(attempts.results[0].startswith("done"), "its own device does not answer")


@scenario("taken-over-worker-unsealed", timeout=300, needs=(UNSEALED,), default=False)
def taken_over_worker_unsealed(t: Test):
    """The same without the worker's system-call filter: the rest of the jail holds."""
    taken_over(t, UNSEALED)
    t.check(t.metrics["takeover_refused"] > 50,
            f"only {t.metrics['takeover_refused']} attempts were refused")
