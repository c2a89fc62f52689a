#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Enrolling without a virtual machine: gatekeeper-enroll and gatekeeper-key as they
are, on real LUKS2 headers, with the virtual authenticator and a person at a terminal.
What was enrolled is then opened by gatekeeper-unlock, and its token computed again by
python3-fido2.

enroll.py [--keep] [--not NAME] [NAME...]: all, or those that contain NAME."""

import base64
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import termios
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from fido2.ctap2 import Ctap2  # noqa: E402
from fido2.hid import CtapHidDevice  # noqa: E402
from fido2.hid.base import HidDescriptor  # noqa: E402

from rig import (BRIDGE, BUILD, CHANNEL, FAST, PASSPHRASE,  # noqa: E402
                 PATIENCE, Connection, Terminal, run_tests, until)

TESTS = []
PIN = "123456"
HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.path.join(BUILD, "gatekeeper-enroll")
STOPS = os.path.join(BUILD, "tests/enroll-stops")


def test(f):
    TESTS.append((f.__name__, f))
    return f


def equal(got, wanted, what=""):
    if got != wanted:
        raise AssertionError(f"{what} {got!r}, wanted {wanted!r}")


def points():
    """The names in luks/enroll_points.h."""
    text = open(os.path.join(HERE, "../../luks/enroll_points.h"), encoding="utf-8").read()
    return re.findall(r'X\([A-Z_]+, "([a-z-]+)"\)', text)


# --- a run, at a terminal ---------------------------------------------------------


class Run:
    def __init__(self, c, *args, program=PROGRAM, before=(), env=None):
        self.case, self.seen, self.at = c, "", 0
        self.master, slave = pty.openpty()
        # As a terminal is: what is typed is shown, unless it was told not to.
        attributes = termios.tcgetattr(slave)
        assert attributes[3] & termios.ECHO
        self.process = subprocess.Popen(
            [*before, program, "--run-dir", c.run, "--root-prefix", c.root,
             "--key-program", os.path.join(BUILD, "gatekeeper-key"), *args],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env={**os.environ, **(env or {})})
        self.slave = slave
        c.processes.append(self.process)

    def read(self, seconds=0.0):
        while select.select([self.master], [], [], seconds)[0]:
            seconds = 0
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return
            self.seen += data.decode(errors="replace").replace("\r\n", "\n")

    def expect(self, pattern, seconds=PATIENCE):
        end = time.monotonic() + seconds
        while True:
            self.read(0.02)
            found = re.compile(pattern).search(self.seen, self.at)
            if found:
                self.at = found.end()
                return found
            if self.process.poll() is not None:
                self.read(0.1)
                found = re.compile(pattern).search(self.seen, self.at)
                if found:
                    self.at = found.end()
                    return found
                raise AssertionError(f"ended before {pattern!r}: {self.seen}")
            if time.monotonic() > end:
                raise AssertionError(f"no {pattern!r}: {self.seen}")

    def answer(self, pattern, text):
        self.expect(pattern + r"[^\n]*: $")
        os.write(self.master, (text + "\n").encode())

    def end(self, status=0, seconds=2 * PATIENCE):
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            self.read(0.05)
            if time.monotonic() > end:
                raise AssertionError(f"does not end: {self.seen}")
        self.read(0.05)
        os.close(self.master)
        os.close(self.slave)
        # Of either program, in `make asan`.
        for bad in ("AddressSanitizer:", "LeakSanitizer:", "runtime error:"):
            assert bad not in self.seen, self.seen
        if self.process.returncode != status:
            raise AssertionError(f"exit {self.process.returncode}, wanted {status}: "
                                 f"{self.seen}")
        return self.seen


def key_file(c, text=PASSPHRASE):
    path = os.path.join(c.dir, "passphrase")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def enroll(c, disk, *args, status=0, pin=None, **more):
    """One that asks for nothing but the PIN."""
    r = Run(c, "--unlock-key-file", key_file(c), "--no-recovery", "--wait", "1", *args,
            disk.path, **more)
    if pin:
        r.answer("PIN of the security key", pin)
    return r.end(status)


def unlocked(c, question):
    """By gatekeeper-unlock, with the PIN. A question that has just taken the place of
    another gets no answer (gatekeeper-unlock(8)), and on a busy machine it has: then
    it is asked again."""
    for _ in range(3):
        c.asked(question)
        time.sleep(1.4)
        c.person.answer(PIN)
        try:
            c.process.wait(20)
            break
        except subprocess.TimeoutExpired:
            pass
    c.opened("key")


def entries(c, disk, program=PROGRAM):
    text = Run(c, "--list", "--json", disk.path, program=program).end()
    found = json.loads(text)
    equal(len(found), 1, "volumes")
    return found[0]["entries"]


def kinds(c, disk):
    return [(e.get("keyslot"), e["kind"]) for e in entries(c, disk)]


# --- the header, by cryptsetup ----------------------------------------------------

def opens(disk, passphrase=PASSPHRASE, slot=None):
    more = [] if slot is None else ["--key-slot", str(slot)]
    return subprocess.run(
        ["cryptsetup", "open", "--test-passphrase", "--type", "luks2", *more,
         "--key-file", "-", disk.path], input=passphrase.encode(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0


def sound(disk):
    """Nothing in the header contradicts itself, and the old passphrase opens it."""
    dump = disk.dump()
    slots = dump["keyslots"]
    for number, token in dump["tokens"].items():
        assert set(token["keyslots"]) <= set(slots), (number, token)
    bound = [s for d in dump["digests"].values() for s in d["keyslots"]]
    equal(sorted(bound), sorted(slots), "keyslots in digests")
    areas = sorted((int(s["area"]["offset"]), int(s["area"]["size"]))
                   for s in slots.values())
    for (a, size), (b, _) in zip(areas, areas[1:]):
        assert a + size <= b, areas
    subprocess.run(["cryptsetup", "luksDump", disk.path], check=True,
                   stdout=subprocess.DEVNULL)
    assert opens(disk), "the old passphrase"
    return dump


def same(disk, before):
    """As it was: keyslots and tokens (the sequence number has grown)."""
    after = sound(disk)
    equal(after["keyslots"], before["keyslots"], "keyslots")
    equal(after["tokens"], before["tokens"], "tokens")


def token_opens(key, disk, pin=None):
    """The token's secret, computed by another client, opens its keyslot."""
    tokens = [t for t in disk.dump()["tokens"].values()
              if t["type"] == "systemd-fido2" and t["keyslots"]]
    equal(len(tokens), 1, "tokens")
    t = tokens[0]
    connection = Connection(key.path)
    dev = CtapHidDevice(HidDescriptor(key.path, 0, 0, 64, 64), connection)
    secret = key.secret(Ctap2(dev), base64.b64decode(t["fido2-credential"]),
                        base64.b64decode(t["fido2-salt"]), pin, t["fido2-up-required"])
    dev.close()
    assert opens(disk, base64.b64encode(secret).decode(), t["keyslots"][0])
    return t


