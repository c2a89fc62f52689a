/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * witness OUT: in dom0, from its initramfs on: which keys evdev saw of the
 * virtual keyboard, which it could have, and the memory of gatekeeperd and of
 * each link reader. Keeps a JSON line in OUT up to date; ends with the root
 * that it was started in.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/input.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define KEYBOARD "USB Gatekeeper keyboard"

enum {
	POLL_MS = 5,
	LOOK_EVERY = 40,
	PROCESSES = 64,
	CODES = KEY_CNT,
	/* Looks at a process until it is taken to have started up: a reader is
	 * there some seconds before the gate answers it. */
	SETTLED = 20,
};

struct process {
	int pid;
	char name[24];
	long first, last, most;	/* KiB; first: when it had started up */
	unsigned looks;
};

static struct {
	int fd;
	unsigned long events, dropped, other;
	uint8_t seen[CODES / 8], can[CODES / 8], down[CODES / 8];
	struct process process[PROCESSES];
	unsigned processes;
} w = { .fd = -1 };

static void find_keyboard(void)
{
	for (int i = 0; i < 32 && w.fd < 0; i++) {
		char path[64], name[80] = "";
		int fd;

		snprintf(path, sizeof(path), "/dev/input/event%d", i);
		fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (ioctl(fd, EVIOCGNAME(sizeof(name) - 1), name) > 0 &&
		    strcmp(name, KEYBOARD) == 0)
			w.fd = fd;
		else
			close(fd);
	}
}

static void read_keyboard(void)
{
	struct input_event ev[64];
	ssize_t n;

	while ((n = read(w.fd, ev, sizeof(ev))) > 0) {
		for (size_t i = 0; i < (size_t)n / sizeof(ev[0]); i++) {
			if (ev[i].type == EV_SYN) {
				w.dropped += ev[i].code == SYN_DROPPED;
			} else if (ev[i].type == EV_KEY && ev[i].code < CODES) {
				w.events++;
				w.seen[ev[i].code / 8] |=
					(uint8_t)(1u << ev[i].code % 8);
			} else if (ev[i].type != EV_LED) {
				w.other++;
			}
		}
	}
	ioctl(w.fd, EVIOCGBIT(EV_KEY, sizeof(w.can)), w.can);
	ioctl(w.fd, EVIOCGKEY(sizeof(w.down)), w.down);
}

static long rss_kib(int pid)
{
	char path[64], line[160];
	long kib = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmRSS: %ld", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

static void look_at(int pid, const char *name)
{
	long kib = rss_kib(pid);
	struct process *p = NULL;

	if (kib < 0)
		return;
	for (unsigned i = 0; i < w.processes && !p; i++)
		if (w.process[i].pid == pid &&
		    strcmp(w.process[i].name, name) == 0)
			p = &w.process[i];
	if (!p) {
		if (w.processes == PROCESSES)
			return;
		p = &w.process[w.processes++];
		p->pid = pid;
		snprintf(p->name, sizeof(p->name), "%s", name);
	}
	if (p->looks++ < SETTLED)
		p->first = kib;
	p->last = kib;
	if (kib > p->most)
		p->most = kib;
}

static void look_at_processes(void)
{
	DIR *dir = opendir("/proc");
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		char path[300], name[24] = "";
		int pid = atoi(e->d_name), fd;

		if (pid <= 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/comm", pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (read(fd, name, sizeof(name) - 1) < 0)
			name[0] = '\0';
		close(fd);
		name[strcspn(name, "\n")] = '\0';
		if (strcmp(name, "gatekeeperd") == 0 ||
		    strcmp(name, "gatekeeper-link") == 0)
			look_at(pid, name);
	}
	if (dir)
		closedir(dir);
}

static void codes(FILE *f, const char *name, const uint8_t *bits)
{
	const char *comma = "";

	fprintf(f, ",\"%s\":[", name);
	for (unsigned i = 0; i < CODES; i++) {
		if (!(bits[i / 8] >> i % 8 & 1))
			continue;
		fprintf(f, "%s%u", comma, i);
		comma = ",";
	}
	fputc(']', f);
}

static void put(const char *path)
{
	char part[256];
	FILE *f;

	snprintf(part, sizeof(part), "%s.part", path);
	f = fopen(part, "we");
	if (!f)
		return;
	fprintf(f, "{\"keyboard\":%s,\"events\":%lu,\"dropped\":%lu,\"other\":%lu",
		w.fd < 0 ? "false" : "true", w.events, w.dropped, w.other);
	codes(f, "seen", w.seen);
	codes(f, "can", w.can);
	codes(f, "down", w.down);
	fputs(",\"processes\":[", f);
	for (unsigned i = 0; i < w.processes; i++)
		fprintf(f, "%s{\"name\":\"%s\",\"pid\":%d,\"first\":%ld,"
			"\"last\":%ld,\"most\":%ld,\"looks\":%u}", i ? "," : "",
			w.process[i].name, w.process[i].pid, w.process[i].first,
			w.process[i].last, w.process[i].most, w.process[i].looks);
	fputs("]}\n", f);
	if (fclose(f) == 0)
		rename(part, path);
}

int main(int argc, char **argv)
{
	struct timespec nap = { .tv_nsec = POLL_MS * 1000000L };

	if (argc != 2)
		return 2;
	for (unsigned turn = 0; access("/proc/self", F_OK) == 0; turn++) {
		if (w.fd < 0 && turn % LOOK_EVERY == 0)
			find_keyboard();
		if (w.fd >= 0)
			read_keyboard();
		if (turn % LOOK_EVERY == 0) {
			look_at_processes();
			put(argv[1]);
		}
		nanosleep(&nap, NULL);
	}
	return 0;
}
