#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Unlocking without a virtual machine: gatekeeper-unlock and gatekeeper-key as they
are, on real LUKS2 headers, with the virtual authenticator and real questions of
systemd-ask-password (as root; else on a terminal).

unlock.py [--keep] [--not NAME] [NAME...]: all, or those that contain NAME."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from rig import (CHANNEL, PASSPHRASE, Agent, Terminal, run_tests,  # noqa: E402
                 until)

TESTS = []
PIN = "123456"


def test(*persons):
    def add(f):
        for person in persons or (None,):
            TESTS.append((f.__name__ + (f"@{person.kind}" if person else ""), f, person))
        return f
    return add


def equal(got, wanted, what=""):
    if got != wanted:
        raise AssertionError(f"{what} {got!r}, wanted {wanted!r}")


BOTH = (Agent, Terminal) if os.geteuid() == 0 else (Terminal,)


# --- the three ways a token can be ------------------------------------------------

@test(*BOTH)
def touch(c):
    """No PIN, a touch."""
    disk, key = c.disk(), c.key()
    key.enroll(disk)
    key.at("1-3", "--touch", "never")
    c.unlock(disk)
    c.told("Touch the security key on port 1-3 now")
    c.asked("Passphrase for disk .*, or touch the security key")
    key.tell("touch now")
    how = c.opened("key")
    equal(how["port"], "1-3")
    assert 0 <= how["key_to_touch_ms"] < 20000, how


@test(*BOTH)
def pin_and_touch(c):
    disk, key = c.disk(), c.key("key", "--pin", PIN)
    key.enroll(disk, pin=PIN)
    key.at("1-3", "--touch", "never")
    c.unlock(disk)
    c.asked("PIN of the security key on port 1-3, 8 tries left")
    c.person.answer(PIN)
    c.told("Touch the security key")
    key.tell("touch now")
    c.opened("key")
    equal(key.stats()["retries"], 8, "PIN tries")


@test()
def no_touch(c):
    """Nothing is asked, nothing is touched."""
    disk, key = c.disk(), c.key("key", "--secret-without-touch")
    key.enroll(disk, up=False)
    key.at("1-3", "--touch", "never")
    c.unlock(disk)
    c.opened("key")
    equal(key.stats()["touches"], 0, "touches")
    assert "Touch" not in c.screen(), c.screen()


@test()
def old_tokens(c):
    """Without the newer fields: PIN and touch as the key asks for them."""
    disk, key = c.disk(), c.key("key", "--pin", PIN)
    key.enroll(disk, fields={}, token={})
    key.at("1-3")
    c.unlock(disk)
    c.opened("key")
    equal(key.stats()["retries"], 8, "PIN tries")


@test()
def unknown_fields(c):
    disk, key = c.disk(), c.key()
    key.enroll(disk, token={"fido2-new-thing": {"a": [1, 2]}, "x": None})
    key.at("1-3")
    c.unlock(disk)
    c.opened("key")


@test()
def bad_token_beside(c):
    """A token that is not as it should be is named in the log and passed over."""
    disk, key = c.disk(), c.key()
    disk.token({"type": "systemd-fido2", "keyslots": ["0"], "fido2-salt": "AAAA",
                "fido2-credential": "!!!!"})
    key.enroll(disk)
    key.at("1-3")
    c.unlock(disk)
    c.opened("key")
    assert "fido2-credential is not base64" in c.log(), c.log()


@test()
def always_uv(c):
    """The key does everything with its PIN only, and says so."""
    disk, key = c.disk(), c.key("key", "--pin", PIN, "--always-uv-strict")
    key.enroll(disk, pin=PIN)
    key.at("1-3")
    c.unlock(disk)
    c.asked("PIN of the security key on port 1-3")
    c.person.answer(PIN)
    c.opened("key")


@test()
def pin_but_enrolled_without(c):
    """The token says PIN, the keyslot has the secret without (systemd 31443)."""
    disk, key = c.disk(), c.key("key", "--pin", PIN)
    key.enroll(disk, pin=None, token_pin=True)
    key.at("1-3")
    c.unlock(disk)
    c.asked("PIN of the security key on port 1-3, 8 tries left")
    c.person.answer(PIN)
    c.opened("key")
    equal(key.stats()["retries"], 8, "PIN tries")


