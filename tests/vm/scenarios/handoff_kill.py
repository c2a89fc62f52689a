# SPDX-License-Identifier: GPL-2.0-or-later
"""Whoever has a part in a handoff ends, hangs or refuses, at each of its states."""
from harness import handoff
from harness.handoff import GATE, SYSUSB
from harness.registry import scenario
from harness.test import Failed, Test
from scenarios.handoff_running import ready, same_device

# From the fault to one owner, a working keyboard and an honest status. The longest
# ways: a guest that hangs is given up after 15 s, then xl destroys it, then a gate is
# made; each of these takes several times as long under emulation.
WITHIN_S = 75

STATES = ("preparing", "quiescing", "releasing", "released", "reset", "assigned")
PAUSE_GATE = f"xl pause {GATE}"
AGENT_KILL = ("tty=$(xenstore-read /local/domain/$(xl domid sys-usb)/console/tty); "
              "echo \"killall -9 gatekeeper-agent\" >$tty")
SLOW = "p=$(pgrep -x -o xenstored); kill -STOP $p; (sleep {}; kill -CONT $p) &"


class Rig:
    """Typing and recording over all cases; each begins with the gate as the owner and
    a sys-usb with its agent, and a fault that did not happen fails it."""

    def __init__(self, t, **machine):
        ready(t, **machine)
        self.t = t
        self.recorder = handoff.Recorder(t)
        self.typist = handoff.Typist(t)
        self.took = {}

    def prepare(self):
        t = self.t
        handoff.settle(t, self.recorder, WITHIN_S)
        if SYSUSB not in handoff.domains(t).values():
            handoff.create_sys_usb(t)
        handoff.wait_sys_usb_agent(t)
        # By itself it may be on its way there again.
        if handoff.status_file(t)["state"] != "gate":
            handoff.settle(t, self.recorder, WITHIN_S, SYSUSB)
            handoff.reclaim(t)
            handoff.settle(t, self.recorder, WITHIN_S, GATE)

    def case(self, label, fault, state=None, wanted=None, after=None):
        """A handoff, and the fault at a state of it (None: before it begins)."""
        t = self.t
        self.prepare()
        t.doing(label)
        if state is None:
            t.guest.run(fault)
            handoff.start_handoff(t)
        else:
            t.guest.run(f"rm -f {handoff.HERE}/at.out; setsid {handoff.TOOL}/at {state} "
                        f"30 '{fault}' >{handoff.HERE}/at.out 2>&1 </dev/null &")
            t.guest.run("sleep 0.5")
            handoff.start_handoff(t)
            t.check(t.guest.until(f"grep -q seen {handoff.HERE}/at.out", t.left(40), 0.1),
                    f"{label}: state {state} was not seen: {handoff.status_file(t)}")
        try:
            have, took = handoff.settle(t, self.recorder, WITHIN_S, wanted)
        except Failed as why:
            raise Failed(f"{label}: {why}") from None
        status, text = handoff.end_handoff(t, WITHIN_S)
        self.took[label] = took
        t.say(f"{label}: {have} after {took} s; gatekeeper handoff said {status}")
        # What failed before may have been begun again by itself; and a gatekeeperd
        # that was killed can answer nobody.
        t.check(have == GATE or status == 0 or "already" in text or "killed" in label
                or "gatekeeperd" in label,
                f"{label}: sys-usb has them, and the command failed: {text[-300:]}")
        if after:
            t.guest.run(after, 60)

    def end(self):
        t = self.t
        t.metrics["handoff_faults_s"] = self.took
        t.metrics["handoff_fault_worst_s"] = max(self.took.values())
        handoff.settle(t, self.recorder, WITHIN_S)
        t.sleep(1)
        self.typist.stop()
        t.sleep(1)
        recorded = self.recorder.end()
        typed = handoff.Typed(self.typist.sent, recorded)
        t.check(not typed.doubled and not typed.stuck,
                f"doubled {typed.doubled[:4]}, stuck {typed.stuck}")
        return recorded


@scenario("handoff-kill-daemon", timeout=1200, default=False)
def handoff_kill_daemon(t: Test):
    """kill -9 of gatekeeperd at each state of the handoff, and when it is over."""
    rig = Rig(t)
    for state in STATES + ("confirmed",):
        rig.case(f"gatekeeperd at {state}", "kill9 gatekeeperd", state)
    for state in ("recalling", "taking-back", "returned"):
        # An xl pci-detach that was killed half-way may have cost sys-usb its life.
        rig.prepare()
        handoff.hand_off(t)
        handoff.settle(t, rig.recorder, WITHIN_S, SYSUSB)
        t.guest.run(f"setsid {handoff.TOOL}/at {state} 30 kill9 gatekeeperd "
                    f">{handoff.HERE}/at.out 2>&1 </dev/null & sleep 0.5; "
                    "timeout 60 gatekeeper reclaim >/dev/null 2>&1; "
                    f"grep -q seen {handoff.HERE}/at.out", 90)
        _, took = handoff.settle(t, rig.recorder, WITHIN_S, GATE)
        rig.took[f"gatekeeperd at {state}"] = took
        t.say(f"gatekeeperd at {state}: the gate again after {took} s")
    rig.end()


@scenario("handoff-kill", timeout=1500, default=False)
def handoff_kill(t: Test):
    """The gate, sys-usb or its agent ends or hangs in the middle."""
    rig = Rig(t)
    rig.case("gate destroyed at preparing", f"xl destroy {GATE}", "preparing")
    rig.case("gate destroyed at quiescing", f"xl destroy {GATE}", "quiescing")
    rig.case("gate that hangs", PAUSE_GATE)
    for state in ("released", "assigned", "confirmed"):
        rig.case(f"sys-usb destroyed at {state}", f"xl destroy {SYSUSB}", state, GATE)
    for state in ("released", "assigned", "confirmed"):
        rig.case(f"agent killed at {state}", AGENT_KILL, state)
    for state in ("released", "assigned", "confirmed"):
        rig.case(f"sys-usb hangs at {state}", f"xl pause {SYSUSB}", state, GATE,
                 f"xl unpause {SYSUSB} || true")
    same_device(t, rig.recorder, rig.end())


@scenario("handoff-refuse", timeout=1200, default=False)
def handoff_refuse(t: Test):
    """A guest that takes no PCI device, a reset that fails, xenstored slow."""
    rig = Rig(t)
    bdf, = handoff.controllers(t)
    rig.prepare()
    handoff.in_domain(t, "rmmod xen_pcifront")
    t.sleep(1)
    rig.case("a guest without pcifront", "true", None, GATE, f"xl destroy {SYSUSB} || true")
    method = f"/sys/bus/pci/devices/{bdf}/reset_method"
    rig.case("a reset that fails", f"echo >{method}", "quiescing", None,
             f"echo default >{method}")
    rig.case("xenstored stops for 3 s", SLOW.format(3), "quiescing")
    rig.case("xenstored stops for 20 s", SLOW.format(20), "releasing")
    same_device(t, rig.recorder, rig.end())
