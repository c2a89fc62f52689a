/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The link: messages between the gate domain and dom0, gatekeeper-link(7).
 *
 * A frame is a 12-byte header and a payload whose length is fixed by its type
 * (one table, in link.c, used by both ends, the tests and the fuzzers). Little-
 * endian throughout. The same frames travel over vchan (a byte stream), over
 * the SOCK_SEQPACKET pair between supervisor and worker (device and generation
 * are 0 there: a worker has no say in who it is), and over the pair between
 * dom0's link reader and gatekeeperd (one frame a packet).
 *
 *   offset 0  u8  version (GK_LINK_VERSION)
 *          1  u8  type
 *          2  u16 payload length, must be the type's
 *          4  u32 device id: 1.. for devices, 0 for the link itself
 *          8  u32 generation: counts up each time anything appears at a port
 */
#ifndef GK_LINK_H
#define GK_LINK_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

enum {
	GK_LINK_VERSION = 1,
	GK_LINK_HEADER = 12,		/* bytes */
	GK_LINK_PAYLOAD_MAX = 128,	/* bytes */
	GK_LINK_FRAME_MAX = GK_LINK_HEADER + GK_LINK_PAYLOAD_MAX,
	GK_LINK_DEVICES = 16,		/* devices known at one time */
	GK_LINK_NONCE = 16,		/* bytes */
	GK_LINK_TEXT = 120,		/* bytes of a LOG text, not terminated */
	GK_PORT_DEPTH = 7,		/* USB 2.0 4.1.1: root + 5 hubs + device */
	GK_SHA256 = 32,
	GK_SHOWN_INTERFACES = 8,	/* interfaces told in DEVICE */
	GK_LINK_BUILTIN = 0x8000,	/* bit of gk_link_device.rule */
	GK_LINK_REPORT = 64,		/* bytes of a FIDO report */
	GK_LINK_MANIFEST_PART = 128,	/* bytes */
};

enum gk_link_type {
	GK_LINK_HELLO = 1,	/* both ways; opens (or re-opens) a session */
	GK_LINK_DEVICE = 2,	/* gate: something is at a port, and the verdict */
	GK_LINK_GONE = 3,	/* gate: it is not there any more */
	GK_LINK_KEY = 4,	/* gate: a key of an admitted keyboard */
	GK_LINK_LED = 5,	/* dom0: lock lights for one keyboard */
	GK_LINK_QUIESCE = 6,	/* dom0: let go of everything */
	GK_LINK_QUIESCED = 7,	/* gate: done, or as far as it went */
	GK_LINK_PING = 8,	/* both ways */
	GK_LINK_LOG = 9,	/* gate: one line for the journal */
	/* Inside the gate only. */
	GK_LINK_FOUND = 10,	/* worker: what an interface can be */
	GK_LINK_GRANT = 11,	/* supervisor: what it may be */
	/* On the link again. */
	GK_LINK_FIDO = 12,	/* both ways: one CTAPHID packet */
	GK_LINK_MANIFEST = 13,	/* dom0: a part of the manifest, for a USB domain;
				 * a gate ignores it */
};

/* Who sent a frame; some types go one way only. */
enum gk_link_side {
	GK_SIDE_GATE = 0,
	GK_SIDE_DOM0 = 1,
	/* gate's worker -> supervisor: FOUND, KEY, FIDO, LOG, PING */
	GK_SIDE_WORKER = 2,
	/* supervisor -> worker: GRANT, LED, FIDO, QUIESCE, PING */
	GK_SIDE_SUPERVISOR = 3,
};

/* What an admitted interface may be: bits, for asked and granted. */
enum gk_role {
	GK_ROLE_KEYBOARD = 1 << 0,
	GK_ROLE_FIDO = 1 << 1,
	GK_ROLE_SMARTCARD = 1 << 2,
	GK_ROLE_POINTER = 1 << 3,
	GK_ROLE_ALL = 0x0f,
};

enum gk_verdict {
	GK_VERDICT_REFUSED = 0,
	GK_VERDICT_ADMITTED = 1,	/* every interface has a role */
	GK_VERDICT_PARTLY = 2,		/* some interfaces do */
	GK_VERDICT_HUB = 3,		/* a hub: powered, has no role */
};

/*
 * HELLO. dom0 speaks first with a fresh nonce; the gate answers with the same
 * nonce, then tells of every device anew. Whatever came before the answer
 * belongs to an older session and is dropped by dom0.
 */
struct gk_link_hello {
	uint16_t version_min;
	uint16_t version_max;
	uint8_t nonce[GK_LINK_NONCE];
	uint32_t uptime_ms;	/* sender's clock since its boot, for the log */
};

struct gk_port_path {
	uint8_t controller;	/* guest PCI devfn; dom0 knows its BDF by it */
	uint8_t root;		/* 0: its first root hub (USB 2), 1: second (USB 3) */
	uint8_t depth;		/* 1..GK_PORT_DEPTH ports used below */
	uint8_t port[GK_PORT_DEPTH];	/* 1.. each, the rest 0 */
};

struct gk_link_interface {
	uint8_t number;		/* bInterfaceNumber */
	uint8_t base_class, sub_class, protocol;
	uint8_t role;		/* one enum gk_role bit of granted; 0: refused */
};