# --- which key ---------------------------------------------------------------------

@test()
def second_of_two(c):
    """Two are enrolled, only the second is there."""
    disk, first, second = c.disk(), c.key("first"), c.key("second", "--pin", PIN)
    first.enroll(disk)
    second.enroll(disk, pin=PIN)
    second.at("1-4")
    c.unlock(disk)
    c.asked("PIN of the security key on port 1-4")
    c.person.answer(PIN)
    c.opened("key")


@test()
def foreign_beside(c):
    """A foreign key beside the right one: not a word about it, not a try, not a
    touch."""
    disk, key = c.disk(), c.key("key", "--pin", PIN)
    foreign, other = c.key("foreign", "--pin", "999999"), c.disk("other")
    foreign.enroll(other, pin="999999")
    key.enroll(disk, pin=PIN)
    foreign.at("1-1", "--touch", "never")
    key.at("1-2")
    c.unlock(disk)
    c.asked("PIN of the security key on port 1-2")
    c.person.answer(PIN)
    c.opened("key")
    equal(foreign.stats()["retries"], 8, "the foreign key's PIN tries")
    equal(foreign.stats()["touches"], 0, "the foreign key's touches")
    assert "1-1" not in c.screen(), c.screen()


@test()
def foreign_alone(c):
    disk, key, foreign = c.disk(), c.key(), c.key("foreign", "--pin", PIN)
    key.enroll(disk)
    foreign.at("1-1")
    c.unlock(disk)
    c.asked("Passphrase for disk")
    c.person.answer(PASSPHRASE)
    c.opened("passphrase")
    equal(foreign.stats()["retries"], 8, "PIN tries")


@test()
def without_hmac_secret(c):
    disk, key, old = c.disk(), c.key(), c.key("old", "--no-hmac-secret")
    key.enroll(disk)
    old.at("1-1")
    c.unlock(disk)
    c.asked("Passphrase for disk")
    key.at("1-2")
    c.opened("key")


@test(*BOTH)
def late(c):
    """No key, then one."""
    disk, key = c.disk(), c.key("key", "--pin", PIN)
    key.enroll(disk, pin=PIN)
    c.unlock(disk)
    c.asked("Passphrase for disk .*, or plug in its security key")
    time.sleep(1)
    key.at("1-3")
    c.asked("PIN of the security key on port 1-3")
    time.sleep(1.3)
    c.person.answer(PIN)
    c.opened("key")


@test()
def directory_late(c):
    """Also when there is no directory of keys yet."""
    disk, key = c.disk(), c.key()
    key.enroll(disk)
    shutil.rmtree(c.run)
    os.mkdir(c.run)
    c.unlock(disk)
    c.asked("Passphrase")
    key.at("1-3")
    c.opened("key")


@test()
def pulled_mid_touch(c):
    disk, key = c.disk(), c.key()
    key.enroll(disk)
    key.at("1-3", "--touch", "never")
    c.unlock(disk)
    c.told("Touch the security key")
    key.pull()
    c.told("on port 1-3 was unplugged")
    key.at("1-3")
    c.opened("key")


@test()
def gate_anew(c):
    """The gate dies while the touch is awaited: the key is awaited from the next one."""
    disk, key = c.disk(), c.key("key", program=CHANNEL)
    key.enroll(disk)
    key.at("1-3", "--touch", "never")
    c.unlock(disk)
    c.told("Touch the security key")
    key.process.send_signal(signal.SIGUSR1)
    c.told("on port 1-3 was unplugged")
    c.told("Touch the security key", times=2)
    key.tell("touch now")
    c.opened("key")


@test()
def pulled_at_the_pin(c):
    disk, key = c.disk(), c.key("key", "--pin", PIN)
    key.enroll(disk, pin=PIN)
    key.at("1-3")
    c.unlock(disk)
    c.asked("PIN of the security key on port 1-3")
    key.pull()
    c.asked("Passphrase for disk")
    key.at("1-4")
    c.asked("PIN of the security key on port 1-4, 8 tries")
    time.sleep(1.3)
    c.person.answer(PIN)
    c.opened("key")


