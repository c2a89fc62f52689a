# SPDX-License-Identifier: GPL-2.0-or-later
"""Where things are: the source tree, and everything made below build/."""
from pathlib import Path

VM = Path(__file__).resolve().parent.parent
TOP = VM.parent.parent
BUILD = TOP / "build" / "vm"
STAGE = BUILD / "stage"
DISK = BUILD / "disk.qcow2"
VARIANTS = ("systemd", "plymouth", "nosystemd")


def initramfs(variant):
    return BUILD / f"initramfs-{variant}.img"


def kernel():
    return BUILD / "vmlinux"


def xen():
    return BUILD / "xen"