def copy(c, disk, name):
    other = object.__new__(type(disk))
    other.path = os.path.join(c.dir, name + ".img")
    other.name = disk.name + "-" + name
    shutil.copyfile(disk.path, other.path)
    return other


# --- enrolling --------------------------------------------------------------------

@test
def by_hand(c):
    """Everything asked: passphrase, PIN, three touches, no recovery passphrase."""
    disk, key = c.disk(), c.key("key", "--pin", PIN)
    key.at("1-3", "--touch", "never")
    r = Run(c, disk.path)
    r.expect("Security key on port 1-3: with a PIN .aaguid 67617465-6b65-6570-6572-")
    r.answer("passphrase of .* valid now", "wrong")
    r.expect("opens no keyslot")
    r.answer("passphrase of .* valid now", PASSPHRASE)
    r.expect("touched three times")
    r.answer("PIN of the security key on port 1-3, 8 tries left", PIN)
    for n in range(3):
        r.expect("Touch the security key on port 1-3 now")
        until("a touch is wanted", lambda: key.stats()["state"] == "touch")
        key.tell("touch")
        r.expect(f"\\[{(1, 2, 4)[n]}/4\\]")
    r.answer("recovery passphrase", "")
    r.end()
    equal(key.stats()["retries"], 8, "PIN tries")
    sound(disk)
    t = token_opens_later(key, disk)
    equal((t["fido2-rp"], t["fido2-clientPin-required"], t["fido2-up-required"],
           t["fido2-uv-required"]), ("io.systemd.cryptsetup", True, True, False))
    slot = disk.dump()["keyslots"][t["keyslots"][0]]
    equal((slot["kdf"]["type"], slot["kdf"]["hash"], slot["kdf"]["iterations"]),
          ("pbkdf2", "sha512", 1000))
    c.unlock(disk)
    unlocked(c, "PIN of the security key on port 1-3, 8 tries left")


def token_opens_later(key, disk):
    key.tell("touch now") if key.stats()["state"] == "touch" else None
    key.pull()
    key.plug(key.path)
    return token_opens(key, disk, PIN)


@test
def without_pin(c):
    """The key has none: said, and the token says so."""
    disk, key = c.disk(), c.key()
    key.at("1-3")
    assert "without a PIN: whoever has both" in enroll(c, disk)
    t = token_opens(key, disk)
    equal((t["fido2-clientPin-required"], t["fido2-up-required"]), (False, True))
    c.unlock(disk)
    c.opened("key")


@test
def pin_not_wanted(c):
    """--no-pin: the key has one. An old key wants it for the credential all the same,
    but not for the secret."""
    for n, more in enumerate(((), ("--ctap20",))):
        disk, key = c.disk(f"disk{n}"), c.key(f"key{n}", "--pin", PIN, *more)
        key.at("1-3")
        enroll(c, disk, "--no-pin", pin=PIN if more else None)
        equal(token_opens(key, disk)["fido2-clientPin-required"], False)
        equal(key.stats()["requests"]["token"], len(more), "PINs sent")
        c.unlock(disk)
        c.opened("key")
        equal(key.stats()["retries"], 8)
        key.pull()


@test
def touch_not_wanted(c):
    disk, key = c.disk(), c.key("key", "--secret-without-touch")
    key.at("1-3")
    enroll(c, disk, "--no-touch")
    equal(key.stats()["touches"], 1, "touches, for the credential")
    c.unlock(disk)
    c.opened("key")
    equal(key.stats()["touches"], 1, "touches")


@test
def touch_cannot_be_left_out(c):
    disk, key = c.disk(), c.key()
    before = disk.dump()
    key.at("1-3")
    assert "no secret without a touch" in enroll(c, disk, "--no-touch", status=1)
    same(disk, before)


@test
def always_uv(c):
    disk, key = c.disk(), c.key("key", "--pin", PIN, "--always-uv-strict")
    key.at("1-3")
    assert "nothing without its PIN" in enroll(c, disk, "--no-pin", status=1)
    enroll(c, disk, pin=PIN)
    c.unlock(disk)
    unlocked(c, "PIN of the security key")


@test
def fingerprint(c):
    """In place of the PIN; another finger, and it is the PIN after all."""
    for n, more in enumerate(((), ("--always-uv-strict",), ("--ctap20",))):
        disk, key = c.disk(f"disk{n}"), c.key(f"key{n}", "--pin", PIN, "--uv", *more)
        key.at("1-3")
        text = enroll(c, disk, "--fingerprint")
        assert "with the finger that it knows" in text, text
        assert "without a PIN" not in text, text
        t = disk.dump()["tokens"]["0"]
        equal([t[f"fido2-{what}-required"] for what in ("clientPin", "up", "uv")],
              [False, True, True])
        assert "security key, touch, fingerprint" in Run(c, "--list", disk.path).end()
        equal(entries(c, disk)[1]["fingerprint"], True)
        c.unlock(disk)
        c.opened("key")
        Run(c, "--test", disk.path).end()
        equal(key.stats()["requests"]["token"], 0, "PINs sent")
        key.tell("finger wrong")
        c.unlock(disk)
        unlocked(c, "PIN of the security key on port 1-3, 8 tries left")
        c.told("does not know this finger: it asks for its PIN", times=n + 1)
        r = Run(c, "--test", disk.path)
        r.answer("PIN of the security key on port 1-3", PIN)
        r.end()
        key.pull()


@test
def fingerprint_not_wanted(c):
    """A key that has one, enrolled by its PIN, or without anything."""
    disk, key = c.disk(), c.key("key", "--pin", PIN, "--uv")
    key.at("1-3")
    key.tell("finger wrong")
    enroll(c, disk, pin=PIN)
    token_opens(key, disk, PIN)
    c.unlock(disk)
    unlocked(c, "PIN of the security key")
    Run(c, "--remove", "1", "--unlock-key-file", key_file(c), disk.path).end()
    enroll(c, disk, "--no-pin")
    equal(token_opens(key, disk)["fido2-uv-required"], False)
    c.unlock(disk)
    c.opened("key")


