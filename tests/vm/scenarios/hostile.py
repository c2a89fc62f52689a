# SPDX-License-Identifier: GPL-2.0-or-later
"""Hostile devices at the prompt: judged, explained, and nobody else disturbed.

In each scenario one good keyboard types a passphrase of all 95 characters in
pieces, before, while and after each hostile device is in. After each device the
prompt has as many stars as characters were typed, and the disk opens at the end: no
key of the good one was lost, doubled or changed, and the hostile ones added none.

The good one is a virtual device, too: QEMU's own keyboard keeps 16 events, and loses
what is typed while the emulated machine is slow. This one's reports wait until they
are asked for.
"""
import json
import re
import time

from harness import gate, secrets
from harness.registry import scenario
from harness.test import Test
from harness.virtual import VirtualDevice

PORT = 3        # of the hostile devices
# Characters a second of the good keyboard: a fast typist's.
RATE = 15
# A line on the screen may come so often (GK_SCREEN_LINES in gatekeeper/dom0/).
LINES, WINDOW = 10, 10.0

BROKEN = r"its descriptors break the standard"
REPORT = r"its HID report descriptor is broken"
# In a report descriptor, or in how it is given out.
UNREAD = rf"{REPORT}|it could not be configured|its worker ended"
NO_ROLE = "no role for it"
SILENT = "it does not answer"
CHANGED = "its descriptors changed while it was judged"
REFUSED, ADMITTED = "refused", "admitted"


