# SPDX-License-Identifier: GPL-2.0-or-later
"""Security keys: the channel to dom0's programs, and opening the disk."""
import base64
import json
import re
import time

from harness import fido, gate, paths, secrets
from harness.registry import scenario
from harness.test import Test
from harness.virtual import PROGRAM, VirtualDevice

SOCKET = "/run/gatekeeper/fido/1-2"
CRED = r"""
printf '%s\n' "$(head -c 32 /dev/zero | base64)" io.systemd.cryptsetup root \
    "$(printf root | base64)" > /tmp/cred.in
fido2-cred -M -h -i /tmp/cred.in -o /tmp/cred.out /dev/hidraw0 &&
    fido2-cred -V -h -i /tmp/cred.out -o /tmp/cred.id
"""
SSH = r"""
cd /tmp && rm -f sk* && ssh-keygen -q -t ed25519-sk -N '' -C test -f sk &&
    ssh-keygen -q -Y sign -f sk -n test /etc/hostname </dev/null &&
    ssh-keygen -Y check-novalidate -n test -s /etc/hostname.sig </etc/hostname
"""


@scenario("fido-channel", timeout=300)
def fido_channel(t: Test):
    """A security key: its socket at the prompt; libfido2's tools with it after boot."""
    key = VirtualDevice(t, "fido", "--touch", "now", port=2)
    t.boot(devices=("usb-kbd,id=kbd,bus=xhci0.0,port=1",), extra=key.qemu())
    t.wait_prompt()
    gate.wait_keyboard(t)
    t.screen.wait(r"FIDO\s+key\s+on\s+port\s+1-2\s+\S+\s+admitted", t.left(40))
    t.check(t.early(f"test -S {SOCKET}") == 0, f"no {SOCKET} at the prompt")
    # There is no grep.
    t.check(t.early('case "$(gatekeeper status)" in *"used by 0 programs"*) ;; '
                    '*) false; esac') == 0, "status does not show the key")
    t.check(t.early("test -e /dev/hidraw0") != 0, "a HID device in the initramfs")
    t.unlock()
    t.wait_up()
    gate.require_up(t)
    t.check(t.guest.ok(f"test -S {SOCKET}"), f"no {SOCKET} after the switch of the root")
    t.check(t.guest.until("test -c /dev/hidraw0", t.left(30)), "no /dev/hidraw0")
    listed = t.guest.output("fido2-token -L", 60)
    t.check("/dev/hidraw0: vendor=0xf1d0, product=0x0001" in listed, f"-L: {listed}")
    info = t.guest.output("fido2-token -I /dev/hidraw0", 60)
    (t.out / "info.txt").write_text(info)
    t.check("FIDO_2_1" in info and "hmac-secret" in info, f"-I: {info}")
    t.say("fido2-token speaks with it")
    key.do("touch late 1500")
    t.guest.output(CRED, 90)
    t.check("BEGIN PUBLIC KEY" in t.guest.output("cat /tmp/cred.id"), "no credential")
    t.say("a credential, after a touch")
    signed = t.guest.output(SSH, 90)
    t.check("Good \"test\" signature" in signed, f"ssh-keygen: {signed}")
    t.say("ssh-keygen: an ed25519-sk key and a signature by it")
    key.do("unplug")
    t.check(t.guest.until(f"! test -e {SOCKET} && ! test -e /dev/hidraw0", t.left(30)),
            "the key is gone, its socket or HID device is not")
    key.do("plug")
    t.check(t.guest.until("fido2-token -L | grep -q hidraw", t.left(60)),
            "plugged in again it is not found")
    t.say("pulled, and plugged in again")
    found = {d["port"]: d for d in gate.devices(t)}
    t.check(found["1-2"]["granted"] == ["fido"] and found["1-2"]["fido_clients"] == 0,
            f"port 1-2: {found.get('1-2')}")
    t.login()


KEYBOARD = ("usb-kbd,id=kbd,bus=xhci0.0,port=1",)


def opened(t, timeout=60):
    """The disk is open: guest ms."""
    t.doing("unlocking")
    ms, _ = t.events.wait("unlocked", t.left(timeout))
    t.say("the disk is unlocked")
    return ms


def require_closed(t):
    t.check(t.events.first("unlocked") is None, "the disk is open too soon")


def see(t, pattern, timeout=40):
    t.doing(f"waiting for {pattern!r}")
    t.screen.wait(pattern, t.left(timeout))
    t.say(f"on the screen: {pattern}")


