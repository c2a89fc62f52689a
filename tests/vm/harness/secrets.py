# SPDX-License-Identifier: GPL-2.0-or-later
"""The test disk's passphrases and the test dom0's password; none is secret."""

LUKS_UUID = "67617465-6b65-4570-a57e-000000000001"
LUKS_NAME = f"luks-{LUKS_UUID}"

SIMPLE = "gatekeeper"
# Every printable ASCII character once, in order.
ALL_ASCII = "".join(chr(c) for c in range(0x20, 0x7f))
# Letters and signs that sit on other keys on a German keyboard.
LAYOUT = "yz-ZY;"

PASSPHRASES = (SIMPLE, ALL_ASCII, LAYOUT)

ROOT_PASSWORD = "dom0test"