class Prompt:
    """The prompt, the good keyboard that types at it, and what the gate says."""

    def __init__(self, t, pieces, extra=(), **machine):
        self.t = t
        self.count = 0
        self.said = []          # when lines were caused, for the screen's bound
        # Not before the firmware is done: SeaBIOS leaves the controller running, and
        # a keyboard that it had found makes it read what the IOMMU does not allow.
        self.good = VirtualDevice(t, "keyboard", "--unplugged", port=1, name="good")
        t.boot(devices=(), extra=self.good.qemu() + extra, **machine)
        t.wait_initramfs()
        self.good.do("plug")
        t.wait_prompt()
        gate.wait_keyboard(t)
        self.first = self.status()
        t.early("dmesg --kernel | sed -n '$=' >/run/gktest-kernel-lines")
        self.good.do(f"rate {RATE}")
        self.typed = 0
        text = secrets.ALL_ASCII
        size = -(-len(text) // pieces)
        self.pieces = [text[n:n + size] for n in range(0, len(text), size)]

    def early(self, command):
        mark = self.t.vm.side.mark()
        # Opened anew: the watcher's own line does not block, and drops what is
        # more than the terminal takes at once.
        self.t.early(f"{{ {command}; }} >/proc/self/fd/1")
        return [line for line in self.t.vm.side.text(mark).splitlines()
                if not line.startswith("GKTEST")]

    def status(self):
        for _ in range(3):
            for line in self.early("gatekeeper status --json"):
                try:
                    if line.startswith("{"):
                        return json.loads(line)
                except ValueError:      # the watcher spoke in the middle of it
                    continue
        self.t.check(False, "gatekeeper status --json says nothing")

    def device(self, pid):
        """The device's entry in the status, None without one."""
        found = [d for d in self.status()["devices"] if re.fullmatch(pid, d["pid"])]
        return found[-1] if found else None

    def kernel_log(self):
        """What dom0's kernel has said since the prompt."""
        lines = self.early("read -r n </run/gktest-kernel-lines; dmesg --kernel --notime "
                           "| sed \"1,${n}d\"")
        # The emulated processor was away: the test machine's load, not a device's.
        return [line for line in lines if "hrtimer: interrupt took" not in line]

    def type(self):
        """The next piece, on the good keyboard."""
        if self.pieces:
            self.press(self.pieces.pop(0))

    def press(self, text):
        self.good.do("type " + text)
        self.typed += len(text)

    def arrived(self, others=0, timeout=15):
        """As many stars as characters: of the good one, and of others."""
        end = time.monotonic() + self.t.left(timeout)
        while True:
            stars = self.t.screen.text().count("*")
            if stars == self.typed + others:
                return
            self.t.check(time.monotonic() < end, f"{stars} characters at the prompt; "
                         f"{self.typed} were typed, and {others} by others")
            time.sleep(0.3)

    def take_back(self, count, others):
        """The last characters of the good keyboard and all of others."""
        for _ in range(count + others):
            self.good.do("backspace")
        self.typed -= count
        self.arrived()

    def line(self, lines=1):
        """Keep below the screen's bound: else lines are only counted there."""
        for _ in range(lines):
            now = time.monotonic()
            self.said = [when for when in self.said if now - when < WINDOW]
            if len(self.said) >= LINES - 2:
                self.t.sleep(WINDOW - (now - self.said[0]))
            self.said.append(time.monotonic())

    def screen(self, pid, verdict, reason="", timeout=40):
        why = f": ({reason})" if reason else ""
        line = rf"port \S+ \([0-9a-f]{{4}}:{pid}\) {verdict}{why}"
        # Any space may be where the screen wraps.
        return self.t.screen.wait(line.replace(" ", r"\s+"), self.t.left(timeout))

    def pid(self):
        """A product number of its own for each device: the screen shows it."""
        self.count += 1
        return f"{0x100 + self.count:04x}"

    def put_in(self, kind, *options, port=PORT, bus="xhci0.0"):
        pid = self.pid()
        self.t.doing(f"{kind} is plugged in")
        device = VirtualDevice(self.t, kind, "--pid", pid, *options,
                               name=f"{kind}-{self.count}")
        device.pid = pid
        device.attach(port, bus)
        return device

    def check_refused(self, device, reason):
        pid = f"({device.pid}|0000)"    # 0: more than the gate reads, and so not read
        self.screen(pid, REFUSED, reason)
        entry = self.device(pid)
        self.t.check(entry and entry["verdict"] == REFUSED and not entry["granted"]
                     and re.search(reason, entry["reason"]),
                     f"{device.kind}: the status has {entry}")

    def check_admitted(self, device, granted):
        """As a whole or in part; exactly these roles."""
        self.screen(device.pid, ADMITTED)
        entry = self.device(device.pid)
        self.t.check(entry and entry["granted"] == granted,
                     f"{device.kind}: the status has {entry}")
        return entry

    def silent_ones(self, port):
        return [line for line in self.status()["log"] if line["port"] == port and
                line["verdict"] == REFUSED and line["reason"] == SILENT]

    def check_silent(self, device, before, port=f"1-{PORT}", timeout=60):
        """The kernel has given up reading it: no more is known of it than its port."""
        end = time.monotonic() + self.t.left(timeout)
        while len(self.silent_ones(port)) <= before:
            self.t.check(time.monotonic() < end,
                         f"{device.kind}: nothing is said of port {port}")
            self.type()
            self.t.sleep(2)
        self.screen("0000", REFUSED, SILENT, timeout=10)

    def silent(self, kind):
        before = len(self.silent_ones(f"1-{PORT}"))
        self.one(kind, lambda device: self.check_silent(device, before), lines=1)

    def one(self, kind, check, lines=2):
        """A device comes, is judged, and goes; the good keyboard types throughout."""
        self.line(lines)
        device = self.put_in(kind)
        self.type()
        check(device)
        self.type()
        self.arrived()
        device.detach()
        device.close()
        # They came at some time until now.
        if lines:
            self.said[-lines:] = [time.monotonic()] * lines
        self.t.say(kind)

    def refused(self, kind, reason=BROKEN):
        self.one(kind, lambda device: self.check_refused(device, reason), lines=1)

    def end(self, stars=True):
        """The disk opens, the gate is the same, dom0's kernel said nothing.

        stars: they are counted, too. Where line after line scrolls by, the same ones
        are seen twice; that the passphrase was right says as much.
        """
        t = self.t
        log = self.kernel_log()
        (t.out / "kernel-log.txt").write_text("\n".join(log) + "\n")
        now = self.status()
        (t.out / "status.json").write_text(json.dumps(now, indent=1))
        t.check(not log, f"dom0's kernel log: {log[:3]}")
        t.check(now["state"] == "up" and now["restarts"] == 0 and
                now["domid"] == self.first["domid"],
                f"the gate: {now['state']}, domain {now['domid']} "
                f"(was {self.first['domid']}), {now['restarts']} restarts")
        good = [d for d in now["devices"] if d["port"] == "1-1"]
        t.check([d["verdict"] for d in good] == [ADMITTED], f"the good one: {good}")
        t.metrics["hostile_devices"] = self.count
        t.check(self.pieces, "nothing was left to type beside the last devices")
        rest = "".join(self.pieces)
        self.pieces = []
        t.say(f"typing the last {len(rest)} of {len(secrets.ALL_ASCII)} characters")
        self.press(rest)
        if stars:
            self.arrived()
        self.good.do("enter")
        t.doing("unlocking")
        t.events.wait("unlocked", t.left(60))
        t.say("the disk is unlocked: no key was lost or doubled")
        # For its logs, and what all scenarios are checked for.
        t.wait_agent()
        gate.require_up(t)


@scenario("hostile-descriptors", timeout=420)
def hostile_descriptors(t: Test):
    """Lying lengths and counts, and descriptor bombs: refused with the byte."""
    p = Prompt(t, 95)
    for kind in ("liar-zero", "liar-one", "liar-past", "liar-total-long",
                 "liar-total-short", "liar-total-zero",
                 "liar-interfaces", "liar-endpoints", "liar-no-endpoint",
                 "liar-interface", "liar-hid", "bomb-big", "bomb-interfaces",
                 "bomb-alternates", "bomb-endpoints", "bomb-unknown", "bomb-hids"):
        p.refused(kind, BROKEN)
    # Linux makes no device of these.
    for kind in ("liar-config", "liar-device", "liar-cut", "liar-no-configs",
                 "liar-total-max"):
        p.silent(kind)
    # More than the standard asks for, but nothing that breaks it.
    # Linux looks at 8 of the 255, and the device does not say 8.
    p.refused("bomb-configs", CHANGED)
    for kind in ("liar-overlong", "liar-strings", "bomb-groups"):
        p.one(kind, lambda device: p.check_admitted(device, ["keyboard"]))
    p.end()


@scenario("hostile-hid", timeout=480)
def hostile_hid(t: Test):
    """HID report descriptors that overflow, nest and never end; odd reports."""
    p = Prompt(t, 95)
    for kind in ("hid-count", "hid-size", "hid-sum", "hid-deep", "hid-unbalanced",
                 "hid-open", "hid-push", "hid-pop", "hid-cut", "hid-long-item",
                 "hid-usages", "hid-collections", "hid-fields", "hid-id-zero",
                 "hid-id-big", "hid-delimiters", "hid-random"):
        p.refused(kind, REPORT)
    for kind in ("hid-endless", "hid-max", "hid-none", "hid-part", "hid-stalls",
                 "hid-silent"):
        p.refused(kind, f"{UNREAD}|{NO_ROLE}")
    # Shorter than it said, and whole all the same; FIDO pages where none may be.
    for kind in ("hid-less", "fido-boot", "fido-beside"):
        p.one(kind, lambda device: p.check_admitted(device, ["keyboard"]))

    def attack(device):
        p.check_admitted(device, ["keyboard"])
        device.do("attack")
    for kind in ("report-short", "report-long", "report-ids"):
        p.one(kind, attack)
    p.end()


@scenario("hostile-typing", timeout=600, alone=True)
def hostile_typing(t: Test):
    """Floods, keys never let go, SysRq and its like; bad answers on endpoint 0."""
    p = Prompt(t, 40, controllers=2)
    # The kernel asks it again and again, for a minute or two, and looks at one port
    # after the other: on another controller, so that the rest does not wait for it.
    mute = p.put_in("never-all", bus="xhci1.0")

    # Under emulation the host controller may not poll fast enough to make it too
    # many: then it is a keyboard like another. The second is over any bound.
    def flood(device):
        p.check_admitted(device, ["keyboard"])
        device.tell("attack 8")
        p.type()
        if device.kind == "flood-8k":
            p.check_refused(device, "it types faster than anyone can")
        else:
            t.sleep(4)
    for kind in ("flood", "flood-8k"):
        p.one(kind, flood)

    # The keys that it holds are also the good one's. What is typed here beside the
    # passphrase is taken back at once, before a line on the screen comes between.
    def hold(device):
        p.check_admitted(device, ["keyboard"])
        p.arrived()
        device.do("attack")
        p.arrived(others=6)
        p.press("fadedFADED")
        p.arrived(others=6)
        p.take_back(10, others=6)
        p.type()
    p.one("never-release", hold)

    # What is left of it is Alt and b: two characters, on the console.
    def dangerous(device):
        p.check_admitted(device, ["keyboard"])
        p.arrived()
        device.do("attack")
        p.arrived(others=2)
        p.take_back(0, others=2)
        p.type()
    p.one("sysrq", dangerous)

    # It types as well as any other.
    p.one("stall-class", lambda device: p.check_admitted(device, ["keyboard"]))
    p.refused("halted", "its worker ended|it could not be configured")

    def either(device):
        p.screen(device.pid, rf"({ADMITTED}|{REFUSED})")
    for kind in ("late-all", "never-class"):
        p.one(kind, either)
    for kind in ("stall-set", "never-set"):
        p.refused(kind, "it could not be configured")
    p.silent("stall-all")
    t.say("the one that never answers")
    p.check_silent(mute, 0, f"2-{PORT}", 180)
    mute.detach()
    p.end()


def configured(device, timeout=5):
    """The gate has chosen its configuration, this time that it is in."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if json.loads(device.do("stats").removeprefix("ok "))["configuration"]:
            return True
        time.sleep(0.02)
    return False


@scenario("hostile-changes", timeout=540)
def hostile_changes(t: Test):
    """Other descriptors later on, storms, false hubs, chains of hubs."""
    p = Prompt(t, 48)
    p.refused("turncoat-reads", f"{BROKEN}|{NO_ROLE}|{CHANGED}")
    for kind in ("turncoat-device", "turncoat-set"):
        p.refused(kind, CHANGED)
    t.say("a keyboard that comes back as another device")

    def turn(device, how):
        p.check_admitted(device, ["keyboard"])
        was = p.device(device.pid)
        p.type()
        if how:
            device.do(how)
        # Out, and in again as what it is now: from the start.
        turned = "8" + device.pid[1:]
        p.screen(turned, "admitted in part")
        now = p.device(turned)
        t.check(now and now["granted"] == ["keyboard"] and now["sha256"] != was["sha256"]
                and now["generation"] > was["generation"], f"{device.kind}: {now}")
    for kind, how in (("turncoat", "turn"), ("turncoat-poll", None),
                      ("turncoat-reset", "replug")):
        p.one(kind, lambda device, how=how: turn(device, how), lines=4)

    def either(device):
        p.screen(device.pid, rf"({ADMITTED}|{REFUSED})")
    p.one("turncoat-report", either)

    t.say("false hubs")
    p.refused("hub-keyboard", r".")
    for kind in ("hub-false", "hub-ports", "hub-ghosts", "hub-silent"):
        device = p.put_in(kind)
        p.type()
        t.sleep(6 if kind == "hub-ghosts" else 2)
        entry = p.device(device.pid)
        t.check(entry is None or (entry["verdict"] in ("hub", REFUSED)
                                  and not entry["granted"]), f"{kind}: {entry}")
        p.type()
        device.detach()
        device.close()
        t.say(kind)

    t.say("hubs in a chain: three, and a fourth with a keyboard behind it")
    place = str(PORT)
    for n in range(4):
        t.qmp.plug("usb-hub", id=f"hub{n}", bus="xhci0.0", port=place)
        p.type()
        t.sleep(2)
        place += ".1"
    p.line(2)
    t.screen.wait(rf"port\s+1-{PORT}\.1\.1\.1\s.*refused:\s+behind\s+too\s+many\s+hubs",
                  t.left(40))
    # Not a usb-kbd: QEMU would send the good one's keys to the newest of these.
    deep = VirtualDevice(t, "keyboard", name="deep")
    deep.attach(place)
    p.type()
    t.sleep(3)
    t.check(not [d for d in p.status()["devices"] if d["port"] == f"1-{place}"],
            "the keyboard behind the fourth hub")
    t.qmp.unplug("hub0")
    p.type()
    t.say("hubs in a storm")
    for n in range(12):
        t.qmp.plug("usb-hub", id=f"storm{n}", bus="xhci0.0", port="4")
        t.sleep(0.4)
        if n % 3 == 0:
            p.type()
        t.qmp.unplug(f"storm{n}")

    t.say("a keyboard in a storm, faster than the kernel follows")
    device = p.put_in("keyboard", port=5)
    device.tell("storm 20 330 60")
    for _ in range(4):
        p.type()
        t.sleep(2)
    device.answer()
    p.arrived()
    t.say("and one as fast as it follows: out again as soon as it is configured")
    device.do("unplug")
    t.sleep(12)
    device.do("plug")
    begun = time.monotonic()
    rounds = 1
    while configured(device) and rounds < 40:
        device.do("replug")
        rounds += 1
        if rounds % 4 == 0:
            p.type()
    t.say(f"plugged in {rounds} times in {time.monotonic() - begun:.0f} s")
    p.line(1)
    p.check_refused(device, "plugged in too often")
    t.metrics["storm_rounds"] = rounds
    p.arrived()
    device.detach()
    t.sleep(WINDOW)
    p.end()


@scenario("composite", timeout=300)
def composite(t: Test):
    """Devices in part: keyboard and storage, a YubiKey, a Nitrokey; NKRO types."""
    t.boot(devices=())
    t.wait_prompt()
    devices = {}
    for port, (kind, verdict) in enumerate((
            ("composite", r"admitted\s+in\s+part"), ("yubikey", "admitted"),
            ("nitrokey", "admitted"), ("nkro", "admitted"),
            ("nkro-boot", "admitted")), 2):
        t.doing(f"{kind} is plugged in")
        devices[kind] = VirtualDevice(t, kind)
        devices[kind].attach(port)
        t.screen.wait(rf"on\s+port\s+1-{port}\s+\S+\s+{verdict}", t.left(40))
        t.say(f"{kind} is in")
    t.say("a wrong passphrase in pieces: one keyboard after the other")
    mark = t.vm.side.mark()
    for kind in ("composite", "yubikey", "nkro", "nkro-boot"):
        devices[kind].do("type wrong")
    devices["yubikey"].do("enter")
    t.events.wait("prompt", t.left(40), mark)
    t.sleep(1.5)
    devices["nkro"].do("volume")
    text = secrets.ALL_ASCII
    for n, kind in enumerate(("composite", "yubikey", "nkro", "nkro-boot")):
        devices[kind].do("type " + text[n * 24:(n + 1) * 24])
    devices["nkro"].do("enter")
    t.events.wait("unlocked", t.left(60))
    t.wait_agent()
    gate.require_up(t)
    found = {d["port"]: d for d in gate.devices(t)}
    expected = {"1-2": ["keyboard"], "1-3": ["keyboard", "fido", "smartcard"],
                "1-4": ["fido", "smartcard"], "1-5": ["keyboard"],
                "1-6": ["keyboard"]}
    for port, roles in expected.items():
        t.check(port in found and sorted(found[port]["granted"]) == sorted(roles),
                f"port {port}: {found.get(port)}")
    t.check(found["1-2"]["verdict"] == "partly", f"keyboard+storage: {found['1-2']}")
    now = gate.status(t)
    t.check(now["restarts"] == 0, f"{now['restarts']} restarts")
