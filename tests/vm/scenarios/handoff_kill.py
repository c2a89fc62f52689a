# SPDX-License-Identifier: GPL-2.0-or-later
"""Whoever has a part in a handoff ends, hangs or refuses, at each of its states."""
from dataclasses import dataclass

from harness import handoff
from harness.handoff import GATE, SYSUSB
from harness.registry import scenario
from harness.test import Failed, Test
from scenarios.handoff_running import ready, same_device

# From the fault to one owner, a working keyboard and an honest status. The longest
# ways: a guest that hangs is given up after 15 s, then xl destroys it, then a gate is
# made; each of these takes several times as long under emulation.
WITHIN_S = 75

AGENT_KILL = ("tty=$(xenstore-read /local/domain/$(xl domid sys-usb)/console/tty); "
              "echo \"killall -9 gatekeeper-agent\" >$tty")
SLOW = "p=$(pgrep -x -o xenstored); kill -STOP $p; (sleep {}; kill -CONT $p) &"


@dataclass
class Case:
    """A handoff, or a reclaim, and what goes wrong in it."""

    label: str
    fault: str                  # a command in dom0
    state: str = None           # at which state; None: before the handoff is asked for
    wanted: str = None          # who must have the controllers at last; None: either
    after: str = None           # a command in dom0 that puts it right again
    in_guest: str = None        # before all: a command in sys-usb
    reclaim: bool = False       # the fault comes in `gatekeeper reclaim`


DAEMON = [Case(f"gatekeeperd killed at {state}", "kill9 gatekeeperd", state)
          for state in ("preparing", "quiescing", "releasing", "released", "reset",
                        "assigned", "confirmed")]
DAEMON += [Case(f"gatekeeperd killed at {state}", "kill9 gatekeeperd", state, GATE,
                reclaim=True) for state in ("recalling", "taking-back", "returned")]
OTHERS = [Case("gate destroyed at preparing", f"xl destroy {GATE}", "preparing"),
          Case("gate destroyed at quiescing", f"xl destroy {GATE}", "quiescing"),
          Case("a gate that hangs", f"xl pause {GATE}")]
for at in ("released", "assigned", "confirmed"):
    OTHERS += [Case(f"sys-usb destroyed at {at}", f"xl destroy {SYSUSB}", at, GATE),
               Case(f"agent killed at {at}", AGENT_KILL, at),
               Case(f"sys-usb hangs at {at}", f"xl pause {SYSUSB}", at, GATE,
                    f"xl unpause {SYSUSB} || true")]
OTHERS += [Case(f"gatekeeper-pci killed at {at}", "kill9 gatekeeper-pci", at)
           for at in ("quiescing", "releasing", "reset")]
REFUSING = [
    Case("a guest without pcifront", "true", None, GATE, f"xl destroy {SYSUSB} || true",
         in_guest="rmmod xen_pcifront"),
    Case("a reset that fails", "for r in $(cat /run/gk-handoff/usb); do "
         "echo >/sys/bus/pci/devices/$r/reset_method; done", "quiescing", None,
         "for r in $(cat /run/gk-handoff/usb); do "
         "echo default >/sys/bus/pci/devices/$r/reset_method; done"),
    Case("xenstored stops for 3 s", SLOW.format(3), "quiescing"),
    Case("xenstored stops for 20 s", SLOW.format(20), "releasing"),
]


