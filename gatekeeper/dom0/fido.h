/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Security keys for dom0's programs: of each admitted one a socket, for root
 * alone, /run/gatekeeper/fido/PORT (SOCK_SEQPACKET; a packet is one CTAPHID
 * packet of 64 bytes, anything else closes the connection), and if wanted a HID
 * device (uhid.h). A connection is a client of core/ctaphid.h, the HID device
 * with all who have it open is one, too.
 */
#ifndef GK_DOM0_FIDO_H
#define GK_DOM0_FIDO_H

#include <stdint.h>

#include "core/ctaphid.h"
#include "core/link.h"
#include "core/policy.h"
#include "dom0/loop.h"
#include "dom0/uhid.h"

enum {
	GK_FIDO_CONNECTIONS = 4,	/* of a key */
	GK_FIDO_UHID = GK_FIDO_CONNECTIONS,	/* its number as a client */
	/* Channels. A program has one, and one more while it begins anew. */
	GK_FIDO_CHANNELS = 2,
	GK_FIDO_UHID_CHANNELS = 8,
};

struct gk_daemon;
struct gk_fido_key;

struct gk_fido_client {
	struct gk_fido_key *key;
	int fd;			/* -1: free */
	int waits;		/* packet did not fit into its socket */
	int told;		/* as the loop knows it */
	uint8_t packet[GK_CTAPHID_PACKET];
};

/* Of the device in the session's slot of the same number. */
struct gk_fido_key {
	struct gk_daemon *d;
	uint32_t device, generation;	/* 0: none, and only left_out is valid */
	int left_out;			/* it waits for its name to be free */
	char port[GK_PORT_TEXT];
	int listen_fd;		/* -1: none */
	struct gk_fido_client client[GK_FIDO_CONNECTIONS];
	int uhid_fd;		/* -1: none */
	int uhid_open;		/* somebody has it open */
	uint64_t uhid_due;	/* when uhid_queue may go on, 0: nothing waits */
	struct gk_uhid_queue uhid_queue;
	struct gk_ctaphid mux;
	int waits;		/* packet did not fit into the link */
	uint8_t packet[GK_CTAPHID_PACKET];
	struct gk_timer timer;
};

/* Of /dev/uhid. */
enum gk_fido_uhid {
	GK_FIDO_UHID_UNTRIED,
	GK_FIDO_UHID_LOADING,	/* modprobe runs */
	GK_FIDO_UHID_THERE,
	GK_FIDO_UHID_ABSENT,
};

struct gk_fido {
	struct gk_fido_key key[GK_LINK_DEVICES];
	enum gk_fido_uhid uhid;
	int uhid_again;		/* modprobe began in the initramfs, and it is over */
};

/* gk_fido_start: makes the directory; what a gatekeeperd before us left there
 * goes away. */
void gk_fido_start(struct gk_daemon *d);

/* gk_fido_device: DEVICE was told in this slot; gk_fido_gone: GONE was. */
void gk_fido_device(struct gk_daemon *d, int slot);
void gk_fido_gone(struct gk_daemon *d, int slot);
/* gk_fido_reset: the link is closed, or nothing comes over it any more. */
void gk_fido_reset(struct gk_daemon *d);

/* gk_fido_packet: of the device in this slot. */
void gk_fido_packet(struct gk_daemon *d, int slot,
		    const uint8_t packet[GK_CTAPHID_PACKET]);

/* gk_fido_switched_root: the real root is there. */
void gk_fido_switched_root(struct gk_daemon *d);

/* gk_fido_clients: who uses the key in this slot, the HID device counted once;
 * -1: there is no key. */
int gk_fido_clients(const struct gk_daemon *d, int slot);

/* gk_fido_uhid: the key in this slot as a HID device on this fd of /dev/uhid,
 * which is closed if that fails. */
void gk_fido_uhid(struct gk_daemon *d, int slot, int fd);

#endif
