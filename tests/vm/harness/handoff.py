# SPDX-License-Identifier: GPL-2.0-or-later
"""What the handoff scenarios share: somebody who types without a stop, a recorder of what
dom0's virtual keyboard delivers, and who owns each controller."""
import base64
import json
import re
import statistics
import threading
import time

from . import paths
from .guest import GuestError

HERE = "/run/gk-handoff"
TOOL = f"{HERE}/bin"
TOOLS = paths.VM / "dom0-scripts"
TOOL_NAMES = ("at", "floor", "record", "systemd-guest", "tail")
GATE_KEYBOARD = "USB Gatekeeper keyboard"
STATE_FILE = "/run/gatekeeper/handoff.json"
RATE = 10           # keys a second
HOLD = 0.04         # seconds a key is down

# QKeyCode -> Linux's code. No key here does anything by itself on a console without a
# reader. Typed in this order, again and again: which one came says which one it was.
KEYS = {name: code for first, names in (
    (2, "1 2 3 4 5 6 7 8 9 0 minus equal"),
    (15, "tab q w e r t y u i o p bracket_left bracket_right"),
    (30, "a s d f g h j k l semicolon apostrophe grave_accent"),
    (43, "backslash z x c v b n m comma dot slash"),
    (57, "spc"), (59, "f1 f2 f3 f4 f5 f6 f7 f8 f9 f10"), (87, "f11 f12"),
) for code, name in enumerate(names.split(), first)}
CYCLE = list(KEYS)


class Typist:
    """Types the cycle at RATE on the USB keyboard until stop(), in a thread."""

    def __init__(self, t, rate=RATE):
        self.t = t
        self.rate = rate
        self.sent = []              # host's time at which key n went down
        self.stopping = threading.Event()
        self.error = None
        self.thread = threading.Thread(target=self._type, daemon=True)
        t.cleanups.append(self.stop)
        self.thread.start()

    def _type(self):
        start = time.monotonic()
        try:
            while not self.stopping.is_set():
                wait = start + len(self.sent) / self.rate - time.monotonic()
                if wait > 0:
                    time.sleep(wait)
                key = CYCLE[len(self.sent) % len(CYCLE)]
                self.sent.append(time.monotonic())
                self.t.qmp.press(key, hold=HOLD)
        except Exception as error:      # the VM may be stopped under it
            self.error = error

    def stop(self):
        self.stopping.set()
        self.thread.join(10)

    def write(self, path):
        path.write_text("".join(f"{n} {when:.4f} {CYCLE[n % len(CYCLE)]}\n"
                                for n, when in enumerate(self.sent)))


class Recorder:
    """dom0-scripts/record in dom0, on the input device of this name."""

    def __init__(self, t, label="keys", name=GATE_KEYBOARD):
        self.t = t
        self.label = label
        self.out = f"{HERE}/{label}"
        tools(t)
        t.guest.run(f"rm -f {self.out}*; setsid {TOOL}/record {self.out} '{name}' "
                    f">{self.out}.log 2>&1 </dev/null & echo $! >{self.out}.pid; "
                    # What the kernel says of input devices while it runs.
                    f"setsid stdbuf -oL udevadm monitor --kernel --subsystem-match=input "
                    f">{self.out}.udev 2>&1 </dev/null & echo $! >{self.out}.udevpid; "
                    f"ls -li /dev/input >{self.out}.before")
        t.check(t.guest.until(f"[ -e {self.out}.ready ]", t.left(20), 0.1),
                f"no input device {name!r} in dom0")

    def end(self):
        """Stop it; what it recorded."""
        self.t.guest.run(f"kill $(cat {self.out}.pid) $(cat {self.out}.udevpid)")
        self.t.check(self.t.guest.until(f"grep -q ^end {self.out}", self.t.left(20), 0.1),
                     "the recorder did not end: "
                     + self.t.guest.output(f"cat {self.out}.log"))
        text = self.t.guest.output(f"cat {self.out}", 60)
        (self.t.out / f"{self.label}.txt").write_text(text)
        self.udev = self.t.guest.output(f"cat {self.out}.udev; ls -li /dev/input | "
                                        f"diff {self.out}.before - ; true")
        (self.t.out / f"{self.label}-udev.txt").write_text(self.udev)
        return Recorded(text)


