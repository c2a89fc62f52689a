# SPDX-License-Identifier: GPL-2.0-or-later
"""The scenarios: functions marked @scenario, one file per theme."""
import importlib
import pkgutil
from dataclasses import dataclass
from typing import Callable

SCENARIOS = {}


@dataclass
class Scenario:
    name: str
    function: Callable
    about: str
    timeout: int        # seconds, for the whole scenario
    dom0_usb: bool      # dom0 may drive USB itself
    faults: bool        # QEMU may report DMA faults
    needs: tuple        # programs in the tree without which it is skipped
    alone: bool = False         # it takes times that another VM beside it would spoil
    default: bool = True        # runs when no scenario is named


def scenario(name, timeout=240, dom0_usb=False, faults=False, needs=(),
             alone=False, default=True):
    def mark(function):
        about = (function.__doc__ or "").strip().splitlines()[0]
        assert name not in SCENARIOS, name
        SCENARIOS[name] = Scenario(name, function, about, timeout, dom0_usb,
                                   faults, tuple(needs), alone, default)
        return function
    return mark


def load():
    import scenarios
    for module in sorted(m.name for m in pkgutil.iter_modules(scenarios.__path__)):
        importlib.import_module(f"scenarios.{module}")
    return SCENARIOS
