# SPDX-License-Identifier: GPL-2.0-or-later
"""What a scenario gets to work with: its VM, and the steps most of them share."""
import dataclasses
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from . import checks, paths, secrets
from .control import Control
from .guest import Events, Guest, GuestError
from .qemu import Machine, Vm
from .screen import Screen
from .serial import Timeout


class Failed(Exception):
    """A check of a scenario did not hold."""


class Skip(Exception):
    """This scenario cannot run here; the text says why."""


PROMPT = r"(?i)(passphrase for |password \(/dev)"


class Test:
    def __init__(self, scenario, out, progress, options):
        self.scenario = scenario
        self.out = out
        self.progress = progress
        self.options = options
        self.metrics = {}
        self.vm = self.guest = self.events = self.screen = None
        self.qmp = None
        self.run_dir = None
        self.boots = 0
        self.agent_up = False
        self.sysfs, self.dmesg = "", None
        self.header = checks.luks_header(paths.DISK)
        self.deadline = time.monotonic() + scenario.timeout
        self.cleanups = []

    # Progress and checks

    def say(self, text):
        self.progress.say(text)

    def doing(self, text):
        self.progress.doing(text)

    def check(self, holds, text):
        if not holds:
            raise Failed(text)

    def left(self, most):
        """Seconds to wait at most: never past the scenario's own limit."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise Failed(f"the scenario's {self.scenario.timeout} s are over")
        return min(most, left)

    # Booting

    def boot(self, **machine):
        """Start the VM; logs of a second boot go to names with its number."""
        choice = Machine(**machine)
        redirs = []
        for name, socket_path in self.options.usbredir:
            redirs += ["-chardev", f"socket,id={name},path={socket_path}",
                       "-device", f"usb-redir,id={name}-dev,chardev={name},bus=xhci0.0"]
        if self.options.args:
            choice = dataclasses.replace(
                choice, args=f"{choice.args} {self.options.args}")
        if self.options.guest_log:
            choice = dataclasses.replace(choice, args=choice.args + (
                " systemd.journald.forward_to_console=1 "
                "systemd.journald.tty_path=/dev/hvc0 rd.info"))
        choice = dataclasses.replace(choice, extra=tuple(choice.extra) + tuple(redirs))
        if self.options.jobs > 1:
            choice = dataclasses.replace(choice, cpus=1)
        self.stop()
        self.boots += 1
        self.agent_up = False
        out = self.out if self.boots == 1 else self.out / f"boot{self.boots}"
        out.mkdir(exist_ok=True)
        self.boot_out = out
        self.run_dir = Path(tempfile.mkdtemp(prefix="gkvm-"))
        self.doing("starting Xen")
        self.progress.restart()
        self.vm = Vm(choice, out, self.run_dir)
        self.qmp = self.vm.qmp
        self.guest = Guest(self.vm.side)
        self.events = Events(self.vm.side)
        self.screen = Screen(self.qmp, self.run_dir)
        link = self.out / "run"
        link.unlink(missing_ok=True)
        link.symlink_to(self.run_dir)
        self.control = Control(self.run_dir / "control", self)
        return self.vm

    def wait_initramfs(self, timeout=90):
        self.doing("booting Xen and dom0's kernel")
        seen = self.events.first("start")
        if seen:
            return seen[0]
        ms, _ = self.events.wait("start", self.left(timeout))
        self.say(f"dom0 is in its initramfs (guest time {ms / 1000:.1f} s)")
        return ms

    def wait_prompt(self, timeout=120):
        """The passphrase prompt is on the screen. Guest ms at which it was asked."""
        self.wait_initramfs(timeout)
        self.doing("waiting for the passphrase prompt")
        mark = 0
        ms, data = self.events.wait("prompt", self.left(timeout), mark)
        if data["by"] == "systemd" and self.vm.machine.variant != "plymouth":
            self.screen.wait(PROMPT, self.left(30))
        else:
            time.sleep(2)
        time.sleep(0.5)
        (self.boot_out / "prompt.txt").write_text(self.screen.text())
        self.say(f"passphrase prompt (guest time {ms / 1000:.1f} s)")
        return ms

    def sleep(self, seconds):
        time.sleep(self.left(seconds))

    def type(self, text, rate=20.0, **how):
        return self.qmp.type(text, rate, **how)

    def unlock(self, passphrase=secrets.SIMPLE, rate=20.0, timeout=60, **how):
        """Type it and Enter; the root must open. Sets unlock_ms."""
        self.say(f"typing {len(passphrase)} characters and Enter")
        self.type(passphrase + "\n", rate, **how)
        self.doing("unlocking")
        ms, _ = self.events.wait("unlocked", self.left(timeout))
        entered = [when for what, when, _, _ in self.events.all()
                   if what == "enter" and when <= ms]
        if entered:
            self.metrics["unlock_ms"] = ms - entered[-1]
        self.say("the disk is unlocked")
        return ms

    def wait_agent(self, timeout=150):
        self.doing("booting the real root")
        self.guest.wait_agent(self.left(timeout))
        self.agent_up = True
        self.say("the real root is up")

    def wait_up(self, timeout=150):
        """The system is up to its login prompt on tty1."""
        if not self.agent_up:
            self.wait_agent(timeout)
        self.doing("starting the system")
        self.check(self.guest.until("systemctl is-active getty@tty1.service",
                                    self.left(timeout)), "no login prompt on tty1")
        self.screen.wait(r"dom0 login:", self.left(60))
        self.say("login prompt")

    def login(self, layout=None):
        """Log in on tty1 with the keyboard, and see that it worked."""
        how = {"layout": layout} if layout else {}
        self.doing("logging in on tty1")
        for attempt in range(2):
            self.qmp.type("root\n", 10, **how)
            try:
                self.screen.wait(r"Password:", self.left(30))
                break
            except Timeout:
                if attempt:
                    raise
        time.sleep(0.5)
        self.qmp.type(secrets.ROOT_PASSWORD + "\n", 10, **how)
        self.check(self.guest.until("pgrep -t tty1 -x bash", self.left(40)),
                   "login on tty1 did not work")
        self.say("logged in on tty1 with the USB keyboard")

    def reboot(self, timeout=120):
        """Ask for a reboot; it has to come to its end by itself."""
        self.doing("rebooting")
        self.collect(passed=True)
        start = time.monotonic()
        self.guest.run("systemctl --no-block reboot")
        self.check(self.vm.wait_exit(self.left(timeout)),
                   f"no reboot within {timeout} s")
        self.say(f"clean reboot in {time.monotonic() - start:.0f} s")
        self.metrics["reboot_s"] = round(time.monotonic() - start, 1)

    # The initramfs

    def initramfs_with(self, files, variant="systemd"):
        """The variant's initramfs with other files: a second archive at its end
        replaces them (None: nothing there). Returns its path."""
        tree = Path(tempfile.mkdtemp(prefix="gkvm-"))
        self.cleanups.append(lambda: shutil.rmtree(tree, ignore_errors=True))
        for name, data in files.items():
            path = tree / "root" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if data is None:
                path.symlink_to("/nonexistent")
            else:
                path.write_bytes(data)
                path.chmod(0o755)
        names = "\n".join(str(p.relative_to(tree / "root"))
                          for p in sorted((tree / "root").rglob("*"))) + "\n"
        more = subprocess.run(["cpio", "--quiet", "-o", "-H", "newc", "--owner=0:0"],
                              cwd=tree / "root", input=names.encode(),
                              stdout=subprocess.PIPE, check=True).stdout
        image = tree / "initramfs.img"
        data = paths.initramfs(variant).read_bytes()
        image.write_bytes(data + b"\0" * (-len(data) % 512) + more)
        return image

    def early(self, command, timeout=30):
        """Run a command in the initramfs, by the watcher. Its exit status."""
        mark = self.vm.side.mark()
        self.vm.side.send(f"GKSH {command}\n")
        return self.events.wait("sh", self.left(timeout), mark)[1]["status"]

    # The end of a scenario

    def collect(self, passed=False):
        """Keep dom0's own logs, if it is up; of a scenario that passed, what the checks
        of every scenario need."""
        self.sysfs, self.dmesg = "", None
        if self.vm.process.poll() is not None:
            return
        if not self.agent_up:
            if not passed:
                self.collect_early()
            return
        try:
            self.dmesg, _, self.sysfs = self.guest.output(
                f"dmesg; echo =====; {checks.SYSFS}", 60).partition("=====\n")
            (self.boot_out / "dmesg.txt").write_text(self.dmesg)
            if passed:
                return
            journal = self.guest.output("journalctl -b --no-pager -o short-monotonic", 60)
            (self.boot_out / "journal.txt").write_text(journal)
            consoles = self.guest.output("cd /var/log/xen && tail -n 400 "
                                         "console/*.log xl-*.log 2>/dev/null; true")
            (self.boot_out / "guests.txt").write_text(consoles)
        except (GuestError, Timeout) as error:
            self.progress.line(f"  (dom0's logs could not be read: {error})")

    def collect_early(self):
        """The same from the initramfs, into side.log, if its watcher still runs: once
        the disk is open it may end at any moment."""
        if self.events.first("unlocked") or not self.events.first("start"):
            return
        try:
            mark = self.vm.side.mark()
            self.early("gatekeeper status --json; journalctl -b --no-pager "
                       "-o short-monotonic _TRANSPORT=stdout + _TRANSPORT=syslog + "
                       "_TRANSPORT=journal || dmesg", 40)
            (self.boot_out / "initramfs.txt").write_text(self.vm.side.text(mark))
        except (Failed, Timeout) as error:
            self.progress.line(f"  (the initramfs's logs could not be read: {error})")

    def check_always(self):
        """See checks.py; after a scenario that did what it was to do."""
        if self.vm is None:
            return
        if self.dmesg is None:
            self.collect(passed=True)
        console = re.sub(r"(?m)^\(XEN\).*$", "", self.vm.console.text())
        log = self.dmesg if self.dmesg is not None else console
        events = self.events.all()
        if not self.scenario.dom0_usb:
            self.metrics["dom0_usb_devices_seen"] = checks.usb_devices_in(log)
            problems = checks.dom0_usb_problems(log, events, self.sysfs)
            self.check(not problems, "dom0 drove USB: " + "; ".join(problems[:5]))
        if not self.scenario.faults:
            bad = [line for line in self.vm.stderr().splitlines()
                   if "vtd_iommu_translate" in line]
            self.check(not bad, f"DMA faults: {bad[:2]}")
        overlay = self.vm.overlay
        self.stop()
        self.check(checks.luks_header(overlay) == self.header,
                   "the LUKS header of the disk has changed")

    def screenshot(self, name):
        try:
            self.qmp.screenshot(self.out / name)
        except Exception:
            pass

    def stop(self):
        if self.vm:
            self.vm.stop()
            self.control.close()

    def close(self):
        for cleanup in reversed(self.cleanups):
            cleanup()
        self.stop()
        (self.out / "run").unlink(missing_ok=True)
        if self.run_dir:
            shutil.rmtree(self.run_dir, ignore_errors=True)
