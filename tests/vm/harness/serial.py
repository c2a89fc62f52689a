# SPDX-License-Identifier: GPL-2.0-or-later
"""A serial line of the VM: a UNIX socket, read by a thread, logged with times."""
import re
import socket
import threading
import time


class Timeout(Exception):
    pass


class Serial:
    """Lines are kept with the host's time of arrival; waiting is by pattern."""

    def __init__(self, path, log_path, start):
        self.start = start
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(path))
        self.log = open(log_path, "w", encoding="utf-8", errors="replace")
        self.lines = []          # (seconds since start, text)
        self.partial = ""
        self.closed = False
        self.listeners = []
        self.changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        data = b""
        while True:
            try:
                more = self.sock.recv(65536)
            except OSError:
                more = b""
            if not more:
                break
            now = time.monotonic() - self.start
            data += more
            *lines, data = data.split(b"\n")
            with self.changed:
                for raw in lines:
                    line = raw.decode("utf-8", "replace").strip("\r")
                    self.lines.append((now, line))
                    self.log.write(f"[{now:8.3f}] {line}\n")
                self.partial = data.decode("utf-8", "replace")
                self.log.flush()
                self.changed.notify_all()
            for raw in lines:
                for listener in self.listeners:
                    listener(now, raw.decode("utf-8", "replace").strip("\r"))
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def send(self, text):
        self.sock.sendall(text.encode())

    def mark(self):
        """A place to wait from."""
        with self.changed:
            return len(self.lines)

    def find(self, pattern, since=0):
        with self.changed:
            return self._find(re.compile(pattern), since, True)

    def _find(self, regex, since, partial):
        for when, line in self.lines[since:]:
            match = regex.search(line)
            if match:
                return when, match
        match = partial and regex.search(self.partial)
        return (time.monotonic() - self.start, match) if match else None

    def wait(self, pattern, timeout, since=0, partial=False):
        """(seconds, match) of the first line since the mark that matches; with
        partial also one that has not ended yet, such as a prompt."""
        regex = re.compile(pattern)
        end = time.monotonic() + timeout
        with self.changed:
            while True:
                found = self._find(regex, since, partial)
                if found:
                    return found
                left = end - time.monotonic()
                if left <= 0 or self.closed:
                    why = "the VM ended" if self.closed else f"{timeout:.0f} s passed"
                    raise Timeout(f"waiting for {pattern!r}: {why}")
                self.changed.wait(left)

    def text(self, since=0):
        with self.changed:
            return "\n".join(line for _, line in self.lines[since:])

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()