class Recorded:
    def __init__(self, text):
        self.keys, self.leds_changed, self.opens, self.gone = [], [], [], []
        self.leds, self.down = 0, set()
        for line in text.splitlines():
            word, *rest = line.split()
            if word == "key":
                self.keys.append(tuple(map(int, rest)))
            elif word == "led":
                self.leds_changed.append(tuple(map(int, rest)))
            elif word == "open":
                self.opens.append((int(rest[0]), *rest[1:]))
            elif word == "gone":
                self.gone.append(int(rest[0]))
            elif word == "leds":
                self.leds = int.from_bytes(bytes.fromhex(rest[0]), "little")
            elif word == "down":
                bits = int.from_bytes(bytes.fromhex(rest[0]), "little")
                self.down = {n for n in range(768) if bits >> n & 1}


class Typed:
    """What came of what was typed. Key n is told from key n + len(CYCLE) by its time."""

    def __init__(self, sent, recorded, rate=RATE):
        codes = [KEYS[name] for name in CYCLE]
        place = {code: n for n, code in enumerate(codes)}
        self.sent = len(sent)
        self.came = []              # (n, guest us), presses in order
        self.doubled, self.stuck, self.strange = [], [], []
        down, seen = {}, set()
        offset = None
        gone = list(recorded.gone)
        for us, code, value in recorded.keys:
            # With its device each key goes up, though nobody can read that.
            if gone and us > gone[0]:
                gone.pop(0)
                down.clear()
            if code not in place:
                self.strange.append((us, code, value))
            elif value == 2:
                self.doubled.append((us, code, "repeats"))
            elif value == 0:
                if code not in down:
                    self.strange.append((us, code, value))
                down.pop(code, None)
            else:
                if offset is None:
                    offset = us / 1e6 - sent[place[code]]
                about = (us / 1e6 - offset - sent[0]) * rate
                turn = round((about - place[code]) / len(CYCLE))
                n = place[code] + max(0, turn) * len(CYCLE)
                if code in down or n in seen:
                    self.doubled.append((us, code, f"key {n}"))
                if n >= len(sent) or (self.came and n < self.came[-1][0]):
                    self.strange.append((us, code, f"key {n}"))
                down[code] = us
                seen.add(n)
                self.came.append((n, us))
        self.stuck = sorted(set(down) | recorded.down)
        self.lost = [n for n in range(len(sent)) if n not in seen]
        # A gap: first and last lost key, the guest's time of the last key before it and
        # of the first after it.
        self.gaps = []
        times = dict(self.came)
        for n in self.lost:
            if self.gaps and self.gaps[-1]["last"] == n - 1:
                self.gaps[-1]["last"] = n
            else:
                self.gaps.append({"first": n, "last": n})
        for gap in self.gaps:
            gap["from_us"] = times.get(gap["first"] - 1)
            gap["to_us"] = times.get(gap["last"] + 1)
        self.longest_ms = max((round((b - a) / 1000) for (_, a), (_, b) in
                               zip(self.came, self.came[1:])), default=None)

    def gap_ms(self, gap):
        if gap["from_us"] is None or gap["to_us"] is None:
            return None
        return round((gap["to_us"] - gap["from_us"]) / 1000)


def check_typed(t, typed, windows):
    """Nothing doubled, nothing stuck; keys lost in these spans of guest time (us) only.
    Returns the gap in each window, in ms (0: no key was lost there)."""
    t.check(not typed.doubled, f"keys doubled: {typed.doubled[:5]}")
    t.check(not typed.stuck, f"keys stuck: {typed.stuck}")
    t.check(not typed.strange, f"keys nobody typed, or out of order: {typed.strange[:5]}")
    found = [0] * len(windows)
    for gap in typed.gaps:
        ms = typed.gap_ms(gap)
        t.check(ms is not None, f"no key came before or after {gap}")
        inside = [n for n, (begin, end) in enumerate(windows)
                  if gap["from_us"] < end and gap["to_us"] > begin]
        t.check(len(inside) == 1, f"keys {gap['first']} to {gap['last']} were lost "
                f"outside of {windows}: {gap}")
        t.check(not found[inside[0]], f"two gaps in window {inside[0]}: {typed.gaps}")
        found[inside[0]] = ms
    return found


def tools(t):
    """The programs of dom0-scripts/ that go on by themselves, into dom0's /run."""
    for name in TOOL_NAMES:
        data = base64.b64encode((TOOLS / name).read_bytes()).decode()
        t.guest.run(f"mkdir -p {TOOL}; echo {data} | base64 -d >{TOOL}/{name}; "
                    f"chmod 755 {TOOL}/{name}")


