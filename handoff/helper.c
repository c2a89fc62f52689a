/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "handoff/helper.h"
#include "handoff/run.h"

/* Of a packet, 0: the other end has gone, or GK_ERR_TIMEOUT. */
static ssize_t receive(int fd, char *buf, size_t cap, uint64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	for (;;) {
		uint64_t now = gk_run_now_ms();
		ssize_t n = poll(&p, 1, now >= deadline ? 0 : (int)(deadline - now));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0 ? GK_ERR_TIMEOUT : 0;
		n = recv(fd, buf, cap, MSG_DONTWAIT | MSG_TRUNC);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		return n < 0 ? 0 : n;
	}
}

int gk_helper_ask(int fd, struct gk_order *o, char *why, size_t why_len)
{
	/* Steps are processes of their own, and answers go to whoever asks next. */
	static uint32_t asked;
	char text[GK_ORDER_MAX], answer[GK_ANSWER_MAX];
	uint64_t begin = gk_run_now_ms();
	const char *failed;
	ssize_t n;

	o->number = ((uint32_t)getpid() & 0x7fffffu) << 8 | (++asked & 0xffu);
	if (gk_order_text(o, text) != 0)
		return GK_ERR_VALUE;
	n = send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN ? GK_ERR_ORDER : GK_ERR_CLOSED;
	n = receive(fd, answer, sizeof(answer), begin + o->ms + GK_HELPER_GRACE_MS);
	if (n == 0)
		return gk_run_now_ms() - begin >= o->ms ? GK_ERR_TIMEOUT : GK_ERR_CLOSED;
	if (n < 0 || (size_t)n > sizeof(answer) ||
	    gk_answer_parse(answer, (size_t)n, o->number, &failed) != 0)
		return GK_ERR_ORDER;
	if (failed == NULL)
		return 0;
	(void)snprintf(why, why_len, "%s", failed);
	return GK_ERR_SYSTEM;
}
