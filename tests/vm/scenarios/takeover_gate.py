# SPDX-License-Identifier: GPL-2.0-or-later
"""A gate domain that somebody else has taken over."""
import json
import re

from harness import gate, paths
from harness.registry import scenario
from harness.test import Test

BUILT = paths.TOP / "build/tests/takeover"
IMAGE = BUILT / "gate-image"
WITNESS = BUILT / "witness"
KEYS = BUILT / "keys"
RESTARTS = 7            # so that each of the acts of its supervisor.c gets its turn
ENTER = {28, 96}
HELD_BACK = {70, 125, 126, 127}     # by themselves, before the disk is unlocked
# gatekeeperd over all of it; a reader in its life, without its start. A leak of a few
# bytes a frame would be more than this.
GROWTH_KIB = 1024

# What each act has to end with, as the journal of dom0 has it, in this order.
ENDS = (
    r"broke the protocol: KEY, decoding",
    r"broke the protocol: ",
    r"broke the protocol: \S+, in its header",
    # Where dom0 can take as many in a second; else the flood gives up.
    r"broke the protocol: (KEY, in this session: too many|LOG, in its header)",
    r"broke the protocol: HELLO, in this session",
    r"broke the protocol: QUIESCED, in this session",
    # A ring full of nonsense: whichever of it is read first.
    r"gatekeeper-link: (the gate (broke the protocol|closed the link)|no answer)",
    r"gatekeeper-link: (the gate closed the link|the gate broke the protocol: .*ringing)",
)
# dom0's kernel lines that every start and end of a gate brings; no other may come.
OF_A_GATE = re.compile(r"pciback|registering gsi|Already setup the GSI")
TROUBLE = re.compile(r"\b(BUG|WARNING|Oops)\b|Call Trace|soft lockup|hung task|"
                     r"blocked for more than|sysrq: |gnttab|grant table.*(fail|error)")


def witness(t):
    return json.loads(t.guest.output("cat /run/gk-witness.json"))


def memory(t, seen):
    # A child of gatekeeperd has its name until it is another program.
    daemon = max((p for p in seen["processes"] if p["name"] == "gatekeeperd"),
                 key=lambda p: p["looks"], default=None)
    readers = [p for p in seen["processes"] if p["name"] == "gatekeeper-link"]
    t.check(daemon, "gatekeeperd was not seen")
    t.check(len(readers) >= RESTARTS, f"{len(readers)} readers were seen")
    grown = daemon["most"] - daemon["first"]
    t.metrics["gatekeeperd_rss_kib"] = daemon["last"]
    t.metrics["gatekeeperd_grown_kib"] = grown
    t.metrics["reader_rss_kib"] = max(p["most"] for p in readers)
    t.metrics["readers"] = len(readers)
    t.metrics["reader_grown_kib"] = max(p["most"] - p["first"] for p in readers)
    t.check(grown < GROWTH_KIB and daemon["last"] < 8192,
            f"gatekeeperd's memory: {daemon}")
    t.check(t.metrics["reader_grown_kib"] < GROWTH_KIB and
            t.metrics["reader_rss_kib"] < 8192, f"the readers' memory: {readers}")


def kernel_lines(t):
    """What dom0's kernel has said at the prompt, but for a gate's start and end."""
    mark = t.vm.side.mark()
    # Opened anew: the watcher's own line does not block, and drops what is more than
    # the terminal takes at once.
    t.early("{ read -r n </run/gktest-kernel-lines; dmesg --kernel --notime | "
            "sed \"1,${n}d\"; } >/proc/self/fd/1")
    said = t.vm.side.text(mark)
    t.check(OF_A_GATE.search(said), f"dom0's kernel log was not read: {said!r}")
    return [line for line in said.splitlines()
            if line.strip() and not line.startswith("GKTEST")
            and not OF_A_GATE.search(line)]


