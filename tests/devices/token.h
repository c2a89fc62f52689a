/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interfaces of security tokens: FIDO (CTAP 2.1 11.2) and a CCID reader
 * (CCID 1.10). They say who they are and know no application: CTAPHID_INIT and
 * PING are answered, and the reader says that its slot is empty.
 */
#ifndef GK_TOKEN_H
#define GK_TOKEN_H

#include "bytes.h"

#define GK_FIDO_REPORT	64

/* 34 bytes, as YubiKeys, Nitrokeys and others have it. */
extern const uint8_t gk_fido_report_desc[34];

enum {
	GK_CCID_CLASS_LEN = 54,
	GK_FIDO_FUNCTION_LEN = GK_HID_FUNCTION_LEN + GK_ENDPOINT_LEN,
};

/* GK_FIDO_FUNCTION_LEN bytes: interface, class descriptor, two endpoints. */
#define GK_FIDO_BYTES(number, in, out) \
	GK_INTERFACE_BYTES(number, 0, 2, 3, 0, 0), \
	GK_HID_BYTES(sizeof(gk_fido_report_desc)), \
	GK_ENDPOINT_BYTES(out, GK_INTERRUPT, GK_FIDO_REPORT, 2), \
	GK_ENDPOINT_BYTES(in, GK_INTERRUPT, GK_FIDO_REPORT, 2)

#define GK_LE32(x)	GK_LE16((x) & 0xffff), GK_LE16((x) >> 16 & 0xffff)

/* The class descriptor (CCID 1.10 table 5.1-1). */
#define GK_CCID_CLASS_BYTES \
	GK_CCID_CLASS_LEN, 0x21, GK_LE16(0x0110), \
	0, 7,			/* one slot; 5, 3 and 1.8 V */ \
	GK_LE32(2),		/* dwProtocols: T=1 */ \
	GK_LE32(4000), GK_LE32(4000), 0, \
	GK_LE32(307200), GK_LE32(307200), 0, \
	GK_LE32(2038), GK_LE32(0), GK_LE32(0), \
	GK_LE32(0x000400fe),	/* dwFeatures: short and extended APDUs */ \
	GK_LE32(3072), 0xff, 0xff, GK_LE16(0), 0, 1

/* What an OUT endpoint was sent; the answer is queued on `in`. */
void gk_fido_out(struct gk_vdev *dev, uint8_t in, const uint8_t *data, size_t len);
void gk_ccid_out(struct gk_vdev *dev, uint8_t in, const uint8_t *data, size_t len);
/* Class requests to a FIDO interface (HID 1.11 7.2) or a reader (CCID 1.10 5.3). */
void gk_token_control(const struct gk_setup *setup, uint8_t interface,
		      struct gk_answer *answer);

#endif
