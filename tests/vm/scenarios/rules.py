# SPDX-License-Identifier: GPL-2.0-or-later
"""The rules file: one with an error, and the modes for keyboards."""
import re

from harness import gate, secrets
from harness.registry import scenario
from harness.test import Test

RULES = "etc/gatekeeper/rules.conf"
ACTIVE = "/sys/class/tty/tty0/active"


def press(t, *keys):
    """Keys held together, as a person does it."""
    t.qmp.run("send-key", keys=[{"type": "qcode", "data": key} for key in keys])
    t.sleep(0.6)


@scenario("rules-error")
def rules_error(t: Test):
    """An error in rules.conf is shown, the built-in rules hold; the next gate reads
    the real root's file."""
    broken = b"# mine\nallow with-interface on-of { 03:*:* }\n"
    t.boot(initramfs=t.initramfs_with({RULES: broken}))
    t.wait_prompt()
    t.screen.wait(r"(?s)rules\.conf\s+line\s+2,\s+column\s+22:.{1,100}?\s+the\s+built-in\s+rules\s+are"
                  r"\s+in\s+force", t.left(30))
    gate.wait_keyboard(t)
    t.unlock()
    t.wait_agent()
    now = gate.require_up(t)
    rules = now["rules"]
    t.check((rules["line"], rules["column"]) == (2, 22), f"rules: {rules}")
    keyboard = now["devices"][0]
    t.check(keyboard["verdict"] == "admitted" and keyboard["rule"] == "built-in:12",
            f"the keyboard: {keyboard}")
    t.check(keyboard["interfaces"][0]["role"] == "keyboard", f"its interface: {keyboard}")
    t.check([e["verdict"] for e in now["log"]] == ["admitted"], f"log: {now['log']}")
    t.say("the gate is ended; the next one reads the file of the real root")
    t.guest.run("echo 'allow role keyboard label \"real root\"' > /" + RULES)
    t.guest.run("xl destroy gatekeeper-gate")
    t.check(t.guest.until("gatekeeper status | grep -q 'rule rules.conf:1$'", t.left(60)),
            f"the keyboard now: {gate.status(t)}")
    now = gate.require_up(t)
    t.check(now["rules"]["in_force"] == "the rules of rules.conf", f"{now['rules']}")
    t.check("real root" in now["devices"][0]["rule_text"], f"{now['devices']}")
    t.check(not t.guest.ok("test -e /run/gatekeeper/gate-initramfs"),
            "the gate's initramfs stays in memory")


@scenario("rules-challenge")
def rules_challenge(t: Test):
    """A new keyboard types the number on the screen; before the disk is unlocked no
    key switches terminals or reboots."""
    t.boot(initramfs=t.initramfs_with({
        RULES: b"allow with-interface one-of { 03:*:* }\nkeyboards challenge\n"}))
    t.wait_prompt()
    text = t.screen.wait(r"type\s+\d{6}\s+and\s+Enter", t.left(60))
    number = re.findall(r"type\s+(\d{6})\s+and\s+Enter", text)[-1]
    t.say(f"asked for {number}; typing the passphrase, then a wrong number")
    t.type(secrets.SIMPLE + "\n")
    t.type(f"{(int(number) + 1) % 1000000:06}\n")
    t.screen.wait(r"wrong\s+number\.", t.left(30))
    t.check(not t.events.first("enter"), "a key of it has reached dom0")
    t.type(number + "\n")
    t.screen.wait(r"keyboard\s+on\s+port\s+1-1\b.*\s+admitted", t.left(30))
    t.check(not t.events.first("enter"), "the number's Enter has reached dom0")
    t.say("it counts; keys that switch terminals or reboot")
    for keys in (("alt", "f2"), ("ctrl", "alt", "f3"), ("alt_r", "f4"), ("alt", "right"),
                 ("ctrl", "alt", "delete"), ("ctrl_r", "alt_r", "kp_decimal")):
        press(t, *keys)
        # No grep there.
        t.check(t.early(f'read -r now < {ACTIVE} && [ "$now" = tty1 ]') == 0,
                f"{keys} switched terminals")
    t.unlock()
    t.wait_up()
    press(t, "ctrl", "alt", "delete")
    press(t, "alt", "f2")
    t.check(t.guest.output(f"cat {ACTIVE}").strip() == "tty2",
            "no other terminal after the disk is unlocked")
    press(t, "alt", "f1")
    now = gate.require_up(t)
    t.check([(e["verdict"], e["reason"]) for e in now["log"]] == [
        ("refused", "it has to type the number on the screen"),
        ("admitted", "allowed")], f"log: {now['log']}")
    t.say("unplugged and plugged in again: it is known")
    t.qmp.unplug("kbd")
    t.check(t.guest.until("gatekeeper status --log | grep -q 'gone: unplugged'",
                          t.left(30)), "not seen to go")
    t.qmp.plug("usb-kbd", id="kbd", bus="xhci0.0", port="1")
    t.check(t.guest.until("gatekeeper status | grep -q '^port 1-1 .*: admitted'",
                          t.left(30)), f"back, but {gate.devices(t)}")
    sha256 = gate.devices(t)[0]["sha256"]
    for path in ("/run/gatekeeper/keyboards", "/var/lib/gatekeeper/keyboards"):
        t.check(t.guest.until(f"grep -qx '1-1 {sha256}' {path}", t.left(40)),
                f"it is not in {path}")
    t.login()
