# SPDX-License-Identifier: GPL-2.0-or-later
"""Run commands in dom0 through the agent on its second serial line."""
import base64
import itertools
import json
import shlex
import threading
import zlib

from . import paths
from .serial import Timeout


class GuestError(Exception):
    pass


class Guest:
    def __init__(self, side):
        self.side = side
        self.ids = itertools.count(1)
        self.lock = threading.Lock()

    def wait_agent(self, timeout):
        return self.side.wait("GKAGENT", timeout)[0]

    def run(self, command, timeout=30, check=True):
        """(status, output) of a shell command in dom0's real root."""
        with self.lock:
            return self._run(command, timeout, check)

    def _run(self, command, timeout, check):
        number = next(self.ids)
        line = f"GKRUN {number} {timeout} {base64.b64encode(command.encode()).decode()}\n"
        for attempt in range(3):
            mark = self.side.mark()
            self.side.send(line)
            try:
                _, end = self.side.wait(rf"^GKEND {number} (\d+) (-?\d+)$",
                                        timeout + 20, mark)
            except Timeout:
                if attempt == 2:
                    raise
                continue
            output = self._collect(number, int(end[1]), mark)
            if output is not None:
                break
        else:
            raise GuestError(f"the answer to {command!r} was damaged three times")
        text = output.decode("utf-8", "replace")
        status = int(end[2])
        if check and status:
            raise GuestError(f"in dom0: {command!r} gave {status}: {text[-2000:]}")
        return status, text

    def _collect(self, number, parts, mark):
        found = {}
        for line in self.side.text(mark).splitlines():
            word = line.split()
            if len(word) == 5 and word[0] == "GKPART" and word[1] == str(number):
                if word[3] == str(zlib.crc32(word[4].encode())):
                    found[int(word[2])] = base64.b64decode(word[4])
        if set(found) != set(range(parts)):
            return None
        return zlib.decompress(b"".join(found[n] for n in range(parts)))

    def output(self, command, timeout=30):
        return self.run(command, timeout)[1]

    def script(self, name, *args, timeout=60):
        """The output of a Python program of tests/vm/dom0-scripts/, run in dom0."""
        text = (paths.VM / "dom0-scripts" / name).read_text()
        return self.output(f"python3 - {shlex.join(args)} <<'END'\n{text}\nEND", timeout)

    def json(self, command, timeout=30):
        return json.loads(self.output(command, timeout))

    def ok(self, command, timeout=30):
        return self.run(command, timeout, check=False)[0] == 0

    def until(self, command, timeout, every=0.5):
        """Ask until the command succeeds; the guest does the waiting."""
        loop = (f"end=$((SECONDS + {int(timeout)})); "
                f"until ( {command} ) >/dev/null 2>&1; do "
                f"[ $SECONDS -lt $end ] || exit 1; sleep {every}; done")
        return self.run(loop, timeout + 10, check=False)[0] == 0


class Events:
    """The watcher's lines: what happened in the initramfs and when, guest time."""

    def __init__(self, side):
        self.side = side

    def all(self):
        found = []
        for when, line in list(self.side.lines):
            word = line.split(" ", 3)
            if len(word) == 4 and word[0] == "GKTEST" and word[2].isdigit():
                try:
                    found.append((word[1], int(word[2]), json.loads(word[3]), when))
                except ValueError:
                    pass
        return found

    def first(self, what, **match):
        for name, ms, data, _ in self.all():
            if name == what and all(data.get(k) == v for k, v in match.items()):
                return ms, data
        return None

    def wait(self, what, timeout, since=0, pattern=""):
        """Guest ms and data of the next such line."""
        _, match = self.side.wait(rf"^GKTEST {what} (\d+) (.*{pattern}.*)$",
                                  timeout, since)
        return int(match[1]), json.loads(match[2])
