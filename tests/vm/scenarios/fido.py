# SPDX-License-Identifier: GPL-2.0-or-later
"""Security keys: the channel to dom0's programs."""
from harness import gate
from harness.registry import scenario
from harness.test import Test
from harness.virtual import VirtualDevice

SOCKET = "/run/gatekeeper/fido/1-2"
CRED = r"""
printf '%s\n' "$(head -c 32 /dev/zero | base64)" io.systemd.cryptsetup root \
    "$(printf root | base64)" > /tmp/cred.in
fido2-cred -M -h -i /tmp/cred.in -o /tmp/cred.out /dev/hidraw0 &&
    fido2-cred -V -h -i /tmp/cred.out -o /tmp/cred.id
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
