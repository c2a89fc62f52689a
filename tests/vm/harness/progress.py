# SPDX-License-Identifier: GPL-2.0-or-later
"""What people see while a VM runs: a line for each thing that happened, and on a
terminal a last line that counts the seconds."""
import sys
import threading
import time


class Progress:
    def __init__(self, out=sys.stdout, verbose=True):
        self.out = out
        self.verbose = verbose
        self.tty = out.isatty()
        self.lock = threading.Lock()
        self.stage = ""
        self.since = self.start = time.monotonic()
        self.stopping = threading.Event()
        if self.tty:
            threading.Thread(target=self._tick, daemon=True).start()

    def _clear(self):
        if self.tty:
            self.out.write("\r\033[K")

    def _tick(self):
        while not self.stopping.wait(0.5):
            with self.lock:
                if self.stage:
                    took = time.monotonic() - self.since
                    self.out.write(f"\r\033[K  ... {self.stage} ({took:.0f} s)")
                    self.out.flush()

    def restart(self):
        self.start = time.monotonic()

    def line(self, text=""):
        with self.lock:
            self._clear()
            self.out.write(text + "\n")
            self.out.flush()

    def say(self, text):
        """An event, with the seconds since the start."""
        if self.verbose:
            self.line(f"  {time.monotonic() - self.start:6.1f} s  {text}")

    def doing(self, text):
        with self.lock:
            self.stage, self.since = text, time.monotonic()

    def of(self, name):
        """The progress of one scenario beside others."""
        return Part(self, name)

    def close(self):
        self.stopping.set()
        with self.lock:
            self._clear()
            self.out.flush()


class Part:
    """Each line says whose it is, and has that one's seconds."""

    def __init__(self, whole, name):
        self.whole = whole
        self.name = name
        self.restart()

    def restart(self):
        self.start = time.monotonic()

    def line(self, text=""):
        self.whole.line(f"  {self.name}: {text.strip()}")

    def say(self, text):
        if self.whole.verbose:
            self.line(f"{time.monotonic() - self.start:6.1f} s  {text}")

    def doing(self, text):
        self.whole.doing(f"{self.name}: {text}")
