# SPDX-License-Identifier: GPL-2.0-or-later
"""One VM: Xen, a PV dom0 and its controllers, in software emulation."""
import shlex
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import paths, secrets
from .qmp import Qmp
from .serial import Serial


@dataclass
class Machine:
    """What a scenario may choose about its VM."""

    variant: str = "systemd"            # which initramfs
    args: str = ""                      # more arguments for dom0's kernel
    xen_args: str = ""
    cpus: int = 2
    memory: int = 2048                  # MiB of the VM
    dom0_memory: int = 1024             # MiB of dom0
    iommu: bool = True
    controllers: int = 1                # xHCI, each behind its own root port
    bare_controller: bool = False       # directly on pcie.0: it has no reset
    extra_controllers: tuple = ()       # further -device, e.g. EHCI
    devices: tuple = ("usb-kbd,id=kbd,bus=xhci0.0",)
    ps2: bool = False                   # a PS/2 keyboard besides
    initramfs: Path = None              # instead of the variant's
    disk: Path = None                   # instead of the one all share; kept as it is
    timeout: int = 30                   # rd.gatekeeper.timeout, seconds
    gate_args: bool = True
    extra: tuple = field(default_factory=tuple)     # raw QEMU arguments


def overlay(disk, path):
    """A disk that reads from another one and keeps what is written to itself."""
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2",
                    "-b", str(disk), str(path)], check=True)


def command_line(machine, run_dir, disk):
    """QEMU's arguments. SMAP must be off: a PV dom0 faults under TCG with it."""
    controller = []
    if machine.bare_controller:
        controller += ["-device", "qemu-xhci,id=xhci0,bus=pcie.0,addr=0x10,p2=8,p3=8"]
    else:
        for n in range(machine.controllers):
            port = f"pcie-root-port,id=rp{n},slot={n + 1},chassis={n + 1}"
            controller += ["-device", port, "-device", f"qemu-xhci,id=xhci{n},bus=rp{n},p2=8,p3=8"]
    for device in machine.extra_controllers:
        controller += ["-device", device]
    for device in machine.devices:
        controller += ["-device", device]
    dom0 = " ".join(filter(None, [
        "console=hvc0 console=tty0",
        f"rd.luks.uuid={secrets.LUKS_UUID}",
        f"root=/dev/mapper/{secrets.LUKS_NAME}",
        "rootfstype=ext4 ro rd.luks.options=timeout=0",
        "rd.timeout=300 mitigations=off cryptomgr.notests log_buf_len=4M printk.devkmsg=on panic=5 fsck.mode=skip",
        "" if machine.variant == "plymouth" else "plymouth.enable=0",
        f"rd.gatekeeper.timeout={machine.timeout}" if machine.gate_args else "",
        machine.args]))
    image = machine.initramfs or paths.initramfs(machine.variant)
    # xsave=0: emulated XSAVE loses vector registers now and then when Xen switches
    # between domains; seen as a crash of some process in memory it never wrote.
    xen = (f"console=com1 com1=115200,8n1 dom0_mem={machine.dom0_memory}M,"
           f"max:{machine.dom0_memory}M xsave=0 loglvl=info guest_loglvl=info "
           f"spec-ctrl=no xpti=no {machine.xen_args}").strip()
    iommu = (["-device", "intel-iommu,intremap=on,aw-bits=48"]
             if machine.iommu else [])
    return [
        "qemu-system-x86_64", "-M", f"q35,i8042={'on' if machine.ps2 else 'off'}",
        "-cpu", "max,-smap,-svm", "-accel", "tcg,thread=multi", "-smp", str(machine.cpus),
        "-m", str(machine.memory), *iommu, *controller,
        "-nodefaults", "-vga", "std", "-display", "none", "-no-reboot",
        "-drive", f"if=none,id=disk,format=qcow2,cache=unsafe,file={disk}",
        "-device", "ide-hd,drive=disk,bus=ide.0",
        "-chardev", f"socket,id=com1,path={run_dir}/com1,server=on,wait=off",
        "-chardev", f"socket,id=com2,path={run_dir}/com2,server=on,wait=off",
        "-device", "isa-serial,chardev=com1,index=0",
        "-device", "isa-serial,chardev=com2,index=1",
        "-qmp", f"unix:{run_dir}/qmp,server=on,wait=off",
        "-kernel", str(paths.xen()), "-append", xen,
        # A comma is what parts the modules.
        "-initrd", f"{paths.kernel()} {dom0.replace(',', ',,')},{image}",
        *machine.extra,
    ]


class Vm:
    """A running VM; its logs are in `out`, its sockets in `run_dir`."""

    def __init__(self, machine, out, run_dir):
        self.machine = machine
        self.out = out
        self.overlay = run_dir / "disk.qcow2"
        overlay(machine.disk or paths.DISK, self.overlay)
        command = command_line(machine, run_dir, self.overlay)
        (out / "qemu-command.txt").write_text(shlex.join(command) + "\n")
        self.stderr_path = out / "qemu-stderr.log"
        self.start = time.monotonic()
        with open(self.stderr_path, "wb") as stderr:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                            stdout=stderr, stderr=stderr)
        self._wait_sockets(run_dir)
        self.console = Serial(run_dir / "com1", out / "console.log", self.start)
        self.side = Serial(run_dir / "com2", out / "side.log", self.start)
        self.qmp = Qmp(run_dir / "qmp")

    def _wait_sockets(self, run_dir):
        end = time.monotonic() + 20
        while time.monotonic() < end:
            if all((run_dir / name).exists() for name in ("com1", "com2", "qmp")):
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        self.process.kill()
        raise RuntimeError("QEMU did not start: "
                           + self.stderr_path.read_text(errors="replace")[-2000:])

    def seconds(self):
        return time.monotonic() - self.start

    def stderr(self):
        return self.stderr_path.read_text(errors="replace")

    def last_lines(self, count=12):
        """The end of the console, and of QEMU itself if it ended."""
        lines = self.console.text().splitlines()[-count:]
        if self.process.poll() is not None:
            lines.append(f"QEMU ended with {self.process.returncode} "
                         + self.stderr().strip()[-500:])
        return tuple(lines)

    def wait_exit(self, timeout):
        """True when QEMU ended by itself (-no-reboot: the VM rebooted)."""
        try:
            self.process.wait(timeout)
            return True
        except subprocess.TimeoutExpired:
            return False

    def stop(self):
        if self.process.poll() is None:
            try:
                self.qmp.run("quit")
                self.process.wait(10)
            except Exception:
                self.process.kill()
                self.process.wait(10)
        self.console.close()
        self.side.close()