class Rig:
    """Typing and recording over all cases; each begins with the gate as the owner and
    a sys-usb with its agent, and a fault that did not happen fails it."""

    def __init__(self, t, **machine):
        ready(t, **machine)
        self.t = t
        self.recorder = handoff.Recorder(t)
        self.typist = handoff.Typist(t)
        self.took = {}
        t.guest.run(f"echo {' '.join(handoff.controllers(t))} >{handoff.HERE}/usb")

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

    def hand_off(self):
        """To sys-usb; by itself it may have begun just now."""
        handoff.start_handoff(self.t)
        status, text = handoff.end_handoff(self.t)
        self.t.check(status == 0 or "already" in text, f"gatekeeper handoff: {text}")
        return handoff.settle(self.t, self.recorder, WITHIN_S, SYSUSB)

    def case(self, case):
        """From the gate with a sys-usb that has its agent, to one owner and keys."""
        t = self.t
        self.prepare()
        t.doing(case.label)
        if case.reclaim:
            self.hand_off()
        if case.in_guest:
            handoff.in_domain(t, case.in_guest)
            t.sleep(1)
        if case.state is None:
            t.guest.run(case.fault)
        else:
            t.guest.run(f"rm -f {handoff.HERE}/at.out; setsid {handoff.TOOL}/at "
                        f"{case.state} 30 '{case.fault}' >{handoff.HERE}/at.out 2>&1 "
                        "</dev/null & sleep 0.5")
        if case.reclaim:
            t.guest.run("timeout 60 gatekeeper reclaim >/dev/null 2>&1; true", 90)
        else:
            handoff.start_handoff(t)
        if case.state:
            t.check(t.guest.until(f"grep -q seen {handoff.HERE}/at.out", t.left(40), 0.1),
                    f"{case.label}: that state was not seen: {handoff.status_file(t)}")
        try:
            have, took = handoff.settle(t, self.recorder, WITHIN_S, case.wanted)
        except Failed as why:
            raise Failed(f"{case.label}: {why}") from None
        said = ""
        if not case.reclaim:
            status, text = handoff.end_handoff(t, WITHIN_S)
            said = f"; gatekeeper handoff said {status}"
            # What failed before may have been begun again by itself; and a gatekeeperd
            # that was killed can answer nobody.
            t.check(have == GATE or status == 0 or "already" in text
                    or "the gate is started again" in text
                    or "gatekeeperd" in case.fault,
                    f"{case.label}: sys-usb has them, and the command failed: "
                    f"{text[-300:]}")
        self.took.setdefault(case.label, []).append(took)
        t.say(f"{case.label}: {have} after {took} s{said}")
        if case.after:
            t.guest.run(case.after, 60)

    def end(self):
        t = self.t
        t.metrics["handoff_faults_s"] = self.took
        t.metrics["handoff_fault_worst_s"] = max(max(s) for s in self.took.values())
        handoff.settle(t, self.recorder, WITHIN_S)
        t.sleep(1)
        self.typist.stop()
        t.sleep(1)
        recorded = self.recorder.end()
        typed = handoff.Typed(self.typist.sent, recorded)
        t.check(not typed.doubled and not typed.stuck,
                f"doubled {typed.doubled[:4]}, stuck {typed.stuck}")
        return recorded


def run_cases(t, cases):
    rig = Rig(t)
    for case in cases:
        rig.case(case)
    return rig.recorder, rig.end()


# Some of each kind: what `make vm-check` has time for; what becomes of a sys-usb that
# ends is in `reclaim`.
SAMPLE = ("gatekeeperd killed at assigned", "a gate that hangs", "a guest without pcifront",
          "xenstored stops for 3 s")


@scenario("handoff-faults", timeout=900)
def handoff_faults(t: Test):
    """Four faults in handoffs; all of them are in handoff-campaign."""
    cases = [case for case in DAEMON + OTHERS + REFUSING if case.label in SAMPLE]
    t.check(len(cases) == len(SAMPLE), f"{len(cases)} cases of {SAMPLE}")
    run_cases(t, cases)


@scenario("handoff-kill-daemon", timeout=1200, default=False)
def handoff_kill_daemon(t: Test):
    """kill -9 of gatekeeperd at each state of the handoff and of the way back."""
    run_cases(t, DAEMON)


@scenario("handoff-kill", timeout=1500, default=False)
def handoff_kill(t: Test):
    """The gate, sys-usb, its agent or gatekeeper-pci ends or hangs in the middle."""
    same_device(t, *run_cases(t, OTHERS))


@scenario("handoff-refuse", timeout=1200, default=False)
def handoff_refuse(t: Test):
    """A guest that takes no PCI device, a reset that fails, xenstored slow."""
    same_device(t, *run_cases(t, REFUSING))
