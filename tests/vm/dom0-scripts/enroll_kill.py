# SPDX-License-Identifier: GPL-2.0-or-later
"""Run in dom0: kills `gatekeeper enroll` at one named point after the other, on a
volume of a second disk, and looks each time at what is left in its header."""
import json
import subprocess
import sys

DISK, BASE, STOPS = sys.argv[1:4]
PASSPHRASE, PIN = sys.argv[4:6]
AFTER = json.loads(sys.argv[6])         # point: [[keyslot, kind], ...], the passphrase's
HEADER = 16 << 20                       # LUKS2's default area, bytes
REMOVALS = ("removal-allowed", "keyslot-removed", "token-removed")
PROGRAM = ["gatekeeper", "enroll"]


def run(*command, data=None):
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT, check=True).stdout


def fresh():
    with open(BASE, "rb") as f, open(DISK, "r+b") as disk:
        disk.write(f.read(HEADER))


def enrolling(program, point=None):
    """Answers what it asks, whatever that is, until it ends; its status."""
    p = subprocess.Popen([*program, "--key", "1-2", "--recovery", DISK],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                         stderr=subprocess.STDOUT, bufsize=1,
                         env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C",
                              **({"GK_ENROLL_KILL_AT": point} if point else {})})
    p.stdin.write(f"{PASSPHRASE}\n{PIN}\n")
    said = ""
    for line in p.stdout:
        said += line
        if line.startswith("    "):     # the recovery passphrase
            p.stdin.write(line.strip()[-8:] + "\n")
    p.stdin.close()
    return p.wait(120), said


def sound():
    dump = json.loads(run("cryptsetup", "luksDump", "--dump-json-metadata", DISK))
    slots = dump["keyslots"]
    for number, token in dump["tokens"].items():
        assert set(token["keyslots"]) <= set(slots), (number, token)
    bound = [s for d in dump["digests"].values() for s in d["keyslots"]]
    assert sorted(bound) == sorted(slots), (bound, slots)
    run("cryptsetup", "luksDump", DISK)
    run("cryptsetup", "open", "--test-passphrase", "--type", "luks2", "--key-slot", "0",
        "--key-file", "-", DISK, data=PASSPHRASE)


def kinds():
    found = json.loads(run(*PROGRAM, "--list", "--json", DISK))[0]["entries"]
    return [[e.get("keyslot"), e["kind"]] for e in found if e["kind"] != "passphrase"]


for name, wanted in AFTER.items():
    fresh()
    if name in REMOVALS:
        ended, text = enrolling(PROGRAM)
        assert ended == 0, (name, ended, text)
        p = subprocess.run([STOPS, "--remove", "1", DISK], input=PASSPHRASE + "\n",
                           text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           env={"PATH": "/usr/bin:/bin", "GK_ENROLL_KILL_AT": name},
                           check=False)
        ended, text = p.returncode, p.stdout
        wanted = wanted + [[2, "recovery"]]
    else:
        ended, text = enrolling([STOPS], name)
    assert ended == -9, (name, ended, text)
    sound()
    left = kinds()
    assert sorted(left, key=str) == sorted(wanted, key=str), (name, left, wanted)
    if [1, "fido2"] in wanted:
        run(*PROGRAM, "--test", "--key", "1-2", DISK, data=PIN + "\n")
    print("killed", name, flush=True)
fresh()
ended, text = enrolling(PROGRAM)
assert ended == 0, text
print("whole", kinds())
