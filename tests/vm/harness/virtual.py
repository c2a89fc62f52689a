# SPDX-License-Identifier: GPL-2.0-or-later
"""A virtual USB device of tests/devices/, on usbredir, driven by a scenario."""
import subprocess

from . import paths

PROGRAM = paths.TOP / "build/tests/gk-usb-device"


class VirtualDevice:
    """Serves before the VM starts; qemu() is what makes QEMU plug it in."""

    def __init__(self, t, kind, *options, port=None):
        self.socket = t.out / f"{kind}.usb"
        self.socket.unlink(missing_ok=True)
        self.port = port
        self.name = kind.replace("-", "")
        # The scenario's own thread starts it: the program ends with that thread.
        self.process = subprocess.Popen(
            [PROGRAM, kind, "--listen", str(self.socket), *options], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=(t.out / f"{kind}.log").open("w"))
        t.cleanups.append(self.close)
        line = self.process.stdout.readline().strip()
        t.check(line.startswith("ready"), f"{kind}: {line!r}")

    def qemu(self):
        place = f",port={self.port}" if self.port else ""
        return ("-chardev", f"socket,id={self.name}c,path={self.socket}",
                "-device", f"usb-redir,id={self.name},chardev={self.name}c,"
                           f"bus=xhci0.0{place}")

    def do(self, line):
        """One script command; its answer. `type` answers when it has been read."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer.startswith("ok"):
            raise AssertionError(f"{self.name}: {line}: {answer}")
        return answer

    def close(self):
        self.process.kill()
        self.process.wait(10)
