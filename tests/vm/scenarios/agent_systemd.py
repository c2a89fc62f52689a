# SPDX-License-Identifier: GPL-2.0-or-later
"""gatekeeper-agent by its real units, in a sys-usb with systemd and udev."""
import itertools
import re

from harness import handoff
from harness.registry import scenario
from harness.test import Test
from scenarios.handover import to_real_root

IMAGE = "/var/tmp/sys-usb-systemd"
AGENT = "gatekeeper-agent.service"
RELEASE = "gatekeeper-agent-release.service"
PARAMETER = "/sys/module/usbcore/parameters/authorized_default"
WORKER_UID = 2000000000
COUNT = itertools.count(1)


def ask(t, command, seconds=20):
    """What a command in sys-usb prints. It may hold no single quote."""
    mark = f"GKASK{next(COUNT)}"
    handoff.in_domain(t, f"echo; echo {mark}-; {{ {command}; }} 2>&1; echo; echo {mark}+")
    log = handoff.console_of()
    t.check(t.guest.until(f"grep -aq '^{mark}+' {log}", t.left(seconds), 0.2),
            f"no answer in sys-usb to {command!r}")
    text = t.guest.output(f"sed -n '/^{mark}-/,/^{mark}+/p' {log}").replace("\r", "")
    return "\n".join(text.strip().splitlines()[1:-1]).strip()


def shown(t, unit, *names):
    text = ask(t, f"systemctl show {unit} " + " ".join(f"-p {name}" for name in names))
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def running(t):
    now = shown(t, AGENT, "ActiveState", "SubState", "MainPID", "NRestarts")
    t.check(now.get("SubState") == "running" and int(now["MainPID"]) > 1, f"{AGENT}: {now}")
    return int(now["MainPID"]), int(now["NRestarts"])


def reduced(t, pid):
    """What it has given up under systemd, and its worker."""
    status = ask(t, f"cat /proc/{pid}/status")
    fields = dict(re.findall(r"^(\w+):\s+(.*)$", status, re.M))
    t.check(fields.get("NoNewPrivs") == "1" and fields.get("Seccomp") == "2" and
            int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) > 0, f"agent: {fields}")
    workers = ask(t, "for p in /proc/[0-9]*; do u=$(sed -n \"s/^Uid:.//p\" $p/status); "
                  f"case $u in {WORKER_UID // 10}*) echo ${{p##*/}} $u; esac; done")
    t.check(re.fullmatch(r"(\d+) 200000000\d\s+200000000\d\s.*", workers),
            f"workers: {workers!r}")
    worker = workers.split()[0]
    for kind in ("net", "mnt", "pid", "uts"):
        names = ask(t, f"for p in {worker} {pid} 1; do readlink /proc/$p/ns/{kind}; "
                    "done").split()
        t.check(len(names) == 3 and names[0] not in names[1:], f"{kind}: {names}")
    t.check(ask(t, f"ls -A /proc/{worker}/root/") == "", "a worker's root is not empty")
    status = ask(t, f"grep -E \"^Cap|^Seccomp:\" /proc/{worker}/status")
    t.check(re.findall(r"Cap\w+:\s+(\w+)", status) == ["0" * 16] * 5 and
            re.search(r"Seccomp:\s+2", status), f"worker: {status}")
    t.check(ask(t, "grep -c gatekeeper-agent/root /proc/1/mounts") == "0",
            "the workers' root is mounted for everybody")
    t.check(ask(t, f"echo x >/proc/{pid}/root/etc/written || echo read-only").endswith(
        "read-only"), "ProtectSystem=strict is not in force")


