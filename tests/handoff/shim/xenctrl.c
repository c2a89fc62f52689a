/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stands for libxenctrl: Xen's answers for some devices, by their number. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

void *xc_interface_open(void *log, void *build_log, unsigned flags);
int xc_interface_close(void *xc);
int xc_test_assign_device(void *xc, uint32_t domid, uint32_t sbdf);

int played_handles;	/* open */
int played_closed;	/* nobody is let in */

void *xc_interface_open(void *log, void *build_log, unsigned flags)
{
	if (log || build_log || flags != 2 || played_closed)
		return NULL;
	played_handles++;
	return &played_handles;
}

int xc_interface_close(void *xc)
{
	played_handles -= xc == &played_handles;
	return 0;
}

int xc_test_assign_device(void *xc, uint32_t domid, uint32_t sbdf)
{
	/* "Pass DOMID_INVALID to find out whether the given device is assigned to any
	 * DomU at all" (public/domctl.h). */
	errno = xc != &played_handles || domid != 0x7ff4 ? ESRCH :
		sbdf == 0x000000a0 ? EINVAL :		/* 0000:00:14.0 */
		sbdf == 0xffff03eb ? EINVAL :		/* ffff:03:1d.3 */
		sbdf == 0x00000300 ? EOPNOTSUPP :	/* no IOMMU */
		sbdf == 0x00000400 ? EACCES :		/* another Xen's library */
		sbdf == 0x00000500 ? EPERM : 0;
	return errno ? -1 : 0;
}
