# SPDX-License-Identifier: GPL-2.0-or-later
"""To a sys-usb that runs, and back, while somebody types."""
import time

from harness import gate, handoff
from harness.registry import scenario
from harness.test import Test
from harness.virtual import VirtualDevice
from scenarios.handover import to_real_root

ROUNDS = 3
CAPS_LED = 1 << 1       # LED_CAPSL
CAPS_CODE = 58


def ready(t, **machine):
    """The real root, sys-usb with its agent, a console without a reader."""
    to_real_root(t, **machine)
    handoff.tools(t)
    handoff.quiet_console(t)
    handoff.create_sys_usb(t)
    handoff.wait_sys_usb_agent(t)


def caps_lock(t):
    return t.guest.output("setleds </dev/tty9 | sed -n 's/^Current flags:.*CapsLock "
                          "\\(o[nf]*\\).*/\\1/p'").strip()


def same_device(t, recorder, recorded):
    """One event node over all of it: neither went nor came another."""
    t.check(len(recorded.opens) == 1 and not recorded.gone,
            f"the event node changed: {recorded.opens} {recorded.gone}")
    changes = [line for line in recorder.udev.splitlines()
               if line.startswith(("KERNEL[", "<", ">"))]
    t.check(not changes, f"/dev/input changed: {changes[:4]}")


def measured_by_gatekeeperd(t):
    now = handoff.status_file(t) or {}
    return {name: now.get(name) for name in (
        "prepare_ms", "quiesce_ms", "release_ms", "reset_ms", "assign_ms", "confirm_ms",
        "handoff_blackout_ms")}


@scenario("handoff-running", timeout=480, alone=True)
def handoff_running(t: Test):
    """Ten keys a second while sys-usb gets the controllers, three times."""
    ready(t)
    t.qmp.press("caps_lock", hold=0.05)
    t.check(t.guest.until("setleds </dev/tty9 | grep -q 'Current flags:.*CapsLock on'",
                          t.left(10)), "Caps Lock is not on: " + caps_lock(t))
    recorder = handoff.Recorder(t)
    typist = handoff.Typist(t)
    windows, steps, back = [], [], []
    t.sleep(2)
    for number in range(ROUNDS):
        t.doing(f"handoff {number + 1}")
        begin = handoff.now_us(t)
        handoff.hand_off(t)
        t.sleep(1)
        windows.append((begin, handoff.now_us(t)))
        steps.append(measured_by_gatekeeperd(t))
        handoff.settle(t, recorder, 20, handoff.SYSUSB)
        t.say(f"sys-usb has the controllers: {steps[-1]}")
        if number == ROUNDS - 1:
            break
        begin = handoff.now_us(t)
        handoff.reclaim(t)
        handoff.settle(t, recorder, 40, handoff.GATE)
        back.append((begin, handoff.now_us(t)))
    t.sleep(2)
    typist.stop()
    t.sleep(1)
    recorded = recorder.end()
    typist.write(t.out / "sent.txt")
    typed = handoff.Typed(typist.sent, recorded)
    t.metrics["keys_sent"], t.metrics["keys_lost"] = typed.sent, len(typed.lost)
    t.metrics["handoff_steps"] = steps
    gaps = handoff.check_typed(t, typed, windows + back)
    t.metrics["handoff_blackout_rounds_ms"] = gaps[:ROUNDS]
    t.metrics["handoff_blackout_ms"] = handoff.median(gaps[:ROUNDS])
    t.metrics["reclaim_blackout_rounds_ms"] = gaps[ROUNDS:]
    t.check(recorded.leds & CAPS_LED and caps_lock(t) == "on",
            f"Caps Lock is not on any more: {recorded.leds} {caps_lock(t)}")
    t.check(not [k for k in recorded.keys if k[1] == CAPS_CODE],
            "Caps Lock was pressed by nobody")
    same_device(t, recorder, recorded)
    handoff.check_domains(t, handoff.SYSUSB)
    t.say(f"blackouts {gaps[:ROUNDS]} ms, back {gaps[ROUNDS:]} ms")


@scenario("reclaim", timeout=600, alone=True)
def reclaim(t: Test):
    """sys-usb destroyed, shut down, started again; `gatekeeper reclaim`; shutdown."""
    keyboard = VirtualDevice(t, "keyboard", port=3)
    ready(t, extra=keyboard.qemu())
    t.qmp.press("caps_lock", hold=0.05)
    t.check(t.guest.until("setleds </dev/tty9 | grep -q 'Current flags:.*CapsLock on'",
                          t.left(10)), "Caps Lock is not on: " + caps_lock(t))
    recorder = handoff.Recorder(t)
    typist = handoff.Typist(t)
    handoff.hand_off(t)
    handoff.settle(t, recorder, 30, handoff.SYSUSB)
    t.check("caps" in keyboard.do("leds").lower(),
            f"the keyboard's own LED after the handoff: {keyboard.do('leds')}")

    for how, command in (("destroyed", "xl destroy sys-usb"),
                         ("shut down", "xl shutdown -w sys-usb"),
                         ("panicking", None)):
        t.doing(f"sys-usb is {how}")
        if command:
            t.guest.run(command, 60)
        else:
            handoff.in_domain(t, "echo c >/proc/sysrq-trigger")
        _, took = handoff.settle(t, recorder, 60, handoff.GATE)
        t.metrics[f"reclaim_{how.replace(' ', '_')}_s"] = took
        t.say(f"sys-usb is {how}: the gate has the controllers, {took} s")
        handoff.check_domains(t, handoff.GATE)
        handoff.create_sys_usb(t)
        _, took = handoff.settle(t, recorder, 60, handoff.SYSUSB)
        t.say(f"sys-usb is back and has them again, {took} s")
        handoff.check_domains(t, handoff.SYSUSB)
    handoff.reclaim(t)
    handoff.settle(t, recorder, 40, handoff.GATE)
    handoff.check_domains(t, handoff.GATE, handoff.SYSUSB)
    t.sleep(8)
    t.check(handoff.owner(t) == handoff.GATE,
            "what was reclaimed on request went away by itself")
    handoff.hand_off(t)
    handoff.settle(t, recorder, 30, handoff.SYSUSB)
    typist.stop()
    t.sleep(1)
    recorded = recorder.end()
    typed = handoff.Typed(typist.sent, recorded)
    t.check(not typed.doubled and not typed.stuck,
            f"doubled {typed.doubled[:4]}, stuck {typed.stuck}")
    t.check(recorded.leds & CAPS_LED, "Caps Lock is not on any more")
    same_device(t, recorder, recorded)
    t.say("reboot while sys-usb has the controllers")
    t.reboot()


