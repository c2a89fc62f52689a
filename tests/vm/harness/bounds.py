# SPDX-License-Identifier: GPL-2.0-or-later
"""Bounds between the figures of different scenarios of one run.

One boot on a busy machine can be fast or slow by a third. A bound that does not hold is
therefore measured once more, and if need be twice, with the scenarios that it compares,
before it is called failed; the report says so (measured_again).
"""
from .report import Result

# A usable keyboard through the gate takes at most so many times as long as a keyboard
# that dom0 drives itself in the same VM.
KEYBOARD_READY_TIMES = 8


def keyboard_ready(results):
    """The slowest scenario against `direct`; None when one of them did not run."""
    direct = [(r.name, r.metrics["direct_keyboard_ready_ms"]) for r in results
              if "direct_keyboard_ready_ms" in r.metrics]
    gate = {r.name: r.metrics["keyboard_ready_ms"] for r in results
            if "keyboard_ready_ms" in r.metrics}
    if not direct or not gate:
        return None
    slowest = max(gate, key=gate.get)
    floor, floor_ms = direct[0]
    ratio = round(gate[slowest] / floor_ms, 2)
    result = Result("bound-keyboard-ready", "passed", metrics={
        "keyboard_ready_ratio": ratio, "keyboard_ready_ratio_bound": KEYBOARD_READY_TIMES})
    if ratio > KEYBOARD_READY_TIMES:
        result.status = "failed"
        result.reason = (f"{slowest}: {gate[slowest]} ms are {ratio} times the "
                         f"{floor_ms} ms of dom0 itself")
        result.compares = (floor, slowest)
    return result


# While sys-usb gets the controllers no key comes for at most so many times as long as
# the same controller's unbind, reset and probe take in one domain.
BLACKOUT_TIMES = 3


def blackout(results):
    """`handoff-running` against `handoff-floor`; None when one of them did not run."""
    found = {}
    for result in results:
        for name in ("handoff_blackout_ms", "handoff_floor_ms", "handoff_naive_ms"):
            if result.metrics.get(name) is not None:
                found[name] = result.metrics[name]
                found[name, "by"] = result.name
    if not {"handoff_blackout_ms", "handoff_floor_ms"} <= found.keys():
        return None
    taken, floor = found["handoff_blackout_ms"], found["handoff_floor_ms"]
    ratio = round(taken / floor, 2)
    result = Result("bound-handoff-blackout", "passed", metrics={
        "handoff_blackout_ratio": ratio, "handoff_blackout_ratio_bound": BLACKOUT_TIMES,
        "handoff_blackout_ms": taken, "handoff_floor_ms": floor,
        "handoff_naive_ms": found.get("handoff_naive_ms")})
    if ratio > BLACKOUT_TIMES:
        result.status = "failed"
        result.reason = f"no key for {taken} ms, {ratio} times the floor of {floor} ms"
        result.compares = (found["handoff_floor_ms", "by"],
                           found["handoff_blackout_ms", "by"])
    return result


def judge(results):
    return [result for result in (keyboard_ready(results), blackout(results)) if result]
