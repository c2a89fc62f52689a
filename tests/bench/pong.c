/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stands for the supervisor in a domain made like the gate: a bare libxenvchan
 * server at data/bench, which sends back what comes in, and ends with its client.
 * Nothing else is in it.
 */
#include <libxenvchan.h>

#include "ping.h"

int main(void)
{
	struct libxenvchan *v;
	char b[PING_BYTES];

	/* The rings of gatekeeper/domain/link_stream.h. */
	v = libxenvchan_server_init(NULL, 0, PING_NODE, 1024, 2048);
	if (!v)
		return 1;
	v->blocking = -1;	/* a signed bit-field */
	while (libxenvchan_recv(v, b, sizeof(b)) == (int)sizeof(b))
		if (libxenvchan_send(v, b, sizeof(b)) != (int)sizeof(b))
			break;
	return 0;
}
