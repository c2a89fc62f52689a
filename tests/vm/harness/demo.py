# SPDX-License-Identifier: GPL-2.0-or-later
"""The main job, to watch: from power-on to the controllers in sys-usb."""
import argparse
import os
import shutil
import sys
import threading
import time
import traceback

from . import gate, paths, report, timeline
from .build import BuildError, Builder, locked
from .progress import Progress
from .registry import Scenario
from .report import Result
from .test import Test

OUT = paths.TOP / "build" / "demo"
CONSOLE = "/var/log/xen/console/guest-sys-usb.log"

WORDS = {
    "keyboard_ready_ms": "controllers taken -> usable keyboard",
    "gate_create_ms": "xl create of the gate",
    "gate_ready_ms": "gate created -> its first message",
    "prompt_delay_ms": "what the prompt waited for the gate",
    "unlock_ms": "Enter -> disk open",
    "gate_memory_kib": "memory of the gate (KiB)",
    "gate_image_bytes": "kernel and image of the gate (bytes)",
    "dom0_usb_devices_seen": "USB devices that dom0's kernel saw",
}


class Commentary:
    """Says what the guest tells of, as it happens."""

    def __init__(self, test):
        self.test = test
        self.said = set()
        self.stop = threading.Event()
        test.vm.side.listeners.append(self.line)
        self.thread = threading.Thread(target=self.watch_screen, daemon=True)
        self.thread.start()

    def line(self, _when, text):
        word = text.split(" ", 3)
        if len(word) < 4 or word[0] != "GKTEST":
            return
        if word[1] == "driver" and '"pciback"' in word[3]:
            self.test.say("xen-pciback holds USB controller " + word[3].split('"')[3])
        if word[1] == "input" and "atekeeper" in word[3]:
            self.test.say("dom0 has its virtual keyboard")
        if word[1] == "switch-root":
            self.test.say("switching to the encrypted root")

    def watch_screen(self):
        """What the gate says on the screen, once each."""
        while not self.stop.wait(1.0):
            try:
                text = self.test.screen.text()
            except Exception:
                return
            for line in text.splitlines():
                if line.startswith("USB Gatekeeper: ") and line not in self.said:
                    self.said.add(line)
                    self.test.say(f"on the screen: {line}")

    def end(self):
        self.stop.set()
        self.thread.join(5)


def uptime(t):
    return round(float(t.guest.output("cut -d' ' -f1 /proc/uptime")) * 1000)


def unit_ms(t, unit, what):
    text = t.guest.output(f"systemctl show -P {what}TimestampMonotonic {unit}").strip()
    return int(text) // 1000 if text.isdigit() and int(text) else None


