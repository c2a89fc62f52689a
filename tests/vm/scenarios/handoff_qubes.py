# SPDX-License-Identifier: GPL-2.0-or-later
"""Release only, for Qubes: its unit starts sys-usb with the controllers, afterwards."""
import time

from harness import gate, handoff, secrets
from harness.registry import scenario
from harness.test import Test

UNIT = "qubes-vm@sys-usb.service"
RELEASE = "gatekeeper-handoff.service"
LATE_S = 20             # after the gate's own time is over
WAIT_S = 25             # rd.gatekeeper.timeout here


def moments(t, unit):
    """us of the guest's clock: ExecStart began, ExecStart ended."""
    out = t.guest.output(f"systemctl show {unit} -p ExecMainStartTimestampMonotonic "
                         "-p ExecMainExitTimestampMonotonic -p Result")
    found = dict(line.split("=", 1) for line in out.splitlines())
    t.check(found["Result"] == "success", f"{unit}: {found}")
    return (int(found["ExecMainStartTimestampMonotonic"]),
            int(found["ExecMainExitTimestampMonotonic"]))


def started(t):
    """The unit's sys-usb has them, and only after they were free."""
    t.doing("waiting for the stand-in of Qubes' unit")
    t.check(t.guest.until(f"systemctl is-active {UNIT}", t.left(180)),
            t.guest.output(f"systemctl status {UNIT} {RELEASE}; true"))
    t.check(t.guest.until(f"grep -q 'SYSUSB input .*Keyboard' {handoff.console_of()}",
                          t.left(90)), "sys-usb shows no keyboard")
    _, free = moments(t, RELEASE)
    begin, _ = moments(t, UNIT)
    t.check(0 < free <= begin, f"controllers free at {free} us, sys-usb begun at {begin}")
    t.check(handoff.owner(t) == handoff.SYSUSB, f"owner: {handoff.owner(t)}")
    handoff.check_domains(t, handoff.SYSUSB)
    now = handoff.status_file(t)
    t.check(now and now["state"] == "free", f"handoff.json: {now}")
    t.metrics["qubes_release_to_start_ms"] = round((begin - free) / 1000)
    t.say("the controllers were free before sys-usb was started, which has them")


def boot(t, **machine):
    t.boot(args=f"systemd.wants={UNIT}", timeout=WAIT_S, **machine)


@scenario("handoff-qubes", timeout=300, default=False)
def handoff_qubes(t: Test):
    """The disk unlocked at once."""
    boot(t)
    t.wait_prompt()
    gate.wait_keyboard(t)
    t.unlock()
    t.wait_up()
    started(t)
    t.reboot()


@scenario("handoff-qubes-late", timeout=360, default=False)
def handoff_qubes_late(t: Test):
    """The disk unlocked long after the gate's time to start is over."""
    boot(t)
    t.wait_prompt()
    gate.wait_keyboard(t)
    t.doing("leaving the prompt alone")
    time.sleep(WAIT_S + LATE_S)
    t.unlock()
    t.wait_up()
    started(t)


@scenario("handoff-qubes-unasked", timeout=300, default=False)
def handoff_qubes_unasked(t: Test):
    """The disk opens by itself, while the gate is still being made."""
    boot(t, initramfs=t.initramfs_with({
        f"etc/cryptsetup-keys.d/{secrets.LUKS_NAME}.key": secrets.SIMPLE.encode()}))
    t.events.wait("unlocked", t.left(120))
    t.check(not t.events.first("prompt"), "it was asked for a passphrase")
    t.wait_up()
    started(t)
