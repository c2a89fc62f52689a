# SPDX-License-Identifier: GPL-2.0-or-later
"""Make what the scenarios boot: root, initramfs images, encrypted disk.

Each product is kept with a key (a hash of everything it was made from) in
build/vm/keys/, and made again only when its key changes.
"""
import contextlib
import fcntl
import hashlib
import lzma
import os
import shutil
import struct
import subprocess
import sys
import time

from . import secrets
from .paths import BUILD, DISK, STAGE, TOP, VARIANTS, VM, initramfs

DISK_SIZE = "3G"
MAKER_MODULES = ("virtio_pci", "virtio_blk", "dm_crypt", "xts", "aesni_intel",
                 "sha256_generic", "ext4", "crc32c_generic", "algif_skcipher")
SYSUSB_MODULES = ("xen_pcifront", "xhci_pci", "ehci_pci", "uhci_hcd", "ohci_pci",
                  "usbhid", "hid_generic", "evdev", "usb_storage",
                  "xen_evtchn", "xen_gntalloc", "xen_gntdev")


class BuildError(Exception):
    pass


def _feed_tree(digest, top):
    for path in sorted(top.rglob("*")):
        if "__pycache__" in path.parts:
            continue
        digest.update(str(path.relative_to(top)).encode() + b"\0")
        if path.is_symlink():
            digest.update(os.readlink(path).encode())
        elif path.is_file():
            digest.update(b"%o" % (path.stat().st_mode & 0o777))
            digest.update(path.read_bytes())


def _key(*things):
    digest = hashlib.sha256()
    for thing in things:
        if isinstance(thing, str):
            digest.update(thing.encode())
        elif thing.is_dir():
            _feed_tree(digest, thing)
        else:
            digest.update(thing.read_bytes())
        digest.update(b"\0")
    return digest.hexdigest()


def unpacked_kernel(image):
    """The ELF kernel inside a bzImage (Linux boot protocol 2.08, 0x248, 0x24c).

    Xen takes it as it is, which saves the emulated CPU some 7 s of unpacking XZ.
    """
    if image[0x202:0x206] != b"HdrS":
        raise BuildError("the kernel of the test root is no bzImage")
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (image[0x1f1] + 1) * 512 + offset
    elf = lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(image[start:start + length])
    if elf[:4] != b"\x7fELF":
        raise BuildError("the kernel of the test root is not packed with XZ")
    return elf


