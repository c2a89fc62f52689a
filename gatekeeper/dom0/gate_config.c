/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dom0/gate_config.h"
#include "dom0/log.h"
#include "dom0/paths.h"

/*
 * swiotlb: PV passthrough bounces DMA through it; its default of 64 MB does
 * not fit, 2048 slabs are 4 MB. usbfs_memory_mb: for the transfers of all workers,
 * half of that; what it bounds stands in docs/threat-model.md. slab_nomerge,
 * init_on_alloc: hardening that costs little. initial_descriptor_timeout, in ms: a
 * device that never answers holds up its hub's other ports for eight of these (default
 * 5000; USB 2.0 9.2.6.4 gives it 500). panic=-1: a gate that broke goes at once and is
 * replaced.
 */
static const char gate_cmdline[] =
	"quiet loglevel=1 usbcore.authorized_default=0 iommu=soft "
	"usbcore.usbfs_memory_mb=2 usbcore.autosuspend=-1 swiotlb=2048 "
	"usbcore.initial_descriptor_timeout=1500 "
	"panic=-1 slab_nomerge init_on_alloc=1";

struct text {
	char *buf;
	size_t cap, len;
	int err;
};

__attribute__((format(printf, 2, 3)))
static void add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (t->err)
		return;
	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->len, t->cap - t->len, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= t->cap - t->len)
		t->err = GK_ERR_LIMIT;
	else
		t->len += (size_t)n;
}

int gk_gate_config(const struct gk_options *o, const char *ramdisk,
		   const struct gk_controller *c, int n, char *buf, size_t cap)
{
	struct text t = { .buf = buf, .cap = cap };

	for (int i = 0; i < n; i++)
		if (!gk_bdf_valid(c[i].bdf))
			return GK_ERR_VALUE;
	/* PV: PVH has no PCI passthrough on x86, HVM needs a device model. */
	add(&t, "type = \"pv\"\n");
	add(&t, "name = \"%s\"\n", GK_GATE_NAME);
	add(&t, "kernel = \"%s\"\n", GK_GATE_KERNEL);
	add(&t, "ramdisk = \"%s\"\n", ramdisk);
	add(&t, "extra = \"%s%s gk.controllers=", gate_cmdline,
	    o->debug ? " gk.debug=1" : "");
	/* In the order in which xl gives them slots in the guest. */
	for (int i = 0; i < n; i++)
		add(&t, "%s%u", i ? "," : "", c[i].no);
	add(&t, "\"\n");
	/* Equal: a balloon costs seconds, and qmemman must find none. */
	add(&t, "memory = %u\nmaxmem = %u\n", o->memory_mib, o->memory_mib);
	add(&t, "vcpus = 1\n");
	add(&t, "vif = [ ]\ndisk = [ ]\nvfb = [ ]\nvga = \"none\"\n");
	/*
	 * permissive=0: no writes to configuration space but pciback's safe
	 * ones. rdm_policy: firmware claims memory for USB controllers on
	 * several laptops (RMRR), and strict would refuse those.
	 */
	add(&t, "pci = [");
	for (int i = 0; i < n; i++)
		add(&t, "%s\"%s,permissive=0,rdm_policy=relaxed\"",
		    i ? ", " : " ", c[i].bdf);
	add(&t, " ]\n");
	add(&t, "on_poweroff = \"destroy\"\n");
	add(&t, "on_reboot = \"destroy\"\n");
	add(&t, "on_crash = \"destroy\"\n");
	return t.err ? t.err : (int)t.len;
}

/* The first bytes of a file and its size; why it cannot be read in cause. */
static int peek(const char *what, const char *path, unsigned char *head,
		size_t len, off_t min, off_t max, off_t *size, char *cause)
{
	int fd, ret = GK_ERR_VALUE;
	struct stat st;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0) {
		if (errno == ENOENT)
			snprintf(cause, GK_CAUSE_MAX, "the %s %.80s is missing",
				 what, path);
		else
			snprintf(cause, GK_CAUSE_MAX,
				 "the %s %.80s cannot be read: %.60s", what,
				 path, strerror(errno));
		return GK_ERR_SYSTEM;
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    st.st_size < min || st.st_size > max ||
	    pread(fd, head, len, 0) != (ssize_t)len)
		goto out;
	*size = st.st_size;
	ret = 0;
out:
	close(fd);
	if (ret)
		snprintf(cause, GK_CAUSE_MAX,
			 "the %s %.80s is damaged (size %lld)", what, path,
			 (long long)st.st_size);
	return ret;
}

/* Documentation/arch/x86/boot.rst: the header of a bzImage, and how long the
 * file has to be for it. */
