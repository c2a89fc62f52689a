/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fido: a security key that is nothing but one, with all of CTAP 2.1 we need. */
#include <stdlib.h>
#include <string.h>

#include "../token.h"
#include "fido.h"

enum { EP_IN = 0x81, EP_OUT = 0x01, NUMBER_MAX = 3600000 };

static const uint8_t device_desc[] = {
	GK_DEVICE_BYTES(0, 64, 0x1d50, 0x616f, 1),
};

static const uint8_t config_desc[] = {
	GK_CONFIG_BYTES(GK_CONFIG_LEN + GK_FIDO_FUNCTION_LEN, 1),
	GK_FIDO_BYTES(0, EP_IN, EP_OUT),
};

static const uint8_t hid_desc[] = { GK_HID_BYTES(sizeof(gk_fido_report_desc)) };

static const struct gk_desc descs[] = {
	GK_DESC(GK_DT_DEVICE, -1, device_desc),
	GK_DESC(GK_DT_CONFIG, -1, config_desc),
	GK_DESC(GK_DT_HID, 0, hid_desc),
	GK_DESC(GK_DT_HID_REPORT, 0, gk_fido_report_desc),
};

static const char *const strings[] = { "Gatekeeper", "Test security key",
				       "0001", NULL };

static int number(const char *text, unsigned int max, unsigned int *n)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end || value > max)
		return -1;
	*n = (unsigned int)value;
	return 0;
}

/* ms_sep: what stands between "late" and the milliseconds */
static int set_finger(struct gk_fido *f, const char *text, char ms_sep)
{
	if (!strcmp(text, "now"))
		f->finger = GK_FINGER_NOW;
	else if (!strcmp(text, "never"))
		f->finger = GK_FINGER_NEVER;
	else if (strncmp(text, "late", 4) || text[4] != ms_sep ||
		 number(text + 5, NUMBER_MAX, &f->late_ms) < 0)
		return -1;
	else
		f->finger = GK_FINGER_LATE;
	return 0;
}

static int set_protocols(struct gk_fido *f, const char *text)
{
	unsigned int n = 0;

	if (number(text, 2, &n) < 0 || !n)
		return -1;
	f->auth.opt.protocols = n;
	return 0;
}

static int set_aaguid(struct gk_fido *f, const char *text)
{
	unsigned int byte;
	size_t i;

	if (strlen(text) != 32 || strspn(text, "0123456789abcdef") != 32)
		return -1;
	for (i = 0; i < 16; i++) {
		if (sscanf(text + 2 * i, "%2x", &byte) != 1)
			return -1;
		f->auth.opt.aaguid[i] = (uint8_t)byte;
	}
	return 0;
}

static int set_evil(struct gk_fido *f, const char *text)
{
	if (gk_evil_parse(text, &f->mischief) == 0)
		return 0;
	fprintf(stderr, "--evil NAME or NAME:STEP:\n");
	gk_evil_list(stderr);
	return -1;
}

/* --- options ---------------------------------------------------------------- */

static const struct gk_kind_option options[] = {
	{ "pin", "PIN", "set if there is none yet" },
	{ "state", "FILE", "credentials, PIN and counters are kept there" },
	{ "touch", "now|never|late:MS", "what the finger does (now)" },
	{ "touch-timeout", "MS", "it waits so long for a touch (30000)" },
	{ "work", "MS", "so long it works on each request (0)" },
	{ "retries", "N", "PIN tries left, 0 to 8" },
	{ "protocol", "1|2", "only this PIN/UV auth protocol (both)" },
	{ "aaguid", "HEX", "32 digits" },
	{ "ctap20", NULL, "FIDO_2_0 and nothing newer" },
	{ "always-uv", NULL, "nothing without PIN but up=false" },
	{ "always-uv-strict", NULL, "nothing at all without PIN" },
	{ "uv", NULL, "a reader, with a fingerprint in it" },
	{ "no-hmac-secret", NULL, "without that extension" },
	{ "protect-all", NULL, "no credential is shown without PIN" },
	{ "secret-without-touch", NULL, "hmac-secret with up=false too" },
	{ "reset-any-time", NULL, "reset later than 10 seconds after power-up" },
	{ "evil", "NAME[:STEP]", "ill-behaved; \"help\" lists the names" },
	{ NULL, NULL, NULL },
};

