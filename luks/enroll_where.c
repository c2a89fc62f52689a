/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <libcryptsetup.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dom0/paths.h"
#include "luks/enroll_where.h"

enum { WORD = 512 };

struct line {
	char name[GK_VOLUME_NAME], device[GK_VOLUME_PATH], key[WORD], options[WORD];
};

/* Of the options only where the header is: how it is opened at boot makes no
 * difference here. */
static int set(struct gk_volume *v, const struct line *l, const char **why)
{
	const char *h = l->options;
	char header[WORD] = "";

	while ((h = strstr(h, "header=")) && h != l->options && h[-1] != ',')
		h++;
	if (h)
		snprintf(header, sizeof(header), "%.*s", (int)strcspn(h, ","), h);
	return gk_volume_set(v, l->name, l->device, header, why);
}

/* The n-th line that is one, or the one of that name. */
static int from_crypttab(const char *name, unsigned n, struct line *l)
{
	static char text[64 << 10];
	char path[GK_PATH_MAX], *next = text, *line;

	if (gk_path(path, "/etc/crypttab") || gk_file_read(path, text, sizeof(text)) < 0)
		return GK_ERR_NOT_FOUND;
	while ((line = strsep(&next, "\n"))) {
		memset(l, 0, sizeof(*l));
		if (sscanf(line, " %127s %255s %511s %511s", l->name, l->device, l->key,
			   l->options) < 2 || l->name[0] == '#')
			continue;
		if (name ? !strcmp(l->name, name) : n-- == 0)
			return 0;
	}
	return GK_ERR_NOT_FOUND;
}

/* Swap with a random key and the like stand in crypttab, too. */
static int is_luks2(const struct gk_volume *v)
{
	static const unsigned char magic[] = { 'L', 'U', 'K', 'S', 0xba, 0xbe, 0, 2 };
	unsigned char head[sizeof(magic)];
	int fd = open(v->header[0] ? v->header : v->device, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof(head));

	if (fd >= 0)
		close(fd);
	return n == (ssize_t)sizeof(head) && !memcmp(head, magic, sizeof(magic));
}

int gk_where_next(unsigned n, struct gk_volume *v, const char **why)
{
	struct line l;
	int err = from_crypttab(NULL, n, &l);

	if (err)
		return err;
	if (set(v, &l, why))
		return GK_ERR_VALUE;
	*why = "no LUKS2 header";
	return is_luks2(v) ? GK_OK : GK_ERR_VALUE;
}

/* An open one: device mapper knows where it came from. */
static int from_mapper(const char *name, struct gk_volume *v, const char **why)
{
	struct crypt_device *cd = NULL;
	struct line l = { 0 };
	const char *device, *header;
	int err = GK_ERR_NOT_FOUND;

	*why = "neither a path, nor in crypttab, nor an open volume";
	if (strlen(name) >= sizeof(l.name))
		return GK_ERR_LIMIT;
	if (crypt_init_by_name(&cd, name) < 0)
		return err;
	device = crypt_get_device_name(cd);
	header = crypt_get_metadata_device_name(cd);
	*why = "an open volume without a device";
	if (!device)
		goto out;
	strcpy(l.name, name);
	snprintf(l.device, sizeof(l.device), "%s", device);
	if (header && strcmp(header, device))
		snprintf(l.options, sizeof(l.options), "header=%s", header);
	err = set(v, &l, why);
out:
	crypt_free(cd);
	return err;
}

int gk_where(const char *what, struct gk_volume *v, const char **why)
{
	static const char mapper[] = "/dev/mapper/";
	const char *base = strrchr(what, '/');
	struct line l = { 0 };

	if (!base && from_crypttab(what, 0, &l) == 0)
		return set(v, &l, why);
	if (!base)
		return from_mapper(what, v, why);
	if (!strncmp(what, mapper, sizeof(mapper) - 1) &&
	    from_mapper(base + 1, v, why) == 0)
		return 0;
	*why = "the path is too long";
	if (strlen(base + 1) >= sizeof(l.name) || strlen(what) >= sizeof(l.device))
		return GK_ERR_LIMIT;
	strcpy(l.name, base + 1);
	strcpy(l.device, what);
	return set(v, &l, why);
}