def job(t, rows):
    stick = OUT / "stick.img"
    with open(stick, "wb") as image:
        image.truncate(1 << 20)
    t.boot(args="quiet systemd.wants=gatekeeper-handoff.service",
           devices=("usb-kbd,id=kbd,bus=xhci0.0,port=1",
                    "usb-storage,id=disk0,drive=stick0,bus=xhci0.0,port=2"),
           extra=("-drive", f"if=none,id=stick0,format=raw,readonly=on,file={stick}"))
    commentary = Commentary(t)
    started = t.wait_initramfs()
    prompt = t.wait_prompt()
    gate.wait_keyboard(t)
    t.sleep(1)
    t.qmp.screenshot(OUT / "prompt.png")
    unlocked = t.unlock()
    t.wait_up(200)
    t.doing("handing the controllers to sys-usb")
    t.check(t.guest.until("systemctl is-active gatekeeper-handoff.service", 150),
            "the handover did not end: " + t.guest.run(
                "systemctl status gatekeeper-handoff.service", check=False)[1])
    t.say("the controllers are handed over")
    t.doing("sys-usb boots and looks for the keyboard")
    t.check(t.guest.until(f"grep -q 'SYSUSB input .*Keyboard' {CONSOLE}", 120),
            "sys-usb does not show the keyboard")
    arrived = uptime(t)
    domains = t.guest.output("xl list")
    t.check("gatekeeper-gate" not in domains, "the gate is still there")
    t.say("sys-usb says: " + t.guest.output(
        f"grep 'SYSUSB input' {CONSOLE} | tail -1").strip())
    status = gate.measure(t)
    now = status["times_ms"]
    entered = [ms for what, ms, _, _ in t.events.all() if what == "enter"]
    switch = t.events.first("switch-root")
    handoff = [unit_ms(t, "gatekeeper-handoff.service", w)
               for w in ("InactiveExit", "ActiveEnter")]
    rows += [
        ("Xen, dom0's kernel", "dom0", 0, started),
        ("controllers taken", "gate", now["unit_start"], None),
        ("xl create", "gate", now["create_start"], now["create_done"]),
        ("gate boots, says HELLO", "gate", now["create_done"], now["hello"]),
        ("keyboard admitted", "gate", now["keyboard"], None),
        ("passphrase prompt", "dom0", prompt, entered[-1] if entered else None),
        ("Enter", "person", entered[-1] if entered else None, None),
        ("disk open", "dom0", unlocked, None),
        ("real root", "dom0", switch[0] if switch else None, None),
        ("login prompt", "dom0", unit_ms(t, "getty@tty1.service", "ActiveEnter"), None),
        ("handover to sys-usb", "sys-usb", *handoff),
        ("keyboard in sys-usb", "sys-usb", arrived, None),
    ]
    t.screenshot("end.png")
    commentary.end()
    t.doing("checking dom0's log")
    t.check_always()


def table(progress, metrics):
    progress.line()
    for name, words in WORDS.items():
        if name in metrics:
            unit = " ms" if name.endswith("_ms") else ""
            progress.line(f"  {words:44} {metrics[name]:>10}{unit}")


def main():
    parser = argparse.ArgumentParser(prog="tests/vm/demo", description=__doc__)
    parser.add_argument("--no-build", action="store_true")
    opts = parser.parse_args()
    opts.usbredir, opts.guest_log, opts.args, opts.jobs = [], False, "", 1
    progress = Progress()
    progress.line("USB Gatekeeper: the whole way in a virtual machine "
                  "(real Xen, emulated CPU and USB)")
    try:
        if not opts.no_build:
            progress.doing("building")
            Builder(lambda text: progress.line(f"  {text}"), True).all(("systemd",))
    except BuildError as error:
        progress.close()
        sys.exit(f"tests/vm/demo: {error}")
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    scenario = Scenario("demo", job, "the main job", 420, False, False, ())
    test = Test(scenario, OUT, progress, opts)
    rows, result = [], Result("demo", "passed", metrics=test.metrics)
    start = time.monotonic()
    try:
        with locked("run", progress.line):
            job(test, rows)
    except Exception as why:
        result.status, result.reason = "failed", str(why)
        (OUT / "traceback.txt").write_text(traceback.format_exc())
        if test.vm:
            test.screenshot("end.png")
            test.agent_up = test.vm.side.find("GKAGENT") is not None
            test.collect()
    test.close()
    progress.doing("")
    result.seconds = time.monotonic() - start
    report.write(OUT / "report.json", [result])
    if rows:
        (OUT / "timeline.svg").write_text(timeline.svg(
            "A boot with USB Gatekeeper, in software emulation", rows))
        table(progress, test.metrics)
    progress.line()
    where = os.path.relpath(OUT)
    if result.status == "passed":
        progress.line(f"  {where}/prompt.png    the passphrase prompt")
        progress.line(f"  {where}/timeline.svg  the boot as a picture")
        progress.line(f"  {where}/report.json   the times, for programs")
    else:
        progress.line(f"  FAILED: {result.reason}")
        progress.line(f"  logs: {where}/")
    progress.close()
    print(report.summary([result]))
    sys.exit(0 if result.status == "passed" else 1)


if __name__ == "__main__":
    main()
