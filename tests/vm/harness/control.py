# SPDX-License-Identifier: GPL-2.0-or-later
"""A socket by which a person can look into a VM that a scenario runs (tests/vm/ctl)."""
import json
import socket
import threading


class Control:
    def __init__(self, path, test):
        self.test = test
        self.quit = threading.Event()
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(str(path))
        self.sock.listen(2)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                peer, _ = self.sock.accept()
            except OSError:
                return
            with peer:
                try:
                    request = json.loads(peer.makefile("r").readline())
                    answer = self._do(*request)
                except Exception as error:
                    answer = f"{type(error).__name__}: {error}\n"
                peer.sendall((answer or "").encode())

    def _do(self, what, *words):
        test, vm = self.test, self.test.vm
        text = " ".join(words)
        if what == "sh" and not vm.side.find("GKAGENT"):
            return "dom0's agent is not up yet: its real root has not started\n"
        if what == "sh":
            status, out = test.guest.run(text, timeout=120, check=False)
            return out + (f"[status {status}]\n" if status else "")
        if what == "type":
            vm.qmp.type(text.encode().decode("unicode_escape"))
        elif what == "early":
            mark = vm.side.mark()
            status = test.early(text)
            return vm.side.text(mark) + f"\n[status {status}]\n"
        elif what == "console":
            vm.console.send(text + "\n")
        elif what == "screen":
            return test.screen.text() + "\n"
        elif what == "shot":
            vm.qmp.screenshot(text)
        elif what == "hmp":
            return vm.qmp.hmp(text)
        elif what == "qmp":
            more = json.loads(" ".join(words[1:]) or "{}")
            return json.dumps(vm.qmp.run(words[0], **more))
        elif what == "quit":
            self.quit.set()
        else:
            return f"unknown: {what}; see tests/vm/ctl\n"
        return "ok\n"

    def close(self):
        self.sock.close()