@contextlib.contextmanager
def locked(name, say):
    """One at a time on this tree; two VMs at once disturb each other, too."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with open(BUILD / f"{name}.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another {name} to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Product:
    """One thing below build/vm with the key it was made for."""

    def __init__(self, name, path):
        self.path = path
        self.key_file = BUILD / "keys" / name

    def fresh(self, key):
        return (self.path.exists() and self.key_file.exists()
                and self.key_file.read_text() == key)

    def done(self, key):
        self.key_file.parent.mkdir(parents=True, exist_ok=True)
        self.key_file.write_text(key)


class Builder:
    def __init__(self, say=print, with_project=True):
        self.say = say
        self.with_project = with_project
        self.log = None

    def run(self, *args, **kw):
        """A command whose output goes to the log; its end is shown on failure."""
        self.log.write(f"+ {' '.join(map(str, args))}\n".encode())
        self.log.flush()
        start = self.log.tell()
        done = subprocess.run([str(a) for a in args], stdin=subprocess.DEVNULL,
                              stdout=self.log, stderr=subprocess.STDOUT, **kw)
        if done.returncode:
            self.log.flush()
            with open(self.log.name, "rb") as text:
                text.seek(start)
                tail = text.read().decode(errors="replace").splitlines()[-25:]
            raise BuildError(f"{args[0]} failed (status {done.returncode}); "
                             f"log: {self.log.name}\n" + "\n".join(tail))

    def step(self, text):
        self.say(text)
        return time.monotonic()

    def all(self, variants=VARIANTS, base_only=False):
        if os.geteuid() != 0:
            raise BuildError("building the test root needs root")
        with locked("build", self.say), open(BUILD / "build.log", "ab") as self.log:
            base_key = self.base()
            if base_only:
                self.disk_base(base_key)
                return
            stage_key = self.stage(base_key)
            for variant in variants:
                self.initramfs(variant, stage_key)
            self.disk(base_key, stage_key)

    # The Debian root without the project.
    def base(self):
        key = _key(VM / "packages", VM / "build-root", VM / "customize-root",
                   VM / "dom0-files", secrets.LUKS_UUID)
        base = Product("base", BUILD / "base")
        if not base.fresh(key):
            self.step("building the Debian dom0 root (mmdebstrap, 1 to 4 minutes)")
            for old in (BUILD / "base", BUILD / "base.part"):
                shutil.rmtree(old, ignore_errors=True)
            self.run(VM / "build-root", BUILD / "base")
            self.boot_files()
            base.done(key)
        return key

    def boot_files(self):
        boot = BUILD / "base" / "boot"
        kernel = next(boot.glob("vmlinuz-*"))
        shutil.copy(kernel, BUILD / "vmlinuz")
        (BUILD / "vmlinux").write_bytes(unpacked_kernel(kernel.read_bytes()))
        with open(BUILD / "xen", "wb") as out:
            subprocess.run(["gzip", "-dc", str(next(boot.glob("xen-*.gz")))],
                           stdout=out, check=True)

    # What is put over it: the project by its own "make install", the watcher,
    # the sys-usb guest.
    def stage(self, base_key):
        part = BUILD / "stage.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        if self.with_project:
            xen = next((BUILD / "base/usr/lib").glob("xen-*/bin"))
            self.run("make", "-C", TOP, "install", f"DESTDIR={part}", "PREFIX=/usr",
                     f"XEN_BIN=/{xen.relative_to(BUILD / 'base')}")
        lib = part / "usr/lib/gktest"
        lib.mkdir(parents=True, exist_ok=True)
        watch = VM / "dracut/98gktest/gktest-watch.c"
        self.run("gcc", "-static", "-std=c11", "-D_GNU_SOURCE", "-O2", "-o",
                 lib / "gktest-watch", watch)
        modules = part / "usr/lib/dracut/modules.d/98gktest"
        shutil.copytree(watch.parent, modules, ignore=shutil.ignore_patterns("*.c"))
        self.sys_usb(part, base_key)
        key = _key(part, base_key)
        shutil.rmtree(STAGE, ignore_errors=True)
        part.rename(STAGE)
        return key

    def modules(self, tree, wanted):
        """Copy kernel modules and what they depend on, in loading order."""
        top = next((BUILD / "base/usr/lib/modules").iterdir())
        depends = {}
        for line in (top / "modules.dep").read_text().splitlines():
            path, _, needs = line.partition(":")
            depends[path] = needs.split()
        by_name = {p.rsplit("/", 1)[1].split(".")[0].replace("-", "_"): p
                   for p in depends}
        builtin = {p.rsplit("/", 1)[1].split(".")[0].replace("-", "_") for p in
                   (top / "modules.builtin").read_text().split()}
        order = []

        def add(path):
            for need in depends[path]:
                add(need)
            if path not in order:
                order.append(path)

        for name in wanted:
            if name in by_name:
                add(by_name[name])
            elif name not in builtin:
                raise BuildError(f"no kernel module {name} in the test root")
        (tree / "modules").mkdir(parents=True)
        names = []
        for path in order:
            shutil.copy(top / path, tree / "modules")
            names.append("/modules/" + path.rsplit("/", 1)[1])
        (tree / "modules/order").write_text("\n".join(names) + "\n")

    def programs(self, tree, *paths):
        """Copy programs of the root with the libraries they load."""
        base = BUILD / "base"
        listing = subprocess.run(["chroot", str(base), "ldd", *paths],
                                 stdout=subprocess.PIPE, text=True, check=True).stdout
        libraries = {word for word in listing.split() if word.startswith("/")
                     and not word.endswith(":")}
        for path in (*paths, *libraries):
            to = tree / path.lstrip("/")
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy((base / path.lstrip("/")), to)

    def cpio(self, tree, out):
        with open(out, "wb") as image:
            names = subprocess.run(["find", ".", "-print0"], cwd=tree,
                                   stdout=subprocess.PIPE, check=True).stdout
            subprocess.run(["cpio", "--null", "--quiet", "-o", "-H", "newc",
                            "--owner=0:0"], cwd=tree, input=names, stdout=image,
                           check=True)

    def tree(self, name, init):
        tree = BUILD / name
        shutil.rmtree(tree, ignore_errors=True)
        for part in ("bin", "sbin", "dev", "proc", "sys", "run", "tmp"):
            (tree / part).mkdir(parents=True)
        shutil.copy(BUILD / "base/bin/busybox", tree / "bin/busybox")
        shutil.copy(init, tree / "init")
        os.mknod(tree / "dev/console", 0o600 | 0o020000, os.makedev(5, 1))
        return tree

    def agent(self):
        """gatekeeper-agent as it is installed into a guest."""
        root = BUILD / "agent"
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        if self.with_project:
            self.run("make", "-C", TOP, "install-agent", f"DESTDIR={root}",
                     "PREFIX=/usr")
            shutil.copy(VM / "sys-usb/start-agent", self._dir(root / "agent") / "start")
        return root

    def sys_usb(self, stage, base_key):
        image = Product("sys-usb", BUILD / "sys-usb.img")
        agent = self.agent()
        key = _key(VM / "sys-usb", base_key, " ".join(SYSUSB_MODULES), agent)
        if not image.fresh(key):
            tree = self.tree("sys-usb.tree", VM / "sys-usb/init")
            shutil.copy(VM / "sys-usb/poweroff", tree / "sbin/poweroff")
            self.modules(tree, SYSUSB_MODULES)
            shutil.copytree(agent, tree, dirs_exist_ok=True)
            self.cpio(tree, image.path)
            shutil.rmtree(tree)
            image.done(key)
        to = stage / "var/lib/gktest"
        to.mkdir(parents=True)
        shutil.copy(image.path, to / "sys-usb-image")
        shutil.copy(BUILD / "vmlinux", to / "sys-usb-kernel")
        (stage / "etc/xen").mkdir(parents=True, exist_ok=True)
        shutil.copy(VM / "sys-usb/sys-usb.cfg", stage / "etc/xen/sys-usb.cfg")
        conf = stage / "etc/gatekeeper/gatekeeper.conf"
        if conf.exists():
            with open(conf, "a") as text:
                text.write("\n# The tests' sys-usb.\nsys_usb_config = "
                           "/etc/xen/sys-usb.cfg\n")
        for unit in (VM / "sys-usb").glob("*.service"):
            shutil.copy(unit, self._dir(stage / "etc/systemd/system"))
        shutil.copy(VM / "sys-usb/start-sys-usb", stage / "usr/lib/gktest")

    def initramfs(self, variant, stage_key):
        image = Product(f"initramfs-{variant}", initramfs(variant))
        key = _key(VM / "build-initramfs", variant, stage_key)
        if not image.fresh(key):
            self.step(f"initramfs by dracut: {variant}")
            self.run(VM / "build-initramfs", variant, image.path, "stage", "base",
                     cwd=BUILD)
            image.done(key)

    # LUKS2 disks are made in a guest: base.qcow2 from the Debian root, then
    # disk.qcow2 on top of it with the project's files.
    def disk_base(self, base_key):
        maker = _key(VM / "maker", "".join(secrets.PASSPHRASES), DISK_SIZE, base_key)
        first = Product("disk-base", BUILD / "disk-base.qcow2")
        if not first.fresh(maker):
            start = self.step("encrypted disk: format and fill (about a minute)")
            self.make_disk(first.path, "format", BUILD / "base")
            first.done(maker)
            self.say(f"  took {time.monotonic() - start:.0f} s")
        return first, maker

    def disk(self, base_key, stage_key):
        first, maker = self.disk_base(base_key)
        disk = Product("disk", DISK)
        key = _key(maker, stage_key)
        if not disk.fresh(key):
            self.step("encrypted disk: install the project")
            self.make_disk(disk.path, "update", STAGE, backing=first.path)
            disk.done(key)

    def make_disk(self, path, mode, tree, backing=None):
        job = self.tree("maker.tree", VM / "maker/init")
        self.programs(job, "/usr/sbin/cryptsetup", "/usr/sbin/mke2fs", "/usr/bin/tar")
        (job / "sbin/mkfs.ext4").symlink_to("/usr/sbin/mke2fs")
        shutil.copy(BUILD / "base/etc/mke2fs.conf", self._dir(job / "etc"))
        gcc = next((BUILD / "base/usr/lib").glob("*/libgcc_s.so.1"))
        shutil.copy(gcc, self._dir(job / "lib"))
        self.modules(job, MAKER_MODULES)
        keys = self._dir(job / "keys")
        for n, passphrase in enumerate(secrets.PASSPHRASES):
            (keys / str(n)).write_bytes(passphrase.encode())
        (job / "job").write_text(f"{mode} {secrets.LUKS_UUID}\n")
        self.cpio(job, BUILD / "maker.img")
        shutil.rmtree(job)
        self.run("tar", "-cf", BUILD / "maker.tar", "--numeric-owner", "--sort=name",
                 "-C", tree, ".")
        create = ["qemu-img", "create", "-q", "-f", "qcow2"]
        if backing:
            create += ["-b", backing.name, "-F", "qcow2", path]
        else:
            create += [path, DISK_SIZE]
        self.run(*create)
        serial = BUILD / "maker.log"
        self.run("timeout", "600", "qemu-system-x86_64", "-M", "q35", "-cpu", "max",
                 "-accel", "tcg,thread=multi", "-smp", "2", "-m", "1024",
                 "-nodefaults", "-display", "none", "-no-reboot",
                 "-serial", f"file:{serial}",
                 "-kernel", BUILD / "vmlinuz", "-initrd", BUILD / "maker.img",
                 "-append", "console=ttyS0 quiet panic=-1 mitigations=off",
                 "-drive", f"if=virtio,format=qcow2,cache=unsafe,file={path}",
                 "-drive", f"if=virtio,format=raw,readonly=on,file={BUILD / 'maker.tar'}")
        text = serial.read_text(errors="replace")
        if "MAKER done" not in text:
            tail = "\n".join(text.splitlines()[-15:])
            raise BuildError(f"the disk maker failed; log: {serial}\n{tail}")
        (BUILD / "maker.tar").unlink()

    @staticmethod
    def _dir(path):
        path.mkdir(parents=True, exist_ok=True)
        return path


def main():
    bare = "--without-project" in sys.argv[1:]
    try:
        Builder(with_project=not bare).all(base_only="--base" in sys.argv[1:])
    except BuildError as error:
        sys.exit(f"tests/vm/build: {error}")


if __name__ == "__main__":
    main()
