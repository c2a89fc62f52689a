/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which security keys are there: gatekeeperd makes a socket named after the port
 * for each, and takes it away with the key.
 */
#ifndef GK_LUKS_KEYS_H
#define GK_LUKS_KEYS_H

#include <sys/types.h>
#include <time.h>

#include "dom0/loop.h"
#include "luks/key.h"

enum {
	GK_KEYS_PORT = 24,	/* bytes of a port's name with its NUL */
	/* The directory is read at least that often, whatever inotify says. */
	GK_KEYS_LOOK_MS = 1000,
};

struct gk_keys {
	struct gk_loop *loop;
	char dir[108];
	int inotify;
	struct gk_timer timer;
	struct {
		char port[GK_KEYS_PORT];	/* "": free */
		ino_t inode;
		struct timespec made;
		int seen;
	} key[GK_KEYS];
	/* index: 0..GK_KEYS-1, the same until it has gone. A key that was pulled
	 * and plugged in again goes and comes. */
	void (*came)(void *ctx, unsigned index, const char *port, const char *socket);
	void (*went)(void *ctx, unsigned index);
	void *ctx;
};

/* gk_keys_watch: came, went and ctx are set. Makes the directory if there is none,
 * so that it can be watched. */
int gk_keys_watch(struct gk_keys *k, struct gk_loop *l, const char *dir) GK_MUST_CHECK;

#endif