def ask_pin(t, tries=8):
    """Its PIN is asked for; when the passphrase was asked for before, after Enter."""
    t.doing("waiting for the question for a PIN")
    t.screen.wait("PIN of the security key on port 1-2", t.left(120))
    if re.search("Enter alone: the PIN of the security key on port 1-2",
                 t.screen.text()):
        gate.wait_keyboard(t)
        t.type("\n")
    see(t, f"PIN of the security key on port 1-2, {tries} tries left")


def wants_touch(t, key):
    """It blinks. For when the screen still shows an older request."""
    end = time.monotonic() + t.left(20)
    while fido.stats(key)["state"] != "touch":
        t.check(time.monotonic() < end, f"the key is not asked: {fido.stats(key)}")
        time.sleep(0.2)


def by_key(t, journal):
    t.check("is open, by a key on port 1-2" in journal, "the key did not open the disk")
    t.check(not re.search("type=1326.*gatekeeper", journal), "a jail was run against")


@scenario("fido-unlock", timeout=300, needs=(PROGRAM, fido.BRIDGE), alone=True)
def fido_unlock(t: Test):
    """A key plugged in at the prompt: PIN on the USB keyboard, touch, open."""
    disk = fido.KeyDisk(t)
    enrolled = disk.enroll("key", pin=fido.PIN)
    key = fido.plug_in(t, enrolled, "--touch", "never")
    t.boot(disk=disk.write(), devices=KEYBOARD)
    t.metrics["prompt_ms"] = t.wait_prompt()
    gate.wait_keyboard(t)
    see(t, "or plug in its security key")
    key.attach(2)
    see(t, "Enter alone: the PIN of the security key on port 1-2")
    t.qmp.screenshot(t.out / "late.png")
    t.type("\n")
    see(t, "PIN of the security key on port 1-2, 8 tries left")
    t.qmp.screenshot(t.out / "pin.png")
    # systemd's agent throws away what was typed before it asks.
    t.sleep(1)
    t.type(fido.PIN + "\n")
    see(t, "Touch the security key on port 1-2 now")
    t.qmp.screenshot(t.out / "touch.png")
    t.check(t.early("test -e /dev/hidraw0") != 0, "a HID device in the initramfs")
    require_closed(t)
    key.do("touch")
    opened(t)
    t.check(fido.stats(key)["retries"] == 8, f"PIN tries: {fido.stats(key)}")
    t.wait_agent()
    gate.require_up(t)
    by_key(t, fido.measure(t, key))
    fido.search(t, {"the PIN": fido.PIN.encode(), "the secret": enrolled.secret_text,
                    "the key's answer": base64.b64decode(enrolled.secret_text)},
                unseen=("the secret", "the key's answer"))


@scenario("fido-plymouth", timeout=300, needs=(PROGRAM, fido.BRIDGE))
def fido_plymouth(t: Test):
    """plymouth, which takes no question back: a late key, Enter for its PIN, touch."""
    disk = fido.KeyDisk(t)
    key = fido.plug_in(t, disk.enroll("key", pin=fido.PIN), "--touch", "never")
    t.boot(disk=disk.write(), variant="plymouth", args="splash", devices=KEYBOARD)
    t.wait_initramfs()
    see(t, "or plug in its security key", 120)
    gate.wait_keyboard(t)
    key.attach(2)
    see(t, "Enter alone: the PIN of the security key on port 1-2")
    t.qmp.screenshot(t.out / "late.png")
    t.type("\n")
    see(t, "PIN of the security key on port 1-2, 8 tries left")
    t.sleep(1.5)
    t.type(fido.PIN + "\n")
    see(t, "Touch the security key on port 1-2 now", 60)
    t.sleep(1)
    t.qmp.screenshot(t.out / "touch.png")
    require_closed(t)
    key.do("touch")
    opened(t)
    t.wait_agent()
    by_key(t, fido.measure(t, key))


@scenario("fido-nosystemd", timeout=300, needs=(PROGRAM, fido.BRIDGE))
def fido_nosystemd(t: Test):
    """No systemd in the initramfs, in German: wrong PIN, right PIN, touch."""
    disk = fido.KeyDisk(t)
    key = fido.plug_in(t, disk.enroll("key", pin=fido.PIN), "--touch", "now", port=2)
    t.boot(disk=disk.write(), variant="nosystemd", args="locale.LANG=de_DE.UTF-8",
           devices=KEYBOARD, extra=key.qemu())
    t.wait_initramfs()
    see(t, r"PIN des Sicherheitsschl\S+ssels an Anschluss 1-2, noch 8 Versuche", 120)
    gate.wait_keyboard(t)
    t.qmp.screenshot(t.out / "pin.png")
    t.sleep(1.5)
    t.type("000000\n")
    see(t, "noch 7 Versuche")
    t.sleep(1.5)
    require_closed(t)
    t.type(fido.PIN + "\n")
    opened(t)
    t.check(fido.stats(key)["retries"] == 8, f"PIN tries: {fido.stats(key)}")
    t.wait_agent()
    gate.require_up(t)
    t.check("is open, by a key on port 1-2" in t.guest.output("dmesg", 60),
            "the key did not open the disk")


