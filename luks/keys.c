/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dom0/log.h"
#include "luks/keys.h"

/* As on the screen: "1-2.1". The names are gatekeeperd's, made of numbers. */
static int is_port(const char *s)
{
	size_t len = strlen(s);

	return len > 0 && len < GK_KEYS_PORT && s[0] != '.' &&
	       strspn(s, "0123456789-.") == len;
}

static void socket_path(const struct gk_keys *k, const char *port, char *buf, size_t cap)
{
	snprintf(buf, cap, "%s/%s", k->dir, port);
}

static void check_one(struct gk_keys *k, const char *port)
{
	char path[sizeof(k->dir) + GK_KEYS_PORT + 1];
	int slot = -1;
	struct stat st;

	socket_path(k, port, path, sizeof(path));
	if (stat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return;
	for (int i = 0; i < GK_KEYS; i++) {
		if (strcmp(k->key[i].port, port))
			continue;
		k->key[i].seen = k->key[i].inode == st.st_ino &&
				 k->key[i].made.tv_sec == st.st_ctim.tv_sec &&
				 k->key[i].made.tv_nsec == st.st_ctim.tv_nsec;
		/* Another socket of this name is new; the next look takes it. */
		return;
	}
	for (int i = 0; i < GK_KEYS && slot < 0; i++)
		if (!k->key[i].port[0])
			slot = i;
	if (slot < 0)
		return;
	snprintf(k->key[slot].port, GK_KEYS_PORT, "%s", port);
	k->key[slot].inode = st.st_ino;
	k->key[slot].made = st.st_ctim;
	k->key[slot].seen = 1;
	k->came(k->ctx, (unsigned)slot, port, path);
}

/* 1: something has gone, and what came in its place is still to be seen. */
static int look_once(struct gk_keys *k)
{
	struct dirent *e;
	int gone = 0;
	DIR *d;

	for (int i = 0; i < GK_KEYS; i++)
		k->key[i].seen = 0;
	d = opendir(k->dir);
	while (d && (e = readdir(d)))
		if (is_port(e->d_name))
			check_one(k, e->d_name);
	if (d)
		closedir(d);
	for (unsigned i = 0; i < GK_KEYS; i++) {
		if (!k->key[i].port[0] || k->key[i].seen)
			continue;
		k->key[i].port[0] = '\0';
		gone = 1;
		k->went(k->ctx, i);
	}
	return gone;
}

static void look(void *ctx)
{
	struct gk_keys *k = ctx;

	gk_timer_set(k->loop, &k->timer, GK_KEYS_LOOK_MS, look, k);
	if (look_once(k))
		(void)look_once(k);
}

static void on_inotify(void *ctx, uint32_t events)
{
	struct gk_keys *k = ctx;
	char buf[4096];

	(void)events;
	while (read(k->inotify, buf, sizeof(buf)) > 0)
		;
	look(k);
}

static int make_dirs(char *dir)
{
	char *slash = strrchr(dir, '/');

	if (slash && slash != dir) {
		*slash = '\0';
		if (mkdir(dir, 0755) < 0 && errno != EEXIST) {
			*slash = '/';
			return -1;
		}
		*slash = '/';
	}
	return mkdir(dir, 0700) < 0 && errno != EEXIST ? -1 : 0;
}

int gk_keys_watch(struct gk_keys *k, struct gk_loop *l, const char *dir)
{
	int err;

	if (strlen(dir) + 1 + GK_KEYS_PORT > sizeof(k->dir))
		return GK_ERR_LIMIT;
	strcpy(k->dir, dir);
	k->loop = l;
	if (make_dirs(k->dir) < 0)
		gk_log(LOG_WARNING, "%s: %s", dir, strerror(errno));
	k->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (k->inotify < 0)
		return GK_ERR_SYSTEM;
	if (inotify_add_watch(k->inotify, dir, IN_CREATE | IN_DELETE | IN_MOVED_TO |
			      IN_MOVED_FROM | IN_ATTRIB) < 0)
		gk_log(LOG_WARNING, "%s is not watched, only looked at: %s", dir,
		       strerror(errno));
	err = gk_loop_add(l, k->inotify, EPOLLIN, on_inotify, k);
	if (err)
		return err;
	look(k);
	return GK_OK;
}