@scenario("agent-systemd", timeout=480, default=False)
def agent_systemd(t: Test):
    """The agent's own units under systemd and udev: jails, restart, limit, release."""
    to_real_root(t)
    handoff.tools(t)
    handoff.quiet_console(t)
    t.doing("making a guest of dom0's systemd")
    t.say(t.guest.output(f"{handoff.HERE}/bin/systemd-guest "
                         f"/var/lib/gktest/sys-usb-image {IMAGE}", 120).strip())
    t.guest.run(f"sed -i 's|^ramdisk = .*|ramdisk = \"{IMAGE}\"|' {handoff.CONFIG}")
    recorder = handoff.Recorder(t)
    typist = handoff.Typist(t)
    handoff.create_sys_usb(t, "systemd.show_status=0")
    handoff.wait_sys_usb_agent(t)
    # What it prints is not to stand between the answers.
    ask(t, "echo 1 >/proc/sys/kernel/printk")
    pid, restarts = running(t)
    t.check(restarts == 0, f"{restarts} restarts")
    t.check(ask(t, f"cat {PARAMETER}") == "0", "devices are not held back")

    t.say("a keyboard by a worker under the unit")
    handoff.hand_off(t)
    handoff.settle(t, recorder, 30, handoff.SYSUSB)
    t.metrics["confirm_ms"] = (handoff.status_file(t) or {}).get("confirm_ms")
    t.metrics["handoff_blackout_ms"] = (handoff.status_file(t) or {}).get(
        "handoff_blackout_ms")
    reduced(t, pid)

    t.say("killed: systemd starts it again, and it takes over what is there")
    ask(t, f"kill -9 {pid}")
    t.sleep(1)
    handoff.settle(t, recorder, 30, handoff.SYSUSB)
    again, restarts = running(t)
    t.check(again != pid and restarts == 1, f"{pid}, then {again}, {restarts} restarts")
    reduced(t, again)

    t.say("stopped and started by hand, without a controller")
    handoff.reclaim(t)
    handoff.settle(t, recorder, 40, handoff.GATE)
    ask(t, f"systemctl stop {AGENT}")
    now = shown(t, AGENT, "ActiveState", "Result", "ExecMainStatus")
    t.check(now == {"ActiveState": "inactive", "Result": "success", "ExecMainStatus": "0"},
            f"stopped: {now}")
    t.check(ask(t, f"cat {PARAMETER}") == "-1", "not as before after a stop")
    ask(t, f"systemctl start {AGENT}")
    running(t)
    t.check(ask(t, f"cat {PARAMETER}") == "0", "not held back after a start")

    t.say("killed until the limit: devices are given back")
    ask(t, f"n=0; until systemctl -q is-failed {AGENT}; do systemctl kill -s KILL {AGENT}; "
        "sleep 1; n=$((n + 1)); [ $n -lt 40 ] || break; done", 60)
    t.sleep(1)
    now = shown(t, AGENT, "ActiveState", "NRestarts")
    t.check(now["ActiveState"] == "failed" and int(now["NRestarts"]) >= 1, f"limit: {now}")
    now = shown(t, RELEASE, "Result", "ExecMainStatus", "ExecMainStartTimestampMonotonic")
    t.check(now["Result"] == "success" and now["ExecMainStatus"] == "0" and
            int(now["ExecMainStartTimestampMonotonic"]) > 0, f"{RELEASE}: {now}")
    t.check(ask(t, f"cat {PARAMETER}") == "-1", "not given back at the limit")
    t.check(ask(t, "cat /run/gatekeeper-agent/authorized_default") == "-1",
            "what was before is not known any more")

    t.say("and once more")
    ask(t, f"systemctl reset-failed {AGENT}; systemctl start {AGENT}")
    handoff.wait_sys_usb_agent(t)
    handoff.hand_off(t)
    handoff.settle(t, recorder, 30, handoff.SYSUSB)
    journal = ask(t, f"journalctl --no-pager -o cat -u {AGENT} -u {RELEASE}")
    (t.out / "agent-journal.txt").write_text(journal + "\n")
    typist.stop()
    t.sleep(1)
    typed = handoff.Typed(typist.sent, recorder.end())
    t.check(not typed.doubled and not typed.stuck,
            f"doubled {typed.doubled[:4]}, stuck {typed.stuck}")
    handoff.check_domains(t, handoff.SYSUSB)
