/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "token.h"

#include <string.h>

/* CTAP 2.1 11.2.9 */
enum { CTAPHID_PING = 0x81, CTAPHID_INIT = 0x86, CTAPHID_ERROR = 0xbf };
enum { ERR_INVALID_CMD = 0x01, ERR_INVALID_CHANNEL = 0x0b };
enum { INIT_DATA = 8, INIT_ANSWER = 17, PACKET_DATA = GK_FIDO_REPORT - 7 };

/* CCID 1.10 6.1 and 6.2 */
enum { PC_GET_SLOT_STATUS = 0x65,
       RDR_SLOT_STATUS = 0x81, CCID_HEADER = 10 };
/* bStatus: command failed, no ICC present; bError: ICC_MUTE */
enum { STATUS_NO_CARD = 0x02, STATUS_FAILED = 0x40, ERROR_MUTE = 0xfe };

const uint8_t gk_fido_report_desc[34] = {
	0x06, 0xd0, 0xf1,	/* Usage Page (FIDO) */
	0x09, 0x01,		/* Usage (CTAPHID) */
	0xa1, 0x01,		/* Collection (Application) */
	0x09, 0x20,		/*   Usage (Input Report Data) */
	0x15, 0x00,		/*   Logical Minimum (0) */
	0x26, 0xff, 0x00,	/*   Logical Maximum (255) */
	0x75, 0x08,		/*   Report Size (8) */
	0x95, 0x40,		/*   Report Count (64) */
	0x81, 0x02,		/*   Input (Data, Variable, Absolute) */
	0x09, 0x21,		/*   Usage (Output Report Data) */
	0x15, 0x00,		/*   Logical Minimum (0) */
	0x26, 0xff, 0x00,	/*   Logical Maximum (255) */
	0x75, 0x08,		/*   Report Size (8) */
	0x95, 0x40,		/*   Report Count (64) */
	0x91, 0x02,		/*   Output (Data, Variable, Absolute) */
	0xc0,			/* End Collection */
};

static void fido_error(uint8_t packet[GK_FIDO_REPORT], uint8_t code)
{
	packet[4] = CTAPHID_ERROR;
	packet[5] = 0;
	packet[6] = 1;
	packet[7] = code;
	memset(packet + 8, 0, GK_FIDO_REPORT - 8);
}

void gk_fido_out(struct gk_vdev *dev, uint8_t in, const uint8_t *data, size_t len)
{
	static const uint8_t broadcast[4] = { 0xff, 0xff, 0xff, 0xff };
	static const uint8_t channel[4] = { 0, 0, 0, 1 };
	/* new channel, protocol 2, version 1.0.0, no capabilities */
	static const uint8_t init[INIT_ANSWER - INIT_DATA] = {
		0, 0, 0, 1, 2, 1, 0, 0, 0,
	};
	uint8_t packet[GK_FIDO_REPORT];
	size_t wanted;

	/* Continuations (bit 7 of the fifth byte clear) are of nothing here. */
	if (len != sizeof(packet) || !(data[4] & 0x80))
		return;
	memcpy(packet, data, sizeof(packet));
	wanted = (size_t)(data[5] << 8 | data[6]);
	if (data[4] == CTAPHID_INIT && wanted == INIT_DATA) {
		packet[6] = INIT_ANSWER;
		memcpy(packet + 7 + INIT_DATA, init, sizeof(init));
	} else if (memcmp(data, channel, 4) && memcmp(data, broadcast, 4)) {
		fido_error(packet, ERR_INVALID_CHANNEL);
	} else if (data[4] != CTAPHID_PING || wanted > PACKET_DATA) {
		fido_error(packet, ERR_INVALID_CMD);
	}
	gk_vdev_queue(dev, in, packet, sizeof(packet), 0, 0);
}

void gk_ccid_out(struct gk_vdev *dev, uint8_t in, const uint8_t *data, size_t len)
{
	uint8_t answer[CCID_HEADER] = { RDR_SLOT_STATUS };

	if (len < CCID_HEADER)
		return;
	answer[5] = data[5];	/* bSlot */
	answer[6] = data[6];	/* bSeq */
	answer[7] = STATUS_NO_CARD;
	if (data[0] != PC_GET_SLOT_STATUS) {
		answer[7] |= STATUS_FAILED;
		answer[8] = ERROR_MUTE;
	}
	gk_vdev_queue(dev, in, answer, sizeof(answer), 0, 0);
}

void gk_token_control(const struct gk_setup *setup, uint8_t interface,
		      struct gk_answer *answer)
{
	/* SET_IDLE and ABORT have no data; nothing else is asked of a token. */
	if (setup->index == interface && setup->type == 0x21 && !setup->length)
		answer->verdict = GK_DATA;
}
