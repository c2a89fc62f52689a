/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtual USB devices over usbredir: what a device file needs.
 *
 * A device is one struct gk_kind: its descriptors as bytes, and callbacks for
 * whatever it does otherwise than an ordinary device would. Every callback may
 * be NULL. The library speaks usbredir, answers the standard requests of USB
 * 2.0 9.4 from the descriptors, keeps the queues of the IN endpoints, and runs
 * one event loop; a callback therefore never blocks.
 *
 * Ill-behaved devices: any control request can be taken over in control(), the
 * bytes of any descriptor can be changed at any moment (gk_vdev_desc), every
 * answer can be data, a stall, silence, or any of them late.
 */
#ifndef GK_DEVICE_H
#define GK_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GK_ANSWER_MAX	8192	/* bytes in one answer; QEMU takes 4096 */
#define GK_REPORT_MAX	1024	/* bytes in one queued IN packet */
#define GK_QUEUE_MAX	32768	/* queued IN packets in one endpoint */
#define GK_REPLY_MAX	2048	/* a line that answers a script, with its NUL */

enum gk_speed { GK_LOW, GK_FULL, GK_HIGH };

#define GK_SPEED_BIT(s)	(1u << (s))
#define GK_ANY_SPEED	(GK_SPEED_BIT(GK_LOW) | GK_SPEED_BIT(GK_FULL) | \
			 GK_SPEED_BIT(GK_HIGH))

/* Standard descriptor types (USB 2.0 table 9-5; HID 1.11 7.1). */
enum gk_desc_type {
	GK_DT_DEVICE = 1,
	GK_DT_CONFIG = 2,
	GK_DT_STRING = 3,
	GK_DT_INTERFACE = 4,
	GK_DT_ENDPOINT = 5,
	GK_DT_QUALIFIER = 6,
	GK_DT_OTHER_SPEED = 7,
	GK_DT_HID = 0x21,
	GK_DT_HID_REPORT = 0x22,
};

#define GK_LE16(x)	((x) & 0xff), (((x) >> 8) & 0xff)

/* The setup packet, in host byte order (USB 2.0 9.3). */
struct gk_setup {
	uint8_t type;		/* bmRequestType */
	uint8_t request;	/* bRequest */
	uint16_t value;
	uint16_t index;
	uint16_t length;
};

enum gk_verdict {
	GK_DEFAULT,	/* as the library does for an ordinary device */
	GK_DATA,	/* success; IN: len bytes of data, may be none */
	GK_STALL,
	GK_NEVER,	/* silence until the host gives up */
};

struct gk_answer {
	enum gk_verdict verdict;
	unsigned int delay_ms;	/* the verdict comes so much later */
	bool overlong;		/* do not cut the data to what was asked for */
	size_t len;
	uint8_t data[GK_ANSWER_MAX];
};

/* gk_answer_data: success with len bytes, cut to GK_ANSWER_MAX. */
void gk_answer_data(struct gk_answer *answer, const void *data, size_t len);

struct gk_vdev;

/* A descriptor as it is given out. */
struct gk_desc {
	uint8_t type;
	uint8_t index;
	int interface;		/* for requests to an interface, else -1 */
	const uint8_t *data;
	size_t len;
};

/* What the host side is told of an endpoint, where the bytes would mislead. */
struct gk_ep_info {
	uint8_t address;
	uint8_t type;		/* bmAttributes & 3 */
	uint8_t interval;
	uint8_t interface;
	uint16_t max_packet;
};

enum gk_command_result {
	GK_CMD_UNKNOWN,
	GK_CMD_OK,
	GK_CMD_ERROR,
	GK_CMD_WAIT,	/* "ok" when the report with reply->token is taken */
};

struct gk_reply {
	char text[GK_REPLY_MAX];
	uint32_t token;
};

/*
 * Kinds that differ in few bytes share a file: each is a row of a table, with
 * the descriptors it has otherwise than the common ones or besides them.
 */
