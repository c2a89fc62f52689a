# SPDX-License-Identifier: GPL-2.0-or-later
"""report.json, for programs; one line a scenario, for people."""
import json
from dataclasses import dataclass, field


@dataclass
class Result:
    name: str
    status: str                 # passed, failed, skipped
    seconds: float = 0.0
    metrics: dict = field(default_factory=dict)
    reason: str = ""
    emulator_crash: bool = False
    last_lines: tuple = ()      # of a failure: the end of the VM's console
    compares: tuple = ()        # of a bound that does not hold: whose figures


def write(path, results):
    scenarios = []
    for result in results:
        entry = {"name": result.name, "status": result.status,
                 "seconds": round(result.seconds, 1), "metrics": result.metrics}
        if result.reason:
            entry["reason"] = result.reason
        scenarios.append(entry)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"scenarios": scenarios}, indent=2) + "\n")
    part.rename(path)


def summary(results):
    count = {status: sum(r.status == status for r in results)
             for status in ("passed", "failed", "skipped")}
    return ", ".join(f"{count[s]} {s}" for s in count)
