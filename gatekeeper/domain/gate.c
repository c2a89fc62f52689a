/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The supervisor's place in the gate: nothing else is there, and all is static. */
#include <linux/filter.h>
#include <string.h>

#include "domain/supervisor_filter.h"
#include "judge.h"
#include "supervisor.h"
#include "worker.h"

#define RULES "/rules.conf"

static char rules_said[GK_LINK_TEXT + 1];

static int begin(void)
{
	gk_judge_rules(RULES, rules_said);
	return GK_OK;
}

static void hello(void)
{
	gk_supervisor_log(6, rules_said);
}

static int look(unsigned new_bus)
{
	(void)new_bus;
	return 1;
}

int main(void)
{
	static const struct gk_place gate = {
		.worker = "/worker",
		.worker_root = "/empty",
		.worker_uid = GK_WORKER_UID,
		.filter = gk_supervisor_filter,
		.filter_len = sizeof(gk_supervisor_filter) /
			      sizeof(gk_supervisor_filter[0]),
		.begin = begin,
		.hello = hello,
		.look = look,
	};

	return gk_supervisor_run(&gate);
}
