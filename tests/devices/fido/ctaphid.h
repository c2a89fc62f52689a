/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CTAPHID, the device's side (CTAP 2.1 11.2): channels, messages out of packets
 * and packets out of messages. No I/O and no clock.
 */
#ifndef GK_FIDO_CTAPHID_H
#define GK_FIDO_CTAPHID_H

#include "ctap.h"

enum {
	CTAPHID_PING = 0x81, CTAPHID_MSG = 0x83, CTAPHID_INIT = 0x86,
	CTAPHID_WINK = 0x88, CTAPHID_CBOR = 0x90, CTAPHID_CANCEL = 0x91,
	CTAPHID_KEEPALIVE = 0xbb, CTAPHID_ERROR = 0xbf,
};

enum { CTAPHID_PROCESSING = 1, CTAPHID_UPNEEDED = 2 };

enum {
	CTAPHID_ERR_INVALID_CMD = 0x01, CTAPHID_ERR_INVALID_LEN = 0x03,
	CTAPHID_ERR_INVALID_SEQ = 0x04, CTAPHID_ERR_MSG_TIMEOUT = 0x05,
	CTAPHID_ERR_CHANNEL_BUSY = 0x06, CTAPHID_ERR_INVALID_CHANNEL = 0x0b,
};

enum {
	GK_HID_PACKET = 64,
	GK_HID_MESSAGE_MAX = 7609,	/* 57 + 128 * 59 */
	GK_HID_PACKETS_MAX = 129,
	GK_HID_CHANNELS = 64,		/* the oldest is forgotten for a new one */
	GK_HID_REPLY_MAX = 17,
};

enum gk_hid_event {
	GK_HID_NOTHING,
	GK_HID_REPLY,		/* send reply[] of reply_cmd on reply_cid */
	GK_HID_MESSAGE,		/* cmd, data, len on cid; busy until gk_hid_end() */
	GK_HID_CANCELLED,	/* the message now being worked on */
	GK_HID_ABORTED,		/* the same, by an INIT; there is a reply too */
};

struct gk_hid {
	uint32_t channels[GK_HID_CHANNELS];	/* 0: none */
	size_t next_channel;
	/* the one message at a time */
	bool receiving, busy;
	uint32_t cid;
	uint8_t cmd;
	size_t wanted, len;
	uint8_t sequence;
	uint8_t data[GK_HID_MESSAGE_MAX];
	uint32_t reply_cid;
	uint8_t reply_cmd;
	size_t reply_len;
	uint8_t reply[GK_HID_REPLY_MAX];
};

/* As after power-up: no channels. */
void gk_hid_reset(struct gk_hid *hid);
enum gk_hid_event gk_hid_packet(struct gk_hid *hid,
				const uint8_t packet[GK_HID_PACKET]);
/* The next packet of a message has not come in time: there is a reply. */
void gk_hid_timeout(struct gk_hid *hid);
/* The message has been answered. */
void gk_hid_end(struct gk_hid *hid);
/* How many packets; len is at most GK_HID_MESSAGE_MAX. */
size_t gk_hid_fragment(uint32_t cid, uint8_t cmd, const uint8_t *data, size_t len,
		       uint8_t (*packets)[GK_HID_PACKET]);

#endif
