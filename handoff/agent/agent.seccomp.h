/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All that the agent, and what it starts, may ask of the USB domain's kernel: what
 * the gate's supervisor may, and to take an interface from a driver.
 */
#include "domain/supervisor.seccomp.h"

GK_ALLOW_ARG(ioctl, 1, USBDEVFS_DISCONNECT_CLAIM)
