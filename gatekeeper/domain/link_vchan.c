/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "link_stream.h"

#include <libxenvchan.h>

#define XS_PATH "data/gatekeeper"

static struct libxenvchan *vchan;

int gk_stream_open(void)
{
	vchan = libxenvchan_server_init(NULL, 0, XS_PATH, GK_RING_FROM_DOM0,
					GK_RING_TO_DOM0);
	if (!vchan)
		return GK_ERR_SYSTEM;
	vchan->blocking = 0;
	vchan->server_persist = -1;	/* a signed bit-field */
	return GK_OK;
}

int gk_stream_fd(void)
{
	return libxenvchan_fd_for_select(vchan);
}

int gk_stream_wake(void)
{
	libxenvchan_wait(vchan);
	return libxenvchan_is_open(vchan) == 1;
}

int gk_stream_read(void *buf, size_t len)
{
	return libxenvchan_read(vchan, buf, len);
}

int gk_stream_send(const void *buf, size_t len)
{
	return libxenvchan_send(vchan, buf, len);
}

void gk_stream_close(void)
{
	libxenvchan_close(vchan);
	vchan = NULL;
}