static int flag(struct gk_auth_options *o, const char *name)
{
	if (!strcmp(name, "ctap20"))
		o->ctap20 = true;
	else if (!strcmp(name, "always-uv"))
		o->always_uv = true;
	else if (!strcmp(name, "always-uv-strict"))
		o->always_uv = o->always_uv_strict = true;
	else if (!strcmp(name, "uv"))
		o->uv = true;
	else if (!strcmp(name, "no-hmac-secret"))
		o->no_hmac_secret = true;
	else if (!strcmp(name, "protect-all"))
		o->protect_all = true;
	else if (!strcmp(name, "secret-without-touch"))
		o->secret_without_touch = true;
	else if (!strcmp(name, "reset-any-time"))
		o->reset_any_time = true;
	else
		return -1;
	return 0;
}

static int option(struct gk_vdev *dev, const char *name, const char *value)
{
	struct gk_fido *f = gk_vdev_state(dev);
	unsigned int n;

	/* The first of them finds the state as it was allocated. */
	if (!f->dev)
		gk_fido_defaults(f, dev, EP_IN);
	if (!value)
		return flag(&f->auth.opt, name);
	if (!strcmp(name, "pin")) {
		f->first_pin = value;
		return 0;
	}
	if (!strcmp(name, "state")) {
		f->auth.store.path = value;
		return 0;
	}
	if (!strcmp(name, "touch"))
		return set_finger(f, value, ':');
	if (!strcmp(name, "touch-timeout"))
		return number(value, NUMBER_MAX, &f->touch_timeout_ms);
	if (!strcmp(name, "work"))
		return number(value, NUMBER_MAX, &f->work_ms);
	if (!strcmp(name, "protocol"))
		return set_protocols(f, value);
	if (!strcmp(name, "aaguid"))
		return set_aaguid(f, value);
	if (!strcmp(name, "evil"))
		return set_evil(f, value);
	if (strcmp(name, "retries") || number(value, GK_PIN_RETRIES, &n) < 0)
		return -1;
	f->first_retries = (int)n;
	return 0;
}

/* --- script commands -------------------------------------------------------- */

static void status(const struct gk_fido *f, struct gk_reply *reply)
{
	static const char *const states[] = {
		[GK_FIDO_IDLE] = "idle", [GK_FIDO_WORKS] = "works",
		[GK_FIDO_WAITS] = "touch",
	};
	const struct gk_store *s = &f->auth.store;
	const unsigned long *r = f->requests;

	snprintf(reply->text, sizeof(reply->text),
		 "{\"state\":\"%s\",\"pin_set\":%s,\"retries\":%u,"
		 "\"wrong_in_row\":%u,\"counter\":%lu,\"residents\":%zu,"
		 "\"touches\":%lu,\"cancels\":%lu,\"requests\":{\"init\":%lu,"
		 "\"info\":%lu,\"retries\":%lu,\"agree\":%lu,\"set-pin\":%lu,"
		 "\"token\":%lu,\"make\":%lu,\"assert\":%lu,\"reset\":%lu},"
		 "\"ms\":{\"first\":%llu,\"asked\":%llu,\"touched\":%llu,"
		 "\"answered\":%llu}}",
		 states[f->state], s->pin_set ? "true" : "false",
		 s->pin_retries, f->auth.pin.wrong_in_row,
		 (unsigned long)s->counter, s->n_residents, f->auth.touches,
		 f->cancels, r[GK_STEP_INIT], r[GK_STEP_INFO],
		 r[GK_STEP_RETRIES], r[GK_STEP_AGREE], r[GK_STEP_SET_PIN],
		 r[GK_STEP_TOKEN], r[GK_STEP_MAKE], r[GK_STEP_ASSERT],
		 r[GK_STEP_RESET], (unsigned long long)f->first_ms,
		 (unsigned long long)f->asked_ms,
		 (unsigned long long)f->touched_ms,
		 (unsigned long long)f->answered_ms);
}

