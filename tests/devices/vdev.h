/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The library's own view of a virtual device; device files use device.h. */
#ifndef GK_DEVICES_VDEV_H
#define GK_DEVICES_VDEV_H

#include <stdio.h>
#include <usbredirparser.h>

#include "loop.h"

#define GK_ENDPOINTS	32	/* 16 OUT, 16 IN, as usbredir numbers them */
#define GK_INTERFACES	32	/* usbredir's cap */
#define GK_DESCS_MAX	64
#define GK_TRANSFERS	64	/* waiting for an answer at one time */
#define GK_CLIENTS	8

struct gk_packet {
	struct gk_packet *next;
	size_t len;
	unsigned int gap_us;
	uint32_t token;
	uint8_t data[];
};

struct gk_endpoint {
	struct gk_vdev *dev;
	uint8_t address;
	uint8_t type;		/* bmAttributes & 3, usb_redir_type_invalid: none */
	uint8_t interval;
	uint8_t interface;
	uint16_t max_packet;
	bool receiving;		/* interrupt IN: the host polls */
	bool halted;
	struct gk_packet *head;
	struct gk_packet **tail;
	size_t queued;
	uint64_t last_ns;	/* when the last packet was due */
	uint64_t make_up_ns;	/* how late it may be without a loss of rate */
	struct gk_timer pace;
	uint32_t unflushed_token; /* written by the parser, not yet taken */
};

/* A request of the host that has not been answered yet. */
struct gk_transfer {
	struct gk_vdev *dev;
	bool used;
	uint64_t seq;		/* order of arrival */
	uint64_t id;		/* usbredir's */
	int type;		/* usb_redir_*: which header */
	union {
		struct usb_redir_control_packet_header control;
		struct usb_redir_bulk_packet_header bulk;
		struct usb_redir_interrupt_packet_header interrupt;
		struct usb_redir_configuration_status_header configuration;
		struct usb_redir_alt_setting_status_header alt;
	} u;
	uint8_t status;
	uint8_t *data;
	size_t len;
	struct gk_timer timer;
};

struct gk_client {
	struct gk_vdev *dev;
	bool used;
	struct gk_source source;
	int out_fd;
	bool is_stdio;
	char buf[16384];
	size_t len;
	bool eof;
	enum {
		GK_CLIENT_IDLE, GK_CLIENT_TOKEN, GK_CLIENT_POLL,
		GK_CLIENT_STORM,
	} waits;
	unsigned int storm_left;	/* times to pull or push the plug */
	unsigned int storm_us[2];	/* in, out */
	uint32_t token;
	struct gk_timer timer;
};

/* What every control request gets, whatever the kind says; set by scripts. */
struct gk_override {
	enum gk_verdict verdict;	/* GK_DEFAULT: leave it to the kind */
	unsigned int delay_ms;
};

#define GK_KIND_OPTIONS	32

struct gk_options {
	/* those of the kind, as they were given */
	struct { const char *name, *value; } kind[GK_KIND_OPTIONS];
	size_t n_kind;
	int vid, pid;			/* -1: the kind's */
	const char *serial;
	const char *port_note;
	const char *listen_path;
	const char *connect_path;
	const char *control_path;
	const char *stamps_path;
	int speed;			/* -1: the kind's */
	unsigned int max_seconds;
	unsigned int stall_seconds;	/* a script waits so long for progress */
	bool start_unplugged;
	bool verbose;
};

struct gk_vdev {
	struct gk_kind *kind;
	void *state;
	const struct gk_options *opt;
	struct gk_loop loop;
	struct gk_stats stats;
	enum gk_speed speed;

	struct gk_desc descs[GK_DESCS_MAX];	/* data is malloced */
	size_t n_descs;
	char serial[64];

	uint8_t configuration;
	uint8_t alt[GK_INTERFACES];
	bool remote_wakeup;
	struct gk_endpoint ep[GK_ENDPOINTS];
	struct gk_transfer transfers[GK_TRANSFERS];
	uint64_t transfer_seq;
	uint32_t last_token;
	uint64_t last_sent_ns;
	FILE *stamps;		/* NULL: not asked for */
	struct gk_override override;

	bool want_plugged;	/* by script */
	bool connected;		/* device_connect has been sent */
	struct usbredirparser *parser;
	bool hello;
	bool parsing;		/* inside usbredirparser_do_read() */
	bool closing;
	struct gk_source listener;
	struct gk_source peer;
	struct gk_timer connect_timer;
	bool said_ready;

	struct gk_source control_listener;
	struct gk_client clients[GK_CLIENTS];
};

/* desc.c: descriptors, and the standard requests (USB 2.0 9.4) */
int gk_desc_init(struct gk_vdev *dev);
void gk_desc_done(struct gk_vdev *dev);
/* Fills dev->ep[] for the configuration and alternate settings now chosen. */
void gk_desc_endpoints(struct gk_vdev *dev);
void gk_desc_interfaces(struct gk_vdev *dev,
			struct usb_redir_interface_info_header *info);
void gk_standard_request(struct gk_vdev *dev, const struct gk_setup *setup,
			 struct gk_answer *answer);
void gk_set_configuration(struct gk_vdev *dev, uint8_t value,
			  struct gk_answer *answer);
void gk_set_alt(struct gk_vdev *dev, uint8_t interface, uint8_t alt,
		struct gk_answer *answer);

static inline unsigned int gk_ep_index(uint8_t address)
{
	return ((address & 0x80u) >> 3) | (address & 0x0fu);
}

/* redir.c */
int gk_redir_init(struct gk_vdev *dev);
void gk_redir_done(struct gk_vdev *dev);
/* Tells the peer of the endpoints and interfaces there are now. */
void gk_redir_announce(struct gk_vdev *dev);
void gk_redir_pump(struct gk_endpoint *ep);

/* script.c */
int gk_script_init(struct gk_vdev *dev);
void gk_script_done(struct gk_vdev *dev);
/* The packet with this token was taken (error NULL) or will never be. */
void gk_script_token(struct gk_vdev *dev, uint32_t token, const char *error);
void gk_script_polled(struct gk_vdev *dev);

/* sock.c: UNIX sockets */
/* Listens at path; a socket that nobody serves any more is replaced. */
int gk_sock_listen(const char *path, int type);
/* SOCK_STREAM */
int gk_sock_connect(const char *path);

#endif
