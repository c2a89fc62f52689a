/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * worker UID {INTERFACE KIND FITS IN_ADDRESS OUT_ADDRESS IN_SIZE REPORT_LEN}...
 * Enters its jail, looks at its interfaces, serves those it is granted.
 */
#include "worker.h"

#include <errno.h>
#include <linux/usbdevice_fs.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <signal.h>
#include <unistd.h>

#include "sandbox.h"

enum { POLL_FDS = 16, SEND_WAIT_MS = 1000, TICK_MS = 30 };

/* An interface with another role is claimed, so that it is nobody else's. */
static const struct gk_worker_role *const roles[] = {
	&gk_worker_keyboard,
	&gk_worker_fido,
};

enum { ROLES = sizeof(roles) / sizeof(roles[0]) };

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

static void let_go(struct gk_worker *w)
{
	uint32_t mask = 0;

	for (unsigned i = 0; i < w->interfaces; i++) {
		if (w->interface[i].role)
			mask |= 1u << w->interface[i].number;
		else
			libusb_release_interface(w->dev, w->interface[i].number);
	}
	/* What was not granted cannot be claimed again. */
	if (ioctl(GK_WORKER_USB_FD, USBDEVFS_DROP_PRIVILEGES, &mask) < 0)
		gk_worker_end(w, GK_WORKER_JAIL);
}

static int has_role(const struct gk_worker *w, uint8_t role)
{
	for (unsigned i = 0; i < w->interfaces; i++)
		if (w->interface[i].role == role)
			return 1;
	return 0;
}

/* The supervisor speaks of a device as admitted only after the last line. */
static void serve(struct gk_worker *w)
{
	struct gk_frame f = { .type = GK_LINK_PING };

	w->serving = 1;
	let_go(w);
	for (size_t i = 0; i < ROLES && !w->done; i++)
		if (has_role(w, roles[i]->role) && roles[i]->start(w) < 0)
			gk_worker_end(w, GK_WORKER_DEVICE);
	f.u.ping.token = 1;
	gk_worker_send(w, &f);
}

static void on_grant(struct gk_worker *w, const struct gk_link_grant *g)
{
	for (unsigned i = 0; i < w->interfaces && !w->serving; i++)
		if (w->interface[i].number == g->interface)
			w->interface[i].role = g->role;
}

static void on_ping(struct gk_worker *w, struct gk_frame *f)
{
	if (f->u.ping.reply) {
		if (!w->serving)
			serve(w);
		/* dom0 has begun anew. */
		else if (has_role(w, GK_ROLE_FIDO))
			gk_worker_fido.frame(w, f);
		return;
	}
	f->u.ping.reply = 1;
	gk_worker_send(w, f);
}

static void handle(struct gk_worker *w, struct gk_frame *f)
{
	switch ((enum gk_link_type)f->type) {
	case GK_LINK_QUIESCE:
		gk_worker_end(w, GK_WORKER_DONE);
		return;
	case GK_LINK_GRANT:
		on_grant(w, &f->u.grant);
		return;
	case GK_LINK_PING:
		on_ping(w, f);
		return;
	case GK_LINK_LED:
		if (w->serving && has_role(w, GK_ROLE_KEYBOARD))
			gk_worker_keyboard.frame(w, f);
		return;
	case GK_LINK_FIDO:
		if (w->serving && has_role(w, GK_ROLE_FIDO))
			gk_worker_fido.frame(w, f);
		return;
	/* The codec lets a supervisor send none of these. */
	case GK_LINK_HELLO:
	case GK_LINK_DEVICE:
	case GK_LINK_GONE:
	case GK_LINK_KEY:
	case GK_LINK_QUIESCED:
	case GK_LINK_LOG:
	case GK_LINK_FOUND:
		return;
	}
}

static void from_supervisor(struct gk_worker *w)
{
	uint8_t buf[GK_LINK_FRAME_MAX + 1];
	struct gk_frame f;
	ssize_t n = recv(GK_WORKER_SOCK_FD, buf, sizeof(buf), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || gk_link_decode(buf, (size_t)n, GK_SIDE_SUPERVISOR, &f) < 0)
		gk_worker_end(w, GK_WORKER_SUPERVISOR);
	else
		handle(w, &f);
}

static void tick(struct gk_worker *w)
{
	w->retry = 0;
	for (size_t i = 0; i < ROLES && !w->done; i++)
		if (w->serving && has_role(w, roles[i]->role))
			roles[i]->tick(w);
}

/* Waits for libusb's fds and the supervisor's socket, and serves both. */
static void turn(struct gk_worker *w)
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
		from_supervisor(w);
	if (w->retry && !w->done)
		tick(w);
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
	if (!err && gk_sandbox_seal() < 0)
		return GK_ERR_SYSTEM;
	if (!err)
		err = libusb_wrap_sys_device(w->usb, GK_WORKER_USB_FD, &w->dev);
	for (unsigned i = 0; !err && i < w->interfaces; i++)
		err = libusb_claim_interface(w->dev, w->interface[i].number);
	return err ? GK_ERR_SYSTEM : GK_OK;
}

static int read_interfaces(struct gk_worker *w, int argc, char **argv)
{
	static const unsigned most[GK_WORKER_WORDS] = {
		31, GK_KINDS - 1, GK_ROLE_ALL, 255, 255, GK_WORKER_REPORT,
		GK_HID_DESC_MAX,
	};

	for (int i = 0; i < argc; i += GK_WORKER_WORDS) {
		struct gk_worker_interface *itf = &w->interface[w->interfaces];
		unsigned v[GK_WORKER_WORDS];

		if (w->interfaces++ == GK_CANDIDATES || argc - i < GK_WORKER_WORDS)
			return GK_ERR_VALUE;
		for (int k = 0; k < GK_WORKER_WORDS; k++)
			if (number(argv[i + k], most[k], &v[k]) < 0)
				return GK_ERR_VALUE;
		itf->number = (uint8_t)v[0];
		itf->kind = (uint8_t)v[1];
		itf->fits = (uint8_t)v[2];
		itf->in_address = (uint8_t)v[3];
		itf->out_address = (uint8_t)v[4];
		itf->in_size = (uint16_t)v[5];
		itf->report_len = (uint16_t)v[6];
	}
	return w->interfaces ? GK_OK : GK_ERR_VALUE;
}

static void stop(struct gk_worker *w)
{
	for (size_t i = 0; i < ROLES && w->serving; i++)
		if (has_role(w, roles[i]->role))
			roles[i]->stop(w);
	for (unsigned i = 0; i < w->interfaces; i++)
		if (w->interface[i].role || !w->serving)
			libusb_release_interface(w->dev, w->interface[i].number);
}

int main(int argc, char **argv)
{
	static struct gk_worker w = { .status = GK_WORKER_DONE };
	unsigned uid;

	if (argc < 2 || number(argv[1], 65534, &uid) < 0 || uid == 0 ||
	    read_interfaces(&w, argc - 2, argv + 2) < 0)
		return GK_WORKER_USAGE;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ||
	    gk_sandbox_enter(GK_WORKER_SOCK_FD, uid) < 0)
		return GK_WORKER_JAIL;
	/* The change of uid has cleared it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return GK_WORKER_JAIL;

	if (usb_open(&w) < 0)
		return GK_WORKER_DEVICE;
	gk_worker_look(&w);
	while (!w.done)
		turn(&w);
	stop(&w);
	return (int)w.status;
}