# The third key of fido-cryptenroll shows it, too.
@scenario("fido-no-touch", needs=(PROGRAM, fido.BRIDGE), default=False)
def fido_no_touch(t: Test):
    """Enrolled without PIN and touch: nobody does anything, and it is open."""
    disk = fido.KeyDisk(t)
    key = fido.plug_in(t, disk.enroll("key", "--secret-without-touch", up=False),
                       "--secret-without-touch", "--touch", "never", port=2)
    t.boot(disk=disk.write(), devices=KEYBOARD, extra=key.qemu())
    t.wait_initramfs()
    opened(t, 120)
    t.check(fido.stats(key)["touches"] == 0, f"touches: {fido.stats(key)}")
    t.wait_agent()
    gate.require_up(t)
    by_key(t, fido.measure(t, key))


@scenario("fido-passphrase", timeout=300, needs=(PROGRAM, fido.BRIDGE), alone=True)
def fido_passphrase(t: Test):
    """A key nobody touches: a message, Enter tries again, a passphrase opens at once."""
    disk = fido.KeyDisk(t)
    disk.header.add(fido.PASSPHRASE.encode())
    key = fido.plug_in(t, disk.enroll("key"), "--touch", "never", "--touch-timeout",
                       "3000", port=2)
    t.boot(disk=disk.write(), devices=KEYBOARD, extra=key.qemu())
    t.wait_initramfs()
    see(t, "Touch the security key on port 1-2 now", 120)
    gate.wait_keyboard(t)
    asked = fido.now(t)
    see(t, "was not touched; Enter alone tries it again", 60)
    t.metrics["fido_touch_never_ms"] = fido.now(t) - asked
    before = fido.stats(key)["requests"]["assert"]
    mark = t.vm.side.mark()
    t.type("\n")
    t.events.wait("prompt", t.left(20), mark)
    wants_touch(t, key)
    t.check(fido.stats(key)["requests"]["assert"] > before, f"{fido.stats(key)}")
    # systemd's agent throws away what was typed before it asks.
    t.sleep(1)
    t.unlock(fido.PASSPHRASE)
    t.check(t.metrics["unlock_ms"] < 3000, f"not at once: {t.metrics['unlock_ms']} ms")
    t.wait_agent()
    gate.require_up(t)
    journal = fido.measure(t, key)
    t.check("is open, by a passphrase" in journal, "who opened it?")
    fido.search(t, {"the passphrase": fido.PASSPHRASE.encode()})


@scenario("fido-trouble", timeout=420, needs=(PROGRAM, fido.BRIDGE))
def fido_trouble(t: Test):
    """Two enrolled, the second late, a foreign one beside; pulled, wrong PIN, blocked."""
    disk, other = fido.KeyDisk(t), fido.KeyDisk(t)
    disk.enroll("first", pin=fido.PIN)
    second = disk.enroll("second", pin=fido.PIN)
    stranger = other.enroll("foreign", pin="11111111")
    foreign = fido.plug_in(t, stranger, "--touch", "never", port=3)
    key = fido.plug_in(t, second, "--touch", "never")
    t.boot(disk=disk.write(), devices=KEYBOARD, extra=foreign.qemu())
    t.wait_prompt()
    gate.wait_keyboard(t)
    see(t, r"FIDO\s+key\s+on\s+port\s+1-3\s+\S+\s+admitted")
    see(t, "or plug in its security key")
    t.say("late")
    key.attach(2)
    see(t, "Enter alone: the PIN of the security key on port 1-2")
    t.type("\n")
    see(t, "PIN of the security key on port 1-2, 8 tries left")
    t.sleep(1)
    t.type("000000\n")
    see(t, "Wrong PIN for the security key on port 1-2")
    see(t, "1-2, 7 tries left")
    t.check(fido.stats(key)["retries"] == 7, f"{fido.stats(key)}")
    t.sleep(0.5)
    t.type(fido.PIN + "\n")
    see(t, "Touch the security key on port 1-2 now")
    pulled = fido.now(t)
    key.do("unplug")
    see(t, "security key on port 1-2 was unplugged")
    t.metrics["fido_pulled_to_message_ms"] = fido.now(t) - pulled
    t.say("its PIN is blocked in the meantime")
    key.do("retries 0")
    key.do("plug")
    see(t, "PIN of the security key on port 1-2 is blocked")
    require_closed(t)
    t.check(fido.stats(foreign)["retries"] == 8 and fido.stats(foreign)["touches"] == 0,
            f"the foreign key: {fido.stats(foreign)}")
    t.check(not re.search("(PIN|Touch).*1-3", t.screen.text()), "1-3 was asked about")
    t.sleep(1.5)
    t.unlock()
    t.wait_agent()
    gate.require_up(t)
    t.check("is open, by a passphrase" in fido.measure(t, key), "who opened it?")


