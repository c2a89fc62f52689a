/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dom0/initramfs.h"
#include "dom0/paths.h"

enum { NEWC_HEADER = 110, NEWC_ALIGN = 4, BLOCK = 512 };

struct archive {
	char *buf;
	size_t cap, len;
	int err;
};

static void put(struct archive *a, const void *data, size_t len)
{
	if (a->err || len > a->cap - a->len) {
		a->err = GK_ERR_LIMIT;
		return;
	}
	memcpy(a->buf + a->len, data, len);
	a->len += len;
}

static void pad(struct archive *a, size_t to)
{
	static const char zeros[BLOCK];

	put(a, zeros, (to - a->len % to) % to);
}

/* buffer-format.rst, "The c_magic field": 13 numbers of eight hex digits. */
static void entry(struct archive *a, const char *name, unsigned mode,
		  const void *data, size_t len)
{
	char head[NEWC_HEADER + 1];
	int n = snprintf(head, sizeof(head), "070701%08X%08X%08X%08X%08X%08X%08X"
			 "%08X%08X%08X%08X%08X%08X", 0u, mode, 0u, 0u, 1u, 0u,
			 (unsigned)len, 0u, 0u, 0u, 0u,
			 (unsigned)strlen(name) + 1, 0u);

	if (n != NEWC_HEADER) {
		a->err = GK_ERR_LIMIT;
		return;
	}
	put(a, head, NEWC_HEADER);
	put(a, name, strlen(name) + 1);
	pad(a, NEWC_ALIGN);
	put(a, data, len);
	pad(a, NEWC_ALIGN);
}

int gk_archive(const char *rules, size_t len, char *buf, size_t cap)
{
	struct archive a = { .buf = buf, .cap = cap };

	if (len > GK_RULES_TEXT_MAX)
		return GK_ERR_LIMIT;
	entry(&a, "rules.conf", 0100400, rules, len);
	entry(&a, "TRAILER!!!", 0, "", 0);
	pad(&a, BLOCK);
	return a.err ? a.err : (int)a.len;
}

static int write_all(int fd, const char *buf, size_t len)
{
	while (len) {
		ssize_t n = write(fd, buf, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return GK_ERR_SYSTEM;
		buf += n;
		len -= (size_t)n;
	}
	return 0;
}

static int copy_all(int from, int to)
{
	static char block[64 << 10];

	for (;;) {
		ssize_t n = read(from, block, sizeof(block));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? GK_ERR_SYSTEM : 0;
		if (write_all(to, block, (size_t)n))
			return GK_ERR_SYSTEM;
	}
}

int gk_initramfs(const char *rules, size_t len, const char *image, const char *path)
{
	static char archive[GK_ARCHIVE_MAX];
	int n = gk_archive(rules, len, archive, sizeof(archive));
	int from = -1, to = -1, err = GK_ERR_SYSTEM;
	char tmp[GK_PATH_MAX];

	if (n < 0)
		return n;
	if (snprintf(tmp, sizeof(tmp), "%s.new", path) >= (int)sizeof(tmp))
		return GK_ERR_LIMIT;
	from = open(image, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (from < 0)
		goto out;
	to = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0)
		goto out;
	err = write_all(to, archive, (size_t)n);
	if (!err)
		err = copy_all(from, to);
	if (close(to) < 0)
		err = GK_ERR_SYSTEM;
	if (!err && rename(tmp, path) < 0)
		err = GK_ERR_SYSTEM;
	if (err)
		unlink(tmp);
out:
	if (from >= 0)
		close(from);
	return err;
}