@scenario("taken-over-gate", timeout=420, alone=True, needs=(IMAGE, WITNESS, KEYS))
def taken_over_gate(t: Test):
    """A gate that says anything at all: keys of the list and nothing else, then the end."""
    allowed = set(json.loads(KEYS.read_text()))
    t.boot(ps2=True, devices=(), timeout=60,
           initramfs=t.initramfs_with({
               "usr/lib/gatekeeper/gate-image": IMAGE.read_bytes(),
               "usr/bin/gk-witness": WITNESS.read_bytes(),
               "etc/gatekeeper/gatekeeper.conf": f"restarts = {RESTARTS}\n".encode()}))
    t.wait_initramfs()
    # Else udev would load it later than the gate begins to type.
    t.early("modprobe evdev")
    t.early("setsid gk-witness /run/gk-witness.json >/dev/null 2>&1 </dev/null &")
    t.wait_prompt()
    t.early("dmesg --kernel | sed -n '$=' >/run/gktest-kernel-lines")
    t.say("the gate forges keyboards and keys")
    t.screen.wait(r"USB Gatekeeper: the gate broke the\s+protocol:\s+KEY,[^;]*;"
                  r"\s+it\s+is\s+started\s+again", t.left(150))
    t.qmp.screenshot(t.out / "broken.png")
    t.say("dom0 has closed the link, and says so; the next acts")
    t.screen.wait(rf"{RESTARTS}\s+restarts\s+did\s+not\s+help", t.left(240))
    t.qmp.screenshot(t.out / "given-up.png")
    t.say(f"given up after {RESTARTS} restarts; the PS/2 keyboard")
    t.sleep(1)
    lines = kernel_lines(t)
    (t.out / "kernel-log.txt").write_text("\n".join(lines) + "\n")
    # What the gate has typed is at the prompt: that is no passphrase.
    mark = t.vm.side.mark()
    t.type("\n")
    t.events.wait("prompt", t.left(60), mark)
    t.sleep(1.5)
    t.unlock()
    t.wait_agent()
    judge(t, allowed)
    t.check(not lines, f"dom0's kernel log: {lines[:3]}")


def judge(t, allowed):
    now = gate.status(t)
    t.check(now["state"] == "failed", f"the gate is {now['state']}")
    t.check(now["restarts"] == RESTARTS, f"{now['restarts']} restarts")

    seen = witness(t)
    (t.out / "witness.json").write_text(json.dumps(seen))
    t.check(seen["keyboard"], "the witness did not find the virtual keyboard")
    t.check(set(seen["can"]) == allowed,
            f"the virtual keyboard's keys are not the list: {set(seen['can']) ^ allowed}")
    t.check(set(seen["seen"]) <= allowed, f"keys: {set(seen['seen']) - allowed}")
    t.check(not set(seen["seen"]) & HELD_BACK,
            f"keys that the console acts on: {set(seen['seen']) & HELD_BACK}")
    t.check(not seen["other"], f"{seen['other']} events that are no keys")
    t.check(not seen["down"], f"keys still down: {seen['down']}")
    missing = allowed - set(seen["seen"]) - ENTER - HELD_BACK
    t.check(not missing, f"keys that never came, so that this shows nothing: {missing}")
    t.metrics["forged_key_events"] = seen["events"]
    t.metrics["keys_seen"] = len(seen["seen"])
    memory(t, seen)

    journal = t.guest.output("journalctl -b --no-pager -o cat -t gatekeeperd", 60)
    (t.out / "gatekeeperd.txt").write_text(journal)
    acts = re.split(r"(?m)^.*link connected at .*$", journal)[1:]
    t.check(len(acts) == len(ENDS), f"{len(acts)} sessions")
    for number, (text, end) in enumerate(zip(acts, ENDS), 1):
        said = re.search(end + r".*", text)
        t.check(said, f"act {number} did not end with {end!r}: {text[-600:]!r}")
        t.say(f"act {number}: {said[0]}")
    forged = re.search(r"forged frames 0*(\d+)", journal)
    t.check(forged, "the gate did not come to the end of its forgeries")
    t.metrics["forged_frames"] = int(forged[1])

    t.collect()
    t.check(t.dmesg, "dom0's kernel log could not be read")
    trouble = [line for line in t.dmesg.splitlines() if TROUBLE.search(line)]
    t.check(not trouble, f"dom0's kernel log: {trouble[:3]}")
