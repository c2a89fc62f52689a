# SPDX-License-Identifier: GPL-2.0-or-later
"""Release only, for Qubes: its unit starts sys-usb with the controllers, afterwards."""
import time

from harness import gate, handoff, paths, secrets
from harness.registry import scenario
from harness.test import Test

CONF = "etc/gatekeeper/gatekeeper.conf"
UNIT = "qubes-vm@sys-usb.service"
RELEASE = "gatekeeper-handoff.service"
RECLAIM = "gatekeeper-reclaim.service"
FREE_S = 20             # free_time here
LATE_S = 10             # after the gate's own time is over
WAIT_S = 20             # rd.gatekeeper.timeout here


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


def gate_has_them(t, label, seconds):
    """The gate has them, and what is typed comes. The seconds until then."""
    t.doing("waiting for the gate")
    start = time.monotonic()
    recorder = handoff.Recorder(t, label)
    typist = handoff.Typist(t)
    try:
        name, _ = handoff.settle(t, recorder, seconds, handoff.GATE)
    finally:
        typist.stop()
    took = round(time.monotonic() - start, 1)
    recorder.end()
    handoff.check_domains(t, name)
    t.say(f"the gate has the controllers and the keyboard types, after {took} s")
    return took


def start_again(t):
    """The unit, once more: it takes them from the gate."""
    t.guest.run(f": >{handoff.console_of()}; systemctl restart {UNIT}", 120)
    t.check(t.guest.until(f"grep -q 'SYSUSB input .*Keyboard' {handoff.console_of()}",
                          t.left(90)), "sys-usb shows no keyboard")
    t.check(handoff.owner(t) == handoff.SYSUSB, f"owner: {handoff.owner(t)}")
    handoff.check_domains(t, handoff.SYSUSB)
    t.say("sys-usb was started again and has the controllers")


def comes_back(t):
    """sys-usb cannot be started: the gate at once. It ends later, which no unit sees:
    the gate after free_time. Each time its next start gets them."""
    handoff.quiet_console(t)
    t.doing("letting sys-usb's unit fail")
    t.guest.run(f"mv {handoff.CONFIG} /run/away.cfg; xl destroy sys-usb")
    status, _ = t.guest.run(f"systemctl restart {UNIT}", 120, check=False)
    t.check(status != 0, "a unit without a configuration did not fail")
    t.metrics["qubes_failed_start_s"] = gate_has_them(t, "failed", 45)
    t.check(t.guest.ok(f"journalctl -b -u {RECLAIM} --no-pager -o cat | grep -q ."),
            f"{RECLAIM} did not run")
    t.guest.run(f"mv /run/away.cfg {handoff.CONFIG}")
    start_again(t)
    t.doing("ending sys-usb")
    t.guest.run("xl destroy sys-usb")
    t.check(t.guest.ok(f"systemctl is-active {UNIT}"), "the unit has seen its end")
    took = gate_has_them(t, "ended", FREE_S + 45)
    t.check(took > FREE_S - 10, f"after {took} s: it could not have been restarted")
    t.metrics["qubes_ended_s"] = took
    start_again(t)


def boot(t, **machine):
    t.boot(args=f"systemd.wants={UNIT}", timeout=WAIT_S, **machine)


@scenario("handoff-qubes", timeout=540)
def handoff_qubes(t: Test):
    """The disk unlocked at once; then sys-usb fails, and ends."""
    conf = (paths.STAGE / CONF).read_bytes() + f"free_time = {FREE_S}\n".encode()
    boot(t, initramfs=t.initramfs_with({CONF: conf}))
    t.wait_prompt()
    gate.wait_keyboard(t)
    t.unlock()
    t.wait_up()
    started(t)
    comes_back(t)


@scenario("handoff-qubes-late", timeout=360)
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


@scenario("handoff-qubes-unasked", timeout=300)
def handoff_qubes_unasked(t: Test):
    """The disk opens by itself, while the gate is still being made."""
    boot(t, initramfs=t.initramfs_with({
        f"etc/cryptsetup-keys.d/{secrets.LUKS_NAME}.key": secrets.SIMPLE.encode()}))
    t.events.wait("unlocked", t.left(120))
    t.check(not t.events.first("prompt"), "it was asked for a passphrase")
    t.wait_up()
    started(t)