static int is_bzimage(const unsigned char *h, off_t size)
{
	unsigned sectors = h[0x1f1] ? h[0x1f1] : 4;
	off_t units = (off_t)h[0x1f4] | (off_t)h[0x1f5] << 8 |
		      (off_t)h[0x1f6] << 16 | (off_t)h[0x1f7] << 24;

	return h[0x1fe] == 0x55 && h[0x1ff] == 0xaa &&
	       !memcmp(h + 0x202, "HdrS", 4) &&
	       (off_t)(sectors + 1) * 512 + units * 16 <= size;
}

static int is_initramfs(const unsigned char *h)
{
	static const struct {
		unsigned char magic[6];
		size_t len;
	} known[] = {
		{ "070701", 6 },			/* cpio, newc */
		{ { 0x02, 0x21, 0x4c, 0x18 }, 4 },	/* lz4, legacy frame */
		{ { 0x1f, 0x8b }, 2 },			/* gzip */
		{ { 0xfd, '7', 'z', 'X', 'Z' }, 5 },	/* xz */
		{ { 0x28, 0xb5, 0x2f, 0xfd }, 4 },	/* zstd */
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!memcmp(h, known[i].magic, known[i].len))
			return 1;
	return 0;
}

int gk_gate_image_check(const char *kernel, const char *image,
			char cause[GK_CAUSE_MAX])
{
	unsigned char head[0x210];
	off_t size = 0;
	int err;

	cause[0] = '\0';
	err = peek("gate kernel", kernel, head, sizeof(head), 128 << 10,
		   64 << 20, &size, cause);
	if (err)
		return err;
	if (memcmp(head, "\177ELF", 4) && !is_bzimage(head, size)) {
		snprintf(cause, GK_CAUSE_MAX,
			 "the gate kernel %.80s is damaged (no kernel in it, or "
			 "cut off)", kernel);
		return GK_ERR_VALUE;
	}
	err = peek("gate image", image, head, 16, 512, 64 << 20, &size, cause);
	if (err)
		return err;
	if (!is_initramfs(head)) {
		snprintf(cause, GK_CAUSE_MAX,
			 "the gate image %.80s is damaged (no initramfs in it)",
			 image);
		return GK_ERR_VALUE;
	}
	return 0;
}

enum gk_xl_cause gk_gate_xl_cause(const char *err_text, char cause[GK_CAUSE_MAX])
{
	/* What libxl 4.17 and its libraries say; the first that is found. */
	static const struct {
		const char *said, *means;
		enum gk_xl_cause final;
	} known[] = {
		{ "not assignable",
		  "a USB controller is not bound to pciback", GK_XL_OWNED },
		{ "already assigned", "a USB controller belongs to another "
		  "domain", GK_XL_OWNED },
		{ "already attached", "a USB controller belongs to another "
		  "domain", GK_XL_OWNED },
		{ "xc_assign_device failed: Device or resource busy",
		  "a USB controller belongs to another domain", GK_XL_OWNED },
		{ "passthrough not supported",
		  "this machine has no IOMMU that Xen can use (VT-d or AMD-Vi "
		  "is off in the firmware, or iommu=0)", GK_XL_FINAL },
		{ "free memory", "not enough memory for the gate domain",
		  GK_XL_AGAIN },
		{ "Out of memory", "not enough memory for the gate domain",
		  GK_XL_AGAIN },
		{ "Cannot allocate memory",
		  "not enough memory for the gate domain", GK_XL_AGAIN },
		{ "allocate", "not enough memory for the gate domain",
		  GK_XL_AGAIN },
		{ "xenstore", "xenstored does not answer", GK_XL_AGAIN },
		{ "xc_dom_", "Xen cannot load the gate kernel: it is damaged",
		  GK_XL_FINAL },
		{ "xc_assign_device", "Xen refused to assign a USB controller",
		  GK_XL_AGAIN },
		{ "privcmd", "this is not a Xen dom0", GK_XL_FINAL },
		{ "xencall", "this is not a Xen dom0", GK_XL_FINAL },
	};
	const char *best = NULL;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strstr(err_text, known[i].said)) {
			snprintf(cause, GK_CAUSE_MAX, "%s", known[i].means);
			return known[i].final;
		}
	}
	/* The first error is the cause; what follows are its consequences.
	 * Without one, the first line that says anything. */
	for (const char *line = err_text; *line;) {
		size_t len = strcspn(line, "\n");

		if (memmem(line, len, "rror", 4)) {
			best = line;
			break;
		}
		if (!best && len > 4)
			best = line;
		line += len;
		if (*line)
			line++;
	}
	if (!best) {
		snprintf(cause, GK_CAUSE_MAX, "xl could not create the gate "
			 "domain and did not say why");
		return GK_XL_AGAIN;
	}
	snprintf(cause, GK_CAUSE_MAX, "xl: %.*s",
		 (int)(strcspn(best, "\n") < 150 ? strcspn(best, "\n") : 150),
		 best);
	gk_printable(cause);
	return GK_XL_AGAIN;
}
