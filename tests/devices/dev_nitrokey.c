/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nitrokey: smartcard and FIDO, laid out as a Nitrokey 3 is. */
#include "token.h"

enum { IF_CCID, IF_FIDO };
enum { EP_CCID_IN = 0x81, EP_CCID_OUT = 0x01, EP_FIDO_IN = 0x82,
       EP_FIDO_OUT = 0x02 };

static const uint8_t device_desc[] = {
	GK_DEVICE_LEN, GK_DT_DEVICE, GK_LE16(0x0210), 0, 0, 0, 64,
	GK_LE16(0x20a0), GK_LE16(0x42b2), GK_LE16(0x0107), 1, 2, 0, 1,
};

static const uint8_t config_desc[] = {
	GK_CONFIG_BYTES(GK_CONFIG_LEN + GK_INTERFACE_LEN + GK_CCID_CLASS_LEN +
			2 * GK_ENDPOINT_LEN + GK_FIDO_FUNCTION_LEN, 2),
	GK_INTERFACE_BYTES(IF_CCID, 0, 2, 11, 0, 0),
	GK_CCID_CLASS_BYTES,
	GK_ENDPOINT_BYTES(EP_CCID_OUT, GK_BULK, 64, 0),
	GK_ENDPOINT_BYTES(EP_CCID_IN, GK_BULK, 64, 0),
	GK_FIDO_BYTES(IF_FIDO, EP_FIDO_IN, EP_FIDO_OUT),
};

static const uint8_t fido_hid_desc[] = {
	GK_HID_BYTES(sizeof(gk_fido_report_desc)),
};

static const struct gk_desc descs[] = {
	GK_DESC(GK_DT_DEVICE, -1, device_desc),
	GK_DESC(GK_DT_CONFIG, -1, config_desc),
	GK_DESC(GK_DT_HID, IF_FIDO, fido_hid_desc),
	GK_DESC(GK_DT_HID_REPORT, IF_FIDO, gk_fido_report_desc),
};

static const char *const strings[] = { "Nitrokey", "Nitrokey 3", NULL };

static void control(struct gk_vdev *dev, const struct gk_setup *setup,
		    const uint8_t *data, struct gk_answer *answer)
{
	(void)dev;
	(void)data;
	gk_token_control(setup, IF_FIDO, answer);
	gk_token_control(setup, IF_CCID, answer);
}

static void out(struct gk_vdev *dev, uint8_t ep, const uint8_t *data, size_t len,
		struct gk_answer *answer)
{
	(void)answer;
	if (ep == EP_FIDO_OUT)
		gk_fido_out(dev, EP_FIDO_IN, data, len);
	else if (ep == EP_CCID_OUT)
		gk_ccid_out(dev, EP_CCID_IN, data, len);
}

static struct gk_kind nitrokey = {
	.name = "nitrokey",
	.summary = "FIDO and an empty card slot, as a Nitrokey",
	.speeds = GK_SPEED_BIT(GK_FULL),
	.speed = GK_FULL,
	.descs = descs,
	.n_descs = sizeof(descs) / sizeof(descs[0]),
	.strings = strings,
	.control = control,
	.out = out,
};
GK_KIND(nitrokey);
