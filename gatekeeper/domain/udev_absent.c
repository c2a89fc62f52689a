/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libusb is linked statically and, as Debian builds it, wants libudev, of which
 * there is no static form. Its discovery is switched off before libusb_init()
 * (LIBUSB_OPTION_NO_DEVICE_DISCOVERY), so nothing of this is ever called; that
 * a call would end the worker is what we want.
 */
#include <stdlib.h>

#define ABSENT(name)			\
	void name(void);		\
	void name(void)			\
	{				\
		abort();		\
	}

ABSENT(udev_device_get_action)
ABSENT(udev_device_get_devnode)
ABSENT(udev_device_get_sysname)
ABSENT(udev_device_new_from_syspath)
ABSENT(udev_device_unref)
ABSENT(udev_enumerate_add_match_property)
ABSENT(udev_enumerate_add_match_subsystem)
ABSENT(udev_enumerate_get_list_entry)
ABSENT(udev_enumerate_new)
ABSENT(udev_enumerate_scan_devices)
ABSENT(udev_enumerate_unref)
ABSENT(udev_list_entry_get_name)
ABSENT(udev_list_entry_get_next)
ABSENT(udev_monitor_enable_receiving)
ABSENT(udev_monitor_filter_add_match_subsystem_devtype)
ABSENT(udev_monitor_get_fd)
ABSENT(udev_monitor_new_from_netlink)
ABSENT(udev_monitor_receive_device)
ABSENT(udev_monitor_unref)
ABSENT(udev_new)
ABSENT(udev_unref)