struct gk_variant {
	const char *name;
	const char *summary;
	int mode;		/* for the callbacks; the file's own */
	const struct gk_desc *descs;
	size_t n_descs;
};

/* An option of the command line that only some kind has. */
struct gk_kind_option {
	const char *name;	/* without "--"; NULL ends the list */
	const char *value;	/* what it is called in the help; NULL: it has none */
	const char *help;
};

struct gk_kind {
	const char *name;
	const char *summary;
	unsigned int speeds;	/* GK_SPEED_BIT()s it can be */
	enum gk_speed speed;	/* the one it is if nothing is said */
	/*
	 * All but strings. Ordinary devices are adapted to the speed asked for
	 * (bMaxPacketSize0, bulk packet sizes, bInterval) and to --vid, --pid
	 * and --serial; with raw set, only to --vid and --pid.
	 */
	const struct gk_desc *descs;
	size_t n_descs;
	bool raw;
	/* strings[i] has index i + 1; ASCII; a NULL ends the list. */
	const char *const *strings;
	/* If set, told to the host side in place of what the bytes say. */
	const struct gk_ep_info *eps;
	size_t n_eps;
	/* Send IN packets faster than bInterval allows. */
	bool unpaced;
	size_t state_size;	/* zeroed memory for gk_vdev_state() */
	const struct gk_kind_option *options;

	/* Before init(), for each that was given, in order; value may be NULL. */
	int (*option)(struct gk_vdev *dev, const char *name, const char *value);
	/* 0, or -1 with a message on stderr. */
	int (*init)(struct gk_vdev *dev);
	void (*done)(struct gk_vdev *dev);
	/* Any control request; out has setup->length bytes if type bit 7 is 0. */
	void (*control)(struct gk_vdev *dev, const struct gk_setup *setup,
			const uint8_t *out, struct gk_answer *answer);
	/* The state has been set; GK_STALL undoes it. */
	void (*configured)(struct gk_vdev *dev, uint8_t value,
			   struct gk_answer *answer);
	void (*alt_set)(struct gk_vdev *dev, uint8_t interface, uint8_t alt,
			struct gk_answer *answer);
	void (*reset)(struct gk_vdev *dev);
	/* Data for an interrupt or bulk OUT endpoint; GK_DEFAULT takes it. */
	void (*out)(struct gk_vdev *dev, uint8_t ep, const uint8_t *data,
		    size_t len, struct gk_answer *answer);
	/*
	 * Interrupt IN: the host begins (on) or ceases to poll. Bulk IN: the
	 * host asks and nothing is queued (always on).
	 */
	void (*polled)(struct gk_vdev *dev, uint8_t ep, bool on);
	/* A queued IN packet has gone to the host side. */
	void (*sent)(struct gk_vdev *dev, uint8_t ep, const uint8_t *data,
		     size_t len);
	void (*plugged)(struct gk_vdev *dev, bool in);
	/* A line of a script that the library does not know itself. */
	enum gk_command_result (*command)(struct gk_vdev *dev, const char *verb,
					  const char *args,
					  struct gk_reply *reply);
	const struct gk_variant *variant;	/* the library's, as is the next */
	struct gk_kind *next;
};

/* Of a struct gk_kind: the table's bytes as they stand, at one speed. */
#define GK_RAW(at, table) \
	.speeds = GK_SPEED_BIT(at), \
	.speed = (at), \
	.descs = (table), \
	.n_descs = sizeof(table) / sizeof((table)[0]), \
	.raw = true

void gk_kind_register(struct gk_kind *kind);

/* GK_KIND(x): a device file ends with this; x is its struct gk_kind. */
#define GK_KIND(x) \
	__attribute__((constructor)) static void gk_register_##x(void) \
	{ \
		gk_kind_register(&x); \
	} \
	struct gk_kind

void gk_variants_register(const struct gk_kind *common,
			  const struct gk_variant *variants, size_t n,
			  struct gk_kind *slots);