@test
def fingerprint_missing(c):
    disk, key, other = c.disk(), c.key("key", "--pin", PIN), c.key("other", "--uv")
    before = disk.dump()
    key.at("1-3")
    assert "it knows no fingerprint" in enroll(c, disk, "--fingerprint", status=1)
    key.pull()
    other.at("1-3")
    other.tell("finger wrong")
    text = enroll(c, disk, "--fingerprint", status=1)
    assert "looks at no finger any more" in text, text
    same(disk, before)


@test
def old_key(c):
    """FIDO 2.0, with the older PIN protocol."""
    disk, key = c.disk(), c.key("key", "--pin", PIN, "--ctap20", "--protocol", "1")
    key.at("1-3")
    enroll(c, disk, pin=PIN)
    c.unlock(disk)
    unlocked(c, "PIN of the security key")


@test
def argon2(c):
    """The header as cryptsetup makes it by itself."""
    disk, key = c.disk("slow", "--pbkdf-memory", "65536", "--iter-time", "200"), c.key()
    key.at("1-3")
    enroll(c, disk)
    sound(disk)
    c.unlock(disk)
    c.opened("key")


@test
def second_key(c):
    """The same command once more; each opens it by itself; the first one again is
    refused."""
    disk, one, two = c.disk(), c.key("one"), c.key("two", "--pin", PIN)
    one.at("1-3")
    enroll(c, disk)
    assert "enrolled already" in enroll(c, disk, status=1)
    two.at("1-4")
    enroll(c, disk, "--key", "1-4", pin=PIN)
    equal(kinds(c, disk), [(0, "passphrase"), (1, "fido2"), (2, "fido2")])
    equal([e.get("port") for e in entries(c, disk)], [None, "1-3", "1-4"], "ports")
    text = Run(c, "--list", disk.path).end()
    assert re.search(r"keyslot 1 +security key, touch: the one on port 1-3, aaguid 6761",
                     text), text
    assert re.search(r"keyslot 2 +security key, PIN, touch: the one on port 1-4", text)
    one.pull()
    c.unlock(disk)
    unlocked(c, "PIN of the security key on port 1-4")
    two.pull()
    one.at("1-4")
    c.unlock(disk)
    c.opened("key")
    sound(disk)


@test
def two_keys_plugged(c):
    """Asked which."""
    disk, one, two = c.disk(), c.key("one"), c.key("two", "--pin", PIN)
    one.at("1-3")
    two.at("1-4")
    r = Run(c, "--unlock-key-file", key_file(c), "--no-recovery", disk.path)
    r.expect("port 1-[34]: with")
    r.expect("port 1-[34]: with")
    r.answer("Port of the one to enrol", "1-3")
    r.end()
    equal(entries(c, disk)[1]["port"], "1-3")
    before = disk.dump()
    r = Run(c, "--unlock-key-file", key_file(c), "--no-recovery", disk.path)
    r.answer("Port of the one to enrol", "1-9")
    assert "no security key was chosen" in r.end(1)
    assert "no security key on port 1-9" in enroll(c, disk, "--key", "1-9", status=1)
    same(disk, before)


@test
def by_an_enrolled_key(c):
    """Instead of the passphrase, the key that opens it already."""
    disk, one, two = c.disk(), c.key("one", "--pin", "8765"), c.key("two", "--pin", PIN)
    one.enroll(disk, pin="8765")
    one.at("1-3")
    two.at("1-4")
    r = Run(c, "--unlock-by-key", "1-3", "--no-recovery", disk.path)
    r.answer("PIN of the security key on port 1-3", "8765")
    r.answer("PIN of the security key on port 1-4", PIN)
    r.end()
    equal([e.get("port") for e in entries(c, disk)], [None, "1-3", "1-4"])


@test
def key_plugged_in_late(c):
    disk, key = c.disk(), c.key()
    r = Run(c, "--unlock-key-file", key_file(c), "--no-recovery", "--wait", "20",
            disk.path)
    r.expect("Plug the security key in .20 seconds")
    key.at("1-3")
    r.end()
    token_opens(key, disk)


@test
def judged_by_systemd(c):
    """systemd-cryptenroll knows what each keyslot is; libcryptsetup's plugin of
    systemd finds the token valid."""
    disk, key = c.disk(), c.key("key", "--pin", PIN)
    key.at("1-3")
    recovery(c, disk, key)
    out = subprocess.run(["systemd-cryptenroll", disk.path], check=True, timeout=PATIENCE,
                         stdout=subprocess.PIPE).stdout.decode()
    equal(re.findall(r"^ +(\d+) (\w+)", out, re.M),
          [("0", "password"), ("1", "fido2"), ("2", "recovery")])
    dump = subprocess.run(["cryptsetup", "luksDump", disk.path], check=True,
                          stdout=subprocess.PIPE).stdout.decode()
    assert "systemd-fido2" in dump and "fido2-credential" in dump, dump


# --- refusals ---------------------------------------------------------------------

@test
def wrong_passphrases(c):
    disk, key = c.disk(), c.key("key", "--pin", PIN)
    before = disk.dump()
    key.at("1-3")
    r = Run(c, disk.path)
    for n in range(3):
        r.answer("passphrase of .* valid now", f"wrong {n}")
    r.end(1)
    assert "opens no keyslot" in Run(c, "--unlock-key-file", key_file(c, "no"),
                                     disk.path).end(1)
    equal(key.stats()["requests"]["token"], 0, "PINs sent")
    equal(key.stats()["requests"]["make"], 0, "credentials")
    same(disk, before)


@test
def wrong_pins(c):
    """Each costs the one try that was typed; those left are shown; Enter ends."""
    disk, key = c.disk(), c.key("key", "--pin", PIN)
    before = disk.dump()
    key.at("1-3")
    r = Run(c, "--unlock-key-file", key_file(c), "--no-recovery", disk.path)
    r.answer("1-3, 8 tries left", "000000")
    r.expect("Wrong PIN")
    r.answer("1-3, 7 tries left", "111")
    r.expect("4 to 63 characters; this one was not tried")
    r.answer("1-3, 7 tries left", "x" * 70)
    r.expect("4 to 63 characters")
    r.answer("1-3, 7 tries left", "")
    r.end(1)
    equal(key.stats()["retries"], 7)
    same(disk, before)
    enroll(c, disk, pin=PIN)
    equal(key.stats()["retries"], 8)


