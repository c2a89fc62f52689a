/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which of the kernel's messages are worth a look at sysfs: all of those that Linux
 * sends of a controller and a keyboard that come, and some others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "domain/uevent.h"

#define AT "/devices/pci-0/pci0000:00/0000:00:00.0/"
/* One message: its strings, each with its NUL. */
#define SAYS(what, path, rest) what "@" path "\0ACTION=" what "\0DEVPATH=" path "\0" rest
#define DEVICE "SUBSYSTEM=usb\0DEVTYPE=usb_device\0PRODUCT=627/1/0\0SEQNUM=9"
#define INTERFACE "SUBSYSTEM=usb\0DEVTYPE=usb_interface\0MODALIAS=usb:v0627\0SEQNUM=9"
#define ROW(text, what) { text, sizeof(text), what }

static void what_is_worth_a_look(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		unsigned what;
	} rows[] = {
		ROW(SAYS("add", AT "usb1", DEVICE), GK_UEVENT_BUS),
		ROW(SAYS("add", AT "usb12/12-0:1.0", INTERFACE), GK_UEVENT_BUS),
		ROW(SAYS("bind", AT "usb1/1-0:1.0", INTERFACE), GK_UEVENT_BUS),
		ROW(SAYS("bind", AT "usb1", DEVICE), GK_UEVENT_BUS),
		ROW(SAYS("remove", AT "usb1", DEVICE), GK_UEVENT_BUS),
		/* Before usbcore's driver has it, after that, and when it goes. */
		ROW(SAYS("add", AT "usb1/1-1", DEVICE), GK_UEVENT_DEVICE),
		ROW(SAYS("bind", AT "usb1/1-1", DEVICE), GK_UEVENT_DEVICE),
		ROW(SAYS("remove", AT "usb1/1-1/1-1.4", DEVICE), GK_UEVENT_DEVICE),
		/* What setting a device up brings with it. */
		ROW(SAYS("add", AT "usb1/1-1/1-1:1.0", INTERFACE), 0),
		ROW(SAYS("bind", AT "usb1/1-1/1-1:1.0", INTERFACE), 0),
		ROW(SAYS("add", AT "usb1/1-10:1.0", INTERFACE), 0),
		ROW(SAYS("add", AT "usb1/ep_00", "SUBSYSTEM=usb\0SEQNUM=9"), 0),
		/* Of others. */
		ROW(SAYS("add", AT "usbmon1", "SUBSYSTEM=usbmon\0SEQNUM=9"), 0),
		ROW(SAYS("add", "/bus/usb/drivers/usbfs", "SUBSYSTEM=drivers\0SEQNUM=9"), 0),
		ROW(SAYS("add", "/devices/pci0000:00/usb1", "SUBSYSTEM=pci\0SEQNUM=9"), 0),
		/* Not the kernel's form. */
		ROW("libudev", 0),
		ROW("add@usb1\0" DEVICE, 0),
		{ "", 0, 0 },
		{ SAYS("add", AT "usb1/1-1", "SUBSYSTEM=usb\0DEVTYPE=usb_devic"),
		  sizeof(SAYS("add", AT "usb1/1-1", "SUBSYSTEM=usb\0DEVTYPE=usb_devic")), 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (gk_uevent_what(rows[i].text, rows[i].len) != rows[i].what)
			fail_msg("%s: %u", rows[i].text,
				 gk_uevent_what(rows[i].text, rows[i].len));
}

/* It ends where the message does, whatever that is cut to. */
static void a_part_of_a_message(void **state)
{
	static const char whole[] = SAYS("add", AT "usb1/1-1", DEVICE);
	unsigned seen = 0;

	(void)state;
	for (size_t n = 0; n <= sizeof(whole); n++) {
		char part[sizeof(whole)];

		memset(part, 'x', sizeof(part));
		memcpy(part, whole, n);
		seen |= gk_uevent_what(part, n);
		if (n < strlen(whole) + 1)
			assert_int_equal(gk_uevent_what(part, n), 0);
	}
	assert_int_equal(seen, GK_UEVENT_DEVICE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_worth_a_look),
		cmocka_unit_test(a_part_of_a_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
