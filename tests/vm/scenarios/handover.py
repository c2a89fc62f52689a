# SPDX-License-Identifier: GPL-2.0-or-later
"""From the gate to sys-usb."""
import json

from harness import gate
from harness.registry import scenario
from harness.test import Test

CONFIG = "/etc/xen/sys-usb.cfg"
CONSOLE = "/var/log/xen/console/guest-sys-usb.log"


def to_real_root(t: Test, **machine):
    t.boot(**machine)
    t.wait_prompt()
    gate.wait_keyboard(t)
    t.unlock()
    t.wait_up()
    gate.require_up(t)
    t.check(t.guest.until("systemctl is-active xen.service", 60),
            "xen.service is not up")


def hand_over(t: Test, *options):
    """gatekeeper handoff; (status, its JSON lines)."""
    t.doing("handing the controllers over")
    status, out = t.guest.run(f"gatekeeper handoff --to-config {CONFIG} --json "
                              + " ".join(options), timeout=120, check=False)
    (t.out / "handoff.txt").write_text(out)
    steps = []
    for line in out.splitlines():
        try:
            steps.append(json.loads(line))
        except ValueError:
            pass
    return status, steps


def arrived(t: Test):
    """The keyboard is enumerated in sys-usb, the gate is gone."""
    t.doing("waiting for sys-usb")
    t.check(t.guest.until(f"grep -q 'SYSUSB input .*Keyboard' {CONSOLE}", 90),
            "sys-usb shows no keyboard: " + t.guest.output(f"tail -5 {CONSOLE}; true"))
    domains = t.guest.output("xl list")
    t.check("sys-usb" in domains, f"no sys-usb: {domains}")
    t.check("gate" not in domains, f"the gate is still there: {domains}")
    t.say("sys-usb drives the controllers and shows the keyboard")


@scenario("handoff", timeout=360, alone=True)
def handoff(t: Test):
    """Controllers to sys-usb; xl works from the real root; clean reboot."""
    to_real_root(t)
    gate.measure(t)
    domains = t.guest.output("xl list")
    t.check("gate" in domains, f"the gate is not in xl list: {domains}")
    t.guest.run("xl pci-assignable-list")
    t.check(t.guest.output("pgrep -c -x 'xenstored|oxenstored'").strip() == "1",
            "not exactly one xenstored")
    status, steps = hand_over(t)
    t.check(status == 0, f"handoff failed: {steps[-2:]}")
    arrived(t)
    t.say("another domain: create, list, destroy")
    t.guest.run("sed 's/sys-usb\"/other\"/; s/^memory.*/memory=200/; s/^maxmem.*//' "
                f"{CONFIG} >/tmp/other.cfg && xl create -q /tmp/other.cfg && "
                "xl list other && xl destroy other", 60)
    t.guest.run("xl shutdown -w sys-usb", 60)
    t.reboot()


@scenario("no-reset", timeout=360)
def no_reset(t: Test):
    """A controller without a reset: refused, unless told, and then logged."""
    to_real_root(t, bare_controller=True)
    status, steps = hand_over(t)
    t.check(status == 1, f"handoff was not refused: {status} {steps}")
    t.check("reset" in json.dumps(steps), f"the reason is not named: {steps}")
    t.say("refused; the gate must still have the keyboard")
    t.check(t.guest.until("gatekeeper status --json | grep -q '\"state\":\"up\"'", 40),
            "the gate is not up after the refusal")
    t.login()
    status, steps = hand_over(t, "--no-strict-reset")
    t.check(status == 0, f"handoff with the option failed: {steps[-2:]}")
    t.check(t.guest.ok("journalctl -b --no-pager -o cat | grep -i tainted"),
            "the journal does not say tainted")
    t.check(t.guest.ok("test -s /run/gatekeeper/tainted"), "no list of tainted ones")
    arrived(t)