@test
def typed_before_the_question(c):
    """What was typed ahead is no PIN."""
    disk, key = c.disk(), c.key("key", "--pin", PIN, "--work", "300")
    key.at("1-3")
    r = Run(c, "--unlock-key-file", key_file(c), "--no-recovery", disk.path)
    os.write(r.master, b"ls -l /tmp\n")
    r.answer("1-3, 8 tries left", PIN)
    r.end()


@test
def pin_blocked(c):
    disk, key = c.disk(), c.key("key", "--pin", PIN, "--retries", "1")
    before = disk.dump()
    key.at("1-3")
    r = Run(c, "--unlock-key-file", key_file(c), disk.path)
    r.answer("1 try left: a wrong one blocks it", "000000")
    assert "is blocked" in r.end(1)
    equal(key.stats()["retries"], 0)
    key.pull()
    key.options = [o for o in key.options if o not in ("--retries", "1")]
    key.at("1-3")
    assert "is blocked" in enroll(c, disk, status=1)
    equal(key.stats()["requests"]["token"], 0, "PINs sent to a key that is blocked")
    same(disk, before)


@test
def pins_until_replugged(c):
    """Three wrong ones in a row: the key wants to be plugged in again."""
    disk, key = c.disk(), c.key("key", "--pin", PIN)
    key.at("1-3")
    r = Run(c, "--unlock-key-file", key_file(c), disk.path)
    for left in (8, 7, 6):
        r.answer(f"1-3, {left} tries left", "000000")
    assert "plug it in again" in r.end(1)
    equal(key.stats()["retries"], 5)


@test
def no_key(c):
    disk = c.disk()
    before = disk.dump()
    begin = time.monotonic()
    assert "no security key" in enroll(c, disk, status=1)
    assert 0.9 < time.monotonic() - begin < 20
    same(disk, before)


@test
def key_without_hmac_secret(c):
    disk, key = c.disk(), c.key("key", "--no-hmac-secret")
    before = disk.dump()
    key.at("1-3")
    assert "no hmac-secret" in enroll(c, disk, status=1)
    same(disk, before)


@test
def never_touched(c):
    """Three waits of the key's own, then the end."""
    disk, key = c.disk(), c.key()
    before = disk.dump()
    key.at("1-3", "--touch", "never", "--touch-timeout", "500")
    text = enroll(c, disk, status=1)
    equal(text.count("Touch the security key"), 3)
    assert "was not touched" in text
    same(disk, before)


@test
def header_full(c):
    """32 keyslots: said before anybody is asked for anything."""
    disk, key = c.disk(), c.key()
    for _ in range(31):
        disk.add(os.urandom(8).hex().encode())
    before = disk.dump()
    equal(len(before["keyslots"]), 32)
    key.at("1-3")
    r = Run(c, disk.path)
    assert "all 32 keyslots are in use" in r.end(1)
    equal(key.stats()["requests"]["make"], 0)
    same(disk, before)


@test
def hidden_without_pin(c):
    """A key that shows no credential before it has its PIN would not be found at boot."""
    disk, key = c.disk(), c.key("key", "--pin", PIN, "--protect-all")
    key.at("1-3")
    before = disk.dump()
    text = enroll(c, disk, pin=PIN, status=1)
    assert "would not be found" in text and "as it was before" in text, text
    same(disk, before)


@test
def tokens_full(c):
    """32 tokens: the header refuses the first change, and there is no second."""
    disk, key = c.disk(), c.key()
    for _ in range(32):
        disk.token({"type": "something", "keyslots": []})
    before = disk.dump()
    key.at("1-3")
    text = enroll(c, disk, status=1)
    assert "header was not changed" in text and "no place for another token" in text, text
    same(disk, before)


@test
def greedy_header(c):
    """A header that asks for a day of work is refused by what it says."""
    from unlock import patch_iterations

    disk, key = c.disk(), c.key()
    patch_iterations(disk, 4000000000)
    key.at("1-3")
    begin = time.monotonic()
    assert "more work than is done here" in enroll(c, disk, status=1)
    assert time.monotonic() - begin < 40


@test
def not_luks2(c):
    for name, text in (("zero", bytes(1 << 20)), ("short", b"x")):
        path = os.path.join(c.dir, name)
        with open(path, "wb") as f:
            f.write(text)
        Run(c, path).end(1)
    assert "cannot be read" in Run(c, os.path.join(c.dir, "absent")).end(1)
    assert "nor an open volume" in Run(c, "absent-volume").end(1)


@test
def two_at_once(c):
    disk, key = c.disk(), c.key()
    key.at("1-3")
    r = Run(c, disk.path)
    r.expect("valid now: $")
    assert "another enrolment is under way" in enroll(c, disk, status=1)
    os.write(r.master, b"\n")
    r.end(1)


@test
def told_to_end(c):
    """Ctrl-C: at a question, and while the last touch is awaited; then all is taken
    back."""
    disk, key = c.disk(), c.key()
    before = disk.dump()
    key.at("1-3")
    r = Run(c, disk.path)
    r.expect("valid now: $")
    os.kill(r.process.pid, signal.SIGINT)
    r.end(1)
    r = Run(c, "--unlock-key-file", key_file(c), "--no-recovery", disk.path,
            program=STOPS, env={"GK_ENROLL_HOLD_AT": "token-written"})
    until("held", lambda: stopped(r.process.pid))
    key.tell("touch never")
    os.kill(r.process.pid, signal.SIGCONT)
    until("a touch is wanted", lambda: key.stats()["state"] == "touch")
    os.kill(r.process.pid, signal.SIGINT)
    text = r.end(1)
    assert "as it was before" in text, text
    same(disk, before)


