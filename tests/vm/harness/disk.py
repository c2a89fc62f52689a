# SPDX-License-Identifier: GPL-2.0-or-later
"""What the VM has written to its encrypted disk since it was started, in the clear."""
import json
import os
import subprocess
import time

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

SUPERBLOCK = 1024 + 0x38        # ext4's magic number, 53 ef


def _backup(t, path):
    """Only what its own overlay holds; the rest is a hole."""
    t.guest.run("sync", 60)
    path.touch()
    size = next(d["inserted"]["image"]["virtual-size"] for d in t.qmp.run("query-block")
                if d["device"] == "disk")
    os.truncate(path, size)
    t.qmp.run("drive-backup", device="disk", target=str(path), sync="top", format="raw",
              mode="existing")
    end = time.monotonic() + t.left(120)
    while t.qmp.run("query-block-jobs"):
        t.check(time.monotonic() < end, "the disk's copy does not end")
        time.sleep(0.2)


def _volume_key(path, passphrase):
    out = path.with_name("volume-key")
    subprocess.run(["cryptsetup", "luksDump", "--dump-volume-key", "--batch-mode",
                    "--volume-key-file", out, "--key-file", "-", path],
                   input=passphrase.encode(), stdout=subprocess.DEVNULL, check=True)
    key = out.read_bytes()
    out.unlink()
    return key


def _segment(path):
    dump = json.loads(subprocess.run(
        ["cryptsetup", "luksDump", "--dump-json-metadata", path],
        stdout=subprocess.PIPE, check=True).stdout)
    segment = dump["segments"]["0"]
    assert segment["encryption"] == "aes-xts-plain64" and segment["iv_tweak"] == "0"
    return int(segment["offset"]), segment["sector_size"]


def _pieces(fd, start, size):
    """(offset, length) of what is no hole."""
    while start < size:
        try:
            start = os.lseek(fd, start, os.SEEK_DATA)
        except OSError:         # ENXIO: nothing but a hole to the end
            return
        end = os.lseek(fd, start, os.SEEK_HOLE)
        yield start, end - start
        start = end


class Written:
    """find() looks at it as it lies there and in the clear."""

    def __init__(self, t, passphrase):
        path = t.run_dir / "written"
        header = t.run_dir / "written-header"
        _backup(t, path)
        # The header may not have been written to in this boot.
        subprocess.run(["qemu-img", "dd", "-U", "-f", "qcow2", "-O", "raw", "bs=1M",
                        "count=16", f"if={t.vm.overlay}", f"of={header}"], check=True,
                       stdout=subprocess.DEVNULL)
        os.truncate(header, 20 << 20)
        key = _volume_key(header, passphrase)
        offset, sector = _segment(header)
        self.raw, self.clear = [], []
        with open(path, "rb") as f:
            for start, length in _pieces(f.fileno(), 0, path.stat().st_size):
                f.seek(start)
                data = f.read(length)
                self.raw.append(data)
                if start >= offset:
                    self.clear.append(_decrypt(key, data, (start - offset) // 512, sector))
                if start == offset:
                    magic = self.clear[-1][SUPERBLOCK:SUPERBLOCK + 2]
        t.check(magic == b"\x53\xef", "the disk was not decrypted")
        self.size = sum(map(len, self.clear))
        path.unlink()
        header.unlink()

    def find(self, value):
        return any(value in data for data in (*self.raw, *self.clear))


def _decrypt(key, data, number, sector):
    """plain64: the tweak is the number of the sector, in units of 512 bytes."""
    clear = bytearray()
    for at in range(0, len(data), sector):
        tweak = (number + at // 512).to_bytes(16, "little")
        d = Cipher(algorithms.AES(key), modes.XTS(tweak)).decryptor()
        clear += d.update(data[at:at + sector])
    return bytes(clear)