# --- the PIN -----------------------------------------------------------------------

@test(*BOTH)
def wrong_pin_then_right(c):
    disk, key = c.disk(), c.key("key", "--pin", PIN)
    key.enroll(disk, pin=PIN)
    key.at("1-3")
    c.unlock(disk)
    c.asked("8 tries left")
    c.person.answer("654321")
    c.told("Wrong PIN")
    c.asked("7 tries left")
    equal(key.stats()["retries"], 7, "PIN tries after one wrong one")
    c.person.answer(PIN)
    c.opened("key")
    equal(key.stats()["retries"], 8, "PIN tries")


@test()
def last_try(c):
    disk, key = c.disk(), c.key("key", "--pin", PIN)
    key.enroll(disk, pin=PIN)
    key.at("1-3", "--retries", "1")
    c.unlock(disk)
    c.asked("LAST TRY")
    c.person.answer("")
    c.asked("Passphrase for disk .*Enter alone")
    c.person.answer(PASSPHRASE)
    c.opened("passphrase")
    equal(key.stats()["retries"], 1, "PIN tries")


@test()
def blocked(c):
    """By the last wrong try, with a word, and the passphrase after it."""
    disk, key = c.disk(), c.key("key", "--pin", PIN)
    key.enroll(disk, pin=PIN)
    key.at("1-3", "--retries", "1")
    c.unlock(disk)
    c.asked("LAST TRY")
    c.person.answer("000000")
    c.told("is blocked")
    c.asked("Passphrase for disk")
    c.person.answer(PASSPHRASE)
    c.opened("passphrase")


@test()
def blocked_before(c):
    disk, key = c.disk(), c.key("key", "--pin", PIN)
    key.enroll(disk, pin=PIN)
    key.at("1-3", "--retries", "0")
    c.unlock(disk)
    c.told("is blocked")
    c.asked("Passphrase for disk")
    c.person.answer(PASSPHRASE)
    c.opened("passphrase")


@test()
def three_wrong(c):
    """The key wants to be plugged in again (CTAP 2.1 6.5.5.6), and says so."""
    disk, key = c.disk(), c.key("key", "--pin", PIN)
    key.enroll(disk, pin=PIN)
    key.at("1-3")
    c.unlock(disk)
    for left in (8, 7, 6):
        c.asked(f"{left} tries left")
        c.person.answer("000000")
    c.told("unplug the security key on port 1-3")
    c.asked("Passphrase for disk")
    equal(key.stats()["retries"], 5, "PIN tries")
    key.pull()
    key.at("1-3")
    c.asked("5 tries left")
    time.sleep(1.3)
    c.person.answer(PIN)
    c.opened("key")


@test()
def comes_and_goes(c):
    """A key that asks for its PIN and vanishes, again and again, does not keep
    anybody from typing the passphrase."""
    disk, key = c.disk(), c.key("key", "--pin", PIN)
    key.enroll(disk, pin=PIN)
    c.unlock(disk)
    for _ in range(3):
        c.asked("Passphrase")
        key.at("1-3")
        c.asked("PIN of")
        key.pull()
    c.asked("Passphrase")
    key.at("1-3")
    c.told("Enter alone: the PIN of the security key on port 1-3")
    c.asked("Passphrase")
    c.person.answer("")
    c.asked("PIN of")
    c.person.answer(PIN)
    c.opened("key")


@test()
def pin_under_the_fingers(c):
    """A passphrase that was being typed when the question became that for a PIN is
    no PIN."""
    disk, key = c.disk(), c.key("key", "--pin", PIN)
    key.enroll(disk, pin=PIN)
    c.unlock(disk)
    c.asked("Passphrase")
    key.at("1-3")
    c.asked("PIN of the security key")
    c.person.answer("not a pin at all")
    c.asked("PIN of the security key on port 1-3, 8 tries")
    equal(key.stats()["retries"], 8, "PIN tries")
    c.person.answer(PIN)
    c.opened("key")