@test
def ended_at_the_touch(c):
    """Ctrl-C and kill -9: the key stops blinking, directly and through the channel."""
    disk = c.disk()
    before = disk.dump()
    for n, program in enumerate((BRIDGE, CHANNEL)):
        key = c.key(f"key{n}", program=program)
        key.at("1-3", "--touch", "never")
        for end in (signal.SIGINT, signal.SIGKILL):
            r = Run(c, "--unlock-key-file", key_file(c), "--no-recovery", disk.path)
            r.expect("Touch the security key on port 1-3 now")
            until("a touch is wanted", lambda: key.stats()["state"] == "touch")
            cancels = key.stats()["cancels"]
            # Of the terminal it goes to all that is in the foreground.
            (os.killpg if end == signal.SIGINT else os.kill)(r.process.pid, end)
            until("it blinks no more", lambda: key.stats()["state"] == "idle", 20)
            equal(key.stats()["cancels"], cancels + 1)
            text = r.end(1 if end == signal.SIGINT else -end)
            assert "does not answer" not in text, text
        key.pull()
    same(disk, before)


@test
def echo_is_back(c):
    disk, key = c.disk(), c.key()
    key.at("1-3")
    r = Run(c, disk.path)
    r.expect("valid now: $")
    until("no echo", lambda: not termios.tcgetattr(r.slave)[3] & termios.ECHO)
    os.kill(r.process.pid, signal.SIGINT)
    until("its end", lambda: r.process.poll() is not None)
    assert termios.tcgetattr(r.slave)[3] & termios.ECHO
    r.end(1)


# --- keys that fail half-way ------------------------------------------------------

HOLDS = ["volume-read", "key-found", "unlocked", "credential-made", "secret-read",
         "mark-written", "keyslot-added", "token-written"]


def pulled_at(point):
    def f(c):
        disk, key = c.disk(), c.key()
        before = disk.dump()
        key.at("1-3")
        r = Run(c, "--unlock-key-file", key_file(c), "--no-recovery", "--wait", "1",
                disk.path, program=STOPS, env={"GK_ENROLL_HOLD_AT": point})
        until("held", lambda: stopped(r.process.pid))
        key.pull()
        os.kill(r.process.pid, signal.SIGCONT)
        r.end(1)
        same(disk, before)
        key.at("1-3")
        enroll(c, disk)
        sound(disk)
    f.__doc__ = "The key is pulled there: the header is as it was, and a next run works."
    return f


def stopped(pid):
    return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] == "T"


for POINT in HOLDS:
    TESTS.append((f"pulled-at-{POINT}", pulled_at(POINT)))


def hostile(name, at):
    def f(c):
        disk, key = c.disk(), c.key()
        before = disk.dump()
        key.at("1-3")
        r = Run(c, "--unlock-key-file", key_file(c), "--no-recovery", disk.path,
                program=STOPS, env={"GK_ENROLL_HOLD_AT": at})
        until("held", lambda: stopped(r.process.pid))
        key.tell(f"evil {name}")
        os.kill(r.process.pid, signal.SIGCONT)
        r.end(1)
        same(disk, before)
    f.__doc__ = "From there on the key does this: nothing is enrolled."
    return f


# Another secret than before: at the real test it does not open.
for NAME, AT in (("wrong-secret:assert", "secret-read"),
                 ("secret-short:assert", "secret-read"),
                 ("cbor-giant-map", "unlocked"), ("cbor-noise:make", "unlocked"),
                 ("twice:make", "unlocked"), ("cbor-truncated:make", "unlocked"),
                 ("length-over:make", "unlocked"), ("status-odd:assert", "token-written"),
                 ("secret-empty:assert", "credential-made"),
                 ("silent:info", "volume-read")):
    TESTS.append((f"hostile-{NAME}-after-{AT}", hostile(NAME, AT)))


# --- killed -----------------------------------------------------------------------

# What --list names then, beside the passphrase.
LEFT = [(1, "left")]
TOKEN = [(None, "token-without-keyslot")]
KEY = [(1, "fido2")]
AFTER = {
    "mark-written": TOKEN, "keyslot-added": LEFT, "token-written": KEY, "tested": KEY,
    "recovery-shown": KEY, "recovery-mark-written": KEY + TOKEN,
    "recovery-keyslot-added": KEY + [(2, "left")],
    "recovery-token-written": KEY + [(2, "recovery")],
    "removal-allowed": KEY, "keyslot-removed": TOKEN, "token-removed": [],
}


def clean_up(c, disk):
    """By what --list names, until it names nothing that is left."""
    for e in entries(c, disk):
        what = {"left": lambda: str(e["keyslot"]),
                "token-without-keyslot": lambda: f"token:{e['token']}"}.get(e["kind"])
        if what:
            Run(c, "--remove", what(), "--unlock-key-file", key_file(c),
                disk.path).end()


def killed_at(point):
    removal = point in ("removal-allowed", "keyslot-removed", "token-removed")

    def f(c):
        disk, key = c.disk(), c.key()
        key.at("1-3")
        if removal:
            enroll(c, disk)
        env = {"GK_ENROLL_KILL_AT": point}
        if removal:
            r = Run(c, "--unlock-key-file", key_file(c), "--remove", "1", disk.path,
                    program=STOPS, env=env)
        else:
            r = Run(c, "--unlock-key-file", key_file(c), "--recovery", disk.path,
                    program=STOPS, env=env)
            if point.startswith("recovery-") and point != "recovery-shown":
                written_down(r)
        r.end(-signal.SIGKILL)
        sound(disk)
        equal(kinds(c, disk), [(0, "passphrase")] + AFTER.get(point, []), "listed")
        if AFTER.get(point) == LEFT:
            text = Run(c, "--list", disk.path).end()
            assert "left by an enrolment that was broken off; --remove 1" in text, text
        # The next run: of the same key it is done already, or it is done now.
        if KEY[0] in AFTER.get(point, []):
            assert "enrolled already" in enroll(c, disk, status=1)
        else:
            enroll(c, disk)
        token_opens(key, disk)
        sound(disk)
        clean_up(c, disk)
        left = [k for k in kinds(c, disk)
                if k[1] not in ("passphrase", "fido2", "recovery")]
        equal(left, [], "left over after all")
        sound(disk)
        c.unlock(disk)
        c.opened("key")
    f.__doc__ = "kill -9 there; then what opened it opens it, and the next run completes."
    return f


for POINT in points():
    TESTS.append((f"killed-at-{POINT}", killed_at(POINT)))


