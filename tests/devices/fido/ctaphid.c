/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctaphid.h"

#include <string.h>

#include "crypto.h"

#define BROADCAST	0xffffffffu

enum { NONCE = 8, FIRST_DATA = 57, NEXT_DATA = 59 };
/* CTAP 2.1 11.2.9.1.3 */
enum { CAP_WINK = 0x01, CAP_CBOR = 0x04, CAP_NMSG = 0x08 };

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	       (uint32_t)p[2] << 8 | p[3];
}

static void put32(uint8_t *p, uint32_t n)
{
	p[0] = (uint8_t)(n >> 24);
	p[1] = (uint8_t)(n >> 16);
	p[2] = (uint8_t)(n >> 8);
	p[3] = (uint8_t)n;
}

void gk_hid_reset(struct gk_hid *hid)
{
	memset(hid, 0, sizeof(*hid));
}

void gk_hid_end(struct gk_hid *hid)
{
	hid->busy = false;
}

static bool known(const struct gk_hid *hid, uint32_t cid)
{
	size_t i;

	for (i = 0; i < GK_HID_CHANNELS; i++) {
		if (cid && hid->channels[i] == cid)
			return true;
	}
	return false;
}

static uint32_t new_channel(struct gk_hid *hid)
{
	uint32_t cid;

	do
		gk_random(&cid, sizeof(cid));
	while (!cid || cid == BROADCAST || known(hid, cid));
	hid->channels[hid->next_channel] = cid;
	hid->next_channel = (hid->next_channel + 1) % GK_HID_CHANNELS;
	return cid;
}

static enum gk_hid_event error(struct gk_hid *hid, uint32_t cid, uint8_t code)
{
	hid->reply_cid = cid;
	hid->reply_cmd = CTAPHID_ERROR;
	hid->reply_len = 1;
	hid->reply[0] = code;
	return GK_HID_REPLY;
}

/* 11.2.9.1.3: on the broadcast channel a new one, on another a fresh start. */
static enum gk_hid_event init(struct gk_hid *hid, uint32_t cid,
			      const uint8_t packet[GK_HID_PACKET])
{
	enum gk_hid_event event = GK_HID_REPLY;

	if (cid != BROADCAST && !known(hid, cid))
		return error(hid, cid, CTAPHID_ERR_INVALID_CHANNEL);
	if ((packet[5] << 8 | packet[6]) != NONCE)
		return error(hid, cid, CTAPHID_ERR_INVALID_LEN);
	if (cid == hid->cid) {
		event = hid->busy ? GK_HID_ABORTED : GK_HID_REPLY;
		hid->receiving = hid->busy = false;
	}
	hid->reply_cid = cid;
	hid->reply_cmd = CTAPHID_INIT;
	hid->reply_len = GK_HID_REPLY_MAX;
	memcpy(hid->reply, packet + 7, NONCE);
	put32(hid->reply + 8, cid == BROADCAST ? new_channel(hid) : cid);
	hid->reply[12] = 2;	/* protocol version; then the device's, 1.0.0 */
	hid->reply[13] = 1;
	hid->reply[14] = 0;
	hid->reply[15] = 0;
	hid->reply[16] = CAP_WINK | CAP_CBOR | CAP_NMSG;
	return event;
}

static void append(struct gk_hid *hid, const uint8_t *data, size_t max)
{
	size_t n = hid->wanted - hid->len;

	if (n > max)
		n = max;
	memcpy(hid->data + hid->len, data, n);
	hid->len += n;
}

static enum gk_hid_event complete(struct gk_hid *hid)
{
	if (hid->len < hid->wanted)
		return GK_HID_NOTHING;
	hid->receiving = false;
	if (hid->cmd != CTAPHID_PING && hid->cmd != CTAPHID_WINK &&
	    hid->cmd != CTAPHID_CBOR)
		return error(hid, hid->cid, CTAPHID_ERR_INVALID_CMD);
	if ((hid->cmd == CTAPHID_CBOR && !hid->len) ||
	    (hid->cmd == CTAPHID_WINK && hid->len))
		return error(hid, hid->cid, CTAPHID_ERR_INVALID_LEN);
	hid->busy = true;
	return GK_HID_MESSAGE;
}

static enum gk_hid_event first(struct gk_hid *hid, uint32_t cid,
			       const uint8_t packet[GK_HID_PACKET])
{
	size_t wanted = (size_t)(packet[5] << 8 | packet[6]);

	if (packet[4] == CTAPHID_INIT)
		return init(hid, cid, packet);
	if (!known(hid, cid))
		return error(hid, cid, CTAPHID_ERR_INVALID_CHANNEL);
	if (packet[4] == CTAPHID_CANCEL)	/* 11.2.9.1.5: no answer of its own */
		return hid->busy && hid->cid == cid ? GK_HID_CANCELLED :
						      GK_HID_NOTHING;
	if (hid->receiving && hid->cid == cid) {
		hid->receiving = false;
		return error(hid, cid, CTAPHID_ERR_INVALID_SEQ);
	}
	if (hid->receiving || hid->busy)
		return error(hid, cid, CTAPHID_ERR_CHANNEL_BUSY);
	if (wanted > GK_HID_MESSAGE_MAX)
		return error(hid, cid, CTAPHID_ERR_INVALID_LEN);
	hid->receiving = true;
	hid->cid = cid;
	hid->cmd = packet[4];
	hid->wanted = wanted;
	hid->len = 0;
	hid->sequence = 0;
	append(hid, packet + 7, FIRST_DATA);
	return complete(hid);
}

enum gk_hid_event gk_hid_packet(struct gk_hid *hid,
				const uint8_t packet[GK_HID_PACKET])
{
	uint32_t cid = get32(packet);

	if (packet[4] & 0x80)
		return first(hid, cid, packet);
	if (!hid->receiving || hid->cid != cid)	/* 11.2.4: of nothing */
		return GK_HID_NOTHING;
	if (packet[4] != hid->sequence++) {
		hid->receiving = false;
		return error(hid, cid, CTAPHID_ERR_INVALID_SEQ);
	}
	append(hid, packet + 5, NEXT_DATA);
	return complete(hid);
}

void gk_hid_timeout(struct gk_hid *hid)
{
	hid->receiving = false;
	error(hid, hid->cid, CTAPHID_ERR_MSG_TIMEOUT);
}

size_t gk_hid_fragment(uint32_t cid, uint8_t cmd, const uint8_t *data, size_t len,
		       uint8_t (*packets)[GK_HID_PACKET])
{
	size_t n = 0, done = 0, room, take;
	uint8_t *p;

	do {
		p = packets[n];
		memset(p, 0, GK_HID_PACKET);
		put32(p, cid);
		if (!n) {
			p[4] = cmd;
			p[5] = (uint8_t)(len >> 8);
			p[6] = (uint8_t)len;
		} else {
			p[4] = (uint8_t)(n - 1);
		}
		room = n ? NEXT_DATA : FIRST_DATA;
		take = len - done < room ? len - done : room;
		if (take)
			memcpy(p + GK_HID_PACKET - room, data + done, take);
		done += take;
		n++;
	} while (done < len);
	return n;
}