@test()
def passphrase_at_the_pin(c):
    """Enter alone at the PIN: the passphrase."""
    disk, key = c.disk(), c.key("key", "--pin", PIN)
    key.enroll(disk, pin=PIN)
    key.at("1-3")
    c.unlock(disk)
    c.asked("PIN of the security key")
    c.person.answer("")
    c.asked("Passphrase for disk .*Enter alone: security key")
    c.person.answer("")
    c.asked("PIN of the security key")
    c.person.answer("")
    c.asked("Passphrase for disk")
    c.person.answer(PASSPHRASE)
    c.opened("passphrase")
    equal(key.stats()["retries"], 8, "PIN tries")
    equal(key.stats()["requests"]["token"], 0, "PINs sent")


# --- the touch ---------------------------------------------------------------------

@test()
def touch_never(c):
    """Three waits of the key's own, then a word, and Enter begins again."""
    disk, key = c.disk(), c.key("key", "--pin", PIN)
    key.enroll(disk, pin=PIN)
    key.at("1-3", "--touch", "never", "--touch-timeout", "700")
    c.unlock(disk)
    c.asked("PIN of")
    c.person.answer(PIN)
    c.told("Touch the security key", times=3)
    c.told("was not touched; Enter alone tries it again")
    equal(key.stats()["retries"], 8, "PIN tries")
    c.person.answer("")
    c.told("Touch the security key", times=4)
    key.tell("touch now")
    c.opened("key")


@test()
def touch_late(c):
    disk, key = c.disk(), c.key()
    key.enroll(disk)
    key.at("1-3", "--touch", "late:3000")
    c.unlock(disk)
    c.opened("key")


# --- the passphrase ----------------------------------------------------------------

@test(*BOTH)
def passphrase_while_key_awaited(c):
    disk, key = c.disk(), c.key()
    key.enroll(disk)
    c.unlock(disk)
    c.asked("Passphrase")
    begin = time.monotonic()
    c.person.answer(PASSPHRASE)
    c.opened("passphrase")
    assert time.monotonic() - begin < 5, "at once"


@test(*BOTH)
def passphrase_while_touch_awaited(c):
    """The disk is open at once, and the key is told that nobody waits."""
    disk, key = c.disk(), c.key()
    key.enroll(disk)
    key.at("1-3", "--touch", "never")
    c.unlock(disk)
    c.told("Touch the security key")
    c.asked("Passphrase")
    c.person.answer(PASSPHRASE)
    c.opened("passphrase")
    until("cancel", lambda: key.stats()["state"] == "idle", 5)
    assert key.stats()["cancels"] >= 1, key.stats()


@test()
def wrong_passphrases(c):
    """Five, then it is the system's turn, with an exit status that says so."""
    disk, key = c.disk(), c.key()
    key.enroll(disk)
    c.unlock(disk)
    for n in range(5):
        c.asked("Passphrase")
        c.person.answer(f"wrong {n}")
        if n < 4:
            c.told("Wrong passphrase", times=n + 1)
    status, how = c.ended()
    equal((status, how["open"], how["result"]), (1, False, "too many wrong passphrases"))


@test()
def too_long(c):
    disk, key = c.disk(), c.key()
    key.enroll(disk)
    c.unlock(disk)
    c.asked("Passphrase")
    c.person.answer("x" * 513)
    c.asked("Passphrase")
    c.person.answer(PASSPHRASE)
    c.opened("passphrase")


@test()
def not_ours(c):
    """No key is enrolled: not a question, the system does it."""
    disk = c.disk()
    begin = time.monotonic()
    c.unlock(disk)
    status, how = c.ended()
    equal((status, how["open"]), (1, False))
    assert time.monotonic() - begin < 5
    equal(c.screen(), "")


@test()
def greedy_keyslot(c):
    """A header that asks for a day of work is refused by what it says."""
    disk, key = c.disk(), c.key()
    key.enroll(disk)
    patch_iterations(disk, 4000000000)
    key.at("1-3")
    c.unlock(disk)
    c.asked("Passphrase")
    c.told("does not open disk")
    assert "wants more work than is done here" in c.log(), c.log()