@test
def killed_while_taking_back(c):
    """The key gave another secret at the test, and then: kill -9."""
    disk, key = c.disk(), c.key()
    key.at("1-3")
    env = {"GK_ENROLL_HOLD_AT": "token-written", "GK_ENROLL_KILL_AT": "keyslot-removed"}
    r = Run(c, "--unlock-key-file", key_file(c), "--no-recovery", disk.path,
            program=STOPS, env=env)
    until("held", lambda: stopped(r.process.pid))
    key.tell("evil wrong-secret:assert")
    os.kill(r.process.pid, signal.SIGCONT)
    r.end(-signal.SIGKILL)
    sound(disk)
    equal(kinds(c, disk), [(0, "passphrase")] + TOKEN)
    key.tell("evil none")
    enroll(c, disk)
    clean_up(c, disk)
    equal(kinds(c, disk), [(0, "passphrase"), (1, "fido2")])


WRITES = "write,pwrite64,pwritev,ftruncate"


def traced(disk, inject=None, log="/dev/null"):
    return ["strace", "-qq", "-o", log, "-e", f"trace={WRITES}", "-P", disk.path,
            *(["-e", f"inject={WRITES}:signal=KILL:when={inject}"] if inject else [])]


def at_every_write(c, base, args, allowed):
    """The program that is installed, killed before its first, second, ... write to
    the disk, whatever libcryptsetup does between two of our points."""
    count = os.path.join(c.dir, "writes")
    disk = copy(c, base, "count")
    Run(c, *args(disk), before=traced(disk, log=count)).end()
    writes = sum(" = " in line and "= -1" not in line
                 for line in open(count, encoding="utf-8"))
    assert writes > 4, open(count, encoding="utf-8").read()
    seen = set()
    for n in range(1, writes + 1):
        disk = copy(c, base, "killed")
        Run(c, *args(disk), before=traced(disk, n)).end(-signal.SIGKILL)
        sound(disk)
        found = tuple(kinds(c, disk)[1:])
        assert found in allowed, (n, writes, found)
        seen.add(found)
        # What is listed as a key is one.
        if (1, "fido2") in found and allowed[found] == "opens":
            Run(c, "--test", disk.path).end()
        os.unlink(disk.path)
    equal(seen, set(allowed), f"in {writes} writes")
    print(f"        killed before each of {writes} writes")


@test
def killed_at_every_write(c):
    base, key = c.disk(), c.key()
    key.at("1-3")
    file = key_file(c)
    at_every_write(
        c, base, lambda d: ("--unlock-key-file", file, "--no-recovery", d.path),
        {(): None, tuple(TOKEN): None, tuple(LEFT): None, tuple(KEY): "opens"})


@test
def killed_at_every_write_of_a_removal(c):
    base, key = c.disk(), c.key()
    key.at("1-3")
    enroll(c, base)
    file = key_file(c)
    # While its area is wiped it is still listed, and removed by the same command.
    at_every_write(
        c, base, lambda d: ("--unlock-key-file", file, "--remove", "1", d.path),
        {tuple(KEY): None, tuple(TOKEN): None, (): None})


@test
def points_are_not_in_the_program(c):
    for name in ("GK_ENROLL_KILL_AT", "GK_ENROLL_HOLD_AT"):
        assert name.encode() not in open(PROGRAM, "rb").read()
        assert name.encode() in open(STOPS, "rb").read()


# --- the recovery passphrase ------------------------------------------------------

def written_down(r, wrong=False):
    text = r.expect(r"\n    ([a-z-]+)\n").group(1)
    if wrong:
        r.answer("last eight letters", "cccccccc")
    r.answer("last eight letters", text[-8:])
    return text


def recovery(c, disk, key, *args):
    r = Run(c, "--unlock-key-file", key_file(c), *args, disk.path)
    if "--pin" in key.options:
        r.answer("PIN of", PIN)
    r.answer("recovery passphrase", "y")
    text = written_down(r, wrong=True)
    r.end()
    return text


@test
def recovery_passphrase(c):
    disk, key = c.disk(), c.key()
    key.at("1-3")
    text = recovery(c, disk, key)
    assert re.fullmatch("([cbdefghijklnrtuv]{8}-){7}[cbdefghijklnrtuv]{8}", text), text
    assert opens(disk, text, 2)
    equal(kinds(c, disk), [(0, "passphrase"), (1, "fido2"), (2, "recovery")])
    sound(disk)
    # There is one: it is not offered again.
    two = c.key("two")
    two.at("1-4")
    key.pull()
    Run(c, "--unlock-key-file", key_file(c), disk.path).end()
    two.pull()
    # It lets in like a passphrase, also at boot.
    c.unlock(disk)
    c.asked("Passphrase")
    c.person.answer(text)
    c.opened("passphrase")


@test
def recovery_not_written_down(c):
    """Then it is not valid either; the key stays."""
    disk, key = c.disk(), c.key()
    key.at("1-3")
    r = Run(c, "--unlock-key-file", key_file(c), "--recovery", disk.path)
    text = r.expect(r"\n    ([a-z-]+)\n").group(1)
    r.answer("last eight letters", "")
    r.end(1)
    assert not opens(disk, text)
    equal(kinds(c, disk), [(0, "passphrase"), (1, "fido2")])


# --- listing, removing, testing ---------------------------------------------------

@test
def remove(c):
    disk, key = c.disk(), c.key()
    before = disk.dump()
    key.at("1-3")
    enroll(c, disk)
    r = Run(c, "--remove", "1", disk.path)
    r.expect("keyslot 1: security key, touch")
    r.answer("valid now", PASSPHRASE)
    text = r.end()
    assert "Keyslot 1 is removed" in text and "Token 0 is removed" in text, text
    same(disk, before)
    assert "keyslot 1 is empty" in Run(c, "--remove", "1", disk.path).end(1)


