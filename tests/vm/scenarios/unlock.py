# SPDX-License-Identifier: GPL-2.0-or-later
"""The passphrase goes through the gate, with each agent that may ask for it."""
from harness import gate, secrets
from harness.qmp import german_key
from harness.registry import scenario
from harness.test import Test


@scenario("unlock-console", alone=True)
def unlock_console(t: Test):
    """systemd's console agent: usb-kbd unlocks the root, logs in, reboot is clean."""
    t.boot()
    t.metrics["prompt_ms"] = t.wait_prompt()
    gate.wait_keyboard(t)
    t.qmp.screenshot(t.out / "prompt.png")
    t.unlock()
    t.wait_up()
    gate.require_up(t)
    gate.measure(t)
    t.login()
    admitted = gate.devices(t, "admitted")
    t.check(len(admitted) == 1, f"admitted: {admitted}")
    gate.measure_kept(t)
    t.reboot()


@scenario("unlock-plymouth", alone=True)
def unlock_plymouth(t: Test):
    """plymouth asks: a wrong passphrase, then the right one."""
    t.boot(variant="plymouth", args="splash")
    t.wait_prompt()
    gate.wait_keyboard(t)
    t.qmp.screenshot(t.out / "prompt.png")
    t.say("a wrong passphrase first")
    mark = t.vm.side.mark()
    t.type("wrong\n")
    t.events.wait("prompt", t.left(40), mark)
    t.sleep(2)
    t.unlock()
    t.wait_up()
    gate.require_up(t)
    gate.measure(t)
    t.login()


@scenario("unlock-nosystemd", alone=True)
def unlock_nosystemd(t: Test):
    """No systemd in the initramfs, a German keymap: dom0's keymap decides."""
    t.boot(variant="nosystemd", args="rd.vconsole.keymap=de")
    t.wait_prompt()
    gate.wait_keyboard(t)
    t.qmp.screenshot(t.out / "prompt.png")
    t.unlock(secrets.LAYOUT, layout=german_key)
    t.wait_up()
    gate.require_up(t)
    gate.measure(t)
    t.login()
    t.reboot()


@scenario("passphrase")
def passphrase(t: Test):
    """A wrong one, one with Caps Lock, then all 95 printable characters at 30/s."""
    t.boot()
    t.wait_prompt()
    gate.wait_keyboard(t)
    mark = t.vm.side.mark()
    t.type("Gatekeeper\n")
    t.events.wait("prompt", t.left(40), mark)
    t.screen.wait("(?i)sorry|try again|passphrase", t.left(10))
    t.sleep(1.5)
    t.say("Caps Lock: the letters come out in the other case")
    t.qmp.press("caps_lock")
    mark = t.vm.side.mark()
    t.type(secrets.SIMPLE + "\n")
    t.events.wait("prompt", t.left(40), mark)
    t.sleep(1.5)
    t.qmp.press("caps_lock")
    t.unlock(secrets.ALL_ASCII, rate=30)
    t.wait_agent()
    gate.require_up(t)