static enum gk_command_result refuse(struct gk_reply *reply, const char *text)
{
	snprintf(reply->text, sizeof(reply->text), "%s", text);
	return GK_CMD_ERROR;
}

static enum gk_command_result command(struct gk_vdev *dev, const char *verb,
				      const char *args, struct gk_reply *reply)
{
	struct gk_fido *f = gk_vdev_state(dev);
	unsigned int n;

	if (!strcmp(verb, "fido")) {
		status(f, reply);
	} else if (!strcmp(verb, "touch")) {
		if (args[0] && set_finger(f, args, ' ') < 0)
			return refuse(reply, "touch [now|never|late MS]");
		/* Also for a request that waits already. */
		if ((!args[0] || f->finger == GK_FINGER_NOW) &&
		    !gk_fido_touch(f) && !args[0])
			return refuse(reply, "no touch is asked for");
	} else if (!strcmp(verb, "pin")) {
		if (gk_pin_force(&f->auth, args) < 0)
			return refuse(reply, "pin PIN, 4 to 63 bytes");
	} else if (!strcmp(verb, "retries")) {
		if (number(args, GK_PIN_RETRIES, &n) < 0)
			return refuse(reply, "retries N, 0 to 8");
		f->auth.store.pin_retries = n;
		f->auth.pin.wrong_in_row = 0;
		if (gk_store_save(&f->auth.store) < 0)
			return refuse(reply, "the state file");
	} else if (!strcmp(verb, "finger")) {
		if (strcmp(args, "right") && strcmp(args, "wrong"))
			return refuse(reply, "finger right|wrong");
		f->auth.other_finger = args[0] == 'w';
	} else if (!strcmp(verb, "evil")) {
		if (gk_evil_parse(args, &f->mischief) < 0)
			return refuse(reply, "evil none|NAME[:STEP]");
	} else {
		return GK_CMD_UNKNOWN;
	}
	return GK_CMD_OK;
}

/* --- callbacks -------------------------------------------------------------- */

static int init(struct gk_vdev *dev)
{
	struct gk_fido *f = gk_vdev_state(dev);

	if (!f->dev)
		gk_fido_defaults(f, dev, EP_IN);
	return gk_fido_start(f);
}

static void control(struct gk_vdev *dev, const struct gk_setup *setup,
		    const uint8_t *data, struct gk_answer *answer)
{
	(void)dev;
	(void)data;
	gk_token_control(setup, 0, answer);
}

static void out(struct gk_vdev *dev, uint8_t ep, const uint8_t *data, size_t len,
		struct gk_answer *answer)
{
	(void)answer;
	if (ep == EP_OUT)
		gk_fido_packet(gk_vdev_state(dev), data, len);
}

static void reset(struct gk_vdev *dev)
{
	gk_fido_bus_reset(gk_vdev_state(dev));
}

static void plugged(struct gk_vdev *dev, bool in)
{
	gk_fido_power(gk_vdev_state(dev), in);
}

static struct gk_kind fido = {
	.name = "fido",
	.summary = "a security key: CTAP 2.1 with PIN, hmac-secret and a finger",
	.speeds = GK_SPEED_BIT(GK_FULL),
	.speed = GK_FULL,
	.descs = descs,
	.n_descs = sizeof(descs) / sizeof(descs[0]),
	.strings = strings,
	.state_size = sizeof(struct gk_fido),
	.options = options,
	.option = option,
	.init = init,
	.control = control,
	.out = out,
	.reset = reset,
	.plugged = plugged,
	.command = command,
};
GK_KIND(fido);
