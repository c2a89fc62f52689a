# SPDX-License-Identifier: GPL-2.0-or-later
"""Handoff and reclaim, again and again, with faults; and what is left of it in dom0."""
import os
import random
import re

from harness import handoff
from harness.registry import scenario
from harness.test import Failed, Test
from scenarios.handoff_kill import (AGENT_KILL, DAEMON, OTHERS, REFUSING, SLOW, Case,
                                    Rig)

ROUNDS = max(20, int(os.environ.get("GK_CAMPAIGN_ROUNDS", 50)))
SEED = int(os.environ.get("GK_CAMPAIGN_SEED", 1))
STATES = ("quiescing", "releasing", "released", "reset", "assigned", "confirmed")
# From the 10th round on, so that caches and first uses are in.
WARM = 10
# A link that happens to be open has some of these; a leak would add one each round.
MORE = {"domains": 0, "dom0_event_channels": 4, "grants": 8, "gatekeeperd_fds": 4,
        "xenstored_fds": 2, "entries": 16, "processes": 12}
GROWTH_KIB = {"gatekeeperd": 512, "xenstored": 1024, "dom0": 24 << 10}

# Beside those of handoff_kill.py.
MORE_CASES = [Case(f"{label} at {state}", fault, state) for state in STATES
              for label, fault in (("xenstored stops for 2 s", SLOW.format(2)),
                                   ("the agent killed", AGENT_KILL),
                                   ("gatekeeperd killed", "kill9 gatekeeperd"))]


def plan(rng):
    """Each known case once, others by chance, and rounds in which nothing happens;
    None is such a one. In an order by chance."""
    known = DAEMON + OTHERS + REFUSING
    more = rng.sample(MORE_CASES, min(len(MORE_CASES), ROUNDS // 10))
    rounds = rng.sample(known + more, len(known + more)) + [None] * ROUNDS
    rounds = rounds[:ROUNDS]
    rng.shuffle(rounds)
    return rounds


def state_of_dom0(t):
    """Counts that must not grow. Event channels and grants as the hypervisor has them."""
    text = t.guest.output(
        "xl debug-keys e && xl debug-keys g && sleep 0.5; xl dmesg | tail -n 600; "
        "echo ==; grep -E '^(MemAvailable|Slab|SUnreclaim):' /proc/meminfo; "
        "echo gatekeeperd $(awk '/^VmRSS/ {print $2}' "
        "/proc/$(pgrep -ox gatekeeperd)/status) $(ls /proc/$(pgrep -ox gatekeeperd)/fd |"
        " wc -l) $(pgrep -c -x gatekeeperd); "
        "echo xenstored $(awk '/^VmRSS/ {print $2}' "
        "/proc/$(pgrep -ox xenstored)/status) $(ls /proc/$(pgrep -ox xenstored)/fd | "
        "wc -l); "
        "echo entries $(xenstore-ls / | wc -l); "
        "echo processes $(ls -d /proc/[0-9]* | wc -l)", 60)
    log, _, rest = text.partition("\n==\n")
    found = {}
    channels = log.rpartition("Event channel information for domain 0:")[2]
    channels = re.split(r"Event channel information for domain|gnttab_usage", channels)
    found["dom0_event_channels"] = len(re.findall(r"(?m)^\(XEN\)\s+\d+ \[", channels[0]))
    grants = log.rpartition("gnttab_usage_print_all [ key 'g' pressed")[2]
    found["grants"] = len(re.findall(r"(?m)^\(XEN\)\s+\[0x", grants))
    t.check(found["dom0_event_channels"] > 10 and grants,
            f"Xen's log has no lists: {log[-600:]!r}")
    for line in rest.splitlines():
        word = line.replace(":", "").split()
        if word[:1] == ["MemAvailable"]:
            found["available_kib"] = int(word[1])
        elif word[:1] == ["SUnreclaim"]:
            found["slab_kib"] = int(word[1])
        elif word and word[0] in ("gatekeeperd", "xenstored"):
            found[f"{word[0]}_kib"], found[f"{word[0]}_fds"] = int(word[1]), int(word[2])
        elif word and word[0] in ("entries", "processes"):
            found[word[0]] = int(word[1])
    found["domains"] = len(handoff.domains(t))
    return found


@scenario("handoff-campaign", timeout=3600, default=False)
def handoff_campaign(t: Test):
    """Fifty rounds in one boot, with all faults there are; nothing leaks in dom0."""
    rng = random.Random(SEED)
    rig = Rig(t, xen_args="conring_size=512k")
    first, killed = None, 0
    log = (t.out / "rounds.txt").open("w", buffering=1)
    for number, case in enumerate(plan(rng), 1):
        label = f"round {number}: {case.label if case else 'a handoff'}"
        try:
            if case:
                rig.case(case)
                killed += "gatekeeperd" in case.fault
            else:
                rig.prepare()
                have, took = rig.hand_off()
                t.say(f"{label}: {have}, {took} s")
        except Failed as why:
            raise Failed(f"{label} (seed {SEED}): {why}") from None
        if number in (WARM, ROUNDS) or number % 10 == 0:
            # Always with the same owner, and where nothing goes on by itself.
            rig.prepare()
            rig.hand_off()
            now = state_of_dom0(t)
            log.write(f"{label} {now}\n")
            t.say(f"dom0: {now}")
            if number == WARM:
                first = now
    recorded = rig.end()
    # Only with gatekeeperd itself does the virtual keyboard go.
    t.check(len(recorded.gone) <= killed, f"the virtual keyboard went "
            f"{len(recorded.gone)} times, gatekeeperd was killed {killed} times")
    last = now
    t.metrics.update(campaign_rounds=ROUNDS, campaign_seed=SEED, campaign_killed=killed,
                     campaign_first=first, campaign_last=last)
    for what, more in MORE.items():
        t.check(last[what] <= first[what] + more,
                f"{what}: {first[what]} before, {last[what]} after")
    for what in ("gatekeeperd", "xenstored"):
        grown = last[f"{what}_kib"] - first[f"{what}_kib"]
        t.check(grown <= GROWTH_KIB[what], f"{what} has grown by {grown} KiB")
    shrunk = first["available_kib"] - last["available_kib"]
    t.metrics["dom0_available_shrunk_kib"] = shrunk
    t.check(shrunk <= GROWTH_KIB["dom0"], f"dom0 has {shrunk} KiB less")
