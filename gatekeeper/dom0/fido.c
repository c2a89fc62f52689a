/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "dom0/clock.h"
#include "dom0/daemon.h"
#include "dom0/fido.h"
#include "dom0/log.h"
#include "dom0/paths.h"
#include "dom0/root.h"
#include "dom0/uhid.h"

enum {
	/* Packets taken of a client before others get their turn. */
	BATCH = 32,
	BACKLOG = 8,
	/* Until a packet that did not fit into the link is tried again. */
	LINK_AGAIN_MS = 5,
	MODPROBE_MS = 5000,
};

static void pump(struct gk_fido_key *k);

static int dir_path(char path[GK_PATH_MAX])
{
	return gk_run_path(path, "fido");
}

/* head: before its name, "" or ".". */
static int socket_address(const struct gk_fido_key *k, const char *head,
			  struct sockaddr_un *a)
{
	char dir[GK_PATH_MAX];
	int n;

	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (dir_path(dir))
		return GK_ERR_LIMIT;
	n = snprintf(a->sun_path, sizeof(a->sun_path), "%.60s/%s%s", dir, head, k->port);
	return n < 0 || strlen(dir) > 60 || (size_t)n >= sizeof(a->sun_path) ?
	       GK_ERR_LIMIT : 0;
}

/* --- clients --- */

static void close_client(struct gk_fido_client *c)
{
	struct gk_fido_key *k = c->key;

	if (c->fd < 0)
		return;
	gk_loop_del(k->d->loop, c->fd);
	close(c->fd);
	c->fd = -1;
	c->waits = 0;
	gk_ctaphid_detach(&k->mux, (unsigned)(c - k->client), gk_now_ms());
}

/* Best effort: nobody is waited for, and who does not read is closed when the
 * socket and the mux's queue are full. */