# A key that no other keyboard types here, by the name that scripts of the virtual
# keyboard have for it, and its code.
MARK, MARK_CODE = "home", 102


def swapped(t, recorder, old, new, port):
    """A handoff; while nobody has the controllers, one device is put for another. They
    are with nobody for a fraction of a second, so gatekeeperd is held meanwhile."""
    t.guest.run(f"setsid {handoff.TOOL}/at releasing 30 'kill -STOP $(pgrep -ox "
                f"gatekeeperd)' >{handoff.HERE}/at.out 2>&1 </dev/null & sleep 0.5")
    handoff.start_handoff(t)
    t.check(t.guest.until(f"grep -q seen {handoff.HERE}/at.out", t.left(30), 0.1),
            f"nothing was released: {handoff.status_file(t)}")
    old.detach()
    new.attach(port)
    t.guest.run("kill -CONT $(pgrep -ox gatekeeperd)")
    status, text = handoff.end_handoff(t)
    t.check(status == 0, f"handoff: {text[-600:]}")
    handoff.settle(t, recorder, 30, handoff.SYSUSB)


def stranger(t, port):
    """The device at this port is shown and does not count."""
    t.check(t.guest.until(f"gatekeeper status --json | grep -q '\"port\":\"{port}\"'",
                          t.left(20)), f"nothing at port {port}: {gate.devices(t)}")
    found = [d for d in gate.devices(t) if d["port"] == port]
    t.check(len(found) == 1, f"devices at {port}: {found}")
    said = t.guest.output("journalctl -b --no-pager -o cat -t gatekeeperd | tail -n 40")
    t.check(port in said, f"the journal does not name port {port}: {said[-600:]}")
    return found[0]


def press_unheard(device):
    """Whether somebody reads it or not: 20 s at most."""
    device.tell(MARK)
    device.answer(40)
    time.sleep(1)


def marks(t, recorder):
    return int(t.guest.output(f"grep -c '^key [0-9]* {MARK_CODE} 1$' {recorder.out}; "
                              "true"))


@scenario("handoff-lookalike", timeout=480)
def handoff_lookalike(t: Test):
    """Swapped in the blackout: other descriptors, or another port. Shown, not trusted."""
    first = VirtualDevice(t, "keyboard", name="first", port=3)
    to_real_root(t, extra=first.qemu())
    handoff.tools(t)
    handoff.quiet_console(t)
    handoff.create_sys_usb(t)
    handoff.wait_sys_usb_agent(t)
    was, = [d for d in gate.devices(t) if d["port"] == "1-3"]
    t.check(was["verdict"] == "admitted", f"before: {was}")
    ids = ("--vid", was["vid"], "--pid", was["pid"])
    recorder = handoff.Recorder(t)
    typist = handoff.Typist(t)
    first.do(MARK)
    t.sleep(0.5)
    t.check(marks(t, recorder) == 1, "the second keyboard did not work before")

    t.say("same vid:pid and port, other descriptors")
    alike = VirtualDevice(t, "nkro-boot", *ids, name="alike")
    swapped(t, recorder, first, alike, 3)
    now = stranger(t, "1-3")
    t.check((now["vid"], now["pid"]) == (was["vid"], was["pid"]) and
            now["sha256"] != was["sha256"], f"not a look-alike: {now}")
    press_unheard(alike)
    t.check(marks(t, recorder) == 1, "a key of the look-alike came")

    t.say("back to the gate, with the first one")
    alike.detach()
    again = VirtualDevice(t, "keyboard", name="again")
    again.attach(4)
    t.sleep(1)
    handoff.reclaim(t)
    handoff.settle(t, recorder, 40, handoff.GATE)
    t.check(t.guest.until("gatekeeper status --json | grep -q '\"port\":\"1-4\"'", 20),
            f"no 1-4: {gate.devices(t)}")

    t.say("same descriptors, other port")
    moved = VirtualDevice(t, "keyboard", name="moved")
    swapped(t, recorder, again, moved, 5)
    now = stranger(t, "1-5")
    t.check(now["sha256"] == was["sha256"], f"another device: {now}")
    press_unheard(moved)
    t.check(marks(t, recorder) == 1, "a key of the moved keyboard came")
    t.guest.run("gatekeeper trust 1-5")
    moved.do(MARK)
    t.sleep(1)
    t.check(marks(t, recorder) == 2, "trusted, and its key did not come: "
            f"{marks(t, recorder)}")
    typist.stop()
    t.sleep(1)
    recorded = recorder.end()
    same_device(t, recorder, recorded)
