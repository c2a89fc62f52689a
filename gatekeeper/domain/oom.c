/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "oom.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "log.h"

void gk_oom_score(int score)
{
	char text[12];
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	int n = snprintf(text, sizeof(text), "%d", score);

	if (fd < 0)
		return;
	if (write(fd, text, (size_t)n) < 0)
		gk_kmsg(4, "oom_score_adj cannot be set");
	close(fd);
}