@test
def last_way_in(c):
    disk, key = c.disk(), c.key()
    file = key_file(c)
    # Of all.
    assert "is the last way in" in Run(c, "--remove", "0", "--force", disk.path).end(1)
    key.at("1-3")
    enroll(c, disk)
    before = disk.dump()
    # Of passphrases.
    assert "is the last passphrase" in Run(c, "--remove", "0", disk.path).end(1)
    assert "is the last passphrase" in Run(c, "--remove", "0", "--unlock-by-key", "1-3",
                                           disk.path).end(1)
    # One's own does not show that another works.
    disk.add(b"another")
    equal(kinds(c, disk)[2], (2, "passphrase"))
    Run(c, "--remove", "0", "--unlock-key-file", file, disk.path).end(1)
    assert opens(disk)
    other = os.path.join(c.dir, "other")
    with open(other, "wb") as f:
        f.write(b"another")
    Run(c, "--remove", "2", "--unlock-key-file", file, disk.path).end()
    same(disk, before)
    # Another key does.
    Run(c, "--remove", "2", "--unlock-key-file", file, disk.path).end(1)
    disk.add(b"another")
    Run(c, "--remove", "2", "--unlock-by-key", "1-3", disk.path).end()
    # But not for its own keyslot; and for that it is not touched.
    touches = key.stats()["touches"]
    assert "not enrolled for a keyslot that counts" in Run(
        c, "--remove", "1", "--unlock-by-key", "1-3", disk.path).end(1)
    equal(key.stats()["touches"], touches)
    # By force, and it is said.
    text = Run(c, "--remove", "0", "--force", disk.path).end()
    assert "no passphrase will be left" in text, text
    equal(kinds(c, disk), [(1, "fido2")])
    assert "is the last way in" in Run(c, "--remove", "1", "--force", disk.path).end(1)
    Run(c, "--test", disk.path).end()


@test
def ignored_passphrase(c):
    """By priority: neither the boot nor cryptsetup tries it, so it is no way in."""
    disk = c.disk()
    disk.add(b"another")
    subprocess.run(["cryptsetup", "config", "--priority", "ignore", "--key-slot", "1",
                    disk.path], check=True)
    equal(kinds(c, disk), [(0, "passphrase"), (1, "ignored")])
    assert "not tried" in Run(c, "--list", disk.path).end()
    file = key_file(c, "another")
    for more in (), ("--force",):
        assert "the last way in that is tried" in Run(
            c, "--remove", "0", "--unlock-key-file", file, *more, disk.path).end(1)
    # As a proof it does not count beside a key either.
    key = c.key()
    key.at("1-3")
    enroll(c, disk)
    assert "opens no keyslot that counts" in Run(
        c, "--remove", "2", "--unlock-key-file", key_file(c, "another"),
        disk.path).end(1)
    assert "is the last passphrase" in Run(c, "--remove", "0", "--unlock-by-key", "1-3",
                                           disk.path).end(1)
    assert opens(disk)


@test
def unknown_keyslots(c):
    """What is not known is not taken for a passphrase: tokens of others, what another
    program may have left, keyslots of no segment."""
    disk = c.disk()
    disk.add(b"theirs")
    disk.token({"type": "clevis", "keyslots": ["1"]})
    key = os.path.join(c.dir, "k")
    with open(key, "wb") as f:
        f.write(b"left")
    subprocess.run(["cryptsetup", "luksAddKey", "--batch-mode", "--key-file", "-",
                    "--pbkdf", "pbkdf2", "--hash", "sha512", "--pbkdf-force-iterations",
                    "1000", disk.path, key], input=PASSPHRASE.encode(), check=True)
    subprocess.run(["cryptsetup", "luksAddKey", "--batch-mode", "--unbound",
                    "--key-size", "512", *FAST, disk.path, key], check=True)
    equal(kinds(c, disk), [(0, "passphrase"), (1, "other"), (2, "left"), (3, "unbound")])
    equal(entries(c, disk)[2]["certain"], False)
    text = Run(c, "--list", disk.path).end()
    assert "perhaps left" in text and "token of type clevis" in text, text
    assert "is the last passphrase" in Run(c, "--remove", "0", disk.path).end(1)
    # Another program's passphrase in a keyslot that a mark once named.
    disk.add(b"mine")
    disk.token({"type": "gatekeeper-enrolling", "keyslots": [], "keyslot": 4})
    equal([k for k in kinds(c, disk) if k[0] == 4], [(4, "passphrase")])
    Run(c, "--remove", "token:5", disk.path).end(1)


@test
def tokens_of_others(c):
    """A token that cannot be read, and one without a keyslot."""
    disk = c.disk()
    disk.add(b"x")
    disk.token({"type": "systemd-recovery", "keyslots": ["1"]})
    disk.token({"type": "gk-test", "keyslots": []})
    equal(kinds(c, disk), [(0, "passphrase"), (1, "recovery"),
                           (None, "token-without-keyslot")])
    assert "belongs to a keyslot" in Run(c, "--remove", "token:0", disk.path).end(1)
    Run(c, "--remove", "token:1", disk.path).end()
    equal(len(kinds(c, disk)), 2)


@test
def try_out(c):
    """--test: with PIN and touch; a foreign key; nothing is changed."""
    disk, key, foreign = c.disk(), c.key("key", "--pin", PIN), c.key("foreign")
    key.at("1-3")
    enroll(c, disk, pin=PIN)
    before = open(disk.path, "rb").read()
    r = Run(c, "--test", disk.path)
    r.answer("PIN of the security key on port 1-3, 8 tries", PIN)
    assert "opens" in r.end()
    key.pull()
    foreign.at("1-3")
    assert "no security key that is plugged in is enrolled" in \
        Run(c, "--test", disk.path).end(1)
    equal(foreign.stats()["requests"]["token"], 0)
    key.at("1-4")
    r = Run(c, "--test", disk.path)
    r.answer("PIN of the security key on port 1-4", PIN)
    r.end()
    assert before == open(disk.path, "rb").read()


@test
def try_out_always_uv(c):
    """A key that says nothing before its PIN: one PIN for all that it may be."""
    disk = c.disk()
    other, key = c.key("other"), c.key("key", "--pin", PIN, "--always-uv-strict")
    other.at("1-4")
    enroll(c, disk)
    other.pull()
    key.at("1-3")
    enroll(c, disk, pin=PIN)
    assert "perhaps the one on port 1-3" in Run(c, "--list", disk.path).end()
    for args in (("--test",), ("--remove", "1", "--unlock-by-key", "1-3")):
        sent = key.stats()["requests"]["token"]
        r = Run(c, *args, disk.path)
        r.answer("PIN of the security key on port 1-3, 8 tries", PIN)
        r.end()
        assert key.stats()["requests"]["token"] - sent <= 3, "PINs sent"
    equal(kinds(c, disk), [(0, "passphrase"), (2, "fido2")])


@test
def try_out_what_systemd_enrolled(c):
    """Tokens that were not ours; also one that says PIN and means without."""
    for n, more in enumerate(({}, {"token_pin": True})):
        disk, key = c.disk(f"disk{n}"), c.key(f"key{n}", "--pin", PIN)
        key.enroll(disk, pin=None, **more)
        key.at("1-3")
        r = Run(c, "--test", disk.path)
        if more:
            r.answer("PIN of", PIN)
        r.end()
        key.pull()