# Which of what it says, and whether the disk is then asked for in another way.
EVIL = ("init-nonce", "wrong-cid", "length-max", "fragments-reordered", "keepalive-flood",
        "cbor-deep", "cbor-giant-bytes", "cbor-noise", "wrong-secret", "secret-long")


@scenario("fido-hostile", timeout=420, needs=(PROGRAM, fido.BRIDGE))
def fido_hostile(t: Test):
    """The enrolled key gone bad, in ten ways: the prompt goes on; then good again."""
    disk = fido.KeyDisk(t)
    key = fido.plug_in(t, disk.enroll("key"), "--touch", "now", port=2)
    key.do("evil " + EVIL[0])
    t.boot(disk=disk.write(), devices=KEYBOARD, extra=key.qemu())
    t.wait_prompt()
    gate.wait_keyboard(t)
    for name in EVIL:
        t.say(name)
        key.do("unplug")
        key.do("evil " + name)
        t.sleep(1)
        key.do("plug")
        t.sleep(5)
        require_closed(t)
        t.check(t.early("test -S /run/gatekeeper/unlock && test ! -e /dev/hidraw0 && "
                        "gatekeeper status >/dev/null") == 0, f"after {name}")
    key.do("unplug")
    key.do("evil none")
    t.say("a passphrase that is wrong is answered")
    t.type("wrong\n")
    see(t, "Wrong passphrase")
    t.say("good again")
    key.do("touch never")
    plugged = fido.now(t)
    key.do("plug")
    wants_touch(t, key)
    key.do("touch")
    opened(t)
    t.wait_agent()
    gate.require_up(t)
    by_key(t, fido.measure(t, key, plugged))


# systemd asks its agents for the PIN, as there is no terminal: this one answers.
ANSWER = """
end=$((SECONDS + 120))
while [ $SECONDS -lt $end ]; do
    for f in /run/systemd/ask-password/ask.*; do
        s=$(sed -n 's/^Socket=//p' "$f" 2>/dev/null) && [ -n "$s" ] &&
            printf %s '{pin}' | /lib/systemd/systemd-reply-password 1 "$s"
    done
    sleep 0.5
done
"""


@scenario("fido-cryptenroll", timeout=600, needs=(PROGRAM, fido.BRIDGE))
def fido_cryptenroll(t: Test):
    """systemd-cryptenroll enrols three keys in the running system; all open the disk."""
    ways = (("pin", ("--pin", fido.PIN), "yes", "yes"),
            ("touch", (), "no", "yes"),
            ("alone", ("--secret-without-touch",), "no", "no"))
    keys = [VirtualDevice(t, "fido", "--state", str(t.out / f"{name}.state"), "--touch",
                          "now", *options, name=name, port=2)
            for name, options, _, _ in ways]
    t.boot(devices=KEYBOARD)
    t.wait_prompt()
    gate.wait_keyboard(t)
    t.unlock()
    t.wait_agent()
    volume = f"/dev/disk/by-uuid/{secrets.LUKS_UUID}"
    for key, (name, _, pin, touch) in zip(keys, ways):
        key.attach(2)
        t.check(t.guest.until("fido2-token -L | grep -q hidraw", t.left(60)),
                f"{name}: no key in dom0")
        said = t.guest.output(
            f"( {ANSWER.format(pin=fido.PIN)} ) & agent=$!; "
            f"PASSWORD={secrets.SIMPLE} systemd-cryptenroll --fido2-device=auto "
            f"--fido2-with-client-pin={pin} --fido2-with-user-presence={touch} "
            f"{volume} 2>&1; s=$?; kill $agent; exit $s", 150)
        t.say(f"{name}: {said.strip().splitlines()[-1]}")
        key.detach()
        t.check(t.guest.until("test ! -e /dev/hidraw0", t.left(30)), "hidraw0 stays")
    dump = t.guest.output(f"cryptsetup luksDump {volume}", 60)
    (t.out / "luksdump.txt").write_text(dump)
    t.check(dump.count("systemd-fido2") == 3, "not three tokens")
    t.reboot()
    disk = fido.keep_disk(t)
    for key, (name, _, pin, _) in zip(keys, ways):
        key.do("touch now")
        t.boot(disk=disk, devices=KEYBOARD, extra=key.qemu())
        t.wait_initramfs()
        if pin == "yes":
            ask_pin(t)
            gate.wait_keyboard(t)
            t.sleep(1)
            t.type(fido.PIN + "\n")
        opened(t, 120)
        t.say(f"{name}: open")
    t.wait_agent()
    by_key(t, fido.measure(t, key))


