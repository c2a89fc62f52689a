# SPDX-License-Identifier: GPL-2.0-or-later
"""Run in dom0: names what holds one of the values. They are given in hex: this
program itself must not hold them in the clear before it searches."""
import os
import subprocess
import sys

values = [bytes.fromhex(v) for v in sys.argv[1:]]
overlap = max(map(len, values))


def look(name, data):
    for n, value in enumerate(values):
        if value in data:
            print(n, name)


def look_file(path):
    try:
        with open(path, "rb") as f:
            end = b""
            while block := f.read(1 << 22):
                look(path, end + block)
                end = block[-overlap:]
    except OSError:
        pass


def look_memory(pid):
    try:
        name = open("/proc/%s/comm" % pid).read().strip()
        areas = open("/proc/%s/maps" % pid).read().splitlines()
        memory = open("/proc/%s/mem" % pid, "rb", 0)
    except OSError:
        return
    for area in areas:
        first, last = (int(n, 16) for n in area.split()[0].split("-"))
        if "w" not in area.split()[1]:
            continue
        try:
            memory.seek(first)
            look("memory of %s %s" % (name, pid), memory.read(last - first))
        except (OSError, OverflowError, ValueError):
            pass


for pid in filter(str.isdigit, os.listdir("/proc")):
    look_file("/proc/%s/cmdline" % pid)
    look_file("/proc/%s/environ" % pid)
    if int(pid) != os.getpid():
        look_memory(pid)
for top in "/run", "/var", "/tmp", "/etc", "/root", "/home":
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not os.path.islink(path):
                look_file(path)
            if name == "core" or name.startswith("core."):
                print("core", path)
for command in ["journalctl", "-b", "--no-pager", "-a", "-o", "export"], ["dmesg"]:
    look(command[0], subprocess.run(command, stdout=subprocess.PIPE).stdout)
look("a search that works", values[-1])
