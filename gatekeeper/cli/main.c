/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "dom0/paths.h"

#ifndef GK_VERSION
#define GK_VERSION "0.1"
#endif

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "status", gk_cmd_status,
	  "status [--log] [--json]\n"
	  "      what the gate does, its devices, its times; what it let in and refused" },
	{ "wait", gk_cmd_wait,
	  "wait [--timeout SECONDS] [--json]\n"
	  "      until the gate is ready (0) or will not be (1)" },
	{ "handoff", gk_cmd_handoff,
	  "handoff [--to NAME | --to-config FILE [--to NAME] | --release-only]\n"
	  "          [--no-strict-reset] [--permissive] [--wait SECONDS] [--json]\n"
	  "      give the USB controllers to a domain that runs and has the agent, to one\n"
	  "      that is started with them, or to none; if not told, as sys_usb or\n"
	  "      sys_usb_config in gatekeeper.conf say" },
	{ "reclaim", gk_cmd_reclaim,
	  "reclaim [--free] [--json]\n"
	  "      take the USB controllers back, for the gate" },
	{ "trust", gk_cmd_trust,
	  "trust PORT\n"
	  "      let a device count that was not there before the handoff" },
	{ "inspect", gk_cmd_inspect,
	  "inspect [--json] [--rules FILE] [--report N=FILE]... FILE\n"
	  "inspect [--json] --hid-report FILE | --replay FILE\n"
	  "      judge a device by its descriptors (sysfs `descriptors`); what a HID\n"
	  "      report descriptor could be; the keys of a hid-recorder file" },
	{ "rules", gk_cmd_rules,
	  "rules --check FILE [--json] | rules --default\n"
	  "      is a rules file well formed; the rules without one" },
	{ "doctor", gk_cmd_doctor,
	  "doctor [--json]\n"
	  "      is this machine fit for the gate" },
	{ "enroll", gk_cmd_enroll,
	  "enroll [--key PORT] [--no-pin] [--no-touch] [--recovery] VOLUME\n"
	  "enroll --list [--json] [VOLUME] | --remove ID [VOLUME] | --test [VOLUME]\n"
	  "      let a security key open a LUKS2 volume; what opens it now" },
	{ "switched-root", gk_cmd_switched_root,
	  "switched-root\n"
	  "      tell gatekeeperd that the real root is there" },
	{ "suspend", gk_cmd_suspend,
	  "suspend\n"
	  "      wait, for 20 s at most, until the machine may be suspended" },
	{ "resume", gk_cmd_resume,
	  "resume\n"
	  "      after that: a new gate, or are the keyboards of the USB domain alive" },
	{ "stop", gk_cmd_stop,
	  "stop\n"
	  "      end the gate domain and gatekeeperd; at shutdown" },
	{ "take-controllers", gk_cmd_take_controllers,
	  "take-controllers\n"
	  "      in the initramfs: bind all USB controllers to xen-pciback" },
	{ "prepare-xen", gk_cmd_prepare_xen,
	  "prepare-xen\n"
	  "      in the initramfs: modules, xenfs and directories for xenstored" },
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static void help(FILE *to)
{
	fputs("usage: gatekeeper [--run-dir DIR] [--root-prefix DIR] "
	      "COMMAND...\n\n", to);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(to, "  %s\n", commands[i].help);
	fputs("\nExit status: 0 done, 1 refused or failed, 2 wrong usage.\n"
	      "--run-dir and --root-prefix are for tests.\n", to);
}

int gk_cli_usage(const char *text)
{
	fprintf(stderr, "usage: gatekeeper %s\n", text);
	return GK_EXIT_USAGE;
}

int main(int argc, char **argv)
{
	int i = 1;

	for (; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--run-dir"))
			gk_run_dir = argv[i + 1];
		else if (!strcmp(argv[i], "--root-prefix"))
			gk_root_prefix = argv[i + 1];
		else
			break;
	}
	if (i < argc && (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))) {
		help(stdout);
		return GK_EXIT_DONE;
	}
	if (i < argc && !strcmp(argv[i], "--version")) {
		puts("gatekeeper " GK_VERSION);
		return GK_EXIT_DONE;
	}
	for (size_t k = 0; i < argc && k < COMMANDS; k++)
		if (!strcmp(argv[i], commands[k].name)) {
			if (i + 1 < argc && !strcmp(argv[i + 1], "--help")) {
				printf("gatekeeper %s\n", commands[k].help);
				return GK_EXIT_DONE;
			}
			return commands[k].run(argc - i, argv + i);
		}
	help(stderr);
	return GK_EXIT_USAGE;
}