@test
def crypttab(c):
    """A name in crypttab; without one, the only volume there."""
    disk, key = c.disk(), c.key()
    key.at("1-3")
    tab = os.path.join(c.root, "etc/crypttab")
    with open(tab, "w") as f:
        f.write(f"# name device key options\n\nswap /dev/null /dev/urandom swap\n"
                f"root\t{disk.path} none luks,tpm2-device=auto,discard\n")
    Run(c, "--unlock-key-file", key_file(c), "--no-recovery", "root").end()
    assert "(root)" in Run(c, "--list").end()
    Run(c, "--test").end()
    Run(c, "--remove", "1", "--unlock-key-file", key_file(c)).end()
    other = c.disk("other")
    with open(tab, "a") as f:
        f.write(f"two {other.path}\n")
    equal(len(json.loads(Run(c, "--list", "--json").end())), 2)
    assert "2 LUKS2 volumes" in Run(c, "--test").end(1)


@test
def detached_header(c):
    """header= of crypttab is where the change goes."""
    disk, key = c.disk(), c.key()
    data = os.path.join(c.dir, "data.img")
    with open(data, "wb") as f:
        f.truncate(1 << 20)
    with open(os.path.join(c.root, "etc/crypttab"), "w") as f:
        f.write(f"root {data} none discard,header={disk.path},x-initrd.attach\n")
    key.at("1-3")
    Run(c, "--unlock-key-file", key_file(c), "--no-recovery", "root").end()
    token_opens(key, disk)


@test
def wrong_use(c):
    disk = c.disk()
    for args in (("--list", "--test"), (), (disk.path, "more"), ("--nonsense",),
                 ("--json", disk.path), ("--force", disk.path),
                 ("--list", "--no-pin", disk.path), ("--wait", "x", disk.path),
                 ("--remove", "x", disk.path), ("--remove", "32", disk.path),
                 ("--remove", "", disk.path), ("--remove", "token:32", disk.path),
                 ("--fingerprint", "--no-pin", disk.path),
                 ("--key", "1-3", "--unlock-by-key", "1-3", disk.path)):
        Run(c, *args).end(2)


@test
def the_command(c):
    """`gatekeeper enroll` becomes gatekeeper-enroll, and is linked with none of its
    libraries."""
    disk = c.disk()
    libs = subprocess.run(["ldd", os.path.join(BUILD, "gatekeeper")], check=True,
                          stdout=subprocess.PIPE).stdout.decode()
    assert "cryptsetup" not in libs and "fido2" not in libs, libs
    libs = subprocess.run(["ldd", PROGRAM], check=True,
                          stdout=subprocess.PIPE).stdout.decode()
    assert "cryptsetup" in libs and "fido2" not in libs, libs
    lib = os.path.join(c.root, "usr/lib/gatekeeper")
    os.makedirs(lib)
    os.symlink(PROGRAM, os.path.join(lib, "gatekeeper-enroll"))
    out = subprocess.run([os.path.join(BUILD, "gatekeeper"), "--run-dir", c.run,
                          "--root-prefix", c.root, "enroll", "--list", disk.path],
                         check=True, stdout=subprocess.PIPE).stdout.decode()
    assert "keyslot 0   passphrase" in out, out


@test
def answers_by_a_pipe(c):
    """Without a terminal: one line for each question."""
    disk, key = c.disk(), c.key("key", "--pin", PIN)
    key.at("1-3")
    p = subprocess.run([PROGRAM, "--run-dir", c.run, "--root-prefix", c.root,
                        "--key-program", os.path.join(BUILD, "gatekeeper-key"),
                        disk.path], input=f"{PASSPHRASE}\n{PIN}\n".encode(),
                       timeout=60, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       check=False)
    equal(p.returncode, 0, p.stdout.decode())
    with open(os.path.join(c.dir, "answers"), "w+b") as f:
        f.write(b"wrong\n")
        f.seek(0)
        p = subprocess.run([PROGRAM, "--run-dir", c.run, "--root-prefix", c.root,
                            "--remove", "1", disk.path], stdin=f, timeout=60,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    equal(p.returncode, 1, p.stdout.decode())


@test
def secrets_nowhere(c):
    """Passphrase, PIN and the recovery passphrase in no command line, no environment,
    no core file; the first two are not shown."""
    disk, key = c.disk(), c.key("key", "--pin", PIN)
    key.at("1-3", "--touch", "never")
    r = Run(c, "--recovery", disk.path)
    r.answer("valid now", PASSPHRASE)
    r.answer("PIN of", PIN)
    r.expect("Touch the security key")
    family = [r.process.pid] + children(r.process.pid)
    equal(len(family), 2, "processes")
    for pid in family:
        for name in ("cmdline", "environ"):
            text = open(f"/proc/{pid}/{name}", "rb").read()
            for secret in (PASSPHRASE, PIN):
                assert secret.encode() not in text, (pid, name)
        limits = open(f"/proc/{pid}/limits").read()
        assert re.search("Max core file size +0 +0 ", limits), limits
    for n in range(3):
        if n > 0:
            r.expect("Touch the security key")
        until("a touch is wanted", lambda: key.stats()["state"] == "touch")
        key.tell("touch")
    text = written_down(r)
    seen = r.end()
    assert PIN not in seen and PASSPHRASE not in seen, seen
    equal(seen.count(text), 1, "the recovery passphrase")
    for path, _, files in os.walk(c.dir):
        for name in files:
            if name.endswith(".img") or not os.path.isfile(os.path.join(path, name)):
                continue
            data = open(os.path.join(path, name), "rb").read()
            assert PASSPHRASE.encode() not in data and text.encode() not in data, name
    data = open(disk.path, "rb").read()
    for secret in (PASSPHRASE, text):
        assert secret.encode() not in data


def children(parent):
    found = []
    for pid in os.listdir("/proc"):
        try:
            stat = open(f"/proc/{pid}/stat").read()
        except (OSError, NotADirectoryError):
            continue
        if stat.rsplit(")", 1)[1].split()[1] == str(parent):
            found.append(int(pid))
    return found


if __name__ == "__main__":
    sys.exit(run_tests("gk-enroll-", [(name, f, Terminal) for name, f in TESTS]))
