/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * worker ROLE UID {INTERFACE IN_ADDRESS IN_SIZE}...
 * Enters its jail, takes the interfaces it was granted, runs its role.
 */
#include "worker.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <signal.h>
#include <unistd.h>

#include "sandbox.h"

enum { POLL_FDS = 16, SEND_WAIT_MS = 1000, TICK_MS = 30 };

static const struct gk_worker_role *const roles[] = {
	&gk_worker_keyboard,
};

void gk_worker_end(struct gk_worker *w, enum gk_worker_exit status)
{
	if (!w->done)
		w->status = status;
	w->done = 1;
}

void gk_worker_send(struct gk_worker *w, const struct gk_frame *f)
{
	uint8_t buf[GK_LINK_FRAME_MAX];
	struct pollfd p = { .fd = GK_WORKER_SOCK_FD, .events = POLLOUT };
	int n = gk_link_encode(f, GK_SIDE_WORKER, buf, sizeof(buf));

	if (n < 0 || w->done)
		return;
	while (send(GK_WORKER_SOCK_FD, buf, (size_t)n,
		    MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN || poll(&p, 1, SEND_WAIT_MS) <= 0) {
			gk_worker_end(w, GK_WORKER_SUPERVISOR);
			return;
		}
	}
}

static void from_supervisor(struct gk_worker *w, const struct gk_worker_role *role)
{
	uint8_t buf[GK_LINK_FRAME_MAX + 1];
	struct gk_frame f;
	ssize_t n = recv(GK_WORKER_SOCK_FD, buf, sizeof(buf), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || gk_link_decode(buf, (size_t)n, GK_SIDE_SUPERVISOR, &f) < 0)
		gk_worker_end(w, GK_WORKER_SUPERVISOR);
	else if (f.type == GK_LINK_QUIESCE)
		gk_worker_end(w, GK_WORKER_DONE);
	else
		role->frame(w, &f);
}

/* Waits for libusb's fds and the supervisor's socket, and serves both. */
static void turn(struct gk_worker *w, const struct gk_worker_role *role)
{
	const struct libusb_pollfd **list = libusb_get_pollfds(w->usb);
	struct pollfd p[POLL_FDS] = {
		{ .fd = GK_WORKER_SOCK_FD, .events = POLLIN },
	};
	struct timeval now = { 0 };
	nfds_t n = 1;

	for (int i = 0; list && list[i] && n < POLL_FDS; i++, n++) {
		p[n].fd = list[i]->fd;
		p[n].events = list[i]->events;
	}
	libusb_free_pollfds(list);
	if (poll(p, n, w->retry ? TICK_MS : -1) < 0 && errno != EINTR) {
		gk_worker_end(w, GK_WORKER_SUPERVISOR);
		return;
	}
	if (libusb_handle_events_timeout_completed(w->usb, &now, NULL) < 0)
		gk_worker_end(w, GK_WORKER_DEVICE);
	if (p[0].revents)
		from_supervisor(w, role);
	if (w->retry && !w->done)
		role->tick(w);
}

/* The supervisor speaks of a device as admitted only after this. */
static void say_ready(struct gk_worker *w)
{
	struct gk_frame f = { .type = GK_LINK_PING };

	gk_worker_send(w, &f);
}

static int number(const char *s, unsigned max, unsigned *out)
{
	char *end;
	unsigned long v = strtoul(s, &end, 10);

	if (end == s || *end || v > max)
		return GK_ERR_VALUE;
	*out = (unsigned)v;
	return GK_OK;
}

static int usb_open(struct gk_worker *w)
{
	int err;

	/* No discovery: the one device is the one that was handed over. */
	err = libusb_set_option(NULL, LIBUSB_OPTION_NO_DEVICE_DISCOVERY);
	if (!err)
		err = libusb_init(&w->usb);
	if (!err)
		err = libusb_wrap_sys_device(w->usb, GK_WORKER_USB_FD, &w->dev);
	for (unsigned i = 0; !err && i < w->grants; i++)
		err = libusb_claim_interface(w->dev, w->grant[i].interface);
	return err ? GK_ERR_SYSTEM : GK_OK;
}

static int read_grants(struct gk_worker *w, int argc, char **argv)
{
	unsigned interface, address, size;

	for (int i = 0; i < argc; i += 3) {
		struct gk_worker_grant *g = &w->grant[w->grants];

		if (w->grants++ == GK_WORKER_GRANTS || argc - i < 3 ||
		    number(argv[i], 255, &interface) < 0 ||
		    number(argv[i + 1], 255, &address) < 0 ||
		    number(argv[i + 2], GK_WORKER_PACKET, &size) < 0)
			return GK_ERR_VALUE;
		g->interface = (uint8_t)interface;
		g->in_address = (uint8_t)address;
		g->in_size = (uint16_t)size;
	}
	return w->grants ? GK_OK : GK_ERR_VALUE;
}

int main(int argc, char **argv)
{
	const struct gk_worker_role *role = NULL;
	struct gk_worker w = { .status = GK_WORKER_DONE };
	unsigned uid;

	if (argc < 3 || number(argv[2], 65534, &uid) < 0 || uid == 0 ||
	    read_grants(&w, argc - 3, argv + 3) < 0)
		return GK_WORKER_USAGE;
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (strcmp(argv[1], roles[i]->name) == 0)
			role = roles[i];
	if (!role)
		return GK_WORKER_USAGE;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ||
	    gk_sandbox_enter(GK_WORKER_SOCK_FD, uid) < 0)
		return GK_WORKER_JAIL;
	/* The change of uid has cleared it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return GK_WORKER_JAIL;

	if (usb_open(&w) < 0 || role->start(&w) < 0)
		return GK_WORKER_DEVICE;
	say_ready(&w);
	while (!w.done)
		turn(&w, role);
	role->stop(&w);
	for (unsigned i = 0; i < w.grants; i++)
		libusb_release_interface(w.dev, w.grant[i].interface);
	return (int)w.status;
}