def patch_iterations(disk, iterations):
    """In both headers, with new checksums: what a thief of the disk could write."""
    with open(disk.path, "r+b") as f:
        for offset in (0, 16384):
            f.seek(offset)
            head = bytearray(f.read(16384))
            area = bytes(head[4096:]).split(b"\0", 1)[0]
            meta = json.loads(area)
            for slot in meta["keyslots"].values():
                slot["kdf"]["iterations"] = iterations
            text = json.dumps(meta, separators=(",", ":")).encode()
            head[4096:] = text + bytes(16384 - 4096 - len(text))
            # struct luks2_hdr_disk: csum at 448, 64 bytes, zero while it is made
            head[448:512] = bytes(64)
            algorithm = bytes(head[72:104]).split(b"\0", 1)[0].decode()
            digest = hashlib.new(algorithm, head).digest()
            head[448:448 + len(digest)] = digest
            f.seek(offset)
            f.write(head)


@test()
def busy(c):
    """Somebody else is at the key: our turn comes."""
    disk, key = c.disk(), c.key()
    key.enroll(disk)
    key.at("1-3", "--touch", "never", "--touch-timeout", "3000")
    other = key.client()
    waits = threading.Thread(target=lambda: other.failing(key))
    waits.start()
    until("the other waits for a touch", lambda: key.stats()["state"] == "touch")
    c.unlock(disk)
    c.asked("Passphrase for disk")
    assert "Touch" not in c.screen(), c.screen()
    waits.join()
    c.told("Touch the security key")
    key.tell("touch now")
    c.opened("key")


# --- several volumes ---------------------------------------------------------------

@test()
def two_volumes_one_touch(c):
    """Two volumes with the same credential and salt: one touch, one process that
    asks for both."""
    one, two, key = c.disk("one"), c.disk("two"), c.key()
    credential, salt = key.enroll(one)
    key.enroll(two, credential=credential, salt=salt)
    key.at("1-3", "--touch", "never")
    c.start("--serve")
    until("the server", lambda: os.path.exists(os.path.join(c.run, "unlock")))
    first = c.start(one.name, one.path)
    c.told("Touch the security key")
    second = c.start(two.name, two.path)
    time.sleep(0.5)
    key.tell("touch now")
    c.opened("key", first)
    c.opened("key", second)
    equal(key.stats()["touches"], 1, "touches")


@test()
def second_volume_later(c):
    """What opened the first opens the second, which was not there yet."""
    one, two, key = c.disk("one"), c.disk("two"), c.key()
    key.enroll(one)
    key.enroll(two)
    c.start("--serve")
    until("the server", lambda: os.path.exists(os.path.join(c.run, "unlock")))
    first = c.start(one.name, one.path)
    c.asked("Passphrase")
    c.person.answer(PASSPHRASE)
    c.opened("passphrase", first)
    c.opened("passphrase", c.start(two.name, two.path))


@test()
def client_gone(c):
    """A unit that is stopped takes its question with it."""
    disk, key = c.disk(), c.key()
    key.enroll(disk)
    c.start("--serve")
    until("the server", lambda: os.path.exists(os.path.join(c.run, "unlock")))
    client = c.start(disk.name, disk.path)
    c.asked("Passphrase")
    client.kill()
    until("no question", lambda: c.person.question() is None)
    client = c.start(disk.name, disk.path)
    c.asked("Passphrase")
    c.person.answer(PASSPHRASE)
    c.opened("passphrase", client)


# --- hostile keys ------------------------------------------------------------------

HOSTILE = [
    "init-nonce", "init-short", "init-cid-zero", "wrong-cid", "other-command",
    "errors", "foreign", "foreign-forever:info", "length-max", "length-over",
    "fragments-reordered", "fragments-extra", "fragments-missing", "restarted", "twice",
    "short-packet", "keepalive-flood:info", "silent:info", "cbor-deep",
    "cbor-giant-bytes", "cbor-giant-map", "cbor-giant-array", "cbor-truncated",
    "cbor-trailing", "cbor-indefinite", "cbor-types", "cbor-empty", "cbor-empty-map",
    "cbor-duplicates", "cbor-noise", "status-odd", "other-answer", "wrong-secret:assert",
    "secret-short:assert", "secret-long:assert", "secret-empty:assert",
    "retries-many:retries", "retries-none:retries", "silent:assert", "silent:token",
    "keepalive-forever:assert", "keepalive-flood:assert", "silent-touched",
    "foreign-forever:assert", "other-rp:assert", "other-credential:assert",
    "unplug-at:info", "unplug-at:retries", "unplug-at:token", "unplug-at:touched",
    "unplug-at:answer",
]


