# SPDX-License-Identifier: GPL-2.0-or-later
"""What the unlocking tests are made of: real LUKS2 headers, the virtual
authenticator, somebody who answers questions, and the unlocker."""

import argparse
import base64
import concurrent.futures
import json
import os
import pty
import re
import select
import shutil
import socket
import subprocess
import tempfile
import time
import traceback

from fido2.ctap import CtapError
from fido2.ctap2 import Ctap2
from fido2.ctap2.extensions import HmacSecretExtension
from fido2.ctap2.pin import ClientPin, PinProtocolV2
from fido2.hid import CtapHidDevice
from fido2.hid.base import CtapHidConnection, HidDescriptor

BUILD = os.path.abspath(os.environ.get("GK_BUILD", "build"))
BRIDGE = os.environ.get("FIDO_BRIDGE") or os.path.join(BUILD, "tests/fido-bridge")
# The same key with the whole of the FIDO channel before it (tests/dom0/).
CHANNEL = os.path.join(BUILD, "tests/dom0/fido_channel")
RP = "io.systemd.cryptsetup"
PASSPHRASE = "correct horse battery"
FAST = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"]


def run(*command, data=None):
    done = subprocess.run(command, input=data, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise AssertionError(f"{command}: {done.stdout.decode(errors='replace')}")
    return done.stdout.decode()


def until(what, check, seconds=20):
    end = time.monotonic() + seconds
    while True:
        got = check()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError(f"not in {seconds} s: {what}")
        time.sleep(0.02)


# --- keys -----------------------------------------------------------------------


class Connection(CtapHidConnection):
    """python3-fido2 on the key's socket."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(20)
        self.sock.connect(path)

    def read_packet(self):
        return self.sock.recv(64)

    def write_packet(self, data):
        self.sock.send(bytes(data))

    def close(self):
        self.sock.close()


class Key:
    """One authenticator; its credentials and counters outlive being unplugged."""

    def __init__(self, case, name, *options, program=BRIDGE):
        self.case, self.name, self.options = case, name, list(options)
        self.program = program
        self.state = os.path.join(case.dir, name + ".state")
        self.process = None
        self.path = None

    def plug(self, path, *more):
        self.path = path
        self.log = open(os.path.join(self.case.dir, self.name + ".log"), "ab")
        self.process = subprocess.Popen(
            [self.program, "--socket", path, "--state",
             self.state, *self.options, *more],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
            env={"GK_FIDO_BRIDGE": os.path.join(BUILD, "tests/fido-bridge"),
                 **os.environ})
        line = self.process.stdout.readline().decode()
        if "ready" not in line:
            raise AssertionError(f"{self.name}: {line!r}")

    def at(self, port, *more):
        self.plug(os.path.join(self.case.run, "fido", port), *more)

    def tell(self, line):
        self.process.stdin.write((line + "\n").encode())
        self.process.stdin.flush()
        answer = self.process.stdout.readline().decode().strip()
        if not answer.startswith("ok"):
            raise AssertionError(f"{self.name}: {line}: {answer}")
        return answer[3:]

    def stats(self):
        return json.loads(self.tell("fido"))

    def pull(self):
        if self.process:
            self.process.terminate()
            self.process.wait(10)
            self.process.stdin.close()
            self.process.stdout.close()
            self.log.close()
        self.process = None
        if self.path and os.path.exists(self.path):
            os.unlink(self.path)

    def enroll(self, disk, pin=None, up=True, token_pin=None, token=None, salt=None,
               credential=None, fields=None):
        """As systemd-cryptenroll does it, by python3-fido2 and cryptsetup."""
        path = os.path.join(self.case.dir, "enroll.sock")
        self.plug(path, *(["--secret-without-touch"] if not up else []))
        try:
            dev = CtapHidDevice(HidDescriptor(path, 0, 0, 64, 64), Connection(path))
            ctap = Ctap2(dev)
            salt = salt or os.urandom(32)
            if credential is None:
                credential = self.make(ctap, pin)
            secret = self.secret(ctap, credential, salt, pin, up)
            dev.close()
        finally:
            self.pull()
        self.secret_text = base64.b64encode(secret)
        slot = disk.add(self.secret_text)
        fields = {"fido2-clientPin-required": bool(pin) if token_pin is None
                  else token_pin, "fido2-up-required": up,
                  "fido2-uv-required": False} if fields is None else fields
        disk.token({"type": "systemd-fido2", "keyslots": [str(slot)],
                    "fido2-credential": base64.b64encode(credential).decode(),
                    "fido2-salt": base64.b64encode(salt).decode(),
                    "fido2-rp": RP, **fields, **(token or {})})
        return credential, salt

    def client(self):
        return Client(self.path)

    @staticmethod
    def auth(ctap, pin, permission):
        if pin is None:
            return None, None
        client = ClientPin(ctap, PinProtocolV2())
        got = client.get_pin_token(pin, permission, RP)
        return client.protocol.authenticate(got, bytes(32)), client.protocol.VERSION

    def make(self, ctap, pin):
        auth, version = self.auth(ctap, pin, ClientPin.PERMISSION.MAKE_CREDENTIAL)
        made = ctap.make_credential(
            bytes(32), {"id": RP, "name": "Encrypted Volume"},
            {"id": b"disk", "name": "disk"}, [{"type": "public-key", "alg": -7}],
            extensions={"hmac-secret": True}, options={"rk": False},
            pin_uv_param=auth, pin_uv_protocol=version)
        return made.auth_data.credential_data.credential_id

    def secret(self, ctap, credential, salt, pin, up):
        ext = HmacSecretExtension(ctap, PinProtocolV2())
        asked = ext.process_get_input({"hmacGetSecret": {"salt1": salt}})
        auth, version = self.auth(ctap, pin, ClientPin.PERMISSION.GET_ASSERTION)
        got = ctap.get_assertion(
            RP, bytes(32), [{"type": "public-key", "id": credential}],
            extensions={"hmac-secret": asked}, options={"up": up},
            pin_uv_param=auth, pin_uv_protocol=version)
        return ext.process_get_output(got.auth_data)["hmacGetSecret"]["output1"]


class Client:
    """Another program at the same key."""

    def __init__(self, path):
        self.device = CtapHidDevice(HidDescriptor(path, 0, 0, 64, 64),
                                    Connection(path))

    def failing(self, key):
        """Makes a credential, and nobody touches the key."""
        try:
            key.make(Ctap2(self.device), None)
        except CtapError:
            pass
        self.device.close()


# --- disks ----------------------------------------------------------------------


class Disk:
    """A real LUKS2 header, in a file."""

    passphrase = PASSPHRASE

    def __init__(self, case, name, *options):
        self.path = os.path.join(case.dir, name + ".img")
        self.name = f"gk{os.getpid()}-{case.number}-{name}"
        with open(self.path, "wb") as f:
            f.truncate(20 << 20)
        run("cryptsetup", "luksFormat", "--type", "luks2", "--batch-mode",
            *(options or FAST), self.path, "-", data=self.passphrase.encode())

    def add(self, passphrase):
        key = self.path + ".key"
        with open(key, "wb") as f:
            f.write(passphrase)
        before = set(self.dump()["keyslots"])
        run("cryptsetup", "luksAddKey", "--batch-mode", "--key-file", "-", *FAST,
            self.path, key, data=self.passphrase.encode())
        os.unlink(key)
        return (set(self.dump()["keyslots"]) - before).pop()

    def dump(self):
        return json.loads(run("cryptsetup", "luksDump", "--dump-json-metadata",
                              self.path))

    def token(self, fields):
        run("cryptsetup", "token", "import", "--disable-external-tokens", self.path,
            data=json.dumps(fields).encode())


# --- the person at the prompt ----------------------------------------------------


class Agent:
    """A password agent of systemd (systemd.io, PASSWORD_AGENTS) for the questions
    of one test."""

    kind = "systemd"
    dir = "/run/systemd/ask-password"

    def __init__(self, case):
        self.case = case
        self.answered = set()

    def arguments(self):
        return ["--prompt", "systemd"]

    def question(self):
        """The text that is asked now, or None."""
        try:
            names = sorted(os.listdir(self.dir))
        except FileNotFoundError:
            return None
        for name in names:
            path = os.path.join(self.dir, name)
            if not name.startswith("ask.") or path in self.answered:
                continue
            try:
                text = open(path, encoding="utf-8").read()
            except FileNotFoundError:
                continue
            field = dict(line.split("=", 1) for line in text.splitlines()
                         if "=" in line)
            if f"gk{os.getpid()}-{self.case.number}-" not in field.get("Id", ""):
                continue
            self.now = path, field["Socket"]
            return field["Message"]
        return None

    def answer(self, text):
        self.question()
        path, sock = self.now
        self.answered.add(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b"+" + text.encode(), sock)

    def start(self):
        pass

    def stop(self):
        pass


class Terminal:
    """A person at a terminal."""

    kind = "console"

    def __init__(self, case):
        self.case = case
        self.seen = ""
        self.master, self.slave = pty.openpty()

    def arguments(self):
        return ["--prompt", "console", "--console", os.ttyname(self.slave)]

    def read(self):
        while select.select([self.master], [], [], 0)[0]:
            try:
                self.seen += os.read(self.master, 4096).decode(errors="replace")
            except OSError:
                break

    def question(self):
        self.read()
        last = self.seen.rsplit("\n", 1)[-1].strip("\r")
        return last[:-2] if last.endswith(": ") else None

    def type(self, text):
        os.write(self.master, text.encode())

    def answer(self, text):
        self.seen += "\n"
        self.type(text + "\r")

    def start(self):
        pass

    def stop(self):
        os.close(self.master)
        os.close(self.slave)


# --- one test --------------------------------------------------------------------


class Case:
    count = 0

    def __init__(self, base, name, person=None):
        Case.count += 1
        self.number = Case.count
        self.name = name
        self.dir = os.path.join(base, f"{self.number:02}-{name}")
        self.run = os.path.join(self.dir, "run")
        self.root = os.path.join(self.dir, "root")
        os.makedirs(os.path.join(self.run, "fido"))
        for d in ("dev", "bin", "etc/gatekeeper", "proc"):
            os.makedirs(os.path.join(self.root, d))
        self.screen_path = os.path.join(self.root, "dev/console")
        open(self.screen_path, "w").close()
        if person is None:
            person = Agent if os.geteuid() == 0 else Terminal
        self.person = person(self)
        self.keys = []
        self.processes = []

    def key(self, name="key", *options, **more):
        k = Key(self, name, *options, **more)
        self.keys.append(k)
        return k

    def disk(self, name="disk", *options):
        return Disk(self, name, *options)

    def arguments(self, *options):
        return [os.path.join(BUILD, "gatekeeper-unlock"), "--test", "--json",
                "--run-dir", self.run, "--root-prefix", self.root,
                "--key-program", os.path.join(BUILD, "gatekeeper-key"),
                "--locale-dir", os.path.join(BUILD, "locale"),
                *self.person.arguments(), *options]

    def start(self, *options):
        log = open(os.path.join(self.dir, "unlock.log"), "ab")
        p = subprocess.Popen(self.arguments(*options), stdout=subprocess.PIPE,
                             stderr=log)
        log.close()
        self.processes.append(p)
        return p

    def unlock(self, disk, *options):
        self.process = self.start(*options, disk.name, disk.path)
        return self.process

    def ended(self, process=None, seconds=30):
        """(exit status, the JSON object)"""
        process = process or self.process
        out, _ = process.communicate(timeout=seconds)
        return process.returncode, json.loads(out) if out else None

    def opened(self, by, process=None, seconds=30):
        status, how = self.ended(process, seconds)
        if status != 0 or not how["open"] or how["by"] != by:
            raise AssertionError(f"exit {status}, {how}, wanted by {by}")
        return how

    def asked(self, pattern, seconds=20):
        """Waits until that is asked; its text."""
        def check():
            text = self.person.question()
            return text if text and re.search(pattern, text) else None
        return until(f"the question {pattern!r}, not {self.person.question()!r}",
                     check, seconds)

    def screen(self):
        return open(self.screen_path, encoding="utf-8").read()

    def told(self, pattern, seconds=20, times=1):
        until(f"{pattern!r} on the screen: {self.screen()!r}",
              lambda: len(re.findall(pattern, self.screen())) >= times, seconds)

    def log(self):
        path = os.path.join(self.dir, "unlock.log")
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def end(self):
        for p in self.processes:
            if p.poll() is None:
                p.terminate()
                try:
                    p.wait(10)
                except subprocess.TimeoutExpired:
                    p.kill()
                    p.wait()
            if p.stdout:
                p.stdout.close()
        for k in self.keys:
            k.pull()
        self.person.stop()


# --- all of them -----------------------------------------------------------------


def run_one(name, f, case, keep):
    """(name, what to print, did it pass)"""
    begin = time.monotonic()
    text = ""
    try:
        f(case)
        # Of any program, in `make asan`.
        for bad in ("AddressSanitizer:", "runtime error:"):
            assert bad not in case.log(), bad
    except Exception:  # every one is a failure of the test
        text = (traceback.format_exc() + f"screen:\n{case.screen()}\n"
                f"log:\n{case.log()}\n")
    finally:
        case.end()
    if not text and not keep:
        shutil.rmtree(case.dir)
    word = "FAILED" if text else "ok"
    return name, f"{text}{word:7} {name} ({time.monotonic() - begin:.1f} s)", not text


def run_tests(prefix, tests):
    """Those that the command line names, of (name, function, person); the exit
    status."""
    args = argparse.ArgumentParser()
    args.add_argument("--keep", action="store_true")
    args.add_argument("--not", dest="without", metavar="NAME")
    args.add_argument("names", nargs="*")
    args = args.parse_args()
    base = tempfile.mkdtemp(prefix=prefix)
    wanted = [t for t in tests
              if (not args.names or any(n in t[0] for n in args.names)) and
              not (args.without and args.without in t[0])]
    failed = []
    # They mostly wait: three at a time. A socket's path has 107 bytes (unix(7)).
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(run_one, name, f,
                            Case(base, name.replace(":", "-")[:32], person), args.keep)
                for name, f, person in wanted]
        for job in concurrent.futures.as_completed(jobs):
            name, text, passed = job.result()
            print(text, flush=True)
            if not passed:
                failed.append(name)
    print(f"{len(jobs) - len(failed)} passed, {len(failed)} failed: {' '.join(failed)}")
    if args.keep or failed:
        print(base)
    else:
        shutil.rmtree(base)
    return 1 if failed or not jobs else 0
