/* SPDX-License-Identifier: GPL-2.0-or-later */
/* yubikey: keyboard, FIDO and smartcard in one, laid out as a YubiKey 5 is. */
#include "hid_keyboard.h"
#include "token.h"

enum { IF_KEYBOARD, IF_FIDO, IF_CCID };
enum { EP_KEYBOARD = 0x81, EP_FIDO_IN = 0x84, EP_FIDO_OUT = 0x04,
       EP_CCID_IN = 0x82, EP_CCID_OUT = 0x02, EP_CCID_NOTIFY = 0x83 };

static const uint8_t device_desc[] = {
	GK_DEVICE_LEN, GK_DT_DEVICE, GK_LE16(0x0200), 0, 0, 0, 64,
	GK_LE16(0x1050), GK_LE16(0x0407), GK_LE16(0x0543), 1, 2, 0, 1,
};

static const uint8_t config_desc[] = {
	GK_CONFIG_BYTES(GK_CONFIG_LEN + GK_HID_FUNCTION_LEN +
			GK_FIDO_FUNCTION_LEN + GK_INTERFACE_LEN +
			GK_CCID_CLASS_LEN + 3 * GK_ENDPOINT_LEN, 3),
	GK_KEYBOARD_BYTES(IF_KEYBOARD, EP_KEYBOARD),
	GK_FIDO_BYTES(IF_FIDO, EP_FIDO_IN, EP_FIDO_OUT),
	GK_INTERFACE_BYTES(IF_CCID, 0, 3, 11, 0, 0),
	GK_CCID_CLASS_BYTES,
	GK_ENDPOINT_BYTES(EP_CCID_OUT, GK_BULK, 64, 0),
	GK_ENDPOINT_BYTES(EP_CCID_IN, GK_BULK, 64, 0),
	GK_ENDPOINT_BYTES(EP_CCID_NOTIFY, GK_INTERRUPT, 8, 32),
};

static const uint8_t hid_desc[] = {
	GK_HID_BYTES(sizeof(gk_boot_keyboard_report_desc)),
};
static const uint8_t fido_hid_desc[] = {
	GK_HID_BYTES(sizeof(gk_fido_report_desc)),
};

static const struct gk_desc descs[] = {
	GK_DESC(GK_DT_DEVICE, -1, device_desc),
	GK_DESC(GK_DT_CONFIG, -1, config_desc),
	GK_DESC(GK_DT_HID, IF_KEYBOARD, hid_desc),
	GK_DESC(GK_DT_HID_REPORT, IF_KEYBOARD, gk_boot_keyboard_report_desc),
	GK_DESC(GK_DT_HID, IF_FIDO, fido_hid_desc),
	GK_DESC(GK_DT_HID_REPORT, IF_FIDO, gk_fido_report_desc),
};

static const char *const strings[] = { "Yubico", "YubiKey OTP+FIDO+CCID", NULL };

static int init(struct gk_vdev *dev)
{
	gk_keyboard_init(dev, IF_KEYBOARD, EP_KEYBOARD);
	return 0;
}

static void control(struct gk_vdev *dev, const struct gk_setup *setup,
		    const uint8_t *out, struct gk_answer *answer)
{
	gk_keyboard_control(dev, setup, out, answer);
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

static struct gk_kind yubikey = {
	.name = "yubikey",
	.summary = "keyboard, FIDO and an empty card slot, as a YubiKey",
	.speeds = GK_SPEED_BIT(GK_FULL),
	.speed = GK_FULL,
	.descs = descs,
	.n_descs = sizeof(descs) / sizeof(descs[0]),
	.strings = strings,
	.state_size = sizeof(struct gk_keyboard),
	.init = init,
	.control = control,
	.out = out,
	GK_KEYBOARD_CALLBACKS,
};
GK_KIND(yubikey);