def hostile(name):
    def f(c):
        disk, key = c.disk(), c.key("key", "--pin", PIN)
        key.enroll(disk, pin=PIN)
        key.at("1-3", "--evil", name)
        c.unlock(disk)
        text = c.asked("Passphrase|PIN", 30)
        if "PIN" in text:
            # As the person would: the PIN once, then the passphrase.
            c.person.answer(PIN)
            until("another question, or the end", lambda: c.process.poll() is not None
                  or (c.person.question() or "").startswith("Passphrase"), 30)
        if c.process.poll() is None:
            c.person.answer(PASSPHRASE)
        status, how = c.ended()
        equal((status, how["open"]), (0, True))
        assert key.stats()["requests"]["token"] <= 2, key.stats()
    f.__doc__ = "A key that does this: the passphrase opens the disk all the same."
    return f


for NAME in HOSTILE:
    TESTS.append((f"hostile-{NAME}", hostile(NAME), None))


@test()
def key_process_killed(c):
    """The jailed process dies in the middle: once it begins anew, then the key is
    left aside, and the prompt goes on."""
    disk, key = c.disk(), c.key()
    key.enroll(disk)
    key.at("1-3", "--touch", "never")
    c.unlock(disk)
    for n in (1, 2):
        c.told("Touch the security key", times=n)
        os.kill(child(c.process.pid, "gatekeeper-key"), 9)
    c.told("does not answer as it should")
    c.asked("Passphrase")
    c.person.answer(PASSPHRASE)
    c.opened("passphrase")


def child(parent, name):
    for pid in os.listdir("/proc"):
        if not pid.isdigit():
            continue
        try:
            stat = open(f"/proc/{pid}/stat").read()
        except OSError:
            continue
        comm = stat[stat.index("(") + 1:stat.rindex(")")]
        if comm == name[:15] and stat.rsplit(")", 1)[1].split()[1] == str(parent):
            return int(pid)
    raise AssertionError(f"no {name}")


@test()
def jail(c):
    """What the process that talks to the key has left."""
    disk, key = c.disk(), c.key()
    key.enroll(disk)
    key.at("1-3", "--touch", "never")
    c.unlock(disk)
    c.told("Touch the security key")
    pid = child(c.process.pid, "gatekeeper-key")
    status = dict(line.split(":\t", 1) for line in
                  open(f"/proc/{pid}/status").read().splitlines() if ":\t" in line)
    equal(status["NoNewPrivs"], "1")
    equal(status["Seccomp"], "2")
    if os.geteuid() == 0:
        equal(set(status["Uid"].split()), {"65529"})
        equal(status["CapPrm"] + status["CapEff"] + status["CapBnd"],
              "0000000000000000" * 3)
        equal(os.readlink(f"/proc/{pid}/root"), f"/proc/{pid}/fdinfo")
    fds = sorted(int(n) for n in os.listdir(f"/proc/{pid}/fd"))
    equal(fds, [0, 1, 2, 3, 4])
    limits = open(f"/proc/{pid}/limits").read()
    assert "Max core file size        0 " in limits, limits


@test()
def secrets_nowhere(c):
    """PIN and passphrase in no log, no command line, no environment."""
    disk, key = c.disk(), c.key("key", "--pin", PIN)
    key.enroll(disk, pin=PIN)
    key.at("1-3", "--touch", "never")
    c.unlock(disk)
    c.asked("PIN of")
    c.person.answer(PIN)
    c.told("Touch the security key")
    c.asked("Passphrase")
    family = [c.process.pid, child(c.process.pid, "gatekeeper-key")]
    for pid in family:
        for f in ("cmdline", "environ"):
            text = open(f"/proc/{pid}/{f}", "rb").read()
            assert PIN.encode() not in text, (pid, f)
    c.person.answer(PASSPHRASE)
    c.opened("passphrase")
    for text in (c.log(), c.screen()):
        assert PIN not in text and PASSPHRASE not in text, text


