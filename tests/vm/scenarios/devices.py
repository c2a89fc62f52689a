# SPDX-License-Identifier: GPL-2.0-or-later
"""Where keyboards may sit, and what is not let in."""
from harness import gate, secrets
from harness.registry import scenario
from harness.test import Test
from harness.virtual import VirtualDevice


def wrong_passphrase(t, why):
    """Typing works if the prompt comes back; costs one of the tries."""
    t.say(why)
    mark = t.vm.side.mark()
    t.type("wrong\n")
    t.events.wait("prompt", t.left(40), mark)
    t.sleep(1.5)


@scenario("places")
def places(t: Test):
    """Second controller, behind two hubs; unplugged, plugged in elsewhere, hot."""
    t.boot(controllers=2, devices=(
        "usb-hub,id=hub1,bus=xhci1.0,port=1",
        "usb-hub,id=hub2,bus=xhci1.0,port=1.3",
        "usb-kbd,id=kbd,bus=xhci1.0,port=1.3.2"))
    t.wait_prompt()
    gate.wait_keyboard(t)
    t.screen.wait(r"keyboard on port 2-1\.3\.2", t.left(30))
    wrong_passphrase(t, "typing on the keyboard behind two hubs")
    t.qmp.unplug("kbd")
    t.screen.wait(r"keyboard on port 2-1\.3\.2\b.*gone", t.left(30))
    t.say("unplugged; plugging it in at the first controller")
    t.qmp.plug("usb-kbd", id="kbd2", bus="xhci0.0", port="2")
    t.screen.wait(r"keyboard on port 1-2\b.*admitted", t.left(40))
    t.unlock()
    t.wait_agent()
    gate.require_up(t)
    found = gate.devices(t, "admitted")
    t.check(len(found) == 1, f"admitted at the end: {found}")


@scenario("second-try")
def second_try(t: Test):
    """A keyboard that stumbles once, and a boot keyboard with a layout of its own."""
    t.boot(devices=())
    t.wait_prompt()
    devices = {}
    for port, kind in enumerate(("stumbles", "other-layout"), 2):
        t.doing(f"{kind} is plugged in")
        devices[kind] = VirtualDevice(t, kind)
        devices[kind].attach(port)
        t.screen.wait(rf"keyboard\s+on\s+port\s+1-{port}\s+\S+\s+admitted", t.left(40))
        t.say(f"{kind} is in")
    text = secrets.ALL_ASCII
    devices["stumbles"].do("type " + text[:48])
    devices["other-layout"].do("type " + text[48:])
    devices["stumbles"].do("enter")
    t.events.wait("unlocked", t.left(60))
    t.wait_agent()
    gate.require_up(t)
    found = {d["port"]: d["verdict"] for d in gate.devices(t)}
    t.check(found == {"1-2": "admitted", "1-3": "admitted"}, f"devices: {found}")
    said = t.guest.output("journalctl -b --no-pager -o cat -t gatekeeperd")
    t.check("refused" not in said, "a refusal is told of what was only tried again")


@scenario("refused")
def refused(t: Test):
    """Storage, network and serial, from the start and hot: refused, and named."""
    stick = t.out / "stick.img"
    with open(stick, "wb") as image:
        image.truncate(1 << 20)
    t.boot(devices=("usb-kbd,id=kbd,bus=xhci0.0,port=1",
                    "usb-storage,id=disk0,drive=stick0,bus=xhci0.0,port=2",
                    "usb-net,id=net0,netdev=n0,bus=xhci0.0,port=3",
                    "usb-serial,id=serial0,chardev=c0,always-plugged=on,bus=xhci0.0,port=4"),
           extra=("-drive", f"if=none,id=stick0,format=raw,readonly=on,file={stick}",
                  "-drive", f"if=none,id=stick1,format=raw,readonly=on,file={stick}",
                  "-netdev", "user,id=n0,restrict=on", "-netdev", "user,id=n1,restrict=on",
                  "-chardev", "null,id=c0", "-chardev", "null,id=c1"))
    t.wait_prompt()
    gate.wait_keyboard(t)
    for port in (2, 3, 4):
        t.screen.wait(rf"device on port 1-{port}\b.*refused", t.left(30))
    t.qmp.screenshot(t.out / "prompt.png")
    t.say("three devices refused; plugging in three more")
    t.qmp.plug("usb-storage", id="disk1", drive="stick1", bus="xhci0.0", port="5")
    t.qmp.plug("usb-net", id="net1", netdev="n1", bus="xhci0.0", port="6")
    t.qmp.plug("usb-serial", id="serial1", chardev="c1", bus="xhci0.0", port="7",
               **{"always-plugged": True})
    for port in (5, 6, 7):
        t.screen.wait(rf"device on port 1-{port}\b.*refused", t.left(40))
    t.unlock()
    t.wait_agent()
    gate.require_up(t)
    out = gate.devices(t, "refused")
    t.check(len(out) == 6, f"{len(out)} devices refused, not 6: {out}")
    t.check(len(gate.devices(t, "admitted")) == 1, "the keyboard is not admitted")
    t.metrics["refused"] = len(out)


@scenario("virtual-keyboard")
def virtual_keyboard(t: Test):
    """A usbredir keyboard: hot at the prompt, unplugged with a key held, back again."""
    keyboard = VirtualDevice(t, "keyboard", "--unplugged", port=3)
    t.boot(devices=(), extra=keyboard.qemu())
    t.wait_prompt()
    t.say("no keyboard yet; plugging one in")
    keyboard.do("plug")
    t.screen.wait(r"keyboard on port 1-3\b.*admitted", t.left(40))
    keyboard.do("rate 30")
    mark = t.vm.side.mark()
    keyboard.do("type wrong")
    keyboard.do("enter")
    t.events.wait("prompt", t.left(40), mark)
    t.sleep(1.5)
    t.say("holding a key, pulling the keyboard, plugging it in again")
    keyboard.do("key g down")
    # QEMU has it now; the guest has to have polled it before the cable is out.
    t.sleep(0.5)
    keyboard.do("unplug")
    t.screen.wait(r"keyboard on port 1-3\b.*gone", t.left(40))
    keyboard.do("plug")
    t.screen.wait(r"(?s)gone.*keyboard on port 1-3\b.*admitted", t.left(40))
    # The key that was held counted once, and only once.
    keyboard.do("type " + secrets.SIMPLE[1:])
    keyboard.do("enter")
    t.events.wait("unlocked", t.left(60))
    t.wait_agent()
    gate.require_up(t)
    found = gate.devices(t, "admitted")
    t.check([d["port"] for d in found] == ["1-3"], f"admitted at the end: {found}")
