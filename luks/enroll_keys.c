/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which keys are there, for a command. */
#include <stdio.h>
#include <string.h>

#include "dom0/paths.h"
#include "luks/enroll_ask.h"
#include "luks/enroll_key.h"

static void on_came(void *ctx, unsigned index, const char *port, const char *socket)
{
	struct gk_ekeys *all = ctx;
	struct gk_ekey *k;

	(void)index;
	if (all->n == GK_KEYS)
		return;
	k = &all->key[all->n++];
	snprintf(k->port, sizeof(k->port), "%s", port);
	snprintf(k->socket, sizeof(k->socket), "%s", socket);
	all->any = 1;
}

/* One that goes while it is talked to is seen there. */
static void on_went(void *ctx, unsigned index)
{
	(void)ctx;
	(void)index;
}

static void on_waited(void *ctx)
{
	struct gk_ekeys *all = ctx;

	all->late = all->any = 1;
}

int gk_ekeys_find(struct gk_ekeys *all, struct gk_loop *l, unsigned wait_ms)
{
	char dir[GK_PATH_MAX];
	int err = gk_run_path(dir, "fido");

	if (err)
		return err;
	all->loop = l;
	all->watch.came = on_came;
	all->watch.went = on_went;
	all->watch.ctx = all;
	err = gk_keys_watch(&all->watch, l, dir);
	if (err || all->any || !wait_ms)
		return err;
	gk_say("Plug the security key in (%u seconds)", wait_ms / 1000);
	gk_timer_set(l, &all->wait, wait_ms, on_waited, all);
	err = gk_loop_until(l, &all->any);
	gk_timer_clear(l, &all->wait);
	return err;
}

struct gk_ekey *gk_ekeys_at(struct gk_ekeys *all, const char *port)
{
	for (unsigned i = 0; i < all->n; i++)
		if (!strcmp(all->key[i].port, port))
			return &all->key[i];
	return NULL;
}

void gk_ekeys_close(struct gk_ekeys *all)
{
	for (unsigned i = 0; i < all->n; i++)
		gk_ekey_close(&all->key[i]);
}