struct gk_link_device {
	struct gk_port_path path;
	uint16_t vid, pid;	/* idVendor, idProduct */
	uint8_t asked;		/* enum gk_role bits it could have */
	uint8_t granted;	/* subset of asked */
	uint8_t verdict;	/* enum gk_verdict */
	uint8_t device_class;	/* bDeviceClass */
	uint8_t interfaces;	/* how many, at most 32 */
	struct gk_link_interface shown[GK_SHOWN_INTERFACES];	/* the first; rest 0 */
	uint16_t reason;	/* enum gk_reason of policy.h */
	uint16_t offset;	/* where in the descriptors, for a parse error */
	uint16_t rule;		/* line of the rule that decided, 0: none did; with
				 * GK_LINK_BUILTIN a line of the built-in rules */
	uint8_t sha256[GK_SHA256];	/* of the raw descriptors */
};

struct gk_link_gone {
	uint16_t reason;	/* enum gk_reason: unplugged, worker died ... */
};

struct gk_link_key {
	uint16_t code;		/* Linux KEY_*, 1..255 */
	uint8_t value;		/* 0 up, 1 down; no autorepeat */
};

struct gk_link_led {
	uint8_t leds;		/* bit 0 Num, 1 Caps, 2 Scroll (HID 1.11 B.1) */
};

struct gk_link_quiesce {
	uint32_t deadline_ms;	/* how long the gate may take, 1..60000 */
};

struct gk_link_quiesced {
	uint8_t complete;	/* 1: every host driver is unbound */
	uint8_t controllers;	/* how many controllers the gate has */
	uint8_t devices;	/* how many devices had been admitted */
};

struct gk_link_ping {
	uint8_t reply;		/* 0 question, 1 answer */
	uint64_t token;		/* comes back in the answer */
};

struct gk_link_log {
	uint8_t level;		/* syslog severity 3..7 */
	uint8_t len;		/* bytes of text used, 1..GK_LINK_TEXT */
	char text[GK_LINK_TEXT];	/* 0x20..0x7e, the rest 0 */
};

/* Of an interface of the worker's own device: what its descriptors say. */
struct gk_link_found {
	uint8_t interface;	/* bInterfaceNumber */
	uint8_t roles;		/* enum gk_role bits it can have, 0: none */
	uint16_t reason;	/* 0, or GK_REASON_HID with roles 0 */
	uint16_t offset;	/* in the report descriptor, for GK_REASON_HID */
};

struct gk_link_grant {
	uint8_t interface;	/* bInterfaceNumber */
	uint8_t role;		/* one enum gk_role bit */
};

/* To or from an admitted security key: a report without its number, CTAP 2.1
 * 11.2.4; what it says is for core/ctaphid.h. */
struct gk_link_fido {
	uint8_t packet[GK_LINK_REPORT];
};

/* A part of the manifest; what it says is for core/manifest.h. */
struct gk_link_manifest {
	uint8_t part[GK_LINK_MANIFEST_PART];
};

struct gk_frame {
	uint8_t type;		/* enum gk_link_type */
	uint32_t device;
	uint32_t generation;
	union {
		struct gk_link_hello hello;
		struct gk_link_device dev;
		struct gk_link_gone gone;
		struct gk_link_key key;
		struct gk_link_led led;
		struct gk_link_quiesce quiesce;
		struct gk_link_quiesced quiesced;
		struct gk_link_ping ping;
		struct gk_link_log log;
		struct gk_link_found found;
		struct gk_link_grant grant;
		struct gk_link_fido fido;
		struct gk_link_manifest manifest;
	} u;
};

/* gk_link_payload_len: the payload bytes of a type, or GK_ERR_TYPE. */
int gk_link_payload_len(uint8_t type) GK_MUST_CHECK;

/*
 * gk_link_peek: from the first GK_LINK_HEADER bytes of a stream, how long the
 * whole frame is (header + payload, <= GK_LINK_FRAME_MAX), or GK_ERR_SHORT
 * (len < GK_LINK_HEADER), _VERSION, _TYPE, _LENGTH. Any error: close the link.
 */
int gk_link_peek(const void *buf, size_t len) GK_MUST_CHECK;

/*
 * gk_link_decode: exactly one frame, from buf[0..len). Checks everything that
 * can be checked without knowing the session: version, type, length, that
 * `from` may send it, every field's range, reserved bytes zero, device id 0 or
 * not as the type wants it (from a worker or supervisor: always 0). *out is
 * written only on GK_OK.
 * buf must be a private copy, never shared memory.
 */
int gk_link_decode(const void *buf, size_t len, enum gk_link_side from,
		   struct gk_frame *out) GK_MUST_CHECK;

/*
 * gk_link_encode: the frame into buf (cap >= GK_LINK_FRAME_MAX is always
 * enough); returns its length, or an error where decode would give one: what
 * we could not accept we do not send.
 */
int gk_link_encode(const struct gk_frame *f, enum gk_link_side from,
		   void *buf, size_t cap) GK_MUST_CHECK;

/* gk_link_type_name: "HELLO" and so on; "?" for an unknown type. */
const char *gk_link_type_name(uint8_t type);

#endif
