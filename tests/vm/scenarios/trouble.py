# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes wrong, and the way on: one clear line, the ordinary prompt in time."""
from harness import gate, secrets
from harness.registry import scenario
from harness.test import Test

WAIT = 25       # rd.gatekeeper.timeout here, seconds
SLACK = 8       # what the prompt may come later than that, emulated


def failing(t: Test, cause, taken=True, prompt=None, **machine):
    """Boot with the gate broken: the cause on the screen, then a prompt in time."""
    settings = {"timeout": WAIT, "ps2": True, "devices": ()}
    settings.update(machine)
    t.boot(**settings)
    start = t.wait_initramfs()
    asked = t.wait_prompt()
    t.metrics["prompt_ms"] = asked
    t.check(asked - start < (WAIT + SLACK) * 1000 + 20000,
            f"the prompt came {asked - start} ms after the initramfs")
    t.screen.wait(cause, t.left(WAIT + SLACK))
    t.qmp.screenshot(t.out / "prompt.png")
    if taken:
        drivers = [(data["bdf"], data["driver"]) for what, _, data, _ in t.events.all()
                   if what == "driver"]
        t.check(drivers and all(driver in ("pciback", "") for _, driver in drivers),
                f"drivers of the controllers: {drivers}")
    t.say("the cause is on the screen, and so is the prompt")


def unlock_ps2(t: Test):
    """The way on that every machine with a PS/2 keyboard has."""
    t.unlock()
    t.wait_agent()


@scenario("image-corrupt")
def image_corrupt(t: Test):
    """The gate's image is damaged: said so, the prompt comes, PS/2 works."""
    failing(t, r"USB Gatekeeper: the gate image \S+\s+is\s+damaged", initramfs=t.initramfs_with({
        "usr/lib/gatekeeper/gate-image": b"damaged" * 1000}))
    unlock_ps2(t)
    t.check(gate.status(t)["state"] == "failed", f"state: {gate.status(t)['state']}")
    said = t.guest.output("journalctl -b --no-pager -o cat | grep -i gatekeeper")
    t.check("damaged" in said, "the journal does not name the cause")


@scenario("kernel-missing")
def kernel_missing(t: Test):
    """The gate's kernel is missing."""
    failing(t, r"USB Gatekeeper: the gate kernel \S+\s+is\s+missing", initramfs=t.initramfs_with({
        "usr/lib/gatekeeper/gate-kernel": None}))


@scenario("no-iommu")
def no_iommu(t: Test):
    """A machine without an IOMMU."""
    failing(t, r"USB Gatekeeper: this\s+machine\s+has\s+no\s+IOMMU", iommu=False)


@scenario("no-memory")
def no_memory(t: Test):
    """Xen has no memory left for the gate."""
    failing(t, r"USB Gatekeeper: not\s+enough\s+memory\s+for\s+the\s+gate",
            memory=1200, dom0_memory=1140)


@scenario("no-xenstored")
def no_xenstored(t: Test):
    """xenstored cannot be started."""
    base = gate.paths.BUILD / "base"
    xenstored = str(next(base.glob("usr/lib/xen-*/bin/xenstored")).relative_to(base))
    failing(t, r"USB Gatekeeper: xenstored\s+does\s+not\s+answer", initramfs=t.initramfs_with({
        xenstored: b"#!/bin/sh\nexit 1\n"}))


@scenario("no-controller")
def no_controller(t: Test):
    """A machine without any USB controller: no wait worth speaking of."""
    failing(t, r"USB Gatekeeper: no\s+USB\s+controller", taken=False, controllers=0)


@scenario("no-pciback")
def no_pciback(t: Test):
    """xen-pciback cannot be loaded: the controllers stay without a driver."""
    base = gate.paths.BUILD / "base"
    module = next((base / "usr/lib/modules").rglob("xen-pciback.ko"))
    failing(t, r"USB Gatekeeper: .*pciback", initramfs=t.initramfs_with({
        str(module.relative_to(base)): b"no module"}), taken=False)


