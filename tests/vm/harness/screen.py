# SPDX-License-Identifier: GPL-2.0-or-later
"""What is on the VM's screen: the VGA text buffer, read without the guest."""
import os
import re
import time

from .serial import Timeout

VGA_TEXT, VGA_SIZE, COLUMNS = 0xb8000, 0x8000, 80


class Screen:
    def __init__(self, qmp, scratch):
        self.qmp = qmp
        self.file = scratch / "vga"

    def text(self):
        """All lines in text memory: the screen and what scrolled off lately. A row
        that is full to its last column is joined with the next one."""
        self.qmp.run("pmemsave", val=VGA_TEXT, size=VGA_SIZE, filename=str(self.file))
        data = self.file.read_bytes()
        os.unlink(self.file)
        chars = data[0::2].decode("cp437")
        lines, line = [], ""
        for n in range(0, len(chars), COLUMNS):
            row = chars[n:n + COLUMNS].replace("\0", " ")
            line += row
            if row[-1] == " ":
                lines.append(line.rstrip())
                line = ""
        return "\n".join(lines + [line])

    def wait(self, pattern, timeout):
        """Until it matches, in the lines or, wherever they end, in the words."""
        end = time.monotonic() + timeout
        while True:
            text = self.text()
            if re.search(pattern, text) or re.search(pattern, " ".join(text.split())):
                return text
            if time.monotonic() > end:
                raise Timeout(f"{pattern!r} did not appear on the screen "
                              f"within {timeout:.0f} s")
            time.sleep(0.15)
