# SPDX-License-Identifier: GPL-2.0-or-later
"""A small QMP client, and typing on the emulated keyboard."""
import json
import socket
import threading
import time

# US layout: character -> (QKeyCode, shift).
_PLAIN = {
    " ": "spc", "-": "minus", "=": "equal", "[": "bracket_left",
    "]": "bracket_right", "\\": "backslash", ";": "semicolon", "'": "apostrophe",
    "`": "grave_accent", ",": "comma", ".": "dot", "/": "slash", "\n": "ret",
    "\t": "tab", "\b": "backspace",
}
_SHIFTED = {
    "_": "-", "+": "=", "{": "[", "}": "]", "|": "\\", ":": ";", '"': "'",
    "~": "`", "<": ",", ">": ".", "?": "/", "!": "1", "@": "2", "#": "3",
    "$": "4", "%": "5", "^": "6", "&": "7", "*": "8", "(": "9", ")": "0",
}


def us_key(char):
    if char in _SHIFTED:
        return us_key(_SHIFTED[char])[0], True
    if char in _PLAIN:
        return _PLAIN[char], False
    if char.isascii() and char.isalnum():
        return char.lower(), char.isupper()
    raise ValueError(f"no key for {char!r}")


# A German keyboard's deviations, as the key to press on a US-labelled one.
_GERMAN = {
    "y": ("z", False), "z": ("y", False), "Y": ("z", True), "Z": ("y", True),
    "-": ("slash", False), "_": ("slash", True), ";": ("comma", True),
    ":": ("dot", True), "'": ("backslash", True), "#": ("backslash", False),
    "+": ("bracket_right", False), "*": ("bracket_right", True),
    '"': ("2", True), "/": ("7", True), "(": ("8", True), ")": ("9", True),
    "=": ("0", True), "?": ("minus", True), "&": ("6", True),
    "<": ("less", False), ">": ("less", True),
}


def german_key(char):
    return _GERMAN.get(char) or us_key(char)


class QmpError(Exception):
    pass


class Qmp:
    def __init__(self, path, timeout=30):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(timeout)
        self.sock.connect(str(path))
        self.file = self.sock.makefile("r", encoding="utf-8")
        self.events = []
        self.lock = threading.RLock()
        self._message()
        self.run("qmp_capabilities")

    def _message(self):
        line = self.file.readline()
        if not line:
            raise QmpError("QEMU closed the QMP socket")
        return json.loads(line)

    def run(self, command, **arguments):
        request = {"execute": command}
        if arguments:
            request["arguments"] = arguments
        with self.lock:
            self.sock.sendall(json.dumps(request).encode() + b"\n")
            while True:
                answer = self._message()
                if "event" in answer:
                    self.events.append(answer)
                elif "error" in answer:
                    raise QmpError(f"{command}: {answer['error'].get('desc')}")
                else:
                    return answer["return"]

    def hmp(self, line):
        return self.run("human-monitor-command", **{"command-line": line})

    def _take(self, name, device):
        for event in self.events:
            if event["event"] == name and event["data"].get("device") == device:
                self.events.remove(event)
                return True
        return False

    def screenshot(self, path):
        self.run("screendump", filename=str(path), format="png")

    def _key(self, code, down):
        return {"type": "key", "data": {
            "down": down, "key": {"type": "qcode", "data": code}}}

    def press(self, code, shift=False, hold=0.012):
        """One key stroke; each edge in its own input report."""
        if shift:
            self.run("input-send-event", events=[self._key("shift", True)])
        self.run("input-send-event", events=[self._key(code, True)])
        time.sleep(hold)
        self.run("input-send-event", events=[self._key(code, False)])
        if shift:
            self.run("input-send-event", events=[self._key("shift", False)])

    def type(self, text, rate=20.0, layout=us_key):
        """Type at `rate` characters a second, on the host's clock."""
        start = time.monotonic()
        for n, char in enumerate(text):
            wait = start + n / rate - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            code, shift = layout(char)
            self.press(code, shift, hold=min(0.012, 0.4 / rate))
        return time.monotonic() - start

    def plug(self, driver, **properties):
        self.run("device_add", driver=driver, **properties)

    def unplug(self, name, timeout=10):
        """Take a device out; a PCI one only goes when its guest lets it."""
        self.run("device_del", id=name)
        end = time.monotonic() + timeout
        while not self._take("DEVICE_DELETED", name):
            if time.monotonic() > end:
                raise QmpError(f"{name} did not go")
            time.sleep(0.05)
            self.run("query-name")