@scenario("fido-enroll", timeout=420, needs=(PROGRAM, fido.BRIDGE))
def fido_enroll(t: Test):
    """`gatekeeper enroll` on the running system; systemd's own program opens the disk."""
    key = VirtualDevice(t, "fido", "--state", str(t.out / "key.state"), "--pin", fido.PIN,
                        "--touch", "now", port=2)
    t.boot(devices=KEYBOARD, extra=key.qemu())
    t.wait_prompt()
    gate.wait_keyboard(t)
    t.unlock()
    t.wait_agent()
    volume = f"/dev/disk/by-uuid/{secrets.LUKS_UUID}"
    said = t.guest.output(f"printf '%s\\n' {secrets.SIMPLE} {fido.PIN} | "
                          f"gatekeeper enroll --key 1-2 --no-recovery {volume} 2>&1", 120)
    (t.out / "enroll.txt").write_text(said)
    listed = t.guest.json(f"gatekeeper enroll --list --json {volume}", 60)
    found = [e for e in listed[0]["entries"] if e["kind"] == "fido2"]
    t.check(len(found) == 1 and found[0]["pin"] and found[0]["touch"]
            and found[0]["port"] == "1-2", f"--list: {listed}")
    t.check(fido.stats(key)["retries"] == 8, f"PIN tries: {fido.stats(key)}")
    t.say("enrolled, tested, listed")
    t.reboot()
    disk = fido.keep_disk(t)
    for variant, args in ("systemd", ""), ("plymouth", "splash"):
        # Not ours at this boot: systemd-cryptsetup with fido2-device=, as crypttab
        # has it.
        image = t.initramfs_with({"etc/gatekeeper/gatekeeper.conf": b"uhid = always\n"},
                                 variant)
        t.boot(disk=disk, variant=variant, initramfs=image, devices=KEYBOARD,
               extra=key.qemu(), args=f"{args} rd.systemd.mask=gatekeeper-unlock.service "
               "rd.luks.options=timeout=0,fido2-device=auto,token-timeout=0")
        t.wait_initramfs()
        see(t, "Please enter (security|LUKS2) token PIN", 120)
        gate.wait_keyboard(t)
        t.sleep(1)
        t.type(fido.PIN + "\n")
        opened(t, 120)
        t.say(f"{variant}: opened by systemd-cryptsetup")
    t.wait_agent()
    gate.require_up(t)


STOPS = paths.TOP / "build/tests/enroll-stops"
SECOND = "/dev/sdb"


@scenario("fido-enroll-kill", timeout=600, needs=(PROGRAM, fido.BRIDGE, STOPS))
def fido_enroll_kill(t: Test):
    """kill -9 of `gatekeeper enroll` at each of its points: the header stays sound."""
    after, second = fido.second_disk(t, STOPS)
    key = VirtualDevice(t, "fido", "--pin", fido.PIN, "--touch", "now", port=2)
    t.boot(devices=KEYBOARD, extra=(*key.qemu(), *second.qemu))
    t.wait_prompt()
    gate.wait_keyboard(t)
    t.unlock()
    t.wait_agent()
    t.guest.run(second.unpack(SECOND), 60)
    said = t.guest.script("enroll_kill.py", SECOND, second.HEADER, second.PROGRAM,
                          second.PASSPHRASE, fido.PIN, json.dumps(after), timeout=450)
    (t.out / "killed.txt").write_text(said)
    t.check(said.count("killed ") == len(after), said)
    t.metrics["enroll_kills"] = len(after)
    t.say(f"killed at {len(after)} points; {said.splitlines()[-1]}")
