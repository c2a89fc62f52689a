# SPDX-License-Identifier: GPL-2.0-or-later
"""A virtual USB device of tests/devices/, on usbredir, driven by a scenario."""
import select
import subprocess

from . import paths

PROGRAM = paths.TOP / "build/tests/gk-usb-device"


class VirtualDevice:
    """Serves from the start; qemu() or attach() is what makes QEMU plug it in."""

    def __init__(self, t, kind, *options, port=None, name=None):
        self.kind = kind
        self.t = t
        name = name or kind
        self.socket = t.out / f"{name}.usb"
        self.socket.unlink(missing_ok=True)
        self.port = port
        self.name = name.replace("-", "")
        # The scenario's own thread starts it: the program ends with that thread.
        self.process = subprocess.Popen(
            [PROGRAM, kind, "--listen", str(self.socket), *options], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=(t.out / f"{name}.log").open("w"))
        t.cleanups.append(self.close)
        line = self.process.stdout.readline().strip()
        t.check(line.startswith("ready"), f"{kind}: {line!r}")

    def qemu(self):
        place = f",port={self.port}" if self.port else ""
        return ("-chardev", f"socket,id={self.name}c,path={self.socket}",
                "-device", f"usb-redir,id={self.name},chardev={self.name}c,"
                           f"bus=xhci0.0{place}")

    def attach(self, port, bus="xhci0.0"):
        """Into a port of the running VM."""
        self.port = port
        self.t.qmp.run("chardev-add", id=f"{self.name}c", backend={
            "type": "socket", "data": {"server": False, "addr": {
                "type": "unix", "data": {"path": str(self.socket)}}}})
        self.t.qmp.plug("usb-redir", id=self.name, chardev=f"{self.name}c", bus=bus,
                        port=str(port))

    def detach(self):
        self.t.qmp.unplug(self.name)

    def do(self, line, timeout=60):
        """One script command; its answer. `type` answers when it has been read."""
        self.tell(line)
        answer = self.answer(timeout)
        if not answer.startswith("ok"):
            raise AssertionError(f"{self.name}: {line}: {answer}")
        return answer

    def tell(self, line):
        """A command whose answer is read later, or never."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answer(self, timeout=60):
        if not select.select([self.process.stdout], [], [], timeout)[0]:
            raise AssertionError(f"{self.name}: no answer within {timeout} s")
        return self.process.stdout.readline().strip()

    def close(self):
        self.process.kill()
        self.process.wait(10)