# --- words -------------------------------------------------------------------------

@test(*BOTH)
def german(c):
    """language = de of gatekeeper.conf."""
    with open(os.path.join(c.root, "etc/gatekeeper/gatekeeper.conf"), "w") as f:
        f.write("language = de\n")
    disk, key = c.disk(), c.key("key", "--pin", PIN)
    key.enroll(disk, pin=PIN)
    key.at("1-3", "--touch", "never")
    c.unlock(disk)
    c.asked("PIN des Sicherheitsschlüssels an Anschluss 1-3, noch 8 Versuche")
    c.person.answer("000000")
    c.told("Falsche PIN")
    c.asked("noch 7 Versuche")
    c.person.answer(PIN)
    c.told("Sicherheitsschlüssel an Anschluss 1-3 jetzt berühren")
    key.tell("touch now")
    c.opened("key")
    assert "Wrong PIN" in c.log(), "the log is English"


@test()
def german_of_the_system(c):
    with open(os.path.join(c.root, "etc/locale.conf"), "w") as f:
        f.write('FOO=1\nLANG="de_DE.UTF-8"\n')
    disk, key = c.disk(), c.key()
    key.enroll(disk)
    c.unlock(disk)
    c.asked("Passphrase für Datenträger")
    c.person.answer(PASSPHRASE)
    c.opened("passphrase")


# --- systemd -----------------------------------------------------------------------

@test()
def unit(c):
    """The unit as systemd's own generator writes it."""
    disk, key = c.disk(), c.key()
    key.enroll(disk)
    generator = "/lib/systemd/system-generators/systemd-cryptsetup-generator"
    out = os.path.join(c.root, "run/systemd/generator")
    os.makedirs(out)
    crypttab = os.path.join(c.dir, "crypttab")
    with open(crypttab, "w") as f:
        f.write(f"{disk.name} {disk.path} none discard,x-initrd.attach\n"
                f"other {disk.path} /etc/key luks\n"
                f"tpm {disk.path} - tpm2-device=auto\n")
    subprocess.run([generator, out, out, out], check=True, timeout=20,
                   env={"SYSTEMD_CRYPTTAB": crypttab, "SYSTEMD_LOG_TARGET": "console",
                        "SYSTEMD_IN_INITRD": "0"})
    drop_in(out)
    units = [n for n in os.listdir(out) if n.startswith("systemd-cryptsetup@")
             and n.endswith(".service")]
    name = next(n for n in units if disk.name.split("-")[0] in n)
    key.at("1-3")
    # Nobody serves: all of it is systemd's.
    status, how = c.ended(c.start("--unit", name))
    equal((status, how["open"]), (0, False))
    c.start("--serve")
    until("the server", lambda: os.path.exists(os.path.join(c.run, "unlock")))
    p = c.start("--unit", name)
    equal(c.opened("key", p)["volume"], disk.name)
    for other in (n for n in units if n != name):
        equal(c.ended(c.start("--unit", other))[0], 0, other)


def drop_in(units):
    """systemd takes the drop-in for what its generator wrote."""
    folder = os.path.join(units, "systemd-cryptsetup@.service.d")
    os.mkdir(folder)
    shutil.copy("dracut-module/units/cryptsetup-20-gatekeeper.conf", folder)
    with open(os.path.join(folder, "30-witness.conf"), "w") as f:
        f.write("[Service]\nWitness=1\n")
    name = next(n for n in os.listdir(units) if n.startswith("systemd-cryptsetup@")
                and n.endswith(".service"))
    said = subprocess.run(
        ["systemd-analyze", "verify", os.path.join(units, name)], timeout=60,
        env={"SYSTEMD_UNIT_PATH": units + ":", "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False).stdout.decode()
    # The key that there is not shows that the folder is read; ours has none.
    assert "30-witness.conf" in said and "20-gatekeeper.conf" not in said, said
    shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(run_tests("gk-luks-", TESTS))
