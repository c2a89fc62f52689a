# SPDX-License-Identifier: GPL-2.0-or-later
"""Run scenarios, several at a time if asked, and report on them."""
import argparse
import os
import queue
import shutil
import signal
import sys
import threading
import time
import traceback

from . import bounds, registry, report
from .build import BuildError, Builder, locked
from .guest import GuestError
from .paths import BUILD
from .progress import Progress
from .qmp import QmpError
from .report import Result
from .serial import Timeout
from .test import Failed, Skip, Test


def _usbredir(text):
    name, _, path = text.partition("=")
    if not name.isidentifier() or not path:
        raise argparse.ArgumentTypeError("wants ID=SOCKET")
    return name, path


def options():
    parser = argparse.ArgumentParser(
        prog="tests/vm/run", description="Boot tests: real Xen under QEMU.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="scenarios; all without")
    parser.add_argument("--list", action="store_true", help="print the scenarios")
    parser.add_argument("--usbredir", type=_usbredir, action="append", default=[],
                        metavar="ID=SOCKET", help="attach a usbredir device that "
                        "listens on a UNIX socket to the first controller")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="VMs at a "
                        "time, each with one CPU then, but those that take times; "
                        "1 without")
    parser.add_argument("--keep", action="store_true", help="leave the VM running at "
                        "the end of each scenario until 'tests/vm/ctl NAME quit'")
    parser.add_argument("--verbose", action="store_true", help="say what happens")
    parser.add_argument("--guest-log", action="store_true",
                        help="dom0's journal on its console (console.log), slower")
    parser.add_argument("--args", default="", metavar="ARGS", help="more arguments "
                        "for dom0's kernel, such as rd.gatekeeper.debug")
    parser.add_argument("--no-build", action="store_true",
                        help="boot what build/vm holds, build nothing")
    parser.add_argument("--without-project", action="store_true",
                        help="a dom0 without the project (only 'direct' makes sense)")
    return parser.parse_args()


def _new_dir(path):
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


# Under QEMU's multi-threaded emulation on a busy host, dom0's PID 1 was seen to crash
# now and then (about one boot in thirty). Nothing of the scenario is known then, so it
# is run again, visibly and at most twice, and the report counts it (emulator_retries).
EMULATOR_CRASH = r"systemd\[1\]: (Caught <(ABRT|SEGV)>|Freezing execution)"
EMULATOR_TRIES = 3


def _crashed(vm):
    """QEMU ended by a signal, and nobody sent it one: nothing that a guest does may
    lead to that. Seen about once in a hundred boots, when one CPU read a device while
    the other moved a controller's registers (a bus reset)."""
    return vm.wait_exit(1) and vm.process.returncode in (-signal.SIGSEGV, -signal.SIGABRT)


def _ended_in_kernel(vm):
    """The VM is gone before dom0's kernel ran /init, so before anything of the project
    was started: seen once in some sixty boots."""
    return (vm.console.find(r"Xen version") is not None
            and vm.side.find("GKTEST start") is None
            and vm.console.find(r"Run /\S*init as init") is None
            and vm.wait_exit(5))


def run_one(scenario, progress, opts):
    for tries in range(EMULATOR_TRIES):
        result = _run_once(scenario, progress, opts)
        if tries:
            result.metrics["emulator_retries"] = tries
        if result.status != "failed" or not result.emulator_crash:
            break
        progress.line(f"  {scenario.name}: {result.reason}: a crash of "
                      "the emulator")
    return result


def _run_once(scenario, progress, opts):
    out = _new_dir(BUILD / scenario.name)
    start = time.monotonic()
    test = Test(scenario, out, progress, opts)
    result = Result(scenario.name, "passed", metrics=test.metrics)
    try:
        missing = [need for need in scenario.needs if not need.exists()]
        if missing:
            raise Skip(f"{missing[0].name} is not built")
        scenario.function(test)
        test.screenshot("screen.png")
        _keep(test, progress, opts)
        test.check_always()
    except Skip as why:
        result.status, result.reason = "skipped", str(why)
    except (Failed, Timeout, GuestError, QmpError) as why:
        result.status, result.reason = "failed", str(why)
    except Exception as why:
        result.status, result.reason = "failed", f"{type(why).__name__}: {why}"
        (out / "traceback.txt").write_text(traceback.format_exc())
    if result.status == "failed" and test.vm:
        test.screenshot("screen.png")
        _screen_text(test, out)
        _keep(test, progress, opts)
        test.agent_up = test.agent_up or test.vm.side.find("GKAGENT") is not None
        test.collect()
        result.last_lines = test.vm.last_lines()
        result.emulator_crash = bool(test.vm.console.find(EMULATOR_CRASH)
                                     or test.vm.side.find(EMULATOR_CRASH)
                                     or _crashed(test.vm)
                                     or _ended_in_kernel(test.vm))
    test.close()
    result.seconds = time.monotonic() - start
    return result


