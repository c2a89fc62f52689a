#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
setsid gktest-watch /dev/ttyS1 </dev/null >/dev/null 2>&1 &