@scenario("fallback-dom0-hid", dom0_usb=True)
def fallback_dom0_hid(t: Test):
    """No gate image, rd.gatekeeper.fallback=dom0-hid: keyboards only, by dom0."""
    stick = t.out / "stick.img"
    with open(stick, "wb") as image:
        image.truncate(1 << 20)
    t.boot(timeout=WAIT, args="rd.gatekeeper.fallback=dom0-hid",
           devices=("usb-kbd,id=kbd,bus=xhci0.0,port=1",
                    "usb-storage,id=disk0,drive=stick0,bus=xhci0.0,port=2"),
           extra=("-drive", f"if=none,id=stick0,format=raw,readonly=on,file={stick}"),
           initramfs=t.initramfs_with({"usr/lib/gatekeeper/gate-image": None}))
    t.wait_prompt()
    t.screen.wait("(?s)Fallback: dom0 drives", t.left(WAIT + SLACK))
    t.screen.wait("(?s)admitted by dom0", t.left(30))
    t.qmp.screenshot(t.out / "prompt.png")
    t.unlock()
    t.wait_up()
    t.check(gate.status(t)["state"] == "fallback", f"state {gate.status(t)['state']}")
    t.check(not t.guest.ok("grep -q . /proc/scsi/usb-storage/* 2>/dev/null || "
                           "ls /sys/bus/usb/drivers/usb-storage/*:* 2>/dev/null"),
            "dom0 drives the storage device")
    t.login()


@scenario("dom0-usb", dom0_usb=True)
def dom0_usb(t: Test):
    """rd.qubes.dom0_usb= leaves one controller to dom0; the gate has the other."""
    t.boot(controllers=2, args="rd.qubes.hide_all_usb rd.qubes.dom0_usb=01:00.0",
           devices=("usb-kbd,id=kbd,bus=xhci1.0,port=1",),
           initramfs=t.initramfs_with({
               # By its number, which it keeps: the gate and dom0 know it as 2.
               "etc/gatekeeper/rules.conf": b'allow via-port "2-1" role keyboard\n'}))
    t.wait_prompt()
    gate.wait_keyboard(t)
    t.unlock()
    t.wait_agent()
    gate.require_up(t)
    t.check([d["port"] for d in gate.devices(t, "admitted")] == ["2-1"],
            f"devices: {gate.devices(t)}")
    owners = t.guest.output("for d in 0000:01:00.0 0000:02:00.0; do "
                            "basename $(readlink /sys/bus/pci/devices/$d/driver); done")
    t.check(owners.split() == ["xhci_hcd", "pciback"], f"drivers: {owners.split()}")


@scenario("crash")
def crash(t: Test):
    """At the prompt the gate is destroyed, then gatekeeperd killed: both come back."""
    t.boot()
    t.wait_prompt()
    gate.wait_keyboard(t)
    t.say("destroying the gate domain")
    t.early("for d in $(xl list | sed -n '/gate/s/ .*//p'); do xl destroy $d; done")
    t.screen.wait("started again", t.left(30))
    t.sleep(1)
    t.screen.wait(r"(?s)started again.*admitted", t.left(60))
    mark = t.vm.side.mark()
    t.type("wrong\n")
    t.events.wait("prompt", t.left(40), mark)
    t.say("the keyboard is back; killing gatekeeperd")
    mark = t.vm.side.mark()
    t.early("for p in /proc/[0-9]*; do read -r c < $p/comm; "
            "[ \"$c\" = gatekeeperd ] && kill -9 ${p##*/}; done; true")
    t.events.wait("input", t.left(60), mark, "[Gg]atekeeper")
    t.sleep(4)
    t.unlock(secrets.SIMPLE)
    t.wait_up()
    gate.require_up(t)
    t.login()