def _screen_text(test, out):
    try:
        (out / "screen.txt").write_text(test.screen.text())
    except Exception:
        pass


def _keep(test, progress, opts):
    if not opts.keep or not test.vm or test.vm.process.poll() is not None:
        return
    progress.line(f"  kept; look into it with: tests/vm/ctl {test.scenario.name} ...")
    progress.doing("kept")
    while not test.control.quit.wait(1) and test.vm.process.poll() is None:
        pass
    test.control.quit.clear()


def _tell(progress, result):
    mark = {"passed": "ok", "failed": "FAILED", "skipped": "skipped"}
    why = f": {result.reason}" if result.reason else ""
    progress.line(f"  {mark[result.status]} {result.name} ({result.seconds:.0f} s){why}")
    if result.status == "failed":
        for line in result.last_lines:
            progress.line(f"  | {line}")
        progress.line(f"  logs: {os.path.relpath(BUILD / result.name)}/")


def _together(scenarios, jobs, progress, opts, done):
    """Side by side, `jobs` at a time, the longest first; done(result) in this thread.
    Which failed, and why, is returned instead: with half a machine a key that was let
    go may come so late that it has repeated. Alone they are judged."""
    todo, results, again = queue.SimpleQueue(), queue.SimpleQueue(), {}
    for entry in sorted(scenarios, key=lambda entry: -entry.timeout):
        todo.put(entry)

    def work():
        while True:
            try:
                entry = todo.get_nowait()
            except queue.Empty:
                return
            progress.line(f"{entry.name}: {entry.about}")
            results.put(run_one(entry, progress.of(entry.name), opts))

    with locked("run", progress.line):
        for _ in range(jobs):
            threading.Thread(target=work, daemon=True).start()
        for _ in scenarios:
            result = results.get()
            if result.status == "failed":
                _tell(progress, result)
                progress.line(f"  {result.name}: it will be run once more, alone")
                again[result.name] = result.reason
            else:
                done(result)
    return again


def _measure_again(bound, known, progress, opts):
    """The scenarios that a bound compares, and the bound as it is then; at most twice."""
    for count in (1, 2):
        results = []
        for name in bound.compares:
            progress.line(f"{name}: once more, for {bound.name}: {bound.reason}")
            with locked("run", progress.line):
                results.append(run_one(known[name], progress, opts))
            _tell(progress, results[-1])
            if results[-1].status != "passed":
                return results[-1]
        for again in bounds.judge(results):
            bound = again
        bound.metrics["measured_again"] = count
        if bound.status == "passed":
            break
    return bound


def run(opts):
    known = registry.load()
    if opts.list:
        for name, entry in known.items():
            print(f"{name:26} {entry.about}{'' if entry.default else ' (when named)'}")
        return 0
    unknown = [name for name in opts.names if name not in known]
    if unknown:
        print(f"tests/vm/run: no scenario {unknown[0]}; see --list", file=sys.stderr)
        return 2
    if opts.keep or opts.usbredir:
        opts.jobs = 1
    progress = Progress(verbose=opts.verbose or sys.stdout.isatty())
    results = []
    try:
        if not opts.no_build:
            progress.doing("building")
            Builder(progress.line, not opts.without_project).all()
        todo = [known[name] for name in
                opts.names or [n for n in known if known[n].default]]
        together = [entry for entry in todo if not entry.alone]
        if opts.jobs < 2 or len(together) < 2:
            together = []

        def done(result):
            results.append(result)
            _tell(progress, result)
            report.write(BUILD / "report.json", results)

        again = _together(together, opts.jobs, progress, opts, done)
        opts.jobs = 1
        for entry in todo:
            if entry in together and entry.name not in again:
                continue
            progress.line(f"{entry.name}: {entry.about}")
            with locked("run", progress.line):
                result = run_one(entry, progress, opts)
            if entry.name in again:
                result.metrics["failed_beside_another"] = again[entry.name]
            done(result)
        for result in bounds.judge(results):
            if result.compares:
                result = _measure_again(result, known, progress, opts)
            results.append(result)
            _tell(progress, result)
        report.write(BUILD / "report.json", results)
    except BuildError as error:
        progress.close()
        print(f"tests/vm/run: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        progress.close()
        return 130
    progress.close()
    print(report.summary(results))
    return 1 if any(r.status == "failed" for r in results) else 0


def main():
    sys.exit(run(options()))


if __name__ == "__main__":
    main()