/* GK_VARIANTS(common, table): the same for a table of variants of a kind. */
#define GK_VARIANTS(common, table) \
	static struct gk_kind gk_kinds_##table[sizeof(table) / \
					       sizeof((table)[0])]; \
	__attribute__((constructor)) static void gk_register_##table(void) \
	{ \
		gk_variants_register(&common, table, \
				     sizeof(table) / sizeof((table)[0]), \
				     gk_kinds_##table); \
	} \
	struct gk_variant

struct gk_stats {
	unsigned long hosts;		/* usbredir peers that said hello */
	unsigned long plugs;
	unsigned long resets;
	unsigned long control_requests;
	unsigned long set_configuration;
	unsigned long set_interface;
	unsigned long stalls;
	unsigned long cancels;
	unsigned long reports_sent;
	unsigned long bytes_out;	/* to interrupt and bulk OUT endpoints */
	unsigned long led_writes;
	unsigned long idle_reports;
};

void *gk_vdev_state(struct gk_vdev *dev);
/* The row of the table that it is; mode 0 for a kind without a table. */
int gk_vdev_mode(const struct gk_vdev *dev);
struct gk_stats *gk_vdev_stats(struct gk_vdev *dev);
enum gk_speed gk_vdev_speed(const struct gk_vdev *dev);
uint8_t gk_vdev_configuration(const struct gk_vdev *dev);
uint8_t gk_vdev_alt(const struct gk_vdev *dev, uint8_t interface);

/* The instance's own copy of a descriptor, NULL if there is none. */
uint8_t *gk_vdev_desc(struct gk_vdev *dev, uint8_t type, uint8_t index,
		      int interface, size_t *len);
/* Gives out other bytes from now on (copied). 0 or -1. */
int gk_vdev_set_desc(struct gk_vdev *dev, uint8_t type, uint8_t index,
		     int interface, const uint8_t *data, size_t len);

/* A number for gk_vdev_queue, never 0. */
uint32_t gk_vdev_token(struct gk_vdev *dev);
/*
 * Queues one packet for an interrupt or bulk IN endpoint. It goes when the host
 * asks, not before gap_us after the one before it and (unless the kind is
 * unpaced) not before the endpoint's interval. token, if not 0: a script may
 * wait for it. Returns 0, or -1: no such endpoint, too long, queue full.
 */
int gk_vdev_queue(struct gk_vdev *dev, uint8_t ep, const uint8_t *data,
		  size_t len, unsigned int gap_us, uint32_t token);
/*
 * Packets of this endpoint that go late, by at most us, let the next ones go sooner:
 * the rate that was asked for holds on a machine that takes the processor away for
 * some milliseconds. 0, as at the start: only what is late by less than one gap.
 */
void gk_vdev_make_up(struct gk_vdev *dev, uint8_t ep, unsigned int us);
size_t gk_vdev_queued(const struct gk_vdev *dev, uint8_t ep);
bool gk_vdev_polled(const struct gk_vdev *dev, uint8_t ep);
/* The least time between two packets of an endpoint, in microseconds. */
unsigned int gk_vdev_interval_us(const struct gk_vdev *dev, uint8_t ep);
/* Stalls the endpoint until the host clears it (USB 2.0 9.4.5). */
void gk_vdev_halt(struct gk_vdev *dev, uint8_t ep);
void gk_vdev_plug(struct gk_vdev *dev);
void gk_vdev_unplug(struct gk_vdev *dev);
bool gk_vdev_is_plugged(const struct gk_vdev *dev);
/* On stderr, with --verbose only. */
void gk_vdev_log(struct gk_vdev *dev, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* One-shot timers; the struct is the caller's and must outlive the wait. */
struct gk_timer {
	uint64_t at_ns;
	bool armed;
	void (*fire)(void *arg);
	void *arg;
	struct gk_timer *next;
};

void gk_vdev_timer(struct gk_vdev *dev, struct gk_timer *timer,
		   unsigned int after_us);
void gk_vdev_timer_stop(struct gk_vdev *dev, struct gk_timer *timer);

#endif