def now_us(t):
    """dom0's CLOCK_MONOTONIC."""
    return int(t.guest.output("python3 -ISc 'import time; "
                              "print(time.clock_gettime_ns(1) // 1000)'"))


def quiet_console(t):
    """Nobody reads what is typed, and the kernel's keyboard handler still sees it."""
    t.guest.run("chvt 9")
    t.sleep(1)


# Who has the controllers

def controllers(t):
    out = t.guest.output("for d in /sys/bus/pci/devices/*; do case $(cat $d/class) in "
                         "0x0c03[0-3]*) echo ${d##*/} ;; esac; done")
    return out.split()


def _names(listed):
    found = {}
    for line in listed.splitlines()[1:]:
        match = re.match(r"(\S*)\s+(\d+)\s", line)
        if match:
            found[int(match[2])] = match[1]
    return found


def domains(t):
    """domid -> name, of `xl list`; zombies and the nameless too."""
    return _names(t.guest.output("xl list"))


# All of it in one go, because each round trip costs time: what the hypervisor itself
# has (debug key Q), the domains, and what the toolstack says of each.
OWNERS = r"""
xl debug-keys Q && sleep 0.3 && xl dmesg | tail -n 400; echo =====
list=$(xl list); echo "$list"; echo =====
for id in $(echo "$list" | awk 'NR > 1 && $2 ~ /^[1-9]/ {print $2}'); do
	xl pci-list $id 2>/dev/null | sed -n "s/.*\([0-9a-f]\{4\}:.*\)/$id \1/p"
done
echo =====
for d in /sys/bus/pci/devices/*; do
	case $(cat $d/class) in 0x0c03[0-3]*) echo ${d##*/} ;; esac
done
"""


def owner(t):
    """The name of the one domain that has all controllers; no other answer is right."""
    return owner_of(t, t.guest.output(OWNERS, 60))


def owner_of(t, text):
    """The same of what OWNERS has printed."""
    xen, listed, given, there = text.split("=====\n")
    last = xen.rpartition("==== PCI devices ====")[2]
    t.check("segment" in last, f"no list of PCI devices in Xen's log: {xen[-400:]!r}")
    have = {match[1]: int(match[2]) if match[2] else None for match in re.finditer(
        r"([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]) - (?:d(\d+)|d\[IO\])", last)}
    have = {bdf: have.get(bdf) for bdf in there.split()}
    names = _names(listed)
    t.check(have and len(set(have.values())) == 1, f"owners: {have} of {names}")
    domid = next(iter(have.values()))
    t.check(domid in names, f"domain {domid} owns {list(have)} and is none of {names}")
    # What the toolstack says is the same.
    for bdf in have:
        said = [int(line.split()[0]) for line in given.splitlines() if bdf in line]
        t.check(said == ([domid] if domid else []),
                f"{bdf}: the hypervisor says d{domid}, xl pci-list says {said}")
    return names[domid]


def status_file(t):
    """handoff.json; before the first handoff there is none, and the gate is the owner."""
    try:
        return json.loads(t.guest.output(f"cat {STATE_FILE} 2>/dev/null || true")
                          or '{"state": "gate"}')
    except (GuestError, ValueError):
        return None


# The test's sys-usb

def console_of(name="sys-usb"):
    return f"/var/log/xen/console/guest-{name}.log"


def in_domain(t, command, name="sys-usb"):
    """A line for the shell on the domain's console; its output is in its log."""
    t.guest.run(f"tty=$(xenstore-read /local/domain/$(xl domid {name})/console/tty) && "
                f"echo '{command}' >$tty")


def median(values):
    return round(statistics.median(values))


# A handoff

GATE = "gatekeeper-gate"
SYSUSB = "sys-usb"
CONFIG = "/etc/xen/sys-usb.cfg"
SETTLED = {"gate": GATE, "confirmed": SYSUSB}   # state -> who has the controllers


def create_sys_usb(t, args=""):
    """sys-usb without a controller, and its agent."""
    t.doing("starting sys-usb")
    t.guest.run(f"sed 's/^cmdline = \"/&{args} /' {CONFIG} >/run/sys-usb.cfg && "
                f": >{console_of()}; xl create -q /run/sys-usb.cfg", 90)
    t.check(t.guest.until(f"grep -q 'SYSUSB up' {console_of()}", t.left(60)),
            "sys-usb did not start")


