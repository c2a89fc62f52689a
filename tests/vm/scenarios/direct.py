# SPDX-License-Identifier: GPL-2.0-or-later
"""dom0 drives USB itself: the floor that the gate is measured against."""
import re

from harness.registry import scenario
from harness.test import Test


def stamp(log, pattern):
    """Milliseconds of the first kernel line that matches."""
    for line in log.splitlines():
        match = re.match(r"\[ *(\d+\.\d+)\] (.*)", line)
        if match and re.search(pattern, match[2]):
            return float(match[1]) * 1000
    return None


@scenario("direct", dom0_usb=True, alone=True)
def direct(t: Test):
    """rd.gatekeeper=0: dom0 drives the controller, as if the module were not there."""
    t.boot(args="rd.gatekeeper=0")
    t.metrics["prompt_ms"] = t.wait_prompt()
    t.qmp.screenshot(t.out / "prompt.png")
    t.unlock()
    t.wait_up()
    t.login()
    log = t.guest.output("dmesg", 60)
    # From the first line the host driver prints when it has a controller to
    # the registered keyboard.
    start = stamp(log, r"xhci_hcd .*: xHCI Host Controller")
    ready = stamp(log, r"^input: .*USB Keyboard")
    t.check(start and ready, "no controller or keyboard in dom0's kernel log")
    t.metrics["direct_keyboard_ready_ms"] = round(ready - start)
    t.check(not t.guest.ok("pgrep -x gatekeeperd"), "gatekeeperd runs")