static void to_client(struct gk_fido_client *c)
{
	struct gk_fido_key *k = c->key;
	unsigned no = (unsigned)(c - k->client);

	while (c->fd >= 0 &&
	       (c->waits || gk_ctaphid_to_client(&k->mux, no, c->packet))) {
		ssize_t n = send(c->fd, c->packet, sizeof(c->packet),
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		c->waits = n < 0 && (errno == EAGAIN || errno == EINTR);
		if (c->waits)
			break;
		if (n != (ssize_t)sizeof(c->packet))
			close_client(c);
	}
	if (c->fd >= 0 && gk_ctaphid_overrun(&k->mux, no)) {
		gk_log(LOG_NOTICE, "a program that uses the FIDO key on port %s does "
		       "not read: closed", k->port);
		close_client(c);
	}
	if (c->fd < 0 || c->waits == c->told)
		return;
	c->told = c->waits;
	gk_loop_events(k->d->loop, c->fd, EPOLLIN | (c->waits ? EPOLLOUT : 0u));
}

static void detach_uhid(struct gk_fido_key *k)
{
	gk_ctaphid_detach(&k->mux, GK_FIDO_UHID, gk_now_ms());
	gk_uhid_drop(&k->uhid_queue);
	k->uhid_due = 0;
}

static void to_uhid(struct gk_fido_key *k)
{
	uint8_t packet[GK_CTAPHID_PACKET];

	if (k->uhid_fd < 0)
		return;
	while (k->uhid_queue.count < GK_UHID_QUEUE &&
	       gk_ctaphid_to_client(&k->mux, GK_FIDO_UHID, packet))
		if (!gk_uhid_put(&k->uhid_queue, packet))
			break;
	k->uhid_due = gk_uhid_input(k->uhid_fd, &k->uhid_queue, gk_now_ms());
	if (!gk_ctaphid_overrun(&k->mux, GK_FIDO_UHID))
		return;
	/* Whoever it is for: all that have it open begin anew. */
	gk_log(LOG_NOTICE, "the FIDO key on port %s says more than its HID device can "
	       "pass on", k->port);
	detach_uhid(k);
	gk_ctaphid_attach(&k->mux, GK_FIDO_UHID, GK_FIDO_UHID_CHANNELS);
}

static void to_clients(struct gk_fido_key *k)
{
	for (int i = 0; i < GK_FIDO_CONNECTIONS; i++)
		to_client(&k->client[i]);
	to_uhid(k);
}

static void to_key(struct gk_fido_key *k)
{
	struct gk_frame f = {
		.type = GK_LINK_FIDO, .device = k->device,
		.generation = k->generation,
	};

	while (k->waits || gk_ctaphid_to_device(&k->mux, gk_now_ms(), k->packet)) {
		memcpy(f.u.fido.packet, k->packet, sizeof(k->packet));
		k->waits = gk_link_send(k->d, &f) == GK_ERR_LIMIT;
		if (k->waits)
			return;
	}
}

static void on_timer(void *ctx)
{
	struct gk_fido_key *k = ctx;

	gk_ctaphid_tick(&k->mux, gk_now_ms());
	pump(k);
}

static void pump(struct gk_fido_key *k)
{
	uint64_t now = gk_now_ms(), due;

	/* What goes one way may make room, or an answer, for the other. */
	for (int i = 0; i < 2; i++) {
		to_clients(k);
		to_key(k);
	}
	to_clients(k);
	due = gk_ctaphid_due(&k->mux);
	if (k->waits)
		due = now + LINK_AGAIN_MS;
	if (k->uhid_due && (!due || k->uhid_due < due))
		due = k->uhid_due;
	if (due)
		gk_timer_set(k->d->loop, &k->timer, due > now ? due - now : 1,
			     on_timer, k);
	else
		gk_timer_clear(k->d->loop, &k->timer);
}

static void on_client(void *ctx, uint32_t events)
{
	struct gk_fido_client *c = ctx;
	struct gk_fido_key *k = c->key;

	for (int i = 0; i < BATCH && events & ~(uint32_t)EPOLLOUT && c->fd >= 0; i++) {
		/* One byte more shows a packet that is too long. */
		uint8_t packet[GK_CTAPHID_PACKET + 1];
		ssize_t n = recv(c->fd, packet, sizeof(packet), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n != GK_CTAPHID_PACKET) {
			close_client(c);
			break;
		}
		gk_ctaphid_from_client(&k->mux, (unsigned)(c - k->client), packet,
				       gk_now_ms());
		/* Its answers do not add up while it goes on. */
		to_client(c);
	}
	pump(k);
}

static void on_listen(void *ctx, uint32_t events)
{
	struct gk_fido_key *k = ctx;
	struct gk_fido_client *c = NULL;
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int fd;

	(void)events;
	fd = accept4(k->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	for (int i = 0; i < GK_FIDO_CONNECTIONS && !c; i++)
		if (k->client[i].fd < 0)
			c = &k->client[i];
	if (!c || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ||
	    peer.uid != geteuid() ||
	    gk_loop_add(k->d->loop, fd, EPOLLIN, on_client, c)) {
		close(fd);
		return;
	}
	c->fd = fd;
	c->waits = 0;
	c->told = 0;
	gk_ctaphid_attach(&k->mux, (unsigned)(c - k->client), GK_FIDO_CHANNELS);
}

/* --- the HID device --- */

static void close_uhid(struct gk_fido_key *k)
{
	if (k->uhid_fd < 0)
		return;
	gk_loop_del(k->d->loop, k->uhid_fd);
	close(k->uhid_fd);
	k->uhid_fd = -1;
	k->uhid_open = 0;
	detach_uhid(k);
}

/* The kernel keeps 31 events for us (drivers/hid/uhid.c), and what does not fit is
 * lost: packets, which the mux notices, but OPEN and CLOSE, too. */
static void uhid_opened(struct gk_fido_key *k)
{
	if (k->uhid_open)
		detach_uhid(k);
	gk_ctaphid_attach(&k->mux, GK_FIDO_UHID, GK_FIDO_UHID_CHANNELS);
	k->uhid_open = 1;
}

/* How many events there were. */
static int read_uhid(struct gk_fido_key *k)
{
	uint8_t packet[GK_CTAPHID_PACKET];
	int n;

	for (n = 0; n < BATCH && k->uhid_fd >= 0; n++) {
		enum gk_uhid_event ev = gk_uhid_read(k->uhid_fd, packet);

		if (ev == GK_UHID_NOTHING)
			break;
		switch (ev) {
		case GK_UHID_OPENED:
			uhid_opened(k);
			break;
		case GK_UHID_CLOSED:
			detach_uhid(k);
			k->uhid_open = 0;
			break;
		case GK_UHID_PACKET:
			if (!k->uhid_open)
				uhid_opened(k);
			gk_ctaphid_from_client(&k->mux, GK_FIDO_UHID, packet,
					       gk_now_ms());
			to_clients(k);
			break;
		case GK_UHID_BROKEN:
			gk_log(LOG_WARNING, "the HID device of the FIDO key on port "
			       "%s broke", k->port);
			close_uhid(k);
			break;
		case GK_UHID_NOTHING:
		case GK_UHID_OTHER:
			break;
		}
	}
	return n;
}

static void on_uhid(void *ctx, uint32_t events)
{
	(void)events;
	read_uhid(ctx);
	pump(ctx);
}

/* Before anything else that may take its time: nobody waits with what they write. */
static void read_uhids(struct gk_daemon *d)
{
	for (int i = 0; i < GK_LINK_DEVICES; i++)
		if (d->fido.key[i].device && d->fido.key[i].uhid_fd >= 0 &&
		    read_uhid(&d->fido.key[i]) > 0)
			pump(&d->fido.key[i]);
}

void gk_fido_uhid(struct gk_daemon *d, int slot, int fd)
{
	struct gk_fido_key *k = &d->fido.key[slot];

	if (gk_uhid_create(fd, k->port) < 0 ||
	    gk_loop_add(d->loop, fd, EPOLLIN, on_uhid, k)) {
		gk_log(LOG_WARNING, "no HID device for the FIDO key on port %s: %s",
		       k->port, strerror(errno));
		close(fd);
		return;
	}
	k->uhid_fd = fd;
	gk_log(LOG_INFO, "HID device for the FIDO key on port %s made", k->port);
}

static int wants_uhid(const struct gk_daemon *d)
{
	return d->opt.uhid == GK_UHID_ALWAYS ||
	       (d->opt.uhid == GK_UHID_AFTER_BOOT && !d->in_initrd);
}

static void make_uhids(struct gk_daemon *d)
{
	for (int i = 0; i < GK_LINK_DEVICES; i++) {
		const struct gk_fido_key *k = &d->fido.key[i];
		int fd;

		if (!k->device || k->uhid_fd >= 0)
			continue;
		fd = gk_uhid_open();
		if (fd < 0) {
			gk_log(LOG_WARNING, "/dev/uhid: %s: programs do not see FIDO "
			       "keys as HID devices", strerror(errno));
			d->fido.uhid = GK_FIDO_UHID_ABSENT;
			return;
		}
		gk_fido_uhid(d, i, fd);
	}
}

static void want_uhids(struct gk_daemon *d);

static void modprobe_done(void *ctx, const struct gk_child_end *end)
{
	struct gk_daemon *d = ctx;

	if (end->status != 0)
		gk_log(LOG_INFO, "modprobe uhid: %.200s", end->out);
	/* It may be there all the same; the initramfs may have been without it. */
	d->fido.uhid = d->fido.uhid_again ? GK_FIDO_UHID_UNTRIED : GK_FIDO_UHID_THERE;
	d->fido.uhid_again = 0;
	gk_root_follow();
	want_uhids(d);
}

static int any_key(const struct gk_daemon *d)
{
	for (int i = 0; i < GK_LINK_DEVICES; i++)
		if (d->fido.key[i].device)
			return 1;
	return 0;
}

/* Opening /dev/uhid would load the module, and be waited for. */
static void want_uhids(struct gk_daemon *d)
{
	static const char *const argv[] = { "modprobe", "-q", "uhid", NULL };
	const struct gk_child_spec spec = {
		.name = "modprobe uhid", .path = "modprobe", .argv = argv,
		.pass_fd = -1, .deadline_ms = MODPROBE_MS, .done = modprobe_done,
		.ctx = d,
	};

	if (!wants_uhid(d) || !any_key(d))
		return;
	switch (d->fido.uhid) {
	case GK_FIDO_UHID_UNTRIED:
		/* No process now: with the next key, then. */
		if (gk_child_start(d->loop, &spec, NULL) == 0)
			d->fido.uhid = GK_FIDO_UHID_LOADING;
		break;
	case GK_FIDO_UHID_THERE:
		make_uhids(d);
		break;
	case GK_FIDO_UHID_LOADING:
	case GK_FIDO_UHID_ABSENT:
		break;
	}
}

void gk_fido_switched_root(struct gk_daemon *d)
{
	if (d->fido.uhid == GK_FIDO_UHID_ABSENT)
		d->fido.uhid = GK_FIDO_UHID_UNTRIED;
	d->fido.uhid_again = d->fido.uhid == GK_FIDO_UHID_LOADING;
	want_uhids(d);
}

/* --- keys --- */

static int listen_at(const struct sockaddr_un *a)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t before;
	int bad;

	if (fd < 0)
		return -1;
	unlink(a->sun_path);
	before = umask(0177);
	bad = bind(fd, (const struct sockaddr *)a, sizeof(*a)) < 0;
	umask(before);
	if (!bad && listen(fd, BACKLOG) == 0)
		return fd;
	close(fd);
	return -1;
}

static int open_socket(struct gk_fido_key *k)
{
	struct sockaddr_un a, shown;
	char dir[GK_PATH_MAX];

	/* /run may have moved to the real root this very moment. */
	gk_root_follow();
	if (dir_path(dir) || (mkdir(dir, 0700) < 0 && errno != EEXIST) ||
	    socket_address(k, ".", &a) || socket_address(k, "", &shown))
		return GK_ERR_SYSTEM;
	k->listen_fd = listen_at(&a);
	if (k->listen_fd < 0)
		return GK_ERR_SYSTEM;
	/* By its name it is seen when it can be connected to. An old one of that
	 * name is nobody's: none of our keys has it. */
	if (gk_loop_add(k->d->loop, k->listen_fd, EPOLLIN, on_listen, k) == 0) {
		if (rename(a.sun_path, shown.sun_path) == 0)
			return 0;
		gk_loop_del(k->d->loop, k->listen_fd);
	}
	close(k->listen_fd);
	k->listen_fd = -1;
	unlink(a.sun_path);
	return GK_ERR_SYSTEM;
}

static void close_key(struct gk_fido_key *k)
{
	struct sockaddr_un a;

	if (!k->device)
		return;
	for (int i = 0; i < GK_FIDO_CONNECTIONS; i++)
		close_client(&k->client[i]);
	close_uhid(k);
	if (k->listen_fd >= 0) {
		gk_root_follow();
		gk_loop_del(k->d->loop, k->listen_fd);
		close(k->listen_fd);
		if (socket_address(k, "", &a) == 0)
			unlink(a.sun_path);
	}
	gk_timer_clear(k->d->loop, &k->timer);
	k->device = 0;
}

/* A connector has a port of the same number in two buses, and a gate may tell
 * anything: one name, one key. */
static int is_named(const struct gk_daemon *d, const char *port)
{
	for (int i = 0; i < GK_LINK_DEVICES; i++)
		if (d->fido.key[i].device && !strcmp(d->fido.key[i].port, port))
			return 1;
	return 0;
}

static void open_key(struct gk_daemon *d, int slot)
{
	const struct gk_session_device *s = &d->session.dev[slot];
	struct gk_fido_key *k = &d->fido.key[slot];
	char port[GK_PORT_TEXT];

	gk_devices_port(d, &s->info, port);
	if (is_named(d, port)) {
		if (!k->left_out)
			gk_log(LOG_WARNING, "a second FIDO key on port %s: left out "
			       "while the first is there", port);
		k->left_out = 1;
		return;
	}
	*k = (struct gk_fido_key){
		.d = d, .device = s->id, .generation = s->generation,
		.listen_fd = -1, .uhid_fd = -1,
	};
	memcpy(k->port, port, sizeof(port));
	gk_ctaphid_init(&k->mux);
	for (int i = 0; i < GK_FIDO_CONNECTIONS; i++)
		k->client[i] = (struct gk_fido_client){ .key = k, .fd = -1 };
	if (open_socket(k) < 0)
		gk_log(LOG_ERR, "no socket for the FIDO key on port %s: %s", port,
		       strerror(errno));
	want_uhids(d);
}

/* This slot's key goes; who waits for its name gets it. */
static void end_key(struct gk_daemon *d, int slot)
{
	d->fido.key[slot].left_out = 0;
	close_key(&d->fido.key[slot]);
	for (int i = 0; i < GK_LINK_DEVICES; i++)
		if (d->fido.key[i].left_out)
			open_key(d, i);
}

void gk_fido_start(struct gk_daemon *d)
{
	char dir[GK_PATH_MAX], path[GK_PATH_MAX + 256];
	struct dirent *e;
	DIR *open_dir;

	(void)d;
	if (dir_path(dir) || (mkdir(dir, 0700) < 0 && errno != EEXIST)) {
		gk_log(LOG_ERR, "cannot make %s/fido: %s", gk_run_dir,
		       strerror(errno));
		return;
	}
	open_dir = opendir(dir);
	while (open_dir && (e = readdir(open_dir))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		unlink(path);
	}
	if (open_dir)
		closedir(open_dir);
}

void gk_fido_device(struct gk_daemon *d, int slot)
{
	const struct gk_link_device *i = &d->session.dev[slot].info;

	end_key(d, slot);
	if ((i->verdict == GK_VERDICT_ADMITTED || i->verdict == GK_VERDICT_PARTLY) &&
	    i->granted & GK_ROLE_FIDO)
		open_key(d, slot);
}

void gk_fido_gone(struct gk_daemon *d, int slot)
{
	end_key(d, slot);
}

void gk_fido_reset(struct gk_daemon *d)
{
	for (int i = 0; i < GK_LINK_DEVICES; i++) {
		d->fido.key[i].left_out = 0;
		close_key(&d->fido.key[i]);
	}
}

void gk_fido_packet(struct gk_daemon *d, int slot,
		    const uint8_t packet[GK_CTAPHID_PACKET])
{
	struct gk_fido_key *k = &d->fido.key[slot];

	/* Not one that was closed or left out. */
	if (!k->device)
		return;
	read_uhids(d);
	if (gk_ctaphid_from_device(&k->mux, packet, gk_now_ms()) < 0) {
		gk_screen_say(&d->screen, LOG_WARNING, "FIDO key on port %s says too "
			      "much that nobody asked for: plug it in again", k->port);
		end_key(d, slot);
		return;
	}
	pump(k);
}

int gk_fido_clients(const struct gk_daemon *d, int slot)
{
	const struct gk_fido_key *k = &d->fido.key[slot];
	int n = k->uhid_open;

	if (!k->device)
		return -1;
	for (int i = 0; i < GK_FIDO_CONNECTIONS; i++)
		n += k->client[i].fd >= 0;
	return n;
}