def wait_sys_usb_agent(t, seconds=60):
    """The agent's end of the link is there."""
    t.check(t.guest.until("xenstore-list /local/domain/$(xl domid sys-usb)/data/"
                          "gatekeeper | grep -q .", t.left(seconds), 0.2),
            "no agent in sys-usb: "
            + t.guest.output(f"tail -n 12 {console_of()}; true"))
    t.say("sys-usb and its agent are up")


def start_handoff(t, *options):
    """gatekeeper handoff in the background."""
    t.guest.run(f"mkdir -p {HERE}; rm -f {HERE}/handoff.*; setsid bash -c '"
                f"gatekeeper handoff --to {SYSUSB} --json {' '.join(options)} "
                f">{HERE}/handoff.out 2>&1; echo $? >{HERE}/handoff.status' "
                "</dev/null >/dev/null 2>&1 &")


def end_handoff(t, seconds=120):
    """Its exit status and what it said."""
    t.check(t.guest.until(f"[ -s {HERE}/handoff.status ]", t.left(seconds), 0.2),
            "gatekeeper handoff does not end: "
            + t.guest.output(f"cat {HERE}/handoff.out; true"))
    out = t.guest.output(f"cat {HERE}/handoff.status {HERE}/handoff.out")
    status, _, text = out.partition("\n")
    return int(status), text


def hand_off(t, *options, seconds=120):
    start_handoff(t, *options)
    status, text = end_handoff(t, seconds)
    t.check(status == 0, f"gatekeeper handoff gave {status}: {text[-800:]}")
    return text


def reclaim(t, seconds=120):
    """gatekeeper reclaim; its JSON lines."""
    status, text = t.guest.run("gatekeeper reclaim --json", seconds, check=False)
    t.check(status == 0, f"gatekeeper reclaim gave {status}: {text[-800:]}")
    return text


# The record, and whether a key comes within 2 s if it is at one of its ends.
ENDED = """
cat {state} 2>/dev/null || echo '{{"state": "gate"}}'
grep -qsE '"state": ?"(gate|confirmed)"' {state} || [ ! -e {state} ] || exit 0
old=$(grep -c ^key {keys})
for n in $(seq 20); do
	sleep 0.1
	[ $(grep -c ^key {keys}) -gt $old ] && echo works && break
done
true
"""
# Who has the controllers, what status says, and the record once more.
LOOK = OWNERS + f"""
echo =====; gatekeeper status --json || echo '{{}}'; echo =====
cat {STATE_FILE} 2>/dev/null || echo '{{"state": "gate"}}'
"""


def settle(t, recorder, seconds, wanted=None):
    """The handoff is at one of its ends: one owner as the hypervisor says, the same as
    handoff.json and status say, and what is typed comes. Returns (owner, s it took)."""
    start = time.monotonic()
    ended = ENDED.format(state=STATE_FILE, keys=recorder.out)
    while True:
        text = t.guest.output(ended)
        state = _state(text.rpartition("works")[0] or text)
        name = SETTLED.get(state)
        if name and wanted in (None, name) and text.endswith("works\n"):
            took = time.monotonic() - start
            owners, said, after = t.guest.output(LOOK, 60).rsplit("=====\n", 2)
            # It may have begun again by itself meanwhile.
            if _state(after) == state:
                _agree(t, name, owner_of(t, owners), json.loads(said))
                return name, round(took, 1)
        t.check(time.monotonic() < start + seconds,
                f"not settled after {seconds} s: {status_file(t)}; {gate_status(t)}")
        t.sleep(0.3)


def _state(text):
    try:
        return json.loads(text)["state"]
    except (ValueError, KeyError):
        return None


def _agree(t, name, have, said):
    t.check(have == name, f"handoff.json says {name}, the hypervisor {have}")
    t.check(said.get("state") == {GATE: "up", SYSUSB: "handed-over"}[name],
            f"status says {said.get('state')}, {have} has the controllers")
    owners = {(c["owner"], c["owner_by"]) for c in said["controllers"]}
    t.check(owners == {(name, "xenstore and Xen")}, f"status: {owners}")


def gate_status(t):
    try:
        return t.guest.json("gatekeeper status --json")
    except (GuestError, ValueError):
        return {}


def check_domains(t, *more):
    """No zombie, no domain without a name, nothing left over."""
    names = sorted(domains(t).values())
    t.check(names == sorted(("Domain-0",) + more), f"domains: {names}")
