# SPDX-License-Identifier: GPL-2.0-or-later
"""What every scenario must keep to, whatever it is about."""
import hashlib
import re
import subprocess
import tempfile

HCD = ("xhci_hcd", "xhci-pci", "ehci-pci", "ehci_hcd", "uhci_hcd", "ohci-pci",
       "ohci_hcd")
NEW_DEVICE = re.compile(r"usb \d+-[\d.]+: new .*device number|New USB device found")
HCD_BOUND = re.compile(r"new USB bus registered|[xeuo]hci[-_](hcd|pci) [\da-f:.]+: .*"
                       r"Host Controller")
LUKS_HEADER = 16 << 20


def usb_devices_in(log):
    """USB devices that dom0's kernel log tells of; root hubs are its own."""
    return sum(bool(re.search(r"usb \d+-[\d.]+: New USB device found", line))
               for line in log.splitlines())


def dom0_usb_problems(log, events, sysfs):
    """dom0's kernel log from its first line, the watcher's events, sysfs now."""
    found = [f"dom0's kernel log: {line.strip()}" for line in log.splitlines()
             if NEW_DEVICE.search(line) or HCD_BOUND.search(line)]
    for what, ms, data, _ in events:
        if what == "usb":
            found.append(f"in the initramfs at {ms} ms: USB device {data['device']}")
        if what == "driver" and data["driver"] in HCD:
            found.append(f"in the initramfs at {ms} ms: {data['bdf']} bound to "
                         f"{data['driver']}")
    found += [f"sysfs at the end: {line}" for line in sysfs.splitlines() if line]
    return found


# Prints what must not be there: USB devices, and controllers with a host driver.
SYSFS = r"""
ls /sys/bus/usb/devices 2>/dev/null
for dev in /sys/bus/pci/devices/*; do
	case $(cat $dev/class) in 0x0c03*) ;; *) continue ;; esac
	driver=$(basename "$(readlink $dev/driver)")
	case $driver in *hci*) echo "${dev##*/} $driver" ;; esac
done
true
"""


def luks_header(disk):
    """SHA-256 of the first 16 MiB of a qcow2 disk, as its guest sees them."""
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(["qemu-img", "dd", "-f", "qcow2", "-O", "raw", "bs=1M",
                        "count=16", f"if={disk}", f"of={out.name}"],
                       check=True, stdout=subprocess.DEVNULL)
        data = out.read()
    if len(data) != LUKS_HEADER:
        raise RuntimeError(f"cannot read the LUKS header of {disk}")
    return hashlib.sha256(data).hexdigest()
